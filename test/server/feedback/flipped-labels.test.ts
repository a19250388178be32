/** What a team that turns its verdicts around can do to the others' router: simulated, with a truth that is known. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { type Heads, predictHeads } from '../../../router/heads/heads.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { type Forecast, teamAgreement } from '../../../server/feedback/agreement.ts';
import { influenceWeights } from '../../../server/feedback/influence.ts';
import { embeddingsOf, logTable, type Sample } from '../../../server/learning/log.ts';
import { irtWorld, sigmoid } from '../../router/fixtures.ts';
import { aSample } from '../learning/samples.ts';

const D = 6;
/** Each is better than the others somewhere; the dear one costs 0.1 of quality more than the cheap one. */
const MODELS = [
  { id: 'lab/cheap', like: 'm/weak', level: 0.2, slope: -1.5, cost: 0 },
  { id: 'lab/middle', like: 'm/mid', level: 0.6, slope: 0, cost: 0.03 },
  { id: 'lab/dear', like: 'm/best', level: 1.2, slope: 0.8, cost: 0.1 },
] as const;
const KNOWN = {
  'm/weak': { ability: -0.5, slope: 1 },
  'm/mid': { ability: 0.5, slope: 1 },
  'm/best': { ability: 1.5, slope: 1 },
};
const CAPS = { maxTeamShare: 0.5, maxKeyShare: 0.25 };
const ANSWERS = 2000;
const JUDGED_ON = 1000;
const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);

/** What the router knows to begin with, of models that these ones are like. */
const base: Heads = (() => {
  const { table, z } = irtWorld({ n: 400, d: D, models: KNOWN, ease: 1.2, seed: 31 });
  return fitHeads(table, z, 1).heads;
})();

interface Shot {
  readonly z: Float32Array;
  /** Of each model, in [0, 1]. */
  readonly quality: readonly number[];
}

function prompts(count: number, seed: number): Shot[] {
  const random = seededRandom(seed);
  const direction = Float64Array.from({ length: D }, () => normal(random));
  const length = Math.hypot(...direction);
  return Array.from({ length: count }, () => {
    const z = Float32Array.from({ length: D }, () => normal(random));
    const u = z.reduce((sum, v, a) => sum + (v * direction[a]!) / length, 0);
    return { z, quality: MODELS.map(({ level, slope }) => sigmoid(level + slope * u)) };
  });
}

/** Answers of models drawn at random, judged right or wrong. @param teamOf the team of answer i */
function logOf(shots: readonly Shot[], seed: number, teamOf: (i: number) => string): Sample[] {
  const random = seededRandom(seed + 1000);
  return shots.map(({ z, quality }, i) => {
    const j = Math.floor(random() * MODELS.length);
    return aSample({
      id: `d${i}`,
      executed: MODELS[j]!.id,
      propensity: 1 / MODELS.length,
      embedding: z,
      quality: random() < quality[j]! ? 1 : 0,
      tenant: teamOf(i),
      key: `${teamOf(i)}-key`,
    });
  });
}

/** Heads that learned from these answers. */
function learn(samples: readonly Sample[], seed: number, weights?: Float64Array): Heads {
  const options = { seed, likeOf: (id: string) => MODELS.find((model) => model.id === id)?.like, weights };
  return refitHeads(base, logTable(samples), embeddingsOf(samples), options);
}

/** Mean of quality − cost of what a router that learned from this log chooses, on the others' prompts. */
function utility(samples: readonly Sample[], judgedOn: readonly Shot[], seed: number): number {
  const forecast: Forecast<Sample> = (learnedFrom, asked) => {
    const heads = learn(learnedFrom, seed);
    const { quality } = predictHeads(heads, embeddingsOf(asked), asked.length);
    return asked.map(({ executed }, i) => quality[i * heads.modelIds.length + heads.modelIds.indexOf(executed)]!);
  };
  const agreement = teamAgreement(samples, forecast, seed);
  const agreed = samples.map(({ weight }, i) => weight * agreement.multipliers[i]!);
  const weights = influenceWeights(samples, CAPS, agreed).map((m, i) => m * agreed[i]!);
  const heads = learn(samples, seed, weights);
  const z = new Float32Array(judgedOn.length * heads.dimension);
  judgedOn.forEach((shot, i) => {
    z.set(shot.z, i * heads.dimension);
  });
  const { quality } = predictHeads(heads, z, judgedOn.length);
  const columns = MODELS.map(({ id }) => heads.modelIds.indexOf(id));
  let sum = 0;
  judgedOn.forEach((shot, i) => {
    const worth = columns.map((j, k) => quality[i * heads.modelIds.length + j]! - MODELS[k]!.cost);
    const best = worth.indexOf(Math.max(...worth));
    sum += shot.quality[best]! - MODELS[best]!.cost;
  });
  return sum / judgedOn.length;
}

const of20 = (i: number) => `team-${i % 20}`;
const ofTwo = (i: number) => (i % 20 === 0 ? 'team-0' : 'large');

describe.each([
  ['one of twenty teams', of20],
  ['a small team beside a large one', ofTwo],
])('labels turned around by %s, with 5 %% of the traffic,', (_, teamOf) => {
  test('cost the others half a point at most', () => {
    const costs = SEEDS.map((seed) => {
      const shots = prompts(ANSWERS + JUDGED_ON, seed);
      const others = shots.slice(ANSWERS);
      const honest = logOf(shots.slice(0, ANSWERS), seed, teamOf);
      const flipped = honest.map((row) => (row.tenant === 'team-0' ? { ...row, quality: 1 - row.quality } : row));
      return utility(honest, others, seed) - utility(flipped, others, seed);
    });
    expect(costs.reduce((a, b) => a + b) / costs.length).toBeLessThanOrEqual(0.005);
  });
});
