/** Lives → figures: windows, regret, the comparison with its intervals, what exploring, switching and checking cost. */
import { forEachResample, percentileInterval } from '../metrics/bootstrap.ts';
import type { CurvePoint } from '../metrics/curve-point.ts';
import { upperHull } from '../metrics/upper-hull.ts';
import type { Part } from '../part.ts';
import { type LearningLife, type Life, type playCascade, STICKINESS, type Stickiness } from './play.ts';
import type { Estimate, RegretPoint, ReplayResult, ReplayRow, ReplayWindow } from './result.ts';
import type { Stream } from './stream.ts';

/** Who is cheapest, who best, who stands in for whom, and of which group each prompt is. */
export interface Seat {
  readonly groupIds: readonly string[];
  readonly cheapest: number;
  readonly best: number;
  /** Column j, then whoever answers where it cannot. */
  readonly fallback: (j: number) => readonly number[];
}

/** Everybody's life on one stream. */
export interface Lives {
  readonly stream: Stream;
  readonly own: LearningLife;
  readonly means: LearningLife;
  /** One per model. */
  readonly fixed: readonly Life[];
  readonly cascade: ReturnType<typeof playCascade> | null;
  readonly oracle: Life;
  readonly byStickiness: ReadonlyMap<Stickiness, LearningLife>;
  readonly warmPrompts: number;
  readonly warmUsd: number;
}

export function livesOf({
  part,
  warm,
  ...lives
}: Omit<Lives, 'warmPrompts' | 'warmUsd'> & { part: Part; warm: readonly number[] }): Lives {
  const m = part.table.modelIds.length;
  let warmUsd = 0;
  for (const row of warm) {
    for (const usd of part.costUsd.subarray(row * m, row * m + m)) if (!Number.isNaN(usd)) warmUsd += usd;
  }
  return { ...lives, warmPrompts: warm.length, warmUsd };
}

type Computed =
  | 'groups'
  | 'retrainings'
  | 'told'
  | 'warm'
  | 'windows'
  | 'regret'
  | 'rows'
  | 'exploration'
  | 'overhead'
  | 'cascade'
  | 'sessions'
  | 'unanswered';

export interface SummaryOptions {
  readonly seats: Seat;
  readonly qualityPerUsd: number;
  readonly window: number;
  readonly attemptMs: number;
  readonly replicates: number;
  readonly seed: number;
  readonly facts: Omit<ReplayResult, Computed>;
  readonly overhead: Omit<ReplayResult['overhead'], 'audits' | 'auditUsd'>;
  readonly cascade: Omit<NonNullable<ReplayResult['cascade']>, 'judgements' | 'escalated'> | null;
  readonly sessions: Omit<NonNullable<ReplayResult['sessions']>, 'rows' | 'conversations'> | null;
}

export function summarise(lives: readonly Lives[], options: SummaryOptions): ReplayResult {
  const { seats, facts, qualityPerUsd } = options;
  const utility = (life: Life) => netUtility(life, qualityPerUsd);
  const totals = facts.modelIds.map((_, j) => lives.reduce((sum, l) => sum + total(utility(l.fixed[j]!)), 0));
  const bestFixed = totals.reduce((best, u, j) => (u > totals[best]! ? j : best), 0);
  const n = facts.decisions;
  const over = (of: (l: Lives) => number): Estimate => overSeeds(lives.map(of));
  return {
    ...facts,
    groups: new Set(lives[0]!.stream.rows.map((r) => seats.groupIds[r]!)).size,
    retrainings: over((l) => l.own.retrainings),
    told: over((l) => l.own.told),
    warm: { prompts: lives[0]!.warmPrompts, costUsd: over((l) => l.warmUsd) },
    windows: windowsOf(lives, options),
    regret: regretOf(lives, options, bestFixed),
    rows: rowsOf(lives, options, bestFixed),
    exploration: {
      expected: over((l) => total(l.own.exploration)),
      drawn: over((l) => total(l.own.explorationDrawn)),
      decisions: over((l) => total(l.own.explored)),
    },
    overhead: { ...options.overhead, audits: over((l) => l.own.audits), auditUsd: over((l) => l.own.auditUsd) },
    cascade: options.cascade && {
      ...options.cascade,
      judgements: over((l) => l.cascade!.judgements / n),
      escalated: over((l) => l.cascade!.escalated / n),
    },
    sessions: options.sessions && {
      ...options.sessions,
      conversations: over((l) => total(l.stream.begins)),
      rows: STICKINESS.map((stickiness) => {
        const life = (l: Lives) => l.byStickiness.get(stickiness)!;
        return {
          stickiness,
          quality: over((l) => total(life(l).quality) / n),
          costUsd: over((l) => total(paid(life(l))) / n),
          utility: over((l) => total(utility(life(l))) / n),
          switchUsd: over((l) => total(life(l).switchUsd) / n),
          switched: over((l) => switchedShare(l.stream, life(l))),
        };
      }),
    },
    unanswered: over((l) => l.own.column.filter((j) => j < 0).length),
  };
}

const paid = (life: Life): Float64Array => life.callsUsd.map((usd, t) => usd + life.extraUsd[t]!);

/** quality − λ · everything paid, by decision. */
const netUtility = (life: Life, qualityPerUsd: number): Float64Array =>
  life.quality.map((q, t) => q - qualityPerUsd * (life.callsUsd[t]! + life.extraUsd[t]!));

function switchedShare(stream: Stream, life: Life): number {
  let turns = 0;
  let switched = 0;
  for (let t = 1; t < life.column.length; t++) {
    if (stream.begins[t] === 1 || life.column[t]! < 0) continue;
    turns++;
    if (life.column[t] !== life.column[t - 1]) switched++;
  }
  return turns === 0 ? 0 : switched / turns;
}

function windowsOf(lives: readonly Lives[], { window, qualityPerUsd, facts }: SummaryOptions): ReplayWindow[] {
  const sums = lives.map(({ own, stream }) => ({
    own,
    stream,
    usd: paid(own),
    utility: netUtility(own, qualityPerUsd),
  }));
  return windowStarts(facts.decisions, window).map(({ from, to }) => {
    const size = to - from;
    const mean = (values: ArrayLike<number>): number => slice(values, from, to) / size;
    const traffic: Record<string, number> = {};
    facts.modelIds.forEach((id, j) => {
      const share = sums.reduce((s, { own }) => s + own.column.subarray(from, to).filter((c) => c === j).length, 0);
      if (share > 0) traffic[id] = share / size / lives.length;
    });
    return {
      from: from + 1,
      to,
      quality: overSeeds(sums.map(({ own }) => mean(own.quality))),
      costUsd: overSeeds(sums.map(({ usd }) => mean(usd))),
      utility: overSeeds(sums.map(({ utility }) => mean(utility))),
      regret: overSeeds(sums.map(({ own, utility }) => mean(own.bestUtility) - mean(utility))),
      explored: sums.reduce((s, { own }) => s + mean(own.explored), 0) / lives.length,
      traffic,
    };
  });
}

function regretOf(
  lives: readonly Lives[],
  { window, qualityPerUsd, facts, seats }: SummaryOptions,
  bestFixed: number,
): RegretPoint[] {
  const utility = (life: Life) => netUtility(life, qualityPerUsd);
  const against = (of: (l: Lives) => Float64Array): Float64Array[] =>
    lives.map((l) => {
      const own = utility(l.own);
      let sum = 0;
      return of(l).map((u, t) => {
        sum += u - own[t]!;
        return sum;
      });
    });
  const oracle = against((l) => l.own.bestUtility);
  const [fixed, best, cheap] = [bestFixed, seats.best, seats.cheapest].map((j) => against((l) => utility(l.fixed[j]!)));
  return windowStarts(facts.decisions, window).map(({ to }) => {
    const at = (curves: readonly Float64Array[]): Estimate => overSeeds(curves.map((c) => c[to - 1]!));
    return { at: to, oracle: at(oracle), bestFixed: at(fixed!), bestSingle: at(best!), cheapest: at(cheap!) };
  });
}

/** Ends are exclusive; what is left over at the end joins the last window if it is less than half of one. */
function windowStarts(decisions: number, window: number): { from: number; to: number }[] {
  const count = Math.max(1, Math.round(decisions / window));
  return Array.from({ length: count }, (_, k) => ({
    from: k * window,
    to: k === count - 1 ? decisions : (k + 1) * window,
  }));
}

interface Contender {
  readonly name: string;
  readonly kind: ReplayRow['kind'];
  readonly models: string | null;
  readonly life: (l: Lives) => Life;
}

function rowsOf(lives: readonly Lives[], options: SummaryOptions, bestFixed: number): ReplayRow[] {
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

/** Mean over the seeds; the interval holds the middle 95 % of them, and there is none for a single one. */
function overSeeds(values: readonly number[]): Estimate {
  const value = values.reduce((a, b) => a + b, 0) / values.length;
  return values.length < 2
    ? { value, low: null, high: null }
    : { value, ...percentileInterval(Float64Array.from(values)) };
}

function slice(values: ArrayLike<number>, from: number, to: number): number {
  let sum = 0;
  for (let t = from; t < to; t++) sum += values[t]!;
  return sum;
}

const total = (values: ArrayLike<number>): number => slice(values, 0, values.length);
