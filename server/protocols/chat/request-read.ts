/** An OpenAI chat request → a conversation. */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';
import type {
  AudioBlock,
  Block,
  CacheMark,
  Conversation,
  Effort,
  FileBlock,
  ImageBlock,
  Reasoning,
  ResponseFormat,
  Source,
  TextBlock,
  ThinkingBlock,
  Tool,
  ToolCallBlock,
  ToolChoice,
  Turn,
} from '../conversation.ts';
import { readReasoningDetails, sealedCallsOf } from './reasoning-details.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Set to anything, these ask for what no other protocol can say. */
const ONLY_HERE = ['logprobs', 'audio', 'web_search_options', 'functions', 'function_call'] as const;

/** @throws `INVALID_REQUEST` naming the field at fault */
export function readChatRequest(json: Fields): Conversation {
  const { messages } = json;
  if (!Array.isArray(messages)) throw invalid('messages', 'must be a list of messages');
  const system: TextBlock[] = [];
  const turns: Turn[] = [];
  messages.forEach((message: unknown, i) => {
    const at = `messages.${i}`;
    if (!isObject(message)) throw invalid(at, 'must be an object with a role');
    const { role } = message;
    if (role === 'system' || role === 'developer') {
      system.push(...readParts(message.content, `${at}.content`).filter((block) => block.type === 'text'));
    } else if (role === 'user') addTurn(turns, 'user', readParts(message.content, `${at}.content`));
    else if (role === 'tool') addTurn(turns, 'user', [toolResult(message, at)]);
    else if (role === 'assistant') addTurn(turns, 'assistant', assistantBlocks(message, at));
    else
      throw invalid(
        `${at}.role`,
        `must be system, developer, user, assistant or tool, not ${String(role).slice(0, 40)}`,
      );
  });
  return { system, turns, ...settings(json), only: onlyHere(json) };
}

/** Neighbouring messages of one role are one turn: so the results of several tools stand together. */
function addTurn(turns: Turn[], role: Turn['role'], blocks: readonly Block[]): void {
  const last = turns.at(-1);
  if (last?.role === role) turns[turns.length - 1] = { role, blocks: [...last.blocks, ...blocks] };
  else turns.push({ role, blocks });
}

function settings(json: Fields): Omit<Conversation, 'system' | 'turns' | 'only'> {
  const maxOutputTokens = number(json, 'max_completion_tokens') ?? number(json, 'max_tokens');
  return {
    tools: readTools(json.tools),
    toolChoice: readToolChoice(json.tool_choice),
    parallelToolCalls: typeof json.parallel_tool_calls === 'boolean' ? json.parallel_tool_calls : undefined,
    maxOutputTokens,
    temperature: number(json, 'temperature'),
    topP: number(json, 'top_p'),
    topK: number(json, 'top_k'),
    seed: number(json, 'seed'),
    presencePenalty: number(json, 'presence_penalty'),
    frequencyPenalty: number(json, 'frequency_penalty'),
    stop: readStop(json.stop),
    reasoning: readReasoning(json),
    responseFormat: readFormat(json.response_format),
    user: text(json.safety_identifier) ?? text(json.user),
    stream: json.stream === true,
  };
}

function onlyHere(json: Fields): string[] {
  const only: string[] = ONLY_HERE.filter((field) => json[field] != null && json[field] !== false);
  if (typeof json.n === 'number' && json.n > 1) only.push('n');
  if (isObject(json.logit_bias) && Object.keys(json.logit_bias).length > 0) only.push('logit_bias');
  if (Array.isArray(json.modalities) && json.modalities.some((m) => m !== 'text')) only.push('modalities');
  if (Array.isArray(json.tools) && json.tools.some((tool) => isObject(tool) && tool.type !== 'function'))
    only.push('tools');
  if (isObject(json.tool_choice) && json.tool_choice.type !== 'function') only.push('tool_choice');
  return only;
}

type Part = TextBlock | ImageBlock | FileBlock | AudioBlock;

function readParts(content: unknown, at: string): Part[] {
  if (content == null) return [];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) throw invalid(at, 'must be a text or a list of parts');
  return content.map((part: unknown, i) => {
    if (!isObject(part)) throw invalid(`${at}.${i}`, 'must be an object with a type');
    return readPart(part, `${at}.${i}`);
  });
}

function readPart(part: Fields, at: string): Part {
  const cache = readCache(part.cache_control);
  if (part.type === 'text' || part.type === 'refusal') {
    return { type: 'text', text: text(part.text) ?? text(part.refusal) ?? '', ...cache };
  }
  if (part.type === 'image_url') {
    const image = isObject(part.image_url) ? part.image_url : { url: part.image_url };
    if (typeof image.url !== 'string') throw invalid(`${at}.image_url.url`, 'must be a URL or a data URL');
    const { detail } = image;
    const known = detail === 'low' || detail === 'high' || detail === 'auto' ? { detail } : {};
    return { type: 'image', source: sourceOf(image.url), ...(known as { detail?: 'low' }), ...cache };
  }
  if (part.type === 'input_audio' && isObject(part.input_audio)) {
    const { data, format } = part.input_audio;
    return { type: 'audio', data: text(data) ?? '', format: text(format) ?? 'wav' };
  }
  if (part.type === 'file' && isObject(part.file)) {
    const { file_data, file_id, filename } = part.file;
    if (typeof file_data === 'string') {
      return { type: 'file', source: sourceOf(file_data, 'application/pdf'), name: text(filename), ...cache };
    }
    if (typeof file_id === 'string') return { type: 'file', source: { kind: 'file', fileId: file_id }, ...cache };
  }
  throw invalid(`${at}.type`, `${String(part.type).slice(0, 40)} is no part that another protocol could take`);
}

/** `data:image/png;base64,…` holds the bytes; any other URL is left to whoever may fetch it. */
export function sourceOf(url: string, bareType?: string): Source {
  const match = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w=.-]+)*;base64,/i.exec(url);
  if (match)
    return {
      kind: 'base64',
      mediaType: match[1] ?? bareType ?? 'application/octet-stream',
      data: url.slice(match[0].length),
    };
  // `file_data` may be bare base64.
  if (bareType !== undefined && !/^[a-z]+:/i.test(url)) return { kind: 'base64', mediaType: bareType, data: url };
  return { kind: 'url', url };
}

export function readCache(mark: unknown): { cache?: CacheMark } {
  if (!isObject(mark)) return {};
  return { cache: mark.ttl === '1h' || mark.ttl === '5m' ? { ttl: mark.ttl } : {} };
}

function toolResult(message: Fields, at: string): Block {
  if (typeof message.tool_call_id !== 'string') throw invalid(`${at}.tool_call_id`, 'must name the call it answers');
  const content = readParts(message.content, `${at}.content`).filter((part) => part.type !== 'audio');
  return { type: 'tool_result', callId: message.tool_call_id, content, isError: false };
}

function assistantBlocks(message: Fields, at: string): Block[] {
  const blocks: Block[] = [...thinkingOf(message)];
  if (typeof message.content === 'string') {
    if (message.content !== '') blocks.push({ type: 'text', text: message.content });
  } else blocks.push(...readParts(message.content, `${at}.content`));
  if (typeof message.refusal === 'string') blocks.push({ type: 'text', text: message.refusal });
  const sealed = sealedCallsOf(message.reasoning_details);
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  calls.forEach((call: unknown, i) => {
    const fn = isObject(call) && isObject(call.function) ? call.function : undefined;
    if (!isObject(call) || fn === undefined || typeof call.id !== 'string' || typeof fn.name !== 'string') {
      throw invalid(`${at}.tool_calls.${i}`, 'must hold an id and a function with its name');
    }
    const block: ToolCallBlock = {
      type: 'tool_call',
      id: call.id,
      name: fn.name,
      arguments: text(fn.arguments) ?? '{}',
    };
    const signature = thoughtSignature(call);
    const seal = signature === undefined ? sealed.get(call.id) : { by: 'google' as const, data: signature };
    blocks.push(seal === undefined ? block : { ...block, sealed: seal });
  });
  return blocks;
}

/** Google's OpenAI-style endpoint hands a call's signature over like this. */
export function thoughtSignature(call: Fields): string | undefined {
  const { extra_content } = call;
  const google = isObject(extra_content) && isObject(extra_content.google) ? extra_content.google : undefined;
  return text(google?.thought_signature);
}

function thinkingOf(message: Fields): ThinkingBlock[] {
  const details = readReasoningDetails(message.reasoning_details);
  if (details.length > 0) return details;
  const said = text(message.reasoning_content) ?? text(message.reasoning);
  return said === undefined || said === '' ? [] : [{ type: 'thinking', text: said }];
}

function readTools(tools: unknown): Tool[] {
  if (tools == null) return [];
  if (!Array.isArray(tools)) throw invalid('tools', 'must be a list');
  return tools.flatMap((tool: unknown, i) => {
    if (!isObject(tool)) throw invalid(`tools.${i}`, 'must be an object');
    // Another kind of tool is among what only this protocol can say.
    if (tool.type !== 'function') return [];
    const { function: fn } = tool;
    if (!isObject(fn) || typeof fn.name !== 'string')
      throw invalid(`tools.${i}.function.name`, 'must name the function');
    const parameters = isObject(fn.parameters) ? fn.parameters : { type: 'object', properties: {} };
    return {
      name: fn.name,
      description: text(fn.description),
      parameters,
      strict: typeof fn.strict === 'boolean' ? fn.strict : undefined,
      ...readCache(tool.cache_control),
    };
  });
}

function readToolChoice(choice: unknown): ToolChoice | undefined {
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { type: choice };
  const name = isObject(choice) && isObject(choice.function) ? choice.function.name : undefined;
  return typeof name === 'string' ? { type: 'tool', name } : undefined;
}

const EFFORTS: ReadonlySet<unknown> = new Set<Effort>(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);
export const effortOf = (value: unknown): Effort | undefined => (EFFORTS.has(value) ? (value as Effort) : undefined);

/** The ways in which clients of this protocol ask for reasoning: OpenAI's own, OpenRouter's, Anthropic's and Alibaba's. */
function readReasoning(json: Fields): Reasoning | undefined {
  const { reasoning, thinking } = json;
  const said: { -readonly [K in keyof Reasoning]: Reasoning[K] } = {};
  const effort = effortOf(json.reasoning_effort) ?? (isObject(reasoning) ? effortOf(reasoning.effort) : undefined);
  if (effort !== undefined) said.effort = effort;
  if (isObject(reasoning)) {
    if (typeof reasoning.enabled === 'boolean') said.enabled = reasoning.enabled;
    if (typeof reasoning.max_tokens === 'number') said.budgetTokens = reasoning.max_tokens;
    if (reasoning.exclude === true) said.visible = false;
  }
  if (isObject(thinking)) {
    if (thinking.type === 'disabled') said.enabled = false;
    else if (thinking.type === 'enabled' || thinking.type === 'adaptive') said.enabled = true;
    if (typeof thinking.budget_tokens === 'number') said.budgetTokens = thinking.budget_tokens;
  }
  if (typeof json.enable_thinking === 'boolean') said.enabled = json.enable_thinking;
  if (typeof json.thinking_budget === 'number') said.budgetTokens = json.thinking_budget;
  return Object.keys(said).length === 0 ? undefined : said;
}

function readFormat(format: unknown): ResponseFormat | undefined {
  if (!isObject(format)) return undefined;
  if (format.type === 'json_object') return { type: 'json' };
  if (format.type === 'text') return { type: 'text' };
  const { json_schema: named } = format;
  if (format.type !== 'json_schema' || !isObject(named) || !isObject(named.schema)) {
    throw invalid('response_format', 'must be text, json_object, or json_schema with a schema');
  }
  const { name, schema, strict } = named;
  return {
    type: 'json_schema',
    name: text(name) ?? 'answer',
    schema: schema as Fields,
    strict: typeof strict === 'boolean' ? strict : undefined,
  };
}

const readStop = (stop: unknown): string[] =>
  (Array.isArray(stop) ? stop : [stop]).filter((word): word is string => typeof word === 'string');

function number(json: Fields, field: string): number | undefined {
  const value = json[field];
  if (value == null) return undefined;
  if (typeof value !== 'number') throw invalid(field, 'must be a number');
  return value;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const invalid = (field: string, message: string) => new RoutingError('INVALID_REQUEST', `${field}: ${message}`);
