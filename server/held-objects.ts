/**
 * What providers keep for a tenant under ids of their own (files, batches, responses): who holds it, so that a later
 * request for it goes there with the same key, and nobody else's request does. Kept in the database, where every
 * replica finds it; what could not be written there yet is known here, and written later.
 */
import { findHeld, type HeldObject, heldAmong, hold, release } from './db/held-objects.ts';
import type { SqlStore } from './db/store.ts';
import type { Credential, Provider } from './providers/provider.ts';

export type { HeldObject } from './db/held-objects.ts';

/** All of it rejects with `DATABASE_UNAVAILABLE` while the database is away. */
export interface HeldStore {
  /** An id that the tenant has already moves. */
  hold(object: HeldObject): Promise<void>;
  /** Null for an id that is not this tenant's, whoever else's it may be. */
  find(tenant: string, id: string): Promise<HeldObject | null>;
  /** Which of these ids the tenant has. */
  among(tenant: string, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** False where there was none. */
  release(tenant: string, id: string): Promise<boolean>;
}

export const heldIn = ({ db }: SqlStore): HeldStore => ({
  hold: (object) => hold(db, object),
  find: (tenant, id) => findHeld(db, tenant, id),
  among: (tenant, ids) => heldAmong(db, tenant, ids),
  release: (tenant, id) => release(db, tenant, id),
});

/** Objects kept in memory. */
const MOST = 50_000;
/** What an answer waits for the database. */
const PATIENCE_MS = 1000;
const RETRY_MS = 5000;
/** No provider gives out longer ids, and an index would refuse them. */
const MAX_ID_CHARS = 500;

export class HeldObjects {
  /** Oldest first. */
  readonly #known = new Map<string, HeldObject>();
  /** Not in the database yet. */
  readonly #unsaved = new Map<string, HeldObject>();
  readonly #store: HeldStore | null;
  #retry: NodeJS.Timeout | undefined;

  /** @param store null: known to this process only, and forgotten with it */
  constructor(store: HeldStore | null) {
    this.#store = store;
  }

  /**
   * Known here at once; resolves when every replica can know. Never rejects and does not wait long: an answer is not
   * lost for a database that is away.
   */
  async hold(objects: readonly HeldObject[]): Promise<void> {
    const fresh = objects.filter((object) => object.id !== '' && object.id.length <= MAX_ID_CHARS);
    for (const object of fresh) {
      const key = keyOf(object.tenant, object.id);
      remember(this.#known, key, object);
      if (this.#store !== null) remember(this.#unsaved, key, object);
    }
    if (this.#store === null || fresh.length === 0) return;
    await Promise.race([this.#save(fresh), patience()]);
  }

  /** @throws `DATABASE_UNAVAILABLE` for an id not known here while the database is away */
  async find(tenant: string, id: string): Promise<HeldObject | null> {
    if (id === '' || id.length > MAX_ID_CHARS) return null;
    const known = this.#known.get(keyOf(tenant, id));
    if (known !== undefined || this.#store === null) return known ?? null;
    const found = await this.#store.find(tenant, id);
    if (found !== null) remember(this.#known, keyOf(tenant, id), found);
    return found;
  }

  /** @throws `DATABASE_UNAVAILABLE` */
  async among(tenant: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const here = ids.filter((id) => this.#known.has(keyOf(tenant, id)));
    if (this.#store === null || here.length === ids.length) return new Set(here);
    return new Set([...here, ...(await this.#store.among(tenant, ids))]);
  }

  /** Never rejects: an id that its provider has no more is a 404 there. */
  async release(tenant: string, id: string): Promise<void> {
    const key = keyOf(tenant, id);
    this.#known.delete(key);
    this.#unsaved.delete(key);
    await this.#store?.release(tenant, id).catch(() => undefined);
  }

  close(): void {
    clearTimeout(this.#retry);
  }

  async #save(objects: readonly HeldObject[]): Promise<void> {
    await Promise.all(
      objects.map(async (object) => {
        const key = keyOf(object.tenant, object.id);
        try {
          await this.#store?.hold(object);
          if (this.#unsaved.get(key) === object) this.#unsaved.delete(key);
        } catch {
          this.#again();
        }
      }),
    );
  }

  #again(): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.#save([...this.#unsaved.values()]);
    }, RETRY_MS);
    this.#retry.unref();
  }
}

/** What objects are held by: a provider and one of its keys. Any model there may go on with them. */
export const accountOf = (provider: Pick<Provider, 'name'>, { id }: Pick<Credential, 'id'>): string =>
  `${provider.name}${id === '' ? '' : `#${id}`}`;

/** No two pairs make one key, whatever they hold: ids come from requests. */
const keyOf = (tenant: string, id: string): string => JSON.stringify([tenant, id]);

function remember(map: Map<string, HeldObject>, key: string, object: HeldObject): void {
  map.delete(key);
  map.set(key, object);
  if (map.size > MOST) map.delete(map.keys().next().value!);
}

const patience = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, PATIENCE_MS).unref();
  });
