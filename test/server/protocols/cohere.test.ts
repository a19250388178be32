/** Cohere's chat protocol, version 2: requests as its reference asks for them, answers and streams in its true shapes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cohereUpstream } from '../../../server/protocols/cohere/index.ts';
import { collect } from '../../../server/protocols/collect.ts';
import type { Block, Conversation, Reasoning, Turn } from '../../../server/protocols/conversation.ts';
import { NotThisProtocol, ToldError, Untranslatable, type WriteTarget } from '../../../server/protocols/protocol.ts';
import { anyConversation, plainConversation, stringsIn, textsOf } from './arbitrary-conversation.ts';

const say = (text: string): Block => ({ type: 'text', text });
const user = (...blocks: Block[]): Turn => ({ role: 'user', blocks });
const model = (...blocks: Block[]): Turn => ({ role: 'assistant', blocks });
const call = (id: string, name: string, args: string): Block => ({ type: 'tool_call', id, name, arguments: args });
const result = (callId: string, text: string, isError = false): Block => ({
  type: 'tool_result',
  callId,
  content: [{ type: 'text', text }],
  isError,
});
const conversation = (turns: readonly Turn[], more: Partial<Conversation> = {}): Conversation => ({
  system: [],
  turns,
  tools: [],
  stop: [],
  stream: false,
  only: [],
  ...more,
});
const hi = (more: Partial<Conversation>) => conversation([user(say('hi'))], more);

const write = (asked: Conversation, more: Partial<WriteTarget> = {}) =>
  cohereUpstream.writeRequest(asked, {
    model: 'command-a-03-2025',
    dialect: {},
    sampling: true,
    reasoning: true,
    maxOutputTokens: undefined,
    ...more,
  });

const refused = (asked: Conversation) => {
  try {
    write(asked);
  } catch (error) {
    if (error instanceof Untranslatable) return error.field;
    throw error;
  }
  return 'written';
};

describe('a request', () => {
  test('carries words, images and every knob under Cohere’s names', () => {
    const asked = conversation(
      [
        user(say('What is on it?'), {
          type: 'image',
          source: { kind: 'url', url: 'https://example.com/a.png' },
          detail: 'low',
        }),
        model({ type: 'thinking', text: 'A cat.' }, say('A cat.')),
        user({ type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0K' } }),
      ],
      {
        system: [{ type: 'text', text: 'Be brief.' }],
        maxOutputTokens: 500,
        temperature: 0.5,
        topP: 1,
        topK: 900,
        seed: 7,
        presencePenalty: 0.25,
        frequencyPenalty: 1,
        stop: ['END'],
        user: 'u-1',
        stream: true,
      },
    );
    expect(write(asked)).toEqual({
      model: 'command-a-03-2025',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is on it?' },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
          ],
        },
        { role: 'assistant', content: 'A cat.' },
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0K' } }] },
      ],
      max_tokens: 500,
      temperature: 0.5,
      p: 0.99,
      k: 500,
      seed: 7,
      presence_penalty: 0.25,
      frequency_penalty: 1,
      stop_sequences: ['END'],
      stream: true,
    });
    expect(write(asked, { sampling: false })).not.toHaveProperty('temperature');
  });

  test('carries tools, calls with their plan and thinking, and results before other words', () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
    const asked = conversation(
      [
        user(say('Weather in Oslo and Rome?')),
        model(
          { type: 'thinking', text: 'Two calls.' },
          { type: 'thinking', text: 'not ours', sealed: { by: 'anthropic', data: 'sig' } },
          say('I will look.'),
          call('a1', 'weather', '{"city":"Oslo"}'),
          call('a2', 'weather', ''),
        ),
        user(say('Quick!'), result('a1', 'rain'), result('a2', 'no such city', true)),
      ],
      {
        tools: [{ name: 'weather', description: 'Weather now', parameters, strict: true }],
        toolChoice: { type: 'auto' },
      },
    );
    const calls = [
      { id: 'a1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
      { id: 'a2', type: 'function', function: { name: 'weather', arguments: '{}' } },
    ];
    const assistant = {
      role: 'assistant',
      content: [{ type: 'thinking', thinking: 'Two calls.' }],
      tool_plan: 'I will look.',
      tool_calls: calls,
    };
    expect(write(asked)).toEqual({
      model: 'command-a-03-2025',
      messages: [
        { role: 'user', content: 'Weather in Oslo and Rome?' },
        assistant,
        { role: 'tool', tool_call_id: 'a1', content: 'rain' },
        { role: 'tool', tool_call_id: 'a2', content: '{"error":"no such city"}' },
        { role: 'user', content: 'Quick!' },
      ],
      tools: [{ type: 'function', function: { name: 'weather', description: 'Weather now', parameters } }],
      strict_tools: true,
      stream: false,
    });
    const { content: _, ...unthinking } = assistant;
    expect((write(asked, { reasoning: false }).messages as unknown[])[1]).toEqual(unthinking);
  });

  test('forces one tool by sending only that', () => {
    const tools = ['f', 'g'].map((name) => ({ name, parameters: { type: 'object' }, strict: true }));
    const sent = (toolChoice: Conversation['toolChoice']) => {
      const { tools: written, tool_choice } = write(hi({ tools, toolChoice }));
      return [(written as { function: { name: string } }[]).map((tool) => tool.function.name).join(), tool_choice];
    };
    expect(sent({ type: 'tool', name: 'g' })).toEqual(['g', 'REQUIRED']);
    expect(sent({ type: 'required' })).toEqual(['f,g', 'REQUIRED']);
    expect(sent({ type: 'none' })).toEqual(['f,g', 'NONE']);
    expect(sent(undefined)).toEqual(['f,g', undefined]);
    // Strictness needs a required argument.
    expect(write(hi({ tools }))).not.toHaveProperty('strict_tools');
  });

  test('asks for JSON, by a schema or without', () => {
    const schema = { type: 'object', properties: { a: { type: 'integer' } } };
    expect(write(hi({ responseFormat: { type: 'json' } })).response_format).toEqual({ type: 'json_object' });
    expect(write(hi({ responseFormat: { type: 'json_schema', name: 'a', schema } })).response_format).toEqual({
      type: 'json_object',
      json_schema: schema,
    });
  });

  test('turns a wish for reasoning into a budget', () => {
    const table: [Reasoning, unknown][] = [
      [{ effort: 'none' }, { type: 'disabled' }],
      [{ enabled: false, budgetTokens: 5000 }, { type: 'disabled' }],
      [{ budgetTokens: 0 }, { type: 'disabled' }],
      [{ effort: 'minimal' }, { type: 'enabled', token_budget: 512 }],
      [{ effort: 'medium' }, { type: 'enabled', token_budget: 8192 }],
      [{ effort: 'high' }, { type: 'enabled' }],
      [
        { effort: 'low', budgetTokens: 3000 },
        { type: 'enabled', token_budget: 3000 },
      ],
      [{ enabled: true }, { type: 'enabled' }],
      [{ visible: true }, undefined],
    ];
    for (const [reasoning, expected] of table) {
      expect([reasoning, write(hi({ reasoning })).thinking]).toEqual([reasoning, expected]);
    }
    expect(write(hi({ reasoning: { effort: 'high' } }), { reasoning: false })).not.toHaveProperty('thinking');
  });

  test('that Cohere cannot take is refused by the name of its field', () => {
    const f = { name: 'f', parameters: { type: 'object' } };
    const image: Block = { type: 'image', source: { kind: 'url', url: 'https://example.com/a.png' } };
    expect(refused(hi({ only: ['logprobs'] }))).toBe('logprobs');
    expect(refused(hi({ stop: ['1', '2', '3', '4', '5', '6'] }))).toBe('stop');
    expect(refused(hi({ presencePenalty: -1 }))).toBe('presence_penalty');
    expect(refused(hi({ frequencyPenalty: 1.5 }))).toBe('frequency_penalty');
    expect(refused(hi({ toolChoice: { type: 'required' } }))).toBe('tool_choice');
    expect(refused(hi({ tools: [f], toolChoice: { type: 'tool', name: 'g' } }))).toBe('tool_choice');
    expect(refused(hi({ tools: [f], parallelToolCalls: false }))).toBe('parallel_tool_calls');
    expect(refused(hi({ tools: [f], responseFormat: { type: 'json' } }))).toBe('response_format');
    for (const block of [
      { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' } },
      { type: 'audio', data: 'UklG', format: 'wav' },
      { type: 'image', source: { kind: 'file', fileId: 'file-1' } },
      { type: 'tool_result', callId: 'a', content: [image], isError: false },
      call('a', 'f', '{}'),
    ] as Block[]) {
      expect([block.type, refused(conversation([user(say('x'), block)]))]).toEqual([block.type, 'messages']);
    }
    expect(refused(conversation([user(say('x')), model(image)]))).toBe('messages');
    expect(refused(conversation([user(say(''))]))).toBe('messages');
  });

  test('is written or refused as a whole, and loses no text', () => {
    let written = 0;
    fc.assert(
      fc.property(fc.oneof(anyConversation, plainConversation), (asked) => {
        if (refused(asked) !== 'written') return;
        written++;
        const body = write(asked);
        // Errors of tools are JSON in a text.
        const strings = stringsIn(body.messages).flatMap((text) =>
          text.startsWith('{"error":') ? [text, JSON.parse(text).error] : [text],
        );
        for (const text of textsOf(asked)) expect(strings.join('\n')).toContain(text);
      }),
      { numRuns: 100 },
    );
    expect(written).toBeGreaterThan(5);
  });
});

const usage = {
  billed_units: { input_tokens: 40, output_tokens: 12 },
  tokens: { input_tokens: 900, output_tokens: 20 },
  cached_tokens: 800,
};
const USAGE = { inputTokens: 40, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 12, reasoningTokens: null };

const WHOLE = {
  id: '0c1d',
  message: {
    role: 'assistant',
    content: [{ type: 'thinking', thinking: 'They ask for the sky.' }],
    tool_plan: 'I will look.',
    tool_calls: [
      { id: 'weather_1', type: 'function', function: { name: 'weather', arguments: '{"city": "Oslo"}' } },
      { id: 'clock_2', type: 'function', function: { name: 'clock', arguments: 'null' } },
    ],
  },
  finish_reason: 'TOOL_CALL',
  usage,
};

const content = (index: number, piece: object, type = 'content-delta') => ({
  type,
  index,
  delta: { message: { content: piece } },
});
const toolCall = (type: string, index: number, tool_calls: object) => ({
  type,
  index,
  delta: { message: { tool_calls } },
});
const args = (index: number, text: string) => toolCall('tool-call-delta', index, { function: { arguments: text } });
const START = {
  id: '0c1d',
  type: 'message-start',
  delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
};
const end = (finish_reason: string, more: object = {}) => ({
  type: 'message-end',
  delta: { finish_reason, usage, ...more },
});

const STREAM = [
  START,
  content(0, { type: 'thinking', thinking: '' }, 'content-start'),
  content(0, { thinking: 'They ask ' }),
  content(0, { thinking: 'for the sky.' }),
  { type: 'content-end', index: 0 },
  { type: 'tool-plan-delta', delta: { message: { tool_plan: 'I will' } } },
  { type: 'tool-plan-delta', delta: { message: { tool_plan: ' look.' } } },
  toolCall('tool-call-start', 0, { id: 'weather_1', type: 'function', function: { name: 'weather', arguments: '' } }),
  args(0, '{"city"'),
  args(0, ': "Oslo"}'),
  { type: 'tool-call-end', index: 0 },
  toolCall('tool-call-start', 1, { id: 'clock_2', type: 'function', function: { name: 'clock', arguments: '' } }),
  args(1, 'nu'),
  args(1, 'll'),
  { type: 'tool-call-end', index: 1 },
  end('TOOL_CALL'),
];

const readWhole = (payload: object) => cohereUpstream.readAnswer(payload as Record<string, unknown>, {});

/** As the gateway does it: bytes, frames, events. */
function readStream(frames: readonly { type: string }[]) {
  const text = frames.map((frame) => `event: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`).join('');
  const framing = cohereUpstream.framing(1_000_000);
  const reader = cohereUpstream.reader({});
  const events = framing.push(new TextEncoder().encode(text)).flatMap((frame) => reader.read(frame));
  return { events, reader };
}

describe('an answer', () => {
  test('is read with thinking, plan, calls and what is billed', () => {
    expect(readWhole(WHOLE)).toEqual({
      id: '0c1d',
      blocks: [
        { type: 'thinking', text: 'They ask for the sky.' },
        { type: 'text', text: 'I will look.' },
        { type: 'tool_call', id: 'weather_1', name: 'weather', arguments: '{"city": "Oslo"}' },
        { type: 'tool_call', id: 'clock_2', name: 'clock', arguments: '{}' },
      ],
      finish: 'tool_calls',
      usage: USAGE,
    });
  });

  test('is the same streamed, and closed by its last message', () => {
    const { events, reader } = readStream(STREAM);
    expect(collect(events)).toEqual(readWhole(WHOLE));
    expect([reader.closed, reader.complete]).toEqual([true, true]);
    const cut = readStream(STREAM.slice(0, -1)).reader;
    expect([cut.closed, cut.complete]).toEqual([false, false]);
  });

  test('goes back to Cohere as it came', () => {
    const { blocks } = readWhole(WHOLE);
    const { messages } = write(conversation([user(say('The sky?')), { role: 'assistant', blocks: blocks as Block[] }]));
    const { message } = structuredClone(WHOLE);
    message.tool_calls[1]!.function.arguments = '{}';
    expect((messages as unknown[])[1]).toEqual(message);
  });

  test('keeps pieces of calls that interleave apart', () => {
    const start = (index: number, name: string) =>
      toolCall('tool-call-start', index, { id: `${name}-id`, type: 'function', function: { name, arguments: '' } });
    const frames = [
      START,
      start(3, 'f'),
      start(5, 'g'),
      args(5, '{"g":'),
      args(3, '{"f":1}'),
      args(5, 'null}'),
      end('TOOL_CALL'),
    ];
    expect(collect(readStream(frames).events).blocks).toEqual([
      { type: 'tool_call', id: 'f-id', name: 'f', arguments: '{"f":1}' },
      { type: 'tool_call', id: 'g-id', name: 'g', arguments: '{"g":null}' },
    ]);
  });

  test('ends for the reason that Cohere gave, or is told as an error', () => {
    const ended = (reason: string) => ({
      ...WHOLE,
      message: { content: [{ type: 'text', text: 'Hm.' }] },
      finish_reason: reason,
    });
    for (const [reason, finish] of [
      ['COMPLETE', 'stop'],
      ['MAX_TOKENS', 'length'],
      ['STOP_SEQUENCE', 'stop_sequence'],
    ] as const) {
      expect([reason, readWhole(ended(reason)).finish]).toEqual([reason, finish]);
    }
    for (const [reason, type] of [
      ['ERROR', 'server_error'],
      ['TIMEOUT', 'timeout_error'],
    ] as const) {
      const error = { message: `the answer ended with ${reason}`, type, code: reason.toLowerCase(), param: null };
      expect(() => readWhole(ended(reason))).toThrow(
        expect.objectContaining({ name: 'ToldError', error, usage: USAGE }),
      );
      const { events, reader } = readStream([START, content(0, { text: 'Hm' }), end(reason)]);
      expect(events.at(-1)).toEqual({ type: 'error', error });
      expect([reader.closed, reader.complete]).toEqual([true, false]);
    }
    const { events } = readStream([START, end('ERROR', { error: 'too many tokens: size limit exceeded' })]);
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { code: 'context_length_exceeded' } });
  });

  test('costs what tokens say where no bill is told', () => {
    const { billed_units: _, ...unbilled } = usage;
    expect(readWhole({ ...WHOLE, usage: unbilled }).usage).toEqual({
      inputTokens: 900,
      cachedInputTokens: 800,
      cacheWriteTokens: 0,
      outputTokens: 20,
      reasoningTokens: null,
    });
    expect(readWhole({ ...WHOLE, usage: null }).usage).toBeNull();
  });

  test('counts citations and passes over kinds of event that it does not know', () => {
    const cited = {
      type: 'citation-start',
      index: 0,
      delta: { message: { citations: { start: 0, end: 3, text: 'sky' } } },
    };
    const { events } = readStream([
      START,
      content(0, { text: 'sky' }),
      cited,
      { type: 'citation-end' },
      { type: 'new' },
    ]);
    expect(events.slice(2)).toEqual([
      { type: 'other', chars: 3 },
      { type: 'other', chars: 0 },
    ]);
  });

  test('that is something else is not taken for one', () => {
    const not = (payload: object) => expect(() => readWhole(payload), JSON.stringify(payload)).toThrow(NotThisProtocol);
    not({});
    not({ choices: [] });
    not({ message: {} });
    not({ message: { content: 'text' }, finish_reason: 'COMPLETE' });
    not({ message: { content: [{ type: 'text' }] }, finish_reason: 'COMPLETE' });
    not({ message: { content: [{ type: 'image' }] }, finish_reason: 'COMPLETE' });
    not({ message: { tool_calls: [{ id: 'a' }] }, finish_reason: 'TOOL_CALL' });
    const notFrames = (...frames: { type: string }[]) => expect(() => readStream(frames)).toThrow(NotThisProtocol);
    notFrames(args(0, '{}'));
    notFrames(toolCall('tool-call-start', 0, { id: 'a' }));
    notFrames(content(0, { text: 7 }));
    notFrames({ type: 'message-end' });
    expect(() => cohereUpstream.reader({}).read({ event: '', data: '[DONE]' })).toThrow(NotThisProtocol);
  });

  test('may be an error instead', () => {
    const told = { id: 'x', message: 'invalid api token' };
    const error = { message: told.message, type: 'authentication_error', code: 'invalid_api_key', param: null };
    expect(cohereUpstream.readError(JSON.stringify(told))).toEqual(error);
    expect(() => readWhole(told)).toThrow(ToldError);
    expect(cohereUpstream.reader({}).read({ event: '', data: JSON.stringify(told) })).toEqual([
      { type: 'error', error },
    ]);
    expect(cohereUpstream.readError('{"message":"something else"}')).toMatchObject({
      type: 'upstream_error',
      code: null,
    });
    for (const body of ['', 'oops', '[]', 'null', '{"error":"x"}'])
      expect(cohereUpstream.readError(body)).toBeUndefined();
  });
});

describe('whatever comes', () => {
  const anything = fc.jsonValue();
  const message = fc.oneof(
    fc.record(
      { content: anything, tool_plan: anything, tool_calls: anything, citations: anything },
      { requiredKeys: [] },
    ),
    fc.record({ content: fc.record({ type: fc.constantFrom('text', 'thinking'), text: fc.string() }) }),
    fc.record({
      tool_calls: fc.record({ id: fc.string(), function: fc.record({ name: fc.string(), arguments: fc.string() }) }),
    }),
  );
  const frame = fc.record(
    {
      type: fc.constantFrom(...STREAM.map(({ type }) => type), 'citation-start', 'debug'),
      index: fc.nat(2),
      delta: fc.oneof(
        fc.record(
          { message, finish_reason: fc.oneof(fc.constantFrom('COMPLETE', 'ERROR'), anything), usage: anything },
          { requiredKeys: [] },
        ),
        anything,
      ),
    },
    { requiredKeys: ['type'] },
  );

  test('a frame gives events or is not of this protocol, and arguments follow their call', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(frame, anything)), fc.string(), (frames, garbage) => {
        const reader = cohereUpstream.reader({});
        let calls = 0;
        for (const data of [...frames.map((value) => JSON.stringify(value)), garbage]) {
          try {
            for (const event of reader.read({ event: '', data })) {
              if (event.type === 'tool_call') expect(event.index).toBe(calls++);
              if (event.type === 'tool_arguments') expect(event.index).toBeLessThan(calls);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(NotThisProtocol);
          }
        }
      }),
    );
  });

  test('arguments survive however they are cut', () => {
    fc.assert(
      fc.property(fc.json(), fc.array(fc.nat(40), { maxLength: 5 }), (json, cuts) => {
        const at = [0, ...cuts.map((cut) => Math.min(cut, json.length)), json.length].sort((a, b) => a - b);
        const pieces = at.slice(1).map((to, i) => json.slice(at[i], to));
        const start = toolCall('tool-call-start', 0, { id: 'a', function: { name: 'f', arguments: '' } });
        const { events } = readStream([START, start, ...pieces.map((piece) => args(0, piece)), end('TOOL_CALL')]);
        const none = json.trim() === 'null';
        expect(collect(events).blocks).toEqual([
          { type: 'tool_call', id: 'a', name: 'f', arguments: none ? '{}' : json },
        ]);
      }),
    );
  });

  test('a whole answer is read, or refused in one of two ways; an error body never throws', () => {
    const answer = fc.record({
      message: fc.oneof(message, anything),
      finish_reason: fc.constant('COMPLETE'),
      usage: anything,
    });
    fc.assert(
      fc.property(answer, fc.oneof(fc.json(), fc.string()), (payload, body) => {
        try {
          expect(readWhole(payload).blocks).toBeInstanceOf(Array);
        } catch (error) {
          expect(error instanceof NotThisProtocol || error instanceof ToldError, String(error)).toBe(true);
        }
        cohereUpstream.readError(body);
      }),
    );
  });
});
