/** Finds what patterns match, by RE2's rules; long texts in a thread of their own, so that other requests need not wait. */
import { createRequire } from 'node:module';
import type { Worker } from 'node:worker_threads';
import { RoutingError } from '../../../../datasets/index.ts';
import { startWorker } from '../../../db/start-worker.ts';
import type { Range } from './deny-words.ts';

export type FindRanges = (text: string, from: number) => Range[];

/** @returns what finds the matches of each pattern that begin at `from` or later, in no order */
export function rangesOf(patterns: readonly string[]): FindRanges {
  const { RE2JS } = createRequire(import.meta.url)('re2js') as typeof import('re2js');
  const compiled = patterns.map((pattern) => RE2JS.compile(pattern));
  return (text, from) => {
    const ranges: Range[] = [];
    for (const pattern of compiled) {
      const matcher = pattern.matcher(text);
      for (let at = from; at <= text.length && matcher.find(at); ) {
        const start = matcher.start();
        const end = matcher.end();
        // What matches nothing, as `a*` may, is nothing found.
        if (end > start) ranges.push({ start, end });
        at = end > start ? end : end + 1;
      }
    }
    return ranges;
  };
}

export interface RangesQuestion {
  readonly id: number;
  readonly patterns: readonly string[];
  readonly text: string;
}

export interface RangesReply {
  readonly id: number;
  /** Null: the engine failed. */
  readonly ranges: readonly Range[] | null;
}

interface Pending {
  readonly resolve: (ranges: readonly Range[]) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

const PATIENCE_MS = 10_000;

/** One for all rules: it is started by the first long text. */
export class PatternThread {
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #asked = 0;

  /** @throws `INTERNAL` when it takes longer than {@link PATIENCE_MS}, or the thread died */
  find(patterns: readonly string[], text: string): Promise<readonly Range[]> {
    const worker = this.#started();
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      // Whatever it is at would hold up those behind it.
      const late = () =>
        this.#fail(worker, new RoutingError('INTERNAL', `guardrail patterns took longer than ${PATIENCE_MS} ms`));
      this.#pending.set(id, { resolve, reject, timer: setTimeout(late, PATIENCE_MS) });
      worker.postMessage({ id, patterns, text } satisfies RangesQuestion);
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
    const worker = startWorker(import.meta.url, './deny-worker');
    worker.unref();
    worker.on('message', ({ id, ranges }: RangesReply) => {
      const pending = this.#pending.get(id);
      if (pending === undefined) return;
      this.#pending.delete(id);
      clearTimeout(pending.timer);
      if (ranges === null) pending.reject(new RoutingError('INTERNAL', 'the pattern engine failed'));
      else pending.resolve(ranges);
    });
    const died = () => this.#fail(worker, new RoutingError('INTERNAL', 'the thread that matches patterns died'));
    worker.on('error', died);
    worker.on('exit', died);
    this.#worker = worker;
    return worker;
  }

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
