/**
 * Files, batches and stored responses: each stays with the provider, the key and the tenant that it was made with.
 * Whoever asks for an id that is not theirs hears what they would of one that nobody has.
 */
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { type Caller, isAmong } from '../callers.ts';
import type { Target } from '../forward/target.ts';
import { isObject } from '../forward/usage.ts';
import type { Gateway } from '../gateway.ts';
import { type BatchCheck, surfacesOfEndpoint } from '../governance/guards/batch-lines.ts';
import { isOver } from '../governance/limits/batches/expected.ts';
import type { Entrant } from '../governance/limits/limits.ts';
import { holderPlace, mustAllow } from '../governance/policies/place.ts';
import { accountOf, type HeldObject } from '../held-objects.ts';
import { credentialsFor, shorten } from '../models.ts';
import type { Provider } from '../providers/index.ts';
import { readBody } from './body.ts';
import { addedTags, enter } from './enter.ts';
import { FieldError } from './errors.ts';
import { heldAs, heldAt, heldBy, idsAnswered } from './held.ts';
import { folded, refuseMisspelt } from './misspelt-ids.ts';
import { beforeSending, pass } from './passthrough-answer.ts';
import { batchCounter, keepAsked, reserveBatch } from './passthrough-batches.ts';
import { acceptOf, type Passage, type PassedAnswer, type PassedSurface } from './passthrough-call.ts';
import { formTypeOf } from './passthrough-form.ts';
import { usageIn } from './passthrough-meter.ts';
import { seenForm, WatchedForm } from './passthrough-upload.ts';
import { forgetSeen, mustBeSeen, seenUnder } from './seen-files.ts';

const Batch = z.looseObject({ input_file_id: z.string('name the file that the batch is in').min(1) });

declare module 'fastify' {
  interface FastifyRequest {
    /** As it was let in, where it is about something that a provider holds. */
    entrant: Entrant;
  }
}

const MAKING = '/v1/batches';

/** What a batch asks is known, and paid for, by one file. @throws FieldError for whatever may name others */
function refuseOtherFiles(batch: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(batch)) {
    if (name === 'input_file_id' || !folded(name).includes('file')) continue;
    throw new FieldError(name.slice(0, 100), 'a batch is made of one file, and input_file_id names it');
  }
  refuseMisspelt(batch);
}

/** @param app takes multipart forms, unread */
export function objectRoutes(app: FastifyInstance, gateway: Gateway): void {
  const passing = (request: FastifyRequest, reply: FastifyReply, surface: PassedSurface, target: Target) => ({
    gateway,
    request,
    reply,
    surface,
    entrant: request.entrant,
    targets: [target],
    requestedModel: target.id,
    metered: false,
  });
  app.addHook('preHandler', async (request, reply) => {
    const surface = request.routeOptions.url?.split('/')[2] ?? '';
    const added = addedTags(request);
    // Only making a batch asks for answers: one that has used a minute up can still be looked at and stopped.
    const takesNoTokens = !(request.method === 'POST' && request.routeOptions.url === MAKING);
    const asked = { surface, requestedModel: '', isAuto: false, chars: 0, added, takesNoTokens };
    const { entrant } = enter(gateway, request, reply, asked);
    request.caller = entrant.caller;
    request.entrant = entrant;
  });

  app.post('/v1/files', async (request, reply) => {
    const type = formTypeOf(request);
    const headers = { 'content-type': type, ...acceptOf(request) };
    const target = accountFor(gateway, request);
    const call = { ...passing(request, reply, 'files', target), method: 'POST', path: '/files' } as const;
    const body = request.body as Readable;
    // What a batch asks may refer to what others hold.
    const mayAsk = gateway.setup.callers.tenants > 1 ? batchCheck(gateway, request) : undefined;
    const counter = batchCounter(gateway, request, target);
    const look = gateway.governance.guards.upload((surface) => callerAt(gateway, request, surface), mayAsk, counter);
    if (look?.holds !== true) {
      const watched = look === null ? null : new WatchedForm(body, type, look, mayAsk !== undefined);
      await pass({
        ...call,
        headers: { ...headers, ...lengthOf(request) },
        body: watched?.body ?? body,
        answered: async (answer) => {
          await keepAsked(gateway, request, answer.json.id, counter);
          return noting(gateway, request, 'file')(answer);
        },
        refusal: () => watched?.refusal ?? null,
        hits: look?.hits ?? [],
      });
      return reply;
    }
    const folder = join(gateway.config.dataDir, 'uploads');
    const form = await beforeSending(call, () => seenForm(body, type, { look, word: 'purpose', folder }));
    const { bytes, marks, hits } = form;
    const answered: Answered = async ({ json, target }) => {
      if (typeof json.id !== 'string') return null;
      const file = heldAt(target, request.caller, 'file', json.id);
      await gateway.held.hold([file, ...(marks.length === 0 ? [] : [seenUnder(file, marks)])]);
      await keepAsked(gateway, request, json.id, counter);
      return null;
    };
    try {
      const seen = { headers: { ...headers, 'content-length': String(bytes) }, body: form.body, hits, answered };
      await pass({ ...call, ...seen });
    } finally {
      await form.close();
    }
    return reply;
  });
  app.post(MAKING, async (request, reply) => {
    const { text, value } = readBody(Batch, request.body);
    refuseOtherFiles(value);
    const file = await heldAs(gateway, request.caller, { id: value.input_file_id, field: 'input_file_id' }, ['file']);
    const target = holderOf(gateway, request, file);
    mayRunAnything(request, target.provider);
    mustAllow(request.caller.rules, holderPlace(target.provider, true));
    const headers = { 'content-type': 'application/json', ...acceptOf(request) };
    const call = { method: 'POST', path: '/batches', headers, runsAnything: true } as const;
    const passage = { ...passing(request, reply, 'batches', target), ...call };
    const { caller, log } = request;
    const { text: seen, hits } = await beforeSending(passage, async () => {
      const asked = surfacesOfEndpoint(value.endpoint).map((one) => callerAt(gateway, request, one));
      const ofFile = await mustBeSeen(gateway, [value.input_file_id], caller, ...asked);
      const guarded = { caller, surface: 'passed', json: { model: '', ...value }, text, log } as const;
      const passed = await gateway.governance.guards.before(guarded);
      return { text: passed.text, hits: [...ofFile, ...passed.hits] };
    });
    const account = await reserveBatch(gateway, request, value, target);
    const answered: Answered = async (answer) => {
      await account?.made(answer.json);
      return noting(gateway, request, 'batch')(answer);
    };
    try {
      await pass({ ...passage, body: () => seen, hits, answered, ...(account !== null && { account }) });
    } finally {
      await account?.end();
    }
    return reply;
  });
  for (const surface of ['files', 'batches'] as const) {
    app.get(`/v1/${surface}`, async (request, reply) => {
      const target = accountFor(gateway, request);
      const { path: asked, limit } = pageOf(`/${surface}`, request);
      const answered = ownOnly(gateway, request, asked, limit);
      const headers = acceptOf(request);
      await pass({ ...passing(request, reply, surface, target), method: 'GET', path: asked, headers, answered });
      return reply;
    });
  }
  for (const { method, path, surface, kind, answered } of OF_ONE) {
    app.route<{ Params: { id: string } }>({
      method,
      url: `/v1${path}`,
      ...(surface === 'responses' && { config: { surface } }),
      handler: async (request, reply) => {
        const { id } = request.params;
        const field = kind === 'response' ? 'response_id' : `${kind}_id`;
        const object = await heldAs(gateway, request.caller, { id, field }, [kind]);
        const target = { ...holderOf(gateway, request, object), candidate: pricedAs(gateway, object) };
        const streams = new URLSearchParams(queryOf(request)).getAll('stream');
        if (surface === 'responses' && streams.some((asked) => asked !== 'false')) {
          const isHeld = gateway.governance.guards.holdsAnswers(request.caller);
          if (isHeld) throw new FieldError('stream', 'under a guardrail of answers, ask for the response as a whole');
        }
        const at = path.replace(':id', encodeURIComponent(id)) + queryOf(request);
        const call = { method, path: at, headers: acceptOf(request), answered: answered?.(gateway, request, object) };
        // What a batch has written are answers.
        const look = path.endsWith('/content') ? answersLook(gateway, request) : null;
        await pass({ ...passing(request, reply, surface, target), ...call, look } as Passage);
        return reply;
      },
    });
  }
}

/** The one who asks, under the rules for what a batch asks: they hold for its requests, wherever those come from. */
const callerAt = ({ governance }: Gateway, { caller, entrant }: FastifyRequest, surface: string): Caller =>
  surface === entrant.surface ? caller : governance.policies.govern({ caller, tags: entrant.tags, surface });

const answersLook = (gateway: Gateway, request: FastifyRequest) =>
  gateway.governance.guards.download((surface) => callerAt(gateway, request, surface));

/** Each request of a batch may refer to what its own tenant holds. */
function batchCheck(gateway: Gateway, { caller }: FastifyRequest): BatchCheck {
  return async (surface, { json, text, whole, number }) => {
    // Whatever endpoint that is, it may know an id wherever another does.
    for (const one of surface === null ? ALL : [surface]) {
      await heldBy(gateway, one, { text, json, whole, caller }).catch((error) => {
        if (error instanceof RoutingError && error.code === 'NOT_FOUND') {
          throw new RoutingError('NOT_FOUND', `file: line ${number}: ${error.message}`, { cause: error });
        }
        throw error;
      });
    }
  };
}

const ALL = ['chat', 'responses', 'messages'] as const;

type Answered = NonNullable<Passage['answered']>;

interface OfOne {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly surface: PassedSurface & ('files' | 'batches' | 'responses');
  readonly kind: string;
  readonly answered?: (gateway: Gateway, request: FastifyRequest, object: HeldObject) => Answered;
}

/** What can be asked of one object. */
const OF_ONE: readonly OfOne[] = [
  { method: 'GET', path: '/files/:id', surface: 'files', kind: 'file' },
  { method: 'GET', path: '/files/:id/content', surface: 'files', kind: 'file' },
  { method: 'DELETE', path: '/files/:id', surface: 'files', kind: 'file', answered: releasing },
  { method: 'GET', path: '/batches/:id', surface: 'batches', kind: 'batch', answered: batchSeen },
  { method: 'POST', path: '/batches/:id/cancel', surface: 'batches', kind: 'batch', answered: batchSeen },
  { method: 'GET', path: '/responses/:id', surface: 'responses', kind: 'response', answered: itemsSeen },
  { method: 'DELETE', path: '/responses/:id', surface: 'responses', kind: 'response', answered: releasing },
  { method: 'POST', path: '/responses/:id/cancel', surface: 'responses', kind: 'response', answered: itemsSeen },
  { method: 'GET', path: '/responses/:id/input_items', surface: 'responses', kind: 'response', answered: itemsSeen },
];

/** What an answer that is fetched later is paid for by. */
const pricedAs = ({ setup }: Gateway, { kind, model }: HeldObject): Target['candidate'] =>
  kind === 'response' ? setup.models.catalog.models.find(({ id }) => id === model) : undefined;

/** The object that was made is this tenant's from now on. */
function noting(gateway: Gateway, { caller }: FastifyRequest, kind: string): Answered {
  return async ({ json, target }) => {
    if (typeof json.id === 'string') await gateway.held.hold([heldAt(target, caller, kind, json.id)]);
    return null;
  };
}

function releasing(gateway: Gateway, { caller }: FastifyRequest, { id, kind }: HeldObject): Answered {
  return async () => {
    const { batches } = gateway.governance.limits;
    const { tenant } = caller;
    await Promise.all([
      gateway.held.release(tenant, id),
      forgetSeen(gateway, caller, id),
      kind === 'file' && batches?.forget(tenant, id),
    ]);
    return null;
  };
}

/** The files that a batch has written are its tenant's. Its usage is written down once: when they are first seen. One that is over is settled. */
function batchSeen(gateway: Gateway, { caller }: FastifyRequest): Answered {
  return async ({ json, target, meter }) => {
    const { tenant } = caller;
    const { deployment } = target;
    if (isOver(json)) await gateway.governance.limits.batches?.seen({ tenant, deployment }, json);
    const files = [json.output_file_id, json.error_file_id].filter((id) => typeof id === 'string');
    const known = await gateway.held.among(caller.tenant, files);
    const fresh = files.filter((id) => !known.has(id));
    if (fresh.length === 0) return null;
    meter(usageIn(json));
    await gateway.held.hold(fresh.map((id) => heldAt(target, caller, 'file', id)));
    return null;
  };
}

const UNDERWAY: ReadonlySet<unknown> = new Set(['queued', 'in_progress']);

/** Later turns may name single items of a response. */
function itemsSeen(gateway: Gateway, { caller }: FastifyRequest, { model }: HeldObject): Answered {
  return async ({ json, target, meter, found }) => {
    const items = [json.output, json.data].flatMap((list) => (Array.isArray(list) ? list : []));
    const ids = [...new Set(items.flatMap((item) => (isObject(item) ? idsAnswered(item, true) : [])))];
    const known = await gateway.held.among(caller.tenant, ids);
    const fresh = ids.filter((id) => !known.has(id));
    await gateway.held.hold(fresh.map((id) => ({ ...heldAt(target, caller, 'item', id), model })));
    // Made in the background, it is paid for once: when its end is first seen.
    if (json.background === true && fresh.length > 0 && !UNDERWAY.has(json.status)) meter(usageIn(json));
    // The provider keeps its answer as it was before guardrails changed it.
    const text = JSON.stringify(json);
    const told = await gateway.governance.guards.afterKept({ caller, text });
    found(told.hits);
    // As it was read: of two members of one name, what was looked at last is all that there is.
    return gateway.governance.guards.holdsAnswers(caller) ? told.text : null;
  };
}

/** Pages of a provider's list that are looked through for one page of ours. */
const MOST_PAGES = 20;

/** A list as if the tenant were alone there: others' objects left out, and pages filled from those that follow. */
function ownOnly(gateway: Gateway, { caller }: FastifyRequest, path: string, limit: number | null): Answered {
  return async ({ json, again }: PassedAnswer) => {
    const own: Readonly<Record<string, unknown>>[] = [];
    let page: Readonly<Record<string, unknown>> | null = json;
    let isMore = false;
    for (let pages = 1; page !== null; pages++) {
      const listed: Readonly<Record<string, unknown>>[] = Array.isArray(page.data) ? page.data.filter(isObject) : [];
      const ids = listed.flatMap(({ id }) => (typeof id === 'string' ? [id] : []));
      const mine = await gateway.held.among(caller.tenant, ids);
      own.push(...listed.filter(({ id }) => typeof id === 'string' && mine.has(id)));
      const last = ids.at(-1);
      isMore = page.has_more === true && last !== undefined;
      if (!isMore || pages >= MOST_PAGES || (limit !== null && own.length >= limit)) break;
      page = await again(withQuery(path, 'after', last!));
    }
    const data = limit === null ? own : own.slice(0, limit);
    const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    return JSON.stringify({ ...json, data, ...ends, has_more: isMore || data.length < own.length });
  };
}

/** @throws FieldError for a limit that is no number of objects */
function pageOf(path: string, request: FastifyRequest): { path: string; limit: number | null } {
  const query = queryOf(request);
  const said = new URLSearchParams(query).get('limit');
  const limit = said === null ? null : Number(said);
  if (limit !== null && !(Number.isInteger(limit) && limit > 0))
    throw new FieldError('limit', 'must be a number above 0');
  return { path: path + query, limit };
}

/** The provider that keeps a new object, or whose objects are listed, and the key it is asked with. */
function accountFor(gateway: Gateway, request: FastifyRequest): Target {
  const { providers } = gateway.setup;
  const { provider: inQuery } = request.query as { provider?: unknown };
  const header = request.headers['x-pointsman-provider'];
  const said = header ?? inQuery;
  const place = header === undefined ? 'provider' : 'x-pointsman-provider';
  const keeping = [...providers.values()].filter((one) => one.raw !== undefined && mayUse(request, one));
  const { rules } = request.caller;
  const able = keeping.filter((one) => rules.allows(holderPlace(one)));
  // The one that was named, or all that there are.
  const out = keeping.find(
    (one) => !able.includes(one) && (one.name === said || (said === undefined && able.length === 0)),
  );
  if (out !== undefined) mustAllow(rules, holderPlace(out));
  const names = able.map(({ name }) => name).join(', ');
  if (said === undefined) {
    if (able.length === 1) return targetAt(request, able[0]!);
    if (able.length > 1) {
      throw new FieldError('provider', `say whose, by x-pointsman-provider or ?provider=: one of ${names}`);
    }
    throw new RoutingError('PROVIDER_NOT_CONFIGURED', 'no provider that keeps files or batches is on for this key');
  }
  const found = able.find(({ name }) => name === said);
  if (found !== undefined) return targetAt(request, found);
  const known = names === '' ? 'none here does' : `there are ${names}`;
  throw new FieldError(place, `${shorten(String(said))} keeps no files or batches for this key; ${known}`);
}

/** Several keys: always the same one, so that what is uploaded can be used together. */
function targetAt({ caller }: FastifyRequest, provider: Provider): Target {
  const credentials = credentialsFor(provider, caller.tenant);
  if (credentials.length === 0) {
    throw new RoutingError('PROVIDER_NOT_CONFIGURED', `no key of ${provider.name} is for tenant ${caller.tenant}`);
  }
  return accountTarget(
    provider,
    credentials.reduce((a, b) => (b.weight > a.weight ? b : a)),
  );
}

/** Where an object lies. @throws `PROVIDER_NOT_CONFIGURED` when that is no longer to be had */
function holderOf(
  gateway: Gateway,
  { caller }: FastifyRequest,
  { id, provider: name, deployment }: HeldObject,
): Target {
  const provider = gateway.setup.providers.get(name);
  const credential =
    provider && credentialsFor(provider, caller.tenant).find((one) => accountOf(provider, one) === deployment);
  if (provider?.raw === undefined || credential === undefined) {
    throw new RoutingError(
      'PROVIDER_NOT_CONFIGURED',
      `${shorten(id)} is held by ${deployment}, which is not set up for tenant ${caller.tenant} any more`,
    );
  }
  mustAllow(caller.rules, holderPlace(provider));
  return accountTarget(provider, credential);
}

const accountTarget = (provider: Provider, credential: Target['credential']): Target => ({
  id: provider.name,
  upstreamModel: '',
  provider,
  credential,
  candidate: undefined,
  deployment: accountOf(provider, credential),
});

/** A key that may use some model of a provider may use its files. */
function mayUse({ caller: { models } }: FastifyRequest, { name }: Provider): boolean {
  return models?.some((pattern) => isAmong(name, [pattern.split('/')[0]!]) && /[/*]/.test(pattern)) ?? true;
}

/** No model is called that, so only patterns that take in all of them match. */
const ANY_MODEL = '\0';

/** Which models a batch runs is in a file that is not looked into. @throws `FORBIDDEN_MODEL` */
function mayRunAnything({ caller: { models } }: FastifyRequest, { name }: Provider): void {
  if (models === undefined || isAmong(`${name}/${ANY_MODEL}`, models)) return;
  throw new RoutingError(
    'FORBIDDEN_MODEL',
    `this key may not run batches at ${name}: it may not use all of its models`,
  );
}

function lengthOf({ headers }: FastifyRequest): Record<string, string> {
  const length = headers['content-length'];
  return length === undefined ? {} : { 'content-length': length };
}

/** The client's query, but for what is said to us. */
function queryOf({ url }: FastifyRequest): string {
  const at = url.indexOf('?');
  if (at < 0) return '';
  const pairs = url
    .slice(at + 1)
    .split('&')
    .filter((pair) => pair !== '' && !/^provider(=|$)/.test(pair));
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function withQuery(path: string, name: string, value: string): string {
  const [before, query = ''] = path.split('?');
  const parameters = new URLSearchParams(query);
  parameters.set(name, value);
  return `${before}?${parameters}`;
}
