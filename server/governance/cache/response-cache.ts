/** Answers to the very same request of the same tenant, kept where a policy says so. */
import type { Incoming } from '../../api/exchange.ts';
import type { DecisionRecord } from '../../db/records.ts';

/** An answer as it went to a client. */
export interface Kept {
  /** `provider/model`. */
  readonly model: string;
  readonly provider: string;
  readonly createdAt: Date;
  /** What it had cost, USD. */
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Body of a whole answer, or all frames of a stream. */
  readonly body: string;
}

/** Takes an answer down while it goes out. */
export interface Keeping {
  /** A whole body, or the next frames. */
  add(text: string): void;
  /** The answer ended properly and may be kept. Without it nothing is. */
  done(facts: Omit<Kept, 'body' | 'createdAt'>): void;
}

export class ResponseCache {
  /** Null where nothing is kept for this request, or nothing may be. */
  async find(_incoming: Incoming): Promise<Kept | null> {
    return null;
  }

  /** Null where nothing is to be kept. */
  keeping(_incoming: Incoming, _record: DecisionRecord): Keeping | null {
    return null;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
