/** Which providers are on: by a key in the environment, or by `pointsman.yaml`. */
import type { SecureContext } from 'node:tls';
import { RoutingError } from '../../datasets/index.ts';
import { type Environment, type GatewayConfig, type ProviderConfig, variable } from '../config/index.ts';
import { alibaba } from './alibaba.ts';
import { anthropic } from './anthropic.ts';
import { azure } from './azure.ts';
import { bedrock } from './bedrock.ts';
import { cerebras } from './cerebras.ts';
import { cohere } from './cohere.ts';
import { deepseek } from './deepseek.ts';
import { fireworks } from './fireworks.ts';
import { google } from './google.ts';
import { groq } from './groq.ts';
import { httpProvider, type KeyInHand } from './http-provider.ts';
import type { ProviderKind } from './kind.ts';
import { lmstudio } from './lmstudio.ts';
import { minimax } from './minimax.ts';
import { mistral } from './mistral.ts';
import { moonshotai } from './moonshotai.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';
import { openAiCompatibleKind } from './openai-compatible.ts';
import { openrouter } from './openrouter.ts';
import type { Provider } from './provider.ts';
import { together } from './together.ts';
import { Transport, trusting } from './transport.ts';
import { vertex } from './vertex.ts';
import { xai } from './xai.ts';
import { zai } from './zai.ts';

export type { Credential, Provider, ProviderCall, ProviderReply, RawCall } from './provider.ts';
export { sandbox } from './sandbox.ts';

const ALL = [
  openai,
  anthropic,
  google,
  openrouter,
  groq,
  together,
  fireworks,
  deepseek,
  mistral,
  xai,
  moonshotai,
  cerebras,
  zai,
  alibaba,
  minimax,
  cohere,
  azure,
  bedrock,
  vertex,
  ollama,
  lmstudio,
];

/** Known hosts by name. A map, since names come from clients: `constructor` is no host. */
export const KINDS: ReadonlyMap<string, ProviderKind> = new Map(ALL.map((kind) => [kind.name, kind]));

/** Shorter names for `type`. */
const TYPES: ReadonlyMap<string, ProviderKind> = new Map([...KINDS, ['bedrock', bedrock], ['vertex', vertex]]);

export type Providers = ReadonlyMap<string, Provider>;

export interface ProviderSetup {
  /** Ready to be called, by name. */
  readonly on: Providers;
  /** The others, and what would switch them on. */
  readonly off: ReadonlyMap<string, string>;
}

/** Keys that are kept in the database, opened. */
export interface StoredKey {
  readonly provider: string;
  readonly name: string;
  readonly tenant: string | null;
  readonly weight: number;
  readonly apiKey: string;
}

type Config = Pick<GatewayConfig, 'providers' | 'timeouts'> & Partial<Pick<GatewayConfig, 'caFile'>>;

/** @throws `INVALID_CONFIG` */
export function providersFrom(config: Config, env: Environment, stored: readonly StoredKey[] = []): ProviderSetup {
  const on = new Map<string, Provider>();
  const off = new Map<string, string>();
  const secureContext = config.caFile === undefined ? undefined : trusting(config.caFile, env);
  for (const name of new Set([...KINDS.keys(), ...Object.keys(config.providers), ...stored.map((k) => k.provider)])) {
    const given = Object.hasOwn(config.providers, name) ? config.providers[name] : undefined;
    const found = setUp(
      name,
      given,
      env,
      config,
      stored.filter(({ provider }) => provider === name),
      secureContext,
    );
    if (typeof found === 'string') off.set(name, found);
    else on.set(name, found);
  }
  return { on, off };
}

function kindOf(name: string, type: string | undefined): ProviderKind {
  if (type === undefined) return KINDS.get(name) ?? openAiCompatibleKind(name);
  if (type === 'openai-compatible') return openAiCompatibleKind(name);
  const kind = TYPES.get(type);
  if (kind !== undefined) return kind;
  throw new RoutingError(
    'INVALID_CONFIG',
    `providers.${name}.type: ${type} is none of ${['openai-compatible', ...TYPES.keys()].join(', ')}`,
  );
}

/** Where a model of a provider computes, as far as anybody has said; whether or not the provider is on. */
export function regionOfKind(
  name: string,
  settings: ProviderConfig | undefined,
  env: Environment,
  model: string,
): string | null {
  const { regionOf, movable } = kindOf(name, settings?.type);
  if (regionOf === undefined) return settings?.region ?? null;
  const movedTo =
    (movable !== false && variable(env, `${name.toUpperCase().replaceAll('-', '_')}_BASE_URL`)) || undefined;
  const baseUrl = settings?.baseUrl ?? movedTo;
  return regionOf(model, { ...settings, ...(baseUrl !== undefined && { baseUrl }) }, env) ?? null;
}

/** The provider, or why it is off. */
function setUp(
  name: string,
  given: ProviderConfig | undefined,
  env: Environment,
  config: Config,
  stored: readonly StoredKey[],
  secureContext: SecureContext | undefined,
): Provider | string {
  if (given?.enabled === false) return 'enabled: false in the configuration';
  const kind = kindOf(name, given?.type);
  const prefix = name.toUpperCase().replaceAll('-', '_');
  const movedTo = (kind.movable !== false && variable(env, `${prefix}_BASE_URL`)) || undefined;
  const standard = typeof kind.baseUrl === 'string' ? kind.baseUrl : kind.baseUrl(given ?? {}, env);
  const baseUrl = given?.baseUrl ?? movedTo ?? standard;
  const found = keysOf(name, kind, given, env, stored);
  if (found.some(({ key }) => key !== undefined && /[^\x21-\x7e]/.test(key))) {
    throw new RoutingError('INVALID_CONFIG', `key of ${name}: holds a space or a character that no header may carry`);
  }
  const keyNames = given?.apiKeyEnv !== undefined ? [given.apiKeyEnv] : kind.keys;
  if (found.length === 0 && !needsNoKey(kind, given, env, movedTo)) {
    if (kind.local && !given) return `set ${prefix}_BASE_URL`;
    if (given?.apiKey !== undefined) return 'its apiKey is empty';
    return `set ${keyNames.join(' or ')}${kind.needs === undefined ? '' : `, and ${kind.needs}`}`;
  }
  if (baseUrl === undefined) {
    // Switched on by a key alone it is simply not complete; written down it is a mistake.
    if (given === undefined) return `set ${kind.needs}`;
    throw new RoutingError(
      'INVALID_CONFIG',
      `providers.${name}.${kind.needs ?? 'baseUrl'}: needed${KINDS.has(name) ? '' : `, ${name} is no host known here`}`,
    );
  }
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new RoutingError('INVALID_CONFIG', `${prefix}_BASE_URL: ${baseUrl} is no http(s) URL`);
  }
  const keys = found.length > 0 ? found : [{ id: '', weight: 1, key: undefined, from: keyNames.join(' or ') }];
  const transport = new Transport({ connectMs: config.timeouts.connectMs, proxy: given?.proxy, secureContext, env });
  return httpProvider(kind, {
    name,
    baseUrl: kind.address?.(baseUrl) ?? baseUrl,
    keys,
    settings: given,
    env,
    transport,
  });
}

function needsNoKey(
  kind: ProviderKind,
  given: ProviderConfig | undefined,
  env: Environment,
  movedTo: string | undefined,
): boolean {
  if (given?.apiKey !== undefined || given?.apiKeyEnv !== undefined || given?.keys !== undefined) return false;
  if (kind.keyless?.(given ?? {}, env)) return true;
  // Local servers need no key: an address that somebody wrote down is enough.
  return given?.baseUrl !== undefined || movedTo !== undefined || (kind.local === true && given !== undefined);
}

/** Every key there is for a provider: those written down, else the one of the environment, and those in the database. */
function keysOf(
  name: string,
  kind: ProviderKind,
  given: ProviderConfig | undefined,
  env: Environment,
  stored: readonly StoredKey[],
): KeyInHand[] {
  const kept = stored.map(({ name: id, tenant, weight, apiKey: key }) => ({
    id,
    weight,
    key,
    from: `the stored key ${id}`,
    ...(tenant !== null && { tenant }),
  }));
  if (given?.keys !== undefined) {
    const listed = given.keys.flatMap((one, i): KeyInHand[] => {
      const key = one.apiKey || (one.apiKeyEnv && variable(env, one.apiKeyEnv)) || undefined;
      if (key === undefined) return [];
      const from = one.apiKey ? `providers.${name}.keys.${i} in the configuration` : one.apiKeyEnv;
      return [
        { id: one.name ?? String(i + 1), weight: one.weight, key, from, ...(one.tenant && { tenant: one.tenant }) },
      ];
    });
    return [...listed, ...kept];
  }
  const names = given?.apiKeyEnv !== undefined ? [given.apiKeyEnv] : kind.keys;
  const keyName = names.find((each) => variable(env, each));
  const key = given?.apiKey || (keyName && variable(env, keyName)) || undefined;
  if (key === undefined) return kept;
  const from = given?.apiKey ? `providers.${name}.apiKey in the configuration` : keyName;
  return [{ id: '', weight: 1, key, from }, ...kept];
}
