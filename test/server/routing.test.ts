/** `routing` in a body: it reaches the router, not the provider, and what does not fit is the client's to mend. */
import { afterEach, describe, expect, test } from 'vitest';
import { RoutingError } from '../../datasets/index.ts';
import type { RouteOptions, Router } from '../../router/router.ts';
import { Drift } from '../../server/drift.ts';
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
  upstream,
} from './fakes.ts';

const models = [candidate('one/model')];

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A gateway whose router writes down what it is asked. */
async function start(more: Partial<Router> = {}): Promise<{
  gateway: TestGateway;
  asked: (RouteOptions | undefined)[];
  sent: () => string;
}> {
  const host = await upstream((_, response) => sendJson(response, completion()));
  const asked: (RouteOptions | undefined)[] = [];
  const fake = fakeRouter(models);
  const router: Router = {
    ...fake,
    route(request, options) {
      asked.push(options);
      return fake.route(request, options);
    },
    ...more,
  };
  const gateway = await gatewayOver(models, { holder: { current: router }, upstreams: { one: host.url } });
  cleanUps.push(host.close, gateway.close);
  return { gateway, asked, sent: () => host.requests.at(-1)!.body };
}

const KNOBS = { dial: 7, minQuality: 0.6, maxCostUsd: 0.01 };

describe('routing in the body', () => {
  test('reaches the router from a chat request and from a question for its decision', async () => {
    const { gateway, asked } = await start();
    const routing = { ...KNOBS, critical: true };
    expect((await chat(gateway.url, hello('auto', { routing }))).status).toBe(200);
    await gateway.app.inject({ method: 'POST', url: '/v1/route', payload: hello('auto', { routing }) });
    expect(asked).toHaveLength(2);
    for (const options of asked) expect(options).toMatchObject({ policy: KNOBS, critical: true });
  });

  test('goes no further: the provider gets the rest byte by byte', async () => {
    const { gateway, sent } = await start();
    const body =
      '{"seed": 12345678901234567890, "routing" : {"dial": 3},"model":"auto", "messages":[{"role":"user","content":"hi"}]}';
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.status).toBe(200);
    expect(sent()).toBe('{"seed": 12345678901234567890,"model":"model","messages":[{"role":"user","content":"hi"}]}');
  });

  test('left out leaves the router’s own knobs in force', async () => {
    const { gateway, asked } = await start();
    await chat(gateway.url, hello('auto'));
    expect(asked[0]).not.toHaveProperty('policy');
    expect(asked[0]).not.toHaveProperty('critical');
  });

  test.each([
    [{ dial: 11 }, 'routing.dial'],
    [{ dail: 3 }, 'routing.dail'],
    [{ budget: -1 }, 'routing.budget'],
    [{ target: { keep: 2 } }, 'routing.target.keep'],
    [{ tolerance: 0.1 }, 'routing.tolerance'],
    [{ critical: 'yes' }, 'routing.critical'],
    ['cheap', 'routing'],
  ])('that does not fit is refused, and the field is named: %j', async (routing, param) => {
    const { gateway, asked } = await start();
    const response = await chat(gateway.url, hello('auto', { routing }));
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toMatchObject({ code: 'INVALID_REQUEST', param });
    expect(asked).toEqual([]);
  });

  test('that only the router can tell is wrong is the client’s fault all the same', async () => {
    const { gateway } = await start({
      route: () => Promise.reject(new RoutingError('INVALID_CONFIG', 'policy.target.reference: x/y is none of them')),
    });
    const response = await chat(gateway.url, hello('auto', { routing: { target: { keep: 0.9, reference: 'x/y' } } }));
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toMatchObject({
      code: 'INVALID_REQUEST',
      param: 'routing.target.reference',
      message: 'routing.target.reference: x/y is none of them',
    });
    // Without `routing` the same is the operator's.
    expect((await chat(gateway.url, hello('auto'))).status).toBe(500);
  });
});

test('readyz says whether the certificate holds, and why not', async () => {
  const { gateway } = await start();
  const body = (await gateway.app.inject('/readyz')).json();
  expect(body.certificate).toEqual({ holds: false, reason: 'no certificate' });
});

describe('drift', () => {
  test('is not judged by a few prompts', () => {
    const drift = new Drift();
    for (let i = 0; i < 199; i++) drift.note('a', true);
    expect(drift.share('a')).toBeNull();
    drift.note('a', false);
    expect(drift.share('a')).toBeCloseTo(199 / 200, 12);
  });

  test('looks at the latest thousand, of the router in force', () => {
    const drift = new Drift();
    for (let i = 0; i < 500; i++) drift.note('a', true);
    for (let i = 0; i < 1000; i++) drift.note('a', i % 4 === 0);
    expect(drift.share('a')).toBeCloseTo(0.25, 12);
    expect(drift.share('b')).toBeNull();
    drift.note('b', false);
    expect(drift.share('b')).toBeNull();
  });
});
