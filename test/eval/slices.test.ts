import { describe, expect, test } from 'vitest';
import type { MeasuredPart } from '../../eval/choices.ts';
import { fixedOrder } from '../../eval/plug-in.ts';
import { mostRegretted, type OperatingPart, operatingMeans, slices } from '../../eval/slices.ts';
import { partFrom } from './fixtures.ts';

const PROMPTS = 60;
const prompts = Array.from({ length: PROMPTS }, (_, i) => ({
  id: `p${String(i).padStart(2, '0')}`,
  source: 'x',
  benchmark: i < 30 ? 'easy' : i < 55 ? 'hard' : 'rare',
  text: `text ${i}`,
  groupId: `g${i}`,
}));
/** On easy prompts both are right, on all others the dear model alone; it costs ten times as much. */
const part = partFrom({
  name: 'x',
  prompts,
  outcomes: prompts.flatMap((p) => [
    { promptId: p.id, modelId: 'cheap', quality: p.benchmark === 'easy' ? 1 : 0, costUsd: 1 },
    { promptId: p.id, modelId: 'dear', quality: 1, costUsd: 10 },
  ]),
  models: {},
});

const always = (column: number, trainQuality: number): MeasuredPart => ({
  frozen: {
    baselineQuality: 1,
    label: String,
    measure: () => Promise.reject(new Error('not measured')),
    points: [{ a: 0, b: 0, weight: 0, trainCostUsd: 1, trainQuality }],
  },
  measurement: { outcomes: new Map([[0, fixedOrder(part, [column])]]) },
});
const operating = (router: MeasuredPart): OperatingPart[] => [
  { part, router, baseline: always(1, 1), unitOf: Int32Array.from(prompts, (_, i) => i), qualityPerUsd: 0.01 },
];
const options = { replicates: 100, seed: 1 };

describe('slices', () => {
  test('compare router and baseline on the prompts of one kind', () => {
    const [easy, hard, others] = slices(operating(always(0, 1)), (p) => p.benchmark, options);
    expect(easy).toMatchObject({ name: 'easy', prompts: 30, groups: 30, quality: 1, baselineQuality: 1 });
    expect(easy!.costShare.value).toBeCloseTo(0.1);
    expect(hard).toMatchObject({ name: 'hard', prompts: 25, quality: 0 });
    expect(hard!.qualityChange).toEqual({ value: -1, low: -1, high: -1 });
    // Five prompts are no slice of their own.
    expect(others).toMatchObject({ name: '(others)', prompts: 5 });
  });

  test('are those of the baseline where the router keeps the target nowhere', () => {
    const [easy] = slices(operating(always(0, 0.5)), (p) => p.benchmark, options);
    expect(easy!.costShare.value).toBe(1);
    expect(operatingMeans(operating(always(0, 0.5)))).toEqual({ costUsd: 10, quality: 1 });
  });
});

describe('the most regretted prompts', () => {
  test('come worst first, with what was chosen and what would have been better', () => {
    const list = mostRegretted(operating(always(0, 1)), 3, false);
    // Utilities at 0.01 a USD: dear 1 − 0.1, cheap 0 − 0.01.
    expect(list).toHaveLength(3);
    expect(list[0]).toMatchObject({
      promptId: 'p30',
      benchmark: 'hard',
      chosen: { model: 'cheap', quality: 0, costUsd: 1, predicted: null },
      better: { model: 'dear', quality: 1, costUsd: 10 },
    });
    expect(list[0]!.regret).toBeCloseTo(0.91);
    expect(list.some((r) => 'text' in r)).toBe(false);
  });

  test('carry their text only on request', () => {
    expect(mostRegretted(operating(always(0, 1)), 1, true)[0]!.text).toBe('text 30');
  });

  test('leave out prompts on which nothing better was there', () => {
    // The dear model on easy prompts: 0.9 against 0.99 of the cheap one.
    const list = mostRegretted(operating(always(1, 1)), 100, false);
    expect(list).toHaveLength(30);
    expect(list.every((r) => r.benchmark === 'easy')).toBe(true);
  });
});
