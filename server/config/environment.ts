/** Environment variables: those that set an option, and `${NAME}` inside the file. */
import type { OptionPath, Problem } from './yaml-text.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable of the environment by whatever name somebody wrote: `constructor` is none. */
export const variable = (env: Environment, name: string): string | undefined =>
  Object.hasOwn(env, name) ? env[name] : undefined;

/** Environment variables that set an option; they win over the file, the command line over both. */
export const FROM_ENVIRONMENT = {
  HOST: 'host',
  PORT: 'port',
  POINTSMAN_ALLOW_PUBLIC: 'allowPublic',
  DATABASE_URL: 'databaseUrl',
  POINTSMAN_DATA_DIR: 'dataDir',
  POINTSMAN_CATALOG: 'catalog',
  POINTSMAN_ARTIFACT: 'artifact',
  POINTSMAN_ENCODER: 'encoder',
  POINTSMAN_BASELINE: 'baseline',
  POINTSMAN_LOG_LEVEL: 'logLevel',
} as const;

/** Options by name, from the variables that are set; set to nothing is not set. */
export function optionsFrom(env: Environment): Record<string, string> {
  const options: Record<string, string> = {};
  for (const [name, option] of Object.entries(FROM_ENVIRONMENT)) {
    const value = variable(env, name);
    if (value !== undefined && value.trim() !== '') options[option] = value;
  }
  return options;
}

/** `${NAME}` or `${NAME:-default}`. */
const PLACEHOLDER = /\$\{(\w+)(?::-([^}]*))?\}/g;

/**
 * Replaces the placeholders in every text of a value.
 * @param problems  gets one entry for each variable that is not set; its placeholder stays
 * @param isNumber  whether a number belongs at a path: variables hold text alone
 */
export function expand(
  value: unknown,
  env: Environment,
  problems: Problem[],
  isNumber: (path: OptionPath) => boolean,
  path: OptionPath = [],
): unknown {
  if (typeof value === 'string') {
    const text = value.replace(PLACEHOLDER, (placeholder, name: string, byDefault: string | undefined) => {
      const found = variable(env, name) || byDefault;
      if (found !== undefined) return found;
      const message = `environment variable ${name} is not set; set it, or write \${${name}:-} for empty`;
      problems.push({ path, message });
      return placeholder;
    });
    return text !== value && /^-?\d+(\.\d+)?$/.test(text) && isNumber(path) ? Number(text) : text;
  }
  const inside = (item: unknown, step: string | number) => expand(item, env, problems, isNumber, [...path, step]);
  if (Array.isArray(value)) return value.map(inside);
  // `openai:` with nothing under it names a provider.
  if (value === null && path[0] === 'providers' && path.length === 2) return {};
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inside(item, key)]));
}
