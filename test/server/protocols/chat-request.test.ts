import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoutingError } from '../../../datasets/index.ts';
import { chatSurface, chatUpstream } from '../../../server/protocols/chat/index.ts';
import type { Block, Conversation } from '../../../server/protocols/conversation.ts';
import { type Dialect, Untranslatable, type WriteTarget } from '../../../server/protocols/protocol.ts';
import { KINDS } from '../../../server/providers/index.ts';
import { anyConversation, plainConversation, stringsIn, textsOf } from './arbitrary-conversation.ts';

const { readRequest } = chatSurface;
const { writeRequest } = chatUpstream;

const target = (dialect: Dialect = {}, more: Partial<WriteTarget> = {}): WriteTarget => ({
  model: 'm',
  dialect,
  sampling: true,
  reasoning: true,
  maxOutputTokens: undefined,
  ...more,
});

/** How a known host is spoken to. */
function dialectOf(name: string, model = 'm'): Dialect {
  const { dialect } = KINDS.get(name)!;
  return typeof dialect === 'function' ? dialect(model) : (dialect ?? {});
}

type Written = Record<string, unknown> & { messages: Record<string, unknown>[] };
const write = (conversation: Conversation, to: WriteTarget = target()) => writeRequest(conversation, to) as Written;

const said = (role: string, content: unknown, more: object = {}) => ({ role, content, ...more });
const asking = (...messages: object[]) => ({ model: 'auto', messages });
const call = (id: string, name = 'look', args = '{"at":1}') => ({
  id,
  type: 'function',
  function: { name, arguments: args },
});

/** A coding agent in the middle of its work. */
const AGENT = {
  model: 'auto',
  stream: true,
  messages: [
    said('system', [{ type: 'text', text: 'You mend programs.', cache_control: { type: 'ephemeral', ttl: '1h' } }]),
    said('developer', 'Be brief.'),
    said('user', [
      { type: 'text', text: 'What is on it?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=', detail: 'low' } },
    ]),
    said('assistant', null, {
      reasoning_content: 'Look first.',
      tool_calls: [call('call_1'), call('call_2', 'list', '')],
    }),
    said('tool', 'one thing', { tool_call_id: 'call_1' }),
    said('tool', [{ type: 'text', text: 'and another' }], { tool_call_id: 'call_2' }),
    said('user', 'Go on.'),
  ],
  tools: [
    {
      type: 'function',
      function: { name: 'look', description: 'Looks.', parameters: { type: 'object' }, strict: true },
    },
    { type: 'function', function: { name: 'list' } },
  ],
  tool_choice: { type: 'function', function: { name: 'look' } },
  parallel_tool_calls: false,
  max_completion_tokens: 500,
  max_tokens: 400,
  temperature: 0.5,
  top_p: 0.9,
  seed: 7,
  stop: 'END',
  reasoning_effort: 'high',
  response_format: { type: 'json_schema', json_schema: { name: 'out', schema: { type: 'object' }, strict: true } },
  user: 'somebody',
};

describe('reading', () => {
  test('keeps what an agent sends: roles, pictures, marks, calls with their results, settings', () => {
    const read = readRequest(AGENT);
    expect(read.system).toEqual([
      { type: 'text', text: 'You mend programs.', cache: { ttl: '1h' } },
      { type: 'text', text: 'Be brief.' },
    ]);
    expect(read.turns.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(read.turns[0]!.blocks[1]).toEqual({
      type: 'image',
      source: { kind: 'base64', mediaType: 'image/png', data: 'aGk=' },
      detail: 'low',
    });
    expect(read.turns[1]!.blocks).toEqual([
      { type: 'thinking', text: 'Look first.' },
      { type: 'tool_call', id: 'call_1', name: 'look', arguments: '{"at":1}' },
      { type: 'tool_call', id: 'call_2', name: 'list', arguments: '' },
    ]);
    // Results and what the user says next are one turn, as in the protocols that want it so.
    expect(read.turns[2]!.blocks.map(({ type }) => type)).toEqual(['tool_result', 'tool_result', 'text']);
    expect(read).toMatchObject({
      toolChoice: { type: 'tool', name: 'look' },
      parallelToolCalls: false,
      maxOutputTokens: 500,
      temperature: 0.5,
      topP: 0.9,
      seed: 7,
      stop: ['END'],
      reasoning: { effort: 'high' },
      responseFormat: { type: 'json_schema', name: 'out', strict: true },
      user: 'somebody',
      stream: true,
      only: [],
    });
    expect(read.tools[1]).toMatchObject({ name: 'list', parameters: { type: 'object', properties: {} } });
  });

  test.each([
    [{ reasoning_effort: 'low' }, { effort: 'low' }],
    [{ reasoning: { effort: 'medium', exclude: true } }, { effort: 'medium', visible: false }],
    [{ reasoning: { max_tokens: 2000 } }, { budgetTokens: 2000 }],
    [{ reasoning: { enabled: false } }, { enabled: false }],
    [{ thinking: { type: 'enabled', budget_tokens: 900 } }, { enabled: true, budgetTokens: 900 }],
    [{ thinking: { type: 'disabled' } }, { enabled: false }],
    [
      { enable_thinking: true, thinking_budget: 50 },
      { enabled: true, budgetTokens: 50 },
    ],
    [{ reasoning_effort: 'colossal' }, undefined],
  ])('takes the wish for reasoning in any host’s words: %j', (fields, wish) => {
    expect(readRequest({ ...asking(said('user', 'Hi')), ...fields }).reasoning).toEqual(wish);
  });

  test.each([
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ logit_bias: { 5: 1 } }, 'logit_bias'],
    [{ modalities: ['text', 'audio'] }, 'modalities'],
    [{ web_search_options: {} }, 'web_search_options'],
    [{ functions: [{ name: 'f' }] }, 'functions'],
    [{ tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools'],
    [{ tool_choice: { type: 'allowed_tools', allowed_tools: {} } }, 'tool_choice'],
  ])('notes what only this protocol can say: %j', (fields, name) => {
    const read = readRequest({ ...asking(said('user', 'Hi')), ...fields });
    expect(read.only).toEqual([name]);
    expect(() => write(read)).toThrow(Untranslatable);
  });

  test('does not take defaults for wishes', () => {
    const fields = { n: 1, logprobs: false, logit_bias: {}, modalities: ['text'], tools: null, seed: null };
    expect(readRequest({ ...asking(said('user', 'Hi')), ...fields })).toMatchObject({ only: [], tools: [] });
  });

  test.each([
    [{ messages: 'hi' }, 'messages'],
    [{ messages: ['hi'] }, 'messages.0'],
    [asking(said('robot', 'hi')), 'messages.0.role'],
    [asking(said('user', 5)), 'messages.0.content'],
    [asking(said('user', ['hi'])), 'messages.0.content.0'],
    [asking(said('user', [{ type: 'video_url' }])), 'messages.0.content.0.type'],
    [asking(said('user', [{ type: 'image_url', image_url: {} }])), 'messages.0.content.0.image_url.url'],
    [asking(said('tool', 'x')), 'messages.0.tool_call_id'],
    [asking(said('assistant', null, { tool_calls: [{ id: 'a' }] })), 'messages.0.tool_calls.0'],
    [{ ...asking(), tools: {} }, 'tools'],
    [{ ...asking(), tools: [{ type: 'function', function: {} }] }, 'tools.0.function.name'],
    [{ ...asking(), temperature: 'hot' }, 'temperature'],
    [{ ...asking(), response_format: { type: 'json_schema' } }, 'response_format'],
  ])('names the field at fault: %j', (body, field) => {
    expect(() => readRequest(body)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
    expect(() => readRequest(body)).toThrow(new RegExp(`^${field}: `));
  });

  test('whatever is sent is read or refused, never worse', () => {
    const wild = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown>;
    const message = fc.record(
      {
        role: fc.constantFrom('system', 'user', 'assistant', 'tool'),
        content: fc.oneof(
          wild,
          fc.array(
            fc.record(
              {
                type: fc.constantFrom('text', 'image_url', 'file', 'input_audio'),
                text: wild,
                image_url: wild,
                file: wild,
                input_audio: wild,
                cache_control: wild,
              },
              { requiredKeys: ['type'] },
            ),
          ),
        ),
        tool_calls: fc.oneof(wild, fc.array(fc.record({ id: wild, function: wild, extra_content: wild }))),
        tool_call_id: wild,
        reasoning_details: fc.oneof(
          wild,
          fc.array(
            fc.record({
              type: fc.constantFrom('reasoning.text', 'reasoning.encrypted', 'reasoning.summary'),
              text: wild,
              data: wild,
              id: wild,
              format: wild,
            }),
          ),
        ),
        refusal: wild,
      },
      { requiredKeys: ['role'] },
    );
    const fields = [
      'tools',
      'tool_choice',
      'stop',
      'seed',
      'response_format',
      'reasoning',
      'thinking',
      'n',
      'user',
      'logit_bias',
    ];
    const body = fc.tuple(
      fc.array(fc.oneof(message, wild), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...fields), wild),
    );
    fc.assert(
      fc.property(body, ([messages, rest]) => {
        try {
          readRequest({ model: 'auto', messages, ...rest });
        } catch (error) {
          expect(error).toBeInstanceOf(RoutingError);
          expect(error).toMatchObject({ code: 'INVALID_REQUEST' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('writing', () => {
  const dialects: fc.Arbitrary<Dialect> = fc.constantFrom(
    {},
    ...['openai', 'mistral', 'groq', 'deepseek', 'xai', 'moonshotai', 'alibaba', 'openrouter', 'zai', 'google'].flatMap(
      (name) => (KINDS.has(name) ? [dialectOf(name)] : []),
    ),
  );

  test('loses no word, no call and no result of what any protocol can say, whatever the host', () => {
    fc.assert(
      fc.property(plainConversation, dialects, (conversation, dialect) => {
        const written = write(conversation, target(dialect));
        const all = stringsIn(written).join('\n');
        for (const words of textsOf(conversation)) expect(all).toContain(words);
        const blocksOf = ({ turns }: Conversation) => turns.flatMap(({ blocks }) => blocks);
        const again = readRequest(written);
        const calls = (c: Conversation) =>
          blocksOf(c).flatMap((b) => (b.type === 'tool_call' ? [[b.name, b.arguments]] : []));
        expect(calls(again)).toEqual(calls(conversation));
        const results = (c: Conversation) => blocksOf(c).filter((b) => b.type === 'tool_result').length;
        expect(results(again)).toBe(results(conversation));
        expect(again).toMatchObject({
          tools: conversation.tools,
          stop: conversation.stop,
          stream: conversation.stream,
        });
      }),
    );
  });

  test('what comes through once comes through for ever after', () => {
    fc.assert(
      fc.property(plainConversation, dialects, (conversation, dialect) => {
        const through = (written: Written) => write(readRequest(written), target(dialect));
        // Twice, since a turn that held nothing but thoughts is gone after the first, and its neighbours are one then.
        const settled = through(through(write(conversation, target(dialect))));
        expect(through(settled)).toEqual(settled);
      }),
    );
  });

  test('everything else is written or refused by name', () => {
    fc.assert(
      fc.property(anyConversation, dialects, (conversation, dialect) => {
        try {
          const written = write(conversation, target(dialect));
          const sent = JSON.parse(JSON.stringify(written));
          expect(sent.model).toBe('m');
          expect(sent.messages.every(({ role }: { role: unknown }) => typeof role === 'string')).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(Untranslatable);
        }
      }),
    );
  });

  test('every result names a call that stands before it, by the same id, also where ids are replaced', () => {
    fc.assert(
      fc.property(plainConversation, fc.constantFrom(dialectOf('mistral'), {}), (conversation, dialect) => {
        const open = new Set<unknown>();
        for (const message of write(conversation, target(dialect)).messages) {
          for (const one of (message.tool_calls ?? []) as { id: string }[]) {
            open.add(one.id);
            if (dialect.toolIdPattern === 'mistral') expect(one.id).toMatch(/^[a-zA-Z0-9]{9}$/);
          }
          if (message.role === 'tool') expect(open).toContain(message.tool_call_id);
        }
      }),
    );
  });

  const read = readRequest(AGENT);
  const one = (blocks: readonly Block[], role: 'user' | 'assistant' = 'assistant'): Conversation => ({
    system: [],
    turns: [{ role, blocks }],
    tools: [],
    stop: [],
    stream: false,
    only: [],
  });
  const thinking: Block = { type: 'thinking', text: 'Hm.', sealed: { by: 'anthropic', data: 'SIG' } };
  const answerBlock: Block = { type: 'text', text: 'Yes.' };

  test.each([
    ['openai', 'gpt-6-sol', { max_completion_tokens: 500, reasoning_effort: 'high', seed: 7 }, 'developer'],
    ['mistral', 'm', { max_tokens: 500, random_seed: 7, reasoning_effort: 'high' }, 'system'],
    ['deepseek', 'deepseek-v4', { thinking: { type: 'enabled' }, reasoning_effort: 'high', max_tokens: 500 }, 'system'],
    ['alibaba', 'qwen', { enable_thinking: true, thinking_budget: 16_384 }, 'system'],
    ['openrouter', 'x/y', { reasoning: { effort: 'high' } }, 'system'],
    ['xai', 'grok', { max_completion_tokens: 500 }, 'system'],
  ])('%s gets bounds, seed, reasoning and the system turn in its own words', (name, model, fields, role) => {
    const written = write(read, target(dialectOf(name, model), { model }));
    expect(written).toMatchObject({ model, ...fields });
    expect(written.messages[0]!.role).toBe(role);
    const usage = dialectOf(name, model).asksForStreamUsage !== false;
    expect(written.stream_options).toEqual(usage ? { include_usage: true } : undefined);
    if (name === 'mistral') expect(written).not.toHaveProperty('seed');
  });

  test('earlier reasoning goes back only to those who want it', () => {
    const wants = (name: string, model?: string) =>
      write(one([thinking, answerBlock]), target(dialectOf(name, model))).messages[0]!;
    expect(wants('moonshotai')).toMatchObject({ reasoning_content: 'Hm.', content: 'Yes.' });
    expect(wants('deepseek', 'deepseek-v4')).toMatchObject({ reasoning_content: 'Hm.' });
    expect(wants('deepseek', 'deepseek-r1')).not.toHaveProperty('reasoning_content');
    expect(wants('openai')).toEqual({ role: 'assistant', content: 'Yes.' });
    expect(wants('openrouter').reasoning_details).toEqual([
      { type: 'reasoning.text', text: 'Hm.', signature: 'SIG', format: 'anthropic-claude-v1' },
    ]);
  });

  test('marks of a cache go only to those who read them', () => {
    const [first] = write(read, target(dialectOf('openrouter'))).messages;
    expect(first!.content).toEqual([
      { type: 'text', text: 'You mend programs.', cache_control: { type: 'ephemeral', ttl: '1h' } },
      { type: 'text', text: 'Be brief.' },
    ]);
    expect(JSON.stringify(write(read, target(dialectOf('groq'))))).not.toContain('cache_control');
  });

  test('a failed tool is said to have failed, and a picture it returned follows in the user’s message', () => {
    const result: Block = {
      type: 'tool_result',
      callId: 'c',
      isError: true,
      content: [
        { type: 'text', text: 'no such file' },
        { type: 'image', source: { kind: 'url', url: 'https://example.com/a.png' } },
      ],
    };
    const { messages } = write(one([result, { type: 'text', text: 'Well?' }], 'user'));
    expect(messages[0]).toEqual({ role: 'tool', tool_call_id: 'c', content: 'Error: no such file' });
    expect(messages[1]!.content).toEqual([
      { type: 'text', text: 'Returned by the tool call c:' },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      { type: 'text', text: 'Well?' },
    ]);
  });

  test('a model that takes no sampling, or does not reason, is not asked to', () => {
    const written = write(read, target({}, { sampling: false, reasoning: false }));
    for (const field of ['temperature', 'top_p', 'seed', 'reasoning_effort']) expect(written).not.toHaveProperty(field);
  });

  test('what another provider holds cannot be said', () => {
    const held: Block = { type: 'image', source: { kind: 'file', fileId: 'file-1' } };
    expect(() => write(one([held], 'user'))).toThrow(Untranslatable);
  });
});
