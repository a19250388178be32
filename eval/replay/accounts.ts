/** Lives → figures: windows, regret, what exploring, switching and checking cost. */
import { percentileInterval } from '../metrics/bootstrap.ts';
import type { Part } from '../part.ts';
import { rowsOf } from './comparison.ts';
import type { playCascade } from './fixed-lives.ts';
import { type LearningLife, type Life, STICKINESS, type Stickiness } from './play.ts';
import type { Estimate, RegretPoint, ReplayResult, ReplayWindow } from './result.ts';
import type { Stream } from './stream.ts';
import { sumOver, total } from './sums.ts';

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
    const mean = (values: ArrayLike<number>): number => sumOver(values, from, to) / size;
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

/** Mean over the seeds; the interval holds the middle 95 % of them, and there is none for a single one. */
function overSeeds(values: readonly number[]): Estimate {
  const value = values.reduce((a, b) => a + b, 0) / values.length;
  return values.length < 2
    ? { value, low: null, high: null }
    : { value, ...percentileInterval(Float64Array.from(values)) };
}
