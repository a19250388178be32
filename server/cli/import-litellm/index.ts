/** LiteLLM's `config.yaml` → `pointsman.yaml`, and what was left behind. */
import { stringify } from 'yaml';
import { hostOf } from './hosts.ts';
import { importModels } from './models.ts';
import { Notes } from './notes.ts';
import { ImportedProviders } from './providers.ts';
import { importSettings } from './settings.ts';
import { type LiteLlmConfig, readLiteLlm } from './source.ts';

export interface Imported {
  /** The text of a `pointsman.yaml`. It holds no secret, whatever the file held. */
  readonly yaml: string;
  /** Environment variables that it reads. */
  readonly variables: readonly string[];
  /** One line each: what was left or changed, and why. */
  readonly left: readonly string[];
}

/**
 * @param text  LiteLLM's file
 * @param path  what messages call it
 * @throws `INVALID_CONFIG` with the line, for what is no configuration of LiteLLM's
 */
export function importLiteLlm(text: string, path: string): Imported {
  const config = readLiteLlm(text, path);
  const notes = new Notes(variablesOf(config));
  const providers = new ImportedProviders(notes);
  const models = importModels(config, providers, notes);
  const settings = importSettings(config, models, notes);
  const lists = [...models.models].map(([id, list]) => [
    id,
    list.map(({ provider, model, weight }) => ({
      provider,
      ...(id.endsWith(`/${model}`) && id.indexOf('/') === id.length - model.length - 1 ? {} : { model }),
      ...(weight === 1 ? {} : { weight }),
    })),
  ]);
  const options = {
    providers: Object.fromEntries(providers.entries),
    models: Object.fromEntries(lists),
    aliases: { ...Object.fromEntries(models.aliases), ...settings.aliases },
    fallbacks: settings.fallbacks,
    keys: settings.keys,
    timeouts: settings.timeouts,
    retry: settings.retry,
    ...settings.others,
  };
  const filled = Object.fromEntries(Object.entries(options).filter(([, value]) => !isEmpty(value)));
  const body = stringify(filled, { lineWidth: 0 });
  const variables = variablesRead(body);
  return { yaml: `${header(path, variables)}\n${body}`, variables, left: notes.lines };
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/** Variables that mean something in LiteLLM's file, so that no secret may be told to go there. */
function variablesOf(config: LiteLlmConfig): Set<string> {
  const named = [...JSON.stringify(config).matchAll(/os\.environ\/(\w+)/g)].map(([, name]) => name!);
  const keyless = config.model_list.filter(({ litellm_params }) => litellm_params.api_key === undefined);
  const byDefault = keyless.flatMap(({ litellm_params }) => hostOf(litellm_params).host?.keyEnv ?? []);
  return new Set([...named, ...byDefault, ...Object.keys(config.environment_variables)]);
}

function variablesRead(body: string): string[] {
  const named = [...body.matchAll(/\$\{(\w+)\}|apiKeyEnv: (\w+)/g)].map(([, a, b]) => a ?? b!);
  return [...new Set(named)].sort();
}

function header(path: string, variables: readonly string[]): string {
  // A file's name could hold a line break.
  const lines = [`# From LiteLLM's ${JSON.stringify(path).slice(1, -1)}, by pointsman import litellm.`];
  if (variables.length > 0) lines.push('# Set in the environment:', ...variables.map((name) => `#   ${name}`));
  lines.push('# Then: pointsman config check');
  return lines.join('\n');
}
