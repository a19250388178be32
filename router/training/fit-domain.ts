/** Where the training prompts are: centres they gather around, and how far prompts of the same kind stay from them. */
import { type Domain, domainDistance } from '../heads/heads.ts';
import { kMeans } from './k-means.ts';
import { unitLength } from './unit-length.ts';

/** A nearest neighbour in direction tells a new kind of task where a distance from the mean does not (README). */
const CENTRES = 128;
/** Fewest prompts per centre: with fewer, every training prompt would be a centre and every other one far away. */
const PROMPTS_PER_CENTRE = 4;
/** Prompts that centres are fitted on, at most: more of them move no centre far. */
const MOST_ROWS = 4096;
/** Centres need no more than to lie where prompts are. */
const ROUNDS = 5;
/** New to the corpus, of a text that is at home in it but misspelt: this share of its n-grams is never strange. */
const MISSPELT = 0.15;
/** Share of prompts like the training ones within `near`. */
const NEAR = 0.95;
/** From `near` to `far` is this many times as far as from the median to the 99th percentile. */
const FADE = 1;

/**
 * @param z     n × d embeddings
 * @param folds fold of each row, groups kept together
 * @param options `knownCoordinate`: where the encoder says how much of a text it knew
 */
export function fitDomain(
  z: Float32Array,
  n: number,
  d: number,
  folds: Int32Array,
  seed: number,
  options: { knownCoordinate?: number; centres?: number } = {},
): Domain {
  const count = Math.max(1, Math.min(options.centres ?? CENTRES, Math.floor(n / PROMPTS_PER_CENTRE)));
  const unit = unitLength(z, d);
  const all = centresOf(unit, d, count, seed);
  // One half's distances from centres of the other: how far prompts stay from centres that were not fitted on them.
  const half = folds.reduce((a, b) => Math.max(a, b), 0) / 2;
  const fitted = rowsWhere(unit, d, (i) => folds[i]! <= half);
  const held = rowsWhere(unit, d, (i) => folds[i]! > half);
  const measured = held.length === 0 ? unit : held;
  const centres = centresOf(fitted, d, count, seed);
  const distance = Float64Array.from({ length: measured.length / d }, (_, i) =>
    domainDistance({ centres }, measured, i * d, d),
  );
  distance.sort();
  const at = (share: number): number => distance[Math.min(distance.length - 1, Math.floor(share * distance.length))]!;
  const typical = Math.max(1e-3, at(0.5));
  const near = Math.max(typical, at(NEAR));
  return {
    centres: all,
    typical,
    near,
    far: near + Math.max(1e-3, FADE * (at(0.99) - typical)),
    known: options.knownCoordinate === undefined ? null : knownLimit(z, n, d, options.knownCoordinate),
  };
}

/** Centres of prompts beside those that are known already: what a log adds to a domain. */
export function withCentres(domain: Domain, z: Float32Array, n: number, d: number, seed: number): Domain {
  const added = centresOf(unitLength(z, d), d, Math.max(1, Math.min(CENTRES / 4, Math.floor(n / 20))), seed);
  return { ...domain, centres: Float64Array.from([...domain.centres, ...added]) };
}

function centresOf(unit: Float32Array, d: number, count: number, seed: number): Float64Array {
  const step = Math.ceil(unit.length / d / MOST_ROWS);
  const rows = step === 1 ? unit : rowsWhere(unit, d, (i) => i % step === 0);
  const centres = kMeans(rows, d, count, seed, ROUNDS);
  return Float64Array.from(unitLength(centres, d));
}

function knownLimit(z: Float32Array, n: number, d: number, coordinate: number): NonNullable<Domain['known']> {
  const known = Float64Array.from({ length: n }, (_, i) => z[i * d + coordinate]!).sort();
  return { coordinate, limit: Math.min(-MISSPELT, known[Math.floor(n * 0.005)]!) };
}

function rowsWhere(z: Float32Array, d: number, keep: (row: number) => boolean): Float32Array {
  const rows = Array.from({ length: z.length / d }, (_, i) => i).filter(keep);
  const out = new Float32Array(rows.length * d);
  rows.forEach((i, to) => {
    out.set(z.subarray(i * d, i * d + d), to * d);
  });
  return out;
}
