/** Files and archive members as streams of bytes, with failures that say which file is cut short. */
import { createReadStream, existsSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { RoutingError } from '../errors.ts';

export type Bytes = AsyncIterable<Uint8Array>;

/** A member of an archive. `name` is its path inside, with forward slashes; `bytes` can be read once. */
export interface Member {
  readonly name: string;
  readonly bytes: Bytes;
}

/** @throws `MISSING_FILE`, while being read */
export async function* fileBytes(path: string): Bytes {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    yield* file as AsyncIterable<Buffer>;
  } catch (cause) {
    throw readFailure(path, cause);
  } finally {
    file.destroy();
  }
}

/** @throws `MISSING_FILE`, `TRUNCATED_FILE`, while being read */
export async function* gunzipped(path: string): Bytes {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const input = file.pipe(createGunzip({ chunkSize: 1 << 18 }));
  // pipe() does not forward errors of the source.
  file.on('error', (error: Error) => input.destroy(error));
  try {
    yield* input as AsyncIterable<Buffer>;
    if (file.bytesRead === 0) throw new Error('no bytes in it');
  } catch (cause) {
    throw readFailure(path, cause);
  } finally {
    file.destroy();
    input.destroy();
  }
}

/** What went wrong while reading: system errors carry a syscall, those of a decoder do not. */
export function readFailure(label: string, cause: unknown): RoutingError {
  if (cause instanceof RoutingError) return cause;
  const { syscall, message } = cause as NodeJS.ErrnoException;
  return syscall !== undefined
    ? new RoutingError('MISSING_FILE', `${label}: cannot be read (${message})`, { cause })
    : cutShort(label, message, cause);
}

export const cutShort = (label: string, why: string, cause?: unknown): RoutingError =>
  new RoutingError(
    'TRUNCATED_FILE',
    `${label}: the file is cut short or damaged (${why}); fetch it again`,
    cause === undefined ? {} : { cause },
  );
