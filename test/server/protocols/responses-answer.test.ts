import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collect, eventsOf } from '../../../server/protocols/collect.ts';
import type { Answer, AnswerBlock, AnswerEvent, Sealed } from '../../../server/protocols/conversation.ts';
import type { AnswerHead, Frame } from '../../../server/protocols/protocol.ts';
import { responsesSurface, responsesUpstream } from '../../../server/protocols/responses/index.ts';
import { sealedToText } from '../../../server/protocols/sealed.ts';

const head: AnswerHead = {
  id: '0123456789abcdef0123456789abcdef',
  modelId: 'anthropic/claude-sonnet-5-5',
  createdAt: new Date('2026-11-02T10:00:00Z'),
  request: {
    model: 'auto',
    input: 'x',
    instructions: 'Be brief.',
    temperature: 0.5,
    store: true,
    metadata: { job: '7' },
    tools: [
      { type: 'function', name: 'look', parameters: {}, strict: true },
      { type: 'custom', name: 'note' },
    ],
    text: { verbosity: 'low' },
  },
};
const pass = { modelId: head.modelId, wantsUsage: false };

/** Frames as they come out of the bytes, cut every `size` bytes. */
function framesOf(text: string, size = Number.POSITIVE_INFINITY): Frame[] {
  const bytes = new TextEncoder().encode(text);
  const framing = responsesUpstream.framing(1 << 20);
  const frames: Frame[] = [];
  for (let i = 0; i < bytes.length; i += size) frames.push(...framing.push(bytes.subarray(i, i + size)));
  const last = framing.end();
  return last === null ? frames : [...frames, last];
}

function read(frames: readonly Frame[]): AnswerEvent[] {
  const reader = responsesUpstream.reader({});
  return frames.flatMap((frame) => reader.read(frame));
}

const stream = (...events: Record<string, unknown>[]): Frame[] =>
  events.map((event) => ({ event: String(event.type), data: JSON.stringify(event) }));

const USAGE = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
  output_tokens: 30,
  output_tokens_details: { reasoning_tokens: 20 },
  total_tokens: 130,
};
const READ_USAGE = {
  inputTokens: 100,
  cachedInputTokens: 60,
  cacheWriteTokens: 10,
  outputTokens: 30,
  reasoningTokens: 20,
};

const OUTPUT = [
  {
    id: 'rs_1',
    type: 'reasoning',
    summary: [
      { type: 'summary_text', text: '**First**' },
      { type: 'summary_text', text: 'Look.' },
    ],
    encrypted_content: 'gAAAAABo-final',
  },
  { id: 'ws_1', type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'q' } },
  {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: 'Let me look.', annotations: [] }],
  },
  { id: 'fc_1', type: 'function_call', status: 'completed', call_id: 'call_1', name: 'look', arguments: '{"at":"a"}' },
  { id: 'ctc_1', type: 'custom_tool_call', status: 'completed', call_id: 'call_2', name: 'note', input: 'so "it" is' },
];
const WHOLE: Answer = {
  id: 'resp_9',
  blocks: [
    {
      type: 'thinking',
      text: '**First**\n\nLook.',
      sealed: { by: 'openai', data: 'gAAAAABo-final', id: 'rs_1' },
    },
    { type: 'text', text: 'Let me look.' },
    { type: 'tool_call', id: 'call_1', name: 'look', arguments: '{"at":"a"}' },
    { type: 'tool_call', id: 'call_2', name: 'note', arguments: '{"input":"so \\"it\\" is"}' },
  ],
  finish: 'tool_calls',
  usage: READ_USAGE,
};
const RESPONSE = { id: 'resp_9', object: 'response', status: 'completed', error: null, output: OUTPUT, usage: USAGE };

/** As OpenAI streams the response above. */
const STREAM = stream(
  {
    type: 'response.created',
    sequence_number: 0,
    response: { id: 'resp_9', status: 'in_progress', output: [], error: null },
  },
  { type: 'response.in_progress', sequence_number: 1, response: { id: 'resp_9', status: 'in_progress', output: [] } },
  {
    type: 'response.output_item.added',
    output_index: 0,
    item: { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: 'gAAAAABo-early' },
  },
  {
    type: 'response.reasoning_summary_part.added',
    output_index: 0,
    item_id: 'rs_1',
    summary_index: 0,
    part: { type: 'summary_text', text: '' },
  },
  { type: 'response.reasoning_summary_text.delta', output_index: 0, item_id: 'rs_1', summary_index: 0, delta: '**Fir' },
  { type: 'response.reasoning_summary_text.delta', output_index: 0, item_id: 'rs_1', summary_index: 0, delta: 'st**' },
  {
    type: 'response.reasoning_summary_text.done',
    output_index: 0,
    item_id: 'rs_1',
    summary_index: 0,
    text: '**First**',
  },
  { type: 'response.reasoning_summary_text.delta', output_index: 0, item_id: 'rs_1', summary_index: 1, delta: 'Look.' },
  { type: 'response.output_item.done', output_index: 0, item: OUTPUT[0] },
  {
    type: 'response.output_item.added',
    output_index: 1,
    item: { id: 'ws_1', type: 'web_search_call', status: 'in_progress' },
  },
  { type: 'response.web_search_call.searching', output_index: 1, item_id: 'ws_1' },
  { type: 'response.output_item.done', output_index: 1, item: OUTPUT[1] },
  { type: 'response.output_item.added', output_index: 2, item: { id: 'msg_1', type: 'message', content: [] } },
  { type: 'response.content_part.added', output_index: 2, content_index: 0, part: { type: 'output_text', text: '' } },
  { type: 'response.output_text.delta', output_index: 2, content_index: 0, delta: 'Let me ' },
  { type: 'response.output_text.delta', output_index: 2, content_index: 0, delta: 'look.', obfuscation: 'x7' },
  { type: 'response.output_text.done', output_index: 2, content_index: 0, text: 'Let me look.' },
  { type: 'response.output_item.done', output_index: 2, item: OUTPUT[2] },
  { type: 'response.output_item.added', output_index: 3, item: { ...OUTPUT[3], arguments: '' } },
  { type: 'response.output_item.added', output_index: 4, item: { ...OUTPUT[4], input: '' } },
  { type: 'response.function_call_arguments.delta', output_index: 3, item_id: 'fc_1', delta: '{"at"' },
  { type: 'response.custom_tool_call_input.delta', output_index: 4, item_id: 'ctc_1', delta: 'so "i' },
  { type: 'response.function_call_arguments.delta', output_index: 3, item_id: 'fc_1', delta: ':"a"}' },
  { type: 'response.custom_tool_call_input.delta', output_index: 4, item_id: 'ctc_1', delta: 't" is' },
  { type: 'response.function_call_arguments.done', output_index: 3, item_id: 'fc_1', arguments: '{"at":"a"}' },
  { type: 'response.output_item.done', output_index: 3, item: OUTPUT[3] },
  { type: 'response.output_item.done', output_index: 4, item: OUTPUT[4] },
  { type: 'response.completed', response: RESPONSE },
);

describe('reading an answer', () => {
  test('a whole response', () => {
    expect(responsesUpstream.readAnswer(RESPONSE, {})).toEqual(WHOLE);
  });

  test('the same as a stream', () => {
    const events = read(STREAM);
    expect(collect(events)).toEqual(WHOLE);
    expect(events.filter(({ type }) => type === 'other')).toEqual([
      { type: 'other', chars: 0 },
      { type: 'other', chars: JSON.stringify(OUTPUT[1]).length },
    ]);
  });

  test('the call is known before its arguments', () => {
    const events = read(STREAM.slice(0, 20));
    expect(events.at(-3)).toEqual({ type: 'tool_call', index: 0, id: 'call_1', name: 'look' });
  });

  test('a host that sends items whole, or only the response at the end, is read as well', () => {
    const items = STREAM.filter(({ event }) => /created|output_item|completed/.test(event));
    expect(collect(read(items))).toEqual(WHOLE);
    expect(collect(read(stream({ type: 'response.completed', response: RESPONSE })))).toEqual(WHOLE);
  });

  test('a stream is complete with its last event, and not before', () => {
    const reader = responsesUpstream.reader({});
    for (const frame of STREAM.slice(0, -1)) reader.read(frame);
    expect([reader.closed, reader.complete]).toEqual([false, false]);
    reader.read(STREAM.at(-1)!);
    expect([reader.closed, reader.complete]).toEqual([true, true]);
    expect(reader.read(STREAM[3]!)).toEqual([]);
  });

  test.each<[Record<string, unknown>, Answer['finish']]>([
    [{ status: 'completed', output: [] }, 'stop'],
    [{ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output: OUTPUT }, 'length'],
    [{ status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: [] }, 'content_filter'],
    [{ status: 'queued', output: [] }, 'pause'],
    [{ output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'no' }] }] }, 'refusal'],
    [{ output: [{ type: 'local_shell_call', call_id: 'c', action: {} }] }, 'tool_calls'],
  ])('%j ends with %s', (response, finish) => {
    expect(responsesUpstream.readAnswer(response, {}).finish).toBe(finish);
  });

  test('raw reasoning of open models is read too', () => {
    const item = { id: 'rs_1', type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] };
    const blocks = [{ type: 'thinking', text: 'hm' }];
    expect(responsesUpstream.readAnswer({ output: [item] }, {}).blocks).toEqual(blocks);
    const events = read(
      stream(
        { type: 'response.output_item.added', output_index: 0, item: { ...item, content: [] } },
        { type: 'response.reasoning_text.delta', output_index: 0, content_index: 0, delta: 'hm' },
        { type: 'response.output_item.done', output_index: 0, item },
        { type: 'response.completed', response: { status: 'completed' } },
      ),
    );
    expect(collect(events).blocks).toEqual(blocks);
  });

  test('sealed reasoning is the maker’s that speaks the protocol there', () => {
    const { blocks } = responsesUpstream.readAnswer(RESPONSE, { maker: 'other' });
    expect(blocks[0]).toMatchObject({ sealed: { by: 'other' } });
  });

  test.each<[string, unknown]>([
    ['no JSON', '{"type":'],
    ['no object', '[]'],
    ['a chunk of chat', '{"object":"chat.completion.chunk","choices":[]}'],
    ['an item that is none', '{"type":"response.output_item.added","output_index":0,"item":3}'],
    ['a call without a name', '{"type":"response.output_item.added","item":{"type":"function_call","call_id":"c"}}'],
    ['an end without a response', '{"type":"response.completed"}'],
  ])('says that it is not this protocol: %s', (_, data) => {
    expect(() => responsesUpstream.reader({}).read({ event: '', data: String(data) })).toThrow(
      expect.objectContaining({ name: 'NotThisProtocol' }),
    );
  });

  test('a body that is no response is told apart', () => {
    expect(() => responsesUpstream.readAnswer({ choices: [], usage: USAGE }, {})).toThrow(
      expect.objectContaining({ name: 'NotThisProtocol', usage: READ_USAGE }),
    );
  });

  test('signs of life and events of a later day are passed over', () => {
    const reader = responsesUpstream.reader({});
    expect(reader.read({ event: 'keepalive', data: '{"type":"keepalive","sequence_number":3}' })).toEqual([]);
    expect(reader.read({ event: '', data: '{"type":"response.tomorrow.started"}' })).toEqual([]);
    expect(reader.read({ event: '', data: '' })).toEqual([]);
    expect(reader.read({ event: '', data: '{"type":"response.mcp_call_arguments.delta","delta":"abc"}' })).toEqual([
      { type: 'other', chars: 3 },
    ]);
  });

  test('no event makes the reader fail in another way', () => {
    const type = fc.constantFrom(...new Set(STREAM.map(({ event }) => event)), 'error', 'response.failed');
    const wild = fc.dictionary(
      fc.constantFrom('item', 'delta', 'response', 'output_index', 'content_index', 'error', 'message'),
      fc.oneof(
        fc.jsonValue({ maxDepth: 3 }),
        fc.record({
          type: fc.constantFrom('message', 'reasoning', 'function_call', 'custom_tool_call', 'x'),
          content: fc.jsonValue(),
          summary: fc.jsonValue(),
          call_id: fc.jsonValue(),
          name: fc.string(),
          arguments: fc.jsonValue(),
          output: fc.jsonValue(),
        }),
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(type, wild), { maxLength: 6 }), (events) => {
        try {
          read(stream(...events.map(([name, fields]) => ({ ...fields, type: name }))));
        } catch (error) {
          expect(error).toMatchObject({ name: 'NotThisProtocol' });
        }
      }),
    );
  });
});

describe('reading errors', () => {
  const quota = { type: 'insufficient_quota', code: 'insufficient_quota', message: 'no more', param: null };
  const expected = { ...quota, status: 429 };

  test.each<[string, Record<string, unknown>]>([
    ['as the API sends it', { type: 'error', sequence_number: 2, error: quota }],
    ['as the reference documents it', { ...quota, type: 'error', sequence_number: 2 }],
    [
      'as a failed response',
      { type: 'response.failed', response: { status: 'failed', error: { code: quota.code, message: quota.message } } },
    ],
    ['without a type', { error: quota }],
  ])('a frame %s', (_, event) => {
    const reader = responsesUpstream.reader({});
    const [told] = reader.read({ event: '', data: JSON.stringify(event) });
    expect(told).toMatchObject({ type: 'error', error: { code: quota.code, message: 'no more', status: 429 } });
    expect([reader.closed, reader.complete]).toEqual([true, false]);
  });

  test('a failed response tells its usage first', () => {
    const error = { code: 'server_error', message: 'sorry' };
    expect(read(stream({ type: 'response.failed', response: { status: 'failed', error, usage: USAGE } }))).toEqual([
      { type: 'usage', usage: READ_USAGE },
      {
        type: 'error',
        error: { message: 'sorry', type: 'server_error', code: 'server_error', param: null, status: 500 },
      },
    ]);
  });

  test('an error in place of an answer', () => {
    expect(() => responsesUpstream.readAnswer({ error: quota }, {})).toThrow(
      expect.objectContaining({ name: 'ToldError', error: expected }),
    );
  });

  test('the body of a refusal', () => {
    const error = { message: 'bad', type: 'invalid_request_error', code: 'unsupported_parameter', param: 'top_p' };
    expect(responsesUpstream.readError(JSON.stringify({ error }))).toEqual(error);
    expect(responsesUpstream.readError('<html>')).toBeUndefined();
  });
});

const write = (events: readonly AnswerEvent[], cuts: readonly number[] = []): string => {
  const writer = responsesSurface.writer(head, pass);
  let text = '';
  let from = 0;
  for (const cut of [...cuts, events.length]) {
    text += writer.write(events.slice(from, Math.max(from, cut)));
    from = Math.max(from, cut);
  }
  return text + writer.end();
};

describe('writing an answer', () => {
  const answer: Answer = {
    id: 'msg_up',
    blocks: [
      { type: 'thinking', text: 'hm', sealed: { by: 'anthropic', data: 'EqQB' } },
      { type: 'text', text: 'Hi' },
      { type: 'tool_call', id: 'toolu_1', name: 'look', arguments: '{"at":1}' },
      { type: 'tool_call', id: 'toolu_2', name: 'note', arguments: '{"input":"a\\nb"}' },
    ],
    finish: 'tool_calls',
    usage: READ_USAGE,
  };

  test('is a response that repeats the request and says that nothing is stored', () => {
    const written = responsesSurface.writeAnswer(answer, head);
    expect(written).toMatchObject({
      id: `resp_${head.id}`,
      object: 'response',
      created_at: 1_793_613_600, // 2026-11-02T10:00:00Z
      status: 'completed',
      model: 'anthropic/claude-sonnet-5-5',
      instructions: 'Be brief.',
      temperature: 0.5,
      top_p: null,
      store: false,
      metadata: { job: '7' },
      text: { format: { type: 'text' }, verbosity: 'low' },
      tools: head.request.tools,
      tool_choice: 'auto',
      parallel_tool_calls: true,
      error: null,
      incomplete_details: null,
      usage: USAGE,
    });
    expect(written.output).toEqual([
      {
        id: `rs_${head.id}_0`,
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'hm' }],
        encrypted_content: sealedToText({ by: 'anthropic', data: 'EqQB' }, 'openai'),
      },
      {
        id: `msg_${head.id}_1`,
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', annotations: [], logprobs: [], text: 'Hi' }],
      },
      {
        id: `fc_${head.id}_2`,
        type: 'function_call',
        status: 'completed',
        call_id: 'toolu_1',
        name: 'look',
        arguments: '{"at":1}',
      },
      {
        id: `ctc_${head.id}_3`,
        type: 'custom_tool_call',
        status: 'completed',
        call_id: 'toolu_2',
        name: 'note',
        input: 'a\nb',
      },
    ]);
  });

  test('the stream names its events in OpenAI’s order, numbers them and ends with the whole response', () => {
    const frames = framesOf(write(eventsOf(answer)));
    expect(frames.map(({ event }) => event.replace('response.', ''))).toEqual([
      ...['created', 'in_progress'],
      ...['output_item.added', 'reasoning_summary_part.added', 'reasoning_summary_text.delta'],
      ...['reasoning_summary_text.done', 'reasoning_summary_part.done', 'output_item.done'],
      ...['output_item.added', 'content_part.added', 'output_text.delta'],
      ...['output_text.done', 'content_part.done', 'output_item.done'],
      ...['output_item.added', 'function_call_arguments.delta'],
      ...['output_item.added'],
      ...['function_call_arguments.done', 'output_item.done'],
      ...['custom_tool_call_input.delta', 'custom_tool_call_input.done', 'output_item.done'],
      'completed',
    ]);
    const events = frames.map(({ data }) => JSON.parse(data));
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, i) => i));
    expect(frames.every(({ event }, i) => events[i].type === event)).toBe(true);
    expect(events[0].response).toMatchObject({ status: 'in_progress', output: [], usage: null });
    expect(events.at(-1).response).toEqual(responsesSurface.writeAnswer(answer, head));
  });

  test.each<[Answer['finish'], Record<string, unknown>]>([
    ['stop', { status: 'completed', incomplete_details: null }],
    ['stop_sequence', { status: 'completed', incomplete_details: null }],
    ['length', { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }],
    ['content_filter', { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }],
    ['refusal', { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }],
  ])('%s is told as %j', (finish, told) => {
    const said: Answer = { id: null, blocks: [{ type: 'text', text: 'Once' }], finish, usage: null };
    expect(responsesSurface.writeAnswer(said, head)).toMatchObject({ ...told, usage: null });
    const last = framesOf(write(eventsOf(said))).at(-1)!;
    expect(last.event).toBe(`response.${told.status}`);
    expect(JSON.parse(last.data).response).toMatchObject({ ...told, output: [{ status: told.status }] });
  });

  test('a refusal in words is a complete answer', () => {
    const said: Answer = { id: null, blocks: [{ type: 'refusal', text: 'No.' }], finish: 'refusal', usage: null };
    expect(responsesSurface.writeAnswer(said, head)).toMatchObject({
      status: 'completed',
      output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'No.' }] }],
    });
    expect(JSON.parse(framesOf(write(eventsOf(said))).at(-1)!.data).response.status).toBe('completed');
  });

  test('a custom tool called with something else than its one text is told what was written', () => {
    const calls = ['["a"]', '{"input":3}', '{"inp'].map((json, i) => ({
      type: 'tool_call' as const,
      id: `c${i}`,
      name: 'note',
      arguments: json,
    }));
    const { output } = responsesSurface.writeAnswer({ ...answer, blocks: calls }, head);
    expect(output).toMatchObject([{ input: '["a"]' }, { input: '{"input":3}' }, { input: '{"inp' }]);
  });

  test('items are done in their order, calls as soon as the answer goes on to something else', () => {
    const text = write([
      { type: 'start', id: null },
      { type: 'tool_call', index: 0, id: 'c0', name: 'look' },
      { type: 'tool_arguments', index: 0, json: '{"a"' },
      { type: 'tool_arguments', index: 0, json: ':1}' },
      { type: 'thinking', text: 'then' },
      { type: 'sealed', sealed: { by: 'anthropic', data: 'sig' } },
      { type: 'text', text: 'so' },
      { type: 'finish', reason: 'stop' },
    ]);
    const done = framesOf(text).filter(({ event }) => event === 'response.output_item.done');
    expect(done.map(({ data }) => JSON.parse(data).item.type)).toEqual(['function_call', 'reasoning', 'message']);
  });

  test('a call without arguments has an empty object', () => {
    const call: AnswerBlock = { type: 'tool_call', id: 'c', name: 'look', arguments: '' };
    expect(responsesSurface.writeAnswer({ ...answer, blocks: [call] }, head).output).toMatchObject([
      { arguments: '{}' },
    ]);
  });

  test('sealed reasoning comes back with the next request as what it was', () => {
    const seals: AnswerBlock[] = [
      { type: 'thinking', text: 'seen', sealed: { by: 'anthropic', data: 'sig' } },
      { type: 'thinking', text: '', sealed: { by: 'anthropic', data: 'hidden' }, redacted: true },
      { type: 'thinking', text: '', sealed: { by: 'anthropic', data: 'omitted' } },
      { type: 'thinking', text: 'own', sealed: { by: 'openai', data: 'gAAA', id: 'rs_own' } },
      { type: 'thinking', text: 'nobody’s' },
      { type: 'tool_call', id: 'c1', name: 'look', arguments: '{}', sealed: { by: 'google', data: 'thought' } },
    ];
    const { output } = responsesSurface.writeAnswer({ ...answer, blocks: seals }, head);
    const [turn] = responsesSurface.readRequest({ input: JSON.parse(JSON.stringify(output)) }).turns;
    expect(turn).toEqual({ role: 'assistant', blocks: seals });
  });

  test('a stream that breaks says so to every client, and counts on', () => {
    const error = { message: 'it broke', type: 'server_error', code: 'UPSTREAM_CLOSED', param: null };
    const writer = responsesSurface.writer(head, pass);
    const frames = framesOf(
      writer.write([
        { type: 'start', id: null },
        { type: 'text', text: 'Hal' },
      ]) + writer.fail!(error, 502, head.id),
    );
    const [told, failed] = frames.slice(-2).map(({ data }) => JSON.parse(data));
    expect(told).toEqual({
      type: 'error',
      sequence_number: frames.length - 2,
      code: 'UPSTREAM_CLOSED',
      message: 'it broke',
      param: null,
      error,
    });
    expect(failed).toMatchObject({
      type: 'response.failed',
      sequence_number: frames.length - 1,
      response: { id: `resp_${head.id}`, status: 'failed', error: { code: 'UPSTREAM_CLOSED', message: 'it broke' } },
    });
  });

  test('an error is worded as OpenAI words it', () => {
    const error = { message: 'slow down', type: 'rate_limit_error', code: null, param: null, status: 429 };
    expect(responsesSurface.writeError(error, 429, head.id)).toEqual({
      error: { message: 'slow down', type: 'rate_limit_error', code: null, param: null },
    });
    const frames = framesOf(responsesSurface.errorFrame(error, 429, head.id));
    expect(frames.map(({ event }) => event)).toEqual(['error', 'response.failed']);
    expect(JSON.parse(frames[1]!.data).response.error.code).toBe('rate_limit_exceeded');
  });
});

const piece = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' });
const sealed: fc.Arbitrary<Sealed> = fc.oneof(
  fc.record({ by: fc.constantFrom('anthropic', 'google', 'deepseek', 'other'), data: piece }),
  fc.record({ by: fc.constant('openai'), data: piece, id: fc.constant('rs_x') }),
) as fc.Arbitrary<Sealed>;

/** Blocks as events; the pieces of neighbouring calls are shuffled into each other. */
const events: fc.Arbitrary<AnswerEvent[]> = fc
  .tuple(
    fc.array(
      fc.oneof(
        fc
          .tuple(fc.constantFrom('text', 'refusal', 'thinking'), fc.array(piece, { minLength: 1 }))
          .map(([type, texts]) => texts.map((text) => ({ type, text }) as AnswerEvent)),
        fc.tuple(piece, sealed).map(([text, seal]): AnswerEvent[] => [
          { type: 'thinking', text },
          { type: 'sealed', sealed: seal },
        ]),
        sealed.map((seal): AnswerEvent[] => [
          { type: 'sealed', sealed: { ...seal, id: undefined, by: 'anthropic' }, redacted: true },
        ]),
        fc
          .array(fc.tuple(fc.constantFrom('look', 'other'), fc.json(), fc.option(sealed, { nil: undefined })), {
            minLength: 1,
            maxLength: 3,
          })
          .map((calls): AnswerEvent[] => {
            const opened = calls.map(
              ([name, , seal], index): AnswerEvent => ({
                type: 'tool_call',
                index,
                id: '',
                name,
                ...(seal && { sealed: { by: seal.by, data: seal.data } }),
              }),
            );
            const halves = [0, 1].flatMap((half) =>
              calls.map(([, json], index): AnswerEvent => {
                const middle = Math.ceil(json.length / 2);
                return { type: 'tool_arguments', index, json: half === 0 ? json.slice(0, middle) : json.slice(middle) };
              }),
            );
            return [...opened, ...halves];
          }),
      ),
      { maxLength: 8 },
    ),
    fc.constantFrom('stop', 'length', 'content_filter'),
    fc.nat(1000),
  )
  .map(([blocks, reason, tokens]) => {
    // Calls are counted through, each with an id of its own.
    let calls = 0;
    const body = blocks.flatMap((block) => {
      const from = calls;
      calls += block.filter(({ type }) => type === 'tool_call').length;
      return block.map((event): AnswerEvent => {
        if (event.type === 'tool_call')
          return { ...event, index: from + event.index, id: `call_${from + event.index}` };
        return event.type === 'tool_arguments' ? { ...event, index: from + event.index } : event;
      });
    });
    const usage = { ...READ_USAGE, inputTokens: 70 + tokens };
    return [
      { type: 'start', id: `resp_${head.id}` },
      ...body,
      { type: 'finish', reason } as AnswerEvent,
      { type: 'usage', usage } as AnswerEvent,
    ];
  });

/** Why it ended is told by what came, where it ended by itself. */
function finishTold({ blocks, finish }: Answer): Answer['finish'] {
  if (finish !== 'stop') return finish;
  if (blocks.some(({ type }) => type === 'tool_call')) return 'tool_calls';
  const types = blocks.map(({ type }) => type);
  return types.includes('refusal') && !types.includes('text') ? 'refusal' : 'stop';
}

test('whatever is written is read back as the same answer, in any pieces', () => {
  fc.assert(
    fc.property(events, fc.array(fc.nat(20)), fc.integer({ min: 1, max: 200 }), (said, cuts, size) => {
      const answer = collect(said);
      const expected = { ...answer, finish: finishTold(answer) };
      const frames = framesOf(
        write(
          said,
          cuts.toSorted((a, b) => a - b),
        ),
        size,
      );
      expect(collect(read(frames))).toEqual(expected);
      const whole = JSON.parse(JSON.stringify(responsesSurface.writeAnswer(answer, head)));
      expect(responsesUpstream.readAnswer(whole, {})).toEqual(expected);
      expect(JSON.parse(frames.at(-1)!.data).response).toEqual(whole);
    }),
  );
});

describe('passing an answer on', () => {
  test('only the model of a whole answer changes', () => {
    const text = '{"id":"resp_1", "model":"gpt-6-sol-2026-08-01", "output":[{"model":"inner"}],"temperature":1.0}';
    expect(responsesSurface.passAnswer(text, 'openai/gpt-6-sol')).toBe(
      text.replace('gpt-6-sol-2026-08-01', 'openai/gpt-6-sol'),
    );
  });

  const passFrame = (event: string, data: string) => responsesSurface.passFrame({ event, data }, [], pass);

  test('only the model in the response of a frame changes', () => {
    const data =
      '{"type":"response.created", "response":{"id":"resp_1","top_p":1.0, "model":"gpt", "big":12345678901234567890},"model":"x"}';
    expect(passFrame('response.created', data)).toBe(
      `event: response.created\ndata: ${data.replace('"gpt"', '"anthropic/claude-sonnet-5-5"')}\n\n`,
    );
  });

  test('other frames come through byte by byte', () => {
    const delta = '{"type":"response.output_text.delta","delta":"a \\"response\\": {}", "n": 1e0}';
    expect(passFrame('response.output_text.delta', delta)).toBe(
      `event: response.output_text.delta\ndata: ${delta}\n\n`,
    );
    expect(passFrame('', '[DONE]')).toBe('data: [DONE]\n\n');
    expect(passFrame('', '{\n"type":"x"}')).toBe('data: {\ndata: "type":"x"}\n\n');
    expect(passFrame('x', '{"response":null}')).toBe('event: x\ndata: {"response":null}\n\n');
  });
});
