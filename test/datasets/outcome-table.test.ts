import { expect, test } from 'vitest';
import {
  type Dataset,
  hasHiddenReasoning,
  isBaseModel,
  type Outcome,
  outcomeTable,
  promptChars,
  RoutingError,
  selectModels,
  selectRows,
} from '../../datasets/index.ts';
import { promptOf } from './fixtures.ts';

const datasetOf = (outcomes: Outcome[]): Dataset => ({
  name: 'small',
  prompts: ['p1', 'p2', 'p3'].map((id) => promptOf(id)),
  outcomes,
  models: {},
});

const data = datasetOf([
  { promptId: 'p1', modelId: 'b', quality: 1, outputTokens: 10, outputChars: 400 },
  { promptId: 'p2', modelId: 'a', quality: 0.25, outputChars: 100, costUsd: 0.5 },
  { promptId: 'p3', modelId: 'b', quality: 0 },
  { promptId: 'p3', modelId: 'z-base', quality: 1 },
]);

test('puts outcomes in a matrix of prompts × sorted models, NaN where a model was never tried', () => {
  const table = outcomeTable(data);
  expect(table.modelIds).toEqual(['a', 'b']);
  expect([...table.quality]).toEqual([Number.NaN, 1, 0.25, Number.NaN, Number.NaN, 0]);
  // Recorded tokens where there are some, else characters / 4.
  expect([...table.outputTokens]).toEqual([Number.NaN, 10, 25, Number.NaN, Number.NaN, Number.NaN]);
  expect([...table.costUsd]).toEqual([Number.NaN, Number.NaN, 0.5, Number.NaN, Number.NaN, Number.NaN]);
  expect(table.tokensRecorded).toBe(true);
});

test('knows a table whose tokens are all guessed from characters', () => {
  expect(outcomeTable(datasetOf([[...data.outcomes][1]!])).tokensRecorded).toBe(false);
});

test('leaves base models out unless asked for', () => {
  expect(isBaseModel('z-base')).toBe(true);
  expect(isBaseModel('base-z')).toBe(false);
  expect(outcomeTable(data, { baseModels: true }).modelIds).toEqual(['a', 'b', 'z-base']);
});

test('refuses to make a table of nothing', () => {
  const code = (build: () => unknown) => {
    try {
      build();
    } catch (error) {
      return error instanceof RoutingError ? error.code : error;
    }
    return 'no error';
  };
  expect(code(() => outcomeTable(datasetOf([])))).toBe('EMPTY_TABLE');
  expect(code(() => outcomeTable(datasetOf([[...data.outcomes][3]!])))).toBe('EMPTY_TABLE');
  expect(code(() => outcomeTable({ ...data, prompts: [] }))).toBe('EMPTY_TABLE');
});

test('selects rows in the order given and leaves the original as it was', () => {
  const table = outcomeTable(data);
  const picked = selectRows(table, [2, 0, 2]);
  expect(picked.prompts.map((p) => p.id)).toEqual(['p3', 'p1', 'p3']);
  expect([...picked.quality]).toEqual([Number.NaN, 0, Number.NaN, 1, Number.NaN, 0]);
  expect([...picked.outputTokens]).toEqual([Number.NaN, Number.NaN, Number.NaN, 10, Number.NaN, Number.NaN]);
  expect(table.prompts).toHaveLength(3);
  expect(selectRows(table, []).quality).toHaveLength(0);
});

test('selects models in the order given; one it does not have becomes an empty column', () => {
  const picked = selectModels(outcomeTable(data), ['b', 'none', 'a']);
  expect(picked.modelIds).toEqual(['b', 'none', 'a']);
  const empty = Number.NaN;
  expect([...picked.quality]).toEqual([1, empty, empty, empty, empty, 0.25, 0, empty, empty]);
  expect([...picked.costUsd]).toEqual([empty, empty, empty, empty, empty, 0.5, empty, empty, empty]);
});

test('counts the characters of a prompt whose text is not kept', () => {
  expect(promptChars(promptOf('p', { text: 'four' }))).toBe(4);
  expect(promptChars(promptOf('p', { text: '', chars: 120 }))).toBe(120);
});

test('knows models that think in tokens nobody counted, and believes what a source says of them', () => {
  for (const id of ['openai/o1-mini', 'openai/o3', 'x/deepseek-r1', 'google/gemini-2.5-pro', 'a/claude-3-7-thinking']) {
    expect(hasHiddenReasoning(id), id).toBe(true);
  }
  for (const id of ['openai/gpt-4o', 'meta/llama-3.1-8b', 'x/foo1-mini', 'google/gemini-1.5-pro']) {
    expect(hasHiddenReasoning(id), id).toBe(false);
  }
  expect(hasHiddenReasoning('openai/o1-mini', { hiddenReasoning: false })).toBe(false);
  expect(hasHiddenReasoning('my/model', { hiddenReasoning: true })).toBe(true);
});
