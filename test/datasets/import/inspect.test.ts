import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ImportOptions, readOutcomes } from '../../../datasets/import/index.ts';
import { RoutingError } from '../../../datasets/index.ts';
import { failureOf, folderOf, temporaryFolder } from '../fixtures.ts';
import { zipOf } from './zip.ts';

async function imported(files: Record<string, string | Uint8Array>, options?: ImportOptions) {
  const dir = folderOf(files);
  const found = await readOutcomes(
    Object.keys(files).map((name) => join(dir, name)),
    options,
  );
  return { ...found, rows: found.outcomes.map((o) => o), note: found.notes.join('\n') };
}

/** A log as Inspect writes it, version 2. */
const header = (model = 'openai/gpt-x', status = 'success') => ({
  version: 2,
  status,
  eval: {
    run_id: 'r1',
    created: '2025-01-15T10:30:00+00:00',
    task: 'sums',
    dataset: { name: 'sums', samples: 2 },
    model,
  },
  plan: { name: 'plan', steps: [{ solver: 'generate', params: {} }] },
  results: { total_samples: 2, completed_samples: 2, scores: [] },
  stats: { started_at: '2025-01-15T10:30:00+00:00', model_usage: {} },
});
const sample = (id: string | number, value: unknown, more: object = {}) => ({
  id,
  epoch: 1,
  input: `What is ${id} + 1?`,
  target: '2',
  messages: [],
  output: { model: 'gpt-x', choices: [] },
  scores: { match: { value, answer: '2', explanation: 'because' } },
  model_usage: {
    'openai/gpt-x': { input_tokens: 10, output_tokens: 5, total_tokens: 18, input_tokens_cache_read: 3 },
    'openai/judge': { input_tokens: 900, output_tokens: 90, total_tokens: 990 },
  },
  total_time: 3,
  working_time: 2,
  ...more,
});
const log = (samples: unknown[], model?: string, status?: string) =>
  JSON.stringify({ ...header(model, status), samples }, null, 2);
const zipped = (samples: ReturnType<typeof sample>[], method?: number) =>
  zipOf(
    {
      '_journal/start.json': { version: 2, eval: header().eval, plan: header().plan },
      ...Object.fromEntries(samples.map((s) => [`samples/${s.id}_epoch_${s.epoch}.json`, s])),
      'summaries.json': [],
      'header.json': header(),
    },
    method,
  );

const expected = {
  promptId: 'sums/1',
  modelId: 'openai/gpt-x',
  quality: 1,
  // 10 and 3 from the cache; the judge's tokens are not the model's.
  inputTokens: 13,
  outputTokens: 5,
  latencyMs: 2000,
};

test('reads a log in JSON, and the same zipped', async () => {
  const samples = [sample(1, 'C'), sample(2, 'I'), sample(3, 'P'), sample(4, 'N')];
  const plain = await imported({ 'log.json': log(samples) });
  expect(plain.rows[0]).toEqual(expected);
  expect(plain.rows.map((r) => r.quality)).toEqual([1, 0, 0.5, 0]);
  expect(plain.prompts[0]).toMatchObject({
    id: 'sums/1',
    benchmark: 'sums',
    text: 'What is 1 + 1?',
    source: 'inspect',
  });
  expect(plain.note).toContain('log.json: read as a log of Inspect');
  for (const method of [0, 8]) {
    const eval_ = await imported({ 'log.eval': zipped(samples, method) });
    expect(eval_.rows).toEqual(plain.rows);
    expect(eval_.note).toContain('(zipped)');
  }
});

test('averages epochs, and joins logs of several models by task and sample', async () => {
  const epochs = [sample(1, 1), sample(1, 0, { epoch: 2 }), sample(1, 0, { epoch: 3 })];
  const { prompts, rows, note } = await imported({
    'a.eval': zipped(epochs),
    'b.json': log([sample(1, true)], 'other/y'),
  });
  expect(prompts).toHaveLength(1);
  // (1 + 0 + 0) / 3
  expect(rows[0]!.quality).toBeCloseTo(1 / 3);
  expect(rows[1]).toEqual({ promptId: 'sums/1', modelId: 'other/y', quality: 1, latencyMs: 2000 });
  expect(note).toContain('2 repeated answers');
});

test('takes the score that is asked for, and lists them where one must be chosen', async () => {
  const scores = { match: { value: 'C' }, judge: { value: { style: 4, facts: 2 } } };
  const file = { 'log.json': log([sample(1, 'C', { scores })]) };
  const error = await failureOf(() => imported(file));
  expect(error.code).toBe('INVALID_ROW');
  expect(error.message).toContain(
    'samples[0]: field scores: several, and one must be chosen (score NAME); its scores: match, judge.style, judge.facts',
  );
  expect((await imported(file, { score: 'match' })).rows[0]!.quality).toBe(1);
  // (4 − 1) / (5 − 1)
  expect((await imported(file, { score: 'judge.style', scale: [1, 5] })).rows[0]!.quality).toBe(0.75);
  expect((await failureOf(() => imported(file, { score: 'judge' }))).message).toContain('has no score judge');
});

test('counts samples with an error or without a score as never tried; Python writes NaN for those', async () => {
  const samples = [sample(1, 'C'), sample(2, 'C', { error: { message: 'boom' } }), sample(3, null), sample(4, 'NaN!')];
  const text = log(samples).replace('"NaN!"', 'NaN');
  const { rows, prompts, note } = await imported({ 'log.json': text });
  expect(rows).toHaveLength(1);
  expect(prompts).toHaveLength(4);
  expect(note).toContain('1 samples of Inspect ended with an error');
  expect(note).toContain('2 samples of Inspect have no score');
});

test('reads messages, attachments and choices', async () => {
  const input = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'attachment://abc' },
  ];
  const more = { input, attachments: { abc: 'Which is a colour?' }, choices: ['red', 'seven'] };
  const { prompts } = await imported({ 'log.json': log([sample(1, 'C', more)]) });
  expect(prompts[0]!.text).toBe('Which is a colour?\nA) red\nB) seven');
});

test('keeps samples of one id apart where their input differs', async () => {
  const files = {
    'a.json': log([sample(1, 'C')]),
    'b.json': log([sample(1, 'I', { input: 'Something else?' })], 'other/y'),
  };
  const { prompts, note } = await imported(files);
  expect(prompts.map((p) => p.id)).toEqual(['sums/1', 'sums/1#2']);
  expect(note).toContain('1 samples of Inspect share an id but not the input');
});

test('reads what a run had that did not end, and says so', async () => {
  const open = zipOf({
    '_journal/start.json': { version: 2, eval: header().eval },
    'samples/1_epoch_1.json': sample(1, 'C'),
  });
  const found = await imported({ 'open.eval': open });
  expect(found.rows).toEqual([expected]);
  expect(found.note).toContain('the run had not ended');
  expect((await imported({ 'log.json': log([sample(1, 'C')], undefined, 'cancelled') })).note).toContain(
    'status cancelled',
  );
});

test('refuses a cut or damaged zip, one of something else, and entries it cannot unpack', async () => {
  const whole = zipped([sample(1, 'C')]);
  expect((await failureOf(() => imported({ 'x.eval': whole.subarray(0, whole.length - 30) }))).code).toBe(
    'TRUNCATED_FILE',
  );
  const damaged = Buffer.from(whole);
  damaged.fill(0x55, damaged.indexOf('samples/1') + 60, damaged.indexOf('samples/1') + 90);
  expect((await failureOf(() => imported({ 'x.eval': damaged }))).code).toBe('TRUNCATED_FILE');
  const other = await failureOf(() => imported({ 'x.zip': zipOf({ 'a.txt': 'hello' }) }));
  expect(other.message).toContain('a zip without header.json');
  const empty = await failureOf(() => imported({ 'x.eval': zipOf({ 'header.json': header() }) }));
  expect(empty.code).toBe('EMPTY_TABLE');
  const pieces = zipOf({ 'header.json': header(), 'samples/1_epoch_1/sample.json': sample(1, 'C') });
  expect((await failureOf(() => imported({ 'x.eval2': pieces }))).message).toContain('holds samples in pieces');
  const bad = await failureOf(() =>
    imported({ 'x.eval': zipOf({ 'header.json': header(), 'samples/1_epoch_1.json': '{"id": 1,' }) }),
  );
  expect(bad.code).toBe('MALFORMED_JSON');
  expect(bad.message).toContain('x.eval: samples/1_epoch_1.json: not JSON');
  // Not Zstandard inside: refused with or without support for it, and never as rows.
  const zstd = await failureOf(() => imported({ 'x.eval': zipped([sample(1, 'C')], 93) }));
  expect(['INVALID_ROW', 'TRUNCATED_FILE']).toContain(zstd.code);
});

test.each([
  [{ ...header(), eval: { task: 't' }, samples: [] }, 'field eval.model'],
  [header(), 'field samples: is missing'],
  [{ ...header(), samples: [{ input: 'x' }] }, 'samples[0]: field id'],
  [{ ...header(), samples: [sample(1, 'C', { input: '' })] }, 'samples[0]: field input'],
  [{ ...header(), samples: [sample(1, 7)] }, 'samples[0]: field scores: 7 is outside 0..1'],
  [{ ...header(), samples: [sample(1, [1, 0])] }, 'samples[0]: field scores: [1,0] is not a number'],
])('refuses what is missing or out of range (%#)', async (document, message) => {
  const error = await failureOf(() => imported({ 'log.json': JSON.stringify(document) }));
  expect(error.code).toBe('INVALID_ROW');
  expect(error.message).toContain(message);
});

test('throws nothing but a RoutingError for a zip with any bytes changed or cut off', async () => {
  const whole = zipped([sample(1, 'C'), sample(2, 'I')]);
  const path = join(temporaryFolder(), 'x.eval');
  const change = fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 4 }), fc.nat({ max: 60 }), async (changes, cut) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) bytes[at] = byte;
      writeFileSync(path, bytes.subarray(0, bytes.length - cut));
      try {
        expect((await readOutcomes(path)).outcomes.length).toBeGreaterThan(0);
      } catch (error) {
        if (!(error instanceof RoutingError)) throw error;
      }
    }),
    { numRuns: 400, seed: 3 },
  );
});
