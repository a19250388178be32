/**
 * Sign-in by an identity provider (OpenID Connect): authorization code with PKCE, state and nonce. What is begun is kept
 * in a signed cookie of ten minutes, so that any replica can complete it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type * as OpenId from 'openid-client';
import { Agent, EnvHttpProxyAgent, fetch } from 'undici';
import { z } from 'zod';
import { RoutingError } from '../../../datasets/index.ts';
import { isLoopback } from '../../config/listen.ts';
import type { Role } from '../../db/records.ts';
import type { OidcConfig } from './config.ts';
import { ROLES } from './roles.ts';
import { TakenOnce } from './taken-once.ts';
import type { Visitor } from './web-sessions.ts';

export interface OidcOptions {
  /** Asked each time: options change while the gateway runs. */
  readonly config: () => OidcConfig;
  /** The client's secret, by the name of its variable; undefined: a public client. */
  readonly secretOf: (variable: string) => string | undefined;
  /** What the cookie is signed with if there is no client secret; without either a replica completes only what it began. */
  readonly secret?: string | undefined;
  /** Whom to trust beyond what Node does. */
  readonly secureContext?: () => SecureContext | undefined;
  /** Default: the clock of this machine. */
  readonly now?: () => number;
}

/** Where the browser goes, and what it has to bring back. */
export interface Begun {
  readonly url: string;
  readonly cookie: string;
}

export const BEGUN_COOKIE = 'pointsman_sign_in';
export const BEGUN_SECONDS = 600;
const CALL_SECONDS = 10;
const CLOCKS_APART_SECONDS = 30;
/** A provider's keys and endpoints change seldom; keys are fetched again by themselves when one is unknown. */
const METADATA_MS = 600_000;
const MOST_USED = 10_000;

/** Loaded when somebody signs in: most gateways never need it. */
const library = (): Promise<typeof OpenId> => import('openid-client');

const BegunState = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  /** The team that was asked for. */
  team: z.string().nullable(),
  /** Seconds since 1970. */
  until: z.number(),
});
type BegunState = z.infer<typeof BegunState>;

interface Known {
  readonly of: string;
  readonly at: number;
  readonly client: Promise<OpenId.Configuration>;
}

export class Oidc {
  readonly #options: OidcOptions;
  readonly #now: () => number;
  readonly #ownSecret = randomBytes(32).toString('base64');
  /** States that were completed here: none is taken twice while its cookie would do. */
  readonly #used = new TakenOnce(MOST_USED);
  #known: Known | undefined;

  constructor(options: OidcOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get isOn(): boolean {
    const { issuer, clientId, publicUrl } = this.#options.config();
    return issuer !== undefined && clientId !== undefined && publicUrl !== undefined;
  }

  /** @param team the team to sign in for, for people of several @throws `NOT_FOUND` where it is off; `UPSTREAM_ERROR` */
  async begin(team: string | null = null): Promise<Begun> {
    const oidc = await library();
    const client = await this.#client();
    const begun: BegunState = {
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      verifier: oidc.randomPKCECodeVerifier(),
      team,
      until: Math.floor(this.#now() / 1000) + BEGUN_SECONDS,
    };
    const url = oidc.buildAuthorizationUrl(client, {
      redirect_uri: this.#callbackUrl,
      scope: this.#options.config().scopes.join(' '),
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(begun.verifier),
      code_challenge_method: 'S256',
    });
    return { url: url.href, cookie: this.#seal(begun) };
  }

  /**
   * @param search the query that the provider sent the browser back with, `?` included
   * @param cookie what {@link begin} gave, if the browser has it
   * @throws `INVALID_REQUEST` for what was not begun here, or is repeated; `UNAUTHORIZED` for an answer of the provider
   *   that does not hold; `FORBIDDEN` for a person who may not come in; `UPSTREAM_ERROR` where it cannot be asked
   */
  async complete(search: string, cookie: string | undefined): Promise<Visitor> {
    const begun = this.#unseal(cookie);
    const params = new URLSearchParams(search);
    if (
      begun === null ||
      !same(params.get('state') ?? '', begun.state) ||
      !this.#used.take(begun.state, begun.until, this.#now() / 1000)
    ) {
      throw new RoutingError(
        'INVALID_REQUEST',
        'this sign-in was not begun by this browser, was completed before, or took longer than ten minutes: begin again',
      );
    }
    const oidc = await library();
    const client = await this.#client();
    const { groups, groupsClaim } = this.#options.config();
    let claims: Record<string, unknown>;
    try {
      const tokens = await oidc.authorizationCodeGrant(client, new URL(`${this.#callbackUrl}${search}`), {
        expectedState: begun.state,
        expectedNonce: begun.nonce,
        pkceCodeVerifier: begun.verifier,
        idTokenExpected: true,
      });
      claims = { ...tokens.claims() };
      // Some providers tell groups only when asked for what they know of the person.
      if (claimIn(claims, groupsClaim) === undefined && client.serverMetadata().userinfo_endpoint !== undefined) {
        claims = { ...(await oidc.fetchUserInfo(client, tokens.access_token, String(claims.sub))), ...claims };
      }
    } catch (error) {
      throw refusalOf(error, oidc);
    }
    const name = [claims.name, claims.preferred_username, claims.email, claims.sub].find(isText)!;
    const standing = standingOf(textsIn(claimIn(claims, groupsClaim)), groups, begun.team);
    if (standing === null) {
      throw new RoutingError(
        'FORBIDDEN',
        begun.team === null
          ? `${name.slice(0, 200)} is in no group that may come in here: ask whoever runs this gateway (oidc.groups)`
          : `${name.slice(0, 200)} is in no group of that team: ask whoever runs this gateway (oidc.groups)`,
      );
    }
    return { subject: String(claims.sub), name: name.slice(0, 200), ...standing, keyId: null };
  }

  get #callbackUrl(): string {
    return `${this.#options.config().publicUrl?.replace(/\/+$/, '')}/auth/callback`;
  }

  async #client(): Promise<OpenId.Configuration> {
    const { issuer, clientId, clientSecretEnv } = this.#options.config();
    if (!this.isOn || issuer === undefined || clientId === undefined) {
      throw new RoutingError('NOT_FOUND', 'no identity provider is set up here (oidc of the configuration)');
    }
    const secret = this.#options.secretOf(clientSecretEnv);
    const of = JSON.stringify([issuer, clientId, secret]);
    const now = this.#now();
    if (this.#known === undefined || this.#known.of !== of || now - this.#known.at > METADATA_MS) {
      const known: Known = { of, at: now, client: this.#discover(new URL(issuer), clientId, secret) };
      this.#known = known;
      known.client.catch(() => {
        if (this.#known === known) this.#known = undefined;
      });
    }
    return await this.#known.client;
  }

  async #discover(issuer: URL, clientId: string, secret: string | undefined): Promise<OpenId.Configuration> {
    const oidc = await library();
    const inClear = issuer.protocol === 'http:';
    if (inClear && !isLoopback(issuer.hostname)) {
      throw new RoutingError(
        'INVALID_CONFIG',
        'oidc.issuer: must be https; http is for providers on this machine only',
      );
    }
    try {
      return await oidc.discovery(
        issuer,
        clientId,
        { [oidc.clockTolerance]: CLOCKS_APART_SECONDS },
        secret === undefined ? oidc.None() : oidc.ClientSecretPost(secret),
        {
          [oidc.customFetch]: this.#fetch(),
          timeout: CALL_SECONDS,
          // The signature of what the provider says is checked although it came over TLS from itself.
          execute: [oidc.enableNonRepudiationChecks, ...(inClear ? [oidc.allowInsecureRequests] : [])],
        },
      );
    } catch (error) {
      throw refusalOf(error, oidc);
    }
  }

  #fetch(): OpenId.CustomFetch {
    const secureContext = this.#options.secureContext?.();
    const tls = secureContext === undefined ? {} : { secureContext };
    const hasProxy = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].some((name) => process.env[name]);
    const dispatcher = hasProxy
      ? new EnvHttpProxyAgent({ connect: tls, requestTls: tls })
      : new Agent({ connect: tls });
    return async (url, options) => {
      const { protocol, hostname } = new URL(url);
      if (protocol !== 'https:' && !isLoopback(hostname)) throw new TypeError(`${hostname} is asked over https only`);
      return (await fetch(url, { ...options, dispatcher } as Parameters<typeof fetch>[1])) as unknown as Response;
    };
  }

  #seal(begun: BegunState): string {
    const text = Buffer.from(JSON.stringify(begun)).toString('base64url');
    return `${text}.${this.#sign(text)}`;
  }

  #unseal(cookie: string | undefined): BegunState | null {
    const [text = '', signature = ''] = cookie?.split('.') ?? [];
    if (text === '' || !same(signature, this.#sign(text))) return null;
    const begun = BegunState.parse(JSON.parse(Buffer.from(text, 'base64url').toString()));
    return begun.until > this.#now() / 1000 ? begun : null;
  }

  #sign(text: string): string {
    const { clientSecretEnv } = this.#options.config();
    const secret = this.#options.secret ?? this.#options.secretOf(clientSecretEnv) ?? this.#ownSecret;
    return createHmac('sha256', `pointsman sign-in\n${secret}`).update(text).digest('base64url');
  }
}

/** Compares without telling by the time how much is right. */
function same(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

/**
 * What a person's groups come to: the most powerful role that any of them has and, of the groups with that role, the team
 * of the one that the configuration names first. With a team asked for, only groups of it count, and those of all teams.
 */
export function standingOf(
  groups: readonly string[],
  mapped: OidcConfig['groups'],
  team: string | null = null,
): { readonly role: Role; readonly team: string | null } | null {
  const mine = new Set(groups);
  const held = Object.entries(mapped)
    .filter(([group, to]) => mine.has(group) && (team === null || to.team === undefined || to.team === team))
    .map(([, to]) => to);
  for (const role of ROLES) {
    const found = held.find((to) => to.role === role);
    if (found !== undefined) return { role, team: found.team ?? null };
  }
  return null;
}

/** By its name, which may hold dots (they are URLs with some providers), else by its path: `realm_access.roles`. */
function claimIn(claims: Record<string, unknown>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

/** A provider with one group for everybody may send it as a text. */
const textsIn = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).filter(isText);

/** What went wrong at the provider, in our codes. Its words stay in the cause: they may hold tokens. */
function refusalOf(error: unknown, oidc: typeof OpenId): RoutingError {
  if (error instanceof RoutingError) return error;
  if (error instanceof oidc.AuthorizationResponseError) {
    return new RoutingError('FORBIDDEN', `the identity provider let nobody in (${shortCode(error.error)})`, {
      cause: error,
    });
  }
  if (error instanceof oidc.ResponseBodyError) {
    const isOurs = error.error === 'invalid_client' || error.error === 'unauthorized_client' || error.status >= 500;
    return isOurs
      ? new RoutingError(
          'UPSTREAM_ERROR',
          `the identity provider refused this gateway (${shortCode(error.error)}): check oidc.clientId and its secret`,
          { cause: error },
        )
      : new RoutingError(
          'UNAUTHORIZED',
          `the identity provider did not take its own code (${shortCode(error.error)}): begin again`,
          { cause: error },
        );
  }
  const { code = '' } = error as { code?: string };
  if (/^OAUTH_(JWT|INVALID_RESPONSE|PARSE|KEY|JSON|UNSUPPORTED)/.test(code)) {
    return new RoutingError(
      'UNAUTHORIZED',
      `what the identity provider says of this sign-in does not hold (${shortCode(code)})`,
      { cause: error },
    );
  }
  return new RoutingError('UPSTREAM_ERROR', 'the identity provider cannot be reached, or does not answer as one', {
    cause: error,
  });
}

const shortCode = (text: string): string => text.replace(/[^\w.-]/g, '').slice(0, 60);
