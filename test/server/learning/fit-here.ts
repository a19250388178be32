/** Fits in the thread that asks: starting one of TypeScript sources takes seconds, and what it computes is the same. */
import { fitAndJudge } from '../../../server/learning/fit.ts';
import { FitInbox } from '../../../server/learning/fit-input.ts';
import type { fitInThread } from '../../../server/learning/fit-thread.ts';

export const fitHere: typeof fitInThread = async (job, input, { signal, onProgress } = {}) => {
  const inbox = new FitInbox();
  for await (const message of input) {
    signal?.throwIfAborted();
    // As a message arrives at a thread: a copy, and no object of ours.
    const got = inbox.take(structuredClone(message));
    if (got === null) continue;
    const { leftOut, limited } = got.rest;
    return { ...(await fitAndJudge({ ...job, ...got.data }, onProgress)), leftOut, limited };
  }
  throw new Error('the log has no end');
};
