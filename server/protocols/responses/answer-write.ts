/** An answer as a response object, whole or as the stream of events that builds it. */

import { eventsOf } from '../collect.ts';
import type { Answer, AnswerEvent, ApiError, FinishReason } from '../conversation.ts';
import type { AnswerHead, AnswerWriter } from '../protocol.ts';
import { errorEvent, responseError, sse } from './errors.ts';
import { ItemsWriter } from './items-write.ts';
import { customToolNames } from './tools-read.ts';
import { writeUsage } from './usage.ts';

type Json = Record<string, unknown>;

export function writeAnswer(answer: Answer, head: AnswerHead): Json {
  const items = new ItemsWriter({ id: head.id, customTools: customToolNames(head.request), emit: () => undefined });
  for (const event of eventsOf(answer)) items.write(event);
  const outcome = outcomeOf(
    answer.finish,
    answer.blocks.some(({ type }) => type === 'refusal'),
  );
  items.end(outcome.status);
  return { ...echo(head), ...outcome, output: items.output, usage: answer.usage && writeUsage(answer.usage) };
}

export class ResponseWriter implements AnswerWriter {
  readonly #echo: Json;
  readonly #items: ItemsWriter;
  #text = '';
  #sequence = 0;
  #begun = false;
  #outcome: Outcome | undefined;
  #usage: Answer['usage'] = null;

  constructor(head: AnswerHead) {
    this.#echo = echo(head);
    this.#items = new ItemsWriter({
      id: head.id,
      customTools: customToolNames(head.request),
      emit: (type, fields) => this.#emit(type, fields),
    });
  }

  write(events: readonly AnswerEvent[]): string {
    this.#begin();
    for (const event of events) {
      if (event.type === 'usage') this.#usage = event.usage;
      else if (event.type === 'finish') this.#finish(event.reason);
      else this.#items.write(event);
    }
    return this.#take();
  }

  end(): string {
    this.#begin();
    // Without a reason to have ended, it is at least not told to be complete.
    const outcome = this.#outcome ?? this.#finish('pause');
    this.#emit(`response.${outcome.status}`, { response: this.#response(outcome) });
    return this.#take();
  }

  /** The stream breaks: the error as clients know it, and the response that failed. */
  fail(error: ApiError, status: number): string {
    this.#emit('error', errorEvent(error));
    const response = {
      ...this.#response({ status: 'failed', incomplete_details: null }),
      error: responseError(error, status),
    };
    this.#emit('response.failed', { response });
    return this.#take();
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const response = this.#response({ status: 'in_progress', incomplete_details: null });
    this.#emit('response.created', { response });
    this.#emit('response.in_progress', { response });
  }

  #finish(reason: FinishReason): Outcome {
    const outcome = outcomeOf(reason, this.#items.refused);
    this.#items.end(outcome.status);
    this.#outcome = outcome;
    return outcome;
  }

  #response(outcome: Json | Outcome): Json {
    return {
      ...this.#echo,
      ...outcome,
      output: this.#items.output,
      usage: this.#usage && writeUsage(this.#usage),
    };
  }

  #emit(type: string, fields: Readonly<Json>): void {
    this.#text += sse(type, { sequence_number: this.#sequence++, ...fields });
  }

  #take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

interface Outcome {
  readonly status: 'completed' | 'incomplete';
  readonly incomplete_details: { readonly reason: 'max_output_tokens' | 'content_filter' } | null;
}

/** @param refused the answer says in words that it refuses: then it is complete */
function outcomeOf(reason: FinishReason, refused: boolean): Outcome {
  if (reason === 'length') return { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
  if (reason === 'content_filter' || (reason === 'refusal' && !refused)) {
    return { status: 'incomplete', incomplete_details: { reason: 'content_filter' } };
  }
  if (reason === 'pause') return { status: 'incomplete', incomplete_details: null };
  return { status: 'completed', incomplete_details: null };
}

/** What OpenAI repeats of the request. Nothing is stored here, whatever was asked. */
function echo({ id, modelId, createdAt, request }: AnswerHead): Json {
  const asked = (field: string, otherwise: unknown = null) => request[field] ?? otherwise;
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: Math.floor(createdAt.getTime() / 1000),
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: asked('instructions'),
    max_output_tokens: asked('max_output_tokens'),
    metadata: asked('metadata', {}),
    model: modelId,
    output: [],
    parallel_tool_calls: asked('parallel_tool_calls', true),
    previous_response_id: asked('previous_response_id'),
    prompt_cache_key: asked('prompt_cache_key'),
    reasoning: { effort: null, summary: null, ...(asked('reasoning', {}) as Json) },
    safety_identifier: asked('safety_identifier'),
    service_tier: 'default',
    store: false,
    temperature: asked('temperature'),
    text: { format: { type: 'text' }, ...(asked('text', {}) as Json) },
    tool_choice: asked('tool_choice', 'auto'),
    tools: asked('tools', []),
    top_logprobs: 0,
    top_p: asked('top_p'),
    truncation: 'disabled',
    usage: null,
    user: asked('user'),
  };
}
