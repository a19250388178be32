/** Runs one {@link FitJob} in a thread of its own, so that answers do not wait for it. */
import { parentPort, workerData } from 'node:worker_threads';
import { type FitJob, type FitResult, fitAndJudge } from './fit.ts';

export interface FitReply {
  readonly result?: FitResult;
  readonly error?: { readonly code: string; readonly message: string };
}

const reply = (message: FitReply) => parentPort!.postMessage(message);

try {
  reply({ result: await fitAndJudge(workerData as FitJob) });
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  reply({ error: { code: code ?? 'INTERNAL', message } });
}
