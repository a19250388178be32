/** What the router reads off a chat request: the text that matters and facts, from every shape clients send. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChatRequest, isChat } from '../../router/request/chat.ts';
import { isMessages, MessagesRequest } from '../../router/request/messages.ts';
import { isResponses, ResponsesRequest } from '../../router/request/responses.ts';
import { estimateTokens, promptText, type RequestFacts, readRequest, type Shape } from '../../router/request.ts';
import { processorMs } from '../processor-time.ts';
import { failureOf } from './fixtures.ts';

const user = (content: unknown) => ({ role: 'user', content });
const read = (...messages: unknown[]) => readRequest({ messages });
const factsWith = (request: Record<string, unknown>): RequestFacts =>
  readRequest({ messages: [user('hello')], ...request }).facts;

describe('the text', () => {
  test('of one turn is that turn', () => {
    const { text, facts } = read(user('What is 2 + 2?'));
    expect(text).toBe('What is 2 + 2?');
    // 14 characters: 3.5 tokens, rounded up
    expect(facts).toEqual({
      inputTokens: 4,
      images: 0,
      audio: 0,
      tools: 0,
      responseSchema: false,
      turns: 1,
      chars: 14,
    });
  });

  test('of parts is their texts, one to a line', () => {
    expect(
      read(
        user([
          { type: 'text', text: 'Look:' },
          { type: 'text', text: 'here' },
        ]),
      ).text,
    ).toBe('Look:\nhere');
  });

  test('of a follow-up holds the turn before, and the system prompt only as tokens', () => {
    const { text, facts } = read(
      { role: 'system', content: 'You are terse.' },
      user('Translate "good morning" into French.'),
      { role: 'assistant', content: 'Bonjour.' },
      user('and in Spanish?'),
    );
    expect(text).toBe('Translate "good morning" into French and in Spanish?');
    expect(facts.turns).toBe(2);
    // 14 + 37 + 8 + 15 = 74 characters
    expect(facts.inputTokens).toBe(19);
    expect(facts.chars).toBe(15);
  });

  test('holds two turns before the last and no more, the last one whole', () => {
    const turns = ['One', 'Two', 'Three', 'Four', 'Five'].map(user);
    expect(read(...turns).text).toBe('Three Four Five');
  });

  test('passes over earlier turns that only greet or thank, and frees the others of such talk', () => {
    const { text, facts } = read(
      user('Hello! Translate "good morning" into French.'),
      { role: 'assistant', content: 'Bonjour.' },
      user('Thank you so much!'),
      { role: 'assistant', content: 'You are welcome.' },
      user('Great, thanks.'),
      { role: 'assistant', content: 'Anything else?' },
      user('Ok, and in Spanish? Thanks!'),
    );
    expect(text).toBe('Translate "good morning" into French Ok, and in Spanish?');
    expect(facts.turns).toBe(4);
  });

  test('passes over turns without text', () => {
    expect(read(user('the question'), user('   '), user(null), user([])).text).toBe('the question');
  });

  test('of a long turn is its head and its tail', () => {
    const long = `${'h'.repeat(50_000)}${'t'.repeat(50_000)}`;
    const { text, facts } = read(user(long));
    expect(text).toBe(`${'h'.repeat(2800)}\n${'t'.repeat(1200)}`);
    expect(facts).toMatchObject({ chars: 100_000, inputTokens: 25_000 });
  });

  test('of a short last turn is not crowded out by long ones before it', () => {
    const { text } = read(user('a'.repeat(9000)), user('b'.repeat(9000)), user('and in Spanish?'));
    expect(text.endsWith(' and in Spanish?')).toBe(true);
    // 700 + 300 of each of the two before, with a line end at the cut and a blank behind
    expect(text.length).toBe(1002 + 1002 + 15);
  });

  test('of two follow-ups still holds most of a long question: what short turns leave is its', () => {
    const { text } = read(user('a'.repeat(3000)), user('And in Spanish?'), user('Shorter!'));
    // 2 000 − 15 characters of the question and the line end at its cut
    expect(text).toHaveLength(1985 + 1 + ' And in Spanish? Shorter!'.length);
  });

  test('of a long last turn leaves earlier ones their place and stays within the limit', () => {
    const { text } = read(user('a'.repeat(9000)), user('b'.repeat(9000)), user(`c${'d'.repeat(9000)}`));
    const count = (c: string) => text.toLowerCase().split(c).length - 1;
    expect([count('a'), count('b')]).toEqual([1000, 1000]);
    expect(text.length).toBeLessThanOrEqual(4001);
    expect(promptText(text)).toBe(text);
  });

  test('of a conversation without a user turn is what was said, in strings or in parts', () => {
    expect(read({ role: 'assistant', content: 'Once upon a time' }).text).toBe('Once upon a time');
    expect(read({ role: 'assistant', content: [{ type: 'text', text: 'Once upon a time' }] }).text).toBe(
      'Once upon a time',
    );
    expect(read({ role: 'system', content: 'Say something.' }).text).toBe('Say something.');
  });

  test('is cut the same way for a bare prompt, and cutting twice changes nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9000 }), fc.nat(), (length, salt) => {
        const text = Array.from({ length }, (_, i) => String.fromCharCode(97 + ((i * 7 + salt) % 26))).join('');
        expect(read(user(`x${text}`)).text).toBe(promptText(`x${text}`));
        expect(promptText(promptText(text))).toBe(promptText(text));
        expect(promptText(text).length).toBeLessThanOrEqual(4001);
      }),
      { numRuns: 50, seed: 10 },
    );
  });
});

describe('the facts', () => {
  test('count images in either spelling at 1 000 tokens each, and audio', () => {
    const { text, facts } = read(
      user([
        { type: 'text', text: 'compare' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        { type: 'input_image', image_url: 'https://example.com/a.png' },
        { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
      ]),
    );
    expect(text).toBe('compare');
    expect(facts).toMatchObject({ images: 2, audio: 1, inputTokens: 2002 }); // ⌈7/4⌉ + 2 · 1 000
  });

  test.each([
    ['an image', { type: 'image_url', image_url: { url: 'data:,' } }],
    ['audio', { type: 'input_audio', input_audio: { data: '', format: 'wav' } }],
    ['a file', { type: 'file', file: { file_id: 'file-1' } }],
  ])('accept a request that is %s and nothing else', (_, part) => {
    expect(read(user([part])).text).toBe('');
  });

  test('know tools, a schema and the limit on the answer, the newer name first', () => {
    expect(factsWith({ tools: [{ type: 'function', function: { name: 'f' } }] }).tools).toBe(1);
    expect(factsWith({ response_format: { type: 'json_schema', json_schema: {} } }).responseSchema).toBe(true);
    expect(factsWith({ response_format: { type: 'json_object' } }).responseSchema).toBe(false);
    expect(factsWith({ max_tokens: 50 }).maxOutputTokens).toBe(50);
    expect(factsWith({ max_tokens: 50, max_completion_tokens: 70 }).maxOutputTokens).toBe(70);
  });

  test('hold tokens by script, tool schemas included: too many rather than too few', () => {
    const tokens = (content: string, more = {}) =>
      readRequest({ messages: [user(content)], ...more }).facts.inputTokens;
    expect(tokens('abcdefgh')).toBe(2); // 8 / 4
    expect(tokens('привет')).toBe(3); // 6 / 2
    expect(tokens('量子纠缠')).toBe(4);
    expect(tokens('abcd', { tools: ['12345678'] })).toBe(4); // 1 + the 12 characters of ["12345678"] / 4
    const schema = { type: 'json_schema', json_schema: { name: 'x' } };
    expect(tokens('abcd', { response_format: schema })).toBe(4); // 1 + the 12 characters of {"name":"x"} / 4
    const file = { type: 'file', file: { file_data: 'A'.repeat(4000) } };
    const { facts } = readRequest({ messages: [{ role: 'user', content: [file] }] });
    expect(facts.inputTokens).toBeGreaterThan(100); // 4 000 / 40
    expect(facts.inputTokens).toBeLessThan(110);
  });

  test('are the same for a text of any alphabet as character by character', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => {
        const quarters = [...Array(text.length).keys()].map((i) => text.charCodeAt(i));
        const sum = quarters.reduce((s, c) => s + (c < 0x80 ? 1 : c < 0x2e80 ? 2 : 4), 0);
        expect(estimateTokens(text)).toBe(sum / 4);
      }),
      { numRuns: 500, seed: 15 },
    );
  });

  test('take null for absent, as clients in other languages send it', () => {
    const nothing = { tools: null, response_format: null, max_tokens: null, max_completion_tokens: null };
    expect(factsWith(nothing)).toEqual(factsWith({}));
  });
});

describe('an agent at work', () => {
  const call = { role: 'assistant', content: null, tool_calls: [{ id: '1', type: 'function', function: {} }] };
  const result = (content: unknown) => ({ role: 'tool', tool_call_id: '1', content });

  test('is routed by what the user asked, however many tool results have piled up', () => {
    const steps = Array.from({ length: 200 }, (_, k) => [call, result(`row ${k}: ${'x'.repeat(5000)}`)]).flat();
    const { text, facts } = read(
      { role: 'system', content: 'Use the tools.' },
      user('Find the cheapest flight.'),
      ...steps,
    );
    expect(text).toBe('Find the cheapest flight.');
    expect(facts.turns).toBe(1);
    expect(facts.toolResults).toMatchObject({ count: 200, errors: 0, latest: true });
    // 200 results of 5 000 characters and their heads, at 4 characters a token
    expect(facts.toolResults!.tokens).toBeGreaterThan(250_000);
    expect(facts.inputTokens).toBeGreaterThan(facts.toolResults!.tokens);
  });

  test('knows which results report a failure, and whether one is waiting to be acted on', () => {
    const results = (...contents: unknown[]) => read(user('go'), ...contents.map(result)).facts.toolResults;
    expect(
      results('Error: no such file', 'TypeError: x', '{"error": "denied"}', 'Traceback (most recent call last)'),
    ).toMatchObject({ count: 4, errors: 4 });
    expect(results('all good, no errors', 'terror in the title', '[]')).toMatchObject({ count: 3, errors: 0 });
    expect(read(user('go'), result('ok'), { role: 'assistant', content: 'Done.' }).facts.toolResults).toEqual({
      count: 1,
      tokens: 1,
      errors: 0,
      latest: false,
    });
    expect(read(user('go')).facts).not.toHaveProperty('toolResults');
  });

  test('may send results as parts of a user message, which is then no user turn', () => {
    const { text, facts } = read(
      user('Find the cheapest flight.'),
      { role: 'assistant', content: [{ type: 'tool_use', id: '1', name: 'search', input: {} }] },
      user([{ type: 'tool_result', tool_use_id: '1', content: 'abcdefgh', is_error: true }]),
    );
    expect(text).toBe('Find the cheapest flight.');
    expect(facts.turns).toBe(1);
    expect(facts.toolResults).toEqual({ count: 1, tokens: 2, errors: 1, latest: true }); // 8 / 4
  });

  test('that starts from a tool result alone has no text to be routed on', () => {
    expect(read(result('sunny')).text).toBe('');
    expect(read({ role: 'system', content: 'Sum it up.' }, result('sunny')).text).toBe('Sum it up.');
  });
});

describe('what clients send beside', () => {
  test('is let through: unknown fields, tool calls without content, tool results', () => {
    const { text, facts } = readRequest({
      model: 'auto',
      temperature: 0.3,
      some_new_field: { deep: [1] },
      messages: [
        { role: 'developer', content: 'Be brief.', name: 'dev' },
        user('What is the weather in Rome?'),
        { role: 'assistant', content: null, tool_calls: [{ id: '1', type: 'function', function: {} }] },
        { role: 'tool', tool_call_id: '1', content: 'sunny' },
      ],
    });
    expect(text).toBe('What is the weather in Rome?');
    expect(facts).toMatchObject({ turns: 1, inputTokens: 22 }); // (9 + 28 + 5 + 44 of the call's JSON) / 4 = 21.5
  });

  test.each([
    ['no object', 'hello', 'request'],
    ['nothing', undefined, 'request'],
    ['no messages', {}, 'messages'],
    ['messages that are no list', { messages: 'hi' }, 'messages'],
    ['no message at all', { messages: [] }, 'messages'],
    ['a message that is no object', { messages: ['hi'] }, 'messages.0'],
    ['a message without a role', { messages: [user('a'), { content: 'hi' }] }, 'messages.1.role'],
    ['content of a wrong type', { messages: [user(5)] }, 'messages.0.content'],
    ['a part without a type', { messages: [user([{ text: 'hi' }])] }, 'messages.0.content'],
    ['a negative limit', { messages: [user('a')], max_tokens: -1 }, 'max_tokens'],
    ['half a token', { messages: [user('a')], max_completion_tokens: 1.5 }, 'max_completion_tokens'],
    ['tools that are no list', { messages: [user('a')], tools: {} }, 'tools'],
    ['only empty messages', { messages: [user(''), user(null)] }, 'messages'],
  ])('is refused with the place of the fault: %s', async (_, request, path) => {
    const failure = await failureOf(() => readRequest(request));
    expect(failure.code).toBe('INVALID_REQUEST');
    expect(failure.message.startsWith(`${path}`)).toBe(true);
  });

  test('never fails with anything but INVALID_REQUEST, whatever JSON it is', async () => {
    const content = fc.oneof(fc.string(), fc.array(fc.jsonValue(), { maxLength: 3 }), fc.jsonValue());
    const request = fc.oneof(
      fc.jsonValue(),
      fc.record({ messages: fc.array(fc.record({ role: fc.string(), content }), { maxLength: 4 }) }),
    );
    fc.assert(
      fc.property(request, (value) => {
        try {
          expect(typeof readRequest(value).text).toBe('string');
        } catch (error) {
          expect((error as { code?: string }).code).toBe('INVALID_REQUEST');
        }
      }),
      { numRuns: 300, seed: 11 },
    );
  });
});

describe('the three shapes', () => {
  const QUESTION = 'Find the cheapest flight.';
  const FOLLOW_UP = 'And by train?';
  const TOOL = { type: 'object', properties: {} };
  const SCHEMA = { type: 'object' };
  const chat = {
    messages: [
      { role: 'system', content: 'Be brief.' },
      user(QUESTION),
      { role: 'assistant', content: null, tool_calls: [{ id: '1', function: { name: 'search', arguments: '{}' } }] },
      { role: 'tool', tool_call_id: '1', content: 'Error: no route' },
      { role: 'assistant', content: 'None found.' },
      user(FOLLOW_UP),
    ],
    tools: [{ type: 'function', function: { name: 'search', parameters: TOOL } }],
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema: SCHEMA } },
    max_tokens: 100,
  };
  const responses = {
    instructions: 'Be brief.',
    input: [
      { role: 'user', content: QUESTION },
      { type: 'reasoning', summary: [], encrypted_content: 'A'.repeat(50) },
      { type: 'function_call', call_id: '1', name: 'search', arguments: '{}' },
      { type: 'function_call_output', call_id: '1', output: 'Error: no route' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'None found.' }] },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: FOLLOW_UP }] },
    ],
    tools: [{ type: 'function', name: 'search', parameters: TOOL }],
    text: { format: { type: 'json_schema', name: 'a', schema: SCHEMA } },
    max_output_tokens: 100,
  };
  const messages = {
    system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
    messages: [
      user(QUESTION),
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
          { type: 'tool_use', id: '1', name: 'search', input: {} },
        ],
      },
      user([{ type: 'tool_result', tool_use_id: '1', is_error: true, content: [{ type: 'text', text: 'no route' }] }]),
      { role: 'assistant', content: [{ type: 'text', text: 'None found.' }] },
      user([{ type: 'text', text: FOLLOW_UP, cache_control: { type: 'ephemeral' } }]),
    ],
    tools: [{ name: 'search', input_schema: TOOL }],
    output_config: { format: { type: 'json_schema', schema: SCHEMA } },
    max_tokens: 100,
  };

  test.each<[Shape, unknown]>([
    ['chat', chat],
    ['responses', responses],
    ['messages', messages],
  ])('say the same of one conversation: %s', (shape, request) => {
    const told = readRequest(request);
    expect(readRequest(request, shape)).toEqual(told);
    expect(told.text).toBe('Find the cheapest flight And by train?');
    expect(told.facts).toMatchObject({
      images: 0,
      tools: 1,
      responseSchema: true,
      maxOutputTokens: 100,
      turns: 2,
      chars: FOLLOW_UP.length,
      step: 'plan',
      toolResults: { count: 1, errors: 1, latest: false },
    });
    // Texts of 9 + 25 + 11 + 13 characters and a result of 8 or 15: 17 tokens and more, with call, tool and schema.
    expect(told.facts.inputTokens).toBeGreaterThan(17);
    expect(told.facts.inputTokens).toBeLessThan(100);
  });

  test('count the parts of a Responses request', () => {
    // 'Be brief.' 9 / 4, 'hi' 2 / 4, sealed reasoning 50 / 5, a call named f with {} 3 / 4, its output 4 / 4: 14.5
    const input = [
      { role: 'user', content: 'hi' },
      { type: 'reasoning', summary: [], encrypted_content: 'A'.repeat(50) },
      { type: 'function_call', call_id: '1', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: '1', output: 'done' },
    ];
    expect(readRequest({ instructions: 'Be brief.', input })).toEqual({
      text: 'hi',
      facts: {
        inputTokens: 15,
        images: 0,
        audio: 0,
        tools: 0,
        responseSchema: false,
        turns: 1,
        chars: 2,
        toolResults: { count: 1, tokens: 1, errors: 0, latest: true },
        step: 'act',
      },
    });
    expect(readRequest({ input: 'What is 2 + 2?' })).toEqual(read(user('What is 2 + 2?')));
  });

  test('count the parts of a messages request', () => {
    // 'hi' 2 / 4, 'Hm.' 3 / 4, f 1 / 4 and {} 2 / 4, 'done' 4 / 4, an image 1 000: 1 003
    const { text, facts } = readRequest({
      system: '',
      messages: [
        user('hi'),
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 'x'.repeat(400) },
            { type: 'tool_use', id: '1', name: 'f', input: {} },
          ],
        },
        user([
          {
            type: 'tool_result',
            tool_use_id: '1',
            content: [
              { type: 'text', text: 'done' },
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
            ],
          },
        ]),
      ],
    });
    expect(text).toBe('hi');
    expect(facts).toMatchObject({ inputTokens: 1003, images: 1, toolResults: { count: 1, tokens: 1, latest: true } });
  });

  test('are read as they are named, where they are', async () => {
    const plain = { messages: [user('hi')] };
    const failure = await failureOf(() => readRequest(plain, 'messages'));
    expect(failure).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('max_tokens') });
    expect(readRequest({ ...plain, max_tokens: 5 }, 'messages').facts.maxOutputTokens).toBe(5);
    expect((await failureOf(() => readRequest(plain, 'soap' as never))).code).toBe('INVALID_CONFIG');
    // A chat request that carries a field of another API is still one.
    expect(readRequest({ ...plain, input: 'other' }).text).toBe('hi');
  });

  test.each([
    ['an input that is a number', { input: 5 }, 'input'],
    ['an item that is no object', { input: ['hi'] }, 'input'],
    ['an item without type and role', { input: [{ content: 'hi' }] }, 'input'],
    ['instructions in parts', { input: 'hi', instructions: [] }, 'instructions'],
    ['half a token', { input: 'hi', max_output_tokens: 0.5 }, 'max_output_tokens'],
    ['a format without a type', { input: 'hi', text: { format: {} } }, 'text.format.type'],
    ['an empty input', { input: '' }, 'input'],
    ['a system prompt that is a number', { system: 5, messages: [user('a')] }, 'system'],
    ['an output format that is a word', { system: 'x', messages: [user('a')], output_format: 'json' }, 'output_format'],
  ])('are refused with the place of the fault: %s', async (_, request, path) => {
    const failure = await failureOf(() => readRequest(request));
    expect(failure.code).toBe('INVALID_REQUEST');
    expect(failure.message.startsWith(path)).toBe(true);
  });

  test('an empty input goes on with what the provider holds', () => {
    expect(readRequest({ input: '', previous_response_id: 'resp_1' }).text).toBe('');
    expect(readRequest({ input: [], conversation: 'conv_1' }).facts.turns).toBe(0);
  });

  test('a request nested beyond reading is refused', async () => {
    const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
    const failure = await failureOf(() => readRequest({ messages: [user('a')], tools: deep }));
    expect(failure.code).toBe('INVALID_REQUEST');
  });

  test('are accepted by the quick look exactly where the schema accepts them', () => {
    const text = fc.oneof(fc.string({ maxLength: 3 }), fc.constant(null), fc.constant(5));
    const part = fc.record(
      { type: fc.oneof(fc.constantFrom('text', 'image', 'tool_use'), text), text, source: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const content = fc.oneof(text, fc.array(fc.oneof(part, fc.jsonValue({ maxDepth: 1 })), { maxLength: 3 }));
    const item = fc.record(
      {
        role: fc.oneof(fc.constantFrom('user', 'assistant', ''), text),
        type: text,
        content,
        tool_calls: fc.oneof(fc.constant(null), fc.array(fc.anything(), { maxLength: 1 }), text),
      },
      { requiredKeys: [] },
    );
    const items = fc.oneof(fc.array(fc.oneof(item, fc.constant([])), { maxLength: 3 }), text);
    const limit = fc.oneof(fc.integer({ min: -1, max: 3 }), fc.double(), fc.constant(2 ** 60), text);
    const format = fc.oneof(fc.record({ type: text }, { requiredKeys: [] }), text, fc.constant([]));
    const request = fc.record(
      {
        messages: items,
        input: items,
        system: content,
        instructions: content,
        tools: fc.oneof(fc.constant([]), fc.constant({}), text),
        max_tokens: limit,
        max_completion_tokens: limit,
        max_output_tokens: limit,
        response_format: format,
        output_format: format,
        output_config: fc.oneof(fc.record({ format }, { requiredKeys: [] }), text),
        text: fc.oneof(fc.record({ format }, { requiredKeys: [] }), text),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(request, fc.jsonValue()), (body) => {
        expect(isChat(body)).toBe(ChatRequest.safeParse(body).success);
        expect(isMessages(body)).toBe(MessagesRequest.safeParse(body).success);
        expect(isResponses(body)).toBe(ResponsesRequest.safeParse(body).success);
      }),
      { numRuns: 3000, seed: 12 },
    );
  });

  test('fail with nothing but INVALID_REQUEST, whatever JSON they hold', () => {
    const parts = fc.array(
      fc.record(
        {
          type: fc.constantFrom('text', 'image', 'tool_use', 'tool_result', 'thinking', 'document', 'file', 'odd'),
          text: fc.string(),
          content: fc.jsonValue(),
          source: fc.jsonValue(),
          input: fc.jsonValue(),
          name: fc.jsonValue(),
          file: fc.jsonValue(),
        },
        { requiredKeys: ['type'] },
      ),
      { maxLength: 4 },
    );
    const item = fc.record(
      {
        role: fc.constantFrom('user', 'assistant', 'system', 'tool'),
        type: fc.constantFrom(
          'message',
          'reasoning',
          'function_call',
          'function_call_output',
          'computer_call_output',
          'x',
        ),
        content: parts,
        output: fc.jsonValue(),
        arguments: fc.jsonValue(),
        summary: fc.jsonValue(),
        encrypted_content: fc.jsonValue(),
      },
      { requiredKeys: ['role', 'content'] },
    );
    const shape = fc.constantFrom<Shape>('chat', 'responses', 'messages');
    fc.assert(
      fc.property(fc.array(item, { maxLength: 4 }), shape, (list, which) => {
        try {
          const { facts } = readRequest({ messages: list, input: list, max_tokens: 1 }, which);
          expect(Number.isInteger(facts.inputTokens)).toBe(true);
        } catch (error) {
          expect((error as { code?: string }).code).toBe('INVALID_REQUEST');
        }
      }),
      { numRuns: 1000, seed: 13 },
    );
  });
});

describe('what a harness adds', () => {
  const asked = (...texts: string[]) => read(user(texts.map((text) => ({ type: 'text', text }))));

  test.each([
    ['a reminder before', ['<system-reminder>\nToday is Monday.\n</system-reminder>', 'Fix the bug.'], 'Fix the bug.'],
    ['a reminder behind', ['Fix the bug.\n<system-reminder>Be careful.</system-reminder>'], 'Fix the bug.'],
    ['a reminder with another block in it', ['<system-reminder><env>x</env></system-reminder>Fix it.'], 'Fix it.'],
    [
      'the echo of a command',
      [
        '<command-name>/review</command-name><command-message>review</command-message><command-args>src/a.ts</command-args>',
      ],
      'src/a.ts',
    ],
    [
      'an environment',
      ['<environment_context>\n<cwd>/a</cwd>\n</environment_context>', 'Fix the bug.'],
      'Fix the bug.',
    ],
    [
      'a project’s instructions',
      ['# AGENTS.md instructions for /a\n\n<INSTRUCTIONS>\nUse tabs.\n</INSTRUCTIONS>', 'Fix the bug.'],
      'Fix the bug.',
    ],
    [
      'the context of an IDE',
      ['# Context from my IDE setup:\n\n## Active file: a.ts\n\n## My request for Codex:\nFix the bug.\n'],
      'Fix the bug.',
    ],
    [
      'whatever surrounds a query',
      ['<user_info>\nOS: linux\n</user_info>\nNotes.\n<user_query>\nFix the bug.\n</user_query>'],
      'Fix the bug.',
    ],
    ['details of an editor', ['Fix the bug.', '<environment_details>\n# Tabs\n</environment_details>'], 'Fix the bug.'],
  ])('is left out: %s', (_, texts, text) => {
    const told = asked(...texts);
    expect(told.text).toBe(text);
    expect(told.facts).toMatchObject({ turns: 1, chars: text.length });
    // It is paid for all the same.
    expect(told.facts.inputTokens).toBeGreaterThan(text.length / 4);
  });

  test.each([
    ['a tag that is not closed', 'What does <system-reminder> mean?'],
    ['tags of another kind', 'Why does <div><b>x</b></div> not show?'],
    ['rules within a question', 'Obey these:\n<rules>no goto</rules>\nNow write a parser.'],
    ['a mark without its heading', 'Where is ## My request for Codex: documented?'],
    ['blanks around', '  two lines\n'],
  ])('is told from what a person writes: %s', (_, text) => {
    expect(asked(text).text).toBe(text);
  });

  test.each([
    '<environment_context>\n<cwd>/a</cwd>\n</environment_context>',
    '# AGENTS.md instructions for /a\n\nUse tabs.',
    '<user_info>linux</user_info>\n<rules>none</rules>\n<git_status>clean</git_status>',
    '<command-name>/clear</command-name>\n<command-message>clear</command-message>\n<command-args></command-args>',
    '<local-command-stdout>done</local-command-stdout>',
    '[Request interrupted by user]',
  ])('is no turn where there is nothing else: %j', (text) => {
    const { facts, text: routed } = read(user(text), user('Fix the bug.'));
    expect(routed).toBe('Fix the bug.');
    expect(facts.turns).toBe(1);
    // Alone it asks nothing.
    expect(read({ role: 'system', content: 'You are an agent.' }, user(text))).toMatchObject({
      text: '',
      facts: { turns: 0, chars: 0 },
    });
  });

  test('is taken out in time that grows with the text, however it is made', async () => {
    for (const text of [
      '<system-reminder>'.repeat(60_000),
      '<system-reminder></system-reminder>'.repeat(30_000),
      '# AGENTS.md instructions</INSTRUCTIONS>'.repeat(25_000),
      `<system-reminder ${' '.repeat(1_000_000)}`,
      '<user_query>'.repeat(80_000),
    ]) {
      expect(await processorMs(() => read(user(text)))).toBeLessThan(2000);
    }
  });

  test('never grows by what is taken out', () => {
    const piece = fc.constantFrom(
      'fix',
      ' ',
      '\n',
      '<system-reminder>',
      '</system-reminder>',
      '<user_query>',
      '</user_query>',
      '<rules>',
      '</rules>',
      '<b>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const sent = pieces.join('');
        fc.pre(sent !== '');
        const { text, facts } = read(user(sent));
        expect(facts.chars).toBeLessThanOrEqual(sent.length);
        expect(text.split('fix').length).toBeLessThanOrEqual(sent.split('fix').length);
      }),
      { numRuns: 500, seed: 14 },
    );
  });
});

describe('the step of an agent', () => {
  const TOOLS = [{ type: 'function', function: { name: 'edit' } }];
  const step = (messages: unknown[], more: Record<string, unknown> = { tools: TOOLS }) =>
    readRequest({ messages, ...more }).facts.step;
  const call = (name = 'edit') => ({
    role: 'assistant',
    tool_calls: [{ id: '1', function: { name, arguments: '{}' } }],
  });
  const result = (content = 'ok') => ({ role: 'tool', tool_call_id: '1', content });
  const reminder = (text: string) => `<system-reminder>\n${text}\n</system-reminder>`;

  test('is none in a plain chat', () => {
    expect(read(user('hi')).facts).not.toHaveProperty('step');
    expect(step([user('a'), { role: 'assistant', content: 'b' }, user('Plan mode is active in our team.')], {})).toBe(
      undefined,
    );
  });

  test('is to plan where tools are offered and none has answered this question', () => {
    expect(step([user('Add a test.')])).toBe('plan');
    expect(
      step([user('Add a test.'), call(), result(), { role: 'assistant', content: 'Done.' }, user('Another!')]),
    ).toBe('plan');
    expect(step([user('Add a test.'), { role: 'assistant', content: 'I would' }])).toBe(undefined);
  });

  test('is to act where a tool has answered, with or without a reminder behind', () => {
    expect(step([user('Add a test.'), call(), result()])).toBe('act');
    expect(step([user('Add a test.'), call(), result(), user(reminder('Todo list is empty.'))])).toBe('act');
    expect(step([user('Add a test.'), call(), result()], {})).toBe('act');
  });

  test('is to plan as long as plan mode is on', () => {
    const start = [user(`${reminder('Plan mode is active. Do not edit.')}\nAdd a test.`), call('read'), result()];
    expect(step(start)).toBe('plan');
    expect(step([...start, call('ExitPlanMode'), result('Error: the user wants changes')])).toBe('plan');
    expect(step([...start, call('ExitPlanMode'), result('approved')])).toBe('act');
    expect(step([...start, call(), result(reminder('You have exited plan mode.'))])).toBe('plan');
    expect(step([...start, user(reminder('## Exited Plan Mode'))])).toBe('act');
    // The next question is not asked in it.
    expect(step([...start, { role: 'assistant', content: 'Planned.' }, user('Go.'), call(), result()])).toBe('act');
  });

  test('is to plan in Codex as the last mode says', () => {
    const mode = (text: string) => ({ role: 'developer', content: `<collaboration_mode>${text}</collaboration_mode>` });
    const work = [user('Add a test.'), call(), result()];
    expect(step([mode('# Plan Mode (Conversational)\n…'), ...work])).toBe('plan');
    expect(step([mode('# Plan Mode (Conversational)'), mode('# Collaboration Mode: Default'), ...work])).toBe('act');
  });

  test.each([
    [
      'compaction',
      [
        user('a'),
        call(),
        result(),
        user('CRITICAL: text only.\n\nYour task is to create a detailed summary of the conversation so far, …'),
      ],
    ],
    ['Codex’s compaction', [user('a'), user('You are performing a CONTEXT CHECKPOINT COMPACTION. Hand over.')]],
    [
      'a title, by its system prompt',
      [{ role: 'system', content: 'Generate a concise, sentence-case title (3-7 words).' }, user('fix a.ts')],
    ],
    ['a title, by its turn', [user('Please write a 5-10 word title for the following conversation:\n\nhi')]],
    [
      'a person’s wish',
      [user('a'), { role: 'assistant', content: 'b' }, user('Please summarize our conversation so far')],
    ],
  ])('is to summarise: %s', (_, messages) => {
    expect(step(messages)).toBe('summarise');
    expect(step(messages, {})).toBe('summarise');
  });

  test.each(['Summarise this article: …', 'Write a title page in LaTeX', 'Write a function that compacts a heap.'])(
    'is not to summarise: %s',
    (text) => {
      expect(step([user(text)], {})).toBe(undefined);
    },
  );

  test('is a sub-agent’s, whatever it does, unless it plans', () => {
    const agent = (text: string) => [{ role: 'system', content: text }, user('Find it.'), call(), result()];
    expect(step(agent('You are an agent for Claude Code, given a task.'))).toBe('subagent');
    expect(step(agent('You review code.\n\nNotes:\n- Agent threads always have their cwd reset.'))).toBe('subagent');
    expect(step(agent('You are a software architect and planning specialist for Claude Code.'))).toBe('plan');
    expect(step(agent('You are Claude Code.'))).toBe('act');
  });
});

describe('images, audio and files', () => {
  const image = { type: 'image_url', image_url: { url: 'data:,' } };
  const sound = { type: 'input_audio', input_audio: { data: '', format: 'wav' } };
  const pdf = { type: 'file', file: { file_data: 'data:application/pdf;base64,AAAA' } };
  const text = (said: string) => ({ type: 'text', text: said });
  const answer = { role: 'assistant', content: 'A cat.' };

  test('of an earlier turn, answered, are history; they are still paid for', () => {
    const { facts } = read(user([text('What is this?'), image, sound, pdf]), answer, user('Write a poem.'));
    expect(facts).toMatchObject({ images: 0, imagesInHistory: 1, audio: 0, audioInHistory: 1, filesInHistory: 1 });
    expect(facts).not.toHaveProperty('files');
    expect(facts.inputTokens).toBeGreaterThan(1000);
  });

  test('of the last turn count, in as many messages as it was sent in, and so do those of tools since', () => {
    expect(read(user([image]), user('What is this?')).facts).toMatchObject({ images: 1 });
    expect(read(answer, user([text('Compare'), image, sound, pdf])).facts).toMatchObject({
      images: 1,
      audio: 1,
      files: 1,
    });
    const shot = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA' } };
    const loop = [
      user([text('Old'), image]),
      answer,
      user('Click the button.'),
      { role: 'assistant', content: [{ type: 'tool_use', id: '1', name: 'look', input: {} }] },
      user([{ type: 'tool_result', tool_use_id: '1', content: [shot] }]),
    ];
    expect(read(...loop).facts).toMatchObject({ images: 1, imagesInHistory: 1, step: 'act' });
  });

  test('stay in force through the work on the turn that holds them', () => {
    const call = { role: 'assistant', tool_calls: [{ id: '1', function: { name: 'f' } }] };
    const result = { role: 'tool', tool_call_id: '1', content: 'ok' };
    expect(read(user([text('Rebuild this page'), image]), call, result, call, result).facts.images).toBe(1);
  });

  test('where nobody has spoken all count', () => {
    expect(read({ role: 'assistant', content: [image] }).facts.images).toBe(1);
  });

  test('a file of plain text needs no model that reads files', () => {
    const plain = { type: 'input_file', file_data: 'data:text/plain;base64,AAAA' };
    expect(readRequest({ input: [{ role: 'user', content: [plain] }] }).facts).not.toHaveProperty('files');
    const document = (source: unknown) =>
      readRequest({ messages: [user([{ type: 'document', source }, text('Sum it up.')])] }).facts;
    expect(document({ type: 'text', media_type: 'text/plain', data: 'abcdefgh' })).not.toHaveProperty('files');
    expect(document({ type: 'base64', media_type: 'application/pdf', data: 'AAAA' }).files).toBe(1);
    expect(document({ type: 'content', content: [{ type: 'image', source: {} }] }).images).toBe(1);
  });
});
