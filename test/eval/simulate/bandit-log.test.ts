import { expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { decideAll, draw, loggedTable } from '../../../eval/simulate/bandit-log.ts';
import { smallWorld, trueBeliefs } from './small-world.ts';

const world = smallWorld(400, 1);
const m = world.part.table.modelIds.length;
const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration: 0.3 };
const rows = world.part.table.prompts.map((_, i) => i);

test('models are drawn as often as their logged probabilities say', () => {
  const random = seededRandom(5);
  const log = Array.from({ length: 20 }, () => decideAll(world, rows, trueBeliefs(world), rule, random)).flat();
  const drawn = new Float64Array(m);
  const expected = new Float64Array(m);
  let variance = 0;
  let worst = 0;
  for (const { column, probabilities } of log) {
    worst = Math.max(worst, Math.abs(probabilities.reduce((a, b) => a + b) - 1));
    drawn[column]!++;
    probabilities.forEach((p, j) => {
      expected[j]! += p;
    });
    variance += probabilities[0]! * (1 - probabilities[0]!);
  }
  expect(worst).toBeLessThan(1e-12);
  // Within 5 standard deviations, of a fixed seed.
  expect(Math.abs(drawn[0]! - expected[0]!)).toBeLessThan(5 * Math.sqrt(variance));
});

test('the log holds the outcome of the model drawn and of no other', () => {
  const log = decideAll(world, [3, 3, 7], trueBeliefs(world), rule, seededRandom(1));
  const table = loggedTable(world, log);
  expect(table.prompts.map(({ id }) => id)).toEqual(['p3', 'p3', 'p7']);
  log.forEach(({ row, column }, i) => {
    for (let j = 0; j < m; j++) {
      expect(table.quality[i * m + j]).toBe(j === column ? world.part.table.quality[row * m + j] : Number.NaN);
    }
  });
});

test('a draw never falls on what has no probability', () => {
  expect(draw([0, 1, 0], () => 0)).toBe(1);
  expect(draw([0.5, 0.5, 0], () => 1 - 1e-16)).toBe(1);
});
