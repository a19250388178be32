/**
 * A network of one hidden layer from an embedding to one output per model, with the gradient of its loss.
 *
 *     h = act(W x + c),    y_m = v_m · h + β_m − u · x,    q_m = link(y_m)
 */
import { normal, type Random } from '../../datasets/index.ts';

export interface NetworkOptions {
  readonly hidden: number;
  readonly activation: 'identity' | 'relu' | 'softplus';
  /** `logistic`: probabilities under cross-entropy. `identity`: numbers under squared error. */
  readonly link: 'logistic' | 'identity';
  /** Whether there is u: a difficulty of the prompt that counts the same for all models. */
  readonly difficulty: boolean;
}

export class Network {
  /** W (hidden × d), c (hidden), V (m × hidden), u (d), β (m). */
  readonly parameters: Float64Array;
  /** Entries from here on are intercepts: nothing shrinks them. */
  readonly decayed: number;
  /** h and q of the last {@link forward}. */
  readonly h: Float64Array;
  readonly q: Float64Array;
  readonly options: NetworkOptions;
  readonly d: number;
  readonly #slope: Float64Array;
  readonly #back: Float64Array;

  /**
   * Hidden weights are drawn, all else is 0 but the intercepts: the network starts out as the models' means.
   * @param means of each model's quality, length m
   */
  constructor(d: number, means: Float64Array, random: Random, options: NetworkOptions) {
    const { hidden, link } = options;
    const m = means.length;
    this.d = d;
    this.options = options;
    this.decayed = hidden * d + hidden + m * hidden + d;
    this.parameters = new Float64Array(this.decayed + m);
    for (let k = 0; k < hidden * d; k++) this.parameters[k] = normal(random) / Math.sqrt(d);
    means.forEach((q, j) => {
      this.parameters[this.decayed + j] = link === 'identity' ? q : Math.log(q / (1 - q));
    });
    this.h = new Float64Array(hidden);
    this.q = new Float64Array(m);
    this.#slope = new Float64Array(hidden);
    this.#back = new Float64Array(hidden);
  }

  /** Fills {@link q} for the input at `x[at …]`. */
  forward(x: ArrayLike<number>, at: number): void {
    const { parameters: p, h, q, d } = this;
    const slope = this.#slope;
    const { hidden, activation, link, difficulty } = this.options;
    const c = hidden * d;
    for (let k = 0; k < hidden; k++) {
      let s = p[c + k]!;
      for (let a = 0, w = k * d; a < d; a++) s += p[w + a]! * x[at + a]!;
      if (activation === 'identity') {
        h[k] = s;
        slope[k] = 1;
      } else if (activation === 'relu') {
        h[k] = Math.max(0, s);
        slope[k] = s > 0 ? 1 : 0;
      } else {
        const e = Math.exp(-Math.abs(s));
        h[k] = Math.log1p(e) + Math.max(0, s);
        slope[k] = s > 0 ? 1 / (1 + e) : e / (1 + e);
      }
    }
    const v = c + hidden;
    const u = this.decayed - d;
    let hard = 0;
    if (difficulty) for (let a = 0; a < d; a++) hard += p[u + a]! * x[at + a]!;
    for (let j = 0; j < q.length; j++) {
      let y = p[this.decayed + j]! - hard;
      for (let k = 0, w = v + j * hidden; k < hidden; k++) y += p[w + k]! * h[k]!;
      q[j] = link === 'identity' ? y : 1 / (1 + Math.exp(-y));
    }
  }

  /**
   * Adds to `gradient` that of the last {@link forward}'s input, given that of its loss by y: q − observed under
   * both losses, 0 where nothing was observed.
   */
  backward(x: ArrayLike<number>, at: number, delta: Float64Array, gradient: Float64Array): void {
    const { parameters: p, h, d } = this;
    const slope = this.#slope;
    const back = this.#back.fill(0);
    const { hidden, difficulty } = this.options;
    const c = hidden * d;
    const v = c + hidden;
    let sum = 0;
    for (let j = 0; j < delta.length; j++) {
      const e = delta[j]!;
      if (e === 0) continue;
      sum += e;
      gradient[this.decayed + j]! += e;
      for (let k = 0, w = v + j * hidden; k < hidden; k++) {
        gradient[w + k]! += e * h[k]!;
        back[k]! += e * p[w + k]!;
      }
    }
    for (let k = 0; k < hidden; k++) {
      const e = back[k]! * slope[k]!;
      if (e === 0) continue;
      gradient[c + k]! += e;
      for (let a = 0, w = k * d; a < d; a++) gradient[w + a]! += e * x[at + a]!;
    }
    const u = this.decayed - d;
    if (difficulty) for (let a = 0; a < d; a++) gradient[u + a]! -= sum * x[at + a]!;
  }
}
