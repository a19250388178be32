/**
 * Trains a network as many times as there are inner folds, each time without one of them, all in step, until the
 * loss on the left-out folds stops falling; the weights of the best moment are kept. New prompts get the mean of
 * these networks (which is better than any of them), a training row the one that has not seen its group.
 */
import { deriveSeed, normal, type Random, seededRandom, shuffled } from '../../datasets/index.ts';
import { Adam } from './adam.ts';
import { foldCount } from './inner-folds.ts';
import { Network, type NetworkOptions } from './network.ts';

export interface CrossFitOptions extends NetworkOptions {
  readonly rate: number;
  readonly weightDecay: number;
  /** Standard deviation of the noise added to standardised embeddings in training. */
  readonly noise: number;
}

export interface CrossFit {
  /** n × m in [0, 1]. */
  readonly outOfFold: Float32Array;
  /** Mean loss on the left-out folds (cross-entropy or squared error), and the steps it took to get there. */
  readonly loss: number;
  readonly steps: number;
  /** n × m in [0, 1]. */
  predict(z: Float32Array, n: number): Float32Array;
}

const BATCH = 32;
const MAX_STEPS = 2000;
/** Steps between two looks at the left-out folds, and looks without a better one after which training ends. */
const LOOK_EVERY = 20;
const PATIENCE = 8;

/**
 * @param z       n × d
 * @param quality n × m in [0, 1], NaN where missing
 * @param folds   fold of each row; where there is only one, its means are all that is learned
 */
export function crossFit(
  z: Float32Array,
  d: number,
  quality: Float32Array,
  m: number,
  folds: Int32Array,
  seed: number,
  options: CrossFitOptions,
): CrossFit {
  const standardised = standardiser(z, d);
  const x = standardised(z);
  const count = foldCount(folds);
  const rows = [...folds.keys()];
  const learners = Array.from({ length: count }, (_, f) => {
    const rest = count === 1 ? rows : rows.filter((i) => folds[i] !== f);
    return {
      own: rows.filter((i) => folds[i] === f),
      ...learner(x, d, quality, m, rest, seededRandom(deriveSeed(seed, `cross-fit ${f}`)), options),
    };
  });
  const leftOutLoss = (): number => {
    let sum = 0;
    let cells = 0;
    for (const { network, own } of learners) {
      for (const i of own) {
        network.forward(x, i * d);
        for (let j = 0; j < m; j++) {
          const q = quality[i * m + j]!;
          if (Number.isNaN(q)) continue;
          sum += loss(network.q[j]!, q, options.link);
          cells++;
        }
      }
    }
    return sum / Math.max(1, cells);
  };

  const snapshot = () => learners.map(({ network }) => network.parameters.slice());
  let best = { loss: leftOutLoss(), steps: 0, parameters: snapshot() };
  for (let steps = 1; count > 1 && steps <= MAX_STEPS; steps++) {
    for (const { step } of learners) step();
    if (steps % LOOK_EVERY !== 0) continue;
    const now = leftOutLoss();
    if (now < best.loss) best = { loss: now, steps, parameters: snapshot() };
    else if (steps - best.steps >= PATIENCE * LOOK_EVERY) break;
  }
  learners.forEach(({ network }, f) => {
    network.parameters.set(best.parameters[f]!);
  });

  const outOfFold = new Float32Array(quality.length);
  for (const { network, own } of learners) {
    for (const i of own) {
      network.forward(x, i * d);
      for (let j = 0; j < m; j++) outOfFold[i * m + j] = clip(network.q[j]!);
    }
  }
  return {
    outOfFold,
    loss: best.loss,
    steps: best.steps,
    predict(queries, n) {
      const xs = standardised(queries);
      const out = new Float32Array(n * m);
      const sum = new Float64Array(m);
      for (let i = 0; i < n; i++) {
        sum.fill(0);
        for (const { network } of learners) {
          network.forward(xs, i * d);
          for (let j = 0; j < m; j++) sum[j]! += clip(network.q[j]!);
        }
        for (let j = 0; j < m; j++) out[i * m + j] = sum[j]! / count;
      }
      return out;
    },
  };
}

/** A network and what takes it one batch of `rows` further. */
function learner(
  x: Float32Array,
  d: number,
  quality: Float32Array,
  m: number,
  rows: readonly number[],
  random: Random,
  options: CrossFitOptions,
): { network: Network; step(): void } {
  const network = new Network(d, meansOf(quality, m, rows), random, options);
  const adam = new Adam(network.parameters.length);
  const gradient = new Float64Array(network.parameters.length);
  const delta = new Float64Array(m);
  const input = new Float64Array(d);
  let queue: number[] = [];
  return {
    network,
    step() {
      if (queue.length < Math.min(BATCH, rows.length)) queue = shuffled(rows, random);
      const batch = queue.splice(-BATCH);
      gradient.fill(0);
      let cells = 0;
      for (const i of batch) {
        for (let a = 0; a < d; a++) input[a] = x[i * d + a]! + (options.noise > 0 ? options.noise * normal(random) : 0);
        network.forward(input, 0);
        for (let j = 0; j < m; j++) {
          const q = quality[i * m + j]!;
          delta[j] = Number.isNaN(q) ? 0 : network.q[j]! - q;
          if (!Number.isNaN(q)) cells++;
        }
        network.backward(input, 0, delta, gradient);
      }
      for (let k = 0; k < gradient.length; k++) gradient[k]! /= Math.max(1, cells);
      adam.step(network.parameters, gradient, {
        rate: options.rate,
        decay: options.weightDecay,
        decayed: network.decayed,
      });
    },
  };
}

/** Mean quality of each model, kept inside (0, 1) by half an answer; a model never tried is expected to fail. */
function meansOf(quality: Float32Array, m: number, rows: readonly number[]): Float64Array {
  return Float64Array.from({ length: m }, (_, j) => {
    let sum = 0.5;
    let count = 1;
    for (const i of rows) {
      const q = quality[i * m + j]!;
      if (Number.isNaN(q)) continue;
      sum += q;
      count++;
    }
    return count === 1 ? 1e-3 : sum / count;
  });
}

function loss(predicted: number, observed: number, link: NetworkOptions['link']): number {
  if (link === 'identity') return (clip(predicted) - observed) ** 2;
  const p = Math.min(1 - 1e-9, Math.max(1e-9, predicted));
  return -observed * Math.log(p) - (1 - observed) * Math.log(1 - p);
}

/** Coordinates at mean 0 and variance 1 over the training rows; one that never moves there is left out. */
function standardiser(z: Float32Array, d: number): (z: Float32Array) => Float32Array {
  const n = z.length / d;
  const mean = new Float64Array(d);
  const variance = new Float64Array(d);
  for (let at = 0; at < z.length; at++) mean[at % d]! += z[at]! / n;
  for (let at = 0; at < z.length; at++) variance[at % d]! += (z[at]! - mean[at % d]!) ** 2 / n;
  const scale = variance.map((v) => (v > 1e-12 ? 1 / Math.sqrt(v) : 0));
  return (rows) => rows.map((v, at) => (v - mean[at % d]!) * scale[at % d]!);
}

const clip = (q: number): number => Math.min(1, Math.max(0, q));
