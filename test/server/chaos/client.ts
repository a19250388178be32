/** A client that knows what it should get, and says of each request how it ended. */
import { Agent, request } from 'undici';
import { answerFor, promptFor } from './misbehaving-upstream.ts';

export interface Ask {
  readonly token: string;
  readonly model: string;
  readonly stream: boolean;
  /** Hangs up after so many ms; null: waits for the end. */
  readonly leavesAfterMs: number | null;
}

/**
 * - `answer`  the right answer, whole
 * - `error`   an error as documented; of a stream: words of the right answer, then an error frame and no `[DONE]`
 * - `left`    the client hung up itself
 * - `refused` no connection, or one that broke before any byte of a reply
 * - `cut`     a reply that broke off without saying so
 * - `wrong`   anything else
 */
export type Ending = 'answer' | 'error' | 'left' | 'refused' | 'cut' | 'wrong';

export interface Result extends Ask {
  readonly ending: Ending;
  /** The error's code, or what was wrong. */
  readonly detail: string;
  /** The decision's id; null where no head of a reply came. */
  readonly id: string | null;
  /** On the clock of `performance.now()`. */
  readonly startedAt: number;
}

/**
 * Codes that a failing upstream, a stopping gateway and nothing else may lead to, and their statuses.
 * The last two are the upstream's own words, which are passed on.
 */
const CODES: Readonly<Record<string, readonly number[]>> = {
  UPSTREAM_ERROR: [502],
  UPSTREAM_TIMEOUT: [504],
  UPSTREAM_INVALID: [502],
  UPSTREAM_CLOSED: [502],
  SHUTTING_DOWN: [503],
  chaos_rate_limit: [429],
  chaos_refused: [400],
};

/** What a client waits for: longer than the gateway may take for anything. */
const PATIENCE_MS = 20_000;

export class Client {
  readonly #key: string;
  readonly #agent: Agent;

  constructor(key: string) {
    this.#key = key;
    this.#agent = new Agent({ connections: 256, headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS });
  }

  /** @param url the gateway's */
  async ask(url: string, ask: Ask): Promise<Result> {
    const startedAt = performance.now();
    const leave = new AbortController();
    const timer = ask.leavesAfterMs === null ? undefined : setTimeout(() => leave.abort(), ask.leavesAfterMs);
    let id: string | null = null;
    const end = (ending: Ending, detail = ''): Result => ({ ...ask, ending, detail, id, startedAt });
    try {
      const reply = await request(`${url}/v1/chat/completions`, {
        method: 'POST',
        dispatcher: this.#agent,
        signal: leave.signal,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#key}` },
        body: JSON.stringify({
          model: ask.model,
          stream: ask.stream,
          messages: [{ role: 'user', content: promptFor(ask.token) }],
        }),
      }).catch((error: NodeJS.ErrnoException) => {
        if (leave.signal.aborted) return null;
        return error.code ?? error.message;
      });
      if (reply === null) return end('left');
      if (typeof reply === 'string') return end('refused', reply);
      id = (reply.headers['x-pointsman-decision-id'] as string | undefined) ?? null;
      const text = await reply.body.text().catch((error: NodeJS.ErrnoException) => {
        if (leave.signal.aborted) return null;
        return error;
      });
      if (text === null) return end('left');
      if (typeof text !== 'string') return end('cut', text.code ?? text.message);
      const { statusCode, headers } = reply;
      const type = String(headers['content-type']);
      const saidModel = headers['x-pointsman-model'] as string | undefined;
      if (statusCode !== 200) return end(...judgeError(statusCode, type, text));
      const judged = ask.stream ? judgeStream(ask, type, text, saidModel) : judgeJson(ask, type, text, saidModel);
      return end(...judged);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A decision as it is on record: status and body. */
  async decision(url: string, id: string): Promise<{ status: number; body: RecordedDecision }> {
    const reply = await request(`${url}/v1/decisions/${id}`, {
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.#key}` },
    });
    return { status: reply.statusCode, body: (await reply.body.json()) as RecordedDecision };
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

export interface RecordedDecision {
  readonly id: string;
  readonly routed: boolean;
  readonly attempts: readonly {
    readonly id: string;
    readonly ordinal: number;
    readonly model: string;
    readonly status: string;
    readonly errorCode: string | null;
  }[];
}

type Judged = [Ending, string?];

function judgeError(status: number, type: string, text: string): Judged {
  if (!type.startsWith('application/json')) return ['wrong', `status ${status} as ${type}`];
  const error = parse(text)?.error as Record<string, unknown> | undefined;
  return judgeErrorObject(error, status, text);
}

function judgeErrorObject(error: Record<string, unknown> | undefined, status: number | null, text: string): Judged {
  const isShaped =
    typeof error?.message === 'string' && error.message !== '' && typeof error.type === 'string' && 'param' in error;
  if (!isShaped) return ['wrong', `an error of no known shape: ${text.slice(0, 200)}`];
  const code = String(error.code);
  const statuses = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  if (statuses === undefined) return ['wrong', `unexpected code ${code} (status ${status}): ${error.message}`];
  if (status !== null && !statuses.includes(status)) return ['wrong', `code ${code} with status ${status}`];
  return ['error', code];
}

function judgeJson(ask: Ask, type: string, text: string, saidModel: string | undefined): Judged {
  if (!type.startsWith('application/json')) return ['wrong', `an answer as ${type}`];
  const body = parse(text) as { model?: string; choices?: { message?: { content?: string } }[] } | undefined;
  if (body?.choices?.[0]?.message?.content !== answerFor(ask.token)) {
    return ['wrong', `not the right answer: ${text.slice(0, 200)}`];
  }
  return judgeModel(ask, body.model, saidModel);
}

function judgeModel(ask: Ask, model: string | undefined, saidModel: string | undefined): Judged {
  if (model !== saidModel) return ['wrong', `the body says ${model}, the header ${saidModel}`];
  if (ask.model !== 'auto' && model !== ask.model) return ['wrong', `${model} answered for ${ask.model}`];
  return ['answer'];
}

function judgeStream(ask: Ask, type: string, text: string, saidModel: string | undefined): Judged {
  if (!type.startsWith('text/event-stream')) return ['wrong', `a stream as ${type}`];
  const expected = answerFor(ask.token);
  let content = '';
  let finished = false;
  let error: Record<string, unknown> | undefined;
  const frames = text.split('\n\n');
  if (frames.pop() !== '') return ['wrong', `a stream that ends in the middle of a frame: ${text.slice(-100)}`];
  const events = frames.filter((frame) => !frame.startsWith(':'));
  const isDone = events.at(-1) === 'data: [DONE]';
  for (const event of isDone ? events.slice(0, -1) : events) {
    const payload = event.startsWith('data: ') ? parse(event.slice('data: '.length)) : undefined;
    if (payload === undefined) return ['wrong', `not a frame: ${event.slice(0, 200)}`];
    if (error !== undefined) return ['wrong', 'a frame after an error frame'];
    if (payload.error != null) {
      error = payload.error as Record<string, unknown>;
      continue;
    }
    const judged = judgeModel(ask, payload.model as string | undefined, saidModel);
    if (judged[0] !== 'answer') return judged;
    if (payload.usage != null) return ['wrong', 'a usage chunk that nobody asked for'];
    const choice = (payload.choices as { delta?: { content?: string }; finish_reason?: string | null }[])[0];
    content += choice?.delta?.content ?? '';
    if (choice?.finish_reason != null) finished = true;
  }
  if (error !== undefined) {
    if (isDone) return ['wrong', '[DONE] after an error frame'];
    if (!expected.startsWith(content)) return ['wrong', `words of another answer before an error: ${content}`];
    return judgeErrorObject(error, null, text);
  }
  if (!isDone) return ['wrong', 'a stream that ends without [DONE] and without an error'];
  if (content !== expected || !finished) return ['wrong', `not the right answer: ${content}, finished ${finished}`];
  return ['answer'];
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
