/**
 * Forms under guardrails: looked at as they come, put by until all of it has been seen, and only then sent: whole, or
 * not at all. What is larger than memory should hold waits in a file without a name, which nobody else can open.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { RoutingError } from '../../datasets/index.ts';
import type { GuardHit } from '../db/records.ts';
import type { UploadLook } from '../governance/guards/guards.ts';
import { FieldError } from './errors.ts';
import { broken, headersOf, parametersOf } from './passthrough-form.ts';
import { type PartHead, type PartLook, throughForm } from './passthrough-form-stream.ts';

/** A form that may go on. */
export interface SeenForm {
  readonly body: (() => Uint8Array) | Readable;
  readonly bytes: number;
  /** Marks of the rules that its files were looked at under. */
  readonly marks: readonly string[];
  readonly hits: readonly GuardHit[];
  close(): Promise<void>;
}

/** Kept in memory up to this. */
const IN_MEMORY = 1024 * 1024;
/** Of one form: more than hosts take. */
const MOST_BYTES = 1024 * 1024 * 1024;
/** Of all that wait at once, lest they fill the disk. */
const MOST_WAITING = 4 * MOST_BYTES;

let waitingBytes = 0;

/**
 * @param body   what is left of it when it is refused is still there
 * @param look   of rules that may change or refuse it
 * @param word   the field that is a word of the API's own, which no guardrail reads
 * @param folder where a large one waits; null: in memory, however large it is
 * @throws GuardrailBlocked; `INVALID_REQUEST` for a form that is none, or a batch that cannot be read; `BODY_TOO_LARGE`
 */
export async function seenForm(
  body: Readable,
  contentType: string,
  {
    look,
    word,
    folder,
  }: { readonly look: UploadLook; readonly word: 'model' | 'purpose'; readonly folder: string | null },
): Promise<SeenForm> {
  const parts = new Parts(look, word, true);
  const kept = new Kept(folder);
  try {
    for await (const piece of throughForm(left(body), contentType, (head) => parts.lookOf(head))) await kept.add(piece);
    const marks = parts.settle();
    await kept.finish();
    return { body: kept.body(), bytes: kept.bytes, marks, hits: look.hits, close: () => kept.close() };
  } catch (error) {
    // Its client hears why once it has sent all.
    body.resume();
    await kept.close();
    throw error;
  }
}

/** A form that goes by as it came, at its own pace, while it is looked at. */
export class WatchedForm {
  readonly body: Readable;
  #refusal: unknown = null;

  /** @param mustPass what refuses it ends it; else it is watched no further, and its provider says what is wrong with it */
  constructor(body: Readable, contentType: string, look: UploadLook, mustPass: boolean) {
    this.body = Readable.from(this.#through(body, contentType, new Parts(look, 'purpose', mustPass)), {
      objectMode: false,
    });
  }

  /** Why it broke off; null: it did not, or by nobody's will. */
  get refusal(): unknown {
    return this.#refusal;
  }

  async *#through(body: Readable, contentType: string, parts: Parts): AsyncGenerator<Buffer> {
    const gone: Buffer[] = [];
    const noted = {
      async *[Symbol.asyncIterator]() {
        for await (const piece of left(body)) {
          gone.push(piece);
          yield piece;
        }
      },
    };
    try {
      for await (const _ of throughForm(noted, contentType, (head) => parts.lookOf(head))) {
        // The last one has not been looked at to its end; and the form's end must wait for what is said of it.
        if (gone.length > 1) yield* gone.splice(0, gone.length - 1);
      }
      parts.settle();
    } catch (error) {
      if (parts.mustPass) {
        this.#refusal = error;
        // Its client hears why once it has sent all.
        body.resume();
        throw error;
      }
    }
    yield* gone.splice(0);
    yield* left(body);
  }
}

/** What comes of it; whoever leaves off early leaves the rest there, where a loop by itself would hang up on the client. */
export const left = (body: Readable): AsyncIterable<Buffer> => ({
  [Symbol.asyncIterator]: () => body.iterator({ destroyOnReturn: false }),
});

/** Each part through a guardrail of its own, its names as well; what `purpose` says tells how the file beside it must be read. */
class Parts {
  readonly mustPass: boolean;
  readonly #look: UploadLook;
  readonly #word: 'model' | 'purpose';
  readonly #guards: ReturnType<UploadLook['guardOf']>[] = [];
  #hasWord = false;
  #purpose: string | null = null;

  constructor(look: UploadLook, word: 'model' | 'purpose', mustPass: boolean) {
    this.#look = look;
    this.#word = word;
    this.mustPass = mustPass;
  }

  async lookOf(head: PartHead): Promise<PartLook> {
    if (this.mustPass) refuseEncoded(head.headers);
    const isWord = head.name === this.#word && !head.isFile && !this.#hasWord;
    if (head.name === this.#word && !isWord && this.mustPass) {
      throw new FieldError(this.#word, 'must be there once, as a plain field');
    }
    const guard = this.#look.guardOf(this.#purpose === null ? null : this.#purpose === BATCH);
    const headers = await this.#seenHeaders(head, (text, isFixed) => guard.lookAtName(text, isFixed));
    if (!isWord) {
      this.#guards.push(guard);
      return {
        push: (bytes) => guard.push(bytes),
        end: () => guard.end(),
        ...(headers !== head.headers && { headers }),
      };
    }
    this.#hasWord = true;
    if (this.#word === 'model') return new Token(this.mustPass, 'model', MODEL);
    this.#purpose = '';
    return new Token(this.mustPass, 'purpose', PURPOSE, (purpose) => {
      this.#purpose = purpose;
    });
  }

  /** Of the file, of the part where it is no plain one, and what else its headers say. Only a file's name can be masked. */
  async #seenHeaders(head: PartHead, look: (text: string, isFixed: boolean) => Promise<string>): Promise<string> {
    const { name, parameters } = head;
    if (!/^[\w$.:/[\]-]{1,64}$/.test(name)) await look(name, true);
    for (const line of headersOf(head.headers)) {
      if (line.name === 'content-disposition' || isPlainHeader(line.name, line.value)) continue;
      await look(`${line.name}: ${line.value}`, true);
    }
    const plain = parameters.get('filename');
    const extended = parameters.get('filename*');
    const seen = plain === undefined ? plain : await look(plain, false);
    const was = extended === undefined ? undefined : fromExtended(extended, this.mustPass);
    const seenExtended = was === undefined ? was : await look(was, false);
    if (seen === plain && seenExtended === was) return head.headers;
    const written = [
      `form-data; name="${name}"`,
      ...(seen === undefined ? [] : [`filename="${seen.replace(/["\\]/g, '_')}"`]),
      ...(seenExtended === undefined ? [] : [`filename*=UTF-8''${encodeURIComponent(seenExtended)}`]),
    ].join('; ');
    const lines = head.headers.split('\r\n');
    return lines
      .map((one) => (/^content-disposition:/i.test(one) ? `Content-Disposition: ${written}` : one))
      .join('\r\n');
  }

  /** @returns marks of the rules that all of it was looked at under */
  settle(): readonly string[] {
    const marks = this.#guards.map((guard) => guard.settle(this.#purpose === BATCH));
    return (marks[0] ?? []).filter((mark) => marks.every((others) => others.includes(mark)));
  }
}

const BATCH = 'batch';

/** A name that is checked against those that there are, and a word out of a few. */
const MODEL = /^[\w.:/+=|,*~-]{0,500}$/;
const PURPOSE = /^[a-z_-]{0,32}$/;
const MOST_TOKEN_CHARS = 500;

/** A word of the API's own, which is no text. */
class Token implements PartLook {
  readonly #mustBeOne: boolean;
  readonly #name: string;
  readonly #form: RegExp;
  readonly #isOver: (text: string) => void;
  #text = '';

  constructor(mustBeOne: boolean, name: string, form: RegExp, isOver: (text: string) => void = () => {}) {
    this.#mustBeOne = mustBeOne;
    this.#name = name;
    this.#form = form;
    this.#isOver = isOver;
  }

  async push(bytes: Buffer): Promise<Buffer> {
    if (this.#text.length <= MOST_TOKEN_CHARS) this.#text += bytes.toString('utf8');
    if (this.#mustBeOne && !this.#form.test(this.#text)) throw new FieldError(this.#name, 'does not look like one');
    return bytes;
  }

  async end(): Promise<Buffer> {
    this.#isOver(this.#text);
    return Buffer.alloc(0);
  }
}

/** RFC 5987's value of a file name. @throws `INVALID_REQUEST` for one in another encoding than UTF-8 */
function fromExtended(value: string, mustPass: boolean): string {
  try {
    const [, encoded] = /^utf-8'[a-z-]{0,20}'(.*)$/i.exec(value) ?? [];
    if (encoded !== undefined) return decodeURIComponent(encoded);
  } catch {
    // Then it is none.
  }
  if (mustPass) throw broken('a file name is written in a way that is not read here');
  return value;
}

/** It says nothing of anybody. */
const isPlainHeader = (name: string, value: string): boolean =>
  name === 'content-type'
    ? /^[a-z0-9.+-]{1,40}\/[a-z0-9.+-]{1,90}(?:; ?charset="?(?:utf-8|us-ascii)"?)?$/i.test(value)
    : (name === 'content-length' && /^\d{1,12}$/.test(value)) || isEncoding(name);

const isEncoding = (name: string): boolean => name === 'content-transfer-encoding' || name === 'content-encoding';

/** A reader that knows the header would see other bytes than were looked at here. */
function refuseEncoded(headers: string): void {
  for (const { name, value } of headersOf(headers)) {
    const said = value.trim();
    const isPlain =
      name === 'content-transfer-encoding'
        ? /^(?:7bit|8bit|binary)$/i.test(said)
        : name === 'content-encoding'
          ? /^identity$/i.test(said)
          : name !== 'content-type' || isReadAsItStands(said);
    if (!isPlain) throw new FieldError('file', `send it without ${name}: ${value.slice(0, 40)}`);
  }
}

/** One file in UTF-8, or in bytes; no form within a form, which its reader may take apart. */
function isReadAsItStands(type: string): boolean {
  const [, kind = '', rest = ''] = /^([\w.+-]+)\/[\w.+-]+(.*)$/.exec(type) ?? [];
  const parameters = parametersOf(rest);
  if (kind === '' || /^(?:multipart|message)$/i.test(kind) || parameters === null) return false;
  return /^(?:utf-8|us-ascii)$/i.test(parameters.get('charset') ?? 'utf-8');
}

/** Bytes put by: in memory, or in a file once they are many. */
class Kept {
  readonly #folder: string | null;
  #pieces: Buffer[] = [];
  #file: FileHandle | null = null;
  #written = 0;
  bytes = 0;

  constructor(folder: string | null) {
    this.#folder = folder;
  }

  async add(piece: Buffer): Promise<void> {
    if (piece.length === 0) return;
    this.bytes += piece.length;
    waitingBytes += piece.length;
    if (this.bytes > MOST_BYTES) {
      throw new RoutingError('BODY_TOO_LARGE', `under a guardrail, a file may have ${MOST_BYTES} bytes at most`);
    }
    if (waitingBytes > MOST_WAITING) {
      throw new RoutingError('LIMIT_REACHED', 'too many large files are being looked at; try again in a while');
    }
    this.#pieces.push(piece);
    if (this.#folder !== null && this.bytes - this.#written >= IN_MEMORY) await this.#write(this.#folder);
  }

  body(): (() => Uint8Array) | Readable {
    if (this.#file === null) {
      const bytes = Buffer.concat(this.#pieces);
      return () => bytes;
    }
    return this.#file.createReadStream({ start: 0, autoClose: false });
  }

  async close(): Promise<void> {
    waitingBytes -= this.bytes;
    this.bytes = 0;
    this.#pieces = [];
    await this.#file?.close();
    this.#file = null;
  }

  async #write(folder: string): Promise<void> {
    this.#file ??= await nameless(folder);
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces = [];
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#written);
      at += bytesWritten;
      this.#written += bytesWritten;
    }
  }

  /** All is there. */
  async finish(): Promise<void> {
    if (this.#file !== null) await this.#write(this.#folder!);
  }
}

/** Gone from its folder at once, and from the disk when it is closed, however the process ends. */
async function nameless(folder: string): Promise<FileHandle> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `upload-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}
