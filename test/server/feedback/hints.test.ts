/** What the gateway reads off a client's next request, in real conversations of the three protocols. */
import { afterEach, describe, expect, test } from 'vitest';
import type { AttemptRecord, DecisionRecord } from '../../../server/db/store.ts';
import { Hints } from '../../../server/feedback/hints.ts';
import { aDecision, anAttempt } from '../db/records.ts';
import {
  candidate,
  completion,
  gatewayOver,
  type MemoryStore,
  memoryStore,
  type Script,
  sendJson,
  upstream,
} from '../fakes.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const QUESTION = 'Which river flows through Geneva and Lyon?';
const FOLLOW_UP = 'How long is it, and where does it end?';
/** The same but for its case and a mark. */
const AGAIN = 'which river flows through Geneva and Lyon??';
const ANSWER = 'The river of your question.';
const keys = [
  { name: 'a', key: 'key-of-team-a-123456', tenant: 'a' },
  { name: 'b', key: 'key-of-team-b-123456', tenant: 'b' },
];

type Item = { readonly by: 'person' | 'model' | 'call' | 'result' | 'failure'; readonly text: string };
const person = (text: string): Item => ({ by: 'person', text });
const model: Item = { by: 'model', text: ANSWER };
const call: Item = { by: 'call', text: '' };
const result: Item = { by: 'result', text: '21 degrees' };
const failure: Item = { by: 'failure', text: 'Error: no such town' };

interface Protocol {
  readonly name: string;
  readonly path: string;
  /** A request that holds this conversation. */
  body(items: readonly Item[]): object;
}

const chatTurn = ({ by, text }: Item): object => {
  const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"town":"x"}' } }];
  if (by === 'person') return { role: 'user', content: text };
  if (by === 'model') return { role: 'assistant', content: text };
  if (by === 'call') return { role: 'assistant', content: null, tool_calls };
  return { role: 'tool', tool_call_id: 'c1', content: text };
};
const messagesTurn = ({ by, text }: Item): object => {
  if (by === 'person') return { role: 'user', content: [{ type: 'text', text }] };
  if (by === 'model') return { role: 'assistant', content: text };
  const use = { type: 'tool_use', id: 'c1', name: 'weather', input: { town: 'x' } };
  if (by === 'call') return { role: 'assistant', content: [use] };
  // Flagged as its protocol does it: the text itself does not say so.
  const content = by === 'failure' ? 'no such town' : text;
  return { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content, is_error: by === 'failure' }] };
};
const responsesItem = ({ by, text }: Item): object => {
  if (by === 'person') return { role: 'user', content: [{ type: 'input_text', text }] };
  if (by === 'model') return { role: 'assistant', content: [{ type: 'output_text', text }] };
  if (by === 'call') return { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"town":"x"}' };
  return { type: 'function_call_output', call_id: 'c1', output: text };
};
const parameters = { type: 'object', properties: { town: { type: 'string' } } };

const PROTOCOLS: readonly Protocol[] = [
  {
    name: 'chat completions',
    path: '/v1/chat/completions',
    body: (items) => ({
      messages: [{ role: 'system', content: 'Be brief.' }, ...items.map(chatTurn)],
      tools: [{ type: 'function', function: { name: 'weather', parameters } }],
    }),
  },
  {
    name: 'messages',
    path: '/v1/messages',
    body: (items) => ({
      system: 'Be brief.',
      max_tokens: 100,
      messages: items.map(messagesTurn),
      tools: [{ name: 'weather', input_schema: parameters }],
    }),
  },
  {
    name: 'responses',
    path: '/v1/responses',
    body: (items) => ({
      instructions: 'Be brief.',
      // A first question is often a bare text.
      input: items.length === 1 ? items[0]!.text : items.map(responsesItem),
      tools: [{ type: 'function', name: 'weather', parameters }],
    }),
  },
];

async function start(protocol: Protocol, { script, config = {} }: { script?: Script; config?: object } = {}) {
  const host = await upstream(script ?? ((_, response) => sendJson(response, completion(ANSWER))));
  const store = memoryStore();
  const gateway = await gatewayOver([candidate('one/cheap'), candidate('one/dear', 9)], {
    store,
    upstreams: { one: host.url },
    config: config as object,
  });
  cleanUps.push(host.close, gateway.close);
  /** @returns the decision's id */
  const ask = async (items: readonly Item[], more: object = {}, headers: Record<string, string> = {}) => {
    const payload = { model: 'auto', ...protocol.body(items), ...more };
    const reply = await gateway.app.inject({ method: 'POST', url: protocol.path, payload, headers });
    await gateway.gateway.hints.settled();
    return reply.headers['x-pointsman-decision-id'] as string;
  };
  const hints = () => store.feedback.map(({ decisionId, source }) => [decisionId, source]);
  return { store, ask, hints };
}

describe.each(PROTOCOLS)('in $name', (protocol) => {
  test('a conversation that goes on tells nothing', async () => {
    const { ask, hints } = await start(protocol);
    await ask([person(QUESTION)]);
    await ask([person(QUESTION), model, person(FOLLOW_UP)]);
    await ask([person(QUESTION), model, person(FOLLOW_UP), model, person('Thank you very much for that.')]);
    expect(hints()).toEqual([]);
  });

  test('a question asked again in the next turn', async () => {
    const { ask, hints, store } = await start(protocol);
    const first = await ask([person(QUESTION)]);
    await ask([person(QUESTION), model, person(AGAIN)]);
    expect(hints()).toEqual([[first, 'hint:asked_again']]);
    expect(store.feedback).toMatchObject([{ kind: 'hint', score: 0, weight: 0.2, tenant: 'default', key: null }]);
    expect(JSON.stringify(store.feedback)).not.toMatch(/Geneva/);
  });

  test('the same question in another request of the session', async () => {
    const { ask, hints } = await start(protocol);
    const session = { 'x-session-id': 's-1' };
    const first = await ask([person(QUESTION)], { temperature: 0 }, session);
    await ask([person(QUESTION)], { temperature: 1 }, { 'x-session-id': 's-2' });
    await ask([person(FOLLOW_UP)], {}, { 'x-session-id': 's-3' });
    expect(hints()).toEqual([]);
    await ask([person(QUESTION)], { temperature: 1 }, session);
    expect(hints()).toEqual([[first, 'hint:asked_again']]);
  });

  test('the same request again', async () => {
    const { ask, hints } = await start(protocol);
    const first = await ask([person(QUESTION)]);
    const second = await ask([person(QUESTION)]);
    expect(hints()).toEqual([[first, 'hint:regenerated']]);
    await ask([person(QUESTION)]);
    // From here on it is a program.
    await ask([person(QUESTION)]);
    await ask([person(QUESTION)]);
    expect(hints().slice(1)).toEqual([[second, 'hint:regenerated']]);
  });

  test('a model named by hand, in the next turn or for the same one', async () => {
    const { ask, hints } = await start(protocol);
    const first = await ask([person(QUESTION)]);
    const second = await ask([person(QUESTION), model, person(FOLLOW_UP)]);
    await ask([person(QUESTION), model, person(FOLLOW_UP)], { model: 'one/dear' });
    // What the client named is no choice of the router's.
    await ask([person(QUESTION), model, person(FOLLOW_UP), model, person(FOLLOW_UP)]);
    expect(hints()).toEqual([[second, 'hint:switched_model']]);
    expect(first).not.toBe(second);
  });

  test('the very model that had answered, named by hand, tells nothing', async () => {
    const { ask, hints } = await start(protocol);
    await ask([person(QUESTION)]);
    await ask([person(QUESTION), model, person(FOLLOW_UP)], { model: 'one/cheap' });
    expect(hints()).toEqual([]);
  });

  test('a tool call that comes back with an error; one that succeeds, and an error long past, do not', async () => {
    const { ask, hints } = await start(protocol);
    const first = await ask([person(QUESTION)]);
    await ask([person(QUESTION), call, failure]);
    expect(hints()).toEqual([[first, 'hint:tool_call_failed']]);
    await ask([person(QUESTION), call, failure, call, result]);
    await ask([person(QUESTION), call, failure, call, result, model, person(FOLLOW_UP)]);
    expect(hints()).toHaveLength(1);
  });

  test('turns that this process did not see are not blamed on the one it did', async () => {
    const { ask, hints } = await start(protocol);
    await ask([person(QUESTION)]);
    await ask([person(QUESTION), model, person(FOLLOW_UP), call, failure]);
    await ask([
      person(QUESTION),
      model,
      person(FOLLOW_UP),
      call,
      failure,
      model,
      person(QUESTION),
      model,
      person(AGAIN),
    ]);
    expect(hints()).toEqual([]);
  });

  test('nothing of it where hints are off', async () => {
    const { ask, hints } = await start(protocol, { config: { feedback: { hints: false } } });
    await ask([person(QUESTION)]);
    await ask([person(QUESTION)]);
    await ask([person(QUESTION), model, person(AGAIN)], { model: 'one/dear' });
    expect(hints()).toEqual([]);
  });

  test('another team’s conversation is another conversation', async () => {
    const { ask, hints } = await start(protocol, { config: { keys } });
    const as = (key: number) => ({ authorization: `Bearer ${keys[key]!.key}`, 'x-session-id': 'shared' });
    const first = await ask([person(QUESTION)], {}, as(0));
    await ask([person(QUESTION)], {}, as(1));
    await ask([person(QUESTION), model, person(AGAIN)], {}, as(1));
    const ofB = hints().length;
    expect(hints().map(([id]) => id)).not.toContain(first);
    await ask([person(QUESTION), model, person(AGAIN)], {}, as(0));
    expect(hints().slice(ofB)).toEqual([[first, 'hint:asked_again']]);
  });

  test('what is sent again because nobody had answered tells nothing', async () => {
    let fail = true;
    const script: Script = (_, response) =>
      fail ? sendJson(response, { error: { message: 'no' } }, 400) : sendJson(response, completion(ANSWER));
    const { ask, hints } = await start(protocol, { script });
    await ask([person(QUESTION)]);
    fail = false;
    const answered = await ask([person(QUESTION)]);
    expect(hints()).toEqual([]);
    // Its client did not wait for the answer, and says so.
    await ask([person(QUESTION)], {}, { 'x-stainless-retry-count': '1' });
    expect(hints()).toEqual([]);
    expect(answered).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('of what was recorded', () => {
  interface Told {
    readonly decision?: Partial<DecisionRecord>;
    readonly attempt?: Partial<AttemptRecord>;
    readonly items: readonly Item[];
    readonly store?: MemoryStore;
  }
  let count = 0;

  /** Requests one after another, each answered; the store they were written to. */
  async function hintsOf(...requests: readonly Told[]) {
    const store = requests[0]!.store ?? memoryStore();
    const hints = new Hints(store, () => true);
    for (const { decision, attempt, items } of requests) {
      const id = String(++count).padStart(32, '0');
      const record = aDecision({ id, session: null, embedding: null, ...decision });
      const json = PROTOCOLS[0]!.body(items) as Record<string, unknown>;
      hints.see(record, { json, text: JSON.stringify(json), headers: {} });
      await hints.settled();
      store.record({ decision: record, attempt: anAttempt({ id: `${id}-0`, decisionId: id, ...attempt }) });
    }
    return store.feedback.map(({ source }) => source);
  }
  const at = (minutes: number, more: Partial<DecisionRecord> = {}) => ({
    decision: { createdAt: new Date(Date.UTC(2026, 0, 1, 12, minutes)), ...more },
  });
  const asked: Told = { items: [person(QUESTION)] };
  const again: Told = { items: [person(QUESTION), model, person(AGAIN)] };

  test('ten minutes later is another matter', async () => {
    expect(await hintsOf({ ...asked, ...at(0) }, { ...again, ...at(10) })).toEqual(['hint:asked_again']);
    expect(await hintsOf({ ...asked, ...at(0) }, { ...again, ...at(11) })).toEqual([]);
    expect(await hintsOf({ ...asked, ...at(0) }, { ...asked, ...at(11) })).toEqual([]);
  });

  const turn = (first: string, next: string) =>
    hintsOf({ items: [person(first)] }, { items: [person(first), model, person(next)] });

  test.each([
    ['How do I fix this query: select * form users', 'How do I fix this query: select * form users?? It still fails'],
    [
      'Write a function in Python that reverses a linked list',
      'write a function in python which reverses a linked list.',
    ],
  ])('“%s” is asked again by “%s”', async (first, next) => {
    expect(await turn(first, next)).toEqual(['hint:asked_again']);
  });

  test.each([
    ['another word in a short one', 'Translate "good morning" to French', 'Translate "good night" to French'],
    ['another question', QUESTION, 'Which city lies on the Rhine and has a cathedral?'],
    ['a short one below a long one', 'The parties agree. '.repeat(300), 'And in French, if you please?'],
  ])('%s is not the question again', async (_, first, next) => {
    expect(await turn(first, next)).toEqual([]);
  });

  test('what is too short to be a question is no question again', async () => {
    const go = person('Continue.');
    const turns = [person(QUESTION), model, go];
    expect(await hintsOf({ items: turns }, { items: [...turns, model, go] })).toEqual([]);
  });

  test.each<[string, Partial<AttemptRecord>, Partial<DecisionRecord>]>([
    ['broke off', { status: 'partial' }, {}],
    ['was not waited for', { status: 'cancelled' }, {}],
    ['the client had chosen the model for', {}, { routed: false }],
    ['nobody gave', {}, { executedModel: null }],
  ])('an answer that %s is not blamed', async (_, attempt, decision) => {
    expect(await hintsOf({ ...asked, attempt, decision }, again)).toEqual([]);
  });

  test('another key or another user of the same team is somebody else', async () => {
    expect(await hintsOf({ ...asked, decision: { key: 'k1' } }, { ...again, decision: { key: 'k2' } })).toEqual([]);
    expect(await hintsOf({ ...asked, decision: { session: 'u1' } }, { ...asked, decision: { session: 'u2' } })).toEqual(
      [],
    );
  });

  test('with the database away it passes, and takes no request with it', async () => {
    const store = memoryStore();
    store.away = true;
    expect(await hintsOf({ ...asked, store }, again)).toEqual([]);
  });

  test('what is no conversation at all passes', async () => {
    const store = memoryStore();
    const hints = new Hints(store, () => true);
    for (const json of [{}, { messages: [null, 3, { role: 'user' }, { role: 5, content: {} }] }, { input: [[]] }]) {
      hints.see(aDecision(), { json, text: JSON.stringify(json), headers: {} });
    }
    await hints.settled();
    expect(store.feedback).toEqual([]);
  });
});
