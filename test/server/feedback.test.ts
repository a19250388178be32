/** What the reply to feedback says of its use: the router learns from routed answers of real models only. */
import { afterEach, expect, test } from 'vitest';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  memoryStore,
  type Script,
  sendJson,
  startSse,
  upstream,
  word,
} from './fakes.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const model = candidate('one/model');

/** A gateway over one model that follows this script; without one, the sandbox answers. */
async function start(script?: Script, setup: Parameters<typeof gatewayOver>[1] = {}) {
  const host = script && (await upstream(script));
  const gateway = await gatewayOver([model], { ...setup, ...(host && { upstreams: { one: host.url } }) });
  cleanUps.push(gateway.close);
  if (host) cleanUps.push(host.close);
  const judge = async (decisionId: string) => {
    const payload = { decisionId, score: 1 };
    const reply = await gateway.app.inject({ method: 'POST', url: '/v1/feedback', payload });
    expect(reply.statusCode).toBe(200);
    return reply.json();
  };
  const ask = async (name: string, more: object = {}) => {
    const response = await chat(gateway.url, hello(name, more));
    return { id: response.headers.get('x-pointsman-decision-id')!, response };
  };
  return { ...gateway, judge, ask };
}

const fine: Script = (_, response) => sendJson(response, completion());

test('a routed answer of a model can be learned from', async () => {
  const { ask, judge } = await start(fine);
  const judged = await judge((await ask('auto')).id);
  expect(judged).toMatchObject({ score: 1, learnable: true });
  expect(judged).not.toHaveProperty('reason');
});

test.each<[string, string, Script | undefined, RegExp]>([
  ['a model that the client named', 'one/model', fine, /client had named the model/],
  ['a request that nobody answered', 'auto', (_, response) => sendJson(response, 'no', 400), /no model had answered/],
  ['an answer of the sandbox', 'auto', undefined, /sandbox, no model was called/],
])('feedback on %s is kept, and said to teach nothing', async (_, name, script, reason) => {
  const store = memoryStore();
  const { ask, judge } = await start(script, { store });
  const { id } = await ask(name);
  expect(await judge(id)).toMatchObject({ learnable: false, reason: expect.stringMatching(reason) });
  expect(store.feedback).toHaveLength(1);
});

test('a decision embedded by an encoder that is no longer in force teaches nothing', async () => {
  const holder = { current: fakeRouter([model]) };
  const { ask, judge } = await start(fine, { holder });
  const { id } = await ask('auto');
  holder.current = { ...fakeRouter([model]), encoderId: 'next' } as typeof holder.current;
  expect(await judge(id)).toMatchObject({ learnable: false, reason: expect.stringMatching(/another encoder/) });
});

test('a stream that is still running will teach', async () => {
  let finish = () => {};
  const { ask, judge } = await start((_, response) => {
    startSse(response);
    response.write(word('one'));
    finish = () => response.end(`${word('two', 'stop')}data: [DONE]\n\n`);
  });
  const { id, response } = await ask('auto', { stream: true });
  expect(await judge(id)).toMatchObject({ learnable: true });
  finish();
  await response.text();
});

test('nothing is promised while the database is away', async () => {
  const store = memoryStore();
  const { judge } = await start(fine, { store });
  store.away = true;
  expect(await judge('a'.repeat(32))).toMatchObject({ learnable: null, reason: expect.stringMatching(/away/) });
});
