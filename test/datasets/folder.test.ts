import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { mergeDatasets, readDataset } from '../../datasets/index.ts';
import { failureOf, folderOf, jsonl } from './fixtures.ts';

const prompts = [
  { id: 'p1', text: 'one', benchmark: 'sums', groupId: 'g1' },
  { id: 'p2', text: 'two' },
];
const outcomes = [
  { promptId: 'p1', modelId: 'a/x', quality: 1, outputTokens: 12 },
  { promptId: 'p1', modelId: 'a/y', quality: 0 },
  { promptId: 'p2', modelId: 'a/x', quality: 0.5, costUsd: 0.001 },
];

test('reads a folder, gzipped or not, and fills in what a row may leave out', async () => {
  const plain = await readDataset(
    folderOf({
      'prompts.jsonl': prompts,
      'outcomes.jsonl': outcomes,
      'models.json': '{"a/x": {"inputUsdPerMTok": 1, "outputUsdPerMTok": 2, "anything": "else"}}',
    }),
  );
  expect(plain.prompts).toEqual([
    { id: 'p1', text: 'one', benchmark: 'sums', groupId: 'g1', source: 'local' },
    { id: 'p2', text: 'two', benchmark: 'default', groupId: 'p2', source: 'local' },
  ]);
  expect([...plain.outcomes]).toEqual(outcomes);
  expect(plain.models['a/x']?.outputUsdPerMTok).toBe(2);
  const zipped = await readDataset(
    folderOf({ 'prompts.jsonl.gz': gzipSync(jsonl(prompts)), 'outcomes.jsonl.gz': gzipSync(jsonl(outcomes)) }),
  );
  expect(zipped.prompts).toEqual(plain.prompts);
  expect([...zipped.outcomes]).toEqual([...plain.outcomes]);
  expect(zipped.models).toEqual({});
});

test('keeps embeddings as float32 and wants them all of one length', async () => {
  const row = (id: string, embedding: number[]) => ({ id, embedding, chars: 9 });
  const good = await readDataset(
    folderOf({ 'prompts.jsonl': [row('p1', [0.5, -1]), row('p2', [2, 3])], 'outcomes.jsonl': outcomes }),
  );
  expect(good.prompts[0]!.embedding).toEqual(Float32Array.of(0.5, -1));
  const bad = await failureOf(() =>
    readDataset(folderOf({ 'prompts.jsonl': [row('p1', [0.5, -1]), row('p2', [2])], 'outcomes.jsonl': outcomes })),
  );
  expect(bad.code).toBe('INVALID_ROW');
  expect(bad.message).toContain('prompts.jsonl:2: field embedding');
});

test('refuses a prompt that stands there twice', async () => {
  const error = await failureOf(() =>
    readDataset(folderOf({ 'prompts.jsonl': [...prompts, prompts[0]], 'outcomes.jsonl': outcomes })),
  );
  expect(error.code).toBe('DUPLICATE_ROW');
  expect(error.message).toContain('prompts.jsonl:3: prompt p1');
});

test('refuses a pair of prompt and model that stands there twice', async () => {
  const error = await failureOf(() =>
    readDataset(folderOf({ 'prompts.jsonl': prompts, 'outcomes.jsonl': [...outcomes, outcomes[1]] })),
  );
  expect(error.code).toBe('DUPLICATE_ROW');
  expect(error.message).toContain('outcomes.jsonl:4: (p1, a/y)');
});

test('refuses an outcome whose prompt is not there', async () => {
  const error = await failureOf(() =>
    readDataset(
      folderOf({ 'prompts.jsonl': prompts, 'outcomes.jsonl': [{ promptId: 'p9', modelId: 'a/x', quality: 1 }] }),
    ),
  );
  expect(error.code).toBe('UNKNOWN_PROMPT');
  expect(error.message).toContain('outcomes.jsonl:1: outcome of prompt p9');
});

test.each([{}, { text: '' }, { text: ' \n' }, { embedding: [] }])(
  'refuses a prompt with neither text nor embedding: %j',
  async (row) => {
    const error = await failureOf(() =>
      readDataset(folderOf({ 'prompts.jsonl': [prompts[0], { id: 'p2', ...row }], 'outcomes.jsonl': outcomes })),
    );
    expect(error.code).toBe('INVALID_ROW');
    expect(error.message).toMatch(/prompts\.jsonl:2: field text: .*embedding/);
  },
);

test.each(['prompts', 'outcomes'])('refuses to choose between %s plain and gzipped', async (stem) => {
  const files = { 'prompts.jsonl': prompts, 'outcomes.jsonl': outcomes };
  const error = await failureOf(() => readDataset(folderOf({ ...files, [`${stem}.jsonl.gz`]: gzipSync('') })));
  expect(error.code).toBe('DUPLICATE_ROW');
  expect(error.message).toContain(`both ${stem}.jsonl.gz and ${stem}.jsonl`);
});

test('says that a file is one, and where its folder is', async () => {
  const dir = folderOf({ 'prompts.jsonl': prompts, 'outcomes.jsonl': outcomes });
  const error = await failureOf(() => readDataset(join(dir, 'prompts.jsonl')));
  expect(error.code).toBe('MISSING_FILE');
  expect(error.message).toMatch(/is a file, and a folder is wanted/);
  expect(error.message).toContain(`e.g. ${dir}`);
});

test('tells of every field that no schema knows, and of no other', async () => {
  const dir = folderOf({
    'prompts.jsonl': [{ ...prompts[0], group: 'x' }, prompts[1]],
    'outcomes.jsonl': outcomes.map((o) => ({ ...o, cost_usd: 1, constructor: 2 })),
  });
  const seen: string[] = [];
  await readDataset(dir, { onUnknownField: (file, field) => seen.push(`${file} ${field}`) });
  expect([...new Set(seen)]).toEqual(['prompts.jsonl group', 'outcomes.jsonl cost_usd', 'outcomes.jsonl constructor']);
  expect(seen).toHaveLength(7);
});

test('says which folder or file is not there', async () => {
  const nowhere = await failureOf(() => readDataset('no/such/folder'));
  expect(nowhere.code).toBe('MISSING_FILE');
  const promptless = await failureOf(() => readDataset(folderOf({ 'outcomes.jsonl': outcomes })));
  expect(promptless.message).toContain('prompts.jsonl');
  const outcomeless = await failureOf(() => readDataset(folderOf({ 'prompts.jsonl': prompts })));
  expect(outcomeless.message).toContain('outcomes.jsonl');
});

test('refuses a models.json that is not JSON or not a table of models', async () => {
  const rows = { 'prompts.jsonl': prompts, 'outcomes.jsonl': outcomes };
  const notJson = await failureOf(() => readDataset(folderOf({ ...rows, 'models.json': '{' })));
  expect(notJson.code).toBe('MALFORMED_JSON');
  const negative = await failureOf(() =>
    readDataset(folderOf({ ...rows, 'models.json': '{"a/x": {"inputUsdPerMTok": -1}}' })),
  );
  expect(negative.code).toBe('INVALID_ROW');
  expect(negative.message).toContain('field a/x.inputUsdPerMTok');
});

test('merges datasets, and refuses a prompt id that stands in two of them', async () => {
  const first = await readDataset(folderOf({ 'prompts.jsonl': [prompts[0]], 'outcomes.jsonl': outcomes.slice(0, 2) }));
  const second = await readDataset(folderOf({ 'prompts.jsonl': [prompts[1]], 'outcomes.jsonl': outcomes.slice(2) }));
  const both = mergeDatasets([first, second]);
  expect(both.name).toBe(`${first.name}+${second.name}`);
  expect(both.prompts.map((p) => p.id)).toEqual(['p1', 'p2']);
  expect([...both.outcomes]).toEqual(outcomes);
  const error = await failureOf(async () => mergeDatasets([first, first]));
  expect(error.code).toBe('DUPLICATE_ROW');
});
