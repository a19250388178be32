/** Reads server-sent events from bytes that arrive in any pieces. @see WHATWG HTML, "Server-sent events" */
import { RoutingError } from '../../datasets/index.ts';

export interface SseEvent {
  /** `event:` field; empty for a plain message. */
  readonly event: string;
  /** `data:` lines joined by newlines. */
  readonly data: string;
}

export class SseParser {
  // Not fatal: a damaged byte becomes U+FFFD, and the JSON around it may still parse.
  readonly #decoder = new TextDecoder('utf-8');
  readonly #maxChars: number;
  /** Pieces of a line whose end has not come yet; joined once, so that a long line stays linear. */
  #line: string[] = [];
  #lineChars = 0;
  /** The last character was a CR: a LF right after it belongs to the same line end. */
  #afterCr = false;
  #event = '';
  #data: string[] = [];
  #dataChars = 0;
  #foreign = false;

  /** @param maxChars largest event accepted, in characters */
  constructor(maxChars = 16 * 1024 * 1024) {
    this.#maxChars = maxChars;
  }

  /** A line came that is no field of the format: whatever this is, it is no stream of events. */
  get foreign(): boolean {
    return this.#foreign;
  }

  /** Events that these bytes complete. @throws `UPSTREAM_INVALID` when one event grows past the limit */
  push(bytes: Uint8Array): SseEvent[] {
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /**
   * What was left when the bytes ended. The standard drops an event without its closing blank line;
   * here it is handed over, since some hosts end on a bare `data: [DONE]`. It may be half an event:
   * the caller has to look.
   */
  end(): SseEvent | null {
    this.#take(this.#decoder.decode());
    if (this.#lineChars > 0) this.#endLine('');
    return this.#dispatch();
  }

  #take(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    let start = 0;
    if (this.#afterCr && text.length > 0) {
      if (text.startsWith('\n')) start = 1;
      this.#afterCr = false;
    }
    let lf = text.indexOf('\n', start);
    let cr = text.indexOf('\r', start);
    while (lf !== -1 || cr !== -1) {
      const end = lf === -1 || (cr !== -1 && cr < lf) ? cr : lf;
      if (end === start && this.#lineChars === 0) {
        const event = this.#dispatch();
        if (event !== null) events.push(event);
      } else this.#endLine(text.slice(start, end));
      start = end + 1;
      if (end === cr) {
        if (start === text.length) this.#afterCr = true;
        else if (text[start] === '\n') start++;
        cr = text.indexOf('\r', start);
      }
      if (lf < start && lf !== -1) lf = text.indexOf('\n', start);
    }
    if (start < text.length) {
      this.#line.push(text.slice(start));
      this.#lineChars += text.length - start;
    }
    if (this.#lineChars + this.#dataChars > this.#maxChars) {
      throw new RoutingError('UPSTREAM_INVALID', `one event of the stream is larger than ${this.#maxChars} characters`);
    }
    return events;
  }

  #endLine(tail: string): void {
    const line = this.#lineChars === 0 ? tail : this.#line.join('') + tail;
    this.#line = [];
    this.#lineChars = 0;
    // A line that starts with a colon is a comment: hosts send them while a model thinks.
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') {
      this.#data.push(value);
      this.#dataChars += value.length + 1;
    } else if (field === 'event') this.#event = value;
    // `id` and `retry` are for browsers that reconnect; a completion cannot be resumed.
    else if (field !== '' && field !== 'id' && field !== 'retry') this.#foreign = true;
  }

  #dispatch(): SseEvent | null {
    const event = this.#data.length === 0 ? null : { event: this.#event, data: this.#data.join('\n') };
    this.#event = '';
    this.#data = [];
    this.#dataChars = 0;
    return event;
  }
}
