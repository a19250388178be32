/**
 * Calls the models of a ranked list until one answers. Only up to its first word: from then on the
 * client has been told who answers. A model the client named itself is never replaced by another.
 */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { costUsd } from '../../datasets/catalog/price.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { AttemptRecord } from '../db/records.ts';
import type { Provider } from '../providers/provider.ts';
import { type Answer, attempt } from './attempt.ts';
import type { Breaker } from './breaker.ts';
import { UpstreamFailure } from './failure.ts';
import { tokensOfChars, type Usage } from './usage.ts';
import { GivenUp } from './watch.ts';

/** A model that can be called. */
export interface Target {
  /** `provider/model`. */
  readonly id: string;
  readonly upstreamModel: string;
  readonly provider: Provider;
  /** Its facts and price; absent for a model that the catalog does not know. */
  readonly candidate: Candidate | undefined;
}

export interface ForwardRequest {
  readonly decisionId: string;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stream: boolean;
  /** True when the router chose: the list may be walked down. */
  readonly routed: boolean;
  /** Estimated tokens of the input: the price of a call whose usage is never reported. */
  readonly inputTokens: number;
  readonly life: AbortSignal;
}

/** A call that answers; its record is written when the answer is over. */
export interface OpenCall {
  readonly target: Target;
  readonly answer: Answer;
  /** Attempts made, this one included. */
  readonly attempts: number;
  /** What the failed attempts before it cost. */
  readonly spentUsd: number;
  /** The record of this attempt; call it once the answer is over, for then the breaker hears of it too. */
  finish(end: AttemptEnd): AttemptRecord;
}

export interface AttemptEnd {
  readonly status: AttemptRecord['status'];
  readonly usage: Usage | null;
  /** Characters received, for when `usage` is null; null where no answer had begun. */
  readonly outputChars: number | null;
  readonly httpStatus?: number | null;
  /** What ended it, when it did not end properly. */
  readonly failure?: UpstreamFailure | null;
}

export type ForwardLimits = Pick<GatewayConfig, 'timeouts' | 'maxAttempts' | 'answerLimitMb'>;

/** A provider that failed so often in one request goes to the end of its list. */
const FAILURES_BEFORE_LAST = 2;

/**
 * @param record  takes the record of each failed attempt
 * @throws UpstreamFailure, the last one, when nobody answered
 */
export async function forward(
  targets: readonly Target[],
  request: ForwardRequest,
  limits: ForwardLimits,
  record: (attempt: AttemptRecord) => void,
  breaker: Breaker,
): Promise<OpenCall> {
  const queue = [...targets];
  const failures = new Map<Provider, number>();
  let spentUsd = 0;
  let retryOf: Target | undefined;
  for (let ordinal = 0; ; ordinal++) {
    const target = queue.shift()!;
    const startedAt = new Date();
    const started = performance.now();
    const row = (end: AttemptEnd, firstByteMs: number | null): AttemptRecord => ({
      id: `${request.decisionId}-${ordinal}`,
      decisionId: request.decisionId,
      ordinal,
      provider: target.provider.name,
      model: target.id,
      deployment: target.id,
      purpose: 'answer',
      startedAt,
      status: end.status,
      httpStatus: end.httpStatus ?? null,
      errorCode: end.failure?.code ?? null,
      inputTokens: end.usage?.inputTokens ?? null,
      cachedInputTokens: end.usage?.cachedInputTokens ?? null,
      cacheWriteTokens: end.usage?.cacheWriteTokens ?? null,
      outputTokens: end.usage?.outputTokens ?? null,
      reasoningTokens: end.usage?.reasoningTokens ?? null,
      costUsd: priceOf(target, end, request.inputTokens),
      firstByteMs,
      totalMs: performance.now() - started,
    });
    try {
      const answer = await attempt({
        ...request,
        provider: target.provider,
        model: target.upstreamModel,
        modelId: target.id,
        reasoning: target.candidate?.reasoning === true || request.json.reasoning_effort != null,
        timeouts: limits.timeouts,
        answerLimitBytes: limits.answerLimitMb * 1024 * 1024,
      });
      const finish = (end: AttemptEnd) => {
        // Only now: a model that breaks every stream after its first word is as good as down.
        if (end.failure) breaker.failed(target.id, end.failure.blame);
        else breaker.ok(target.id);
        return row(end, answer.firstByteMs);
      };
      return { target, answer, attempts: ordinal + 1, spentUsd, finish };
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error;
      const waitedMs = performance.now() - started;
      // Whoever took most of the time there is let it run out; nobody else is to blame for that.
      const tookItAll = error.code === 'UPSTREAM_TIMEOUT' && waitedMs > limits.timeouts.totalMs / 2;
      breaker.failed(target.id, tookItAll ? 'overload' : error.blame);
      const entry = row(endOf(error), null);
      record(entry);
      spentUsd += entry.costUsd ?? 0;
      const again = error.blame === 'connection' || (!request.routed && isWorthAnotherTry(error));
      if (again && retryOf !== target) {
        retryOf = target;
        queue.unshift(target);
        if (error.blame !== 'connection') await pauseBefore(error, request.life);
      } else {
        failures.set(target.provider, (failures.get(target.provider) ?? 0) + 1);
        reorder(queue, target.provider, error, failures.get(target.provider)!);
      }
      const over = error.blame === 'cancelled' || error.blame === 'request' || request.life.aborted;
      if (over || queue.length === 0 || ordinal + 1 >= limits.maxAttempts) throw error;
    }
  }
}

function endOf(error: UpstreamFailure): AttemptEnd {
  const clientLeft = error.cause instanceof GivenUp && error.cause.clientLeft;
  return {
    status: clientLeft ? 'cancelled' : 'error',
    usage: error.usage,
    outputChars: error.outputChars,
    httpStatus: error.httpStatus ?? null,
    failure: error,
  };
}

/** What comes next after a failure: the rest of a dead provider's models is dropped, a failing one's put last. */
function reorder(queue: Target[], provider: Provider, error: UpstreamFailure, failures: number): void {
  const others = queue.filter((target) => target.provider !== provider);
  const same = queue.filter((target) => target.provider === provider);
  if (error.blame === 'provider') queue.splice(0, queue.length, ...others);
  else if (failures >= FAILURES_BEFORE_LAST) queue.splice(0, queue.length, ...others, ...same);
}

/** Busy or broken for a moment. A timeout is not: whoever waited that long has waited long enough. */
const isWorthAnotherTry = ({ blame, code, retryAfter }: UpstreamFailure): boolean =>
  blame === 'overload' && code === 'UPSTREAM_ERROR' && waitMs(retryAfter) <= LONGEST_WAIT_MS;

const LONGEST_WAIT_MS = 2000;

/** What `retry-after` asks for, in ms; a quarter of a second where it asks for nothing. */
function waitMs(retryAfter: string | undefined): number {
  if (retryAfter === undefined) return 250;
  const seconds = Number(retryAfter);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isFinite(ms) ? Math.max(ms, 0) : 250;
}

async function pauseBefore(error: UpstreamFailure, life: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      life.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, waitMs(error.retryAfter));
    life.addEventListener('abort', done);
  });
}

/**
 * What an attempt cost at list price, USD: by the usage reported or, once an answer had begun, by
 * the input estimated and the characters received / 4. One that never began is taken to be free.
 * Null where the catalog has no price.
 */
function priceOf(target: Target, end: AttemptEnd, inputTokens: number): number | null {
  if (target.provider.sandbox) return 0;
  const { usage, outputChars } = end;
  if (usage === null && outputChars === null) return 0;
  if (target.candidate === undefined) return null;
  return costUsd(target.candidate, usage ?? { inputTokens, outputTokens: tokensOfChars(outputChars ?? 0) });
}
