/** Bytes of a file that may be gzipped, whatever it is called, and its first characters, to tell what it is. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { RoutingError } from '../errors.ts';

/** Enough to hold the first row, or the first keys of a document. */
const HEAD_BYTES = 1 << 16;

/** @throws `MISSING_FILE` */
export async function isGzip(path: string): Promise<boolean> {
  const [a, b] = await firstBytes(path, 2);
  return a === 0x1f && b === 0x8b;
}

/** @throws `MISSING_FILE` */
export async function isZip(path: string): Promise<boolean> {
  const [a, b, c, d] = await firstBytes(path, 4);
  return a === 0x50 && b === 0x4b && c === 0x03 && d === 0x04;
}

async function firstBytes(path: string, count: number): Promise<Buffer> {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  try {
    const file = await open(path);
    try {
      const bytes = Buffer.alloc(count);
      const { bytesRead } = await file.read(bytes, 0, count, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new RoutingError('MISSING_FILE', `${path}: cannot be read (${(cause as Error).message})`, { cause });
  }
}

/** @throws `MISSING_FILE`, `TRUNCATED_FILE` */
export async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  const zipped = await isGzip(path);
  const file = createReadStream(path);
  const input = zipped ? file.pipe(createGunzip()) : file;
  // pipe() does not forward errors of the source.
  if (zipped) file.on('error', (error: Error) => input.destroy(error));
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) yield chunk;
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).syscall !== undefined
      ? new RoutingError('MISSING_FILE', `${path}: cannot be read (${(cause as Error).message})`, { cause })
      : new RoutingError(
          'TRUNCATED_FILE',
          `${path}: the file is cut short or damaged (${(cause as Error).message}); fetch it again`,
          { cause },
        );
  } finally {
    file.destroy();
    input.destroy();
  }
}

/** The first characters, without a byte order mark. @throws what {@link bytesOf} throws */
export async function headOf(path: string): Promise<{ text: string; whole: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytesOf(path)) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > HEAD_BYTES) break;
  }
  return { text: new TextDecoder().decode(Buffer.concat(chunks)), whole: size <= HEAD_BYTES };
}

/** A string takes no more than half a gigabyte. */
const MAX_DOCUMENT = 500e6;

/**
 * A file that is one JSON document. NaN and Infinity, which Python writes, become null.
 * @throws `MISSING_FILE`, `TRUNCATED_FILE`, `MALFORMED_JSON`, `INVALID_ROW` when it is too large
 */
export async function readDocument(path: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytesOf(path)) {
    size += chunk.length;
    if (size > MAX_DOCUMENT) {
      throw new RoutingError(
        'INVALID_ROW',
        `${path}: is too large to read as one document (${Math.round(statSync(path).size / 1e6)} MB); ` +
          'export it as lines (.jsonl) or as an .eval file',
      );
    }
    chunks.push(chunk);
  }
  return parseDocument(Buffer.concat(chunks), path);
}

/** @param where file, or file and entry @throws `MALFORMED_JSON` */
export function parseDocument(bytes: Uint8Array, where: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${where}: not UTF-8 text`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    try {
      return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (x) => (x[0] === '"' ? x : 'null')));
    } catch {
      throw new RoutingError(
        'MALFORMED_JSON',
        `${where}: not JSON (${(cause as Error).message}); if it was cut short, write it again`,
        { cause },
      );
    }
  }
}
