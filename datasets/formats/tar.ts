/**
 * Members of a gzipped tar archive, one at a time; nothing is unpacked to disk, so no path in it can lead anywhere.
 * Reads ustar headers with the long names of pax and GNU, which is what `git archive` and `tar` write.
 * @see POSIX.1-2017, pax: "pax Interchange Format" and "ustar Interchange Format"
 */
import { RoutingError } from '../errors.ts';
import { type Bytes, cutShort, gunzipped, type Member } from './bytes.ts';

const BLOCK = 512;
/** Extended headers hold names and comments. */
const MAX_EXTENDED_BYTES = 1 << 20;

/**
 * Files of the archive in its order. Each can be read until the next one is asked for; what is left unread is skipped.
 * @param onComment told the archive's comment: `git archive` writes the commit there
 * @throws `MISSING_FILE`, `TRUNCATED_FILE` when the archive ends early or is damaged
 */
export async function* tarMembers(path: string, onComment: (text: string) => void = () => {}): AsyncGenerator<Member> {
  const input = new Blocks(path, gunzipped(path));
  let longName: string | undefined;
  try {
    for (;;) {
      const header = await input.take(BLOCK);
      // Two blocks of zeros end an archive.
      if (header.every((byte) => byte === 0)) break;
      checkSum(path, header);
      const size = sizeOf(path, header);
      const type = String.fromCharCode(header[156]!);
      const padded = Math.ceil(size / BLOCK) * BLOCK;
      if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
        if (size > MAX_EXTENDED_BYTES) throw cutShort(path, `an extended header of ${size} bytes`);
        const body = (await input.take(padded)).subarray(0, size);
        if (type === 'L') longName = textOf(body);
        const records = type === 'x' || type === 'g' ? paxRecords(path, body) : new Map<string, string>();
        if (records.has('path')) longName = records.get('path')!;
        if (type === 'g' && records.has('comment')) onComment(records.get('comment')!);
        continue;
      }
      const prefix = textOf(header.subarray(345, 500));
      const short = textOf(header.subarray(0, 100));
      const name = longName ?? (prefix === '' ? short : `${prefix}/${short}`);
      longName = undefined;
      const member = input.member(size);
      // '0' and NUL are files; folders, links and devices hold nothing to read.
      if (type === '0' || type === '\0') yield { name, bytes: member.bytes() };
      await member.skip();
      await input.skip(padded - size);
    }
  } finally {
    await input.close();
  }
}

function sizeOf(path: string, header: Buffer): number {
  const field = header.subarray(124, 136);
  // Sizes of 8 GB and more are big-endian binary, marked by the first bit.
  if ((field[0]! & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  const digits = textOf(field).trim();
  if (!/^[0-7]*$/.test(digits)) throw cutShort(path, 'a member without a size');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** The sum of the header's bytes, with blanks in place of the sum itself. */
function checkSum(path: string, header: Buffer): void {
  const stated = Number.parseInt(textOf(header.subarray(148, 156)).trim(), 8);
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 0x20 : header[at]!;
  if (sum !== stated) throw new RoutingError('TRUNCATED_FILE', `${path}: is no tar archive inside, or damaged`);
}

/** `LENGTH KEY=VALUE\n` after one another; LENGTH counts the whole record. */
function paxRecords(path: string, body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(0x20, at);
    const length = Number(body.subarray(at, blank).toString('latin1'));
    if (blank < 0 || !Number.isSafeInteger(length) || length <= 0) throw cutShort(path, 'a damaged pax header');
    const record = body.subarray(blank + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** Up to the first NUL. */
function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end).toString('utf8');
}

/** A stream read in pieces of asked-for length. */
class Blocks {
  readonly #path: string;
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string, bytes: Bytes) {
    this.#path = path;
    this.#source = bytes[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      const piece = await this.#upTo(missing);
      pieces.push(piece);
      missing -= piece.length;
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) missing -= (await this.#upTo(missing)).length;
  }

  /** A member's bytes: `skip` reads over whatever `bytes` left. */
  member(size: number): { bytes: () => AsyncGenerator<Buffer>; skip: () => Promise<void> } {
    let missing = size;
    const upTo = (length: number) => this.#upTo(length);
    return {
      async *bytes() {
        while (missing > 0) {
          const piece = await upTo(missing);
          missing -= piece.length;
          yield piece;
        }
      },
      skip: async () => {
        await this.skip(missing);
        missing = 0;
      },
    };
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #upTo(length: number): Promise<Buffer> {
    if (this.#rest.length === 0) {
      const next = await this.#source.next();
      if (next.done) throw cutShort(this.#path, 'ends inside a member');
      this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    const piece = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }
}
