import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SseParser } from '../../../server/forward/sse.ts';
import { collect } from '../../../server/protocols/collect.ts';
import type { Answer, AnswerBlock, AnswerEvent, FinishReason } from '../../../server/protocols/conversation.ts';
import { messagesSurface, messagesUpstream } from '../../../server/protocols/messages/index.ts';
import { type Frame, NotThisProtocol, ToldError } from '../../../server/protocols/protocol.ts';
import { STREAM } from './messages-fixtures.ts';

const HEAD = { id: '0'.repeat(32), modelId: 'anthropic/claude', createdAt: new Date(0), request: {} };
const PASS = { modelId: 'anthropic/claude', wantsUsage: false };

const readAll = (frames: readonly Frame[], dialect = {}) => {
  const reader = messagesUpstream.reader(dialect);
  return { events: frames.flatMap((frame) => reader.read(frame)), reader };
};

describe('reading a stream', () => {
  test('gives thinking with its seal, text, calls and usage as they come', () => {
    const { events, reader } = readAll(STREAM);
    // Input: 12 plain + 2000 read from the cache + 100 written to it.
    const input = { inputTokens: 2112, cachedInputTokens: 2000, cacheWriteTokens: 100 };
    expect(events).toEqual([
      { type: 'start', id: 'msg_01XYZ' },
      { type: 'usage', usage: { ...input, outputTokens: 1, reasoningTokens: null } },
      { type: 'thinking', text: 'Let me ' },
      { type: 'thinking', text: 'see.' },
      { type: 'sealed', sealed: { by: 'anthropic', data: 'EqoBsig==' } },
      { type: 'text', text: 'Looking' },
      { type: 'tool_call', index: 0, id: 'toolu_01', name: 'Read' },
      { type: 'tool_arguments', index: 0, json: '{"path": "a' },
      { type: 'tool_arguments', index: 0, json: '.ts"}' },
      { type: 'tool_call', index: 1, id: 'toolu_02', name: 'Now' },
      { type: 'tool_arguments', index: 1, json: '{}' },
      { type: 'finish', reason: 'tool_calls' },
      { type: 'usage', usage: { ...input, outputTokens: 89, reasoningTokens: 40 } },
    ]);
    expect(reader.closed).toBe(true);
    expect(reader.complete).toBe(true);
  });

  test('is complete once it has told why it stopped, and closed at message_stop', () => {
    const { reader } = readAll(STREAM.slice(0, -2));
    expect(reader.complete).toBe(false);
    reader.read(STREAM.at(-2)!);
    expect([reader.complete, reader.closed]).toEqual([true, false]);
  });

  test('takes the maker of the dialect for the maker of what is sealed', () => {
    const { events } = readAll(STREAM, { maker: 'other' });
    expect(events).toContainEqual({ type: 'sealed', sealed: { by: 'other', data: 'EqoBsig==' } });
  });

  const block = (content_block: unknown) => [
    { event: 'message_start', data: '{"type":"message_start","message":{"id":"m"}}' },
    {
      event: 'content_block_start',
      data: JSON.stringify({ type: 'content_block_start', index: 0, content_block }),
    },
    { event: 'content_block_stop', data: '{"type":"content_block_stop","index":0}' },
  ];

  test('takes a call whose arguments come with its start', () => {
    const { events } = readAll(block({ type: 'tool_use', id: 't', name: 'f', input: { a: 1 } }));
    expect(events.at(-1)).toEqual({ type: 'tool_arguments', index: 0, json: '{"a":1}' });
  });

  test('keeps hidden and redacted thinking apart', () => {
    expect(readAll(block({ type: 'thinking', thinking: '', signature: 'sig' })).events.at(-1)).toEqual({
      type: 'sealed',
      sealed: { by: 'anthropic', data: 'sig' },
    });
    expect(readAll(block({ type: 'redacted_thinking', data: 'enc' })).events.at(-1)).toEqual({
      type: 'sealed',
      sealed: { by: 'anthropic', data: 'enc' },
      redacted: true,
    });
  });

  test('counts what only this protocol has and translates none of it', () => {
    const call = { type: 'server_tool_use', id: 's', name: 'web_search', input: {} };
    expect(readAll(block(call)).events.slice(1)).toEqual([{ type: 'other', chars: JSON.stringify(call).length }]);
  });

  test.each([
    ['overloaded_error', 529],
    ['rate_limit_error', 429],
    ['api_error', 500],
    ['invalid_request_error', 400],
  ])('tells %s with the status %i that it would have had', (type, status) => {
    const data = JSON.stringify({ type: 'error', error: { type, message: 'no' } });
    expect(readAll([{ event: 'error', data }]).events).toEqual([
      { type: 'error', error: { type, message: 'no', code: null, param: null, status } },
    ]);
  });

  test('takes the explanation of a refusal that says nothing else', () => {
    const delta = { stop_reason: 'refusal', stop_details: { type: 'refusal', category: null, explanation: 'No.' } };
    const data = JSON.stringify({ type: 'message_delta', delta, usage: { output_tokens: 1 } });
    expect(readAll([{ event: 'message_delta', data }]).events).toEqual([
      { type: 'refusal', text: 'No.' },
      { type: 'finish', reason: 'refusal' },
    ]);
  });

  test('passes over events that there may come to be', () => {
    expect(readAll([{ event: 'message_note', data: '{"type":"message_note","x":1}' }]).events).toEqual([]);
  });

  test.each([
    ['not JSON', 'hello'],
    ['no object', '[1]'],
    ['a chunk of the chat protocol', '{"id":"x","object":"chat.completion.chunk","choices":[]}'],
    ['a start without a message', '{"type":"message_start"}'],
    ['a block without an index', '{"type":"content_block_stop"}'],
    ['a piece of no block', '{"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"x"}}'],
    ['the end of chat', '[DONE]'],
  ])('refuses %s', (_, data) => {
    expect(() => messagesUpstream.reader({}).read({ event: '', data })).toThrow(NotThisProtocol);
  });

  test('never fails in another way, whatever comes', () => {
    const piece = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          type: fc.constantFrom(
            'message_start',
            'content_block_start',
            'content_block_delta',
            'message_delta',
            'error',
          ),
          index: fc.oneof(fc.nat(2), fc.string()),
          message: fc.oneof(fc.jsonValue(), fc.record({ id: fc.jsonValue(), usage: fc.jsonValue() })),
          content_block: fc.oneof(fc.jsonValue(), fc.record({ type: fc.constantFrom('text', 'tool_use', 'thinking') })),
          delta: fc.oneof(fc.jsonValue(), fc.record({ type: fc.constantFrom('text_delta', 'input_json_delta') })),
          error: fc.jsonValue(),
          usage: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const reader = messagesUpstream.reader({});
        for (const data of pieces) {
          try {
            reader.read({ event: '', data: JSON.stringify(data) });
          } catch (error) {
            expect(error).toBeInstanceOf(NotThisProtocol);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('reading a whole answer', () => {
  const whole = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content: [
      { type: 'thinking', thinking: 'Hm.', signature: 'sig' },
      { type: 'text', text: 'Yes', citations: null },
      { type: 'tool_use', id: 't', name: 'f', input: { a: [1] } },
    ],
    stop_reason: 'stop_sequence',
    stop_sequence: 'END',
    usage: { input_tokens: 5, output_tokens: 7, cache_read_input_tokens: null },
  };

  test('gives the same as its stream would', () => {
    expect(messagesUpstream.readAnswer(whole, {})).toEqual({
      id: 'msg_1',
      blocks: [
        { type: 'thinking', text: 'Hm.', sealed: { by: 'anthropic', data: 'sig' } },
        { type: 'text', text: 'Yes' },
        { type: 'tool_call', id: 't', name: 'f', arguments: '{"a":[1]}' },
      ],
      finish: 'stop_sequence',
      stopSequence: 'END',
      usage: { inputTokens: 5, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 7, reasoningTokens: null },
    });
  });

  test.each<[string, FinishReason]>([
    ['end_turn', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['refusal', 'refusal'],
    ['pause_turn', 'pause'],
    ['some_new_reason', 'stop'],
  ])('reads stop_reason %s as %s', (stop_reason, finish) => {
    expect(messagesUpstream.readAnswer({ ...whole, stop_reason, stop_sequence: null }, {}).finish).toBe(finish);
  });

  test('throws an error that is told in place of an answer', () => {
    const told = { type: 'error', error: { type: 'overloaded_error', message: 'busy' } };
    expect(() => messagesUpstream.readAnswer(told, {})).toThrow(ToldError);
  });

  test.each([
    [{ choices: [] }],
    [{ ...whole, content: 'text' }],
    [{ ...whole, content: [null] }],
    [{ ...whole, stop_reason: null }],
  ])('refuses %j', (payload) => {
    expect(() => messagesUpstream.readAnswer(payload, {})).toThrow(NotThisProtocol);
  });
});

/** The frames of what a writer wrote, read back from bytes cut anywhere. */
function framesOf(text: string, cut = 7): Frame[] {
  const parser = new SseParser();
  const bytes = Buffer.from(text);
  const frames: Frame[] = [];
  for (let i = 0; i < bytes.length; i += cut) frames.push(...parser.push(bytes.subarray(i, i + cut)));
  expect(parser.foreign).toBe(false);
  return frames;
}

function written(batches: readonly (readonly AnswerEvent[])[]): string {
  const writer = messagesSurface.writer(HEAD, PASS);
  return batches.map((batch) => writer.write(batch)).join('') + writer.end();
}

describe('writing a stream', () => {
  test('brings the events in the order and the shape that clients know', () => {
    const usage = { inputTokens: 30, cachedInputTokens: 20, cacheWriteTokens: 4, outputTokens: 9, reasoningTokens: 3 };
    const frames = framesOf(
      written([
        [{ type: 'start', id: 'chatcmpl-1' }],
        [{ type: 'text', text: 'Hel' }],
        [{ type: 'text', text: 'lo' }],
        [
          { type: 'finish', reason: 'stop' },
          { type: 'usage', usage },
        ],
      ]),
    );
    const zero = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
    const none = { stop_reason: null, stop_sequence: null, stop_details: null };
    const message = {
      type: 'message',
      role: 'assistant',
      model: 'anthropic/claude',
      content: [],
      ...none,
      usage: zero,
    };
    const delta = (text: string) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
    expect(frames.map(({ data }) => JSON.parse(data))).toEqual([
      { type: 'message_start', message: { id: `msg_${HEAD.id}`, ...message } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '', citations: null } },
      delta('Hel'),
      delta('lo'),
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { ...none, stop_reason: 'end_turn' },
        usage: {
          input_tokens: 6,
          cache_creation_input_tokens: 4,
          cache_read_input_tokens: 20,
          output_tokens: 9,
          output_tokens_details: { thinking_tokens: 3 },
        },
      },
      { type: 'message_stop' },
    ]);
    for (const { event, data } of frames) expect(event).toBe(JSON.parse(data).type);
  });

  test('sends text as it comes, not at the end', () => {
    const writer = messagesSurface.writer(HEAD, PASS);
    expect(writer.write([{ type: 'start', id: null }])).toContain('message_start');
    expect(writer.write([{ type: 'text', text: 'first' }])).toContain('first');
    expect(writer.write([])).toBe('');
  });

  test('holds a second call back until the first is whole, since blocks may not interleave', () => {
    const writer = messagesSurface.writer(HEAD, PASS);
    writer.write([
      { type: 'tool_call', index: 0, id: 'a', name: 'f' },
      { type: 'tool_arguments', index: 0, json: '{"x":' },
    ]);
    const held = writer.write([
      { type: 'tool_call', index: 1, id: 'b', name: 'g' },
      { type: 'tool_arguments', index: 1, json: '{}' },
    ]);
    expect(held).toBe('');
    const frames = framesOf(writer.write([{ type: 'tool_arguments', index: 0, json: '1}' }]));
    expect(frames.map(({ event, data }) => [event, JSON.parse(data).index])).toEqual([
      ['content_block_delta', 0],
      ['content_block_stop', 0],
      ['content_block_start', 1],
      ['content_block_delta', 1],
    ]);
  });

  test('is a valid message even when nothing was said', () => {
    const frames = framesOf(written([[{ type: 'finish', reason: 'stop' }]]));
    expect(frames.map(({ event }) => event)).toEqual(['message_start', 'message_delta', 'message_stop']);
  });

  test('says tool_use where a host ended its calls with stop, and refusal where one refused', () => {
    const call: AnswerEvent = { type: 'tool_call', index: 0, id: 'a', name: 'f' };
    expect(written([[call, { type: 'finish', reason: 'stop' }]])).toContain('"stop_reason":"tool_use"');
    const refusal: AnswerEvent = { type: 'refusal', text: 'No.' };
    const refused = written([[refusal, { type: 'finish', reason: 'stop' }]]);
    expect(refused).toContain('"stop_reason":"refusal"');
    expect(refused).toContain('{"type":"text_delta","text":"No."}');
  });

  test('ends once', () => {
    const writer = messagesSurface.writer(HEAD, PASS);
    expect(writer.end()).toContain('message_stop');
    expect(writer.end()).toBe('');
    expect(writer.write([{ type: 'text', text: 'late' }])).toBe('');
  });

  test('hands over the seal of a call so that it comes back on that call', () => {
    const sealed = { by: 'google' as const, data: 'thought==' };
    const answer: Answer = {
      id: null,
      blocks: [{ type: 'tool_call', id: 'c1', name: 'f', arguments: '{}', sealed }],
      finish: 'tool_calls',
      usage: null,
    };
    const { content } = messagesSurface.writeAnswer(answer, HEAD) as { content: { type: string }[] };
    expect(content.map(({ type }) => type)).toEqual(['redacted_thinking', 'tool_use']);
    const messages = [
      { role: 'user', content: 'go' },
      { role: 'assistant', content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1' }] },
    ];
    const { turns } = messagesSurface.readRequest({ model: 'auto', max_tokens: 9, messages });
    expect(turns[1]!.blocks).toEqual(answer.blocks);
  });
});

describe('writing a whole answer', () => {
  test('shows arguments that are no object as what they were', () => {
    const call = (json: string) => ({ type: 'tool_call' as const, id: 'c', name: 'f', arguments: json });
    const blocks = [call('{"a":1}'), call(''), call('{"a":'), call('[1]')];
    const { content } = messagesSurface.writeAnswer({ id: null, blocks, finish: 'tool_calls', usage: null }, HEAD) as {
      content: { input: unknown }[];
    };
    expect(content.map(({ input }) => input)).toEqual([{ a: 1 }, {}, { invalid_json: '{"a":' }, { value: [1] }]);
  });
});

const words = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' });
const seal = fc.record(
  {
    by: fc.constantFrom('anthropic' as const, 'google' as const, 'openai' as const),
    data: fc.base64String({ minLength: 4 }),
    id: fc.constant('rs_1'),
  },
  { requiredKeys: ['by', 'data'] },
);
const count = fc.nat(1000);
const usage = fc.tuple(count, count, count, count, fc.option(count)).map(([plain, read, write, output, reasoning]) => ({
  inputTokens: plain + read + write,
  cachedInputTokens: read,
  cacheWriteTokens: write,
  outputTokens: output,
  reasoningTokens: reasoning,
}));
const argumentsText = fc.oneof(
  fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }).map((value) => JSON.stringify(value, null, 1)),
  fc.constant(''),
  fc.constant('not json'),
);
type Part =
  | { readonly event: AnswerEvent }
  | { readonly call: { readonly id: string; readonly name: string; readonly json: string; readonly cuts: number } };
const part: fc.Arbitrary<Part> = fc.oneof(
  words.map((text) => ({ event: { type: 'text' as const, text } })),
  words.map((text) => ({ event: { type: 'thinking' as const, text } })),
  words.map((text) => ({ event: { type: 'refusal' as const, text } })),
  fc
    .tuple(seal, fc.boolean())
    .map(([sealed, redacted]) => ({ event: { type: 'sealed' as const, sealed, ...(redacted && { redacted }) } })),
  fc
    .record({
      id: fc.uuid(),
      name: fc.constantFrom('f', 'g'),
      json: argumentsText,
      cuts: fc.integer({ min: 1, max: 5 }),
    })
    .map((call) => ({ call })),
);

/** Events in which pieces of any call may come late, between whatever else: `picks` decides. */
function interleaved(parts: readonly Part[], picks: readonly number[]): AnswerEvent[] {
  const events: AnswerEvent[] = [];
  const waiting: AnswerEvent[][] = [];
  const rest = [...parts];
  let calls = 0;
  for (let i = 0; rest.length > 0 || waiting.length > 0; i++) {
    const pick = (picks[i % picks.length] ?? 0) % (waiting.length + (rest.length > 0 ? 1 : 0));
    if (pick < waiting.length) {
      events.push(waiting[pick]!.shift()!);
      if (waiting[pick]!.length === 0) waiting.splice(pick, 1);
    } else {
      const next = rest.shift()!;
      if ('event' in next) events.push(next.event);
      else {
        const index = calls++;
        const { id, name, json, cuts } = next.call;
        const size = Math.max(1, Math.ceil(json.length / cuts));
        const pieces: AnswerEvent[] = [];
        for (let at = 0; at < json.length; at += size) {
          pieces.push({ type: 'tool_arguments', index, json: json.slice(at, at + size) });
        }
        events.push({ type: 'tool_call', index, id, name });
        if (pieces.length > 0) waiting.push(pieces);
      }
    }
  }
  return events;
}

/** What of an answer this protocol can tell. */
function tellable({ blocks, finish, stopSequence, usage }: Answer): Answer {
  const told: AnswerBlock[] = [];
  for (const block of blocks) {
    const last = told.at(-1);
    if (block.type === 'tool_call') told.push({ ...block, arguments: block.arguments === '' ? '{}' : block.arguments });
    else if (block.type === 'thinking') told.push(block);
    else if (last?.type === 'text') told[told.length - 1] = { type: 'text', text: last.text + block.text };
    else told.push({ type: 'text', text: block.text });
  }
  const calls = blocks.some(({ type }) => type === 'tool_call');
  const refused = blocks.some(({ type }) => type === 'refusal');
  const reason = finish === 'content_filter' ? 'refusal' : finish;
  return {
    id: `msg_${HEAD.id}`,
    blocks: told,
    finish: reason !== 'stop' ? reason : refused ? 'refusal' : calls ? 'tool_calls' : 'stop',
    ...(stopSequence !== undefined && { stopSequence }),
    usage: usage ?? {
      inputTokens: 0,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      outputTokens: 0,
      reasoningTokens: null,
    },
  };
}

test('what the writer writes, in any pieces, the reader reads as the same answer', () => {
  const finish = fc.constantFrom<FinishReason>('stop', 'length', 'tool_calls', 'content_filter', 'refusal', 'pause');
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }),
      fc.array(fc.nat(5), { minLength: 1, maxLength: 40 }),
      finish,
      fc.option(words, { nil: undefined }),
      fc.option(usage),
      fc.integer({ min: 1, max: 40 }),
      (parts, picks, reason, stopSequence, used, cut) => {
        const events: AnswerEvent[] = [
          { type: 'start', id: 'x' },
          ...interleaved(parts, picks),
          { type: 'finish', reason, ...(stopSequence !== undefined && { stopSequence }) },
          ...(used === null ? [] : [{ type: 'usage' as const, usage: used }]),
        ];
        const batches = events.map((event) => [event]);
        const { events: read, reader } = readAll(framesOf(written(batches), cut));
        expect(reader.closed).toBe(true);
        expect(collect(read)).toEqual(tellable(collect(events)));
        // All at once gives the same.
        expect(collect(readAll(framesOf(written([events]))).events)).toEqual(tellable(collect(events)));
      },
    ),
    { numRuns: 600 },
  );
});

test('no two blocks of a written stream are ever open together, and indices count up from 0', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.array(fc.nat(5), { minLength: 1 }), (parts, picks) => {
      const frames = framesOf(written(interleaved(parts, picks).map((event) => [event])));
      let open: number | null = null;
      let next = 0;
      for (const { event, data } of frames) {
        const { index } = JSON.parse(data);
        if (event === 'content_block_start') {
          expect(open).toBeNull();
          expect(index).toBe(next++);
          open = index;
        } else if (event === 'content_block_delta') expect(index).toBe(open);
        else if (event === 'content_block_stop') {
          expect(index).toBe(open);
          open = null;
        }
      }
      expect(open).toBeNull();
    }),
  );
});
