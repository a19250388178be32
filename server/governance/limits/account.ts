/** What was set aside for one request, and what becomes of it: settled call by call, the rest given back. */
import type { AttemptRecord } from '../../db/records.ts';
import type { Expectation, Forecast, Forecasts } from './forecast.ts';
import type { Matched, Meter } from './matching.ts';
import type { Pot } from './pot.ts';

/** What was set aside for one request. */
export interface Account {
  readonly headers: Readonly<Record<string, string>>;
  /** Sees every call made for the request, those that end after it, too. */
  note(attempt: AttemptRecord): void;
  /** Nothing more is to come, but what {@link note} still sees: what is left of it goes back. Called once or more. */
  close(): void;
}

export const FREE: Account = { headers: {}, note() {}, close() {} };

/** An amount in a pot that is set aside for a request. */
export interface Hold {
  readonly meter: Meter;
  readonly pot: Pot;
  held: number;
}

interface Opened {
  readonly expected: Expectation;
  readonly forecast: Forecast;
  readonly holds: readonly Hold[];
  readonly matched: Matched;
  readonly forecasts: Forecasts;
  readonly now: () => number;
  /** Told of a call of which nobody knows what it cost. */
  readonly onUnpriced: (model: string) => void;
  readonly headers: Readonly<Record<string, string>>;
}

export class OpenAccount implements Account {
  readonly headers: Readonly<Record<string, string>>;
  readonly #opened: Opened;

  constructor(opened: Opened) {
    this.headers = opened.headers;
    this.#opened = opened;
  }

  note(attempt: AttemptRecord): void {
    // Audits are the gateway's own.
    if (attempt.purpose === 'audit') return;
    const { expected, forecast, forecasts, holds, matched } = this.#opened;
    const usd = this.#usdOf(attempt);
    const tokens = this.#tokensOf(attempt);
    const isExpected = attempt.model === expected.model && attempt.provider === expected.provider;
    for (const hold of holds) {
      const { limit, measure } = hold.meter;
      // Of a limit for some models alone: set aside for the one that was expected, whoever else answers.
      const isMeant = isExpected || (limit.model === undefined && limit.provider === undefined);
      if (measure !== 'requests' && isMeant) settle(hold, measure === 'usd' ? usd : tokens);
    }
    if (!isExpected) {
      for (const meter of matched.at(attempt.model, attempt.provider)) {
        const amount = meter.measure === 'usd' ? usd : meter.measure === 'tokens' ? tokens : 1;
        meter.pot(this.#opened.now()).settle(0, amount);
      }
    }
    forecasts.learn(expected, forecast, attempt);
  }

  close(): void {
    for (const hold of this.#opened.holds) {
      hold.pot.settle(hold.held, 0);
      hold.held = 0;
    }
  }

  /**
   * A call of which nobody knows what it cost counts as what was set aside, so that a limit errs to the safe side; so does
   * one that broke off and of which nobody saw how much it had reasoned.
   */
  #usdOf(attempt: AttemptRecord): number {
    const { costUsd, model } = attempt;
    const { expected, forecast } = this.#opened;
    const isForecast = expected.price !== null && model === expected.model;
    if (costUsd !== null && costUsd >= 0) {
      const isHidden = isForecast && expected.price?.reasoning === true && brokeOff(attempt);
      return isHidden ? Math.max(costUsd, forecast.costUsd) : costUsd;
    }
    if (!isForecast) this.#opened.onUnpriced(model);
    return isForecast ? forecast.costUsd : 0;
  }

  #tokensOf({ inputTokens, outputTokens, costUsd, status }: AttemptRecord): number {
    if (inputTokens !== null || outputTokens !== null) return (inputTokens ?? 0) + (outputTokens ?? 0);
    // Without a report: one that never began has cost nothing.
    return costUsd === 0 && status !== 'ok' ? 0 : this.#opened.forecast.tokens;
  }
}

/** Before its usage was told. */
const brokeOff = ({ status, inputTokens, outputTokens }: AttemptRecord): boolean =>
  (status === 'cancelled' || status === 'partial') && inputTokens === null && outputTokens === null;

function settle(hold: Hold, amount: number): void {
  const part = Math.min(hold.held, amount);
  hold.held -= part;
  hold.pot.settle(part, amount);
}
