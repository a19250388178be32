/** `POST /v1/feedback`: who may say what of an answer, how often, and what the reply says of its use. */
import { afterEach, describe, expect, test } from 'vitest';
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

const KEYS = {
  maker: 'key-of-the-maker-1234',
  lead: 'key-of-the-lead-12345',
  peer: 'key-of-the-peer-12345',
  mute: 'key-of-the-mute-12345',
  foreign: 'key-of-the-foreign-12',
} as const;
const keys = [
  { name: 'maker', key: KEYS.maker, tenant: 'search' },
  { name: 'lead', key: KEYS.lead, tenant: 'search', scopes: ['feedback:team'], feedbackWeight: 0.5 },
  { name: 'peer', key: KEYS.peer, tenant: 'search' },
  { name: 'mute', key: KEYS.mute, tenant: 'search', scopes: ['call'], feedbackWeight: 1 },
  { name: 'foreign', key: KEYS.foreign, tenant: 'other', scopes: ['feedback', 'feedback:team'] },
];

/** A gateway with keys and a decision of the maker's. */
async function ofMaker(feedback: object = {}) {
  const store = memoryStore();
  const { app, url, gateway } = await start(fine, { store, config: { keys, feedback } as object });
  const post = (body: object, key: keyof typeof KEYS = 'maker', headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/v1/feedback',
      payload: { decisionId: id, ...body },
      headers: { authorization: `Bearer ${KEYS[key]}`, ...headers },
    });
  const response = await chat(url, hello('auto'), { authorization: `Bearer ${KEYS.maker}` });
  const id = response.headers.get('x-pointsman-decision-id')!;
  return { store, post, id, gateway };
}

describe('a verdict is said as', () => {
  test.each<[string, object, object]>([
    ['a score', { score: 0.3 }, { score: 0.3, label: null }],
    ['a thumb up', { thumbs: 'up' }, { score: 1, label: null }],
    ['a thumb down', { thumbs: 'down' }, { score: 0, label: null }],
    ['a label', { label: 'incomplete' }, { score: 0.3, label: 'incomplete' }],
    ['a correction', { correction: 'The capital is Bern.' }, { score: 0, label: 'corrected' }],
    ['a correction with a score', { correction: 'Bern.', score: 0.6 }, { score: 0.6, label: 'corrected' }],
  ])('%s', async (_, said, row) => {
    const { store, post, id } = await ofMaker();
    const reply = await post(said);
    expect(reply.statusCode).toBe(200);
    const written = { decisionId: id, source: 'user', weight: 1, ...row };
    expect(reply.json()).toMatchObject({ ...written, learnable: true });
    expect(store.feedback).toMatchObject([{ ...written, kind: 'verdict', tenant: 'search', key: 'maker' }]);
    expect(JSON.stringify([store.feedback, reply.json()])).not.toMatch(/Bern/);
  });

  test('a label of the configuration, which may also say what a correction is worth', async () => {
    const { post } = await ofMaker({ labels: { fine: 0.9, corrected: 0.25 } });
    expect((await post({ label: 'fine' })).json()).toMatchObject({ score: 0.9 });
    expect((await post({ correction: 'x' })).json()).toMatchObject({ score: 0.25 });
    const refused = await post({ label: 'good' });
    expect(refused.statusCode).toBe(400);
    expect(refused.json().error).toMatchObject({ param: 'label', message: expect.stringContaining('fine, corrected') });
  });

  test.each<[string, object, string]>([
    ['nothing', {}, 'score'],
    ['two things', { score: 1, thumbs: 'up' }, 'thumbs'],
    ['a label and a correction', { label: 'bad', correction: 'x' }, 'correction'],
    ['three things', { score: 1, correction: 'x', label: 'bad' }, 'label'],
    ['a thumb sideways', { thumbs: 'sideways' }, 'thumbs'],
    ['a label of the language', { label: 'constructor' }, 'label'],
    ['a label that is no text', { label: 3 }, 'label'],
    ['an empty correction', { correction: '' }, 'correction'],
    ['a number as a correction', { correction: 5 }, 'correction'],
    ['a weight of its own', { score: 1, weight: 1 }, 'weight'],
    ['an endless id', { score: 1, id: 'x'.repeat(256) }, 'id'],
    ['a source that is no name', { score: 1, source: 'what I think' }, 'source'],
    ['a source with nothing after the colon', { score: 1, source: 'judge:' }, 'source'],
    ['the gateway’s own source', { score: 1, source: 'verifier:form' }, 'source'],
    ['a hint', { score: 1, source: 'Hint:asked_again' }, 'source'],
  ])('%s is refused by name', async (_, said, param) => {
    const { store, post } = await ofMaker();
    const reply = await post(said);
    expect(reply.statusCode).toBe(400);
    expect(reply.json().error).toMatchObject({ code: 'INVALID_REQUEST', param });
    expect(store.feedback).toEqual([]);
  });
});

test('a source keeps its kind; a name becomes a short hash, the same each time and another for each name', async () => {
  const { store, post } = await ofMaker();
  const sources = [
    'user',
    'code',
    'Judge',
    'judge:openai/gpt-6',
    'judge:openai/gpt-6',
    'user:ann@example.org',
    'tests',
  ];
  for (const source of sources) expect((await post({ score: 1, source })).statusCode).toBe(200);
  const kept = store.feedback.map(({ source }) => source);
  expect(kept.slice(0, 3)).toEqual(['user', 'code', 'judge']);
  expect(kept[3]).toMatch(/^judge:[0-9a-f]{8}$/);
  expect(kept[4]).toBe(kept[3]);
  expect(kept[5]).toMatch(/^user:[0-9a-f]{8}$/);
  expect(kept[6]).toMatch(/^code:[0-9a-f]{8}$/);
  expect(new Set(kept).size).toBe(6);
});

describe('an id of the client’s own', () => {
  test.each<[string, (post: Awaited<ReturnType<typeof ofMaker>>['post'], score: number) => ReturnType<typeof post>]>([
    ['in the header', (post, score) => post({ score }, 'maker', { 'idempotency-key': 'k-1' })],
    ['in the body', (post, score) => post({ score, id: 'k-1' })],
  ])('%s: the same again is one verdict, another one is refused', async (_, say) => {
    const { store, post } = await ofMaker();
    const first = await say(post, 0.5);
    const again = await say(post, 0.5);
    expect(again.statusCode).toBe(200);
    expect(again.json()).toEqual(first.json());
    const other = await say(post, 0.6);
    expect(other.statusCode).toBe(409);
    expect(other.json().error.code).toBe('CONFLICT');
    expect(store.feedback).toMatchObject([{ score: 0.5, id: expect.stringMatching(/^[0-9a-f]{32}$/) }]);
    expect(JSON.stringify(store.feedback)).not.toContain('k-1');
  });

  test('sent many times at once is one verdict', async () => {
    const { store, post } = await ofMaker();
    const replies = await Promise.all(Array.from({ length: 8 }, () => post({ score: 1, id: 'k' })));
    expect(new Set(replies.map(({ body }) => body)).size).toBe(1);
    expect(store.feedback).toHaveLength(1);
  });

  test('is another key’s to use as well', async () => {
    const { store, post } = await ofMaker();
    expect((await post({ score: 1, id: 'k' })).statusCode).toBe(200);
    expect((await post({ score: 0, id: 'k' }, 'lead')).statusCode).toBe(200);
    expect(store.feedback).toHaveLength(2);
  });

  test('said twice differently, or not at all, is refused', async () => {
    const { post } = await ofMaker();
    expect((await post({ score: 1, id: 'a' }, 'maker', { 'idempotency-key': 'a' })).statusCode).toBe(200);
    const two = await post({ score: 1, id: 'a' }, 'maker', { 'idempotency-key': 'b' });
    expect(two.json().error).toMatchObject({ code: 'INVALID_REQUEST', param: 'id' });
    expect((await post({ score: 1 }, 'maker', { 'idempotency-key': 'x'.repeat(300) })).statusCode).toBe(400);
  });

  test('falls on the same row with the database away', async () => {
    const { store, post } = await ofMaker();
    store.away = true;
    await post({ score: 1, id: 'k' });
    await post({ score: 1, id: 'k' });
    // This store writes all that it is given; a database skips an id that is there.
    expect(store.feedback[0]!.id).toBe(store.feedback[1]!.id);
  });
});

test('a decision takes so many verdicts and no more, also at once; the same again is none', async () => {
  const { store, post } = await ofMaker({ maxPerDecision: 3 });
  const replies = await Promise.all([0, 0.1, 0.2, 0.3, 0.4].map((score, i) => post({ score, id: `k${i}` })));
  expect(replies.map(({ statusCode }) => statusCode).sort()).toEqual([200, 200, 200, 429, 429]);
  expect(replies.find(({ statusCode }) => statusCode === 429)!.json().error.code).toBe('LIMIT_REACHED');
  expect(store.feedback).toHaveLength(3);
  const [kept] = store.feedback;
  const again = replies.findIndex((reply) => reply.statusCode === 200 && reply.json().id === kept!.id);
  expect((await post({ score: again / 10, id: `k${again}` })).statusCode).toBe(200);
});

describe('with keys,', () => {
  test('a team’s judge may judge what another key of it asked, with the weight of its own key', async () => {
    const { store, post } = await ofMaker();
    expect((await post({ score: 0 }, 'lead')).json()).toMatchObject({ weight: 0.5, learnable: true });
    expect(store.feedback).toMatchObject([{ key: 'lead', tenant: 'search', weight: 0.5 }]);
  });

  test.each(['peer', 'foreign'] as const)('to %s a decision of somebody else’s is not there', async (key) => {
    const { store, post, id } = await ofMaker();
    const refused = await post({ score: 0 }, key);
    expect(refused.statusCode).toBe(404);
    const missing = await post({ score: 0, decisionId: 'f'.repeat(32) }, key);
    expect(refused.body.replace(id, '')).toBe(missing.body.replace('f'.repeat(32), ''));
    expect(store.feedback).toEqual([]);
  });

  test('one without the scope is told so', async () => {
    const { post } = await ofMaker();
    const refused = await post({ score: 1 }, 'mute');
    expect(refused.statusCode).toBe(403);
    expect(refused.json().error).toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('feedback') });
  });

  test('one whose verdicts weigh nothing is told that, too', async () => {
    const store = memoryStore();
    const mere = [{ name: 'maker', key: KEYS.maker, tenant: 'search', feedbackWeight: 0 }];
    const { app, url } = await start(fine, { store, config: { keys: mere } as object });
    const headers = { authorization: `Bearer ${KEYS.maker}` };
    const id = (await chat(url, hello('auto'), headers)).headers.get('x-pointsman-decision-id')!;
    const payload = { decisionId: id, score: 1 };
    const reply = await app.inject({ method: 'POST', url: '/v1/feedback', payload, headers });
    expect(reply.json()).toMatchObject({
      learnable: false,
      reason: expect.stringMatching(/feedbackWeight/),
      weight: 0,
    });
    expect(store.feedback).toHaveLength(1);
  });
});

test('while the database is away a decision under way is still known, and who made it', async () => {
  const { store, post, gateway, id } = await ofMaker();
  gateway.pending.set(id, store.decisions[0]!);
  store.away = true;
  expect((await post({ score: 1 }, 'peer')).statusCode).toBe(404);
  expect((await post({ score: 1 })).json()).toMatchObject({ learnable: true });
});
