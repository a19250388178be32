/** What the router reads off a chat request: the text that matters and facts, from every shape clients send. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { promptText, type RequestFacts, readRequest } from '../../router/request.ts';
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
