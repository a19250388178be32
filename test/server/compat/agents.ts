/**
 * Coding agents as they really ask: the fields, headers, block order and boilerplate of Claude Code, Codex and Cursor.
 * The words are ours; the shapes were looked up in public captures of their traffic.
 */
import Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { CLIENT_KEY, openAi } from './clients.ts';
import { STORY } from './upstreams/index.ts';

export interface Agent {
  readonly name: string;
  /** The session that its requests tell; undefined: it tells none. */
  readonly session: string | undefined;
  /** Keeps the reasoning that only its maker can read. */
  readonly keepsSeals: boolean;
  /** A new conversation. */
  begin(gateway: { readonly url: string }, model: string): AgentRun;
}

export interface AgentRun {
  /** Sends the person's question. @returns ids of the tools called */
  ask(): Promise<readonly string[]>;
  /** Sends what the tools gave. @returns the answer's text */
  report(callIds: readonly string[]): Promise<{ text: string; model: string }>;
}

const { name: toolName, description, parameters } = STORY.tool;

/** Tools of a harness beside the story's own. */
const HARNESS_TOOLS = [
  {
    name: 'Read',
    description: 'Reads a file of the project.',
    parameters: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: {
        file_path: { description: 'The absolute path', type: 'string' },
        offset: { type: 'integer', exclusiveMinimum: 0, maximum: 9007199254740991 },
      },
      required: ['file_path'],
      additionalProperties: false,
    },
  },
  {
    name: 'TodoWrite',
    description: 'Keeps the list of what is to be done.',
    parameters: {
      type: 'object',
      properties: {
        todos: {
          type: 'array',
          items: {
            type: 'object',
            properties: {
              content: { type: 'string', minLength: 1 },
              status: { type: 'string', enum: ['pending', 'in_progress', 'completed'] },
            },
            required: ['content', 'status'],
            additionalProperties: false,
          },
        },
      },
      required: ['todos'],
      additionalProperties: false,
    },
  },
  { name: toolName, description, parameters },
] as const;

const CACHED = { cache_control: { type: 'ephemeral' as const } };

export const CLAUDE_CODE_SESSION = '0b6a9c1e-52d4-4c0f-9a55-6f1c2f3e4d5a';
export const CLAUDE_CODE_HEADERS = {
  'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27',
  'anthropic-version': '2023-06-01',
  'anthropic-dangerous-direct-browser-access': 'true',
  'user-agent': 'claude-cli/2.1.78 (external, cli)',
  'x-app': 'cli',
};

const claudeCode: Agent = {
  name: 'Claude Code',
  session: CLAUDE_CODE_SESSION,
  keepsSeals: true,
  begin({ url }, model) {
    const client = new Anthropic({
      baseURL: url,
      apiKey: CLIENT_KEY,
      maxRetries: 0,
      defaultHeaders: CLAUDE_CODE_HEADERS,
    });
    const reminder = { type: 'text' as const, text: '<system-reminder>\nThe branch is clean.\n</system-reminder>' };
    const messages: Anthropic.Beta.BetaMessageParam[] = [
      { role: 'user', content: [reminder, { type: 'text', text: STORY.question, ...CACHED }] },
    ];
    const send = async () => {
      const message = await client.beta.messages
        .stream({
          model,
          max_tokens: 32_000,
          system: [
            { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.78; cc_entrypoint=cli;' },
            { type: 'text', text: 'You help on the command line.', ...CACHED },
            { type: 'text', text: 'Working directory: /srv/app', ...CACHED },
          ],
          messages,
          tools: HARNESS_TOOLS.map((tool) => ({
            name: tool.name,
            description: tool.description,
            input_schema: tool.parameters as unknown as Anthropic.Beta.BetaTool.InputSchema,
          })),
          thinking: { type: 'enabled', budget_tokens: 31_999 },
          metadata: {
            user_id: `user_${'ab'.repeat(32)}_account_3f2b1c4d-0000-4000-8000-1a2b3c4d5e6f_session_${CLAUDE_CODE_SESSION}`,
          },
          context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
        })
        .finalMessage();
      messages.push({ role: 'assistant', content: message.content as Anthropic.Beta.BetaContentBlockParam[] });
      return message;
    };
    return {
      ask: async () => (await send()).content.flatMap((block) => (block.type === 'tool_use' ? [block.id] : [])),
      async report(callIds) {
        messages.push({
          role: 'user',
          content: [
            ...callIds.map((id) => ({
              type: 'tool_result' as const,
              tool_use_id: id,
              content: STORY.reading,
              ...CACHED,
            })),
            { type: 'text', text: '<system-reminder>\nThe todo list is empty.\n</system-reminder>' },
          ],
        });
        const { content, model: by } = await send();
        return { text: content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''), model: by };
      },
    };
  },
};

export const CODEX_SESSION = '019a7b3c-1d2e-7f40-8a6b-c5d4e3f2a1b0';
export const CODEX_HEADERS = {
  session_id: CODEX_SESSION,
  conversation_id: CODEX_SESSION,
  originator: 'codex_cli_rs',
  'user-agent': 'codex_cli_rs/0.104.0 (Ubuntu 24.4.0; x86_64) xterm-256color',
};

/** GPT models are given this one, which takes text that a grammar binds; for a model that Codex does not know it is left out. */
export const APPLY_PATCH = {
  type: 'custom',
  name: 'apply_patch',
  description: 'Edits files. The input is no JSON.',
  format: { type: 'grammar', syntax: 'lark', definition: 'start: "*** Begin Patch" LF "*** End Patch" LF?' },
};

export const codexBody = (model: string, input: readonly unknown[], more: readonly unknown[] = []) => ({
  model,
  instructions: 'You work in a terminal.',
  input,
  tools: [...HARNESS_TOOLS.map((tool) => ({ type: 'function', strict: false, ...tool })), ...more],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  reasoning: { effort: 'medium', summary: 'auto' },
  store: false,
  stream: true,
  include: ['reasoning.encrypted_content'],
  prompt_cache_key: CODEX_SESSION,
  text: { verbosity: 'medium' },
});

export const codexInput = (question: string) => [
  {
    type: 'message',
    role: 'developer',
    content: [
      {
        type: 'input_text',
        text: '<permissions instructions>\nNothing is written outside the project.\n</permissions instructions>',
      },
    ],
  },
  {
    type: 'message',
    role: 'user',
    content: [
      {
        type: 'input_text',
        text: '<environment_context>\n  <cwd>/srv/app</cwd>\n  <shell>bash</shell>\n</environment_context>',
      },
    ],
  },
  { type: 'message', role: 'user', content: [{ type: 'input_text', text: question }] },
];

const codex: Agent = {
  name: 'Codex',
  session: CODEX_SESSION,
  keepsSeals: true,
  begin(gateway, model) {
    const client = openAi(gateway);
    const input: unknown[] = codexInput(STORY.question);
    const send = async () => {
      const body = codexBody(model, input) as unknown as Parameters<typeof client.responses.stream>[0];
      const response = await client.responses.stream(body, { headers: CODEX_HEADERS }).finalResponse();
      // Without their ids, since nothing is stored.
      for (const { id, ...item } of response.output as { id?: string; type: string }[]) {
        input.push(item.type === 'reasoning' ? { id, ...item } : item);
      }
      return response;
    };
    return {
      ask: async () => (await send()).output.flatMap((item) => (item.type === 'function_call' ? [item.call_id] : [])),
      async report(callIds) {
        for (const call_id of callIds) input.push({ type: 'function_call_output', call_id, output: STORY.reading });
        const { output_text: text, model: by } = await send();
        return { text, model: by };
      },
    };
  },
};

const cursor: Agent = {
  name: 'Cursor',
  session: undefined,
  // Its messages hold what OpenAI's chat protocol has, and nothing else.
  keepsSeals: false,
  begin(gateway, model) {
    const client = openAi(gateway);
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: 'You help in an editor.' },
      { role: 'user', content: '<user_info>\nOS: linux\nWorkspace: /srv/app\n</user_info>' },
      { role: 'user', content: [{ type: 'text', text: `<user_query>\n${STORY.question}\n</user_query>` }] },
    ];
    const send = async () => {
      const completion = await client.chat.completions
        .stream({
          model,
          messages,
          tools: HARNESS_TOOLS.map((tool) => ({ type: 'function', function: { ...tool } })),
          temperature: 0,
          user: 'google-oauth2|117',
          stream_options: { include_usage: true },
        })
        .finalChatCompletion();
      const { message } = completion.choices[0]!;
      const { content, tool_calls } = message;
      messages.push({
        role: 'assistant',
        // An empty list beside calls, which OpenAI itself refuses.
        content: tool_calls ? ([] as never) : content,
        ...(tool_calls && { tool_calls }),
      });
      return { message, model: completion.model };
    };
    return {
      ask: async () => (await send()).message.tool_calls?.map(({ id }) => id) ?? [],
      async report(callIds) {
        for (const id of callIds) {
          messages.push({ role: 'tool', tool_call_id: id, content: [{ type: 'text', text: STORY.reading }] });
        }
        const { message, model: by } = await send();
        return { text: message.content ?? '', model: by };
      },
    };
  },
};

export const AGENTS: readonly Agent[] = [claudeCode, codex, cursor];
