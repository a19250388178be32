/** The providers of an imported configuration: one for each host, address and key that LiteLLM's models name. */
import { type Host, hostOf } from './hosts.ts';
import type { Notes } from './notes.ts';
import { type Params, type ProviderEntry, providerEntry } from './provider-entry.ts';
import { variableIn } from './source.ts';

/** Where a deployment is called. */
export interface Place {
  /** Name of the provider here. */
  readonly provider: string;
  /** What it is: `openai` also where the provider is called `openai-2`. */
  readonly kind: string;
  readonly model: string;
}

/** What people write where a server asks for no key. */
const NO_KEY = /^(none|null|empty|dummy|fake([-_]?key)?|not[-_ ]?needed|anything|n\/?a|-|x+)$/i;

export class ImportedProviders {
  readonly entries = new Map<string, ProviderEntry>();
  readonly #names = new Map<string, string>();
  readonly #notes: Notes;

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  /**
   * The provider of a deployment, made where there is none like it; null where there can be none.
   * @param params  `litellm_params`, with its credentials put in
   * @param at      where it stands, for people
   */
  placeOf(params: Params, at: string): Place | null {
    const { provider, host: found, model } = hostOf(params);
    if (found === undefined) {
      const way = 'if it speaks the OpenAI protocol, name it under providers by its baseUrl';
      this.#notes.leave(at, `no provider ${provider} here; ${way}`);
      return null;
    }
    if (found.kind === 'google-vertex' && !/^((anthropic|google)\/)?(claude|gemini)/.test(model)) {
      this.#notes.leave(at, 'of Vertex AI only Gemini and Claude can be called');
      return null;
    }
    const host = isElsewhere(found, params) ? { kind: null } : found;
    const entry = providerEntry(host, params, at, this.#notes);
    if (entry === null) return null;
    const wanted = host.kind ?? host.name ?? nameFrom(entry.baseUrl!);
    const name = this.#named(wanted, host, entry, params.api_key, at);
    return { provider: name, kind: host.kind ?? name, model };
  }

  /** The name of a provider that is called alike with the same key, or of a new one. */
  #named(wanted: string, host: Host, entry: ProviderEntry, key: unknown, at: string): string {
    // The key is compared as it stands in the file, and never leaves here; none is the one LiteLLM would look for.
    const byDefault = host.keyEnv === undefined ? null : `os.environ/${host.keyEnv}`;
    const identity = JSON.stringify([host.kind, entry, key ?? byDefault]);
    const known = this.#names.get(identity);
    if (known !== undefined) return known;
    let name = wanted;
    for (let i = 2; this.entries.has(name); i++) name = `${wanted}-${i}`;
    const apiKeyEnv = this.#keyVariable(name, host, key, `${at}.api_key`);
    this.entries.set(name, {
      ...(host.kind !== null && name !== host.kind ? { type: host.kind } : {}),
      ...entry,
      ...(apiKeyEnv === undefined ? {} : { apiKeyEnv }),
    });
    this.#names.set(identity, name);
    return name;
  }

  #keyVariable(name: string, host: Host, key: unknown, at: string): string | undefined {
    const variable = variableIn(key);
    if (variable !== undefined) return variable;
    if (typeof key !== 'string' || key.trim() === '') return host.keyEnv;
    if (NO_KEY.test(key.trim())) return undefined;
    return this.#notes.variableFor(key.trim(), `${name}_API_KEY`, at);
  }
}

/** The prefix `openai/` with an address is how LiteLLM names any OpenAI-compatible host. */
function isElsewhere({ kind }: Host, { api_base, base_url }: Params): boolean {
  const base = String(api_base ?? base_url ?? '');
  return kind === 'openai' && base !== '' && !/^https:\/\/([\w-]+\.)?api\.openai\.com(\/|$)/.test(base);
}

/** A provider's name from its address: `http://vllm.internal:8000/v1` → `vllm-internal-8000`. */
function nameFrom(address: string): string {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const name = host
    .replace(/^(localhost|\d+\.\d+\.\d+\.\d+)(?=:|$)/, 'local')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return name === '' || name === 'sandbox' ? 'own-host' : name;
}
