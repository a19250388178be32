/** What the measurements come to: medians over repetitions, and each target as a ratio within one repetition. */
import type { Comparison, LoadId, LoadMeasured, Row, Visit } from './compare.ts';

/** The middle of the repetitions, and their ends; NaN where nothing was measured. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spreadOf(values: readonly (number | null)[]): Spread {
  const known = values.filter((value) => value !== null && Number.isFinite(value)).sort((a, b) => a! - b!) as number[];
  if (known.length === 0) return { median: Number.NaN, low: Number.NaN, high: Number.NaN };
  const middle = known.length >> 1;
  const median = known.length % 2 === 1 ? known[middle]! : (known[middle - 1]! + known[middle]!) / 2;
  return { median, low: known[0]!, high: known.at(-1)! };
}

export type LoadNumber = 'perSecond' | 'p50' | 'p99' | 'firstByteP50' | 'firstByteP99' | 'processorUs';

/** One number of one load over a row's repetitions. */
export const loadSpread = (row: Row, load: LoadId, of: LoadNumber): Spread =>
  spreadOf(row.visits.map((visit) => visit.loads[load][of]));

/** Two rows' numbers put together repetition by repetition: they ran within a minute of each other. */
export function pairedSpread(
  a: Row,
  b: Row,
  number: (visit: Visit) => number | null,
  combine: (a: number, b: number) => number,
): Spread {
  const pairs = a.visits.map((visit, i) => {
    const [x, y] = [number(visit), b.visits[i] === undefined ? null : number(b.visits[i])];
    return x === null || y === null ? null : combine(x, y);
  });
  return spreadOf(pairs);
}

export interface Verdict {
  readonly what: string;
  readonly target: string;
  readonly value: Spread;
  /** Null where it could not be measured. */
  readonly met: boolean | null;
  /** How far off, in words; empty when met. */
  readonly by: string;
}

/** The rows that the targets are about: every prompt new, on the embedded database and on PostgreSQL. */
export const JUDGED = ['auto', 'postgres'] as const;

/** @param judged id of one of our rows @returns nothing where that was not measured */
export function judge({ rows }: Comparison, judged: (typeof JUDGED)[number]): Verdict[] {
  const row = (id: string) => rows.find((each) => each.id === id);
  const ours = row(judged);
  if (ours === undefined) return [];
  const ratio = (a: number, b: number) => a / b;
  const of = (load: LoadId, name: keyof LoadMeasured) => (visit: Visit) => visit.loads[load][name] as number;
  const verdicts: Verdict[] = [];
  const against = (
    other: string,
    what: string,
    number: (visit: Visit) => number | null,
    combine: (a: number, b: number) => number,
    target: string,
    /** How many times too much or too little; up to 1 is met. */
    excess: (value: number) => number,
    wording: (value: number) => string,
  ) => {
    const rival = row(other);
    const value = rival === undefined ? spreadOf([]) : pairedSpread(ours, rival, number, combine);
    const met = Number.isNaN(value.median) ? null : excess(value.median) <= 1;
    verdicts.push({ what, target, value, met, by: met === false ? wording(value.median) : '' });
  };
  const lower = (what: string, number: (visit: Visit) => number | null) =>
    against(
      'portkey',
      what,
      number,
      ratio,
      '< 1 ×',
      (v) => v,
      (v) => `${((v - 1) * 100).toFixed(0)} % above`,
    );
  against(
    'portkey',
    'JSON req/s at 32, ours ÷ Portkey',
    of('json-32', 'perSecond'),
    ratio,
    '≥ 4 ×',
    (v) => 4 / v,
    (v) => `${((1 - v / 4) * 100).toFixed(0)} % short`,
  );
  lower('JSON p50 at 32, ours ÷ Portkey', of('json-32', 'p50'));
  lower('JSON p99 at 32, ours ÷ Portkey', of('json-32', 'p99'));
  lower('JSON p50 one at a time, ours ÷ Portkey', of('json-1', 'p50'));
  lower('JSON p99 one at a time, ours ÷ Portkey', of('json-1', 'p99'));
  lower('memory at rest, ours ÷ Portkey', ({ restMb }) => restMb);
  lower('most memory under load, ours ÷ Portkey', ({ loadMb }) => loadMb);
  against(
    'direct',
    'SSE first byte p50, ours − direct',
    of('sse-1', 'firstByteP50'),
    (a, b) => a - b,
    '≤ 1 ms',
    (v) => v,
    (v) => `${(v - 1).toFixed(2)} ms above`,
  );
  against(
    'bare',
    'JSON req/s at 32, bare ÷ ours',
    of('json-32', 'perSecond'),
    (a, b) => b / a,
    '≤ 2 ×',
    (v) => v / 2,
    (v) => `${((v / 2 - 1) * 100).toFixed(0)} % above`,
  );
  return verdicts;
}
