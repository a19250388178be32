/** Versions of the policy, seen, added and put in force: the same for the API and for the command line. */
import { z } from 'zod';
import type { Catalog } from '../../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../../datasets/index.ts';
import type { SqlStore } from '../../db/store.ts';
import { LONGEST_DOCUMENT, type PolicyDocument, readPolicy, readPolicyText } from './document.ts';
import { failuresOf, runExamples } from './examples.ts';
import { knownTo } from './known.ts';
import type { InForce, PolicyWorld } from './policies.ts';
import { suspectsIn } from './suspects.ts';
import {
  activateVersion,
  activeVersion,
  addVersion,
  documentOf,
  findVersion,
  listVersions,
  type PolicyVersion,
  type Writing,
} from './versions.ts';

/** What a new version is made of: the document itself, or its YAML text. */
export const NewVersion = z
  .strictObject({
    document: z.unknown().optional(),
    text: z.string().max(LONGEST_DOCUMENT).optional(),
    comment: z.string().max(1000).default(''),
  })
  .refine(({ document, text }) => (document === undefined) !== (text === undefined), {
    path: ['document'],
    message: 'send the policy as document, or its YAML as text',
  });
export type NewVersion = z.infer<typeof NewVersion>;

export interface PolicyAdminParts {
  readonly store: SqlStore;
  readonly config: PolicyWorld['config'];
  readonly catalog: Catalog;
}

export interface PolicyList {
  /** `file`: that of the configuration, and no version below it. */
  readonly inForce: Pick<InForce, 'source' | 'version' | 'path'>;
  /** Newest first. */
  readonly versions: readonly PolicyVersion[];
}

/** @throws `DATABASE_UNAVAILABLE` */
export async function listPolicies({ store, config }: PolicyAdminParts, own?: InForce): Promise<PolicyList> {
  const [versions, active] = await Promise.all([listVersions(store), activeVersion(store)]);
  const inForce = own ?? inForceBy(config, active?.version ?? null);
  return { inForce: { source: inForce.source, version: inForce.version, path: inForce.path }, versions };
}

function inForceBy({ policies: { file } }: PolicyWorld['config'], active: number | null): PolicyList['inForce'] {
  if (file !== undefined) return { source: 'file', version: null, path: file };
  return { source: active === null ? 'none' : 'database', version: active, path: null };
}

/** @throws `NOT_FOUND`, `DATABASE_UNAVAILABLE` */
export async function showPolicy({ store }: PolicyAdminParts, version: number) {
  const { document, ...rest } = await findVersion(store, version);
  return { version: rest, document };
}

/**
 * Adds a version, which is not in force yet; its examples must come out as they say.
 * @throws `INVALID_REQUEST`, `DATABASE_UNAVAILABLE`
 */
export async function pushPolicy(parts: PolicyAdminParts, { document: given, text, comment }: NewVersion, by: Writing) {
  const { document, problems } = text === undefined ? readPolicy(given) : readPolicyText(text, 'text');
  if (document === null) throw new RoutingError('INVALID_REQUEST', problems.join('\n'));
  await mustPass(parts, document);
  const known = knownTo(parts.config, parts.catalog);
  const version = await addVersion(parts.store, document, { ...by, comment });
  return { version, examples: document.examples.length, warnings: suspectsIn(document, known) };
}

/**
 * Puts a version in force on every replica; its examples must come out as they say with the configuration of today.
 * @throws `NOT_FOUND`, `INVALID_REQUEST`, `CONFLICT` where a file is in force, `DATABASE_UNAVAILABLE`
 */
export async function activatePolicy(parts: PolicyAdminParts, version: number, by: Writing) {
  const { file } = parts.config.policies;
  if (file !== undefined) {
    throw new RoutingError(
      'CONFLICT',
      `${file} is in force (policies.file of the configuration), and no version would be; take that out first`,
    );
  }
  await mustPass(parts, await documentOf(parts.store, version));
  return { version: await activateVersion(parts.store, version, by) };
}

/** @throws `INVALID_REQUEST` naming the examples that do not come out as they say */
export async function mustPass(
  { config, catalog }: Pick<PolicyAdminParts, 'config' | 'catalog'>,
  document: PolicyDocument,
): Promise<void> {
  const failures = failuresOf(await runExamples(document, knownTo(config, catalog)));
  if (failures.length === 0) return;
  throw new RoutingError('INVALID_REQUEST', `document: examples do not come out as they say: ${failures.join('; ')}`);
}
