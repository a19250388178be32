/** Do intervals hold what they promise in worlds of a few lines, whose truth is known without any simulation? */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deriveSeed, normal, seededRandom } from '../../../datasets/index.ts';
import { forEachResample } from '../../../eval/metrics/bootstrap.ts';
import { type Ratio, ratioEstimates, unitsOf } from '../../../eval/ope/ratio-interval.ts';

type Random = () => number;
const RUNS = 400;
/** 0.95 (R + 1) is a whole number, so that nothing is interpolated. */
const REPLICATES = 99;

/** A log of rows in units, of which a statistic is taken. */
interface Made {
  readonly ratios: readonly Ratio[];
  readonly names: readonly string[];
}

/** Rows of 0 but where two policies differ: a share `moved` of them, on which a model drawn with `propensity` is right half the time. */
const changeOf =
  (rows: number, moved: number, propensity: number) =>
  (random: Random): Made => {
    const numerator = Float64Array.from({ length: rows }, () => {
      if (random() >= moved) return 0;
      const error = random() < 0.5 ? 0.5 : -0.5;
      return (random() < propensity ? 1 / propensity : -1 / (1 - propensity)) * error;
    });
    return { ratios: [{ numerator, denominator: null }], names: rowsOf(numerator) };
  };
const rowsOf = (values: Float64Array): string[] => Array.from(values, (_, i) => String(i));

/** Sessions of one to five rows that share most of what happens to them, weighed by one to four. */
const sessions = (random: Random): Made => {
  const rows: { w: number; v: number; name: string }[] = [];
  for (let s = 0; s < 150; s++) {
    const shared = normal(random);
    const length = 1 + Math.floor(5 * random());
    for (let k = 0; k < length; k++) {
      rows.push({ w: 1 + 3 * random(), v: 3 + shared + 0.5 * normal(random), name: String(s) });
    }
  }
  const weights = Float64Array.from(rows, ({ w }) => w);
  return {
    ratios: [{ numerator: Float64Array.from(rows, ({ w, v }) => w * v), denominator: weights }],
    names: rows.map(({ name }) => name),
  };
};

/** Costs: a few are many times as high as most. */
const skewed = (random: Random): Made => {
  const numerator = Float64Array.from({ length: 300 }, () => Math.exp(normal(random)));
  return { ratios: [{ numerator, denominator: null }], names: rowsOf(numerator) };
};

// Of 400 intervals that hold the truth with 95 %, fewer than 365 or more than 395 do in one of a thousand cases.
test.each([
  // Every row has the mean 0: ±1 with even chances, weighed by 1 in expectation.
  ['a change of a tenth, its models drawn alike', changeOf(1200, 0.1, 0.5), 0],
  ['a change of a fifth, its new models drawn once in eight', changeOf(1200, 0.2, 0.125), 0],
  ['weighted rows in sessions', sessions, 3],
  ['a few rows that are many times as high', skewed, Math.exp(0.5)],
] as const)('%s: the interval holds the truth in 95 % of the logs', (name, make, truth) => {
  let held = 0;
  for (let run = 0; run < RUNS; run++) {
    const seed = deriveSeed(run, name);
    const { ratios, names } = make(seededRandom(seed));
    const [e] = ratioEstimates([{ ratios }], unitsOf(names), { replicates: REPLICATES, seed });
    if (e!.low! <= truth && truth <= e!.high!) held++;
  }
  console.log(`${name}: ${held} of ${RUNS}`);
  expect(held).toBeGreaterThanOrEqual(365);
  expect(held).toBeLessThanOrEqual(395);
});

describe('the 95 % point of the resamples', () => {
  const values = Float64Array.from({ length: 40 }, (_, i) => (i * 37) % 41);
  const units = unitsOf(rowsOf(values));
  const statistic = { ratios: [{ numerator: values, denominator: null }] };
  const mean = (xs: Float64Array, weights: ArrayLike<number>) =>
    xs.reduce((sum, x, i) => sum + weights[i]! * x, 0) / 40;
  const error = (xs: Float64Array, weights: ArrayLike<number>) =>
    Math.sqrt(xs.reduce((sum, x, i) => sum + weights[i]! * (x - mean(xs, weights)) ** 2, 0)) / 40;

  test('is the 190th of 199, and the last of 19: with the true one they are 200 and 20', () => {
    const ones = new Float64Array(40).fill(1);
    for (const [replicates, place] of [
      [199, 190],
      [19, 19],
    ] as const) {
      const t: number[] = [];
      forEachResample(40, replicates, 5, (weights) => {
        t.push(Math.abs(mean(values, weights) - mean(values, ones)) / error(values, weights));
      });
      const q = t.sort((a, b) => a - b)[place - 1]!;
      const [e] = ratioEstimates([statistic], units, { replicates, seed: 5 });
      expect(e!.low).toBeCloseTo(mean(values, ones) - q * error(values, ones), 9);
      expect(e!.high).toBeCloseTo(mean(values, ones) + q * error(values, ones), 9);
    }
  });

  test('is beyond what 18 can tell', () => {
    const [e] = ratioEstimates([statistic], units, { replicates: 18, seed: 5 });
    expect(e).toMatchObject({ low: null, high: null });
  });
});

test('a mean over units most of which have 0 is that of all of them', () => {
  const value = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(0.3, -0.3, 1, 13.3) },
    // Squares of values under 1e-154 are no doubles any more.
    { weight: 1, arbitrary: fc.integer({ min: -20_000, max: 20_000 }).map((n) => n / 1000) },
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 60 }), fc.nat(), (list, seed) => {
      const numerator = Float64Array.from(list);
      const nothing = { numerator: new Float64Array(list.length), denominator: null };
      const ratio = { numerator, denominator: null };
      const [quick, plain] = ratioEstimates(
        [{ ratios: [ratio] }, { ratios: [ratio, nothing] }],
        unitsOf(rowsOf(numerator)),
        { replicates: 59, seed },
      );
      expect(quick!.value).toBeCloseTo(plain!.value!, 9);
      for (const end of ['low', 'high'] as const) {
        const [a, b] = [quick![end], plain![end]];
        // A resample without spread but for rounding is as far off as can be in both, be it infinitely.
        if (a === null || b === null) expect(Math.abs((a ?? b ?? Infinity) - plain!.value!)).toBeGreaterThan(1000);
        else expect(Math.abs(a - b)).toBeLessThan(1e-6 * Math.max(1, Math.abs(a)));
      }
    }),
    { numRuns: 200 },
  );
});
