/** What an answer is kept by: a hash of all that may change it. Two requests that differ in any of it never share one. */
import { createHash } from 'node:crypto';
import type { JsonBody } from '../../api/body.ts';
import type { Incoming } from '../../api/exchange.ts';
import type { Gateway, Setup } from '../../gateway.ts';
import { canonicalJson } from './canonical.ts';

/** All that matters, as plain values. Lists that are sets come sorted. */
export interface KeyParts {
  readonly tenant: string;
  /** Policies may tell projects apart. */
  readonly project: string | null;
  readonly surface: string;
  /** The client's own text, canonical. */
  readonly body: string;
  /** What is asked of the router, from body, headers or name. */
  readonly routing: object;
  /** What the key itself may: one that may not use a model must not get its answer. */
  readonly models: readonly string[] | null;
  readonly bounds: object | null;
  readonly tags: readonly string[];
  readonly policyVersion: number | null;
  /** Names of its rules that apply: the same ones of the same version allow the same places. */
  readonly rules: readonly string[];
  readonly guards: readonly unknown[];
  /** Router in force; null where the client named a model. */
  readonly artifact: string | null;
  /** Hash of what names mean and where they are called. */
  readonly setup: string;
  /** Headers that are handed on to providers. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** 256 bits, in hex. */
export const keyOf = (parts: KeyParts): string =>
  createHash('sha256')
    .update(JSON.stringify(['pointsman response cache 1', ...FIELDS.map((field) => sorted(parts[field]))]))
    .digest('hex');

const FIELDS = [
  'tenant',
  'project',
  'surface',
  'body',
  'routing',
  'models',
  'bounds',
  'tags',
  'policyVersion',
  'rules',
  'guards',
  'artifact',
  'setup',
  'headers',
] as const satisfies (keyof KeyParts)[];

/** What the gateway itself reads is told by {@link KeyParts.routing}, wherever it was said. */
const OWN_MEMBERS: ReadonlySet<string> = new Set(['routing']);
const HEADERS = ['openai-beta', 'anthropic-beta', 'anthropic-version'];

export function partsOf(gateway: Gateway, incoming: Incoming, isAuto: boolean): KeyParts {
  const { request, surface, caller, tags, wishes } = incoming;
  // Whose conversation it is and what a check would compare with change no answer.
  const { session: _, expected: __, tags: ___, models, ...routing } = wishes.routing;
  // As the key was made: what a limit narrows for a while makes new answers cheaper, not old ones wrong.
  const { models: allowed, routing: bounds } = request.caller;
  return {
    tenant: caller.tenant,
    project: caller.project,
    surface,
    body: canonicalJson((request.body as JsonBody).text, OWN_MEMBERS),
    routing: { ...routing, ...(models !== undefined && { models: [...models].sort() }) },
    models: allowed === undefined ? null : [...allowed].sort(),
    bounds: bounds ?? null,
    tags: [...tags].sort(),
    policyVersion: caller.rules.version,
    rules: caller.rules.applied,
    guards: caller.rules.guards,
    artifact: isAuto ? gateway.holder.current.artifactHash : null,
    setup: setupHash(gateway.setup),
    headers: HEADERS.flatMap((name) => {
      const value = request.headers[name];
      return value === undefined ? [] : [[name, String(value)] as const];
    }),
  };
}

const hashes = new WeakMap<Setup, string>();

/** What the configuration makes of a name. Made once for each. */
function setupHash(setup: Setup): string {
  let hash = hashes.get(setup);
  if (hash === undefined) {
    const { aliases, models, fallbacks, retire, policy } = setup.config;
    const providers = [...setup.providers].map(([name, { address, region }]) => [name, address, region ?? null]).sort();
    const candidates = setup.models.candidates.map(({ id }) => id).sort();
    const told = JSON.stringify(sorted({ aliases, models, fallbacks, retire, policy, providers, candidates }));
    hash = createHash('sha256').update(told).digest('hex');
    hashes.set(setup, hash);
  }
  return hash;
}

/** The same value with the members of its objects in order of their names. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
