/** What holds for a team: the tenant of a client key. */
import { type GatewayConfig, type PrivacyMode, TeamConfig } from './config/index.ts';
import type { KeyRing } from './governance/access/key-ring.ts';
import type { TeamSettings } from './governance/access/records.ts';

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

/** What is known of teams: a gateway is one. */
export interface TeamSource {
  readonly config: Pick<GatewayConfig, 'teams' | 'privacy'>;
  /** Callers need a key. */
  readonly areAsked: boolean;
  readonly governance?: { readonly keys: Pick<KeyRing, 'teams'> } | undefined;
}

/** Where nobody needs a key there is one team, and it is the operator's own: it explores as the policy says. */
export function teamOf({ config, areAsked, governance }: TeamSource, name: string): Team {
  const { teams, privacy } = config;
  const given = (Object.hasOwn(teams, name) ? teams[name] : undefined) ?? governance?.keys.teams.get(name);
  return {
    name,
    explores: given?.exploration ?? !areAsked,
    canary: given?.canary ?? true,
    isProtected: given?.protected ?? false,
    privacy: given?.privacy ?? privacy.mode,
    retentionDays: given?.retentionDays ?? privacy.retentionDays,
  };
}

/** The teams of the configuration, and those of the database that it does not name. */
export function teamsOver(
  configured: GatewayConfig['teams'],
  stored: ReadonlyMap<string, TeamSettings>,
): GatewayConfig['teams'] {
  if (stored.size === 0) return configured;
  const parsed = [...stored].map(([name, settings]) => [name, TeamConfig.parse(settings)] as const);
  return { ...Object.fromEntries(parsed), ...configured };
}
