/** Calls a provider for a request that goes to it as it is: deployment by deployment until one answers, each call written down. */
import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { costUsd } from '../../datasets/catalog/price.ts';
import type { GuardHit } from '../db/records.ts';
import type { AttemptRecord, DecisionRecord } from '../db/store.ts';
import { asFailure } from '../forward/attempt.ts';
import { fromStatus, UpstreamFailure } from '../forward/failure.ts';
import type { Target } from '../forward/target.ts';
import { isObject, type Usage } from '../forward/usage.ts';
import { AttemptClock, GivenUp, type RequestLife } from '../forward/watch.ts';
import type { Gateway } from '../gateway.ts';
import type { DownloadLook } from '../governance/guards/guards.ts';
import type { Account, Entrant } from '../governance/limits/limits.ts';
import { holderPlace, mustAllow, placeOf } from '../governance/policies/place.ts';
import { readChatError } from '../protocols/chat/errors.ts';
import type { ProviderReply } from '../providers/provider.ts';

export type PassedSurface = 'audio' | 'images' | 'moderations' | 'files' | 'batches' | 'responses';

export interface Passage {
  readonly gateway: Gateway;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly surface: PassedSurface;
  /** As it was let in. */
  readonly entrant: Entrant;
  /** Tried in order; never empty. `upstreamModel` is empty where no model is asked. */
  readonly targets: readonly Target[];
  readonly requestedModel: string;
  readonly alias?: string | null;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** At the provider, after its base URL; with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream can be sent only once: then nothing but the first target is called. */
  readonly body?: ((target: Target) => string | Uint8Array) | Readable;
  /** Whatever model the provider has may be run for it: a batch. */
  readonly runsAnything?: boolean;
  /** What was set aside for it already. Default: that is done when it is passed on. */
  readonly account?: Account;
  /** The usage that the answer tells is that of this call, not of an earlier one. */
  readonly metered: boolean;
  /** Sees a JSON answer before its client does. @returns the text to send in its place; null: the answer's own */
  readonly answered?: (answer: PassedAnswer) => Promise<string | null>;
  /** Sees a whole answer of any text, as guardrails must. @returns what the client is told */
  readonly said?: (text: string) => Promise<{ readonly text: string; readonly hits: readonly GuardHit[] }>;
  /** Sees a file that comes back, as guardrails must. */
  readonly look?: DownloadLook | null;
  /** Why what is sent broke off, where we broke it off; null: we did not. */
  readonly refusal?: () => unknown;
  /** What guardrails found in what is sent. */
  readonly hits?: readonly GuardHit[];
}

/** A passage whose calls are written down. */
export interface Underway extends Passage {
  note(attempt: AttemptRecord): void;
}

export interface PassedAnswer {
  readonly json: Readonly<Record<string, unknown>>;
  readonly target: Target;
  /** The same call for another path: a further page. Null where that is no JSON object with status 200. */
  again(path: string): Promise<Readonly<Record<string, unknown>> | null>;
  /** Tokens to write down, where `metered` is false. */
  meter(usage: Usage | null): void;
  /** What guardrails found in it. */
  found(hits: readonly GuardHit[]): void;
}

/** What kind of answer the client would take, for the provider to know. */
export function acceptOf({ headers }: FastifyRequest): Record<string, string> {
  return headers.accept === undefined ? {} : { accept: headers.accept };
}

export interface Opened {
  readonly target: Target;
  readonly reply: ProviderReply;
  readonly clock: AttemptClock;
  /** Whole, where the status is that of an error. */
  readonly errorBody: Buffer | null;
  finish(status: AttemptRecord['status'], usage?: Usage | null, failure?: UpstreamFailure | null): AttemptRecord;
}

/** Bytes read of an error: enough for its message. */
const ERROR_BYTES = 1024 * 1024;

/** The calls of one request, each written down. */
export class Calls {
  readonly #passage: Underway;
  readonly #record: DecisionRecord;
  readonly #life: RequestLife;
  #made = 0;

  constructor(passage: Underway, record: DecisionRecord, life: RequestLife) {
    this.#passage = passage;
    this.#record = record;
    this.#life = life;
  }

  /** The first target that answers; the last one's error reply where none does. @throws UpstreamFailure */
  async open(): Promise<Opened> {
    const { gateway, targets, body, path } = this.#passage;
    const isStream = body !== undefined && typeof body !== 'function';
    const queue = isStream ? [targets[0]!] : [...targets];
    const limit = Math.min(gateway.config.maxAttempts, queue.length + 1);
    // Sent twice, a batch may run twice.
    let reconnected = isStream || this.#passage.runsAnything === true;
    for (;;) {
      const target = queue.shift()!;
      const isLast = () => queue.length === 0 || this.#made >= limit || this.#life.signal.aborted;
      try {
        const opened = await this.#call(target, path);
        if (opened.reply.status < 400) return opened;
        const failure = this.#refusal(opened);
        if (!goesOn(failure) || isLast()) return opened;
        opened.clock.end();
        this.#write(opened.finish('error', null, failure));
      } catch (error) {
        if (!(error instanceof UpstreamFailure)) throw error;
        // A kept-alive connection that its host had closed looks just like this: the same again, once.
        if (error.blame === 'connection' && !reconnected && !this.#life.signal.aborted) {
          reconnected = true;
          queue.unshift(target);
        } else if (!goesOn(error) || isLast()) throw error;
      }
    }
  }

  /** A further page: same place, same key. */
  async again(target: Target, path: string): Promise<Readonly<Record<string, unknown>> | null> {
    const opened = await this.#call(target, path);
    try {
      if (opened.reply.status !== 200) {
        this.#write(opened.finish('error'));
        return null;
      }
      const json = objectIn(await readWhole(this.#passage.gateway, opened));
      this.#write(opened.finish('ok'));
      return json;
    } finally {
      opened.clock.end();
    }
  }

  #write(attempt: AttemptRecord): void {
    this.#passage.note(attempt);
  }

  #refusal({ target, reply, errorBody }: Opened): UpstreamFailure {
    const { provider, credential } = target;
    return fromStatus(provider, reply.status, errorBody?.toString('utf8') ?? '', {
      keyFrom: credential.from,
      retryAfter: reply.retryAfter,
      readError: readChatError,
    });
  }

  /** @throws UpstreamFailure, `POLICY_REFUSED` */
  async #call(target: Target, path: string): Promise<Opened> {
    const { gateway, method, body, headers = {}, entrant, runsAnything } = this.#passage;
    mustAllow(entrant.caller.rules, runsAnything === true ? holderPlace(target.provider, true) : placeOf(target));
    const { answerMs } = gateway.config.timeouts;
    const clock = new AttemptClock(this.#life.signal);
    const startedAt = new Date();
    const started = performance.now();
    const ordinal = this.#made++;
    let firstByteMs: number | null = null;
    const finish = (
      status: AttemptRecord['status'],
      usage: Usage | null = null,
      failure: UpstreamFailure | null = null,
      httpStatus: number | null = failure?.httpStatus ?? null,
    ): AttemptRecord => {
      if (target.upstreamModel !== '') {
        if (failure === null) gateway.breaker.ok(target);
        else gateway.breaker.failed(target, failure.blame);
      }
      return {
        id: `${this.#record.id}-${ordinal}`,
        decisionId: this.#record.id,
        ordinal,
        provider: target.provider.name,
        model: target.id,
        deployment: target.deployment,
        purpose: 'answer',
        startedAt,
        status,
        httpStatus,
        errorCode: failure?.code ?? null,
        inputTokens: usage?.inputTokens ?? null,
        cachedInputTokens: usage?.cachedInputTokens ?? null,
        cacheWriteTokens: usage?.cacheWriteTokens ?? null,
        outputTokens: usage?.outputTokens ?? null,
        reasoningTokens: usage?.reasoningTokens ?? null,
        costUsd: priceOf(target, usage, status),
        firstByteMs,
        totalMs: performance.now() - started,
      };
    };
    const answering = () => clock.arm(answerMs, 'answer');
    try {
      // While a client uploads, the provider is not to blame for the time; the request's own limit holds.
      if (body !== undefined && typeof body !== 'function') body.once('end', answering);
      else answering();
      const reply = await target.provider.raw!({
        method,
        path,
        headers,
        body: typeof body === 'function' ? body(target) : body,
        credential: target.credential,
        signal: clock.signal,
      });
      firstByteMs = performance.now() - started;
      if (reply.status >= 300 && reply.status < 400) {
        await hangUp(reply);
        throw fromStatus(target.provider, reply.status, '', { readError: readChatError });
      }
      const errorBody = reply.status < 400 ? null : await readSome(reply, ERROR_BYTES);
      const opened = { target, reply, clock, errorBody };
      return {
        ...opened,
        finish: (status, usage, failure) => finish(status, usage, failure, reply.status),
      };
    } catch (error) {
      clock.end();
      const failure = asFailure(target.provider.name, error, clock.signal);
      const clientLeft = failure.cause instanceof GivenUp && failure.cause.clientLeft;
      this.#write(finish(clientLeft ? 'cancelled' : 'error', null, failure));
      throw failure;
    }
  }
}

/** Whether another deployment, or another key, may do better. */
const goesOn = ({ blame }: UpstreamFailure): boolean => blame !== 'request' && blame !== 'cancelled';

/** @throws UpstreamFailure for one that is too large or breaks off */
export async function readWhole({ config }: Gateway, { target, reply, clock }: Opened): Promise<string> {
  const limit = config.answerLimitMb * 1024 * 1024;
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of reply.body) {
      clock.arm(config.timeouts.idleMs, 'next byte of the answer');
      pieces.push(piece);
      size += piece.byteLength;
      if (size <= limit) continue;
      const message = `${target.provider.name}: its answer is larger than ${limit} bytes (answerLimitMb)`;
      throw new UpstreamFailure('UPSTREAM_INVALID', 'overload', message, { httpStatus: reply.status });
    }
  } catch (error) {
    throw asFailure(target.provider.name, error, clock.signal);
  }
  return Buffer.concat(pieces).toString('utf8');
}

async function readSome({ body }: ProviderReply, limit: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size >= limit) break;
  }
  return Buffer.concat(pieces).subarray(0, limit);
}

async function hangUp({ body }: ProviderReply): Promise<void> {
  await body[Symbol.asyncIterator]()
    .return?.()
    .catch(() => undefined);
}

export function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** At list price; null where nobody knows it. An error is taken to be free. */
function priceOf({ provider, candidate }: Target, usage: Usage | null, status: AttemptRecord['status']): number | null {
  if (provider.sandbox) return 0;
  if (usage === null) return status === 'error' ? 0 : null;
  return candidate === undefined ? null : costUsd(candidate, usage);
}
