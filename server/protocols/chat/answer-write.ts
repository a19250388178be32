/** An answer in OpenAI's chat protocol, whole and streamed, for clients that speak it to a model that does not. */
import type { Usage } from '../../forward/usage.ts';
import type { Answer, AnswerEvent, FinishReason } from '../conversation.ts';
import type { AnswerHead, AnswerWriter, PassOptions } from '../protocol.ts';
import { type ReasoningDetail, writeSealed, writeSealedCall } from './reasoning-details.ts';

export function writeChatAnswer(answer: Answer, head: AnswerHead): Record<string, unknown> {
  const text = join(answer, 'text');
  const refusal = join(answer, 'refusal');
  const thinking = join(answer, 'thinking');
  const calls = answer.blocks.filter((block) => block.type === 'tool_call');
  const details = answer.blocks.flatMap((block): ReasoningDetail[] => {
    if (block.type === 'thinking' && block.sealed)
      return [writeSealed(block.sealed, block.text, block.redacted === true)];
    return block.type === 'tool_call' && block.sealed ? [writeSealedCall(block.sealed, block.id)] : [];
  });
  const message = {
    role: 'assistant',
    content: text === '' && (calls.length > 0 || refusal !== '') ? null : text,
    refusal: refusal === '' ? null : refusal,
    ...(thinking !== '' && { reasoning_content: thinking }),
    ...(details.length > 0 && { reasoning_details: details }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, arguments: args }) => ({
        id,
        type: 'function',
        function: { name, arguments: args },
      })),
    }),
  };
  return {
    ...common(head, 'chat.completion'),
    choices: [{ index: 0, message, logprobs: null, finish_reason: FINISH[answer.finish] }],
    ...(answer.usage !== null && { usage: writeUsage(answer.usage) }),
  };
}

const join = (answer: Answer, type: 'text' | 'refusal' | 'thinking'): string =>
  answer.blocks.map((block) => (block.type === type ? block.text : '')).join('');

/** A refusal is an answer that ended as it should, with its text in `refusal`. */
const FINISH: Readonly<Record<FinishReason, string>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  pause: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
  refusal: 'stop',
};

const common = ({ id, modelId, createdAt }: AnswerHead, object: string) => ({
  id: `chatcmpl-${id}`,
  object,
  created: Math.floor(createdAt.getTime() / 1000),
  model: modelId,
});

export function writeUsage(usage: Usage): Record<string, unknown> {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens } = usage;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: {
      cached_tokens: cachedInputTokens,
      ...(cacheWriteTokens > 0 && { cache_write_tokens: cacheWriteTokens }),
    },
    ...(reasoningTokens !== null && { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  };
}

export function chatWriter(head: AnswerHead, options: PassOptions): AnswerWriter {
  const fixed = common(head, 'chat.completion.chunk');
  const frame = (fields: object) => `data: ${JSON.stringify({ ...fixed, ...fields })}\n\n`;
  const delta = (content: object, finish: string | null = null) =>
    frame({ choices: [{ index: 0, delta: content, logprobs: null, finish_reason: finish }] });
  let begun = false;
  let usage: Usage | null = null;
  /** Thinking that no seal has closed yet. */
  let thought = '';
  const one = (event: AnswerEvent): string => {
    // Other words close a thought that nobody sealed.
    if (event.type === 'text' || event.type === 'refusal' || event.type === 'tool_call') thought = '';
    switch (event.type) {
      case 'text':
        return delta({ content: event.text });
      case 'refusal':
        return delta({ refusal: event.text });
      case 'thinking':
        thought += event.text;
        return event.text === '' ? '' : delta({ reasoning_content: event.text });
      case 'sealed': {
        const redacted = event.redacted === true;
        // The text has been streamed: a client that keeps the details gets it with its signature once more.
        const detail = writeSealed(event.sealed, redacted ? '' : thought, redacted);
        thought = '';
        return delta({ reasoning_details: [detail] });
      }
      case 'tool_call': {
        const { index, id, name, sealed } = event;
        const call = { index, id, type: 'function', function: { name, arguments: '' } };
        return delta({ tool_calls: [call], ...(sealed && { reasoning_details: [writeSealedCall(sealed, id)] }) });
      }
      case 'tool_arguments':
        return delta({ tool_calls: [{ index: event.index, function: { arguments: event.json } }] });
      case 'finish':
        return delta({}, FINISH[event.reason]);
      case 'usage':
        usage = event.usage;
        return '';
      default:
        return '';
    }
  };
  return {
    write(events) {
      let out = '';
      for (const event of events) {
        const text = one(event);
        if (text === '') continue;
        if (!begun) {
          begun = true;
          out += delta({ role: 'assistant', content: '' });
        }
        out += text;
      }
      return out;
    },
    end() {
      const last = options.wantsUsage && usage !== null ? frame({ choices: [], usage: writeUsage(usage) }) : '';
      return `${last}data: [DONE]\n\n`;
    },
  };
}
