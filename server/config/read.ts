/** What the operator may set, from `pointsman.yaml`, the environment and the command line: read and checked once. */
import { existsSync, readFileSync } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import type { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { Knobs, Target } from '../../router/policy/policy.ts';
import { nearest } from '../nearest.ts';
import { GatewayConfig, ProviderConfig, Timeouts } from './schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable of the environment by whatever name somebody wrote: `constructor` is none. */
export const variable = (env: Environment, name: string): string | undefined =>
  Object.hasOwn(env, name) ? env[name] : undefined;

/** Environment variables that set an option; they win over the file, the command line over both. */
const FROM_ENVIRONMENT = {
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

export interface ConfigSources {
  /** Path of the YAML file; default `pointsman.yaml` in the working directory, if there. False: none. */
  readonly file?: string | false | undefined;
  readonly env?: Environment;
  /** From the command line or the calling program. */
  readonly overrides?: {
    readonly [K in keyof z.input<typeof GatewayConfig>]?: z.input<typeof GatewayConfig>[K] | undefined;
  };
}

/** @throws `MISSING_FILE`, `INVALID_CONFIG` naming the place, and the option it may have meant */
export function readConfig({ file, env = {}, overrides = {} }: ConfigSources = {}): GatewayConfig {
  const named = file === false ? undefined : (file ?? (env.POINTSMAN_CONFIG || undefined));
  const path = named ?? 'pointsman.yaml';
  const fromFile = file === false ? {} : readYaml(path, named !== undefined, env);
  const fromEnv: Record<string, unknown> = {};
  for (const [name, key] of Object.entries(FROM_ENVIRONMENT)) {
    const value = variable(env, name);
    // Set to nothing is not set.
    if (value !== undefined && value.trim() !== '') fromEnv[key] = value;
  }
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const parsed = GatewayConfig.safeParse({ ...fromFile, ...fromEnv, ...given });
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const fromVariable = Object.entries(FROM_ENVIRONMENT).find(
      ([, key]) => key === issue.path[0] && key in fromEnv && !(key in given),
    );
    throw invalid(issue, path, fromVariable && setting(...fromVariable, fromEnv));
  }
  const config = parsed.data;
  // `partial()` fills the policy's defaults in; only what was written may override the artifact's policy.
  const policyKeys = Object.keys({ ...(isRecord(fromFile.policy) ? fromFile.policy : {}), ...overrides.policy });
  const policy = Object.fromEntries(Object.entries(config.policy).filter(([key]) => policyKeys.includes(key)));
  return { ...config, policy };
}

/** @throws `INVALID_CONFIG` when strangers could reach a gateway that asks nobody for a key */
export function refusePublicHost(config: Pick<GatewayConfig, 'host' | 'allowPublic'>): void {
  if (!config.allowPublic && !isLoopback(config.host)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `host ${config.host}: the gateway does not authenticate its callers yet, so it listens on this machine only. ` +
        'Use 127.0.0.1 (is HOST set in your shell?), or set POINTSMAN_ALLOW_PUBLIC=1 (allowPublic: true) ' +
        'if something in front of it keeps strangers out.',
    );
  }
}

/** A name or address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || name.endsWith('.localhost') || /^127(\.\d{1,3}){3}$/.test(name);
}

function readYaml(path: string, explicit: boolean, env: Environment): Record<string, unknown> {
  if (!existsSync(path)) {
    if (explicit) throw new RoutingError('MISSING_FILE', `${path}: no such file; give --config an existing one`);
    return {};
  }
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const where = cause instanceof YAMLParseError ? cause.message.split('\n')[0] : String(cause);
    throw new RoutingError('INVALID_CONFIG', `${path}: ${where}`, { cause });
  }
  if (value === null || value === undefined) return {};
  if (!isRecord(value)) throw new RoutingError('INVALID_CONFIG', `${path}: must hold \`option: value\` lines`);
  const expanded = Object.entries(expand(value, env, path, []) as Record<string, unknown>);
  // `databaseUrl: ${DATABASE_URL:-}` and a heading with nothing under it mean: not set.
  const isSet = (option: unknown) => option !== null && !(typeof option === 'string' && option.trim() === '');
  return Object.fromEntries(expanded.filter(([, option]) => isSet(option)));
}

/** Replaces `${NAME}` and `${NAME:-default}` in every text. */
function expand(value: unknown, env: Environment, file: string, path: readonly string[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (_, name: string, fallback: string | undefined) => {
      const found = variable(env, name) || fallback;
      if (found === undefined) {
        throw new RoutingError(
          'INVALID_CONFIG',
          `${file}: ${path.join('.')}: environment variable ${name} is not set; set it, or write \${${name}:-} for empty`,
        );
      }
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((item, i) => expand(item, env, file, [...path, String(i)]));
  if (value === null && path[0] === 'providers' && path.length === 2) return {};
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, env, file, [...path, key])]));
}

/** A variable and its value as somebody set it, but for a password. */
const setting = (name: string, key: string, values: Readonly<Record<string, unknown>>): string =>
  key === 'databaseUrl' ? name : `${name}=${values[key]}`;

/** @param setIn  the environment variable that holds the option at fault, if one does */
function invalid(issue: z.core.$ZodIssue, file: string, setIn: string | undefined): RoutingError {
  const path = issue.path.join('.');
  // A name that does not fit its rule: the rule says more than zod's "invalid key".
  const reason = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  if (issue.code !== 'unrecognized_keys') {
    return new RoutingError(
      'INVALID_CONFIG',
      setIn !== undefined
        ? `${setIn}: ${reason}`
        : `${path || file}: ${reason} (options come from ${file}, the environment, the command line)`,
    );
  }
  const key = issue.keys[0]!;
  const known = knownKeys(issue.path.map(String));
  const guess = nearest(key, known);
  const hint = guess === undefined ? `known here: ${known.join(', ')}` : `did you mean ${guess}?`;
  return new RoutingError('INVALID_CONFIG', `${[...issue.path, key].join('.')}: no such option; ${hint}`);
}

function knownKeys(path: readonly string[]): string[] {
  if (path[0] === 'policy' && path[1] === 'target') return Object.keys(Target.shape);
  if (path[0] === 'policy') return Object.keys(Knobs.shape);
  if (path[0] === 'timeouts') return Object.keys(Timeouts.shape);
  if (path[0] === 'providers') return Object.keys(ProviderConfig.shape);
  return Object.keys(GatewayConfig.shape);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
