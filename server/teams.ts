/** What holds for a team: the tenant of a client key. */
import type { GatewayConfig, PrivacyMode } from './config/index.ts';

export interface Team {
  readonly name: string;
  /** Its requests may be used to try models. */
  readonly explores: boolean;
  /** Its requests may be decided by a router on trial. */
  readonly canary: boolean;
  readonly isProtected: boolean;
  readonly privacy: PrivacyMode;
  /** Days; null: for ever. */
  readonly retentionDays: number | null;
}

/** Where nobody needs a key there is one team, and it is the operator's own: it explores as the policy says. */
export function teamOf(
  { teams, privacy, keys }: Pick<GatewayConfig, 'teams' | 'privacy' | 'keys'>,
  name: string,
): Team {
  const given = Object.hasOwn(teams, name) ? teams[name] : undefined;
  return {
    name,
    explores: given?.exploration ?? keys.length === 0,
    canary: given?.canary ?? true,
    isProtected: given?.protected ?? false,
    privacy: given?.privacy ?? privacy.mode,
    retentionDays: given?.retentionDays ?? privacy.retentionDays,
  };
}
