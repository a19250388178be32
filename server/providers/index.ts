/** Which providers are on: by a key in the environment, or by `pointsman.yaml`. */
import { RoutingError } from '../../datasets/index.ts';
import { type Environment, type GatewayConfig, type ProviderConfig, variable } from '../config/index.ts';
import { openAiCompatible } from './openai-compatible.ts';
import { PRESETS } from './presets.ts';
import type { Provider } from './provider.ts';

export { openAiCompatible } from './openai-compatible.ts';
export type { Provider, ProviderCall, ProviderReply } from './provider.ts';
export { sandbox } from './sandbox.ts';

export type Providers = ReadonlyMap<string, Provider>;

export interface ProviderSetup {
  /** Ready to be called, by name. */
  readonly on: Providers;
  /** The others, and what would switch them on. */
  readonly off: ReadonlyMap<string, string>;
}

export function providersFrom(config: Pick<GatewayConfig, 'providers' | 'timeouts'>, env: Environment): ProviderSetup {
  const on = new Map<string, Provider>();
  const off = new Map<string, string>();
  for (const name of new Set([...PRESETS.keys(), ...Object.keys(config.providers)])) {
    const given = Object.hasOwn(config.providers, name) ? config.providers[name] : undefined;
    const found = setUp(name, given, env, config.timeouts.connectMs);
    if (typeof found === 'string') off.set(name, found);
    else on.set(name, found);
  }
  return { on, off };
}

/** The provider, or why it is off. */
function setUp(
  name: string,
  given: ProviderConfig | undefined,
  env: Environment,
  connectMs: number,
): Provider | string {
  if (given?.enabled === false) return 'enabled: false in the configuration';
  const preset = PRESETS.get(name);
  const prefix = name.toUpperCase().replaceAll('-', '_');
  const movedTo = (preset?.movable !== false && variable(env, `${prefix}_BASE_URL`)) || undefined;
  const baseUrl = given?.baseUrl ?? movedTo ?? preset?.baseUrl;
  if (baseUrl === undefined) {
    throw new RoutingError('INVALID_CONFIG', `providers.${name}.baseUrl: needed, ${name} is no host known here`);
  }
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new RoutingError('INVALID_CONFIG', `${prefix}_BASE_URL: ${baseUrl} is no http(s) URL`);
  }
  const keyNames = given?.apiKeyEnv !== undefined ? [given.apiKeyEnv] : (preset?.keys ?? [`${prefix}_API_KEY`]);
  const keyName = keyNames.find((key) => variable(env, key));
  const apiKey = given?.apiKey || (keyName && variable(env, keyName)) || undefined;
  const keyFrom = given?.apiKey ? `providers.${name}.apiKey in the configuration` : (keyName ?? keyNames.join(' or '));
  // Local servers need no key: an address that somebody wrote down is enough.
  const asksForKey = given?.apiKey !== undefined || given?.apiKeyEnv !== undefined;
  const keyless = !asksForKey && (given?.baseUrl !== undefined || movedTo !== undefined || (preset?.local && given));
  if (apiKey === undefined && !keyless) {
    if (preset?.local && !given) return `set ${prefix}_BASE_URL`;
    return given?.apiKey !== undefined ? 'its apiKey is empty' : `set ${keyNames.join(' or ')}`;
  }
  if (apiKey !== undefined && /[^\x21-\x7e]/.test(apiKey)) {
    throw new RoutingError('INVALID_CONFIG', `key of ${name}: holds a space or a character that no header may carry`);
  }
  return openAiCompatible({ ...preset, name, baseUrl, apiKey, keyFrom, headers: given?.headers, connectMs });
}
