/** The record of what happened: written behind the answers, read by people and by learning. */
import { RoutingError } from '../../datasets/index.ts';
import type { AttemptRecord, DecisionRecord, Entry, FeedbackRecord } from './records.ts';

export type { AttemptRecord, DecisionRecord, Entry, FeedbackRecord } from './records.ts';

export interface Store {
  /** Queues rows; never blocks and never throws. They are written in batches. */
  record(entry: { decision?: DecisionRecord; attempt?: AttemptRecord; feedback?: FeedbackRecord }): void;
  /** Waits until everything recorded so far is on disk: in the database, or in the spool while that is away. */
  flush(): Promise<void>;
  /** Sees rows that are not written yet, too. */
  getDecision(
    id: string,
  ): Promise<{ decision: DecisionRecord; attempts: AttemptRecord[]; feedback: FeedbackRecord[] } | null>;
  /** True when the database answers. */
  ready(): Promise<boolean>;
  /** Flushes, then lets go of the database and of the lock. */
  close(): Promise<void>;
}

export async function openStore(options: { databaseUrl?: string; dataDir: string }): Promise<Store> {
  void (null as unknown as Entry);
  throw new RoutingError('DATABASE_UNAVAILABLE', `no database at ${options.dataDir}`);
}
