/** A Responses request → a conversation. */
import { isObject } from '../../forward/usage.ts';
import type { Conversation, Effort, Reasoning, ResponseFormat } from '../conversation.ts';
import { flag, type Json, list, number, object, oneOf, optional, refuse, text, whole } from './fields.ts';
import { readItems } from './items-read.ts';
import { readTools } from './tools-read.ts';

const EFFORTS: readonly Effort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

/** Fields that are read below, or that are for the gateway or the caller's own books: no answer changes by them. */
const KNOWN = new Set([
  ...['model', 'input', 'instructions', 'stream', 'stream_options', 'tools', 'tool_choice', 'parallel_tool_calls'],
  ...[
    'max_output_tokens',
    'temperature',
    'top_p',
    'reasoning',
    'text',
    'user',
    'safety_identifier',
    'include',
    'store',
  ],
  ...['truncation', 'service_tier', 'top_logprobs', 'background', 'previous_response_id', 'conversation', 'prompt'],
  // How often OpenAI's own tools may run; those tools bar a translation themselves.
  'max_tool_calls',
  ...['metadata', 'client_metadata', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options'],
  ...['routing', 'plugins', 'models'],
]);

/** @throws `INVALID_REQUEST` naming the field at fault */
export function readRequest(json: Json): Conversation {
  const only = [...onlyHere(json)];
  const instructions = optional(json.instructions, 'instructions', text);
  // What a provider holds may take the place of input.
  const held = json.previous_response_id ?? json.conversation ?? json.prompt;
  const items = readItems(json.input == null && held != null ? [] : json.input);
  const { tools, toolChoice, only: onlyTools } = readTools(json);
  return {
    system: [...(instructions ? [{ type: 'text' as const, text: instructions }] : []), ...items.system],
    turns: items.turns,
    tools,
    ...given('toolChoice', toolChoice),
    ...given('parallelToolCalls', optional(json.parallel_tool_calls, 'parallel_tool_calls', flag)),
    ...given('maxOutputTokens', optional(json.max_output_tokens, 'max_output_tokens', whole)),
    ...given('temperature', optional(json.temperature, 'temperature', number)),
    ...given('topP', optional(json.top_p, 'top_p', number)),
    stop: [],
    ...given(
      'reasoning',
      optional(json.reasoning, 'reasoning', (value) => readReasoning(value, only)),
    ),
    ...given('responseFormat', readFormat(json)),
    ...given('user', optional(json.safety_identifier, 'safety_identifier', text) ?? optional(json.user, 'user', text)),
    stream: optional(json.stream, 'stream', flag) ?? false,
    only: [...new Set([...only, ...items.only, ...onlyTools])],
  };
}

const given = <K extends string, T>(name: K, value: T | undefined): { [P in K]?: T } =>
  (value === undefined ? {} : { [name]: value }) as { [P in K]?: T };

function* onlyHere(json: Json): Iterable<string> {
  for (const field of ['previous_response_id', 'conversation', 'prompt']) if (json[field] != null) yield field;
  if (json.background === true) yield 'background';
  // Asked for by name: the response could not be fetched later. Left out, it is answered as not stored.
  if (json.store === true) yield 'store';
  if (json.truncation === 'auto') yield 'truncation';
  if (typeof json.top_logprobs === 'number' && json.top_logprobs > 0) yield 'top_logprobs';
  const { service_tier: tier } = json;
  if (tier != null && tier !== 'auto' && tier !== 'default') yield 'service_tier';
  // The other inclusions are about OpenAI's own tools, which bar a translation themselves.
  const include = optional(json.include, 'include', list) ?? [];
  if (include.includes('message.output_text.logprobs')) yield 'include';
  for (const field of Object.keys(json)) if (!KNOWN.has(field) && json[field] != null) yield field.slice(0, 40);
}

function readReasoning(value: unknown, only: string[]): Reasoning {
  const json = object(value, 'reasoning');
  const effort = optional(json.effort, 'reasoning.effort', (raw, path) => oneOf(raw, EFFORTS, path));
  const summary = optional(json.summary ?? json.generate_summary, 'reasoning.summary', text);
  if (json.mode != null && json.mode !== 'standard') only.push('reasoning.mode');
  return {
    ...(effort !== undefined && { enabled: effort !== 'none', effort }),
    ...(summary !== undefined && { visible: true }),
  };
}

/** `text.verbosity` is a wish about style that no other protocol has a word for; it is let go. */
function readFormat(json: Json): ResponseFormat | undefined {
  const settings = optional(json.text, 'text', object) ?? {};
  const format = optional(settings.format, 'text.format', object);
  if (format === undefined) return undefined;
  const type = oneOf(format.type, ['text', 'json_object', 'json_schema'] as const, 'text.format.type');
  if (type === 'text') return { type };
  if (type === 'json_object') return { type: 'json' };
  const strict = optional(format.strict, 'text.format.strict', flag);
  if (!isObject(format.schema)) refuse('text.format.schema', 'must be an object');
  return {
    type,
    name: text(format.name, 'text.format.name'),
    schema: format.schema,
    ...(strict !== undefined && { strict }),
  };
}
