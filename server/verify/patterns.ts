/** Tests answers against patterns, beside the gateway's own thread and within a time. */
import type { Worker } from 'node:worker_threads';
import { RoutingError } from '../../datasets/index.ts';
import { startWorker } from '../db/start-worker.ts';

export interface PatternQuestion {
  readonly id: number;
  readonly text: string;
  readonly must: readonly string[];
  readonly mustNot: readonly string[];
}

export interface PatternReply {
  readonly id: number;
  /** Null: the engine failed. */
  readonly isRight: boolean | null;
}

interface Pending {
  readonly resolve: (isRight: boolean) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Some 20 MB of text; and the thread's own start. */
const PATIENCE_MS = 10_000;

export class Patterns {
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #asked = 0;

  /** @throws `UPSTREAM_TIMEOUT` after {@link PATIENCE_MS}, `INTERNAL` where the thread died */
  test({ text, must, mustNot }: Omit<PatternQuestion, 'id'>, patienceMs = PATIENCE_MS): Promise<boolean> {
    const worker = this.#started();
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const late = new RoutingError('UPSTREAM_TIMEOUT', `patterns took longer than ${patienceMs} ms`);
        // Whatever it is at now would hold up those behind it.
        this.#fail(worker, late);
      }, patienceMs);
      this.#pending.set(id, { resolve, reject, timer });
      worker.postMessage({ id, text, must, mustNot } satisfies PatternQuestion);
    });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    this.#fail(worker, new RoutingError('SHUTTING_DOWN', 'the gateway stops'));
    await worker.terminate();
  }

  #started(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = startWorker(import.meta.url, './pattern-worker');
    // A process that has nothing else to do may end.
    worker.unref();
    worker.on('message', ({ id, isRight }: PatternReply) => {
      const pending = this.#pending.get(id);
      if (pending === undefined) return;
      this.#pending.delete(id);
      clearTimeout(pending.timer);
      if (isRight === null) pending.reject(new RoutingError('INTERNAL', 'the pattern engine failed'));
      else pending.resolve(isRight);
    });
    const died = () => this.#fail(worker, new RoutingError('INTERNAL', 'the thread that matches patterns died'));
    worker.on('error', died);
    worker.on('exit', died);
    this.#worker = worker;
    return worker;
  }

  /** Ends a thread, and with it all that waits for it; the next question starts another. */
  #fail(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    void worker.terminate();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }
}
