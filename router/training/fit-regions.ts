/**
 * Tells kinds of prompts apart: multinomial logistic regression of the benchmark's name on the embedding.
 *
 * Which model does well depends on the kind of task more than on anything else that a text tells, and a name for
 * the kind is something training data has. At routing time there is no name, only the text, so what heads learn
 * from is the classifier's own answer for prompts it was not fitted on, doubts included.
 */
import { deriveSeed, type Prompt, sampleRows } from '../../datasets/index.ts';
import { NO_REGIONS, type Regions, regionShares, softmax } from '../heads/heads.ts';
import { blockedProducts } from './blocked-products.ts';
import { minimise } from './lbfgs.ts';

/** Fewer prompts than this do not make a kind. */
const MIN_PROMPTS = 20;
/** Rows fitted on, at most: enough for some forty kinds. */
const MOST_ROWS = 6000;
const ROUNDS = 40;
/** Ridge on the weights, for inputs of about unit variance. 3 and 30 were as good on most sources. */
const RIDGE = 10;

export interface RegionsFit {
  readonly regions: Regions;
  /** n × B shares, each row from a fit without its own fold. */
  readonly outOfFold: Float64Array;
}

/** A benchmark's name, unlike those of other sources. */
export const kindOf = ({ source, benchmark }: Pick<Prompt, 'source' | 'benchmark'>): string =>
  benchmark.startsWith(source) ? benchmark : `${source}: ${benchmark}`;

/**
 * @param z     n × d
 * @param folds fold of each row
 */
export function fitRegions(
  prompts: readonly Pick<Prompt, 'source' | 'benchmark' | 'groupId'>[],
  z: Float32Array,
  d: number,
  folds: Int32Array,
  seed: number,
): RegionsFit {
  const n = prompts.length;
  const kind = prompts.map(kindOf);
  const counts = new Map<string, number>();
  for (const name of kind) counts.set(name, (counts.get(name) ?? 0) + 1);
  const names = [...counts.keys()].filter((name) => counts.get(name)! >= MIN_PROMPTS).sort();
  if (names.length < 2) return { regions: NO_REGIONS, outOfFold: new Float64Array(0) };
  const label = Int32Array.from(kind, (name) => names.indexOf(name));
  const labelled = [...label.keys()].filter((i) => label[i]! >= 0);
  const rows = sampleRows(prompts as readonly Prompt[], labelled, MOST_ROWS, deriveSeed(seed, 'regions'));
  const b = names.length;

  const whole = fitOn(rows, undefined);
  const outOfFold = new Float64Array(n * b);
  const last = folds.reduce((a, f) => Math.max(a, f), 0);
  for (let f = 0; f <= last; f++) {
    const rest = rows.filter((i) => folds[i] !== f);
    const regions = rest.length === 0 ? whole : fitOn(rest, whole);
    for (let i = 0; i < n; i++) if (folds[i] === f) regionShares(regions, z, i * d, d, outOfFold, i * b);
  }
  return { regions: whole, outOfFold };

  /** Started at another fit, it takes fewer rounds to the same optimum. */
  function fitOn(on: readonly number[], start: Regions | undefined): Regions {
    // Held as (d + 1) × B, the bias last: then every inner loop runs over neighbours.
    const from = new Float64Array((d + 1) * b);
    if (start) {
      for (let r = 0; r < b; r++) {
        for (let a = 0; a < d; a++) from[a * b + r] = start.weights[r * d + a]!;
        from[d * b + r] = start.bias[r]!;
      }
    }
    const found = minimise(from, (x) => loss(x, on), { rounds: ROUNDS, tolerance: 1e-4 });
    const weights = Float64Array.from({ length: b * d }, (_, at) => found[(at % d) * b + Math.floor(at / d)]!);
    return { names, weights, bias: found.slice(d * b) };
  }

  /** Log loss with ridge, and its gradient. */
  function loss(x: Float64Array, on: readonly number[]): { value: number; gradient: Float64Array } {
    const gradient = new Float64Array(x.length);
    let value = 0;
    for (let k = 0; k < d * b; k++) {
      value += (RIDGE / 2) * x[k]! ** 2;
      gradient[k] = RIDGE * x[k]!;
    }
    blockedProducts(z, on, d, b, x, gradient, (share, i) => {
      softmax(share);
      value -= Math.log(Math.max(1e-300, share[label[i]!]!));
      share[label[i]!]! -= 1;
    });
    return { value, gradient };
  }
}
