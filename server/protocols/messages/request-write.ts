/**
 * A conversation → a Messages request. Where Anthropic's rules are stricter than another protocol's, the request is
 * brought into the form they ask for, and refused where that would change what was asked.
 *
 * Left out, being hints that no answer depends on: seed and penalties, image detail, a user id that is too long.
 */
import { isObject } from '../../forward/usage.ts';
import type { Block, Conversation, ResponseFormat, TextBlock, Tool, Turn } from '../conversation.ts';
import { Untranslatable, type WriteTarget } from '../protocol.ts';
import { MarkBudget, systemBlock, turnBlocks, type WriteBlocks } from './blocks-write.ts';
import { thinkingFields, traitsOf } from './claude.ts';

type Written = Record<string, unknown>;

/** The longest answer asked for where neither the client nor the catalogue names a bound. */
const DEFAULT_MAX_TOKENS = 4096;

/** @throws Untranslatable */
export function writeMessagesRequest(conversation: Conversation, target: WriteTarget): Written {
  refuse(conversation);
  const asked = conversation.maxOutputTokens ?? target.maxOutputTokens ?? DEFAULT_MAX_TOKENS;
  // A client that does not know its model cannot know the model's bound either, above which Anthropic refuses.
  const maxTokens = Math.min(asked, target.maxOutputTokens ?? asked);
  const turns = formedTurns(conversation);
  const traits = traitsOf(target.model);
  if (turns.at(-1)?.role === 'assistant' && !traits.prefill) {
    throw new Untranslatable('messages', `${target.model} does not go on from an assistant message at the end`);
  }
  const maker = target.dialect.maker ?? 'anthropic';
  const forced = conversation.toolChoice?.type === 'required' || conversation.toolChoice?.type === 'tool';
  const impossible =
    (forced && traits.forcedToolEndsThinking) ||
    (!traits.adaptive && (turns.at(-1)?.role === 'assistant' || lacksThinking(turns, maker)));
  const { thinking, effort } = thinkingFields(conversation.reasoning, target, maxTokens, impossible);
  const thinks = thinking?.type === 'enabled' || thinking?.type === 'adaptive';
  const tools = conversation.tools.length > 0 ? conversation.tools : toolsCalled(turns);
  const marks = new MarkBudget([...tools, ...conversation.system, ...turns.flatMap(({ blocks }) => blocks)]);
  const writing: WriteBlocks = { maker, thinks, marks };
  // The order of the prefix that is cached: tools, system, messages.
  const writtenTools = tools.map((tool) => writeTool(tool, marks));
  const system =
    turns.length === 0 ? [] : conversation.system.map((block) => systemBlock(block, marks)).filter(isNotNull);
  const messages = writeMessages(turns.length === 0 ? systemAlone(conversation.system) : turns, writing);
  const format = writeFormat(conversation.responseFormat);
  return withoutUndefined({
    model: target.model,
    max_tokens: maxTokens,
    system: system.length === 0 ? undefined : system,
    messages,
    tools: writtenTools.length === 0 ? undefined : writtenTools,
    tool_choice: writtenTools.length === 0 ? undefined : writeToolChoice(conversation),
    thinking,
    output_config: effort === undefined && format === undefined ? undefined : withoutUndefined({ effort, format }),
    stop_sequences: conversation.stop.length === 0 ? undefined : conversation.stop,
    ...(target.sampling && !thinks ? sampling(conversation) : {}),
    // Longer ids are refused.
    metadata:
      conversation.user !== undefined && conversation.user.length <= 256 ? { user_id: conversation.user } : undefined,
    stream: conversation.stream || undefined,
  });
}

function refuse({ only, responseFormat, stop }: Conversation): void {
  const [field] = only;
  if (field !== undefined) throw new Untranslatable(field, 'has no counterpart in Anthropic’s protocol');
  // An instruction to write JSON is not the guarantee that was asked for.
  if (responseFormat?.type === 'json') {
    throw new Untranslatable(
      'response_format',
      'Anthropic’s protocol has no JSON mode without a schema; send json_schema',
    );
  }
  if (stop.some((word) => word.trim() === '')) {
    throw new Untranslatable('stop', 'Anthropic’s protocol takes no stop sequence of spaces or line ends alone');
  }
}

/** Newer models refuse the two together, so the one that clients set more often stands for both. */
function sampling({ temperature, topP, topK }: Conversation): Written {
  return withoutUndefined({
    // OpenAI's scale goes to 2.
    temperature: temperature === undefined ? undefined : Math.min(temperature, 1),
    top_p: temperature === undefined ? topP : undefined,
    top_k: topK,
  });
}

/** Neighbouring turns of one role made one, the results of tools first in theirs. */
function formedTurns({ turns }: Conversation): Turn[] {
  const merged: { role: Turn['role']; blocks: Block[] }[] = [];
  for (const { role, blocks } of turns) {
    const last = merged.at(-1);
    if (last?.role === role) last.blocks.push(...blocks);
    else merged.push({ role, blocks: [...blocks] });
  }
  return merged.map(({ role, blocks }) => {
    if (role === 'assistant') return { role, blocks };
    const results = blocks.filter((block) => block.type === 'tool_result');
    return { role, blocks: [...results, ...blocks.filter((block) => block.type !== 'tool_result')] };
  });
}

/**
 * With a budget for thinking, the last assistant turn with tool calls must begin with what was thought for them. Turns
 * of another model have no thinking that Claude could read, so this one is answered without.
 */
function lacksThinking(turns: readonly Turn[], maker: string): boolean {
  const last = turns.findLast(({ role }) => role === 'assistant');
  const first = last?.blocks.find((block) => block.type !== 'thinking' || block.sealed?.by === maker);
  return last?.blocks.some((block) => block.type === 'tool_call') === true && first?.type !== 'thinking';
}

/** A request that is a system prompt and nothing else: Anthropic wants a message, and this is the only one there is. */
const systemAlone = (system: readonly TextBlock[]): Turn[] => [{ role: 'user', blocks: system }];

/** What a turn says that has to be there and is empty. */
const NOTHING_SAID = { type: 'text', text: '(no message)' };

function writeMessages(turns: readonly Turn[], writing: WriteBlocks): Written[] {
  const messages: { role: string; content: Written[] }[] = [];
  turns.forEach(({ role, blocks }, i) => {
    const content = turnBlocks({ role, blocks }, writing, i === turns.length - 1);
    const last = messages.at(-1);
    if (content.length === 0) return;
    // A turn between them may have come to nothing.
    if (last?.role === role) last.content.push(...content);
    else messages.push({ role, content });
  });
  if (messages[0]?.role !== 'user') messages.unshift({ role: 'user', content: [NOTHING_SAID] });
  return messages;
}

/** A history with calls needs their tools declared, even where none may be called any more. */
function toolsCalled(turns: readonly Turn[]): Tool[] {
  const names = turns.flatMap(({ blocks }) =>
    blocks.flatMap((block) => (block.type === 'tool_call' ? [block.name] : [])),
  );
  return [...new Set(names)].map((name) => ({ name, parameters: { type: 'object' } }));
}

function writeTool({ name, description, parameters, strict, cache }: Tool, marks: MarkBudget): Written {
  return withoutUndefined({
    name,
    description,
    input_schema: 'type' in parameters ? parameters : { type: 'object', ...parameters },
    strict: strict === true ? true : undefined,
    cache_control: marks.take(cache),
  });
}

function writeToolChoice({ tools, toolChoice, parallelToolCalls }: Conversation): Written | undefined {
  if (tools.length === 0 || toolChoice?.type === 'none') return { type: 'none' };
  const parallel = parallelToolCalls === false ? { disable_parallel_tool_use: true } : {};
  if (toolChoice?.type === 'tool') return { type: 'tool', name: toolChoice.name, ...parallel };
  if (toolChoice?.type === 'required') return { type: 'any', ...parallel };
  return toolChoice !== undefined || parallelToolCalls === false ? { type: 'auto', ...parallel } : undefined;
}

/** No detour over a forced tool for models older than 4.1: they refuse the field, and another model is tried. */
function writeFormat(format: ResponseFormat | undefined): Written | undefined {
  return format?.type === 'json_schema' ? { type: 'json_schema', schema: closed(format.schema) } : undefined;
}

/**
 * Anthropic wants every object with named properties closed. An answer that keeps to the narrower schema keeps to the
 * client's; an object without named properties is left as it is, since closing it would empty it.
 */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!isObject(schema)) return schema;
  const entries = Object.entries(schema).map(([key, value]): [string, unknown] => {
    if (SCHEMA_MAPS.has(key) && isObject(value)) {
      return [key, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, closed(inner)]))];
    }
    return [key, SCHEMAS.has(key) ? closed(value) : value];
  });
  const open = schema.type === 'object' && isObject(schema.properties) && schema.additionalProperties === undefined;
  return Object.fromEntries(open ? [...entries, ['additionalProperties', false]] : entries);
}

/** Keywords that hold schemas by name, and keywords that hold schemas. Not `allOf`: its parts, closed, exclude each other. */
const SCHEMA_MAPS = new Set(['properties', '$defs', 'definitions']);
const SCHEMAS = new Set(['items', 'anyOf', 'oneOf', 'prefixItems']);

const isNotNull = <T>(value: T | null): value is T => value !== null;

const withoutUndefined = (fields: Written): Written =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
