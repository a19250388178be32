import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Block, Conversation, Turn } from '../../../server/protocols/conversation.ts';
import type { WriteTarget } from '../../../server/protocols/protocol.ts';
import {
  heldIdsOf,
  idsOfInput,
  outputIdOf,
  responsesSurface,
  responsesUpstream,
} from '../../../server/protocols/responses/index.ts';
import { sealedToText } from '../../../server/protocols/sealed.ts';

const { readRequest, passRequest } = responsesSurface;
const { writeRequest } = responsesUpstream;

const target: WriteTarget = {
  model: 'gpt-6-sol',
  dialect: {},
  sampling: true,
  reasoning: true,
  maxOutputTokens: undefined,
};

const SHELL = {
  type: 'function',
  name: 'shell',
  description: 'Runs a program.',
  strict: false,
  parameters: { type: 'object', properties: { command: { type: 'array', items: { type: 'string' } } } },
};

/** A request in the shape that Codex sends in the middle of a task. */
const codex = {
  model: 'auto',
  instructions: 'You mend small programs.',
  input: [
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Ask before deleting.' }] },
    {
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text: '<environment_context>\n  <cwd>/src</cwd>\n</environment_context>' }],
    },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Why does the build fail?' }] },
    {
      type: 'reasoning',
      summary: [
        { type: 'summary_text', text: '**Looking**' },
        { type: 'summary_text', text: 'List the files.' },
      ],
      content: null,
      encrypted_content: 'gAAAAABo-first',
    },
    { type: 'function_call', name: 'shell', arguments: '{"command":["ls"]}', call_id: 'call_1' },
    { type: 'function_call_output', call_id: 'call_1', output: '{"output":"a.c\\n","metadata":{"exit_code":0}}' },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'There is one file.' }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Mend it.' }] },
  ],
  tools: [SHELL],
  tool_choice: 'auto',
  parallel_tool_calls: false,
  reasoning: { effort: 'medium', summary: 'auto' },
  store: false,
  stream: true,
  include: ['reasoning.encrypted_content'],
  prompt_cache_key: '0198-session',
  text: { verbosity: 'low' },
  client_metadata: { installation: 'x' },
};

describe('reading a request', () => {
  test('a Codex request keeps its instructions, reasoning, calls and results, and bars no translation', () => {
    expect(readRequest(codex)).toEqual({
      system: [
        { type: 'text', text: 'You mend small programs.' },
        { type: 'text', text: 'Ask before deleting.' },
      ],
      turns: [
        {
          role: 'user',
          blocks: [
            { type: 'text', text: '<environment_context>\n  <cwd>/src</cwd>\n</environment_context>' },
            { type: 'text', text: 'Why does the build fail?' },
          ],
        },
        {
          role: 'assistant',
          blocks: [
            {
              type: 'thinking',
              text: '**Looking**\n\nList the files.',
              sealed: { by: 'openai', data: 'gAAAAABo-first' },
            },
            { type: 'tool_call', id: 'call_1', name: 'shell', arguments: '{"command":["ls"]}' },
          ],
        },
        {
          role: 'user',
          blocks: [
            {
              type: 'tool_result',
              callId: 'call_1',
              content: [{ type: 'text', text: '{"output":"a.c\\n","metadata":{"exit_code":0}}' }],
              isError: false,
            },
          ],
        },
        { role: 'assistant', blocks: [{ type: 'text', text: 'There is one file.' }] },
        { role: 'user', blocks: [{ type: 'text', text: 'Mend it.' }] },
      ],
      tools: [{ name: 'shell', description: 'Runs a program.', strict: false, parameters: SHELL.parameters }],
      toolChoice: { type: 'auto' },
      parallelToolCalls: false,
      stop: [],
      reasoning: { enabled: true, effort: 'medium', visible: true },
      stream: true,
      only: [],
    } satisfies Conversation);
  });

  test('a text is one user turn', () => {
    const { turns, stream } = readRequest({ model: 'auto', input: 'hello' });
    expect(turns).toEqual([{ role: 'user', blocks: [{ type: 'text', text: 'hello' }] }]);
    expect(stream).toBe(false);
  });

  test('reads images and files in each way they can be given', () => {
    const content = [
      { type: 'input_image', image_url: 'data:image/png;base64,iVBO', detail: 'low' },
      { type: 'input_image', image_url: 'https://example.com/a.png', detail: 'original' },
      { type: 'input_image', file_id: 'file-1' },
      { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBE' },
      { type: 'input_file', filename: 'a.txt', file_data: 'aGk=', prompt_cache_breakpoint: { mode: 'explicit' } },
      { type: 'input_file', file_url: 'https://example.com/a.pdf' },
    ];
    expect(readRequest({ input: [{ role: 'user', content }] }).turns[0]!.blocks).toEqual([
      { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBO' }, detail: 'low' },
      { type: 'image', source: { kind: 'url', url: 'https://example.com/a.png' }, detail: 'high' },
      { type: 'image', source: { kind: 'file', fileId: 'file-1' } },
      { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' }, name: 'a.pdf' },
      { type: 'file', source: { kind: 'base64', mediaType: 'text/plain', data: 'aGk=' }, name: 'a.txt', cache: {} },
      { type: 'file', source: { kind: 'url', url: 'https://example.com/a.pdf' } },
    ]);
  });

  test('reads settings', () => {
    const read = readRequest({
      input: 'x',
      max_output_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      safety_identifier: 'u-1',
      reasoning: { effort: 'none' },
      tool_choice: { type: 'function', name: 'f' },
      tools: [{ type: 'function', name: 'f', parameters: null, strict: null }],
      text: { format: { type: 'json_schema', name: 'out', schema: { type: 'object' }, strict: true } },
    });
    expect(read).toMatchObject({
      maxOutputTokens: 50,
      temperature: 0.5,
      topP: 0.9,
      user: 'u-1',
      reasoning: { enabled: false, effort: 'none' },
      toolChoice: { type: 'tool', name: 'f' },
      tools: [{ name: 'f', parameters: { type: 'object', properties: {} } }],
      responseFormat: { type: 'json_schema', name: 'out', schema: { type: 'object' }, strict: true },
      only: [],
    });
  });

  test('where only some tools are allowed, only those are offered', () => {
    const { tools, toolChoice, only } = readRequest({
      input: 'x',
      tools: ['f', 'g'].map((name) => ({ type: 'function', name, parameters: {} })),
      tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] },
    });
    expect(tools.map(({ name }) => name)).toEqual(['g']);
    expect(toolChoice).toEqual({ type: 'required' });
    expect(only).toEqual([]);
  });

  test('a custom tool is a function of one text, in its definition and in its calls', () => {
    const { tools, turns, only } = readRequest({
      input: [
        { type: 'custom_tool_call', call_id: 'c1', name: 'note', input: 'say "hi"' },
        { type: 'custom_tool_call_output', call_id: 'c1', output: [{ type: 'input_text', text: 'noted' }] },
      ],
      tools: [{ type: 'custom', name: 'note', description: 'Keeps a note.', format: { type: 'text' } }],
    });
    expect(tools).toEqual([
      {
        name: 'note',
        description: 'Keeps a note.',
        parameters: {
          type: 'object',
          properties: { input: { type: 'string' } },
          required: ['input'],
          additionalProperties: false,
        },
      },
    ]);
    expect(turns).toEqual([
      {
        role: 'assistant',
        blocks: [{ type: 'tool_call', id: 'c1', name: 'note', arguments: '{"input":"say \\"hi\\""}' }],
      },
      {
        role: 'user',
        blocks: [{ type: 'tool_result', callId: 'c1', content: [{ type: 'text', text: 'noted' }], isError: false }],
      },
    ]);
    expect(only).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['OpenAI runs the tool', { tools: [{ type: 'web_search' }, { type: 'mcp' }] }, ['tools.web_search', 'tools.mcp']],
    ['its models know the tool', { tools: [{ type: 'local_shell' }] }, ['tools.local_shell']],
    [
      'a grammar binds the input',
      {
        tools: [{ type: 'custom', name: 'apply_patch', format: { type: 'grammar', syntax: 'lark', definition: 's' } }],
      },
      ['tools.custom.format'],
    ],
    ['a tool is chosen that is no function', { tool_choice: { type: 'file_search' } }, ['tool_choice.file_search']],
    ['the provider holds what came before', { previous_response_id: 'resp_1' }, ['previous_response_id']],
    ['the provider holds the conversation', { conversation: { id: 'conv_1' } }, ['conversation']],
    ['the answer is to be fetched later', { background: true, store: true }, ['background', 'store']],
    ['the input may be cut', { truncation: 'auto' }, ['truncation']],
    [
      'probabilities are asked for',
      { include: ['message.output_text.logprobs'], top_logprobs: 3 },
      ['top_logprobs', 'include'],
    ],
    ['speed is paid for', { service_tier: 'priority' }, ['service_tier']],
    ['a field is new', { futurama: 1 }, ['futurama']],
    [
      'an item is of its own kind',
      { input: [{ type: 'item_reference', id: 'msg_1' }, { type: 'web_search_call', id: 'ws_1' }, { id: 'rs_1' }] },
      ['input.item_reference', 'input.web_search_call'],
    ],
    [
      'Codex used its shell',
      {
        input: [
          {
            type: 'local_shell_call',
            id: 'ls_1',
            call_id: 'c',
            status: 'completed',
            action: { type: 'exec', command: ['ls'], env: {} },
          },
          { type: 'local_shell_call_output', id: 'c', output: 'a.c' },
        ],
      },
      ['input.local_shell_call', 'input.local_shell_call_output'],
    ],
  ])('names what only this protocol can say: %s', (_, fields, only) => {
    expect(readRequest({ input: 'x', ...fields }).only).toEqual(only);
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{}, /^input: must be a text or a list/],
    [{ input: 7 }, /^input: must be a text or a list/],
    [{ input: [7] }, /^input\.0: must be an object/],
    [{ input: [{ role: 'tool', content: 'x' }] }, /^input\.0\.role: must be one of/],
    [{ input: [{ role: 'user', content: null }] }, /^input\.0\.content: must be a text or a list/],
    [{ input: [{ role: 'user', content: [{ type: 'input_text' }] }] }, /^input\.0\.content\.0\.text: must be a text/],
    [{ input: [{ role: 'user', content: [{ type: 'input_image' }] }] }, /^input\.0\.content\.0: needs image_url/],
    [
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:image/png,x' }] }] },
      /^input\.0\.content\.0\.image_url: is a data URL/,
    ],
    [{ input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: {} }] }, /^input\.0\.arguments/],
    [{ input: [{ type: 'function_call_output', output: 'x' }] }, /^input\.0\.call_id/],
    [{ input: [{ type: 'function_call_output', call_id: 'c', output: 5 }] }, /^input\.0\.output/],
    [{ input: [{}] }, /^input\.0\.type: must be a text/],
    [{ input: 'x', tools: {} }, /^tools: must be a list/],
    [{ input: 'x', tools: [{ type: 'function', function: { name: 'f' } }] }, /^tools\.0\.name: is missing/],
    [{ input: 'x', tool_choice: 'any' }, /^tool_choice: must be one of/],
    [{ input: 'x', max_output_tokens: 1.5 }, /^max_output_tokens: must be a whole number/],
    [{ input: 'x', temperature: '1' }, /^temperature: must be a number/],
    [{ input: 'x', reasoning: { effort: 'huge' } }, /^reasoning\.effort: must be one of/],
    [{ input: 'x', text: { format: { type: 'json_schema', name: 'n' } } }, /^text\.format\.schema/],
    [{ input: 'x', stream: 'yes' }, /^stream: must be true or false/],
    [{ input: 'x', instructions: ['a'] }, /^instructions: must be a text/],
  ])('refuses %j', (request, message) => {
    expect(() => readRequest(request)).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.stringMatching(message) }),
    );
  });

  test('no JSON makes it fail in another way', () => {
    const anything = fc.jsonValue({ maxDepth: 4 });
    const fields = ['input', 'tools', 'tool_choice', 'text', 'reasoning', 'include', 'instructions', 'store', 'stream'];
    const request = fc.dictionary(fc.constantFrom(...fields), anything);
    const item = fc.dictionary(
      fc.constantFrom('type', 'role', 'content', 'output', 'summary', 'call_id', 'encrypted_content', 'id'),
      fc.oneof(anything, fc.constantFrom('message', 'user', 'reasoning', 'function_call_output', 'input_image')),
    );
    fc.assert(
      fc.property(request, fc.array(item, { maxLength: 3 }), (json, items) => {
        try {
          readRequest({ input: items, ...json });
          heldIdsOf({ input: items, ...json });
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_REQUEST' });
        }
      }),
    );
  });
});

const say = (text: string): Conversation => ({
  system: [],
  turns: [{ role: 'user', blocks: [{ type: 'text', text }] }],
  tools: [],
  stop: [],
  stream: false,
  only: [],
});

describe('writing a request', () => {
  test('nothing is stored, and reasoning is asked for sealed', () => {
    expect(writeRequest(say('hi'), target)).toEqual({
      model: 'gpt-6-sol',
      input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
      include: ['reasoning.encrypted_content'],
      store: false,
    });
  });

  test('a conversation of Claude goes over without what only Claude can read', () => {
    const written = writeRequest(
      {
        ...say(''),
        system: [
          { type: 'text', text: 'Be brief.', cache: {} },
          { type: 'text', text: 'Be kind.' },
        ],
        turns: [
          {
            role: 'assistant',
            blocks: [
              { type: 'thinking', text: 'hm', sealed: { by: 'anthropic', data: 'EqQB' } },
              { type: 'thinking', text: 'so', sealed: { by: 'openai', data: 'gAAA', id: 'rs_1' } },
              { type: 'thinking', text: 'unsealed' },
              { type: 'text', text: 'Looking.' },
              { type: 'tool_call', id: 'toolu_1', name: 'look', arguments: '{}' },
            ],
          },
          {
            role: 'user',
            blocks: [
              {
                type: 'tool_result',
                callId: 'toolu_1',
                content: [{ type: 'text', text: 'no such file' }],
                isError: true,
              },
              { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBO' } },
              { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' } },
            ],
          },
        ],
        tools: [{ name: 'look', parameters: { type: 'object' } }],
        toolChoice: { type: 'tool', name: 'look' },
        parallelToolCalls: false,
        maxOutputTokens: 1,
        reasoning: { enabled: true, budgetTokens: 8000, visible: true },
        responseFormat: { type: 'json' },
        user: `user_${'a'.repeat(100)}`,
        stream: true,
      },
      target,
    );
    expect(written).toMatchObject({
      instructions: 'Be brief.\n\nBe kind.',
      input: [
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'so' }], encrypted_content: 'gAAA' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Looking.' }] },
        { type: 'function_call', call_id: 'toolu_1', name: 'look', arguments: '{}' },
        { type: 'function_call_output', call_id: 'toolu_1', output: 'Error: no such file' },
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_image', detail: 'auto', image_url: 'data:image/png;base64,iVBO' },
            { type: 'input_file', filename: 'document.pdf', file_data: 'data:application/pdf;base64,JVBE' },
          ],
        },
      ],
      // Left out, `strict` would mean true.
      tools: [{ type: 'function', name: 'look', parameters: { type: 'object' }, strict: false }],
      tool_choice: { type: 'function', name: 'look' },
      parallel_tool_calls: false,
      max_output_tokens: 16,
      reasoning: { effort: 'medium', summary: 'auto' },
      text: { format: { type: 'json_object' } },
      stream: true,
    });
    expect(written.safety_identifier).toMatch(/^[0-9a-f]{64}$/);
  });

  test('reasoning that led to nothing is not sent: it must be followed by what it led to', () => {
    const turns: Turn[] = [
      {
        role: 'assistant',
        blocks: [{ type: 'thinking', text: 'cut', sealed: { by: 'openai', data: 'gA', id: 'rs_1' } }],
      },
      { role: 'user', blocks: [{ type: 'text', text: 'go on' }] },
    ];
    expect(writeRequest({ ...say(''), turns }, target).input).toHaveLength(1);
  });

  test('a long call id is shortened alike in call and result', () => {
    const id = 'x'.repeat(200);
    const turns: Turn[] = [
      { role: 'assistant', blocks: [{ type: 'tool_call', id, name: 'f', arguments: '{}' }] },
      { role: 'user', blocks: [{ type: 'tool_result', callId: id, content: [], isError: false }] },
    ];
    const [call, result] = writeRequest({ ...say(''), turns }, target).input as { call_id: string }[];
    expect(call!.call_id).toMatch(/^call_[0-9a-f]{32}$/);
    expect(result!.call_id).toBe(call!.call_id);
  });

  test('a model without reasoning or sampling is not asked for either', () => {
    const plain = { ...target, reasoning: false, sampling: false };
    const asked: Conversation = { ...say('hi'), temperature: 1, topP: 1, topK: 5, reasoning: { effort: 'high' } };
    expect(Object.keys(writeRequest(asked, plain))).toEqual(['model', 'input', 'store']);
  });

  test.each<[Partial<Conversation>, string]>([
    [{ only: ['n'] }, 'n'],
    [{ stop: ['END'] }, 'stop'],
    [{ seed: 1 }, 'seed'],
    [{ topK: 4 }, 'top_k'],
    [{ presencePenalty: 0.5 }, 'presence_penalty'],
    [{ frequencyPenalty: -1 }, 'frequency_penalty'],
    [{ turns: [{ role: 'user', blocks: [{ type: 'audio', data: 'AA', format: 'wav' }] }] }, 'audio'],
  ])('what cannot be said is refused by name: %j', (part, field) => {
    expect(() => writeRequest({ ...say('x'), ...part }, target)).toThrow(
      expect.objectContaining({ name: 'Untranslatable', field }),
    );
  });
});

const text = fc.string({ minLength: 1, maxLength: 12 });
const source = fc.oneof(
  fc.record({ kind: fc.constant('base64' as const), mediaType: fc.constant('image/png'), data: fc.base64String() }),
  fc.record({ kind: fc.constant('file' as const), fileId: text }),
  fc.record({ kind: fc.constant('url' as const), url: fc.webUrl() }),
);
const textBlock = fc.record({ type: fc.constant('text' as const), text });
const imageBlock = fc.record({ type: fc.constant('image' as const), source, detail: fc.constantFrom('low', 'auto') });
const fileBlock = fc.record({ type: fc.constant('file' as const), source, name: text });
const userBlock = fc.oneof(
  textBlock,
  imageBlock,
  fileBlock,
  fc.record({
    type: fc.constant('tool_result' as const),
    callId: text,
    content: fc.array(fc.oneof(textBlock, imageBlock, fileBlock), { minLength: 1, maxLength: 3 }),
    isError: fc.constant(false),
  }),
) as fc.Arbitrary<Block>;
const assistantBlock = fc.oneof(
  textBlock,
  fc.record({ type: fc.constant('tool_call' as const), id: text, name: text, arguments: fc.string() }),
  fc.record({
    type: fc.constant('thinking' as const),
    text: fc.string(),
    sealed: fc.record({ by: fc.constant('openai' as const), data: text, id: text }),
  }),
) as fc.Arbitrary<Block>;
const conversation: fc.Arbitrary<Conversation> = fc
  .record({
    system: fc.array(textBlock, { maxLength: 1 }),
    pairs: fc.array(fc.tuple(fc.array(userBlock, { minLength: 1 }), fc.array(assistantBlock)), { maxLength: 4 }),
    tools: fc.array(fc.record({ name: text, parameters: fc.constant({ type: 'object' }), strict: fc.boolean() }), {
      minLength: 1,
      maxLength: 2,
    }),
    toolChoice: fc.oneof(
      fc.constantFrom({ type: 'auto' as const }, { type: 'none' as const }, { type: 'required' as const }),
      fc.record({ type: fc.constant('tool' as const), name: text }),
    ),
    parallelToolCalls: fc.boolean(),
    maxOutputTokens: fc.integer({ min: 16, max: 99_999 }),
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    effort: fc.constantFrom('minimal' as const, 'high' as const, 'max' as const),
    user: text,
    stream: fc.boolean(),
  })
  .map(({ pairs, effort, ...rest }) => ({
    ...rest,
    // Turns alternate, and each ends in something that thinking can lead to.
    turns: pairs.flatMap(([user, assistant]): Turn[] => [
      { role: 'user', blocks: user },
      { role: 'assistant', blocks: [...assistant, { type: 'text', text: 'so' }] },
    ]),
    stop: [],
    reasoning: { enabled: true, effort, visible: true },
    only: [],
  }));

test('what is written is read back as it was', () => {
  fc.assert(
    fc.property(conversation, (said) => {
      const written = JSON.parse(JSON.stringify(writeRequest(said, target)));
      expect(readRequest(written)).toEqual(said);
    }),
  );
});

describe('passing a request on', () => {
  const pass = (body: string, part: Partial<WriteTarget> = {}, routed = false) =>
    passRequest(body, JSON.parse(body), { target: { ...target, ...part }, stream: false, routed });

  test('only the model changes, byte by byte', () => {
    const body =
      '{ "input" : [ {"type":"reasoning", "id":"rs_9","encrypted_content":"gA"} ],\n "model":"openai/gpt", "seed":12345678901234567890, "temperature":1.0 }';
    expect(pass(body)).toBe(body.replace('openai/gpt', 'gpt-6-sol'));
  });

  test('a Codex request comes through whole', () => {
    const body = JSON.stringify(codex, null, 2);
    expect(pass(body, {}, true)).toBe(body.replace('"auto"', '"gpt-6-sol"'));
  });

  const head = 'a'.repeat(32);

  test('reasoning that the host could not read is taken out, and its own given back its seal', () => {
    const foreign = sealedToText({ by: 'anthropic', data: 'EqQB' }, 'openai');
    const ours = sealedToText({ by: 'openai', data: 'gAAA', id: 'rs_own' }, 'openai');
    const body = `{"model":"auto","input":[{"role":"user","content":"a"}, {"type":"reasoning","id":"rs_${head}_0","encrypted_content":"${foreign}","summary":[]}, {"type":"reasoning","id":"rs_${head}_1","summary":[]}, {"type":"reasoning","id":"rs_${head}_2","encrypted_content":"${ours}","summary":[ ]}, {"role":"user","content":"b"}]}`;
    expect(pass(body)).toBe(
      '{"model":"gpt-6-sol","input":[{"role":"user","content":"a"}, {"type":"reasoning","id":"rs_own","encrypted_content":"gAAA","summary":[ ]}, {"role":"user","content":"b"}]}',
    );
  });

  test('a model that the router chose is not sent what it does not take', () => {
    const body =
      '{"model":"auto","input":[{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"a"}],"reasoning":{"effort":"low"},"include":["reasoning.encrypted_content"],"temperature":1,"top_p":1,"store":false}';
    expect(JSON.parse(pass(body, { reasoning: false, sampling: false }, true))).toEqual({
      model: 'gpt-6-sol',
      input: [{ role: 'user', content: 'a' }],
      include: [],
      store: false,
    });
    expect(pass(body, { reasoning: false, sampling: false }, false)).toBe(body.replace('"auto"', '"gpt-6-sol"'));
  });
});

describe('what a provider holds', () => {
  test('is named with the field that refers to it', () => {
    expect(
      heldIdsOf({
        previous_response_id: 'resp_1',
        conversation: { id: 'conv_1' },
        input: [
          { type: 'item_reference', id: 'msg_1' },
          { id: 'rs_2' },
          { role: 'user', id: 'msg_2', content: [{ type: 'input_file', file_id: 'file-1' }] },
          { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_image', file_id: 'file-2' }] },
          'nonsense',
        ],
      }),
    ).toEqual([
      { id: 'resp_1', field: 'previous_response_id' },
      { id: 'conv_1', field: 'conversation' },
      { id: 'msg_1', field: 'input.0.id' },
      { id: 'rs_2', field: 'input.1.id' },
      { id: 'file-1', field: 'input.2.content.0.file_id' },
      { id: 'file-2', field: 'input.3.output.0.file_id' },
    ]);
    expect(heldIdsOf(codex)).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['an image', { type: 'image_generation_call', id: 'ig_1', result: 'aGk=' }, ['id']],
    [
      'thoughts that only their summary is told of',
      { type: 'reasoning', id: 'rs_1', summary: [{ text: 'x' }] },
      ['id'],
    ],
    ['sealed thoughts that are missing', { type: 'reasoning', id: 'rs_1', encrypted_content: '' }, ['id']],
    ['a compaction without its content', { type: 'compaction', id: 'cmp_1' }, ['id']],
    ['a turn without content', { type: 'message', role: 'assistant', id: 'msg_1', content: [] }, ['id']],
    ['a call without arguments', { type: 'function_call', id: 'fc_1', call_id: 'c', name: 'f' }, ['id']],
    ['a search', { type: 'web_search_call', id: 'ws_1', action: { type: 'search', query: 'x' } }, ['id']],
    ['a kind that is new', { type: 'constructor', id: 'x_1', content: 'x' }, ['id']],
    ['a kind that is none', { type: 5, role: 'user', id: 'x_1', content: 'x' }, ['id']],
    [
      'an approval',
      { type: 'mcp_approval_response', approval_request_id: 'mcpr_1', approve: true },
      ['approval_request_id'],
    ],
    [
      'code that was run',
      {
        type: 'code_interpreter_call',
        id: 'ci_1',
        code: '1',
        container_id: 'cntr_1',
        outputs: [{ file_id: 'cfile_1' }],
      },
      ['id', 'container_id', 'outputs.0.file_id'],
    ],
    [
      'a shell in a container',
      { type: 'shell_call', call_id: 'c', action: { commands: [] }, environment: { container_id: 'cntr_1' } },
      ['environment.container_id'],
    ],
    [
      'files',
      { type: 'new_call', tool: { file_ids: ['file-1', 7, 'file-2'] } },
      ['tool.file_ids.0', 'tool.file_ids.1'],
    ],
  ])('may be looked up by what an item names: %s', (_, item, fields) => {
    const found = idsOfInput({ input: ['nonsense', item] }).map(({ field }) => field);
    // What is no id holds its place.
    expect(found.map((field) => field.replace('file_ids.2', 'file_ids.1'))).toEqual(
      fields.map((field) => `input.1.${field}`),
    );
  });

  test('is not looked up for items that say all they mean, as agents send them back', () => {
    const input = [
      { role: 'user', id: 'msg_0', content: 'hello' },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'sealed' },
      // Told by this gateway of a model elsewhere: no host gets it.
      { type: 'reasoning', id: `rs_${'0'.repeat(32)}_1`, summary: [{ type: 'summary_text', text: 'hm' }] },
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'x', annotations: [{ container_id: 'cntr_1', file_id: 'cfile_1' }] }],
      },
      { type: 'function_call', id: 'fc_1', call_id: 'c', name: 'f', arguments: '{"file_id":"mine"}' },
      { type: 'function_call_output', id: 'fco_1', call_id: 'c', output: '' },
      { type: 'custom_tool_call', id: 'ctc_1', call_id: 'd', name: 'g', input: '' },
      { type: 'local_shell_call', id: 'ls_1', call_id: 'e', action: { type: 'exec', env: { file_id: 'x' } } },
      { type: 'local_shell_call_output', id: 'e', output: 'a.c' },
      { type: 'apply_patch_call', id: 'apc_1', call_id: 'f', operation: { type: 'delete_file', path: 'x' } },
      { type: 'compaction', id: 'cmp_1', encrypted_content: 'sealed' },
      { type: 'computer_call', id: 'cu_1', call_id: 'h', action: { type: 'screenshot' } },
    ];
    expect(idsOfInput({ input })).toEqual([]);
    expect(idsOfInput({ input: 'text' })).toEqual([]);
    expect(idsOfInput(codex)).toEqual([]);
  });

  test('cannot be named by a seal that seals nothing', () => {
    const encrypted_content = sealedToText({ by: 'openai', data: '', id: 'rs_of_another' }, 'openai');
    const input = [{ type: 'reasoning', id: 'rs_x', summary: [], encrypted_content }];
    const passed = passRequest(
      JSON.stringify({ model: 'auto', input }),
      { model: 'auto', input },
      { target, stream: false, routed: false },
    );
    expect(JSON.parse(passed).input).toEqual([]);
  });

  test('an answer is held under its id unless it says that it is not stored', () => {
    expect(outputIdOf({ id: 'resp_1', object: 'response', store: true })).toBe('resp_1');
    expect(outputIdOf({ type: 'response.created', response: { id: 'resp_2' } })).toBe('resp_2');
    expect(outputIdOf({ id: 'resp_1', store: false })).toBeNull();
    expect(outputIdOf({})).toBeNull();
  });
});
