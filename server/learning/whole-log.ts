/** Nothing is read of a log before all of it is in the database, labelled: without what waits on disk it is another log. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SqlStore } from '../db/store.ts';
import { labelOutcomes } from '../feedback/outcomes.ts';

/** How long rows on disk are waited for: minutes' worth of traffic come in within it on a busy machine. */
export const SPOOL_PATIENCE_MS = 120_000;
const SPOOL_POLL_MS = 50;

/**
 * Resolves when what was recorded so far, and what an earlier process or a database that was away left on disk, is in
 * the database, and outcomes are made of the verdicts. While the database takes nothing there is nothing to wait for.
 * @throws `DATABASE_UNAVAILABLE`, the signal's reason
 */
export async function completeLog(store: SqlStore, signal?: AbortSignal): Promise<void> {
  await store.flush();
  const until = performance.now() + SPOOL_PATIENCE_MS;
  while (store.writer.spooled && store.writer.lastError === null && performance.now() < until) {
    signal?.throwIfAborted();
    await sleep(SPOOL_POLL_MS);
  }
  await labelOutcomes(store);
}
