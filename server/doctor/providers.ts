/** Each provider: on or off and why, and for those that are on, whether their keys get in. */
import { type Environment, type GatewayConfig, variable } from '../config/index.ts';
import type { ProviderSetup } from '../providers/index.ts';
import type { Credential, Provider } from '../providers/provider.ts';
import { type Check, note, off, ok, problem, wordsOf } from './check.ts';
import { type Probed, probe } from './probe.ts';

type Config = Pick<GatewayConfig, 'providers' | 'caFile'>;

export interface ProvidersOptions {
  /** Where keys named by `Credential.from` may lie. */
  readonly env: Environment;
  /** False: nobody is called. */
  readonly online: boolean;
  readonly timeoutMs: number;
  readonly now?: () => number;
}

/** All at once. */
export async function examineProviders(
  config: Config,
  setup: ProviderSetup,
  options: ProvidersOptions,
): Promise<Check[]> {
  const on = [...setup.on.values()].flatMap((provider) =>
    provider.credentials.map((credential) => oneKey(config, provider, credential, options)),
  );
  const checks = (await Promise.all(on)).flat();
  if (setup.on.size === 0) checks.push(note('providers', 'sandbox', 'no provider is on: made-up answers are given'));
  for (const [name, why] of setup.off) {
    const given = Object.hasOwn(config.providers, name) ? config.providers[name] : undefined;
    if (given === undefined || given.enabled === false) checks.push(off('providers', name, why));
    else checks.push(problem('providers', name, 'named in the configuration, but off', `${why}, or take it out`));
  }
  return checks;
}

async function oneKey(
  config: Config,
  provider: Provider,
  credential: Credential,
  { env, online, timeoutMs, now }: ProvidersOptions,
): Promise<Check[]> {
  const { id, tenant } = credential;
  const from = keySource(credential, env);
  const name = `${provider.name}${id === '' ? '' : `#${id}`}`;
  const about = [
    provider.address,
    ...(provider.region === undefined ? [] : [`region ${provider.region}`]),
    from === undefined ? 'without a key of ours' : `key from ${from}`,
    ...(tenant === undefined ? [] : [`for tenant ${tenant} only`]),
  ];
  try {
    const proxy = provider.proxy?.() ?? null;
    if (proxy !== null) about.push(`through the proxy ${proxy}`);
  } catch (error) {
    return [problem('providers', name, `${about.join(', ')}; ${wordsOf(error)}`, 'correct the address of the proxy')];
  }
  if (!online || provider.probe === undefined) return [note('providers', name, `${about.join(', ')}; not called`)];
  const kind = config.providers[provider.name]?.type ?? provider.name;
  const probed = await probe(provider, { kind, credential, timeoutMs, ...(now && { now }) });
  return [
    judged(name, about.join(', '), probed, { provider, from, caFile: config.caFile }),
    ...clock(name, kind, probed),
  ];
}

/** Where a key comes from; undefined where there is none, and `from` only names the variables that would hold one. */
function keySource({ from }: Credential, env: Environment): string | undefined {
  if (from === undefined || from === '') return undefined;
  const names = from.split(' or ');
  const areVariables = names.every((name) => /^[A-Z][A-Z0-9_]*$/.test(name));
  return areVariables && names.every((name) => !variable(env, name)) ? undefined : from;
}

interface Context {
  readonly provider: Provider;
  /** Undefined for a local server, or for credentials of the machine. */
  readonly from: string | undefined;
  readonly caFile: string | undefined;
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/;

function judged(name: string, about: string, probed: Probed, { provider, from, caFile }: Context): Check {
  const { verdict, status, why, ms } = probed;
  const bad = (found: string, mend: string) => problem('providers', name, `${about}; ${found}`, mend);
  switch (verdict) {
    case 'accepted':
      return ok(
        'providers',
        name,
        `${about}; answers in ${Math.round(ms)} ms${from === undefined ? '' : ', key accepted'}`,
      );
    case 'refused':
      return bad(
        `the key is refused (status ${status})`,
        from === undefined
          ? `give ${provider.name} credentials that may call models`
          : `put a valid key into ${from}, with the rights to call models`,
      );
    case 'redirected':
      return bad(
        `answers with a redirect (status ${status}), which is not followed`,
        `check the baseUrl of ${provider.name}`,
      );
    case 'misplaced':
      return bad(
        `answers, but not as this API (status ${status})`,
        `check the baseUrl of ${provider.name}; it mostly ends in /v1`,
      );
    case 'busy':
      return bad(
        `answers with an error (status ${status})`,
        'try again later; if it stays, see the provider’s status page',
      );
    case 'silent':
      return bad(
        `no answer in ${Math.round(ms / 100) / 10} s`,
        'check the network and the firewall, and whether a proxy is needed (HTTPS_PROXY, or proxy in pointsman.yaml)',
      );
    case 'unauthorised':
      return bad(why ?? 'no credentials', `give ${provider.name} credentials: see server/README.md`);
    case 'unreachable': {
      const mend = CERTIFICATE.test(why ?? '')
        ? caFile === undefined
          ? 'if a corporate proxy signs certificates, name its authority as caFile'
          : `see that ${caFile} holds the authority that signed its certificate`
        : `check the baseUrl of ${provider.name}, the network, and whether a proxy is needed (HTTPS_PROXY)`;
      return bad(`cannot be reached (${why})`, mend);
    }
  }
}

/** AWS refuses what is signed more than five minutes off. */
const SIGNED_SECONDS = 300;
const WORTH_TELLING_SECONDS = 60;

function clock(name: string, kind: string, { skewSeconds = 0 }: Probed): Check[] {
  const seconds = Math.abs(skewSeconds);
  if (seconds <= WORTH_TELLING_SECONDS) return [];
  const found = `this machine’s clock is ${seconds} s ${skewSeconds > 0 ? 'behind' : 'ahead of'} the provider’s`;
  if (seconds > SIGNED_SECONDS && /bedrock$/.test(kind)) {
    return [problem('providers', name, `${found}; signatures are refused beyond 300 s`, 'set the clock, by NTP')];
  }
  return [note('providers', name, found)];
}
