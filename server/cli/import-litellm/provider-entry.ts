/** `litellm_params` → an entry of `providers`: where it is called, and what for people to do about what does not fit. */
import type { Host } from './hosts.ts';
import type { Notes } from './notes.ts';
import { textOf, variableIn } from './source.ts';

/** As it will stand in `pointsman.yaml`; its key is added later. */
export interface ProviderEntry {
  type?: string;
  baseUrl?: string;
  resource?: string;
  apiVersion?: string;
  region?: string;
  project?: string;
  profile?: string;
  apiKeyEnv?: string;
  headers?: Record<string, string>;
}

export type Params = Readonly<Record<string, unknown>>;

/** Credentials that the clouds' own libraries find without a configuration. */
const FOUND_BY_ITSELF: Readonly<Record<string, string>> = {
  aws_access_key_id: 'AWS_ACCESS_KEY_ID',
  aws_secret_access_key: 'AWS_SECRET_ACCESS_KEY',
  aws_session_token: 'AWS_SESSION_TOKEN',
  vertex_credentials: 'GOOGLE_APPLICATION_CREDENTIALS',
};

/** Options that are read for the provider, the deployment's weight or its name; the others are left. */
const READ = new Set([
  ...['model', 'api_key', 'api_base', 'base_url', 'api_version', 'custom_llm_provider', 'litellm_credential_name'],
  ...['aws_region_name', 'aws_profile_name', 'aws_bedrock_runtime_endpoint', 'vertex_project', 'vertex_location'],
  ...['region_name', 'organization', 'extra_headers', 'headers', 'weight', 'rpm', 'tpm', 'order'],
  ...Object.keys(FOUND_BY_ITSELF),
]);

const ADDRESSES = ['api_base', 'base_url', 'aws_bedrock_runtime_endpoint'] as const;

/** An address, or a variable that holds one. */
const isAddress = (text: string): boolean =>
  /^\$\{\w+\}$/.test(text) || (/^https?:\/\//.test(text) && URL.canParse(text));

/**
 * @param host  with `kind` null for an OpenAI-compatible host that is known by its address alone
 * @param at    where the deployment stands, for people
 * @returns null where the file does not say where it is called, which is noted
 */
export function providerEntry(host: Host, params: Params, at: string, notes: Notes): ProviderEntry | null {
  for (const option of ADDRESSES) {
    const address = textOf(params[option]);
    if (address === undefined || isAddress(address)) continue;
    notes.leave(`${at}.${option}`, 'no http:// or https:// address, so the file does not say where it is called');
    return null;
  }
  const entry = addressed(host, params, at, notes);
  if (entry === null) return null;
  for (const [option, variable] of Object.entries(FOUND_BY_ITSELF)) {
    if (params[option] !== undefined && variableIn(params[option]) !== variable) {
      notes.leave(`${at}.${option}`, `not copied; set ${variable}, where the cloud’s own library looks for it`);
    }
  }
  for (const option of Object.keys(params)) if (!READ.has(option)) notes.leave(`${at}.${option}`, whyNot(option));
  const headers = headersOf(host, params, at, notes);
  return Object.keys(headers).length > 0 ? { ...entry, headers } : entry;
}

function addressed(host: Host, params: Params, at: string, notes: Notes): ProviderEntry | null {
  const base = textOf(params.api_base) ?? textOf(params.base_url);
  const address = (text: string) => safeAddress(text, `${at}.api_base`, notes);
  switch (host.kind) {
    case null: {
      const baseUrl = base ?? host.baseUrl;
      if (baseUrl !== undefined) return { baseUrl: address(baseUrl) };
      notes.leave(at, 'no api_base: the file does not say where it is called');
      return null;
    }
    case 'azure': {
      const version = textOf(params.api_version);
      const dated = version === undefined || /^(v1|latest|preview)$/.test(version) ? {} : { apiVersion: version };
      const resource = /^https:\/\/([\w-]+)\.openai\.azure\.com(\/|$)/.exec(base ?? '')?.[1];
      if (resource !== undefined) return { resource, ...dated };
      const where = base === undefined ? `\${AZURE_API_BASE}` : address(base);
      if (where.startsWith('$'))
        notes.leave(`${at}.api_base`, `its variable must hold an address without / at the end`);
      // LiteLLM's address ends before /openai, ours after it.
      return { baseUrl: `${where.replace(/\/openai(\/.*)?$/, '')}/openai`, ...dated };
    }
    case 'amazon-bedrock': {
      const endpoint = textOf(params.aws_bedrock_runtime_endpoint) ?? base;
      return given({
        region: textOf(params.aws_region_name) ?? textOf(params.region_name),
        profile: textOf(params.aws_profile_name),
        baseUrl: endpoint === undefined ? undefined : address(endpoint),
      });
    }
    case 'google-vertex':
      if (base !== undefined) notes.leave(`${at}.api_base`, 'the address follows from project and region');
      return given({
        project: textOf(params.vertex_project),
        region: textOf(params.vertex_location) ?? textOf(params.region_name),
      });
    default: {
      if (base === undefined) return {};
      const moved = address(base);
      // LiteLLM adds the version to the address of these two; ours has it.
      const lacksVersion = (host.kind === 'anthropic' || host.kind === 'ollama') && !/\/v\d+$/.test(moved);
      return { baseUrl: lacksVersion ? `${moved}/v1` : moved };
    }
  }
}

const given = (entry: { [K in keyof ProviderEntry]: ProviderEntry[K] | undefined }): ProviderEntry =>
  Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));

/** An address without what may be a secret in it: user, password, query. */
function safeAddress(text: string, at: string, notes: Notes): string {
  const bare = text.replace(/[?#].*$/, '').replace(/^(https?:\/\/)[^/@]*@/, '$1');
  if (bare !== text) notes.leave(at, 'only scheme, host and path were copied; what else stood there could be a secret');
  return bare.replace(/\/+$/, '');
}

function headersOf(host: Host, params: Params, at: string, notes: Notes): Record<string, string> {
  const headers: Record<string, string> = {};
  if (params.organization !== undefined) {
    const organization = textOf(params.organization);
    if (organization !== undefined && host.kind === 'openai') headers['OpenAI-Organization'] = organization;
    else notes.leave(`${at}.organization`, 'understood as one text, for openai');
  }
  for (const option of ['extra_headers', 'headers'] as const) {
    const named = params[option];
    if (named === undefined || named === null) continue;
    if (typeof named !== 'object') notes.leave(`${at}.${option}`, 'must be names and values');
    for (const [name, value] of Object.entries(named as object)) {
      const text = textOf(value);
      if (text === undefined) continue;
      const isSecret = /auth|key|token|secret|cookie|pass/i.test(name) && variableIn(value) === undefined;
      headers[name] = isSecret ? `\${${notes.variableFor(text, `HEADER_${name}`, `${at}.${option}.${name}`)}}` : text;
    }
  }
  return headers;
}

/** Why an option of a deployment has no counterpart. */
function whyNot(option: string): string {
  if (/cost_per|^ptu_/.test(option)) return 'prices belong in a catalog (catalog: FILE)';
  if (/budget|_limit$|max_parallel|^[io]tpm$/.test(option)) return 'there are no limits by deployment';
  if (/timeout|retries/.test(option)) return 'set for all models together: timeouts, retry';
  if (/^aws_|^vertex_|^azure_|^tenant_id$|^client_/.test(option)) {
    return 'signing in like this is left to the cloud’s own environment or profile';
  }
  if (/guardrail|callback|cache|tags|mock|prompt|drop|merge|configurable/.test(option)) return 'no counterpart';
  return 'defaults for requests have no counterpart; clients send it themselves';
}
