/**
 * Logged outcomes → heads refitted from an artifact's own, with the encoder frozen.
 *
 * A log knows one model's answer per prompt, so rows are corrections of what the artifact already
 * predicts. A candidate starts on its own row, or on that of the model it was likened to, or where there is neither as the
 * average model (`refit-start.ts`), and gets
 *
 *     logit p_c = (artifact's logit) + δ_c + s_c · f(z) + v_c · g_c(z)
 *
 * with f learned from all candidates together, g_c from its own answers alone (`refit-factors.ts`), and δ, s, v shrunk
 * to what most candidates show: no evidence, no change. Rows that the log says nothing of stay.
 *
 * An answer's weight is how many answers like it it stands for. It counts in every fit; only where prompts have been
 * (the domain) is a matter of prompts, which a doubtful verdict does not make less real.
 */
import { groupFolds, type OutcomeTable, RoutingError, selectRows } from '../../datasets/index.ts';
import { type Domain, type Heads, predictHeads } from '../heads/heads.ts';
import { withCentres } from './fit-domain.ts';
import { fitRows } from './fit-rows.ts';
import { fitItemFactors } from './item-factors.ts';
import { knownCells } from './known-cells.ts';
import { type CorrectionFactor, ownFactors, sharedFactor, weightOf } from './refit-factors.ts';
import { startingHeads } from './refit-start.ts';

export interface RefitOptions {
  readonly seed: number;
  /** The artifact's model on whose row a candidate starts; its own id where it has a row already. */
  readonly likeOf: (modelId: string) => string | undefined;
  /** Of each row of the table, length n, in [0, ∞); a row of weight 0 is as good as not there. Default: all 1. */
  readonly weights?: Float64Array | undefined;
}

const FOLDS = 5;
/** Fewer labelled prompts than this do not make a place known. */
const MIN_FOR_DOMAIN = 100;
/** Where the spread of corrections starts, in logits. .25 beat .5 on three of three sources with 100 to 3 000 logged answers. */
const START_SPREAD = 0.25;
/**
 * Rounds in which the spread of corrections is learned. Where each candidate has few answers it is found slowly: after 8
 * rounds most of what 60 explored answers said of 23 models was still shrunk away.
 */
const EM = { rounds: 40, settled: 0.002 };

/**
 * @param base  heads of the artifact, always the one first configured: refitting a refit would count its evidence twice
 * @param table logged outcomes, n × c; columns are candidate ids; most cells missing
 * @param z     n × d embeddings by the artifact's encoder
 * @throws `EMPTY_TABLE` without outcomes of weight above 0, `ARTIFACT_MISMATCH` when embeddings have another dimension,
 *         `INVALID_REQUEST` for weights that are not one number ≥ 0 per row
 */
export function refitHeads(base: Heads, table: OutcomeTable, z: Float32Array, options: RefitOptions): Heads {
  const n = table.prompts.length;
  const d = base.dimension;
  if (n === 0) throw new RoutingError('EMPTY_TABLE', 'the log holds no judged answer to learn from');
  if (z.length !== n * d) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `embeddings of ${z.length / n} numbers do not fit heads of dimension ${d}`,
    );
  }
  const { weights } = options;
  if (weights === undefined) return refitWeighted(base, table, z, undefined, options);
  if (weights.length !== n || weights.some((w) => !(w >= 0 && w < Number.POSITIVE_INFINITY))) {
    throw new RoutingError('INVALID_REQUEST', `weights: ${n} numbers of 0 or more are needed, one for each row`);
  }
  const kept = Array.from({ length: n }, (_, i) => i).filter((i) => weights[i]! > 0);
  if (kept.length === n) return refitWeighted(base, table, z, weights, options);
  if (kept.length === 0) throw new RoutingError('EMPTY_TABLE', 'no judged answer has a weight above 0');
  const embeddings = new Float32Array(kept.length * d);
  kept.forEach((i, to) => {
    embeddings.set(z.subarray(i * d, i * d + d), to * d);
  });
  return refitWeighted(
    base,
    selectRows(table, kept),
    embeddings,
    Float64Array.from(kept, (i) => weights[i]!),
    options,
  );
}

/** @param weight of each row, > 0 */
function refitWeighted(
  base: Heads,
  table: OutcomeTable,
  z: Float32Array,
  weight: Float64Array | undefined,
  options: RefitOptions,
): Heads {
  const n = table.prompts.length;
  const d = base.dimension;
  const m = table.modelIds.length;
  const start = startingHeads(base, table.modelIds, options.likeOf);
  const domain = widened(base.domain, z, n, d, options.seed);
  const before = predictHeads({ ...start, domain }, z, n);
  const folds = groupFolds(
    table.prompts,
    Math.min(FOLDS, new Set(table.prompts.map((p) => p.groupId)).size),
    options.seed,
  );

  const known = knownCells(table.quality, n, m);
  const cells = { offset: before.logits, weight, known };

  // What all candidates found easier or harder than predicted.
  const items = fitItemFactors(table.quality, n, m, { factors: 1, seed: options.seed, ...cells });
  const shared = sharedFactor(z, d, items.scores, known, m, folds, weight);
  const x2 = inputs(n, [shared.outOfFold]);
  const prior = (w: number) => ({
    centre: new Float64Array(w),
    learnCentre: Array.from({ length: w }, (_, a) => a),
    spread: new Float64Array(w).fill(START_SPREAD),
    strength: 2,
  });
  const common = fitRows(x2, 2, table.quality, n, m, prior(2), { ...cells, ...EM });

  // What one candidate finds easier or harder than that.
  const evidence = new Float64Array(m);
  const residuals = table.modelIds.map((_, j) => {
    const residual = new Float64Array(n).fill(Number.NaN);
    for (const i of known.rows.subarray(known.columnStart[j]!, known.columnStart[j + 1]!)) {
      const l = before.logits[i * m + j]! + common.rows[j * 2]! + common.rows[j * 2 + 1]! * shared.outOfFold[i]!;
      residual[i] = table.quality[i * m + j]! - 1 / (1 + Math.exp(-l));
      evidence[j]! += weightOf(weight, i);
    }
    return residual;
  });
  const own = ownFactors(z, d, residuals, evidence, folds, weight);
  const x3 = own.map((f) => inputs(n, [shared.outOfFold, f.outOfFold]));
  const fitted = fitRows((j) => x3[j]!, 3, table.quality, n, m, prior(3), { ...cells, ...EM });
  return assemble(base, start, domain, [shared, ...own], fitted, evidence, table, before.outputTokens, weight);
}

/** The artifact's domain and, where the log has been often enough, the places it has been to. */
function widened(domain: Domain, z: Float32Array, n: number, d: number, seed: number): Domain {
  if (n < MIN_FOR_DOMAIN) return domain;
  const known = domain.known && {
    ...domain.known,
    limit: Math.min(
      domain.known.limit,
      Float64Array.from({ length: n }, (_, i) => z[i * d + domain.known!.coordinate]!).sort()[Math.floor(n * 0.01)]!,
    ),
  };
  return { ...withCentres(domain, z, n, d, seed), known };
}

function inputs(n: number, columns: readonly Float64Array[]): Float64Array {
  const w = columns.length + 1;
  const x = new Float64Array(n * w);
  for (let i = 0; i < n; i++) {
    x[i * w] = 1;
    columns.forEach((c, a) => {
      x[i * w + a + 1] = c[i]!;
    });
  }
  return x;
}

/** Base factors, then the shared correction, then one factor for each candidate; base rows keep 0 on the new ones. */
function assemble(
  base: Heads,
  start: Heads,
  domain: Domain,
  added: readonly CorrectionFactor[],
  fitted: { rows: Float64Array; covariance: Float64Array },
  answers: Float64Array,
  table: OutcomeTable,
  expectedTokens: Float32Array,
  weight: Float64Array | undefined,
): Heads {
  const d = base.dimension;
  const total = weight === undefined ? table.prompts.length : weight.reduce((a, b) => a + b);
  const k0 = base.factors.count;
  const k = k0 + added.length;
  const w0 = k0 + 1;
  const w = k + 1;
  const kept = base.modelIds.filter((id) => !table.modelIds.includes(id));
  const modelIds = [...kept, ...table.modelIds];
  const rows = new Float64Array(modelIds.length * w);
  const covariance = new Float64Array(modelIds.length * w * w);
  const tokenRows = new Float64Array(modelIds.length * 2);
  const logSmear = new Float64Array(modelIds.length);
  const evidence = new Float64Array(modelIds.length);

  const copyRow = (from: Heads, j: number, to: number): void => {
    for (let a = 0; a < w0; a++) {
      rows[to * w + a] = from.rows[j * w0 + a]!;
      for (let b = 0; b < w0; b++) covariance[(to * w + a) * w + b] = from.covariance[(j * w0 + a) * w0 + b]!;
    }
    tokenRows.set(from.tokens.rows.subarray(j * 2, j * 2 + 2), to * 2);
    logSmear[to] = from.tokens.logSmear[j]!;
    evidence[to] = from.evidence[j]!;
  };
  kept.forEach((id, to) => {
    copyRow(base, base.modelIds.indexOf(id), to);
  });
  table.modelIds.forEach((_, j) => {
    const to = kept.length + j;
    copyRow(start, j, to);
    const place = [0, k0 + 1, k0 + 2 + j];
    // The log's own posterior replaces the uncertainty of the level it started from.
    for (let a = 0; a < w0; a++)
      for (let b = 0; b < w0; b++) if (a === 0 || b === 0) covariance[(to * w + a) * w + b] = 0;
    place.forEach((p, a) => {
      rows[to * w + p]! += fitted.rows[j * 3 + a]!;
      place.forEach((q, b) => {
        covariance[(to * w + p) * w + q] = fitted.covariance[(j * 3 + a) * 3 + b]!;
      });
    });
    tokenRows[to * 2]! += lengthCorrection(table, expectedTokens, j, weight);
    evidence[to] = answers[j]!;
  });

  const noRegions = base.regions.names.map(() => 0);
  const concat = (from: Float64Array, more: readonly number[]): Float64Array => Float64Array.from([...from, ...more]);
  return {
    modelIds,
    dimension: d,
    regions: base.regions,
    factors: {
      count: k,
      weights: concat(
        base.factors.weights,
        added.flatMap((f) => [...f.weights, ...noRegions]),
      ),
      bias: concat(
        base.factors.bias,
        added.map((f) => f.bias),
      ),
      limits: concat(
        base.factors.limits,
        added.flatMap(({ outOfFold }) => [
          outOfFold.reduce((a, b) => Math.min(a, b)), // a log is too long to spread into arguments
          outOfFold.reduce((a, b) => Math.max(a, b)),
        ]),
      ),
      variance: concat(
        base.factors.variance,
        added.map((f) => Math.min(1, d / total) * f.unexplained),
      ),
    },
    rows,
    covariance,
    tokens: { ...base.tokens, rows: tokenRows, logSmear },
    domain,
    evidence,
  };
}

/** Logarithm of mean actual over mean expected tokens of a candidate, with 20 answers of prior. */
function lengthCorrection(
  table: OutcomeTable,
  expected: Float32Array,
  j: number,
  weight: Float64Array | undefined,
): number {
  const m = table.modelIds.length;
  let actual = 0;
  let forecast = 0;
  let count = 0;
  for (let i = 0; i < table.prompts.length; i++) {
    const t = table.outputTokens[i * m + j]!;
    if (Number.isNaN(t)) continue;
    actual += weightOf(weight, i) * t;
    forecast += weightOf(weight, i) * expected[i * m + j]!;
    count += weightOf(weight, i);
  }
  // The mean is what costs, so means are compared, not logarithms.
  const prior = 20 * (count > 0 ? forecast / count : 1);
  return Math.log((actual + prior) / (forecast + prior));
}
