/** Runs one {@link FitJob} in a thread of its own, so that answers do not wait for it. The log comes as messages. */
import { parentPort, workerData } from 'node:worker_threads';
import { type FitJob, type FitResult, fitAndJudge } from './fit.ts';
import { FitInbox, type FitMessage } from './fit-input.ts';
import type { LeftOut } from './learnable.ts';

/** One of them; the first two are the last message. */
export interface FitReply {
  readonly result?: ThreadResult;
  readonly error?: { readonly code: string; readonly message: string };
  readonly progress?: { readonly step: string; readonly share: number };
}

/** With what was counted while the log was read. */
export interface ThreadResult extends FitResult {
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  readonly limited: boolean;
}

const port = parentPort!;
const reply = (message: FitReply) => port.postMessage(message);
const inbox = new FitInbox();

port.on('message', async (message: FitMessage) => {
  try {
    const input = inbox.take(message);
    if (input === null) return;
    const { leftOut, limited } = input.rest;
    const onProgress = (step: string, share: number) => reply({ progress: { step, share } });
    const result = await fitAndJudge({ ...(workerData as FitJob), ...input.data }, onProgress);
    reply({ result: { ...result, leftOut, limited } });
  } catch (error) {
    const { code, message: text } = error as { code?: string; message: string };
    reply({ error: { code: code ?? 'INTERNAL', message: text } });
  }
  port.close();
});
