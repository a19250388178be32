/** The calls of one request, each written down: one place asked, or two side by side. */
import { costUsd } from '../../datasets/catalog/price.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { AttemptRecord } from '../db/records.ts';
import { mustAllow, placeOf } from '../governance/policies/place.ts';
import type { Rules } from '../governance/policies/rules.ts';
import { type Answer, attempt } from './attempt.ts';
import type { Breaker } from './breaker.ts';
import type { Asked } from './exchange.ts';
import { UpstreamFailure } from './failure.ts';
import { pause } from './pause.ts';
import type { Target } from './target.ts';
import { tokensOfChars, type Usage } from './usage.ts';
import { GivenUp } from './watch.ts';

export interface ForwardRequest {
  readonly decisionId: string;
  readonly asked: Asked;
  /** Estimated tokens of the input: the price of a call whose usage is never reported. */
  readonly inputTokens: number;
  readonly life: AbortSignal;
  /** By which they are let go: looked at again before each, whatever was filtered before. */
  readonly rules: Rules;
  /** What the calls are for. */
  readonly purpose?: 'answer' | 'escalation' | 'audit' | undefined;
  /** Calls made for the same request before: their count goes on. */
  readonly firstOrdinal?: number | undefined;
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

export type ForwardLimits = Pick<GatewayConfig, 'timeouts' | 'maxAttempts' | 'answerLimitMb' | 'retry'>;

export interface Failed {
  readonly target: Target;
  readonly error: UpstreamFailure;
}

export interface Outcome {
  readonly call?: OpenCall;
  readonly failures: readonly Failed[];
}

/** The calls of one request, each written down. */
export class Calls {
  made: number;
  #spentUsd = 0;
  readonly #request: ForwardRequest;
  readonly #limits: ForwardLimits;
  readonly #record: (attempt: AttemptRecord) => void;
  readonly #breaker: Breaker;

  constructor(
    request: ForwardRequest,
    limits: ForwardLimits,
    record: (attempt: AttemptRecord) => void,
    breaker: Breaker,
  ) {
    this.#request = request;
    this.#limits = limits;
    this.#record = record;
    this.#breaker = breaker;
    this.made = request.firstOrdinal ?? 0;
  }

  /** One call; with hedging on, the next of the queue joins it when it is slow to answer, and the slower one is given up. */
  async run(target: Target, queue: Target[]): Promise<Outcome> {
    const { hedgeAfterMs } = this.#limits.retry;
    const first = this.#start(target, this.#request.purpose ?? 'answer');
    const runners = [first];
    try {
      if (hedgeAfterMs === null || queue.length === 0 || this.made >= this.#limits.maxAttempts) {
        return outcomeOf([await first.settled]);
      }
      const early = await Promise.race([first.settled, pause(hedgeAfterMs, this.#request.life).then(() => null)]);
      if (early !== null) return outcomeOf([early]);
      // Time is up, or the client has left: nobody waits for a second one.
      if (this.#request.life.aborted) return outcomeOf([await first.settled]);
      const second = this.#start(queue.shift()!, 'hedge');
      runners.push(second);
      const soonest = await Promise.race([first.settled, second.settled]);
      const slower = soonest.runner === first ? second : first;
      if (soonest.call === undefined) return outcomeOf([soonest, await slower.settled]);
      letGo(slower);
      return { call: soonest.call, failures: [] };
    } catch (error) {
      // A request that cannot be put at all ends both.
      runners.forEach(letGo);
      throw error;
    }
  }

  /** @throws `POLICY_REFUSED` */
  #start(target: Target, purpose: AttemptRecord['purpose']): Runner {
    const request = this.#request;
    mustAllow(request.rules, placeOf(target));
    const limits = this.#limits;
    const ordinal = this.made++;
    const startedAt = new Date();
    const started = performance.now();
    // A runner that another may overtake has a life of its own within the request's.
    const own = limits.retry.hedgeAfterMs === null ? null : new AbortController();
    const onLifeEnd = () => own?.abort(request.life.reason);
    if (own !== null) {
      if (request.life.aborted) onLifeEnd();
      else request.life.addEventListener('abort', onLifeEnd, { once: true });
    }
    const row = (end: AttemptEnd, firstByteMs: number | null): AttemptRecord => ({
      id: `${request.decisionId}-${ordinal}`,
      decisionId: request.decisionId,
      ordinal,
      provider: target.provider.name,
      model: target.id,
      deployment: target.deployment,
      purpose,
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
    const attempting = attempt({
      asked: request.asked,
      target,
      reasoning: target.candidate?.reasoning === true || request.asked.json.reasoning_effort != null,
      timeouts: limits.timeouts,
      answerLimitBytes: limits.answerLimitMb * 1024 * 1024,
      life: own?.signal ?? request.life,
    });
    const runner: Runner = {
      giveUp: () => own?.abort(new GivenUp('UPSTREAM_CLOSED', 'another deployment answered first', true)),
      drop: (call) => {
        if (call.answer.kind === 'stream') void call.answer.stream.close();
        const { answer } = call;
        const [usage, outputChars] =
          answer.kind === 'json'
            ? [answer.usage, answer.outputChars]
            : [answer.stream.usage, answer.stream.outputChars];
        this.#record(row({ status: 'cancelled', usage, outputChars, httpStatus: 200 }, answer.firstByteMs));
      },
      settled: attempting.then(
        (answer) => {
          const finish = (end: AttemptEnd) => {
            if (own !== null) request.life.removeEventListener('abort', onLifeEnd);
            // Only now: a model that breaks every stream after its first word is as good as down.
            if (end.failure) this.#breaker.failed(target, end.failure.blame);
            else this.#breaker.ok(target);
            return row(end, answer.firstByteMs);
          };
          return {
            runner,
            target,
            call: { target, answer, attempts: this.made, spentUsd: this.#spentUsd, finish },
          };
        },
        (error: unknown) => {
          if (own !== null) request.life.removeEventListener('abort', onLifeEnd);
          if (!(error instanceof UpstreamFailure)) throw error;
          const waitedMs = performance.now() - started;
          // Whoever took most of the time there is let it run out; nobody else is to blame for that.
          const tookItAll = error.code === 'UPSTREAM_TIMEOUT' && waitedMs > limits.timeouts.totalMs / 2;
          this.#breaker.failed(target, tookItAll ? 'overload' : error.blame);
          const entry = row(endOf(error), null);
          this.#record(entry);
          this.#spentUsd += entry.costUsd ?? 0;
          return { runner, target, error };
        },
      ),
    };
    return runner;
  }
}

interface Runner {
  readonly settled: Promise<Settled>;
  /** Hangs up. */
  giveUp(): void;
  /** Writes down an answer that came too late. */
  drop(call: OpenCall): void;
}

interface Settled {
  readonly runner: Runner;
  readonly target: Target;
  readonly call?: OpenCall;
  readonly error?: UpstreamFailure;
}

/** Hangs up on a call that nobody waits for any more; its record is written when it has let go. */
function letGo(runner: Runner): void {
  runner.giveUp();
  void runner.settled.then(
    ({ call }) => call && runner.drop(call),
    () => undefined,
  );
}

function outcomeOf(settled: readonly Settled[]): Outcome {
  const call = settled.find((one) => one.call !== undefined)?.call;
  const failures = settled.flatMap(({ target, error }) => (error === undefined ? [] : [{ target, error }]));
  return call === undefined ? { failures } : { call, failures };
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
