/** Fits in a thread of its own, so that answers do not wait for it; tells how far it is, and can be ended. */
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import { startWorker } from '../db/start-worker.ts';
import type { FitJob } from './fit.ts';
import type { FitMessage } from './fit-input.ts';
import type { FitReply, ThreadResult } from './fit-worker.ts';

export interface FitThread {
  /** Ends the thread, and what it was at. */
  readonly signal?: AbortSignal | undefined;
  /** What is being done. @param share of it that is done, in [0, 1] */
  readonly onProgress?: (step: string, share: number) => void;
}

/**
 * @param input what is learned from, passed on a page at a time
 * @throws what reading and fitting throw; the signal's reason
 */
export function fitInThread(
  job: FitJob,
  input: AsyncIterable<FitMessage>,
  { signal, onProgress = () => {} }: FitThread = {},
): Promise<ThreadResult> {
  signal?.throwIfAborted();
  return new Promise<ThreadResult>((resolve, reject) => {
    const worker = startWorker(import.meta.url, './fit-worker', { workerData: job });
    const abort = () => {
      reject(signal?.reason);
      void worker.terminate();
    };
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', ({ result, error, progress }: FitReply) => {
      if (progress !== undefined) onProgress(progress.step, progress.share);
      else if (result !== undefined) resolve(result);
      else reject(new RoutingError((error?.code ?? 'INTERNAL') as ErrorCode, error?.message ?? 'fitting failed'));
    });
    let ended = false;
    const feed = async () => {
      for await (const message of input) {
        if (ended) return;
        worker.postMessage(message);
      }
    };
    feed().catch((error) => {
      reject(error);
      void worker.terminate();
    });
    worker.on('error', (cause) => reject(new RoutingError('INTERNAL', `fitting failed: ${cause.message}`, { cause })));
    worker.on('exit', () => {
      ended = true;
      signal?.removeEventListener('abort', abort);
      reject(new RoutingError('INTERNAL', 'fitting ended without a result'));
    });
  });
}
