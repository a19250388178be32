/** LiteLLM's settings → aliases of groups, fall-backs, waits, tries and keys; the rest is left with a reason. */
import type { ImportedModels } from './models.ts';
import type { Notes } from './notes.ts';
import { type LiteLlmConfig, textOf, variableIn } from './source.ts';

type Options = Readonly<Record<string, unknown>>;

export interface ImportedSettings {
  /** Over those of the models. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly fallbacks: Readonly<Record<string, readonly string[]>>;
  readonly keys: readonly { readonly name: string; readonly key: string }[];
  readonly timeouts: Readonly<Record<string, number>>;
  readonly retry: Readonly<Record<string, number>>;
  /** `pingMs`, `caFile`. */
  readonly others: Readonly<Record<string, unknown>>;
}

/** What has no counterpart, by the option's name; what is not here is said to have none. */
const REASONS: Readonly<Record<string, string>> = {
  context_window_fallbacks: 'auto goes to a model that fits by itself; a named model says context_length_exceeded',
  content_policy_fallbacks: 'a refusal is an answer; nothing is sent to another model for it',
  allowed_fails: 'a model that keeps failing is left out for a while by itself',
  cooldown_time: 'a model that keeps failing is left out for a while by itself',
  enable_pre_call_checks: 'always: what does not fit a model’s context is not sent to it',
  redis_host: 'replicas share what they know through the database (databaseUrl)',
  redis_port: 'replicas share what they know through the database (databaseUrl)',
  redis_password: 'replicas share what they know through the database (databaseUrl)',
  redis_url: 'replicas share what they know through the database (databaseUrl)',
  drop_params: 'auto sends each model what it understands; a named model gets what the client sent',
  cache: 'answers are cached where a policy says so: pointsman policy example',
  cache_params: 'answers are cached where a policy says so: pointsman policy example',
  database_url:
    'LiteLLM’s own tables; give the gateway a database of its own (databaseUrl). Virtual keys in it stay there',
  store_model_in_db: 'models that were added in its UI are not in the file',
  success_callback: 'what happened is in the database; nothing is sent elsewhere',
  failure_callback: 'what happened is in the database; nothing is sent elsewhere',
  callbacks: 'what happened is in the database; nothing is sent elsewhere',
  set_verbose: 'logLevel: debug',
  master_key: 'understood as a text',
};

export function importSettings(config: LiteLlmConfig, imported: ImportedModels, notes: Notes): ImportedSettings {
  const { router_settings, litellm_settings, general_settings } = config;
  // In LiteLLM, too, the router's own settings win.
  const both: Options = { ...litellm_settings, ...router_settings };
  const read = new Set<string>();
  const take = (option: string): unknown => {
    read.add(option);
    return both[option] ?? undefined;
  };
  const aliases = groupAliases(take('model_group_alias'), imported, notes);
  const known = { ...Object.fromEntries(imported.aliases), ...aliases };
  const fallbacks = importFallbacks(take('fallbacks'), take('default_fallbacks'), known, imported.names, notes);
  const seconds = (option: string) => millisecondsOf(take(option), option, notes);
  const [timeout, requestTimeout] = [seconds('timeout'), seconds('request_timeout')];
  const [firstToken, stream] = [seconds('ttft_timeout'), seconds('stream_timeout')];
  const answerMs = timeout ?? requestTimeout;
  const firstByteMs = firstToken ?? stream;
  const idleMs = seconds('stream_idle_timeout');
  const firstPauseMs = seconds('retry_after');
  const pingMs = seconds('keepalive_seconds');
  const retries = take('num_retries');
  const caFile = take('ssl_verify');
  if (caFile === false) notes.leave('ssl_verify', 'certificates are always checked; name your authorities as caFile');
  const strategy = take('routing_strategy');
  if (strategy !== undefined && strategy !== 'simple-shuffle') {
    notes.leave('routing_strategy', 'deployments are drawn by weight and health; between models, auto decides');
  }
  for (const [section, options] of Object.entries({ router_settings, litellm_settings })) {
    for (const option of Object.keys(options)) if (!read.has(option)) leave(`${section}.${option}`, option, notes);
  }
  const keys = clientKeys(general_settings, notes);
  for (const option of Object.keys(general_settings)) {
    if (option !== 'master_key') leave(`general_settings.${option}`, option, notes);
  }
  for (const name of Object.keys(config.environment_variables)) {
    notes.leave(`environment_variables.${name}`, 'not copied; set it where the gateway is started');
  }
  for (const section of Object.keys(config)) {
    if (!SECTIONS.has(section))
      notes.leave(section, section === 'include' ? 'import those files, too' : 'no counterpart');
  }
  return {
    aliases,
    fallbacks,
    keys,
    timeouts: given({ firstByteMs, answerMs, idleMs, totalMs: longer(answerMs) }),
    retry: given({
      retries: typeof retries === 'number' ? Math.min(10, Math.max(0, Math.round(retries))) : undefined,
      firstPauseMs,
      longestPauseMs: firstPauseMs !== undefined && firstPauseMs > 10_000 ? firstPauseMs : undefined,
    }),
    others: given({ pingMs, caFile: typeof caFile === 'string' ? textOf(caFile) : undefined }),
  };
}

const SECTIONS = new Set([
  ...['model_list', 'router_settings', 'litellm_settings', 'general_settings', 'environment_variables'],
  'credential_list',
]);

function leave(at: string, option: string, notes: Notes): void {
  notes.leave(at, Object.hasOwn(REASONS, option) ? REASONS[option]! : 'no counterpart');
}

/** Ten minutes for all attempts together are too few where one may take longer. */
const longer = (answerMs: number | undefined): number | undefined =>
  answerMs !== undefined && answerMs > 600_000 ? answerMs : undefined;

/** Longest wait that can be set: a day. */
const LONGEST_MS = 86_400_000;

function millisecondsOf(value: unknown, option: string, notes: Notes): number | undefined {
  if (value === undefined) return undefined;
  const ms = typeof value === 'number' ? Math.round(value * 1000) : Number.NaN;
  if (ms >= 1 && ms <= LONGEST_MS) return ms;
  // No pause before a retry is what it says in many files: there is always a short one here.
  if (ms !== 0) notes.leave(option, 'must be a number of seconds, up to a day');
  return undefined;
}

const given = <T>(options: Readonly<Record<string, T | undefined>>): Record<string, T> =>
  Object.fromEntries(Object.entries(options).filter((option): option is [string, T] => option[1] !== undefined));

/** `{alias: group}` or `{alias: {model: group, hidden}}`. */
function groupAliases(value: unknown, { names }: ImportedModels, notes: Notes): Record<string, string> {
  const found: Record<string, string> = {};
  if (value === undefined) return found;
  if (!isRecord(value)) notes.leave('model_group_alias', 'must be names and groups');
  for (const [alias, target] of Object.entries(isRecord(value) ? value : {})) {
    const group = isRecord(target) ? target.model : target;
    const at = `model_group_alias.${alias}`;
    if (typeof group !== 'string' || !names.has(group)) notes.leave(at, 'its group is not here');
    else if (names.has(alias)) notes.leave(at, 'a model has that name, and keeps it');
    else if (/^(pointsman\/)?auto(:|$)|^router-/.test(alias))
      notes.leave(at, 'this name always asks for a routed answer here');
    else found[alias] = group;
    if (isRecord(target) && target.hidden === true) notes.leave(`${at}.hidden`, 'aliases are always listed');
  }
  return found;
}

/** `[{group: [group, …]}, …]`; only a name that is an alias may be answered by another model. */
function importFallbacks(
  value: unknown,
  byDefault: unknown,
  aliases: Readonly<Record<string, string>>,
  names: ReadonlySet<string>,
  notes: Notes,
): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const targetsOf = (from: string, to: unknown, at: string): string[] =>
    (Array.isArray(to) ? to : [to]).flatMap((target) => {
      if (typeof target === 'string' && (names.has(target) || Object.hasOwn(aliases, target))) {
        return target === from ? [] : [target];
      }
      notes.leave(
        at,
        typeof target === 'string' ? `${target} is no model here` : 'only names of models are understood',
      );
      return [];
    });
  const add = (from: string, to: unknown, at: string): void => {
    if (!Object.hasOwn(aliases, from)) {
      const why = names.has(from)
        ? 'a concrete id is never answered by another model; give it an alias'
        : 'no such model here';
      notes.leave(at, why);
      return;
    }
    const targets = targetsOf(from, to, at);
    if (targets.length > 0) found[from] = [...new Set([...(found[from] ?? []), ...targets])];
  };
  let forAll = byDefault;
  for (const entry of Array.isArray(value) ? value : []) {
    for (const [from, to] of Object.entries(isRecord(entry) ? entry : {})) {
      if (from === '*') forAll = to;
      else add(from, to, `fallbacks.${from}`);
    }
  }
  if (forAll === undefined) return found;
  for (const from of names) {
    if (Object.hasOwn(aliases, from) && !Object.hasOwn(found, from)) add(from, forAll, 'default_fallbacks');
  }
  return found;
}

/** The master key may do everything; here it is a key like any other. */
function clientKeys({ master_key }: Options, notes: Notes): { name: string; key: string }[] {
  if (master_key === undefined || master_key === null) {
    notes.leave('general_settings', 'no master_key: without keys everybody who reaches the gateway may call it');
    return [];
  }
  const at = 'general_settings.master_key';
  const named = variableIn(master_key);
  if (named === undefined && typeof master_key !== 'string') {
    notes.leave(at, REASONS.master_key!);
    return [];
  }
  const variable = named ?? notes.variableFor(String(master_key), 'LITELLM_MASTER_KEY', at);
  notes.leave(at, `may call models, not administer; ${variable} must hold 16 characters or more`);
  return [{ name: 'master', key: `\${${variable}}` }];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
