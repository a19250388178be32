/**
 * A completion as it streams in: each chunk checked, the usage picked out, its end told apart from
 * a break. Nothing is read ahead of whoever takes the chunks, so a slow client slows the provider.
 */
import { RoutingError } from '../../datasets/index.ts';
import type { Provider } from '../providers/provider.ts';
import { fromErrorBody, UpstreamFailure } from './failure.ts';
import { type SseEvent, SseParser } from './sse.ts';
import { isObject, type Usage } from './usage.ts';
import type { AttemptClock } from './watch.ts';

export interface Chunk {
  /** The provider's JSON text, unchanged. */
  readonly data: string;
  /** True when it carries usage and nothing else: only there because we asked for it. */
  readonly usageOnly: boolean;
}

/** In mid-stream comments keep a stream alive for this many times the silence allowed without them. */
const COMMENT_PATIENCE = 5;

export class ChunkStream {
  readonly #provider: Provider;
  readonly #bytes: AsyncIterator<Uint8Array>;
  readonly #clock: AttemptClock;
  readonly #idleMs: number;
  readonly #parser: SseParser;
  /** Chunks before the first word: held back, so that a stream that fails early can still go elsewhere. */
  #held: Chunk[] = [];
  #events: SseEvent[] = [];
  #ended = false;
  #talking = false;
  /** Choices seen, and those that said why they finished. */
  readonly #seen = new Set<number>();
  readonly #finished = new Set<number>();

  usage: Usage | null = null;
  /** Characters of the answer so far: stands in for usage when a stream breaks before reporting it. */
  outputChars = 0;

  constructor(
    provider: Provider,
    body: AsyncIterable<Uint8Array>,
    clock: AttemptClock,
    idleMs: number,
    maxChunkChars: number,
  ) {
    this.#provider = provider;
    this.#bytes = body[Symbol.asyncIterator]();
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#parser = new SseParser(maxChunkChars);
  }

  /** Reads up to the first word. @throws what makes another model the better try */
  async open(): Promise<void> {
    try {
      while (!this.#talking) {
        const chunk = await this.#read();
        if (chunk === null) {
          if (this.#finished.size > 0) break;
          throw this.#invalid('a stream without an answer in it');
        }
        this.#held.push(chunk);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** The next chunk; null at the proper end. @throws UpstreamFailure when the stream breaks */
  async next(): Promise<Chunk | null> {
    const held = this.#held.shift();
    if (held !== undefined) return held;
    return await this.#read();
  }

  /** Stops the idle clock while the client is slow to take what it was sent. */
  pause(): void {
    this.#clock.pause();
  }

  get signal(): AbortSignal {
    return this.#clock.signal;
  }

  /** Hangs up if the stream is not over. Call it always. */
  async close(): Promise<void> {
    this.#clock.end();
    if (this.#ended) return;
    this.#ended = true;
    // Rejects when the connection is broken already, which is what closing is for.
    await this.#bytes.return?.().catch(() => undefined);
  }

  async #read(): Promise<Chunk | null> {
    for (;;) {
      const event = await this.#nextEvent();
      if (event === null) return this.#atEnd();
      if (event.data === '') continue;
      if (event.data === '[DONE]') {
        await this.close();
        return null;
      }
      return this.#chunk(event);
    }
  }

  async #nextEvent(): Promise<SseEvent | null> {
    const since = performance.now();
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#ended) return null;
      if (this.#talking) {
        // Some hosts send comments while a model thinks, others go on with them when it has died.
        const patienceMs = COMMENT_PATIENCE * this.#idleMs;
        if (performance.now() - since > patienceMs) {
          throw new RoutingError('UPSTREAM_TIMEOUT', `nothing but signs of life for ${patienceMs} ms`);
        }
        this.#clock.arm(this.#idleMs, 'next word of the stream');
      }
      let piece: IteratorResult<Uint8Array>;
      try {
        piece = await this.#bytes.next();
      } catch (error) {
        if (this.#clock.signal.aborted) throw error;
        throw this.#closed(error);
      }
      if (this.#clock.signal.aborted) throw this.#clock.signal.reason;
      if (piece.done) {
        this.#ended = true;
        this.#clock.pause();
        const last = this.#parser.end();
        return last === null || !isWhole(last.data) ? null : last;
      }
      this.#events = this.#parser.push(piece.value);
    }
  }

  /** Bytes ended without `[DONE]`: a proper end only if every choice had said why it finished. */
  #atEnd(): null {
    if (this.#seen.size === 0 && this.#parser.foreign) throw this.#invalid('something that is no stream of events');
    if (this.#seen.size > 0 && this.#finished.size === this.#seen.size) return null;
    throw this.#closed(undefined);
  }

  #chunk(event: SseEvent): Chunk {
    let payload: unknown;
    try {
      payload = JSON.parse(event.data);
    } catch {
      throw this.#invalid('a stream chunk that is not JSON');
    }
    if (!isObject(payload)) throw this.#invalid('a stream chunk that is not a JSON object');
    this.usage = this.#provider.usageOf(payload) ?? this.usage;
    if (payload.error != null || event.event === 'error') {
      const error = payload.error ?? payload;
      throw fromErrorBody(this.#provider.name, { error }, this.usage);
    }
    const { choices } = payload;
    if (!Array.isArray(choices)) throw this.#invalid('a stream chunk without choices');
    for (const choice of choices) {
      if (!isObject(choice)) throw this.#invalid('a stream chunk whose choice is no object');
      this.#note(choice);
    }
    return { data: event.data, usageOnly: choices.length === 0 && payload.usage != null };
  }

  #note(choice: Readonly<Record<string, unknown>>): void {
    const index = typeof choice.index === 'number' ? choice.index : 0;
    this.#seen.add(index);
    if (typeof choice.finish_reason === 'string') {
      this.#finished.add(index);
      this.#talking = true;
    }
    if (!isObject(choice.delta)) return;
    for (const [field, value] of Object.entries(choice.delta)) {
      if (field === 'role' || value === null || value === '') continue;
      if (Array.isArray(value) && value.length === 0) continue;
      this.#talking = true;
      this.outputChars += typeof value === 'string' ? value.length : JSON.stringify(value).length;
    }
  }

  #invalid(what: string): UpstreamFailure {
    return new UpstreamFailure('UPSTREAM_INVALID', 'overload', `${this.#provider.name} sent ${what}`, {
      httpStatus: 200,
      usage: this.usage,
    });
  }

  #closed(cause: unknown): UpstreamFailure {
    return new UpstreamFailure('UPSTREAM_CLOSED', 'overload', `${this.#provider.name} ended the stream early`, {
      httpStatus: 200,
      usage: this.usage,
      cause,
    });
  }
}

/** Half an event is no event. */
function isWhole(data: string): boolean {
  if (data === '[DONE]') return true;
  try {
    return isObject(JSON.parse(data));
  } catch {
    return false;
  }
}
