/**
 * A Messages request → a conversation. Wrong types are the client's fault and named by path; what is right but
 * can be said in no other protocol goes to `only`.
 */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';
import type {
  Conversation,
  Effort,
  Reasoning,
  ResponseFormat,
  TextBlock,
  Tool,
  ToolChoice,
  Turn,
} from '../conversation.ts';
import { cacheOf, readBlocks } from './blocks-read.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Fields that are read into the conversation. */
const READ = new Set(
  (
    'model messages system max_tokens stream stop_sequences temperature top_p top_k tools tool_choice thinking ' +
    'output_config output_format metadata cache_control context_management'
  ).split(' '),
);

/** Fields of how Anthropic serves a request, not of what is asked: another host answers the same without them. */
const OF_THE_SERVICE = new Set('service_tier speed diagnostics user_profile_id workspace_id betas'.split(' '));

/** Fields of this gateway and of routers like it, should they still be there. */
const OF_THE_GATEWAY = new Set('routing plugins models'.split(' '));

/** @throws `INVALID_REQUEST`, its message beginning with the path of the field at fault */
export function readMessagesRequest(json: Fields): Conversation {
  if (typeof json.max_tokens !== 'number') throw invalid('max_tokens', 'must say how many tokens the answer may have');
  return read(json);
}

/** The body of a `count_tokens` request: as a request for an answer, but with no bound on one. @throws `INVALID_REQUEST` */
export const readCountTokens = (json: Fields): Conversation => read({ ...json, max_tokens: undefined });

function read(json: Fields): Conversation {
  const only = new Set<string>();
  const system = readSystem(json.system);
  const turns = readMessages(json.messages, system, only);
  for (const field of Object.keys(json)) {
    if (json[field] == null || READ.has(field) || OF_THE_SERVICE.has(field) || OF_THE_GATEWAY.has(field)) continue;
    only.add(field);
  }
  const maxOutputTokens = count(json, 'max_tokens');
  // Anthropic's way to fill the cache without an answer.
  if (maxOutputTokens === 0) only.add('max_tokens');
  if (removesMore(json.context_management)) only.add('context_management');
  const tools = readTools(json.tools, only);
  return {
    system,
    turns: withAutomaticMark(turns, json),
    tools,
    ...readToolChoice(json.tool_choice),
    maxOutputTokens,
    temperature: number(json, 'temperature'),
    topP: number(json, 'top_p'),
    topK: number(json, 'top_k'),
    stop: readStop(json.stop_sequences),
    reasoning: readReasoning(json),
    responseFormat: readFormat(json),
    user: isObject(json.metadata) && typeof json.metadata.user_id === 'string' ? json.metadata.user_id : undefined,
    stream: json.stream === true,
    only: [...only],
  };
}

function readSystem(system: unknown): TextBlock[] {
  if (system == null) return [];
  if (typeof system === 'string') return system === '' ? [] : [{ type: 'text', text: system }];
  if (!Array.isArray(system)) throw invalid('system', 'must be a text or a list of text blocks');
  return system.map((block: unknown, i) => readText(block, `system.${i}`));
}

function readText(block: unknown, at: string): TextBlock {
  if (!isObject(block) || block.type !== 'text') throw invalid(`${at}.type`, 'must be text');
  if (typeof block.text !== 'string') throw invalid(`${at}.text`, 'must be a text');
  return { type: 'text', text: block.text, ...cacheOf(block) };
}

function readMessages(messages: unknown, system: TextBlock[], only: Set<string>): Turn[] {
  if (!Array.isArray(messages)) throw invalid('messages', 'must be a list of messages');
  if (messages.length === 0) throw invalid('messages', 'must hold at least one message');
  const turns: Turn[] = [];
  messages.forEach((message: unknown, i) => {
    const at = `messages.${i}`;
    if (!isObject(message)) throw invalid(at, 'must be an object with a role and content');
    const { role, content } = message;
    if (typeof content !== 'string' && !Array.isArray(content)) {
      throw invalid(`${at}.content`, 'must be a text or a list of blocks');
    }
    if (role === 'system') {
      // In mid-conversation; elsewhere there is one place for what the system says.
      if (typeof content === 'string') system.push({ type: 'text', text: content });
      else for (const [j, block] of content.entries()) system.push(readText(block, `${at}.content.${j}`));
    } else if (role === 'user' || role === 'assistant') {
      turns.push({ role, blocks: readBlocks(content, `${at}.content`, only) });
    } else throw invalid(`${at}.role`, `must be user, assistant or system, not ${String(role).slice(0, 40)}`);
  });
  return turns;
}

/** A mark on the request as a whole stands for one on its last block that can bear it. */
function withAutomaticMark(turns: Turn[], json: Fields): Turn[] {
  const { cache } = cacheOf(json);
  const turn = turns.at(-1);
  const at = turn?.blocks.findLastIndex((block) => block.type !== 'thinking') ?? -1;
  if (cache === undefined || turn === undefined || at === -1) return turns;
  const blocks = turn.blocks.map((block, i) => (i === at && block.type !== 'thinking' ? { ...block, cache } : block));
  return [...turns.slice(0, -1), { role: turn.role, blocks }];
}

/**
 * Clearing old results or old thinking only shortens what the model reads of a history that the client still sends
 * whole; other edits (compaction) change what comes back.
 */
function removesMore(management: unknown): boolean {
  if (management == null) return false;
  const edits = isObject(management) ? (management.edits ?? []) : undefined;
  return !Array.isArray(edits) || !edits.every((edit) => isObject(edit) && /^clear_/.test(String(edit.type)));
}

function readTools(tools: unknown, only: Set<string>): Tool[] {
  if (tools == null) return [];
  if (!Array.isArray(tools)) throw invalid('tools', 'must be a list of tools');
  const read: Tool[] = [];
  tools.forEach((tool: unknown, i) => {
    const at = `tools.${i}`;
    if (!isObject(tool)) throw invalid(at, 'must be an object');
    if (tool.type != null && tool.type !== 'custom') {
      // Run by Anthropic, or known to its models by heart: `web_search_20250305`, `bash_20250124` …
      only.add(String(tool.name ?? tool.type).slice(0, 80));
      return;
    }
    if (typeof tool.name !== 'string' || tool.name === '') throw invalid(`${at}.name`, 'must name the tool');
    if (!isObject(tool.input_schema)) throw invalid(`${at}.input_schema`, 'must be a JSON Schema of an object');
    if (Array.isArray(tool.allowed_callers) && tool.allowed_callers.some((caller) => caller !== 'direct')) {
      only.add('allowed_callers');
    }
    read.push({
      name: tool.name,
      ...(typeof tool.description === 'string' && { description: tool.description }),
      parameters: tool.input_schema,
      ...(typeof tool.strict === 'boolean' && { strict: tool.strict }),
      ...cacheOf(tool),
    });
  });
  return read;
}

function readToolChoice(choice: unknown): Pick<Conversation, 'toolChoice' | 'parallelToolCalls'> {
  if (choice == null) return {};
  if (!isObject(choice)) throw invalid('tool_choice', 'must be an object with a type');
  const { type, name, disable_parallel_tool_use: disabled } = choice;
  const parallelToolCalls = typeof disabled === 'boolean' ? { parallelToolCalls: !disabled } : {};
  const said = (toolChoice: ToolChoice) => ({ toolChoice, ...parallelToolCalls });
  if (type === 'auto' || type === 'none') return said({ type });
  if (type === 'any') return said({ type: 'required' });
  if (type !== 'tool') throw invalid('tool_choice.type', 'must be auto, any, tool or none');
  if (typeof name !== 'string') throw invalid('tool_choice.name', 'must name the tool');
  return said({ type: 'tool', name });
}

const EFFORTS: ReadonlySet<unknown> = new Set<Effort>(['low', 'medium', 'high', 'xhigh', 'max']);

/** What `thinking` and `output_config.effort` say. @throws `INVALID_REQUEST` */
export function readReasoning({ thinking, output_config: output }: Fields): Reasoning | undefined {
  const effort = isObject(output) && EFFORTS.has(output.effort) ? { effort: output.effort as Effort } : {};
  if (thinking == null) return 'effort' in effort ? effort : undefined;
  if (!isObject(thinking)) throw invalid('thinking', 'must be an object with a type');
  const { type, budget_tokens: budgetTokens, display } = thinking;
  if (type === 'disabled') return { enabled: false, ...effort };
  const shown = display === 'summarized' ? { visible: true } : display === 'omitted' ? { visible: false } : {};
  if (type === 'adaptive' || type === 'between_tools') return { enabled: true, ...effort, ...shown };
  if (type !== 'enabled') throw invalid('thinking.type', 'must be enabled, adaptive, between_tools or disabled');
  if (typeof budgetTokens !== 'number') throw invalid('thinking.budget_tokens', 'must be a number of tokens');
  // Models of the time of budgets show what they think unless told otherwise.
  return { enabled: true, budgetTokens, visible: true, ...effort, ...shown };
}

/** `output_format` is what `output_config.format` was called in its beta. */
function readFormat({ output_config: output, output_format: beta }: Fields): ResponseFormat | undefined {
  const format = (isObject(output) ? output.format : undefined) ?? beta;
  if (format == null) return undefined;
  if (!isObject(format) || format.type !== 'json_schema' || !isObject(format.schema)) {
    throw invalid('output_config.format', 'must be a json_schema with its schema');
  }
  const { title } = format.schema;
  // Other protocols want a name; Anthropic's format, always held to its schema, has none.
  const name = typeof title === 'string' && /^[\w-]{1,64}$/.test(title) ? title : 'answer';
  return { type: 'json_schema', name, schema: format.schema, strict: true };
}

function readStop(stop: unknown): string[] {
  if (stop == null) return [];
  if (!Array.isArray(stop) || !stop.every((word) => typeof word === 'string')) {
    throw invalid('stop_sequences', 'must be a list of texts');
  }
  return stop;
}

function number(json: Fields, field: string): number | undefined {
  const value = json[field];
  if (value == null) return undefined;
  if (typeof value !== 'number') throw invalid(field, 'must be a number');
  return value;
}

function count(json: Fields, field: string): number | undefined {
  const value = number(json, field);
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0))
    throw invalid(field, 'must be a whole number');
  return value;
}

const invalid = (field: string, message: string) => new RoutingError('INVALID_REQUEST', `${field}: ${message}`);
