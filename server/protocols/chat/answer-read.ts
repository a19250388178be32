/** Answers in OpenAI's chat protocol, whole and streamed, with the variations that its many hosts have brought. */
import { isObject, readUsage, type Usage } from '../../forward/usage.ts';
import { eventsOf } from '../collect.ts';
import type { Answer, AnswerBlock, AnswerEvent, FinishReason, Sealed, ThinkingBlock } from '../conversation.ts';
import { type Dialect, type Frame, NotThisProtocol, type StreamReader, ToldError } from '../protocol.ts';
import { apiErrorOf, SOME_ERROR } from './errors.ts';
import { readReasoningDetails, sealedCallsOf } from './reasoning-details.ts';
import { thoughtSignature } from './request-read.ts';

type Fields = Readonly<Record<string, unknown>>;

const usageOf = (payload: Fields, dialect: Dialect): Usage | null =>
  readUsage(dialect.usageAt?.(payload) ?? payload.usage, { reasoningOutside: dialect.reasoningOutside === true });

/** The first choice is the answer; further ones (`n` > 1) only pass through. @throws NotThisProtocol, ToldError */
export function readChatAnswer(payload: Fields, dialect: Dialect): Answer {
  const usage = usageOf(payload, dialect);
  if (payload.error != null) throw new ToldError(apiErrorOf(payload.error, payload) ?? SOME_ERROR, usage);
  const { choices } = payload;
  if (!Array.isArray(choices) || choices.length === 0 || !choices.every((c) => isObject(c) && isObject(c.message))) {
    throw new NotThisProtocol('JSON that is no chat completion: it holds no choices', usage);
  }
  const [choice] = choices as [Fields];
  const message = choice.message as Fields;
  const blocks: AnswerBlock[] = [...thinkingOf(message), ...contentOf(message.content)];
  if (typeof message.refusal === 'string' && message.refusal !== '') {
    blocks.push({ type: 'refusal', text: message.refusal });
  }
  const sealed = sealedCallsOf(message.reasoning_details);
  callsOf(message).forEach(({ id, name, args, seal }, index) => {
    const callId = id ?? `call_${index}`;
    const by = seal ?? sealed.get(callId);
    blocks.push({
      type: 'tool_call',
      id: callId,
      name,
      arguments: args === '' ? '{}' : args,
      ...(by && { sealed: by }),
    });
  });
  return {
    id: typeof payload.id === 'string' ? payload.id : null,
    blocks,
    finish: finishOf(choice.finish_reason, blocks),
    usage,
  };
}

function thinkingOf(message: Fields): ThinkingBlock[] {
  const details = readReasoningDetails(message.reasoning_details);
  if (details.length > 0) return details;
  const said = message.reasoning_content ?? message.reasoning;
  return typeof said === 'string' && said !== '' ? [{ type: 'thinking', text: said }] : [];
}

/** A text or, with Mistral, a list of thinking and text parts. */
function contentOf(content: unknown): AnswerBlock[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  if (!Array.isArray(content)) return [];
  return content.filter(isObject).flatMap((part): AnswerBlock[] => {
    const thought = thoughtIn(part);
    if (thought !== undefined) return [{ type: 'thinking', text: thought }];
    return typeof part.text === 'string' ? [{ type: 'text', text: part.text }] : [];
  });
}

function thoughtIn(part: Fields): string | undefined {
  if (part.type !== 'thinking') return undefined;
  const { thinking } = part;
  if (typeof thinking === 'string') return thinking;
  if (!Array.isArray(thinking)) return '';
  return thinking.map((piece) => (isObject(piece) && typeof piece.text === 'string' ? piece.text : '')).join('');
}

interface Call {
  readonly index: number | undefined;
  readonly id: string | undefined;
  readonly name: string;
  readonly args: string;
  readonly seal: Sealed | undefined;
}

function callsOf(message: Fields): Call[] {
  const { tool_calls, function_call } = message;
  const calls = Array.isArray(tool_calls) ? tool_calls.filter(isObject) : [];
  const legacy = isObject(function_call) ? [{ function: function_call, index: 0 }] : [];
  return [...calls, ...legacy].map((call: Fields) => {
    const fn = isObject(call.function) ? call.function : {};
    const { arguments: args } = fn;
    const signature = thoughtSignature(call);
    return {
      index: typeof call.index === 'number' ? call.index : undefined,
      id: typeof call.id === 'string' && call.id !== '' ? call.id : undefined,
      name: typeof fn.name === 'string' ? fn.name : '',
      // Some hosts send the object itself.
      args: typeof args === 'string' ? args : args == null ? '' : JSON.stringify(args),
      seal: signature === undefined ? undefined : { by: 'google', data: signature },
    };
  });
}

function finishOf(reason: unknown, blocks: readonly AnswerBlock[]): FinishReason {
  if (blocks.some((block) => block.type === 'refusal')) return 'refusal';
  if (reason === 'length' || reason === 'model_length' || reason === 'max_tokens') return 'length';
  if (reason === 'content_filter') return 'content_filter';
  // Some hosts say `stop` where they call tools.
  if (reason === 'tool_calls' || reason === 'function_call') return 'tool_calls';
  return blocks.some((block) => block.type === 'tool_call') ? 'tool_calls' : 'stop';
}

export function chatReader(dialect: Dialect): StreamReader {
  return new ChatReader(dialect);
}

class ChatReader implements StreamReader {
  readonly #dialect: Dialect;
  closed = false;
  #started = false;
  /** Choices seen, and those that said why they finished. */
  readonly #seen = new Set<number>();
  readonly #finished = new Set<number>();
  /** Calls in order of appearance, as the host tells them apart. */
  readonly #calls: Pick<Call, 'index' | 'id'>[] = [];
  #refused = false;
  /** Thoughts come in `reasoning_content` or `reasoning`. */
  #toldPlainly = false;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  get complete(): boolean {
    return this.#seen.size > 0 && this.#finished.size === this.#seen.size;
  }

  read(frame: Frame): AnswerEvent[] {
    if (frame.data === '') return [];
    if (frame.data === '[DONE]') {
      this.closed = true;
      return [];
    }
    const payload = parse(frame.data);
    const usage = usageOf(payload, this.#dialect);
    const told: AnswerEvent[] = usage === null ? [] : [{ type: 'usage', usage }];
    if (payload.error != null || frame.event === 'error') {
      const error = apiErrorOf(payload.error ?? payload, payload) ?? SOME_ERROR;
      return [...told, { type: 'error', error }];
    }
    const { choices } = payload;
    // Some hosts send usage on its own, without even an empty list.
    if (choices === undefined && usage !== null) return told;
    if (!Array.isArray(choices)) throw new NotThisProtocol('a stream chunk without choices');
    const events: AnswerEvent[] = [];
    if (!this.#started) {
      this.#started = true;
      events.push({ type: 'start', id: typeof payload.id === 'string' ? payload.id : null });
    }
    for (const choice of choices) {
      if (!isObject(choice)) throw new NotThisProtocol('a stream chunk whose choice is no object');
      this.#choice(choice, events);
    }
    events.push(...told);
    return events;
  }

  #choice(choice: Fields, events: AnswerEvent[]): void {
    const index = typeof choice.index === 'number' ? choice.index : 0;
    this.#seen.add(index);
    const delta = isObject(choice.delta) ? choice.delta : {};
    if (index === 0) this.#delta(delta, events);
    else events.push({ type: 'other', chars: charsIn(delta) });
    if (typeof choice.finish_reason !== 'string' || this.#finished.has(index)) return;
    this.#finished.add(index);
    if (index === 0) events.push({ type: 'finish', reason: this.#finish(choice.finish_reason) });
  }

  #finish(reason: string): FinishReason {
    if (this.#refused) return 'refusal';
    const found = finishOf(reason, []);
    return found === 'stop' && this.#calls.length > 0 ? 'tool_calls' : found;
  }

  #delta(delta: Fields, events: AnswerEvent[]): void {
    const {
      role: _,
      content,
      reasoning_content,
      reasoning,
      reasoning_details,
      refusal,
      tool_calls,
      function_call,
      ...rest
    } = delta;
    const said = reasoning_content ?? reasoning;
    if (typeof said === 'string' && said !== '') events.push({ type: 'thinking', text: said });
    if (typeof said === 'string') this.#toldPlainly = true;
    for (const block of readReasoningDetails(reasoning_details)) {
      // What the plain field has told already stands in the details once more.
      if (!this.#toldPlainly && block.text !== '') events.push({ type: 'thinking', text: block.text });
      if (block.sealed) events.push({ type: 'sealed', sealed: block.sealed, redacted: block.redacted });
    }
    if (typeof content === 'string') {
      if (content !== '') events.push({ type: 'text', text: content });
    } else {
      for (const block of contentOf(content)) {
        if (block.type === 'text' || block.type === 'thinking') events.push({ type: block.type, text: block.text });
      }
    }
    if (typeof refusal === 'string' && refusal !== '') {
      this.#refused = true;
      events.push({ type: 'refusal', text: refusal });
    }
    if (tool_calls != null || function_call != null) this.#toolCalls(delta, events);
    const chars = charsIn(rest);
    if (chars > 0) events.push({ type: 'other', chars });
  }

  #toolCalls(delta: Fields, events: AnswerEvent[]): void {
    const sealed = sealedCallsOf(delta.reasoning_details);
    for (const call of callsOf(delta)) {
      const { id, name, args, seal } = call;
      let index = this.#indexOf(call);
      if (index < 0) {
        index = this.#calls.push(call) - 1;
        const callId = id ?? `call_${index}`;
        const by = seal ?? sealed.get(callId);
        events.push({ type: 'tool_call', index, id: callId, name, ...(by && { sealed: by }) });
      }
      if (args !== '') events.push({ type: 'tool_arguments', index, json: args });
    }
  }

  /** Which call a piece belongs to; -1: it begins one. By index, else by id, else the last; some hosts give every call the index 0. */
  #indexOf({ index, id, name }: Call): number {
    const at =
      index !== undefined
        ? this.#calls.findLastIndex((known) => known.index === index)
        : id !== undefined
          ? this.#calls.findLastIndex((known) => known.id === id)
          : this.#calls.length - 1;
    const begins = name !== '' && (id === undefined ? index === undefined : this.#calls[at]?.id !== id);
    return begins ? -1 : at;
  }
}

function parse(data: string): Fields {
  let payload: unknown;
  try {
    payload = JSON.parse(data);
  } catch {
    throw new NotThisProtocol('a stream chunk that is not JSON');
  }
  if (!isObject(payload)) throw new NotThisProtocol('a stream chunk that is not a JSON object');
  return payload;
}

/** What is neither text nor call nor thought but not empty either, such as audio. */
function charsIn(delta: Fields): number {
  let chars = 0;
  for (const [field, value] of Object.entries(delta)) {
    if (field === 'role' || value === null || value === '' || value === undefined) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    chars += typeof value === 'string' ? value.length : JSON.stringify(value).length;
  }
  return chars;
}

/** A whole completion as the events it would have come in, for whoever streams what was not streamed. */
export const chatEvents = (payload: Fields, dialect: Dialect): AnswerEvent[] =>
  eventsOf(readChatAnswer(payload, dialect));
