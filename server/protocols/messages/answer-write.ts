/** An answer, whole or as it comes → a message of Anthropic's API, or its stream of events. */
import type { Usage } from '../../forward/usage.ts';
import { eventsOf } from '../collect.ts';
import type { Answer, AnswerEvent, FinishReason, Sealed } from '../conversation.ts';
import type { AnswerHead, AnswerWriter } from '../protocol.ts';
import { sealedToText } from '../sealed.ts';
import { inputOf } from './blocks-write.ts';
import { sealForCall } from './sealed-call.ts';

type Written = Record<string, unknown>;
type Ending = Extract<AnswerEvent, { type: 'finish' }>;

const STOP_REASON: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
  refusal: 'refusal',
  stop_sequence: 'stop_sequence',
  pause: 'pause_turn',
};

export function writeMessagesAnswer(answer: Answer, head: AnswerHead): Written {
  const blocks = new Blocks();
  blocks.add(eventsOf(answer));
  const content = blocks.all.map((block): Written => {
    if (block.type === 'tool_use')
      return { type: 'tool_use', id: block.id, name: block.name, input: inputOf(block.text) };
    if (block.type === 'redacted_thinking') return { type: block.type, data: block.signature };
    if (block.type === 'thinking') return { type: block.type, thinking: block.text, signature: block.signature };
    return { type: 'text', text: block.text, citations: null };
  });
  return { ...message(head, answer.usage), content, ...stopFields(blocks) };
}

export function messagesWriter(head: AnswerHead): AnswerWriter {
  const blocks = new Blocks();
  let started = false;
  let ended = false;
  let out = '';
  let usage: Usage | null = null;

  const emit = (type: string, fields: Written) => {
    out += `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  };
  const start = () => {
    if (!started) emit('message_start', { message: { ...message(head, usage), ...NOT_STOPPED } });
    started = true;
  };
  const taken = () => {
    const text = out;
    out = '';
    return text;
  };

  return {
    write(events) {
      if (ended) return '';
      blocks.add(events);
      usage = events.findLast((event) => event.type === 'usage')?.usage ?? usage;
      if (events.length > 0) start();
      blocks.flush(emit, false);
      return taken();
    },
    end() {
      if (ended) return '';
      ended = true;
      start();
      blocks.flush(emit, true);
      emit('message_delta', { delta: stopFields(blocks), usage: writeUsage(usage) });
      emit('message_stop', {});
      return taken();
    },
  };
}

interface Block {
  readonly type: 'text' | 'thinking' | 'redacted_thinking' | 'tool_use';
  /** What came so far: the text, the thought, or the JSON of a call's arguments. */
  text: string;
  /** Of a redacted block, its data. */
  signature: string;
  readonly id: string;
  readonly name: string;
  /** Text of a refusal: a text block like others here, but never one with its neighbours. */
  readonly refusal: boolean;
  /** How much of `text` has been sent. */
  sent: number;
  /** `text` was looked at up to here and was no whole object. */
  looked: number;
}

/**
 * Blocks in order of appearance. In a stream they come one after the other, each closed before the next: pieces of a
 * block that has begun while an earlier one was still open wait for that one's end.
 */
class Blocks {
  readonly all: Block[] = [];
  readonly #calls = new Map<number, Block>();
  #ending: Ending | undefined;
  /** Index of the first block that is not closed, and whether its start has been sent. */
  #at = 0;
  #begun = false;

  add(events: readonly AnswerEvent[]): void {
    for (const event of events) {
      if (event.type === 'text' || event.type === 'refusal') this.#text(event.text, event.type === 'refusal');
      else if (event.type === 'thinking') this.#think(event.text);
      else if (event.type === 'sealed') this.#seal(event.sealed, event.redacted === true);
      else if (event.type === 'tool_call') {
        if (event.sealed) this.#seal(sealForCall(event.sealed, event.id), true);
        this.#calls.set(event.index, this.#push('tool_use', { id: event.id, name: event.name }));
      } else if (event.type === 'tool_arguments') {
        const call = this.#calls.get(event.index);
        if (call !== undefined) call.text += event.json;
      } else if (event.type === 'finish') this.#ending = event;
    }
  }

  get ending(): Ending {
    return this.#ending ?? { type: 'finish', reason: 'stop' };
  }

  /** Sends what can be sent. @param last nothing more will come */
  flush(emit: (type: string, fields: Written) => void, last: boolean): void {
    for (; this.#at < this.all.length; this.#at++, this.#begun = false) {
      const block = this.all[this.#at]!;
      const index = this.#at;
      if (!this.#begun) emit('content_block_start', { index, content_block: beginningOf(block) });
      this.#begun = true;
      const piece = block.text.slice(block.sent);
      if (piece !== '') emit('content_block_delta', { index, delta: pieceOf(block, piece) });
      // Only a call's arguments are looked at again.
      if (block.type !== 'tool_use') block.text = '';
      block.sent = block.text.length;
      if (!last && !this.#done(block, index)) return;
      if (block.type === 'tool_use' && block.text === '') {
        emit('content_block_delta', { index, delta: pieceOf(block, '{}') });
      }
      if (block.type === 'thinking' && block.signature !== '') {
        emit('content_block_delta', { index, delta: { type: 'signature_delta', signature: block.signature } });
      }
      emit('content_block_stop', { index });
    }
  }

  #done(block: Block, index: number): boolean {
    if (block.type === 'redacted_thinking' || (block.type === 'thinking' && block.signature !== '')) return true;
    if (index === this.all.length - 1) return false;
    if (block.type !== 'tool_use') return true;
    // Nothing says that a call is whole; once its object is, nothing can follow. Looked at only when it has grown.
    if (block.looked === block.text.length) return false;
    block.looked = block.text.length;
    return isObjectText(block.text);
  }

  #text(text: string, refusal: boolean): void {
    const last = this.all.at(-1);
    if (last?.type === 'text' && last.refusal === refusal) last.text += text;
    else this.#push('text', { refusal }).text = text;
  }

  #think(text: string): void {
    const last = this.all.at(-1);
    if (last?.type === 'thinking' && last.signature === '') last.text += text;
    else this.#push('thinking').text = text;
  }

  #seal(sealed: Sealed, redacted: boolean): void {
    const last = this.all.at(-1);
    const open = last?.type === 'thinking' && last.signature === '' && !redacted ? last : undefined;
    const block = open ?? this.#push(redacted ? 'redacted_thinking' : 'thinking');
    block.signature = sealedToText(sealed, 'anthropic');
  }

  #push(type: Block['type'], rest: Partial<Block> = {}): Block {
    const block = { type, text: '', signature: '', id: '', name: '', refusal: false, sent: 0, looked: 0, ...rest };
    this.all.push(block);
    return block;
  }
}

function beginningOf(block: Block): Written {
  if (block.type === 'tool_use') return { type: 'tool_use', id: block.id, name: block.name, input: {} };
  if (block.type === 'redacted_thinking') return { type: 'redacted_thinking', data: block.signature };
  if (block.type === 'thinking') return { type: 'thinking', thinking: '', signature: '' };
  return { type: 'text', text: '', citations: null };
}

function pieceOf({ type }: Block, piece: string): Written {
  if (type === 'tool_use') return { type: 'input_json_delta', partial_json: piece };
  return type === 'thinking' ? { type: 'thinking_delta', thinking: piece } : { type: 'text_delta', text: piece };
}

function isObjectText(text: string): boolean {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return false;
  try {
    JSON.parse(trimmed);
    return true;
  } catch {
    return false;
  }
}

const NOT_STOPPED = { stop_reason: null, stop_sequence: null, stop_details: null };

function message({ id, modelId }: AnswerHead, usage: Usage | null): Written {
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    model: modelId,
    content: [],
    ...NOT_STOPPED,
    usage: writeUsage(usage),
  };
}

/** Clients go by the reason: a loop with tools ends at `end_turn`, and only `refusal` says that one was refused. */
function stopFields(blocks: Blocks): Written {
  const { reason, stopSequence } = blocks.ending;
  const calls = blocks.all.some(({ type }) => type === 'tool_use');
  const refused = blocks.all.some(({ refusal }) => refusal);
  const told = reason !== 'stop' ? reason : refused ? 'refusal' : calls ? 'tool_calls' : 'stop';
  return { stop_reason: STOP_REASON[told], stop_sequence: stopSequence ?? null, stop_details: null };
}

/** What was never reported is told as 0: clients of this protocol cannot do without the numbers. */
function writeUsage(usage: Usage | null): Written {
  const { inputTokens = 0, cachedInputTokens = 0, cacheWriteTokens = 0, outputTokens = 0 } = usage ?? {};
  const reasoning = usage?.reasoningTokens ?? null;
  return {
    input_tokens: Math.max(inputTokens - cachedInputTokens - cacheWriteTokens, 0),
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedInputTokens,
    output_tokens: outputTokens,
    ...(reasoning !== null && { output_tokens_details: { thinking_tokens: reasoning } }),
  };
}
