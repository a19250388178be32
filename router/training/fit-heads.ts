/**
 * Outcomes and embeddings → heads, in closed-form or convex steps:
 *
 * 1. kinds of prompts: a classifier of the benchmark's name, where training knows names (`fit-regions.ts`);
 * 2. which directions of the models' outcomes a text tells: reduced-rank regression. Ridge of every model's
 *    outcomes on embedding and kind, then the principal directions of what it predicts out of fold. Directions in
 *    which models differ most are mostly luck; these are those that can be known beforehand;
 * 3. how much of each: ridge with group folds again, so that a factor which text cannot predict shrinks to nothing;
 * 4. each model's row on the factors *as predicted out of fold*, so that intercepts and slopes
 *    are calibrated for prompts never seen (`fit-rows.ts`).
 *
 * All of it twice, on z as it is and with each coordinate to its own spread in the data: what predicts better out of
 * fold is kept.
 *
 * @see Izenman, "Reduced-rank regression for the multivariate linear model", 1975
 */
import { groupFolds, type OutcomeTable, RoutingError } from '../../datasets/index.ts';
import { type Heads, tokensOf } from '../heads/heads.ts';
import { fitDomain } from './fit-domain.ts';
import { fitRegions } from './fit-regions.ts';
import { fitRows } from './fit-rows.ts';
import { fitTokenHead } from './fit-tokens.ts';
import { fitItemFactors } from './item-factors.ts';
import { symmetricEigen } from './linear-algebra.ts';
import { type RidgeFit, ridgeOutOfFold } from './ridge.ts';

/** K: near to shared ease, and differences between models. Of one source no more than four were ever told by text; of four together eight. */
const FACTORS = 8;
const FOLDS = 5;
/** What the ridge sees of an embedding and of the regions' shares: a coordinate counts a hundredth of a region. */
const SCALE = { embedding: 0.3, region: 3 };

/** Out-of-fold R² that noise reaches, times n: in 60 inputs and 17 models it was above 8 for one factor in ten; and noise has two tries. */
const CHANCE = 10;

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
  const w = k + 1;
  const folds = groupFolds(table.prompts, Math.min(FOLDS, new Set(table.prompts.map((p) => p.groupId)).size), seed);
  // On prompts of one kind what differs little may tell most; on many kinds the encoder's own scale is as good or better.
  const [best] = [unscaled(d), ownSpread(z, n, d)]
    .map((scale) => fitQuality(table, z, scale, { k, folds, seed, ...options }))
    .sort((a, b) => a.logLoss - b.logLoss);
  const { regions, fits, rows, covariance, x, outOfFold } = best!;

  const tokens = fitTokenHead(z, d, table.outputTokens, n, m, folds);
  const domain = fitDomain(z, n, d, folds, seed, options);
  const limits = new Float64Array(k * 2);
  for (let f = 0; f < k; f++) {
    const sorted = Float64Array.from({ length: n }, (_, i) => x[i * w + f + 1]!).sort();
    limits[f * 2] = sorted[Math.floor(n * 0.001)]!;
    limits[f * 2 + 1] = sorted[Math.ceil(n * 0.999) - 1]!;
  }
  const heads: Heads = {
    modelIds: table.modelIds,
    dimension: d,
    regions,
    factors: {
      count: k,
      weights: Float64Array.from(fits.flatMap((fit) => [...fit.weights])),
      bias: Float64Array.from(fits, (fit) => fit.bias),
      limits,
      // Leverage of a typical prompt is d / n; what it multiplies is the factor's unexplained variance.
      variance: Float64Array.from(fits, (fit) => Math.min(1, d / n) * Math.max(0, 1 - fit.r2) || 0),
    },
    rows,
    covariance,
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

  const outputTokens = Float32Array.from(outOfFold, (_, at) => {
    const j = at % m;
    const length = tokens.outOfFold[Math.floor(at / m)]!;
    return tokensOf(tokens.rows[j * 2]! + tokens.rows[j * 2 + 1]! * length + tokens.logSmear[j]!);
  });
  return { heads, outOfFold: { quality: outOfFold, outputTokens }, r2: fits.map((f) => f.r2) };
}

/** Coordinates as heads learn from them: (z − mean) · by. Length d each. */
interface Scale {
  readonly mean: Float64Array;
  readonly by: Float64Array;
}

const unscaled = (d: number): Scale => ({ mean: new Float64Array(d), by: new Float64Array(d).fill(1) });

/** Each coordinate to mean 0 and variance 1 over these rows; one that never moves here says nothing. */
function ownSpread(z: Float32Array, n: number, d: number): Scale {
  const mean = new Float64Array(d);
  const variance = new Float64Array(d);
  for (let at = 0; at < n * d; at++) mean[at % d]! += z[at]! / n;
  for (let at = 0; at < n * d; at++) variance[at % d]! += (z[at]! - mean[at % d]!) ** 2 / n;
  return { mean, by: variance.map((v) => (v > 1e-10 ? 1 / Math.sqrt(v) : 0)) };
}

/** Weights on scaled coordinates, as weights on z: r × width, of which the first d are scaled. Changes them in place. */
function unscale(weights: Float64Array, bias: Float64Array, width: number, { mean, by }: Scale): void {
  bias.forEach((_, r) => {
    for (let a = 0; a < mean.length; a++) {
      weights[r * width + a]! *= by[a]!;
      bias[r]! -= weights[r * width + a]! * mean[a]!;
    }
  });
}

interface QualityFit {
  readonly regions: Heads['regions'];
  /** One per factor, its weights on [z, regions]. */
  readonly fits: readonly Pick<RidgeFit, 'weights' | 'bias' | 'r2'>[];
  readonly rows: Float64Array;
  readonly covariance: Float64Array;
  /** n × (1 + K): 1 and the factors, as predicted out of fold. */
  readonly x: Float64Array;
  /** n × m. */
  readonly outOfFold: Float32Array;
  /** Mean over the outcomes, of `outOfFold`. */
  readonly logLoss: number;
}

/** Kinds, factors and rows on z as it is scaled; in what is returned they are on z itself. */
function fitQuality(
  table: OutcomeTable,
  z: Float32Array,
  scale: Scale,
  { k, folds, seed, knownCoordinate }: { k: number; folds: Int32Array; seed: number; knownCoordinate?: number },
): QualityFit {
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const d = scale.mean.length;
  const scaled = z.map((v, at) => (v - scale.mean[at % d]!) * scale.by[at % d]!);
  const kinds = fitRegions(table.prompts, scaled, d, folds, seed);
  const b = kinds.regions.names.length;
  const inputs = new Float32Array(n * (d + b));
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < d; a++) {
      // How much of a text is known tells of strange texts, and of typos: nothing of which model suits it.
      if (a !== knownCoordinate) inputs[i * (d + b) + a] = SCALE.embedding * scaled[i * d + a]!;
    }
    for (let r = 0; r < b; r++) inputs[i * (d + b) + d + r] = SCALE.region * kinds.outOfFold[i * b + r]!;
  }
  const fits = predictableFactors(table, inputs, d + b, k, folds, seed);

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
  const { rows, covariance } = fitRows(x, w, table.quality, n, m, {
    centre,
    learnCentre: [0, 1],
    spread,
    strength: 2,
  });

  const outOfFold = new Float32Array(n * m);
  let loss = 0;
  let count = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let l = 0;
      for (let a = 0; a < w; a++) l += rows[j * w + a]! * x[i * w + a]!;
      outOfFold[i * m + j] = 1 / (1 + Math.exp(-l));
      const q = table.quality[i * m + j]!;
      if (Number.isNaN(q)) continue;
      // −q ln p − (1 − q) ln(1 − p)
      loss += Math.log1p(Math.exp(-Math.abs(l))) + Math.max(0, l) - q * l;
      count++;
    }
  }

  const weights = kinds.regions.weights.slice();
  const bias = kinds.regions.bias.slice();
  unscale(weights, bias, d, scale);
  return {
    regions: { names: kinds.regions.names, weights, bias },
    fits: fits.map((fit) => {
      const own = fit.weights.map((v, a) => v * (a < d ? SCALE.embedding : SCALE.region));
      const ownBias = Float64Array.of(fit.bias);
      unscale(own, ownBias, d + b, scale);
      return { weights: own, bias: ownBias[0]!, r2: fit.r2 };
    }),
    rows,
    covariance,
    x,
    outOfFold,
    logLoss: loss / count,
  };
}

/**
 * The K directions over models that the inputs predict best, and each prompt's score on them regressed on the inputs.
 * @returns one fit per factor, scaled so that the first score has unit variance and a positive mean loading; a
 *          factor that is predicted worse than by its mean is 0 everywhere
 */
function predictableFactors(
  table: OutcomeTable,
  inputs: Float32Array,
  width: number,
  k: number,
  folds: Int32Array,
  seed: number,
): RidgeFit[] {
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const residual = completeResiduals(table, seed);
  const targets = Array.from({ length: m }, (_, j) => Float64Array.from({ length: n }, (_, i) => residual[i * m + j]!));
  const fitted = ridgeOutOfFold(inputs, width, targets, folds);

  const cross = new Float64Array(m * m);
  for (let a = 0; a < m; a++) {
    for (let c = 0; c <= a; c++) {
      let s = 0;
      for (let i = 0; i < n; i++) s += (fitted[a]!.outOfFold[i]! || 0) * (fitted[c]!.outOfFold[i]! || 0);
      cross[a * m + c] = cross[c * m + a] = s;
    }
  }
  const { vectors } = symmetricEigen(cross, m);
  const scores = Array.from({ length: k }, (_, f) => {
    let sign = 0;
    for (let j = 0; j < m; j++) sign += vectors[j * m + f]!;
    return Float64Array.from({ length: n }, (_, i) => {
      let s = 0;
      for (let j = 0; j < m; j++) s += residual[i * m + j]! * vectors[j * m + f]!;
      return sign < 0 ? -s : s;
    });
  });
  const scale = 1 / (standardDeviation(scores[0]!) || 1);
  const scaled = scores.map((score) => score.map((s) => s * scale));
  return ridgeOutOfFold(inputs, width, scaled, folds).map((fit) => centred(filled(fit, inputs, width), n));
}

/**
 * Outcomes minus their model's mean, n × m. A cell never tried takes what the prompt's other outcomes say
 * (`item-factors.ts`); a prompt without any outcome is NaN throughout: it says nothing.
 */
function completeResiduals({ quality, prompts, modelIds }: OutcomeTable, seed: number): Float64Array {
  const n = prompts.length;
  const m = modelIds.length;
  const cells = Float64Array.from(quality);
  if (quality.some((q) => Number.isNaN(q))) {
    const factors = Math.min(FACTORS, m);
    const items = fitItemFactors(quality, n, m, { factors, seed });
    for (let i = 0; i < n; i++) {
      if (quality.subarray(i * m, i * m + m).every((q) => Number.isNaN(q))) continue;
      for (let j = 0; j < m; j++) {
        if (!Number.isNaN(cells[i * m + j]!)) continue;
        let l = items.rows[j * (factors + 1)]!;
        for (let f = 0; f < factors; f++) l += items.rows[j * (factors + 1) + 1 + f]! * items.scores[i * factors + f]!;
        cells[i * m + j] = 1 / (1 + Math.exp(-l));
      }
    }
  }
  for (let j = 0; j < m; j++) {
    let sum = 0;
    let count = 0;
    for (let i = 0; i < n; i++) {
      if (Number.isNaN(cells[i * m + j]!)) continue;
      sum += cells[i * m + j]!;
      count++;
    }
    for (let i = 0; i < n; i++) cells[i * m + j]! -= sum / count;
  }
  return cells;
}

function standardDeviation(values: Float64Array): number {
  const known = values.filter((v) => !Number.isNaN(v));
  const mean = known.reduce((a, v) => a + v, 0) / known.length;
  return Math.sqrt(known.reduce((a, v) => a + (v - mean) ** 2, 0) / known.length);
}

/** The whole fit's prediction where there was no target to leave out. */
function filled(fit: RidgeFit, z: Float32Array, d: number): RidgeFit {
  const predict = (i: number): number => fit.weights.reduce((sum, w, a) => sum + w * z[i * d + a]!, fit.bias);
  return { ...fit, outOfFold: fit.outOfFold.map((v, i) => (Number.isNaN(v) ? predict(i) : v)) };
}

/**
 * A factor that text predicts no better than chance could is no factor: it becomes 0 everywhere. Chance has the
 * choice of directions, so a share of variance of a few in n is not yet a sign of anything.
 */
function centred(fit: RidgeFit, n: number): RidgeFit {
  if (fit.r2 > CHANCE / n) return fit;
  return {
    ...fit,
    weights: new Float64Array(fit.weights.length),
    bias: 0,
    outOfFold: new Float64Array(fit.outOfFold.length),
    r2: 0,
  };
}
