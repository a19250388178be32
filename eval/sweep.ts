/**
 * The trade-off λ of one router: argmax over models of p̂ − λ · ĉ. Each prompt's choice changes at a few
 * exact values of λ only, so the sweep visits every setting there is instead of a grid of guesses.
 */
import type { CurvePoint } from './metrics/curve-point.ts';
import type { Part } from './part.ts';

/** What a router believes of each cell of a part. NaN quality: a model it does not know. */
export interface Beliefs {
  /** n × m expected quality. */
  readonly quality: Float32Array | Float64Array;
  /** n × m expected cost, USD. */
  readonly costUsd: Float64Array;
  /** n × m tokens of an answer; absent or NaN where not forecast. */
  readonly outputTokens?: Float32Array | Float64Array;
}

/** A prompt's choices as λ falls from ∞ to 0: `models[0]` first, `models[k]` once λ < `lambdas[k − 1]`. */
export interface ChoicePath {
  readonly models: number[];
  /** Falling; one fewer than models. */
  readonly lambdas: number[];
}

/**
 * The path of one prompt over the models that were tried on it and that the router knows. A model joins where
 * its expected quality rises above all cheaper ones by enough; ties go to the cheaper model.
 * @param fallback columns to try in turn when the router knows none of the models tried
 */
export function choicePath(beliefs: Beliefs, part: Part, row: number, fallback: readonly number[]): ChoicePath {
  const m = part.table.modelIds.length;
  const base = row * m;
  const tried = part.table.quality;
  const known: number[] = [];
  for (let j = 0; j < m; j++) {
    if (!Number.isNaN(tried[base + j]!) && !Number.isNaN(beliefs.quality[base + j]!)) known.push(j);
  }
  if (known.length === 0) {
    const j = fallback.find((k) => !Number.isNaN(tried[base + k]!))!;
    return { models: [j], lambdas: [] };
  }
  const p = (j: number) => beliefs.quality[base + j]!;
  const c = (j: number) => beliefs.costUsd[base + j]!;
  known.sort((a, b) => c(a) - c(b) || p(b) - p(a) || a - b);
  const models: number[] = [known[0]!];
  const lambdas: number[] = [];
  for (let k = 1; k < known.length; k++) {
    const j = known[k]!;
    if (p(j) <= p(models.at(-1)!)) continue;
    let lambda = slope(p, c, models.at(-1)!, j);
    while (lambdas.length > 0 && lambda >= lambdas.at(-1)!) {
      models.pop();
      lambdas.pop();
      lambda = slope(p, c, models.at(-1)!, j);
    }
    lambdas.push(lambda);
    models.push(j);
  }
  return { models, lambdas };
}

/** Quality gained per USD. Candidates come by rising cost, the best of equal cost first: positive and finite. */
const slope = (p: (j: number) => number, c: (j: number) => number, a: number, b: number): number =>
  (p(b) - p(a)) / (c(b) - c(a));

export interface SweepPoint extends CurvePoint {
  /** Any λ strictly between two breakpoints; ∞ at the cheap end, 0 at the other. */
  readonly lambda: number;
}

/** Every distinct setting of the sweep with what it really cost and reached on the part, from cheap to good. */
export function sweep(beliefs: Beliefs, part: Part, fallback: readonly number[]): SweepPoint[] {
  const m = part.table.modelIds.length;
  const n = part.table.prompts.length;
  const lambdas: number[] = [];
  const costSteps: number[] = [];
  const qualitySteps: number[] = [];
  let cost = 0;
  let quality = 0;
  for (let i = 0; i < n; i++) {
    const path = choicePath(beliefs, part, i, fallback);
    const at = i * m + path.models[0]!;
    cost += part.costUsd[at]!;
    quality += part.table.quality[at]!;
    for (let k = 1; k < path.models.length; k++) {
      const from = i * m + path.models[k - 1]!;
      const to = i * m + path.models[k]!;
      lambdas.push(path.lambdas[k - 1]!);
      costSteps.push(part.costUsd[to]! - part.costUsd[from]!);
      qualitySteps.push(part.table.quality[to]! - part.table.quality[from]!);
    }
  }
  const order = Uint32Array.from(lambdas, (_, k) => k).sort((a, b) => lambdas[b]! - lambdas[a]!);
  const points: SweepPoint[] = [{ lambda: Number.POSITIVE_INFINITY, costUsd: cost / n, quality: quality / n }];
  for (let k = 0; k < order.length; ) {
    const lambda = lambdas[order[k]!]!;
    while (k < order.length && lambdas[order[k]!] === lambda) {
      cost += costSteps[order[k]!]!;
      quality += qualitySteps[order[k]!]!;
      k++;
    }
    const next = k < order.length ? lambdas[order[k]!]! : 0;
    points.push({ lambda: (lambda + next) / 2, costUsd: cost / n, quality: quality / n });
  }
  return points;
}

/** The column chosen for each prompt at each λ (falling order required): one array of length n per λ. */
export function choicesAt(
  beliefs: Beliefs,
  part: Part,
  fallback: readonly number[],
  fallingLambdas: readonly number[],
): Int16Array[] {
  const n = part.table.prompts.length;
  const out = fallingLambdas.map(() => new Int16Array(n));
  for (let i = 0; i < n; i++) {
    const path = choicePath(beliefs, part, i, fallback);
    let k = 0;
    fallingLambdas.forEach((lambda, s) => {
      while (k < path.lambdas.length && lambda < path.lambdas[k]!) k++;
      out[s]![i] = path.models[k]!;
    });
  }
  return out;
}
