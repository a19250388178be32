/** The client keys of the database, all in memory: whoever asks is looked up without a wait, and without a database that is away. */
import { timingSafeEqual } from 'node:crypto';
import { gt, inArray, type SQL, sql } from 'drizzle-orm';
import { RoutingError } from '../../../datasets/errors.ts';
import type { Caller, MoreKeys } from '../../callers.ts';
import { asked } from '../../db/connection.ts';
import { listen } from '../../db/listen.ts';
import { clientKeys, teams } from '../../db/schema.ts';
import type { SqlStore, Store } from '../../db/store.ts';
import type { KeyChains } from '../limits/carry-over.ts';
import { NO_RULES } from '../policies/rules.ts';
import type { KeyDigests } from './key-secret.ts';
import { type KeyRow, scopesOf, settingsOf, type TeamRow, type TeamSettings, teamSettingsOf } from './records.ts';

/** Told by whoever changes a key or a team. */
export const ACCESS_CHANNEL = 'pointsman_access';

/** Asked so often, whether or not the database tells of changes. */
const POLL_MS = 1000;
/** Looked at again: a change that was dated before it could be seen must not be missed. Longer than any statement takes. */
const OVERLAP_S = 60;
/** How often it is written when keys were used last. */
const USED_MS = 60_000;

export interface RingPlace {
  /** One without SQL has no keys. */
  readonly store: Store;
  readonly databaseUrl?: string | undefined;
  readonly digests: KeyDigests;
}

/** The transaction that wrote the row: another one, whatever it wrote and however soon. */
const VERSION = sql<string>`${clientKeys}.xmin::text`;
/** Ids of one statement. */
const BATCH = 1000;

interface Versioned {
  readonly row: KeyRow;
  readonly version: string;
}

interface Entry extends Versioned {
  readonly digest: Buffer;
  readonly caller: Caller;
}

interface Used {
  /** ms since 1970. */
  at: number;
  written: number;
}

export class KeyRing implements MoreKeys, KeyChains {
  /** Told when the database cannot be asked, once until another reason. */
  onProblem: (problem: { readonly code?: string | undefined; readonly message: string }) => void = () => {};
  readonly #db: SqlStore['db'] | null;
  readonly #isShared: boolean;
  readonly #databaseUrl: string | undefined;
  readonly #digests: KeyDigests;
  readonly #byId = new Map<string, Entry>();
  /** Scheme → digest in hex → key. */
  readonly #byDigest = new Map<string, Map<string, Entry>>();
  /** Id of a key that took another's place → id of that one. */
  readonly #before = new Map<string, string>();
  readonly #teams = new Map<string, TeamRow>();
  #settings: ReadonlyMap<string, TeamSettings> = new Map();
  #tenants: ReadonlySet<string> = new Set();
  readonly #used = new Map<string, Used>();
  #askedAt: number | null = null;
  #looking: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  #timers: NodeJS.Timeout[] = [];
  #hearing: { stop(): void } | undefined;
  #told: string | undefined;
  #isStopped = false;

  constructor({ store, databaseUrl, digests }: RingPlace) {
    const sqlStore = 'db' in store ? (store as SqlStore) : null;
    this.#db = sqlStore?.db ?? null;
    this.#isShared = sqlStore?.kind === 'postgres';
    this.#databaseUrl = databaseUrl;
    this.#digests = digests;
  }

  /** No key was ever made. */
  get isEmpty(): boolean {
    return this.#byId.size === 0;
  }

  get tenants(): ReadonlySet<string> {
    return this.#tenants;
  }

  /** Teams of the database that are not archived, by name. */
  get teams(): ReadonlyMap<string, TeamSettings> {
    return this.#settings;
  }

  isArchived(team: string): boolean {
    return (this.#teams.get(team)?.archivedAt ?? null) !== null;
  }

  /** Keys whose digest was made with a secret that is not here: nobody can come in with them. */
  get unreadable(): number {
    const known = new Set(this.#digests.schemes.map(({ name }) => name));
    let count = 0;
    for (const [scheme, entries] of this.#byDigest) if (!known.has(scheme)) count += entries.size;
    return count;
  }

  /** Whose key it is; null: nobody's. @throws `UNAUTHORIZED` for one that has expired or was revoked */
  find(key: string): Caller | null {
    for (const scheme of this.#digests.schemes) {
      const entries = this.#byDigest.get(scheme.name);
      if (entries === undefined || entries.size === 0) continue;
      const digest = scheme.digest(key);
      const entry = entries.get(digest.toString('hex'));
      if (entry === undefined || !timingSafeEqual(entry.digest, digest)) continue;
      const now = Date.now();
      const past = this.#pastOf(entry, now);
      // Whoever has the whole key may know what became of it.
      if (past !== null) throw new RoutingError('UNAUTHORIZED', past);
      this.#use(entry.row.id, now);
      return entry.caller;
    }
    return null;
  }

  /** The caller of a key by its id, while it works; what a session that was opened with it goes by. */
  callerOf(id: string): Caller | null {
    const entry = this.#byId.get(id);
    return entry === undefined || this.#pastOf(entry, Date.now()) !== null ? null : entry.caller;
  }

  /**
   * Where its rotation chain begins: the id of the key that was replaced by the one that was replaced … by this one. Its
   * own where it replaced none, or nothing is known of it.
   */
  firstOf(id: string): string {
    const seen = new Set([id]);
    let first = id;
    for (let before = this.#before.get(first); before !== undefined; before = this.#before.get(first)) {
      // A circle can only be made by hand; it must not hang whoever reads it.
      if (seen.has(before)) return [...seen].sort()[0]!;
      seen.add(before);
      first = before;
    }
    return first;
  }

  /** What the newest key of a chain is called now, and whose it is; null: nothing is known of it. */
  nameOf(id: string): { readonly team: string; readonly name: string } | null {
    const seen = new Set<string>();
    let found: KeyRow | null = null;
    for (let next: string | null = id; next !== null && !seen.has(next); next = found?.replacedBy ?? null) {
      seen.add(next);
      const entry = this.#byId.get(next);
      if (entry === undefined) break;
      found = entry.row;
    }
    return found && { team: found.team, name: found.name };
  }

  /** All keys that were ever made, and where the chain of each begins. */
  get chains(): KeyChains['chains'] {
    const now = Date.now();
    return [...this.#byId.values()].map((entry) => {
      const { id, team, name, project } = entry.row;
      const first = entry.caller.firstKeyId ?? id;
      return { id, team, name, project, first, isOver: this.#pastOf(entry, now) !== null };
    });
  }

  /** Teams that were made, archived ones too. */
  get places(): KeyChains['places'] {
    return [...this.#teams.values()].map(({ name, projects }) => ({ team: name, projects }));
  }

  /** When it was last used here, ms since 1970. */
  lastUsed(id: string): number | undefined {
    return this.#used.get(id)?.at;
  }

  /** Follows the database from now on. @throws `DATABASE_UNAVAILABLE`: without its keys nobody could be told from a stranger */
  async start(): Promise<void> {
    if (this.#db === null) return;
    await this.look();
    if (this.#isShared) {
      const poll = () => {
        void this.look()
          .catch(this.#tell)
          .finally(() => {
            if (!this.#isStopped) this.#timers[0] = setTimeout(poll, POLL_MS).unref();
          });
      };
      this.#timers[0] = setTimeout(poll, POLL_MS).unref();
      if (this.#databaseUrl !== undefined) {
        this.#hearing = listen(this.#databaseUrl, ACCESS_CHANNEL, () => void this.look().catch(this.#tell), {
          onProblem: this.#tell,
        });
      }
    }
    this.#timers[1] = setInterval(() => void this.#writeUsed().catch(() => undefined), USED_MS).unref();
  }

  /** Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#hearing?.stop();
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#looking.catch(() => undefined);
    await this.#writeUsed().catch(() => undefined);
  }

  /** Takes up all that was written before it was called. @throws `DATABASE_UNAVAILABLE`; what was known stays */
  look(): Promise<void> {
    // One that is under way may have asked too early; one that waits its turn will not have.
    this.#next ??= this.#looking
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        this.#looking = this.#read();
        return this.#looking;
      });
    return this.#next;
  }

  async #read(): Promise<void> {
    const db = this.#db;
    if (db === null) return;
    const began = Date.now();
    // By the database's clock, which dated the changes; here only how long ago was asked is measured.
    const since = this.#askedAt === null ? undefined : OVERLAP_S + Math.max(0, began - this.#askedAt) / 1000;
    const within = (column: typeof clientKeys.changedAt | typeof teams.changedAt): SQL | undefined =>
      since === undefined ? undefined : gt(column, sql`now() - make_interval(secs => ${since})`);
    const changedTeams = await asked(db.select().from(teams).where(within(teams.changedAt)));
    const changedKeys = await this.#changedKeys(db, within(clientKeys.changedAt));
    this.#askedAt = began;
    this.#told = undefined;
    for (const row of changedTeams) this.#teams.set(row.name, row);
    for (const { row } of changedKeys) if (row.replacedBy !== null) this.#before.set(row.replacedBy, row.id);
    for (const one of changedKeys) this.#take(one);
    for (const { row } of changedKeys) if (row.replacedBy !== null) this.#bindChain(row.replacedBy);
    if (changedTeams.length > 0) {
      const active = [...this.#teams.values()].filter(({ archivedAt }) => archivedAt === null);
      this.#settings = new Map(active.map((row) => [row.name, teamSettingsOf(row)]));
    }
    if (changedKeys.length > 0) this.#tenants = new Set([...this.#byId.values()].map(({ row }) => row.team));
  }

  /** {@link look}, and again until it works. Never rejects: what was changed is changed, whether or not it can be read back now. */
  async takeUp(): Promise<void> {
    await this.look().catch((error) => {
      this.#tell(error);
      // Replicas ask every second anyway.
      if (!this.#isShared && !this.#isStopped) setTimeout(() => void this.takeUp(), POLL_MS).unref();
    });
  }

  /** @param within undefined: all there are */
  async #changedKeys(db: SqlStore['db'], within: SQL | undefined): Promise<Versioned[]> {
    const versioned = { row: clientKeys, version: VERSION };
    if (within === undefined) return asked(db.select(versioned).from(clientKeys));
    // Most of what is looked at again is known: only what was written since is fetched.
    const seen = await asked(db.select({ id: clientKeys.id, version: VERSION }).from(clientKeys).where(within));
    const fresh = seen.filter(({ id, version }) => this.#byId.get(id)?.version !== version).map(({ id }) => id);
    const changed: Versioned[] = [];
    for (let i = 0; i < fresh.length; i += BATCH) {
      const some = inArray(clientKeys.id, fresh.slice(i, i + BATCH));
      changed.push(...(await asked(db.select(versioned).from(clientKeys).where(some))));
    }
    return changed;
  }

  #take({ row, version }: Versioned): void {
    const entry = { ...this.#entryOf(row), version };
    this.#byId.set(row.id, entry);
    const entries = this.#byDigest.get(row.scheme) ?? new Map<string, Entry>();
    this.#byDigest.set(row.scheme, entries.set(row.digest, entry));
  }

  /** Keys that were here before it was known whose place they took. */
  #bindChain(from: string): void {
    const seen = new Set<string>();
    for (let id: string | null = from; id !== null && !seen.has(id); id = this.#byId.get(id)?.row.replacedBy ?? null) {
      seen.add(id);
      const entry = this.#byId.get(id);
      if (entry === undefined || entry.caller.firstKeyId === this.firstOf(id)) continue;
      this.#take({ row: entry.row, version: entry.version });
    }
  }

  #entryOf(row: KeyRow): Omit<Entry, 'version'> {
    const { id, name, team, project, role } = row;
    const scopes = scopesOf(row);
    const caller: Caller = {
      ...{ kind: 'key', name, tenant: team, keyId: id, firstKeyId: this.firstOf(id), project, role, scopes },
      rules: NO_RULES,
      ...settingsFor(row),
    };
    return { row, digest: Buffer.from(row.digest, 'hex'), caller };
  }

  #pastOf({ row }: Entry, now: number): string | null {
    if (row.revokedAt !== null) return 'this API key was revoked';
    if (row.expiresAt !== null && row.expiresAt.getTime() <= now) {
      return row.replacedBy === null ? 'this API key has expired' : 'this API key was replaced by another';
    }
    return this.isArchived(row.team) ? 'the team of this API key is archived' : null;
  }

  #use(id: string, now: number): void {
    const used = this.#used.get(id);
    if (used === undefined) this.#used.set(id, { at: now, written: 0 });
    else used.at = now;
  }

  async #writeUsed(): Promise<void> {
    const fresh = [...this.#used].filter(([, { at, written }]) => at > written);
    if (this.#db === null || fresh.length === 0) return;
    const rows = fresh.map(([id, { at }]) => ({ id, at: new Date(at).toISOString() }));
    await asked(
      this.#db.execute(
        sql`update client_keys k set last_used_at = u.at
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as u(id text, at timestamptz)
            where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at)`,
      ),
    );
    const at = new Map(rows.map((row) => [row.id, Date.parse(row.at)]));
    for (const [id, used] of fresh) used.written = at.get(id)!;
  }

  readonly #tell = (error: unknown): void => {
    const { code, message } = error as { code?: string; message: string };
    if (message !== this.#told) this.onProblem({ code, message });
    this.#told = message;
  };
}

/** A row that somebody broke by hand has no key that may do anything, rather than one without bounds. */
function settingsFor(row: KeyRow): Pick<Caller, 'models' | 'routing' | 'tags' | 'feedbackWeight'> {
  try {
    const { models, routing, tags = [], feedbackWeight = 1 } = settingsOf(row);
    return { models, routing, tags, feedbackWeight };
  } catch {
    return { models: [], routing: undefined, tags: [], feedbackWeight: 0 };
  }
}
