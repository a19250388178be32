/** Plain texts from files, one at a time: what is learned without labels needs no more. */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { mix32, RoutingError, readJsonl } from '../../datasets/index.ts';
import { forEachToken, LETTERS } from '../encoder/ngram/tokens.ts';

const TextRow = z.union(
  [z.string(), z.looseObject({ text: z.string() })],
  'a text in quotes, or an object with a field "text", is wanted',
);

/**
 * Texts of several files, in order: `.jsonl` and `.jsonl.gz` with one JSON string a line, or one object with a
 * `text`; `.txt` with one text a line.
 * @throws `MISSING_FILE`, also for a file of another kind; what {@link readJsonl} throws
 */
export async function* readTexts(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths) {
    if (/\.jsonl(\.gz)?$/.test(path)) {
      for await (const row of readJsonl(path, TextRow)) yield typeof row === 'string' ? row : row.text;
    } else {
      for await (const line of createInterface({ input: createReadStream(path) })) yield line;
    }
  }
}

/** Finds a slip of the pen before the first file is read. @throws `MISSING_FILE` */
export function checkTextFiles(paths: readonly string[]): void {
  for (const path of paths) {
    if (!/\.(jsonl|jsonl\.gz|txt)$/.test(path)) {
      throw new RoutingError('MISSING_FILE', `${path}: not a .jsonl, .jsonl.gz or .txt file`);
    }
    if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  }
}

/**
 * Tells texts that begin like one of these prompts: what is learned from answers to a prompt that is kept for a
 * test would make the test easier. Letters and digits of the first line are compared, whatever its case.
 */
export function beginsLike(prompts: readonly { text: string }[]): (text: string) => boolean {
  const starts = new Set(prompts.map((p) => startOf(p.text)));
  starts.delete('');
  return (text) => starts.has(startOf(text));
}

const startOf = (text: string): string =>
  (/\S.*/.exec(text)?.[0] ?? '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '')
    .slice(0, 100);

/** Words in a row that a text and a prompt must share to be about the same thing, and how many such rows. */
const ROW = 5;
const ROWS = 2;

/**
 * Tells texts that quote or restate these prompts, wherever in the text: those that share two rows of five words with
 * them, whatever its case. Strict on purpose: now and then two common phrases are enough.
 */
export function quotes(prompts: readonly { text: string }[]): (text: string) => boolean {
  const known = new Set<number>();
  for (const { text } of prompts) for (const row of rowsOf(text)) known.add(row);
  return (text) => {
    const shared = new Set<number>();
    for (const row of rowsOf(text)) {
      if (known.has(row)) shared.add(row);
      if (shared.size === ROWS) return true;
    }
    return false;
  };
}

function* rowsOf(text: string): Generator<number> {
  const hashes: number[] = [];
  forEachToken(text.toLowerCase(), (hash, kind) => {
    if (kind === LETTERS) hashes.push(hash);
  });
  for (let at = 0; at + ROW <= hashes.length; at++) {
    let row = 0;
    for (let k = at; k < at + ROW; k++) row = mix32(Math.imul(row, 31) ^ hashes[k]!);
    yield row;
  }
}
