/** Budgets and rates: a request is let in, what it may cost is set aside before it is called, and what it did cost is settled. */
import type { Caller } from '../../callers.ts';
import type { AttemptRecord } from '../../db/records.ts';

/** A request before it is known where it goes. */
export interface Entrant {
  readonly caller: Caller;
  /** Tags of the key, and those that the client added. */
  readonly tags: readonly string[];
  readonly surface: string;
  /** `model` as the client sent it. */
  readonly requestedModel: string;
  /** `auto` was asked for. */
  readonly isAuto: boolean;
  /** Characters of the request. */
  readonly chars: number;
}

/** One that was let in. */
export interface Admission {
  /** As before, or with narrower bounds on what `auto` may cost: a soft limit is reached. */
  readonly caller: Caller;
  /** OpenAI's `x-ratelimit-…`, and ours. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Where it goes, and what is expected of it. */
export interface Expectation {
  /** `provider/model`. */
  readonly model: string;
  readonly provider: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** At list price; 0 where nobody knows it. */
  readonly costUsd: number;
}

/** What was set aside for one request. */
export interface Account {
  readonly headers: Readonly<Record<string, string>>;
  /** Sees every call made for the request, those that end after it, too. */
  note(attempt: AttemptRecord): void;
  /** Nothing more is to come, but what {@link note} still sees: what is left of it goes back. Called once or more. */
  close(): void;
}

export const FREE: Account = { headers: {}, note() {}, close() {} };

export class Limits {
  /** @throws `RATE_LIMITED` with `retry-after` */
  admit({ caller }: Entrant): Admission {
    return { caller, headers: {} };
  }

  /** @throws `BUDGET_EXCEEDED` with `retry-after` */
  async reserve(_entrant: Entrant, _expected: Expectation): Promise<Account> {
    return FREE;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
