/** k-means: which prompts are alike, without looking at any outcome. */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';

/** Rounds after which centres hardly move. */
const ROUNDS = 20;

/**
 * Centres by k-means++ seeding and Lloyd's rounds.
 * @param z n × d points
 * @param k at most n centres
 * @returns k × d; fewer rows where there are fewer distinct points
 * @see Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", 2007
 */
export function kMeans(z: Float32Array, d: number, k: number, seed: number, rounds = ROUNDS): Float32Array {
  const n = z.length / d;
  let centres = seeds(z, d, Math.min(k, n), seed);
  const nearest = new Int32Array(n).fill(-1);
  for (let round = 0; round < rounds; round++) {
    let moved = 0;
    const count = centres.length / d;
    const sums = new Float64Array(centres.length);
    const sizes = new Float64Array(count);
    const distance = new Float64Array(count);
    for (let i = 0; i < n; i++) {
      squaredDistances(z, i * d, centres, d, distance);
      let c = 0;
      for (let o = 1; o < count; o++) if (distance[o]! < distance[c]!) c = o;
      if (nearest[i] !== c) moved++;
      nearest[i] = c;
      sizes[c]!++;
      for (let a = 0; a < d; a++) sums[c * d + a]! += z[i * d + a]!;
    }
    if (moved === 0) break;
    centres = centres.map((v, at) => {
      const size = sizes[Math.floor(at / d)]!;
      return size === 0 ? v : sums[at]! / size;
    });
  }
  return centres;
}

/** Each next seed is drawn with probability ∝ squared distance from the seeds so far. */
function seeds(z: Float32Array, d: number, k: number, seed: number): Float32Array {
  const n = z.length / d;
  const random = seededRandom(deriveSeed(seed, `k-means ${k}`));
  const chosen = [Math.floor(random() * n)];
  const left = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const one = new Float64Array(1);
  while (chosen.length < k) {
    const last = z.subarray(chosen.at(-1)! * d, chosen.at(-1)! * d + d);
    let total = 0;
    for (let i = 0; i < n; i++) {
      squaredDistances(z, i * d, last, d, one);
      left[i] = Math.min(left[i]!, one[0]!);
      total += left[i]!;
    }
    if (!(total > 0)) break;
    let u = random() * total;
    let next = 0;
    while (next < n - 1 && u >= left[next]!) u -= left[next++]!;
    chosen.push(next);
  }
  return Float32Array.from(chosen.flatMap((i) => [...z.subarray(i * d, i * d + d)]));
}

/** Squared distances of one point from every centre, into `out`. */
export function squaredDistances(
  z: Float32Array,
  at: number,
  centres: Float32Array,
  d: number,
  out: Float64Array,
): void {
  // Four at a time: one sum waits for itself, four do not wait for each other.
  let c = 0;
  for (; c + 3 < out.length; c += 4) {
    const c0 = c * d;
    const c1 = c0 + d;
    const c2 = c1 + d;
    const c3 = c2 + d;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let a = 0; a < d; a++) {
      const v = z[at + a]!;
      const e0 = v - centres[c0 + a]!;
      const e1 = v - centres[c1 + a]!;
      const e2 = v - centres[c2 + a]!;
      const e3 = v - centres[c3 + a]!;
      s0 += e0 * e0;
      s1 += e1 * e1;
      s2 += e2 * e2;
      s3 += e3 * e3;
    }
    out[c] = s0;
    out[c + 1] = s1;
    out[c + 2] = s2;
    out[c + 3] = s3;
  }
  for (; c < out.length; c++) {
    let s = 0;
    for (let a = 0, from = c * d; a < d; a++) {
      const e = z[at + a]! - centres[from + a]!;
      s += e * e;
    }
    out[c] = s;
  }
}
