/** AWS event stream → frames: length, checksums, headers, JSON body; bytes may arrive in any pieces. */
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { RoutingError } from '../../../datasets/index.ts';
import type { Frame, Framing } from '../protocol.ts';

/** Total length, length of the headers, checksum of these two; four bytes each, big-endian. */
const PRELUDE_BYTES = 12;
/** The prelude and the checksum at the end. */
const SMALLEST_MESSAGE = 16;

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : text(bytes)),
  (string) => Buffer.from(string),
);

/** Event of a message of type `error`: it has no body, so its headers are told as the body of an exception. */
const ERROR_EVENT = 'error';

export class EventStreamFraming implements Framing {
  readonly #maxBytes: number;
  /** Bytes of a message whose end has not come yet; joined once it has, so that a long one stays linear. */
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  /** Length that the prelude tells, checked; 0 while there is no whole prelude. */
  #expected = 0;
  #begun = false;
  #foreign = false;

  /** @param maxFrameChars largest message accepted; counted in bytes, of which no character has fewer than one */
  constructor(maxFrameChars: number) {
    this.#maxBytes = maxFrameChars;
  }

  get foreign(): boolean {
    return this.#foreign;
  }

  push(bytes: Uint8Array): Frame[] {
    if (this.#foreign) return [];
    if (bytes.byteLength > 0) this.#pieces.push(bytes);
    this.#bytes += bytes.byteLength;
    const frames: Frame[] = [];
    let at = 0;
    // Joined at most twice for each message: for its prelude, and when it is whole.
    while (this.#bytes - at >= (this.#expected || PRELUDE_BYTES)) {
      const all = this.#joined();
      if (this.#expected === 0) {
        this.#expected = this.#readPrelude(all.subarray(at, at + PRELUDE_BYTES));
        if (this.#foreign) {
          this.#keep(all.subarray(all.byteLength));
          return frames;
        }
        continue;
      }
      frames.push(decode(all.subarray(at, at + this.#expected)));
      at += this.#expected;
      this.#expected = 0;
      this.#begun = true;
    }
    if (at > 0) this.#keep(this.#joined().subarray(at));
    return frames;
  }

  end(): Frame | null {
    // Too short to be even one message, or cut off: half a message is none.
    if (!this.#begun && this.#expected === 0 && this.#bytes > 0) this.#foreign = true;
    return null;
  }

  #readPrelude(prelude: Uint8Array): number {
    const view = new DataView(prelude.buffer, prelude.byteOffset, prelude.byteLength);
    const total = view.getUint32(0);
    const headers = view.getUint32(4);
    const sound = view.getUint32(8) === crc32(prelude.subarray(0, 8)) && SMALLEST_MESSAGE + headers <= total;
    if (!sound) {
      if (this.#begun) throw damaged('its prelude does not match its checksum');
      this.#foreign = true;
      return 0;
    }
    if (total > this.#maxBytes) {
      throw new RoutingError('UPSTREAM_INVALID', `one message of the stream is larger than ${this.#maxBytes} bytes`);
    }
    return total;
  }

  #joined(): Uint8Array {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }

  #keep(rest: Uint8Array): void {
    this.#pieces = rest.byteLength === 0 ? [] : [rest];
    this.#bytes = rest.byteLength;
  }
}

function decode(message: Uint8Array): Frame {
  let decoded: ReturnType<EventStreamCodec['decode']>;
  try {
    decoded = codec.decode(message);
  } catch (error) {
    throw damaged(error instanceof Error ? error.message : 'it cannot be read');
  }
  const header = (name: string): string => {
    const found = decoded.headers[name];
    return found?.type === 'string' ? found.value : '';
  };
  if (header(':message-type') === 'error') {
    const data = JSON.stringify({ __type: header(':error-code'), message: header(':error-message') });
    return { event: ERROR_EVENT, data };
  }
  const event = header(':message-type') === 'exception' ? header(':exception-type') : header(':event-type');
  return { event, data: text(decoded.body) };
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

const damaged = (why: string) =>
  new RoutingError('UPSTREAM_INVALID', `one message of the stream is damaged: ${why.replace(/\.?$/, '')}`);

/** CRC-32 as in gzip; bit by bit, for it is only ever given eight bytes. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
