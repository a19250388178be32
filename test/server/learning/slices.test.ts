import { expect, test } from 'vitest';
import { compareSlices, LEAST_SLICE_UNITS, type SlicedUnit } from '../../../server/learning/slices.ts';
import { aSample } from './samples.ts';

const { facts } = aSample({ id: 'x', executed: 'a', embedding: new Float32Array(1), quality: 1 });
const unit = (over: Partial<SlicedUnit> = {}): SlicedUnit => ({ tenant: 'one', tags: [], facts, model: 'a', ...over });
const many = (count: number, over: Partial<SlicedUnit> = {}) => Array.from({ length: count }, () => unit(over));
const namesOf = (slices: ReturnType<typeof compareSlices>) => slices.map(({ name }) => name);

test('slices are by team, tag, model and kind of request, from fifty units on', () => {
  const plan = { ...facts, step: 'plan' as const, tools: 2 };
  const units = [...many(50, { tags: ['code', 'code'] }), ...many(49, { tenant: 'two', tags: ['rare'], facts: plan })];
  expect(LEAST_SLICE_UNITS).toBe(50);
  const slices = compareSlices(units, new Float64Array(99), []);
  expect(namesOf(slices)).toEqual(['model a', 'tag code', 'team one']);
  expect(slices.map((s) => s.units)).toEqual([99, 50, 50]);
});

test('the interval is wider the more slices there are: all hold together', () => {
  // 100 units, half 0 and half 0.2: mean 0.1, s² = 100 · 0.01 / 99. One model, one team: S = 2, z = Φ⁻¹(1 − 0.05/4) = 2.2414
  const differences = Float64Array.from({ length: 100 }, (_, i) => (i % 2) * 0.2);
  const [model] = compareSlices(many(100), differences, []);
  expect(model!.quality.value).toBeCloseTo(0.1, 12);
  expect(model!.quality.low).toBeCloseTo(0.1 - (2.2414 * Math.sqrt(1 / 99)) / 10, 5);
  const units = many(100).map((u, i) => ({ ...u, tags: [i % 2 === 0 ? 'even' : 'odd'] }));
  const wider = compareSlices(units, differences, []).find(({ name }) => name === 'model a')!;
  expect(wider.quality.low!).toBeLessThan(model!.quality.low!);
});

test('a protected team is listed however little there is of it', () => {
  const slices = compareSlices([...many(60), unit({ tenant: 'small' })], new Float64Array(61), ['small', 'silent']);
  const of = (name: string) => slices.find((s) => s.name === name)!;
  expect(of('team silent')).toEqual({
    name: 'team silent',
    isProtected: true,
    units: 0,
    quality: { value: null, low: null, high: null },
  });
  // Nothing changes for it: that is certain.
  expect(of('team small').quality).toEqual({ value: 0, low: 0, high: 0 });
  expect(of('team one').isProtected).toBe(false);
});

test('a loss without spread has no interval', () => {
  const [slice] = compareSlices(many(50), new Float64Array(50).fill(-0.5), []);
  expect(slice!.quality).toEqual({ value: -0.5, low: null, high: null });
});
