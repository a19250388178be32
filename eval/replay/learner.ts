/** What a replayed router knows: nothing at first, then what its log tells. The encoder stays; only heads are refitted. */
import { type OutcomeTable, RoutingError, selectRows } from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { type Estimator, embed, type Predictions } from '../../router/estimators/index.ts';
import { type Domain, type Heads, NO_REGIONS, predictHeads, selectHeads } from '../../router/heads/heads.ts';
import { DEFAULT_OUTPUT_TOKENS } from '../../router/training/fit-tokens.ts';
import { symmetricEigen } from '../../router/training/linear-algebra.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';

/** Rows of the whole table → k × m predictions. */
export type Believe = (rows: readonly number[]) => Promise<Predictions>;

export interface Learner {
  readonly name: string;
  /** What it believes before anything was learned. */
  readonly start: Believe;
  /**
   * @param log  outcomes seen so far; other cells NaN
   * @param rows rows of the log in the whole table
   */
  fit(log: OutcomeTable, rows: readonly number[], seed: number): Promise<Believe>;
}

/** Coordinates that a router which starts cold learns in: a refit then takes a tenth of a second. */
const COLD_DIMENSIONS = 48;

/** Pulls a mean to that of all models: worth so many answers. */
const PRIOR_ANSWERS = 5;

/** n × d embeddings of a table, encoded once. */
export interface Encoded {
  readonly z: Float32Array;
  readonly d: number;
}

/**
 * Encodes all prompts once, and narrows the embeddings to the directions in which the artifact's own training prompts
 * lie apart: known before the first prompt of the replay.
 * @param centres C × d, places of the training prompts; undefined leaves the embeddings as they are
 */
export async function encodeNarrow(encoder: Encoder, table: OutcomeTable, centres?: Float64Array): Promise<Encoded> {
  const z = await embed(encoder, table.prompts);
  const d = encoder.dimension;
  if (centres === undefined || d <= COLD_DIMENSIONS) return { z, d };
  const n = table.prompts.length;
  const directions = principal(centres, d, COLD_DIMENSIONS);
  const out = new Float32Array(n * COLD_DIMENSIONS);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < COLD_DIMENSIONS; k++) {
      let sum = 0;
      for (let a = 0; a < d; a++) sum += z[i * d + a]! * directions[k * d + a]!;
      out[i * COLD_DIMENSIONS + k] = sum;
    }
  }
  return { z: out, d: COLD_DIMENSIONS };
}

/** The first `count` principal directions of rows, count × d. */
function principal(rows: Float64Array, d: number, count: number): Float64Array {
  const n = rows.length / d;
  const mean = new Float64Array(d);
  for (let at = 0; at < rows.length; at++) mean[at % d]! += rows[at]! / n;
  const covariance = new Float64Array(d * d);
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < d; a++) {
      const x = rows[i * d + a]! - mean[a]!;
      for (let b = 0; b < d; b++) covariance[a * d + b]! += x * (rows[i * d + b]! - mean[b]!);
    }
  }
  const { vectors } = symmetricEigen(covariance, d);
  return Float64Array.from({ length: count * d }, (_, at) => vectors[(at % d) * d + Math.floor(at / d)]!);
}

/**
 * Knows nothing: every model answers every second prompt well, in {@link DEFAULT_OUTPUT_TOKENS}. Learns as
 * {@link refitHeads} does from a gateway's log: a level for each model, what all find hard, what one finds hard,
 * each shrunk to what most models show.
 */
export function coldLearner(modelIds: readonly string[], encoded: Encoded): Learner {
  return { ...refitting('cold', blankHeads(modelIds, encoded.d), modelIds, encoded) };
}

/** Starts from an artifact's heads; a model that they do not know starts as the average one. */
export function artifactLearner(base: Heads, modelIds: readonly string[], encoded: Encoded): Learner {
  if (encoded.d !== base.dimension) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `embeddings of ${encoded.d} numbers do not fit heads of dimension ${base.dimension}`,
    );
  }
  return refitting('artifact', base, modelIds, encoded);
}

function refitting(name: string, base: Heads, modelIds: readonly string[], { z, d }: Encoded): Learner {
  const pick = (rows: readonly number[]): Float32Array => {
    const out = new Float32Array(rows.length * d);
    rows.forEach((r, i) => {
      out.set(z.subarray(r * d, r * d + d), i * d);
    });
    return out;
  };
  return {
    name,
    start: async (rows) => averaged(base, modelIds, pick(rows), rows.length),
    async fit(log, rows, seed) {
      const refitted = refitHeads(base, log, pick(rows), { seed, likeOf: () => undefined });
      const heads = selectHeads(refitted, modelIds);
      return async (wanted) => predictHeads(heads, pick(wanted), wanted.length);
    },
  };
}

/** Predictions of heads for models they may not know: those get the mean of the others. */
export function averaged(base: Heads, modelIds: readonly string[], z: Float32Array, n: number): Predictions {
  const all = predictHeads(base, z, n);
  const from = base.modelIds.length;
  const columns = modelIds.map((id) => base.modelIds.indexOf(id));
  const pick = (values: Float32Array): Float32Array => {
    const out = new Float32Array(n * modelIds.length);
    for (let i = 0; i < n; i++) {
      const row = values.subarray(i * from, i * from + from);
      const mean = row.reduce((sum, x) => sum + x, 0) / from;
      columns.forEach((j, k) => {
        out[i * modelIds.length + k] = j < 0 ? mean : row[j]!;
      });
    }
    return out;
  };
  return { quality: pick(all.quality), outputTokens: pick(all.outputTokens) };
}

/** Heads without factors, level 0 for every model, at home everywhere. */
export function blankHeads(modelIds: readonly string[], d: number): Heads {
  const m = modelIds.length;
  const none = new Float64Array(0);
  // A distance is 2 at most: nothing is ever far.
  const domain: Domain = { centres: unitVector(d), typical: 1, near: 3, far: 4, known: null };
  const lengths = Float64Array.from({ length: m * 2 }, (_, at) =>
    at % 2 === 0 ? Math.log1p(DEFAULT_OUTPUT_TOKENS) : 0,
  );
  return {
    modelIds,
    dimension: d,
    regions: NO_REGIONS,
    factors: { count: 0, weights: none, bias: none, limits: none, variance: none },
    rows: new Float64Array(m),
    covariance: new Float64Array(m).fill(1),
    tokens: { weights: new Float64Array(d), bias: 0, limits: [0, 0], rows: lengths, logSmear: new Float64Array(m) },
    domain,
    evidence: new Float64Array(m),
  };
}

function unitVector(d: number): Float64Array {
  const out = new Float64Array(d);
  out[0] = 1;
  return out;
}

/** Learns each model's mean and nothing of the prompt: what learning is worth without reading. */
export function meansLearner(modelIds: readonly string[]): Learner {
  const m = modelIds.length;
  const same =
    (quality: Float64Array, tokens: Float64Array): Believe =>
    async (rows) => ({
      quality: Float32Array.from({ length: rows.length * m }, (_, at) => quality[at % m]!),
      outputTokens: Float32Array.from({ length: rows.length * m }, (_, at) => tokens[at % m]!),
    });
  return {
    name: 'means',
    start: same(new Float64Array(m).fill(0.5), new Float64Array(m).fill(DEFAULT_OUTPUT_TOKENS)),
    async fit(log) {
      return same(shrunkMeans(log.quality, m, 0.5), shrunkMeans(log.outputTokens, m, DEFAULT_OUTPUT_TOKENS));
    },
  };
}

/** (Σ x + 5 · mean of all) / (n + 5) by column. */
function shrunkMeans(values: Float32Array, m: number, none: number): Float64Array {
  const sum = new Float64Array(m);
  const count = new Float64Array(m);
  values.forEach((v, at) => {
    if (Number.isNaN(v)) return;
    sum[at % m]! += v;
    count[at % m]!++;
  });
  const total = count.reduce((a, b) => a + b, 0);
  const all = total === 0 ? none : sum.reduce((a, b) => a + b, 0) / total;
  return sum.map((s, j) => (s + PRIOR_ANSWERS * all) / (count[j]! + PRIOR_ANSWERS));
}

/** A method of the zoo, fitted to the log anew each time. */
export function zooLearner(name: string, estimator: Estimator, table: OutcomeTable): Learner {
  const m = table.modelIds.length;
  return {
    name,
    start: async (rows) => ({
      quality: new Float32Array(rows.length * m).fill(0.5),
      outputTokens: new Float32Array(rows.length * m).fill(DEFAULT_OUTPUT_TOKENS),
    }),
    async fit(log, _rows, seed) {
      const predictor = await estimator.fit(log, seed);
      return (rows) => predictor.predict(rows.map((r) => table.prompts[r]!));
    },
  };
}

/** Outcomes that a router has been told, by row of the whole table. */
export class Log {
  readonly #table: OutcomeTable;
  readonly #cells = new Map<number, Map<number, { quality: number; outputTokens: number }>>();

  constructor(table: OutcomeTable) {
    this.#table = table;
  }

  /** Prompts with at least one outcome. */
  get prompts(): number {
    return this.#cells.size;
  }

  add(row: number, column: number, quality: number, outputTokens: number): void {
    const cells = this.#cells.get(row) ?? new Map();
    this.#cells.set(row, cells);
    cells.set(column, { quality, outputTokens });
  }

  /** The outcomes as a table; everything never told is NaN. */
  table(): { table: OutcomeTable; rows: number[] } {
    const rows = [...this.#cells.keys()];
    const m = this.#table.modelIds.length;
    const table = selectRows(this.#table, rows);
    table.quality.fill(Number.NaN);
    table.outputTokens.fill(Number.NaN);
    rows.forEach((r, i) => {
      for (const [j, cell] of this.#cells.get(r)!) {
        table.quality[i * m + j] = cell.quality;
        table.outputTokens[i * m + j] = cell.outputTokens;
      }
    });
    return { table, rows };
  }
}
