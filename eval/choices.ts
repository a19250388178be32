/** What a router chose: how often it left the zero router's path, and whether its predictions held where it chose. */
import type { Frozen, Measurement, SettingOutcome } from './contender.ts';
import type { Part } from './part.ts';

export interface MeasuredPart {
  readonly frozen: Frozen;
  readonly measurement: Measurement;
}

/**
 * Share of prompts that go to another model than with the zero router, at the same operating point, averaged
 * over the points: 1 − Σ_j min(π_j, π⁰_j) of the two mixes.
 * @returns sum over prompts, so that parts can be pooled; null where a router has no such choices
 */
export function differenceSum(router: MeasuredPart, zero: MeasuredPart): number | null {
  const { points } = router.frozen;
  if (points.length !== zero.frozen.points.length) return null;
  let sum = 0;
  for (let k = 0; k < points.length; k++) {
    const a = mixAt(router, k);
    const b = mixAt(zero, k);
    if (!a || !b) return null;
    for (let i = 0; i < a.first.length; i++) {
      const j = a.first[i]!;
      const j2 = a.second[i]!;
      const share = (model: number) =>
        (b.first[i] === model ? 1 - b.weight : 0) + (b.second[i] === model ? b.weight : 0);
      sum += 1 - (j === j2 ? share(j) : Math.min(1 - a.weight, share(j)) + Math.min(a.weight, share(j2)));
    }
  }
  return sum / points.length;
}

/** Over all points: mean prediction for what was chosen and mean outcome, each summed over prompts. */
export function chosenSums(router: MeasuredPart, part: Part): { predicted: number; observed: number } | null {
  const { predicted } = router.measurement;
  if (!predicted) return null;
  const m = part.table.modelIds.length;
  const { points } = router.frozen;
  const sums = { predicted: 0, observed: 0 };
  const add = (choice: Int16Array, weight: number) => {
    for (let i = 0; i < choice.length; i++) {
      const at = i * m + choice[i]!;
      if (Number.isNaN(predicted[at]!)) continue;
      sums.predicted += weight * predicted[at]!;
      sums.observed += weight * part.table.quality[at]!;
    }
  };
  for (let k = 0; k < points.length; k++) {
    const mix = mixAt(router, k);
    if (!mix) return null;
    add(mix.first, (1 - mix.weight) / points.length);
    add(mix.second, mix.weight / points.length);
  }
  return sums;
}

function mixAt({ frozen, measurement }: MeasuredPart, k: number) {
  const point = frozen.points[k]!;
  const choiceOf = (s: number): SettingOutcome['choice'] => measurement.outcomes.get(s)!.choice;
  const first = choiceOf(point.a);
  const second = choiceOf(point.b);
  return first && second && { first, second, weight: point.weight };
}
