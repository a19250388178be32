/** Members of a zip archive, one at a time; nothing is unpacked to disk. */
import { existsSync } from 'node:fs';
import type { Entry, ZipFile } from 'yauzl';
import { RoutingError } from '../errors.ts';
import { cutShort, type Member, readFailure } from './bytes.ts';

/** A member that unpacks to more is refused: result files are a few hundred megabytes. */
const MAX_MEMBER_BYTES = 4 * 2 ** 30;

/**
 * Files of the archive in its order; each can be read until the next one is asked for.
 * @throws `MISSING_FILE`, `TRUNCATED_FILE` when the archive is cut or damaged, `WRONG_FORMAT` for a member that is
 *         encrypted or unpacks to more than 4 GB
 */
export async function* zipMembers(path: string): AsyncGenerator<Member> {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  const archive = await open(path);
  try {
    for (let entry = await next(archive); entry !== null; entry = await next(archive)) {
      const name = entry.fileName;
      if (name.endsWith('/')) continue;
      const label = `${path}!${name}`;
      // Bit 0 of the flags: encrypted.
      if ((entry.generalPurposeBitFlag & 1) !== 0) throw new RoutingError('WRONG_FORMAT', `${label}: is encrypted`);
      if (entry.uncompressedSize > MAX_MEMBER_BYTES) {
        throw new RoutingError('WRONG_FORMAT', `${label}: would unpack to more than 4 GB`);
      }
      yield { name, bytes: read(archive, entry, label) };
    }
  } catch (cause) {
    throw cause instanceof RoutingError ? cause : readFailure(path, cause);
  } finally {
    archive.close();
  }
}

async function open(path: string): Promise<ZipFile> {
  // Loaded late: who reads no zip needs no reader.
  const { default: yauzl } = await import('yauzl');
  return new Promise((resolve, reject) => {
    yauzl.open(path, { lazyEntries: true, autoClose: false }, (error, archive) => {
      if (error) reject(cutShort(path, error.message, error));
      else resolve(archive);
    });
  });
}

function next(archive: ZipFile): Promise<Entry | null> {
  return new Promise((resolve, reject) => {
    const settle = <T>(done: (value: T) => void) => {
      return (value: T) => {
        archive.removeAllListeners();
        done(value);
      };
    };
    archive.on('entry', settle(resolve));
    archive.on(
      'end',
      settle(() => resolve(null)),
    );
    archive.on('error', settle(reject));
    archive.readEntry();
  });
}

async function* read(archive: ZipFile, entry: Entry, label: string) {
  try {
    const stream = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      archive.openReadStream(entry, (error, opened) => (error ? reject(error) : resolve(opened)));
    });
    yield* stream as AsyncIterable<Buffer>;
  } catch (cause) {
    throw readFailure(label, cause);
  }
}
