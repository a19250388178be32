/** A Messages answer, whole or streamed → an answer, or the events of one. */
import { count, isObject, type Usage } from '../../forward/usage.ts';
import { collect } from '../collect.ts';
import type { Answer, AnswerEvent, FinishReason, Maker } from '../conversation.ts';
import { type Dialect, type Frame, NotThisProtocol, type StreamReader, ToldError } from '../protocol.ts';
import { sealedFromText } from '../sealed.ts';
import { apiErrorOf, SOME_ERROR } from './errors.ts';

type Fields = Readonly<Record<string, unknown>>;

const FINISH: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  stop_sequence: 'stop_sequence',
  tool_use: 'tool_calls',
  refusal: 'refusal',
  pause_turn: 'pause',
};

/** @throws NotThisProtocol @throws ToldError */
export function readMessagesAnswer(payload: Fields, dialect: Dialect): Answer {
  const usage = usageOf(payload.usage);
  if (payload.type === 'error' || (payload.error != null && payload.content === undefined)) {
    throw new ToldError(apiErrorOf(payload.error) ?? SOME_ERROR, usage);
  }
  const { content } = payload;
  if (!Array.isArray(content)) throw new NotThisProtocol('JSON that is no message: it holds no content', usage);
  if (typeof payload.stop_reason !== 'string') throw new NotThisProtocol('a message without a stop_reason', usage);
  // The same as a stream that brings each block in one piece.
  const reading = new Reading(dialect.maker ?? 'anthropic');
  const events = reading.start(payload);
  for (const [index, block] of content.entries()) {
    if (!isObject(block) || typeof block.type !== 'string') throw new NotThisProtocol('a block without a type', usage);
    events.push(...reading.blockStart(index, block), ...reading.blockStop(index));
  }
  return collect([...events, ...reading.delta(payload, payload.usage)]);
}

export function messagesReader(dialect: Dialect): StreamReader {
  const reading = new Reading(dialect.maker ?? 'anthropic');
  let closed = false;
  return {
    read(frame) {
      if (closed) return [];
      const payload = payloadOf(frame);
      if (payload === undefined) return [];
      if (payload.type === 'message_stop') closed = true;
      return eventsOf(payload, reading);
    },
    get closed() {
      return closed;
    },
    get complete() {
      return reading.finished;
    },
  };
}

function payloadOf({ event, data }: Frame): Fields | undefined {
  if (event === 'ping' || data === '') return undefined;
  let payload: unknown;
  try {
    payload = JSON.parse(data);
  } catch {
    throw new NotThisProtocol('an event that is not JSON');
  }
  if (!isObject(payload)) throw new NotThisProtocol('an event that is not an object');
  return payload;
}

function eventsOf(payload: Fields, reading: Reading): AnswerEvent[] {
  const { type, index } = payload;
  if (type === 'error' || (type === undefined && payload.error != null)) {
    return [{ type: 'error', error: apiErrorOf(payload.error) ?? SOME_ERROR }];
  }
  if (typeof type !== 'string') throw new NotThisProtocol('an event without a type');
  if (type === 'message_start') return reading.start(object(payload.message, 'message_start without its message'));
  if (type === 'message_delta')
    return reading.delta(object(payload.delta, 'message_delta without its delta'), payload.usage);
  // What there may come to be is passed over, as Anthropic asks of its clients.
  if (!type.startsWith('content_block_')) return [];
  if (typeof index !== 'number') throw new NotThisProtocol(`${type} without an index`);
  if (type === 'content_block_start') {
    return reading.blockStart(index, object(payload.content_block, 'content_block_start without its block'));
  }
  if (type === 'content_block_delta') {
    return reading.blockDelta(index, object(payload.delta, 'content_block_delta without its delta'));
  }
  return type === 'content_block_stop' ? reading.blockStop(index) : [];
}

interface OpenBlock {
  readonly type: string;
  /** Of a tool call: its number among the calls. */
  readonly call: number;
  /** Of a tool call: what it holds if no piece of arguments comes. */
  readonly input: unknown;
  /** The call's arguments have begun to come. */
  argued: boolean;
  /** What seals a thinking block; as for the official client, the last one counts. */
  signature: string;
}

/** What has been read of one answer. */
class Reading {
  readonly #maker: Maker;
  readonly #open = new Map<number, OpenBlock>();
  #calls = 0;
  #usage: Fields = {};
  #visible = false;
  finished = false;

  constructor(maker: Maker) {
    this.#maker = maker;
  }

  start({ id, usage }: Fields): AnswerEvent[] {
    return [{ type: 'start', id: typeof id === 'string' ? id : null }, ...this.#usageEvents(usage)];
  }

  blockStart(index: number, block: Fields): AnswerEvent[] {
    const { type } = block;
    const open: OpenBlock = {
      type: String(type),
      call: type === 'tool_use' ? this.#calls++ : -1,
      input: block.input,
      argued: false,
      signature: '',
    };
    this.#open.set(index, open);
    if (type === 'text') return this.#text(block.text);
    if (type === 'thinking') {
      open.signature = text(block.signature);
      return thinking(block.thinking);
    }
    if (type === 'redacted_thinking') {
      const sealed = sealedFromText(text(block.data), this.#maker);
      return sealed.data === '' ? [] : [{ type: 'sealed', sealed, redacted: true }];
    }
    if (type === 'tool_use') {
      this.#visible = true;
      return [{ type: 'tool_call', index: open.call, id: text(block.id), name: text(block.name) }];
    }
    // Server tools' calls and results: no other protocol has them.
    return [{ type: 'other', chars: JSON.stringify(block).length }];
  }

  blockDelta(index: number, delta: Fields): AnswerEvent[] {
    const open = this.#open.get(index);
    if (open === undefined) throw new NotThisProtocol('a piece of a block that has not begun');
    const { type } = delta;
    if (type === 'text_delta') return this.#text(delta.text);
    if (type === 'thinking_delta') return thinking(delta.thinking);
    if (type === 'signature_delta') {
      open.signature = text(delta.signature);
      return [];
    }
    if (type !== 'input_json_delta') return [{ type: 'other', chars: type === 'citations_delta' ? 0 : sizeOf(delta) }];
    const json = text(delta.partial_json);
    if (open.type !== 'tool_use') return [{ type: 'other', chars: json.length }];
    if (json === '') return [];
    open.argued = true;
    return [{ type: 'tool_arguments', index: open.call, json }];
  }

  blockStop(index: number): AnswerEvent[] {
    const open = this.#open.get(index);
    this.#open.delete(index);
    if (open?.type === 'thinking' && open.signature !== '') {
      return [{ type: 'sealed', sealed: sealedFromText(open.signature, this.#maker) }];
    }
    if (open?.type !== 'tool_use' || open.argued) return [];
    const json = JSON.stringify(open.input ?? {});
    return [{ type: 'tool_arguments', index: open.call, json }];
  }

  /** @param message what holds `stop_reason`: the delta, or a whole answer */
  delta(message: Fields, usage: unknown): AnswerEvent[] {
    const { stop_reason: reason, stop_sequence: sequence, stop_details: details } = message;
    const events: AnswerEvent[] = [];
    if (typeof reason === 'string' && !this.finished) {
      this.finished = true;
      const why = isObject(details) && !this.#visible ? text(details.explanation) : '';
      if (reason === 'refusal' && why !== '') events.push({ type: 'refusal', text: why });
      const stopSequence = typeof sequence === 'string' ? { stopSequence: sequence } : {};
      events.push({ type: 'finish', reason: FINISH[reason] ?? 'stop', ...stopSequence });
    }
    return [...events, ...this.#usageEvents(usage)];
  }

  #text(piece: unknown): AnswerEvent[] {
    if (typeof piece !== 'string' || piece === '') return [];
    this.#visible = true;
    return [{ type: 'text', text: piece }];
  }

  /** Counts are of the whole answer so far; one that is left out, or null, has not changed. */
  #usageEvents(reported: unknown): AnswerEvent[] {
    if (!isObject(reported)) return [];
    this.#usage = {
      ...this.#usage,
      ...Object.fromEntries(Object.entries(reported).filter(([, value]) => value != null)),
    };
    const usage = usageOf(this.#usage);
    return usage === null ? [] : [{ type: 'usage', usage }];
  }
}

/** Anthropic's `input_tokens` leave out what was read from the cache and what was written to it. */
export function usageOf(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const plain = count(raw.input_tokens);
  const outputTokens = count(raw.output_tokens);
  if (plain === null || outputTokens === null) return null;
  const cachedInputTokens = count(raw.cache_read_input_tokens) ?? 0;
  const cacheWriteTokens = count(raw.cache_creation_input_tokens) ?? 0;
  const details = isObject(raw.output_tokens_details) ? raw.output_tokens_details : {};
  return {
    inputTokens: plain + cachedInputTokens + cacheWriteTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens,
    reasoningTokens: count(details.thinking_tokens),
  };
}

const thinking = (piece: unknown): AnswerEvent[] =>
  typeof piece === 'string' && piece !== '' ? [{ type: 'thinking', text: piece }] : [];

function object(value: unknown, what: string): Fields {
  if (!isObject(value)) throw new NotThisProtocol(what);
  return value;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const sizeOf = (value: unknown): number => JSON.stringify(value).length;
