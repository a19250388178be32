/**
 * A network of one hidden layer from an embedding to one output per model, with the gradient of its loss.
 *
 *     h = act(W x + c),    y_m = v_m · h + β_m − u · x,    q_m = link(y_m)
 */
import { normal, type Random } from '../../datasets/index.ts';
import { addProduct, addTransposedProduct, transposedProduct } from './products.ts';

export interface NetworkOptions {
  readonly hidden: number;
  readonly activation: 'identity' | 'relu' | 'softplus';
  /** `logistic`: probabilities under cross-entropy. `identity`: numbers under squared error. */
  readonly link: 'logistic' | 'identity';
  /** Whether there is u: a difficulty of the prompt that counts the same for all models. */
  readonly difficulty: boolean;
}

export class Network {
  /** W (hidden × d), V (m × hidden), u (d), then the intercepts c (hidden) and β (m). */
  readonly parameters: Float64Array;
  /** Parameters before this one are weights, from here on intercepts: nothing shrinks those. */
  readonly decayed: number;
  readonly #options: NetworkOptions;
  readonly #d: number;
  readonly #m: number;
  readonly #w: Float64Array;
  readonly #v: Float64Array;
  readonly #u: Float64Array;
  readonly #c: Float64Array;
  readonly #beta: Float64Array;
  readonly #h: Float64Array;
  readonly #slope: Float64Array;
  readonly #back: Float64Array;
  readonly #q: Float64Array;

  /**
   * Hidden weights are drawn, all else is 0 but β: the network starts out as the models' means.
   * @param means of each model's quality, length m, in (0, 1)
   * @param rows  most rows of one {@link forward}
   */
  constructor(d: number, means: Float64Array, rows: number, random: Random, options: NetworkOptions) {
    const { hidden, link } = options;
    const m = means.length;
    this.#options = options;
    this.#d = d;
    this.#m = m;
    this.decayed = hidden * d + m * hidden + d;
    this.parameters = new Float64Array(this.decayed + hidden + m);
    [this.#w, this.#v, this.#u, this.#c, this.#beta] = this.#parts(this.parameters);
    for (let k = 0; k < hidden * d; k++) this.#w[k] = normal(random) / Math.sqrt(d);
    means.forEach((q, j) => {
      this.#beta[j] = link === 'identity' ? q : Math.log(q / (1 - q));
    });
    this.#h = new Float64Array(rows * hidden);
    this.#slope = new Float64Array(rows * hidden);
    this.#back = new Float64Array(rows * hidden);
    this.#q = new Float64Array(rows * m);
  }

  /** @param x n × d @returns n × m, overwritten by the next call */
  forward(x: Float64Array, n: number): Float64Array {
    const { hidden, activation, link, difficulty } = this.#options;
    const h = this.#h;
    const slope = this.#slope;
    const q = this.#q;
    const d = this.#d;
    const m = this.#m;
    transposedProduct(x, this.#w, this.#c, n, d, hidden, h);
    for (let k = 0; k < n * hidden; k++) {
      const s = h[k]!;
      if (activation === 'identity') slope[k] = 1;
      else if (activation === 'relu') {
        h[k] = Math.max(0, s);
        slope[k] = s > 0 ? 1 : 0;
      } else {
        const e = Math.exp(-Math.abs(s));
        h[k] = Math.log1p(e) + Math.max(0, s);
        slope[k] = s > 0 ? 1 / (1 + e) : e / (1 + e);
      }
    }
    transposedProduct(h, this.#v, this.#beta, n, hidden, m, q);
    for (let i = 0; i < n; i++) {
      let hard = 0;
      if (difficulty) for (let a = 0; a < d; a++) hard += this.#u[a]! * x[i * d + a]!;
      for (let at = i * m; at < i * m + m; at++) {
        q[at] = link === 'identity' ? q[at]! - hard : 1 / (1 + Math.exp(hard - q[at]!));
      }
    }
    return q.subarray(0, n * m);
  }

  /**
   * Writes into `gradient` that of the last {@link forward}'s loss by the parameters.
   * @param delta n × m, the loss by y: under both losses ∝ q − observed, and 0 where nothing was observed
   */
  backward(x: Float64Array, delta: Float64Array, n: number, gradient: Float64Array): void {
    const { hidden, difficulty } = this.#options;
    const d = this.#d;
    const m = this.#m;
    const [w, v, u, c, beta] = this.#parts(gradient.fill(0));
    const back = this.#back.fill(0);
    addTransposedProduct(delta, this.#h, n, m, hidden, v);
    addProduct(delta, this.#v, n, m, hidden, back);
    for (let k = 0; k < n * hidden; k++) {
      back[k]! *= this.#slope[k]!;
      c[k % hidden]! += back[k]!;
    }
    addTransposedProduct(back, x, n, hidden, d, w);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < m; j++) {
        sum += delta[i * m + j]!;
        beta[j]! += delta[i * m + j]!;
      }
      if (difficulty) for (let a = 0; a < d; a++) u[a]! -= sum * x[i * d + a]!;
    }
  }

  #parts(all: Float64Array): [w: Float64Array, v: Float64Array, u: Float64Array, c: Float64Array, beta: Float64Array] {
    const { hidden } = this.#options;
    let from = 0;
    const next = (size: number) => {
      from += size;
      return all.subarray(from - size, from);
    };
    return [next(hidden * this.#d), next(this.#m * hidden), next(this.#d), next(hidden), next(this.#m)];
  }
}
