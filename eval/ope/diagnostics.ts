/** Whether a log can say anything about another policy: how much of it counts, and what it never tried. */
import { RoutingError } from '../../datasets/index.ts';

/** Logged this rarely or less often, an action is as good as untried. */
export const THIN_PROPENSITY = 0.01;

export interface Diagnostics {
  readonly rows: number;
  readonly sessions: number;
  /** (Σw)² / Σw², in [1, n]: rows of weight 1 that would say as much. */
  readonly effectiveRows: number;
  readonly maxWeight: number;
  /** Mean of w, 1 − `impossible` up to chance when propensities are right and no row is missing. */
  readonly meanWeight: number;
  /**
   * Its standard error: over sessions as observed, or as the logged probabilities have it, whichever is greater. A log
   * that drew no rare model shows no spread, though there was some to come.
   */
  readonly meanWeightSe: number;
  /** (mean w − (1 − `impossible`)) / SE; null where no weight can differ from another. Beyond ±2 something is wrong. */
  readonly meanWeightZ: number | null;
  /** Share of the policy's mass on actions whose propensity was under {@link THIN_PROPENSITY}, 0 included. */
  readonly thin: number;
  /** Of it, the share on actions that could not have been drawn on that row: propensity 0. */
  readonly impossible: number;
  /** Share of the policy's mass on models that the whole log never drew. */
  readonly neverLogged: number;
  /** Share of rows that would get another model: mean of Σₐ max(0, π − π_b). */
  readonly differs: number;
}

export interface DiagnosticsInput {
  /** wᵢ; length n. */
  readonly weights: Float64Array;
  /** Unit of each row, from 0; length n. */
  readonly sessions: ArrayLike<number>;
  /** n rows of the models that could be drawn there. */
  readonly models: readonly (readonly string[])[];
  /** π(a|xᵢ) in the same order. */
  readonly target: readonly ArrayLike<number>[];
  /** π_b(a|xᵢ) in the same order. */
  readonly logging: readonly ArrayLike<number>[];
  /** Models that were drawn at least once. */
  readonly drawn: ReadonlySet<string>;
}

/**
 * The standard error of the mean weight is the greater of
 *
 *     √(G/(G−1) Σ_g (Σ_{i∈g} (wᵢ − w̄))²) / n,    √(Σᵢ Var(w | xᵢ)) / n
 *     Var(w | x) = Σₐ π(a|x)² / π_b(a|x) − (Σₐ π(a|x))²,   sums over a with π_b(a|x) > 0
 *
 * with G sessions g; the second holds for draws that are independent, given their rows.
 *
 * @throws `UNDEFINED_METRIC` when there is no row, or the policy takes no logged action (Σw = 0)
 * @see Owen, "Monte Carlo theory, methods and examples", 2013, §9.3, for the effective sample size;
 *      Sachdeva, Su & Joachims, "Off-policy Bandits with Deficient Support", KDD 2020, for the support
 */
export function diagnose(input: DiagnosticsInput): Diagnostics {
  const { weights, sessions, models, target, logging, drawn } = input;
  const n = weights.length;
  if (n === 0) throw new RoutingError('UNDEFINED_METRIC', 'diagnostics: there is no row');
  const bySession = new Map<number, { weight: number; rows: number }>();
  let sum = 0;
  let squares = 0;
  let maxWeight = 0;
  weights.forEach((w, i) => {
    sum += w;
    squares += w * w;
    maxWeight = Math.max(maxWeight, w);
    const session = bySession.get(sessions[i]!) ?? { weight: 0, rows: 0 };
    bySession.set(sessions[i]!, { weight: session.weight + w, rows: session.rows + 1 });
  });
  if (sum === 0) {
    throw new RoutingError('UNDEFINED_METRIC', 'diagnostics: the policies share no action');
  }
  let thin = 0;
  let impossible = 0;
  let neverLogged = 0;
  let differs = 0;
  let expectedSquares = 0;
  for (let i = 0; i < n; i++) {
    expectedSquares += weightVariance(target[i]!, logging[i]!);
    models[i]!.forEach((model, a) => {
      const p = target[i]![a]!;
      const logged = logging[i]![a]!;
      if (logged < THIN_PROPENSITY) thin += p / n;
      if (logged === 0) impossible += p / n;
      if (!drawn.has(model)) neverLogged += p / n;
      differs += Math.max(0, p - logged) / n;
    });
  }
  const meanWeight = sum / n;
  let variance = 0;
  for (const { weight, rows } of bySession.values()) variance += (weight - meanWeight * rows) ** 2;
  const g = bySession.size;
  const observedSquares = g > 1 ? (variance * g) / (g - 1) : 0;
  const meanWeightSe = Math.sqrt(Math.max(observedSquares, expectedSquares)) / n;
  return {
    rows: n,
    sessions: g,
    effectiveRows: (sum * sum) / squares,
    maxWeight,
    meanWeight,
    meanWeightSe,
    meanWeightZ: meanWeightSe > 1e-12 ? (meanWeight - (1 - impossible)) / meanWeightSe : null,
    thin,
    impossible,
    neverLogged,
    differs,
  };
}

/** Var(w | x) as Σ (π − s π_b)² / π_b with s = Σ π: the same where Σ π_b = 1, and exactly 0 where π = π_b. */
function weightVariance(target: ArrayLike<number>, logging: ArrayLike<number>): number {
  let s = 0;
  for (let a = 0; a < logging.length; a++) if (logging[a]! > 0) s += target[a]!;
  let variance = 0;
  for (let a = 0; a < logging.length; a++) {
    if (logging[a]! > 0) variance += (target[a]! - s * logging[a]!) ** 2 / logging[a]!;
  }
  return variance;
}

/** Why an estimate may not be trusted. */
export interface Flag {
  readonly code: 'no-overlap' | 'few-effective-rows' | 'mean-weight' | 'deterministic-log' | 'few-sessions' | 'own-log';
  readonly message: string;
}

/** An estimate that rests on forecasts for more than this much of its mass is a forecast. */
const MOST_THIN = 0.02;
const LEAST_EFFECTIVE_ROWS = 200;
const LEAST_EFFECTIVE_SHARE = 0.05;
/** Fewer resampled units than this make no interval. */
const LEAST_SESSIONS = 30;
/** Below it a policy is the one that logged, whose value is a plain mean and needs no weights. */
export const SAME_POLICY = 1e-9;

/** Limits as printed: `max(200, 5 % n)`. */
export const effectiveRowsNeeded = (rows: number): number =>
  Math.max(LEAST_EFFECTIVE_ROWS, LEAST_EFFECTIVE_SHARE * rows);

/**
 * What speaks against an estimate, in plain words; none: nothing that these figures show.
 * @param deterministicShare share of rows on which nothing was left to chance, in [0, 1]
 */
export function flagsOf(d: Diagnostics, deterministicShare: number): Flag[] {
  const flags: Flag[] = [];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const isLogging = d.differs < SAME_POLICY;
  if (!isLogging && deterministicShare > 0.5) {
    flags.push({
      code: 'deterministic-log',
      message: `on ${percent(deterministicShare)} of the rows nothing was left to chance, so the log says nothing of other choices there`,
    });
  }
  if (d.thin > MOST_THIN) {
    const never = d.neverLogged > 0 ? `, ${percent(d.neverLogged)} on models that it never drew` : '';
    flags.push({
      code: 'no-overlap',
      message: `no overlap: ${percent(d.thin)} of its choices are ones the log made with a probability under ${THIN_PROPENSITY}${never}`,
    });
  }
  const needed = effectiveRowsNeeded(d.rows);
  if (!isLogging && d.effectiveRows < needed) {
    flags.push({
      code: 'few-effective-rows',
      message: `only ${Math.floor(d.effectiveRows)} effective rows of ${d.rows}; ${Math.ceil(needed)} are needed`,
    });
  }
  const expected = 1 - d.impossible;
  // Propensities agree with their distribution up to 1e-6: less than that is rounding.
  const off = Math.abs(d.meanWeight - expected) > 1e-6 && (d.meanWeightZ === null || Math.abs(d.meanWeightZ) > 2);
  if (off) {
    flags.push({
      code: 'mean-weight',
      message: `mean weight ${d.meanWeight.toFixed(3)} ± ${(2 * d.meanWeightSe).toFixed(3)} is not ${Number(expected.toFixed(3))}: propensities are wrong, or rows are missing`,
    });
  }
  if (d.sessions < LEAST_SESSIONS) {
    flags.push({
      code: 'few-sessions',
      message: `${d.sessions} sessions are too few for an interval; ${LEAST_SESSIONS} are needed`,
    });
  }
  return flags;
}
