import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockedProducts } from '../../../router/training/blocked-products.ts';

const number = fc.double({ min: -3, max: 3, noNaN: true });

test('gives the very bits of the plain loops, whatever the number of rows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.infiniteStream(number),
      (n, d, b, numbers) => {
        const take = (count: number) => Float64Array.from({ length: count }, () => numbers.next().value);
        const z = Float32Array.from(take((n + 2) * d));
        const x = take((d + 1) * b);
        const start = take((d + 1) * b);
        const rows = Array.from({ length: n }, (_, i) => n + 1 - i);
        const twice = (logits: Float64Array) => logits.set(logits.map((v) => 2 * v + 1));

        const expected = start.slice();
        for (const i of rows) {
          const f = new Float64Array(b);
          for (let r = 0; r < b; r++) f[r] = x[d * b + r]!;
          for (let a = 0; a < d; a++) for (let r = 0; r < b; r++) f[r]! += z[i * d + a]! * x[a * b + r]!;
          twice(f);
          for (let a = 0; a < d; a++) for (let r = 0; r < b; r++) expected[a * b + r]! += z[i * d + a]! * f[r]!;
          for (let r = 0; r < b; r++) expected[d * b + r]! += f[r]!;
        }

        const gradient = start.slice();
        const seen: number[] = [];
        blockedProducts(z, rows, d, b, x, gradient, (logits, row) => {
          seen.push(row);
          twice(logits);
        });
        expect(seen).toEqual(rows);
        // A block that is filled up adds zeros, which may take the sign off a zero.
        const unsigned = (sums: Float64Array) => Array.from(sums, (v) => v + 0);
        expect(unsigned(gradient)).toEqual(unsigned(expected));
      },
    ),
  );
});
