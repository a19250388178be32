/** Quality where people judge some answers rather than others: a point only where chance alone chose answers to be audited. */
import { deriveSeed, RoutingError, seededRandom, shuffled } from '../../datasets/index.ts';
import type { Estimate } from '../result.ts';
import { ratioEstimates, unitsOf } from './ratio-interval.ts';

/** An answer, judged or not. */
export interface FeedbackRow {
  /** Session, or the answer itself: rows of one group are not independent. */
  readonly group: string;
  readonly model: string;
  /** What its user said of it, in [0, 1]; null: nothing. */
  readonly feedback: number | null;
  /** Probability with which it was drawn for an audit, whatever it was worth and whatever was said, in [0, 1]. */
  readonly auditProbability: number;
  /** What the audit found, in [0, 1]; null: it was not drawn. */
  readonly audit: number | null;
}

export interface MissingFeedbackOptions {
  /** wᵢ ≥ 0 of each row, such as π(aᵢ|xᵢ) / π_b(aᵢ|xᵢ) for another policy than the one that logged. Default: 1. */
  readonly weights?: Float64Array;
  readonly folds?: number;
  readonly replicates?: number;
  readonly seed?: number;
}

/** Between these the quality lies whatever the unjudged answers are worth. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

interface Known {
  /** If what was said is right: all unjudged answers worthless, or all perfect. */
  readonly bounds: Bounds;
  readonly rows: number;
  /** Share of the rows with feedback, by weight. */
  readonly observed: number;
  readonly audits: number;
}

/** A point exists in the one case and not in the other, so that nobody can print one that is none. */
export type MissingFeedback =
  | (Known & { readonly kind: 'audited'; readonly quality: Estimate })
  | (Known & { readonly kind: 'bounds'; readonly why: string });

/** Fewer audits make no interval; nothing is estimated from them. */
export const LEAST_AUDITS = 30;

/**
 * Mean quality by double sampling: everybody's answer has what is known anyway, few chosen by chance have the truth.
 *
 *     V = Σ wᵢ (mᵢ + (Aᵢ / pᵢ) (qᵢ − mᵢ)) / Σ wᵢ
 *
 * mᵢ forecasts the audit's verdict from what is always known, the model, whether feedback came and what it said: mean of
 * the audits of that kind and model, pulled to those of that kind, and these to all, fitted on other sessions' audits
 * (K folds). Aᵢ = 1 for an answer that was audited, pᵢ the probability with which it would be. Since p is known, V is
 * right on average however poor the forecast and whoever complains; a good forecast makes it vary less.
 *
 * Without audits there is nothing to correct by, and what remains are Manski's bounds:
 *
 *     [Σ wᵢ oᵢ fᵢ, Σ wᵢ (oᵢ fᵢ + 1 − oᵢ)] / Σ wᵢ,    oᵢ = 1 where feedback fᵢ came
 *
 * @returns `audited` with a 95 % interval by session, from {@link LEAST_AUDITS} audits on; else `bounds`
 * @throws `UNDEFINED_METRIC` without a row or weight, for a number out of its range, or for an audit that could not have been
 * @see Neyman, "Contribution to the Theory of Sampling Human Populations", JASA 1938, for double sampling;
 *      Robins, Rotnitzky & Zhao, "Estimation of Regression Coefficients When Some Regressors Are Not Always Observed",
 *      JASA 1994, for the estimator; Manski, "Nonparametric Bounds on Treatment Effects", American Economic Review 1990
 */
export function missingFeedback(rows: readonly FeedbackRow[], options: MissingFeedbackOptions = {}): MissingFeedback {
  const { weights = new Float64Array(rows.length).fill(1), folds = 5, replicates = 1000, seed = 0 } = options;
  check(rows, weights);
  const total = weights.reduce((a, b) => a + b, 0);
  if (!(total > 0)) throw new RoutingError('UNDEFINED_METRIC', 'missing feedback: no row has a weight');
  let said = 0;
  let observed = 0;
  rows.forEach(({ feedback }, i) => {
    if (feedback === null) return;
    said += (weights[i]! * feedback) / total;
    observed += weights[i]! / total;
  });
  const audits = rows.filter(({ audit }) => audit !== null).length;
  const known = { bounds: { low: said, high: said + 1 - observed }, rows: rows.length, observed, audits };
  const unreachable = rows.findIndex(({ auditProbability }, i) => auditProbability === 0 && weights[i]! > 0);
  if (unreachable >= 0) {
    return { ...known, kind: 'bounds', why: `row ${unreachable} could not have been drawn for an audit` };
  }
  if (audits < LEAST_AUDITS) return { ...known, kind: 'bounds', why: `${audits} audits, ${LEAST_AUDITS} are needed` };
  const forecast = crossFitted(rows, folds, seed);
  const corrected = Float64Array.from(rows, ({ audit, auditProbability }, i) => {
    const m = forecast[i]!;
    return weights[i]! * (audit === null ? m : m + (audit - m) / auditProbability);
  });
  const units = unitsOf(rows.map(({ group }) => group));
  const [quality] = ratioEstimates(
    [{ ratios: [{ numerator: corrected, denominator: weights }], range: [0, 1] }],
    units,
    {
      replicates,
      seed,
    },
  );
  return { ...known, kind: 'audited', quality: quality! };
}

/** Audits that a mean is pulled by to the one above it. */
const PRIOR_AUDITS = 5;
/** What was said, as coarse as audits of it are few: nothing, or which third of the scale. */
const saidOf = ({ feedback }: FeedbackRow): string =>
  feedback === null ? 'nothing' : String(Math.min(2, Math.floor(3 * feedback)));

/** mᵢ, by audits of other sessions. */
function crossFitted(rows: readonly FeedbackRow[], folds: number, seed: number): Float64Array {
  const groups = [...new Set(rows.map(({ group }) => group))].sort();
  const k = Math.max(1, Math.min(folds, groups.length));
  const order = shuffled(groups, seededRandom(deriveSeed(seed, 'audit folds')));
  const foldOf = new Map(order.map((group, at) => [group, at % k]));
  const fold = rows.map(({ group }) => foldOf.get(group)!);
  const means = Array.from({ length: k }, (_, f) =>
    auditMeans(rows.filter(({ audit }, i) => audit !== null && fold[i] !== f)),
  );
  return Float64Array.from(rows, (row, i) => means[fold[i]!]!(row));
}

function auditMeans(audited: readonly FeedbackRow[]): (row: FeedbackRow) => number {
  const totals = new Map<string, { sum: number; count: number }>();
  const add = (key: string, audit: number) => {
    const { sum, count } = totals.get(key) ?? { sum: 0, count: 0 };
    totals.set(key, { sum: sum + audit, count: count + 1 });
  };
  const kindOf = (row: FeedbackRow) => JSON.stringify([saidOf(row)]);
  const cellOf = (row: FeedbackRow) => JSON.stringify([saidOf(row), row.model]);
  for (const row of audited) for (const key of ['', kindOf(row), cellOf(row)]) add(key, row.audit!);
  const pulled = (key: string, to: number) => {
    const { sum, count } = totals.get(key) ?? { sum: 0, count: 0 };
    return (sum + PRIOR_AUDITS * to) / (count + PRIOR_AUDITS);
  };
  return (row) => pulled(cellOf(row), pulled(kindOf(row), pulled('', 0.5)));
}

function check(rows: readonly FeedbackRow[], weights: Float64Array): void {
  const refuse = (what: string): never => {
    throw new RoutingError('UNDEFINED_METRIC', `missing feedback: ${what}`);
  };
  if (rows.length === 0) refuse('there is no row');
  if (weights.length !== rows.length) refuse(`${weights.length} weights for ${rows.length} rows`);
  const isShare = (x: number) => x >= 0 && x <= 1;
  rows.forEach(({ feedback, audit, auditProbability }, i) => {
    if (feedback !== null && !isShare(feedback)) refuse(`row ${i}: feedback ${feedback} is not in [0, 1]`);
    if (audit !== null && !isShare(audit)) refuse(`row ${i}: audit ${audit} is not in [0, 1]`);
    if (!isShare(auditProbability)) refuse(`row ${i}: auditProbability ${auditProbability} is not in [0, 1]`);
    if (audit !== null && auditProbability === 0) refuse(`row ${i} was audited with a probability of 0`);
    if (!(weights[i]! >= 0 && Number.isFinite(weights[i]!))) refuse(`row ${i}: weight ${weights[i]} is none`);
  });
}
