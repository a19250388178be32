import type { IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RouteOptions } from '../../router/router.ts';
import { readWishes, routeOptionsOf } from '../../server/api/knobs.ts';
import type { Auto } from '../../server/models.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  sendJson,
  type TestGateway,
  type Upstream,
  upstream,
} from './fakes.ts';

const auto = (dial?: number): Auto => ({ kind: 'auto', dial, alias: null });
const wishes = (body: object, headers: IncomingHttpHeaders = {}, of: Auto | null = auto()) =>
  readWishes(JSON.stringify(body), body as Record<string, unknown>, headers, of);
const refusal = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return error as { code: string; param: string; message: string };
  }
  throw new Error('nothing was refused');
};

describe('where knobs are said', () => {
  test('in the body, in headers, in the name: a header counts for more than the body, both for more than the name', () => {
    expect(wishes({ routing: { dial: 3 } }, {}, auto(8)).routing).toEqual({ dial: 3 });
    expect(wishes({ routing: { dial: 3 } }, { 'x-pointsman-dial': '4' }, auto(8)).routing).toEqual({ dial: 4 });
    expect(wishes({}, {}, auto(8)).routing).toEqual({ dial: 8 });
    expect(wishes({}, { 'x-pointsman-dial': '0' }, auto(8)).routing).toEqual({ dial: 0 });
  });

  test('another way of setting the trade-off takes the place of the name’s dial', () => {
    expect(wishes({ routing: { budget: 2 } }, {}, auto(8)).routing).toEqual({ budget: 2 });
    expect(wishes({ routing: { target: { keep: 0.9, reference: 'one/a' } } }, {}, auto(8)).routing).not.toHaveProperty(
      'dial',
    );
    expect(wishes({ routing: { budget: 2 } }, { 'x-pointsman-dial': '4' }).routing).toEqual({ dial: 4 });
    expect(wishes({}, { 'x-pointsman-budget': '2' }, auto(8)).routing).toEqual({ budget: 2 });
  });

  test('every header', () => {
    const headers = {
      'x-pointsman-min-quality': '0.5',
      'x-pointsman-max-cost-usd': '0.01',
      'x-pointsman-critical': 'true',
      'x-pointsman-models': 'one/a, two/*',
      'x-pointsman-tags': 'a,b',
      'x-pointsman-session': 's-1',
      'x-pointsman-explain': '1',
    };
    expect(wishes({}, headers)).toMatchObject({
      explain: true,
      routing: {
        minQuality: 0.5,
        maxCostUsd: 0.01,
        critical: true,
        models: ['one/a', 'two/*'],
        tags: ['a', 'b'],
        session: 's-1',
      },
    });
  });

  test('what OpenRouter’s clients send narrows auto, and is left to the provider of a model that was named', () => {
    const body = {
      model: 'x',
      plugins: [{ id: 'auto-router', allowed_models: ['one/*'] }],
      models: ['two/a'],
      route: 'fallback',
      x: 1,
    };
    const routed = wishes(body);
    expect(routed.routing.models).toEqual(['one/*', 'two/a']);
    expect(JSON.parse(routed.text)).toEqual({ model: 'x', x: 1 });
    const named = wishes({ ...body, plugins: [{ id: 'web' }] }, {}, null);
    expect(named.routing).toEqual({});
    expect(named.text).toBe(JSON.stringify({ ...body, plugins: [{ id: 'web' }] }));
  });

  test('what is ours is taken out, every other byte is left', () => {
    const text = '{"model":"auto", "routing" : {"dial":3} ,"n":1.0,"big":12345678901234567890}';
    expect(readWishes(text, JSON.parse(text), {}, null).text).toBe(
      '{"model":"auto","n":1.0,"big":12345678901234567890}',
    );
    const plain = '{ "model" : "one/a" }';
    expect(readWishes(plain, JSON.parse(plain), {}, null).text).toBe(plain);
  });
});

const WRONG: [object, string][] = [
  [{ routing: 5 }, 'routing'],
  [{ routing: null }, 'routing'],
  [{ routing: [] }, 'routing'],
  [{ routing: { dial: 11 } }, 'routing.dial'],
  [{ routing: { dial: '7' } }, 'routing.dial'],
  [{ routing: { dial: true } }, 'routing.dial'],
  [{ routing: { minQuality: -0.1 } }, 'routing.minQuality'],
  [{ routing: { maxCostUsd: 0 } }, 'routing.maxCostUsd'],
  [{ routing: { budget: -1 } }, 'routing.budget'],
  [{ routing: { target: 0.9 } }, 'routing.target'],
  [{ routing: { target: { keep: 2, reference: 'one/a' } } }, 'routing.target.keep'],
  [{ routing: { critical: 'yes' } }, 'routing.critical'],
  [{ routing: { models: [] } }, 'routing.models'],
  [{ routing: { models: 'one/a' } }, 'routing.models'],
  [{ routing: { models: ['one/a', ''] } }, 'routing.models.1'],
  [{ routing: { session: '' } }, 'routing.session'],
  [{ routing: { session: 'x'.repeat(201) } }, 'routing.session'],
  [{ routing: { tags: ['x'.repeat(101)] } }, 'routing.tags.0'],
  [{ routing: { tags: Array(21).fill('t') } }, 'routing.tags'],
  [{ routing: { quality: 1 } }, 'routing.quality'],
  [{ routing: { tolerance: 0.1 } }, 'routing.tolerance'],
  [{ plugins: {} }, 'plugins'],
  [{ plugins: [{ id: 'web' }] }, 'plugins.0.id'],
  [{ plugins: [{ id: 'auto-router', allowed_models: 'one/*' }] }, 'plugins.0.allowed_models'],
  [{ models: 'one/a' }, 'models'],
  [{ models: [5] }, 'models'],
];
const WRONG_HEADERS: [string, string][] = [
  ['x-pointsman-dial', 'high'],
  ['x-pointsman-dial', ''],
  ['x-pointsman-dial', '11'],
  ['x-pointsman-dial', '4, 5'],
  ['x-pointsman-min-quality', 'NaN'],
  ['x-pointsman-max-cost-usd', '-1'],
  ['x-pointsman-max-cost-usd', 'Infinity'],
  ['x-pointsman-budget', '0'],
  ['x-pointsman-critical', 'yes'],
  ['x-pointsman-explain', 'please'],
  ['x-pointsman-models', ''],
  ['x-pointsman-models', 'one/a,,'],
  ['x-pointsman-tags', 'x'.repeat(101)],
  ['x-pointsman-session', 'x'.repeat(201)],
];

describe('what does not fit', () => {
  test.each(WRONG)('%j is refused by its name', (body, param) => {
    expect(refusal(() => wishes(body))).toMatchObject({ code: 'INVALID_REQUEST', param });
  });

  test.each(WRONG_HEADERS)('%s: %s is refused by its name', (header, value) => {
    expect(refusal(() => wishes({}, { [header]: value }))).toMatchObject({ code: 'INVALID_REQUEST', param: header });
  });

  test('an unknown knob is told which ones there are', () => {
    expect(refusal(() => wishes({ routing: { quality: 1 } })).message).toMatch(/no such knob; known: .*minQuality/);
  });
});

describe('what a key allows', () => {
  const bounds = { minQuality: 0.5, maxCostUsd: 0.01, dial: 6 };
  const within = (routing: object, of: object = bounds) => routeOptionsOf(routing, { routing: of }).policy;

  test.each([
    [{}, { minQuality: 0.5, maxCostUsd: 0.01, dial: 6 }],
    [
      { minQuality: 0.2, maxCostUsd: 1, dial: 10 },
      { minQuality: 0.5, maxCostUsd: 0.01, dial: 6 },
    ],
    [
      { minQuality: 0.9, maxCostUsd: 0.001, dial: 1 },
      { minQuality: 0.9, maxCostUsd: 0.001, dial: 1 },
    ],
  ])('%j becomes %j', (asked, policy) => {
    expect(within(asked)).toEqual(policy);
  });

  test.each(['target', 'budget'])('%s would go around its dial', (knob) => {
    const value = knob === 'target' ? { keep: 0.9, reference: 'one/a' } : 3;
    expect(refusal(() => within({ [knob]: value }))).toMatchObject({
      code: 'INVALID_REQUEST',
      param: `routing.${knob}`,
    });
    expect(within({ [knob]: value }, { minQuality: 0.5 })).toEqual({ [knob]: value, minQuality: 0.5 });
  });

  test('null asks for nothing, and goes around nothing', () => {
    expect(within({ dial: null, maxCostUsd: null, target: null, budget: null })).toMatchObject(bounds);
  });

  test('without bounds everything that fits is passed on', () => {
    expect(routeOptionsOf({ dial: 9, critical: true })).toEqual({ policy: { dial: 9 }, critical: true });
    expect(routeOptionsOf({})).toEqual({});
    expect(routeOptionsOf({ session: 's', tags: ['t'] })).toEqual({});
  });

  test.each([
    [undefined, undefined, undefined],
    [['one/*'], undefined, ['one/a', 'one/b']],
    [undefined, ['auto', 'one/a'], ['one/a']],
    [['one/*'], ['auto', '*/a'], ['one/a']],
    [['one/b'], ['auto', '*/a'], []],
    [['one/a'], ['auto'], ['one/a']],
    [undefined, ['*'], ['one/a', 'one/b', 'two/a']],
    [undefined, ['auto*'], undefined],
    [undefined, ['auto', 'gone/x'], []],
  ])('asked for %j with a key for %j leaves %j', (asked, ofKey, allowed) => {
    const options = routeOptionsOf(asked === undefined ? {} : { models: asked }, { models: ofKey }, [
      'one/a',
      'one/b',
      'two/a',
    ]);
    expect(options.allowed).toEqual(allowed);
  });

  test('a model that is no candidate is refused with the nearest', () => {
    expect(refusal(() => routeOptionsOf({ models: ['one/a', 'one/bb'] }, undefined, ['one/a', 'one/b']))).toMatchObject(
      {
        param: 'routing.models.1',
        message: expect.stringContaining('did you mean one/b?'),
      },
    );
  });
});

describe('through the gateway', () => {
  let host: Upstream;
  let gateway: TestGateway;
  let options: (RouteOptions | undefined)[];
  beforeEach(async () => {
    host = await upstream((_, response) => sendJson(response, completion()));
    const models = [candidate('one/a'), candidate('one/b', 2)];
    const router = fakeRouter(models);
    options = [];
    const route: typeof router.route = (request, asked) => {
      options.push(asked);
      return router.route(request, asked);
    };
    gateway = await gatewayOver(models, {
      upstreams: { one: host.url },
      holder: { current: { ...router, route } },
      config: {
        aliases: { thrifty: 'auto:cost' },
        keys: [{ name: 'k', key: 'client-key-0123456789', routing: { dial: 5 } }],
      },
    });
  });
  afterEach(async () => {
    await gateway.close();
    await host.close();
  });
  const key = { authorization: 'Bearer client-key-0123456789' };
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...key, ...headers },
      body: JSON.stringify(body),
    });

  test('they reach the router within what the key allows, and nothing of them reaches the host', async () => {
    const body = hello('auto', {
      routing: { minQuality: 0.4, dial: 9, tags: ['t'] },
      models: ['one/a'],
      plugins: [{ id: 'auto-router' }],
      x: 1,
    });
    expect((await chat(gateway.url, body, { ...key, 'x-pointsman-max-cost-usd': '0.5' })).status).toBe(200);
    expect(options.at(-1)).toMatchObject({ policy: { minQuality: 0.4, dial: 5, maxCostUsd: 0.5 }, allowed: ['one/a'] });
    const { body: sent, headers } = host.requests[0]!;
    expect(Object.keys(JSON.parse(sent)).sort()).toEqual(['messages', 'model', 'x']);
    expect(Object.keys(headers).filter((name) => name.startsWith('x-pointsman'))).toEqual([]);
  });

  test.each([
    ['auto:quality', 5],
    ['thrifty', 2],
    ['router-mf-0.9', 1],
  ])('the name %s asks for dial %s, within the key’s', async (model, dial) => {
    await chat(gateway.url, hello(model), key);
    expect(options.at(-1)!.policy!.dial).toBeCloseTo(dial, 9);
  });

  test('a model that was named keeps its provider’s own fields, but not ours', async () => {
    const fields = { models: ['x/y'], plugins: [{ id: 'web' }], route: 'fallback' };
    expect((await chat(gateway.url, hello('one/a', { ...fields, routing: { tags: ['t'] } }), key)).status).toBe(200);
    expect(JSON.parse(host.requests[0]!.body)).toEqual({ ...hello('a'), ...fields });
    expect(gateway.decisions.at(-1)).toMatchObject({ tags: ['t'] });
    expect((await chat(gateway.url, hello('one/a', { routing: { dial: 50 } }), key)).status).toBe(400);
  });

  const bodies: [string, object][] = [
    ['/v1/chat/completions', hello('auto')],
    ['/v1/responses', { model: 'auto', input: 'Hi' }],
    ['/v1/messages', { ...hello('auto'), max_tokens: 5 }],
    ['/v1/route', hello('auto')],
  ];
  test.each(bodies)('%s refuses what does not fit with a 400 that names it, and calls nobody', async (path, body) => {
    for (const [wrong, param] of WRONG.slice(0, 8)) {
      const response = await post(path, { ...body, ...wrong });
      expect(response.status).toBe(400);
      expect(JSON.stringify((await jsonOf(response)).error)).toContain(param);
    }
    for (const [header, value] of WRONG_HEADERS.slice(0, 4)) {
      const response = await post(path, body, { [header]: value });
      expect(response.status).toBe(400);
      expect((await jsonOf(response)).error.message).toContain(header);
    }
    expect(host.requests).toHaveLength(0);
  });

  test.each(bodies.slice(0, 3))(
    'a dry run of what %s takes says what would be chosen, calls nobody and writes nothing',
    async (_, body) => {
      const dry = await jsonOf(post('/v1/route', body));
      expect(dry).toMatchObject({ routed: true, model: 'one/a', reason: 'cheapest_adequate', baseline: 'one/b' });
      expect(dry.ranked).toHaveLength(2);
      // 100 tokens expected at 2 USD per million, and the input at 1; the baseline is twice as dear.
      expect(dry.estimatedSavingUsd).toBeCloseTo(dry.costUsd, 12);
      expect(await jsonOf(post('/v1/route', { ...body, model: 'one/b' }))).toEqual({
        model: 'one/b',
        routed: false,
        reason: 'requested',
      });
      expect((await post('/v1/route', { ...body, model: 'nowhere/x' })).status).toBe(404);
      expect(host.requests).toHaveLength(0);
      expect(gateway.decisions).toHaveLength(0);
    },
  );

  test('a dry run needs something to decide on', async () => {
    for (const body of [{}, { messages: [] }, { messages: 'x' }, { input: 5 }])
      expect((await post('/v1/route', body)).status).toBe(400);
  });
});
