/**
 * One model's part of the heads, taken out and put in: what onboarding and published scores make,
 * with the encoder, the factors and all other models left as they are.
 */
import { type Heads, predictHeads } from '../heads/heads.ts';

export interface HeadRow {
  readonly modelId: string;
  /** 1 + K: intercept, loadings. */
  readonly row: Float64Array;
  /** (1 + K)²: posterior covariance of `row`. */
  readonly covariance: Float64Array;
  /** Intercept and slope of log(1 + tokens), and ln of the smearing factor. */
  readonly tokens: readonly [number, number, number];
  /** Labelled prompts behind it; 0: a prior, not yet tried. */
  readonly evidence: number;
}

/** A model's row, or undefined where the heads have none. */
export function rowOf(heads: Heads, modelId: string): HeadRow | undefined {
  const j = heads.modelIds.indexOf(modelId);
  if (j < 0) return undefined;
  const w = heads.factors.count + 1;
  return {
    modelId,
    row: heads.rows.slice(j * w, j * w + w),
    covariance: heads.covariance.slice(j * w * w, (j + 1) * w * w),
    tokens: [heads.tokens.rows[j * 2]!, heads.tokens.rows[j * 2 + 1]!, heads.tokens.logSmear[j]!],
    evidence: heads.evidence[j]!,
  };
}

/** The heads with these rows: replaced where the model had one, else appended in the order given. */
export function putRows(heads: Heads, rows: readonly HeadRow[]): Heads {
  const byId = new Map(heads.modelIds.map((id) => [id, rowOf(heads, id)!]));
  for (const row of rows) byId.set(row.modelId, row);
  const all = [...byId.values()];
  const flat = (pick: (r: HeadRow) => Iterable<number>): Float64Array =>
    Float64Array.from(all.flatMap((r) => [...pick(r)]));
  return {
    ...heads,
    modelIds: all.map((r) => r.modelId),
    rows: flat((r) => r.row),
    covariance: flat((r) => r.covariance),
    evidence: flat((r) => [r.evidence]),
    tokens: {
      ...heads.tokens,
      rows: flat((r) => r.tokens.slice(0, 2)),
      logSmear: flat((r) => r.tokens.slice(2)),
    },
  };
}

/** How models differ: the distribution a new one is drawn from. */
export interface RowPrior {
  readonly mean: Float64Array; // 1 + K
  readonly covariance: Float64Array; // (1 + K)²
  readonly tokens: {
    readonly mean: readonly [number, number];
    /** 2 × 2. */
    readonly covariance: Float64Array;
    readonly logSmear: number;
  };
}

/** Spread of models before any is seen, as variances of intercept and loadings (logits²), and its weight in models. */
const START = { intercept: 4, loading: 0.25, models: 2 };
const TOKEN_START = Float64Array.of(0.25, 0.25);

/**
 * Mean and covariance over the rows that rest on outcomes, but for the model named: what is known of
 * a model before anything is known of it. The rows' own uncertainty is part of the spread.
 */
export function priorOverModels(heads: Heads, except?: string): RowPrior {
  const w = heads.factors.count + 1;
  const known = heads.modelIds.filter((id) => id !== except).map((id) => rowOf(heads, id)!);
  const tried = known.filter((r) => r.evidence > 0);
  const start = Float64Array.from({ length: w }, (_, a) => (a === 0 ? START.intercept : START.loading));
  const own = moments(
    tried.map((r) => r.row),
    start,
  );
  for (const { covariance } of tried) {
    for (let a = 0; a < w * w; a++) own.covariance[a]! += covariance[a]! / (tried.length + START.models);
  }
  const tokens = moments(
    tried.map((r) => Float64Array.of(r.tokens[0], r.tokens[1])),
    TOKEN_START,
  );
  const smear = tried.reduce((sum, r) => sum + r.tokens[2], 0) / (tried.length || 1);
  return {
    mean: own.mean,
    covariance: own.covariance,
    tokens: { mean: [tokens.mean[0]!, tokens.mean[1]!], covariance: tokens.covariance, logSmear: smear },
  };
}

/** Mean and covariance of vectors, drawn to the starting variances as by `START.models` more of them. */
function moments(
  vectors: readonly Float64Array[],
  start: Float64Array,
): { mean: Float64Array; covariance: Float64Array } {
  const w = start.length;
  const mean = new Float64Array(w);
  for (const v of vectors) for (let a = 0; a < w; a++) mean[a]! += v[a]! / vectors.length;
  const covariance = new Float64Array(w * w);
  const weight = vectors.length + START.models;
  for (let a = 0; a < w; a++) {
    covariance[a * w + a] = (start[a]! * START.models) / weight;
    for (const v of vectors) {
      for (let b = 0; b < w; b++) covariance[a * w + b]! += ((v[a]! - mean[a]!) * (v[b]! - mean[b]!)) / weight;
    }
  }
  return { mean, covariance };
}

/**
 * What the rows of these heads are multiplied with, as at prediction: clipped, and faded out of domain.
 * @param z n × d
 * @returns `x` n × (1 + K), first column 1; `length` n, the prompt's factor g of log(1 + tokens)
 */
export function rowInputs(heads: Heads, z: Float32Array, n: number): { x: Float64Array; length: Float64Array } {
  const w = heads.factors.count + 1;
  // Unit rows read the inputs off the reference itself, so the two cannot drift apart.
  const unit = Float64Array.from({ length: w * w }, (_, at) => (at % (w + 1) === 0 ? 1 : 0));
  const level = 6;
  const probe: Heads = {
    ...heads,
    modelIds: Array.from({ length: w }, (_, a) => `input ${a}`),
    rows: unit,
    covariance: new Float64Array(w * w * w),
    evidence: new Float64Array(w),
    tokens: {
      ...heads.tokens,
      rows: Float64Array.from({ length: 2 * w }, (_, a) => (a % 2 === 0 ? level : 1)),
      logSmear: new Float64Array(w),
    },
  };
  const out = predictHeads(probe, z, n);
  return {
    x: Float64Array.from(out.logits),
    length: Float64Array.from({ length: n }, (_, i) => Math.log1p(out.outputTokens[i * w]!) - level),
  };
}
