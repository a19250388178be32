import fc from 'fast-check';
import { expect, test } from 'vitest';
import { weightedSums } from '../../eval/tally.ts';

test('adds up every column under every weighting, shared and empty columns too', () => {
  const column = fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(
      fc.array(column, { maxLength: 9 }),
      fc.integer({ min: 0, max: 5 }),
      fc.boolean(),
      (columns, replicates, share) => {
        const sums = columns.map((values) => Float64Array.from(values));
        if (share && sums.length > 1) sums[sums.length - 1] = sums[0]!;
        const weights = Float64Array.from({ length: 3 * replicates }, (_, at) => (at * 7) % 5);
        const expected = Array.from({ length: replicates }, (_, r) =>
          sums.map((s) => s.reduce((sum, x, u) => sum + x * weights[3 * r + u]!, 0)),
        ).flat();
        const found = weightedSums({ columns: sums.length, sums }, weights, replicates);
        // −0 and 0 are the same sum.
        expect([...found].map((x) => x + 0)).toEqual(expected.map((x) => x + 0));
      },
    ),
  );
});
