/**
 * Calls the deployments of a ranked list until one answers. Only up to its first word: from then on the client has
 * been told who answers. A model the client named itself is never replaced by another, only by another deployment of it.
 */
import { costUsd } from '../../datasets/catalog/price.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { AttemptRecord } from '../db/records.ts';
import { type Answer, attempt } from './attempt.ts';
import type { Breaker } from './breaker.ts';
import type { Asked } from './exchange.ts';
import { TOO_LONG, UpstreamFailure } from './failure.ts';
import { mayTryAgain, pause, pauseMs } from './pause.ts';
import type { Target } from './target.ts';
import { tokensOfChars, type Usage } from './usage.ts';
import { GivenUp } from './watch.ts';

export interface ForwardRequest {
  readonly decisionId: string;
  readonly asked: Asked;
  /** Estimated tokens of the input: the price of a call whose usage is never reported. */
  readonly inputTokens: number;
  readonly life: AbortSignal;
  /** What the calls are for. */
  readonly purpose?: 'answer' | 'escalation' | undefined;
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
  const calls = new Calls(request, limits, record, breaker);
  const queue = [...targets];
  /** Busy or broken: tried again, each when its pause is over, when nothing else is left. */
  let later: { readonly target: Target; readonly dueAt: number }[] = [];
  const retries = new Map<Target, number>();
  const providerFailures = new Map<string, number>();
  let reconnected: Target | undefined;
  for (;;) {
    const target = queue.shift()!;
    const outcome = await calls.run(target, queue);
    if (outcome.call !== undefined) return outcome.call;
    for (const { target: failed, error } of outcome.failures) {
      const { blame } = error;
      if (blame === 'cancelled' || blame === 'request' || request.life.aborted) throw error;
      // A kept-alive connection that its host had closed looks just like this: the same again, once.
      if (blame === 'connection' && reconnected !== failed) {
        reconnected = failed;
        queue.unshift(failed);
        continue;
      }
      const tries = retries.get(failed) ?? 0;
      if (isPassing(error) && tries < limits.retry.retries && mayTryAgain(error, limits.retry)) {
        retries.set(failed, tries + 1);
        later.push({ target: failed, dueAt: performance.now() + pauseMs(error.retryAfter, tries, limits.retry) });
      }
      const name = failed.provider.name;
      providerFailures.set(name, (providerFailures.get(name) ?? 0) + 1);
      reorder(queue, failed, error, providerFailures.get(name)!);
      later = later.filter(({ target: other }) => !isHopeless(other, failed, error));
    }
    const { error } = outcome.failures.at(-1)!;
    if (calls.made >= limits.maxAttempts) throw error;
    if (queue.length > 0) continue;
    if (later.length === 0) throw error;
    await pause(Math.min(...later.map(({ dueAt }) => dueAt)) - performance.now(), request.life);
    if (request.life.aborted) throw error;
    const [next] = later.sort((a, b) => a.dueAt - b.dueAt);
    later = later.slice(1);
    queue.push(next!.target);
  }
}

/** A little later the same may work. */
const isPassing = ({ blame }: UpstreamFailure): boolean => blame === 'overload' || blame === 'connection';

interface Failed {
  readonly target: Target;
  readonly error: UpstreamFailure;
}

interface Outcome {
  readonly call?: OpenCall;
  readonly failures: readonly Failed[];
}

/** The calls of one request, each written down. */
class Calls {
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

  #start(target: Target, purpose: AttemptRecord['purpose']): Runner {
    const request = this.#request;
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

/** Whether what failed there must fail here too. */
function isHopeless(target: Target, failed: Target, { blame, error }: UpstreamFailure): boolean {
  const { provider, credential } = failed;
  if (blame === 'provider') return target.provider === provider;
  if (blame === 'credential') return target.provider === provider && target.credential.id === credential.id;
  return error?.code === TOO_LONG && contextOf(target) < contextOf(failed);
}

const contextOf = ({ candidate }: Target): number => candidate?.contextTokens ?? Number.POSITIVE_INFINITY;

/** What comes next after a failure: what cannot do better is dropped, what fails often is put last. */
function reorder(queue: Target[], failed: Target, error: UpstreamFailure, failures: number): void {
  const { provider } = failed;
  queue.splice(0, queue.length, ...queue.filter((target) => !isHopeless(target, failed, error)));
  if (error.error?.code === TOO_LONG) {
    // Those of the same size may still count tokens otherwise; the larger ones are the better try.
    queue.sort((a, b) => Number(contextOf(b) > contextOf(failed)) - Number(contextOf(a) > contextOf(failed)));
  } else if (failures >= FAILURES_BEFORE_LAST) {
    const others = queue.filter((target) => target.provider !== provider);
    const same = queue.filter((target) => target.provider === provider);
    queue.splice(0, queue.length, ...others, ...same);
  }
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
