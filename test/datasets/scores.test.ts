import { join } from 'node:path';
import { expect, test } from 'vitest';
import { modelKey, readCatalog, readScores, scoredModel } from '../../datasets/index.ts';
import { failureOf, folderOf } from './fixtures.ts';

test('ships scores whose sources allow it, and none of an index with terms of its own', async () => {
  const scores = await readScores();
  const allowed = new Set(['MIT', 'Apache-2.0', 'CC BY 4.0']);
  for (const { from, licence } of Object.values(scores.sources)) {
    expect(allowed.has(licence), from).toBe(true);
    expect(from).toMatch(/@[0-9a-f]{7}/);
  }
  expect(Object.keys(scores.benchmarks).filter((b) => /artificial analysis/i.test(b))).toEqual([]);
  expect(new Set(scores.models.map((m) => modelKey(m.name))).size).toBe(scores.models.length);
});

test('knows the facts of every candidate that is shipped', async () => {
  const scores = await readScores();
  const { models } = await readCatalog();
  expect(models.filter((m) => scoredModel(scores, m.id)?.released === undefined).map((m) => m.id)).toEqual([]);
});

test('knows a model by whatever name it is sold', () => {
  const names = [
    'groq/llama-3.1-8b-instant',
    'ollama/llama3.1:8b',
    'meta-llama/Llama-3.1-8B-Instruct',
    'openrouter/meta-llama/llama-3.1-8b-instruct:free',
  ];
  expect(new Set(names.map(modelKey)).size).toBe(1);
  expect(modelKey('openai/gpt-4o-2024-05-13')).not.toBe(modelKey('openai/gpt-4o-2024-08-06'));
  expect(modelKey('openai/gpt-4o-mini')).not.toBe(modelKey('openai/gpt-4o'));
});

test('matches a name without a date to the newest with one, a dated name to one without, never two dates', async () => {
  const scores = await readScores();
  expect(scoredModel(scores, 'openai/gpt-4o')?.name).toBe('gpt-4o-2024-08-06');
  expect(scoredModel(scores, 'x/deepseek-v4-flash-0731')?.name).toBe('deepseek-v4-flash');
  expect(scoredModel(scores, 'openai/gpt-4o-2025-01-01')).toBeUndefined();
  expect(scoredModel(scores, 'my/own-model')).toBeUndefined();
});

test('refuses a file that is missing, no JSON, misshapen, or of a source that is not named', async () => {
  const good = {
    collected: '2026-11-22',
    sources: { s: { from: 'x', licence: 'MIT', what: 'x' } },
    benchmarks: { b: 'percent' },
    models: [],
  };
  const path = (content: string) => join(folderOf({ 'scores.json': content }), 'scores.json');
  const models = (source: string) => [{ name: 'm', reasoning: false, scores: [['b', 50, source]] }];
  expect((await failureOf(() => readScores('no/such/file'))).code).toBe('MISSING_FILE');
  expect((await failureOf(() => readScores(path('{')))).code).toBe('MALFORMED_JSON');
  expect((await failureOf(() => readScores(path('{}')))).code).toBe('INVALID_CONFIG');
  const unnamed = await failureOf(() => readScores(path(JSON.stringify({ ...good, models: models('t') }))));
  expect(unnamed).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining('source t') });
  expect((await readScores(path(JSON.stringify({ ...good, models: models('s') })))).models).toHaveLength(1);
});
