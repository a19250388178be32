/** Asks a host for a batch that the gateway has made for somebody, by the rules that hold for whoever that was. */
import { GATEWAY } from '../../../callers.ts';
import { isObject } from '../../../forward/usage.ts';
import { accountOf } from '../../../held-objects.ts';
import { credentialsFor } from '../../../models.ts';
import type { Providers } from '../../../providers/index.ts';
import { holderPlace } from '../../policies/place.ts';
import type { Policies } from '../../policies/policies.ts';
import type { Reserved } from './rows.ts';

/** What is needed of the gateway. */
export interface BatchHosts {
  readonly providers: Providers;
  readonly policies: Pick<Policies, 'govern'>;
}

const PATIENCE_MS = 15_000;
const MOST_BYTES = 4 * 1024 * 1024;

/** Never rejects. @returns null where it may not be asked, is not there any more, or says nothing that can be read */
export async function askHost(
  { providers, policies }: BatchHosts,
  reserved: Reserved,
  path: string,
  stopped: AbortSignal,
) {
  const { tenant, provider: name, deployment, caller } = reserved;
  const provider = providers.get(name);
  if (provider?.raw === undefined) return null;
  const credential = credentialsFor(provider, tenant).find((one) => accountOf(provider, one) === deployment);
  if (credential === undefined) return null;
  const asker = { ...GATEWAY, tenant, name: caller.name, keyId: caller.keyId, project: caller.project };
  const { rules } = policies.govern({
    caller: { ...asker, tags: caller.ownTags },
    tags: caller.tags,
    surface: 'batches',
  });
  if (!rules.allows(holderPlace(provider))) return null;
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), stopped]);
    const reply = await provider.raw({ method: 'GET', path, headers: {}, credential, signal });
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of reply.body) {
      pieces.push(piece);
      bytes += piece.byteLength;
      if (bytes > MOST_BYTES) return null;
    }
    const json: unknown = reply.status === 200 ? JSON.parse(Buffer.concat(pieces).toString('utf8')) : null;
    return isObject(json) ? json : null;
  } catch {
    return null;
  }
}
