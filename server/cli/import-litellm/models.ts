/** LiteLLM's model groups → ids with their deployments, and aliases for the names that clients use. */
import { KNOWN_PROVIDERS } from '../../config/known-providers.ts';
import { hostOf } from './hosts.ts';
import type { Notes } from './notes.ts';
import type { ImportedProviders, Place } from './providers.ts';
import { type LiteLlmConfig, type LiteLlmModel, textOf } from './source.ts';

export interface Deployment {
  readonly provider: string;
  readonly model: string;
  readonly weight: number;
}

interface Member extends Place {
  readonly entry: LiteLlmModel;
  readonly at: string;
}

export interface ImportedModels {
  /** Only those whose deployments are not what their id says. */
  readonly models: ReadonlyMap<string, readonly Deployment[]>;
  /** `model_name` → id, where they differ. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Every `model_name` that can be called. */
  readonly names: ReadonlySet<string>;
}

export function importModels(config: LiteLlmConfig, providers: ImportedProviders, notes: Notes): ImportedModels {
  const groups = new Map<string, Member[]>();
  for (const [i, entry] of config.model_list.entries()) {
    const at = `model_list[${i}] (${entry.model_name})`;
    const params = withCredentials(entry.litellm_params, config, at, notes);
    leaveInfo(entry, at, notes);
    if (isWildcard(entry)) {
      importWildcard(entry, params, providers, at, notes);
      continue;
    }
    if (/^(pointsman\/)?auto(:|$)|^router-/.test(entry.model_name)) {
      notes.leave(at, 'this name always asks for a routed answer here; give it another');
      continue;
    }
    const place = providers.placeOf(params, at);
    if (place !== null)
      groups.set(entry.model_name, [...(groups.get(entry.model_name) ?? []), { ...place, entry, at }]);
  }
  const lists = new Map<string, readonly Deployment[]>();
  const aliases = new Map<string, string>();
  for (const [name, members] of groups) {
    const list = deploymentsOf(members, notes);
    const id = idsFor(name, members).find((candidate) => !lists.has(candidate) || same(lists.get(candidate)!, list))!;
    lists.set(id, list);
    if (id !== name) aliases.set(name, id);
  }
  const models = new Map([...lists].filter(([id, list]) => !saysItself(id, list)));
  return { models, aliases, names: new Set(groups.keys()) };
}

function withCredentials(
  params: Readonly<Record<string, unknown>>,
  { credential_list }: LiteLlmConfig,
  at: string,
  notes: Notes,
): Record<string, unknown> {
  const name = params.litellm_credential_name;
  if (name === undefined) return params;
  const found = credential_list.find(({ credential_name }) => credential_name === name);
  if (found === undefined) notes.leave(`${at}.litellm_credential_name`, 'no such entry in credential_list');
  return { ...found?.credential_values, ...params };
}

/** What `model_info` may say without being left: it describes, or is read here. */
const DESCRIPTION = new Set(['id', 'mode', 'base_model', 'description', 'version', 'db_model', 'metadata']);

function leaveInfo({ model_info, ...entry }: LiteLlmModel, at: string, notes: Notes): void {
  for (const option of Object.keys(model_info)) {
    if (DESCRIPTION.has(option) || /^supports_/.test(option)) continue;
    const why = /cost|tokens/.test(option) ? 'prices and limits belong in a catalog (catalog: FILE)' : 'no counterpart';
    notes.leave(`${at}.model_info.${option}`, why);
  }
  for (const option of Object.keys(entry)) {
    if (!['model_name', 'litellm_params', 'rpm', 'tpm'].includes(option))
      notes.leave(`${at}.${option}`, 'no counterpart');
  }
}

const isWildcard = ({ model_name, litellm_params }: LiteLlmModel): boolean =>
  model_name.includes('*') || litellm_params.model.includes('*');

/** `openai/*`: here every model of a provider can be called by its id. */
function importWildcard(
  { model_name, litellm_params }: LiteLlmModel,
  params: Readonly<Record<string, unknown>>,
  providers: ImportedProviders,
  at: string,
  notes: Notes,
): void {
  if (litellm_params.model === '*') {
    notes.leave(at, 'not needed: a provider is on when its key is set, and each of its models is PROVIDER/MODEL');
    return;
  }
  const place = providers.placeOf(params, at);
  if (place === null) return;
  const isPlain = place.model === '*' && (model_name === '*' || model_name === `${place.provider}/*`);
  const way = isPlain ? 'not needed' : 'names with * cannot be rewritten';
  notes.leave(at, `${way}: each model of ${place.provider} is ${place.provider}/MODEL`);
}

/** Ids for a group, the best first: that of the model itself, whose price and quality are known. */
function idsFor(name: string, members: readonly Member[]): string[] {
  const slash = name.indexOf('/');
  const prefix = name.slice(0, Math.max(slash, 0));
  // A name like an id is one: it cannot be an alias.
  if (KNOWN_PROVIDERS.has(prefix) || members.some(({ provider }) => provider === prefix)) return [name];
  const first = members[0]!;
  const ids = [
    ...members.flatMap(({ entry }) => baseId(entry)),
    ...members.map(({ kind, model }) => `${kind}/${model}`),
    ...members.map(({ provider, model }) => `${provider}/${model}`),
  ];
  const own = `${first.provider}/${name.replace(/\s+/g, '-')}`;
  // The last is its own whatever the others are: names of groups differ.
  return [...ids, own, `${own}-as-${first.provider}`].filter((id) => /^[^/\s]+\/\S+$/.test(id));
}

/** `base_model` says what an Azure deployment really is: `azure/gpt-4o` is OpenAI's. */
function baseId({ model_info, litellm_params }: LiteLlmModel): string[] {
  const base = textOf(model_info.base_model) ?? textOf(litellm_params.base_model);
  if (base === undefined) return [];
  const { host, model } = hostOf({ model: base });
  if (host === undefined || host.kind === null) return [];
  return [`${host.kind === 'azure' ? 'openai' : host.kind}/${model}`];
}

/** A deployment that LiteLLM uses only when the others fail is drawn this rarely here. */
const SPARE = 0.001;

function deploymentsOf(members: readonly Member[], notes: Notes): Deployment[] {
  const orders = members.map(({ entry }) => numberOf(entry.litellm_params.order) ?? 0);
  const first = Math.min(...orders);
  const measure = (['weight', 'rpm', 'tpm'] as const).find((option) =>
    members.some(({ entry }) => measured(entry, option) !== undefined),
  );
  const list: Deployment[] = [];
  for (const [i, { entry, provider, model, at }] of members.entries()) {
    let weight = measure === undefined ? 1 : (measured(entry, measure) ?? 0);
    if (orders[i]! > first) {
      notes.leave(`${at}.order`, `deployments are drawn by weight and health; it is drawn rarely (weight ${SPARE})`);
      weight = SPARE;
    } else if (weight <= 0) {
      notes.leave(`${at}.${measure}`, `none or 0 beside others; it is drawn rarely (weight ${SPARE})`);
      weight = SPARE;
    }
    if (measure !== 'weight' && (measured(entry, 'rpm') ?? measured(entry, 'tpm')) !== undefined) {
      notes.leave('rpm, tpm', 'taken for weights between deployments of one model; they are no limits here');
    }
    const twin = list.findIndex((other) => other.provider === provider && other.model === model);
    if (twin < 0) list.push({ provider, model, weight });
    else list[twin] = { provider, model, weight: list[twin]!.weight + weight };
  }
  // Shares are what counts: one deployment, or several alike, need no weight.
  return list.every(({ weight }) => weight === list[0]!.weight) ? list.map((d) => ({ ...d, weight: 1 })) : list;
}

const measured = ({ litellm_params, ...entry }: LiteLlmModel, option: string): number | undefined =>
  numberOf(litellm_params[option]) ?? numberOf((entry as Record<string, unknown>)[option]);

const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

const same = (a: readonly Deployment[], b: readonly Deployment[]): boolean => JSON.stringify(a) === JSON.stringify(b);

const saysItself = (id: string, list: readonly Deployment[]): boolean =>
  list.length === 1 && id === `${list[0]!.provider}/${list[0]!.model}`;
