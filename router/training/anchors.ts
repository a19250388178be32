/**
 * Anchors: which prompts to label first when a new model comes, picked once and good for every model.
 *
 * Four of five are picked by coverage (the prompt that brings the others nearest to one that is picked:
 * k-medoids, greedily), so that the labels stand for the traffic; one by discrimination (the prompt that most
 * narrows a new model's row: D-optimal design), so that what tells models apart is not missed.
 * Each pick is the best given those before it: whoever labels only the first half has the best half.
 * @see Polo et al., "tinyBenchmarks", 2024 (anchor points); Fedorov, "Theory of Optimal Experiments", 1972;
 *      Nemhauser, Wolsey & Fisher, 1978 (greedy picks are within 1 − 1/e of the best coverage)
 */
import { deriveSeed, seededRandom, shuffled } from '../../datasets/index.ts';
import type { Heads } from '../heads/heads.ts';
import { inverse } from './linear-algebra.ts';
import { priorOverModels, rowInputs } from './onboard-row.ts';

export interface Anchor {
  /** Index of the prompt. */
  readonly row: number;
  readonly why: 'coverage' | 'discrimination';
}

/** Coverage is measured on so many prompts at most: distances between all of them are held at once. */
const MAX_COVERED = 2000;
/** A coordinate further out than this many standard deviations counts as this far. */
const OUTLIER = 6;
/** One pick in so many is by discrimination: with two in five, 15 labels taught less on both sources tried. */
const DISCRIMINATE_EVERY = 5;

/**
 * @param z      n × d, embeddings
 * @param groups n, what must not be picked twice: near-copies of one prompt say the same
 * @param count  how many; fewer come back where there are fewer groups
 * @returns best first; the same for the same input
 */
export function chooseAnchors(heads: Heads, z: Float32Array, groups: readonly string[], count: number): Anchor[] {
  const n = groups.length;
  const open = firstOfEachGroup(groups);
  const covered = sample(open, MAX_COVERED);
  const coverage = coverageGain(z, heads.dimension, covered);
  const information = informationGain(heads, z, n);
  const picked: Anchor[] = [];
  const taken = new Set<number>();
  const wanted = Math.min(count, open.length);
  while (picked.length < wanted) {
    const why = picked.length % DISCRIMINATE_EVERY === DISCRIMINATE_EVERY - 1 ? 'discrimination' : 'coverage';
    const gain = why === 'coverage' ? coverage.gain : information.gain;
    const among = why === 'coverage' && covered.some((i) => !taken.has(i)) ? covered : open;
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (const i of among) {
      if (taken.has(i)) continue;
      const g = gain(i);
      if (g > most) [best, most] = [i, g];
    }
    picked.push({ row: best, why });
    taken.add(best);
    coverage.take(best);
    information.take(best);
  }
  return picked;
}

function firstOfEachGroup(groups: readonly string[]): number[] {
  const seen = new Set<string>();
  return groups.flatMap((g, i) => (seen.has(g) ? [] : [seen.add(g) && i]));
}

/** So many of them, in their order; always the same ones. */
const sample = (rows: readonly number[], most: number): number[] =>
  rows.length <= most
    ? [...rows]
    : shuffled(rows, seededRandom(deriveSeed(1, 'anchors')))
        .slice(0, most)
        .sort((a, b) => a - b);

interface Criterion {
  /** What picking this prompt next would bring; only comparable with others at the same moment. */
  readonly gain: (i: number) => number;
  readonly take: (i: number) => void;
}

/** How much nearer the covered prompts would come to a picked one, every coordinate counted in its own spread. */
function coverageGain(z: Float32Array, d: number, covered: readonly number[]): Criterion {
  const k = covered.length;
  const standard = new Float32Array(k * d);
  for (let c = 0; c < d; c++) {
    const values = covered.map((i) => z[i * d + c]!);
    const mean = values.reduce((s, v) => s + v, 0) / k;
    const sd = Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / k);
    if (sd < 1e-6) continue;
    values.forEach((v, a) => {
      standard[a * d + c] = Math.min(OUTLIER, Math.max(-OUTLIER, (v - mean) / sd));
    });
  }
  const distances = new Float32Array(k * k);
  for (let a = 0; a < k; a++) {
    for (let b = 0; b < a; b++) {
      let s = 0;
      for (let c = 0; c < d; c++) s += (standard[a * d + c]! - standard[b * d + c]!) ** 2;
      distances[a * k + b] = distances[b * k + a] = Math.sqrt(s / d);
    }
  }
  const far = 2 * OUTLIER; // no two are further apart
  const nearest = new Float32Array(k).fill(far);
  const at = new Map(covered.map((i, a) => [i, a]));
  return {
    gain(i) {
      const a = at.get(i);
      if (a === undefined) return 0;
      let sum = 0;
      for (let b = 0; b < k; b++) sum += Math.max(0, nearest[b]! - distances[a * k + b]!);
      return sum;
    },
    take(i) {
      const a = at.get(i);
      if (a === undefined) return;
      for (let b = 0; b < k; b++) nearest[b] = Math.min(nearest[b]!, distances[a * k + b]!);
    },
  };
}

/**
 * By how much one more answer narrows the row of a model drawn from those known: the determinant of what is
 * uncertain of it falls by 1 + v·xᵀ C x, with v = p(1 − p) at the average model and C what is uncertain so far.
 */
function informationGain(heads: Heads, z: Float32Array, n: number): Criterion {
  const prior = priorOverModels(heads);
  const w = heads.factors.count + 1;
  const { x } = rowInputs(heads, z, n);
  const weight = Float64Array.from({ length: n }, (_, i) => {
    let l = 0;
    for (let a = 0; a < w; a++) l += prior.mean[a]! * x[i * w + a]!;
    const p = 1 / (1 + Math.exp(-l));
    return p * (1 - p);
  });
  const information = inverse(prior.covariance, w);
  let uncertain = prior.covariance;
  return {
    gain(i) {
      let s = 0;
      for (let a = 0; a < w; a++) {
        for (let b = 0; b < w; b++) s += x[i * w + a]! * uncertain[a * w + b]! * x[i * w + b]!;
      }
      return weight[i]! * s;
    },
    take(i) {
      for (let a = 0; a < w; a++) {
        for (let b = 0; b < w; b++) information[a * w + b]! += weight[i]! * x[i * w + a]! * x[i * w + b]!;
      }
      uncertain = inverse(information, w);
    },
  };
}
