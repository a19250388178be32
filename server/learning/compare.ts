/** A refitted router against the one in force, on judged answers that neither was fitted on. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { deriveSeed, seededRandom, shuffled } from '../../datasets/index.ts';
import { sessionUnits } from '../../eval/ope/session-units.ts';
import type { Heads } from '../../router/heads/heads.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { compareChoices } from './compare-choices.ts';
import { compareForecasts, costForecastOf } from './compare-forecasts.ts';
import type { Comparison } from './comparison.ts';
import { type Forecasts, forecastsOf } from './forecasts.ts';
import type { Sample } from './log.ts';
import { compareSlices } from './slices.ts';

export interface CompareOptions {
  readonly incumbent: Heads;
  readonly candidates: readonly Candidate[];
  readonly policy: Policy;
  /** Fits new heads on these samples. */
  readonly refit: (samples: readonly Sample[]) => Heads;
  readonly seed: number;
  /** Teams that no new router may serve worse. */
  readonly protectedTeams?: readonly string[] | undefined;
  /** A sample as the new heads' encoder embeds it. Default: as it is, the encoder is the same. */
  readonly renewed?: ((sample: Sample) => Sample) | undefined;
}

const FOLDS = 5;
/** Resamples, and what they may draw together: on a long log the ends of an interval settle with fewer. */
const REPLICATES = 1000;
const MOST_DRAWS = 2e7;

/**
 * Every unseen sample is forecast by heads that were fitted without its session, five folds in turn,
 * so that all of them count as held out and not only a third.
 *
 * Forecasts are judged on the models that answered; choices by what came of the models drawn, a session a unit
 * (`eval/ope/session-units.ts`). What only a hint judged is learned from and judges nothing.
 *
 * @param seen   samples that the incumbent may have been fitted on: only learned from
 * @param unseen samples it cannot have been fitted on, in the order of time: learned from in four folds, judged in the fifth
 * @returns null when no sample is about a present candidate
 */
export function compare(
  seen: readonly Sample[],
  unseen: readonly Sample[],
  options: CompareOptions,
): Comparison | null {
  const { incumbent, candidates, seed, refit } = options;
  const fold = foldsOf(unseen, seed);
  if (fold === null) return null;
  const judged = unseen.flatMap(({ kind }, i) => (kind === 'verdict' ? [i] : []));
  const samples = judged.map((i) => unseen[i]!);
  const before = forecastsOf(candidates, samples, [{ heads: incumbent, rows: [...samples.keys()] }]);
  const after = forecastsOf(
    candidates,
    options.renewed === undefined ? samples : samples.map(options.renewed),
    Array.from({ length: Math.max(...fold) + 1 }, (_, f) => ({
      heads: refit([...seen, ...unseen.filter((_, i) => fold[i] !== f)]),
      rows: judged.flatMap((i, k) => (fold[i] === f ? [k] : [])),
    })),
  );
  const answered = [...samples.keys()].filter((i) => {
    const { executed } = samples[i]!;
    return isKnown(before, i, executed) && isKnown(after, i, executed);
  });
  if (answered.length === 0) return null;
  const replicates = Math.max(200, Math.min(REPLICATES, Math.floor(MOST_DRAWS / samples.length)));
  const choices = compareChoices({
    samples,
    units: sessionUnits(samples.map(asSessionRow)),
    before,
    after,
    log: [...seen, ...unseen],
    incumbent,
    candidates,
    policy: options.policy,
    seed,
    replicates,
  });
  return {
    ...compareForecasts({ samples, rows: answered, before, after, seed, replicates }),
    costForecast: costForecastOf({ samples, rows: answered, before, after }, candidates),
    value: choices?.value ?? null,
    slices: choices === null ? [] : compareSlices(choices.units, choices.differences, options.protectedTeams ?? []),
  };
}

const isKnown = ({ column, quality, count }: Forecasts, i: number, model: string): boolean => {
  const k = column.get(model);
  return k !== undefined && !Number.isNaN(quality[i * count + k]!);
};

/** A row can be a unit's first one where its draw was one, of a model with the probability that is on record. */
const asSessionRow = ({ group, explorable, facts, propensity, sampled, distribution }: Sample) => ({
  group,
  explorable:
    explorable &&
    facts.critical !== true &&
    propensity > 0 &&
    propensity <= 1 &&
    distribution.some(({ model }) => model === sampled),
});

/** Fold of each sample, sessions kept together; null where there are not two. */
function foldsOf(samples: readonly Sample[], seed: number): Int32Array | null {
  const groups = [...new Set(samples.map(({ group }) => group))].sort();
  if (groups.length < 2) return null;
  const order = shuffled(groups, seededRandom(deriveSeed(seed, 'group-folds')));
  const k = Math.min(FOLDS, groups.length);
  const foldOf = new Map(order.map((group, at) => [group, at % k]));
  return Int32Array.from(samples, ({ group }) => foldOf.get(group)!);
}
