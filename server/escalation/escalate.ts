/** Checks an answer and, while it fails and something better is left, calls the next model up the list. */
import type { RankedCandidate } from '../../router/decision.ts';
import type { AttemptRecord } from '../db/records.ts';
import type { Breaker } from '../forward/breaker.ts';
import { UpstreamFailure } from '../forward/failure.ts';
import { type ForwardLimits, type ForwardRequest, forward, type OpenCall } from '../forward/forward.ts';
import type { Target } from '../forward/target.ts';
import { GivenUp } from '../forward/watch.ts';
import type { Fault } from './answer-shape.ts';
import { type Checking, faultOf } from './check.ts';
import { above } from './plan.ts';

/** In an attempt's `errorCode`: a whole answer, paid for, that failed its check. Its `status` is `ok`. */
export const CHECK_FAILED = 'CHECK_FAILED';

export interface Ascent {
  /** What to give the client; `spentUsd` and `attempts` count everything before it. */
  readonly call: OpenCall;
  /** How often it was gone up: calls answered after a failed check. */
  readonly ups: number;
  /** The answer given failed its check, too: nothing better was to be had. */
  readonly failed: boolean;
}

export interface AscentInput {
  readonly checking: Checking;
  readonly ranked: readonly RankedCandidate[];
  /** Every target of the request. */
  readonly targets: readonly Target[];
  readonly request: ForwardRequest;
  readonly limits: ForwardLimits;
  readonly breaker: Breaker;
  /** Takes the record of every attempt but that of the call given back. */
  readonly note: (attempt: AttemptRecord) => void;
  readonly onFault: (model: string, fault: Fault) => void;
}

/**
 * @param first a JSON answer
 * @returns the first answer that passes, or the last one that came
 * @throws UpstreamFailure when the client left meanwhile
 */
export async function escalate(first: OpenCall, input: AscentInput): Promise<Ascent> {
  const { checking, ranked, targets, request, limits, breaker, note, onFault } = input;
  const { maxCalls } = checking.config;
  const tried = new Set<string>();
  let call = first;
  for (let ups = 0; ; ups++) {
    const { answer, target } = call;
    if (answer.kind !== 'json') return { call, ups, failed: false };
    const fault = await faultOf(answer, target.id, checking);
    if (fault === null) return { call, ups, failed: false };
    onFault(target.id, fault);
    const failed: OpenCall = { ...call, finish: failing(call) };
    tried.add(target.id);
    const next = above(tried, ranked, targets);
    const isOver = ups + 1 >= maxCalls || call.attempts >= limits.maxAttempts || request.life.aborted;
    if (isOver || next.length === 0) return { call: failed, ups, failed: true };
    // Now, so that its record tells how long it took, not how long the next one does.
    const { usage, outputChars } = answer;
    const row = failed.finish({ status: 'ok', usage, outputChars, httpStatus: 200 });
    let failedCalls = 0;
    let failedUsd = 0;
    const counted = (attempt: AttemptRecord) => {
      failedCalls++;
      failedUsd += attempt.costUsd ?? 0;
      note(attempt);
    };
    try {
      const further = { ...request, purpose: 'escalation' as const, firstOrdinal: call.attempts };
      const upper = await forward(next, further, limits, counted, breaker);
      note(row);
      call = { ...upper, spentUsd: call.spentUsd + (row.costUsd ?? 0) + upper.spentUsd };
    } catch (error) {
      if (!(error instanceof UpstreamFailure) || hasLeft(request.life)) {
        note(row);
        throw error;
      }
      // Nobody above answers: what failed its check is better than nothing.
      const held: OpenCall = {
        ...failed,
        attempts: call.attempts + failedCalls,
        spentUsd: call.spentUsd + failedUsd,
        finish: () => row,
      };
      return { call: held, ups, failed: true };
    }
  }
}

const failing =
  ({ finish }: OpenCall): OpenCall['finish'] =>
  (end) => ({ ...finish(end), errorCode: CHECK_FAILED });

const hasLeft = ({ aborted, reason }: AbortSignal): boolean =>
  aborted && reason instanceof GivenUp && reason.clientLeft;
