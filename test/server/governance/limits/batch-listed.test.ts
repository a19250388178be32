/** Whether a host's list says that a batch was not made: only then what was set aside for it goes back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { madeAt, mayBe, surelyLacks } from '../../../../server/governance/limits/batches/listed.ts';

const NOW = Date.UTC(2026, 10, 30, 12);
const sought = { file: 'mine', madeMs: NOW };
/** So many minutes before it was asked for. */
const ago = (minutes: number, file = 'other', id = `b${minutes}`) => ({
  ...{ id, input_file_id: file },
  created_at: NOW / 1000 - 60 * minutes,
});
const lacks = (list: object | null, known: readonly string[] = []) =>
  surelyLacks(list as Record<string, unknown> | null, sought, async (id) => known.includes(id));

describe('a list', () => {
  test('that is complete, or reaches back from the newest on, and has none of the file says that it was not made', async () => {
    expect(await lacks({ data: [], has_more: false })).toBe(true);
    expect(await lacks({ data: [ago(500), ago(5)], has_more: false })).toBe(true);
    expect(await lacks({ data: [ago(-3), ago(5), ago(11)], has_more: true })).toBe(true);
    // Those of the file that are known to be others are.
    expect(await lacks({ data: [ago(5, 'mine', 'known')], has_more: false }, ['known'])).toBe(true);
  });

  test.each([
    ['is none', null],
    ['has no entries', { has_more: false }],
    ['is empty and does not say that it is all', { data: [] }],
    ['is sorted from the oldest on, with more to come', { data: [ago(500), ago(400)], has_more: true }],
    ['is sorted in no way, with more to come', { data: [ago(5), ago(500), ago(6), ago(400)], has_more: true }],
    ['does not reach back', { data: [ago(1), ago(9)], has_more: true }],
    ['has a time that cannot be read', { data: [ago(5), { ...ago(6), created_at: 'yesterday' }], has_more: false }],
    ['has no times', { data: [{ id: 'a', input_file_id: 'other' }], has_more: false }],
    ['has what is no batch', { data: [7], has_more: false }],
    ['does not say which files they are of', { data: [{ id: 'a', created_at: NOW / 1000 }], has_more: false }],
    ['has one of the file', { data: [ago(5, 'mine')], has_more: false }],
    ['has one of the file that says to be older', { data: [ago(60, 'mine')], has_more: false }],
    ['has one of the file without an id', { data: [{ ...ago(5, 'mine'), id: null }], has_more: false }],
  ])('that %s says nothing', async (_, list) => {
    expect(await lacks(list)).toBe(false);
  });

  test('never says so where it has the batch, whatever else is in it', async () => {
    const entry = fc.oneof(
      fc.record({ id: fc.string(), input_file_id: fc.string(), created_at: fc.oneof(fc.nat(4e9), fc.anything()) }),
      fc.anything(),
    );
    const created = fc.oneof(fc.integer({ min: NOW / 1000 - 500, max: NOW / 1000 + 500 }), fc.anything());
    await fc.assert(
      fc.asyncProperty(fc.array(entry), fc.array(entry), created, fc.anything(), async (a, b, at, has_more) => {
        const list = { data: [...a, { id: 'made', input_file_id: 'mine', created_at: at }, ...b], has_more };
        expect(await lacks(list)).toBe(false);
      }),
    );
  });
});

test('a batch of the file is taken for it unless it was surely made before', () => {
  const ids = (...data: object[]) => mayBe({ data }, sought).map(({ id }) => id);
  const odd = { id: 'odd', input_file_id: 'mine', created_at: 'yesterday' };
  const several = { id: 'several', input_files: ['mine'], created_at: NOW / 1000 };
  expect(ids(ago(5, 'mine'), ago(60, 'mine'), ago(5), odd, several)).toEqual(['b5', 'odd', 'several']);
  expect(mayBe(null, sought)).toEqual([]);
});

test.each([
  [1_700_000_000, 1_700_000_000_000],
  [1_700_000_000_000, 1_700_000_000_000],
  ['2023-11-14T22:13:20Z', 1_700_000_000_000],
  ['2023-11-14T23:13:20.000+01:00', 1_700_000_000_000],
  ['2023-11-14', Number.NaN],
  ['7', Number.NaN],
  [-1, Number.NaN],
  [null, Number.NaN],
])('the time %o is read as %d', (created_at, expected) => {
  expect(madeAt({ created_at })).toBe(expected);
});
