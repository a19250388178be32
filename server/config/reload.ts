/** What a changed configuration changes at once, and what waits for the next start. */
import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig } from './schema.ts';

/** Bound to what is open by then: the listening socket and its limits, the database, the router that was loaded. */
const AT_START = [
  'host',
  'port',
  'allowPublic',
  'dataDir',
  'databaseUrl',
  'artifact',
  'encoder',
  'spoolLimitMb',
  'bodyLimitMb',
  'auth',
  'telemetry',
  'dashboard',
] as const satisfies (keyof GatewayConfig)[];

const atStart: ReadonlySet<string> = new Set(AT_START);

export interface Reloadable {
  /** Options that take effect at once, e.g. `providers.openai`, `timeouts.idleMs`, `keys`. Names only, never values. */
  readonly applied: string[];
  /** Options that take effect at the next start. */
  readonly needsRestart: string[];
}

/** The options in which two configurations differ, by when they take effect. */
export function reloadable(before: GatewayConfig, after: GatewayConfig): Reloadable {
  const changed = differences({ ...before }, { ...after });
  return {
    applied: changed.filter((name) => !atStart.has(name)),
    needsRestart: changed.filter((name) => atStart.has(name)),
  };
}

/** What is in force after a reload: the new options, but for those that wait for the next start. */
export function inForce(before: GatewayConfig, after: GatewayConfig): GatewayConfig {
  const kept = Object.fromEntries(AT_START.map((name) => [name, before[name]]));
  return { ...after, ...kept };
}

function differences(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    if (isDeepStrictEqual(old, now)) return [];
    if (!isRecord(old) || !isRecord(now)) return [name];
    return [...new Set([...Object.keys(old), ...Object.keys(now)])]
      .filter((part) => !isDeepStrictEqual(old[part], now[part]))
      .map((part) => `${name}.${part}`);
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
