import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Dataset, normal, readDataset, seededRandom } from '../../datasets/index.ts';
import { excessLogLoss } from '../../eval/leaderboard/calibration.ts';
import { combineSplits } from '../../eval/leaderboard/combine.ts';
import { embedderWithout } from '../../eval/leaderboard/encoded.ts';
import { CONTROLS, LEAKY, type Methods, PERMUTED } from '../../eval/leaderboard/field.ts';
import type { MeasureStore } from '../../eval/leaderboard/in-domain.ts';
import type { SplitMeasure } from '../../eval/leaderboard/measure.ts';
import { leaderBoardPage } from '../../eval/leaderboard/page.ts';
import { derivePool, type Pool, poolOf, poolPath } from '../../eval/leaderboard/pool.ts';
import { type LeaderBoard, leaderBoard } from '../../eval/leaderboard/rank.ts';
import { leaderBoardText } from '../../eval/leaderboard/text.ts';
import { debiasedSquaredCalibrationError } from '../../eval/metrics/calibration-error.ts';
import { meanQuality } from '../../router/estimators/index.ts';
import { knowing, noise, truth, type World, world as wordy } from './fixtures.ts';

/** Embeddings in place of an encoder that would have to be fitted first. */
const world = (options: World = {}): Dataset => {
  const data = wordy(options);
  return { ...data, prompts: data.prompts.map((p) => ({ ...p, embedding: Float32Array.of(1, p.text.length / 100) })) };
};

const METHODS: Methods = {
  oracle_of_chances: () => knowing(truth),
  'mean-quality': meanQuality,
  guessing: () => knowing(noise),
};

const rank = (
  datasets: readonly Dataset[],
  methods = METHODS,
  options: { seed?: number; store?: MeasureStore; ours?: string } = {},
) =>
  leaderBoard(datasets, {
    methods,
    ours: 'oracle_of_chances',
    tasks: ['in-domain'],
    splits: 4,
    fewSplits: 2,
    draws: 2,
    labels: 200,
    seed: 1,
    replicates: 100,
    ...options,
  });

const rowOf = (board: LeaderBoard, name: string) => board.boards[0]!.rows.find((row) => row.name === name)!;

describe('in domain', () => {
  const board = rank([world({ prompts: 400 })]);

  test('who knows the true chances ranks first, above the zero router and below the oracle', async () => {
    const first = (await board).boards[0]!.rows[0]!;
    expect(first.name).toBe('oracle_of_chances');
    expect(first.rank).toBe(1);
    expect(first.minusZero.low).toBeGreaterThan(0);
    expect(first.gap.value).toBeLessThan(1);
    expect(first.behindBest.value).toBe(0);
    expect((await board).ranks[0]!.name).toBe('oracle_of_chances');
  });

  test('model means are the zero router to within its interval, and noise is far below it', async () => {
    expect(Math.abs(rowOf(await board, 'mean-quality').minusZero.value!)).toBeLessThan(0.01);
    expect(rowOf(await board, 'guessing').minusZero.high).toBeLessThan(0);
  });

  test('the controls behave: noise and permuted labels gain nothing, and the leak stands out', async () => {
    const honest = await rank([world({ prompts: 400 })], METHODS, { ours: 'mean-quality' });
    const { controls, suspects } = honest.boards[0]!;
    expect(controls.map(({ name, behaved }) => [name, behaved])).toEqual(CONTROLS.map((name) => [name, true]));
    expect(controls.find(({ name }) => name === LEAKY)!.found.value).toBeGreaterThan(0.5);
    expect(suspects).toEqual([]);
  });

  test('our lead is read under other analyses too, and a sign that turns is told', async () => {
    const [first] = (await board).boards;
    expect(first!.sensitivity.map(({ analysis }) => analysis)).toContain('65 operating points');
    const { ours: oursName } = await board;
    const ours = first!.rows.find(({ name }) => name === oursName)!;
    for (const { lead } of first!.sensitivity) {
      expect(lead.low!).toBeLessThanOrEqual(lead.value!);
      expect(lead.high!).toBeGreaterThanOrEqual(lead.value!);
    }
    const finer = first!.sensitivity.find(({ analysis }) => analysis === '65 operating points')!;
    expect(Math.abs(finer.lead.value! - ours.minusZero.value!)).toBeLessThan(0.02);
    const lead = { value: -Math.sign(ours.minusZero.value!) * 0.01, low: -0.02, high: 0.02 };
    const turned = { ...(await board), boards: [{ ...first!, sensitivity: [{ analysis: 'other prices', lead }] }] };
    expect(leaderBoardText(turned)).toContain('changes sign with other prices');
    expect(leaderBoardPage(turned)).toContain('changes sign with other prices');
  });

  test('who knows the true chances of every prompt gains nothing where outcomes belong to other prompts', async () => {
    const { controls } = (await board).boards[0]!;
    expect(controls.map(({ name, behaved }) => [name, behaved])).toEqual(CONTROLS.map((name) => [name, true]));
  });

  test('a control that does not behave is a warning on the page and in the text', async () => {
    const [first] = (await board).boards;
    const controls = first!.controls.map((c) => (c.name === PERMUTED ? { ...c, behaved: false } : c));
    const broken = { ...(await board), boards: [{ ...first!, controls }] };
    expect(leaderBoardPage(broken)).toContain('control: permuted labels did not behave');
    expect(leaderBoardText(broken)).toContain('control: permuted labels did not behave');
    expect(leaderBoardPage(await board)).not.toContain('did not behave');
  });

  test('a method that has seen the test outcomes is named as a suspect on the page and in the text', async () => {
    const dataset = world({ prompts: 300 });
    const seen = new Map(dataset.outcomes.map((o) => [`${o.promptId} ${o.modelId}`, o.quality]));
    const leaking = await rank([dataset], {
      ...METHODS,
      leaking: () => knowing((prompt, id) => seen.get(`${prompt.id} ${id}`)!),
    });
    expect(leaking.boards[0]!.suspects).toEqual(['leaking']);
    expect(leaderBoardPage(leaking)).toContain('leaking recovers more of the gap than anybody honest could');
    expect(leaderBoardText(leaking)).toContain('leaking recovers more of the gap than anybody honest could');
  });

  test('figures do not depend on the order of the methods', async () => {
    const turned = await rank([world({ prompts: 400 })], Object.fromEntries(Object.entries(METHODS).reverse()));
    expect(turned.boards[0]!.rows.filter((r) => r.role === 'method')).toEqual(
      (await board).boards[0]!.rows.filter((r) => r.role === 'method'),
    );
    expect(turned.ranks).toEqual((await board).ranks);
  });

  test('the same seed gives the same page, another seed another one', async () => {
    const page = leaderBoardPage(await board);
    expect(leaderBoardPage(await rank([world({ prompts: 400 })]))).toBe(page);
    expect(leaderBoardPage(await rank([world({ prompts: 400 })], METHODS, { seed: 2 }))).not.toBe(page);
  });

  test('what was kept is not measured again, and a method added later joins the same splits', async () => {
    const kept = new Map<string, unknown>();
    const store: MeasureStore = {
      get: (key) => (kept.has(key) ? JSON.parse(JSON.stringify(kept.get(key))) : undefined),
      set: (key, measure) => kept.set(key, measure),
    };
    const { guessing, ...two } = METHODS;
    await rank([world({ prompts: 400 })], two, { store });
    let fits = 0;
    const counting: Methods = {
      ...two,
      'mean-quality': () => ({ ...meanQuality(), fit: (t, s) => meanQuality().fit(t, s + 0 * fits++) }),
    };
    const all = await rank([world({ prompts: 400 })], { ...counting, guessing: guessing! }, { store });
    expect(fits).toBe(0);
    expect(rowOf(all, 'guessing')).toEqual(rowOf(await board, 'guessing'));
  });

  test('refuses two sources of one name', async () => {
    await expect(rank([world(), world({ seed: 2 })])).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});

test('texts alone will do: with one source the encoder learns from each training part', async () => {
  const board = await rank([wordy({ prompts: 300 })], {
    'mean-quality': meanQuality,
    oracle_of_chances: () => knowing(truth),
  });
  expect(board.boards[0]!.encoderFittedOn).toContain('training part');
  expect(rowOf(board, 'oracle_of_chances').minusZero.value).toBeGreaterThan(0);
});

test('the encoder of a source learns from the others, without its groups and without their test prompts', () => {
  const texts = (name: string, groups: readonly string[], split?: 'test'): Dataset => ({
    ...wordy({ prompts: 1 }),
    name,
    prompts: groups.map((groupId, i) => ({
      id: `${name}${i}`,
      source: name,
      benchmark: name,
      text: `text ${i} of ${name}`,
      groupId,
      ...(split && { split }),
    })),
  });
  const groups = (from: number, to: number) => Array.from({ length: to - from }, (_, k) => `g${from + k}`);
  const own = texts('own', groups(0, 100));
  const other = texts('other', groups(50, 500));
  const tests = texts('tests', groups(600, 700), 'test');
  // 450 texts of the other source, 50 of them in groups of its own.
  expect(embedderWithout([own, other, tests], own, 1).fittedOn).toBe(
    '400 texts of other, tests without any group of own; word vectors as shipped, whose text may hold prompts of the source (without outcomes)',
  );
  expect(embedderWithout([own], own, 1).fittedOn).toContain('training part');
});

describe('intervals over splits', () => {
  const measure = (values: Record<string, [number, number[]]>): SplitMeasure => ({
    trainPrompts: 10,
    testPrompts: 5,
    unfit: {},
    contenders: Object.fromEntries(
      Object.entries(values).map(([name, [aiq, replicates]]) => [
        name,
        { aiq, replicates, differsFromZero: 0, calibration: null },
      ]),
    ),
  });

  test('are means over splits of what is paired inside each split', () => {
    // Leads over zero: .2 and .1; gaps to the oracle .4 and .2, so (.15) / (.3) = .5.
    const [, , a, b] = combineSplits(
      [
        measure({ zero: [0.5, [0.5, 0.4]], oracle: [0.9, [0.9, 0.8]], a: [0.7, [0.7, 0.6]], b: [0.6, [0.6, 0.5]] }),
        measure({ zero: [0.6, [0.6, 0.5]], oracle: [0.8, [0.8, 0.7]], a: [0.7, [0.7, 0.6]], b: [0.7, [0.7, 0.6]] }),
      ],
      { seed: 1, rivals: ['a', 'b'], reference: 'none' },
    );
    expect(a!.aiq.value).toBeCloseTo(0.7);
    expect(a!.minusZero.value).toBeCloseTo(0.15);
    expect(a!.gap.value).toBeCloseTo(0.5);
    expect(a!.sdOverSplits).toBeCloseTo(Math.SQRT1_2 / 10);
    expect(a!.behindBest.value).toBe(0);
    expect(b!.behindBest.value).toBeCloseTo(-0.05);
  });

  test('are wider where splits disagree, though resampled groups agree', () => {
    const lead = (x: number) =>
      measure({
        zero: [0.5, Array(400).fill(0.5)],
        oracle: [0.9, Array(400).fill(0.9)],
        a: [0.5 + x, Array(400).fill(0.5 + x)],
      });
    const width = (leads: number[]) => {
      const { minusZero } = combineSplits(leads.map(lead), { seed: 1, rivals: ['a'], reference: 'none' })[2]!;
      return minusZero.high! - minusZero.low!;
    };
    expect(width([0.1, 0.1, 0.1, 0.1])).toBeCloseTo(0);
    // Four draws of ±.1: standard error .05, so an interval near ±.1.
    expect(width([0, 0.2, 0, 0.2])).toBeGreaterThan(0.15);
  });
});

describe('calibration', () => {
  test('of true chances is 0 on average, which the plain error is not', () => {
    const random = seededRandom(1);
    let sum = 0;
    for (let r = 0; r < 200; r++) {
      const p = Float64Array.from({ length: 200 }, () => random());
      sum += debiasedSquaredCalibrationError(
        p,
        p.map((x) => (random() < x ? 1 : 0)),
      )!;
    }
    expect(Math.abs(sum / 200)).toBeLessThan(0.001);
  });

  test('of forecasts that are off by a tenth is a tenth', () => {
    const random = seededRandom(2);
    const p = Float64Array.from({ length: 20_000 }, () => 0.2 + 0.6 * random());
    const error = debiasedSquaredCalibrationError(
      p,
      p.map((x) => x + 0.1 + 0.05 * normal(random)),
    )!;
    expect(Math.sqrt(error)).toBeCloseTo(0.1, 2);
    expect(debiasedSquaredCalibrationError(p.subarray(0, 19), p.subarray(0, 19))).toBeNull();
  });

  test('log loss counts only what is beyond the outcome’s own entropy', () => {
    expect(excessLogLoss(0.3, 0.3)).toBeCloseTo(0);
    // ½ ln (½ / ¼) + ½ ln (½ / ¾)
    expect(excessLogLoss(0.25, 0.5)).toBeCloseTo(0.5 * Math.log(2) + 0.5 * Math.log(2 / 3));
    expect(excessLogLoss(0, 1)).toBeCloseTo(Math.log(1000));
  });
});

describe('pools', () => {
  const file = (pool: Pool): string => {
    const path = join(mkdtempSync(join(tmpdir(), 'pool-')), 'pool.json');
    writeFileSync(path, JSON.stringify(pool));
    return path;
  };
  const dataset: Dataset = {
    ...world({ prompts: 50 }),
    outcomes: [
      ...world({ prompts: 50 }).outcomes,
      ...['d/rare', 'e/known-base', 'f/unpriced', 'openai/o1-mini'].flatMap((modelId) =>
        Array.from({ length: modelId === 'd/rare' ? 30 : 50 }, (_, i) => ({ promptId: `p${i}`, modelId, quality: 1 })),
      ),
    ],
    models: Object.fromEntries(
      ['a/small', 'b/middle', 'c/large', 'd/rare', 'e/known-base', 'openai/o1-mini'].map((id, k) => [
        id,
        { inputUsdPerMTok: k, outputUsdPerMTok: k },
      ]),
    ),
  };

  test('take priced models that were asked nearly everything, no base and no reasoning models', () => {
    expect(Object.keys(derivePool(dataset).models)).toEqual(['a/small', 'b/middle', 'c/large']);
    expect(poolOf(dataset, '/nowhere.json').shipped).toBe(false);
  });

  test('refuse other prompts, other prices and a missing model, and say what to do', () => {
    const pool = derivePool(dataset);
    expect(poolOf(dataset, file(pool))).toEqual({ pool, shipped: true });
    const refused = (changed: Dataset, why: string) =>
      expect(() => poolOf(changed, file(pool))).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(why) }),
      );
    refused({ ...dataset, prompts: dataset.prompts.slice(1) }, '49 prompts are not the 50');
    refused(
      { ...dataset, prompts: dataset.prompts.map((p, i) => (i === 0 ? { ...p, groupId: 'moved' } : p)) },
      'another name',
    );
    refused(
      { ...dataset, models: { ...dataset.models, 'a/small': { inputUsdPerMTok: 9, outputUsdPerMTok: 0 } } },
      'price of a/small',
    );
    refused({ ...dataset, outcomes: dataset.outcomes.filter((o) => o.modelId !== 'b/middle') }, 'b/middle');
  });

  const outcomes = join(import.meta.dirname, '../../../shared/data/outcomes');
  for (const source of ['livecodebench', 'mmlu-pro', 'routellm', 'ulab-llmrouter', 'zeroeval']) {
    const isThere = existsSync(join(outcomes, source));
    if (!isThere)
      console.log(`skipped: the pool of ${source} against its data, ${join(outcomes, source)} is not there`);
    test.skipIf(!isThere)(`the shipped pool of ${source} is what the rule gives for the data`, async () => {
      const data = await readDataset(join(outcomes, source));
      const { pool, shipped } = poolOf(data, poolPath(source));
      expect(shipped).toBe(true);
      expect(derivePool(data)).toEqual({ ...pool, prices: expect.any(String) });
    });
  }
});
