/** Checks of an answer: what they find, what they leave alone, and that a hostile schema costs little. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatewayConfig } from '../../server/config/index.ts';
import { checkShape } from '../../server/escalation/answer-shape.ts';
import { checkConfidence } from '../../server/escalation/confidence.ts';
import { above, planFor } from '../../server/escalation/plan.ts';
import { checkSchema } from '../../server/escalation/response-schema.ts';
import { schemaTest } from '../../server/escalation/schemas.ts';
import { checkToolCalls } from '../../server/escalation/tool-calls.ts';
import { askVerifier } from '../../server/escalation/verifier.ts';
import { meanTokenProbability, withLogprobs, withoutLogprobs } from '../../server/forward/logprobs.ts';
import type { Target } from '../../server/forward/target.ts';
import type { Answer, AnswerBlock, Conversation } from '../../server/protocols/conversation.ts';
import { provider } from './fakes.ts';

const answer = (blocks: readonly AnswerBlock[], more: Partial<Answer> = {}): Answer => ({
  id: null,
  blocks,
  finish: 'stop',
  usage: null,
  ...more,
});
const text = (content: string, more: Partial<Answer> = {}): Answer => answer([{ type: 'text', text: content }], more);
const call = (name: string, args: string): AnswerBlock => ({ type: 'tool_call', id: 'c1', name, arguments: args });
const asked = (more: Partial<Conversation> = {}): Conversation => ({
  system: [],
  turns: [],
  tools: [],
  stop: [],
  stream: false,
  only: [],
  ...more,
});

describe('the shape of an answer', () => {
  test.each([
    ['words', text('Paris'), {}, null],
    ['a tool call alone', answer([call('look', '{}')], { finish: 'tool_calls' }), {}, null],
    ['nothing', answer([]), {}, 'empty'],
    ['white space', text(' \n\t'), {}, 'empty'],
    ['thinking and no word', answer([{ type: 'thinking', text: 'hm' }]), {}, 'empty'],
    ['a refusal', answer([{ type: 'refusal', text: 'no' }]), {}, 'refused'],
    ['a refusal said by its end', text('I', { finish: 'refusal' }), {}, 'refused'],
    ['a filtered answer', text('', { finish: 'content_filter' }), {}, 'refused'],
    ['an answer cut where nobody asked for it', text('Par', { finish: 'length' }), {}, 'cut'],
    ['an answer cut at the client’s own bound', text('Par', { finish: 'length' }), { maxOutputTokens: 3 }, null],
    ['nothing, where a built-in tool may have answered', answer([]), { only: ['tools'] }, null],
    ['a paused tool loop', answer([], { finish: 'pause' }), {}, null],
  ] as const)('is judged: %s', (_, given, conversation, found) => {
    expect(checkShape(given, asked(conversation))?.check ?? null).toBe(found);
  });
});

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, people: { type: 'integer', minimum: 0 } },
  required: ['city'],
  additionalProperties: false,
};
const format = (schema: Record<string, unknown>) => ({
  responseFormat: { type: 'json_schema' as const, name: 'x', schema },
});

describe('an answer that must fit a schema', () => {
  test.each([
    ['fits', '{"city":"Rome","people":3}', null],
    ['lacks what is required', '{"people":3}', 'schema'],
    ['holds what is not allowed', '{"city":"Rome","x":1}', 'schema'],
    ['is of another type', '["Rome"]', 'schema'],
    ['is no JSON', 'Rome', 'schema'],
    ['breaks off', '{"city":"Ro', 'schema'],
  ])('%s', async (_, content, found) => {
    expect((await checkSchema(text(content), format(SCHEMA)))?.check ?? null).toBe(found);
  });

  test('is left alone when it calls a tool first, when no format was asked for, and when it is JSON of any kind', async () => {
    expect(await checkSchema(answer([call('look', '{}')]), format(SCHEMA))).toBeNull();
    expect(await checkSchema(text('Rome'), {})).toBeNull();
    expect(await checkSchema(text('Rome'), { responseFormat: { type: 'text' } })).toBeNull();
    expect(await checkSchema(text('[1]'), { responseFormat: { type: 'json' } })).toBeNull();
    expect((await checkSchema(text('[1'), { responseFormat: { type: 'json' } }))?.check).toBe('schema');
  });

  test('may refer to its own definitions, recursively', async () => {
    const tree = {
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: { children: { type: 'array', items: { $ref: '#/$defs/node' } } },
          required: ['children'],
        },
      },
    };
    const fits = await schemaTest(tree);
    expect(fits({ children: [{ children: [] }] })).toBe(true);
    expect(fits({ children: [{ children: 5 }] })).toBe(false);
  });
});

describe('a schema that is none, or too much, fails no answer', () => {
  test.each<[string, Record<string, unknown>]>([
    ['a remote reference', { $ref: 'https://example.com/schema.json' }],
    ['a remote reference deep down', { properties: { a: { items: { $ref: 'http://127.0.0.1/x' } } } }],
    ['a reference to nowhere', { $ref: '#/$defs/nothing' }],
    ['a type that does not exist', { type: 'sentence' }],
    ['properties that are a list', { properties: [1] }],
    ['a pattern for names', { patternProperties: { '^a': { type: 'string' } }, additionalProperties: false }],
    ['something very deep', nested(100)],
    ['something very long', { enum: Array.from({ length: 50_000 }, (_, i) => i) }],
    ['very many parts', { anyOf: Array.from({ length: 3000 }, () => ({ type: 'string' })) }],
  ])('%s', async (_, schema) => {
    expect((await schemaTest(schema))({ a: 1 })).toBeNull();
  });

  test('an id that another schema has already is no matter', async () => {
    for (const type of ['string', 'number']) {
      const fits = await schemaTest({ $id: 'https://example.com/the-same', type });
      expect([fits('x'), fits(1)]).toEqual([type === 'string', type === 'number']);
    }
  });

  test('a regular expression of the client’s is not run', async () => {
    const fits = await schemaTest({ type: 'string', pattern: '^(a+)+$' });
    const started = performance.now();
    expect(fits(`${'a'.repeat(40)}!`)).toBe(true);
    // 2^40 steps would take hours.
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test('a test that would take for ever is given up', async () => {
    // 2^40 ways to fail.
    const $defs: Record<string, unknown> = { d0: { type: 'string' } };
    for (let i = 1; i <= 40; i++) $defs[`d${i}`] = { anyOf: [1, 2].map(() => ({ $ref: `#/$defs/d${i - 1}` })) };
    const started = performance.now();
    expect((await schemaTest({ $ref: '#/$defs/d40', $defs }))(5)).toBeNull();
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test('whatever a schema and a value are, the test answers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), async (schema, value) => {
        expect([true, false, null]).toContain((await schemaTest(schema))(value));
      }),
    );
    const words = fc.constantFrom(
      'type',
      'properties',
      'items',
      'anyOf',
      'allOf',
      'not',
      '$ref',
      'enum',
      'required',
      '$defs',
    );
    const schemas = fc.letrec((tie) => ({
      schema: fc.dictionary(
        words,
        fc.oneof({ depthSize: 'small' }, fc.jsonValue(), tie('schema'), fc.array(tie('schema'), { maxLength: 2 })),
        { maxKeys: 3 },
      ),
    }));
    await fc.assert(
      fc.asyncProperty(schemas.schema, fc.jsonValue(), async (schema, value) => {
        expect([true, false, null]).toContain((await schemaTest(schema as Record<string, unknown>))(value));
      }),
    );
  });
});

function nested(depth: number): Record<string, unknown> {
  let schema: Record<string, unknown> = { type: 'string' };
  for (let i = 0; i < depth; i++) schema = { properties: { a: schema } };
  return schema;
}

describe('tool calls', () => {
  const tools = [{ name: 'weather', parameters: { ...SCHEMA } }];
  test.each([
    ['fit their tool', [call('weather', '{"city":"Rome"}')], {}, null],
    ['lack what is required', [call('weather', '{}')], {}, 'tool_calls'],
    ['name a tool that was not offered', [call('wether', '{"city":"Rome"}')], {}, 'tool_calls'],
    ['have arguments that are no JSON', [call('weather', '{"city":')], {}, 'tool_calls'],
    ['have arguments that are no object', [call('weather', '"Rome"')], {}, 'tool_calls'],
    ['are all looked at', [call('weather', '{"city":"Rome"}'), call('weather', '{}')], {}, 'tool_calls'],
    ['are not needed', [], {}, null],
    ['are missing where one was required', [], { toolChoice: { type: 'required' } }, 'tool_calls'],
    ['are of another tool than asked for', [], { toolChoice: { type: 'tool', name: 'weather' } }, 'tool_calls'],
    [
      'are there where none was wanted',
      [call('weather', '{"city":"Rome"}')],
      { toolChoice: { type: 'none' } },
      'tool_calls',
    ],
    ['of a built-in tool are not ours to judge', [call('browse', '{}')], { only: ['tools'] }, null],
  ] as const)('that %s', async (_, blocks, more, found) => {
    const conversation = asked({ tools, ...(more as Partial<Conversation>) });
    expect((await checkToolCalls(answer(blocks), conversation))?.check ?? null).toBe(found);
  });
});

describe('how sure the model was', () => {
  const payload = (logprobs: unknown) => ({ choices: [{ message: { content: 'x' }, logprobs }] });

  test('is the mean probability of its tokens', () => {
    // (e^0 + e^ln 0.5) / 2
    const content = [{ logprob: 0 }, { logprob: Math.log(0.5) }];
    expect(meanTokenProbability(payload({ content }))).toBeCloseTo(0.75);
    expect(meanTokenProbability(payload({ content: [{ logprob: -9999 }] }))).toBe(0);
  });
  test.each([
    [null],
    [undefined],
    [{}],
    [{ content: null }],
    [{ content: [] }],
    [{ content: [{ logprob: 'x' }, 5] }],
    [7],
  ])('is not known from %j', (logprobs) => {
    expect(meanTokenProbability(payload(logprobs))).toBeNull();
  });
  test('is not known of what is no completion', () => {
    for (const odd of [{}, { choices: [] }, { choices: [null] }, { choices: 'x' }]) {
      expect(meanTokenProbability(odd)).toBeNull();
    }
  });
  test('fails only what is known to be below the bound', () => {
    expect(checkConfidence(0.4, 0.5)?.check).toBe('confidence');
    expect(checkConfidence(0.5, 0.5)).toBeNull();
    expect(checkConfidence(null, 0.5)).toBeNull();
    expect(checkConfidence(0.1, 0)).toBeNull();
  });
  test('is asked for and taken out again without touching anything else', () => {
    expect(withLogprobs('{"seed": 12345678901234567890, "logprobs":false}')).toBe(
      '{"seed": 12345678901234567890, "logprobs":true}',
    );
    expect(withLogprobs('{"model":"m"}')).toBe('{"model":"m","logprobs":true}');
    expect(
      withoutLogprobs(
        '{"id":1.0, "choices": [ {"index":0,"logprobs":{"content":[{"logprob":-1}]},"x":1} , {"index":1}]}',
      ),
    ).toBe('{"id":1.0, "choices": [ {"index":0,"logprobs":null,"x":1} , {"index":1,"logprobs":null}]}');
    expect(withoutLogprobs('{"choices":null}')).toBe('{"choices":null}');
  });
});

describe('the verifier', () => {
  const question = { decisionId: 'd', model: 'm', surface: 'chat', request: { a: 1 }, answer: { b: 2 } };
  const saying = (reply: unknown) => {
    const sent: unknown[] = [];
    const egress = {
      async postJson(url: string, body: unknown) {
        sent.push([url, body]);
        return reply;
      },
    };
    return { sent, options: { egress, signal: new AbortController().signal } };
  };
  test('is sent the request and the answer, and its word counts', async () => {
    const yes = saying({ ok: true, reason: 'fine' });
    expect(await askVerifier('https://v.example/judge', question, yes.options)).toBeNull();
    expect(yes.sent).toEqual([['https://v.example/judge', question]]);
    expect((await askVerifier('https://v.example', question, saying({ ok: false }).options))?.check).toBe('verifier');
  });
  test.each([[null], [{}], [{ ok: 'yes' }], [[true]], ['ok']])('that says %j has said nothing', async (reply) => {
    await expect(askVerifier('https://v.example', question, saying(reply).options)).rejects.toMatchObject({
      code: 'EGRESS_FAILED',
    });
  });
});

describe('who answers first, and who next', () => {
  const on = provider('one', 'http://127.0.0.1:1/v1');
  const target = (id: string): Target => ({
    id,
    upstreamModel: id,
    provider: on,
    credential: on.credentials[0]!,
    candidate: undefined,
    deployment: id,
  });
  const candidate = (model: string, quality: number, costUsd: number) => ({
    model,
    like: model,
    quality,
    qualitySd: 0.1,
    outputTokens: 100,
    costUsd,
    adequate: quality >= 0.85,
  });
  const ranked = [candidate('good', 0.9, 10), candidate('best', 0.95, 30), candidate('cheap', 0.6, 1)];
  const targets = ranked.map(({ model }) => target(model));
  const record = { routed: true, reason: 'cheapest_adequate', explored: false, floor: 0.85, ranked, facts: {} };
  const input = { record, targets, stream: false, wanted: undefined, held: false, conversation: asked() };
  const config = (more: object = {}) =>
    GatewayConfig.parse({ escalation: { enabled: true, verifierUrl: 'https://v.example/x', ...more } }).escalation;

  test('is a cheaper model where a verifier stands behind it', () => {
    const plan = planFor(config(), input);
    expect(plan?.cheaper).toBe('cheap');
    expect(plan?.targets.map(({ id }) => id)).toEqual(['cheap', 'good', 'best']);
  });
  test.each<[string, object, object]>([
    ['nothing tells good from bad', { verifierUrl: undefined }, {}],
    [
      'only the form can be checked',
      { verifierUrl: undefined },
      { conversation: asked({ responseFormat: { type: 'json' } }) },
    ],
    ['the verifier lets most pass', { falseAccept: 0.95 }, {}],
    ['the choice was drawn to be learned from', {}, { record: { ...record, explored: true } }],
    ['the conversation stays for its cache', {}, { record: { ...record, reason: 'sticky' } }],
    ['another deployment leads', {}, { targets: [...targets].reverse() }],
  ])('is the model decided for where %s', (_, options, more) => {
    const plan = planFor(config(options), { ...input, ...more });
    expect(plan?.cheaper).toBeNull();
  });
  test.each<[string, object, object]>([
    ['it is not switched on', { enabled: false }, {}],
    ['the client wants none of it', {}, { wanted: false }],
    ['the answer is streamed', {}, { stream: true }],
    ['the request is critical', {}, { record: { ...record, facts: { critical: true } } }],
    ['the client named the model', {}, { record: { ...record, routed: false } }],
    ['the conversation cannot leave its model', {}, { record: { ...record, reason: 'pinned' } }],
    ['a provider holds something of it', {}, { held: true }],
  ])('nothing is checked where %s', (_, options, more) => {
    expect(planFor(config(options), { ...input, ...more })).toBeNull();
  });
  test('goes up to what is predicted better than all that was tried, in the order of the list', () => {
    const up = (...tried: string[]) => above(new Set(tried), ranked, targets).map(({ id }) => id);
    expect(up('cheap')).toEqual(['good', 'best']);
    expect(up('cheap', 'good')).toEqual(['best']);
    expect(up('best')).toEqual([]);
    expect(up('unheard-of')).toEqual([]);
  });
});
