/**
 * Heads: a small trained layer from embeddings to what each model would do with a prompt.
 *
 *     r   = softmax(R z + s)                                  share of each known region of prompts
 *     f   = clip(W [z, r] + b, limits) · (1 − outOfDomain)    K factors of the prompt
 *     p_m = σ(β_m + L_m · f)                                  probability of success
 *     t_m = exp(c_m + e_m · g(z)) · smear_m − 1               tokens of the answer
 *
 * Regions are what training data names as benchmarks: models differ by the kind of task more than by anything else.
 * Where a prompt is unlike everything trained on, the factors fall to 0 and every model to its mean.
 * This file is the reference; `onnx.ts` writes the same as a graph, equal to 1e-4 by a test.
 */

export interface Heads {
  /** m candidate models, in column order. */
  readonly modelIds: readonly string[];
  /** d, length of an embedding. */
  readonly dimension: number;
  readonly regions: Regions;
  readonly factors: Factors;
  /** m × (1 + K): intercept β_m, loadings L_m. */
  readonly rows: Float64Array;
  /** m × (1 + K)²: posterior covariance of each row. */
  readonly covariance: Float64Array;
  readonly tokens: TokenHead;
  readonly domain: Domain;
  /** Labelled prompts behind each row. */
  readonly evidence: Float64Array;
}

/** Kinds of prompts, told apart by a linear classifier; none where training knew fewer than two. */
export interface Regions {
  /** B names. */
  readonly names: readonly string[];
  /** B × d. */
  readonly weights: Float64Array;
  /** B. */
  readonly bias: Float64Array;
}

export const NO_REGIONS: Regions = { names: [], weights: new Float64Array(0), bias: new Float64Array(0) };

/** Linear maps [z, r] → factors. The first is near to shared ease. */
export interface Factors {
  readonly count: number;
  /** K × (d + B). */
  readonly weights: Float64Array;
  /** K. */
  readonly bias: Float64Array;
  /** K × 2: least and greatest value seen in training. */
  readonly limits: Float64Array;
  /** K: variance of a factor's estimate at a typical training prompt. */
  readonly variance: Float64Array;
}

export interface TokenHead {
  /** g(z) = weights · z + bias, clipped to limits. */
  readonly weights: Float64Array;
  readonly bias: number;
  readonly limits: readonly [number, number];
  /** m × 2: c_m, e_m of log(1 + tokens). */
  readonly rows: Float64Array;
  /** m: ln E[exp(residual)], so that the mean is right and not the median (Duan 1983). */
  readonly logSmear: Float64Array;
}

/** Where the training prompts were. The distance of a prompt is 1 − its cosine with the nearest centre. */
export interface Domain {
  /** C × d, each of unit length: what the training prompts gather around. */
  readonly centres: Float64Array;
  /** Median distance of a prompt of the same kind as the training prompts, > 0. */
  readonly typical: number;
  /** Up to this far a prompt is like them, … */
  readonly near: number;
  /** … and from here on it is not; > near. */
  readonly far: number;
  /** Coordinate of z that falls when a text's n-grams were never seen, and how low 0.5 % of the training prompts go. */
  readonly known: { readonly coordinate: number; readonly limit: number } | null;
}

export interface HeadPredictions {
  /** n × m success logits. */
  readonly logits: Float32Array;
  /** n × m, σ(logits). */
  readonly quality: Float32Array;
  /** n × m, in [0, 0.5]: uncertainty of `quality` as an estimate, not the coin flip of one answer. */
  readonly qualitySd: Float32Array;
  /** n × m, > 0. */
  readonly outputTokens: Float32Array;
  /** n, logits below a typical prompt for the average model. */
  readonly difficulty: Float32Array;
  /** n, in [0, 1]. */
  readonly outOfDomain: Float32Array;
}

const MAX_LOG_TOKENS = 12;

/** @param z n × d embeddings, row-major */
export function predictHeads(heads: Heads, z: Float32Array, n: number): HeadPredictions {
  const { dimension: d, factors, domain, tokens } = heads;
  const m = heads.modelIds.length;
  const k = factors.count;
  const w = k + 1;
  const out: HeadPredictions = {
    logits: new Float32Array(n * m),
    quality: new Float32Array(n * m),
    qualitySd: new Float32Array(n * m),
    outputTokens: new Float32Array(n * m),
    difficulty: new Float32Array(n),
    outOfDomain: new Float32Array(n),
  };
  const x = new Float64Array(w);
  const b = heads.regions.names.length;
  const input = new Float64Array(d + b);
  const loadings = meanLoadings(heads);
  const distances = n < BLOCK ? null : domainDistances(domain, z, n, d);
  for (let i = 0; i < n; i++) {
    const at = i * d;
    const distance = distances === null ? domainDistance(domain, z, at, d) : distances[i]!;
    const outOfDomain = 1 - inDomain(domain, z, at, distance);
    // Further away than usual, the factors themselves are less certain.
    const remote = Math.max(1, distance / domain.typical);
    out.outOfDomain[i] = outOfDomain;
    for (let a = 0; a < d; a++) input[a] = z[at + a]!;
    regionShares(heads.regions, z, at, d, input, d);
    x[0] = 1;
    for (let f = 0; f < k; f++) {
      x[f + 1] =
        clip(dot(factors.weights, f * (d + b), input, 0, d + b) + factors.bias[f]!, factors.limits, f) *
        (1 - outOfDomain);
    }
    let ease = 0;
    for (let f = 0; f < k; f++) ease += loadings[f]! * x[f + 1]!;
    out.difficulty[i] = -ease;
    const g =
      Math.min(tokens.limits[1], Math.max(tokens.limits[0], dot(tokens.weights, 0, z, at, d) + tokens.bias)) *
      (1 - outOfDomain);
    for (let j = 0; j < m; j++) {
      let l = 0;
      let v = 0;
      for (let a = 0; a < w; a++) {
        l += heads.rows[j * w + a]! * x[a]!;
        for (let c = 0; c < w; c++) v += x[a]! * x[c]! * heads.covariance[(j * w + a) * w + c]!;
        if (a > 0) v += heads.rows[j * w + a]! ** 2 * factors.variance[a - 1]! * remote;
      }
      const p = 1 / (1 + Math.exp(-l));
      out.logits[i * m + j] = l;
      out.quality[i * m + j] = p;
      out.qualitySd[i * m + j] = Math.min(0.5, p * (1 - p) * Math.sqrt(Math.max(0, v)));
      const logTokens = tokens.rows[j * 2]! + tokens.rows[j * 2 + 1]! * g + tokens.logSmear[j]!;
      out.outputTokens[i * m + j] = tokensOf(logTokens);
    }
  }
  return out;
}

/** ln E[1 + tokens] → expected tokens, at least 1. */
export const tokensOf = (logTokens: number): number => Math.max(1, Math.exp(Math.min(MAX_LOG_TOKENS, logTokens)) - 1);

/** K: what the average model's logit gains from each factor. */
export function meanLoadings(heads: Pick<Heads, 'modelIds' | 'rows' | 'factors'>): Float64Array {
  const m = heads.modelIds.length;
  const k = heads.factors.count;
  const mean = new Float64Array(k);
  for (let j = 0; j < m; j++) for (let f = 0; f < k; f++) mean[f]! += heads.rows[j * (k + 1) + 1 + f]! / m;
  return mean;
}

/** 1 near the training prompts, falling to 0 where the distance is `far`. */
function inDomain(domain: Domain, z: Float32Array, at: number, distance: number): number {
  const near = Math.min(1, Math.max(0, (domain.far - distance) / (domain.far - domain.near)));
  if (domain.known === null) return near;
  const limit = Math.min(-1e-6, domain.known.limit);
  return Math.min(near, limit / Math.min(z[at + domain.known.coordinate]!, limit));
}

/** 1 − cosine with the nearest centre, in [0, 2]; 1 for a z of zeros. */
export function domainDistance(domain: Pick<Domain, 'centres'>, z: Float32Array, at: number, d: number): number {
  let norm = 0;
  for (let a = 0; a < d; a++) norm += z[at + a]! ** 2;
  if (!(norm > 0)) return 1;
  const { centres } = domain;
  let best = Number.NEGATIVE_INFINITY;
  let c = 0;
  for (; c + 4 * d <= centres.length; c += 4 * d) {
    dotFour(centres, c, z, at, d, four, 0);
    best = Math.max(best, four[0]!, four[1]!, four[2]!, four[3]!);
  }
  for (; c < centres.length; c += d) best = Math.max(best, dot(centres, c, z, at, d));
  return 1 - best / Math.sqrt(norm);
}

/** Rows whose distances are measured at once; the loop of {@link raiseCosines} is written out for it. */
const BLOCK = 4;

/** {@link domainDistance} of n rows, to the same bit and several times as fast. */
export function domainDistances(domain: Pick<Domain, 'centres'>, z: Float32Array, n: number, d: number): Float64Array {
  const { centres } = domain;
  const out = new Float64Array(n);
  const block = new Float64Array(d * BLOCK); // a-major: the four values of one input are neighbours
  const best = new Float64Array(BLOCK);
  let i = 0;
  for (; i + BLOCK <= n; i += BLOCK) {
    for (let q = 0; q < BLOCK; q++) {
      for (let a = 0, at = (i + q) * d; a < d; a++) block[a * BLOCK + q] = z[at + a]!;
    }
    best.fill(Number.NEGATIVE_INFINITY);
    let c = 0;
    for (; c + 2 * d <= centres.length; c += 2 * d) raiseCosines(centres, c, c + d, block, d, best);
    if (c < centres.length) raiseCosines(centres, c, c, block, d, best);
    for (let q = 0; q < BLOCK; q++) {
      let norm = 0;
      for (let a = 0, at = (i + q) * d; a < d; a++) norm += z[at + a]! ** 2;
      out[i + q] = norm > 0 ? 1 - best[q]! / Math.sqrt(norm) : 1;
    }
  }
  for (; i < n; i++) out[i] = domainDistance(domain, z, i * d, d);
  return out;
}

/** Four rows' products with two centres, kept where they are greater than the best so far. */
function raiseCosines(
  centres: Float64Array,
  first: number,
  second: number,
  block: Float64Array,
  d: number,
  best: Float64Array,
): void {
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let k = 0, p = 0; k < d; k++, p += BLOCK) {
    const a = centres[first + k]!;
    const b = centres[second + k]!;
    const z0 = block[p]!;
    const z1 = block[p + 1]!;
    const z2 = block[p + 2]!;
    const z3 = block[p + 3]!;
    a0 += a * z0;
    a1 += a * z1;
    a2 += a * z2;
    a3 += a * z3;
    b0 += b * z0;
    b1 += b * z1;
    b2 += b * z2;
    b3 += b * z3;
  }
  best[0] = Math.max(best[0]!, a0, b0);
  best[1] = Math.max(best[1]!, a1, b1);
  best[2] = Math.max(best[2]!, a2, b2);
  best[3] = Math.max(best[3]!, a3, b3);
}

/** Writes the B shares of a prompt's regions, which sum to 1, at `out[to]`. */
export function regionShares(
  regions: Regions,
  z: Float32Array,
  at: number,
  d: number,
  out: Float64Array,
  to: number,
): void {
  const b = regions.names.length;
  const shares = out.subarray(to, to + b);
  let r = 0;
  for (; r + 4 <= b; r += 4) dotFour(regions.weights, r * d, z, at, d, shares, r);
  for (; r < b; r++) shares[r] = dot(regions.weights, r * d, z, at, d);
  for (r = 0; r < b; r++) shares[r]! += regions.bias[r]!;
  softmax(shares);
}

/** Logits → shares that sum to 1, in place. */
export function softmax(logits: Float64Array): void {
  let top = Number.NEGATIVE_INFINITY;
  for (const l of logits) if (l > top) top = l;
  let sum = 0;
  for (let r = 0; r < logits.length; r++) {
    logits[r] = Math.exp(logits[r]! - top);
    sum += logits[r]!;
  }
  for (let r = 0; r < logits.length; r++) logits[r]! /= sum;
}

const clip = (v: number, limits: Float64Array, f: number): number =>
  Math.min(limits[f * 2 + 1]!, Math.max(limits[f * 2]!, v));

function dot(a: Float64Array, from: number, z: Float32Array | Float64Array, at: number, d: number): number {
  let s = 0;
  for (let k = 0; k < d; k++) s += a[from + k]! * z[at + k]!;
  return s;
}

const four = new Float64Array(4);

/** The products of four neighbouring rows, into `out[to]` …: one sum waits for itself, four do not wait for each other. */
function dotFour(
  rows: Float64Array,
  from: number,
  z: Float32Array,
  at: number,
  d: number,
  out: Float64Array,
  to: number,
): void {
  const r1 = from + d;
  const r2 = r1 + d;
  const r3 = r2 + d;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let k = 0; k < d; k++) {
    const v = z[at + k]!;
    s0 += rows[from + k]! * v;
    s1 += rows[r1 + k]! * v;
    s2 += rows[r2 + k]! * v;
    s3 += rows[r3 + k]! * v;
  }
  out[to] = s0;
  out[to + 1] = s1;
  out[to + 2] = s2;
  out[to + 3] = s3;
}

/** The heads of these models only, in this order. Ids without a head are left out. */
export function selectHeads(heads: Heads, modelIds: readonly string[]): Heads {
  const columns = modelIds.map((id) => heads.modelIds.indexOf(id)).filter((j) => j >= 0);
  const w = heads.factors.count + 1;
  const pick = (from: Float64Array, width: number): Float64Array =>
    Float64Array.from(columns.flatMap((j) => [...from.subarray(j * width, j * width + width)]));
  return {
    ...heads,
    modelIds: columns.map((j) => heads.modelIds[j]!),
    rows: pick(heads.rows, w),
    covariance: pick(heads.covariance, w * w),
    evidence: pick(heads.evidence, 1),
    tokens: { ...heads.tokens, rows: pick(heads.tokens.rows, 2), logSmear: pick(heads.tokens.logSmear, 1) },
  };
}
