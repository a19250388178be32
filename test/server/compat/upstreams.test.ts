/** The upstreams of the matrix are true: each maker's own client reads their answers, and what it sends they accept. */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  type Message,
} from '@aws-sdk/client-bedrock-runtime';
import { type Content, GoogleGenAI, ThinkingLevel } from '@google/genai';
import { afterEach, expect, test } from 'vitest';
import { CLIENTS } from './clients.ts';
import { anthropicUpstream } from './upstreams/anthropic.ts';
import { chatUpstream } from './upstreams/chat.ts';
import { converseUpstream } from './upstreams/converse.ts';
import { geminiUpstream } from './upstreams/gemini.ts';
import { type RunningUpstream, run, STORY, USED } from './upstreams/index.ts';
import { responsesUpstream } from './upstreams/responses.ts';

let upstream: RunningUpstream | undefined;
afterEach(async () => {
  await upstream?.close();
});

const [openAiChat, openAiResponses, anthropic] = CLIENTS;
const WAYS = [['whole', false] as const, ['streamed', true] as const];

test.each(
  [
    [openAiChat!, chatUpstream] as const,
    [openAiResponses!, responsesUpstream] as const,
    [anthropic!, anthropicUpstream] as const,
  ].flatMap(([client, of]) => WAYS.map(([way, stream]) => [client.name, way, client, of, stream] as const)),
)('%s, %s', async (_, __, client, of, stream) => {
  upstream = await run(of);
  const said = await client.converse({ url: new URL(upstream.url).origin, model: of.model, stream });
  expect(upstream.refusals).toEqual([]);
  expect(said.map(({ text }) => text)).toEqual([STORY.greeted, STORY.plan, STORY.report]);
  expect(said[1]!.calls).toEqual([{ name: STORY.tool.name, input: STORY.call }]);
  for (const { usage } of said) expect(usage).toEqual({ input: USED.input, cached: USED.cached, output: USED.output });
});

test.each(WAYS)('Google’s own client, %s', async (_, stream) => {
  upstream = await run(geminiUpstream);
  const client = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: new URL(upstream.url).origin } });
  const { name, description, parameters } = STORY.tool;
  const chat = client.chats.create({
    model: geminiUpstream.model,
    config: {
      systemInstruction: STORY.system,
      tools: [{ functionDeclarations: [{ name, description, parametersJsonSchema: parameters }] }],
      thinkingConfig: { includeThoughts: true, thinkingLevel: ThinkingLevel.MEDIUM },
    },
  });
  const send = async (message: Parameters<typeof chat.sendMessage>[0]['message']) => {
    const parts: NonNullable<Content['parts']> = [];
    let usage: { promptTokenCount?: number; cachedContentTokenCount?: number } | undefined;
    const answers = stream ? await chat.sendMessageStream({ message }) : [await chat.sendMessage({ message })];
    for await (const { candidates, usageMetadata } of answers) {
      parts.push(...(candidates?.[0]?.content?.parts ?? []));
      usage = usageMetadata;
    }
    expect(usage).toMatchObject({ promptTokenCount: USED.input, cachedContentTokenCount: USED.cached });
    return parts;
  };
  const textOf = (parts: NonNullable<Content['parts']>) =>
    parts.map(({ text, thought }) => (thought ? '' : (text ?? ''))).join('');
  expect(textOf(await send(STORY.greeting))).toBe(STORY.greeted);
  const called = await send(STORY.question);
  expect(called.find(({ thought }) => thought)?.text).toBe(STORY.thought);
  const call = called.find(({ functionCall }) => functionCall)!;
  expect(call).toMatchObject({ functionCall: { name, args: STORY.call }, thoughtSignature: geminiUpstream.seal });
  expect(textOf(await send({ functionResponse: { name, response: { output: STORY.reading } } }))).toBe(STORY.report);
  expect(upstream.refusals).toEqual([]);
});

test.each(WAYS)('AWS’s own client, %s', async (_, stream) => {
  upstream = await run(converseUpstream, true);
  const client = new BedrockRuntimeClient({
    region: 'eu-central-1',
    endpoint: upstream.url,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'made-up' },
    maxAttempts: 1,
  });
  const { name, description, parameters } = STORY.tool;
  const messages: Message[] = [];
  const send = async (message: Message) => {
    messages.push(message);
    const input = {
      modelId: converseUpstream.model,
      system: [{ text: STORY.system }],
      messages,
      inferenceConfig: { maxTokens: 8000 },
      toolConfig: { tools: [{ toolSpec: { name, description, inputSchema: { json: parameters as never } } }] },
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 2000 } },
    };
    const { content, stopReason, usage } = stream
      ? await streamed(client, input)
      : await client
          .send(new ConverseCommand(input))
          .then(({ output, ...rest }) => ({ ...rest, content: output?.message?.content }));
    messages.push({ role: 'assistant', content });
    expect(usage).toMatchObject({ inputTokens: 20, cacheReadInputTokens: USED.cached, outputTokens: USED.output });
    return { content: content!, stopReason };
  };
  expect(await send({ role: 'user', content: [{ text: STORY.greeting }] })).toMatchObject({
    content: [{ text: STORY.greeted }],
    stopReason: 'end_turn',
  });
  const { content, stopReason } = await send({ role: 'user', content: [{ text: STORY.question }] });
  expect(stopReason).toBe('tool_use');
  expect(content).toMatchObject([
    { reasoningContent: { reasoningText: { text: STORY.thought, signature: converseUpstream.seal } } },
    { text: STORY.plan },
    { toolUse: { name, input: STORY.call } },
  ]);
  const toolUseId = content[2]!.toolUse!.toolUseId!;
  const result: Message = {
    role: 'user',
    content: [{ toolResult: { toolUseId, content: [{ text: STORY.reading }] } }],
  };
  expect((await send(result)).content).toEqual([{ text: STORY.report }]);
  expect(upstream.refusals).toEqual([]);
  client.destroy();
});

type Input = ConstructorParameters<typeof ConverseStreamCommand>[0];

/** The blocks of a stream, put together as whoever uses the AWS client has to. */
async function streamed(client: BedrockRuntimeClient, input: Input) {
  const { stream } = await client.send(new ConverseStreamCommand(input));
  const blocks: {
    text: string;
    thought: string;
    signature: string;
    call?: { toolUseId: string; name: string };
    json: string;
  }[] = [];
  let stopReason: string | undefined;
  let usage: object | undefined;
  for await (const { contentBlockStart, contentBlockDelta, messageStop, metadata } of stream!) {
    const at = contentBlockStart?.contentBlockIndex ?? contentBlockDelta?.contentBlockIndex;
    if (at !== undefined) blocks[at] ??= { text: '', thought: '', signature: '', json: '' };
    const block = at === undefined ? undefined : blocks[at]!;
    const { toolUse } = contentBlockStart?.start ?? {};
    if (toolUse) block!.call = { toolUseId: toolUse.toolUseId!, name: toolUse.name! };
    const { delta } = contentBlockDelta ?? {};
    if (delta?.text) block!.text += delta.text;
    if (delta?.toolUse) block!.json += delta.toolUse.input;
    if (delta?.reasoningContent?.text) block!.thought += delta.reasoningContent.text;
    if (delta?.reasoningContent?.signature) block!.signature += delta.reasoningContent.signature;
    stopReason = messageStop?.stopReason ?? stopReason;
    usage = metadata?.usage ?? usage;
  }
  const content = blocks.map(({ text, thought, signature, call, json }) => {
    if (call) return { toolUse: { ...call, input: JSON.parse(json) } };
    return signature ? { reasoningContent: { reasoningText: { text: thought, signature } } } : { text };
  });
  return { content: content as Message['content'], stopReason, usage };
}
