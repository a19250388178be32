import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { aucFrom, aucOrder } from '../../../eval/metrics/auc.ts';
import { weightedMean } from '../../../eval/metrics/columns.ts';
import { pairedClusterBootstrap, rowWeights, type Statistic } from '../../../eval/metrics/paired-bootstrap.ts';

const f = (...xs: number[]) => Float64Array.from(xs);
const meanOf = (name: string, values: Float64Array): Statistic => ({ name, of: (w) => weightedMean(values, w) });
const width = (e: { low: number | null; high: number | null }) => e.high! - e.low!;

describe('paired cluster bootstrap', () => {
  test('the value is that of the units as they are; the same seed gives the same interval', () => {
    const run = (seed: number) =>
      pairedClusterBootstrap({ units: 4, replicates: 200, seed }, [meanOf('a', f(1, 2, 3, 6))]).estimates.get('a')!;
    expect(run(1).value).toBe(3);
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
    expect(run(1).low!).toBeGreaterThanOrEqual(1);
    expect(run(1).high!).toBeLessThanOrEqual(6);
  });

  test('a 95 % interval of a mean covers the truth in 93 to 97 % of samples', () => {
    const random = seededRandom(21);
    const runs = 1500; // standard error .6 %; percentile intervals of 200 normal draws cover in 94.6 % of 6 000
    let covered = 0;
    for (let run = 0; run < runs; run++) {
      const sample = Float64Array.from({ length: 120 }, () => normal(random));
      const { low, high } = pairedClusterBootstrap({ units: 120, replicates: 400, seed: run }, [
        meanOf('mean', sample),
      ]).estimates.get('mean')!;
      if (low! <= 0 && 0 <= high!) covered++;
    }
    expect(covered / runs).toBeGreaterThanOrEqual(0.93);
    expect(covered / runs).toBeLessThanOrEqual(0.97);
  });

  test('rows that share their group’s fate get a wider interval than independent ones, by √(group size)', () => {
    // 50 groups of 8 equal rows: as good as 50 rows, where drawing rows pretends 400. √8 = 2.83
    const random = seededRandom(4);
    const groups = 50;
    const effects = Float64Array.from({ length: groups }, () => normal(random));
    const unitOf = Int32Array.from({ length: groups * 8 }, (_, i) => Math.floor(i / 8));
    const rows = Float64Array.from(unitOf, (u) => effects[u]!);
    const byGroup = pairedClusterBootstrap({ units: groups, replicates: 1000, seed: 1 }, [
      { name: 'mean', of: (w) => weightedMean(rows, rowWeights(w, unitOf)) },
    ]).estimates.get('mean')!;
    const byRow = pairedClusterBootstrap({ units: rows.length, replicates: 1000, seed: 1 }, [
      meanOf('mean', rows),
    ]).estimates.get('mean')!;
    expect(byGroup.value).toBeCloseTo(byRow.value!, 12);
    expect(width(byGroup) / width(byRow)).toBeGreaterThan(2.4);
    expect(width(byGroup) / width(byRow)).toBeLessThan(3.3);
  });

  test('what two routers share cancels in their difference', () => {
    const random = seededRandom(7);
    const shared = Float64Array.from({ length: 100 }, () => normal(random));
    const result = pairedClusterBootstrap({ units: 100, replicates: 500, seed: 3 }, [
      meanOf('a', shared),
      meanOf(
        'b',
        shared.map((x, i) => x - 0.1 - (i % 2 ? 0.02 : -0.02)),
      ),
    ]);
    const difference = result.difference('a', 'b');
    expect(difference.value).toBeCloseTo(0.1, 12);
    expect(difference.low!).toBeGreaterThan(0.09);
    expect(difference.high!).toBeLessThan(0.11);
    expect(width(result.estimates.get('a')!)).toBeGreaterThan(0.2);
    const back = result.difference('b', 'a');
    expect(back.low).toBeCloseTo(-difference.high!, 12);
    expect(result.difference('a', 'a')).toMatchObject({ value: 0, low: 0, high: 0 });
  });

  test('with strata whole benchmarks are drawn, so that their differences widen the interval', () => {
    const values = Float64Array.from({ length: 40 }, (_, u) => (u < 20 ? 0 : 1) + (u % 2) / 100);
    const strata = Int32Array.from(values, (_, u) => (u < 20 ? 0 : 1));
    const plain = pairedClusterBootstrap({ units: 40, replicates: 400, seed: 1 }, [meanOf('m', values)]);
    const nested = pairedClusterBootstrap({ units: 40, replicates: 400, seed: 1, strata }, [meanOf('m', values)]);
    expect(width(nested.estimates.get('m')!)).toBeGreaterThan(2 * width(plain.estimates.get('m')!));
  });

  test('a replicate without a value counts on the side where it would have been, or leaves no bounds', () => {
    // one unit in five: absent from a resample with chance .8⁵ = .33
    const needsFirst = (name: string, undefinedAt?: number): Statistic => ({
      name,
      of: (w) => (w[0]! > 0 ? 1 : null),
      ...(undefinedAt === undefined ? {} : { undefinedAt }),
    });
    const { estimates, difference } = pairedClusterBootstrap({ units: 5, replicates: 400, seed: 2 }, [
      needsFirst('cost', Number.POSITIVE_INFINITY),
      needsFirst('unknown'),
      { name: 'never', of: () => null },
    ]);
    expect(estimates.get('cost')).toMatchObject({ value: 1, low: 1, high: null });
    expect(estimates.get('cost')!.undefinedReplicates / 400).toBeCloseTo(0.8 ** 5, 1);
    expect(estimates.get('unknown')).toMatchObject({ value: 1, low: null, high: null });
    expect(estimates.get('never')).toEqual({ value: null, low: null, high: null, undefinedReplicates: 400 });
    expect(difference('cost', 'never')).toMatchObject({ value: null, low: null, high: null });
  });

  test('recomputes an AUC from one presorted order', () => {
    const random = seededRandom(13);
    const n = 300;
    const right = Float64Array.from({ length: n }, () => (random() < 0.5 ? 1 : 0));
    const score = right.map((y) => y + normal(random));
    const order = aucOrder(score);
    const estimate = pairedClusterBootstrap({ units: n, replicates: 300, seed: 1 }, [
      { name: 'auc', of: (w) => aucFrom(order, right, w) },
    ]).estimates.get('auc')!;
    // two normals a deviation apart: Φ(1/√2) = .760
    expect(estimate.low!).toBeLessThan(0.76);
    expect(estimate.high!).toBeGreaterThan(0.76);
    expect(width(estimate)).toBeLessThan(0.15);
  });

  test('the level sets the width', () => {
    const values = Float64Array.from({ length: 60 }, (_, i) => i);
    const at = (level: number) =>
      width(
        pairedClusterBootstrap({ units: 60, replicates: 500, seed: 1, level }, [meanOf('m', values)]).estimates.get(
          'm',
        )!,
      );
    expect(at(0.5)).toBeLessThan(at(0.9));
    expect(at(0.9)).toBeLessThan(at(0.99));
  });

  test('what cannot be resampled is refused, and so is NaN', () => {
    const one = [meanOf('m', f(1))];
    expect(() => pairedClusterBootstrap({ units: 0, replicates: 10, seed: 1 }, one)).toThrow(/units is 0/);
    expect(() => pairedClusterBootstrap({ units: 1, replicates: 0, seed: 1 }, one)).toThrow(/replicates is 0/);
    expect(() => pairedClusterBootstrap({ units: 1, replicates: 1, seed: 1, level: 1 }, one)).toThrow(/level is 1/);
    expect(() => pairedClusterBootstrap({ units: 2, replicates: 1, seed: 1, strata: Int32Array.of(0) }, one)).toThrow(
      /2 units need as many strata, not 1/,
    );
    expect(() => pairedClusterBootstrap({ units: 1, replicates: 1, seed: 1 }, [...one, ...one])).toThrow(/same name/);
    expect(() =>
      pairedClusterBootstrap({ units: 1, replicates: 1, seed: 1 }, [{ name: 'bad', of: () => Number.NaN }]),
    ).toThrow(/"bad" came out as NaN/);
    expect(() => pairedClusterBootstrap({ units: 1, replicates: 1, seed: 1 }, one).difference('m', 'x')).toThrow(
      /no statistic is named "x"; there are "m"/,
    );
  });
});
