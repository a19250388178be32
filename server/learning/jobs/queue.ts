/** How a job that waits comes to a process that can do it: one interface, on PostgreSQL and inside one process. */

/**
 * Carries numbers of jobs, nothing else. It may bring one twice, to two processes, or (when a process dies)
 * not at all: claiming the row decides who does it, and what is not begun is sent again.
 */
export interface JobQueue {
  /**
   * Sends a job to whoever takes next. The same `key` waits at most once.
   * @throws what keeps it from being sent
   */
  send(id: string, key: string): Promise<void>;
  /** Brings what was sent to `take`, one after the other, until stopped. `take` does not throw. */
  work(take: (id: string) => Promise<void>): void;
  /** Looks for something to take now rather than at its next turn. */
  wake(): void;
  /** Takes nothing any more; does not wait for what was taken. */
  stop(): Promise<void>;
}

/** For a database that one process owns: what is sent is taken here. */
export function inProcessQueue(): JobQueue {
  const waiting = new Map<string, string>();
  let take: ((id: string) => Promise<void>) | null = null;
  let isTaking = false;
  const next = async () => {
    if (isTaking) return;
    isTaking = true;
    for (const [key, id] of waiting) {
      if (take === null) break;
      waiting.delete(key);
      await take(id);
    }
    isTaking = false;
  };
  return {
    async send(id, key) {
      waiting.set(key, id);
      void next();
    },
    work(taker) {
      take = taker;
      void next();
    },
    wake: () => void next(),
    async stop() {
      take = null;
      waiting.clear();
    },
  };
}
