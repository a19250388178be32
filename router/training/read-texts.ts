/** Plain texts from files, one at a time: what is learned without labels needs no more. */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { RoutingError, readJsonl } from '../../datasets/index.ts';

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
