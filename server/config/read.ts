/** What the operator may set, from `pointsman.yaml`, the environment and the command line: read and checked once. */
import { existsSync, readFileSync } from 'node:fs';
import type { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import { nearest } from '../nearest.ts';
import { contradictions } from './contradictions.ts';
import { type Environment, expand, FROM_ENVIRONMENT, optionsFrom } from './environment.ts';
import { GatewayConfig } from './schema.ts';
import { optionsAt, schemaAt } from './schema-at.ts';
import { type OptionPath, type Problem, readYamlText, type YamlText } from './yaml-text.ts';

export interface ConfigSources {
  /** Path of the YAML file; default `pointsman.yaml` in the working directory, if there. False: none. */
  readonly file?: string | false | undefined;
  readonly env?: Environment;
  /** From the command line or the calling program. */
  readonly overrides?: {
    readonly [K in keyof z.input<typeof GatewayConfig>]?: z.input<typeof GatewayConfig>[K] | undefined;
  };
}

/** Where the options lie; null: nowhere. `named`: somebody asked for this file, so it must be there. */
export function configFile({ file, env = {} }: ConfigSources): { path: string; named: boolean } | null {
  if (file === false) return null;
  const named = file ?? (env.POINTSMAN_CONFIG || undefined);
  return { path: named ?? 'pointsman.yaml', named: named !== undefined };
}

/** @throws `MISSING_FILE`, `INVALID_CONFIG` naming line, place and what may have been meant, for up to ten mistakes */
export function readConfig(sources: ConfigSources = {}): GatewayConfig {
  const file = configFile(sources);
  if (file === null || (!file.named && !existsSync(file.path))) return parseConfig('', file?.path ?? '', sources);
  return parseConfig(readText(file.path), file.path, sources);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file; give --config an existing one' : `cannot be read (${code})`;
    throw new RoutingError('MISSING_FILE', `${path}: ${why}`, { cause });
  }
}

/**
 * @param text  what the file holds
 * @param path  what messages call it
 * @throws `INVALID_CONFIG`
 */
export function parseConfig(
  text: string,
  path: string,
  { env = {}, overrides = {} }: Pick<ConfigSources, 'env' | 'overrides'>,
): GatewayConfig {
  const yaml = readYamlText(text);
  if (yaml.faults.length > 0) {
    throw refused(yaml.faults.map(({ message, place }) => `${path}:${place.line}:${place.column}: ${message}`));
  }
  const unset: Problem[] = [];
  const fromFile = optionsOf(yaml.value, path, env, unset);
  const fromEnv = optionsFrom(env);
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const parsed = GatewayConfig.safeParse({ ...fromFile, ...fromEnv, ...given }, PLAIN);
  const problems = [...unset, ...(parsed.success ? [] : problemsOf(parsed.error, unset))];
  if (problems.length === 0 && parsed.success) problems.push(...contradictions(parsed.data));
  if (!parsed.success || problems.length > 0) {
    const inFile = (option: string) => option in fromFile && !(option in fromEnv) && !(option in given);
    const variableOf = (option: string) => (option in fromEnv && !(option in given) ? setting(option, fromEnv) : null);
    throw refused(worded(problems, path, yaml, inFile, variableOf));
  }
  // `partial()` fills the policy's defaults in; only what was written may override the artifact's policy.
  const policyKeys = Object.keys({ ...(isRecord(fromFile.policy) ? fromFile.policy : {}), ...overrides.policy });
  const policy = Object.fromEntries(Object.entries(parsed.data.policy).filter(([key]) => policyKeys.includes(key)));
  return { ...parsed.data, policy };
}

const isNumberAt = (path: OptionPath): boolean => schemaAt(GatewayConfig, path)?._zod.def.type === 'number';

function optionsOf(value: unknown, path: string, env: Environment, unset: Problem[]): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  if (!isRecord(value)) throw refused([`${path}: must hold \`option: value\` lines`]);
  const expanded = Object.entries(expand(value, env, unset, isNumberAt) as Record<string, unknown>);
  // `databaseUrl: ${DATABASE_URL:-}` and a heading with nothing under it mean: not set.
  const isSet = (option: unknown) => option !== null && !(typeof option === 'string' && option.trim() === '');
  return Object.fromEntries(expanded.filter(([, option]) => isSet(option)));
}

/** @param unset  what is wrong already: a placeholder that stayed need not fit the schema */
function problemsOf(error: z.ZodError, unset: readonly Problem[]): Problem[] {
  const known = new Set(unset.map(({ path }) => path.join('\n')));
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (known.has(path.join('\n'))) return [];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownOption(path, key));
    return [{ path, message: reasonOf(issue) }];
  });
}

function reasonOf(issue: z.core.$ZodIssue): string {
  // A name that does not fit its rule: the rule says more than zod's "invalid key".
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  return issue.message;
}

function unknownOption(path: OptionPath, key: string): Problem {
  const known = optionsAt(GatewayConfig, path);
  const guess = nearest(key, known);
  const hint = guess === undefined ? `known here: ${known.join(', ')}` : `did you mean ${guess}?`;
  return { path: [...path, key], message: `no such option; ${hint}` };
}

/** A variable and its value as somebody set it, but for a password. */
function setting(option: string, values: Readonly<Record<string, string>>): string {
  const [name] = Object.entries(FROM_ENVIRONMENT).find(([, key]) => key === option)!;
  return option === 'databaseUrl' ? name : `${name}=${values[option]}`;
}

/** Each problem with its place; those of the environment and the command line first, then by line. */
function worded(
  problems: readonly Problem[],
  file: string,
  yaml: YamlText,
  inFile: (option: string) => boolean,
  variableOf: (option: string) => string | null,
): string[] {
  return problems
    .map(({ path, message }) => {
      const option = String(path[0]);
      if (!inFile(option)) return { line: 0, column: 0, text: `${variableOf(option) ?? path.join('.')}: ${message}` };
      const { line, column } = yaml.placeOf(path);
      return { line, column, text: `${file}:${line}:${column}: ${path.join('.')}: ${message}` };
    })
    .sort((a, b) => a.line - b.line || a.column - b.column)
    .map(({ text }) => text);
}

/** More than these help nobody. */
const MOST_PROBLEMS = 10;

function refused(lines: readonly string[]): RoutingError {
  const more = lines.length > MOST_PROBLEMS ? [`… and ${lines.length - MOST_PROBLEMS} more`] : [];
  return new RoutingError('INVALID_CONFIG', [...lines.slice(0, MOST_PROBLEMS), ...more].join('\n'));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
