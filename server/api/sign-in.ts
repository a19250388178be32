/** `/auth/…`: people sign in to the dashboard with a key, or by the identity provider, and out again. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import type { Caller } from '../callers.ts';
import { type Environment, variable } from '../config/index.ts';
import type { Gateway } from '../gateway.ts';
import { audit } from '../governance/access/audit.ts';
import { FailedAttempts } from '../governance/access/failed-attempts.ts';
import { BEGUN_COOKIE, BEGUN_SECONDS, Oidc } from '../governance/access/oidc.ts';
import { type SessionKey, sessionKey } from '../governance/access/session-keys.ts';
import {
  cookieIn,
  personOf,
  refuseForeignPages,
  SESSION_COOKIE,
  type Visitor,
} from '../governance/access/web-sessions.ts';
import { trusting } from '../providers/transport.ts';
import { readBody } from './body.ts';
import { errorReply } from './errors.ts';
import { sqlStoreOf } from './log-owner.ts';

export const SignInBody = z.strictObject({
  /** A client key that may see usage, or manage. */
  key: z.string('the key to sign in with').min(1).max(1000),
});

export const LoginQuery = z.strictObject({ team: z.string().min(1).max(100).optional() });

/** A key has 256 random bits, and each is looked up alike: what this keeps down is the noise. */
const BOUNDS = { most: 10, windowMs: 60_000 };

/** A key, and some. Anybody may send one, so no more is read before it is known how often they have tried. */
const MOST_BODY_BYTES = 4096;

export interface SignInOptions {
  /** Where the client's secret is. */
  readonly env?: Environment | undefined;
  /** `POINTSMAN_SECRET_KEY`. */
  readonly secret?: string | undefined;
}

export function signInRoutes(
  app: FastifyInstance,
  gateway: Gateway,
  { env = process.env, secret }: SignInOptions,
): void {
  const failed = new FailedAttempts(BOUNDS);
  const oidc = new Oidc({
    config: () => gateway.config.oidc,
    secretOf: (name) => variable(env, name),
    secret,
    secureContext: () => {
      const { caFile } = gateway.config;
      return caFile === undefined ? undefined : trusting(caFile, env);
    },
  });
  const { sessions, keys } = gateway.governance;

  const open = async (request: FastifyRequest, reply: FastifyReply, visitor: Visitor, actor: Caller, how: string) => {
    if (visitor.keyId === null && visitor.team !== null && keys.isArchived(visitor.team)) {
      throw new RoutingError('FORBIDDEN', `the team ${visitor.team} is archived: nobody of it comes in`);
    }
    // Written first: better a row of what did not happen than a session that nobody sees.
    await noteDown(request, actor, 'session.open', visitor, { how });
    const { value, expiresAt } = await sessions.open(visitor, gateway.config.oidc.sessionHours);
    reply.header('set-cookie', cookie(request, SESSION_COOKIE, value, { expiresAt, site: 'Strict', path: '/' }));
  };
  const noteDown = (request: FastifyRequest, actor: Caller, action: string, visitor: Visitor, details: object) =>
    audit(sqlStoreOf(gateway.store).db, {
      actor,
      action,
      subject: visitor.subject,
      team: visitor.team,
      details: { ...details, role: visitor.role },
      requestId: request.id,
    });

  app.get('/auth/methods', async () => ({ oidc: oidc.isOn, key: true, open: asksNobody(gateway) }));

  app.post('/auth/key', { bodyLimit: MOST_BODY_BYTES }, async (request, reply) => {
    refuseOpen(gateway);
    refuseForeignPages(request.headers, 'if told');
    const { value } = readBody(SignInBody, request.body);
    let known: SessionKey;
    try {
      known = sessionKey(gateway.setup.callers, value.key);
    } catch (error) {
      // Only those who have none wait: one of many behind an address must not keep the others out.
      const waitMs = failed.waitMs(request.ip);
      if (waitMs > 0) {
        reply.header('retry-after', String(Math.ceil(waitMs / 1000)));
        throw new RoutingError('RATE_LIMITED', 'too many keys that are not known here: wait a minute');
      }
      failed.note(request.ip);
      throw error;
    }
    const visitor = visitorOf(known.id, known.caller);
    await open(request, reply, visitor, known.caller, 'key');
    const { name, role, team } = visitor;
    return { name, role, team };
  });

  app.get('/auth/login', async (request, reply) =>
    forBrowsers(request, reply, async () => {
      refuseOpen(gateway);
      const { success, data } = LoginQuery.safeParse(request.query);
      if (!success) throw new RoutingError('INVALID_REQUEST', 'team: name one team, or leave it out');
      const begun = await oidc.begin(data.team ?? null);
      const expiresAt = new Date(Date.now() + BEGUN_SECONDS * 1000);
      // Lax: the way back from the identity provider is a link of another site.
      return reply
        .header('set-cookie', cookie(request, BEGUN_COOKIE, begun.cookie, { expiresAt, site: 'Lax', path: CALLBACK }))
        .header('cache-control', 'no-store')
        .redirect(begun.url, 302);
    }),
  );

  app.get(CALLBACK, async (request, reply) =>
    forBrowsers(request, reply, async () => {
      refuseOpen(gateway);
      const gone = { expiresAt: new Date(0), site: 'Lax', path: CALLBACK } as const;
      reply.header('set-cookie', cookie(request, BEGUN_COOKIE, '', gone));
      const at = request.url.indexOf('?');
      const visitor = await oidc.complete(
        at < 0 ? '' : request.url.slice(at),
        cookieIn(request.headers.cookie, BEGUN_COOKIE),
      );
      await open(request, reply, visitor, personOf(visitor), 'oidc');
      return reply.header('cache-control', 'no-store').redirect('/dashboard', 302);
    }),
  );

  app.post('/auth/logout', async (request, reply) => {
    const value = cookieIn(request.headers.cookie, SESSION_COOKIE);
    refuseForeignPages(request.headers, value === undefined ? 'if told' : 'needed');
    // Whatever becomes of the row, this browser forgets it.
    const gone = { expiresAt: new Date(0), site: 'Strict', path: '/' } as const;
    reply.header('set-cookie', cookie(request, SESSION_COOKIE, '', gone));
    const ended = value === undefined ? null : await sessions.end(value);
    if (ended !== null) await noteDown(request, personOf(ended), 'session.end', ended, {});
    return reply.code(204).send();
  });

  interface CookieTerms {
    readonly expiresAt: Date;
    readonly site: 'Strict' | 'Lax';
    readonly path: string;
  }

  function cookie({ headers }: FastifyRequest, name: string, value: string, { expiresAt, site, path }: CookieTerms) {
    const { publicUrl } = gateway.config.oidc;
    // Said by whoever asks: the worst it can do is to keep the cookie from themselves.
    const overTls = publicUrl?.startsWith('https:') ?? headers['x-forwarded-proto'] === 'https';
    const parts = [`${name}=${value}`, `Path=${path}`, `Expires=${expiresAt.toUTCString()}`, 'HttpOnly'];
    return [...parts, `SameSite=${site}`, ...(overTls ? ['Secure'] : [])].join('; ');
  }
}

const CALLBACK = '/auth/callback';

const asksNobody = (gateway: Gateway): boolean => !gateway.areAsked;

/** @throws `CONFLICT` */
function refuseOpen(gateway: Gateway): void {
  if (!asksNobody(gateway)) return;
  throw new RoutingError('CONFLICT', 'this gateway asks nobody for a key: whoever reaches it is its operator');
}

/** @throws `FORBIDDEN` for a key that the dashboard has nothing for */
function visitorOf(id: string, { name, role, tenant, scopes }: Caller): Visitor {
  if (!(['usage', 'manage', 'admin'] as const).some((scope) => scopes.has(scope))) {
    throw new RoutingError(
      'FORBIDDEN',
      'this key calls models and sees no usage: the dashboard is for keys with the scope usage, manage or admin',
    );
  }
  return { subject: name ?? id, name: name ?? id, role, team: scopes.has('admin') ? null : tenant, keyId: id };
}

/** Whoever came by a link is shown a page, not JSON. */
async function forBrowsers(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await answer();
  } catch (error) {
    if (!request.headers.accept?.includes('text/html')) throw error;
    const { status, body } = errorReply(error);
    if (status >= 500) request.log.error({ code: body.error.code, err: error }, 'sign-in failed');
    return reply
      .code(status)
      .headers({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-request-id': request.id,
      })
      .send(page(body.error.message, String(body.error.code)));
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => ESCAPES[char]!);

const page = (message: string, code: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Not signed in</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}</style></head>
<body><main><h1>Not signed in</h1><p>${escaped(message)}</p><p><small>${escaped(code)}</small></p>
<p><a href="/dashboard">Back to the dashboard</a></p></main></body>
</html>
`;
