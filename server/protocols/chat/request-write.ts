/** A conversation → an OpenAI chat request in the dialect of the host it goes to. */
import { createHash } from 'node:crypto';
import type {
  Block,
  Conversation,
  FileBlock,
  ImageBlock,
  Reasoning,
  TextBlock,
  ToolCallBlock,
  ToolResultBlock,
  Turn,
} from '../conversation.ts';
import { type Dialect, Untranslatable, type WriteTarget } from '../protocol.ts';
import { writeSealed, writeSealedCall } from './reasoning-details.ts';

/** @throws Untranslatable */
export function writeChatRequest(conversation: Conversation, target: WriteTarget): Record<string, unknown> {
  const [only] = conversation.only;
  if (only !== undefined) throw new Untranslatable(only, 'has no counterpart in the OpenAI chat protocol');
  const { dialect } = target;
  const messages: Record<string, unknown>[] = [...systemMessages(conversation.system, dialect)];
  for (const turn of conversation.turns) messages.push(...turnMessages(turn, dialect));
  const { stream, user, parallelToolCalls, maxOutputTokens } = conversation;
  return withoutUndefined({
    model: target.model,
    messages,
    tools: conversation.tools.length === 0 ? undefined : conversation.tools.map(writeTool),
    tool_choice: writeToolChoice(conversation),
    parallel_tool_calls: conversation.tools.length === 0 ? undefined : parallelToolCalls,
    [dialect.outputLimit ?? 'max_tokens']: maxOutputTokens,
    ...sampling(conversation, target),
    stop: conversation.stop.length === 0 ? undefined : conversation.stop,
    ...reasoningFields(conversation.reasoning, target),
    response_format: writeFormat(conversation),
    user,
    stream: stream || undefined,
    stream_options: stream && dialect.asksForStreamUsage !== false ? { include_usage: true } : undefined,
  });
}

function sampling(conversation: Conversation, { sampling: takes, dialect }: WriteTarget) {
  if (!takes) return {};
  const { temperature, topP, seed, presencePenalty, frequencyPenalty } = conversation;
  return {
    temperature,
    top_p: topP,
    [dialect.seedField ?? 'seed']: seed,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
  };
}

function systemMessages(system: readonly TextBlock[], dialect: Dialect) {
  if (system.length === 0) return [];
  const role = dialect.systemRole ?? 'system';
  const marked = dialect.cacheMarks === true && system.some((block) => block.cache);
  // Not every host takes a list of parts here.
  return [{ role, content: marked ? system.map((b) => textPart(b, dialect)) : system.map((b) => b.text).join('\n\n') }];
}

function turnMessages(turn: Turn, dialect: Dialect): Record<string, unknown>[] {
  return turn.role === 'assistant' ? assistantMessages(turn.blocks, dialect) : userMessages(turn.blocks, dialect);
}

/** Results come first: each has to follow the calls it answers. Pictures in them go into the user's message after. */
function userMessages(blocks: readonly Block[], dialect: Dialect): Record<string, unknown>[] {
  const results = blocks.filter((block) => block.type === 'tool_result');
  const messages: Record<string, unknown>[] = results.map((result) => ({
    role: 'tool',
    tool_call_id: toolId(result.callId, dialect),
    content: resultText(result),
  }));
  const parts: Record<string, unknown>[] = [];
  for (const result of results) {
    const shown = result.content.filter((block) => block.type !== 'text');
    if (shown.length === 0) continue;
    parts.push({ type: 'text', text: `Returned by the tool call ${toolId(result.callId, dialect)}:` });
    parts.push(...shown.map((block) => mediaPart(block, dialect)));
  }
  for (const block of blocks) {
    if (block.type === 'text') parts.push(textPart(block, dialect));
    else if (block.type === 'image' || block.type === 'file') parts.push(mediaPart(block, dialect));
    else if (block.type === 'audio') {
      parts.push({ type: 'input_audio', input_audio: { data: block.data, format: block.format } });
    }
  }
  if (parts.length > 0) messages.push({ role: 'user', content: plainest(parts) });
  return messages;
}

/** This protocol has no flag for a failed tool. */
function resultText({ content, isError }: ToolResultBlock): string {
  const text = content
    .filter((block) => block.type === 'text')
    .map((block) => block.text)
    .join('\n');
  return isError && !/^\s*(error|exception|traceback)/i.test(text) ? `Error: ${text}` : text;
}

/** One text needs no list. */
function plainest(parts: readonly Record<string, unknown>[]): unknown {
  const [first] = parts;
  return parts.length === 1 && first?.type === 'text' && !('cache_control' in first) ? first.text : parts;
}

function assistantMessages(blocks: readonly Block[], dialect: Dialect): Record<string, unknown>[] {
  const texts = blocks.filter((block) => block.type === 'text');
  const calls = blocks.filter((block) => block.type === 'tool_call');
  const thinking = blocks.filter((block) => block.type === 'thinking');
  if (texts.length === 0 && calls.length === 0 && thinking.length === 0) return [];
  const marked = dialect.cacheMarks === true && texts.some((block) => block.cache);
  const content = marked ? texts.map((b) => textPart(b, dialect)) : texts.map((b) => b.text).join('');
  const message: Record<string, unknown> = {
    role: 'assistant',
    content: content === '' && calls.length > 0 ? null : content,
  };
  if (calls.length > 0) message.tool_calls = calls.map((call) => writeCall(call, dialect));
  if (dialect.returnsReasoning === true) {
    message.reasoning_content = thinking.map((block) => block.text).join('');
  }
  if (dialect.reasoningStyle === 'openrouter') {
    const details = [
      ...thinking.flatMap((b) => (b.sealed ? [writeSealed(b.sealed, b.text, b.redacted === true)] : [])),
      ...calls.flatMap((call) => (call.sealed ? [writeSealedCall(call.sealed, call.id)] : [])),
    ];
    if (details.length > 0) message.reasoning_details = details;
  }
  return [message];
}

const writeCall = (call: ToolCallBlock, dialect: Dialect) => ({
  id: toolId(call.id, dialect),
  type: 'function',
  function: { name: call.name, arguments: call.arguments },
  ...(dialect.maker === 'google' &&
    call.sealed?.by === 'google' && { extra_content: { google: { thought_signature: call.sealed.data } } }),
});

/** Mistral takes nine letters and digits only: any other id becomes nine of its hash, wherever it stands. */
export function toolId(id: string, { toolIdPattern }: Dialect): string {
  if (toolIdPattern !== 'mistral' || /^[a-zA-Z0-9]{9}$/.test(id)) return id;
  return createHash('sha256').update(id).digest('hex').slice(0, 9);
}

const textPart = (block: TextBlock, dialect: Dialect): Record<string, unknown> => ({
  type: 'text',
  text: block.text,
  ...(dialect.cacheMarks === true &&
    block.cache && { cache_control: { type: 'ephemeral', ...(block.cache.ttl && { ttl: block.cache.ttl }) } }),
});

function mediaPart(block: ImageBlock | FileBlock | TextBlock, dialect: Dialect): Record<string, unknown> {
  if (block.type === 'text') return textPart(block, dialect);
  const { source } = block;
  if (block.type === 'image') {
    if (source.kind === 'file') throw new Untranslatable('image', `file ${source.fileId} is held by another provider`);
    const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
    return { type: 'image_url', image_url: { url, ...(block.detail && { detail: block.detail }) } };
  }
  if (source.kind !== 'base64')
    throw new Untranslatable('file', 'this protocol takes a file’s bytes, not where it lies');
  const file_data = `data:${source.mediaType};base64,${source.data}`;
  return { type: 'file', file: { filename: block.name ?? 'file.pdf', file_data } };
}

function writeTool({ name, description, parameters, strict }: Conversation['tools'][number]) {
  return { type: 'function', function: withoutUndefined({ name, description, parameters, strict }) };
}

function writeToolChoice({ tools, toolChoice }: Conversation): unknown {
  if (toolChoice === undefined || tools.length === 0) return undefined;
  return toolChoice.type === 'tool' ? { type: 'function', function: { name: toolChoice.name } } : toolChoice.type;
}

function writeFormat({ responseFormat: format }: Conversation): unknown {
  if (format?.type === 'json') return { type: 'json_object' };
  if (format?.type !== 'json_schema') return undefined;
  const { name, schema, strict } = format;
  return { type: 'json_schema', json_schema: withoutUndefined({ name, schema, strict }) };
}

/** Thinking tokens that stand for an effort, where only one of the two can be said. */
const BUDGETS = { none: 0, minimal: 1024, low: 2048, medium: 8192, high: 16_384, xhigh: 32_768, max: 65_536 } as const;

function reasoningFields(wish: Reasoning | undefined, { dialect, reasoning }: WriteTarget): Record<string, unknown> {
  if (wish === undefined || !reasoning) return {};
  const off = wish.enabled === false || wish.effort === 'none';
  const effort = wish.effort ?? (wish.budgetTokens === undefined ? undefined : effortFor(wish.budgetTokens));
  const budget = wish.budgetTokens ?? (wish.effort === undefined ? undefined : BUDGETS[wish.effort]);
  switch (dialect.reasoningStyle ?? 'reasoning_effort') {
    case 'none':
      return {};
    case 'thinking':
      return { thinking: { type: off ? 'disabled' : 'enabled' }, ...(effort && !off && { reasoning_effort: effort }) };
    case 'enable_thinking':
      return { enable_thinking: !off, ...(budget && !off && { thinking_budget: budget }) };
    case 'openrouter':
      if (off) return { reasoning: { enabled: false } };
      if (wish.budgetTokens !== undefined) return { reasoning: { max_tokens: wish.budgetTokens } };
      return { reasoning: effort === undefined ? { enabled: true } : { effort } };
    default:
      return off ? { reasoning_effort: 'none' } : effort === undefined ? {} : { reasoning_effort: effort };
  }
}

const effortFor = (budget: number) => (budget < 4096 ? 'low' : budget < 12_288 ? 'medium' : 'high');

const withoutUndefined = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
