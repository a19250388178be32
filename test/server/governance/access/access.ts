/** Access without a gateway: a store, a ring over it, and who asks. */
import { ANYBODY, type Caller } from '../../../../server/callers.ts';
import { GatewayConfig } from '../../../../server/config/index.ts';
import type { Scope } from '../../../../server/config/loop-schema.ts';
import type { Role } from '../../../../server/db/records.ts';
import type { SqlStore } from '../../../../server/db/store.ts';
import type { Access } from '../../../../server/governance/access/access.ts';
import { KeyRing } from '../../../../server/governance/access/key-ring.ts';
import { KeyDigests } from '../../../../server/governance/access/key-secret.ts';
import { SCOPES_OF } from '../../../../server/governance/access/roles.ts';

export const SECRET = 'a secret of thirty-two characters';

export function accessOver(
  store: SqlStore,
  { databaseUrl, dataDir = '/nowhere', config = {} }: AccessSetup = {},
): Access & { readonly ring: KeyRing; readonly config: GatewayConfig } {
  const digests = new KeyDigests({ kind: store.kind, dataDir, secret: SECRET });
  const ring = new KeyRing({ store, databaseUrl, digests });
  return { store, digests, config: GatewayConfig.parse(config), hasAdminKey: false, ring };
}

export interface AccessSetup {
  readonly databaseUrl?: string | undefined;
  readonly dataDir?: string;
  readonly config?: Parameters<typeof GatewayConfig.parse>[0];
}

export const ADMIN: Caller = { ...ANYBODY, kind: 'key', name: 'root' };

export const as = (role: Role, tenant: string, more: Partial<Caller> = {}): Caller => ({
  ...ANYBODY,
  ...{ kind: 'key', name: `${role} of ${tenant}`, tenant, role, scopes: SCOPES_OF[role] },
  ...more,
});

export const having = (tenant: string, ...scopes: Scope[]): Caller => as('member', tenant, { scopes: new Set(scopes) });

export const problem = (run: Promise<unknown>): Promise<{ code: string; message: string }> =>
  run.then(
    () => Promise.reject(new Error('nothing was refused')),
    (error) => error,
  );
