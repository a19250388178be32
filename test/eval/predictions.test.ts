/** Routers that take part by a file of predictions: read to the letter, treated like any other, seen through when in-sample. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Dataset, Prompt } from '../../datasets/index.ts';
import type { Contender, Frozen, Training } from '../../eval/contender.ts';
import { type EvaluateOptions, evaluate } from '../../eval/evaluate.ts';
import { type Part, selectPartRows } from '../../eval/part.ts';
import { inSampleSuspicion, predictionsRouter, readPredictions } from '../../eval/predictions.ts';
import { rosterOf, routerName } from '../../eval/routers.ts';
import { singleModels } from '../../eval/single-models.ts';
import { foldRows } from '../../eval/split.ts';
import { fakeSource, loading, noise, partFrom, SKILLS, truth, world } from './fixtures.ts';

const dir = mkdtempSync(join(tmpdir(), 'pointsman-predictions-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let files = 0;
function fileOf(rows: readonly unknown[] | string | Uint8Array, end = '.jsonl'): string {
  const path = join(dir, `p${files++}${end}`);
  writeFileSync(path, Array.isArray(rows) ? rows.map((row) => `${JSON.stringify(row)}\n`).join('') : (rows as string));
  return path;
}

const MODELS = Object.keys(SKILLS);
type Believe = (prompt: Prompt, modelId: string) => number;
const pairs = (prompts: readonly Prompt[], believe: Believe) =>
  prompts.flatMap((p) => MODELS.map((modelId) => ({ promptId: p.id, modelId, quality: believe(p, modelId) })));
const perPrompt = (prompts: readonly Prompt[], believe: Believe) =>
  prompts.map((p) => ({ promptId: p.id, quality: Object.fromEntries(MODELS.map((id) => [id, believe(p, id)])) }));

const load = loading(fakeSource({}));
const run = (dataset: Dataset, router: string | string[], options: Partial<EvaluateOptions> = {}) =>
  evaluate(dataset, { load, replicates: 50, routers: [router].flat(), ...options });

/** The only fold of a split by group, and training as a contender gets it. */
function foldOf(dataset: Dataset): { train: Part; test: Part; training: Training } {
  const whole = partFrom(dataset);
  const [rows] = foldRows(dataset.prompts, { split: 'group', seed: 0, seen: () => false });
  const train = selectPartRows(whole, rows!.train);
  const singles = singleModels(train);
  const training = { part: train, singles, baseline: singles.byFallingQuality, gridPoints: 33, seed: 0 };
  return { train, test: selectPartRows(whole, rows!.test), training };
}
const unfitOf = async (contender: Contender, training: Training): Promise<string> =>
  ((await contender.prepare(training)) as { unfit: string }).unfit;
const frozenOf = async (contender: Contender, training: Training): Promise<Frozen> =>
  (await contender.prepare(training)) as Frozen;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (e: { code: string; message: string }) => e,
  );

describe('predictions file', () => {
  test('makes the router that the same predictions make in the process, to the last digit', async () => {
    const dataset = world({ prompts: 500 });
    // The process rounds predictions to 32 bits; the file keeps what is written in it.
    const rounded: Believe = (p, id) => Math.fround(truth(p, id));
    const path = fileOf(pairs(dataset.prompts, rounded));
    const e = await run(dataset, ['default', path], { load: loading(fakeSource({ asItIs: rounded })) });
    const [a, b] = ['default', path].map((name) => e.routers.find((r) => r.name === name)!);
    // Our gateway can run the artifact and not a file, so only the one has knobs.
    const { operatingPoint: own, curve, ...rest } = a!;
    const plain = curve.map(({ knobs: _, ...point }) => point);
    expect(own!.knobs.length).toBeGreaterThan(0);
    expect(b).toEqual({ ...rest, curve: plain, operatingPoint: { ...own, knobs: [] }, name: path });
    expect(b!.kind).toBe('learned');
    expect(b!.aiqMinusZero.low!).toBeGreaterThan(0);
  });

  test('says the same by pair, by prompt and gzipped, whatever the order of its rows', async () => {
    const dataset = world({ prompts: 300 });
    const rows = pairs(dataset.prompts, truth);
    const paths = [
      fileOf(rows),
      fileOf([...rows].reverse()),
      fileOf(perPrompt(dataset.prompts, truth)),
      fileOf(gzipSync(rows.map((row) => JSON.stringify(row)).join('\n')), '.jsonl.gz'),
    ];
    const results = [];
    for (const path of paths) {
      const e = await run(dataset, `mine=${path}`);
      results.push(e.routers.find((r) => r.name === 'mine'));
    }
    expect(results[0]).toBeDefined();
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test('costs that it gives are the expected ones as they are; others are worked out from prices and tokens', async () => {
    const dataset = world({ prompts: 300 });
    const { training, test: tested } = foldOf(dataset);
    const rows = pairs(dataset.prompts, truth).map((row, k) => ({
      ...row,
      // One model's cost and another's length are given; every cell of either has its own number.
      ...(row.modelId === 'a/small' && { costUsd: k / 1e6 }),
      ...(row.modelId === 'b/middle' && { outputTokens: 100 }),
    }));
    const frozen = await frozenOf(await predictionsRouter('mine', fileOf(rows)), training);
    const { expected } = await frozen.measure(tested);
    const costOf = (p: Prompt, modelId: string) =>
      expected!.costUsd[tested.table.prompts.indexOf(p) * 3 + tested.table.modelIds.indexOf(modelId)]!;
    for (const p of tested.table.prompts.slice(0, 20)) {
      expect(costOf(p, 'a/small')).toBe((dataset.prompts.indexOf(p) * 3) / 1e6);
      // Every answer is 100 tokens, so list price × tokens is the realised cost and the scale is 1.
      const { inputUsdPerMTok, outputUsdPerMTok } = dataset.models['b/middle']!;
      const list = ((p.text.length / 4) * inputUsdPerMTok! + 100 * outputUsdPerMTok!) / 1e6;
      expect(costOf(p, 'b/middle')).toBeCloseTo(list, 12);
    }
  });

  test('expected costs steer the choice: a model said to cost a fortune is bought last', async () => {
    const dataset = world({ prompts: 400 });
    const { training, test: tested } = foldOf(dataset);
    const shareOf = async (usd: number) => {
      const rows = pairs(dataset.prompts, truth).map((row) => ({
        ...row,
        costUsd: row.modelId === 'b/middle' ? usd : 1e-4,
      }));
      const frozen = await frozenOf(await predictionsRouter('mine', fileOf(rows)), training);
      const { outcomes } = await frozen.measure(tested);
      const choices = [...outcomes.values()].flatMap((o) => [...o.choice!]);
      return choices.filter((j) => j === 1).length / choices.length;
    };
    expect(await shareOf(1e3)).toBeLessThan(0.01);
    expect(await shareOf(1e-9)).toBeGreaterThan(0.1);
  });

  test('ignores models and prompts that the task does not have', async () => {
    const dataset = world({ prompts: 300 });
    const rows = pairs(dataset.prompts, truth);
    const more = [
      ...rows,
      ...rows.map((row) => ({ ...row, modelId: `x/${row.modelId}` })),
      { ...rows[0], promptId: 'no such' },
    ];
    const result = async (path: string) => (await run(dataset, `mine=${path}`)).routers.find((r) => r.name === 'mine');
    expect(await result(fileOf(more))).toEqual(await result(fileOf(rows)));
  });

  test.each<[string, unknown[] | string, string, RegExp]>([
    [
      'quality above 1',
      [
        { promptId: 'p', modelId: 'm', quality: 0.5 },
        { promptId: 'q', modelId: 'm', quality: 1.2 },
      ],
      'INVALID_ROW',
      /:2: field quality: /,
    ],
    ['quality below 0', [{ promptId: 'p', modelId: 'm', quality: -0.1 }], 'INVALID_ROW', /:1: field quality: /],
    ['no quality', [{ promptId: 'p', modelId: 'm' }], 'INVALID_ROW', /:1: field quality: /],
    ['quality null', [{ promptId: 'p', modelId: 'm', quality: null }], 'INVALID_ROW', /:1: field quality: /],
    ['quality as text', [{ promptId: 'p', modelId: 'm', quality: '0.5' }], 'INVALID_ROW', /:1: field quality: /],
    [
      'infinite cost',
      '{"promptId":"p","modelId":"m","quality":0.5,"costUsd":1e999}',
      'INVALID_ROW',
      /:1: field costUsd: /,
    ],
    [
      'negative tokens',
      [{ promptId: 'p', modelId: 'm', quality: 0.5, outputTokens: -1 }],
      'INVALID_ROW',
      /:1: field outputTokens: /,
    ],
    ['NaN', '{"promptId":"p","modelId":"m","quality":NaN}', 'MALFORMED_JSON', /:1: not JSON/],
    ['no prompt', [{ modelId: 'm', quality: 0.5 }], 'INVALID_ROW', /:1: field promptId: /],
    ['no model', [{ promptId: 'p', quality: 0.5 }], 'INVALID_ROW', /:1: field modelId: /],
    ['a number as row', '3', 'INVALID_ROW', /:1: field \(row\): /],
    [
      'quality 2 of one of several models',
      [{ promptId: 'p', quality: { a: 0.1, 'b/c': 2 } }],
      'INVALID_ROW',
      /:1: field quality\.b\/c: /,
    ],
    ['a prompt without models', [{ promptId: 'p', quality: {} }], 'INVALID_ROW', /:1: field quality: no model/],
    [
      'a cost of a model without quality',
      [{ promptId: 'p', quality: { a: 0.1 }, costUsd: { b: 1 } }],
      'INVALID_ROW',
      /:1: field costUsd\.b: /,
    ],
    [
      'a pair twice',
      [
        { promptId: 'p', modelId: 'm', quality: 0.5 },
        { promptId: 'q', modelId: 'm', quality: 0.5 },
        { promptId: 'p', quality: { m: 0.5 } },
      ],
      'DUPLICATE_ROW',
      /:3: a second prediction of m on prompt p/,
    ],
    ['nothing', '\n', 'EMPTY_TABLE', /no predictions/],
  ])('with %s is refused, and the line is named', async (_, rows, code, says) => {
    const path = fileOf(rows);
    const error = await codeOf(predictionsRouter('mine', path));
    expect(error).toMatchObject({ name: 'RoutingError', code });
    expect(error!.message).toMatch(says);
    expect(error!.message.startsWith(path)).toBe(true);
  });

  test('that is missing or cut short says so', async () => {
    expect(await codeOf(predictionsRouter('mine', join(dir, 'none.jsonl')))).toMatchObject({ code: 'MISSING_FILE' });
    const whole = gzipSync(
      pairs(world().prompts, truth)
        .map((row) => JSON.stringify(row))
        .join('\n'),
    );
    const path = fileOf(whole.subarray(0, whole.length / 2), '.jsonl.gz');
    expect(await codeOf(predictionsRouter('mine', path))).toMatchObject({ code: 'TRUNCATED_FILE' });
  });

  test('gives back what was written, cell by cell', async () => {
    const cell = fc.record(
      {
        quality: fc.double({ min: 0, max: 1, noNaN: true }),
        costUsd: fc.double({ min: 0, max: 10, noNaN: true }),
        outputTokens: fc.nat(9999),
      },
      { requiredKeys: ['quality'] },
    );
    const ids = fc.uniqueArray(
      fc.string({ minLength: 1 }).filter((id) => id !== '__proto__'),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(ids, ids, fc.infiniteStream(fc.option(cell)), async (promptIds, modelIds, cells) => {
        const given = promptIds.flatMap((promptId) =>
          modelIds.map((modelId) => ({ promptId, modelId, cell: cells.next().value })),
        );
        const rows = given.flatMap(({ cell: c, ...pair }) => (c ? [{ ...pair, ...c }] : []));
        fc.pre(rows.length > 0);
        const table = await readPredictions(fileOf(rows));
        const prompts = promptIds.map((id) => ({ id }) as Prompt);
        const forecast = table.forecast(prompts, modelIds);
        const column = (of: (c: { quality: number; costUsd?: number; outputTokens?: number }) => number | undefined) =>
          given.map(({ cell: c }) => (c ? (of(c) ?? Number.NaN) : Number.NaN)).map((x) => x + 0);
        expect([...forecast.quality].map((x) => x + 0)).toEqual(column((c) => c.quality));
        expect([...forecast.costUsd].map((x) => x + 0)).toEqual(column((c) => c.costUsd));
        expect([...forecast.outputTokens!]).toEqual(column((c) => c.outputTokens));
        for (const id of promptIds) {
          expect(table.covers(id, modelIds)).toBe(rows.some((row) => row.promptId === id));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('a router that cannot take part', () => {
  const dataset = world({ prompts: 300 });
  const { training } = foldOf(dataset);

  test('has other models: both sides are named', async () => {
    const rows = pairs(dataset.prompts, truth).map((row) => ({ ...row, modelId: `x/${row.modelId}` }));
    const unfit = await unfitOf(await predictionsRouter('mine', fileOf(rows)), training);
    expect(unfit).toMatch(
      /0 of the 3 models, two are needed: it names x\/a\/small, .*the task has a\/small, b\/middle, c\/large/,
    );
    await expect(run(dataset, fileOf(rows))).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });

  test('has too few training prompts to choose settings on: it says how many and what to do', async () => {
    const trained = new Set(training.part.table.prompts.slice(0, 49));
    const kept = dataset.prompts.filter((p) => trained.has(p) || !training.part.table.prompts.includes(p));
    const unfit = await unfitOf(await predictionsRouter('mine', fileOf(pairs(kept, truth))), training);
    expect(unfit).toMatch(/predictions for 49 of the 210 training prompts.*at least 50; add predictions/);
    // With one more it can.
    const more = [...kept, training.part.table.prompts[49]!];
    expect(await frozenOf(await predictionsRouter('mine', fileOf(pairs(more, truth))), training)).toHaveProperty(
      'points',
    );
  });

  test('has other prompt ids: both sides are named', async () => {
    const rows = pairs(dataset.prompts, truth).map((row) => ({ ...row, promptId: `other-${row.promptId}` }));
    const unfit = await unfitOf(await predictionsRouter('mine', fileOf(rows)), training);
    expect(unfit).toMatch(/for 0 of the 210 .*Its prompts are other-p0, .*; the task’s are p\d+, /);
  });

  test('leaves out a test prompt: the error says how many, and which', async () => {
    const tested = dataset.prompts.filter((p) => !training.part.table.prompts.includes(p));
    const gone = tested.slice(0, 2).map((p) => p.id);
    const path = fileOf(
      pairs(
        dataset.prompts.filter((p) => !gone.includes(p.id)),
        truth,
      ),
    );
    const error = await codeOf(run(dataset, path));
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    expect(error!.message).toContain(
      `cannot be evaluated: 2 of 90 test prompts have no prediction in ${path}, e.g. ${gone[0]};`,
    );
  });
});

describe('predictions from a fit that saw the training outcomes', () => {
  const dataset = world({ prompts: 900 });
  const outcome = new Map([...dataset.outcomes].map((o) => [`${o.promptId} ${o.modelId}`, o.quality]));
  const fold = foldOf(dataset);
  const trained = new Set(fold.train.table.prompts.map((p) => p.id));
  const suspicion = async (believe: Believe, options: { prompts?: readonly Prompt[] } = {}) =>
    inSampleSuspicion(await predictionsRouter('mine', fileOf(pairs(options.prompts ?? dataset.prompts, believe))), [
      fold,
    ]);

  test('rank the training answers too well, and show', async () => {
    const remembered = await suspicion((p, id) => (trained.has(p.id) ? outcome.get(`${p.id} ${id}`)! : truth(p, id)));
    // What is remembered is ranked without a fault; the truth about a chance is not.
    expect(remembered!.trainingAuc).toBe(1);
    expect(remembered!.testAuc).toBeLessThan(0.95);
    expect(remembered!.excess).toBeCloseTo(1 - remembered!.testAuc, 12);
    expect(remembered!.low).toBeGreaterThan(0.05);
  });

  test('are told from honest ones and from noise', async () => {
    for (const believe of [truth, noise]) {
      const honest = await suspicion(believe);
      expect(Math.abs(honest!.excess)).toBeLessThan(0.06);
      expect(honest!.low).toBeLessThan(0.01);
    }
    expect((await suspicion(noise))!.testAuc).toBeCloseTo(0.5, 1);
  });

  test('nothing is said of a router without predictions, or without a good and a bad answer', async () => {
    expect(inSampleSuspicion((await rosterOf(['length-only'], load)).contenders[0]!, [fold])).toBeNull();
    const allRight = { ...fold.test, table: { ...fold.test.table, quality: fold.test.table.quality.map(() => 1) } };
    const mine = await predictionsRouter('mine', fileOf(pairs(dataset.prompts, truth)));
    expect(inSampleSuspicion(mine, [{ train: fold.train, test: allRight }])).toBeNull();
    expect(inSampleSuspicion(mine, [{ train: fold.train, test: allRight }, fold])).toEqual(
      inSampleSuspicion(mine, [fold]),
    );
  });

  test('is worked out over the prompts that have predictions', async () => {
    const few = dataset.prompts.filter((p, i) => !trained.has(p.id) || i % 3 === 0);
    const honest = await suspicion(truth, { prompts: few });
    expect(honest!.trainingAuc).toBeGreaterThan(0.8);
  });
});

describe('names on the command line', () => {
  const dataset = world({ prompts: 200 });
  const path = fileOf(pairs(dataset.prompts, truth));
  const names = async (...asked: string[]) => (await rosterOf(asked, load)).contenders.map((c) => c.name);

  test('a path or an address stands for itself, and NAME= gives it a name', async () => {
    expect(
      (await names(path, `mine=${path}`, 'http://127.0.0.1:1', 'theirs=http://127.0.0.1:1/v1/route?key=a')).slice(0, 4),
    ).toEqual([path, 'mine', 'http://127.0.0.1:1', 'theirs']);
    expect([`mine=${path}`, path, 'knn', 'http://h/?a=b', 'a=http://h'].map(routerName)).toEqual([
      'mine',
      path,
      'knn',
      'http://h/?a=b',
      'a',
    ]);
  });

  test('an artifact folder may have a name too, with or without +fit', async () => {
    expect((await names(`mine=${dir}`, `other=${dir}+fit`, dir, `${dir}+fit`)).slice(0, 4)).toEqual([
      'mine',
      'other',
      dir,
      `${dir}+fit`,
    ]);
  });

  test('a path that holds a = is a path', async () => {
    const odd = fileOf(pairs(dataset.prompts, truth), '=1.jsonl');
    expect((await names(odd))[0]).toBe(odd);
    expect((await names(`a=${odd}`))[0]).toBe('a');
  });

  test.each<[string[], RegExp]>([
    [
      ['nonsense'],
      /unknown router "nonsense": .*default\+fit, .*knn.*zero.*artifact folder.*\.jsonl.*http\(s\).*NAME=PATH/,
    ],
    [['no/such.jsonl'], /there is no predictions file no\/such\.jsonl/],
    [['mine=no/such.jsonl.gz'], /"mine=no\/such\.jsonl\.gz": there is no predictions file no\/such\.jsonl\.gz/],
    [['mine=nonsense'], /unknown router "mine=nonsense"/],
    [['mine=knn'], /NAME= is for paths and addresses; call it knn/],
    [[`=${path}`], /unknown router/],
    [[`zero=${path}`], /"zero" is the name of a router here/],
    [[`knn=${path}`], /"knn" is the name of a router here/],
    [[`baseline=${path}`], /"baseline" is the name of a router here/],
    [[`a=${path}`, 'a=http://h'], /"a" is given to two routers/],
    [['ftp://h/x'], /unknown router/],
    [['http://'], /no address of a router/],
    [['http://user:secret@h'], /may not hold a name or password/],
  ])('%j is refused in words', async (asked, says) => {
    const error = await codeOf(rosterOf(asked, load));
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    expect(error!.message).toMatch(says);
    expect(error!.message).not.toContain('secret');
  });
});
