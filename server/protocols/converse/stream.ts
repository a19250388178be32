/** ConverseStream's events, read along as they come. */
import { isObject } from '../../forward/usage.ts';
import type { AnswerEvent, ApiError, Maker } from '../conversation.ts';
import { type Dialect, type Frame, NotThisProtocol, type StreamReader } from '../protocol.ts';
import { errorOf, isException, malformedOutput } from './errors.ts';
import { finishOf, makerOf, readUsage, stopSequenceOf } from './read-answer.ts';
import { redactedFromBytes } from './turns.ts';

type Json = Readonly<Record<string, unknown>>;

interface OpenCall {
  readonly index: number;
  /** Some of its arguments have come. */
  begun: boolean;
}

export class ConverseReader implements StreamReader {
  readonly #maker: Maker;
  /** Tool calls by the index of their content block. */
  readonly #calls = new Map<number, OpenCall>();
  #callCount = 0;
  /** Signature of a block of thinking that has not ended; it may come in pieces. */
  #signature = '';
  /** An answer that the host could not read; told once its usage has come. */
  #malformed: ApiError | undefined;
  #metered = false;
  #finished = false;
  #closed = false;

  constructor(dialect: Dialect) {
    this.#maker = makerOf(dialect);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get complete(): boolean {
    return this.#finished;
  }

  read({ event, data }: Frame): AnswerEvent[] {
    if (this.#closed) return [];
    if (isException(event)) return this.#exception(event, data);
    const read = this.#readers[event];
    // Events that this protocol gained since: nothing in them is known to be an answer's.
    if (read === undefined) return [];
    return read(parse(data));
  }

  readonly #readers: Readonly<Record<string, ((payload: Json) => AnswerEvent[]) | undefined>> = {
    __proto__: null as never,
    messageStart: () => [{ type: 'start', id: null }],
    contentBlockStart: (payload) => this.#blockStart(payload),
    contentBlockDelta: (payload) => this.#blockDelta(payload),
    contentBlockStop: (payload) => this.#blockStop(payload),
    messageStop: (payload) => this.#messageStop(payload),
    metadata: (payload) => this.#metadata(payload),
  };

  #blockStart(payload: Json): AnswerEvent[] {
    const { start } = payload;
    const events = this.#seal();
    if (!isObject(start) || !isObject(start.toolUse)) return events;
    const { toolUseId: id, name, type } = start.toolUse;
    if (typeof id !== 'string' || typeof name !== 'string') {
      throw new NotThisProtocol('a tool call without an id or a name');
    }
    // A tool that runs on the host's side asks nothing of the client.
    if (type === 'server_tool_use') return [...events, { type: 'other', chars: name.length }];
    const index = this.#callCount++;
    this.#calls.set(blockIndex(payload), { index, begun: false });
    return [...events, { type: 'tool_call', index, id, name }];
  }

  #blockDelta(payload: Json): AnswerEvent[] {
    const { delta } = payload;
    if (!isObject(delta)) throw new NotThisProtocol('a contentBlockDelta without a delta');
    if (isObject(delta.reasoningContent)) return this.#reasoning(delta.reasoningContent);
    const events = this.#seal();
    if (typeof delta.text === 'string') return [...events, { type: 'text', text: delta.text }];
    const input = isObject(delta.toolUse) ? delta.toolUse.input : undefined;
    const call = this.#calls.get(blockIndex(payload));
    if (typeof input === 'string' && call !== undefined) {
      if (input === '') return events;
      call.begun = true;
      return [...events, { type: 'tool_arguments', index: call.index, json: input }];
    }
    return [...events, { type: 'other', chars: JSON.stringify(delta).length }];
  }

  #reasoning({ text, signature, redactedContent }: Json): AnswerEvent[] {
    if (typeof text === 'string') return [...this.#seal(), { type: 'thinking', text }];
    if (typeof signature === 'string') {
      if (this.#maker === 'anthropic') this.#signature += signature;
      return [];
    }
    if (typeof redactedContent !== 'string') return [];
    const events = this.#seal();
    if (this.#maker !== 'anthropic') return [...events, { type: 'other', chars: redactedContent.length }];
    const sealed = { by: this.#maker, data: redactedFromBytes(redactedContent) };
    return [...events, { type: 'sealed', sealed, redacted: true }];
  }

  #blockStop(payload: Json): AnswerEvent[] {
    const events = this.#seal();
    const at = blockIndex(payload);
    const call = this.#calls.get(at);
    this.#calls.delete(at);
    // A call without arguments comes without a delta, but clients parse what they were given.
    if (call !== undefined && !call.begun) events.push({ type: 'tool_arguments', index: call.index, json: '{}' });
    return events;
  }

  #messageStop(payload: Json): AnswerEvent[] {
    const events = this.#seal();
    if (this.#finished) return events;
    this.#malformed = malformedOutput(payload.stopReason);
    // The metadata usually follow, but have been seen before the end.
    this.#closed = this.#metered;
    if (this.#malformed !== undefined) {
      return this.#metered ? [...events, { type: 'error', error: this.#malformed }] : events;
    }
    this.#finished = true;
    const reason = finishOf(payload.stopReason, this.#callCount > 0);
    return [...events, { type: 'finish', reason, ...stopSequenceOf(payload) }];
  }

  #metadata({ usage: raw }: Json): AnswerEvent[] {
    const usage = readUsage(raw);
    const events: AnswerEvent[] = usage === null ? [] : [{ type: 'usage', usage }];
    if (this.#malformed !== undefined) events.push({ type: 'error', error: this.#malformed });
    this.#metered = true;
    this.#closed = this.#finished || this.#malformed !== undefined;
    return events;
  }

  #exception(event: string, data: string): AnswerEvent[] {
    this.#closed = true;
    let payload: unknown;
    try {
      payload = JSON.parse(data);
    } catch {
      payload = { message: data };
    }
    const error = errorOf(isObject(payload) ? payload : {}, event);
    return error === undefined ? [] : [{ type: 'error', error }];
  }

  /** Ends the block of thinking whose signature has come. */
  #seal(): AnswerEvent[] {
    if (this.#signature === '') return [];
    const sealed = { by: this.#maker, data: this.#signature };
    this.#signature = '';
    return [{ type: 'sealed', sealed }];
  }
}

function parse(data: string): Json {
  try {
    const payload: unknown = JSON.parse(data);
    if (isObject(payload)) return payload;
  } catch {
    // Said below.
  }
  throw new NotThisProtocol('an event whose body is not a JSON object');
}

const blockIndex = ({ contentBlockIndex }: Json): number =>
  typeof contentBlockIndex === 'number' ? contentBlockIndex : -1;
