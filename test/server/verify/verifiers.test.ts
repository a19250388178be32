/** Verifiers over answers that are out, through a gateway: each kind, whole and streamed, in each client's protocol. */
import { describe, expect, test } from 'vitest';
import type { FeedbackRecord } from '../../../server/db/store.ts';
import { rowId, shareDraw } from '../../../server/verify/verdict-row.ts';
import { chunk, completion, sendJson, sendStream, startSse, until, word } from '../fakes.ts';
import { ask, endpoint, PROTOCOLS, type Protocol, saying, settled, verdictsOf, type World, world } from './world.ts';

const verdicts = ({ gateway }: World): FeedbackRecord[] => verdictsOf(gateway);
const told = (of: World) => verdicts(of).map(({ source, score }) => [source, score]);

const PATTERN = { kind: 'pattern', name: 'polite', must: ['(?i)dear'], mustNot: ['(?i)as an ai'] };
const EXACT = { kind: 'exact', name: 'exact' };
const NUMERIC = { kind: 'numeric', name: 'sum', weight: 0.5 };
const SCHEMA = { kind: 'schema', name: 'form' };
const TOOLS = { kind: 'tool_calls', name: 'calls' };

const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
/** How each protocol asks for JSON of a schema, and offers a tool. */
const WANTS_CITY: Record<Protocol, object> = {
  chat: { response_format: { type: 'json_schema', json_schema: { name: 'city', schema: CITY } } },
  responses: { text: { format: { type: 'json_schema', name: 'city', schema: CITY } } },
  messages: { output_config: { format: { type: 'json_schema', schema: CITY } } },
};
const OFFERS_TOOL: Record<Protocol, object> = {
  chat: { tools: [{ type: 'function', function: { name: 'look', parameters: CITY } }] },
  responses: { tools: [{ type: 'function', name: 'look', parameters: CITY, strict: false }] },
  messages: { tools: [{ name: 'look', input_schema: CITY }] },
};

/** Calls the tool with these arguments. */
const calling =
  (args: string): Parameters<typeof world>[0] =>
  (_, response, { stream }) => {
    const call = { id: 'call_1', type: 'function', function: { name: 'look', arguments: args } };
    if (stream !== true) {
      const { choices, ...rest } = completion('');
      const message = { role: 'assistant', content: null, tool_calls: [call] };
      sendJson(response, { ...rest, choices: [{ ...choices[0], message, finish_reason: 'tool_calls' }] });
      return;
    }
    startSse(response);
    const delta = (fields: object, finish: string | null = null) =>
      response.write(chunk({ choices: [{ index: 0, delta: fields, finish_reason: finish }] }));
    delta({ role: 'assistant', tool_calls: [{ index: 0, ...call, function: { name: 'look', arguments: '' } }] });
    for (const piece of args.match(/[\s\S]{1,4}/g)!) {
      delta({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
    }
    delta({}, 'tool_calls');
    response.end('data: [DONE]\n\n');
  };

describe.each(PROTOCOLS)('in %s', (protocol) => {
  describe.each([false, true])('streamed: %s', (stream) => {
    test('a pattern, an exact and a numeric answer are judged by what was said', async () => {
      const answers = ['Dear friend,\nit is 1,234', 'As an AI, 1,235.'];
      const one = await world((...asked) => saying(answers.shift()!)(...asked), {
        verifiers: [PATTERN, NUMERIC, EXACT],
      });
      const good = await ask(one.gateway, protocol, 'How many?', { stream, routing: { expected: '1234' } });
      const bad = await ask(one.gateway, protocol, 'How many?', { stream, routing: { expected: 'as an AI,  1,235' } });
      await settled(one.gateway, 2);
      const scoresOf = (id: string) =>
        Object.fromEntries(
          verdicts(one).flatMap(({ decisionId, source, score }) => (decisionId === id ? [[source, score]] : [])),
        );
      expect(verdicts(one)).toHaveLength(6);
      expect(scoresOf(good)).toEqual({ 'verifier:polite': 1, 'verifier:sum': 1, 'verifier:exact': 0 });
      expect(scoresOf(bad)).toEqual({ 'verifier:polite': 0, 'verifier:sum': 1, 'verifier:exact': 1 });
      expect(verdicts(one).find(({ source }) => source === 'verifier:sum')).toMatchObject({
        kind: 'verdict',
        weight: 0.5,
        tenant: 'default',
        key: null,
      });
    });

    test.each([
      ['{"city":"Rome"}', 1],
      ['{"town":"Rome"}', 0],
      ['Rome!', 0],
    ])('an answer %j to a request with a schema: %d', async (content, score) => {
      const one = await world(saying(content), { verifiers: [SCHEMA, TOOLS] });
      await ask(one.gateway, protocol, 'Which city?', { stream, ...WANTS_CITY[protocol] });
      await settled(one.gateway, 1);
      expect(told(one)).toEqual([['verifier:form', score]]);
    });

    test.each([
      ['{"city":"Rome"}', 1],
      ['{"town":"Rome"}', 0],
      ['Rome', 0],
    ])('a tool called with %j: %d', async (args, score) => {
      const one = await world(calling(args), { verifiers: [SCHEMA, TOOLS, EXACT, NUMERIC] });
      await ask(one.gateway, protocol, 'Which?', { stream, ...OFFERS_TOOL[protocol], routing: { expected: 'x' } });
      await settled(one.gateway, 1);
      // A turn that calls a tool is not the answer yet: nothing else has to do with it.
      expect(told(one)).toEqual([['verifier:calls', score]]);
    });
  });
});

describe('whom a verifier looks at', () => {
  test('requests of its tags and teams, routed ones unless it says otherwise', async () => {
    const verifiers = [
      { ...PATTERN, name: 'tagged', tags: ['a', 'b'] },
      { ...PATTERN, name: 'team', teams: ['search'] },
      { ...PATTERN, name: 'other', teams: ['sales'] },
      { ...PATTERN, name: 'named', named: true },
      { ...PATTERN, name: 'none', share: 0 },
    ];
    const keys = [{ name: 'k', key: 'a-key-of-16-chars-or-more', tenant: 'search' }];
    const one = await world(saying('Dear me'), { verifiers, keys });
    const key = { authorization: 'Bearer a-key-of-16-chars-or-more' };
    await ask(one.gateway, 'chat', 'Hi', { routing: { tags: ['b'] } }, key);
    await settled(one.gateway, 1);
    expect(
      told(one)
        .map(([source]) => source)
        .sort(),
    ).toEqual(['verifier:named', 'verifier:tagged', 'verifier:team']);
    expect(verdicts(one)[0]).toMatchObject({ tenant: 'search', key: 'k' });
    await ask(one.gateway, 'chat', 'Hi', { model: 'one/cheap' }, key);
    await settled(one.gateway, 2);
    expect(told(one).slice(3)).toEqual([['verifier:named', 1]]);
  });

  test('a share of them, the same before the answer and after', async () => {
    const one = await world(saying('Dear me'), { verifiers: [{ ...EXACT, name: 'polite', share: 0.5 }] });
    for (let i = 0; i < 60; i++) await ask(one.gateway, 'chat', 'Hi', { routing: { expected: 'x' } });
    const drawn = one.gateway.decisions.map(({ id }) => id).filter((id) => shareDraw(id, 'polite') < 0.5);
    await settled(one.gateway, drawn.length);
    expect(verdicts(one).map(({ decisionId }) => decisionId)).toEqual(drawn);
    // 60 draws at 0.5: outside [10, 50] once in 10^7 runs.
    expect(drawn.length).toBeGreaterThan(9);
    expect(drawn.length).toBeLessThan(51);
  });

  test('no answer that broke off, was cut where the client wanted it cut, or never came', async () => {
    const one = await world(
      (_, response, { stream, max_tokens: bound }) => {
        if (stream === true) {
          startSse(response);
          response.write(word('Dear '));
          setTimeout(() => response.destroy(), 20);
        } else if (bound === 7) {
          const { choices, ...rest } = completion('Dear');
          sendJson(response, { ...rest, choices: [{ ...choices[0], finish_reason: 'length' }] });
        } else sendJson(response, { error: { message: 'no', type: 'x' } }, 400);
      },
      { verifiers: [PATTERN, NUMERIC] },
    );
    const more = { routing: { expected: '1' } };
    await ask(one.gateway, 'chat', 'Hi', { stream: true, ...more });
    await ask(one.gateway, 'chat', 'Hi', { max_tokens: 7, ...more });
    await expect(ask(one.gateway, 'chat', 'Hi', more)).rejects.toThrow('400');
    await settled(one.gateway, 2);
    expect(verdicts(one)).toEqual([]);
  });

  test('two requests have a verdict each, known by decision and verifier', async () => {
    const one = await world(saying('Dear me'), { verifiers: [EXACT] });
    const asked = { routing: { expected: 'x' } };
    const ids = [await ask(one.gateway, 'chat', 'Hi', asked), await ask(one.gateway, 'chat', 'Hi', asked)];
    await settled(one.gateway, 2);
    expect(verdicts(one).map(({ id }) => id)).toEqual(ids.map((id) => rowId(id, 'verifier:exact')));
    expect(new Set(verdicts(one).map(({ id }) => id)).size).toBe(2);
  });

  test('no request that only its provider can read', async () => {
    const one = await world(saying('Dear me'), { verifiers: [{ ...EXACT, named: true }] });
    // Unreadable as a chat, and passed through to a host of the same protocol all the same.
    const messages = [{ role: 'user', content: [{ type: 'hologram', data: 'x' }] }];
    await ask(one.gateway, 'chat', '', { model: 'one/cheap', messages, routing: { expected: 'x' } });
    await settled(one.gateway, 1);
    expect(one.gateway.gateway.afterwork.state).toMatchObject({ done: 1, failed: 0 });
    expect(verdicts(one)).toEqual([]);
  });

  test('a stream beyond the limit of answers is let go of', async () => {
    const one = await world(saying(`Dear ${'x'.repeat(200_000)}`), { verifiers: [PATTERN] });
    const limited = await world(saying(`Dear ${'x'.repeat(200_000)}`), { verifiers: [PATTERN], answerLimitMb: 0.1 });
    await ask(one.gateway, 'chat', 'Hi', { stream: true });
    await ask(limited.gateway, 'chat', 'Hi', { stream: true });
    await settled(one.gateway, 1);
    await settled(limited.gateway, 1);
    expect(verdicts(one)).toHaveLength(1);
    expect(verdicts(limited)).toHaveLength(0);
  });
});

describe('an endpoint of the operator’s own', () => {
  const HTTP = { kind: 'http', name: 'mine' };

  test.each([false, true])('is asked about the answer in the client’s protocol, streamed: %s', async (stream) => {
    const { url, bodies, egress } = await endpoint(() => ({ score: 0.25 }));
    const one = await world(saying('Rome'), { verifiers: [{ ...HTTP, url }], egress });
    for (const protocol of PROTOCOLS)
      await ask(one.gateway, protocol, 'Which?', { stream, routing: { expected: 'x' } });
    await settled(one.gateway, 3);
    expect(told(one)).toEqual(Array(3).fill(['verifier:mine', 0.25]));
    const [chat, responses, messages] = ['chat', 'responses', 'messages'].map(
      // biome-ignore lint/suspicious/noExplicitAny: its shape is what is checked
      (surface): any => bodies.find((body) => body.surface === surface),
    );
    expect(chat).toMatchObject({ verifier: 'mine', model: 'one/cheap', expected: 'x', answer: { model: 'one/cheap' } });
    expect(chat.answer.choices[0].message.content).toBe('Rome');
    expect(chat.request.messages).toEqual([{ role: 'user', content: 'Which?' }]);
    expect(chat.request).not.toHaveProperty('routing');
    expect(responses.answer.output[0].content[0].text).toBe('Rome');
    expect(messages.answer.content[0].text).toBe('Rome');
  });

  test.each([
    [{ ok: true }, 1],
    [{ ok: false, reason: 'x' }, 0],
    [{ score: 0 }, 0],
  ])('that says %j scores %d', async (verdict, score) => {
    const { url, egress } = await endpoint(() => verdict);
    const one = await world(saying('Rome'), { verifiers: [{ ...HTTP, url }], egress });
    await ask(one.gateway, 'chat', 'Which?');
    await settled(one.gateway, 1);
    expect(told(one)).toEqual([['verifier:mine', score]]);
  });

  test.each([
    ['lies', { score: 7 }],
    ['says nonsense', ['yes']],
    ['says a word', { ok: 'true' }],
    ['hangs', undefined],
  ])('that %s costs no answer and no other verdict', async (_, verdict) => {
    const { url, bodies, egress } = await endpoint(() => verdict, 300);
    const one = await world(saying('Dear me'), { verifiers: [{ ...HTTP, url }, PATTERN], egress });
    await ask(one.gateway, 'chat', 'Which?');
    await settled(one.gateway, 2);
    expect(bodies).toHaveLength(1);
    expect(told(one)).toEqual([['verifier:polite', 1]]);
  });

  test('that hangs holds up no client and no more than a bounded number of answers', async () => {
    const { url, bodies, egress } = await endpoint(() => undefined, 60_000);
    const one = await world(saying('Dear me'), { verifiers: [{ ...HTTP, url }, PATTERN], egress });
    await Promise.all(Array.from({ length: 40 }, () => ask(one.gateway, 'chat', 'Which?')));
    await until(() => verdicts(one).length === 40);
    expect(bodies.length).toBe(8);
    expect(one.gateway.gateway.afterwork.state).toMatchObject({ waiting: 32, atWork: 8, dropped: 0 });
    await one.gateway.gateway.afterwork.stop(0);
    expect(one.gateway.gateway.afterwork.state).toMatchObject({ waiting: 0, atWork: 0, dropped: 40 });
  });
});

describe('what the client expects', () => {
  const MARKER = 'marker-7f3a';

  test('goes to no provider either where pictures are taken out of the request', async () => {
    const one = await world(saying('Dear me'));
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'What is it?' }, image] },
      { role: 'assistant', content: 'A cat.' },
      { role: 'user', content: 'Thanks.' },
    ];
    await ask(one.gateway, 'chat', '', { messages, routing: { expected: MARKER, dial: 3 } });
    expect(one.host.requests[0]!.body).not.toContain('image_url');
    expect(one.host.requests[0]!.body).not.toContain('routing');
  });

  test.each([['x'.repeat(10_001)], [''], [7], [['a']]])('%# is refused with its field', async (expected) => {
    const one = await world(saying('x'));
    await expect(ask(one.gateway, 'chat', 'Hi', { routing: { expected } })).rejects.toThrow(/routing\.expected/);
  });
});

describe('after the last byte', () => {
  test('a client has its answer before anybody looks at it', async () => {
    const order: string[] = [];
    const one = await world((_, response, { stream }) => {
      if (stream === true) sendStream(response, ['Dear ', 'me']);
      else sendJson(response, completion('Dear me'));
    });
    one.gateway.gateway.afterwards.push({
      name: 'slow',
      wants: () => true,
      async run({ answer }) {
        order.push(`looked at ${answer!.blocks.length}`);
        await new Promise(() => {});
      },
    });
    for (const stream of [false, true]) {
      await ask(one.gateway, 'chat', 'Hi', { stream });
      order.push('answered');
    }
    await until(() => order.length === 4);
    expect(order.filter((line) => line === 'answered')).toHaveLength(2);
    expect(one.gateway.gateway.afterwork.state).toMatchObject({ atWork: 2 });
  });
});
