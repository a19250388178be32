/** Answers of a Responses API, whole or as a stream of named events. */
import { isObject } from '../../forward/usage.ts';
import { SOME_ERROR } from '../chat/errors.ts';
import { collect } from '../collect.ts';
import type { Answer, AnswerEvent, FinishReason } from '../conversation.ts';
import { type Dialect, type Frame, NotThisProtocol, type StreamReader, ToldError } from '../protocol.ts';
import { toApiError } from './errors.ts';
import { type ItemKey, OutputReader } from './output-read.ts';
import { readUsage } from './usage.ts';

type Json = Readonly<Record<string, unknown>>;

/** @throws NotThisProtocol @throws ToldError */
export function readAnswer(payload: Json, { maker = 'openai' }: Dialect): Answer {
  const usage = readUsage(payload.usage);
  if (payload.error != null || payload.status === 'failed') {
    throw new ToldError(toApiError(payload.error, payload) ?? SOME_ERROR, usage);
  }
  const output = new OutputReader(maker);
  const events = readOutput(payload, output, usage);
  return collect([{ type: 'start', id: idOf(payload) }, ...events, ...endOf(payload, output)]);
}

export class ResponseReader implements StreamReader {
  readonly #output: OutputReader;
  #started = false;
  closed = false;
  complete = false;

  constructor({ maker = 'openai' }: Dialect) {
    this.#output = new OutputReader(maker);
  }

  read(frame: Frame): AnswerEvent[] {
    if (this.closed || frame.data === '') return [];
    if (frame.data === '[DONE]') {
      this.closed = true;
      return [];
    }
    let payload: unknown;
    try {
      payload = JSON.parse(frame.data);
    } catch {
      throw new NotThisProtocol('a stream event that is not JSON');
    }
    if (!isObject(payload)) throw new NotThisProtocol('a stream event that is not a JSON object');
    return this.#event(payload, typeof payload.type === 'string' ? payload.type : frame.event);
  }

  #event(event: Json, type: string): AnswerEvent[] {
    const key = keyOf(event);
    const delta = typeof event.delta === 'string' ? event.delta : '';
    switch (type) {
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        return this.#start(event);
      case 'response.output_item.added':
        return this.#output.added(key, itemOf(event));
      case 'response.output_item.done':
        return this.#output.done(key, itemOf(event));
      case 'response.output_text.delta':
        return this.#output.text('text', key, event.content_index, delta);
      case 'response.refusal.delta':
        return this.#output.text('refusal', key, event.content_index, delta);
      case 'response.reasoning_summary_text.delta':
        return this.#output.thinking('summary', key, event.summary_index, delta);
      case 'response.reasoning_text.delta':
        return this.#output.thinking('content', key, event.content_index, delta);
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        return this.#output.arguments(key, delta);
      case 'response.completed':
      case 'response.incomplete':
        return this.#end(event);
      case 'response.failed':
        return this.#failed(isObject(event.response) ? event.response : {});
      case 'error':
        return this.#failed({ error: isObject(event.error) ? event.error : event });
      default:
        if (event.error != null && !type.startsWith('response.')) return this.#failed(event);
        if (type === '') throw new NotThisProtocol('a stream event without a type');
        // `….done` repeats what was streamed; of other kinds of output only the size counts.
        return delta === '' ? [] : this.#output.other(key, delta);
    }
  }

  #start({ response }: Json): AnswerEvent[] {
    if (this.#started) return [];
    this.#started = true;
    return [{ type: 'start', id: isObject(response) ? idOf(response) : null }];
  }

  #end(event: Json): AnswerEvent[] {
    const { response } = event;
    if (!isObject(response)) throw new NotThisProtocol('the end of a response without the response');
    // A host may tell the whole answer only at the end.
    const late = this.#output.items === 0 && Array.isArray(response.output);
    const told = late ? readOutput(response, this.#output, readUsage(response.usage)) : [];
    const events = [...this.#start(event), ...told, ...endOf(response, this.#output)];
    this.closed = true;
    this.complete = true;
    return events;
  }

  #failed(response: Json): AnswerEvent[] {
    this.closed = true;
    const usage = readUsage(response.usage);
    const error = toApiError(response.error) ?? SOME_ERROR;
    return [...(usage === null ? [] : [{ type: 'usage' as const, usage }]), { type: 'error', error }];
  }
}

function readOutput({ output: items }: Json, output: OutputReader, usage: Answer['usage']): AnswerEvent[] {
  if (!Array.isArray(items)) throw new NotThisProtocol('a response without a list of output items', usage);
  return items.flatMap((item: unknown, i) => {
    if (!isObject(item)) throw new NotThisProtocol('an output item that is no object', usage);
    return [...output.added(i, item), ...output.done(i, item)];
  });
}

function endOf(response: Json, output: OutputReader): AnswerEvent[] {
  const usage = readUsage(response.usage);
  const finish: AnswerEvent = { type: 'finish', reason: finishOf(response, output) };
  return usage === null ? [finish] : [finish, { type: 'usage', usage }];
}

function finishOf({ status, incomplete_details: details }: Json, output: OutputReader): FinishReason {
  if (status === 'incomplete') {
    return isObject(details) && details.reason === 'content_filter' ? 'content_filter' : 'length';
  }
  // Asked for in the background: the answer is still being made, and will be fetched by its id.
  if (status === 'queued' || status === 'in_progress' || status === 'cancelled') return 'pause';
  return output.endsWith;
}

function itemOf({ item }: Json): Json {
  if (!isObject(item)) throw new NotThisProtocol('an output item that is no object');
  return item;
}

const keyOf = ({ output_index: index, item_id: id, item }: Json): ItemKey => {
  if (typeof index === 'number') return index;
  if (typeof id === 'string') return id;
  return isObject(item) && typeof item.id === 'string' ? item.id : 0;
};

const idOf = ({ id }: Json): string | null => (typeof id === 'string' ? id : null);
