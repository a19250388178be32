/** Roles and what they may do: a role is a name for a set of scopes, and scopes reach as far as a team or everybody. */
import { RoutingError } from '../../../datasets/errors.ts';
import type { Caller } from '../../callers.ts';
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

/** The only team whose keys, limits, usage and audit rows a caller may see; null: all of them. */
export const reachOf = ({ scopes, everyTeam, tenant }: Pick<Caller, 'scopes' | 'everyTeam' | 'tenant'>) =>
  scopes.has('admin') || everyTeam === true ? null : tenant;

/**
 * The team that is asked about, within what the caller may see: its own where it sees no other.
 * @returns null: all teams
 * @throws `NOT_FOUND` for a team beyond the caller's reach, as for one that there is not
 */
export function teamWithin(caller: Caller, asked?: string | undefined): string | null {
  const reach = reachOf(caller);
  if (asked === undefined) return reach;
  if (reach !== null && reach !== asked) throw noTeam(asked);
  return asked;
}

/** Whether something of a team may be seen; of no team in particular (null): by those who see all. */
export function reaches(caller: Caller, team: string | null): boolean {
  const reach = reachOf(caller);
  return reach === null || reach === team;
}

export const noTeam = (name: string): RoutingError =>
  new RoutingError('NOT_FOUND', `there is no team ${JSON.stringify(name.slice(0, 100))} here`);
