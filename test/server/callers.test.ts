import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RouteOptions } from '../../router/router.ts';
import { Callers, isAmong } from '../../server/callers.ts';
import { ClientKey, SCOPES } from '../../server/config/index.ts';
import { processorMs } from '../processor-time.ts';
import {
  candidate,
  completion,
  fakeRouter,
  gatewayOver,
  jsonOf,
  sendJson,
  type TestGateway,
  type Upstream,
  upstream,
} from './fakes.ts';

const KEY = 'client-key-0123456789';
const OTHER = 'other-key-9876543210';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const keysOf = (...keys: object[]) => new Callers(keys.map((key) => ClientKey.parse(key)));

describe('a key', () => {
  const callers = keysOf(
    { name: 'plain', key: KEY },
    { name: 'hashed', sha256: sha256(OTHER).toUpperCase(), tenant: 'acme', tags: ['t'] },
  );

  test.each([
    [{ authorization: `Bearer ${KEY}` }, 'plain'],
    [{ authorization: `bearer   ${KEY}` }, 'plain'],
    [{ 'x-api-key': KEY }, 'plain'],
    [{ 'api-key': KEY }, 'plain'],
    [{ 'x-goog-api-key': KEY }, 'plain'],
    [{ 'x-api-key': OTHER }, 'hashed'],
    // The first that is there counts.
    [{ authorization: `Bearer ${KEY}`, 'x-api-key': OTHER }, 'plain'],
    [{ authorization: 'Basic abc', 'x-api-key': OTHER }, 'hashed'],
  ])('is found in %j', (headers, name) => {
    expect(callers.identify(headers)).toMatchObject({ name });
  });

  test.each([
    [{}, /no API key/],
    [{ authorization: '' }, /no API key/],
    [{ authorization: 'Bearer' }, /no API key/],
    [{ authorization: `Bearer ${KEY} ${KEY}` }, /no API key/],
    [{ authorization: `Bearer ${KEY}x` }, /not known/],
    [{ authorization: `Bearer ${KEY.toUpperCase()}` }, /not known/],
    // The hash is not the key.
    [{ 'x-api-key': sha256(OTHER) }, /not known/],
  ])('is missed in %j', (headers, message) => {
    expect(() => callers.identify(headers)).toThrow(
      expect.objectContaining({ code: 'UNAUTHORIZED', message: expect.stringMatching(message) }),
    );
    expect(() => callers.identify(headers)).not.toThrow(new RegExp(KEY, 'i'));
  });

  test('is not asked for where none is set up', () => {
    expect(keysOf().identify({ authorization: 'Bearer anything' })).toMatchObject({
      name: null,
      tenant: 'default',
      tags: [],
      // Whoever reaches a gateway without keys is its operator.
      scopes: new Set(SCOPES),
      feedbackWeight: 1,
    });
  });
});

test('a key without the scope of calling calls nobody, and one with it alone does nothing else', async () => {
  const served = await gatewayOver([candidate('one/cheap')], {
    config: {
      keys: [
        { name: 'auditor', key: 'the-auditors-key-0123', scopes: ['export', 'learn'] },
        { name: 'caller', key: 'the-callers-key-01234', scopes: ['call'] },
      ],
    },
  });
  const ask = async (key: string, path: string, method = 'POST') =>
    (await fetch(`${served.url}${path}`, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, ...(method === 'POST' && { body: '{}' }) })).status; // biome-ignore format: one request
  for (const path of [
    '/v1/chat/completions',
    '/v1/messages',
    '/v1/responses',
    '/v1/embeddings',
    '/v1/route',
    '/v1/files',
    '/v1/moderations',
    '/v1/messages/count_tokens',
  ]) {
    expect([path, await ask('the-auditors-key-0123', path)]).toEqual([path, 403]);
    expect([path, await ask('the-callers-key-01234', path)]).not.toEqual([path, 403]);
  }
  for (const path of ['/v1/feedback', '/v1/erase']) {
    expect([path, await ask('the-callers-key-01234', path)]).toEqual([path, 403]);
  }
  expect(await ask('the-callers-key-01234', '/v1/export/decisions', 'GET')).toBe(403);
  expect(await ask('the-auditors-key-0123', '/v1/models', 'GET')).toBe(200);
  await served.close();
});

describe('patterns of models', () => {
  /** What is meant, said in a regular expression. */
  const oracle = (model: string, pattern: string) =>
    new RegExp(
      `^${pattern
        .split('*')
        .map((piece) => piece.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
        .join('.*')}$`,
      's',
    ).test(model);

  test('match as a regular expression of the same meaning would', () => {
    // Few letters, so that pieces repeat and overlap.
    const pattern = fc.stringMatching(/^[ab/*.]{0,8}$/);
    const model = fc.stringMatching(/^[ab/.]{0,10}$/);
    fc.assert(
      fc.property(model, pattern, (id, one) => {
        expect(isAmong(id, [one])).toBe(oracle(id, one));
      }),
      { numRuns: 3000 },
    );
  });

  test('are alternatives, and an empty list allows nothing', () => {
    expect(isAmong('one/a', ['two/*', '*/a'])).toBe(true);
    expect(isAmong('one/a', [])).toBe(false);
  });

  test('take no time to refuse what a regular expression would ponder over', async () => {
    const ms = await processorMs(() => {
      expect(isAmong('a'.repeat(5000), [`${'a*'.repeat(100)}b`])).toBe(false);
    });
    expect(ms).toBeLessThan(200);
  });
});

describe('through the gateway', () => {
  let host: Upstream;
  let gateway: TestGateway;
  /** What the router was asked. */
  let options: (RouteOptions | undefined)[];
  const models = [candidate('one/cheap'), candidate('two/dear', 30)];
  const keys = [
    { name: 'all', key: KEY, tags: ['team-a'] },
    { name: 'narrow', key: OTHER, models: ['one/cheap', 'mine', 'claude-auto'], tenant: 'acme' },
    { name: 'routed', key: 'routed-key-0123456789', models: ['auto*'] },
    { name: 'routed-few', key: 'few-key-0123456789', models: ['auto', 'two/*'] },
  ];
  beforeEach(async () => {
    host = await upstream((_, response) => sendJson(response, completion()));
    options = [];
    const router = fakeRouter(models);
    const route: typeof router.route = (request, asked) => {
      options.push(asked);
      return router.route(request, asked);
    };
    gateway = await gatewayOver(models, {
      holder: { current: { ...router, route } },
      upstreams: { one: host.url, two: host.url },
      config: { keys, aliases: { mine: 'one/cheap', 'claude-auto': 'auto' } },
    });
  });
  afterEach(async () => {
    await gateway.close();
    await host.close();
  });
  const ask = (path: string, body: object | undefined, key?: string, headers: object = {}) =>
    fetch(gateway.url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(key && { authorization: `Bearer ${key}` }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  const chatOf = (model: string, key: string, more: object = {}) =>
    ask('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hi' }], ...more }, key);

  const messages = [{ role: 'user', content: 'Hi' }];
  test.each<[string, object | undefined, object]>([
    [
      '/v1/chat/completions',
      { model: 'auto', messages },
      { error: { type: 'authentication_error', code: 'UNAUTHORIZED', param: null } },
    ],
    [
      '/v1/responses',
      { model: 'auto', input: 'Hi' },
      { error: { type: 'authentication_error', code: 'UNAUTHORIZED' } },
    ],
    ['/v1/embeddings', { model: 'one/cheap', input: 'Hi' }, { error: { code: 'UNAUTHORIZED' } }],
    [
      '/v1/messages',
      { model: 'auto', messages, max_tokens: 5 },
      { type: 'error', error: { type: 'authentication_error' } },
    ],
    [
      '/v1/messages/count_tokens',
      { model: 'auto', messages },
      { type: 'error', error: { type: 'authentication_error' } },
    ],
    ['/v1/models', undefined, { error: { code: 'UNAUTHORIZED' } }],
    ['/v1/route', { messages }, { error: { code: 'UNAUTHORIZED' } }],
    ['/v1/feedback', { decisionId: 'x', score: 1 }, { error: { code: 'UNAUTHORIZED' } }],
    [`/v1/decisions/${'a'.repeat(32)}`, undefined, { error: { code: 'UNAUTHORIZED' } }],
    ['/v1/nothing', undefined, { error: { code: 'UNAUTHORIZED' } }],
  ])('%s refuses whoever has no key, in its clients’ words', async (path, body, expected) => {
    for (const key of [undefined, 'not-a-key-at-all']) {
      const response = await ask(path, body, key);
      expect(response.status).toBe(401);
      expect(await jsonOf(response)).toMatchObject(expected);
    }
    expect(host.requests).toHaveLength(0);
  });

  test('probes need no key', async () => {
    expect((await ask('/healthz', undefined)).status).toBe(200);
    expect((await ask('/readyz', undefined)).status).toBe(200);
  });

  test('the client’s key does not go to the provider', async () => {
    await chatOf('one/cheap', KEY);
    await ask('/v1/messages', { model: 'one/cheap', messages, max_tokens: 5 }, undefined, { 'x-api-key': KEY });
    expect(JSON.stringify(host.requests)).not.toContain(KEY);
    expect(host.requests[0]!.headers.authorization).toBe('Bearer test-key');
  });

  test('who asked is on record, by the key’s name', async () => {
    await chatOf('auto', KEY, { routing: { tags: ['nightly'] } });
    expect(gateway.decisions.at(-1)).toMatchObject({ key: 'all', tenant: 'default', tags: ['team-a', 'nightly'] });
    expect(JSON.stringify(gateway.decisions)).not.toContain(KEY);
  });

  test.each([
    ['one/cheap', 200],
    ['mine', 200],
    // An alias of auto that the key names; auto itself it does not.
    ['claude-auto', 200],
    ['auto', 403],
    ['auto:cost', 403],
    ['router-mf-0.5', 403],
    ['two/dear', 403],
  ])('a key of few models may use %s: %s', async (model, status) => {
    const response = await chatOf(model, OTHER);
    expect(response.status).toBe(status);
    if (status === 403) {
      expect((await jsonOf(response)).error).toMatchObject({
        type: 'permission_error',
        code: 'FORBIDDEN_MODEL',
        param: 'model',
      });
    }
    const dry = await ask('/v1/route', { model, messages }, OTHER);
    expect(dry.status).toBe(status);
  });

  test('a key for auto alone has any model chosen; with patterns beside it, only those', async () => {
    expect((await jsonOf(chatOf('auto', 'routed-key-0123456789'))).model).toBe('one/cheap');
    expect((await chatOf('one/cheap', 'routed-key-0123456789')).status).toBe(403);
    expect(options.at(-1)).not.toHaveProperty('allowed');
    await chatOf('auto', 'few-key-0123456789');
    expect(options.at(-1)).toMatchObject({ allowed: ['two/dear'] });
    // What a client asks for can only narrow that.
    await chatOf('auto', 'few-key-0123456789', { routing: { models: ['one/*', '*/dear'] } });
    expect(options.at(-1)).toMatchObject({ allowed: ['two/dear'] });
    await chatOf('auto', 'few-key-0123456789', { routing: { models: ['one/*'] } });
    expect(options.at(-1)).toMatchObject({ allowed: [] });
  });

  test('its list of models holds what it may use', async () => {
    const ids = async (key: string, headers: object = {}) =>
      (await jsonOf(ask('/v1/models', undefined, key, headers))).data.map(({ id }: { id: string }) => id);
    expect(await ids(KEY)).toEqual(['auto', 'mine', 'claude-auto', 'one/cheap', 'two/dear']);
    expect(await ids(OTHER)).toEqual(['mine', 'claude-auto', 'one/cheap']);
    expect((await ask('/v1/models/auto', undefined, OTHER)).status).toBe(403);
    expect((await ask('/v1/models/two/dear', undefined, OTHER)).status).toBe(403);
    expect((await ask('/v1/models/one%2Fcheap', undefined, OTHER)).status).toBe(200);
    expect((await ask('/v1/models/one/chaep', undefined, KEY)).status).toBe(200);
    expect((await ask('/v1/models/nowhere/x', undefined, KEY)).status).toBe(404);
  });

  test('Anthropic’s clients get their own kind of list', async () => {
    const list = await jsonOf(
      ask('/v1/models', undefined, undefined, { 'x-api-key': OTHER, 'anthropic-version': '2023-06-01' }),
    );
    expect(list).toMatchObject({ has_more: false, first_id: 'mine', last_id: 'one/cheap' });
    expect(list.data[0]).toEqual({
      type: 'model',
      id: 'mine',
      display_name: 'mine',
      created_at: '2026-11-01T00:00:00.000Z',
    });
    const one = await jsonOf(ask('/v1/models/one/cheap', undefined, OTHER, { 'anthropic-version': '2023-06-01' }));
    expect(one).toMatchObject({ type: 'model', id: 'one/cheap' });
  });

  test('a decision is shown to the key that made it, and to nobody else is it there', async () => {
    const id = (await chatOf('auto', KEY)).headers.get('x-pointsman-decision-id')!;
    expect(await jsonOf(ask(`/v1/decisions/${id}`, undefined, KEY))).toMatchObject({ id, model: 'one/cheap' });
    const missing = await ask(`/v1/decisions/${'f'.repeat(32)}`, undefined, OTHER);
    const others = await ask(`/v1/decisions/${id}`, undefined, OTHER);
    expect(others.status).toBe(404);
    const told = (await jsonOf(others)).error.message.replace(id, '');
    expect(told).toBe((await jsonOf(missing)).error.message.replace('f'.repeat(32), ''));
    expect((await ask('/v1/feedback', { decisionId: id, score: 1 }, OTHER)).status).toBe(404);
    expect((await ask('/v1/feedback', { decisionId: id, score: 1 }, KEY)).status).toBe(200);
  });

  test('aliases are told in a header, with the model that answered in the body', async () => {
    const alias = await chatOf('mine', KEY);
    expect(alias.headers.get('x-pointsman-alias')).toBe('mine');
    expect((await jsonOf(alias)).model).toBe('one/cheap');
    const auto = await chatOf('claude-auto', KEY);
    expect(auto.headers.get('x-pointsman-alias')).toBe('claude-auto');
    expect(auto.headers.get('x-pointsman-reason')).toBe('cheapest_adequate');
    expect((await chatOf('auto', KEY)).headers.get('x-pointsman-alias')).toBeNull();
    expect((await chatOf('one/cheap', KEY)).headers.get('x-pointsman-alias')).toBeNull();
  });
});
