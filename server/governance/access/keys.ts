/** Virtual keys are made, shown once, changed, rotated and revoked; each change is in the audit log. */
import { randomUUID } from 'node:crypto';
import { and, desc, eq, isNull, lt, or } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { z } from 'zod';
import { RoutingError } from '../../../datasets/errors.ts';
import { firstIssue, PLAIN } from '../../../datasets/plain-issues.ts';
import type { Caller } from '../../callers.ts';
import type { Scope } from '../../config/loop-schema.ts';
import { asked } from '../../db/connection.ts';
import type { Role } from '../../db/records.ts';
import { clientKeys } from '../../db/schema.ts';
import {
  type Access,
  changedNow,
  changing,
  configuredNames,
  hasAdmin,
  isConfigured,
  keyRow,
  lastAdmin,
  teamRow,
} from './access.ts';
import { actorOf, audit } from './audit.ts';
import { keepBindings, leftBindings } from './bindings.ts';
import { granted, mayChange, narrowing } from './grants.ts';
import { newKey, prefixOf } from './key-secret.ts';
import {
  KeyChanges,
  KeyName,
  type KeyRow,
  type KeySettings,
  type KeyView,
  keyView,
  NewKey,
  Rotation,
  scopesOf,
  settingsOf,
} from './records.ts';
import { reaches, reachOf, SCOPES_OF } from './roles.ts';

/** Who asks for a change, and in which request. */
export interface By {
  readonly actor: Caller;
  readonly requestId?: string | null | undefined;
}

/** The secret is told this once. */
export interface MadeKey {
  readonly key: KeyView;
  readonly secret: string;
}

/**
 * @param secret the key itself, where it must be known before
 * @throws `INVALID_REQUEST`, `FORBIDDEN`, `CONFLICT` for a name that is taken, `INVALID_CONFIG` without a secret to make it with
 */
export async function createKey(access: Access, wanted: NewKey, by: By, secret = newKey()): Promise<MadeKey> {
  const {
    name,
    team: asked,
    project = null,
    role,
    scopes = null,
    expiresAt = null,
    ...settings
  } = parse(NewKey, wanted);
  const team = asked ?? by.actor.tenant;
  const scheme = access.digests.making();
  return changing(access, by.actor, async (db) => {
    const kept = granted(
      by.actor,
      { team, role: wanted.role, scopes: scopesFor(role, scopes), settings, expiresAt },
      await rowOfActor(db, by.actor),
    );
    refusePast(kept.expiresAt);
    await refuseUnknownPlace(db, access, by.actor, team, project);
    await refuseTaken(db, access, team, name);
    const place = { team, name, project, id: null };
    keepBindings(by.actor, access.bindings?.(), { ...place, name: null, project: null }, place);
    const isFirst = by.actor.kind === 'anybody' && !(await hasAdmin(db, access));
    if (isFirst && !(kept.scopes.has('admin') && kept.expiresAt === null)) {
      throw new RoutingError(
        'CONFLICT',
        'the first key must be an admin’s, without an end: from then on keys are asked for, and nobody could make another',
      );
    }
    const made = await insertKey(
      db,
      {
        ...{ digest: scheme.digest(secret).toString('hex'), scheme: scheme.name, prefix: prefixOf(secret) },
        ...{ name, team, project, role, scopes, settings: kept.settings, expiresAt: kept.expiresAt },
      },
      by,
    );
    return { key: view(access, made), secret };
  });
}

/** What an import brings: how the key was kept elsewhere. */
export interface KeptKey {
  readonly digest: string;
  readonly scheme: string;
  readonly prefix: string;
  readonly name: string;
  readonly team: string;
  readonly project: string | null;
  readonly role: Role;
  readonly scopes: readonly Scope[] | null;
  readonly settings: KeySettings;
  readonly expiresAt: Date | null;
  /** One that was blocked there comes in no more here. */
  readonly revokedAt?: Date | null;
}

/**
 * Takes keys over by their digests, many at once; those that are there already are left as they are.
 * @returns the new ones
 * @throws `FORBIDDEN` for anybody but an admin; `CONFLICT` for a name that is taken: then none was taken over
 */
export async function importKeys(access: Access, keys: readonly KeptKey[], by: By): Promise<KeyView[]> {
  if (!by.actor.scopes.has('admin')) throw new RoutingError('FORBIDDEN', 'only an admin may take keys over');
  for (const { name } of keys) parse(z.object({ name: KeyName }), { name });
  return changing(access, by.actor, async (db) => {
    const { digest, team, name, revokedAt, expiresAt } = clientKeys;
    const there = await asked(db.select({ digest, team, name, revokedAt, expiresAt }).from(clientKeys));
    const digests = new Set(there.map((row) => row.digest));
    const fresh = keys.filter((key) => !digests.has(key.digest));
    const now = new Date();
    const placeOf = (key: { readonly team: string; readonly name: string }) => JSON.stringify([key.team, key.name]);
    const taken = new Set(configuredNames(access).map(placeOf));
    for (const row of there) {
      if (row.revokedAt === null && (row.expiresAt === null || row.expiresAt > now)) taken.add(placeOf(row));
    }
    for (const key of fresh) {
      if (taken.has(placeOf(key))) throw nameTaken(key.team, key.name);
      taken.add(placeOf(key));
    }
    const made: KeyView[] = [];
    for (const key of fresh) made.push(view(access, await insertKey(db, key, by, 'key.import')));
    return made;
  });
}

async function insertKey(db: PgRemoteDatabase, key: KeptKey, by: By, action = 'key.create'): Promise<KeyRow> {
  const id = randomUUID();
  const { name, team, project, role, scopes, settings, expiresAt, prefix } = key;
  const details = { name, prefix, project, role, scopes, ...settings, expiresAt };
  await audit(db, { ...by, action, subject: id, team, details });
  const [row] = await asked(
    db
      .insert(clientKeys)
      .values({
        ...key,
        id,
        scopes: scopes === null ? null : [...scopes],
        createdAt: new Date(),
        createdBy: actorOf(by.actor),
        changedAt: changedNow as unknown as Date,
      })
      .returning(),
  );
  return row!;
}

export interface KeyQuery {
  /** Null: of all teams. */
  readonly team: string | null;
  /** Id of the last key of the page before. */
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export interface KeyPage {
  readonly keys: readonly KeyView[];
  /** Give it as `cursor` for the next page; null: that was all. */
  readonly next: string | null;
}

/** Newest first; revoked and expired ones, too. @throws `NOT_FOUND` for a cursor of no key */
export async function listKeys(access: Access, { team, cursor, limit }: KeyQuery): Promise<KeyPage> {
  const { db } = access.store;
  const after = cursor === undefined ? undefined : await keyRow(db, cursor);
  if (after === null) throw noKey();
  const rows = await asked(
    db
      .select()
      .from(clientKeys)
      .where(
        and(
          team === null ? undefined : eq(clientKeys.team, team),
          after === undefined
            ? undefined
            : or(
                lt(clientKeys.createdAt, after.createdAt),
                and(eq(clientKeys.createdAt, after.createdAt), lt(clientKeys.id, after.id)),
              ),
        ),
      )
      .orderBy(desc(clientKeys.createdAt), desc(clientKeys.id))
      .limit(limit + 1),
  );
  const shown = rows.slice(0, limit);
  return { keys: shown.map((row) => view(access, row)), next: rows.length > limit ? shown.at(-1)!.id : null };
}

/** @throws `NOT_FOUND` for one that is not there, or another team's */
export async function getKey(access: Access, id: string, actor: Caller): Promise<KeyView> {
  return view(access, await keyWithin(access.store.db, id, actor));
}

export type ChangedKey = KeyView & {
  /** Limits and rules that held for it and do so no more, in words; absent: none. */
  readonly warnings?: readonly string[];
};

/** @throws `NOT_FOUND`, `FORBIDDEN`, `CONFLICT` for a key that is over, a name that is taken, or the last admin's */
export async function updateKey(access: Access, id: string, wanted: KeyChanges, by: By): Promise<ChangedKey> {
  const { force = false, ...changes } = parse(KeyChanges, wanted);
  return changing(access, by.actor, async (db) => {
    const row = await keyWithin(db, id, by.actor);
    mayChange(by.actor, scopesOf(row));
    if (row.revokedAt !== null || row.replacedBy !== null) throw over(row);
    const { name = row.name, project = row.project, role = row.role } = changes;
    const scopes = changes.scopes === undefined ? roleScopes(row, changes.role) : changes.scopes;
    const expiresAt = changes.expiresAt === undefined ? row.expiresAt : changes.expiresAt;
    const settings = withChanges(settingsOf(row), changes);
    const named = role === row.role ? undefined : role;
    const asked_ = { team: row.team, role: named, scopes: scopesFor(role, scopes), settings, expiresAt };
    narrowing(by.actor, { settings: settingsOf(row), expiresAt: row.expiresAt }, asked_);
    const kept = granted(by.actor, asked_, await rowOfActor(db, by.actor));
    if (changes.expiresAt !== undefined) refusePast(kept.expiresAt);
    if (project !== row.project) await refuseUnknownPlace(db, access, by.actor, row.team, project);
    if (name !== row.name) await refuseTaken(db, access, row.team, name);
    const bindings = access.bindings?.();
    const place = { team: row.team, name, project, id };
    keepBindings(by.actor, bindings, row, place);
    const warnings = leftBindings(bindings, row, place);
    const losesAdmin = scopesOf(row).has('admin') && !kept.scopes.has('admin');
    if (losesAdmin && !force && !(await hasAdmin(db, access, { key: id }))) throw lastAdmin();
    await audit(db, {
      ...by,
      action: 'key.update',
      subject: id,
      team: row.team,
      details: { name: row.name, before: shown(row), after: changes },
    });
    const changed = await write(access, db, id, {
      ...{ name, project, role, scopes, settings: kept.settings, expiresAt: kept.expiresAt },
    });
    return warnings.length === 0 ? changed : { ...changed, warnings };
  });
}

/**
 * A new key in the place of an old one, which works on until the overlap is over.
 * @throws `NOT_FOUND`, `FORBIDDEN`, `CONFLICT` for a key that is over
 */
export async function rotateKey(access: Access, id: string, wanted: Rotation, by: By): Promise<MadeKey> {
  const { overlapMinutes, expiresAt } = parse(Rotation, wanted);
  const scheme = access.digests.making();
  return changing(access, by.actor, async (db) => {
    const old = await keyWithin(db, id, by.actor);
    mayChange(by.actor, scopesOf(old));
    const now = Date.now();
    const isPast = old.expiresAt !== null && old.expiresAt.getTime() <= now;
    if (old.revokedAt !== null || old.replacedBy !== null || isPast) throw over(old);
    const before = { team: old.team, scopes: scopesOf(old), settings: settingsOf(old), expiresAt: old.expiresAt };
    const asked_ = { ...before, ...(expiresAt !== undefined && { expiresAt }) };
    narrowing(by.actor, before, asked_);
    const kept = granted(by.actor, asked_, await rowOfActor(db, by.actor));
    refusePast(kept.expiresAt);
    const secret = newKey();
    const made = await insertKey(
      db,
      {
        ...{ digest: scheme.digest(secret).toString('hex'), scheme: scheme.name, prefix: prefixOf(secret) },
        ...{ name: old.name, team: old.team, project: old.project, role: old.role },
        ...{ scopes: old.scopes as Scope[] | null, settings: kept.settings, expiresAt: kept.expiresAt },
      },
      by,
    );
    const end = new Date(Math.min(now + overlapMinutes * 60_000, old.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY));
    const details = { name: old.name, replacedBy: made.id, worksUntil: end };
    await audit(db, { ...by, action: 'key.rotate', subject: id, team: old.team, details });
    await write(access, db, id, { replacedBy: made.id, expiresAt: end });
    return { key: view(access, made), secret };
  });
}

/** From now on nobody comes in with it; once more changes nothing. @throws `NOT_FOUND`, `FORBIDDEN`, `CONFLICT` for the last admin's */
export async function revokeKey(
  access: Access,
  id: string,
  { force = false, ...by }: By & { readonly force?: boolean | undefined },
): Promise<KeyView> {
  return changing(access, by.actor, async (db) => {
    const row = await keyWithin(db, id, by.actor);
    mayChange(by.actor, scopesOf(row));
    if (row.revokedAt !== null) return view(access, row);
    const isPast = row.expiresAt !== null && row.expiresAt <= new Date();
    if (scopesOf(row).has('admin') && !isPast && !force && !(await hasAdmin(db, access, { key: id })))
      throw lastAdmin();
    const details = { name: row.name, prefix: row.prefix, force };
    await audit(db, { ...by, action: 'key.revoke', subject: id, team: row.team, details });
    return write(access, db, id, { revokedAt: new Date() });
  });
}

async function write(
  access: Access,
  db: PgRemoteDatabase,
  id: string,
  changes: Partial<typeof clientKeys.$inferInsert>,
): Promise<KeyView> {
  const [row] = await asked(
    db
      .update(clientKeys)
      .set({ ...changes, changedAt: changedNow as unknown as Date })
      .where(eq(clientKeys.id, id))
      .returning(),
  );
  return view(access, row!);
}

const view = ({ ring }: Access, row: KeyRow): KeyView =>
  keyView(row, { archived: ring?.isArchived(row.team) ?? false, lastUsedAt: ring?.lastUsed(row.id) });

/** Another team's is as if it were not there. @throws `NOT_FOUND` */
async function keyWithin(db: PgRemoteDatabase, id: string, actor: Caller): Promise<KeyRow> {
  const row = await keyRow(db, id);
  if (row === null || !reaches(actor, row.team)) throw noKey();
  return row;
}

const rowOfActor = async (db: PgRemoteDatabase, { keyId }: Caller): Promise<KeyRow | null> =>
  keyId === null ? null : keyRow(db, keyId);

const scopesFor = (role: Role, scopes: readonly Scope[] | null): ReadonlySet<Scope> =>
  scopes === null ? SCOPES_OF[role] : new Set(scopes);

/** A new role comes with what it may do: a list that was made for another would silently outlive it. */
const roleScopes = (row: KeyRow, role: Role | undefined): Scope[] | null =>
  role !== undefined && role !== row.role ? null : (row.scopes as Scope[] | null);

function withChanges(
  before: KeySettings,
  { models, tags, routing, feedbackWeight }: z.infer<typeof KeyChanges>,
): KeySettings {
  const next: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries({ models, tags, routing, feedbackWeight })) {
    if (value === null) delete next[name];
    else if (value !== undefined) next[name] = value;
  }
  return next as KeySettings;
}

const shown = ({ name, project, role, scopes, settings, expiresAt }: KeyRow): object => ({
  ...{ name, project, role, scopes, expiresAt },
  ...settings,
});

/** A name says whose decisions are whose: two keys that work have two, but for a key and the one that takes its place. */
async function refuseTaken(db: PgRemoteDatabase, access: Access, team: string, name: string): Promise<void> {
  const named = await asked(
    db
      .select({ expiresAt: clientKeys.expiresAt })
      .from(clientKeys)
      .where(and(eq(clientKeys.team, team), eq(clientKeys.name, name), isNull(clientKeys.revokedAt))),
  );
  const now = new Date();
  const isTaken =
    named.some(({ expiresAt }) => expiresAt === null || expiresAt > now) ||
    configuredNames(access).some((key) => key.team === team && key.name === name);
  if (isTaken) throw nameTaken(team, name);
}

const nameTaken = (team: string, name: string): RoutingError =>
  new RoutingError('CONFLICT', `name: ${team} has a key ${JSON.stringify(name)}; rotate that, or take another name`);

/** @throws `INVALID_REQUEST` for a team or a project that nobody made: most likely it is misspelt */
async function refuseUnknownPlace(
  db: PgRemoteDatabase,
  access: Access,
  actor: Caller,
  team: string,
  project: string | null,
): Promise<void> {
  const row = await teamRow(db, team);
  if (row !== null && row.archivedAt !== null) throw new RoutingError('CONFLICT', `team: ${team} is archived`);
  if (row === null && !isConfigured(access, team) && reachOf(actor) === null) {
    throw new RoutingError('INVALID_REQUEST', `team: there is no team ${JSON.stringify(team)}; make it first`);
  }
  if (project !== null && row !== null && !row.projects.includes(project)) {
    throw new RoutingError(
      'INVALID_REQUEST',
      `project: ${team} has no project ${JSON.stringify(project)}; add it first`,
    );
  }
}

function refusePast(expiresAt: Date | null): void {
  if (expiresAt !== null && expiresAt.getTime() <= Date.now()) {
    throw new RoutingError('INVALID_REQUEST', 'expiresAt: is over already; revoke a key that is to end now');
  }
}

const noKey = (): RoutingError =>
  new RoutingError('NOT_FOUND', 'there is no key of this id; GET /v1/admin/keys lists them');

const over = ({ revokedAt, replacedBy }: KeyRow): RoutingError =>
  new RoutingError(
    'CONFLICT',
    `this key ${revokedAt !== null ? 'was revoked' : replacedBy !== null ? `was replaced by ${replacedBy}` : 'has expired'}`,
  );

/** @throws `INVALID_REQUEST` naming the field */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  throw new RoutingError('INVALID_REQUEST', firstIssue(parsed.error.issues));
}
