/** Where keys and teams are changed: the database, what the configuration says beside it, and whoever must hear of it. */
import { and, eq, isNull, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { RoutingError } from '../../../datasets/errors.ts';
import { ADMIN_KEY, type Caller } from '../../callers.ts';
import { askingOf } from '../../config/listen.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import { asked } from '../../db/connection.ts';
import { clientKeys, teams } from '../../db/schema.ts';
import type { SqlStore, Store } from '../../db/store.ts';
import type { Gateway } from '../../gateway.ts';
import type { Bindings } from './bindings.ts';
import { ACCESS_CHANNEL, type KeyRing } from './key-ring.ts';
import { KeyDigests } from './key-secret.ts';
import { type KeyRow, scopesOf, type TeamRow } from './records.ts';

export interface Access {
  readonly store: Pick<SqlStore, 'db' | 'alone'>;
  readonly digests: KeyDigests;
  /** As it is now. */
  readonly config: Pick<GatewayConfig, 'keys' | 'teams' | 'auth' | 'host' | 'allowPublic'>;
  /** `POINTSMAN_ADMIN_KEY` is set. */
  readonly hasAdminKey: boolean;
  /** Of a gateway in this process: it knows of a change before whoever asked for it hears that it is done. */
  readonly ring: KeyRing | null;
  /** What limits and rules hold for keys by their names; absent where nobody but the operator asks. */
  readonly bindings?: (() => Bindings) | undefined;
}

/** @throws `DATABASE_UNAVAILABLE` where the gateway has no database */
export function accessOf(gateway: Gateway): Access {
  const { config, governance, hasAdminKey } = gateway;
  const { digests, keys: ring, limits, policies } = governance;
  const bindings = (): Bindings => ({
    limits: limits.all,
    rules: policies.inForce.document?.rules ?? [],
    firstOf: (id) => ring.firstOf(id),
  });
  return { store: sqlStoreOf(gateway.store), digests, config, hasAdminKey, ring, bindings };
}

/** For the command line, on a database that is open in its process. @throws `INVALID_CONFIG` */
export function accessAt(
  store: SqlStore,
  config: Access['config'] & Pick<GatewayConfig, 'dataDir'>,
  { secret, adminKey }: { readonly secret?: string | undefined; readonly adminKey?: string | undefined },
): Access {
  const digests = new KeyDigests({ kind: store.kind, dataDir: config.dataDir, secret });
  return { store, digests, config, hasAdminKey: adminKey !== undefined, ring: null };
}

/** Any number that nothing else waits its turn by. */
const CHANGING = 730_211;

/**
 * One change at a time over all replicas; all hear of it, and this process first.
 * @throws `UNAUTHORIZED` for whoever was not asked for a key and is by now; `DATABASE_UNAVAILABLE`, and what `work` throws:
 *   then nothing was changed
 */
export async function changing<T>(
  access: Access,
  actor: Caller,
  work: (db: PgRemoteDatabase) => Promise<T>,
): Promise<T> {
  const { store, ring } = access;
  const result = await store.alone(CHANGING, async (db) => {
    await refuseLate(db, access, actor);
    const made = await work(db);
    await asked(db.execute(sql`select pg_notify(${ACCESS_CHANNEL}, '')`));
    return made;
  });
  await ring?.takeUp();
  return result;
}

/** Who is asked is known when a request begins; the first key may have been made before its body came, or on another replica. */
async function refuseLate(db: PgRemoteDatabase, { config, hasAdminKey }: Access, { kind }: Caller): Promise<void> {
  const asking = askingOf(config);
  if (kind !== 'anybody' || asking === 'never') return;
  if (asking === 'if-any' && !hasAdminKey && config.keys.length === 0) {
    const [any] = await asked(db.select({ id: clientKeys.id }).from(clientKeys).limit(1));
    if (any === undefined) return;
  }
  throw new RoutingError('UNAUTHORIZED', 'there is a key by now, so that one is asked for: send it');
}

/** The database's own clock, which dates changes for all replicas alike. */
export const changedNow = sql`clock_timestamp()`;

export async function keyRow(db: PgRemoteDatabase, id: string): Promise<KeyRow | null> {
  const [row] = await asked(db.select().from(clientKeys).where(eq(clientKeys.id, id)));
  return row ?? null;
}

export async function teamRow(db: PgRemoteDatabase, name: string): Promise<TeamRow | null> {
  const [row] = await asked(db.select().from(teams).where(eq(teams.name, name)));
  return row ?? null;
}

/** Teams that the configuration knows: named there, or of a key there; and the one that is always there. */
export function isConfigured({ config }: Pick<Access, 'config'>, team: string): boolean {
  return team === 'default' || Object.hasOwn(config.teams, team) || config.keys.some(({ tenant }) => tenant === team);
}

/** Teams and names of the keys that are not of the database: no other key may be taken for one of them. */
export function configuredNames({ config, hasAdminKey }: Pick<Access, 'config' | 'hasAdminKey'>) {
  const names = config.keys.map(({ tenant, name }) => ({ team: tenant, name }));
  return hasAdminKey ? [...names, { team: ADMIN_KEY.tenant, name: ADMIN_KEY.name }] : names;
}

export interface AdminKeysBut {
  /** Keys that are left out: about to lose what they may do. */
  readonly key?: string;
  readonly team?: string;
}

/** Whether somebody may still do everything. @param but what is about to end */
export async function hasAdmin(db: PgRemoteDatabase, access: Access, but: AdminKeysBut = {}): Promise<boolean> {
  if (access.hasAdminKey || access.config.keys.some(({ scopes }) => scopes.includes('admin'))) return true;
  const rows = await asked(
    db
      .select({ key: clientKeys, archivedAt: teams.archivedAt })
      .from(clientKeys)
      .leftJoin(teams, eq(teams.name, clientKeys.team))
      .where(and(isNull(clientKeys.revokedAt), isNull(clientKeys.replacedBy), isNull(teams.archivedAt))),
  );
  const now = new Date();
  return rows.some(
    ({ key }) =>
      key.id !== but.key &&
      key.team !== but.team &&
      (key.expiresAt === null || key.expiresAt > now) &&
      scopesOf(key).has('admin'),
  );
}

export const lastAdmin = (): RoutingError =>
  new RoutingError('CONFLICT', 'no admin’s key would be left; make another first, or say force');

function sqlStoreOf(store: Store): SqlStore {
  if ('db' in store) return store as SqlStore;
  throw new RoutingError('DATABASE_UNAVAILABLE', 'this gateway has no database for keys and teams');
}
