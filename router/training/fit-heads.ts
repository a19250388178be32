/**
 * Outcomes and embeddings → heads, in three closed-form or convex steps:
 *
 * 1. what the outcomes alone say: each prompt's factors (`item-factors.ts`);
 * 2. how much of each factor the text tells: ridge with group folds, so that a factor which
 *    text cannot predict shrinks to nothing (`ridge.ts`);
 * 3. each model's row on the factors *as predicted out of fold*, so that intercepts and slopes
 *    are calibrated for prompts never seen (`fit-rows.ts`).
 */
import { groupFolds, type OutcomeTable, RoutingError } from '../../datasets/index.ts';
import { type Domain, domainDistance, FARTHEST, type Heads, tokensOf } from '../heads/heads.ts';
import { fitRows } from './fit-rows.ts';
import { fitTokenHead } from './fit-tokens.ts';
import { fitItemFactors } from './item-factors.ts';
import { type RidgeFit, ridgeOutOfFold } from './ridge.ts';

/** K: shared ease and up to three differences between models. */
const FACTORS = 4;
const FOLDS = 5;

export interface HeadsFit {
  readonly heads: Heads;
  /** n × m, predictions for the training table that never saw the row's own group. */
  readonly outOfFold: { readonly quality: Float32Array; readonly outputTokens: Float32Array };
  /** Share of each factor's variance that text explains out of fold. */
  readonly r2: readonly number[];
}

/**
 * @param table outcomes, n × m
 * @param z     n × d embeddings of its prompts, row-major
 * @param options `knownCoordinate`: where the encoder says how much of a text it knew
 * @throws `EMPTY_TABLE` when there is no outcome at all
 */
export function fitHeads(
  table: OutcomeTable,
  z: Float32Array,
  seed: number,
  options: { knownCoordinate?: number } = {},
): HeadsFit {
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const d = n === 0 ? 0 : z.length / n;
  const evidence = new Float64Array(m);
  for (let i = 0; i < n * m; i++) if (!Number.isNaN(table.quality[i]!)) evidence[i % m]!++;
  if (n === 0 || evidence.every((e) => e === 0)) {
    throw new RoutingError('EMPTY_TABLE', `${table.name}: heads need at least one outcome`);
  }
  const k = Math.min(FACTORS, m);
  const folds = groupFolds(table.prompts, Math.min(FOLDS, new Set(table.prompts.map((p) => p.groupId)).size), seed);

  const items = fitItemFactors(table.quality, n, m, { factors: k, seed });
  // A prompt nobody answered says nothing of its factors: their prior mean is no target to learn.
  const answered = Array.from({ length: n }, (_, i) =>
    table.quality.subarray(i * m, i * m + m).some((q) => !Number.isNaN(q)),
  );
  const targets = Array.from({ length: k }, (_, f) =>
    Float64Array.from({ length: n }, (_, i) => (answered[i] ? items.scores[i * k + f]! : Number.NaN)),
  );
  const fits = ridgeOutOfFold(z, d, targets, folds).map((fit) => centred(filled(fit, z, d)));

  const w = k + 1;
  const x = new Float64Array(n * w);
  for (let i = 0; i < n; i++) {
    x[i * w] = 1;
    for (let f = 0; f < k; f++) x[i * w + f + 1] = fits[f]!.outOfFold[i]!;
  }
  const spread = new Float64Array(w).fill(0.5);
  spread[0] = 2;
  const centre = new Float64Array(w);
  centre[1] = 1;
  const fitted = fitRows(x, w, table.quality, n, m, { centre, learnCentre: [0, 1], spread, strength: 2 });

  const tokens = fitTokenHead(z, d, table.outputTokens, n, m, folds);
  const domain = fitDomain(z, n, d, options.knownCoordinate);
  const limits = new Float64Array(k * 2);
  const weights = new Float64Array(k * d);
  fits.forEach((fit, f) => {
    weights.set(fit.weights, f * d);
    const sorted = Float64Array.from(fit.outOfFold).sort();
    limits[f * 2] = sorted[Math.floor(n * 0.001)]!;
    limits[f * 2 + 1] = sorted[Math.ceil(n * 0.999) - 1]!;
  });
  const heads: Heads = {
    modelIds: table.modelIds,
    dimension: d,
    factors: {
      count: k,
      weights,
      bias: Float64Array.from(fits, (f) => f.bias),
      limits,
      // Leverage of a typical prompt is d / n; what it multiplies is the factor's unexplained variance.
      variance: Float64Array.from(fits, (f) => Math.min(1, d / n) * Math.max(0, 1 - f.r2) || 0),
    },
    rows: fitted.rows,
    covariance: fitted.covariance,
    tokens: {
      weights: tokens.weights,
      bias: tokens.bias,
      limits: tokens.limits,
      rows: tokens.rows,
      logSmear: tokens.logSmear,
    },
    domain,
    evidence,
  };

  const quality = new Float32Array(n * m);
  const outputTokens = new Float32Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let l = 0;
      for (let a = 0; a < w; a++) l += fitted.rows[j * w + a]! * x[i * w + a]!;
      quality[i * m + j] = 1 / (1 + Math.exp(-l));
      outputTokens[i * m + j] = tokensOf(
        tokens.rows[j * 2]! + tokens.rows[j * 2 + 1]! * tokens.outOfFold[i]! + tokens.logSmear[j]!,
      );
    }
  }
  return { heads, outOfFold: { quality, outputTokens }, r2: fits.map((f) => f.r2) };
}

/** The whole fit's prediction where there was no target to leave out. */
function filled(fit: RidgeFit, z: Float32Array, d: number): RidgeFit {
  const predict = (i: number): number => fit.weights.reduce((sum, w, a) => sum + w * z[i * d + a]!, fit.bias);
  return { ...fit, outOfFold: fit.outOfFold.map((v, i) => (Number.isNaN(v) ? predict(i) : v)) };
}

/** A factor whose prediction does worse than its mean is no factor: it becomes 0 everywhere. */
function centred(fit: RidgeFit): RidgeFit {
  if (fit.r2 > 0) return fit;
  return {
    ...fit,
    weights: new Float64Array(fit.weights.length),
    bias: 0,
    outOfFold: new Float64Array(fit.outOfFold.length),
    r2: 0,
  };
}

function fitDomain(z: Float32Array, n: number, d: number, knownCoordinate: number | undefined): Domain {
  const mean = new Float64Array(d);
  const scale = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let a = 0; a < d; a++) mean[a]! += z[i * d + a]! / n;
  for (let i = 0; i < n; i++) for (let a = 0; a < d; a++) scale[a]! += (z[i * d + a]! - mean[a]!) ** 2 / n;
  // A coordinate that never moved in training says nothing of distance, however far it moves later.
  for (let a = 0; a < d; a++) scale[a] = scale[a]! > 1e-8 ? 1 / Math.sqrt(scale[a]!) : 0;
  const domain: Domain = { mean, scale, limit: FARTHEST ** 2, known: null };
  const distances = Float64Array.from({ length: n }, (_, i) => domainDistance(domain, z, i * d)).sort();
  const limit = Math.max(1e-3, distances[Math.ceil(n * 0.995) - 1]!);
  if (knownCoordinate === undefined) return { ...domain, limit };
  const known = Float64Array.from({ length: n }, (_, i) => z[i * d + knownCoordinate]!).sort();
  // Never tighter than three standard deviations: a small or even sample would call the ordinary strange.
  return {
    ...domain,
    limit,
    known: { coordinate: knownCoordinate, limit: Math.min(-3, known[Math.floor(n * 0.005)]!) },
  };
}
