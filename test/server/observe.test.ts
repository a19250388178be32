/** Observe mode: the client's model answers as ever, and the record holds what `auto` would have done. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Router } from '../../router/router.ts';
import { ANYBODY } from '../../server/callers.ts';
import { observe } from '../../server/observe.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  sendJson,
  sendStream,
  type TestGateway,
  upstream,
} from './fakes.ts';

const cheap = candidate('one/cheap', 1);
const dear = candidate('one/dear', 10);
const models = [cheap, dear];

const EMBEDDINGS = {
  object: 'list',
  data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
  model: 'dear',
  usage: { prompt_tokens: 1, total_tokens: 1 },
};

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(config: object = { observe: { share: 1 } }, router: Partial<Router> = {}) {
  const host = await upstream((request, response, body) => {
    if (request.url?.endsWith('/embeddings')) sendJson(response, EMBEDDINGS);
    else if (body.stream) sendStream(response, ['fi', 'ne']);
    else sendJson(response, completion());
  });
  const gateway = await gatewayOver(models, {
    upstreams: { one: host.url },
    holder: { current: { ...fakeRouter(models), ...router } },
    config,
  });
  cleanUps.push(host.close, gateway.close);
  return { gateway, called: () => host.requests.map(({ body }) => JSON.parse(body).model) };
}

const post = (gateway: TestGateway, path: string, body: object, headers = {}) =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

const OBSERVED = {
  model: 'one/cheap',
  reason: 'cheapest_adequate',
  propensity: 1,
  artifact: 'fake',
  chosen: { quality: 0.9, outputTokens: 100 },
  named: { quality: 0.89, outputTokens: 100 },
};

describe('a request with a concrete id', () => {
  test.each([
    ['/v1/chat/completions', hello('one/dear')],
    ['/v1/chat/completions', hello('one/dear', { stream: true })],
    ['/v1/responses', { model: 'one/dear', input: 'Say hello' }],
    ['/v1/messages', { ...hello('one/dear'), max_tokens: 100 }],
    ['/v1/messages', { ...hello('one/dear'), max_tokens: 100, stream: true }],
  ])('to %s is answered by it, and what auto would have called is on record', async (path, body) => {
    const { gateway, called } = await start();
    const response = await post(gateway, path, body);
    await response.text();
    expect(called()).toEqual(['dear']);
    expect(response.headers.get('x-pointsman-model')).toBe('one/dear');
    expect(response.headers.get('x-pointsman-reason')).toBe('requested');
    const [record] = gateway.decisions;
    expect(record).toMatchObject({ routed: false, model: 'one/dear', executedModel: 'one/dear', observed: OBSERVED });
    // Nothing of it is a choice to learn from.
    expect(record).toMatchObject({ ranked: [], embedding: null, propensity: 1, baselineCostUsd: null });
  });

  test('has no forecast of its own where the named model is no candidate', async () => {
    const { gateway } = await start();
    await chat(gateway.url, hello('one/unlisted'));
    expect(gateway.decisions[0]!.observed).toMatchObject({ model: 'one/cheap', named: null });
  });

  test('is judged within what its key allows', async () => {
    const asked: unknown[] = [];
    const fake = fakeRouter(models);
    const { gateway } = await start(
      {
        observe: { share: 1 },
        keys: [{ name: 'k', key: 'secret-key-of-a-client', models: ['one/dear'], routing: { dial: 7 } }],
      },
      {
        route(request, options) {
          asked.push(options);
          return fake.route(request, options);
        },
      },
    );
    await post(gateway, '/v1/chat/completions', hello('one/dear'), { authorization: 'Bearer secret-key-of-a-client' });
    expect(asked).toMatchObject([{ allowed: ['one/dear'], policy: { dial: 7 } }]);
  });
});

describe('observing', () => {
  test('is off unless it is asked for, and asks nothing of auto', async () => {
    const off = await start({});
    await chat(off.gateway.url, hello('one/dear'));
    expect(off.gateway.decisions[0]!.observed).toBeNull();
    const on = await start();
    await chat(on.gateway.url, hello('auto'));
    expect(on.gateway.decisions[0]).toMatchObject({ routed: true, observed: null });
  });

  test('leaves embeddings alone', async () => {
    const { gateway } = await start();
    const response = await post(gateway, '/v1/embeddings', { model: 'one/dear', input: 'x' });
    expect(response.status).toBe(200);
    expect(gateway.decisions[0]!.observed).toBeNull();
  });

  test('takes the share it is told', async () => {
    const { gateway } = await start({ observe: { share: 0.25 } });
    const { decisions } = gateway;
    await chat(gateway.url, hello('one/dear'));
    const caller = ANYBODY;
    const seen: boolean[] = [];
    for (const draw of [0, 0.2499, 0.25, 0.9]) {
      const record = { ...decisions[0]!, observed: null };
      await observe(gateway.gateway, record, hello('one/dear'), 'chat', caller, () => draw);
      seen.push(record.observed !== null);
    }
    expect(seen).toEqual([true, true, false, false]);
  });

  test('fails no request when the router does', async () => {
    for (const route of [
      () => Promise.reject(new Error('broken')),
      () => {
        throw new Error('broken at once');
      },
    ]) {
      const { gateway } = await start(undefined, { route });
      const response = await chat(gateway.url, hello('one/dear'));
      expect(response.status).toBe(200);
      expect((await jsonOf(response)).choices[0].message.content).toBe('fine');
      expect(gateway.decisions[0]!.observed).toBeNull();
    }
  });

  test('does not hold an answer up when the router hangs, and a late word changes nothing on record', async () => {
    let say: (() => void) | undefined;
    const fake = fakeRouter(models);
    const { gateway } = await start(undefined, {
      route: async (request, options) => {
        await new Promise<void>((resolve) => {
          say = resolve;
        });
        return fake.route(request, options);
      },
    });
    const response = await chat(gateway.url, hello('one/dear'));
    expect(response.status).toBe(200);
    say!();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(gateway.decisions).toMatchObject([{ observed: null, routerMs: null }]);
  });

  test('of what cannot be routed leaves it to its provider', async () => {
    const { gateway, called } = await start();
    // No text that the router could read: the provider judges it.
    const response = await chat(gateway.url, { model: 'one/dear', messages: [{ role: 'user', content: '' }] });
    expect(response.status).toBe(200);
    expect(called()).toEqual(['dear']);
    expect(gateway.decisions[0]!.observed).toBeNull();
  });
});
