/** Notices that a level has risen: what calls cost beside their forecasts, how long a deployment takes. */

export interface LevelShiftOptions {
  /** Values that say what is usual, the first that come. Default 300. */
  readonly reference?: number;
  /** Latest values that are compared with them. Default 150. */
  readonly window?: number;
  /** The middle must move by this factor, up or down. Default 1.5. */
  readonly factor?: number;
}

export interface LevelShift {
  /** Middle of the window ÷ middle of the reference. */
  readonly ratio: number;
  /** Of the rank sum, in standard deviations. */
  readonly z: number;
  /** When the first value of the window came. */
  readonly since: number;
}

/** Beyond chance, though it is looked at for ever and values that follow each other are alike. */
const SURE = 6;

/**
 * Ranks of the window among window and reference together, against what chance would give them:
 *
 *     z = (U − n m / 2) / √(n m (n + m + 1) / 12)
 *
 * so that a few hangs do not pass for a new level. Told when z ≥ 6 and the medians differ by `factor`; a level that fell
 * as clearly is the new reference. Looked at once
 * every quarter of a window.
 * @see Mann & Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other",
 *      Annals of Mathematical Statistics 1947
 */
export class LevelShiftDetector {
  readonly #size: { reference: number; window: number; factor: number };
  readonly #reference: number[] = [];
  readonly #window: { value: number; at: number }[] = [];
  #sinceLook = 0;
  #shift: LevelShift | null = null;

  constructor({ reference = 300, window = 150, factor = 1.5 }: LevelShiftOptions = {}) {
    this.#size = { reference, window, factor };
  }

  get shift(): LevelShift | null {
    return this.#shift;
  }

  /** @param value above 0; others say nothing and are passed over */
  add(value: number, at: number): void {
    if (!(value > 0 && value < Number.POSITIVE_INFINITY) || this.#shift !== null) return;
    if (this.#reference.length < this.#size.reference) {
      this.#reference.push(value);
      return;
    }
    this.#window.push({ value, at });
    if (this.#window.length > this.#size.window) this.#window.shift();
    if (this.#window.length < this.#size.window || ++this.#sinceLook < this.#size.window / 4) return;
    this.#sinceLook = 0;
    const values = this.#window.map((entry) => entry.value);
    const ratio = median(values) / median(this.#reference);
    const z = rankSumZ(values, this.#reference);
    const { factor } = this.#size;
    const moved = z > 0 ? ratio >= factor : ratio <= 1 / factor;
    if (Math.abs(z) < SURE || !moved) return;
    if (z > 0) this.#shift = { ratio, z, since: this.#window[0]!.at };
    // Cheaper or faster than before is what is usual from now on.
    else this.#reference.splice(0, this.#reference.length, ...values);
  }
}

/** Ties share their ranks; all of one value: 0. */
export function rankSumZ(xs: readonly number[], ys: readonly number[]): number {
  const all = [...xs.map((v) => ({ v, x: true })), ...ys.map((v) => ({ v, x: false }))].sort((a, b) => a.v - b.v);
  let ranks = 0;
  let ties = 0;
  for (let i = 0; i < all.length; ) {
    let j = i;
    while (j < all.length && all[j]!.v === all[i]!.v) j++;
    const rank = (i + 1 + j) / 2;
    for (let k = i; k < j; k++) if (all[k]!.x) ranks += rank;
    ties += (j - i) ** 3 - (j - i);
    i = j;
  }
  const [n, m, total] = [xs.length, ys.length, all.length];
  const u = ranks - (n * (n + 1)) / 2;
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)));
  return variance > 0 ? (u - (n * m) / 2) / Math.sqrt(variance) : 0;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
