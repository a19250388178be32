import { expect, test } from 'vitest';
import { sessionUnits, unitMeans } from '../../../eval/ope/session-units.ts';

const rows = (...list: readonly [string, boolean][]) => list.map(([group, explorable]) => ({ group, explorable }));

test('a session is one unit: its first draw, and what came of it from then on', () => {
  const log = rows(['a', true], ['b', true], ['a', false], ['a', true], ['b', false]);
  expect(sessionUnits(log)).toEqual([
    { first: 0, rows: [0, 2, 3] },
    { first: 1, rows: [1, 4] },
  ]);
});

test('what came before the draw is not its doing, and a session without a draw is no unit', () => {
  const log = rows(['a', false], ['b', false], ['a', true], ['a', false], ['b', false]);
  expect(sessionUnits(log)).toEqual([{ first: 2, rows: [2, 3] }]);
  expect(sessionUnits([])).toEqual([]);
});

test('the reward is the mean over the unit’s rows, unknown ones left out', () => {
  const units = [
    { first: 0, rows: [0, 2, 3] },
    { first: 1, rows: [1] },
  ];
  // (1 + 0.5) / 2; the third is not known
  expect([...unitMeans(units, [1, Number.NaN, 0.5, Number.NaN])]).toEqual([0.75, Number.NaN]);
});
