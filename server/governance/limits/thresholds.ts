/** Tells an endpoint of the operator's when a budget reaches a threshold: once a period each, over all replicas. */
import type { SqlStore } from '../../db/store.ts';
import type { Egress } from '../../egress/index.ts';
import { claimThreshold } from './bank.ts';
import type { Pot } from './pot.ts';
import type { Budget } from './terms.ts';

export interface ThresholdsOptions {
  /** Null: nobody else could have told. */
  readonly store: Pick<SqlStore, 'db'> | null;
  readonly say: (details: object, message: string) => void;
  /** Whose a pot is, as people call it. */
  readonly subjectOf: (limit: Budget, pot: Pot) => string | null;
  /** Waits between tries, ms. */
  readonly pausesMs?: readonly number[];
}

/** What the endpoint is told. */
export interface ThresholdNotice {
  readonly event: 'budget';
  readonly budget: string;
  readonly id: string;
  /** Whose it is, where the budget counts each team, key … by itself. */
  readonly subject: string | null;
  readonly thresholdPercent: number;
  readonly spentUsd: number;
  readonly limitUsd: number;
  readonly period: string;
  readonly resetsAt: string;
}

const PAUSES_MS = [1_000, 5_000, 25_000];
const WEBHOOK_MS = 10_000;

export class Thresholds {
  readonly #options: ThresholdsOptions;
  readonly #telling = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: ThresholdsOptions) {
    this.#options = options;
  }

  /** @throws `DATABASE_UNAVAILABLE` where it cannot be known whether another replica has told */
  async look(budget: Budget, pot: Pot, webhookUrl: string | undefined, egress: Pick<Egress, 'tell'>): Promise<void> {
    for (const percent of budget.notifyAt) {
      if (100 * pot.share < percent || pot.notified.includes(percent)) continue;
      pot.notified = [...pot.notified, percent];
      const { store } = this.#options;
      if (store !== null) {
        const isFirst = await claimThreshold(store.db, pot.bucket, pot.span.name, percent).catch((error) => {
          pot.notified = pot.notified.filter((one) => one !== percent);
          throw error;
        });
        if (!isFirst) continue;
      }
      const notice: ThresholdNotice = {
        event: 'budget',
        budget: budget.name,
        id: budget.id,
        subject: this.#options.subjectOf(budget, pot),
        thresholdPercent: percent,
        spentUsd: pot.spentByAll,
        limitUsd: pot.cap,
        period: pot.span.name,
        resetsAt: new Date(pot.span.endMs).toISOString(),
      };
      const { event: _, ...told } = notice;
      this.#options.say(told, 'a budget has reached a threshold');
      if (webhookUrl === undefined) continue;
      const telling: Promise<void> = this.#tell(webhookUrl, notice, egress).finally(() =>
        this.#telling.delete(telling),
      );
      this.#telling.add(telling);
    }
  }

  /** Does not wait for what still waits to be tried again. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#telling);
  }

  async #tell(url: string, notice: ThresholdNotice, egress: Pick<Egress, 'tell'>): Promise<void> {
    const { signal } = this.#stopped;
    for (const pauseMs of [...(this.#options.pausesMs ?? PAUSES_MS), null]) {
      try {
        return await egress.tell(url, notice, { signal: AbortSignal.timeout(WEBHOOK_MS) });
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (pauseMs === null || signal.aborted) {
          const { budget, thresholdPercent } = notice;
          this.#options.say(
            { budget, thresholdPercent, code, reason: message },
            'the webhook was not told of a budget',
          );
          return;
        }
        await new Promise<void>((resolve) => {
          const done = () => {
            clearTimeout(timer);
            resolve();
          };
          const timer = setTimeout(done, pauseMs);
          timer.unref();
          signal.addEventListener('abort', done, { once: true });
        });
      }
    }
  }
}
