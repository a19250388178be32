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

/** K: near to shared ease, and up to three differences between models. */
const FACTORS = 4;
const FOLDS = 5;
/** What the ridge sees of an embedding and of the regions' shares: a coordinate counts a hundredth of a region. */
const SCALE = { embedding: 0.3, region: 3 };

/** Out-of-fold R² that noise reaches, times n: in 60 inputs and 17 models it was above 8 for one factor in ten, in 4 models never. */
const CHANCE = 8;

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

  const kinds = fitRegions(table.prompts, z, d, folds, seed);
  const b = kinds.regions.names.length;
  const inputs = new Float32Array(n * (d + b));
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < d; a++) {
      // How much of a text is known tells of strange texts, and of typos: nothing of which model suits it.
      if (a !== options.knownCoordinate) inputs[i * (d + b) + a] = SCALE.embedding * z[i * d + a]!;
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
  const fitted = fitRows(x, w, table.quality, n, m, { centre, learnCentre: [0, 1], spread, strength: 2 });

  const tokens = fitTokenHead(z, d, table.outputTokens, n, m, folds);
  const domain = fitDomain(z, n, d, folds, seed, options);
  const limits = new Float64Array(k * 2);
  const weights = new Float64Array(k * (d + b));
  fits.forEach((fit, f) => {
    for (let a = 0; a < d + b; a++) {
      weights[f * (d + b) + a] = fit.weights[a]! * (a < d ? SCALE.embedding : SCALE.region);
    }
    const sorted = Float64Array.from(fit.outOfFold).sort();
    limits[f * 2] = sorted[Math.floor(n * 0.001)]!;
    limits[f * 2 + 1] = sorted[Math.ceil(n * 0.999) - 1]!;
  });
  const heads: Heads = {
    modelIds: table.modelIds,
    dimension: d,
    regions: kinds.regions,
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
