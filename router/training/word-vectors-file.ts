/** Word vectors as a file: what `train:vectors` writes and `train` reads. Little-endian, as every machine we run on. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RoutingError } from '../../datasets/index.ts';
import type { WordVectors } from './word-vectors.ts';

/** "PWV1": a first word that no text file has. */
const MAGIC = 0x31565750;
const HEADER = 12;
/** Bytes of a word beside its vector: hash, frequency, scale. */
const PER_WORD = 12;

/** The vectors that are shipped, with where they come from beside them. */
export const shippedVectors = (): string =>
  join(dirname(fileURLToPath(import.meta.url)), '..', 'models', 'vectors', 'words.bin');

/** Header (magic, dimension, words), then hashes, frequencies and scales, then the table. */
export function writeWordVectors(path: string, vectors: WordVectors): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    Buffer.concat(
      [
        Uint32Array.of(MAGIC, vectors.dimension, vectors.hashes.length),
        vectors.hashes,
        vectors.frequency,
        vectors.rowScale,
        vectors.table,
      ].map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)),
    ),
  );
}

/** @throws `MISSING_FILE`, `ARTIFACT_DAMAGED` when it is no file of word vectors, or cut short */
export function readWordVectors(path: string): WordVectors {
  if (!existsSync(path)) {
    throw new RoutingError('MISSING_FILE', `${path}: no such file; make it with: npm run train:vectors`);
  }
  if (statSync(path).isDirectory())
    throw new RoutingError('MISSING_FILE', `${path}: is a folder; give the file of vectors`);
  const file = readFileSync(path);
  const bytes = new Uint8Array(file).buffer; // of its own, so that typed arrays may lie on it
  const [magic, dimension, n] = bytes.byteLength < HEADER ? [] : new Uint32Array(bytes, 0, 3);
  if (magic !== MAGIC) {
    throw new RoutingError('ARTIFACT_DAMAGED', `${path}: no word vectors; make them with: npm run train:vectors`);
  }
  const size = HEADER + n! * (PER_WORD + dimension!);
  if (bytes.byteLength !== size) {
    throw new RoutingError(
      'ARTIFACT_DAMAGED',
      `${path}: ${bytes.byteLength} bytes where ${size} are wanted; make it again`,
    );
  }
  return {
    dimension: dimension!,
    hashes: new Uint32Array(bytes, HEADER, n),
    frequency: new Float32Array(bytes, HEADER + 4 * n!, n),
    rowScale: new Float32Array(bytes, HEADER + 8 * n!, n),
    table: new Int8Array(bytes, HEADER + PER_WORD * n!),
  };
}
