/**
 * Hints: what a client's next request tells of the answer before it. They are weak labels of their own kind, on the
 * decision before, and count only where nobody gives a verdict (outcomes.ts).
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import type { DecisionRecord, Store } from '../db/store.ts';
import { type Asked, askedIn, cosine } from './asked.ts';

/**
 * - `asked_again`: the next turn of a conversation says nearly what the last one said, or another request of the same
 *   session (or user) asks the very same
 * - `regenerated`: the same caller sends the same bytes again
 * - `switched_model`: the conversation goes on with a model that was named by hand
 * - `tool_call_failed`: the call that the answer made comes back with an error
 */
export const HINTS = ['asked_again', 'regenerated', 'switched_model', 'tool_call_failed'] as const;
export type Hint = (typeof HINTS)[number];

/** None is praise. */
export const HINT_SCORE = 0;
/** Against 1 of a person: each has an innocent explanation. */
export const HINT_WEIGHT = 0.2;
/** What comes later has other reasons. */
export const WINDOW_MS = 10 * 60_000;
/**
 * Cosine from which two texts ask nearly the same, by their trigrams. Embeddings do not serve: in a conversation they
 * are of earlier turns, too (with the shipped encoder .83 to .98 for a question asked again), and by themselves too
 * kind (.98 for “Translate "good morning" …” and “… "good night" …”, whose trigrams have .77).
 */
const NEARLY_SAME = 0.85;
/** The same bytes more often than that are a program's doing: a health check, a load test. */
const MOST_REPEATS = 2;
/** Conversations, sessions and bodies remembered, each. */
const MOST = 5000;
/** Decisions looked up at once; a hint is not worth a queue. */
const MOST_LOOKUPS = 20;

/** What is remembered of a request, in this process alone. */
interface Seen {
  readonly id: string;
  readonly at: number;
  readonly routed: boolean;
  readonly asked: Asked;
  /** Failures among the results of tools. */
  readonly errors: number;
  /** Times that the same bytes had been sent before it, in a row. */
  readonly repeats: number;
}

export interface SeenRequest {
  readonly json: Readonly<Record<string, unknown>>;
  /** The body without what is the gateway's own. */
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  /** What verdicts of the caller's key weigh, in [0, 1]: its hints are no stronger. Default 1. */
  readonly weight?: number;
}

export class Hints {
  readonly #store: Pick<Store, 'getDecision' | 'record'>;
  readonly #isOn: () => boolean;
  readonly #threads = new Recent<Seen>();
  readonly #sessions = new Recent<Seen>();
  readonly #bodies = new Recent<Seen>();
  readonly #underWay = new Set<Promise<void>>();
  #lookups = 0;

  constructor(store: Pick<Store, 'getDecision' | 'record'>, isOn: () => boolean) {
    this.#store = store;
    this.#isOn = isOn;
  }

  /** Looks at a request when its own call is on its way; never throws, and nobody waits for it. */
  see(record: DecisionRecord, request: SeenRequest): void {
    if (!this.#isOn() || record.surface === 'embeddings' || request.weight === 0) return;
    const work = setImmediate()
      .then(() => this.#look(record, request))
      // A hint that is lost costs nothing, least of all an answer.
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** When all that was seen so far has been looked at. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #look(record: DecisionRecord, { json, text, headers, weight = 1 }: SeenRequest): Promise<void> {
    const { tenant, key } = record;
    const session = record.session ?? record.endUser ?? null;
    const asked = askedIn(json, text, session);
    // Of one caller, and of one of its users, if it tells them apart.
    const named = (...what: readonly (string | null)[]) => JSON.stringify([tenant, key, ...what]);
    const body = named(session, asked.bodyHash);
    const thread = asked.thread && named(asked.thread);
    const now = record.createdAt.getTime();
    const twin = this.#bodies.get(body, now);
    const before = thread === null ? undefined : this.#threads.get(thread, now);
    const beside = session === null ? undefined : this.#sessions.get(named(session), now);
    const seen: Seen = {
      id: record.id,
      at: now,
      routed: record.routed,
      asked,
      errors: errorsIn(record),
      repeats: twin === undefined ? 0 : twin.repeats + 1,
    };
    this.#bodies.set(body, seen);
    if (thread !== null) this.#threads.set(thread, seen);
    if (session !== null) this.#sessions.set(named(session), seen);

    const hints: [Hint, Seen][] = [];
    if (twin !== undefined) {
      const isRetry = Number(headers['x-stainless-retry-count'] ?? 0) > 0;
      if (!isRetry && seen.repeats <= MOST_REPEATS) hints.push(['regenerated', twin]);
    } else {
      if (before !== undefined && follows(seen, before) && asksNearlyTheSame(seen, before))
        hints.push(['asked_again', before]);
      else if (beside !== undefined && asksTheSameAnew(seen, beside)) hints.push(['asked_again', beside]);
      if (before !== undefined && !record.routed && goesOn(seen, before)) hints.push(['switched_model', before]);
      if (before !== undefined && follows(seen, before) && !asked.isPersons && seen.errors > before.errors)
        hints.push(['tool_call_failed', before]);
    }
    for (const [hint, { id, routed }] of hints) if (routed) await this.#note(hint, id, record, weight);
  }

  /** On a decision of the same caller that was answered, whole: what a client's SDK sends again after an error is no hint. */
  async #note(
    hint: Hint,
    id: string,
    { tenant, key, model, createdAt }: DecisionRecord,
    weight: number,
  ): Promise<void> {
    if (this.#lookups >= MOST_LOOKUPS) return;
    this.#lookups++;
    const found = await this.#store.getDecision(id).finally(() => this.#lookups--);
    const decision = found?.decision;
    if (decision == null || decision.executedModel === null || decision.tenant !== tenant) return;
    const call = found!.attempts.findLast(
      ({ model, purpose }) => model === decision.executedModel && isAnswer(purpose),
    );
    if (call?.status !== 'ok') return;
    // Named by hand, but the same: that is praise rather.
    if (hint === 'switched_model' && model === decision.executedModel) return;
    this.#store.record({
      feedback: {
        id: createHash('sha256').update(`${id}\nhint:${hint}`).digest('hex').slice(0, 32),
        decisionId: id,
        score: HINT_SCORE,
        source: `hint:${hint}`,
        createdAt,
        kind: 'hint',
        weight: HINT_WEIGHT * weight,
        tenant,
        key,
      },
    });
  }
}

/** The one before was answered, and this is what came next: no turn in between was another replica's. */
const follows = (now: Seen, before: Seen): boolean => now.asked.answers === before.asked.answers + 1;

/** The next turn, or the same one once more. */
const goesOn = (now: Seen, before: Seen): boolean =>
  now.asked.isPersons && (follows(now, before) || now.asked.answers === before.asked.answers);

const asksNearlyTheSame = ({ asked }: Seen, before: Seen): boolean =>
  asked.isPersons &&
  asked.sketch !== null &&
  before.asked.sketch !== null &&
  cosine(asked.sketch, before.asked.sketch) >= NEARLY_SAME;

/** A conversation that begins with the very question that another one of the session asked last. */
const asksTheSameAnew = ({ asked }: Seen, beside: Seen): boolean =>
  asked.answers === 0 && asked.questionHash !== null && asked.questionHash === beside.asked.questionHash;

const isAnswer = (purpose: string): boolean => purpose !== 'check' && purpose !== 'audit';

function errorsIn({ facts }: DecisionRecord): number {
  const errors = (facts as { toolResults?: { errors?: unknown } }).toolResults?.errors;
  return typeof errors === 'number' ? errors : 0;
}

/** The last of each name, of the last ten minutes; the longest unseen go first. */
class Recent<T extends { readonly at: number }> {
  readonly #last = new Map<string, T>();

  get(name: string, now: number): T | undefined {
    const found = this.#last.get(name);
    return found !== undefined && now - found.at <= WINDOW_MS ? found : undefined;
  }

  set(name: string, value: T): void {
    this.#last.delete(name);
    this.#last.set(name, value);
    if (this.#last.size > MOST) this.#last.delete(this.#last.keys().next().value!);
  }
}
