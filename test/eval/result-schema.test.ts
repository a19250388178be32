import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../eval/evaluate.ts';
import { jsonReport } from '../../eval/report/json.ts';
import type { Evaluation } from '../../eval/result.ts';
import { EvaluationSchema, evaluationJsonSchema } from '../../eval/result-schema.ts';
import { fakeSource, loading, SKILLS, world } from './fixtures.ts';

const options = { load: loading(fakeSource({})), replicates: 30, routers: ['default', 'cascade'] };
let results: Evaluation[];

beforeAll(async () => {
  const pair = { 'a/small': SKILLS['a/small'], 'c/large': SKILLS['c/large'] };
  results = await Promise.all([
    evaluate(world({ holes: 0.2 }), { ...options, showText: true }),
    evaluate(world({ skills: pair }), options),
    evaluate(world({ prompts: 450, benchmarks: 3 }), { ...options, split: 'benchmark' }),
    evaluate(world({ prompts: 40 }), { ...options, checks: false }),
  ]);
});

describe('the result', () => {
  test('is what its schema says, field for field', () => {
    for (const e of results)
      expect(EvaluationSchema.parse(JSON.parse(jsonReport(e)))).toEqual(JSON.parse(jsonReport(e)));
  });

  test('has every figure of every router, with bounds on the right sides of the value', () => {
    for (const r of results.flatMap((e) => e.routers)) {
      for (const [name, { value, low, high }] of Object.entries(r.metrics)) {
        if (value === null) expect([name, low, high]).toEqual([name, null, null]);
        if (low === null || high === null) continue;
        expect(low, name).toBeLessThanOrEqual(high);
        // A figure of few groups may lie a little outside the percentiles of its resamples, by rounding alone here.
        if (name === 'ece') expect([low - 1e-9 <= value!, value! <= high + 1e-9]).toEqual([true, true]);
      }
    }
  });

  test('keeps figures that are shares of something possible in [0, 1]', () => {
    for (const r of results.flatMap((e) => e.routers)) {
      for (const name of ['aiq', 'ece', 'brier', 'optSel', 'optCost', 'optAcc', 'withinAuc', 'arenaScore'] as const) {
        const { value } = r.metrics[name];
        if (value === null) continue;
        expect(value, `${r.name} ${name}`).toBeGreaterThanOrEqual(0);
        expect(value, `${r.name} ${name}`).toBeLessThanOrEqual(1);
      }
      expect(r.metrics.regret.value!, r.name).toBeGreaterThanOrEqual(-1e-12);
    }
  });

  test('the oracle has no regret, and is the hypervolume that others are shares of', () => {
    const oracle = results[0]!.routers.find((r) => r.name === 'oracle')!;
    expect(oracle.metrics.hypervolume.value).toBeCloseTo(1);
    // Its setting comes from the training part, so a little is left.
    expect(oracle.metrics.regret.value!).toBeLessThan(0.02);
  });

  test('names the task that it may be compared under, the same for the same data and options', async () => {
    const again = await evaluate(world({ holes: 0.2 }), options);
    expect(again.taskHash).toBe(results[0]!.taskHash);
    expect(again.taskHash).toMatch(/^[0-9a-f]{64}$/);
    const other = await evaluate(world({ holes: 0.2 }), { ...options, seed: 1 });
    expect(other.taskHash).not.toBe(again.taskHash);
  });
});

test('a handful of resamples or of groups gives no interval, and no claim', async () => {
  const few = await evaluate(world({ prompts: 400 }), { ...options, replicates: 5, checks: false });
  for (const r of few.routers)
    expect([r.aiq.low, r.aiqMinusZero.high, r.metrics.brier.low]).toEqual([null, null, null]);
  const grouped = await evaluate(world({ prompts: 400, groupSize: 50 }), { ...options, checks: false });
  expect(grouped.groups).toBeLessThan(5);
  for (const r of grouped.routers) expect(r.aiqMinusZero.low).toBeNull();
});

test('the published JSON schema is the one the code makes; pointsman eval --schema prints it', () => {
  const published = readFileSync(new URL('../../eval/evaluation.schema.json', import.meta.url), 'utf8');
  expect(JSON.parse(published)).toEqual(JSON.parse(evaluationJsonSchema()));
});
