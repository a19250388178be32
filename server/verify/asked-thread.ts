/** A thread that answers questions, each within a time; one that takes too long or dies is ended, and the next question starts another. */
import type { Worker } from 'node:worker_threads';
import { RoutingError } from '../../datasets/index.ts';
import { startWorker } from '../db/start-worker.ts';

/** What the thread posts. */
export interface ThreadReply {
  readonly id: number;
}

interface Pending<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface ThreadOptions<Reply extends ThreadReply, Answer> {
  /** Where the file of the thread is looked for, and its name without an ending. */
  readonly base: string;
  readonly name: string;
  /** Null: the engine failed. */
  readonly answerIn: (reply: Reply) => Answer | null;
}

export class AskedThread<Question extends object, Reply extends ThreadReply, Answer> {
  readonly #options: ThreadOptions<Reply, Answer>;
  readonly #pending = new Map<number, Pending<Answer>>();
  #worker: Worker | null = null;
  #asked = 0;

  constructor(options: ThreadOptions<Reply, Answer>) {
    this.#options = options;
  }

  /** @throws what `late` makes after so many ms, `INTERNAL` where the engine failed or the thread died */
  ask(question: Question, patienceMs: number, late: () => RoutingError): Promise<Answer> {
    const worker = this.#started();
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      // Whatever it is at now would hold up those behind it.
      const timer = setTimeout(() => this.#fail(worker, late()), patienceMs);
      this.#pending.set(id, { resolve, reject, timer });
      worker.postMessage({ ...question, id });
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
    const { base, name, answerIn } = this.#options;
    const worker = startWorker(base, name);
    // A process that has nothing else to do may end.
    worker.unref();
    worker.on('message', (reply: Reply) => {
      const pending = this.#pending.get(reply.id);
      if (pending === undefined) return;
      this.#pending.delete(reply.id);
      clearTimeout(pending.timer);
      const answer = answerIn(reply);
      if (answer === null) pending.reject(new RoutingError('INTERNAL', 'the pattern engine failed'));
      else pending.resolve(answer);
    });
    const died = () => this.#fail(worker, new RoutingError('INTERNAL', 'the thread that matches patterns died'));
    worker.on('error', died);
    worker.on('exit', died);
    this.#worker = worker;
    return worker;
  }

  /** Ends a thread, and with it all that waits for it. */
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
