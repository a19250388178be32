/** A conversation → the body of Cohere's `POST /v2/chat`. */
import type { Conversation, Reasoning, ResponseFormat, Tool } from '../conversation.ts';
import { Untranslatable, type WriteTarget } from '../protocol.ts';
import { writeMessages } from './messages-write.ts';

const MAX_STOPS = 5;

/** Tokens of thinking for each effort; from `high` on there is no bound but the model's own. */
const BUDGETS = { minimal: 512, low: 2048, medium: 8192, high: undefined, xhigh: undefined, max: undefined };

/**
 * Left out because Cohere has no word for it and an answer is right without: the end user's id, cache marks (it
 * caches by itself), a schema's name. `parallelToolCalls: false` is refused where tools may be called: there is no
 * such switch, and a client that takes one call at a time would lose the others.
 *
 * @throws {@link Untranslatable}
 */
export function writeRequest(conversation: Conversation, target: WriteTarget): Record<string, unknown> {
  const { only, stop, reasoning, topP, topK } = conversation;
  if (only.length > 0) throw new Untranslatable(only[0]!, `Cohere has nothing like ${only.join(', ')}`);
  if (stop.length > MAX_STOPS) throw new Untranslatable('stop', `Cohere takes at most ${MAX_STOPS} stop sequences`);
  const all: Record<string, unknown> = {
    model: target.model,
    messages: writeMessages(conversation, { thinks: target.reasoning }),
    ...toolsOf(conversation),
    response_format: formatOf(conversation.responseFormat),
    max_tokens: conversation.maxOutputTokens,
    stop_sequences: stop.length > 0 ? stop : undefined,
    seed: conversation.seed,
    ...(target.sampling && {
      temperature: conversation.temperature,
      // Its ranges are narrower; the ends mean what lies beyond them, "all" and "only the likeliest".
      p: topP === undefined ? undefined : Math.min(Math.max(topP, 0.01), 0.99),
      k: topK === undefined ? undefined : Math.min(Math.max(topK, 0), 500),
      presence_penalty: penalty('presence_penalty', conversation.presencePenalty),
      frequency_penalty: penalty('frequency_penalty', conversation.frequencyPenalty),
    }),
    thinking: reasoning && target.reasoning ? thinkingOf(reasoning) : undefined,
    stream: conversation.stream,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Cohere only discourages repetition, within [0, 1]. */
function penalty(field: string, value: number | undefined): number | undefined {
  if (value !== undefined && (value < 0 || value > 1)) throw new Untranslatable(field, 'Cohere takes 0 to 1');
  return value;
}

function toolsOf(conversation: Conversation): Record<string, unknown> {
  const { toolChoice, parallelToolCalls, responseFormat } = conversation;
  const forced = toolChoice?.type === 'required' || toolChoice?.type === 'tool';
  // One tool cannot be forced among several: it is then the only one sent.
  const tools = conversation.tools.filter(({ name }) => toolChoice?.type !== 'tool' || name === toolChoice.name);
  if (forced && tools.length === 0) throw new Untranslatable('tool_choice', 'there is no such tool to call');
  if (tools.length === 0) return {};
  if (parallelToolCalls === false && toolChoice?.type !== 'none') {
    throw new Untranslatable('parallel_tool_calls', 'Cohere cannot be kept from making several calls at once');
  }
  if (responseFormat !== undefined && responseFormat.type !== 'text') {
    throw new Untranslatable('response_format', 'Cohere takes tools or JSON, not both');
  }
  return {
    tools: tools.map(({ name, description, parameters }) => ({
      type: 'function',
      function: { name, ...(description !== undefined && { description }), parameters },
    })),
    ...(canBeStrict(tools) && { strict_tools: true }),
    ...(forced && { tool_choice: 'REQUIRED' }),
    ...(toolChoice?.type === 'none' && { tool_choice: 'NONE' }),
  };
}

/** Strictness is for all tools or none, and refused where one of them requires no argument; it is then not asked for. */
const canBeStrict = (tools: readonly Tool[]) =>
  tools.some(({ strict }) => strict === true) &&
  tools.every(({ parameters: { required } }) => Array.isArray(required) && required.length > 0);

function formatOf(format: ResponseFormat | undefined): Record<string, unknown> | undefined {
  if (format === undefined || format.type === 'text') return undefined;
  return { type: 'json_object', ...(format.type === 'json_schema' && { json_schema: format.schema }) };
}

function thinkingOf({ enabled, effort, budgetTokens }: Reasoning): Record<string, unknown> | undefined {
  if (enabled === false || effort === 'none') return { type: 'disabled' };
  const budget = budgetTokens ?? (effort && BUDGETS[effort]);
  if (budget === undefined) return enabled === true || effort !== undefined ? { type: 'enabled' } : undefined;
  return budget > 0 ? { type: 'enabled', token_budget: budget } : { type: 'disabled' };
}
