/** What endpoints answer, as far as it is ours to say: for `GET /openapi.json`, and for the tests that hold answers against it. */
import { z } from 'zod';
import { Scope } from '../config/loop-schema.ts';
import { KeySettings } from '../governance/access/records.ts';
import { ROLES } from '../governance/access/roles.ts';

const Moment = z.iso.datetime().meta({ description: 'A moment of UTC.' });
const Role = z.enum(ROLES);

export const ME = z.strictObject({
  kind: z.enum(['key', 'person', 'anybody', 'operator', 'gateway']),
  name: z.string().nullable(),
  role: Role,
  team: z.string().nullable().describe('Null: all teams.'),
  project: z.string().nullable(),
  scopes: z.array(Scope),
});

export const KEY = z.strictObject({
  id: z.string(),
  prefix: z.string().describe('Its first characters.'),
  name: z.string(),
  team: z.string(),
  project: z.string().nullable(),
  role: Role,
  scopes: z.array(Scope),
  state: z.enum(['active', 'expired', 'revoked', 'archived']),
  scheme: z.string().describe('How its digest was made.'),
  ...KeySettings.shape,
  createdAt: Moment,
  createdBy: z.string(),
  expiresAt: Moment.nullable(),
  revokedAt: Moment.nullable(),
  replacedBy: z.string().nullable().describe('The key that takes its place.'),
  lastUsedAt: Moment.nullable().describe('To the minute.'),
});

export const CHANGED_KEY = KEY.extend({
  warnings: z.array(z.string()).optional().describe('Limits and rules that held for it and do so no more.'),
});

export const MADE_KEY = z.strictObject({ key: KEY, secret: z.string().describe('The key itself, told this once.') });

const next = z.string().nullable().describe('Give it as cursor for the next page; null: that was all.');

export const KEY_PAGE = z.strictObject({ keys: z.array(KEY), next });

export const TEAM = z.strictObject({
  name: z.string(),
  description: z.string(),
  projects: z.array(z.string()),
  settings: z.looseObject({}).describe('As they hold: those of the configuration win.'),
  source: z.enum(['configuration', 'database', 'both']),
  createdAt: Moment.nullable(),
  archivedAt: Moment.nullable(),
});

export const TEAM_LIST = z.strictObject({ teams: z.array(TEAM) });

export const AUDIT_PAGE = z.strictObject({
  entries: z.array(
    z.strictObject({
      ordinal: z.number().int(),
      at: Moment,
      actor: z.string(),
      actorKind: z.string(),
      action: z.string(),
      subject: z.string(),
      team: z.string().nullable(),
      details: z.unknown(),
      requestId: z.string().nullable(),
    }),
  ),
  next,
});

export const METHODS = z.strictObject({
  oidc: z.boolean().describe('By the identity provider: GET /auth/login.'),
  key: z.boolean().describe('With a key: POST /auth/key.'),
  open: z.boolean().describe('Nobody is asked for a key: whoever reaches the gateway is its operator.'),
});
