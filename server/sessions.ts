/**
 * Which model a conversation is on: so that switching is weighed against what its prompt cache is worth, and a tool
 * loop stays with the model that began it. Kept in the database, where every replica finds it; what cannot be read
 * there in time is taken from memory, and a request never waits for long.
 */
export interface Pin {
  readonly model: string;
  readonly deployment: string | null;
  /** Tokens of the conversation that this model's provider has seen: what its prompt cache may hold. */
  readonly prefixTokens: number;
  readonly updatedAt: Date;
}

export interface PinStore {
  /** Several processes write it: what is in memory here may be old. */
  readonly shared: boolean;
  read(tenant: string, session: string, ttlMs: number): Promise<Pin | null>;
  /** Takes the conversation for a model, unless somebody was first. @returns what is in force */
  claim(tenant: string, session: string, pin: Pin, ttlMs: number): Promise<Pin>;
  move(tenant: string, session: string, pin: Pin): Promise<void>;
}

/** Conversations kept in memory. */
const MOST = 10_000;
/** What a request waits for the database, and for how long it is not waited for once it was slow. */
const PATIENCE_MS = 250;
const SLOW_MS = 2000;
/** Providers keep an unused prefix for some five minutes. */
const CACHE_MS = 5 * 60_000;

export class Sessions {
  /** Oldest first. */
  readonly #known = new Map<string, Pin>();
  readonly #store: PinStore | null;
  /** The database was slow: nobody waits for it until then. */
  #slowUntil = 0;

  constructor(store: PinStore | null) {
    this.#store = store;
  }

  /** @param ttlMs a pin unused for so long is forgotten */
  async find(tenant: string, session: string, ttlMs: number): Promise<Pin | null> {
    const key = keyOf(tenant, session);
    const known = this.#known.get(key) ?? null;
    const found =
      this.#store === null || (known !== null && !this.#store.shared)
        ? known
        : await this.#inTime(this.#store.read(tenant, session, ttlMs), known);
    return found === null || Date.now() - found.updatedAt.getTime() > ttlMs ? null : found;
  }

  /** For a conversation without a pin: the first of two replicas wins, and both hear who did. */
  async claim(tenant: string, session: string, pin: Pin, ttlMs: number): Promise<Pin> {
    const store = this.#store;
    const key = keyOf(tenant, session);
    const known = this.#known.get(key);
    // Another request of this process was first, while this one was decided.
    const first = known !== undefined && Date.now() - known.updatedAt.getTime() <= ttlMs ? known : pin;
    const inForce =
      store === null || !store.shared ? first : await this.#inTime(store.claim(tenant, session, pin, ttlMs), first);
    this.#remember(key, inForce);
    if (store !== null && !store.shared) void store.move(tenant, session, inForce).catch(() => undefined);
    return inForce;
  }

  /** After an answer: who gave it, and what its cache may hold now. */
  note(tenant: string, session: string, pin: Pin): void {
    this.#remember(keyOf(tenant, session), pin);
    // A pin that could not be written costs a preference, not an answer.
    void this.#store?.move(tenant, session, pin).catch(() => undefined);
  }

  async #inTime<T>(asked: Promise<T>, otherwise: T): Promise<T> {
    const answer = asked.catch(() => otherwise);
    if (performance.now() < this.#slowUntil) return otherwise;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<T>((resolve) => {
      timer = setTimeout(() => {
        this.#slowUntil = performance.now() + SLOW_MS;
        resolve(otherwise);
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #remember(key: string, pin: Pin): void {
    this.#known.delete(key);
    this.#known.set(key, pin);
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value!);
  }
}

/** Tokens of this request that the pinned model has cached: none where the history was rewritten, or long ago. */
export function cachedPrefix(pin: Pin, inputTokens: number, now = Date.now()): number {
  if (now - pin.updatedAt.getTime() > CACHE_MS || inputTokens < pin.prefixTokens) return 0;
  return pin.prefixTokens;
}

const keyOf = (tenant: string, session: string): string => `${tenant}\n${session}`;
