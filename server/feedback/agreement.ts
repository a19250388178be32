/** Teams whose verdicts say the opposite of what everybody else’s say: by mistake or by design, they are weighed down. */
import { seededRandom } from '../../datasets/index.ts';
import type { Sample } from '../learning/log.ts';

/** Learns from some samples and forecasts the quality of others, in [0, 1]; length and order of `asked`. */
export type Forecast<S> = (learnedFrom: readonly S[], asked: readonly S[]) => ArrayLike<number>;

export interface TeamAgreement {
  readonly tenant: string;
  readonly samples: number;
  /** Covariance of its verdicts with forecasts that never saw one of them, in standard errors; −2 and below: it contradicts. */
  readonly z: number;
  readonly contradicts: boolean;
}

export interface Agreement {
  /** Teams that could be judged, worst first. */
  readonly teams: readonly TeamAgreement[];
  /** What to multiply the weight of each sample by: 1, or {@link CONTRADICTED} for a team that contradicts. */
  readonly multipliers: Float64Array;
}

/** What the weight of a team that contradicts is multiplied by: it is heard, should it be right, but it does not steer. */
export const CONTRADICTED = 0.05;
/** An honest team lies well above 0; one whose verdicts are chance lies around it, and is taken for contrary once in fifty times. */
const CLEARLY = -2;
/** Fewer judged answers show nothing. */
const FEWEST = 30;
/** Fits that are made to judge all teams, and samples that each learns from: this is a check, not the router. */
const FOLDS = 4;
const MOST_LEARNED = 4000;

/**
 * Judges each team by the others:
 *
 *     z = Σg ag / √(Σg ag²),   ag = Σ over the samples i of group g of (yᵢ − ȳ)(pᵢ − p̄)
 *
 * with y the team's verdicts, p forecasts from other teams' verdicts, and means over the team: a strict team whose
 * verdicts are all lower agrees as well as a kind one. Only a team that the others outweigh two to one is judged, so that
 * a few cannot overrule the many; teams that collude and are the many are beyond this.
 *
 * @param weights that are learned with; default: the samples' own
 * @see for the standard error: sums over sessions are independent, samples within one are not (Liang & Zeger 1986)
 */
export function teamAgreement<S extends Pick<Sample, 'tenant' | 'group' | 'quality' | 'weight'>>(
  samples: readonly S[],
  forecast: Forecast<S>,
  seed: number,
  weights: ArrayLike<number> = samples.map(({ weight }) => weight),
): Agreement {
  const multipliers = new Float64Array(samples.length).fill(1);
  const weightOf = new Map<string, number>();
  const rowsOf = new Map<string, S[]>();
  let total = 0;
  samples.forEach((sample, i) => {
    const { tenant } = sample;
    if (!(weights[i]! > 0)) return;
    weightOf.set(tenant, (weightOf.get(tenant) ?? 0) + weights[i]!);
    total += weights[i]!;
    const rows = rowsOf.get(tenant);
    if (rows === undefined) rowsOf.set(tenant, [sample]);
    else rows.push(sample);
  });
  const judged = [...rowsOf.keys()].filter(
    (tenant) => rowsOf.get(tenant)!.length >= FEWEST && weightOf.get(tenant)! * 3 <= total * (1 + 1e-9),
  );
  const random = seededRandom(seed);
  const teams: TeamAgreement[] = [];
  for (const fold of foldsOf(judged, weightOf)) {
    const others = samples.filter(({ tenant }, i) => !fold.includes(tenant) && weights[i]! > 0);
    if (others.length === 0) continue;
    const asked = fold.flatMap((tenant) => rowsOf.get(tenant)!);
    const forecasts = forecast(some(others, MOST_LEARNED, random), asked);
    let at = 0;
    for (const tenant of fold) {
      const rows = rowsOf.get(tenant)!;
      const p = Float64Array.from({ length: rows.length }, (_, i) => forecasts[at + i]!);
      at += rows.length;
      const z = agreementOf(rows, p);
      teams.push({ tenant, samples: rows.length, z, contradicts: z <= CLEARLY });
    }
  }
  teams.sort((a, b) => a.z - b.z);
  const contrary = new Set(teams.filter(({ contradicts }) => contradicts).map(({ tenant }) => tenant));
  samples.forEach(({ tenant }, i) => {
    if (contrary.has(tenant)) multipliers[i] = CONTRADICTED;
  });
  return { teams, multipliers };
}

/** Teams, heaviest first, each to the lightest fold: what a fold is judged by is most of the log. */
function foldsOf(tenants: readonly string[], weightOf: ReadonlyMap<string, number>): string[][] {
  const folds = Array.from({ length: Math.min(FOLDS, tenants.length) }, () => ({ weight: 0, tenants: [] as string[] }));
  for (const tenant of [...tenants].sort((a, b) => weightOf.get(b)! - weightOf.get(a)! || (a < b ? -1 : 1))) {
    const lightest = folds.reduce((a, b) => (b.weight < a.weight ? b : a));
    lightest.tenants.push(tenant);
    lightest.weight += weightOf.get(tenant)!;
  }
  return folds.map((fold) => fold.tenants);
}

/** 0 where nothing varies. */
function agreementOf(rows: readonly Pick<Sample, 'group' | 'quality'>[], p: Float64Array): number {
  const meanY = rows.reduce((sum, { quality }) => sum + quality, 0) / rows.length;
  const meanP = p.reduce((a, b) => a + b, 0) / rows.length;
  const byGroup = new Map<string, number>();
  rows.forEach(({ group, quality }, i) => {
    byGroup.set(group, (byGroup.get(group) ?? 0) + (quality - meanY) * (p[i]! - meanP));
  });
  let sum = 0;
  let squares = 0;
  for (const a of byGroup.values()) {
    sum += a;
    squares += a * a;
  }
  return squares > 0 ? sum / Math.sqrt(squares) : 0;
}

/** As many of them as that, each set alike likely, in their order. */
function some<S>(rows: readonly S[], most: number, random: () => number): readonly S[] {
  if (rows.length <= most) return rows;
  let wanted = most;
  return rows.filter((_, i) => {
    if (random() * (rows.length - i) >= wanted) return false;
    wanted--;
    return true;
  });
}
