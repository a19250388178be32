/** Keys and teams taken over from LiteLLM, so that no client has to change: it kept the SHA-256 of each key, and so do we. */
import { and, eq, inArray } from 'drizzle-orm';
import { z } from 'zod';
import { asked } from '../../db/connection.ts';
import { clientKeys } from '../../db/schema.ts';
import { type Access, configuredNames, isConfigured, teamRow } from './access.ts';
import { LITELLM } from './key-secret.ts';
import { type By, importKeys, parse, revokeKey } from './keys.ts';
import { isLikeId, KeySettings, TeamName } from './records.ts';
import { createTeam } from './teams.ts';

export const ImportedTeam = z.strictObject({ name: TeamName, description: z.string().max(1000).default('') });
export type ImportedTeam = z.input<typeof ImportedTeam>;

export const ImportedKey = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the key, 64 hex digits in small letters'),
  prefix: z.string().max(30).describe('What may be shown of it.'),
  /** One like an id gets something added to it. */
  name: TeamName,
  team: TeamName,
  models: KeySettings.shape.models,
  tags: KeySettings.shape.tags,
  expiresAt: z.iso
    .datetime({ offset: true, error: 'must be a moment like 2026-12-31T00:00:00Z' })
    .nullable()
    .default(null),
  revoked: z.boolean().default(false).describe('It was blocked: taken over, and revoked.'),
});
export type ImportedKey = z.input<typeof ImportedKey>;

export const LiteLlmImport = z.strictObject({
  teams: z.array(ImportedTeam).max(100_000).default([]),
  keys: z.array(ImportedKey).max(100_000).default([]),
  dryRun: z.boolean().default(false).describe('Says what would be done; does nothing.'),
});
export type LiteLlmImport = z.input<typeof LiteLlmImport>;

export interface LiteLlmImported {
  /** Names of teams that were made. */
  readonly teams: readonly string[];
  readonly keys: readonly {
    readonly digest: string;
    readonly team: string;
    /** As it is here: another where a working key of the team has that name. */
    readonly name: string;
    /** `made`; `there`: already, and left as it is; `revoked`: it was there, and has been blocked since. */
    readonly done: 'made' | 'there' | 'revoked';
  }[];
}

/**
 * May be done again: what is there stays as it is, but for keys that were blocked meanwhile.
 * @throws `INVALID_REQUEST`, `FORBIDDEN` for anybody but an admin, `DATABASE_UNAVAILABLE`
 */
export async function importFromLiteLlm(access: Access, wanted: LiteLlmImport, by: By): Promise<LiteLlmImported> {
  const { teams, keys, dryRun } = parse(LiteLlmImport, wanted);
  const { db } = access.store;
  const newTeams: string[] = [];
  for (const team of teams) {
    if (isConfigured(access, team.name) || (await teamRow(db, team.name)) !== null) continue;
    if (!dryRun) await createTeam(access, team, by);
    newTeams.push(team.name);
  }
  const there = new Map<string, { id: string; name: string; team: string; revokedAt: Date | null }>();
  for (let i = 0; i < keys.length; i += 1000) {
    const digests = keys.slice(i, i + 1000).map(({ digest }) => digest);
    const rows = await asked(
      db
        .select()
        .from(clientKeys)
        .where(and(eq(clientKeys.scheme, LITELLM.name), inArray(clientKeys.digest, digests))),
    );
    for (const row of rows) there.set(row.digest, row);
  }
  const names = await namesTaken(access);
  const fresh = keys.filter(({ digest }) => !there.has(digest)).map((key) => ({ ...key, name: freeName(names, key) }));
  const nameOf = new Map(fresh.map(({ digest, name }) => [digest, name]));
  const blocked = keys.filter(({ digest, revoked }) => revoked && there.get(digest)?.revokedAt === null);
  if (!dryRun) {
    const now = new Date();
    await importKeys(
      access,
      fresh.map(({ digest, prefix, name, team, models, tags, expiresAt, revoked }) => ({
        ...{ digest, scheme: LITELLM.name, prefix, name, team, project: null, role: 'member', scopes: null },
        settings: { ...(models !== undefined && { models }), ...(tags !== undefined && { tags }) },
        expiresAt: expiresAt === null ? null : new Date(expiresAt),
        // Blocked there, it never works here.
        revokedAt: revoked ? now : null,
      })),
      by,
    );
    for (const { digest } of blocked) await revokeKey(access, there.get(digest)!.id, { ...by, force: true });
  }
  const nowBlocked = new Set(blocked.map(({ digest }) => digest));
  return {
    teams: newTeams,
    keys: keys.map(({ digest, team }) => {
      const before = there.get(digest);
      if (before === undefined) return { digest, team, name: nameOf.get(digest)!, done: 'made' };
      return { digest, team: before.team, name: before.name, done: nowBlocked.has(digest) ? 'revoked' : 'there' };
    }),
  };
}

/** `TEAM\nNAME` of keys that are there. */
async function namesTaken(access: Access): Promise<Set<string>> {
  const rows = await asked(access.store.db.select({ team: clientKeys.team, name: clientKeys.name }).from(clientKeys));
  return new Set([
    ...rows.map(({ team, name }) => `${team}\n${name}`),
    ...configuredNames(access).map(({ team, name }) => `${team}\n${name}`),
  ]);
}

/** Two keys of one name could not be told apart in records, nor a name from an id. */
function freeName(taken: Set<string>, { team, name, digest }: ImportedKey): string {
  const free = taken.has(`${team}\n${name}`) || isLikeId(name) ? `${name.slice(0, 80)} ${digest.slice(0, 8)}` : name;
  taken.add(`${team}\n${free}`);
  return free;
}
