/** Virtual keys and teams: what may be asked of them, how they are kept, and how they are shown. */
import { z } from 'zod';
import { Scope, TeamConfig } from '../../config/loop-schema.ts';
import { ClientKey } from '../../config/schema.ts';
import type { Role } from '../../db/records.ts';
import type { clientKeys, teams } from '../../db/schema.ts';
import { ROLES, SCOPES_OF } from './roles.ts';

export type KeyRow = typeof clientKeys.$inferSelect;
export type TeamRow = typeof teams.$inferSelect;

/** Letters and what people put between them: nothing that a log, a table or a shell would read as more than a name. */
const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N} ._@:/+-]{0,98}[\p{L}\p{N})._@:/+-])?$/u;
const NAME_RULE = 'must be 1 to 100 letters, digits, spaces and . _ - @ : / +, beginning with a letter or digit';

const Name = z
  .string({ error: ({ input }) => (input === undefined ? `is missing; it ${NAME_RULE}` : NAME_RULE) })
  .regex(NAME, NAME_RULE);
export const TeamName = Name;

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
/** Keys are spoken of by id or by name: one must not be taken for another’s id. */
export const isLikeId = (name: string): boolean => UUID.test(name);
export const KeyName = Name.refine((name) => !isLikeId(name), 'must not look like the id of a key');

/** What a key of the configuration may be given, too. */
const settings = {
  models: ClientKey.shape.models,
  tags: z.array(z.string().min(1).max(100)).max(50).optional(),
  routing: ClientKey.shape.routing,
  feedbackWeight: z.number().min(0).max(1).optional(),
};
export const KeySettings = z.strictObject(settings);
export type KeySettings = z.infer<typeof KeySettings>;

const Moment = z.iso
  .datetime({ offset: true, error: 'must be a moment like 2026-12-31T00:00:00Z' })
  .transform((text) => new Date(text));

const KeyRole = z.enum(ROLES, `must be one of ${ROLES.join(', ')}`);
const Scopes = z.array(Scope).max(20);

export const NewKey = z.strictObject({
  name: KeyName.describe('What records call it.'),
  team: TeamName.optional().describe('Whose it is. Default: the team of whoever makes it.'),
  project: Name.nullable().optional().describe('The project of its team that it is for.'),
  role: KeyRole.default('member').describe('What it may do.'),
  scopes: Scopes.nullable().optional().describe('What it may do in place of what its role may.'),
  expiresAt: Moment.nullable().optional().describe('When it stops working; null: never.'),
  ...settings,
});
export type NewKey = z.input<typeof NewKey>;

export const KeyChanges = z.strictObject({
  name: KeyName.optional(),
  project: Name.nullable().optional(),
  role: KeyRole.optional(),
  scopes: Scopes.nullable().optional(),
  expiresAt: Moment.nullable().optional(),
  models: z.array(z.string().min(1)).nullable().optional().describe('Null: all.'),
  tags: settings.tags,
  routing: ClientKey.shape.routing.unwrap().nullable().optional(),
  feedbackWeight: settings.feedbackWeight,
  force: z.boolean().optional().describe('Also where no admin’s key would be left.'),
});
export type KeyChanges = z.input<typeof KeyChanges>;

/** 24 hours: long enough to bring the new key wherever the old one is. */
const OVERLAP_MINUTES = 1440;
const MOST_OVERLAP_MINUTES = 90 * 1440;

export const Rotation = z.strictObject({
  overlapMinutes: z
    .number()
    .min(0)
    .max(MOST_OVERLAP_MINUTES)
    .default(OVERLAP_MINUTES)
    .describe('Minutes that the old key goes on working, in [0, 129 600].'),
  expiresAt: Moment.nullable()
    .optional()
    .describe('When the new key stops working. Default: as the old one would have.'),
});
export type Rotation = z.input<typeof Rotation>;

export const TeamSettings = TeamConfig.partial();
export type TeamSettings = z.infer<typeof TeamSettings>;

const Projects = z.array(Name).max(1000);
const Description = z.string().max(1000);

/** The settings as they were written: a default that nobody wrote is none. */
const teamSettings = {
  exploration: z.boolean().optional(),
  canary: z.boolean().optional(),
  protected: z.boolean().optional(),
  privacy: TeamConfig.shape.privacy,
  retentionDays: TeamConfig.shape.retentionDays,
};

export const NewTeam = z.strictObject({
  name: TeamName,
  description: Description.default(''),
  projects: Projects.default([]),
  ...teamSettings,
});
export type NewTeam = z.input<typeof NewTeam>;

export const TeamChanges = z.strictObject({
  description: Description.optional(),
  projects: Projects.optional(),
  exploration: teamSettings.exploration.nullable(),
  canary: teamSettings.canary.nullable(),
  protected: teamSettings.protected.nullable(),
  privacy: teamSettings.privacy.nullable(),
  retentionDays: teamSettings.retentionDays.nullable(),
  archived: z.boolean().optional().describe('False brings an archived team back.'),
  force: z.boolean().optional().describe('Also where no admin’s key would be left.'),
});
export type TeamChanges = z.input<typeof TeamChanges>;

export interface KeyView extends KeySettings {
  readonly id: string;
  /** Its first characters. */
  readonly prefix: string;
  readonly name: string;
  readonly team: string;
  readonly project: string | null;
  readonly role: Role;
  /** What it may do, whether by its role or by a list of its own. */
  readonly scopes: readonly Scope[];
  /** `archived`: its team is. */
  readonly state: 'active' | 'expired' | 'revoked' | 'archived';
  readonly scheme: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  /** The key that takes its place. */
  readonly replacedBy: string | null;
  /** To the minute. */
  readonly lastUsedAt: string | null;
}

export interface TeamView {
  readonly name: string;
  readonly description: string;
  readonly projects: readonly string[];
  /** As it holds, the configuration's over the database's. */
  readonly settings: TeamSettings;
  /** `configuration`: named there, and settings there win. */
  readonly source: 'configuration' | 'database' | 'both';
  readonly createdAt: string | null;
  readonly archivedAt: string | null;
}

/** What a key may do. A list that a later version wrote may name scopes that this one does not know. */
export function scopesOf({ role, scopes }: Pick<KeyRow, 'role' | 'scopes'>): ReadonlySet<Scope> {
  const listed: unknown = scopes;
  if (!Array.isArray(listed)) return SCOPES_OF[role] ?? new Set();
  return new Set(listed.flatMap((scope) => Scope.safeParse(scope).data ?? []));
}

/** @throws what zod throws for a row that was changed by hand */
export const settingsOf = ({ settings: kept }: Pick<KeyRow, 'settings'>): KeySettings => KeySettings.parse(kept);

export function teamSettingsOf(row: Pick<TeamRow, 'settings'>): TeamSettings {
  return z.object(teamSettings).catch({}).parse(row.settings);
}

export function keyView(row: KeyRow, { archived, lastUsedAt, now = new Date() }: ViewFacts): KeyView {
  const { id, prefix, name, team, project, role, scheme, createdBy, replacedBy } = row;
  const used = Math.max(lastUsedAt ?? 0, row.lastUsedAt?.getTime() ?? 0);
  const state =
    row.revokedAt !== null
      ? 'revoked'
      : row.expiresAt !== null && row.expiresAt <= now
        ? 'expired'
        : archived
          ? 'archived'
          : 'active';
  return {
    ...{ id, prefix, name, team, project, role, scopes: [...scopesOf(row)], state, scheme },
    ...settingsOf(row),
    createdAt: row.createdAt.toISOString(),
    createdBy,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
    replacedBy,
    lastUsedAt: used === 0 ? null : new Date(used).toISOString(),
  };
}

export interface ViewFacts {
  /** Its team is archived. */
  readonly archived: boolean;
  /** As this replica knows it, ms since 1970. */
  readonly lastUsedAt?: number | undefined;
  readonly now?: Date;
}
