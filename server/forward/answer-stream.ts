/**
 * An answer as it streams in, in whatever protocol: each frame checked, usage picked out, its end told apart from
 * a break. Nothing is read ahead of whoever takes the frames, so a slow client slows the provider.
 */
import { RoutingError } from '../../datasets/index.ts';
import { charsOf } from '../protocols/collect.ts';
import type { AnswerEvent } from '../protocols/conversation.ts';
import { type Frame, type Framing, NotThisProtocol, type StreamReader } from '../protocols/protocol.ts';
import { fromTold, UpstreamFailure, type Who } from './failure.ts';
import type { Usage } from './usage.ts';
import type { AttemptClock } from './watch.ts';

export interface Piece {
  readonly frame: Frame;
  /** What the frame says; none for a ping. */
  readonly events: readonly AnswerEvent[];
  /** The protocol's own end came with it. */
  readonly last: boolean;
}

export interface AnswerStreamOptions {
  /** The provider, for messages. */
  readonly who: Who;
  readonly body: AsyncIterable<Uint8Array>;
  readonly framing: Framing;
  readonly reader: StreamReader;
  readonly clock: AttemptClock;
  readonly idleMs: number;
}

/** In mid-stream, signs of life (comments, pings) keep a stream alive for this many times the silence allowed without them. */
const LIFE_SIGN_PATIENCE = 5;

export class AnswerStream {
  readonly #options: AnswerStreamOptions;
  readonly #bytes: AsyncIterator<Uint8Array>;
  /** Frames before the first word: held back, so that a stream that fails early can still go elsewhere. */
  #held: Piece[] = [];
  #frames: Frame[] = [];
  #ended = false;
  #talking = false;
  #finished = false;
  #lastWordAt = performance.now();
  /** When the last piece was handed out: what its taker does with it until the next is asked for is not silence. */
  #handedAt = 0;

  usage: Usage | null = null;
  /** Characters of the answer so far: stands in for usage when a stream breaks before reporting it. */
  outputChars = 0;

  constructor(options: AnswerStreamOptions) {
    this.#options = options;
    this.#bytes = options.body[Symbol.asyncIterator]();
  }

  /** Reads up to the first word. @throws what makes another model the better try */
  async open(): Promise<void> {
    try {
      while (!this.#talking) {
        const piece = await this.#read();
        if (piece === null) {
          if (this.#finished) break;
          throw this.#invalid('a stream without an answer in it');
        }
        this.#held.push(piece);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** The next frame; null at the proper end. @throws UpstreamFailure when the stream breaks */
  async next(): Promise<Piece | null> {
    if (this.#handedAt > 0) this.#lastWordAt += performance.now() - this.#handedAt;
    const piece = this.#held.shift() ?? (await this.#read());
    this.#handedAt = performance.now();
    return piece;
  }

  /** More has come already: what is taken next need not be waited for. */
  get hasMore(): boolean {
    return this.#held.length > 0 || this.#frames.length > 0;
  }

  /** Stops the idle clock while the client is slow to take what it was sent. */
  pause(): void {
    this.#options.clock.pause();
  }

  get signal(): AbortSignal {
    return this.#options.clock.signal;
  }

  /** Hangs up if the stream is not over. Call it always. */
  async close(): Promise<void> {
    this.#options.clock.end();
    if (this.#ended) return;
    this.#ended = true;
    // Rejects when the connection is broken already, which is what closing is for.
    await this.#bytes.return?.().catch(() => undefined);
  }

  async #read(): Promise<Piece | null> {
    const { reader } = this.#options;
    for (;;) {
      // Frames may have come along with the last one, such as a `[DONE]` after the protocol's own end.
      if (reader.closed) return null;
      const frame = await this.#nextFrame();
      if (frame === null) return this.#atEnd();
      const events = this.#eventsOf(frame);
      if (reader.closed) await this.close();
      // Chat's `[DONE]` says nothing else: whoever writes to the client ends in its own way.
      if (reader.closed && events.length === 0 && frame.event === '') return null;
      return { frame, events, last: reader.closed };
    }
  }

  async #nextFrame(): Promise<Frame | null> {
    const { clock, idleMs, framing } = this.#options;
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#ended) return null;
      if (this.#talking) {
        // Some hosts send comments while a model thinks, others go on with them when it has died.
        const patienceMs = LIFE_SIGN_PATIENCE * idleMs;
        if (performance.now() - this.#lastWordAt > patienceMs) {
          throw new RoutingError('UPSTREAM_TIMEOUT', `nothing but signs of life for ${patienceMs} ms`);
        }
        clock.arm(idleMs, 'next word of the stream');
      }
      let piece: IteratorResult<Uint8Array>;
      try {
        piece = await this.#bytes.next();
      } catch (error) {
        if (clock.signal.aborted) throw error;
        throw this.#closed(error);
      }
      if (clock.signal.aborted) throw clock.signal.reason;
      if (piece.done) {
        this.#ended = true;
        clock.pause();
        const last = framing.end();
        return last === null || !isWhole(last.data) ? null : last;
      }
      this.#frames = framing.push(piece.value);
    }
  }

  /** Bytes ended without the protocol's own end: a proper end only if the answer had said why it finished. */
  #atEnd(): null {
    const { reader, framing } = this.#options;
    if (reader.closed || reader.complete) return null;
    if (!this.#talking && framing.foreign) throw this.#invalid('something that is no stream of events');
    throw this.#closed(undefined);
  }

  #eventsOf(frame: Frame): AnswerEvent[] {
    const { who, reader } = this.#options;
    let events: AnswerEvent[];
    try {
      events = reader.read(frame);
    } catch (error) {
      if (error instanceof NotThisProtocol) throw this.#invalid(error.message);
      throw error;
    }
    for (const event of events) {
      if (event.type === 'usage') this.usage = event.usage;
      else if (event.type === 'error') throw fromTold(who, event.error, this.usage);
      else if (event.type === 'finish') this.#finished = true;
      if (saysSomething(event)) {
        this.#talking = true;
        this.#lastWordAt = performance.now();
      }
    }
    this.outputChars += charsOf(events);
    return events;
  }

  #invalid(what: string): UpstreamFailure {
    const { usage } = this;
    return new UpstreamFailure('UPSTREAM_INVALID', 'overload', `${this.#options.who.name} sent ${what}`, {
      httpStatus: 200,
      usage,
    });
  }

  #closed(cause: unknown): UpstreamFailure {
    const { usage } = this;
    return new UpstreamFailure('UPSTREAM_CLOSED', 'overload', `${this.#options.who.name} ended the stream early`, {
      httpStatus: 200,
      usage,
      cause,
    });
  }
}

/** The first such event is the answer's first word: from then on its client has been told who answers. */
function saysSomething(event: AnswerEvent): boolean {
  switch (event.type) {
    case 'text':
    case 'thinking':
    case 'refusal':
      return event.text !== '';
    case 'other':
      return event.chars > 0;
    case 'start':
    case 'usage':
    case 'error':
      return false;
    default:
      return true;
  }
}

/** Half a frame is no frame. */
function isWhole(data: string): boolean {
  if (data === '[DONE]') return true;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}
