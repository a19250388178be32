/**
 * What `auto` saved, measured, and what it would have saved, estimated: both with intervals from a bootstrap over
 * sessions, whose requests rise and fall together. Negative savings are told as they are.
 */
import { pairedClusterBootstrap, type UnitWeights } from '../../eval/metrics/paired-bootstrap.ts';
import type { UsageCall, UsageRow } from './rows.ts';

/** Fewer requests than this say nothing worth an interval. */
export const ENOUGH = 30;

/** With a 95 % interval; null ends: not defined. */
export interface Estimate {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface SavedFigures {
  /** Routed requests that are counted: those with a baseline to compare with, and those that nobody answered. */
  readonly requests: number;
  readonly sessions: number;
  /** Routed requests left out: no price is known for their model. */
  readonly unpriced: number;
  /** Models that savings were counted against. */
  readonly baselines: readonly string[];
  /** All calls for them, failed ones, those that failed their check and audits included, USD. */
  readonly paidUsd: number;
  /** Of these, audits: what it cost to know how good the answers are. */
  readonly auditUsd: number;
  /** What the baseline would have cost, USD. */
  readonly baselineUsd: number;
  /** Null where there are fewer than {@link ENOUGH}. */
  readonly savedUsd: Estimate | null;
  /** Of the baseline's cost; at most 1. */
  readonly savedShare: Estimate | null;
}

export interface ObservedFigures {
  /** Requests with a concrete id that were decided in the shadow and answered. */
  readonly requests: number;
  readonly sessions: number;
  /** Of these, requests whose model is no candidate, or has no price: nothing can be estimated for them. */
  readonly unknown: number;
  /** What those that can be estimated really cost, USD. */
  readonly paidUsd: number;
  /** Share on which `auto` would have called another model. */
  readonly otherShare: Estimate | null;
  /** What `auto` would have cost: paid × predicted cost of its choices / predicted cost of the named models, USD. */
  readonly autoUsd: Estimate | null;
  readonly savedUsd: Estimate | null;
  readonly savedShare: Estimate | null;
  /** Mean predicted quality of what `auto` would have called less that of what was called, in [−1, 1]. */
  readonly qualityDifference: Estimate | null;
}

export interface BootstrapOptions {
  readonly replicates: number;
  readonly seed: number;
}

/** @param rows routed requests */
export function savedFigures(rows: readonly UsageRow[], options: BootstrapOptions): SavedFigures {
  // One that nobody answered cost what its calls did, and spared nothing.
  const counted = rows.filter((row) => row.executed === null || (row.baselineCostUsd !== null && isPriced(row)));
  const units = sumsByUnit(counted, {
    paid: paidFor,
    audits: ({ calls }) => costOf(calls.filter(isAudit)),
    baseline: ({ baselineCostUsd, executed }) => (executed === null ? 0 : baselineCostUsd!),
  });
  const { paid, baseline, audits } = total(units);
  const estimates = estimated(units, options, {
    savedUsd: (sums) => sums.baseline - sums.paid,
    savedShare: (sums) => ratio(sums.baseline - sums.paid, sums.baseline),
  });
  return {
    requests: counted.length,
    sessions: units.count,
    unpriced: rows.length - counted.length,
    baselines: [...new Set(counted.flatMap(({ baselineModel }) => baselineModel ?? []))].sort(),
    paidUsd: paid,
    auditUsd: audits,
    baselineUsd: baseline,
    savedUsd: estimates.savedUsd,
    savedShare: estimates.savedShare,
  };
}

/** @param rows answered requests with a concrete id that were observed */
export function observedFigures(rows: readonly UsageRow[], options: BootstrapOptions): ObservedFigures {
  const known = rows.filter((row) => row.observed!.named !== null && isPriced(row));
  const units = sumsByUnit(known, {
    one: () => 1,
    paid: paidFor,
    chosen: ({ observed }) => observed!.chosen.costUsd,
    named: ({ observed }) => observed!.named!.costUsd,
    better: ({ observed }) => observed!.chosen.quality - observed!.named!.quality,
    other: ({ observed, model }) => (observed!.model === model ? 0 : 1),
  });
  // Predictions of both models come from one router: what it gets wrong of both alike cancels in the ratio.
  const estimates = estimated(units, options, {
    autoUsd: ({ paid, chosen, named }) => ratio(paid * chosen, named),
    savedUsd: ({ paid, chosen, named }) => ratio(paid * (named - chosen), named),
    savedShare: ({ chosen, named }) => ratio(named - chosen, named),
    qualityDifference: ({ better, one }) => better / one,
    otherShare: ({ other, one }) => other / one,
  });
  return {
    requests: rows.length,
    sessions: units.count,
    unknown: rows.length - known.length,
    paidUsd: total(units).paid,
    ...estimates,
  };
}

/** Sums of each session's requests; a request without a session is one of its own. */
interface Units<Name extends string> {
  /** Requests in all. */
  readonly rows: number;
  readonly count: number;
  /** One sum per unit. */
  readonly sums: Readonly<Record<Name, Float64Array>>;
}

type Sums<Name extends string> = Record<Name, number>;

function sumsByUnit<Name extends string>(
  rows: readonly UsageRow[],
  columns: Readonly<Record<Name, (row: UsageRow) => number>>,
): Units<Name> {
  const numbers = new Map<string, number>();
  const unitOf = rows.map(({ id, tenant, session }) => {
    const name = session === null ? `request\n${id}` : `session\n${tenant}\n${session}`;
    const known = numbers.get(name) ?? numbers.size;
    numbers.set(name, known);
    return known;
  });
  const sums = mapped(columns, (amountOf) => {
    const column = new Float64Array(numbers.size);
    rows.forEach((row, i) => {
      column[unitOf[i]!]! += amountOf(row);
    });
    return column;
  });
  return { rows: rows.length, count: numbers.size, sums };
}

/** Draws times units: keeps a report over a year of traffic within seconds. */
const MOST_DRAWS = 1e8;
const FEWEST_REPLICATES = 200;

/** Null where there are too few requests, or the figure has no value. */
function estimated<Column extends string, Name extends string>(
  { rows, count, sums }: Units<Column>,
  { replicates, seed }: BootstrapOptions,
  statistics: Readonly<Record<Name, (sums: Sums<Column>) => number | null>>,
): Record<Name, Estimate | null> {
  if (rows < ENOUGH) return mapped(statistics, () => null);
  const enough = Math.min(replicates, Math.max(FEWEST_REPLICATES, Math.floor(MOST_DRAWS / count)));
  const { estimates } = pairedClusterBootstrap(
    { units: count, replicates: enough, seed },
    (Object.keys(statistics) as Name[]).map((name) => ({
      name,
      // A sum, too, may be resampled so: every draw has as many units as the data.
      of: (weights) => statistics[name](mapped(sums, (column) => weighted(column, weights))),
    })),
  );
  return mapped(statistics, (_, name) => {
    const { value, low, high } = estimates.get(name)!;
    return value === null ? null : { value, low, high };
  });
}

const total = <Name extends string>({ sums }: Units<Name>): Sums<Name> =>
  mapped(sums, (column) => column.reduce((sum, x) => sum + x, 0));

function weighted(column: Float64Array, weights: UnitWeights): number {
  let sum = 0;
  for (let i = 0; i < column.length; i++) sum += weights[i]! * column[i]!;
  return sum;
}

function mapped<Name extends string, A, B>(
  record: Readonly<Record<Name, A>>,
  of: (value: A, name: Name) => B,
): Record<Name, B> {
  return Object.fromEntries(
    (Object.entries(record) as [Name, A][]).map(([name, value]) => [name, of(value, name)]),
  ) as Record<Name, B>;
}

const isPriced = ({ calls }: UsageRow): boolean => calls.length > 0 && calls.every(({ costUsd }) => costUsd !== null);
const costOf = (calls: readonly UsageCall[]): number => calls.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);
const paidFor = ({ calls }: UsageRow): number => costOf(calls);
/** A judge’s look at an answer that was out: nothing the client waited for or got. */
export const isAudit = ({ purpose }: UsageCall): boolean => purpose === 'audit';
const ratio = (above: number, below: number): number | null => (below > 0 ? above / below : null);
