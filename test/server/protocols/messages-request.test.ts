import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Block, Conversation, Turn } from '../../../server/protocols/conversation.ts';
import { traitsOf } from '../../../server/protocols/messages/claude.ts';
import { messagesSurface, messagesUpstream, readCountTokens } from '../../../server/protocols/messages/index.ts';
import { Untranslatable, type WriteTarget } from '../../../server/protocols/protocol.ts';
import { AGENT_REQUEST } from './messages-fixtures.ts';

const target = (model: string, more: Partial<WriteTarget> = {}): WriteTarget => ({
  model,
  dialect: {},
  sampling: true,
  reasoning: true,
  maxOutputTokens: 64000,
  ...more,
});
const SONNET = target('claude-sonnet-4-5');
const OPUS = target('claude-opus-4-7', { sampling: false });

const conversation = (more: Partial<Conversation> = {}): Conversation => ({
  system: [],
  turns: [{ role: 'user', blocks: [{ type: 'text', text: 'Hi' }] }],
  tools: [],
  stop: [],
  stream: false,
  only: [],
  ...more,
});
const text = (words: string) => ({ type: 'text' as const, text: words });
const user = (...blocks: Block[]): Turn => ({ role: 'user', blocks });
const assistant = (...blocks: Block[]): Turn => ({ role: 'assistant', blocks });
const call = (id: string, json = '{}') => ({ type: 'tool_call' as const, id, name: 'f', arguments: json });
const result = (callId: string) => ({ type: 'tool_result' as const, callId, content: [text('ok')], isError: false });
const write = (more: Partial<Conversation>, to = SONNET) =>
  messagesUpstream.writeRequest(conversation(more), to) as Record<string, unknown> & {
    messages: { role: string; content: Record<string, unknown>[] }[];
  };
const read = (more: Record<string, unknown>) =>
  messagesSurface.readRequest({ model: 'auto', max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }], ...more });

describe('reading a request', () => {
  test('keeps a coding agent’s request: blocks in order, seals, marks, tools', () => {
    const { turns, system, tools, only, ...rest } = messagesSurface.readRequest(AGENT_REQUEST);
    expect(system.map(({ cache }) => cache)).toEqual([{}, { ttl: '1h' }]);
    expect(tools.map(({ name }) => name)).toEqual(['Read', 'Bash']);
    expect(turns.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(turns[1]!.blocks).toEqual([
      { type: 'thinking', text: 'The log comes first.', sealed: { by: 'anthropic', data: 'EqoBCkYIBxgC' } },
      { type: 'thinking', text: '', sealed: { by: 'anthropic', data: 'EmwKAhgBEgy3va' }, redacted: true },
      text('I look at the log.'),
      { type: 'tool_call', id: 'toolu_01A', name: 'Read', arguments: '{"file_path":"/srv/app/build.log","limit":50}' },
      { type: 'tool_call', id: 'toolu_01B', name: 'Bash', arguments: '{}' },
    ]);
    expect(turns[2]!.blocks[1]).toMatchObject({ type: 'tool_result', callId: 'toolu_01B', isError: true });
    expect(turns[2]!.blocks[2]).toMatchObject({ type: 'text', cache: {} });
    // Clearing old thinking changes nothing for a model that could not read it.
    expect(only).toEqual([]);
    expect(rest).toMatchObject({
      maxOutputTokens: 32000,
      reasoning: { enabled: true, budgetTokens: 10000 },
      user: 'user_ab12_session_cd34',
      stream: true,
    });
  });

  test('takes system as text, and a system message in mid-conversation with the rest of the system’s words', () => {
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'system', content: 'Be brief.' },
    ];
    expect(read({ system: 'You help.', messages }).system).toEqual([text('You help.'), text('Be brief.')]);
  });

  test.each([
    [
      { type: 'auto', disable_parallel_tool_use: true },
      { toolChoice: { type: 'auto' }, parallelToolCalls: false },
    ],
    [{ type: 'any' }, { toolChoice: { type: 'required' } }],
    [{ type: 'tool', name: 'f' }, { toolChoice: { type: 'tool', name: 'f' } }],
    [{ type: 'none' }, { toolChoice: { type: 'none' } }],
  ])('reads tool_choice %j', (tool_choice, expected) => {
    expect(read({ tool_choice })).toMatchObject(expected);
  });

  test.each([
    [{ thinking: { type: 'disabled' } }, { enabled: false }],
    [
      { thinking: { type: 'adaptive', display: 'omitted' }, output_config: { effort: 'xhigh' } },
      { enabled: true, effort: 'xhigh', visible: false },
    ],
    [{ output_config: { effort: 'low' } }, { effort: 'low' }],
    [{}, undefined],
  ])('reads reasoning from %j', (fields, expected) => {
    expect(read(fields).reasoning).toEqual(expected);
  });

  test.each([['output_config'], ['output_format']])('reads a schema for the answer from %s', (field) => {
    const format = { type: 'json_schema', schema: { type: 'object' } };
    const { responseFormat } = read({ [field]: field === 'output_config' ? { format } : format });
    expect(responseFormat).toEqual({ type: 'json_schema', name: 'answer', schema: { type: 'object' }, strict: true });
  });

  test('reads documents of every source', () => {
    const document = (source: unknown) => ({ type: 'document', title: 'T', source });
    const content = [
      document({ type: 'base64', media_type: 'application/pdf', data: 'JVBE' }),
      document({ type: 'text', media_type: 'text/plain', data: 'Grüße' }),
      document({ type: 'url', url: 'https://example.org/a.pdf' }),
      document({ type: 'file', file_id: 'file_01' }),
    ];
    const { turns, only } = read({ messages: [{ role: 'user', content }] });
    expect(only).toEqual([]);
    expect(turns[0]!.blocks.map((block) => block.type === 'file' && block.source)).toEqual([
      { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' },
      { kind: 'base64', mediaType: 'text/plain', data: Buffer.from('Grüße').toString('base64') },
      { kind: 'url', url: 'https://example.org/a.pdf' },
      { kind: 'file', fileId: 'file_01' },
    ]);
  });

  test.each([
    [{ tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, ['web_search']],
    [{ tools: [{ type: 'bash_20250124', name: 'bash' }] }, ['bash']],
    [{ mcp_servers: [{ url: 'https://example.org' }] }, ['mcp_servers']],
    [{ container: 'c1' }, ['container']],
    [{ context_management: { edits: [{ type: 'compact_20260112' }] } }, ['context_management']],
    [{ a_field_to_come: 1 }, ['a_field_to_come']],
    [{ max_tokens: 0 }, ['max_tokens']],
    [{ messages: [{ role: 'user', content: [{ type: 'search_result', content: [] }] }] }, ['search_result']],
    [{ service_tier: 'auto', routing: { dial: 3 }, container: null }, []],
  ])('notes what only this protocol can say in %j', (fields, expected) => {
    expect(read(fields).only).toEqual(expected);
  });

  test('puts a mark on the request as a whole where Anthropic would put it', () => {
    const messages = [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
    ];
    const { turns } = read({ messages, cache_control: { type: 'ephemeral', ttl: '1h' } });
    expect(turns[0]!.blocks).toEqual([text('a'), { ...text('b'), cache: { ttl: '1h' } }]);
  });

  test.each([
    [{ max_tokens: undefined }, 'max_tokens: '],
    [{ max_tokens: 1.5 }, 'max_tokens: '],
    [{ messages: 'Hi' }, 'messages: '],
    [{ messages: [] }, 'messages: '],
    [{ messages: [null] }, 'messages.0: '],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role: '],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content: '],
    [{ messages: [{ role: 'user', content: [7] }] }, 'messages.0.content.0: '],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages.0.content.0.text: '],
    [{ messages: [{ role: 'user', content: [{ type: 'image' }] }] }, 'messages.0.content.0.source: '],
    [{ messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] }, 'messages.0.content.0.tool_use_id: '],
    [
      { messages: [{ role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: [] }] }] },
      'messages.0.content.0.input: ',
    ],
    [{ system: 5 }, 'system: '],
    [{ system: [{ type: 'image' }] }, 'system.0.type: '],
    [{ tools: {} }, 'tools: '],
    [{ tools: [{ name: 'f' }] }, 'tools.0.input_schema: '],
    [{ tool_choice: { type: 'some' } }, 'tool_choice.type: '],
    [{ thinking: { type: 'enabled' } }, 'thinking.budget_tokens: '],
    [{ stop_sequences: 'x' }, 'stop_sequences: '],
    [{ temperature: '1' }, 'temperature: '],
  ])('refuses %j, naming the field', (fields, path) => {
    expect(() => read(fields)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
    expect(() => read(fields)).toThrow(new RegExp(`^${path.replaceAll('.', '\\.')}`));
  });

  test('never fails but by naming a field, whatever comes', () => {
    const block = fc.record(
      {
        type: fc.constantFrom('text', 'image', 'document', 'tool_use', 'tool_result', 'thinking', 'new'),
        source: fc.jsonValue(),
        content: fc.jsonValue(),
        text: fc.jsonValue(),
        input: fc.jsonValue(),
        id: fc.jsonValue(),
        name: fc.jsonValue(),
      },
      { requiredKeys: ['type'] },
    );
    const message = fc.record({
      role: fc.constantFrom('user', 'assistant', 'system'),
      content: fc.oneof(fc.array(block), fc.jsonValue()),
    });
    const fields = fc.record(
      {
        messages: fc.oneof(fc.array(message), fc.jsonValue()),
        system: fc.jsonValue(),
        tools: fc.jsonValue(),
        tool_choice: fc.jsonValue(),
        thinking: fc.jsonValue(),
        output_config: fc.jsonValue(),
        stop_sequences: fc.jsonValue(),
        context_management: fc.jsonValue(),
        metadata: fc.jsonValue(),
      },
      { requiredKeys: ['messages'] },
    );
    fc.assert(
      fc.property(fields, (json) => {
        try {
          messagesSurface.readRequest({ max_tokens: 1, ...json });
        } catch (error) {
          expect(error).toMatchObject({
            code: 'INVALID_REQUEST',
            message: expect.stringMatching(/^[a-z_]+(\.\w+)*: /),
          });
        }
      }),
      { numRuns: 400 },
    );
  });

  test('reads a request to count tokens, which bounds no answer', () => {
    const { max_tokens: _, ...body } = AGENT_REQUEST;
    expect(readCountTokens(body)).toEqual({
      ...messagesSurface.readRequest(AGENT_REQUEST),
      maxOutputTokens: undefined,
    });
    expect(() => readCountTokens({ model: 'auto' })).toThrow(/^messages: /);
  });
});

describe('writing a request', () => {
  test('gives a coding agent’s request back as it was', () => {
    const { context_management: _, ...sent } = AGENT_REQUEST;
    expect(messagesUpstream.writeRequest(messagesSurface.readRequest(AGENT_REQUEST), SONNET)).toEqual(sent);
  });

  test.each([
    ['the client’s bound', { maxOutputTokens: 500 }, SONNET, 500],
    ['the model’s where the client has none', {}, SONNET, 64000],
    ['the model’s where the client’s is larger', { maxOutputTokens: 200_000 }, SONNET, 64000],
    ['a modest one where nobody knows', {}, target('claude-x', { maxOutputTokens: undefined }), 4096],
  ])('bounds the answer by %s', (_, more, to, expected) => {
    expect(write(more, to).max_tokens).toBe(expected);
  });

  test('makes one turn of neighbours and puts results before other blocks', () => {
    const turns = [user(text('a')), user(text('b')), assistant(call('c1')), user(text('and'), result('c1'))];
    expect(write({ turns }).messages).toEqual([
      { role: 'user', content: [text('a'), text('b')] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'f', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: [text('ok')] }, text('and')] },
    ]);
  });

  test('leaves out texts without a word, and turns that hold nothing else', () => {
    const turns = [user(text('a'), text(' \n')), assistant(text('')), user(text('b'))];
    expect(write({ turns }).messages).toEqual([{ role: 'user', content: [text('a'), text('b')] }]);
  });

  test('begins with a user turn whatever the conversation begins with', () => {
    const turns = [assistant(text('Welcome!')), user(text('Hi'))];
    expect(write({ turns }).messages[0]).toEqual({ role: 'user', content: [text('(no message)')] });
    const alone = write({ turns: [], system: [text('Write a poem.')] });
    expect(alone.messages).toEqual([{ role: 'user', content: [text('Write a poem.')] }]);
    expect(alone.system).toBeUndefined();
  });

  test('takes the space from the end of an answer to be gone on from', () => {
    expect(write({ turns: [user(text('x')), assistant(text('The answer is '))] }).messages[1]!.content).toEqual([
      text('The answer is'),
    ]);
  });

  test('refuses an answer to be gone on from where the model would', () => {
    expect(() => write({ turns: [user(text('x')), assistant(text('The'))] }, OPUS)).toThrow(Untranslatable);
  });

  test('hands sealed reasoning back to its maker only', () => {
    const sealed = (by: 'anthropic' | 'openai') => ({
      type: 'thinking' as const,
      text: 'Hm',
      sealed: { by, data: by },
    });
    const unsigned = { type: 'thinking' as const, text: 'Hm' };
    const turns = [
      user(text('x')),
      assistant(sealed('anthropic'), sealed('openai'), unsigned, text('y')),
      user(text('z')),
    ];
    expect(write({ turns }).messages[1]!.content).toEqual([
      { type: 'thinking', thinking: 'Hm', signature: 'anthropic' },
      text('y'),
    ]);
    // A turn of nothing but thinking is refused.
    const alone = [user(text('x')), assistant(sealed('anthropic')), user(text('z'))];
    expect(write({ turns: alone }).messages).toEqual([{ role: 'user', content: [text('x'), text('z')] }]);
  });

  test.each([
    [
      'a budget for a model of budgets',
      SONNET,
      { enabled: true, budgetTokens: 2000 },
      { type: 'enabled', budget_tokens: 2000 },
      undefined,
    ],
    // Half of the bound of 10 000.
    [
      'an effort as a share of the bound',
      SONNET,
      { effort: 'medium' as const },
      { type: 'enabled', budget_tokens: 5000 },
      undefined,
    ],
    ['a budget below the bound', SONNET, { budgetTokens: 90_000 }, { type: 'enabled', budget_tokens: 9999 }, undefined],
    [
      'adaptive thinking for newer models',
      OPUS,
      { enabled: true, budgetTokens: 2000, visible: true },
      { type: 'adaptive', display: 'summarized' },
      undefined,
    ],
    [
      'the effort itself for newer models',
      OPUS,
      { effort: 'xhigh' as const },
      { type: 'adaptive' },
      { effort: 'xhigh' },
    ],
    [
      'the nearest effort',
      target('claude-opus-4-6'),
      { effort: 'xhigh' as const },
      { type: 'adaptive' },
      { effort: 'high' },
    ],
    ['no thinking', OPUS, { effort: 'none' as const }, { type: 'disabled' }, undefined],
    [
      'the least that Sonnet 5.5 takes',
      target('claude-sonnet-5-5'),
      { enabled: false },
      { type: 'between_tools' },
      undefined,
    ],
    [
      'little thinking where none cannot be had',
      target('claude-opus-5-5'),
      { enabled: false },
      undefined,
      { effort: 'low' },
    ],
    [
      'nothing to a model that does not reason',
      target('claude-3-haiku', { reasoning: false }),
      { effort: 'high' as const },
      undefined,
      undefined,
    ],
    ['nothing where nothing was said', OPUS, undefined, undefined, undefined],
  ])('asks for %s', (_, to, reasoning, thinking, config) => {
    const written = write({ reasoning, maxOutputTokens: 10_000 }, to);
    expect([written.thinking, written.output_config]).toEqual([thinking, config]);
  });

  test('thinks not at all where the client’s bound leaves no room for it', () => {
    expect(write({ reasoning: { effort: 'high' }, maxOutputTokens: 1000 }).thinking).toBeUndefined();
  });

  test('switches a budgeted model’s thinking off where the calls before were thought of by another', () => {
    const foreign = { type: 'thinking' as const, text: 'Hm', sealed: { by: 'openai' as const, data: 'x' } };
    const turns = [user(text('x')), assistant(foreign, call('c1')), user(result('c1'))];
    const reasoning = { enabled: true, budgetTokens: 2000 };
    expect(write({ turns, reasoning }).thinking).toEqual({ type: 'disabled' });
    // Newer models do without.
    expect(write({ turns, reasoning }, OPUS).thinking).toEqual({ type: 'adaptive' });
  });

  test('switches thinking off where a tool is forced and the model takes only one of the two', () => {
    const tools = [{ name: 'f', parameters: { type: 'object' } }];
    const forced = { tools, toolChoice: { type: 'required' as const }, reasoning: { enabled: true } };
    expect(write(forced)).toMatchObject({ thinking: { type: 'disabled' }, tool_choice: { type: 'any' } });
    expect(write(forced, target('claude-opus-4-8'))).toMatchObject({ thinking: { type: 'adaptive' } });
  });

  test.each([
    ['as they are', SONNET, { temperature: 0.3, topK: 5 }, { temperature: 0.3, top_k: 5 }],
    ['on a scale to 1', SONNET, { temperature: 1.6 }, { temperature: 1 }],
    ['one of the two that exclude each other', SONNET, { temperature: 0.3, topP: 0.9 }, { temperature: 0.3 }],
    ['not to a model that takes none', OPUS, { temperature: 0.3, topP: 0.9 }, {}],
    ['not while thinking', SONNET, { temperature: 0.3, reasoning: { enabled: true } }, {}],
  ])('gives sampling settings %s', (_, to, more, expected) => {
    const { temperature, top_p, top_k } = write(more, to);
    expect(JSON.parse(JSON.stringify({ temperature, top_p, top_k }))).toEqual(expected);
  });

  test('keeps the first and the last three of more than four cache marks', () => {
    const cache = {};
    const marked = (words: string) => ({ ...text(words), cache });
    const written = write({
      tools: [{ name: 'f', parameters: { type: 'object' }, cache }],
      system: [marked('s')],
      turns: [
        user(marked('1'), { ...result('c'), content: [marked('2')] }, marked('3'), {
          ...marked('4'),
          cache: { ttl: '1h' },
        }),
      ],
    });
    const marks = JSON.stringify(written).match(/"cache_control":\{[^}]*\}/g);
    expect(marks).toHaveLength(4);
    expect(written.messages[0]!.content.at(-1)).toHaveProperty('cache_control.ttl', '1h');
    // 2 comes first of the turn, being a result: tool, s, 2, 1, 3, 4.
    const [results, first] = written.messages[0]!.content;
    expect(JSON.stringify([written.system, results])).not.toContain('cache_control');
    expect(first).toHaveProperty('cache_control');
    expect((written.tools as object[])[0]).toHaveProperty('cache_control');
  });

  test('gives call and result the same new id where theirs is not allowed', () => {
    const turns = [user(text('x')), assistant(call('f:0|x')), user(result('f:0|x'))];
    const [, asked, answered] = write({ turns }).messages;
    const id = asked!.content[0]!.id as string;
    expect(id).toMatch(/^toolu_[\da-f]{24}$/);
    expect(answered!.content[0]!.tool_use_id).toBe(id);
  });

  test.each([
    ['{"a":1}', { a: 1 }],
    ['', {}],
    ['{"a":', { invalid_json: '{"a":' }],
    ['"x"', { value: 'x' }],
  ])('writes the arguments %s as an object', (json, input) => {
    const turns = [user(text('x')), assistant(call('c', json)), user(result('c'))];
    expect(write({ turns }).messages[1]!.content[0]!.input).toEqual(input);
  });

  test('declares the tools of a history that come with no declaration, and lets none be called', () => {
    const turns = [user(text('x')), assistant(call('c'), call('d')), user(result('c'), result('d'))];
    expect(write({ turns })).toMatchObject({
      tools: [{ name: 'f', input_schema: { type: 'object' } }],
      tool_choice: { type: 'none' },
    });
  });

  test('closes the objects of a schema, as Anthropic wants them, but not maps', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'array', items: { type: 'object', properties: { default: { type: 'object' } } } } },
    };
    const { output_config } = write({ responseFormat: { type: 'json_schema', name: 'n', schema } });
    expect(output_config).toEqual({
      format: {
        type: 'json_schema',
        schema: {
          type: 'object',
          properties: {
            a: {
              type: 'array',
              items: { type: 'object', properties: { default: { type: 'object' } }, additionalProperties: false },
            },
          },
          additionalProperties: false,
        },
      },
    });
  });

  test.each<[string, Partial<Conversation>]>([
    ['n', { only: ['n'] }],
    ['response_format', { responseFormat: { type: 'json' } }],
    ['stop', { stop: ['\n\n'] }],
    ['input_audio', { turns: [user({ type: 'audio', data: '', format: 'wav' })] }],
    ['image_url', { turns: [user({ type: 'image', source: { kind: 'base64', mediaType: 'image/bmp', data: '' } })] }],
    ['file', { turns: [user({ type: 'file', source: { kind: 'base64', mediaType: 'application/zip', data: '' } })] }],
    ['file_id', { turns: [user({ type: 'file', source: { kind: 'file', fileId: 'file-openai' } })] }],
  ])('refuses what it cannot say, naming %s', (field, more) => {
    expect(() => write(more)).toThrow(expect.objectContaining({ name: 'Untranslatable', field }));
  });

  test.each([
    ['claude-3-7-sonnet-20250219', { adaptive: false, budgets: true, prefill: true }],
    ['claude-sonnet-4-20250514', { adaptive: false, budgets: true }],
    ['claude-haiku-4-5@20251001', { adaptive: false, budgets: true }],
    ['anthropic.claude-opus-4-6-v1', { adaptive: true, budgets: true, prefill: false }],
    ['anthropic/claude-opus-4.7', { adaptive: true, budgets: false }],
    ['claude-sonnet-5', { adaptive: true, budgets: false, off: 'disabled' }],
    ['claude-fable-5-1', { adaptive: true, off: null }],
    ['MiniMax-M2', { adaptive: false, budgets: true, efforts: [] }],
  ])('knows what %s takes', (model, traits) => {
    expect(traitsOf(model)).toMatchObject(traits);
  });
});

test('a conversation that is written and read again is the same: blocks, order, marks', () => {
  const words = fc.string({ minLength: 1, maxLength: 8 }).filter((s) => s.trim() !== '');
  const cache = fc.constantFrom({}, { cache: {} }, { cache: { ttl: '1h' as const } });
  const textBlock = fc.tuple(words, cache).map(([s, mark]) => ({ ...text(s), ...mark }));
  const data = fc.base64String({ minLength: 4, maxLength: 12 });
  const image = fc.tuple(data, cache).map(([bytes, mark]) => ({
    type: 'image' as const,
    source: { kind: 'base64' as const, mediaType: 'image/png', data: bytes },
    ...mark,
  }));
  const file = words.map((name) => ({
    type: 'file' as const,
    name,
    source: { kind: 'url' as const, url: 'https://example.org/a.pdf' },
  }));
  const results = fc.record({
    type: fc.constant('tool_result' as const),
    callId: fc.constantFrom('a', 'b-1'),
    content: fc.array(fc.oneof(textBlock, image), { maxLength: 2 }),
    isError: fc.boolean(),
  });
  const thinking = fc.oneof(
    fc
      .tuple(words, data)
      .map(([s, d]) => ({ type: 'thinking' as const, text: s, sealed: { by: 'anthropic' as const, data: d } })),
    data.map((d) => ({
      type: 'thinking' as const,
      text: '',
      sealed: { by: 'anthropic' as const, data: d },
      redacted: true,
    })),
  );
  const calls = fc.dictionary(words, fc.jsonValue(), { maxKeys: 2 }).map((value) => call('a', JSON.stringify(value)));
  const userTurn = fc
    .tuple(
      fc.array(results, { maxLength: 2 }),
      fc.array(fc.oneof(textBlock, image, file), { minLength: 1, maxLength: 3 }),
    )
    .map(([a, b]) => user(...a, ...b));
  const assistantTurn = fc
    .tuple(fc.array(thinking, { maxLength: 2 }), fc.array(fc.oneof(textBlock, calls), { minLength: 1, maxLength: 3 }))
    .map(([a, b]) => assistant(...a, ...b));
  const turns = fc
    .tuple(fc.array(fc.tuple(userTurn, assistantTurn), { maxLength: 2 }), userTurn)
    .map(([pairs, last]) => [...pairs.flat(), last])
    .filter((all) => (JSON.stringify(all).match(/"cache":/g) ?? []).length <= 4);
  fc.assert(
    fc.property(turns, (all) => {
      // JSON as it would travel; numbers such as -0 are not kept by it.
      const sent = JSON.parse(JSON.stringify(all)) as Turn[];
      const tools = [{ name: 'f', parameters: { type: 'object' } }];
      const written = JSON.parse(JSON.stringify(write({ turns: sent, tools })));
      const again = messagesSurface.readRequest(written);
      expect(again.turns.map(comparable)).toEqual(sent.map(comparable));
      expect(again.only).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

/** Arguments are compared by value. */
const comparable = ({ role, blocks }: Turn) => ({
  role,
  blocks: blocks.map((block) =>
    block.type === 'tool_call' ? { ...block, arguments: JSON.parse(block.arguments) } : block,
  ),
});
