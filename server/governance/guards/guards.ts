/** Guardrails: what of a prompt or an answer must not pass is masked, blocked or noticed. */
import { createHash } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import { RoutingError } from '../../../datasets/index.ts';
import type { Caller } from '../../callers.ts';
import type { GuardHit } from '../../db/records.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import { readAnswered, readComeBack, withoutTokens } from './answer-lines.ts';
import { BATCHED, type BatchCheck, type BatchTally, readRow, readUploaded } from './batch-lines.ts';
import { Breath } from './breath.ts';
import { readingEncoded } from './encoded-text.ts';
import { PatternThread } from './kinds/deny-patterns.ts';
import { guardOf } from './kinds/index.ts';
import { type Active, Hits, itemsIn, lookAll, noteUnread, refuseTokens, withItems } from './looking.ts';
import { answerNames, answerPlaces, answersOf, keptPlaces, PLACES, passedAnswerPlaces } from './places.ts';
import { type GuardedSurface, promptNames, promptPlaces } from './prompt-places.ts';
import { GuardRule } from './rule.ts';
import { GuardedStream } from './stream.ts';
import { UploadGuard } from './upload.ts';

type Json = Readonly<Record<string, unknown>> & { readonly model: string };

export interface GuardedRequest {
  readonly caller: Caller;
  readonly surface: GuardedSurface;
  readonly json: Json;
  /** The same as text, which is what a provider of the client's protocol gets. */
  readonly text: string;
  readonly log: FastifyBaseLogger;
}

export interface Passed {
  readonly json: Json;
  readonly text: string;
  readonly hits: readonly GuardHit[];
}

export interface GuardedAnswer {
  readonly caller: Caller;
  readonly surface: SurfaceName;
  /** What the client asked, for guards of the answer's form. */
  readonly request: Json;
  /** In the client's protocol. */
  readonly text: string;
  readonly log: FastifyBaseLogger;
}

/** Looks at a stream on its way to the client. What may be part of something longer is held back until it is known. */
export interface StreamGuard {
  /** False: it only watches, and what comes passes as it came. */
  readonly holds: boolean;
  /** @param events whole server-sent events in the client's protocol @returns what may go on now @throws GuardrailBlocked */
  see(events: string): Promise<string>;
  /** @returns what was held back, at the proper end. @throws GuardrailBlocked */
  end(): Promise<string>;
  /** It broke off: what is held back is never told. @param events that say so @returns them as they may be told @throws GuardrailBlocked */
  error(events: string): Promise<string>;
  /** Up to now. */
  readonly hits: readonly GuardHit[];
}

/** How the parts of one form are looked at. */
export interface UploadLook {
  /** False: it only watches, and what comes passes as it came. */
  readonly holds: boolean;
  /** Up to now. */
  readonly hits: readonly GuardHit[];
  /** For one part. @param isBatch it is one of requests; null: that is not known yet */
  guardOf(isBatch: boolean | null): UploadGuard;
  /** It was not looked at to its end. */
  brokeOff(): void;
}

/** How a file that comes back is looked at. */
export interface DownloadLook {
  /** False: it only watches, and what comes passes as it came. */
  readonly holds: boolean;
  /** Some rule may refuse it: then nothing of it may go on before all of it was seen. */
  readonly mayRefuse: boolean;
  /** Up to now. */
  readonly hits: readonly GuardHit[];
  readonly guard: UploadGuard;
}

/** What was found since the gateway began: one of these for each that differs but in `count`. */
export type GuardCount = Readonly<GuardHit>;

/** Names of rules change with the policy: more series than these are counted as one. */
const MOST_COUNTS = 1000;

export class Guards {
  readonly #ready = { prompt: new WeakMap<object, Active>(), answer: new WeakMap<object, Active>() } as const;
  readonly #counts = new Map<string, GuardHit>();
  readonly #thread = new PatternThread();
  readonly #mostHeldChars: () => number;

  /** @param mostHeldChars of an answer that is held back whole */
  constructor(mostHeldChars: () => number = () => 16 * 1024 * 1024) {
    this.#mostHeldChars = mostHeldChars;
  }

  /** For `/metrics`: labels are names of rules, what their kinds find, and what was done. */
  get counts(): readonly GuardCount[] {
    return [...this.#counts.values()];
  }

  /** Unchanged, it is the same text, byte for byte. @throws GuardrailBlocked */
  async before({ caller, surface, json, text }: GuardedRequest): Promise<Passed> {
    const active = this.#active(caller, 'prompt');
    if (active.length === 0) return { json, text, hits: [] };
    const hits = this.#hits('prompt');
    if (surface === 'embeddings') refuseTokens(active, json);
    const breath = new Breath();
    const items = await itemsIn(text, promptPlaces(surface, json), promptNames, breath);
    await lookAll(active, items, hits, () => [], breath);
    const passed = withItems(text, items);
    // Options of the gateway's own are in `json` alone.
    return { json: passed === text ? json : { ...json, ...JSON.parse(passed) }, text: passed, hits: hits.all };
  }

  /** A whole answer. @throws GuardrailBlocked */
  async after({
    caller,
    surface,
    text,
  }: GuardedAnswer): Promise<{ readonly text: string; readonly hits: readonly GuardHit[] }> {
    const active = surface === 'embeddings' ? [] : this.#active(caller, 'answer');
    if (active.length === 0) return { text, hits: [] };
    const hits = this.#hits('answer');
    const items = await itemsIn(text, answerPlaces(surface, JSON.parse(text)), answerNames);
    await lookAll(active, items, hits, () => answersOf(surface, JSON.parse(withItems(text, items))));
    const passed = withItems(text, items);
    return { text: passed === text ? text : withoutTokens(passed), hits: hits.all };
  }

  /**
   * A response that its provider keeps, or what went into it. One of which nothing was said yet is not judged as a whole.
   * @throws GuardrailBlocked
   */
  async afterKept({ caller, text }: Pick<GuardedAnswer, 'caller' | 'text'>): Promise<{
    readonly text: string;
    readonly hits: readonly GuardHit[];
  }> {
    const active = this.#active(caller, 'answer');
    if (active.length === 0) return { text, hits: [] };
    const hits = this.#hits('answer');
    const json = JSON.parse(text);
    const items = await itemsIn(text, keptPlaces(json), answerNames);
    const answers = () => answersOf('responses', JSON.parse(withItems(text, items)));
    const isAnswer =
      isOver(json.status) || (Array.isArray(json.output) && answersOf('responses', json).some((said) => said !== ''));
    await lookAll(isAnswer ? active : active.filter(({ guard }) => guard.judge === undefined), items, hits, answers);
    const passed = withItems(text, items);
    return { text: passed === text ? text : withoutTokens(passed), hits: hits.all };
  }

  /** What comes back of what was passed on: JSON, of which all strings are words, or text. @throws GuardrailBlocked */
  async afterPassed({ caller, text }: Pick<GuardedAnswer, 'caller' | 'text' | 'log'>): Promise<{
    readonly text: string;
    readonly hits: readonly GuardHit[];
  }> {
    const active = this.#active(caller, 'answer');
    const hits = this.#hits('answer');
    const json = parsed(text);
    const items =
      json === undefined
        ? [{ as: PLACES.assistant[0], start: 0, end: text.length, value: text, isChanged: false }]
        : await itemsIn(text, passedAnswerPlaces);
    await lookAll(active, items, hits, () => []);
    if (!items.some(({ isChanged }) => isChanged)) return { text, hits: hits.all };
    return { text: json === undefined ? items[0]!.value : withoutTokens(withItems(text, items)), hits: hits.all };
  }

  /** Null where nothing of the answer is looked at: then it passes as it comes. */
  stream({ caller, surface, request }: Omit<GuardedAnswer, 'text'>): StreamGuard | null {
    const active = surface === 'embeddings' ? [] : this.#active(caller, 'answer');
    if (active.length === 0) return null;
    const hits = this.#hits('answer');
    return new GuardedStream({ surface, request, active, hits, mostHeldChars: this.#mostHeldChars() });
  }

  /**
   * What will be answered is no text: pictures, sounds.
   *
   * @param what as it is said to the client
   * @param seen its words, and that the rest cannot be read, are found when it is there; only what refuses it need be known before
   * @throws GuardrailBlocked where a rule lets nothing pass that it cannot look into
   */
  unreadAnswer(caller: Caller, what: string, seen: boolean): readonly GuardHit[] {
    const hits = this.#hits('answer');
    for (const active of this.#active(caller, 'answer')) {
      if (!seen || active.unreadable === 'blocked') noteUnread(hits, active, 1, what);
    }
    return hits.all;
  }

  looksAtAnswers(caller: Caller): boolean {
    return this.#active(caller, 'answer').length > 0;
  }

  /** Answers of this caller's must not pass unseen. */
  holdsAnswers(caller: Caller): boolean {
    return this.#active(caller, 'answer').some(({ action }) => action !== 'noticed');
  }

  /**
   * What is sent as a form: files, and the fields beside them.
   *
   * @param callerFor  who asks, under the rules for a surface: `files`, or that of an endpoint which a batch may ask
   * @param mayAsk     looks at each request of a batch, too
   * @param tally      counts what the requests of a batch ask for
   * @returns null where nobody looks at any of it
   */
  upload(callerFor: (surface: string) => Caller, mayAsk?: BatchCheck, tally?: BatchTally): UploadLook | null {
    const known = new Map<string, Active[]>();
    const activeFor = (surface: string): Active[] => {
      let active = known.get(surface);
      if (active === undefined) {
        active = this.#active(callerFor(surface), 'prompt');
        known.set(surface, active);
      }
      return active;
    };
    const all = ['files', ...BATCHED].flatMap(activeFor);
    if (all.length === 0 && mayAsk === undefined && tally === undefined) return null;
    const hits = this.#hits('prompt');
    const mostBytes = this.#mostHeldChars();
    const reading = { read: readUploaded, readDocument: readRow, words: PLACES.user[0] };
    const options = { activeFor, hits, ...reading, mayAsk, tally, mostBytes };
    return {
      holds: all.some(({ action, unreadable }) => action !== 'noticed' || unreadable === 'blocked'),
      hits: hits.all,
      guardOf: (isBatch) => new UploadGuard(isBatch === false ? { ...options, tally: undefined } : options, isBatch),
      brokeOff: () => tally?.unread(),
    };
  }

  /**
   * A file that comes back: of a batch, each line's answer as if it had come by itself.
   *
   * @param callerFor who asks, under the rules for a surface: `files`, or that of an endpoint which a batch asked
   * @returns null where nobody looks at any of it
   */
  download(callerFor: (surface: string) => Caller): DownloadLook | null {
    const known = new Map<string, Active[]>();
    const activeFor = (surface: string): Active[] => {
      let active = known.get(surface);
      if (active === undefined) {
        active = surface === 'embeddings' ? [] : this.#active(callerFor(surface), 'answer');
        known.set(surface, active);
      }
      return active;
    };
    const all = ['files', ...BATCHED].flatMap(activeFor);
    if (all.length === 0) return null;
    const hits = this.#hits('answer');
    const reading = { read: readAnswered, readDocument: readComeBack, words: PLACES.assistant[0] };
    const mayRefuse = all.some(({ action, unreadable }) => action === 'blocked' || unreadable === 'blocked');
    return {
      holds: mayRefuse || all.some(({ action }) => action !== 'noticed'),
      mayRefuse,
      hits: hits.all,
      guard: new UploadGuard({ activeFor, hits, ...reading, mostBytes: this.#mostHeldChars() }, false),
    };
  }

  /**
   * A file that a provider has already.
   *
   * @param callers who asks, under the rules of each surface that it is used for
   * @param marks   of the rules that it was looked at under
   * @param file    its id, for the message
   * @throws GuardrailBlocked where a rule lets nothing pass that it has not seen
   */
  mustHaveSeen(callers: readonly Caller[], marks: ReadonlySet<string>, file: string): readonly GuardHit[] {
    const why = `${file}, which it has not seen; a file from before the rule was as it is can be uploaded again`;
    const hits = this.#hits('prompt');
    const rules = new Map(
      callers.flatMap((caller) => this.#active(caller, 'prompt').map((one) => [one.rule.name, one])),
    );
    for (const active of rules.values()) {
      if (!marks.has(active.mark)) noteUnread(hits, active, 1, why);
    }
    return hits.all;
  }

  /** Whether it matters which files this caller's rules have seen. */
  mindsUnseen(caller: Caller): boolean {
    return this.#active(caller, 'prompt').some(({ unreadable }) => unreadable !== null);
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#thread.close();
  }

  #active({ rules }: Caller, where: GuardHit['where']): Active[] {
    if (rules.guards.length === 0) return [];
    return rules.guards
      .map((rule) => this.#readied(rule as object, where))
      .filter(({ rule: { on } }) => on === 'both' || on === where);
  }

  /** A policy's rules are the same objects until another policy is in force. */
  #readied(rule: object, where: GuardHit['where']): Active {
    let active = this.#ready[where].get(rule);
    if (active === undefined) {
      const read = GuardRule.safeParse(rule);
      // Unread it would be a guardrail less.
      if (!read.success) throw new RoutingError('INTERNAL', 'a guardrail of the policy in force cannot be read');
      const { dryRun, action } = read.data;
      const onlyWatches = dryRun || action === 'notice';
      const done = onlyWatches ? 'noticed' : action === 'mask' ? 'masked' : 'blocked';
      const isMinded = 'unreadable' in read.data && read.data.unreadable === 'block';
      const unreadable = isMinded ? (onlyWatches ? 'noticed' : 'blocked') : null;
      const mark = createHash('sha256').update(JSON.stringify(read.data)).digest('hex').slice(0, 16);
      const plain = guardOf(read.data, this.#thread);
      // Answers come in pieces, in which none of it is whole.
      const guard = where === 'prompt' ? readingEncoded(plain) : plain;
      active = { rule: read.data, guard, action: done, unreadable, mark };
      this.#ready[where].set(rule, active);
    }
    return active;
  }

  #hits(where: GuardHit['where']): Hits {
    return new Hits(where, (hit) => this.#count(hit));
  }

  #count(hit: GuardHit): void {
    const key = `${hit.guard} ${hit.found} ${hit.where} ${hit.action}`;
    const known = this.#counts.get(key) ?? (this.#counts.size < MOST_COUNTS ? undefined : this.#other(hit));
    if (known === undefined) this.#counts.set(key, { ...hit });
    else known.count += hit.count;
  }

  #other({ where, action }: GuardHit): GuardHit {
    const key = `… ${where} ${action}`;
    let known = this.#counts.get(key);
    if (known === undefined) {
      known = { guard: 'other', found: 'other', where, action, count: 0 };
      this.#counts.set(key, known);
    }
    return known;
  }
}

/** What has ended as an answer. */
const isOver = (status: unknown): boolean => status === 'completed' || status === 'incomplete';

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
