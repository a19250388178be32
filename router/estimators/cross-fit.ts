/**
 * Trains a network as many times as there are inner folds, each time without one of them, all in step, until the
 * loss on the left-out folds stops falling; the weights of the best moment are kept. New prompts get the mean of
 * these networks (which is better than any of them), a training row the one that has not seen its group.
 */
import { deriveSeed, normal, type Random, seededRandom, shuffled } from '../../datasets/index.ts';
import { Adam } from './adam.ts';
import { foldCount } from './inner-folds.ts';
import { Network, type NetworkOptions } from './network.ts';
import { standardiser } from './standardise.ts';

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
const MAX_STEPS = 4000;
/** Steps between two looks at the left-out folds: more where there is more to look at. */
const lookEvery = (n: number): number => Math.max(20, Math.round(n / 100));
/** Looks without a better one after which training ends. */
const PATIENCE = 5;

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
      ...learnerOn(x, d, quality, m, rest, seededRandom(deriveSeed(seed, `cross-fit ${f}`)), options),
    };
  });
  const leftOutLoss = (): number => {
    let sum = 0;
    let cells = 0;
    for (const { own, forecast } of learners) {
      forecast(x, own, (i, q) => {
        for (let j = 0; j < m; j++) {
          const observed = quality[i * m + j]!;
          if (Number.isNaN(observed)) continue;
          sum += loss(q[j]!, observed, options.link);
          cells++;
        }
      });
    }
    return sum / Math.max(1, cells);
  };

  const pause = lookEvery(rows.length);
  const snapshot = () => learners.map(({ network }) => network.parameters.slice());
  let best = { loss: leftOutLoss(), steps: 0, parameters: snapshot() };
  for (let steps = 1; count > 1 && steps <= MAX_STEPS; steps++) {
    for (const { step } of learners) step();
    if (steps % pause !== 0) continue;
    const now = leftOutLoss();
    if (now < best.loss) best = { loss: now, steps, parameters: snapshot() };
    else if (steps - best.steps >= PATIENCE * pause) break;
  }
  learners.forEach(({ network }, f) => {
    network.parameters.set(best.parameters[f]!);
  });

  const outOfFold = new Float32Array(quality.length);
  for (const { own, forecast } of learners) {
    forecast(x, own, (i, q) => {
      for (let j = 0; j < m; j++) outOfFold[i * m + j] = clip(q[j]!);
    });
  }
  return {
    outOfFold,
    loss: best.loss,
    steps: best.steps,
    predict(queries, n) {
      const xs = standardised(queries);
      const sum = new Float64Array(n * m);
      for (const { forecast } of learners) {
        forecast(xs, [...Array(n).keys()], (i, q) => {
          for (let j = 0; j < m; j++) sum[i * m + j]! += clip(q[j]!);
        });
      }
      return Float32Array.from(sum, (s) => s / count);
    },
  };
}

interface Learner {
  readonly network: Network;
  /** Takes the network one batch further. */
  step(): void;
  /** Tells `each` of these rows of x its outputs, length m. */
  forecast(x: Float32Array, rows: readonly number[], each: (i: number, q: Float64Array) => void): void;
}

function learnerOn(
  x: Float32Array,
  d: number,
  quality: Float32Array,
  m: number,
  rows: readonly number[],
  random: Random,
  options: CrossFitOptions,
): Learner {
  const network = new Network(d, meansOf(quality, m, rows), BATCH, random, options);
  const adam = new Adam(network.parameters.length);
  const gradient = new Float64Array(network.parameters.length);
  const delta = new Float64Array(BATCH * m);
  const input = new Float64Array(BATCH * d);
  const { noise, rate, weightDecay } = options;
  const observed = Int32Array.from({ length: x.length / d }, (_, i) =>
    quality.subarray(i * m, i * m + m).reduce((count, q) => count + (Number.isNaN(q) ? 0 : 1), 0),
  );
  let queue: number[] = [];
  return {
    network,
    step() {
      if (queue.length < Math.min(BATCH, rows.length)) queue = shuffled(rows, random);
      const batch = queue.splice(-BATCH);
      batch.forEach((i, r) => {
        for (let a = 0; a < d; a++) input[r * d + a] = x[i * d + a]! + (noise > 0 ? noise * normal(random) : 0);
      });
      const q = network.forward(input, batch.length);
      const cells = batch.reduce((sum, i) => sum + observed[i]!, 0);
      batch.forEach((i, r) => {
        for (let j = 0; j < m; j++) {
          const value = quality[i * m + j]!;
          delta[r * m + j] = Number.isNaN(value) ? 0 : (q[r * m + j]! - value) / cells;
        }
      });
      network.backward(input, delta, batch.length, gradient);
      adam.step(network.parameters, gradient, { rate, decay: weightDecay, decayed: network.decayed });
    },
    forecast(from, wanted, each) {
      for (let start = 0; start < wanted.length; start += BATCH) {
        const batch = wanted.slice(start, start + BATCH);
        batch.forEach((i, r) => {
          input.set(from.subarray(i * d, i * d + d), r * d);
        });
        const q = network.forward(input, batch.length);
        batch.forEach((i, r) => {
          each(i, q.subarray(r * m, r * m + m));
        });
      }
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

const clip = (q: number): number => Math.min(1, Math.max(0, q));
