/** Rows of a source → a dataset folder, whole or not at all. Outcomes go straight to disk; of prompts the texts are kept, since groups need them all. */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { RoutingError } from '../errors.ts';
import { type FetchedSource, readFetchedSource } from '../evaluation-only.ts';
import { nearDuplicateGroups } from '../near-duplicates.ts';
import { type ModelInfo, Outcome, type PromptRow } from '../schema.ts';
import { checked, type MapContext, type Source, type SourceRow } from './source.ts';

export interface Written {
  readonly prompts: number;
  readonly groups: number;
  readonly models: number;
  readonly outcomes: number;
  /** Rows left out, by reason, most first. */
  readonly leftOut: readonly { readonly why: string; readonly rows: number }[];
}

/** Where the files lie, and what is known of them once they are read. */
export interface ReadyFile {
  readonly name: string;
  readonly path: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface WriteOptions {
  readonly files: readonly ReadyFile[];
  /** Commit that the hub named when the files were fetched, where the source pins none. */
  readonly revision?: string | null;
  readonly fetchedAt: Date;
  readonly signal?: AbortSignal;
  readonly onProgress?: (step: string, rows: number) => void;
}

/** Progress is told after so many rows. */
const TELL_EVERY = 5000;

/**
 * Reads the source's files, maps their rows and writes `dir`. A prompt that comes again adds its answers; one that
 * comes again with another text does not, and neither does a second answer of the same model.
 * @throws what `source.rows` throws; `EMPTY_TABLE` when no outcome is found; `INVALID_CONFIG` when `dir` holds
 *         something else; whatever was in `dir` is then still there, and nothing half-written is
 */
export async function writeFolder(source: Source, dir: string, options: WriteOptions): Promise<Written> {
  const target = resolve(dir);
  refuseToReplace(target, source.name);
  const part = `${target}.${process.pid}.part`;
  mkdirSync(dirname(target), { recursive: true });
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part);
  try {
    const { written, revision } = await writeRows(source, part, options);
    const about: FetchedSource = {
      name: source.name,
      revision,
      licence: source.licence,
      citation: source.citation,
      evaluationOnly: source.evaluationOnly,
      files: options.files.map(({ url, bytes, sha256 }) => ({ url, bytes, sha256 })),
      fetchedAt: options.fetchedAt.toISOString(),
    };
    writeFileSync(join(part, 'source.json'), `${JSON.stringify(about, null, 1)}\n`);
    writeFileSync(join(part, 'SOURCE.md'), sourcePage(source, about, written));
    options.signal?.throwIfAborted();
    replace(target, part);
    return written;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

async function writeRows(source: Source, part: string, options: WriteOptions) {
  const { files, signal, onProgress = () => {} } = options;
  const leftOut = new Map<string, number>();
  const leaveOut = (why: string): void => void leftOut.set(why, (leftOut.get(why) ?? 0) + 1);
  let revision = source.revision ?? options.revision ?? null;
  const context: MapContext = {
    path: (name) => files.find((file) => file.name === name)!.path,
    given: files.map(({ path }) => path),
    leaveOut,
    revision: (commit) => {
      if (source.revision !== null && commit !== source.revision) {
        throw new RoutingError(
          'WRONG_CHECKSUM',
          `${source.name}: the archive says it is commit ${commit}, wanted is ${source.revision}; fetch that one`,
        );
      }
      revision = commit;
    },
  };
  const prompts = new Prompts();
  const models: Record<string, ModelInfo> = {};
  const outcomes = new GzipLines(join(part, 'outcomes.jsonl.gz'));
  const promptLines = new GzipLines(join(part, 'prompts.jsonl.gz'));
  let rows = 0;
  let count = 0;
  try {
    for await (const row of source.rows(context)) {
      signal?.throwIfAborted();
      if (++rows % TELL_EVERY === 0) onProgress('reading rows', rows);
      const at = prompts.numberOf(row);
      if (at === 'other text') {
        for (const _ of row.answers) leaveOut('another text under the same id');
        continue;
      }
      for (const { info, ...answer } of row.answers) {
        if (!prompts.firstOf(at, answer.modelId)) {
          leaveOut('a second answer of the same model');
          continue;
        }
        const outcome = checked(Outcome, { promptId: row.prompt.id, ...answer }, `${source.name}: outcome`, rows);
        if (!Object.hasOwn(models, answer.modelId)) models[answer.modelId] = info ?? {};
        await outcomes.write(outcome);
        count++;
      }
    }
    if (count === 0) {
      throw new RoutingError(
        'EMPTY_TABLE',
        `${source.name}: no outcome in ${files.map(({ path }) => path).join(', ')}; are these the right files?`,
      );
    }
    onProgress('looking for near-duplicates', prompts.rows.length);
    const groups = nearDuplicateGroups(prompts.rows.map(({ text }) => text));
    // The first prompt of a group gives it its name, so that the name says where it is from.
    const names = new Map<number, string>();
    for (const [i, prompt] of prompts.rows.entries()) {
      const group = groups[i]!;
      if (!names.has(group)) names.set(group, prompt.id);
      await promptLines.write({ ...prompt, groupId: names.get(group) });
    }
    await outcomes.end();
    await promptLines.end();
    const sorted = Object.fromEntries(Object.entries(models).sort(([a], [b]) => (a < b ? -1 : 1)));
    writeFileSync(join(part, 'models.json'), `${JSON.stringify(sorted, null, 1)}\n`);
    const written: Written = {
      prompts: prompts.rows.length,
      groups: names.size,
      models: Object.keys(models).length,
      outcomes: count,
      leftOut: [...leftOut].map(([why, n]) => ({ why, rows: n })).sort((a, b) => b.rows - a.rows),
    };
    return { written, revision };
  } finally {
    outcomes.destroy();
    promptLines.destroy();
  }
}

/** Prompts seen so far, and which models answered each: a bit a cell, for there can be millions. */
class Prompts {
  readonly rows: (PromptRow & { readonly text: string })[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #answered = new Map<string, Uint8Array>();

  /** A prompt without answers is not kept. */
  numberOf({ prompt, answers }: SourceRow): number | 'other text' {
    const known = this.#numbers.get(prompt.id);
    if (known !== undefined) return this.rows[known]!.text === prompt.text ? known : 'other text';
    if (answers.length === 0) return -1;
    if (prompt.text.trim() === '') {
      throw new RoutingError('INVALID_ROW', `${prompt.source}: prompt ${prompt.id}: its text is empty`);
    }
    this.#numbers.set(prompt.id, this.rows.length);
    return this.rows.push(prompt) - 1;
  }

  /** @returns false where the model answered this prompt already */
  firstOf(number: number, modelId: string): boolean {
    let bits = this.#answered.get(modelId) ?? new Uint8Array(1024);
    if (number >> 3 >= bits.length) {
      const grown = new Uint8Array(Math.max(bits.length * 2, (number >> 3) + 1));
      grown.set(bits);
      bits = grown;
    }
    this.#answered.set(modelId, bits);
    const bit = 1 << (number % 8);
    if ((bits[number >> 3]! & bit) !== 0) return false;
    bits[number >> 3]! |= bit;
    return true;
  }
}

/** Compressed together: a call of its own for every line takes twice as long as the rest. */
const BATCH_CHARS = 1 << 16;

/** A `.jsonl.gz` being written: waits while the disk is behind. */
class GzipLines {
  readonly #gzip = createGzip();
  readonly #file;
  #error: Error | undefined;
  #waiting = '';

  constructor(path: string) {
    this.#file = createWriteStream(path);
    for (const stream of [this.#gzip, this.#file]) {
      stream.on('error', (error: Error) => {
        this.#error ??= error;
        // A full disk: whoever waits for the stream to drain would wait for ever.
        this.#gzip.destroy(error);
      });
    }
    this.#gzip.pipe(this.#file);
  }

  async write(row: object): Promise<void> {
    if (this.#error) throw this.#error;
    this.#waiting += `${JSON.stringify(row)}\n`;
    if (this.#waiting.length < BATCH_CHARS) return;
    const batch = this.#waiting;
    this.#waiting = '';
    if (!this.#gzip.write(batch)) await once(this.#gzip, 'drain');
  }

  async end(): Promise<void> {
    this.#gzip.end(this.#waiting);
    await finished(this.#file);
  }

  destroy(): void {
    this.#gzip.destroy();
    this.#file.destroy();
  }
}

/** A folder that is not there, is empty, or holds an earlier fetch of the same dataset may be written. */
function refuseToReplace(target: string, name: string): void {
  if (!existsSync(target)) return;
  const holds = readdirSync(target);
  if (holds.length === 0 || (holds.includes('source.json') && readFetchedSource(target)?.name === name)) return;
  throw new RoutingError(
    'INVALID_CONFIG',
    `${target}: holds something else than ${name}, which would be lost; give another --out, or remove it`,
  );
}

/** The old one is away for no longer than it takes to rename the new one. */
function replace(target: string, part: string): void {
  const old = `${target}.${randomUUID()}.old`;
  const there = existsSync(target);
  if (there) renameSync(target, old);
  try {
    renameSync(part, target);
  } catch (cause) {
    if (there) renameSync(old, target);
    throw cause;
  }
  rmSync(old, { recursive: true, force: true });
}

function sourcePage(source: Source, about: FetchedSource, written: Written): string {
  const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join('\n');
  const whole = (n: number) => n.toLocaleString('en-US');
  return `# ${source.name}

${source.holds[0]!.toUpperCase()}${source.holds.slice(1)}.

${list([
  `Home: ${source.homepage}`,
  `Revision: ${about.revision ?? 'not named by upstream'}`,
  `Licence: ${source.licence}`,
  `Cite: ${source.citation}`,
  ...(source.evaluationOnly === null ? [] : [`**Evaluation only**: ${source.evaluationOnly}.`]),
])}

## What to know

${list(source.notes)}

## What is here

${list([
  `${whole(written.prompts)} prompts in ${whole(written.groups)} groups of near-duplicates, ${written.models} models, ${whole(written.outcomes)} outcomes`,
  ...written.leftOut.map(({ why, rows }) => `left out: ${whole(rows)} answers, ${why}`),
])}

## Files

${list(about.files.map(({ url, bytes, sha256 }) => `${url}: ${whole(bytes)} bytes, sha256 ${sha256}`))}

Fetched ${about.fetchedAt} by \`pointsman datasets fetch ${source.name}\`.
`;
}

/** Of a file on disk. @throws what reading throws */
export async function sha256Of(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) hash.update(chunk);
  return hash.digest('hex');
}
