/** What two routers would choose on logged sessions, and what that would bring, by what came of the models drawn. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { directMethodRows } from '../../eval/ope/direct-method.ts';
import type { PairedRewards, PairedUnits } from '../../eval/ope/paired-policies.ts';
import { type SessionUnit, unitMeans } from '../../eval/ope/session-units.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { type CandidatePrediction, decide, expectedCostUsd } from '../../router/policy/decide.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { place, solver } from '../../router/policy/solve.ts';
import type { ValueComparison } from './comparison.ts';
import type { Forecasts } from './forecasts.ts';
import { judgedValue } from './judged-value.ts';
import type { Sample } from './log.ts';
import type { SlicedUnit } from './slices.ts';

export interface ChoicesInput {
  /** Judged answers in the order of time. */
  readonly samples: readonly Sample[];
  readonly units: readonly SessionUnit[];
  readonly before: Forecasts;
  readonly after: Forecasts;
  /** All answers there are: how well each model is known, and how fast it is. */
  readonly log: readonly Sample[];
  readonly incumbent: Heads;
  readonly candidates: readonly Candidate[];
  readonly policy: Policy;
  readonly seed: number;
  readonly replicates: number;
}

export interface ChoicesComparison {
  readonly value: ValueComparison;
  readonly units: readonly SlicedUnit[];
  /** Quality of each unit, new − old. */
  readonly differences: Float64Array;
}

/** Tried less often than once in 20, a choice is judged by few great weights. */
const TRIED = 1 / 20;
/** A model with fewer judged answers is unknown: its forecast still rests on the model it was likened to. */
const KNOWN_FROM = 10;
/** More unknown costs than this are not filled in. */
const MOST_WITHOUT_COST = 0.05;
/** Mass whose latency is known, at least. */
const LEAST_TIMED = 0.9;

/** A unit with what both routers would do on its first row, over the models that were eligible then and are candidates now. */
interface Choice {
  readonly sample: Sample;
  readonly models: readonly string[];
  readonly logging: Float64Array;
  readonly sampled: number;
  readonly old: Float64Array;
  readonly fresh: Float64Array;
  /** By the new heads, which saw nothing of the session. */
  readonly quality: Float64Array;
  readonly costUsd: Float64Array;
}

/**
 * Both routers decide on the candidates that were eligible then, at today's prices and knobs. A model that is gone since
 * is one that neither would choose: its rows stay, with a weight of 0, since leaving them out would make the rest look
 * likelier than it was.
 * @returns null where nothing was left to chance on any row
 */
export function compareChoices(input: ChoicesInput): ChoicesComparison | null {
  const { samples, units, log, policy, seed, replicates } = input;
  const chosen = choicesOf(input);
  const choices = chosen.flatMap((choice) => (choice === null ? [] : [choice]));
  if (choices.length === 0) return null;
  const kept = units.filter((_, u) => chosen[u] !== null);
  const paired: PairedUnits = {
    models: choices.map(({ models }) => models),
    logging: choices.map(({ logging }) => logging),
    sampled: Int32Array.from(choices, ({ sampled }) => sampled),
    propensities: Float64Array.from(choices, ({ sample }) => sample.propensity),
    old: choices.map(({ old }) => old),
    fresh: choices.map(({ fresh }) => fresh),
    quality: {
      of: unitMeans(
        kept,
        samples.map(({ quality }) => quality),
      ),
      forecasts: choices.map(({ quality }) => quality),
    },
    cost: costsOf(samples, kept, choices),
  };
  const { qualityPerUsd } = policy;
  const { value, judged } = judgedValue(paired, { replicates, seed, qualityPerUsd });
  const costs = choices.map(({ costUsd }) => costUsd);
  return {
    value: {
      ...value,
      qualityOld: judged.qualityOld,
      qualityNew: judged.qualityNew,
      costUsd: judged.costUsd,
      snipsOld: judged.snipsOld,
      snipsNew: judged.snipsNew,
      costOldUsd: expected(paired.old, costs),
      costNewUsd: expected(paired.fresh, costs),
      tried: expected(
        paired.fresh,
        choices.map(({ logging }) => logging.map((p) => (p >= TRIED ? 1 : 0))),
      ),
      changed: judged.change.share,
      unknown: movedToUnknown(choices, log),
      latency: latencyOf(choices, log),
    },
    units: choices.map(({ sample, models, old }) => ({
      tenant: sample.tenant,
      tags: sample.tags,
      facts: sample.facts,
      model: models[old.indexOf(Math.max(...old))]!,
    })),
    differences: judged.rows.quality,
  };
}

/** One for each unit; null where no model that was eligible is a candidate still. */
function choicesOf({ samples, units, before, after, incumbent, candidates, policy }: ChoicesInput): (Choice | null)[] {
  const mix = solver(incumbent, place(incumbent, candidates), policy)(policy);
  return units.map(({ first }) => {
    const sample = samples[first]!;
    const columns: number[] = [];
    const logging: number[] = [];
    for (const { model, probability } of sample.distribution) {
      const k = after.column.get(model);
      if (k === undefined) continue;
      const at = first * after.count + k;
      if (Number.isNaN(after.quality[at]!) || Number.isNaN(before.quality[at]!)) continue;
      columns.push(k);
      logging.push(probability);
    }
    if (columns.length === 0) return null;
    const models = columns.map((k) => candidates[k]!.id);
    const place = new Map(models.map((model, a) => [model, a]));
    const probabilities = (forecasts: Forecasts): Float64Array => {
      const { ranked, distribution } = decide(
        columns.map((k) => predictionOf(forecasts, first, k, candidates[k]!)),
        sample.facts,
        policy,
        forecasts.outOfDomain[first]!,
        0,
        { mix },
      );
      const out = new Float64Array(models.length);
      ranked.forEach(({ model }, r) => {
        out[place.get(model)!] = distribution[r]!;
      });
      return out;
    };
    return {
      sample,
      models,
      logging: Float64Array.from(logging),
      sampled: place.get(sample.sampled) ?? -1,
      old: probabilities(before),
      fresh: probabilities(after),
      quality: Float64Array.from(columns, (k) => after.quality[first * after.count + k]!),
      costUsd: Float64Array.from(columns, (k) =>
        expectedCostUsd(candidates[k]!, sample.facts, after.outputTokens[first * after.count + k]!),
      ),
    };
  });
}

function predictionOf(forecasts: Forecasts, i: number, k: number, candidate: Candidate): CandidatePrediction {
  const at = i * forecasts.count + k;
  return {
    candidate,
    like: candidate.id,
    quality: forecasts.quality[at]!,
    qualitySd: 0, // no rule reads it
    meanQuality: forecasts.meanQuality[at]!,
    outputTokens: forecasts.outputTokens[at]!,
  };
}

/** Mean over units of Σₐ π(a) v(a). */
function expected(policy: readonly Float64Array[], values: readonly Float64Array[]): number {
  const rows = directMethodRows(policy, values);
  return rows.reduce((a, b) => a + b, 0) / rows.length;
}

/** What sessions cost by the calls that answered, where nearly all is known; a unit of which nothing is corrects nothing. */
function costsOf(
  samples: readonly Sample[],
  units: readonly SessionUnit[],
  choices: readonly Choice[],
): PairedRewards | null {
  const of = unitMeans(
    units,
    samples.map(({ costUsd }) => costUsd ?? Number.NaN),
  );
  const without = of.reduce((count, usd) => count + (Number.isNaN(usd) ? 1 : 0), 0);
  if (without > MOST_WITHOUT_COST * of.length) return null;
  choices.forEach(({ sampled, costUsd }, u) => {
    if (Number.isNaN(of[u]!)) of[u] = sampled < 0 ? 0 : costUsd[sampled]!;
  });
  return { of, forecasts: choices.map(({ costUsd }) => costUsd) };
}

function movedToUnknown(choices: readonly Choice[], log: readonly Sample[]): number {
  const answers = new Map<string, number>();
  // Hints judge nothing.
  for (const { executed, kind } of log) if (kind === 'verdict') answers.set(executed, (answers.get(executed) ?? 0) + 1);
  let moved = 0;
  for (const { models, old, fresh } of choices) {
    models.forEach((model, a) => {
      if ((answers.get(model) ?? 0) < KNOWN_FROM) moved += Math.max(0, fresh[a]! - old[a]!);
    });
  }
  return moved / choices.length;
}

function latencyOf(choices: readonly Choice[], log: readonly Sample[]): ValueComparison['latency'] {
  const totals = new Map<string, { sum: number; count: number }>();
  for (const { executed, latencyMs } of log) {
    if (latencyMs === null) continue;
    const { sum, count } = totals.get(executed) ?? { sum: 0, count: 0 };
    totals.set(executed, { sum: sum + latencyMs, count: count + 1 });
  }
  const meanMs = (policy: 'old' | 'fresh'): number | null => {
    let sum = 0;
    let mass = 0;
    for (const choice of choices) {
      choice.models.forEach((model, a) => {
        const total = totals.get(model);
        if (total === undefined || total.count < KNOWN_FROM) return;
        sum += (choice[policy][a]! * total.sum) / total.count;
        mass += choice[policy][a]!;
      });
    }
    return mass < LEAST_TIMED * choices.length ? null : sum / mass;
  };
  const oldMs = meanMs('old');
  const newMs = meanMs('fresh');
  return oldMs === null || newMs === null ? null : { oldMs, newMs };
}
