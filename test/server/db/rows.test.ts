/** Rows as JSON: the same that `JSON.stringify` makes of them, whatever the shortcuts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rowToJson } from '../../../server/db/rows.ts';
import { aDecision } from './records.ts';

const written = (more: object) =>
  JSON.parse(rowToJson({ table: 'decisions', row: { ...aDecision(), ...more } })) as Record<string, unknown>;

test('the distribution is written to the last bit, with any names and probabilities', () => {
  const probability = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1, 5e-324));
  const model = fc.oneof(fc.string(), fc.constantFrom('a"b', '\\', '__proto__', 'é', '\n'));
  fc.assert(
    fc.property(fc.array(fc.record({ model, probability })), (distribution) => {
      // As JSON has it: no sign of a zero, and no half of a surrogate pair in the text that goes out.
      fc.pre(distribution.every((one) => !/[\0\ud800-\udfff]/.test(one.model)));
      expect(written({ distribution }).distribution).toEqual(JSON.parse(JSON.stringify(distribution)));
    }),
  );
});

test('a probability that is no number is null, as in any JSON', () => {
  const distribution = [{ model: 'a/b', probability: Number.NaN }];
  expect(written({ distribution }).distribution).toEqual([{ model: 'a/b', probability: null }]);
});

test('what is null by default is left out, what has another default is not', () => {
  const row = written({ session: null, key: null, cached: false, tags: [] });
  expect(Object.keys(row)).not.toContain('session');
  expect(Object.keys(row)).not.toContain('key');
  expect(row).toMatchObject({ cached: false, tags: [] });
});
