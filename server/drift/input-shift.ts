/** Notices that other prompts come than before, by the mean of their embeddings. */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';
import { cholesky } from '../../router/training/linear-algebra.ts';

export interface InputShiftOptions {
  /** Conversations that say what is usual, the first that come. Default 500. */
  readonly reference?: number;
  /** Latest ones that are compared with them. Default 300. */
  readonly window?: number;
}

export interface InputShift {
  /** Distance of the means in standard deviations of the reference, root mean square over directions. */
  readonly distance: number;
  /** Hotelling's T². */
  readonly t2: number;
  readonly since: number;
}

/** Directions that embeddings are looked at in, drawn once. */
const DIRECTIONS = 16;
/** Of χ² with 16 degrees of freedom at a probability of about 10⁻⁷: it is looked at for ever. */
const SURE = 66;
/** A mean this near is the same traffic, however sure it is that it moved. */
const LEAST_DISTANCE = 0.3;
/** Added to variances, as a share of their mean: directions in which nothing varies say nothing. */
const RIDGE = 1e-3;

/**
 * Hotelling's T² between the latest prompts and the first, in 16 random directions:
 *
 *     T² = (n m / (n + m)) δᵀ S⁻¹ δ,    δ difference of the means, S covariance of the reference
 *
 * One prompt a conversation: those of one conversation are alike.
 * @see Hotelling, "The Generalization of Student's Ratio", Annals of Mathematical Statistics 1931
 */
export class InputShiftDetector {
  readonly #size: { reference: number; window: number };
  readonly #reference: Float64Array[] = [];
  readonly #window: { x: Float64Array; at: number }[] = [];
  #directions: Float64Array | null = null;
  #usual: { mean: Float64Array; factor: Float64Array } | null = null;
  #sinceLook = 0;
  #shift: InputShift | null = null;

  constructor({ reference = 500, window = 300 }: InputShiftOptions = {}) {
    this.#size = { reference, window };
  }

  get shift(): InputShift | null {
    return this.#shift;
  }

  /** @param embedding length d, the same for all */
  add(embedding: ArrayLike<number>, at: number): void {
    if (this.#shift !== null) return;
    this.#directions ??= directionsFor(embedding.length);
    if (this.#directions.length !== DIRECTIONS * embedding.length) return;
    const x = projected(this.#directions, embedding);
    if (!x.every(Number.isFinite)) return;
    if (this.#usual === null) {
      this.#reference.push(x);
      if (this.#reference.length < this.#size.reference) return;
      this.#usual = usualOf(this.#reference);
      this.#reference.length = 0;
      return;
    }
    this.#window.push({ x, at });
    if (this.#window.length > this.#size.window) this.#window.shift();
    if (this.#window.length < this.#size.window || ++this.#sinceLook < this.#size.window / 4) return;
    this.#sinceLook = 0;
    const { mean, factor } = this.#usual;
    const off = mean.map((v, k) => this.#window.reduce((sum, { x: w }) => sum + w[k]!, 0) / this.#window.length - v);
    const squared = whitened(factor, off).reduce((sum, v) => sum + v * v, 0);
    const [n, m] = [this.#size.window, this.#size.reference];
    const t2 = ((n * m) / (n + m)) * squared;
    const distance = Math.sqrt(squared / DIRECTIONS);
    if (t2 >= SURE && distance >= LEAST_DISTANCE) this.#shift = { distance, t2, since: this.#window[0]!.at };
  }
}

function directionsFor(d: number): Float64Array {
  const random = seededRandom(deriveSeed(1, 'input shift'));
  // Signs do as well as normal numbers (Achlioptas 2003).
  return Float64Array.from({ length: DIRECTIONS * d }, () => (random() < 0.5 ? -1 : 1) / Math.sqrt(d));
}

function projected(directions: Float64Array, z: ArrayLike<number>): Float64Array {
  const d = z.length;
  const out = new Float64Array(DIRECTIONS);
  for (let k = 0; k < DIRECTIONS; k++) {
    let sum = 0;
    for (let a = 0; a < d; a++) sum += directions[k * d + a]! * z[a]!;
    out[k] = sum;
  }
  return out;
}

function usualOf(rows: readonly Float64Array[]): { mean: Float64Array; factor: Float64Array } {
  const n = rows.length;
  const mean = new Float64Array(DIRECTIONS);
  for (const row of rows) for (let k = 0; k < DIRECTIONS; k++) mean[k]! += row[k]! / n;
  const covariance = new Float64Array(DIRECTIONS * DIRECTIONS);
  for (const row of rows) {
    for (let a = 0; a < DIRECTIONS; a++) {
      for (let b = 0; b < DIRECTIONS; b++) {
        covariance[a * DIRECTIONS + b]! += ((row[a]! - mean[a]!) * (row[b]! - mean[b]!)) / (n - 1);
      }
    }
  }
  let trace = 0;
  for (let a = 0; a < DIRECTIONS; a++) trace += covariance[a * DIRECTIONS + a]!;
  const ridge = Math.max(1e-12, (RIDGE * trace) / DIRECTIONS);
  for (let a = 0; a < DIRECTIONS; a++) covariance[a * DIRECTIONS + a]! += ridge;
  return { mean, factor: cholesky(covariance, DIRECTIONS) };
}

/** L⁻¹ v by forward substitution. */
function whitened(factor: Float64Array, v: Float64Array): Float64Array {
  const out = new Float64Array(DIRECTIONS);
  for (let a = 0; a < DIRECTIONS; a++) {
    let sum = v[a]!;
    for (let b = 0; b < a; b++) sum -= factor[a * DIRECTIONS + b]! * out[b]!;
    out[a] = sum / factor[a * DIRECTIONS + a]!;
  }
  return out;
}
