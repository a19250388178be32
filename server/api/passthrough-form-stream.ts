/**
 * `multipart/form-data` as it goes by: the value of each part through whoever looks at it, every other byte as it came.
 * As strict as `passthrough-form.ts`, and memory is bounded whatever the form holds.
 */
import {
  BLANK_LINE,
  boundaryOf,
  broken,
  type Disposition,
  dispositionOf,
  MAX_FIELDS,
  MAX_HEADER_BYTES,
} from './passthrough-form.ts';

export interface PartHead extends Disposition {
  /** Lines parted by CRLF. */
  readonly headers: string;
}

/** Takes the value of one part, piece by piece. */
export interface PartLook {
  /** @returns what goes on in its place; the rest may follow later */
  push(bytes: Buffer): Promise<Buffer>;
  end(): Promise<Buffer>;
  /** What goes on in place of the part's headers. */
  readonly headers?: string;
}

const CRLF = 2;

/**
 * @param contentType the request's header, for the boundary
 * @param lookOf      what takes the value of a part
 * @throws `INVALID_REQUEST` for a form that is none, or unclear; what a look throws
 */
export async function* throughForm(
  body: AsyncIterable<Buffer>,
  contentType: string,
  lookOf: (head: PartHead) => PartLook | Promise<PartLook>,
): AsyncGenerator<Buffer> {
  const delimiter = Buffer.from(`--${boundaryOf(contentType)}`);
  /** Of a value, what might be the beginning of a line end and a boundary. */
  const tail = delimiter.length + 1;
  let state: 'start' | 'boundary' | 'headers' | 'value' | 'over' = 'start';
  let held: Buffer = Buffer.alloc(0);
  let look: PartLook | null = null;
  let parts = 0;
  for await (const piece of body) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece]);
    for (;;) {
      if (state === 'start') {
        if (held.length < delimiter.length) break;
        if (!held.subarray(0, delimiter.length).equals(delimiter)) throw broken('it does not begin with its boundary');
        yield delimiter;
        held = held.subarray(delimiter.length);
        state = 'boundary';
      } else if (state === 'boundary') {
        if (held.length < CRLF) break;
        const next = held.toString('latin1', 0, CRLF);
        if (next !== '--' && next !== '\r\n') throw broken('a boundary is not followed by a line end');
        // The line end stays: it may be the first half of a blank line, of a part without headers.
        state = next === '--' ? 'over' : 'headers';
      } else if (state === 'headers') {
        const blank = held.subarray(0, MAX_HEADER_BYTES).indexOf(BLANK_LINE);
        if (blank === 0 || (blank < 0 && held.length >= MAX_HEADER_BYTES)) {
          throw broken('a field has no headers, or none that end');
        }
        if (blank < 0) break;
        if (++parts > MAX_FIELDS) throw broken(`it has more than ${MAX_FIELDS} fields`);
        const headers = held.toString('utf8', CRLF, blank);
        look = await lookOf({ ...dispositionOf(headers), headers });
        if (look.headers === undefined) yield held.subarray(0, blank + BLANK_LINE.length);
        else yield Buffer.from(`\r\n${look.headers}\r\n\r\n`);
        held = held.subarray(blank + BLANK_LINE.length);
        state = 'value';
      } else if (state === 'value') {
        const at = held.indexOf(delimiter);
        if (at < 0) {
          if (held.length > tail) {
            yield await look!.push(held.subarray(0, held.length - tail));
            held = held.subarray(held.length - tail);
          }
          break;
        }
        // Another reader might take it for the end of the field.
        if (at < CRLF || held.toString('latin1', at - CRLF, at) !== '\r\n') {
          throw broken('a field holds the boundary itself');
        }
        if (at > CRLF) yield await look!.push(held.subarray(0, at - CRLF));
        yield await look!.end();
        yield held.subarray(at - CRLF, at + delimiter.length);
        held = held.subarray(at + delimiter.length);
        state = 'boundary';
      } else {
        // Nothing that readers look at follows, unless they see a boundary in it.
        if (held.includes(delimiter)) throw broken('it goes on after its last boundary');
        if (held.length > tail) {
          yield held.subarray(0, held.length - tail);
          held = held.subarray(held.length - tail);
        }
        break;
      }
    }
  }
  if (state !== 'over') throw broken('it breaks off before its last boundary');
  yield held;
}
