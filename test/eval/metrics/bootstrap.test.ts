import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { centredInterval, forEachResample, percentileInterval } from '../../../eval/metrics/bootstrap.ts';

describe('bootstrap', () => {
  test('draws as many units as there are, the same ones for the same seed', () => {
    const draws = (seed: number) => {
      const out: string[] = [];
      forEachResample(5, 20, seed, (w) => {
        expect(w.reduce((sum, x) => sum + x, 0)).toBe(5);
        out.push(w.join(','));
      });
      return out;
    };
    expect(draws(1)).toEqual(draws(1));
    expect(draws(1)).not.toEqual(draws(2));
  });

  test('with strata it draws benchmarks first: a whole one can be missing or come twice', () => {
    const strata = Int32Array.from([0, 0, 0, 1, 1, 1]);
    const firstHalf = new Set<number>();
    forEachResample(6, 200, 3, (w) => firstHalf.add(w[0]! + w[1]! + w[2]!), strata);
    expect([...firstHalf].sort()).toEqual([0, 3, 6]);
  });

  test('a 95 % interval of a mean over groups covers the truth about as often as it says', () => {
    // Groups of 1 to 4 rows that share an effect: by row the interval would be far too short.
    const random = seededRandom(11);
    let covered = 0;
    const runs = 300;
    for (let run = 0; run < runs; run++) {
      const groups = 60;
      const sums = new Float64Array(groups);
      const sizes = new Float64Array(groups);
      for (let g = 0; g < groups; g++) {
        const effect = normal(random);
        sizes[g] = 1 + Math.floor(4 * random());
        for (let k = 0; k < sizes[g]!; k++) sums[g]! += effect + 0.3 * normal(random);
      }
      const means = new Float64Array(300);
      forEachResample(groups, means.length, run, (w, r) => {
        let s = 0;
        let n = 0;
        for (let g = 0; g < groups; g++) {
          s += w[g]! * sums[g]!;
          n += w[g]! * sizes[g]!;
        }
        means[r] = s / n;
      });
      const { low, high } = percentileInterval(means);
      if (low! <= 0 && 0 <= high!) covered++;
    }
    // binomial standard error 1.3 %
    expect(covered / runs).toBeGreaterThan(0.89);
    expect(covered / runs).toBeLessThan(0.985);
  });

  test('a bound that falls on undefined replicates is null, the other one stays', () => {
    const values = Float64Array.from({ length: 100 }, (_, i) => (i < 10 ? Number.POSITIVE_INFINITY : i / 100));
    const { low, high } = percentileInterval(values);
    expect(high).toBeNull();
    expect(low).toBeGreaterThan(0.1);
    expect(percentileInterval(Float64Array.from([1, Number.NaN]))).toEqual({ low: null, high: null });
    expect(percentileInterval(new Float64Array(0))).toEqual({ low: null, high: null });
  });
});

test('an interval of a figure that resampling makes greater is moved to its value, and not below 0', () => {
  // Replicates 0.10 … 0.30 have the mean 0.20 and run from 0.105 to 0.295; the value is 0.12, so both move by −0.08.
  const replicates = Float64Array.from({ length: 201 }, (_, k) => 0.1 + 0.001 * k);
  const { low, high } = centredInterval(0.12, replicates);
  expect(low).toBeCloseTo(0.025);
  expect(high).toBeCloseTo(0.215);
  expect(centredInterval(0.01, replicates).low).toBe(0);
  expect(percentileInterval(replicates).low).toBeCloseTo(0.105);
});
