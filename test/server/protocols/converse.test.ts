import {
  type Tool as AwsTool,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  type ConverseStreamOutput,
} from '@aws-sdk/client-bedrock-runtime';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Conversation, Tool } from '../../../server/protocols/conversation.ts';
import { conversePath, converseUpstream, makerOnBedrock } from '../../../server/protocols/converse/index.ts';
import {
  type Dialect,
  NotThisProtocol,
  ToldError,
  Untranslatable,
  type WriteTarget,
} from '../../../server/protocols/protocol.ts';
import { event, exception, type FakeBedrock, fakeBedrock } from './converse-wire.ts';

const SONNET = 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0';
const PNG = 'iVBORw0KGgo=';

const conversation = (over: Partial<Conversation>): Conversation => ({
  system: [],
  turns: [{ role: 'user', blocks: [{ type: 'text', text: 'Hello' }] }],
  tools: [],
  stop: [],
  stream: false,
  only: [],
  ...over,
});

const target = (model = SONNET, over: Partial<WriteTarget> = {}): WriteTarget => ({
  model,
  dialect: {},
  sampling: true,
  reasoning: true,
  maxOutputTokens: 64_000,
  ...over,
});

const write = (over: Partial<Conversation>, to = target()) => converseUpstream.writeRequest(conversation(over), to);

let bedrock: FakeBedrock;
beforeAll(async () => {
  bedrock = await fakeBedrock();
});
afterAll(() => bedrock.close());

const ANSWER = { output: { message: { role: 'assistant', content: [{ text: 'Hi' }] } }, stopReason: 'end_turn' };

/** What the AWS client puts on the wire for an input. */
async function sentByClient(input: Omit<ConverseCommandInput, 'modelId'>): Promise<unknown> {
  bedrock.answer(200, 'application/json', JSON.stringify(ANSWER));
  await bedrock.client.send(new ConverseCommand({ modelId: SONNET, ...input }));
  return JSON.parse(bedrock.received().body);
}

const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a place',
  parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
} as const satisfies Tool;
const WEATHER_SPEC: AwsTool = {
  toolSpec: {
    name: WEATHER.name,
    description: WEATHER.description,
    inputSchema: { json: { ...WEATHER.parameters, required: ['place'] } },
  },
};

describe('a request', () => {
  test('is, byte for byte of its JSON, what the AWS client sends for the same input', async () => {
    const written = write({
      system: [{ type: 'text', text: 'Be brief.', cache: { ttl: '1h' } }],
      turns: [
        {
          role: 'user',
          blocks: [
            { type: 'text', text: 'What is this?', cache: {} },
            { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: PNG } },
            {
              type: 'file',
              name: 'Q3_report.v2.pdf',
              source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBERi0=' },
            },
          ],
        },
        {
          role: 'assistant',
          blocks: [
            { type: 'thinking', text: 'A place is meant.', sealed: { by: 'anthropic', data: 'c2ln' } },
            { type: 'thinking', text: '', redacted: true, sealed: { by: 'anthropic', data: 'opaque' } },
            { type: 'text', text: 'I will look.' },
            { type: 'tool_call', id: 'toolu_1', name: 'get_weather', arguments: '{"place":"Oslo"}' },
          ],
        },
        {
          role: 'user',
          blocks: [
            { type: 'tool_result', callId: 'toolu_1', isError: true, content: [{ type: 'text', text: 'no network' }] },
          ],
        },
      ],
      tools: [{ ...WEATHER, cache: {} }],
      toolChoice: { type: 'tool', name: 'get_weather' },
      maxOutputTokens: 500,
      temperature: 0.5,
      topK: 40,
      stop: ['END'],
      responseFormat: { type: 'json_schema', name: 'Reply', schema: { type: 'object' } },
    });
    const sent = await sentByClient({
      system: [{ text: 'Be brief.' }, { cachePoint: { type: 'default', ttl: '1h' } }],
      messages: [
        {
          role: 'user',
          content: [
            { text: 'What is this?' },
            { cachePoint: { type: 'default' } },
            { image: { format: 'png', source: { bytes: Buffer.from(PNG, 'base64') } } },
            { document: { format: 'pdf', name: 'Q3 report v2', source: { bytes: Buffer.from('%PDF-') } } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { reasoningContent: { reasoningText: { text: 'A place is meant.', signature: 'c2ln' } } },
            { reasoningContent: { redactedContent: Buffer.from('opaque') } },
            { text: 'I will look.' },
            { toolUse: { toolUseId: 'toolu_1', name: 'get_weather', input: { place: 'Oslo' } } },
          ],
        },
        {
          role: 'user',
          content: [{ toolResult: { toolUseId: 'toolu_1', content: [{ text: 'no network' }], status: 'error' } }],
        },
      ],
      inferenceConfig: { maxTokens: 500, temperature: 0.5, stopSequences: ['END'] },
      toolConfig: {
        tools: [WEATHER_SPEC, { cachePoint: { type: 'default' } }],
        toolChoice: { tool: { name: 'get_weather' } },
      },
      outputConfig: {
        textFormat: {
          type: 'json_schema',
          structure: { jsonSchema: { schema: '{"type":"object"}', name: 'Reply' } },
        },
      },
      additionalModelRequestFields: { top_k: 40 },
      additionalModelResponseFieldPaths: ['/stop_sequence', '/delta/stop_sequence'],
    });
    expect(written).toEqual(sent);
  });

  test('says auto and required as the AWS client does, and audio', async () => {
    for (const [type, toolChoice] of [
      ['auto', { auto: {} }],
      ['required', { any: {} }],
    ] as const) {
      const sent = await sentByClient({
        messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
        toolConfig: { tools: [WEATHER_SPEC], toolChoice },
      });
      expect(write({ tools: [WEATHER], toolChoice: { type } })).toEqual(sent);
    }
    const heard = await sentByClient({
      messages: [{ role: 'user', content: [{ audio: { format: 'wav', source: { bytes: Buffer.from('RIFF') } } }] }],
    });
    expect(write({ turns: [{ role: 'user', blocks: [{ type: 'audio', format: 'wav', data: 'UklGRg==' }] }] })).toEqual(
      heard,
    );
  });

  test('goes where the AWS client goes, ARNs of profiles included', async () => {
    const arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/it's(1)";
    for (const modelId of [SONNET, arn]) {
      bedrock.answer(200, 'application/json', JSON.stringify(ANSWER));
      await bedrock.client.send(
        new ConverseCommand({ modelId, messages: [{ role: 'user', content: [{ text: 'x' }] }] }),
      );
      expect(conversePath(modelId, false)).toBe(bedrock.received().url);
    }
    expect(conversePath(SONNET, true)).toBe('/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream');
  });

  test('has roles that alternate and begin with the user, and no blank text', () => {
    const { messages } = write({
      turns: [
        { role: 'assistant', blocks: [{ type: 'text', text: 'Welcome' }] },
        { role: 'user', blocks: [{ type: 'text', text: ' \n' }] },
        { role: 'user', blocks: [{ type: 'text', text: 'one' }] },
        { role: 'user', blocks: [{ type: 'text', text: 'two' }] },
        { role: 'assistant', blocks: [{ type: 'text', text: 'It begins  ' }] },
      ],
    });
    expect(messages).toEqual([
      { role: 'user', content: [{ text: '(The conversation begins with the assistant.)' }] },
      { role: 'assistant', content: [{ text: 'Welcome' }] },
      { role: 'user', content: [{ text: 'one' }, { text: 'two' }] },
      { role: 'assistant', content: [{ text: 'It begins' }] },
    ]);
    expect(() => write({ turns: [{ role: 'user', blocks: [{ type: 'text', text: '' }] }] })).toThrow(Untranslatable);
  });

  test('puts results first, and their cache marks with them', () => {
    const { messages } = write({
      tools: [WEATHER],
      turns: [
        { role: 'user', blocks: [{ type: 'text', text: 'Weather?' }] },
        { role: 'assistant', blocks: [{ type: 'tool_call', id: 'a', name: 'get_weather', arguments: '' }] },
        {
          role: 'user',
          blocks: [
            { type: 'text', text: 'And hurry', cache: {} },
            { type: 'tool_result', callId: 'a', isError: false, content: [], cache: {} },
          ],
        },
      ],
    });
    expect((messages as { content: unknown }[])[2]?.content).toEqual([
      { toolResult: { toolUseId: 'a', content: [{ text: '(no output)' }] } },
      { cachePoint: { type: 'default' } },
      { text: 'And hurry' },
      { cachePoint: { type: 'default' } },
    ]);
  });

  test('replaces ids of calls that Bedrock refuses, the same by the same', () => {
    const long = `call|${'x'.repeat(100)}`;
    const idsFor = (to: WriteTarget) => {
      const { messages } = write(
        {
          tools: [WEATHER],
          turns: [
            { role: 'user', blocks: [{ type: 'text', text: 'Weather?' }] },
            { role: 'assistant', blocks: [{ type: 'tool_call', id: long, name: 'get_weather', arguments: '[1]' }] },
            { role: 'user', blocks: [{ type: 'tool_result', callId: long, isError: false, content: [] }] },
          ],
        },
        to,
      );
      const [, call, result] = messages as {
        content: [{ toolUse?: { toolUseId: string; input: unknown }; toolResult?: { toolUseId: string } }];
      }[];
      expect(call?.content[0].toolUse?.input).toEqual({ arguments: [1] });
      return [call?.content[0].toolUse?.toolUseId, result?.content[0].toolResult?.toolUseId];
    };
    const [call, result] = idsFor(target());
    expect(call).toMatch(/^call_[a-zA-Z0-9]{24}$/);
    expect(result).toBe(call);
    const [mistral, its] = idsFor(target('mistral.mistral-large-2407-v1:0', { dialect: { toolIdPattern: 'mistral' } }));
    expect(mistral).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(its).toBe(mistral);
  });

  test('tells calls and results as text where no tool may be called, for Bedrock takes them only beside tools', () => {
    const turns = [
      { role: 'user', blocks: [{ type: 'text', text: 'Weather?' }] },
      {
        role: 'assistant',
        blocks: [{ type: 'tool_call', id: 'a', name: 'get_weather', arguments: '{"place":"Oslo"}' }],
      },
      {
        role: 'user',
        blocks: [
          { type: 'tool_result', callId: 'a', isError: false, content: [{ type: 'text', text: 'rain' }] },
          { type: 'text', text: 'Sum up.' },
        ],
      },
    ] as const;
    for (const over of [{ tools: [WEATHER], toolChoice: { type: 'none' } as const }, { tools: [] }]) {
      const body = write({ turns, ...over });
      expect(body).not.toHaveProperty('toolConfig');
      expect(body.messages).toEqual([
        { role: 'user', content: [{ text: 'Weather?' }] },
        { role: 'assistant', content: [{ text: '[Called the tool get_weather, call a, with {"place":"Oslo"}]' }] },
        { role: 'user', content: [{ text: '[Result of the tool, call a]' }, { text: 'rain' }, { text: 'Sum up.' }] },
      ]);
    }
  });

  test('gives documents names that Bedrock takes, each once, and text beside them', () => {
    const file = (name?: string) =>
      ({
        type: 'file',
        name,
        source: { kind: 'base64', mediaType: 'text/plain; charset=utf-8', data: 'eA==' },
      }) as const;
    const { messages } = write({
      turns: [{ role: 'user', blocks: [file('a//b  c.txt'), file('a b c.md'), file('日本'), file()] }],
    });
    const [{ content }] = messages as [{ content: { text?: string; document?: { name: string } }[] }];
    expect(content.map(({ text, document }) => text ?? document?.name)).toEqual([
      'Document: a b c',
      'a b c',
      'a b c (2)',
      'document',
      'document (2)',
    ]);
  });

  test('names what it cannot say', () => {
    const media = (source: object, type: 'image' | 'file' = 'image') =>
      ({ turns: [{ role: 'user', blocks: [{ type, source }] }] }) as unknown as Partial<Conversation>;
    const refusals: [Partial<Conversation>, RegExp][] = [
      [media({ kind: 'url', url: 'https://example.com/a.png' }), /^messages: .*no image by URL/],
      [media({ kind: 'file', fileId: 'file-1' }, 'file'), /^messages: .*no document by the id/],
      [media({ kind: 'base64', mediaType: 'image/bmp', data: 'eA==' }), /^messages: .*"image\/bmp"/],
      [{ tools: [{ ...WEATHER, name: 'a.b' }] }, /^tools: .*"a\.b"/],
      [{ responseFormat: { type: 'json' } }, /^response_format: /],
      [{ stop: ['END', '\n\n'] }, /^stop: /],
      [{ only: ['logprobs'] }, /^logprobs: /],
    ];
    for (const [over, message] of refusals) {
      const attempt = () => write(over);
      expect(attempt).toThrow(Untranslatable);
      expect(attempt).toThrow(message);
    }
    expect(() => write({ tools: [WEATHER], parallelToolCalls: false }, target('amazon.nova-pro-v1:0'))).toThrow(
      /^parallel_tool_calls: /,
    );
    expect(() =>
      write({ tools: [WEATHER], toolChoice: { type: 'required' } }, target('us.anthropic.claude-opus-5-5')),
    ).toThrow(/^tool_choice: /);
  });

  test('keeps Claude to one call in its own words, without a second choice beside them', () => {
    const { toolConfig, additionalModelRequestFields } = write({
      tools: [WEATHER],
      toolChoice: { type: 'required' },
      parallelToolCalls: false,
    });
    expect(toolConfig).toEqual({ tools: [WEATHER_SPEC] });
    expect(additionalModelRequestFields).toEqual({ tool_choice: { type: 'any', disable_parallel_tool_use: true } });
  });

  test('sends strict only where it is taken, and leaves sampling out where it is not', () => {
    const tool = { ...WEATHER, strict: true, parameters: { ...WEATHER.parameters, additionalProperties: false } };
    const strictOf = (model: string) =>
      (write({ tools: [tool] }, target(model)).toolConfig as { tools: [{ toolSpec: { strict?: boolean } }] }).tools[0]
        .toolSpec.strict;
    expect(strictOf(SONNET)).toBe(true);
    expect(strictOf('anthropic.claude-sonnet-5-v1:0')).toBeUndefined();
    expect(strictOf('amazon.nova-pro-v1:0')).toBeUndefined();
    const body = write(
      { temperature: 1, topP: 0.9, topK: 5, maxOutputTokens: 90_000 },
      target(SONNET, { sampling: false }),
    );
    // 64 000 is all that the model can write.
    expect(body.inferenceConfig).toEqual({ maxTokens: 64_000 });
    expect(body).not.toHaveProperty('additionalModelRequestFields');
  });

  test('leaves marks and sealed reasoning of others out where the model does not take them', () => {
    const turns = [
      { role: 'user', blocks: [{ type: 'text', text: 'Hello', cache: { ttl: '1h' } }] },
      {
        role: 'assistant',
        blocks: [
          { type: 'thinking', text: 'hm', sealed: { by: 'anthropic', data: 'c2ln' } },
          { type: 'thinking', text: 'unsigned' },
          { type: 'thinking', text: '', sealed: { by: 'openai', data: 'enc', id: 'rs_1' } },
          { type: 'text', text: 'Hi' },
        ],
      },
      { role: 'user', blocks: [{ type: 'text', text: 'Go on' }] },
    ] as const;
    const content = (model: string, dialect: Dialect = {}) =>
      (write({ turns }, target(model, { dialect })).messages as { content: unknown }[])
        .slice(0, 2)
        .map((m) => m.content);
    const signed = { reasoningContent: { reasoningText: { text: 'hm', signature: 'c2ln' } } };
    const hour = { cachePoint: { type: 'default', ttl: '1h' } };
    expect(content(SONNET)).toEqual([
      [{ text: 'Hello' }, hour],
      [signed, { text: 'Hi' }],
    ]);
    // An opaque ARN, which only the dialect knows to be Claude's.
    expect(content('arn:aws:bedrock:eu-central-1:1:application-inference-profile/x', { maker: 'anthropic' })).toEqual([
      [{ text: 'Hello' }, hour],
      [signed, { text: 'Hi' }],
    ]);
    expect(content('amazon.nova-pro-v1:0')).toEqual([
      [{ text: 'Hello' }, { cachePoint: { type: 'default' } }],
      [{ text: 'Hi' }],
    ]);
    expect(content('meta.llama3-3-70b-instruct-v1:0')).toEqual([[{ text: 'Hello' }], [{ text: 'Hi' }]]);
  });
});

describe('a wish for reasoning', () => {
  const fields = (model: string, over: Partial<Conversation>) => {
    const { additionalModelRequestFields, inferenceConfig } = write(over, target(model));
    return { additionalModelRequestFields, inferenceConfig };
  };

  test('is a budget below the answer’s bound for Claude up to 4.5', () => {
    expect(fields(SONNET, { reasoning: { effort: 'low' }, temperature: 0.3 })).toEqual({
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 2048 } },
      inferenceConfig: { maxTokens: 2048 + 8192 },
    });
    expect(fields(SONNET, { reasoning: { budgetTokens: 9000 }, maxOutputTokens: 4000 })).toEqual({
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 3999 } },
      inferenceConfig: { maxTokens: 4000 },
    });
    // No room to think, and then none is asked for; sampling stays.
    expect(fields(SONNET, { reasoning: { effort: 'high' }, maxOutputTokens: 500, temperature: 0.3 })).toEqual({
      additionalModelRequestFields: undefined,
      inferenceConfig: { maxTokens: 500, temperature: 0.3 },
    });
  });

  test('is adaptive with an effort for later ones, and off in the way that each takes', () => {
    const only = (model: string, reasoning: Conversation['reasoning']) =>
      fields(model, { reasoning }).additionalModelRequestFields;
    expect(only('anthropic.claude-opus-4-6-v1', { effort: 'xhigh' })).toEqual({
      thinking: { type: 'adaptive' },
      output_config: { effort: 'high' },
    });
    expect(only('global.anthropic.claude-opus-5', { effort: 'xhigh' })).toEqual({
      thinking: { type: 'adaptive' },
      output_config: { effort: 'xhigh' },
    });
    expect(only('global.anthropic.claude-opus-5', { enabled: true })).toEqual({ thinking: { type: 'adaptive' } });
    expect(only(SONNET, { enabled: false })).toBeUndefined();
    expect(only('global.anthropic.claude-opus-5', { effort: 'none' })).toEqual({ thinking: { type: 'disabled' } });
    expect(only('global.anthropic.claude-sonnet-5-5', { effort: 'none' })).toEqual({
      output_config: { effort: 'low' },
    });
  });

  test('gives way to a forced tool, and to a tool loop that another model began', () => {
    const forced = { reasoning: { effort: 'high' }, tools: [WEATHER], toolChoice: { type: 'required' } } as const;
    expect(fields(SONNET, forced).additionalModelRequestFields).toBeUndefined();
    const loop = (signed: boolean) => ({
      reasoning: { effort: 'high' } as const,
      tools: [WEATHER],
      turns: [
        { role: 'user', blocks: [{ type: 'text', text: 'Weather?' }] },
        {
          role: 'assistant',
          blocks: [
            { type: 'thinking', text: 'hm', sealed: { by: signed ? 'anthropic' : 'google', data: 'c2ln' } },
            { type: 'tool_call', id: 'a', name: 'get_weather', arguments: '{}' },
          ],
        },
        { role: 'user', blocks: [{ type: 'tool_result', callId: 'a', isError: false, content: [] }] },
      ] as Conversation['turns'],
    });
    expect(fields(SONNET, loop(false)).additionalModelRequestFields).toBeUndefined();
    expect(fields(SONNET, loop(true)).additionalModelRequestFields).toHaveProperty('thinking');
  });

  test('is said in the words of Nova and of OpenAI’s models, and not at all to the others', () => {
    expect(fields('us.amazon.nova-2-lite-v1:0', { reasoning: { effort: 'high' }, temperature: 0.3 })).toEqual({
      additionalModelRequestFields: { reasoningConfig: { type: 'enabled', maxReasoningEffort: 'high' } },
      inferenceConfig: undefined,
    });
    expect(
      fields('us.amazon.nova-2-lite-v1:0', { reasoning: { effort: 'high' }, maxOutputTokens: 100, temperature: 0.3 }),
    ).toEqual({
      additionalModelRequestFields: { reasoningConfig: { type: 'enabled', maxReasoningEffort: 'medium' } },
      inferenceConfig: { maxTokens: 100, temperature: 0.3 },
    });
    expect(fields('openai.gpt-oss-120b-1:0', { reasoning: { effort: 'xhigh' } }).additionalModelRequestFields).toEqual({
      reasoning_effort: 'high',
    });
    expect(fields('deepseek.v3-v1:0', { reasoning: { effort: 'high' } }).additionalModelRequestFields).toBeUndefined();
  });
});

test('tells whose model it is by its id', () => {
  expect(makerOnBedrock(SONNET)).toBe('anthropic');
  expect(makerOnBedrock('openai.gpt-oss-120b-1:0')).toBe('openai');
  expect(makerOnBedrock('us.deepseek.r1-v1:0')).toBe('deepseek');
  expect(makerOnBedrock('amazon.nova-pro-v1:0')).toBe('other');
  expect(makerOnBedrock('arn:aws:bedrock:eu-central-1:1:application-inference-profile/x')).toBe('other');
});

describe('an answer', () => {
  const CONTENT = [
    { reasoningContent: { reasoningText: { text: 'Think.', signature: 'c2ln' } } },
    { reasoningContent: { redactedContent: Buffer.from('opaque').toString('base64') } },
    { text: 'I will look.' },
    { toolUse: { toolUseId: 'tooluse_1', name: 'get_weather', input: { place: 'Oslo' } } },
  ];
  const PAYLOAD = {
    output: { message: { role: 'assistant', content: CONTENT } },
    stopReason: 'tool_use',
    usage: { inputTokens: 10, outputTokens: 20, totalTokens: 35, cacheReadInputTokens: 3, cacheWriteInputTokens: 2 },
    metrics: { latencyMs: 5 },
  };

  test('is read as the AWS client reads it', async () => {
    bedrock.answer(200, 'application/json', JSON.stringify(PAYLOAD));
    const read = await bedrock.client.send(new ConverseCommand({ modelId: SONNET, messages: [] }));
    expect(read.output?.message?.content?.[0]?.reasoningContent?.reasoningText?.signature).toBe('c2ln');
    expect(Buffer.from(read.output!.message!.content![1]!.reasoningContent!.redactedContent!).toString()).toBe(
      'opaque',
    );
    expect(read.usage?.cacheWriteInputTokens).toBe(2);
    expect(converseUpstream.readAnswer(PAYLOAD, {})).toEqual({
      id: null,
      blocks: [
        { type: 'thinking', text: 'Think.', sealed: { by: 'anthropic', data: 'c2ln' } },
        { type: 'thinking', text: '', redacted: true, sealed: { by: 'anthropic', data: 'opaque' } },
        { type: 'text', text: 'I will look.' },
        { type: 'tool_call', id: 'tooluse_1', name: 'get_weather', arguments: '{"place":"Oslo"}' },
      ],
      finish: 'tool_calls',
      // All input: 10 plain, 3 read from the cache, 2 written to it.
      usage: { inputTokens: 15, cachedInputTokens: 3, cacheWriteTokens: 2, outputTokens: 20, reasoningTokens: null },
    });
  });

  test('seals nothing for a model that is not Claude, and keeps its thinking as text', () => {
    const { blocks } = converseUpstream.readAnswer(PAYLOAD, { maker: 'deepseek' });
    expect(blocks.map(({ type }) => type)).toEqual(['thinking', 'text', 'tool_call']);
    expect(blocks[0]).toEqual({ type: 'thinking', text: 'Think.' });
  });

  test('goes back as it came, redacted bytes that are no text included', () => {
    for (const raw of [Buffer.from('opaque'), Buffer.from([0xff, 0x00, 0xfe])]) {
      const content = [{ reasoningContent: { redactedContent: raw.toString('base64') } }, { text: 'x' }];
      const { blocks } = converseUpstream.readAnswer({ ...PAYLOAD, output: { message: { content } } }, {});
      const turns = [
        { role: 'user', blocks: [{ type: 'text', text: 'a' }] },
        { role: 'assistant', blocks },
      ] as Conversation['turns'];
      expect((write({ turns }).messages as { content: unknown }[])[1]?.content).toEqual(content);
    }
  });

  test('says why it ended', () => {
    const finish = (stopReason: unknown, content: object[] = [{ text: 'x' }], fields = {}) => {
      const answer = converseUpstream.readAnswer({ output: { message: { content } }, stopReason, ...fields }, {});
      return [answer.finish, answer.stopSequence];
    };
    expect(finish('end_turn')).toEqual(['stop', undefined]);
    expect(finish('max_tokens')).toEqual(['length', undefined]);
    expect(finish('model_context_window_exceeded')).toEqual(['length', undefined]);
    expect(finish('guardrail_intervened')).toEqual(['content_filter', undefined]);
    expect(finish('content_filtered')).toEqual(['content_filter', undefined]);
    expect(finish('stop_sequence', [], { additionalModelResponseFields: { stop_sequence: 'END' } })).toEqual([
      'stop_sequence',
      'END',
    ]);
    expect(finish('something_new', [CONTENT[3]!])).toEqual(['tool_calls', undefined]);
    expect(finish('something_new')).toEqual(['stop', undefined]);
  });

  test('that is none is refused with what it was', () => {
    const read = (payload: Record<string, unknown>) => () => converseUpstream.readAnswer(payload, {});
    expect(read({})).toThrow(NotThisProtocol);
    expect(read({ output: { message: { content: 'x' } } })).toThrow(/no list/);
    expect(read({ output: { message: { content: [{ toolUse: {} }] } } })).toThrow(NotThisProtocol);
    expect(read({ choices: [] })).toThrow(/output\.message/);
    expect(read({ __type: 'ThrottlingException', message: 'slow down' })).toThrow(
      expect.objectContaining({ error: expect.objectContaining({ status: 429 }) }),
    );
    const malformed = read({ ...PAYLOAD, stopReason: 'malformed_tool_use' });
    expect(malformed).toThrow(ToldError);
    expect(malformed).toThrow(expect.objectContaining({ usage: expect.objectContaining({ inputTokens: 15 }) }));
  });
});

describe('an error', () => {
  test('is read from the body that the AWS client reads it from', async () => {
    const body = JSON.stringify({ message: 'The model is busy' });
    bedrock.answer(429, 'application/json', body, { 'x-amzn-errortype': 'ThrottlingException:http://internal/' });
    const failed = await bedrock.client
      .send(new ConverseCommand({ modelId: SONNET, messages: [] }))
      .catch((error) => error);
    expect(failed).toMatchObject({ name: 'ThrottlingException', message: 'The model is busy' });
    // The name is in a header only; the status that came with it says as much.
    expect(converseUpstream.readError(body)).toEqual({
      message: 'The model is busy',
      type: 'upstream_error',
      code: null,
      param: null,
    });
  });

  test('is named by __type, in any of its forms', () => {
    const read = (body: object | string) =>
      converseUpstream.readError(typeof body === 'string' ? body : JSON.stringify(body));
    expect(read({ __type: 'com.amazon.coral.service#AccessDeniedException', Message: 'no' })).toEqual({
      message: 'no',
      type: 'permission_error',
      code: 'AccessDeniedException',
      param: null,
      status: 403,
    });
    expect(read({ __type: 'ModelErrorException', message: 'broke', originalStatusCode: 529 })?.status).toBe(529);
    expect(read({ __type: 'ModelErrorException', message: 'broke', originalStatusCode: 400 })?.status).toBe(500);
    expect(read({ message: 'Input is too long for requested model.' })?.code).toBe('context_length_exceeded');
    for (const nothing of ['', 'null', '[]', '"x"', '<html>', '{}']) expect(read(nothing)).toBeUndefined();
  });
});

describe('a stream', () => {
  const STREAM = [
    event('messageStart', { role: 'assistant' }),
    event('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Think.' } } }),
    event('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { signature: 'c2ln' } } }),
    event('contentBlockStop', { contentBlockIndex: 0 }),
    event('contentBlockDelta', { contentBlockIndex: 1, delta: { reasoningContent: { redactedContent: 'b3BhcXVl' } } }),
    event('contentBlockStop', { contentBlockIndex: 1 }),
    event('contentBlockDelta', { contentBlockIndex: 2, delta: { text: 'I will ' }, p: 'abcd' }),
    event('contentBlockDelta', { contentBlockIndex: 2, delta: { text: 'look.' }, p: 'ab' }),
    event('contentBlockStop', { contentBlockIndex: 2 }),
    event('contentBlockStart', { contentBlockIndex: 3, start: { toolUse: { toolUseId: 't1', name: 'get_weather' } } }),
    event('contentBlockDelta', { contentBlockIndex: 3, delta: { toolUse: { input: '{"place":' } } }),
    event('contentBlockDelta', { contentBlockIndex: 3, delta: { toolUse: { input: '"Oslo"}' } } }),
    event('contentBlockStop', { contentBlockIndex: 3 }),
    event('contentBlockStart', { contentBlockIndex: 4, start: { toolUse: { toolUseId: 't2', name: 'now' } } }),
    event('contentBlockDelta', { contentBlockIndex: 4, delta: { toolUse: { input: '' } } }),
    event('contentBlockStop', { contentBlockIndex: 4 }),
    event('messageStop', { stopReason: 'tool_use', additionalModelResponseFields: { stop_sequence: null } }),
    event('metadata', { usage: { inputTokens: 10, outputTokens: 20, totalTokens: 30 }, metrics: { latencyMs: 7 } }),
  ];

  const readAll = (messages: readonly Uint8Array[], dialect: Dialect = {}) => {
    const framing = converseUpstream.framing(1_000_000);
    const reader = converseUpstream.reader(dialect);
    const events = framing.push(Buffer.concat(messages)).flatMap((frame) => reader.read(frame));
    return { events, reader };
  };

  test('is one that the AWS client reads, and the same events for us', async () => {
    bedrock.answer(200, 'application/vnd.amazon.eventstream', Buffer.concat(STREAM));
    const { stream } = await bedrock.client.send(new ConverseStreamCommand({ modelId: SONNET, messages: [] }));
    const seen: ConverseStreamOutput[] = [];
    for await (const part of stream!) seen.push(part);
    expect(seen).toHaveLength(STREAM.length);
    expect(seen[2]?.contentBlockDelta?.delta?.reasoningContent?.signature).toBe('c2ln');
    expect(seen.at(-1)?.metadata?.usage?.inputTokens).toBe(10);
    const { events, reader } = readAll(STREAM);
    expect(events).toEqual([
      { type: 'start', id: null },
      { type: 'thinking', text: 'Think.' },
      { type: 'sealed', sealed: { by: 'anthropic', data: 'c2ln' } },
      { type: 'sealed', sealed: { by: 'anthropic', data: 'opaque' }, redacted: true },
      { type: 'text', text: 'I will ' },
      { type: 'text', text: 'look.' },
      { type: 'tool_call', index: 0, id: 't1', name: 'get_weather' },
      { type: 'tool_arguments', index: 0, json: '{"place":' },
      { type: 'tool_arguments', index: 0, json: '"Oslo"}' },
      { type: 'tool_call', index: 1, id: 't2', name: 'now' },
      { type: 'tool_arguments', index: 1, json: '{}' },
      { type: 'finish', reason: 'tool_calls' },
      {
        type: 'usage',
        usage: { inputTokens: 10, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 20, reasoningTokens: null },
      },
    ]);
    expect(reader.closed && reader.complete).toBe(true);
  });

  test('is complete at messageStop, closed at its metadata, whichever comes first', () => {
    const stop = STREAM.slice(0, -1);
    expect(readAll(stop).reader).toMatchObject({ complete: true, closed: false });
    expect(readAll(STREAM.slice(0, -2)).reader).toMatchObject({ complete: false, closed: false });
    const [start, usage, end] = [STREAM[0]!, STREAM.at(-1)!, STREAM.at(-2)!];
    expect(readAll([start, usage]).reader).toMatchObject({ complete: false, closed: false });
    expect(readAll([start, usage, end]).reader).toMatchObject({ complete: true, closed: true });
  });

  test('tells exceptions as errors with their status, as the AWS client does, and nothing after them', async () => {
    const told: [string, object, number][] = [
      ['throttlingException', { message: 'slow down' }, 429],
      ['serviceUnavailableException', { message: 'away' }, 503],
      ['modelStreamErrorException', { message: 'broke', originalStatusCode: 424, originalMessage: 'inner' }, 500],
      ['internalServerException', { message: 'oops' }, 500],
      ['validationException', { message: 'no' }, 400],
      ['modelTimeoutException', { message: 'late' }, 408],
      ['brandNewException', { message: 'who knows' }, 500],
    ];
    for (const [type, body, status] of told) {
      const { events, reader } = readAll([STREAM[0]!, exception(type, body), STREAM.at(-2)!]);
      expect(events).toEqual([
        { type: 'start', id: null },
        { type: 'error', error: expect.objectContaining({ status, code: type }) },
      ]);
      expect(reader.closed).toBe(true);
      expect(reader.complete).toBe(false);
    }
    bedrock.answer(
      200,
      'application/vnd.amazon.eventstream',
      Buffer.concat([STREAM[0]!, exception('throttlingException', { message: 'slow down' })]),
    );
    const { stream } = await bedrock.client.send(new ConverseStreamCommand({ modelId: SONNET, messages: [] }));
    const failed = (async () => {
      for await (const _ of stream!);
    })();
    await expect(failed).rejects.toMatchObject({ name: 'ThrottlingException', message: 'slow down' });
  });

  test('reads an exception as Bedrock really sent it', () => {
    // A recorded message of a model that failed in mid-stream.
    const recorded =
      'AAAA3QAAAGfHkZB6DTptZXNzYWdlLXR5cGUHAAlleGNlcHRpb24POmV4Y2VwdGlvbi10eXBlBwAZbW9kZWxTdHJlYW1FcnJvckV4Y2VwdGlvbg06' +
      'Y29udGVudC10eXBlBwAQYXBwbGljYXRpb24vanNvbnsibWVzc2FnZSI6Ik1vZGVsIFN0cmVhbSBFcnJvciIsIm9yaWdpbmFsU3RhdHVzQ29kZSI6' +
      'NTAwLCJvcmlnaW5hbE1lc3NhZ2UiOiJUaGUgbW9kZWwgc3RyZWFtIGZhaWxlZC4ifVczQxM=';
    expect(readAll([Buffer.from(recorded, 'base64')]).events).toEqual([
      {
        type: 'error',
        error: {
          message: 'Model Stream Error (The model stream failed.)',
          type: 'server_error',
          code: 'modelStreamErrorException',
          param: null,
          status: 500,
        },
      },
    ]);
  });

  test('of an answer that the host could not read is an error, after its usage', () => {
    const stop = event('messageStop', { stopReason: 'malformed_model_output' });
    const { events, reader } = readAll([STREAM[0]!, stop, STREAM.at(-1)!]);
    expect(events.map(({ type }) => type)).toEqual(['start', 'usage', 'error']);
    expect(reader).toMatchObject({ complete: false, closed: true });
  });

  test('passes over events that are new, and refuses those that are none', () => {
    expect(readAll([event('somethingNew', {}), event('constructor', {})]).events).toEqual([]);
    const reader = converseUpstream.reader({});
    expect(() => reader.read({ event: 'messageStop', data: '[]' })).toThrow(NotThisProtocol);
    expect(() => reader.read({ event: 'contentBlockDelta', data: '{"contentBl' })).toThrow(NotThisProtocol);
    expect(() => reader.read({ event: 'contentBlockStart', data: '{"start":{"toolUse":{}}}' })).toThrow(
      NotThisProtocol,
    );
  });

  test('and an answer of any JSON at all are read or refused, and never break the reader', () => {
    const word = fc.constantFrom(
      ...'start delta toolUse toolUseId name input type text reasoningContent signature redactedContent'.split(' '),
      ...'contentBlockIndex stopReason usage inputTokens outputTokens output message content reasoningText'.split(' '),
      ...'citationsContent additionalModelResponseFields stop_sequence __type originalStatusCode'.split(' '),
    );
    const { any } = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, 1, -1, 0.5, '', 'x', 'tool_use', 'malformed_tool_use'),
        fc.dictionary(word, tie('any'), { maxKeys: 5 }),
        fc.array(tie('any'), { maxLength: 3 }),
      ),
    }));
    const names = fc.constantFrom(
      ...'messageStart contentBlockStart contentBlockDelta contentBlockStop messageStop metadata'.split(' '),
      'throttlingException',
      'error',
    );
    const expected = (error: unknown) => {
      if (!(error instanceof NotThisProtocol || error instanceof ToldError)) throw error;
    };
    fc.assert(
      fc.property(fc.array(fc.tuple(names, any), { maxLength: 8 }), any, (frames, payload) => {
        const reader = converseUpstream.reader({});
        try {
          for (const [name, body] of frames) reader.read({ event: name, data: JSON.stringify(body) });
        } catch (error) {
          expected(error);
        }
        const answers = [{ output: { message: { content: [payload] } } }, { output: payload }];
        for (const answer of answers) {
          try {
            converseUpstream.readAnswer(answer, {});
          } catch (error) {
            expected(error);
          }
        }
        converseUpstream.readError(JSON.stringify(payload));
      }),
      { numRuns: 1000 },
    );
  });

  test('seals nothing for a model that is not Claude', () => {
    const { events } = readAll(STREAM, { maker: 'other' });
    expect(events.some(({ type }) => type === 'sealed')).toBe(false);
    expect(events).toContainEqual({ type: 'other', chars: 'b3BhcXVl'.length });
  });
});
