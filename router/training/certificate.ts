/** Proof, on groups used for nothing else, that a tolerance keeps the reference model's quality. */
import { hashFraction, type OutcomeTable } from '../../datasets/index.ts';
import type { HeadPredictions } from '../heads/heads.ts';
import { type Certificate, priceBook } from '../policy/certificate.ts';
import { lowerBound } from './certificate-bound.ts';
import { GRID, KEEP, type Pool, plainRule, poolsOf, routeRow } from './choose-tolerance.ts';

const DELTA = 0.05;

/**
 * Tolerances are tested in the order of the grid, each at the whole level δ, up to the first that fails: a fixed
 * sequence needs no correction for their number (Maurer et al. 1995). One prompt of each group, drawn by hash,
 * since those of one group are not independent; all sources together, in proportion to their groups.
 *
 * @param part      the certificate part
 * @param predicted of its prompts, qualities as the decision rule believes them
 * @param training  tells each source's reference model
 * @param rule      share of exploration and the score beyond which the router abstains, as shipped
 * @returns null where no source has priced models and enough prompts
 */
export function certify(
  part: OutcomeTable,
  predicted: HeadPredictions,
  training: OutcomeTable,
  rule: { readonly exploration: number; readonly maxOutOfDomain: number },
): Certificate | null {
  const pools = poolsOf(part, training);
  const rows = onePerGroup(part, pools);
  if (rows.length === 0) return null;
  const grid: Certificate['grid'] = [];
  let tolerance: number | null = null;
  let failed = false;
  for (const value of GRID) {
    if (failed) {
      grid.push({ tolerance: value, bound: null, pass: false });
      continue;
    }
    const excess = rows.map(({ pool, row }) => {
      const routed = routeRow(part, predicted, pool, row, plainRule(value, rule.exploration))!;
      return routed.quality - KEEP * routed.reference.quality;
    });
    // From [−κ, 1] to [0, 1] and back.
    const bound =
      lowerBound(
        Float64Array.from(excess, (x) => (x + KEEP) / (1 + KEEP)),
        DELTA,
      ) *
        (1 + KEEP) -
      KEEP;
    const pass = bound >= 0;
    grid.push({ tolerance: value, bound: Number(bound.toFixed(5)), pass });
    if (pass) tolerance = value;
    else failed = true;
  }
  const far = rows.filter(({ row }) => predicted.outOfDomain[row]! > rule.maxOutOfDomain).length;
  return {
    keep: KEEP,
    delta: DELTA,
    method: 'betting lower bound (Waudby-Smith & Ramdas 2024), one prompt per group, fixed sequence from 0 upward',
    tolerance,
    grid,
    ...rule,
    groups: rows.length,
    sources: pools.flatMap((pool) => {
      const groups = rows.filter((r) => r.pool === pool).length;
      return groups === 0 ? [] : [{ source: pool.source, groups, ...models(part, pool) }];
    }),
    outOfDomainShare: far / rows.length,
    maxOutOfDomainShare: upperShare(far, rows.length),
  };
}

/** In an order that depends on nothing but the groups' names. */
function onePerGroup(part: OutcomeTable, pools: readonly Pool[]): { pool: Pool; row: number }[] {
  const m = part.modelIds.length;
  const chosen = new Map<string, { pool: Pool; row: number; place: number }>();
  for (const pool of pools) {
    for (const row of pool.rows) {
      if (Number.isNaN(part.quality[row * m + pool.reference]!)) continue;
      const { id, groupId } = part.prompts[row]!;
      const place = hashFraction(`certificate:${id}`);
      const other = chosen.get(groupId);
      if (other === undefined || place < other.place) chosen.set(groupId, { pool, row, place });
    }
  }
  return [...chosen.values()].sort((a, b) => a.place - b.place || a.row - b.row);
}

function models(part: OutcomeTable, pool: Pool) {
  const ids = pool.columns.map((j) => part.modelIds[j]!);
  const infos = ids.map((id) => part.models[id]!);
  return {
    reference: part.modelIds[pool.reference]!,
    pool: ids,
    priceBook: priceBook(
      ids.map((model, k) => ({
        model,
        inputUsdPerMTok: infos[k]!.inputUsdPerMTok!,
        outputUsdPerMTok: infos[k]!.outputUsdPerMTok!,
      })),
    ),
    pricesFrom: [...new Set(infos.flatMap(({ priceFrom }) => priceFrom?.split('#')[0] ?? []))].sort(),
  };
}

/** Upper end of a 95 % one-sided interval of a share (Wilson 1927). */
function upperShare(count: number, n: number): number {
  const z = 1.645;
  const p = count / n;
  const spread = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return Math.min(1, (p + (z * z) / (2 * n) + spread) / (1 + (z * z) / n));
}
