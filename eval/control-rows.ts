/**
 * Negative controls of an evaluation: routers whose place is known beforehand, run through the very same code. Where
 * they do not stand where they must, the board measures something else than skill, and says so.
 */
import { lengthOnly } from './baselines/group-means.ts';
import type { Contender } from './contender.ts';
import { leakyRouter, permutedLabels, pureNoise } from './leaderboard/controls.ts';
import { fittedOn } from './learned.ts';
import { standing } from './report/format.ts';
import type { ControlRow } from './result.ts';
import type { RouterStatistics } from './statistics.ts';

const NOISE = 'control: pure noise';

const LEAKY = 'control: sees the test outcomes';

/** Labels are permuted for the length of a prompt, the cheapest of learners: it is the harness that is on trial. */
export const controlContenders = (): Contender[] => [
  fittedOn(NOISE, { fitted: () => false }, pureNoise()),
  permutedLabels(lengthOnly()),
  leakyRouter(),
];

/** A router that sees half of each outcome passes where it recovers more than half of the gap. */
const LEAK_SEEN = 0.5;

export function controlRows(routers: readonly RouterStatistics[]): ControlRow[] {
  return routers.map(({ name, figures, intervals }) => {
    const lead = { value: figures.aiqMinusZero, ...intervals.aiqMinusZero };
    const { gapRecovered } = figures;
    const leaky = name === LEAKY;
    return {
      name,
      lead,
      gapRecovered,
      expected: leaky ? 'more than half of the way to the oracle' : 'not above the zero router',
      // Where the oracle is no better than zero there is nothing to see in the outcomes.
      passed: leaky ? gapRecovered === null || gapRecovered > LEAK_SEEN : standing(lead) !== 'above',
    };
  });
}
