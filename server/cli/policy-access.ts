/** Where `pointsman policy` gets at versions: through the gateway that owns the embedded database, or in the database itself. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import { OPERATOR } from '../callers.ts';
import type { GatewayConfig } from '../config/index.ts';
import { type LockFile, lockOwner } from '../db/lock.ts';
import { openStore } from '../db/store.ts';
import {
  activatePolicy,
  listPolicies,
  NewVersion,
  type PolicyAdminParts,
  type PolicyList,
  pushPolicy,
  showPolicy,
} from '../governance/policies/admin.ts';
import type { PolicyVersion } from '../governance/policies/versions.ts';

/** As it comes over HTTP, too: its moments may be texts. */
export type ToldVersion = {
  readonly [Field in keyof PolicyVersion]: PolicyVersion[Field] extends Date | null
    ? Date | string | null
    : PolicyVersion[Field];
};

export interface PolicyAccess {
  list(): Promise<Pick<PolicyList, 'inForce'> & { readonly versions: readonly ToldVersion[] }>;
  show(version: number): Promise<{ readonly version: ToldVersion; readonly document: unknown }>;
  push(
    text: string,
    comment: string,
  ): Promise<{ readonly version: ToldVersion; readonly examples: number; readonly warnings: readonly string[] }>;
  activate(version: number): Promise<{ readonly version: ToldVersion }>;
  close(): Promise<void>;
}

/** @throws `DATABASE_LOCKED`, `DATABASE_UNAVAILABLE`, `MISSING_FILE` where no gateway has ever kept anything */
export async function policyAccess(config: GatewayConfig): Promise<PolicyAccess> {
  const owner = config.databaseUrl === undefined ? lockOwner(config.dataDir) : null;
  return owner === null ? accessHere(config) : accessOf(owner, config.dataDir);
}

async function accessHere(config: GatewayConfig): Promise<PolicyAccess> {
  const { dataDir, databaseUrl } = config;
  if (databaseUrl === undefined && !existsSync(join(dataDir, 'db'))) {
    throw new RoutingError(
      'MISSING_FILE',
      `${resolve(dataDir)}: no gateway has kept anything there; name the gateway's own folder with --data-dir`,
    );
  }
  const catalog = await readCatalog(config.catalog);
  const store = await openStore(config);
  const parts: PolicyAdminParts = { store, config, catalog };
  const by = { actor: OPERATOR };
  return {
    list: () => listPolicies(parts),
    show: (version) => showPolicy(parts, version),
    push: (text, comment) => pushPolicy(parts, NewVersion.parse({ text, comment }), by),
    activate: (version) => activatePolicy(parts, version, by),
    close: () => store.close(),
  };
}

function accessOf({ pid, url, token }: LockFile, dataDir: string): PolicyAccess {
  if (url === null) {
    throw new RoutingError(
      'DATABASE_LOCKED',
      `process ${pid} has ${dataDir} open and answers no requests; try again when it is done`,
    );
  }
  const ask = async <T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> => {
    const reply = await fetch(`${url}/v1/admin/policies${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((cause) => {
      throw new RoutingError(
        'DATABASE_LOCKED',
        `the gateway at ${url} (process ${pid}) holds ${dataDir} but does not answer`,
        { cause },
      );
    });
    const answer = (await reply.json()) as { error?: { code?: string; message?: string } };
    if (reply.ok) return answer as T;
    throw new RoutingError(
      (answer.error?.code ?? 'INTERNAL') as ErrorCode,
      answer.error?.message ?? `the gateway at ${url} answered ${reply.status}`,
    );
  };
  return {
    list: () => ask('GET', ''),
    show: (version) => ask('GET', `/${version}`),
    push: (text, comment) => ask('POST', '', { text, comment }),
    activate: (version) => ask('POST', `/${version}/activate`),
    close: async () => {},
  };
}
