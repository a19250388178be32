/** Answers to the very same request of the same tenant, kept where a policy says so. */
import type { Incoming } from '../../api/exchange.ts';
import type { DecisionRecord } from '../../db/records.ts';
import type { SqlStore } from '../../db/store.ts';
import type { Gateway } from '../../gateway.ts';
import { isOnline, mayBeKept, wantedBy } from './eligible.ts';
import { keyOf, partsOf } from './key.ts';
import { AnswerMemory, type Entry } from './memory.ts';
import { SharedAnswers } from './shared-answers.ts';

/** An answer as it went to a client. */
export interface Kept {
  /** `provider/model`. */
  readonly model: string;
  readonly provider: string;
  readonly createdAt: Date;
  /** What it had cost, USD. */
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** A whole answer, or all frames of a stream; UTF-8. */
  readonly body: Buffer;
}

/** What came of looking for an answer. */
export interface Looked {
  /** Null: a provider has to be asked. */
  readonly kept: Kept | null;
  /** For the client: `x-pointsman-cache`, where its policy caches at all. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Takes an answer down while it goes out. */
export interface Keeping {
  /** A whole body, or the next frames. */
  add(text: string): void;
  /** The answer ended properly and may be kept. Without it nothing is. */
  done(facts: Omit<Kept, 'body' | 'createdAt'>): void;
}

export interface CacheState {
  readonly hits: number;
  readonly misses: number;
  /** The client or the request's kind did not want it. */
  readonly bypassed: number;
  /** What the answers that were given again had cost, USD. */
  readonly savedUsd: number;
  /** In memory. */
  readonly entries: number;
  readonly bytes: number;
  /** Of the database. */
  readonly failures: number;
  readonly dropped: number;
}

const OFF: Looked = { kept: null, headers: {} };
const told = (state: 'hit' | 'miss' | 'bypass', kept: Kept | null = null): Looked => ({
  kept,
  headers: { 'x-pointsman-cache': state },
});

/** Where replicas share a database, one may erase what another holds: it is asked again after so long, ms. */
const SURE_MS = 60_000;
const SWEEP_MS = 60_000;

interface Noted {
  readonly key: string;
  readonly ttlMs: number;
}

export class ResponseCache {
  readonly #gateway: Gateway;
  readonly #memory: AnswerMemory;
  /** Of requests under way whose answers are wanted. */
  readonly #noted = new WeakMap<Incoming, Noted>();
  readonly #now: () => number;
  #shared: SharedAnswers | null | undefined;
  #timer: NodeJS.Timeout | undefined;
  #counts = { hits: 0, misses: 0, bypassed: 0, savedUsd: 0 };

  /** @param now milliseconds since 1970 */
  constructor(gateway: Gateway, now: () => number = Date.now) {
    this.#gateway = gateway;
    this.#now = now;
    this.#memory = new AnswerMemory(() => gateway.config.cache.maxMb * 1e6);
  }

  get state(): CacheState {
    const { size: entries, bytes } = this.#memory;
    const { failures = 0, dropped = 0 } = this.#shared ?? {};
    return { ...this.#counts, entries, bytes, failures, dropped };
  }

  /** @param isAuto the router would choose the model. Never rejects. */
  async look(incoming: Incoming, isAuto: boolean): Promise<Looked> {
    const { enabled } = this.#gateway.config.cache;
    const { cache } = incoming.caller.rules;
    if (!enabled || cache === null) return OFF;
    const wanted = wantedBy(incoming.request.headers);
    const mayBe = incoming.heldBy === undefined && mayBeKept(incoming.surface, incoming.json);
    if (!mayBe || (!wanted.read && !wanted.write)) {
      this.#counts.bypassed++;
      return told('bypass');
    }
    const key = keyOf(partsOf(this.#gateway, incoming, isAuto));
    const ttlMs = cache.ttlSeconds * 1000;
    const entry = wanted.read ? await this.#find(key, incoming.caller.tenant) : null;
    const ageMs = entry === null ? 0 : this.#now() - entry.createdAt.getTime();
    const isFresh = ageMs < ttlMs && (wanted.maxAgeS === null || ageMs <= wanted.maxAgeS * 1000);
    if (entry !== null && isFresh) {
      this.#counts.hits++;
      this.#counts.savedUsd += entry.costUsd;
      return told('hit', entry);
    }
    if (wanted.write) this.#noted.set(incoming, { key, ttlMs });
    if (wanted.read) this.#counts.misses++;
    else this.#counts.bypassed++;
    return told(wanted.read ? 'miss' : 'bypass');
  }

  /** Null where nothing is to be kept. */
  keeping(incoming: Incoming, record: DecisionRecord): Keeping | null {
    const noted = this.#noted.get(incoming);
    // What was drawn by chance, or by a router on trial, is not what everybody is to get from now on.
    if (noted === undefined || record.explored || record.arm === 'candidate') return null;
    const most = this.#gateway.config.cache.maxAnswerKb * 1000;
    const pieces: string[] = [];
    let chars = 0;
    return {
      add(text) {
        chars += text.length;
        if (chars <= most) pieces.push(text);
        else pieces.length = 0;
      },
      done: (facts) => {
        // What the sandbox made up costs nothing, and a second time it would not be marked as such.
        if (chars === 0 || chars > most || facts.provider === 'sandbox') return;
        // Whatever the client called it.
        const deployments = this.#gateway.config.models[facts.model] ?? [];
        if (isOnline(facts.model) || deployments.some(({ model }) => isOnline(model))) return;
        const body = Buffer.from(pieces.join(''));
        if (body.byteLength <= most)
          this.#keep(noted, incoming.caller.tenant, record.endUser ?? null, { ...facts, body });
      },
    };
  }

  #keep(
    { key, ttlMs }: Noted,
    tenant: string,
    endUser: string | null,
    { model, provider, costUsd, inputTokens, outputTokens, body }: Omit<Kept, 'createdAt'>,
  ): void {
    const now = this.#now();
    const entry: Entry = {
      ...{ model, provider, costUsd, inputTokens, outputTokens, body, tenant, endUser },
      createdAt: new Date(now),
      expiresAt: new Date(now + ttlMs),
    };
    this.#memory.set(key, entry, now + SURE_MS);
    this.#database()?.write(key, entry);
  }

  async #find(key: string, tenant: string): Promise<Entry | null> {
    const now = this.#now();
    const held = this.#memory.get(key, now);
    const shared = this.#database();
    if (held !== null && held.entry.tenant === tenant && (shared === null || held.sureUntil > now)) return held.entry;
    const found = await shared?.find(key, tenant);
    // Nobody can say: what is in memory is still the answer to this request.
    if (found === undefined) return held?.entry ?? null;
    if (found === null) this.#memory.delete(key);
    else this.#memory.set(key, found, now + SURE_MS);
    return found;
  }

  /** Null: answers are in memory alone. */
  #database(): SharedAnswers | null {
    if (!this.#gateway.config.cache.shared) return null;
    if (this.#shared === undefined) {
      const { store } = this.#gateway;
      const readMs = () => this.#gateway.config.cache.readMs;
      this.#shared = 'db' in store ? new SharedAnswers(store as SqlStore, readMs, this.#now) : null;
    }
    return this.#shared;
  }

  /**
   * Forgets answers that a person's requests got, by all hashes that it may go by; those of the database are
   * `deleteAnswersOf`'s, to be called after this. Another replica, which asks the database again, forgets within a minute.
   */
  async forget(tenant: string, endUsers: readonly string[]): Promise<void> {
    this.#memory.sweep(this.#now(), (entry) => entry.tenant === tenant && endUsers.includes(entry.endUser ?? ''));
    // One that is on its way there would come after.
    await this.#shared?.written();
  }

  /** Deletes what is over its time. Never rejects. */
  async sweep(): Promise<void> {
    const { enabled } = this.#gateway.config.cache;
    this.#memory.sweep(this.#now(), () => !enabled);
    await this.#database()?.deleteExpired();
  }

  /** Resolves when what was kept so far is in the database, or was dropped. */
  async written(): Promise<void> {
    await this.#shared?.written();
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#shared?.stop();
  }
}
