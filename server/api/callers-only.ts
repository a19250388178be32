/** Lets in who has a key, a session or a token for the endpoint at hand, where they are asked for, and notes who it is. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import { ANYBODY, type Caller, demand, keyIn, OPERATOR } from '../callers.ts';
import type { Scope } from '../config/index.ts';
import type { SqlStore } from '../db/store.ts';
import type { Gateway } from '../gateway.ts';
import { reachOf } from '../governance/access/roles.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
  interface FastifyInstance {
    /** `METHOD path` of all that is registered → who may come in. */
    doors: ReadonlyMap<string, Need>;
  }
}

/**
 * Who may come in at an endpoint: `open` everybody; `token` it asks for a token of its own; `known` whoever has a key,
 * and it shows no more than any key may know; `metrics` whoever has the key of the configuration for it, or else sees all teams; otherwise whoever has one of the scopes.
 */
export type Need = 'open' | 'token' | 'known' | 'metrics' | readonly Scope[];

export interface Door {
  /** Paths as they are registered; a `*` at the end stands for all that begin so. */
  readonly path: string;
  readonly need: Need;
}

/** All endpoints there are; the first that fits counts. One that is not here is not registered. */
export const DOORS: readonly Door[] = [
  // Probes of an orchestrator ask without a key.
  ...doors('open', '/healthz', '/readyz', '/openapi.json'),
  // The page and its files hold nothing of anybody's; signing in is for those who have not.
  ...doors('open', '/', '/favicon.ico', '/dashboard', '/dashboard/*', '/auth/*'),
  ...doors('token', '/admin/*'),
  ...doors('metrics', '/metrics'),
  ...doors('known', '/v1/me', '/v1/models', '/v1/models/*'),
  // To others than the key that made it a decision is as if it were not there.
  ...doors('known', '/v1/decisions/:id'),
  ...doors(['usage'], '/v1/usage/*', '/v1/decisions'),
  ...doors(['feedback', 'feedback:team'], '/v1/feedback'),
  ...doors(['export', 'export:embeddings'], '/v1/export/*'),
  ...doors(['erase'], '/v1/erase'),
  ...doors(['learn'], '/v1/learning/*'),
  ...doors(['manage', 'admin'], '/v1/admin/keys*', '/v1/admin/teams*', '/v1/admin/limits*', '/v1/admin/audit'),
  ...doors(['admin'], '/v1/admin/*'),
  ...doors(['call'], '/v1/chat/*', '/v1/messages*', '/v1/responses*', '/v1/embeddings', '/v1/route'),
  ...doors(['call'], '/v1/audio/*', '/v1/images/*', '/v1/moderations', '/v1/files*', '/v1/batches*'),
];

/** Where the command line comes by the token of the lock file, as it does at `/admin`. */
const FOR_OPERATOR = /^\/v1\/(me$|admin\/|usage\/|learning\/)/;

/** @throws Error for a path that is in none: who may come in there must have been thought of */
export function needOf(path: string): Need {
  const door = DOORS.find((one) =>
    one.path.endsWith('*') ? path.startsWith(one.path.slice(0, -1)) : path === one.path,
  );
  if (door === undefined)
    throw new Error(`${path}: who may come in there? Say so in DOORS (server/api/callers-only.ts)`);
  return door.need;
}

/** Called before the endpoints are registered. */
export function callersOnly(app: FastifyInstance, gateway: Gateway): void {
  const needs = new Map<string, Need>();
  const registered = new Map<string, Need>();
  app.decorate('doors', registered);
  app.addHook('onRoute', ({ url, method }) => {
    const need = needOf(url);
    needs.set(url, need);
    for (const one of [method].flat()) registered.set(`${one} ${url}`, need);
  });
  // What is nowhere is looked for by those who may come in at all.
  const needFor = ({ routeOptions: { url } }: FastifyRequest): Need =>
    (url === undefined ? undefined : needs.get(url)) ?? 'known';
  const isOperator = tokenOf(gateway);
  const isScraper = bearerOf(gateway.config.telemetry.metricsKey);
  // Set anew for each request below.
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    const { url } = request.routeOptions;
    const need = needFor(request);
    if (need === 'open' || need === 'token') {
      request.caller = ANYBODY;
      return;
    }
    if (need === 'metrics') {
      request.caller = ANYBODY;
      if (isScraper === null) demandAll(await callerOf(gateway, request));
      else if (!isScraper(request)) {
        throw new RoutingError(
          'UNAUTHORIZED',
          'send authorization: Bearer with telemetry.metricsKey of the configuration',
        );
      }
      return;
    }
    const byToken = url !== undefined && FOR_OPERATOR.test(url) && isOperator(request);
    request.caller = byToken ? OPERATOR : await callerOf(gateway, request);
    if (need !== 'known') demand(request.caller, ...need);
  });
  // A body may take its time: who began to send it while nobody was asked for a key is asked once there is one.
  app.addHook('preHandler', async (request) => {
    if (request.caller.kind !== 'anybody' || !gateway.areAsked) return;
    const need = needFor(request);
    if (need === 'open' || need === 'token' || need === 'metrics') return;
    request.caller = await callerOf(gateway, request);
    if (need !== 'known') demand(request.caller, ...need);
  });
}

/** Its sums are over all teams. @throws `FORBIDDEN` */
function demandAll(caller: Caller): void {
  demand(caller, 'usage', 'admin');
  if (reachOf(caller) === null) return;
  throw new RoutingError(
    'FORBIDDEN',
    '/metrics tells of all teams: it needs a key with the scope admin, or telemetry.metricsKey of the configuration',
  );
}

/** By a key, or else by the session that a browser has. @throws `UNAUTHORIZED`, `FORBIDDEN` */
async function callerOf({ setup, governance }: Gateway, request: FastifyRequest): Promise<Caller> {
  const { callers } = setup;
  // Few requests have a cookie: the others do not wait for it.
  if (request.headers.cookie !== undefined && callers.areAsked && keyIn(request.headers) === undefined) {
    const person = await governance.sessions.callerOf(request);
    if (person !== null) return person;
  }
  return callers.identify(request.headers);
}

function tokenOf({ store }: Gateway): (request: FastifyRequest) => boolean {
  return bearerOf((store as Partial<SqlStore>).lock?.token) ?? (() => false);
}

/** Whether a request has exactly this token. Hashes are compared, in a time that does not tell how much was right. */
function bearerOf(token: string | undefined): ((request: FastifyRequest) => boolean) | null {
  if (token === undefined) return null;
  const expected = digest(`Bearer ${token}`);
  return ({ headers }) => timingSafeEqual(digest(headers.authorization ?? ''), expected);
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function doors(need: Need, ...paths: readonly string[]): Door[] {
  return paths.map((path) => ({ path, need }));
}
