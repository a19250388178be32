import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SseParser } from '../../../server/forward/sse.ts';
import { chatSurface, chatUpstream } from '../../../server/protocols/chat/index.ts';
import { collect, eventsOf } from '../../../server/protocols/collect.ts';
import type { Answer, AnswerBlock, AnswerEvent, FinishReason } from '../../../server/protocols/conversation.ts';
import { type Dialect, NotThisProtocol, ToldError } from '../../../server/protocols/protocol.ts';
import { KINDS } from '../../../server/providers/index.ts';

const head = { id: 'a'.repeat(32), modelId: 'one/a', createdAt: new Date(1_700_000_000_000), request: {} };
const dialectOf = (name: string): Dialect => KINDS.get(name)!.dialect as Dialect;
const whole = (message: object, more: object = {}, dialect: Dialect = {}): Answer =>
  chatUpstream.readAnswer({ id: 'c', choices: [{ index: 0, message, finish_reason: 'stop', ...more }] }, dialect);

/** Events of chunks, each as one frame. */
function events(chunks: readonly unknown[], dialect: Dialect = {}): AnswerEvent[] {
  const reader = chatUpstream.reader(dialect);
  return chunks.flatMap((data) =>
    reader.read({ event: '', data: typeof data === 'string' ? data : JSON.stringify(data) }),
  );
}
const delta = (fields: object, finish: string | null = null, index = 0) => ({
  id: 'c',
  choices: [{ index, delta: fields, finish_reason: finish }],
});

/** A stream's text, cut anywhere, read again. */
function reread(text: string, cuts: readonly number[], dialect: Dialect = {}) {
  const bytes = Buffer.from(text);
  const parser = new SseParser();
  const reader = chatUpstream.reader(dialect);
  const found: AnswerEvent[] = [];
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    for (const frame of parser.push(bytes.subarray(from, end))) found.push(...reader.read(frame));
    from = end;
  }
  return { events: found, closed: reader.closed, complete: reader.complete };
}

const words = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' });
const sealed = fc.record({
  by: fc.constantFrom('anthropic', 'openai', 'deepseek'),
  data: fc.base64String({ minLength: 4 }),
});
const block = fc.oneof(
  fc.record({ type: fc.constant('text'), text: words }),
  fc.record({ type: fc.constant('refusal'), text: words }),
  fc.record({ type: fc.constant('thinking'), text: words, sealed }, { requiredKeys: ['type', 'text'] }),
  fc.record({ type: fc.constant('thinking'), text: fc.constant(''), sealed, redacted: fc.constant(true) }),
  fc.record(
    {
      type: fc.constant('tool_call'),
      id: fc.stringMatching(/^call_\w{1,8}$/),
      name: fc.stringMatching(/^[a-z]{1,8}$/),
      arguments: fc.oneof(fc.json(), fc.constant('{"half":')),
      // Gemini alone seals calls.
      sealed: fc.record({ by: fc.constant('google'), data: fc.base64String({ minLength: 4 }) }),
    },
    { requiredKeys: ['type', 'id', 'name', 'arguments'] },
  ),
);
const usage = fc
  .tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.option(fc.nat(1000)))
  .map(([cached, written, plain, output, reasoning]) => ({
    inputTokens: cached + written + plain,
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    outputTokens: output,
    // Part of the output: a host that says otherwise is not believed.
    reasoningTokens: reasoning === null ? null : Math.min(reasoning, output),
  }));
const answers = fc
  .record({
    blocks: fc.uniqueArray(block, { maxLength: 6, selector: (b) => (b.type === 'tool_call' ? b.id : Symbol()) }),
    finish: fc.constantFrom<FinishReason>('stop', 'length', 'content_filter', 'tool_calls'),
    usage: fc.option(usage),
  })
  // Through events, so that neighbours that are one block are one.
  .map((some) => collect(eventsOf({ id: null, ...some } as Answer)));

/** What this protocol can say of why an answer ended. */
function finishTold({ blocks, finish }: Answer): FinishReason {
  if (blocks.some(({ type }) => type === 'refusal')) return 'refusal';
  if (finish === 'stop' && blocks.some(({ type }) => type === 'tool_call')) return 'tool_calls';
  return finish;
}

describe('what is written is read again as what it was', () => {
  test('streamed, however the bytes are cut', () => {
    fc.assert(
      fc.property(answers, fc.array(fc.nat(), { maxLength: 8 }), (answer, cuts) => {
        const writer = chatSurface.writer(head, { modelId: 'one/a', wantsUsage: true });
        const text =
          eventsOf(answer)
            .map((event) => writer.write([event]))
            .join('') + writer.end();
        const read = reread(text, cuts);
        expect(read).toMatchObject({ closed: true });
        const found = collect(read.events);
        expect(found).toEqual({
          ...answer,
          finish: finishTold(answer),
          id: answer.blocks.length === 0 ? found.id : `chatcmpl-${head.id}`,
        });
        if (answer.blocks.length > 0) expect(read.complete).toBe(true);
      }),
    );
  });

  test('whole, but for the order of its kinds, which this protocol does not keep', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const found = chatUpstream.readAnswer(chatSurface.writeAnswer(answer, head), {});
        const joined = ({ blocks }: Answer, type: AnswerBlock['type']) =>
          blocks.map((b) => (b.type === type && 'text' in b ? b.text : '')).join('');
        expect(joined(found, 'text')).toBe(joined(answer, 'text'));
        expect(joined(found, 'refusal')).toBe(joined(answer, 'refusal'));
        const calls = ({ blocks }: Answer) => blocks.filter(({ type }) => type === 'tool_call');
        expect(calls(found)).toEqual(calls(answer));
        const seals = ({ blocks }: Answer) => blocks.filter((b) => b.type === 'thinking' && b.sealed);
        expect(seals(found)).toEqual(seals(answer).map((b) => expect.objectContaining(b)));
        expect(found).toMatchObject({ finish: finishTold(answer), usage: answer.usage });
      }),
    );
  });

  test('a client that keeps the details of reasoning has the same of a stream as of a whole answer', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const writer = chatSurface.writer(head, { modelId: 'one/a', wantsUsage: false });
        const chunks = writer
          .write(eventsOf(answer))
          .split('\n\n')
          .filter((frame) => frame !== '');
        const streamed = chunks.flatMap((frame) => JSON.parse(frame.slice(6)).choices[0].delta.reasoning_details ?? []);
        const { choices } = chatSurface.writeAnswer(answer, head) as {
          choices: { message: { reasoning_details?: unknown[] } }[];
        };
        expect(streamed).toEqual(choices[0]!.message.reasoning_details ?? []);
      }),
    );
  });
});

test('a stream begins with a role, names who answers in every chunk, and tells usage only to who asked', () => {
  const told = (wantsUsage: boolean) => {
    const writer = chatSurface.writer(head, { modelId: 'one/a', wantsUsage });
    const used = { inputTokens: 5, cachedInputTokens: 2, cacheWriteTokens: 0, outputTokens: 3, reasoningTokens: 1 };
    const text = writer.write([
      { type: 'start', id: 'x' },
      { type: 'text', text: 'Hi' },
      { type: 'finish', reason: 'stop' },
      { type: 'usage', usage: used },
    ]);
    return (text + writer.end())
      .trim()
      .split('\n\n')
      .map((frame) => frame.slice(6));
  };
  const frames = told(true)
    .slice(0, -1)
    .map((frame) => JSON.parse(frame));
  expect(frames.map(({ model, object }) => [model, object])).toEqual(
    frames.map(() => ['one/a', 'chat.completion.chunk']),
  );
  expect(frames[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
  expect(frames.at(-1)).toMatchObject({
    choices: [],
    usage: {
      prompt_tokens: 5,
      completion_tokens: 3,
      total_tokens: 8,
      prompt_tokens_details: { cached_tokens: 2 },
      completion_tokens_details: { reasoning_tokens: 1 },
    },
  });
  expect(told(true).at(-1)).toBe('[DONE]');
  expect(told(false).join()).not.toContain('prompt_tokens');
});

describe('usage in every host’s place', () => {
  test.each([
    [
      'Groq’s stream',
      'groq',
      { x_groq: { usage: { prompt_tokens: 9, completion_tokens: 2 } } },
      { inputTokens: 9, outputTokens: 2 },
    ],
    [
      'Groq’s, like everybody’s',
      'groq',
      { usage: { prompt_tokens: 9, completion_tokens: 2 } },
      { inputTokens: 9, outputTokens: 2 },
    ],
    [
      'xAI’s, with reasoning beside the completion',
      'xai',
      { usage: { prompt_tokens: 9, completion_tokens: 2, completion_tokens_details: { reasoning_tokens: 30 } } },
      { outputTokens: 32, reasoningTokens: 30 },
    ],
    [
      'DeepSeek’s',
      'groq',
      { usage: { prompt_tokens: 9, completion_tokens: 2, prompt_cache_hit_tokens: 4 } },
      { inputTokens: 9, cachedInputTokens: 4 },
    ],
    [
      'Moonshot’s',
      'groq',
      { usage: { prompt_tokens: 9, completion_tokens: 2, cached_tokens: 3 } },
      { cachedInputTokens: 3 },
    ],
    [
      'Alibaba’s',
      'groq',
      {
        usage: {
          prompt_tokens: 9,
          completion_tokens: 2,
          prompt_tokens_details: { cached_tokens: 2, cache_creation_input_tokens: 5 },
        },
      },
      { cachedInputTokens: 2, cacheWriteTokens: 5 },
    ],
  ])('%s', (_, host, fields, expected) => {
    const payload = {
      id: 'c',
      choices: [{ index: 0, message: { content: 'a' }, delta: { content: 'a' }, finish_reason: 'stop' }],
      ...fields,
    };
    expect(chatUpstream.readAnswer(payload, dialectOf(host)).usage).toMatchObject(expected);
    expect(collect(events([payload], dialectOf(host))).usage).toMatchObject(expected);
  });

  test.each([
    { prompt_tokens: -1, completion_tokens: 2 },
    { prompt_tokens: 1.5, completion_tokens: 2 },
    { prompt_tokens: '9', completion_tokens: 2 },
    {},
    [],
    null,
    'much',
  ])('is none when it is no usage: %j', (said) => {
    expect(whole({ content: 'a' }, {}).usage).toBeNull();
    expect(chatUpstream.readAnswer({ choices: [{ message: { content: 'a' } }], usage: said }, {}).usage).toBeNull();
  });

  test('on its own, without even a list of choices, ends nothing', () => {
    const found = events([
      delta({ content: 'a' }),
      { usage: { prompt_tokens: 9, completion_tokens: 1 } },
      delta({ content: 'b' }, 'stop'),
      { usage: { prompt_tokens: 9, completion_tokens: 2 } },
    ]);
    expect(collect(found)).toMatchObject({ blocks: [{ text: 'ab' }], usage: { inputTokens: 9, outputTokens: 2 } });
  });
});

describe('calls', () => {
  const pieces = (...tool_calls: object[]) => delta({ tool_calls });
  const fn = (name: string, args?: unknown) => ({ function: { name, ...(args !== undefined && { arguments: args }) } });
  const args = (json: string) => ({ function: { arguments: json } });
  const two = [
    { type: 'tool_call', id: 'a', name: 'f', arguments: '{"x":1}' },
    { type: 'tool_call', id: 'b', name: 'g', arguments: '{}' },
  ];

  test.each<[string, object[]]>([
    [
      'by index, pieces of both in turn',
      [
        pieces({ index: 0, id: 'a', ...fn('f', '') }),
        pieces({ index: 1, id: 'b', ...fn('g', '') }),
        pieces({ index: 0, ...args('{"x"') }),
        pieces({ index: 1, ...args('{}') }),
        pieces({ index: 0, ...args(':1}') }),
      ],
    ],
    [
      'with an empty id in what follows',
      [
        pieces({ index: 0, id: 'a', ...fn('f', '{"x"') }),
        pieces({ index: 0, id: '', function: { name: '', arguments: ':1}' } }),
        pieces({ index: 1, id: 'b', ...fn('g', '{}') }),
      ],
    ],
    ['whole, without an index', [pieces({ id: 'a', ...fn('f', '{"x":1}') }, { id: 'b', ...fn('g', '{}') })]],
    [
      'without an index, what follows without an id',
      [
        pieces({ id: 'a', ...fn('f', '{"x"') }),
        pieces(args(':1}')),
        pieces({ id: 'b', ...fn('g') }),
        pieces(args('{}')),
      ],
    ],
    [
      'all with the index 0, as Google’s endpoint has it',
      [pieces({ index: 0, id: 'a', ...fn('f', '{"x":1}') }), pieces({ index: 0, id: 'b', ...fn('g', '{}') })],
    ],
    [
      'with the id repeated in every piece',
      [
        pieces({ index: 0, id: 'a', ...fn('f', '{"x"') }),
        pieces({ index: 0, id: 'a', ...args(':1}') }),
        pieces({ index: 1, id: 'b', ...fn('g', '{}') }),
      ],
    ],
    [
      'with the arguments as an object',
      [pieces({ index: 0, id: 'a', ...fn('f', { x: 1 }) }, { index: 1, id: 'b', ...fn('g', {}) })],
    ],
  ])('told apart %s', (_, chunks) => {
    const found = collect(events([...chunks, delta({}, 'tool_calls')]));
    expect(found).toMatchObject({ blocks: two, finish: 'tool_calls' });
  });

  test('without ids get some', () => {
    expect(collect(events([pieces(fn('f', '{}'), fn('g', '{}')), delta({}, 'stop')]))).toMatchObject({
      blocks: [
        { id: 'call_0', name: 'f' },
        { id: 'call_1', name: 'g' },
      ],
      finish: 'tool_calls',
    });
    expect(whole({ tool_calls: [fn('f'), fn('g', '{}')] })).toMatchObject({
      blocks: [{ id: 'call_0', arguments: '{}' }, { id: 'call_1' }],
      finish: 'tool_calls',
    });
  });

  test('of the old kind are calls too', () => {
    const function_call = { name: 'f', arguments: '{"x":1}' };
    expect(whole({ content: null, function_call }, { finish_reason: 'function_call' })).toMatchObject({
      blocks: [{ type: 'tool_call', name: 'f', arguments: '{"x":1}' }],
      finish: 'tool_calls',
    });
    const streamed = [
      delta({ function_call: { name: 'f', arguments: '' } }),
      delta({ function_call: { arguments: '{"x":1}' } }),
      delta({}, 'function_call'),
    ];
    expect(collect(events(streamed))).toMatchObject({
      blocks: [{ name: 'f', arguments: '{"x":1}' }],
      finish: 'tool_calls',
    });
  });

  test('that Gemini signed keep their signature, in either place', () => {
    const signed = { id: 'a', ...fn('f', '{}'), extra_content: { google: { thought_signature: 'SIG' } } };
    const byDetail = {
      tool_calls: [{ id: 'a', ...fn('f', '{}') }],
      reasoning_details: [{ type: 'reasoning.encrypted', format: 'google-gemini-v1', id: 'a', data: 'SIG' }],
    };
    for (const message of [{ tool_calls: [signed] }, byDetail]) {
      expect(whole(message).blocks).toMatchObject([{ type: 'tool_call', sealed: { by: 'google', data: 'SIG' } }]);
      expect(collect(events([delta(message, 'stop')])).blocks).toMatchObject([
        { sealed: { by: 'google', data: 'SIG' } },
      ]);
    }
  });
});

describe('reasoning', () => {
  test.each([
    ['reasoning_content', { reasoning_content: 'Hm.' }],
    ['reasoning', { reasoning: 'Hm.' }],
    [
      'Mistral’s parts',
      {
        content: [
          { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
          { type: 'text', text: 'Yes.' },
        ],
      },
    ],
    ['a summary', { reasoning_details: [{ type: 'reasoning.summary', summary: 'Hm.' }] }],
  ])('in %s', (_, fields) => {
    const message = { content: 'Yes.', ...fields };
    const blocks = [
      { type: 'thinking', text: 'Hm.' },
      { type: 'text', text: 'Yes.' },
    ];
    expect(whole(message).blocks).toEqual(blocks);
    expect(collect(events([delta(message, 'stop')])).blocks).toEqual(blocks);
  });

  test('told plainly and again in details is told once, and sealed', () => {
    const details = [{ type: 'reasoning.text', text: 'Hm.', signature: 'SIG', format: 'anthropic-claude-v1' }];
    const sealedBlock = { type: 'thinking', text: 'Hm.', sealed: { by: 'anthropic', data: 'SIG' } };
    expect(whole({ reasoning: 'Hm.', reasoning_details: details, content: '' }).blocks).toEqual([sealedBlock]);
    const streamed = [
      delta({ reasoning: 'H', reasoning_details: [{ type: 'reasoning.text', text: 'H' }] }),
      delta({ reasoning: 'm.', reasoning_details: [{ type: 'reasoning.text', text: 'm.' }] }),
      delta({ reasoning: '', reasoning_details: [{ ...details[0], text: '' }] }),
      delta({}, 'stop'),
    ];
    expect(collect(events(streamed)).blocks).toEqual([sealedBlock]);
  });

  test('that is hidden stands for itself', () => {
    const reasoning_details = [{ type: 'reasoning.encrypted', data: 'X', format: 'anthropic-claude-v1' }];
    const hidden = { type: 'thinking', text: '', sealed: { by: 'anthropic', data: 'X' }, redacted: true };
    expect(whole({ content: null, reasoning_details }).blocks).toEqual([hidden]);
    expect(collect(events([delta({ reasoning_details }, 'stop')])).blocks).toEqual([hidden]);
  });
});

describe('the end', () => {
  test.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['model_length', 'length'],
    ['max_tokens', 'length'],
    ['content_filter', 'content_filter'],
    ['eos', 'stop'],
  ])('for the reason %s is told as %s', (reason, finish) => {
    expect(whole({ content: 'a' }, { finish_reason: reason }).finish).toBe(finish);
    expect(collect(events([delta({ content: 'a' }, reason)])).finish).toBe(finish);
  });

  test('of a refusal', () => {
    expect(whole({ content: null, refusal: 'No.' })).toMatchObject({
      blocks: [{ type: 'refusal', text: 'No.' }],
      finish: 'refusal',
    });
    expect(collect(events([delta({ refusal: 'N' }), delta({ refusal: 'o.' }), delta({}, 'stop')]))).toMatchObject({
      blocks: [{ type: 'refusal', text: 'No.' }],
      finish: 'refusal',
    });
  });

  test('of several choices has come when each has said so; the first is the answer', () => {
    const reader = chatUpstream.reader({});
    const read = (chunk: object) => reader.read({ event: '', data: JSON.stringify(chunk) });
    const found = [
      ...read(delta({ content: 'a' }, null, 0)),
      ...read(delta({ content: 'bbb' }, null, 1)),
      ...read(delta({}, 'stop', 0)),
    ];
    expect(reader.complete).toBe(false);
    found.push(...read(delta({}, 'length', 1)));
    expect(reader.complete).toBe(true);
    expect(collect(found)).toMatchObject({ blocks: [{ text: 'a' }], finish: 'stop' });
    expect(found).toContainEqual({ type: 'other', chars: 3 });
  });

  test('is [DONE], after which nothing is read', () => {
    const reader = chatUpstream.reader({});
    expect(reader.read({ event: '', data: '[DONE]' })).toEqual([]);
    expect(reader.closed).toBe(true);
  });
});

describe('what is no answer', () => {
  test.each([{}, { choices: [] }, { choices: 'x' }, { choices: [5] }, { choices: [{}] }, { object: 'list', data: [] }])(
    'is said to be none: %j',
    (payload) => {
      expect(() => chatUpstream.readAnswer(payload, {})).toThrow(NotThisProtocol);
    },
  );

  test('keeps the usage that came with it', () => {
    expect(() =>
      chatUpstream.readAnswer({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }, {}),
    ).toThrow(expect.objectContaining({ usage: expect.objectContaining({ inputTokens: 1 }) }));
  });

  test.each([
    [{ error: { message: 'no', code: 529 } }, 'no'],
    [{ error: 'no', choices: [{ message: { content: 'a' } }] }, 'no'],
    [{ error: {} }, 'an error'],
  ])('may be an error: %j', (payload, message) => {
    expect(() => chatUpstream.readAnswer(payload, {})).toThrow(ToldError);
    expect(() => chatUpstream.readAnswer(payload, {})).toThrow(message);
    expect(events([payload]).at(-1)).toMatchObject({ type: 'error', error: { message } });
  });

  test('may be an error by the name of its frame', () => {
    const found = chatUpstream.reader({}).read({ event: 'error', data: '{"message":"burnt","type":"server_error"}' });
    expect(found).toEqual([
      { type: 'error', error: { message: 'burnt', type: 'server_error', code: null, param: null } },
    ]);
  });

  test.each(['{', '5', '[]', 'null', '{}', '{"choices":5}', '{"choices":[5]}'])('breaks a stream: %s', (data) => {
    expect(() => events([data])).toThrow(NotThisProtocol);
  });

  test('never breaks anything else, whatever it is', () => {
    const wild = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>;
    const fields = fc.dictionary(
      fc.constantFrom(
        'role',
        'content',
        'reasoning',
        'reasoning_content',
        'reasoning_details',
        'refusal',
        'tool_calls',
        'function_call',
        'audio',
      ),
      fc.oneof(
        wild,
        fc.array(
          fc.dictionary(
            fc.constantFrom(
              'type',
              'text',
              'thinking',
              'index',
              'id',
              'function',
              'format',
              'data',
              'signature',
              'extra_content',
            ),
            wild,
          ),
          { maxLength: 3 },
        ),
      ),
    );
    const choice = fc.record({
      index: fc.oneof(fc.nat(2), wild),
      delta: fields,
      message: fields,
      finish_reason: fc.oneof(fc.constantFrom('stop', 'length', null), wild),
    });
    const payload = fc.record(
      {
        id: wild,
        choices: fc.oneof(fc.array(choice, { maxLength: 3 }), wild),
        usage: wild,
        error: fc.oneof({ weight: 8, arbitrary: fc.constant(null) }, wild),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 4 }), (payloads) => {
        for (const one of payloads) {
          try {
            collect(eventsOf(chatUpstream.readAnswer(one, {})));
          } catch (error) {
            if (!(error instanceof ToldError)) expect(error).toBeInstanceOf(NotThisProtocol);
          }
        }
        try {
          for (const event of events(payloads)) expect(typeof event.type).toBe('string');
        } catch (error) {
          expect(error).toBeInstanceOf(NotThisProtocol);
        }
      }),
      { numRuns: 500 },
    );
  });
});
