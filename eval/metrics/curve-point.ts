/** A cost-quality curve: what a router reached at each of its settings. Shared by the metrics that read one. */

export interface CurvePoint {
  /** Mean cost of a prompt, USD, ≥ 0. */
  readonly costUsd: number;
  /** Mean quality, in [0, 1]. */
  readonly quality: number;
}

/** Points by rising cost; of equal cost the better one last. */
export const byCost = <P extends CurvePoint>(points: readonly P[]): P[] =>
  [...points].sort((a, b) => a.costUsd - b.costUsd || a.quality - b.quality);

/**
 * The curve between its points: linear in cost, because mixing two settings at random reaches every point of
 * the line between them; level beyond both ends. `sorted` is by rising cost and not empty.
 */
export function qualityAt(sorted: readonly CurvePoint[], costUsd: number): number {
  const first = sorted[0]!;
  if (costUsd <= first.costUsd) return lastAt(sorted, first.costUsd).quality;
  for (let i = 1; i < sorted.length; i++) {
    const b = sorted[i]!;
    if (b.costUsd < costUsd) continue;
    const a = sorted[i - 1]!;
    if (b.costUsd === costUsd) return lastAt(sorted, costUsd).quality;
    return a.quality + ((b.quality - a.quality) * (costUsd - a.costUsd)) / (b.costUsd - a.costUsd);
  }
  return sorted.at(-1)!.quality;
}

/** Of several points at one cost, the last and best. */
const lastAt = (sorted: readonly CurvePoint[], costUsd: number): CurvePoint =>
  sorted.findLast((p) => p.costUsd === costUsd)!;
