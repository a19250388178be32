/** A whole answer of Converse, its usage and why it ended. */
import { count, isObject, type Usage } from '../../forward/usage.ts';
import type { Answer, AnswerBlock, FinishReason, Maker } from '../conversation.ts';
import { type Dialect, NotThisProtocol, ToldError } from '../protocol.ts';
import { errorOf, malformedOutput } from './errors.ts';
import { redactedFromBytes } from './turns.ts';

type Json = Readonly<Record<string, unknown>>;

export function readAnswer(payload: Json, dialect: Dialect): Answer {
  const usage = readUsage(payload.usage);
  const message = isObject(payload.output) ? payload.output.message : undefined;
  if (!isObject(message)) {
    const told = errorOf(payload);
    if (told !== undefined) throw new ToldError(told, usage);
    throw new NotThisProtocol('JSON that is no answer of Converse: it holds no output.message', usage);
  }
  if (!Array.isArray(message.content)) throw new NotThisProtocol('an answer whose content is no list', usage);
  const malformed = malformedOutput(payload.stopReason);
  if (malformed !== undefined) throw new ToldError(malformed, usage);
  const blocks = message.content.flatMap((block) => blockOf(block, makerOf(dialect)));
  const calls = blocks.some((block) => block.type === 'tool_call');
  return {
    id: null, // Only a header has one.
    blocks,
    finish: finishOf(payload.stopReason, calls),
    ...stopSequenceOf(payload),
    usage,
  };
}

/** Sealed reasoning is read for Claude only: what others seal would not be taken back. */
export const makerOf = ({ maker }: Dialect): Maker => maker ?? 'anthropic';

function blockOf(block: unknown, maker: Maker): AnswerBlock[] {
  if (!isObject(block)) return [];
  if (typeof block.text === 'string') return [{ type: 'text', text: block.text }];
  if (isObject(block.toolUse)) {
    const { toolUseId, name, input, type } = block.toolUse;
    if (typeof toolUseId !== 'string' || typeof name !== 'string') {
      throw new NotThisProtocol('a toolUse without an id or a name');
    }
    // A tool that ran on the host's side asks nothing of the client.
    if (type === 'server_tool_use') return [];
    return [{ type: 'tool_call', id: toolUseId, name, arguments: JSON.stringify(input ?? {}) }];
  }
  if (isObject(block.reasoningContent)) return reasoning(block.reasoningContent, maker);
  // Text with its sources: the protocols of the clients have no place for these.
  if (isObject(block.citationsContent) && Array.isArray(block.citationsContent.content)) {
    const text = block.citationsContent.content.map((part) => (isObject(part) ? String(part.text ?? '') : '')).join('');
    return [{ type: 'text', text }];
  }
  return [];
}

function reasoning({ reasoningText, redactedContent }: Json, maker: Maker): AnswerBlock[] {
  if (typeof redactedContent === 'string') {
    if (maker !== 'anthropic') return [];
    return [
      { type: 'thinking', text: '', redacted: true, sealed: { by: maker, data: redactedFromBytes(redactedContent) } },
    ];
  }
  if (!isObject(reasoningText)) return [];
  const { text, signature } = reasoningText;
  const signed = typeof signature === 'string' && signature !== '' && maker === 'anthropic';
  return [
    {
      type: 'thinking',
      text: typeof text === 'string' ? text : '',
      ...(signed && { sealed: { by: maker, data: signature } }),
    },
  ];
}

const FINISH: ReadonlyMap<unknown, FinishReason> = new Map<unknown, FinishReason>([
  ['end_turn', 'stop'],
  ['tool_use', 'tool_calls'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['stop_sequence', 'stop_sequence'],
  ['content_filtered', 'content_filter'],
  ['guardrail_intervened', 'content_filter'],
  ['refusal', 'refusal'],
  ['pause_turn', 'pause'],
]);

/** @param calls the answer holds tool calls: a reason that is not known yet then means them */
export const finishOf = (stopReason: unknown, calls: boolean): FinishReason =>
  FINISH.get(stopReason) ?? (calls ? 'tool_calls' : 'stop');

/** The stop sequence that Claude met, of the fields that were asked for. */
export function stopSequenceOf({ additionalModelResponseFields: fields }: Json): { stopSequence?: string } {
  if (!isObject(fields)) return {};
  const found = fields.stop_sequence ?? (isObject(fields.delta) ? fields.delta.stop_sequence : undefined);
  return typeof found === 'string' ? { stopSequence: found } : {};
}

/** `inputTokens` leaves out what the cache gave and took; `Usage` counts it in. */
export function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const plain = count(raw.inputTokens);
  const outputTokens = count(raw.outputTokens);
  if (plain === null || outputTokens === null) return null;
  const cachedInputTokens = count(raw.cacheReadInputTokens) ?? 0;
  const cacheWriteTokens = count(raw.cacheWriteInputTokens) ?? 0;
  return {
    inputTokens: plain + cachedInputTokens + cacheWriteTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens,
    reasoningTokens: null, // Part of the output, and not told apart.
  };
}
