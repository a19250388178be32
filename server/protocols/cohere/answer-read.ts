/** Cohere's answers, whole or streamed, as events. The frames of a stream are told apart by `type` in their JSON. */
import { count, isObject, type Usage } from '../../forward/usage.ts';
import { collect } from '../collect.ts';
import type { Answer, AnswerEvent, FinishReason } from '../conversation.ts';
import { type Frame, NotThisProtocol, type StreamReader, ToldError } from '../protocol.ts';
import { errorFor, errorIn } from './errors.ts';

type Json = Readonly<Record<string, unknown>>;

const FINISHES: Readonly<Record<string, FinishReason>> = {
  COMPLETE: 'stop',
  MAX_TOKENS: 'length',
  STOP_SEQUENCE: 'stop_sequence',
  TOOL_CALL: 'tool_calls',
};

/** @throws {@link NotThisProtocol} @throws {@link ToldError} */
export function readAnswer(payload: Json): Answer {
  const { id, message, finish_reason: reason } = payload;
  const usage = readUsage(payload.usage);
  if (!isObject(message)) {
    const error = errorIn(payload);
    if (error) throw new ToldError(error, usage);
    throw new NotThisProtocol('an answer without a message', usage);
  }
  const finish = finishEvent(reason, undefined, usage);
  if (finish.type === 'error') throw new ToldError(finish.error, usage);
  const events: AnswerEvent[] = [{ type: 'start', id: typeof id === 'string' ? id : null }];
  const say = (type: 'text' | 'thinking', text: unknown) => {
    if (typeof text === 'string' && text !== '') events.push({ type, text });
  };
  for (const part of listOf(message.content, 'content', usage)) say(typeOf(part, usage), textOf(part, usage));
  say('text', message.tool_plan);
  listOf(message.tool_calls, 'tool calls', usage).forEach((call, index) => {
    const json = argumentsIn(call);
    events.push(
      { type: 'tool_call', index, ...nameOf(call, usage) },
      { type: 'tool_arguments', index, json: isNone(json) ? '{}' : json },
    );
  });
  for (const citation of listOf(message.citations, 'citations', usage)) events.push(cited(citation));
  events.push(finish);
  if (usage !== null) events.push({ type: 'usage', usage });
  return collect(events);
}

/** A call's arguments as they come; held back while they may still turn out to be none. */
interface OpenCall {
  readonly index: number;
  held: string;
  sent: boolean;
}

export class CohereReader implements StreamReader {
  #closed = false;
  #complete = false;
  /** By Cohere's index. */
  readonly #calls = new Map<unknown, OpenCall>();

  get closed(): boolean {
    return this.#closed;
  }

  get complete(): boolean {
    return this.#complete;
  }

  read({ data }: Frame): AnswerEvent[] {
    const frame = parse(data);
    const delta = isObject(frame.delta) ? frame.delta : {};
    const message = isObject(delta.message) ? delta.message : {};
    switch (frame.type) {
      case 'message-start':
        return [{ type: 'start', id: typeof frame.id === 'string' ? frame.id : null }];
      case 'content-start':
      case 'content-delta':
        return this.#content(message.content);
      case 'tool-plan-delta':
        if (typeof message.tool_plan !== 'string') throw new NotThisProtocol('a tool plan that is no text');
        return message.tool_plan === '' ? [] : [{ type: 'text', text: message.tool_plan }];
      case 'tool-call-start':
        return this.#callStart(frame.index, message.tool_calls);
      case 'tool-call-delta':
        return this.#arguments(this.#call(frame.index), argumentsIn(message.tool_calls));
      case 'tool-call-end':
        return this.#callEnd(this.#call(frame.index));
      case 'citation-start':
        return [isObject(message.citations) ? cited(message.citations) : { type: 'other', chars: 0 }];
      case 'message-end':
        return this.#end(delta);
      case 'content-end':
      case 'citation-end':
      case 'debug':
        return [];
      default:
        return untyped(frame);
    }
  }

  #content(content: unknown): AnswerEvent[] {
    if (!isObject(content)) throw new NotThisProtocol('a piece of content that is no object');
    const type = typeof content.thinking === 'string' || content.type === 'thinking' ? 'thinking' : 'text';
    const text = content[type] ?? '';
    if (typeof text !== 'string') throw new NotThisProtocol('a piece of content that is no text');
    return text === '' ? [] : [{ type, text }];
  }

  #callStart(index: unknown, call: unknown): AnswerEvent[] {
    if (this.#calls.has(index)) throw new NotThisProtocol('one tool call twice');
    const open: OpenCall = { index: this.#calls.size, held: '', sent: false };
    const start: AnswerEvent = { type: 'tool_call', index: open.index, ...nameOf(call, null) };
    this.#calls.set(index, open);
    return [start, ...this.#arguments(open, argumentsIn(call))];
  }

  #call(index: unknown): OpenCall {
    const open = this.#calls.get(index);
    if (open === undefined) throw new NotThisProtocol('a piece of a tool call that never began');
    return open;
  }

  #arguments(open: OpenCall, piece: string): AnswerEvent[] {
    open.held += piece;
    if (open.held === '' || (!open.sent && isNone(open.held, true))) return [];
    const json = open.held;
    open.held = '';
    open.sent = true;
    return [{ type: 'tool_arguments', index: open.index, json }];
  }

  #callEnd(open: OpenCall): AnswerEvent[] {
    if (open.sent) return [];
    open.sent = true;
    open.held = '';
    return [{ type: 'tool_arguments', index: open.index, json: '{}' }];
  }

  #end(delta: Json): AnswerEvent[] {
    const usage = readUsage(delta.usage);
    const told: AnswerEvent[] = usage === null ? [] : [{ type: 'usage', usage }];
    const finish = finishEvent(delta.finish_reason, delta.error, usage);
    const rest = [...this.#calls.values()].flatMap((open) => this.#callEnd(open));
    this.#closed = true;
    // Nothing may follow an error.
    if (finish.type === 'error') return [...told, finish];
    this.#complete = true;
    return [...rest, finish, ...told];
  }
}

function parse(data: string): Json {
  try {
    const frame: unknown = JSON.parse(data);
    if (isObject(frame)) return frame;
  } catch {
    // Told below.
  }
  throw new NotThisProtocol('a frame that is no JSON object');
}

/** Kinds of event that came after this was written are passed over; a bare message is an error. */
function untyped(frame: Json): AnswerEvent[] {
  if (typeof frame.type === 'string') return [{ type: 'other', chars: 0 }];
  const error = errorIn(frame);
  if (error) return [{ type: 'error', error }];
  throw new NotThisProtocol('a frame of no type');
}

/** ERROR, TIMEOUT and reasons that we do not know mean an answer that failed. */
function finishEvent(reason: unknown, error: unknown, usage: Usage | null): AnswerEvent & { type: 'finish' | 'error' } {
  if (typeof error === 'string' && error !== '') return { type: 'error', error: errorFor(error) };
  if (typeof reason !== 'string') throw new NotThisProtocol('an answer without a reason why it ended', usage);
  const known = FINISHES[reason];
  if (known !== undefined) return { type: 'finish', reason: known };
  const type = reason === 'TIMEOUT' ? 'timeout_error' : 'server_error';
  const message = `the answer ended with ${reason}`;
  return { type: 'error', error: { message, type, code: reason.toLowerCase(), param: null } };
}

function listOf(value: unknown, what: string, usage: Usage | null): Json[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new NotThisProtocol(`an answer whose ${what} are no list of objects`, usage);
}

function typeOf({ type }: Json, usage: Usage | null): 'text' | 'thinking' {
  if (type === 'text' || type === 'thinking') return type;
  throw new NotThisProtocol('an answer with a kind of content that is not known', usage);
}

function textOf(part: Json, usage: Usage | null): string {
  const text = part[typeOf(part, usage)];
  if (typeof text === 'string') return text;
  throw new NotThisProtocol('an answer with content that is no text', usage);
}

function nameOf(call: unknown, usage: Usage | null): { id: string; name: string } {
  const named = isObject(call) && isObject(call.function) ? call.function.name : undefined;
  if (!isObject(call) || typeof call.id !== 'string' || typeof named !== 'string') {
    throw new NotThisProtocol('a tool call without id or name', usage);
  }
  return { id: call.id, name: named };
}

function argumentsIn(call: unknown): string {
  const json = isObject(call) && isObject(call.function) ? call.function.arguments : undefined;
  return typeof json === 'string' ? json : '';
}

/** `null` is what some models write for a tool that takes nothing. @param soFar also what may yet become that */
function isNone(json: string, soFar = false): boolean {
  const text = json.trim();
  return text === '' || text === 'null' || (soFar && 'null'.startsWith(text));
}

const cited = ({ text }: Json): AnswerEvent => ({ type: 'other', chars: typeof text === 'string' ? text.length : 0 });

/**
 * What is billed, where that is told: Cohere wraps a request in instructions of its own, which `tokens` counts (and
 * `cached_tokens` is part of) and nobody pays for.
 */
export function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  return usageIn(raw.billed_units, 0) ?? usageIn(raw.tokens, count(raw.cached_tokens) ?? 0);
}

function usageIn(tokens: unknown, cached: number): Usage | null {
  if (!isObject(tokens)) return null;
  const inputTokens = count(tokens.input_tokens);
  const outputTokens = count(tokens.output_tokens);
  if (inputTokens === null || outputTokens === null) return null;
  const cachedInputTokens = Math.min(cached, inputTokens);
  return { inputTokens, cachedInputTokens, cacheWriteTokens: 0, outputTokens, reasoningTokens: null };
}
