/**
 * The operating point: where a router is run when it is asked to keep a share of the baseline's quality. It is chosen
 * on the training part alone, so what it costs and reaches on the test part is what an operator would have got.
 */
import type { Frozen } from './contender.ts';

/** A setting and the share of prompts that go by it. */
export interface SettingShare {
  readonly setting: number;
  /** In (0, 1]. */
  readonly share: number;
}

/** Shares of the baseline's quality that a router is asked to keep. */
export const KEEP_SHARES = [0.95, 0.98, 1] as const;
/** The one that single-point figures, slices and the list of errors are read at. */
export const OPERATING_SHARE = 0.98;

/** Two neighbouring frozen points and how much of the second: the cheapest mix that keeps the target in training. */
export interface PointMix {
  readonly a: number;
  readonly b: number;
  readonly weight: number;
}

/** @returns null where no frozen point keeps so much on the training part */
export function cheapestKeeping({ points, baselineQuality }: Frozen, share: number): PointMix | null {
  const target = share * baselineQuality;
  const b = points.findIndex((p) => p.trainQuality >= target - 1e-9);
  if (b < 0) return null;
  const a = Math.max(0, b - 1);
  const rise = points[b]!.trainQuality - points[a]!.trainQuality;
  const weight = rise > 0 ? Math.min(1, (target - points[a]!.trainQuality) / rise) : 1;
  return { a, b, weight };
}

/** The settings behind a mix of frozen points, each once; shares sum to 1. */
export function settingShares({ points }: Frozen, { a, b, weight }: PointMix): SettingShare[] {
  const shares = new Map<number, number>();
  const add = (setting: number, share: number) => {
    if (share > 0) shares.set(setting, (shares.get(setting) ?? 0) + share);
  };
  for (const [at, part] of [
    [a, 1 - weight],
    [b, weight],
  ] as const) {
    const point = points[at]!;
    add(point.a, part * (1 - point.weight));
    add(point.b, part * point.weight);
  }
  return [...shares].map(([setting, share]) => ({ setting, share }));
}

/** The frozen point of greatest utility q − λ c on the training part. */
export function bestPointAt({ points }: Frozen, qualityPerUsd: number): number {
  let best = 0;
  const utility = (k: number) => points[k]!.trainQuality - qualityPerUsd * points[k]!.trainCostUsd;
  for (let k = 1; k < points.length; k++) if (utility(k) > utility(best)) best = k;
  return best;
}
