/** Kinds of traffic for which a router that is better on the whole may be worse: teams, tags, kinds of request, models. */
import { normalQuantile } from '../../eval/ope/normal.ts';
import type { Estimate } from '../../eval/result.ts';
import type { DecisionFacts } from '../../router/decision.ts';

/** A unit of the comparison, as far as slices need to know it. */
export interface SlicedUnit {
  readonly tenant: string;
  readonly tags: readonly string[];
  readonly facts: DecisionFacts;
  /** The model that the router in force would most likely choose. */
  readonly model: string;
}

export interface SliceComparison {
  /** `team search`, `tag code`, `model lab/cheap`, `step plan` … */
  readonly name: string;
  /** No loss beyond the limit may be possible here, where elsewhere none may be shown. */
  readonly isProtected: boolean;
  readonly units: number;
  /** Quality, new − old. */
  readonly quality: Estimate;
}

/** A slice of fewer units says nothing, and as one of many takes from the others' level. */
export const LEAST_SLICE_UNITS = 50;

/**
 * Difference and interval of each slice of at least {@link LEAST_SLICE_UNITS}, and of every protected team:
 *
 *     mean ± z s / √k,   z = Φ⁻¹(1 − α / 2S),   s² = Σ (Δᵢ − mean)² / (k − 1)
 *
 * over its k units, for S slices (Bonferroni): all intervals hold together with a probability of about 1 − α. A slice
 * is by what was known before the draw, so that the estimate is right within it; by the model that answered it would
 * not be.
 *
 * @param differences Δᵢ of each unit, as `eval/ope/difference.ts` gives them
 * @param protectedTeams are listed though the log has no unit of them: then nothing is known
 * @returns by name; of a slice with fewer than two units the ends are null
 */
export function compareSlices(
  units: readonly SlicedUnit[],
  differences: Float64Array,
  protectedTeams: readonly string[],
  alpha = 0.05,
): SliceComparison[] {
  const members = new Map<string, number[]>();
  const guarded = new Set(protectedTeams.map((team) => `team ${team}`));
  for (const name of guarded) members.set(name, []);
  units.forEach((unit, i) => {
    for (const name of new Set(slicesOf(unit))) {
      const list = members.get(name);
      if (list === undefined) members.set(name, [i]);
      else list.push(i);
    }
  });
  const told = [...members].filter(([name, list]) => guarded.has(name) || list.length >= LEAST_SLICE_UNITS);
  const z = normalQuantile(1 - alpha / (2 * Math.max(1, told.length)));
  return told
    .map(([name, list]) => ({
      name,
      isProtected: guarded.has(name),
      units: list.length,
      quality: estimateOf(list, differences, z),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function slicesOf({ tenant, tags, facts, model }: SlicedUnit): string[] {
  const { step, tools, images, responseSchema } = facts;
  const script = facts.script;
  return [
    `team ${tenant}`,
    `model ${model}`,
    ...tags.map((tag) => `tag ${tag}`),
    ...(script === undefined ? [] : [`script ${script}`]),
    ...(step === undefined ? [] : [`step ${step}`]),
    ...(tools > 0 ? ['with tools'] : []),
    ...(images > 0 ? ['with images'] : []),
    ...(responseSchema ? ['with a response schema'] : []),
  ];
}

function estimateOf(list: readonly number[], differences: Float64Array, z: number): Estimate {
  const k = list.length;
  if (k === 0) return { value: null, low: null, high: null };
  let sum = 0;
  for (const i of list) sum += differences[i]!;
  const value = sum / k;
  let squares = 0;
  for (const i of list) squares += (differences[i]! - value) ** 2;
  if (squares === 0) return value === 0 ? { value, low: 0, high: 0 } : { value, low: null, high: null };
  const margin = z * Math.sqrt(squares / (k - 1) / k);
  return { value, low: value - margin, high: value + margin };
}
