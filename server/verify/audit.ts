/**
 * Audits: a random sample of routed answers is graded by a judge model, so that something is known of answers that nobody
 * complained about. Chance alone decides which, with a probability on record (README.md).
 */
import { type Afterwork, codeOf, type Finished } from '../afterwards.ts';
import type { Caller } from '../callers.ts';
import type { AttemptRecord, DecisionRecord } from '../db/records.ts';
import { UpstreamFailure } from '../forward/failure.ts';
import { forward } from '../forward/forward.ts';
import { tokensOfChars } from '../forward/usage.ts';
import { GivenUp, RequestLife } from '../forward/watch.ts';
import type { Gateway } from '../gateway.ts';
import type { Named } from '../models.ts';
import type { Answer, Conversation } from '../protocols/conversation.ts';
import { SURFACES } from '../protocols/index.ts';
import { uniform } from '../random.ts';
import { teamOf } from '../teams.ts';
import { judgeFor } from './judge.ts';
import { judgeRequest, RUBRIC_VERSION, readScore } from './rubric.ts';
import { rowId } from './verdict-row.ts';

type Drawn = Pick<DecisionRecord, 'auditProbability' | 'audited'>;
const NOT_AUDITED: Drawn = { auditProbability: null, audited: false };

/** Media in a request: what a judge that reads text cannot see. */
interface Seen {
  readonly images: number;
  readonly audio: number;
  readonly files?: number;
}

/**
 * Whether the answer to a routed request will be audited; asked before there is one. The probability is the share in
 * force, or null where it would be none: no judge, none that this client may use, today's budget spent.
 */
export function auditDraw(
  gateway: Gateway,
  caller: Caller,
  { images, audio, files = 0 }: Seen,
  random: () => number = uniform,
): Drawn {
  const { share, budgetUsdPerDay } = gateway.config.audit;
  // A team that keeps nothing of its prompts has them judged by nobody else either.
  if (teamOf(gateway, caller.tenant).privacy === 'facts') return NOT_AUDITED;
  if (share === 0 || gateway.isSandbox || images + audio + files > 0) return NOT_AUDITED;
  if (judgeFor(gateway.setup, caller) === null || gateway.spending.today('audit') >= budgetUsdPerDay)
    return NOT_AUDITED;
  return { auditProbability: share, audited: random() < share };
}

/**
 * Takes a request out of those that audits speak of where nobody answered or the judge itself did: for all of them, drawn
 * or not, so that among the others the probability stays what it was.
 */
export function leaveOutOwnAnswer(gateway: Gateway, record: DecisionRecord, caller: Caller): void {
  if (record.auditProbability == null) return;
  const { executedModel } = record;
  if (executedModel !== null && executedModel !== judgeFor(gateway.setup, caller)?.id) return;
  Object.assign(record, NOT_AUDITED);
}

/** Calls for one audit. */
const MOST_CALLS = 2;

export class Audits implements Afterwork {
  readonly name = 'audit';
  /** Since the start. `unclear`: the judge gave no number; `failed`: nobody answered for it. */
  readonly counts = { judged: 0, unclear: 0, failed: 0 };
  readonly #gateway: Gateway;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  wants({ audited }: DecisionRecord): boolean {
    return audited === true;
  }

  async run(finished: Finished, signal: AbortSignal): Promise<void> {
    const { record, caller, conversation, answer, log } = finished;
    const gateway = this.#gateway;
    if (record.audited !== true || conversation === null || answer === null) return;
    const judge = judgeFor(gateway.setup, caller);
    // The configuration has changed meanwhile.
    if (judge === null || judge.id === record.executedModel) return;
    let score: number | null;
    try {
      score = readScore(await this.#ask(judge, { ...finished, conversation, answer }, signal));
    } catch (error) {
      if (signal.aborted || !(error instanceof UpstreamFailure)) throw error;
      this.counts.failed++;
      log.warn({ judge: judge.id, code: codeOf(error) }, 'the judge did not answer');
      return;
    }
    if (score === null) {
      this.counts.unclear++;
      log.warn({ judge: judge.id }, 'the judge gave no score from 0 to 1');
      return;
    }
    this.counts.judged++;
    const { id: decisionId, tenant, key } = record;
    const { weight } = gateway.config.audit;
    gateway.store.record({
      feedback: {
        id: rowId(decisionId, 'judge'),
        decisionId,
        score,
        source: 'judge',
        createdAt: new Date(),
        kind: 'audit',
        weight,
        tenant,
        key,
        label: `rubric-${RUBRIC_VERSION}`,
      },
    });
  }

  /** @throws UpstreamFailure */
  async #ask(
    { id, candidate, targets }: Named,
    {
      record,
      caller,
      attempts,
      conversation,
      answer,
    }: Finished & { readonly conversation: Conversation; readonly answer: Answer },
    signal: AbortSignal,
  ): Promise<Answer> {
    const { config, setup, breaker } = this.#gateway;
    const json = judgeRequest({ conversation, answer }, id, candidate);
    const text = JSON.stringify(json);
    const surface = SURFACES.chat;
    const asked = {
      surface,
      text,
      json,
      stream: false,
      // As for a routed request, names of limits and the like are fitted to the host.
      routed: true,
      conversation: () => surface.readRequest(json),
      headers: {},
      head: { id: record.id, createdAt: new Date(), request: json },
      media: setup.media,
    };
    const life = new RequestLife(config.timeouts.totalMs);
    const stop = () => life.giveUp(new GivenUp('SHUTTING_DOWN', 'the gateway stops'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const call = await forward(
        targets,
        {
          decisionId: record.id,
          asked,
          inputTokens: tokensOfChars(text.length),
          life: life.signal,
          rules: caller.rules,
          purpose: 'audit',
          firstOrdinal: attempts,
        },
        // Nobody waits: a second runner would only cost.
        { ...config, maxAttempts: attempts + MOST_CALLS, retry: { ...config.retry, hedgeAfterMs: null } },
        (attempt) => this.#note(attempt),
        breaker,
      );
      if (call.answer.kind !== 'json') throw new Error('a stream where a whole answer is due');
      const { usage, outputChars, whole } = call.answer;
      this.#note(call.finish({ status: 'ok', usage, outputChars, httpStatus: 200 }));
      return whole;
    } finally {
      life.end();
      signal.removeEventListener('abort', stop);
    }
  }

  #note(attempt: AttemptRecord): void {
    const { store, spending, governance } = this.#gateway;
    store.record({ attempt });
    governance.telemetry.metrics.attempt(attempt);
    spending.add('audit', attempt.costUsd ?? 0);
  }
}
