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
const MOST_TOKEN_CHARS = 500;

let waitingBytes = 0;

/**
 * @param body   what is left of it when it is refused is still there
 * @param look   of rules that may change or refuse it
 * @param folder where a large one waits; null: in memory, however large it is
 * @throws GuardrailBlocked; `INVALID_REQUEST` for a form that is none, or a batch that cannot be read; `BODY_TOO_LARGE`
 */
export async function seenForm(
  body: Readable,
  contentType: string,
  { look, folder }: { readonly look: UploadLook; readonly folder: string | null },
): Promise<SeenForm> {
  const parts = new Parts(look, true);
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
    this.body = Readable.from(this.#through(body, contentType, new Parts(look, mustPass)), { objectMode: false });
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

/** Each part through a guardrail of its own; what `purpose` says tells how the file beside it must be read. */
class Parts {
  readonly mustPass: boolean;
  readonly #look: UploadLook;
  readonly #guards: ReturnType<UploadLook['guardOf']>[] = [];
  #purpose: string | null = null;

  constructor(look: UploadLook, mustPass: boolean) {
    this.#look = look;
    this.mustPass = mustPass;
  }

  lookOf({ name, headers }: PartHead): PartLook {
    if (this.mustPass) refuseEncoded(headers);
    if (name === 'model') return new Token(this.mustPass, name);
    if (name !== 'purpose') {
      const guard = this.#look.guardOf(this.#purpose === null ? null : this.#purpose === BATCH);
      this.#guards.push(guard);
      return guard;
    }
    if (this.#purpose !== null && this.mustPass) throw new FieldError('purpose', 'must be there once');
    this.#purpose = '';
    return new Token(this.mustPass, name, (purpose) => {
      this.#purpose = purpose;
    });
  }

  /** @returns marks of the rules that all of it was looked at under */
  settle(): readonly string[] {
    const marks = this.#guards.map((guard) => guard.settle(this.#purpose === BATCH));
    return (marks[0] ?? []).filter((mark) => marks.every((others) => others.includes(mark)));
  }
}

const BATCH = 'batch';

/** A word of the API's own, which is no text. */
class Token implements PartLook {
  readonly #mustBeOne: boolean;
  readonly #name: string;
  readonly #isOver: (text: string) => void;
  #text = '';

  constructor(mustBeOne: boolean, name: string, isOver: (text: string) => void = () => {}) {
    this.#mustBeOne = mustBeOne;
    this.#name = name;
    this.#isOver = isOver;
  }

  async push(bytes: Buffer): Promise<Buffer> {
    if (this.#text.length <= MOST_TOKEN_CHARS) this.#text += bytes.toString('utf8');
    if (this.#mustBeOne && (this.#text.length > MOST_TOKEN_CHARS || /[^\w.:/+=|,*~-]/.test(this.#text))) {
      throw new FieldError(this.#name, 'does not look like one');
    }
    return bytes;
  }

  async end(): Promise<Buffer> {
    this.#isOver(this.#text);
    return Buffer.alloc(0);
  }
}

/** A reader that knows the header would see other bytes than were looked at here. */
function refuseEncoded(headers: string): void {
  for (const line of headers.split('\r\n')) {
    const [, name = '', value = ''] = /^([\w-]+)\s*:\s*(.*)$/.exec(line) ?? [];
    const isPlain = /^content-transfer-encoding$/i.test(name)
      ? /^(?:7bit|8bit|binary)$/i.test(value.trim())
      : /^content-encoding$/i.test(name)
        ? /^identity$/i.test(value.trim())
        : !/^content-type$/i.test(name) || !/charset=/i.test(value) || /charset="?(?:utf-8|us-ascii)\b/i.test(value);
    if (!isPlain) throw new FieldError('file', `send it without ${name}: ${value.slice(0, 40)}`);
  }
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
