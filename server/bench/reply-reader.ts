/** Reads HTTP/1.1 replies off a socket and nothing more, so that the load client costs less than what it measures. */

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const NOTHING = Buffer.alloc(0);

/** One connection's replies, one after the other; each must have a content-length or be chunked. */
export class ReplyReader {
  status = 0;
  /** True when the server will not take another request on this connection. */
  closes = false;
  /** Body bytes so far. */
  bodyBytes = 0;
  /** The last piece of the body: where a stream's `[DONE]` stands, or most of a short answer. */
  tail: Buffer = NOTHING;
  #rest: Buffer = NOTHING;
  #state: 'head' | 'length' | 'chunk-size' | 'chunk' | 'trailer' = 'head';
  #left = 0;

  /** @returns true when a reply is complete. @throws on what is no such reply */
  push(piece: Buffer): boolean {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    for (;;) {
      switch (this.#state) {
        case 'head': {
          const end = this.#rest.indexOf(HEAD_END);
          if (end < 0) return false;
          const isEmpty = this.#readHead(this.#rest.toString('latin1', 0, end));
          this.#rest = this.#rest.subarray(end + HEAD_END.length);
          if (isEmpty) return this.#done();
          break;
        }
        case 'length': {
          this.#take();
          if (this.#left > 0) return false;
          return this.#done();
        }
        case 'chunk-size': {
          const end = this.#rest.indexOf(LINE_END);
          if (end < 0) return false;
          this.#left = Number.parseInt(this.#rest.toString('latin1', 0, end), 16);
          if (Number.isNaN(this.#left)) throw new Error('a chunk without a size');
          this.#rest = this.#rest.subarray(end + LINE_END.length);
          this.#state = this.#left === 0 ? 'trailer' : 'chunk';
          break;
        }
        case 'chunk': {
          this.#take();
          if (this.#left > 0 || this.#rest.length < LINE_END.length) return false;
          this.#rest = this.#rest.subarray(LINE_END.length);
          this.#state = 'chunk-size';
          break;
        }
        case 'trailer': {
          // Trailers are not used by anything measured here: the empty line ends the reply.
          if (this.#rest.length < LINE_END.length) return false;
          this.#rest = this.#rest.subarray(LINE_END.length);
          return this.#done();
        }
      }
    }
  }

  /** @returns true when no body follows */
  #readHead(head: string): boolean {
    this.status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
    if (!(this.status >= 200)) throw new Error('a reply that is not HTTP/1.1');
    this.bodyBytes = 0;
    this.tail = NOTHING;
    const lower = head.toLowerCase();
    this.closes = lower.includes('\r\nconnection: close');
    const length = /\r\ncontent-length: *(\d+)/.exec(lower)?.[1];
    if (/\r\ntransfer-encoding: *chunked/.test(lower)) this.#state = 'chunk-size';
    else if (length === undefined) throw new Error('a reply of unknown length');
    else {
      this.#state = 'length';
      this.#left = Number(length);
    }
    return this.#state === 'length' && this.#left === 0;
  }

  #take(): void {
    const size = Math.min(this.#left, this.#rest.length);
    if (size === 0) return;
    this.tail = this.#rest.subarray(0, size);
    this.bodyBytes += size;
    this.#left -= size;
    this.#rest = this.#rest.subarray(size);
  }

  #done(): true {
    this.#state = 'head';
    return true;
  }
}
