/** A request that is over a limit: what its client is told, and when to try again. */
import { type ErrorCode, RoutingError } from '../../../datasets/index.ts';
import type { Answer } from './leases.ts';
import type { Meter } from './matching.ts';

export class LimitReached extends RoutingError {
  readonly headers: Readonly<Record<string, string>>;
  /** OpenAI's word for what ran out. */
  readonly type: 'requests' | 'tokens' | 'insufficient_quota';
  /** Name of the limit. */
  readonly limit: string;

  constructor(
    code: ErrorCode,
    message: string,
    { type, limit, headers }: Pick<LimitReached, 'type' | 'limit' | 'headers'>,
  ) {
    super(code, message);
    this.headers = headers;
    this.type = type;
    this.limit = limit;
  }
}

/** What is in the hands of other requests or replicas is back, or spent, by then. */
const SOON_S = 2;
/** The database is tried again in the meantime. */
const AWAY_S = 5;

/**
 * @param amount what was asked for
 * @param headers of the rates that hold for the request
 */
export function refusal(
  meter: Meter,
  why: Exclude<Answer, 'taken'>,
  amount: number,
  nowMs: number,
  headers: Readonly<Record<string, string>> = {},
): LimitReached {
  const { limit, measure } = meter;
  const { endMs } = meter.spanAt(nowMs);
  const untilEnd = Math.max(1, Math.ceil((endMs - nowMs) / 1000));
  const isOver = why === 'spent';
  const seconds = isOver ? untilEnd : Math.min(untilEnd, why === 'away' ? AWAY_S : SOON_S);
  const retry = { ...headers, 'retry-after': String(seconds) };
  if (measure !== 'usd') {
    const what = `${meter.cap} ${measure} a minute`;
    const message = `limit ${quoted(limit.name)} of ${what} is reached: try again in ${seconds} s`;
    return new LimitReached('RATE_LIMITED', message, { type: measure, limit: limit.name, headers: retry });
  }
  const name = `budget ${quoted(limit.name)}`;
  const price = `expected to cost up to ${Number(amount.toPrecision(3))} USD`;
  const message =
    why === 'away'
      ? `${name} cannot be asked for more while the database does not answer, and what this gateway was given of it is spent: try again in ${seconds} s`
      : why === 'elsewhere'
        ? `what is left of ${name} is set aside for requests that are under way: try again in ${seconds} s`
        : `${name} is spent, or what is left does not cover this request (${price}); it begins anew at ${new Date(endMs).toISOString()}`;
  return new LimitReached('BUDGET_EXCEEDED', message, {
    type: 'insufficient_quota',
    limit: limit.name,
    // Clients that try again by themselves would do so within seconds.
    headers: isOver ? { ...retry, 'x-should-retry': 'false' } : retry,
  });
}

/** @param what cannot be counted, in words @throws `FORBIDDEN` */
export function refuseUnmetered(what: string): never {
  throw new RoutingError(
    'FORBIDDEN',
    `a budget holds for this key, and what ${what} cost is known only when they are done, so that no budget could stop them: ask without them, with a key that no budget holds for, or have limits.allowUnmetered set`,
  );
}

/** @throws `POLICY_REFUSED` */
export function refuseUnpriced(model: string): never {
  throw new RoutingError(
    'POLICY_REFUSED',
    `a budget holds for this key, and nobody knows the price of ${model}: name a model with a price, or have limits.refuseUnpriced unset`,
  );
}

const quoted = (name: string): string => `“${name}”`;
