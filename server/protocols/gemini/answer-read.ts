/** Gemini's responses, whole or streamed, as events. Each frame of a stream is a whole response object with the next parts. */
import { createHash } from 'node:crypto';
import { count, isObject, type Usage } from '../../forward/usage.ts';
import { collect } from '../collect.ts';
import type { Answer, AnswerEvent, FinishReason, Maker } from '../conversation.ts';
import { type Dialect, type Frame, NotThisProtocol, type StreamReader, ToldError } from '../protocol.ts';
import { errorIn } from './errors.ts';

type Json = Readonly<Record<string, unknown>>;

const FINISHES: Readonly<Record<string, FinishReason>> = {
  STOP: 'stop',
  MAX_TOKENS: 'length',
  CONTINUATION: 'length', // the limit of one request was reached; we ask for no second
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  LANGUAGE: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  MODEL_ARMOR: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
  IMAGE_PROHIBITED_CONTENT: 'content_filter',
  IMAGE_RECITATION: 'content_filter',
};

/** @throws {@link NotThisProtocol} @throws {@link ToldError} */
export function readAnswer(payload: Json, dialect: Dialect): Answer {
  const events = new GeminiReader(dialect).readResponse(payload);
  const usage = events.findLast((event) => event.type === 'usage')?.usage ?? null;
  const told = events.find((event) => event.type === 'error');
  if (told) throw new ToldError(told.error, usage);
  if (!events.some((event) => event.type === 'finish')) {
    throw new NotThisProtocol('a response without a reason why it ended', usage);
  }
  return collect(events);
}

/**
 * A stream ends with its connection: `closed` stays false, `complete` follows the finish reason. A reason that means
 * a failed answer (MALFORMED_FUNCTION_CALL, OTHER, one we do not know) is told as an error, so that another model
 * can be asked where nothing has been said yet. A blocked prompt is an empty answer that ended by the content filter.
 */
export class GeminiReader implements StreamReader {
  readonly closed = false;
  readonly #maker: Maker;
  #complete = false;
  #started = false;
  #calls = 0;
  #id: string | null = null;

  constructor(dialect: Dialect) {
    this.#maker = dialect.maker ?? 'google';
  }

  get complete(): boolean {
    return this.#complete;
  }

  read({ data }: Frame): AnswerEvent[] {
    let payload: unknown;
    try {
      payload = JSON.parse(data);
    } catch {
      throw new NotThisProtocol('a frame that is not JSON');
    }
    // In a list as well: the way errors come from Google's streams without `alt=sse`.
    if (Array.isArray(payload)) payload = payload[0];
    if (!isObject(payload)) throw new NotThisProtocol('a frame that is no response object');
    return this.readResponse(payload);
  }

  readResponse(payload: Json): AnswerEvent[] {
    const usage = readUsage(payload.usageMetadata);
    const told: AnswerEvent[] = usage === null ? [] : [{ type: 'usage', usage }];
    if (payload.error !== undefined && payload.error !== null) {
      const error = errorIn(payload) ?? { message: 'an error', type: 'upstream_error', code: null, param: null };
      return [...told, { type: 'error', error }];
    }
    const { candidates, promptFeedback } = payload;
    const blocked = isObject(promptFeedback) && typeof promptFeedback.blockReason === 'string';
    if (!Array.isArray(candidates) && !blocked && usage === null) {
      throw new NotThisProtocol('a response without candidates');
    }
    const events = this.#start(payload);
    let failure: AnswerEvent | undefined;
    for (const candidate of Array.isArray(candidates) ? candidates : []) {
      if (!isObject(candidate)) throw new NotThisProtocol('a candidate that is no object', usage);
      const parts = partsOf(candidate, usage);
      if (typeof candidate.index === 'number' && candidate.index > 0) {
        const chars = parts.reduce((sum, part) => sum + charsOf(part), 0);
        events.push({ type: 'other', chars });
        continue;
      }
      for (const part of parts) events.push(...this.#part(part, usage));
      failure = this.#finish(candidate, events) ?? failure;
    }
    if (blocked && !this.#complete && !failure) this.#end('content_filter', events);
    events.push(...told);
    if (failure) events.push(failure);
    return events;
  }

  #start({ responseId }: Json): AnswerEvent[] {
    if (this.#started) return [];
    this.#started = true;
    this.#id = typeof responseId === 'string' ? responseId : null;
    return [{ type: 'start', id: this.#id }];
  }

  #part(part: Json, usage: Usage | null): AnswerEvent[] {
    const { text, thought, thoughtSignature, functionCall } = part;
    const sealed = typeof thoughtSignature === 'string' ? { by: this.#maker, data: thoughtSignature } : undefined;
    if (functionCall !== undefined) {
      if (!isObject(functionCall) || typeof functionCall.name !== 'string') {
        throw new NotThisProtocol('a function call without a name', usage);
      }
      const { name, args = {} } = functionCall;
      if (!isObject(args)) throw new NotThisProtocol('a function call whose arguments are no object', usage);
      const index = this.#calls++;
      const json = jsonOf(args, usage);
      const id =
        typeof functionCall.id === 'string' && functionCall.id !== ''
          ? functionCall.id
          : madeUpId([this.#id, index, name, json]);
      return [
        { type: 'tool_call', index, id, name, ...(sealed && { sealed }) },
        { type: 'tool_arguments', index, json },
      ];
    }
    if (text !== undefined && typeof text !== 'string') throw new NotThisProtocol('a text that is none', usage);
    const events: AnswerEvent[] = [];
    if (text) events.push({ type: thought === true ? 'thinking' : 'text', text });
    else if (text === undefined && charsOf(part) > 0) events.push({ type: 'other', chars: charsOf(part) });
    // Of a text it stands alone, behind it; only a thought's own signature belongs to the thinking before it.
    if (sealed) events.push({ type: 'sealed', sealed, ...(thought !== true && { redacted: true }) });
    return events;
  }

  /** @returns the error that a failed answer ends in */
  #finish({ finishReason, finishMessage }: Json, events: AnswerEvent[]): AnswerEvent | undefined {
    if (finishReason === undefined || finishReason === null || this.#complete) return undefined;
    const reason = FINISHES[String(finishReason)];
    if (reason !== undefined) {
      this.#end(reason === 'stop' && this.#calls > 0 ? 'tool_calls' : reason, events);
      return undefined;
    }
    const why = typeof finishMessage === 'string' ? `: ${finishMessage}` : '';
    return {
      type: 'error',
      error: {
        message: `the answer ended with ${String(finishReason)}${why}`,
        type: 'server_error',
        code: String(finishReason).toLowerCase(),
        param: null,
      },
    };
  }

  #end(reason: FinishReason, events: AnswerEvent[]): void {
    this.#complete = true;
    events.push({ type: 'finish', reason });
  }
}

function partsOf({ content }: Json, usage: Usage | null): Json[] {
  if (content === undefined || content === null) return [];
  if (!isObject(content)) throw new NotThisProtocol('a candidate whose content is no object', usage);
  const { parts = [] } = content;
  if (!Array.isArray(parts) || !parts.every(isObject)) {
    throw new NotThisProtocol('a candidate whose parts are none', usage);
  }
  return parts;
}

/** Characters of output in a part that is neither text nor a call; bytes of images and sound are none. */
function charsOf({ text, executableCode, codeExecutionResult }: Json): number {
  const length = (value: unknown) => (typeof value === 'string' ? value.length : 0);
  const code = isObject(executableCode) ? length(executableCode.code) : 0;
  const output = isObject(codeExecutionResult) ? length(codeExecutionResult.output) : 0;
  return length(text) + code + output;
}

/** Parsing takes any depth, writing does not. */
function jsonOf(args: Json, usage: Usage | null): string {
  try {
    return JSON.stringify(args);
  } catch {
    throw new NotThisProtocol('a function call whose arguments are nested too deep', usage);
  }
}

/** Gemini may leave a call without an id; the same call of the same answer always gets the same one. */
const madeUpId = (facts: readonly unknown[]) =>
  `call_${createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 24)}`;

/** `usageMetadata`; the prompt's count includes what was cached, the candidates' leaves out what was thought. */
export function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const prompt = count(raw.promptTokenCount);
  if (prompt === null) return null;
  const inputTokens = prompt + (count(raw.toolUsePromptTokenCount) ?? 0);
  const thoughts = count(raw.thoughtsTokenCount);
  return {
    inputTokens,
    cachedInputTokens: Math.min(count(raw.cachedContentTokenCount) ?? 0, inputTokens),
    cacheWriteTokens: 0,
    outputTokens: (count(raw.candidatesTokenCount) ?? 0) + (thoughts ?? 0),
    reasoningTokens: thoughts,
  };
}
