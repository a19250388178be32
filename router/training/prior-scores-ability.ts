/**
 * Ability: one number per model from what is published of it, before any answer of it was seen.
 *
 *     score_mb = a_b + s_b θ_m + noise_b          each benchmark is a noisy measure of one ability
 *     θ_m      = γ · facts_m + noise              date, price, size, reasoning, family: all that a model without scores has
 *
 * Models with many scores bridge the benchmarks of 2023 to those of today. Fitted by EM on the scores' logits;
 * what is not known of a model widens its variance.
 * @see Rubin & Thayer, "EM algorithms for ML factor analysis", Psychometrika 1982
 */
import type { ScoredModel, Scores } from '../../datasets/catalog/scores.ts';
import { cholesky, choleskySolve } from './linear-algebra.ts';

export interface Abilities {
  /** θ, standardised over the models given. */
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

const ROUNDS = 200;
/** Families of fewer models than this have no effect of their own. */
const MIN_FAMILY = 5;

/** @param models with or without scores; `units` tells how a score is read */
export function fitAbilities(models: readonly ScoredModel[], units: Scores['benchmarks']): Abilities {
  const n = models.length;
  const benchmarks = Object.keys(units);
  const y = benchmarks.map((b) => models.map((m) => scoreOf(m, b, units[b]!)));
  const facts = standardised(models);
  const k = facts.length;
  const mean = new Float64Array(n);
  const variance = new Float64Array(n).fill(1);
  const gamma = new Float64Array(k);
  let unexplained = 1;
  // Benchmarks start as equal measures of the mean of what they say of a model.
  const line = y.map((scores) => {
    const seen = scores.filter((v) => v !== undefined);
    const centre = seen.reduce((s, v) => s + v, 0) / (seen.length || 1);
    const sd = Math.sqrt(seen.reduce((s, v) => s + (v - centre) ** 2, 0) / (seen.length || 1)) || 1;
    return { intercept: centre, slope: sd, noise: (sd / 2) ** 2, sd };
  });

  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < n; i++) {
      let v = unexplained;
      let expected = 0;
      for (let a = 0; a < k; a++) {
        const fact = facts[a]![i];
        if (fact === undefined) v += gamma[a]! ** 2;
        else expected += gamma[a]! * fact;
      }
      let precision = 1 / v;
      let sum = expected / v;
      line.forEach(({ intercept, slope, noise }, b) => {
        const score = y[b]![i];
        if (score === undefined) return;
        precision += slope ** 2 / noise;
        sum += (slope * (score - intercept)) / noise;
      });
      mean[i] = sum / precision;
      variance[i] = 1 / precision;
    }
    standardise();
    for (const [b, at] of line.entries()) fitLine(y[b]!, at);
    fitFacts();
  }
  return { mean, variance };

  /** θ to mean 0 and variance 1, its own uncertainty included: its scale means nothing. */
  function standardise(): void {
    const centre = mean.reduce((s, v) => s + v, 0) / n;
    const sd = Math.sqrt(mean.reduce((s, v, i) => s + (v - centre) ** 2 + variance[i]!, 0) / n) || 1;
    for (let i = 0; i < n; i++) {
      mean[i] = (mean[i]! - centre) / sd;
      variance[i]! /= sd ** 2;
    }
  }

  /** One benchmark on θ; its slope is drawn to .8 standard deviations and its noise to half of one, as by 2 and 4 models. */
  function fitLine(scores: readonly (number | undefined)[], at: (typeof line)[number]): void {
    let [c, t, tt, s, st] = [0, 0, 2, 0, 1.6 * at.sd];
    scores.forEach((score, i) => {
      if (score === undefined) return;
      c++;
      t += mean[i]!;
      tt += mean[i]! ** 2 + variance[i]!;
      s += score;
      st += score * mean[i]!;
    });
    if (c === 0) return;
    at.slope = (st - (t * s) / c) / (tt - (t * t) / c);
    at.intercept = (s - at.slope * t) / c;
    let square = at.sd ** 2;
    scores.forEach((score, i) => {
      if (score !== undefined)
        square += (score - at.intercept - at.slope * mean[i]!) ** 2 + at.slope ** 2 * variance[i]!;
    });
    at.noise = square / (c + 4);
  }

  /** θ on the facts, each effect drawn to 0 as by one model. */
  function fitFacts(): void {
    const h = new Float64Array(k * k);
    const g = new Float64Array(k);
    for (let a = 0; a < k; a++) {
      for (let b = 0; b < k; b++) {
        for (let i = 0; i < n; i++) h[a * k + b]! += (facts[a]![i] ?? 0) * (facts[b]![i] ?? 0);
      }
      h[a * k + a]! += 1;
      for (let i = 0; i < n; i++) g[a]! += (facts[a]![i] ?? 0) * mean[i]!;
    }
    gamma.set(choleskySolve(cholesky(h, k), g, k));
    unexplained = 0;
    for (let i = 0; i < n; i++) {
      let rest = mean[i]!;
      for (let a = 0; a < k; a++) rest -= gamma[a]! * (facts[a]![i] ?? 0);
      unexplained += (rest ** 2 + variance[i]!) / n;
    }
  }
}

/** Mean of a model's scores on a benchmark, on a scale without ends. */
function scoreOf(model: ScoredModel, benchmark: string, unit: Scores['benchmarks'][string]): number | undefined {
  const own = model.scores.filter(([b]) => b === benchmark).map(([, score]) => unbounded(score, unit));
  return own.length === 0 ? undefined : own.reduce((s, v) => s + v, 0) / own.length;
}

function unbounded(score: number, unit: Scores['benchmarks'][string]): number {
  if (unit === 'elo') return score / 100;
  if (unit === 'minutes') return Math.log(Math.max(0.01, score));
  // Labels are wrong in a percent or two: beyond that a benchmark says no more.
  const p = Math.min(0.985, Math.max(0.015, score / 100));
  return Math.log(p / (1 - p));
}

/** Facts as columns of mean 0 and variance 1; undefined where not known. */
function standardised(models: readonly ScoredModel[]): (number | undefined)[][] {
  const families = new Map<string, number>();
  for (const m of models) families.set(familyOf(m.name), (families.get(familyOf(m.name)) ?? 0) + 1);
  const large = [...families].filter(([, count]) => count >= MIN_FAMILY).map(([family]) => family);
  const columns = [
    models.map((m) => m.released && Number(m.released.slice(0, 4)) + Number(m.released.slice(5)) / 12),
    models.map(logPrice),
    models.map((m) => logSize(m.name)),
    models.map((m) => Number(m.reasoning)),
    ...large.map((family) => models.map((m) => Number(familyOf(m.name) === family))),
  ];
  return columns.map((column) => {
    const known = column.filter((v): v is number => typeof v === 'number');
    const mean = known.reduce((s, v) => s + v, 0) / (known.length || 1);
    const sd = Math.sqrt(known.reduce((s, v) => s + (v - mean) ** 2, 0) / (known.length || 1));
    return column.map((v) => (typeof v === 'number' ? (sd > 0 ? (v - mean) / sd : 0) : undefined));
  });
}

/** ln USD per million tokens, three read for each one written; a price of 0 is a local model's and says nothing. */
function logPrice({ inputUsdPerMTok: input, outputUsdPerMTok: output }: ScoredModel): number | undefined {
  const blended = (3 * (input ?? 0) + (output ?? 0)) / 4;
  return output !== undefined && blended > 0 ? Math.log(blended) : undefined;
}

/** ln of a model's parameters in billions, where its name says: `8b`, `8x7b`; with `35b-a3b` all 35. */
function logSize(name: string): number | undefined {
  const [, experts, billions] = /(?:^|[^a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])/i.exec(name) ?? [];
  return billions === undefined ? undefined : Math.log(Number(experts ?? 1) * Number(billions));
}

/** What a maker calls its models: the letters that the name begins with. */
const familyOf = (name: string): string =>
  /^(chatgpt|gpt|[a-z]+)/i.exec(name)?.[1]?.toLowerCase().replace(/^o$/, 'gpt') ?? '';
