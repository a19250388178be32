/** Bytes put by until all of them were seen: in memory, or, once they are many, in a file without a name, which nobody else can open. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { RoutingError } from '../../datasets/index.ts';

/** Kept in memory up to this. */
const IN_MEMORY = 1024 * 1024;
/** Of one form: more than hosts take. */
const MOST_BYTES = 1024 * 1024 * 1024;
/** Of all that wait at once, lest they fill the disk. */
const MOST_WAITING = 4 * MOST_BYTES;

let waitingBytes = 0;

export class Kept {
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

  /** The same, piece by piece. */
  pieces(): AsyncIterable<Uint8Array> {
    const body = this.body();
    return typeof body === 'function' ? only(body()) : body;
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

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}

/** Gone from its folder at once, and from the disk when it is closed, however the process ends. */
async function nameless(folder: string): Promise<FileHandle> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `upload-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}
