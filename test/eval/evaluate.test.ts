import { describe, expect, test } from 'vitest';
import { type Dataset, hashFraction, type Prompt } from '../../datasets/index.ts';
import { type EvaluateOptions, evaluate } from '../../eval/evaluate.ts';
import { aiq, aiqLinear } from '../../eval/metrics/aiq.ts';
import { textReport } from '../../eval/report/text.ts';
import { type Evaluation, ownPoints, START_SETTING } from '../../eval/result.ts';
import { foldRows } from '../../eval/split.ts';
import type { Estimator } from '../../router/estimators/estimator.ts';
import { chance, fakeSource, knowing, loading, noise, SKILLS, world } from './fixtures.ts';

const source = fakeSource({});
const run = (dataset: Dataset, options: Partial<EvaluateOptions> = {}) =>
  evaluate(dataset, { load: loading(source), replicates: 200, checks: false, ...options });
const router = (e: Evaluation, name: string) => e.routers.find((r) => r.name === name)!;

describe('leader board', () => {
  const names = ['cheapest', 'best-single', 'zero', 'random', 'benchmark-mean', 'oracle'];

  test('always shows the reference rows, whatever is asked for', async () => {
    const e = await run(world(), { routers: ['length-only'] });
    expect(e.routers.map((r) => r.name).sort()).toEqual([...names, 'length-only'].sort());
    expect(e).toMatchObject({
      dataset: 'world',
      split: 'group',
      seed: 0,
      prompts: 120,
      groups: 120,
      trainPrompts: 280,
      models: 3,
      costBasis: 'tokens',
    });
  });

  test('the zero router leads itself by exactly nothing', async () => {
    const zero = router(await run(world(), { routers: ['cascade'] }), 'zero');
    expect(zero.aiqMinusZero).toEqual({ value: 0, low: 0, high: 0 });
    expect(zero.gapRecovered).toBe(0);
    expect(zero.differsFromZero).toBe(0);
  });

  test.each([
    { what: 'by group', options: {} },
    { what: 'with holes', options: {}, holes: 0.3 },
    { what: 'by benchmark', options: { split: 'benchmark' as const } },
    { what: 'on few training prompts', options: { trainPrompts: 10 } },
  ])('AIQ is the area under the curve in the JSON, for every router, $what', async ({ options, holes = 0 }) => {
    const routers = ['default', 'length-only', 'cascade'];
    const e = await run(world({ prompts: 600, holes }), { routers, replicates: 2, ...options });
    // No quality at the start of the axis is given: the curve itself must hold it.
    const range = { ...e.costRange, lowQuality: Number.NaN };
    for (const r of e.routers) {
      expect(aiq(r.curve, range), r.name).toBeCloseTo(r.aiq.value!, 9);
      expect(aiqLinear(r.curve, range), r.name).toBeCloseTo(r.aiqLinear!, 9);
    }
    expect(router(e, 'best-single').curve.map((p) => p.setting === START_SETTING)).toEqual([true, false]);
    expect(ownPoints(router(e, 'random'))).toHaveLength(1);
  });

  test('the oracle recovers the whole gap, and no router passes it', async () => {
    const e = await run(world(), { routers: ['default', 'length-only', 'cascade'] });
    expect(router(e, 'oracle').gapRecovered).toBeCloseTo(1, 12);
    for (const r of e.routers) expect(r.aiq.value!).toBeLessThanOrEqual(router(e, 'oracle').aiq.value! + 1e-12);
  });

  test('a predictor that knows every outcome reaches the oracle', async () => {
    const dataset = world();
    const outcome = new Map(dataset.outcomes.map((o) => [`${o.promptId} ${o.modelId}`, o.quality]));
    const leak = fakeSource({ asItIs: (p, m) => outcome.get(`${p.id} ${m}`)! });
    const e = await run(dataset, { routers: ['default'], load: loading(leak) });
    expect(router(e, 'default').gapRecovered!).toBeGreaterThan(0.97);
    expect(router(e, 'default').gapRecovered!).toBeLessThan(1.03);
  });

  test('a router that knows the difficulty beats the zero router beyond chance; noise loses to it', async () => {
    const dataset = world({ prompts: 1500 });
    const good = router(await run(dataset, { routers: ['default'] }), 'default');
    expect(good.aiqMinusZero.low!).toBeGreaterThan(0.02);
    expect(good.ece!).toBeLessThan(0.08);
    expect(good.chosen!.predicted).toBeCloseTo(good.chosen!.observed, 1);
    const bad = router(
      await run(dataset, { routers: ['default'], load: loading(fakeSource({ asItIs: noise })) }),
      'default',
    );
    expect(bad.aiqMinusZero.high!).toBeLessThan(0);
    expect(bad.ece!).toBeGreaterThan(0.2);
  });

  test('a router that only remembers its training outcomes is seen through where settings are chosen out of fold', async () => {
    const dataset = world({ prompts: 800 });
    const outcome = new Map(dataset.outcomes.map((o) => [`${o.promptId} ${o.modelId}`, o.quality]));
    /** Right on the prompts it was fitted on, sure and wrong on others. */
    const remembering = (fittedOn: ReadonlySet<string>) =>
      knowing((p, m) => (fittedOn.has(p.id) ? outcome.get(`${p.id} ${m}`)! : noise(p, m)));
    const memory: Estimator = {
      name: 'memory',
      fit: (table, seed) => remembering(new Set(table.prompts.map((p) => p.id))).fit(table, seed),
    };
    const honest = router(
      await run(dataset, { routers: ['default+fit'], load: loading(fakeSource({ estimator: memory })) }),
      'default+fit',
    );
    // The same router with settings chosen on the prompts it remembers.
    const [fold] = foldRows(dataset.prompts, { split: 'group', seed: 0, seen: () => false });
    const trained = new Set(fold!.train.map((i) => dataset.prompts[i]!.id));
    const asItIs = (p: Prompt, m: string) => (trained.has(p.id) ? outcome.get(`${p.id} ${m}`)! : noise(p, m));
    const fooled = router(
      await run(dataset, { routers: ['default'], load: loading(fakeSource({ asItIs })) }),
      'default',
    );
    expect(fooled.aiqMinusZero.high!).toBeLessThan(0);
    expect(honest.aiqMinusZero.value!).toBeGreaterThan(fooled.aiqMinusZero.value! + 0.02);
    expect(honest.aiqMinusZero.value!).toBeLessThan(0.01);
  });

  test('renaming and reordering the models changes no figure', async () => {
    const dataset = world({ prompts: 500 });
    const renamed = new Map(Object.keys(SKILLS).map((id, k) => [id, `z/${9 - k}`]));
    const other: Dataset = {
      ...dataset,
      outcomes: [...dataset.outcomes].reverse().map((o) => ({ ...o, modelId: renamed.get(o.modelId)! })),
      models: Object.fromEntries(Object.entries(dataset.models).map(([id, info]) => [renamed.get(id)!, info])),
    };
    const a = await run(dataset, { routers: ['benchmark-mean'] });
    const b = await run(other, { routers: ['benchmark-mean'] });
    for (const name of ['cheapest', 'best-single', 'zero', 'random', 'benchmark-mean', 'oracle']) {
      expect(router(b, name).aiq.value!).toBeCloseTo(router(a, name).aiq.value!, 9);
      expect(router(b, name).aiqMinusZero.low!).toBeCloseTo(router(a, name).aiqMinusZero.low!, 9);
    }
  });

  test('the same seed gives the same answer to the last digit', async () => {
    const options = { routers: ['default', 'cascade'], seed: 7 };
    expect(await run(world(), options)).toEqual(await run(world(), options));
  });

  test('without holes a single model has one set of figures, whether as baseline, cheapest or alone', async () => {
    const e = await run(world(), { routers: ['cascade'] });
    const alone = (model: string) => e.singleModels.find((s) => s.model === model)!;
    expect(alone(e.baseline.model).costUsd).toBeCloseTo(e.baseline.costUsd, 12);
    expect(alone(e.baseline.model).quality).toBeCloseTo(e.baseline.quality, 9);
    expect(alone(e.costRange.cheapest).costUsd).toBeCloseTo(e.costRange.lowUsd, 12);
    expect(router(e, 'zero').curve[0]!.costUsd).toBeCloseTo(e.costRange.lowUsd, 12);
    expect(router(e, 'zero').curve[0]!.quality).toBeCloseTo(alone(e.costRange.cheapest).quality, 9);
  });

  test('missing outcomes are chosen by nobody and leave no figure without a value', async () => {
    const e = await run(world({ prompts: 900, holes: 0.3 }), { routers: ['default', 'cascade', 'length-only'] });
    expect(e.untriedShare).toBeGreaterThan(0.25);
    for (const r of e.routers) {
      expect(r.aiq.value).not.toBeNull();
      expect(r.gapRecovered).not.toBeNull();
    }
    expect(router(e, 'oracle').aiq.value!).toBeGreaterThan(router(e, 'default').aiq.value!);
  });

  test('groups, not prompts, make the intervals: ten copies of a prompt tell no more than one', async () => {
    const single = router(await run(world({ prompts: 400 }), { routers: ['default'] }), 'default').aiq;
    const one = world({ prompts: 400 });
    const copies = Array.from({ length: 10 }, (_, k) => k);
    const tenfold: Dataset = {
      ...one,
      prompts: one.prompts.flatMap((p) => copies.map((k) => ({ ...p, id: `${p.id}/${k}` }))),
      outcomes: [...one.outcomes].flatMap((o) => copies.map((k) => ({ ...o, promptId: `${o.promptId}/${k}` }))),
    };
    const copied = router(await run(tenfold, { routers: ['default'] }), 'default').aiq;
    expect(copied.value!).toBeCloseTo(single.value!, 9);
    expect(copied.high! - copied.low!).toBeCloseTo(single.high! - single.low!, 6);
  });
});

describe('settings and test part', () => {
  test('what happens in the test part does not move a setting', async () => {
    // Flip every outcome of the test prompts: the frozen settings stay, their measurement does not.
    const dataset = world({ prompts: 500 });
    const first = await run(dataset, { routers: ['default'] });
    const [fold] = foldRows(dataset.prompts, { split: 'group', seed: 0, seen: () => false });
    const tested = new Set(fold!.test.map((i) => dataset.prompts[i]!.id));
    const flipped: Dataset = {
      ...dataset,
      outcomes: dataset.outcomes.map((o) => (tested.has(o.promptId) ? { ...o, quality: 1 - o.quality } : o)),
    };
    const second = await run(flipped, { routers: ['default'] });
    for (const name of ['default', 'zero']) {
      const settings = (e: Evaluation) => new Set(router(e, name).curve.map((p) => p.setting));
      expect(settings(second)).toEqual(settings(first));
      expect(router(second, name).curve.map((p) => p.quality)).not.toEqual(
        router(first, name).curve.map((p) => p.quality),
      );
    }
  });

  test('groups of an artifact are kept out of the test part and counted', async () => {
    const seen = (g: string) => hashFraction(g) < 0.5;
    const dataset = world({ prompts: 600 });
    const e = await run(dataset, { routers: ['default'], load: loading(fakeSource({ seen })) });
    const count = new Set(dataset.prompts.map((p) => p.groupId).filter(seen)).size;
    expect(e.dropped.trainedGroups).toBe(count);
    expect(textReport(e)).toMatch(/180 groups \(30 % of 600\), drawn by the seed/);
    const without = await run(dataset, { routers: ['length-only'], load: loading(fakeSource({ seen })) });
    expect(without.dropped.trainedGroups).toBe(0);
    await expect(
      run(dataset, { routers: ['default'], load: loading(fakeSource({ seen: () => true })) }),
    ).rejects.toMatchObject({ code: 'EMPTY_TABLE' });
  });

  test('where an artifact leaves fewer groups than 30 %, all of them are tested and the header says so', async () => {
    const seen = (g: string) => hashFraction(g) < 0.9;
    const dataset = world({ prompts: 1000 });
    const left = dataset.prompts.filter((p) => !seen(p.groupId)).length;
    for (const seed of [0, 1]) {
      const e = await run(dataset, { routers: ['default'], seed, load: loading(fakeSource({ seen })) });
      expect(e).toMatchObject({ groups: left, groupsInData: 1000 });
      const share = `${((100 * left) / 1000).toFixed(0)} % of 1 000`;
      expect(textReport(e)).toContain(
        `all ${left} groups that no artifact was fitted on (${share}), whatever the seed`,
      );
    }
  });

  test('each benchmark is left out in turn, pooled, and shown alone', async () => {
    const e = await run(world({ prompts: 600, benchmarks: 3 }), { split: 'benchmark', routers: ['default'] });
    expect(e.prompts).toBe(600);
    expect(e.trainPrompts).toBe(400);
    expect(e.bootstrap.unit).toBe('benchmark, then group');
    expect(e.byBenchmark.map((b) => [b.benchmark, b.prompts, b.trainPrompts])).toEqual([
      ['bench-0', 200, 400],
      ['bench-1', 200, 400],
      ['bench-2', 200, 400],
    ]);
    // an unseen benchmark gets the model means: the same choices as the zero router, but for the price of the input
    expect(Math.abs(router(e, 'benchmark-mean').aiqMinusZero.value!)).toBeLessThan(0.01);
    expect(router(e, 'default').aiqMinusZero.value!).toBeGreaterThan(0.02);
  });

  test('two models get APGR and CPT, other numbers of models get null', async () => {
    const skills = { 'a/small': SKILLS['a/small'], 'c/large': SKILLS['c/large'] };
    const two = await run(world({ prompts: 1500, skills }), { routers: ['default'] });
    expect(router(two, 'zero').apgr).toBeCloseTo(0.5, 9);
    expect(router(two, 'zero').cpt80).toBeCloseTo(0.8, 9);
    expect(Math.abs(router(two, 'random').apgr! - 0.5)).toBeLessThan(0.1);
    // What knowing each prompt's chances is worth: the strong model where it helps most, first.
    const gains = Array.from({ length: 10_000 }, (_, k) => k / 10_000)
      .map((d) => chance(SKILLS['c/large'], d) - chance(SKILLS['a/small'], d))
      .sort((a, b) => b - a);
    const total = gains.reduce((sum, g) => sum + g, 0);
    let recovered = 0;
    let area = 0;
    for (const g of gains) {
      area += (recovered + g / 2) / total / gains.length;
      recovered += g;
    }
    expect(router(two, 'default').apgr!).toBeCloseTo(area, 1);
    expect(router(two, 'default').apgr!).toBeGreaterThan(0.57);
    expect(router(two, 'oracle').apgr!).toBeGreaterThan(router(two, 'default').apgr! + 0.08);
    const three = await run(world(), { routers: ['default'] });
    expect(router(three, 'default').apgr).toBeNull();
    expect(router(three, 'default').cpt50).toBeNull();
  });
});

describe('what was typed', () => {
  const refused = (options: Partial<EvaluateOptions>) => expect(run(world(), options)).rejects;

  test('an unknown router, baseline or benchmark is refused with the names there are', async () => {
    await refused({ routers: ['nonsense'] }).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/nonsense.*length-only/),
    });
    await refused({ baseline: 'x/y' }).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/x\/y.*c\/large/),
    });
    await refused({ benchmark: 'zzz' }).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/zzz.*bench-0/),
    });
  });

  test('a router that knows too few of the models is refused when asked for, and named when not', async () => {
    const stranger = loading(fakeSource({ modelIds: ['a/small'] }));
    await refused({ routers: ['default'], load: stranger }).toMatchObject({ code: 'INVALID_CONFIG' });
    const said: string[] = [];
    const e = await run(world(), { load: stranger, onProgress: (message) => said.push(message) });
    const reason = 'it knows 1 of the 3 models that training has outcomes of';
    expect(e.dropped.routers).toEqual([{ name: 'default', reason }]);
    expect(said).toContain(`default is left out: ${reason}`);
    expect(router(e, 'default')).toBeUndefined();
  });

  test('savings are measured against the model that was named', async () => {
    const own = await run(world(), { routers: ['default'] });
    const named = await run(world(), { routers: ['default'], baseline: 'b/middle' });
    expect(own.baseline.model).toBe('c/large');
    expect(named.baseline.model).toBe('b/middle');
    expect(router(named, 'default').savingsAt['100']!).toBeLessThan(router(own, 'default').savingsAt['95']!);
  });

  test('free models have no ln cost: AIQ is null, linear AIQ and the rest stand', async () => {
    const dataset = world();
    const free: Dataset = {
      ...dataset,
      models: { ...dataset.models, 'a/small': { inputUsdPerMTok: 0, outputUsdPerMTok: 0 } },
    };
    const e = await run(free, { routers: ['default'] });
    expect(router(e, 'default').aiq).toEqual({ value: null, low: null, high: null });
    expect(router(e, 'default').aiqLinear!).toBeGreaterThan(0);
    expect(router(e, 'default').savingsAt['95']).not.toBeNull();
  });
});
