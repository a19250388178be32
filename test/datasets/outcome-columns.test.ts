import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Outcome, OutcomeColumns } from '../../datasets/index.ts';

const outcome: fc.Arbitrary<Outcome> = fc
  .record({
    promptId: fc.string({ minLength: 1 }),
    modelId: fc.constantFrom('a', 'b', '__proto__'),
    quality: fc.double({ min: 0, max: 1, noNaN: true }),
    outputTokens: fc.option(fc.nat(), { nil: undefined }),
    costUsd: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
    latencyMs: fc.option(fc.nat(), { nil: undefined }),
  })
  // A row as JSON would have it: without the fields that are not known.
  .map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Outcome);

test('gives back the rows it was given, in their order', () => {
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 50 }), (rows) => {
      const columns = OutcomeColumns.from(rows);
      expect(columns.length).toBe(rows.length);
      expect([...columns]).toEqual(rows);
    }),
  );
});

test('filters, maps and asks as an array does', () => {
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 50 }), (rows) => {
      const columns = OutcomeColumns.from(rows);
      const isA = (o: Outcome) => o.modelId === 'a';
      expect([...columns.filter(isA)]).toEqual(rows.filter(isA));
      expect(columns.map((o) => o.promptId)).toEqual(rows.map((o) => o.promptId));
      expect(columns.some(isA)).toBe(rows.some(isA));
    }),
  );
});

test('writes the fields of a row in the same order, whichever row had them first', () => {
  const full: Outcome = { promptId: 'p', modelId: 'm', quality: 1, inputTokens: 2, outputTokens: 3 };
  const columns = OutcomeColumns.from([{ promptId: 'q', modelId: 'm', quality: 0, outputTokens: 1 }, full]);
  expect(JSON.stringify([...columns][1])).toBe(JSON.stringify(full));
});
