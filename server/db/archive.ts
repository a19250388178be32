/** A folder in one file and back: POSIX ustar, gzipped, a file at a time in memory no more than a piece of it. */
import { createReadStream, createWriteStream, type Dirent } from 'node:fs';
import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { RoutingError } from '../../datasets/errors.ts';

const BLOCK = 512;

/** Packs all that is under `folder`; the file is on disk when it resolves. */
export async function pack(folder: string, file: string): Promise<void> {
  await pipeline(Readable.from(blocks(folder)), createGzip({ level: 6 }), createWriteStream(file, { mode: 0o600 }));
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* blocks(folder: string): AsyncGenerator<Buffer> {
  for await (const { path, isFolder } of under(folder)) {
    const name = relative(folder, path).split(sep).join('/');
    if (isFolder) {
      yield header(`${name}/`, 0, true);
      continue;
    }
    const { size } = await stat(path);
    yield header(name, size, false);
    let read = 0;
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      read += (piece as Buffer).length;
      yield piece as Buffer;
    }
    if (read !== size) throw new RoutingError('CONFLICT', `${path} changed while it was read; stop what writes to it`);
    if (size % BLOCK > 0) yield Buffer.alloc(BLOCK - (size % BLOCK));
  }
  yield Buffer.alloc(2 * BLOCK);
}

async function* under(folder: string): AsyncGenerator<{ path: string; isFolder: boolean }> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      yield { path, isFolder: true };
      yield* under(path);
    } else if (entry.isFile()) yield { path, isFolder: false };
  }
}

function header(name: string, size: number, isFolder: boolean): Buffer {
  // The database's own names are short; 100 bytes are what one field holds.
  if (Buffer.byteLength(name) > 100) throw new RoutingError('INTERNAL', `${name}: too long a name for an archive`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, '0');
  block.write(name, 0);
  block.write(octal(isFolder ? 0o700 : 0o600, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write(isFolder ? '5' : '0', 156);
  block.write('ustar\0', 257);
  block.write('00', 263);
  block.write(
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  return block;
}

/** @throws `TRUNCATED_FILE` for what is no such archive, or not all of one; then `folder` holds a part of it */
export async function unpack(file: string, folder: string): Promise<void> {
  const root = resolve(folder);
  const broken = (why: string, cause?: unknown) =>
    new RoutingError('TRUNCATED_FILE', `${file}: no whole back-up: ${why}`, { cause });
  await mkdir(root, { recursive: true, mode: 0o700 });
  const source = createReadStream(file);
  const gunzip = createGunzip();
  // What goes wrong in reading must be heard of in unzipping.
  source.on('error', (error) => gunzip.destroy(error));
  const bytes = new Bytes(source.pipe(gunzip));
  try {
    for (;;) {
      const block = await bytes.take(BLOCK);
      if (block === null) throw broken('it ends in the middle');
      if (block.every((byte) => byte === 0)) return;
      if (block.toString('latin1', 257, 262) !== 'ustar') throw broken('it is something else');
      const name = block.toString('utf8', 0, 100).replace(/\0.*$/s, '');
      const size = Number.parseInt(block.toString('latin1', 124, 135), 8);
      const path = resolve(root, name);
      if (path !== root && !path.startsWith(root + sep)) throw broken(`${name} points outside`);
      if (block[156] === 0x35) {
        await mkdir(path, { recursive: true, mode: 0o700 });
        continue;
      }
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const handle = await open(path, 'w', 0o600);
      try {
        for (let left = size; left > 0; ) {
          const piece = await bytes.take(Math.min(left, 1 << 20));
          if (piece === null) throw broken('it ends in the middle');
          await handle.write(piece);
          left -= piece.length;
        }
      } finally {
        await handle.close();
      }
      if (size % BLOCK > 0) await bytes.take(BLOCK - (size % BLOCK));
    }
  } catch (error) {
    throw error instanceof RoutingError ? error : broken((error as Error).message, error);
  } finally {
    source.destroy();
    bytes.end();
  }
}

/** So many bytes of a stream at a time. */
class Bytes {
  readonly #stream: NodeJS.ReadableStream & { destroy(): unknown };
  readonly #pieces: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(stream: NodeJS.ReadableStream & { destroy(): unknown }) {
    this.#stream = stream;
    this.#pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** @returns null where the stream has not so many left */
  async take(size: number): Promise<Buffer | null> {
    const parts = [this.#held];
    let have = this.#held.length;
    while (have < size) {
      const { value, done } = await this.#pieces.next();
      if (done === true) return null;
      parts.push(value);
      have += value.length;
    }
    const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    this.#held = all.subarray(size);
    return all.subarray(0, size);
  }

  end(): void {
    this.#stream.destroy();
  }
}
