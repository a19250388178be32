/** What `pointsman policy` asks of a gateway, or of its database, about versions: the endpoints of `/v1/admin/policies`. */
import type { PolicyList } from '../governance/policies/admin.ts';
import type { PolicyVersion } from '../governance/policies/versions.ts';
import { type AdminAccess, type AdminOptions, withAccess } from './admin-access.ts';

/** As it comes over HTTP: its moments are texts. */
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
}

/** @throws what the endpoints answer, by the same codes */
export const withPolicies = (options: AdminOptions, work: (access: PolicyAccess) => Promise<void>): Promise<void> =>
  withAccess(options, (access) => work(policiesOf(access)));

function policiesOf({ call }: AdminAccess): PolicyAccess {
  const path = '/v1/admin/policies';
  return {
    list: () => call('GET', path),
    show: (version) => call('GET', `${path}/${version}`),
    push: (text, comment) => call('POST', path, { text, comment }),
    activate: (version) => call('POST', `${path}/${version}/activate`),
  };
}
