/** Who asks: a client key of the configuration, or everybody where none is set up. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { RoutingError } from '../datasets/index.ts';
import { type ClientKey, SCOPES, type Scope } from './config/index.ts';
import type { Role } from './db/records.ts';
import { NO_RULES, type Rules } from './governance/policies/rules.ts';

export interface Caller {
  /** The key's name, never the key; null where no keys are set up. */
  readonly name: string | null;
  /** Its team. */
  readonly tenant: string;
  /** Id of a key that is kept in the database; null for one of the configuration, for people and for nobody's. */
  readonly keyId: string | null;
  readonly project: string | null;
  readonly role: Role;
  /** What the policy in force says of its requests: every outbound call made for them goes by it. */
  readonly rules: Rules;
  /** Patterns of the models it may use; undefined: all. */
  readonly models?: readonly string[] | undefined;
  /** Bounds that its requests can only narrow. */
  readonly routing?: ClientKey['routing'];
  readonly tags: readonly string[];
  readonly scopes: ReadonlySet<Scope>;
  /** How much its verdicts on answers count, in [0, 1]. */
  readonly feedbackWeight: number;
}

/** Where no keys are set up whoever reaches the gateway is its operator. */
export const ANYBODY: Caller = {
  name: null,
  tenant: 'default',
  keyId: null,
  project: null,
  role: 'admin',
  rules: NO_RULES,
  tags: [],
  scopes: new Set(SCOPES),
  feedbackWeight: 1,
};

export class Callers {
  /** By the SHA-256 of the key: what is compared is a hash, so timing tells nothing of the key. */
  readonly #byHash: ReadonlyMap<string, Caller>;

  constructor(keys: readonly ClientKey[]) {
    this.#byHash = new Map(
      keys.map(({ key, sha256, name, tenant, project, models, routing, tags, scopes, feedbackWeight }) => [
        sha256?.toLowerCase() ?? hash(key ?? ''),
        {
          ...{ name, tenant, keyId: null, project: project ?? null, models, routing, tags, feedbackWeight },
          scopes: new Set(scopes),
          role: roleOf(scopes),
          rules: NO_RULES,
        },
      ]),
    );
  }

  /** How many parties share the providers' keys. */
  get tenants(): number {
    return new Set([...this.#byHash.values()].map(({ tenant }) => tenant)).size;
  }

  /** False where everybody may call. */
  get areAsked(): boolean {
    return this.#byHash.size > 0;
  }

  /** @throws `UNAUTHORIZED` */
  identify(headers: IncomingHttpHeaders): Caller {
    if (!this.areAsked) return ANYBODY;
    const key = keyIn(headers);
    if (key === undefined) {
      throw new RoutingError('UNAUTHORIZED', 'no API key: send authorization: Bearer KEY (or x-api-key: KEY)');
    }
    const caller = this.#byHash.get(hash(key));
    if (caller === undefined) throw new RoutingError('UNAUTHORIZED', 'this API key is not known here');
    return caller;
  }
}

/** A key of the configuration has scopes; its role is the one that they come to. */
function roleOf(scopes: readonly Scope[]): Role {
  if (scopes.includes('admin')) return 'admin';
  if (scopes.includes('manage')) return 'manager';
  return scopes.includes('call') ? 'member' : 'read-only';
}

/** @throws `FORBIDDEN` naming the scope that the key lacks */
export function demand({ scopes }: Caller, ...anyOf: readonly Scope[]): void {
  if (anyOf.some((scope) => scopes.has(scope))) return;
  throw new RoutingError(
    'FORBIDDEN',
    `this key may not do that: it needs the scope ${anyOf.join(' or ')} (keys.scopes of the configuration)`,
  );
}

/** Where OpenAI's, Anthropic's, Azure's and Google's clients put a key. */
function keyIn(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const said = [bearer, headers['x-api-key'], headers['api-key'], headers['x-goog-api-key']];
  return said.find((key): key is string => typeof key === 'string' && key !== '');
}

const hash = (key: string): string => createHash('sha256').update(key).digest('hex');

/** Whether a model is among the patterns; `*` stands for anything. */
export function isAmong(model: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    if (!pattern.includes('*')) return pattern === model;
    // Piece by piece, not by a regular expression made of what somebody wrote.
    const pieces = pattern.split('*');
    if (!model.startsWith(pieces[0]!) || !model.endsWith(pieces.at(-1)!)) return false;
    let at = pieces[0]!.length;
    for (const piece of pieces.slice(1, -1)) {
      const found = model.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return at <= model.length - pieces.at(-1)!.length;
  });
}
