/** Roles and what they may do: a role is a name for a set of scopes. */
import { SCOPES, type Scope } from '../../config/loop-schema.ts';
import type { Role } from '../../db/records.ts';

export const ROLES = ['admin', 'manager', 'member', 'read-only'] as const satisfies readonly Role[];

const MEMBER: readonly Scope[] = ['call', 'feedback', 'usage'];

/** `manage` and `usage` reach as far as the team does; `admin` and `learn` reach everybody. */
export const SCOPES_OF: Readonly<Record<Role, ReadonlySet<Scope>>> = {
  admin: new Set(SCOPES),
  manager: new Set<Scope>([...MEMBER, 'feedback:team', 'export', 'erase', 'manage']),
  member: new Set(MEMBER),
  'read-only': new Set<Scope>(['usage']),
};
