/** The real clients, each holding the story's conversation in its own way and sending back what it keeps of an answer. */

import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, jsonSchema, type ModelMessage, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { STORY } from './upstreams/index.ts';

// It tells on the console of reasoning that it leaves out.
(globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false;

/** What a client makes of one answer, in no client's words. */
export interface Said {
  readonly text: string;
  /** What it shows of the model's thinking; null where this client shows none. */
  readonly thinking: string | null;
  readonly calls: readonly { readonly name: string; readonly input: unknown }[];
  readonly finish: string | null;
  readonly usage: { readonly input: number; readonly cached: number; readonly output: number };
  readonly model: string;
}

export interface Asking {
  readonly url: string;
  readonly model: string;
  readonly stream: boolean;
  /** Model of the turn that brings the tool's result; default: the same. */
  readonly switchTo?: string | undefined;
  readonly key?: string | undefined;
}

export interface Client {
  readonly name: string;
  /** What it calls the end of an answer, and that of one that calls tools. */
  readonly finishes: { readonly stop: string; readonly tools: string };
  /** It hands sealed reasoning back with the next turn. */
  readonly keepsSeals: boolean;
  /** The three answers of the story. */
  converse(asking: Asking): Promise<Said[]>;
}

/** What clients send where nobody asks for a key. */
export const CLIENT_KEY = 'sk-key-of-the-client';

export const openAi = ({ url, key = CLIENT_KEY }: Pick<Asking, 'url' | 'key'>): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });

const chatTools = [{ type: 'function' as const, function: { ...STORY.tool, strict: true } }];

const openAiChat: Client = {
  name: 'openai chat',
  finishes: { stop: 'stop', tools: 'tool_calls' },
  keepsSeals: true,
  async converse(asking) {
    const client = openAi(asking);
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: STORY.system },
      { role: 'user', content: STORY.greeting },
    ];
    const said: Said[] = [];
    const turn = async (model = asking.model) => {
      const body = {
        model,
        messages,
        tools: chatTools,
        reasoning_effort: 'medium' as const,
        max_completion_tokens: 8000,
      };
      const completion = asking.stream
        ? await client.chat.completions
            .stream({ ...body, stream_options: { include_usage: true } })
            .finalChatCompletion()
        : await client.chat.completions.create(body);
      const { message, finish_reason } = completion.choices[0]!;
      messages.push(message);
      said.push({
        text: message.content ?? '',
        // While it streams the client keeps the last piece of a field that it does not know.
        thinking: asking.stream ? null : ((message as { reasoning_content?: string }).reasoning_content ?? ''),
        calls: (message.tool_calls ?? []).flatMap((call) =>
          call.type === 'function' ? [{ name: call.function.name, input: JSON.parse(call.function.arguments) }] : [],
        ),
        finish: finish_reason,
        usage: {
          input: completion.usage!.prompt_tokens,
          cached: completion.usage!.prompt_tokens_details?.cached_tokens ?? -1,
          output: completion.usage!.completion_tokens,
        },
        model: completion.model,
      });
      return message;
    };
    await turn();
    messages.push({ role: 'user', content: STORY.question });
    const { tool_calls } = await turn();
    for (const { id } of tool_calls ?? []) messages.push({ role: 'tool', tool_call_id: id, content: STORY.reading });
    await turn(asking.switchTo);
    return said;
  },
};

const openAiResponses: Client = {
  name: 'openai responses',
  finishes: { stop: 'completed', tools: 'completed' },
  keepsSeals: true,
  async converse(asking) {
    const client = openAi(asking);
    const input: OpenAI.Responses.ResponseInputItem[] = [{ role: 'user', content: STORY.greeting }];
    const said: Said[] = [];
    const turn = async (model = asking.model) => {
      const body = {
        model,
        instructions: STORY.system,
        input,
        tools: [{ type: 'function' as const, ...STORY.tool, strict: true }],
        reasoning: { effort: 'medium' as const, summary: 'auto' as const },
        include: ['reasoning.encrypted_content' as const],
        max_output_tokens: 8000,
        store: false,
      };
      const response = asking.stream
        ? await client.responses.stream(body).finalResponse()
        : await client.responses.create(body);
      input.push(...(response.output as OpenAI.Responses.ResponseInputItem[]));
      const calls = response.output.flatMap((item) => (item.type === 'function_call' ? [item] : []));
      said.push({
        text: response.output_text,
        thinking: response.output
          .flatMap((item) => (item.type === 'reasoning' ? item.summary.map(({ text }) => text) : []))
          .join(''),
        calls: calls.map(({ name, arguments: json }) => ({ name, input: JSON.parse(json) })),
        finish: response.status ?? null,
        usage: {
          input: response.usage!.input_tokens,
          cached: response.usage!.input_tokens_details.cached_tokens,
          output: response.usage!.output_tokens,
        },
        model: response.model,
      });
      return calls;
    };
    await turn();
    input.push({ role: 'user', content: STORY.question });
    for (const { call_id } of await turn())
      input.push({ type: 'function_call_output', call_id, output: STORY.reading });
    await turn(asking.switchTo);
    return said;
  },
};

const anthropicMessages: Client = {
  name: 'anthropic',
  finishes: { stop: 'end_turn', tools: 'tool_use' },
  keepsSeals: true,
  async converse(asking) {
    const client = new Anthropic({ baseURL: asking.url, apiKey: asking.key ?? CLIENT_KEY, maxRetries: 0 });
    const messages: Anthropic.MessageParam[] = [{ role: 'user', content: STORY.greeting }];
    const { name, description, parameters } = STORY.tool;
    const said: Said[] = [];
    const turn = async (model = asking.model) => {
      const body = {
        model,
        max_tokens: 8000,
        system: [{ type: 'text' as const, text: STORY.system, cache_control: { type: 'ephemeral' as const } }],
        messages,
        tools: [{ name, description, input_schema: parameters as unknown as Anthropic.Tool.InputSchema }],
        thinking: { type: 'enabled' as const, budget_tokens: 2000 },
      };
      const message = asking.stream
        ? await client.messages.stream(body).finalMessage()
        : await client.messages.create(body);
      messages.push({ role: 'assistant', content: message.content });
      const { usage } = message;
      const cached = usage.cache_read_input_tokens ?? 0;
      said.push({
        text: message.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''),
        thinking: message.content.flatMap((block) => (block.type === 'thinking' ? [block.thinking] : [])).join(''),
        calls: message.content.flatMap((block) =>
          block.type === 'tool_use' ? [{ name: block.name, input: block.input }] : [],
        ),
        finish: message.stop_reason,
        usage: {
          input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
          cached,
          output: usage.output_tokens,
        },
        model: message.model,
      });
      return message.content.filter((block) => block.type === 'tool_use');
    };
    await turn();
    messages.push({ role: 'user', content: STORY.question });
    const calls = await turn();
    messages.push({
      role: 'user',
      content: calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: STORY.reading })),
    });
    await turn(asking.switchTo);
    return said;
  },
};

/** The AI SDK runs the tool itself and goes on by itself. */
function aiSdk(surface: 'chat' | 'responses'): Client {
  return {
    name: `ai sdk ${surface}`,
    finishes: { stop: 'stop', tools: 'tool-calls' },
    // Its chat provider reads no reasoning at all.
    keepsSeals: surface === 'responses',
    async converse(asking) {
      const openai = createOpenAI({ baseURL: `${asking.url}/v1`, apiKey: asking.key ?? CLIENT_KEY });
      const named = (id: string) => (surface === 'chat' ? openai.chat(id) : openai.responses(id));
      const tools = {
        [STORY.tool.name]: tool({
          description: STORY.tool.description,
          inputSchema: jsonSchema(STORY.tool.parameters as never),
          execute: async () => STORY.reading,
        }),
      };
      const options = {
        system: STORY.system,
        tools,
        maxOutputTokens: 8000,
        maxRetries: 0,
        stopWhen: stepCountIs(3),
        providerOptions: {
          openai: {
            reasoningEffort: 'medium',
            forceReasoning: true,
            systemMessageMode: 'system',
            ...(surface === 'responses' && {
              store: false,
              include: ['reasoning.encrypted_content'],
              reasoningSummary: 'auto',
            }),
          },
        },
        ...(asking.switchTo !== undefined && {
          prepareStep: ({ stepNumber, messages }: { stepNumber: number; messages: ModelMessage[] }) =>
            stepNumber > 0 && messages.length > 0 ? { model: named(asking.switchTo!) } : {},
        }),
      };
      const said: Said[] = [];
      let messages: ModelMessage[] = [{ role: 'user', content: STORY.greeting }];
      for (const question of [null, STORY.question]) {
        if (question !== null) messages = [...messages, { role: 'user', content: question }];
        const model = named(asking.model);
        let thrown: unknown;
        const result = asking.stream
          ? streamText({
              model,
              messages,
              ...options,
              onError: ({ error }) => {
                thrown ??= error;
              },
            })
          : await generateText({ model, messages, ...options });
        const steps = await Promise.resolve(result.steps).catch((error) => {
          throw thrown ?? error;
        });
        if (thrown !== undefined) throw thrown;
        const { messages: added } = await result.response;
        messages = [...messages, ...added];
        for (const step of steps) {
          said.push({
            text: step.text,
            thinking: surface === 'chat' ? null : (step.reasoningText ?? ''),
            calls: step.toolCalls.map(({ toolName, input }) => ({ name: toolName, input })),
            finish: step.finishReason,
            usage: {
              input: step.usage.inputTokens ?? -1,
              cached: step.usage.inputTokenDetails.cacheReadTokens ?? -1,
              output: step.usage.outputTokens ?? -1,
            },
            model: step.response.modelId,
          });
        }
      }
      return said;
    },
  };
}

export const CLIENTS: readonly Client[] = [
  openAiChat,
  openAiResponses,
  anthropicMessages,
  aiSdk('chat'),
  aiSdk('responses'),
];
