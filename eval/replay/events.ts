/**
 * What happens to the models while a replay runs: a new price, an outage, a change that nobody announces.
 * Decisions are counted from 1; where prompts carry a time, a date stands for the first decision on or after it.
 */
import { RoutingError } from '../../datasets/index.ts';

export type ReplayEvent =
  /** From decision `at` on every call costs `factor` times as much, and the router knows it. */
  | { readonly kind: 'price'; readonly model: string; readonly at: number; readonly factor: number }
  /** From decision `at` on the mean quality is `delta` higher (lower where negative), and nobody tells the router. */
  | { readonly kind: 'quality'; readonly model: string; readonly at: number; readonly delta: number }
  /** From `from` to `to`, both included, no call is answered. `known`: the router sees it before it calls. */
  | {
      readonly kind: 'outage';
      readonly model: string;
      readonly from: number;
      readonly to: number;
      readonly known: boolean;
    };

/** An event as it was written: places are still an index or a date. */
export interface WrittenEvent {
  readonly text: string;
  readonly kind: 'price' | 'quality' | 'outage' | 'blind-outage';
  readonly model: string;
  readonly from: string;
  readonly to: string | null;
  readonly value: number | null;
}

const FORMS =
  'price:MODEL@DECISION=FACTOR, quality:MODEL@DECISION=DELTA, outage:MODEL@FROM-TO or blind-outage:MODEL@FROM-TO ' +
  '(dates as 2026-05-01, of an outage as FROM..TO)';

/**
 * Reads one event of the command line.
 * @throws `INVALID_CONFIG` naming the part that is wrong and the forms there are
 */
export function parseEvent(text: string): WrittenEvent {
  const wrong = (why: string) => new RoutingError('INVALID_CONFIG', `event "${text}": ${why}; write ${FORMS}`);
  const colon = text.indexOf(':');
  const kind = text.slice(0, Math.max(0, colon));
  if (kind !== 'price' && kind !== 'quality' && kind !== 'outage' && kind !== 'blind-outage') {
    throw wrong('it does not begin with a kind of event');
  }
  const sign = text.lastIndexOf('@');
  const model = text.slice(colon + 1, sign);
  if (sign < colon || model === '') throw wrong('it names no MODEL before an @');
  const rest = text.slice(sign + 1);
  if (kind === 'outage' || kind === 'blind-outage') {
    const ends = /^(\d+)-(\d+)$/.exec(rest) ?? /^([^.=]+)\.\.([^.=]+)$/.exec(rest);
    if (ends === null) throw wrong(`"${rest}" is not FROM-TO`);
    return { text, kind, model, from: ends[1]!, to: ends[2]!, value: null };
  }
  const parts = /^([^=]+)=([^=]+)$/.exec(rest);
  if (parts === null) throw wrong(`"${rest}" is not DECISION=NUMBER`);
  const value = Number(parts[2]);
  if (parts[2]!.trim() === '' || !Number.isFinite(value)) throw wrong(`"${parts[2]}" is not a number`);
  if (kind === 'price' && !(value >= 0)) throw wrong(`a price cannot be multiplied by ${value}; 0 or more is wanted`);
  if (kind === 'quality' && !(value >= -1 && value <= 1)) throw wrong(`a change of ${value} is not in [-1, 1]`);
  return { text, kind, model, from: parts[1]!, to: null, value };
}

/**
 * Places as decisions, checked against what is replayed.
 * @param times milliseconds since 1970 of each decision, rising; null where prompts carry none
 * @throws `UNKNOWN_MODEL`, `INVALID_CONFIG` (a decision or date out of range, an outage that ends before it begins)
 */
export function resolveEvents(
  written: readonly WrittenEvent[],
  modelIds: readonly string[],
  decisions: number,
  times: Float64Array | null,
): ReplayEvent[] {
  return written.map((e): ReplayEvent => {
    if (!modelIds.includes(e.model)) {
      const some = modelIds.slice(0, 6).join(', ') + (modelIds.length > 6 ? `, … (${modelIds.length})` : '');
      throw new RoutingError('UNKNOWN_MODEL', `event "${e.text}": ${e.model} is none of the models replayed: ${some}`);
    }
    const from = placeOf(e.text, e.from, decisions, times, false);
    if (e.kind === 'price') return { kind: 'price', model: e.model, at: from, factor: e.value! };
    if (e.kind === 'quality') return { kind: 'quality', model: e.model, at: from, delta: e.value! };
    const to = placeOf(e.text, e.to!, decisions, times, true);
    if (to < from) {
      throw new RoutingError('INVALID_CONFIG', `event "${e.text}": it ends (${e.to}) before it begins (${e.from})`);
    }
    return { kind: 'outage', model: e.model, from, to, known: e.kind === 'outage' };
  });
}

/** @param isEnd a date that ends something stands for the last decision on that day or before it */
function placeOf(text: string, place: string, decisions: number, times: Float64Array | null, isEnd: boolean): number {
  const wrong = (why: string) => new RoutingError('INVALID_CONFIG', `event "${text}": ${why}`);
  if (/^\d+$/.test(place)) {
    const at = Number(place);
    if (at >= 1 && at <= decisions) return at;
    throw wrong(`decision ${place} is not in 1 … ${decisions}, what is replayed`);
  }
  const time = /^\d{4}-\d\d-\d\d/.test(place) ? Date.parse(place) : Number.NaN;
  if (Number.isNaN(time)) throw wrong(`"${place}" is neither the number of a decision nor a date such as 2026-05-01`);
  if (times === null) {
    throw wrong(`"${place}" is a date, but the prompts are not replayed by time; give the number of a decision`);
  }
  const wholeDay = /^\d{4}-\d\d-\d\d$/.test(place) ? 86_400_000 : 1;
  const before = isEnd ? times.filter((t) => t < time + wholeDay).length : times.filter((t) => t < time).length + 1;
  if (before >= 1 && before <= decisions) return before;
  const day = (t: number) => new Date(t).toISOString().slice(0, 10);
  throw wrong(`no decision lies there; the data goes from ${day(times[0]!)} to ${day(times.at(-1)!)}`);
}

/** For people: `price × 2 of a/b from 500`. */
export function eventLabel(e: ReplayEvent): string {
  switch (e.kind) {
    case 'price':
      return `price of ${e.model} × ${e.factor} from decision ${e.at}`;
    case 'quality':
      return `quality of ${e.model} ${e.delta < 0 ? '−' : '+'}${Math.abs(e.delta)} from decision ${e.at}, unannounced`;
    case 'outage':
      return `outage of ${e.model}, decisions ${e.from} to ${e.to}${e.known ? '' : ', found out by failing calls'}`;
  }
}
