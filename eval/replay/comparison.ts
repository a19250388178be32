/** The router beside everybody else on the same prompts, with intervals over prompts and lives together. */
import { forEachResample, percentileInterval } from '../metrics/bootstrap.ts';
import type { CurvePoint } from '../metrics/curve-point.ts';
import { upperHull } from '../metrics/upper-hull.ts';
import type { Lives, SummaryOptions } from './accounts.ts';
import type { Life } from './play.ts';
import type { Estimate, ReplayRow } from './result.ts';
import { total } from './sums.ts';

interface Contender {
  readonly name: string;
  readonly kind: ReplayRow['kind'];
  readonly models: string | null;
  readonly life: (l: Lives) => Life;
}

/** @param bestFixed column of the best single model in hindsight */
export function rowsOf(lives: readonly Lives[], options: SummaryOptions, bestFixed: number): ReplayRow[] {
  const { seats, qualityPerUsd, facts, attemptMs } = options;
  const fixed = (name: string, j: number): Contender => ({
    name,
    kind: 'fixed',
    models: facts.modelIds[j]!,
    life: (l) => l.fixed[j]!,
  });
  const contenders: Contender[] = [
    { name: 'router', kind: 'router', models: null, life: (l) => l.own },
    { name: 'means only', kind: 'router', models: null, life: (l) => l.means },
    fixed('cheapest', seats.cheapest),
    fixed('best single', seats.best),
    fixed('best fixed', bestFixed),
    ...(options.cascade
      ? [
          {
            name: 'cascade',
            kind: 'cascade',
            models: options.cascade.chain.join(' → '),
            life: (l: Lives) => l.cascade!,
          } as const,
        ]
      : []),
    { name: 'oracle', kind: 'hindsight', models: null, life: (l) => l.oracle },
  ];
  const tally = (life: (l: Lives) => Life) => new Tally(lives, seats.groupIds, life);
  const tallies = contenders.map(({ life }) => tally(life));
  const singles = facts.modelIds.map((_, j) => tally((l) => l.fixed[j]!));
  const all = singles.map((s) => s.means(null, null));
  const onHull = upperHull(all.map(pointOf)).map((j) => singles[j]!);

  const figuresOf = (groups: Uint16Array | null, seeds: readonly number[] | null): number[][] => {
    const means = tallies.map((t) => t.means(groups, seeds));
    const hull = onHull.map((t) => pointOf(t.means(groups, seeds)));
    const usd = (m: Means) => m.callsUsd + m.extraUsd;
    const utility = (m: Means) => m.quality - qualityPerUsd * usd(m);
    const [best, reference] = ['best single', 'best fixed'].map(
      (name) => means[contenders.findIndex((c) => c.name === name)]!,
    );
    return means.map((m) => [
      m.quality,
      usd(m),
      m.callsUsd,
      utility(m),
      utility(m) - utility(reference!),
      m.quality - mixQuality(hull, usd(m)),
      usd(best!) > 0 ? 1 - usd(m) / usd(best!) : Number.NaN,
      usd(best!) > 0 ? 1 - m.callsUsd / usd(best!) : Number.NaN,
    ]);
  };
  const values = figuresOf(null, null);
  const drawn = values.map((row) => row.map(() => new Float64Array(options.replicates)));
  const units = tallies[0]!.groups;
  let k = 0;
  // A replicate draws groups of prompts and, apart from them, lives: other prompts in another order with other luck.
  const seedDraws = seedResamples(lives.length, options.replicates, options.seed);
  forEachResample(units, options.replicates, options.seed, (weights) => {
    figuresOf(weights, seedDraws[k]!).forEach((row, c) => {
      row.forEach((x, f) => {
        drawn[c]![f]![k] = x;
      });
    });
    k++;
  });
  return contenders.map(({ name, kind, models, life }, c): ReplayRow => {
    const figure = (f: number): Estimate => {
      const value = values[c]![f]!;
      return Number.isNaN(value) ? NOTHING : { value, ...percentileInterval(drawn[c]![f]!) };
    };
    const failures = lives.reduce((s, l) => s + total(life(l).failures), 0) / lives.length / facts.decisions;
    return {
      name,
      kind,
      models,
      quality: figure(0),
      costUsd: figure(1),
      callsUsd: figure(2),
      utility: figure(3),
      minusBestFixed: figure(4),
      minusBlindMix: figure(5),
      saved: figure(6),
      savedBeforeOverhead: figure(7),
      failures,
      failedAttemptMs: failures * attemptMs,
    };
  });
}

interface Means {
  readonly quality: number;
  readonly callsUsd: number;
  readonly extraUsd: number;
}

const pointOf = ({ quality, callsUsd, extraUsd }: Means): CurvePoint => ({ quality, costUsd: callsUsd + extraUsd });

/** Sums by life and group, so that a resample needs no look at single prompts. */
class Tally {
  readonly groups: number;
  readonly #sums: readonly Float64Array[];

  constructor(lives: readonly Lives[], groupIds: readonly string[], life: (l: Lives) => Life) {
    const index = new Map<string, number>();
    for (const id of groupIds) if (!index.has(id)) index.set(id, index.size);
    this.groups = index.size;
    this.#sums = lives.map((l) => {
      const sums = new Float64Array(this.groups * 4);
      const own = life(l);
      l.stream.rows.forEach((row, t) => {
        const at = index.get(groupIds[row]!)! * 4;
        sums[at]! += 1;
        sums[at + 1]! += own.quality[t]!;
        sums[at + 2]! += own.callsUsd[t]!;
        sums[at + 3]! += own.extraUsd[t]!;
      });
      return sums;
    });
  }

  /** @param weights how often each group was drawn; null: once. @param seeds lives drawn; null: each once */
  means(weights: Uint16Array | null, seeds: readonly number[] | null): Means {
    const sum = new Float64Array(4);
    for (const s of seeds ?? this.#sums.keys()) {
      const sums = this.#sums[s]!;
      for (let g = 0; g < this.groups; g++) {
        const weight = weights === null ? 1 : weights[g]!;
        if (weight === 0) continue;
        for (let f = 0; f < 4; f++) sum[f]! += weight * sums[g * 4 + f]!;
      }
    }
    // Nobody drawn is possible only where a life leaves most groups out.
    const count = Math.max(1, sum[0]!);
    return { quality: sum[1]! / count, callsUsd: sum[2]! / count, extraUsd: sum[3]! / count };
  }
}

function seedResamples(count: number, replicates: number, seed: number): number[][] {
  const out: number[][] = [];
  forEachResample(count, replicates, seed + 1, (weights) => {
    out.push([...weights].flatMap((w, s) => new Array<number>(w).fill(s)));
  });
  return out;
}

/** Quality of the best random mix of single models that costs this much; at either end the last of them. */
export function mixQuality(singles: readonly CurvePoint[], costUsd: number): number {
  const hull = upperHull(singles).map((k) => singles[k]!);
  const above = hull.findIndex((p) => p.costUsd >= costUsd);
  if (above === 0) return hull[0]!.quality;
  if (above === -1) return hull.at(-1)!.quality;
  const [a, b] = [hull[above - 1]!, hull[above]!];
  return a.quality + ((costUsd - a.costUsd) / (b.costUsd - a.costUsd)) * (b.quality - a.quality);
}

const NOTHING: Estimate = { value: null, low: null, high: null };
