import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ImportOptions, parseMap, parseScale, readOutcomes } from '../../../datasets/import/index.ts';
import { type Outcome, RoutingError } from '../../../datasets/index.ts';
import { failureOf, folderOf, jsonl, temporaryFolder } from '../fixtures.ts';

async function imported(name: string, content: string | Uint8Array, options?: ImportOptions, more = {}) {
  const dir = folderOf({ [name]: content, ...more });
  const dataset = await readOutcomes(join(dir, name), options);
  return { ...dataset, rows: dataset.outcomes.map((o) => o) as Outcome[], note: dataset.notes.join('\n') };
}
const refusal = (name: string, content: string | Uint8Array, options?: ImportOptions) =>
  failureOf(() => imported(name, content, options));

test('reads a row for each pair of prompt and model', async () => {
  const rows = [
    { id: 'a', text: 'first question', model: 'x', score: 1, costUsd: 0.5, outputTokens: 7, latencyMs: 30 },
    { id: 'a', model: 'y', score: 0 },
    { id: 'b', text: 'second question', model: 'x', score: 0.25, benchmark: 'sums', groupId: 'g' },
  ];
  const found = await imported('my.jsonl', jsonl(rows));
  expect(found.name).toBe('my');
  expect(found.prompts).toEqual([
    { id: 'a', source: 'my', benchmark: 'default', text: 'first question', groupId: 'a' },
    { id: 'b', source: 'my', benchmark: 'sums', text: 'second question', groupId: 'g' },
  ]);
  expect(found.rows).toEqual([
    { promptId: 'a', modelId: 'x', quality: 1, costUsd: 0.5, outputTokens: 7, latencyMs: 30 },
    { promptId: 'a', modelId: 'y', quality: 0 },
    { promptId: 'b', modelId: 'x', quality: 0.25 },
  ]);
});

test('prefers our own names of fields to others that would do', async () => {
  const row = { id: 'row 7', promptId: 'a', prompt: 'first question', modelId: 'x', quality: 0.5, score: 5 };
  const found = await imported('my.jsonl', jsonl([row]));
  expect(found.rows).toEqual([{ promptId: 'a', modelId: 'x', quality: 0.5 }]);
  expect(found.note).toContain('columns that are not read: id, score');
});

const wide = [
  { prompt: 'first question', scores: { x: 1, y: 0.5 }, costs: { x: 0.1, y: 0.2 }, outputTokens: { x: 9 } },
  { prompt: 'second question', scores: { x: 0, y: null } },
];

test('reads a row for each prompt with a value a model, gzipped or as one list', async () => {
  const forms: [string, string | Uint8Array][] = [
    ['my.jsonl', jsonl(wide)],
    ['my.jsonl.gz', gzipSync(jsonl(wide))],
    ['my.json', JSON.stringify(wide, null, 2)],
    ['my.txt', `\uFEFF${jsonl(wide).replaceAll('\n', '\r\n')}`],
  ];
  for (const [name, content] of forms) {
    const { rows, prompts, note } = await imported(name, content);
    const [a, b] = prompts.map((p) => p.id);
    expect(rows, name).toEqual([
      { promptId: a, modelId: 'x', quality: 1, costUsd: 0.1, outputTokens: 9 },
      { promptId: a, modelId: 'y', quality: 0.5, costUsd: 0.2 },
      { promptId: b, modelId: 'x', quality: 0 },
    ]);
    expect(note).toContain('1 answers have no score');
  }
});

test('gives a text without an id the same id in every file', async () => {
  const [a, b] = await Promise.all(['one.jsonl', 'two.jsonl'].map((name) => imported(name, jsonl(wide))));
  expect(a!.prompts.map((p) => p.id)).toEqual(b!.prompts.map((p) => p.id));
});

test('reads a long CSV with mapped columns and a scale, and says what it did not read', async () => {
  const csv = 'question,llm,stars,usd,comment\n"What, then?",x,5,0.01,fine\n"What, then?",y,2,,bad\n"a\nb",x,1,0.02,\n';
  const { rows, prompts, note } = await imported('my.csv', csv, {
    map: parseMap('prompt=question,model=llm,quality=stars,cost=usd'),
    scale: parseScale('1..5'),
  });
  expect(prompts.map((p) => p.text)).toEqual(['What, then?', 'a\nb']);
  // (5 − 1) / 4, (2 − 1) / 4, (1 − 1) / 4
  expect(rows.map((r) => [r.modelId, r.quality, r.rawScore, r.costUsd])).toEqual([
    ['x', 1, 5, 0.01],
    ['y', 0.25, 2, undefined],
    ['x', 0, 1, 0.02],
  ]);
  expect(note).toContain('columns parted by commas');
  expect(note).toContain('columns that are not read: comment');
  expect(note).toContain('question as text');
});

test('reads a CSV with a column a model, named or mapped', async () => {
  const csv = 'prompt,quality.p/x,cost.p/x,y score\nfirst,1,0.1,no\nsecond,0,0.2,yes\n';
  const { rows } = await imported('my.csv', csv, { map: { 'quality.y': 'y score' } });
  expect(rows.map((r) => [r.modelId, r.quality, r.costUsd])).toEqual([
    ['y', 0, undefined],
    ['p/x', 1, 0.1],
    ['y', 1, undefined],
    ['p/x', 0, 0.2],
  ]);
});

test('reads semicolons with decimal commas, tabs, Windows line ends and a byte order mark, and tells the delimiter', async () => {
  const semicolons = await imported('my.csv', '\uFEFFprompt;model;score\r\n"eins; zwei";x;0,5\r\n');
  expect(semicolons.prompts[0]!.text).toBe('eins; zwei');
  expect(semicolons.rows[0]!.quality).toBe(0.5);
  expect(semicolons.note).toContain('semicolons');
  const tabs = await imported('my.tsv.gz', gzipSync('prompt\tmodel\tscore\none\tx\t1\n'));
  expect(tabs.rows).toHaveLength(1);
  expect(tabs.name).toBe('my');
});

test.each([
  ['TRUE', 1],
  ['pass', 1],
  ['Yes', 1],
  ['correct', 1],
  ['false', 0],
  ['FAIL', 0],
  ['no', 0],
  ['85%', 0.85],
  [' .5 ', 0.5],
  ['1e-1', 0.1],
])('reads %j as quality %d', async (cell, quality) => {
  const { rows } = await imported('my.csv', `prompt,model,score\none,x,${cell}\n`);
  expect(rows[0]!.quality).toBeCloseTo(quality, 12);
});

test.each(['NaN', 'Infinity', '-inf', '0x1', 'good', '1.01', '-0.01', '5'])(
  'refuses %s as a quality, with file, line and column',
  async (cell) => {
    const error = await refusal('my.csv', `prompt,model,score\none,x,1\ntwo,x,${cell}\n`);
    expect(error.code).toBe('INVALID_ROW');
    expect(error.message).toMatch(/my\.csv:3: field score: /);
  },
);

test('takes scores as they are with a scale, and refuses those outside it', async () => {
  const error = await refusal('my.csv', 'prompt,model,score\none,x,0\n', { scale: [1, 5] });
  expect(error.message).toContain('my.csv:2: field score: 0 is outside 1..5');
  expect((await refusal('my.csv', 'prompt,model,score\none,x,1\n', { scale: [5, 1] })).code).toBe('INVALID_CONFIG');
});

test.each([
  ['a negative cost', 'prompt,model,score,cost\none,x,1,-1\n', 'INVALID_ROW', 'my.csv:2: field cost: -1 is below 0'],
  ['a row with a column too many', 'prompt,model,score\none,two,x,1\n', 'INVALID_ROW', 'my.csv:2: this row has more'],
  ['a quote that never ends', 'prompt,model,score\n"one,x,1\ntwo,x,1\n', 'TRUNCATED_FILE', 'my.csv'],
  ['a pair twice', 'prompt,model,score\none,x,1\none,x,0\n', 'DUPLICATE_ROW', 'my.csv:3: model x answered prompt'],
  ['a column twice', 'prompt,model,score,score\none,x,1,1\n', 'INVALID_ROW', 'column score stands there twice'],
  ['no prompt column', 'foo,model,score\none,x,1\n', 'INVALID_ROW', 'columns: foo, model, score. Say which'],
  ['no model', 'prompt,score\none,1\n', 'INVALID_ROW', 'field model: is missing'],
  ['no quality', 'prompt,model\none,x\n', 'INVALID_ROW', 'field quality: is missing'],
  ['no rows', 'prompt,model,score\n', 'EMPTY_TABLE', 'no outcomes'],
  ['nothing', ' \n', 'EMPTY_TABLE', 'is empty'],
  ['only empty scores', 'prompt,model,score\none,x,\n', 'EMPTY_TABLE', '1 answers have no score'],
  ['one id for two texts', 'id,prompt,model,score\n1,one,x,1\n1,two,y,1\n', 'INVALID_ROW', 'has another text than at'],
  ['an id without a text', 'id,prompt,model,score\n1,,x,1\n', 'INVALID_ROW', 'my.csv:2: field text: prompt 1 has none'],
])('refuses %s', async (_, csv, code, message) => {
  const error = await refusal('my.csv', csv);
  expect(error.code).toBe(code);
  expect(error.message).toContain(message);
});

test('refuses another encoding than UTF-8, and files that are cut short', async () => {
  expect((await refusal('my.csv', Buffer.from('prompt,model,score\nPrüfung,x,1\n', 'latin1'))).code).toBe(
    'MALFORMED_JSON',
  );
  expect((await refusal('my.csv', Buffer.from('prompt,model,score\n', 'utf16le'))).code).toBe('MALFORMED_JSON');
  const zipped = gzipSync(`prompt,model,score\n${Array.from({ length: 99 }, (_, i) => `q${i},x,1\n`).join('')}`);
  expect((await refusal('my.csv.gz', zipped.subarray(0, 100))).code).toBe('TRUNCATED_FILE');
  const cut = await refusal('my.jsonl', jsonl(wide).slice(0, -20));
  expect(cut.code).toBe('MALFORMED_JSON');
  expect(cut.message).toContain('my.jsonl:2');
  expect((await refusal('my.json', JSON.stringify(wide).slice(0, -9))).code).toBe('MALFORMED_JSON');
});

test('averages tries that are numbered, or where it is told to', async () => {
  const rows = [0, 1, 1].map((score, epoch) => ({ prompt: 'one', model: 'x', score, epoch, outputTokens: 10 * epoch }));
  const found = await imported('my.jsonl', jsonl(rows));
  // (0 + 1 + 1) / 3 and (0 + 10 + 20) / 3
  expect(found.rows[0]!.quality).toBeCloseTo(2 / 3);
  expect(found.rows[0]!.outputTokens).toBeCloseTo(10);
  expect(found.note).toContain('2 repeated answers');
  const plain = rows.map(({ epoch: _, ...row }) => row);
  expect((await refusal('my.jsonl', jsonl(plain))).code).toBe('DUPLICATE_ROW');
  expect((await imported('my.jsonl', jsonl(plain), { repeats: 'average' })).rows).toHaveLength(1);
  expect((await refusal('my.jsonl', jsonl(rows), { repeats: 'refuse' })).code).toBe('DUPLICATE_ROW');
});

test('reads a field of ten million characters, with quotes and line ends in it', async () => {
  const text = 'a "b"\n'.repeat(1_500_000).trim();
  const { prompts } = await imported('my.csv', `prompt,model,score\n"${text.replaceAll('"', '""')}",x,1\n`);
  expect(prompts[0]!.text === text).toBe(true);
});

test('puts near-duplicates without a groupId in one group', async () => {
  const text = 'Explain in a few sentences how the tides of the North Sea come about, and why there are two a day.';
  const rows = [text, `${text} Thanks!`, 'What is the capital of the country north of Italy?'].map((prompt) => ({
    prompt,
    model: 'x',
    score: 1,
  }));
  const { prompts, note } = await imported('my.jsonl', jsonl(rows));
  const [a, b, c] = prompts.map((p) => p.groupId);
  expect(a).toBe(prompts[0]!.id);
  expect(b).toBe(a);
  expect(c).not.toBe(a);
  expect(note).toContain('prompts without a groupId: 3, in 2 near-duplicate groups');
});

test('prices models from the file beside, from a file that is named, and from the catalog where the id is clear', async () => {
  const csv =
    'prompt,quality.mine,quality.other,quality.openrouter/anthropic/claude-opus-5,quality.unknown\none,1,1,1,1\n';
  const prices = join(folderOf({ 'p.json': '{"other": {"inputUsdPerMTok": 3, "outputUsdPerMTok": 4}}' }), 'p.json');
  const beside =
    '{"mine": {"inputUsdPerMTok": 1, "outputUsdPerMTok": 2}, "other": {"inputUsdPerMTok": 9, "outputUsdPerMTok": 9}}';
  const { models, note } = await imported('my.csv', csv, { prices }, { 'models.json': beside });
  expect(models.mine).toEqual({ inputUsdPerMTok: 1, outputUsdPerMTok: 2 });
  expect(models.other).toEqual({ inputUsdPerMTok: 3, outputUsdPerMTok: 4 });
  expect(models['openrouter/anthropic/claude-opus-5']?.inputUsdPerMTok).toBeGreaterThan(0);
  expect(models.unknown).toBeUndefined();
  expect(note).toMatch(/prices of openrouter\/anthropic\/claude-opus-5 are from the shipped catalog of \d{4}/);
  expect(note).toContain('no price is known of unknown');
  expect((await refusal('my.csv', csv, { prices: '/nowhere.json' })).code).toBe('MISSING_FILE');
});

test('reads a folder of ours unchanged, merges it with files, and takes any other folder for the files in it', async () => {
  const ours = folderOf({
    'prompts.jsonl': [{ id: 'p', text: 'a question' }],
    'outcomes.jsonl': [{ promptId: 'p', modelId: 'x', quality: 1 }],
  });
  expect((await readOutcomes(ours)).prompts[0]!.groupId).toBe('p');
  const loose = folderOf({ 'a.csv': 'prompt,model,score\none,x,1\n', 'b.csv': 'prompt,model,score\none,y,0\n' });
  const both = await readOutcomes([ours, loose]);
  expect(both.prompts).toHaveLength(2);
  expect(both.outcomes).toHaveLength(3);
  expect((await failureOf(() => readOutcomes(temporaryFolder()))).code).toBe('MISSING_FILE');
  expect((await failureOf(() => readOutcomes([]))).code).toBe('MISSING_FILE');
  expect((await failureOf(() => readOutcomes('/nowhere'))).code).toBe('MISSING_FILE');
});

test('takes the column of scores that is asked for', async () => {
  const csv = 'prompt,model,score,style\none,x,0,1\n';
  expect((await imported('my.csv', csv, { score: 'style' })).rows[0]!.quality).toBe(1);
  const row = { prompt: 'one', model: 'x', score: 0, style: 1 };
  expect((await imported('my.jsonl', jsonl([row]), { score: 'style' })).rows[0]!.quality).toBe(1);
  for (const [name, content] of [
    ['my.csv', csv],
    ['my.jsonl', jsonl([row])],
  ] as const) {
    expect((await refusal(name, content, { score: 'facts' })).code, name).toBe('INVALID_CONFIG');
  }
});

test.each(['prompt', '=x', 'nonsense=x', 'prompt.=x', 'model.y=prompt', 'prompt=nowhere'])(
  'refuses the map %j',
  async (map) => {
    const error = await failureOf(() => imported('my.csv', 'prompt,model,score\none,x,1\n', { map: parseMap(map) }));
    expect(error.code).toBe('INVALID_CONFIG');
  },
);

test('refuses a mapped column that no row of JSON has', async () => {
  const error = await refusal('my.jsonl', jsonl([{ prompt: 'one', model: 'x', score: 1 }]), { map: { cost: 'usd' } });
  expect(error.code).toBe('INVALID_CONFIG');
  expect(error.message).toContain('has no column usd');
});

test.each(['', '1', '5..1', '1..1', '1...5', 'a..b', '1..2..3'])('refuses the scale %j', (scale) => {
  expect(() => parseScale(scale)).toThrow(RoutingError);
});

const cell = fc.string({ unit: 'grapheme-composite', minLength: 1, maxLength: 12 }).map((s) => `t${s}t`);
const table = fc.uniqueArray(cell, { minLength: 1, maxLength: 8 }).chain((texts) =>
  fc.record({
    texts: fc.constant(texts),
    scores: fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.option(fc.double({ min: 0, max: 9, noNaN: true }))),
      { minLength: texts.length, maxLength: texts.length },
    ),
    delimiter: fc.constantFrom(',', ';', '\t', '|'),
    end: fc.constantFrom('\n', '\r\n'),
  }),
);

test('gives back whatever table was written, as CSV with any delimiter and as JSON', async () => {
  const dir = temporaryFolder();
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  await fc.assert(
    fc.asyncProperty(table, async ({ texts, scores, delimiter, end }) => {
      const rows = texts.map((text, i) => ({ text, model: 'm', score: scores[i]![0] + 0, cost: scores[i]![1] }));
      const lines = [['text', 'model', 'score', 'cost'].join(delimiter)];
      for (const r of rows)
        lines.push([quoted(r.text), 'm', String(r.score), r.cost === null ? '' : String(r.cost)].join(delimiter));
      for (const [name, content] of [
        ['t.csv', lines.map((line) => line + end).join('')],
        ['t.jsonl', jsonl(rows)],
      ] as const) {
        writeFileSync(join(dir, name), content);
        const { prompts, outcomes } = await readOutcomes(join(dir, name));
        expect(prompts.map((p) => p.text)).toEqual(texts);
        expect(outcomes.map((o) => [o.quality, o.costUsd ?? null])).toEqual(rows.map((r) => [r.score, r.cost]));
      }
    }),
    { numRuns: 60, seed: 1 },
  );
});

const json = fc.json({ maxDepth: 3 });
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 200 }).map((s) => Buffer.from(s)),
  json.map((s) => Buffer.from(s)),
  fc.array(json, { maxLength: 4 }).map((list) => Buffer.from(list.join('\n'))),
  fc
    .tuple(json, json, json)
    .map(([a, b, c]) => Buffer.from(`{"prompt": ${a}, "model": ${b}, "scores": ${c}, "score": ${c}}\n`)),
  fc
    .tuple(json, json)
    .map(([a, b]) => Buffer.from(`{"results": {"results": [${a}, {"provider": ${a}, "prompt": ${b}}]}}`)),
  fc
    .tuple(json, json)
    .map(([a, b]) =>
      Buffer.from(`{"status": ${a}, "eval": {"model": "m"}, "samples": [{"id": 1, "input": ${b}, "scores": ${a}}]}`),
    ),
  fc
    .array(fc.array(fc.string({ maxLength: 6 }), { maxLength: 4 }), { maxLength: 4 })
    .map((rows) => Buffer.from(['prompt,model,score', ...rows.map((r) => r.join(','))].join('\n'))),
);

test('throws nothing but a RoutingError, whatever the bytes', async () => {
  const dir = temporaryFolder();
  await fc.assert(
    fc.asyncProperty(
      garbage,
      fc.constantFrom('g.jsonl', 'g.csv', 'g.json', 'g.jsonl.gz', 'g.eval'),
      async (bytes, name) => {
        writeFileSync(join(dir, name), bytes);
        try {
          const { prompts, outcomes } = await readOutcomes(join(dir, name));
          expect(prompts.length).toBeGreaterThan(0);
          for (const { quality } of outcomes) expect(quality >= 0 && quality <= 1).toBe(true);
        } catch (error) {
          if (!(error instanceof RoutingError)) throw error;
        }
      },
    ),
    { numRuns: 500, seed: 2 },
  );
});
