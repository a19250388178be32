/** Guardrails: what of a prompt or an answer must not pass is masked, blocked or noticed. */
import type { FastifyBaseLogger } from 'fastify';
import { RoutingError } from '../../../datasets/index.ts';
import type { Caller } from '../../callers.ts';
import type { GuardHit } from '../../db/records.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import { Breath } from './breath.ts';
import { PatternThread } from './kinds/deny-patterns.ts';
import { guardOf } from './kinds/index.ts';
import { type Active, Hits, type Item, itemsIn, lookOver, withItems } from './looking.ts';
import { answerPlaces, answersOf } from './places.ts';
import { type GuardedSurface, promptNames, promptPlaces } from './prompt-places.ts';
import { GuardRule } from './rule.ts';
import { GuardedStream } from './stream.ts';

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
  /** Up to now. */
  readonly hits: readonly GuardHit[];
}

/** What was found since the gateway began: one of these for each that differs but in `count`. */
export type GuardCount = Readonly<GuardHit>;

/** Names of rules change with the policy: more series than these are counted as one. */
const MOST_COUNTS = 1000;

export class Guards {
  readonly #ready = new WeakMap<object, Active>();
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
    const items = itemsIn(text, promptPlaces(surface, json), promptNames);
    await lookAll(active, items, hits, () => []);
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
    const items = itemsIn(text, answerPlaces(surface, JSON.parse(text)));
    await lookAll(active, items, hits, () => answersOf(surface, JSON.parse(withItems(text, items))));
    const passed = withItems(text, items);
    return { text: passed === text ? text : withoutTokens(passed), hits: hits.all };
  }

  /** Null where nothing of the answer is looked at: then it passes as it comes. */
  stream({ caller, surface, request }: Omit<GuardedAnswer, 'text'>): StreamGuard | null {
    const active = surface === 'embeddings' ? [] : this.#active(caller, 'answer');
    if (active.length === 0) return null;
    const hits = this.#hits('answer');
    return new GuardedStream({ surface, request, active, hits, mostHeldChars: this.#mostHeldChars() });
  }

  /** Answers of this caller's must not pass unseen. */
  holdsAnswers(caller: Caller): boolean {
    return this.#active(caller, 'answer').some(({ action }) => action !== 'noticed');
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#thread.close();
  }

  #active({ rules }: Caller, where: GuardHit['where']): Active[] {
    if (rules.guards.length === 0) return [];
    return rules.guards
      .map((rule) => this.#readied(rule as object))
      .filter(({ rule: { on } }) => on === 'both' || on === where);
  }

  /** A policy's rules are the same objects until another policy is in force. */
  #readied(rule: object): Active {
    let active = this.#ready.get(rule);
    if (active === undefined) {
      const read = GuardRule.safeParse(rule);
      // Unread it would be a guardrail less.
      if (!read.success) throw new RoutingError('INTERNAL', 'a guardrail of the policy in force cannot be read');
      const { dryRun, action } = read.data;
      const done = dryRun || action === 'notice' ? 'noticed' : action === 'mask' ? 'masked' : 'blocked';
      active = { rule: read.data, guard: guardOf(read.data, this.#thread), action: done };
      this.#ready.set(rule, active);
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

async function lookAll(
  active: readonly Active[],
  items: readonly Item[],
  hits: Hits,
  answers: () => readonly string[],
): Promise<void> {
  const breath = new Breath();
  for (const one of active) {
    await lookOver(items, one, hits, breath);
    if (one.guard.judge === undefined) continue;
    const chars = items.reduce((sum, { value, as }) => sum + (as.isFixed ? 0 : value.length), 0);
    hits.note(one, await one.guard.judge({ chars, answers: one.rule.kind === 'schema' ? answers() : [] }));
  }
}

/** What is embedded may come as ids of tokens, which only its provider can read. @throws INVALID_REQUEST */
function refuseTokens(active: readonly Active[], { input }: Json): void {
  const acting = active.find(({ guard, action }) => guard.look !== undefined && action !== 'noticed');
  if (acting === undefined || !Array.isArray(input)) return;
  if (!input.flat(Number.POSITIVE_INFINITY).some((item) => typeof item === 'number')) return;
  throw new RoutingError(
    'INVALID_REQUEST',
    `input: the guardrail “${acting.rule.name}” reads texts and no ids of tokens; send the texts themselves`,
  );
}

/** The tokens of an answer spell out what was masked in it. */
function withoutTokens(text: string): string {
  if (!text.includes('"logprobs"')) return text;
  return JSON.stringify(JSON.parse(text), (name, value) =>
    name !== 'logprobs' || value === null ? value : Array.isArray(value) ? [] : null,
  );
}
