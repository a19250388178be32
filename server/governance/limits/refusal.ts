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
  /** It holds for some models or providers alone: others may be had. */
  readonly isOfModel: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    {
      type,
      limit,
      headers,
      isOfModel = false,
    }: Pick<LimitReached, 'type' | 'limit' | 'headers'> & Partial<Pick<LimitReached, 'isOfModel'>>,
  ) {
    super(code, message);
    this.headers = headers;
    this.type = type;
    this.limit = limit;
    this.isOfModel = isOfModel;
  }
}

/** What is in the hands of other requests or replicas is back, or spent, by then. */
const SOON_S = 2;
/** The database is tried again in the meantime. */
const AWAY_S = 5;

/**
 * @param amount what was asked for; null: nothing in particular, and nothing is left
 * @param headers of the rates that hold for the request
 */
export function refusal(
  meter: Meter,
  why: Exclude<Answer, 'taken'>,
  amount: number | null,
  nowMs: number,
  headers: Readonly<Record<string, string>> = {},
  what: 'request' | 'batch' = 'request',
): LimitReached {
  const { limit, measure } = meter;
  const { endMs } = meter.spanAt(nowMs);
  const untilEnd = Math.max(1, Math.ceil((endMs - nowMs) / 1000));
  const isOver = why === 'spent';
  const whose = { limit: limit.name, isOfModel: limit.model !== undefined || limit.provider !== undefined };
  const seconds = isOver ? untilEnd : Math.min(untilEnd, why === 'away' ? AWAY_S : SOON_S);
  const retry = { ...headers, 'retry-after': String(seconds) };
  if (measure !== 'usd') {
    const what = `${meter.cap} ${measure} a minute`;
    const message = `limit ${quoted(limit.name)} of ${what} is reached: try again in ${seconds} s`;
    return new LimitReached('RATE_LIMITED', message, { type: measure, ...whose, headers: retry });
  }
  const name = `budget ${quoted(limit.name)}`;
  const isLacking = amount !== null && leftOf(meter, nowMs) > LEAST * meter.cap;
  const message =
    why === 'away'
      ? `${name} cannot be asked for more while the database does not answer, and what this gateway was given of it is spent: try again in ${seconds} s`
      : why === 'elsewhere'
        ? `what is left of ${name} is set aside for requests that are under way: try again in ${seconds} s`
        : `${isLacking ? tooMuch(meter, amount, nowMs, what) : `${name} is spent`}; it begins anew at ${new Date(endMs).toISOString()}`;
  return new LimitReached('BUDGET_EXCEEDED', message, {
    type: 'insufficient_quota',
    ...whose,
    // Clients that try again by themselves would do so within seconds.
    headers: isOver ? { ...retry, 'x-should-retry': 'false' } : retry,
  });
}

/** Sums of doubles: less of a limit is nothing. */
const LEAST = 1e-9;

/** Of a budget that is not spent, as far as is known here. */
const leftOf = (meter: Meter, nowMs: number): number => Math.max(0, meter.cap - meter.pot(nowMs).spentByAll);

/** A request or batch that is dearer than what is left, or than all there ever is: then waiting does not help. */
function tooMuch(meter: Meter, amount: number, nowMs: number, what: 'request' | 'batch'): string {
  const may = `this ${what} may cost up to ${usd(amount)}, more than`;
  const { cap, limit } = meter;
  if (amount > cap) {
    const instead = what === 'batch' ? 'make it of fewer requests, for shorter answers' : 'ask for a shorter answer';
    return `${may} all of budget ${quoted(limit.name)}, ${usd(cap)}: ${instead} or a cheaper model, or have the budget raised`;
  }
  return `${may} is left of budget ${quoted(limit.name)}: ${usd(leftOf(meter, nowMs))}`;
}

const usd = (amount: number): string => `${Number(amount.toPrecision(3))} USD`;

/**
 * What an `auto` request hears that nothing is left to choose from: of limits the one that has something again first, and
 * a rule of the policy only where no limit is the reason.
 *
 * @param refusals why each model is out; null: it is not any more
 */
export function soonest(refusals: readonly (RoutingError | null)[]): RoutingError | null {
  let found: LimitReached | null = null;
  for (const refusal of refusals) {
    if (refusal === null) return null;
    if (refusal instanceof LimitReached && (found === null || secondsOf(refusal) < secondsOf(found))) found = refusal;
  }
  if (found === null) return refusals[0] ?? null;
  return new LimitReached(found.code, `nothing is left of any model that auto may choose: ${found.message}`, found);
}

/** Of limits that all must let a request in, the one that has something again last; null: there is none. */
export function latest(refusals: readonly LimitReached[]): LimitReached | null {
  let found: LimitReached | null = null;
  for (const refusal of refusals) if (found === null || secondsOf(refusal) > secondsOf(found)) found = refusal;
  return found;
}

const secondsOf = ({ headers }: LimitReached): number => Number(headers['retry-after']);

/** What is paid for when nobody can stop it any more. */
export type Unmetered = 'batches' | 'responses in the background';

/** What to do, and what becomes of it where the configuration lets it pass. */
const INSTEAD: Readonly<Record<Unmetered, readonly [string, string]>> = {
  batches: [
    'send the requests of the file one by one to /v1/chat/completions, where they are counted',
    'no budget counts what this batch costs',
  ],
  'responses in the background': [
    'ask without background: true, and it is counted',
    'one is counted only when its end is fetched',
  ],
};

const late = (what: Unmetered): string =>
  `what ${what} cost is known only when they are done, so that no budget could stop them`;

/**
 * @param budgets names of those that hold
 * @param why nobody can tell what it may cost, and what to do about it
 * @throws `FORBIDDEN`
 */
export function refuseUnmetered(what: Unmetered, budgets: readonly string[], why?: string): never {
  const [alone, otherwise] = INSTEAD[what];
  const instead = why === undefined ? `${late(what)}: ${alone}` : `${why}; or ${alone}`;
  const named = budgets.slice(0, 3).map(quoted).join(', ');
  throw new RoutingError(
    'FORBIDDEN',
    `${budgets.length === 1 ? `the budget ${named} holds` : `budgets hold (${named}${budgets.length > 3 ? ' …' : ''})`} for this key, and ${instead}; or use a key that no budget in USD holds for; or have limits.allowUnmetered: true set in the gateway’s configuration, and then ${otherwise}`,
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
