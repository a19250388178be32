/**
 * Rows of the heads for models that nobody has labelled yet: from what is published of them.
 *
 * Each coefficient of a row is a line over ability (`prior-scores-ability.ts`), learned from the models that have
 * both, outcomes and published facts:
 *
 *     row_ma = c_a + b_a · cap_a(θ_m) + own_ma,    cap(θ) = C tanh(θ / C)
 *
 * The line levels off, since outcomes do: where labels are wrong in a few percent, no model is better than that.
 * How soon it does, how steep it is and how much a model has of its own are chosen by leaving one model out. What
 * levelling off takes away counts as uncertain: today's models lie beyond nearly all that have outcomes.
 * @see Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, §5.4.2 (leave-one-out densities)
 */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { modelKey, type ScoredModel, type Scores, scoredModel } from '../../datasets/catalog/scores.ts';
import type { Heads } from '../heads/heads.ts';
import { inverse } from './linear-algebra.ts';
import { type HeadRow, priorOverModels, putRows, rowOf } from './onboard-row.ts';
import { fitAbilities } from './prior-scores-ability.ts';

/** Fewer models with outcomes and published facts than this teach nothing: everyone gets the mean row. */
const MIN_MODELS = 10;

/**
 * The heads with a row for every candidate that has none: evidence 0 and as much doubt as there is, or, for one of
 * the heads' own models under another seller's name, a copy of its row.
 */
export function priorRows(heads: Heads, candidates: readonly Candidate[], scores: Scores): Heads {
  const tried = heads.modelIds.map((id) => rowOf(heads, id)!).filter((r) => r.evidence > 0);
  const known = new Map(tried.map((r) => [modelKey(r.modelId), r]));
  const missing = candidates.filter((c) => !heads.modelIds.includes(c.id));
  const { curves, ability } = fitPrior(heads, missing, scores);
  const others = priorOverModels(heads);
  const w = heads.factors.count + 1;
  const rows = missing.map((candidate): HeadRow => {
    const same = known.get(modelKey(candidate.id));
    if (same !== undefined) return { ...same, modelId: candidate.id };
    if (curves === undefined) {
      const { mean, logSmear } = others.tokens;
      return {
        modelId: candidate.id,
        row: others.mean,
        covariance: others.covariance,
        tokens: [...mean, logSmear],
        evidence: 0,
      };
    }
    const theta = ability(candidate.id);
    const predicted = curves.map((curve) => curve.at(theta));
    const covariance = new Float64Array(w * w);
    for (let a = 0; a < w; a++) covariance[a * w + a] = predicted[a]!.variance;
    return {
      modelId: candidate.id,
      row: Float64Array.from(predicted.slice(0, w), (p) => p.mean),
      covariance,
      tokens: [predicted[w]!.mean, others.tokens.mean[1], others.tokens.logSmear],
      evidence: 0,
    };
  });
  return putRows(heads, rows);
}

/** How well a coefficient is foretold for a model left out. */
export interface PriorCheck {
  /** `intercept`, `loading 1` … or `log tokens`. */
  readonly coefficient: string;
  /** Models with both outcomes and published facts. */
  readonly models: number;
  /** 1 − squared error / squared distance from the mean of the others; below 0 where the mean is better. */
  readonly r2: number;
  /** Share of models inside their 80 % and 95 % interval. */
  readonly coverage80: number;
  readonly coverage95: number;
}

/** Leave-one-model-out figures of {@link priorRows}; empty where too few models have both. */
export function checkPrior(heads: Heads, scores: Scores): PriorCheck[] {
  const { curves } = fitPrior(heads, [], scores);
  const k = heads.factors.count;
  const names = ['intercept', ...Array.from({ length: k }, (_, a) => `loading ${a + 1}`), 'log tokens'];
  return (curves ?? []).map(({ leftOut: { error, sd }, observed }, a) => {
    const n = error.length;
    const total = observed.reduce((s, v) => s + v, 0);
    let [square, spread] = [0, 0];
    observed.forEach((v, i) => {
      square += error[i]! ** 2;
      spread += (v - (total - v) / (n - 1)) ** 2;
    });
    const inside = (z: number): number => error.filter((e, i) => Math.abs(e) < z * sd[i]!).length / n;
    return {
      coefficient: names[a]!,
      models: n,
      r2: spread > 0 ? 1 - square / spread : 0,
      coverage80: inside(1.2816),
      coverage95: inside(1.96),
    };
  });
}

interface Theta {
  readonly mean: number;
  readonly variance: number;
}

function fitPrior(heads: Heads, candidates: readonly Candidate[], scores: Scores) {
  const models: ScoredModel[] = [...scores.models];
  const place = new Map<string, number>();
  for (const c of candidates) {
    const entry = scoredModel(scores, c.id);
    const same =
      entry === undefined ? models.findIndex((m) => modelKey(m.name) === modelKey(c.id)) : models.indexOf(entry);
    place.set(c.id, same >= 0 ? same : models.push(factsOf(c)) - 1);
  }
  const { mean, variance } = fitAbilities(models, scores.benchmarks);
  const theta = (i: number): Theta => ({ mean: mean[i]!, variance: variance[i]! });
  const counted = new Set<ScoredModel>();
  const tried = heads.modelIds.flatMap((id) => {
    const entry = scoredModel(scores, id);
    const row = rowOf(heads, id)!;
    // A model that several sellers have counts once.
    if (entry === undefined || row.evidence === 0 || counted.has(entry)) return [];
    counted.add(entry);
    return [{ row, theta: theta(models.indexOf(entry)) }];
  });
  const ability = (id: string): Theta => theta(place.get(id)!);
  if (tried.length < MIN_MODELS) return { curves: undefined, ability };
  const w = heads.factors.count + 1;
  const thetas = tried.map((t) => t.theta);
  const curves = Array.from({ length: w }, (_, a) =>
    fitCurve(
      thetas,
      tried.map((t) => t.row.row[a]!),
      tried.map((t) => t.row.covariance[a * w + a]!),
    ),
  );
  curves.push(
    fitCurve(
      thetas,
      tried.map((t) => t.row.tokens[0]),
      tried.map(() => 0),
    ),
  );
  return { curves, ability };
}

const factsOf = (c: Candidate): ScoredModel => ({
  name: c.id.slice(c.id.lastIndexOf('/') + 1),
  ...(c.released !== undefined && { released: c.released }),
  inputUsdPerMTok: c.inputUsdPerMTok,
  outputUsdPerMTok: c.outputUsdPerMTok,
  reasoning: c.reasoning,
  scores: [],
});

interface Curve {
  readonly observed: readonly number[];
  readonly leftOut: { readonly error: number[]; readonly sd: number[] };
  at(theta: Theta): { mean: number; variance: number };
}

/** Tried: where the line levels off, its slope, and a model's own part; in standard deviations of θ and of the coefficient. */
const CAPS = [0.75, 1, 1.5, 2];
const SLOPES = [0, 0.3, 1, 3];
const OWNS = [0.1, 0.2, 0.35, 0.5, 0.7, 1];

/** One coefficient over ability: @param noise variance of each observation */
function fitCurve(thetas: readonly Theta[], observed: readonly number[], noise: readonly number[]): Curve {
  const n = observed.length;
  const [centre, sd] = momentsOf(observed);
  const [middle, width] = momentsOf(thetas.map((t) => t.mean));
  const y = Float64Array.from(observed, (v) => (v - centre) / sd);
  const place = (theta: Theta): number => (theta.mean - middle) / width;
  let best: ReturnType<typeof solve> | undefined;
  for (const slope of SLOPES) {
    for (const cap of slope === 0 ? CAPS.slice(0, 1) : CAPS) {
      for (const own of OWNS) {
        const fit = solve(cap, slope, own);
        if (best === undefined || fit.density > best.density) best = fit;
      }
    }
  }
  const { slope, own, x, level, doubt, weights, inverted, error, left } = best!;
  return {
    observed,
    leftOut: { error: error.map((e) => e * sd), sd: left.map((s) => s * sd) },
    at(theta) {
      const at = level(theta);
      const k = Float64Array.from(x, (v) => 1 + slope ** 2 * v * at);
      let mean = 0;
      let variance = 1 + slope ** 2 * at ** 2;
      for (let i = 0; i < n; i++) {
        mean += k[i]! * weights[i]!;
        for (let j = 0; j < n; j++) variance -= k[i]! * inverted[i * n + j]! * k[j]!;
      }
      return { mean: centre + sd * mean, variance: sd ** 2 * (Math.max(0, variance) + own ** 2 + doubt(theta)) };
    },
  };

  function solve(cap: number, slope: number, own: number) {
    const level = (theta: Theta): number => cap * Math.tanh(place(theta) / cap);
    const x = thetas.map(level);
    const steep = slope === 0 ? 0 : dot(x, y) / Math.max(1e-9, dot(x, x));
    // How able a model is, and whether the line levels off at all, is not sure.
    const doubt = (theta: Theta): number =>
      steep ** 2 * (theta.variance / width ** 2 + (place(theta) - level(theta)) ** 2);
    const k = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) k[i * n + j] = 1 + slope ** 2 * x[i]! * x[j]!;
      k[i * n + i]! += own ** 2 + noise[i]! / sd ** 2 + doubt(thetas[i]!);
    }
    const inverted = inverse(k, n);
    const weights = new Float64Array(n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) weights[i]! += inverted[i * n + j]! * y[j]!;
    const error = Array.from(weights, (v, i) => v / inverted[i * n + i]!);
    const left = Array.from(weights, (_, i) => 1 / Math.sqrt(inverted[i * n + i]!));
    const density = error.reduce((s, e, i) => s - Math.log(left[i]!) - 0.5 * (e / left[i]!) ** 2, 0);
    return { slope, own, x, level, doubt, inverted, weights, error, left, density };
  }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a).reduce((s, v, i) => s + v * b[i]!, 0);

function momentsOf(values: readonly number[]): [mean: number, sd: number] {
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  const sd = Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length);
  return [mean, sd > 1e-9 ? sd : 1];
}
