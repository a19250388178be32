/** Escalation in the gateway: a failed check goes up the list, and every call is paid for and on record. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Router } from '../../router/router.ts';
import { httpProvider } from '../../server/providers/http-provider.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  type Script,
  sendJson,
  sendStream,
  type TestGateway,
  type Upstream,
  until,
  upstream,
} from './fakes.ts';

// $1 and $2, $10 and $20, $100 and $200 a million tokens; 10 in and 5 out cost 20e-6, 200e-6 and 2000e-6.
const cheap = candidate('one/cheap', 1);
const middle = candidate('one/middle', 10);
const dear = candidate('one/dear', 100);
const models = [cheap, middle, dear];
const USD = { cheap: 20e-6, middle: 200e-6, dear: 2000e-6 };

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Predicts rising quality, cheapest first; the order of the list is that of `models`. */
function rising(quality: readonly number[] = [0.6, 0.8, 0.9], more: object = {}): Router {
  const fake = fakeRouter(models);
  return {
    ...fake,
    async route(request, options) {
      const decision = await fake.route(request, options);
      const ranked = decision.ranked.map((one, i) => ({ ...one, quality: quality[i]! }));
      return {
        ...decision,
        ranked,
        ...(options?.critical && { facts: { ...decision.facts, critical: true } }),
        ...more,
      };
    },
  };
}

interface Started {
  readonly gateway: TestGateway;
  readonly host: Upstream;
  /** Models called, in order. */
  readonly called: () => string[];
}

async function start(
  script: Script,
  options: { escalation?: object; config?: object; router?: Router } = {},
): Promise<Started> {
  const host = await upstream(script);
  const gateway = await gatewayOver(models, {
    upstreams: { one: host.url },
    holder: { current: options.router ?? rising() },
    config: { escalation: { enabled: true, ...options.escalation }, baseline: 'one/dear', ...options.config },
  });
  cleanUps.push(host.close, gateway.close);
  return { gateway, host, called: () => host.requests.map(({ body }) => JSON.parse(body).model) };
}

/** Answers as told for each model. */
const saying =
  (answers: Readonly<Record<string, string | object>>): Script =>
  (_, response, { model }) => {
    const said = answers[model]!;
    sendJson(response, typeof said === 'string' ? completion(said) : said);
  };

const WANTS_JSON = {
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'city',
      schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
};

describe('an answer that fails its check', () => {
  test('is replaced by that of the next model up, both are paid for and on record', async () => {
    const { gateway, called } = await start(saying({ cheap: 'Rome!', middle: '{"city":"Rome"}' }));
    const response = await chat(gateway.url, hello('auto', WANTS_JSON));
    expect(response.status).toBe(200);
    const body = await jsonOf(response);
    expect(body.choices[0].message.content).toBe('{"city":"Rome"}');
    expect(body.model).toBe('one/middle');
    expect(called()).toEqual(['cheap', 'middle']);
    const header = (name: string) => response.headers.get(`x-pointsman-${name}`);
    expect(header('model')).toBe('one/middle');
    expect(header('reason')).toBe('escalated');
    expect(header('escalations')).toBe('1');
    expect(header('attempts')).toBe('2');
    expect(Number(header('cost-usd'))).toBeCloseTo(USD.cheap + USD.middle, 9);
    // The baseline for the same tokens, less both calls.
    expect(Number(header('estimated-saving-usd'))).toBeCloseTo(USD.dear - USD.cheap - USD.middle, 9);
    expect(gateway.decisions).toHaveLength(1);
    expect(gateway.decisions[0]).toMatchObject({
      model: 'one/cheap',
      executedModel: 'one/middle',
      reason: 'cheapest_adequate',
      propensity: 1,
    });
    expect(gateway.attempts).toMatchObject([
      {
        ordinal: 0,
        model: 'one/cheap',
        purpose: 'answer',
        status: 'ok',
        errorCode: 'CHECK_FAILED',
        costUsd: USD.cheap,
      },
      { ordinal: 1, model: 'one/middle', purpose: 'escalation', status: 'ok', errorCode: null, costUsd: USD.middle },
    ]);
  });

  test('goes on being replaced up to maxCalls; then the last one is given, and marked', async () => {
    const { gateway, called } = await start(saying({ cheap: 'a', middle: 'b', dear: 'c' }));
    const response = await chat(gateway.url, hello('auto', WANTS_JSON));
    expect((await jsonOf(response)).choices[0].message.content).toBe('c');
    expect(called()).toEqual(['cheap', 'middle', 'dear']);
    expect(response.headers.get('x-pointsman-escalations')).toBe('2');
    expect(gateway.attempts.map(({ errorCode }) => errorCode)).toEqual([
      'CHECK_FAILED',
      'CHECK_FAILED',
      'CHECK_FAILED',
    ]);
    expect(new Set(gateway.attempts.map(({ id }) => id)).size).toBe(3);

    const bounded = await start(saying({ cheap: 'a', middle: 'b' }), { escalation: { maxCalls: 2 } });
    await chat(bounded.gateway.url, hello('auto', WANTS_JSON));
    expect(bounded.called()).toEqual(['cheap', 'middle']);
  });

  test('stays where the client’s own bound cut it: another model would be cut there, too', async () => {
    const cut = completion('{"city":"Ro');
    const { gateway, called } = await start(
      saying({
        cheap: { ...cut, choices: [{ ...cut.choices[0], finish_reason: 'length' }] },
        middle: '{"city":"Rome"}',
      }),
    );
    await chat(gateway.url, hello('auto', { ...WANTS_JSON, max_tokens: 5 }));
    expect(called()).toEqual(['cheap']);
    await chat(gateway.url, hello('auto', WANTS_JSON));
    expect(called()).toEqual(['cheap', 'cheap', 'middle']);
  });

  test('goes nowhere that is not predicted better', async () => {
    const { gateway, called } = await start(saying({ cheap: 'a', dear: 'c' }), { router: rising([0.8, 0.7, 0.9]) });
    await chat(gateway.url, hello('auto', WANTS_JSON));
    expect(called()).toEqual(['cheap', 'dear']);
  });

  test('is given all the same when nobody above answers, and what they cost is told', async () => {
    const { gateway, called } = await start(
      (_, response, body) =>
        body.model === 'cheap'
          ? sendJson(response, completion('Rome!'))
          : sendJson(response, { error: { message: 'broken', type: 'x', code: null } }, 500),
      { config: { retry: { retries: 0 } } },
    );
    const response = await chat(gateway.url, hello('auto', WANTS_JSON));
    expect(response.status).toBe(200);
    expect((await jsonOf(response)).choices[0].message.content).toBe('Rome!');
    expect(called()).toEqual(['cheap', 'middle', 'dear']);
    expect(response.headers.get('x-pointsman-model')).toBe('one/cheap');
    expect(response.headers.get('x-pointsman-reason')).toBe('cheapest_adequate');
    expect(response.headers.get('x-pointsman-escalations')).toBeNull();
    expect(response.headers.get('x-pointsman-attempts')).toBe('3');
    expect(gateway.attempts.map(({ ordinal, status, errorCode }) => [ordinal, status, errorCode])).toEqual([
      [1, 'error', 'UPSTREAM_ERROR'],
      [2, 'error', 'UPSTREAM_ERROR'],
      [0, 'ok', 'CHECK_FAILED'],
    ]);
  });

  test('does not go up beyond maxAttempts', async () => {
    const { called, gateway } = await start(saying({ cheap: 'a' }), { config: { maxAttempts: 1 } });
    expect((await chat(gateway.url, hello('auto', WANTS_JSON))).status).toBe(200);
    expect(called()).toEqual(['cheap']);
  });

  test('is replaced for clients of the other protocols, too', async () => {
    const { gateway, called } = await start(saying({ cheap: '', middle: 'Rome' }));
    const post = (path: string, body: object) =>
      fetch(`${gateway.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const message = await jsonOf(post('/v1/messages', { ...hello('auto'), max_tokens: 100 }));
    expect(message.content).toMatchObject([{ type: 'text', text: 'Rome' }]);
    const response = await jsonOf(post('/v1/responses', { model: 'auto', input: 'Say hello' }));
    expect(JSON.stringify(response.output)).toContain('Rome');
    expect(called()).toEqual(['cheap', 'middle', 'cheap', 'middle']);
  });

  test('costs a client that left meanwhile nothing more, and is on record', async () => {
    let isHanging = false;
    const { gateway } = await start((_, response, { model }) => {
      if (model === 'cheap') sendJson(response, completion(''));
      else isHanging = true;
    });
    const controller = new AbortController();
    const asking = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(hello('auto')),
      signal: controller.signal,
    }).catch(() => null);
    await until(() => isHanging);
    controller.abort();
    await asking;
    await until(() => gateway.decisions.length === 1);
    expect(gateway.attempts.map(({ model, status, errorCode }) => [model, status, errorCode])).toEqual([
      ['one/middle', 'cancelled', 'UPSTREAM_CLOSED'],
      ['one/cheap', 'ok', 'CHECK_FAILED'],
    ]);
    expect(gateway.decisions[0]!.executedModel).toBeNull();
  });
});

describe('nothing is checked', () => {
  const wrong = saying({ cheap: '', middle: 'fine', dear: 'fine' });
  test.each<[string, object, Record<string, string>]>([
    ['where the client says so', { routing: { escalation: false } }, {}],
    ['where a header says so', {}, { 'x-pointsman-escalation': 'false' }],
    ['of a critical request', { routing: { critical: true } }, {}],
    ['of a model that the client named', { model: 'one/cheap' }, {}],
  ])('%s', async (_, more, headers) => {
    const { gateway, called } = await start(wrong);
    const response = await chat(gateway.url, { ...hello('auto'), ...more }, headers);
    expect(response.status).toBe(200);
    expect(called()).toEqual(['cheap']);
    expect(gateway.attempts).toMatchObject([{ errorCode: null, purpose: 'answer' }]);
  });

  test('of a stream', async () => {
    const { gateway, called } = await start((_, response) => sendStream(response, ['I']));
    await (await chat(gateway.url, hello('auto', { stream: true, ...WANTS_JSON }))).text();
    expect(called()).toEqual(['cheap']);
  });

  test('unless the operator switched it on, whatever the client wishes', async () => {
    const { gateway, called } = await start(wrong, { escalation: { enabled: false } });
    await chat(gateway.url, hello('auto', { routing: { escalation: true } }));
    expect(called()).toEqual(['cheap']);
  });

  test('and a wish that is none is refused', async () => {
    const { gateway } = await start(wrong);
    const response = await chat(gateway.url, hello('auto', { routing: { escalation: 'no' } }));
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error.param).toBe('routing.escalation');
  });
});

test('the wish goes no further than the gateway', async () => {
  const { gateway, host } = await start(saying({ cheap: 'fine' }));
  await chat(gateway.url, hello('auto', { routing: { escalation: false } }));
  expect(host.requests[0]!.body).not.toContain('escalation');
});

describe('confidence', () => {
  const sure = (probability: number) => ({
    ...completion('Rome'),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Rome' },
        logprobs: { content: [{ token: 'Rome', logprob: Math.log(probability), top_logprobs: [] }] },
        finish_reason: 'stop',
      },
    ],
  });
  const script: Script = (_, response, body) => {
    const reply = sure(body.model === 'cheap' ? 0.3 : 0.95);
    const bare = { ...reply, choices: [{ ...reply.choices[0], logprobs: null }] };
    sendJson(response, body.logprobs === true ? reply : bare);
  };
  async function over(logprobs: boolean, minTokenProbability = 0.5): Promise<Started> {
    const host = await upstream(script);
    const one = httpProvider(
      { ...openAiCompatibleKind('one'), dialect: { logprobs } },
      { baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'k' }], transport: new Transport() },
    );
    const gateway = await gatewayOver(models, {
      providers: new Map([['one', one]]),
      holder: { current: rising() },
      config: { escalation: { enabled: true, minTokenProbability } },
    });
    cleanUps.push(host.close, gateway.close);
    return { gateway, host, called: () => host.requests.map(({ body }) => JSON.parse(body).model) };
  }

  test('is asked for, an unsure answer goes up, and the client sees nothing of it', async () => {
    const { gateway, called, host } = await over(true);
    const response = await chat(gateway.url, hello('auto'));
    const body = await jsonOf(response);
    expect(called()).toEqual(['cheap', 'middle']);
    expect(JSON.parse(host.requests[0]!.body).logprobs).toBe(true);
    expect(body.model).toBe('one/middle');
    expect(body.choices[0].logprobs).toBeNull();
  });
  test('stays in the answer of a client that asked for it itself', async () => {
    const { gateway, called } = await over(true);
    const body = await jsonOf(chat(gateway.url, hello('auto', { logprobs: true })));
    expect(called()).toEqual(['cheap', 'middle']);
    expect(body.choices[0].logprobs.content).toHaveLength(1);
  });
  test('is not asked for where the host may not take it, or nobody wants it', async () => {
    for (const { gateway, host, called } of [await over(false), await over(true, 0)]) {
      await chat(gateway.url, hello('auto'));
      expect(host.requests[0]!.body).not.toContain('logprobs');
      expect(called()).toEqual(['cheap']);
    }
  });
});

describe('the user’s verifier', () => {
  async function verifier(judge: (body: { answer: { choices: { message: { content: string } }[] } }) => unknown) {
    const bodies: Record<string, unknown>[] = [];
    const server = createServer(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const body = JSON.parse(Buffer.concat(pieces).toString());
      bodies.push(body);
      const verdict = judge(body);
      if (verdict === undefined) response.destroy();
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(verdict));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUps.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const { port } = server.address() as AddressInfo;
    const options = {
      escalation: { verifierUrl: `http://127.0.0.1:${port}/judge`, falseAccept: 1, falseReject: 0 },
      config: { egress: { allow: [`127.0.0.1:${port}`], allowPrivate: true, timeoutMs: 30_000 } },
    };
    return { bodies, options };
  }
  const isRome = (body: { answer: { choices: { message: { content: string } }[] } }) => ({
    ok: body.answer.choices[0]!.message.content === 'Rome',
  });

  test('decides on the answer as the client would get it', async () => {
    const { bodies, options } = await verifier(isRome);
    const { gateway, called } = await start(saying({ cheap: 'Paris', middle: 'Rome' }), options);
    const response = await chat(gateway.url, hello('auto'));
    expect((await jsonOf(response)).choices[0].message.content).toBe('Rome');
    expect(called()).toEqual(['cheap', 'middle']);
    expect(bodies[0]).toMatchObject({
      decisionId: response.headers.get('x-pointsman-decision-id'),
      model: 'one/cheap',
      surface: 'chat',
      request: { messages: hello('auto').messages },
      answer: { model: 'one/cheap' },
    });
  });

  test.each([
    ['breaks', () => undefined],
    ['says nonsense', () => ({ fine: true })],
  ])('that %s loses no answer', async (_, judge) => {
    const { options } = await verifier(judge);
    const { gateway, called } = await start(saying({ cheap: 'Paris' }), options);
    const response = await chat(gateway.url, hello('auto'));
    expect((await jsonOf(response)).choices[0].message.content).toBe('Paris');
    expect(called()).toEqual(['cheap']);
    expect(gateway.attempts).toMatchObject([{ errorCode: null }]);
  });

  test('that egress does not allow is not asked', async () => {
    const { bodies, options } = await verifier(isRome);
    const { gateway, called } = await start(saying({ cheap: 'Paris' }), { ...options, config: {} });
    expect((await chat(gateway.url, hello('auto'))).status).toBe(200);
    expect(called()).toEqual(['cheap']);
    expect(bodies).toHaveLength(0);
  });

  test('makes a cheaper first try worth it: the model decided for is behind it', async () => {
    const { options } = await verifier(isRome);
    const good = { ...options, escalation: { ...options.escalation, falseAccept: 0.1 } };
    // Decided for: dear, 0.9. Cheap first: 0.6 + 0.4 · 0.9 · 0.9 + … reaches the floor of 0.85 at a fraction of the cost.
    const decided = (): Router => {
      const fake = fakeRouter([dear, middle, cheap]);
      return {
        ...fake,
        async route(request, options) {
          const decision = await fake.route(request, options);
          return {
            ...decision,
            floor: 0.85,
            ranked: decision.ranked.map((one, i) => ({ ...one, quality: [0.9, 0.5, 0.6][i]! })),
          };
        },
      };
    };
    const right = await start(saying({ cheap: 'Rome' }), { ...good, router: decided() });
    const response = await chat(right.gateway.url, hello('auto'));
    expect(right.called()).toEqual(['cheap']);
    expect(response.headers.get('x-pointsman-reason')).toBe('checked');
    // What was drawn stays on record with its propensity.
    expect(right.gateway.decisions[0]).toMatchObject({ model: 'one/dear', executedModel: 'one/cheap', propensity: 1 });

    const wrong = await start(saying({ cheap: 'Paris', dear: 'Rome' }), { ...good, router: decided() });
    const second = await chat(wrong.gateway.url, hello('auto'));
    expect(wrong.called()).toEqual(['cheap', 'dear']);
    expect(second.headers.get('x-pointsman-reason')).toBe('escalated');
    expect(Number(second.headers.get('x-pointsman-cost-usd'))).toBeCloseTo(USD.cheap + USD.dear, 9);
  });
});
