import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type ImportOptions, readOutcomes } from '../../../datasets/import/index.ts';
import { candidateId } from '../../../datasets/import/promptfoo.ts';
import { failureOf, folderOf, jsonl } from '../fixtures.ts';

async function imported(files: Record<string, string>, options?: ImportOptions) {
  const dir = folderOf(files);
  const found = await readOutcomes(
    Object.keys(files).map((name) => join(dir, name)),
    options,
  );
  return { ...found, rows: found.outcomes.map((o) => o), note: found.notes.join('\n') };
}

/** A result as `promptfoo eval -o results.json` writes it, version 3. */
const result = (provider: string, raw: string, more: object = {}) => ({
  id: 'f6a1',
  promptIdx: 0,
  testIdx: 0,
  testCase: { vars: { topic: raw }, assert: [{ type: 'contains', value: 'x' }] },
  promptId: 'ab12',
  provider: { id: provider, label: '' },
  prompt: { raw, label: 'Answer: {{topic}}' },
  vars: { topic: raw },
  response: { output: 'an answer', tokenUsage: { total: 30, prompt: 20, completion: 10 }, cached: false },
  failureReason: 0,
  success: true,
  score: 1,
  latencyMs: 812,
  gradingResult: { pass: true, score: 1, reason: 'All assertions passed', componentResults: [] },
  namedScores: { accuracy: 0.5 },
  cost: 0.002,
  metadata: {},
  ...more,
});
const summary = (results: unknown[], version = 3) => ({
  version,
  timestamp: '2025-01-15T10:30:00Z',
  prompts: [],
  results,
  stats: { successes: 1, failures: 0, errors: 0, tokenUsage: {} },
});
const exported = (results: unknown[], version = 3) =>
  JSON.stringify({ evalId: 'eval-1', results: summary(results, version), config: {}, shareableUrl: null }, null, 2);

const failed = { success: false, score: 0, failureReason: 1, error: 'Expected output to contain "x"' };
const errored = { success: false, score: 0, failureReason: 2, error: 'API error: 429', response: undefined };

test('reads a summary of version 3: a provider is a model, the rendered prompt is the prompt', async () => {
  const file = exported([
    result('openai:chat:gpt-x', 'What is 2 + 2?'),
    result('anthropic:messages:claude-x', 'What is 2 + 2?', failed),
    result('openai:chat:gpt-x', 'What is 3 + 3?', { score: 0.5, success: false, cost: 0 }),
  ]);
  const { prompts, rows, note } = await imported({ 'results.json': file });
  expect(prompts.map((p) => p.text)).toEqual(['What is 2 + 2?', 'What is 3 + 3?']);
  const [a, b] = prompts.map((p) => p.id);
  const tokens = { inputTokens: 20, outputTokens: 10, latencyMs: 812 };
  // A cost of 0 is what promptfoo writes for one it does not know.
  expect(rows).toEqual([
    { promptId: a, modelId: 'openai/gpt-x', quality: 1, costUsd: 0.002, ...tokens },
    { promptId: a, modelId: 'anthropic/claude-x', quality: 0, costUsd: 0.002, ...tokens },
    { promptId: b, modelId: 'openai/gpt-x', quality: 0.5, ...tokens },
  ]);
  expect(note).toContain('results.json: read as results of promptfoo');
  expect(note).toContain('1 results of promptfoo cost 0');
});

test('reads version 2, a bare list of results, and results in lines, alike', async () => {
  const rows = [result('openai:gpt-x', 'one'), result('openai:gpt-y', 'one', failed)];
  const forms = {
    'v2.json': JSON.stringify({ results: { ...summary(rows, 2), table: { head: {}, body: [] } }, config: {} }),
    'bare.json': JSON.stringify({ evalId: 'e', results: rows }),
    'lines.jsonl': jsonl(rows),
  };
  const expected = (await imported({ 'results.json': exported(rows) })).rows;
  for (const [name, content] of Object.entries(forms)) {
    expect((await imported({ [name]: content })).rows, name).toEqual(expected);
  }
});

test('counts errors as never tried, also in older files that give no reason', async () => {
  const { failureReason: _, ...old } = result('openai:gpt-x', 'three', { ...errored, gradingResult: null });
  const rows = [result('openai:gpt-x', 'one'), result('openai:gpt-x', 'two', errored), old];
  const found = await imported({ 'results.json': exported(rows) });
  expect(found.rows).toHaveLength(1);
  expect(found.prompts).toHaveLength(3);
  expect(found.note).toContain('2 results of promptfoo are errors');
  const nothing = await failureOf(() => imported({ 'results.json': exported([old]) }));
  expect(nothing.code).toBe('EMPTY_TABLE');
  expect(nothing.message).toContain('1 results of promptfoo are errors');
});

test('averages repeats, and makes one dataset of several files', async () => {
  const first = exported([result('openai:gpt-x', 'one'), result('openai:gpt-x', 'one', failed)]);
  const second = exported([result('openai:gpt-y', 'one')]);
  const { prompts, rows, note } = await imported({ 'x.json': first, 'y.json': second });
  expect(prompts).toHaveLength(1);
  expect(rows.map((r) => [r.modelId, r.quality])).toEqual([
    ['openai/gpt-x', 0.5],
    ['openai/gpt-y', 1],
  ]);
  expect(note).toContain('1 repeated answers');
});

test('takes a named score or the pass mark when asked, and lists the names where there is none', async () => {
  const file = { 'results.json': exported([result('openai:gpt-x', 'one', { score: 0.75 })]) };
  expect((await imported(file)).rows[0]!.quality).toBe(0.75);
  expect((await imported(file, { score: 'accuracy' })).rows[0]!.quality).toBe(0.5);
  expect((await imported(file, { score: 'success' })).rows[0]!.quality).toBe(1);
  const error = await failureOf(() => imported(file, { score: 'style' }));
  expect(error.message).toContain(
    'results.results[0]: field namedScores: has no score style; its scores: score, success, accuracy',
  );
});

test('reads the user part of chat prompts, and leaves the latency of cached answers out', async () => {
  const chat = JSON.stringify([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'Hello there' }] },
  ]);
  const cached = { output: 'x', cached: true, tokenUsage: { total: 30, cached: 30 } };
  const { prompts, rows } = await imported({
    'r.json': exported([result('openai:gpt-x', chat, { response: cached })]),
  });
  expect(prompts[0]!.text).toBe('Hello there');
  expect(rows[0]).toEqual({ promptId: prompts[0]!.id, modelId: 'openai/gpt-x', quality: 1, costUsd: 0.002 });
});

test('tells one provider under several labels apart by them', async () => {
  const labelled = (label: string) => result('openai:gpt-x', 'one', { provider: { id: 'openai:gpt-x', label } });
  const { rows } = await imported({
    'r.json': exported([labelled('hot'), labelled('cold'), result('openai:gpt-y', 'one')]),
  });
  expect(rows.map((r) => r.modelId)).toEqual(['hot', 'cold', 'openai/gpt-y']);
});

test('says where tests assert nothing, so that everything passes', async () => {
  const gradingResult = { pass: true, score: 1, reason: 'No assertions' };
  const { note } = await imported({ 'r.json': exported([result('openai:gpt-x', 'one', { gradingResult })]) });
  expect(note).toContain('1 results of promptfoo passed because their test asserts nothing');
});

test.each([
  ['openai:chat:gpt-x', 'openai/gpt-x'],
  ['openai:gpt-x', 'openai/gpt-x'],
  ['ollama:chat:llama3:8b', 'ollama/llama3:8b'],
  ['openrouter:vendor/model', 'openrouter/vendor/model'],
  ['togetherai:x/y', 'together/x/y'],
  ['bedrock:anthropic.claude-x-v1:0', 'bedrock/anthropic.claude-x-v1:0'],
  ['file://provider.py', 'file://provider.py'],
  ['https://example.com/generate', 'https://example.com/generate'],
  ['echo', 'echo'],
])('names the provider %s %s', (id, name) => {
  expect(candidateId(id)).toBe(name);
});

test.each([
  [{ evalId: 'e', results: {} }, 'results.results'],
  [{ evalId: 'e', results: { results: [{}] } }, 'field provider.id'],
  [{ evalId: 'e', results: { results: [{ provider: 'x' }] } }, 'field prompt.raw'],
  [
    { evalId: 'e', results: { results: [result('x:y', 'one', { score: 7 })] } },
    'results.results[0]: field score: 7 is outside 0..1',
  ],
  [{ evalId: 'e', results: { results: [result('x:y', 'one', { cost: -1 })] } }, 'field cost: -1 is below 0'],
])('refuses %j', async (document, message) => {
  const error = await failureOf(() => imported({ 'r.json': JSON.stringify(document) }));
  expect(error.code).toBe('INVALID_ROW');
  expect(error.message).toContain(message);
});
