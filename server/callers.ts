/** Who asks: a key of the configuration or of the database, the operator, a person, or everybody where nobody is asked for a key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { RoutingError } from '../datasets/index.ts';
import { type ClientKey, SCOPES, type Scope } from './config/index.ts';
import type { Role } from './db/records.ts';
import { NO_RULES, type Rules } from './governance/policies/rules.ts';

/** `operator`: the command line, by the token of the lock file or on the database itself; `gateway`: it acts by itself. */
export type CallerKind = 'key' | 'person' | 'anybody' | 'operator' | 'gateway';

export interface Caller {
  readonly kind: CallerKind;
  /** The key's name, never the key; null where no keys are set up. */
  readonly name: string | null;
  /** A person’s, at the identity provider: names are not theirs alone. */
  readonly subject?: string | undefined;
  /** Its team. */
  readonly tenant: string;
  /** Id of a key that is kept in the database; null for one of the configuration, for people and for nobody's. */
  readonly keyId: string | null;
  /**
   * Id of the first key of its rotation chain: stays through rotation and renaming, so that nothing counted for the key
   * begins anew with either. Absent where `keyId` is null: those go by their name.
   */
  readonly firstKeyId?: string | undefined;
  readonly project: string | null;
  readonly role: Role;
  /** A person whose `usage` and `manage` are not bound to a team. */
  readonly everyTeam?: boolean | undefined;
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
  kind: 'anybody',
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

/** The key of `POINTSMAN_ADMIN_KEY`. */
export const ADMIN_KEY = { ...ANYBODY, kind: 'key', name: 'admin' } as const satisfies Caller;

/** Who may read the data folder, or write to the database. */
export const OPERATOR: Caller = { ...ANYBODY, kind: 'operator', name: 'operator' };

/** What the gateway does by itself, for the audit log. */
export const GATEWAY: Caller = { ...ANYBODY, kind: 'gateway', name: 'gateway' };

/** Keys beside those of the configuration (`governance/access/key-ring.ts`). */
export interface MoreKeys {
  /** None was ever made. */
  readonly isEmpty: boolean;
  /** Teams that have a key. */
  readonly tenants: ReadonlySet<string>;
  /** @throws `UNAUTHORIZED` for one that is past */
  find(key: string): Caller | null;
}

const NO_MORE: MoreKeys = { isEmpty: true, tenants: new Set(), find: () => null };

export interface CallersOptions {
  readonly more?: MoreKeys | undefined;
  /** `POINTSMAN_ADMIN_KEY`: an admin's key beside those of the configuration. */
  readonly adminKey?: string | undefined;
  /** When a key is asked for; default `if-any`. */
  readonly asking?: 'always' | 'if-any' | 'never' | undefined;
}

export interface Known {
  readonly digest: Buffer;
  readonly caller: Caller;
}

export class Callers {
  /** By the SHA-256 of the key: what is compared is a hash, so timing tells nothing of the key. */
  readonly #byHash: ReadonlyMap<string, Known>;
  readonly #more: MoreKeys;
  readonly #asking: CallersOptions['asking'];

  constructor(keys: readonly ClientKey[], { more = NO_MORE, adminKey, asking = 'if-any' }: CallersOptions = {}) {
    const known = keys.map(
      ({ key, sha256, name, tenant, project, models, routing, tags, scopes, feedbackWeight }): Known => ({
        digest: sha256 === undefined ? hash(key ?? '') : Buffer.from(sha256, 'hex'),
        caller: {
          ...{
            kind: 'key',
            name,
            tenant,
            keyId: null,
            project: project ?? null,
            models,
            routing,
            tags,
            feedbackWeight,
          },
          scopes: new Set(scopes),
          role: roleOf(scopes),
          rules: NO_RULES,
        },
      }),
    );
    if (adminKey !== undefined) {
      known.push({ digest: hash(adminKey), caller: ADMIN_KEY });
    }
    this.#byHash = new Map(known.map((one) => [one.digest.toString('hex'), one]));
    this.#more = more;
    this.#asking = asking;
  }

  /** How many parties share the providers' keys. */
  get tenants(): number {
    const tenants = new Set(this.#more.tenants);
    for (const { caller } of this.#byHash.values()) tenants.add(caller.tenant);
    return tenants.size;
  }

  /** Keys that are not of the database, by what is kept of them. */
  get configured(): Iterable<Known> {
    return this.#byHash.values();
  }

  /** False where everybody may call. */
  get areAsked(): boolean {
    if (this.#asking === 'never') return false;
    return this.#asking === 'always' || this.#byHash.size > 0 || !this.#more.isEmpty;
  }

  /** @throws `UNAUTHORIZED` */
  identify(headers: IncomingHttpHeaders): Caller {
    if (!this.areAsked) return ANYBODY;
    const key = keyIn(headers);
    if (key === undefined) {
      throw new RoutingError('UNAUTHORIZED', 'no API key: send authorization: Bearer KEY (or x-api-key: KEY)');
    }
    return this.find(key);
  }

  /** Whose key it is. @throws `UNAUTHORIZED` */
  find(key: string): Caller {
    const caller = this.#configured(key) ?? this.#more.find(key);
    if (caller === null) throw new RoutingError('UNAUTHORIZED', 'this API key is not known here');
    return caller;
  }

  #configured(key: string): Caller | null {
    if (this.#byHash.size === 0) return null;
    const digest = hash(key);
    const known = this.#byHash.get(digest.toString('hex'));
    return known !== undefined && timingSafeEqual(known.digest, digest) ? known.caller : null;
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
  throw new RoutingError('FORBIDDEN', `this key may not do that: it needs the scope ${anyOf.join(' or ')}`);
}

/** Where OpenAI's, Anthropic's, Azure's and Google's clients put a key. */
export function keyIn(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const said = [bearer, headers['x-api-key'], headers['api-key'], headers['x-goog-api-key']];
  return said.find((key): key is string => typeof key === 'string' && key !== '');
}

const hash = (key: string): Buffer => createHash('sha256').update(key).digest();

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
