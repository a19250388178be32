import { expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { unitsOf } from '../../../eval/ope/ratio-interval.ts';
import { compareCalibration } from '../../../server/learning/compare-forecasts.ts';

/** Outcomes of chances from 0.2 to 0.8, two of a session. */
function outcomes(n: number) {
  const random = seededRandom(9);
  const chance = Float64Array.from({ length: n }, () => 0.2 + 0.6 * random());
  const observed = chance.map((p) => (random() < p ? 1 : 0));
  return { chance, observed, units: unitsOf(Array.from({ length: n }, (_, i) => `s${i >> 1}`)) };
}

test('a right forecast has no error, and one that is off has what it is off by, each within its interval', () => {
  const { chance, observed, units } = outcomes(4000);
  const off = chance.map((p) => p + 0.1);
  const { old, fresh, difference } = compareCalibration(observed, off, chance, units, 1);
  expect(old.value!).toBeCloseTo(0.1, 1);
  expect(old.low!).toBeLessThan(0.1);
  expect(old.high!).toBeGreaterThan(0.1);
  expect(old.low!).toBeGreaterThan(0.05);
  expect(fresh.value!).toBeLessThan(0.03);
  expect(fresh.low).toBe(0);
  expect(difference.value!).toBeCloseTo(fresh.value! - old.value!, 12);
  expect(difference.high!).toBeLessThan(0);
});

test('few answers have no bins to tell it by, and noise alone does not show an error', () => {
  const few = outcomes(9);
  expect(compareCalibration(few.observed, few.chance, few.chance, few.units, 1).fresh).toEqual({
    value: null,
    low: null,
    high: null,
  });
  const some = outcomes(150);
  const { fresh, difference } = compareCalibration(some.observed, some.chance, some.chance, some.units, 1);
  expect(fresh.low!).toBeLessThan(0.05);
  expect(difference).toEqual({ value: 0, low: 0, high: 0 });
});
