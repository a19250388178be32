/** Requests → what they cost, how they went, what `auto` saved and what it would have saved; pure. */
import type { UsageCall, UsageRow } from './rows.ts';
import { isAudit, type ObservedFigures, observedFigures, type SavedFigures, savedFigures } from './savings.ts';

export interface Group {
  readonly name: string;
  /** Requests, or calls where a request can make several at different models. */
  readonly count: number;
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Calls that ended in an error or broke off; in groups of requests those that nobody answered. */
  readonly failed: number;
}

export interface Percentiles {
  readonly n: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface UsageReport {
  /** First and last request, ISO 8601; null where there is none. */
  readonly from: string | null;
  readonly to: string | null;
  /** True where the log holds more than was read: the newest ones were. */
  readonly limited: boolean;
  readonly requests: {
    readonly total: number;
    readonly routed: number;
    readonly named: number;
    /** Given again from the response cache: nobody was called. */
    readonly cached: number;
    readonly unanswered: number;
    /** Answered by another model than the one decided for, after a call had failed. */
    readonly fellBack: number;
    /** Gone up to another model after an answer had failed its check. */
    readonly escalated: number;
    /** Answered by the sandbox: nobody was called. */
    readonly sandbox: number;
    /** A judge was asked about their answer. */
    readonly audited: number;
  };
  readonly calls: { readonly total: number; readonly failed: number; readonly unpriced: number };
  readonly spend: {
    /** All calls, USD. */
    readonly usd: number;
    /** Of these, calls that gave no answer to a client: failed, given up, or failed their check. */
    readonly withoutAnswerUsd: number;
    /** Of these, a judge’s audits of answers. */
    readonly auditUsd: number;
    /** What answers from the cache had cost when they were made: spared, and no part of what `auto` saved. */
    readonly cacheSavedUsd: number;
  };
  readonly tokens: {
    readonly input: number;
    readonly cachedInput: number;
    readonly output: number;
    readonly reasoning: number;
  };
  /** From the first call's start to the end of the answer, ms; and to its first byte. */
  readonly latencyMs: Percentiles;
  readonly firstByteMs: Percentiles;
  /** By what was spent, most first. Models and providers count calls, tenants and surfaces requests. */
  readonly by: Readonly<Record<'model' | 'provider' | 'tenant' | 'surface', readonly Group[]>>;
  readonly auto: SavedFigures;
  readonly observed: ObservedFigures;
}

export interface SummaryOptions {
  /** Bootstrap resamples. */
  readonly replicates: number;
  readonly seed: number;
  readonly limited?: boolean;
  /** Provider whose answers are made up. */
  readonly sandbox: string;
}

/** @param rows any order */
export function summarise(rows: readonly UsageRow[], options: SummaryOptions): UsageReport {
  const calls = rows.flatMap((row) => row.calls);
  const times = rows.map(({ at }) => at);
  const isoOf = (at: number) => (rows.length === 0 ? null : new Date(at).toISOString());
  const answered = rows.filter((row) => answerOf(row) !== undefined);
  const isSandbox = (row: UsageRow) => answerOf(row)?.provider === options.sandbox;
  return {
    from: isoOf(times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)),
    to: isoOf(times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)),
    limited: options.limited ?? false,
    requests: {
      total: rows.length,
      routed: count(rows, ({ routed }) => routed),
      named: count(rows, (row) => !row.routed && !isCached(row)),
      cached: count(rows, isCached),
      unanswered: count(rows, ({ executed }) => executed === null),
      fellBack: count(rows, fellBack),
      escalated: count(rows, ({ calls }) => calls.some(({ purpose }) => purpose === 'escalation')),
      sandbox: count(rows, isSandbox),
      audited: count(rows, ({ calls }) => calls.some(isAudit)),
    },
    calls: {
      total: calls.length,
      failed: count(calls, isFailed),
      unpriced: count(calls, ({ costUsd }) => costUsd === null),
    },
    spend: {
      usd: sum(calls, costOf),
      withoutAnswerUsd: sum(rows, (row) => sum(row.calls.filter(isForClient), costOf) - costOf(answerOf(row))),
      auditUsd: sum(calls.filter(isAudit), costOf),
      cacheSavedUsd: sum(rows, ({ cachedUsd }) => cachedUsd ?? 0),
    },
    tokens: {
      input: sum(calls, (call) => call.inputTokens ?? 0),
      cachedInput: sum(calls, (call) => call.cachedInputTokens ?? 0),
      output: sum(calls, (call) => call.outputTokens ?? 0),
      reasoning: sum(calls, (call) => call.reasoningTokens ?? 0),
    },
    latencyMs: percentiles(answered.map((row) => sinceFirst(row) + answerOf(row)!.totalMs)),
    firstByteMs: percentiles(
      answered.flatMap((row) => {
        const { firstByteMs } = answerOf(row)!;
        return firstByteMs === null ? [] : [sinceFirst(row) + firstByteMs];
      }),
    ),
    by: {
      model: callGroups(calls, ({ model }) => model),
      provider: callGroups(calls, ({ provider }) => provider),
      tenant: requestGroups(rows, ({ tenant }) => tenant),
      surface: requestGroups(rows, ({ surface }) => surface),
    },
    auto: savedFigures(
      rows.filter((row) => row.routed && !isSandbox(row)),
      options,
    ),
    observed: observedFigures(
      rows.filter((row) => row.observed !== null && row.executed !== null && !isSandbox(row)),
      options,
    ),
  };
}

/** The call whose answer the client got: the last of the model that is named for it. */
export const answerOf = ({ executed, calls }: UsageRow): UsageCall | undefined =>
  executed === null
    ? undefined
    : calls.findLast((call) => call.model === executed && call.status !== 'error' && isForClient(call));

/** Another model answered because a call had failed: not because of a check. */
function fellBack(row: UsageRow): boolean {
  const { routed, model, executed, calls } = row;
  return (
    routed && executed !== null && executed !== model && calls.some((call) => call.model === model && isFailed(call))
  );
}

const isCached = ({ cachedUsd }: UsageRow): boolean => cachedUsd != null;
const isForClient = (call: UsageCall): boolean => !isAudit(call);
const isFailed = ({ status }: UsageCall): boolean => status === 'error' || status === 'partial';
const costOf = (call: UsageCall | undefined): number => call?.costUsd ?? 0;
const sinceFirst = (row: UsageRow): number => Math.max(0, answerOf(row)!.startedAt - row.calls[0]!.startedAt);

function callGroups(calls: readonly UsageCall[], nameOf: (call: UsageCall) => string): Group[] {
  return groups(calls, nameOf, (call) => ({ calls: [call], failed: isFailed(call) }));
}

function requestGroups(rows: readonly UsageRow[], nameOf: (row: UsageRow) => string): Group[] {
  return groups(rows, nameOf, ({ calls, executed }) => ({ calls, failed: executed === null }));
}

function groups<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  partsOf: (item: T) => { readonly calls: readonly UsageCall[]; readonly failed: boolean },
): Group[] {
  const found = new Map<string, { -readonly [K in keyof Group]: Group[K] }>();
  for (const item of items) {
    const name = nameOf(item);
    const group = found.get(name) ?? { name, count: 0, costUsd: 0, inputTokens: 0, outputTokens: 0, failed: 0 };
    found.set(name, group);
    const { calls, failed } = partsOf(item);
    group.count++;
    group.failed += failed ? 1 : 0;
    for (const call of calls) {
      group.costUsd += costOf(call);
      group.inputTokens += call.inputTokens ?? 0;
      group.outputTokens += call.outputTokens ?? 0;
    }
  }
  return [...found.values()].sort((a, b) => b.costUsd - a.costUsd || b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** Nearest rank. */
function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
  return { n: sorted.length, p50: at(0.5), p99: at(0.99) };
}

const count = <T>(items: readonly T[], is: (item: T) => boolean): number =>
  items.reduce((n, item) => n + (is(item) ? 1 : 0), 0);
const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((s, item) => s + of(item), 0);
