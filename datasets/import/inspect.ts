/**
 * Logs of Inspect: `.json`, and the zipped `.eval` with one entry a sample. A log is one model on one task; logs of
 * several models meet by task and sample id. Epochs are averaged.
 *
 * @see https://inspect.aisi.org.uk/eval-logs.html
 */
import * as zlib from 'node:zlib';
import * as yauzl from 'yauzl';
import { RoutingError } from '../errors.ts';
import { parseDocument } from './bytes.ts';
import type { Collector } from './collect.ts';
import { fieldOf, promptText } from './messages.ts';
import { type ImportOptions, listed } from './options.ts';
import { isAbsent, readAmount, readQuality, refused, type Where } from './values.ts';

/** The letters that Inspect's own scorers give: correct, incorrect, partly, no answer. */
const LETTERS: Readonly<Record<string, number>> = { C: 1, I: 0, P: 0.5, N: 0 };

interface Log {
  readonly task: string;
  readonly modelId: string;
}

/** @throws `INVALID_ROW`, also where a choice of score is needed */
export function readInspect(document: unknown, file: string, into: Collector, options: ImportOptions): void {
  const log = logOf(document, () => file, into);
  const samples = fieldOf(document, 'samples');
  if (!Array.isArray(samples)) {
    throw new RoutingError(
      'INVALID_ROW',
      `${file}: field samples: is missing; the log holds a header only (log_samples was off)`,
    );
  }
  samples.forEach((sample, i) => {
    readSample(sample, log, () => `${file}: samples[${i}]`, into, options);
  });
}

/** The same from a zip: one sample in memory at a time. @throws the same, `TRUNCATED_FILE` */
export async function readInspectZip(file: string, into: Collector, options: ImportOptions): Promise<void> {
  const zip = await openZip(file);
  try {
    const entries = new Map<string, yauzl.Entry>();
    await eachEntry(zip, file, (entry) => entries.set(entry.fileName, entry));
    const header = entries.get('header.json') ?? entries.get('_journal/start.json');
    if (header === undefined) {
      throw new RoutingError(
        'INVALID_ROW',
        `${file}: a zip without header.json, so no log of Inspect; unpack it first`,
      );
    }
    const log = logOf(await readEntry(zip, header, file), () => `${file}: ${header.fileName}`, into);
    if (header.fileName !== 'header.json') into.notes.push(`${file}: the run had not ended; what it had is read`);
    // The order of the samples, not that of their writing, so that the same log gives the same rows.
    const names = [...entries.keys()].filter((name) => /^samples\/.+\.json$/.test(name)).sort();
    if (names.some((name) => /_epoch_\d+\/sample\.json$/.test(name))) {
      throw new RoutingError(
        'INVALID_ROW',
        `${file}: holds samples in pieces (.eval2); convert the log: inspect log convert --to json`,
      );
    }
    if (names.length === 0) throw new RoutingError('EMPTY_TABLE', `${file}: has no samples (log_samples was off?)`);
    for (const name of names) {
      readSample(await readEntry(zip, entries.get(name)!, file), log, () => `${file}: ${name}`, into, options);
    }
  } finally {
    zip.close();
  }
}

function logOf(document: unknown, where: Where, into: Collector): Log {
  const spec = fieldOf(document, 'eval');
  const modelId = fieldOf(spec, 'model');
  if (typeof modelId !== 'string' || modelId === '') throw refused(where, 'eval.model', 'is missing');
  const task = fieldOf(spec, 'task');
  const status = fieldOf(document, 'status');
  if (typeof status === 'string' && status !== 'success') {
    into.notes.push(`${where()}: the run ended with status ${status}; the samples that were scored are read`);
  }
  return { modelId, task: typeof task === 'string' && task !== '' ? task : 'inspect' };
}

/** @throws `INVALID_ROW` */
function readSample(sample: unknown, log: Log, where: Where, into: Collector, options: ImportOptions): void {
  const id = fieldOf(sample, 'id');
  if (typeof id !== 'string' && typeof id !== 'number') throw refused(where, 'id', 'is missing');
  const input = promptText(withAttachments(fieldOf(sample, 'input'), fieldOf(sample, 'attachments')));
  if (input === undefined || input.trim() === '') throw refused(where, 'input', 'holds no text');
  const choices = fieldOf(sample, 'choices');
  const text = Array.isArray(choices) && choices.length > 0 ? `${input}\n${lettered(choices)}` : input;
  const prompt = into.prompt(
    { id: freeId(`${log.task}/${id}`, text, into), text, source: 'inspect', benchmark: log.task },
    where,
  );
  const scores = fieldOf(sample, 'scores');
  // Files of the first version have one score without a name.
  const single = fieldOf(sample, 'score');
  const named = typeof scores === 'object' && scores !== null ? scores : single === undefined ? {} : { score: single };
  if (!isAbsent(fieldOf(sample, 'error'))) {
    into.count('# samples of Inspect ended with an error: they count as never tried');
    return;
  }
  const value = scoreOf(named, where, options);
  const letter = typeof value === 'string' && options.scale === undefined ? LETTERS[value.trim()] : undefined;
  const quality = readQuality(letter ?? value, where, 'scores', options);
  if (quality === undefined) {
    into.count('# samples of Inspect have no score: they count as never tried');
    return;
  }
  const usage = fieldOf(fieldOf(sample, 'model_usage'), log.modelId);
  const amount = (field: string) => readAmount(fieldOf(usage, field), where, `model_usage.${field}`, options);
  // Input read from a prompt cache, or written to it, is counted apart there.
  const cached = (amount('input_tokens_cache_read') ?? 0) + (amount('input_tokens_cache_write') ?? 0);
  const inputTokens = amount('input_tokens');
  const seconds = readAmount(fieldOf(sample, 'working_time'), where, 'working_time', options);
  into.outcome(
    prompt,
    log.modelId,
    {
      quality: quality.quality,
      rawScore: quality.raw,
      costUsd: amount('total_cost') || undefined,
      inputTokens: inputTokens === undefined ? undefined : inputTokens + cached,
      outputTokens: amount('output_tokens'),
      latencyMs: seconds === undefined ? undefined : seconds * 1000,
    },
    where,
    options.repeats ?? 'average',
  );
}

/** Samples numbered by position in shuffled data share ids without being the same: those get one of their own. */
function freeId(id: string, text: string, into: Collector): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? id : `${id}#${n}`;
    const known = into.textOf(name);
    if (known === undefined && n > 1)
      into.count('# samples of Inspect share an id but not the input: prompts of their own');
    if (known === undefined || known === text) return name;
  }
}

/** The one score, or the one asked for; scores in parts go by `scorer.part`. */
function scoreOf(scores: object, where: Where, { score }: ImportOptions): unknown {
  const flat = new Map<string, unknown>();
  for (const [name, entry] of Object.entries(scores)) {
    const value = typeof entry === 'object' && entry !== null ? fieldOf(entry, 'value') : entry;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [part, x] of Object.entries(value)) flat.set(`${name}.${part}`, x);
    } else flat.set(name, value);
  }
  if (flat.size === 0) return undefined;
  const names = [...flat.keys()];
  if (score !== undefined) {
    if (flat.has(score)) return flat.get(score);
    throw refused(where, 'scores', `has no score ${score}; ${listed(names, 'scores')}`);
  }
  if (flat.size > 1)
    throw refused(where, 'scores', `several, and one must be chosen (score NAME); ${listed(names, 'scores')}`);
  return flat.get(names[0]!);
}

const lettered = (choices: readonly unknown[]): string =>
  choices.map((choice, i) => `${String.fromCharCode(65 + (i % 26))}) ${String(choice)}`).join('\n');

/** Long or repeated content stands in `attachments`, and `attachment://KEY` in its place. */
function withAttachments(value: unknown, attachments: unknown): unknown {
  if (typeof value === 'string') {
    const key = /^(?:attachment|tc):\/\/(.+)$/s.exec(value)?.[1];
    return key === undefined ? value : (fieldOf(attachments, key) ?? value);
  }
  if (Array.isArray(value)) return value.map((x) => withAttachments(x, attachments));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, x]) => [key, withAttachments(x, attachments)]));
}

const damaged = (file: string, cause: Error): RoutingError =>
  new RoutingError('TRUNCATED_FILE', `${file}: the zip is cut short or damaged (${cause.message}); copy it again`, {
    cause,
  });

async function openZip(file: string): Promise<yauzl.ZipFile> {
  return new Promise((resolve, reject) => {
    yauzl.open(file, { lazyEntries: true, autoClose: false }, (error, zip) => {
      if (error) reject(damaged(file, error));
      else resolve(zip);
    });
  });
}

async function eachEntry(zip: yauzl.ZipFile, file: string, visit: (entry: yauzl.Entry) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    zip.on('entry', (entry: yauzl.Entry) => {
      visit(entry);
      zip.readEntry();
    });
    zip.on('end', resolve);
    zip.on('error', (error: Error) => reject(damaged(file, error)));
    zip.readEntry();
  });
}

/** Newer logs compress by Zstandard, which zip readers and older versions of Node do not know. */
const ZSTANDARD = 93;
const MAX_ENTRY = 500e6;
/** Functions that not every version of Node 20 has. */
interface Newer {
  zstdDecompressSync?: (bytes: Uint8Array) => Buffer;
  crc32?: (bytes: Uint8Array) => number;
}

async function readEntry(zip: yauzl.ZipFile, entry: yauzl.Entry, file: string): Promise<unknown> {
  const where = `${file}: ${entry.fileName}`;
  if (entry.uncompressedSize > MAX_ENTRY) throw new RoutingError('INVALID_ROW', `${where}: is too large to read`);
  const { zstdDecompressSync: zstd, crc32 } = zlib as Newer;
  const packed = entry.compressionMethod === ZSTANDARD;
  if (packed && zstd === undefined) {
    throw new RoutingError(
      'INVALID_ROW',
      `${where}: is compressed by Zstandard, which this version of Node cannot read; use Node 22.15 or later, or ` +
        'convert the log: inspect log convert --to json',
    );
  }
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const take = (error: Error | null, stream?: NodeJS.ReadableStream) => {
      if (error || stream === undefined) return reject(damaged(where, error ?? new Error('no content')));
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => resolve(Buffer.concat(chunks)));
      stream.on('error', (cause: Error) => reject(damaged(where, cause)));
    };
    try {
      if (packed) zip.openReadStream(entry, { decodeFileData: false } as yauzl.ZipFileOptions, take);
      else zip.openReadStream(entry, take);
    } catch (cause) {
      reject(damaged(where, cause as Error));
    }
  });
  let plain: Buffer;
  try {
    plain = packed ? zstd!(bytes) : bytes;
  } catch (cause) {
    throw damaged(where, cause as Error);
  }
  if (crc32 !== undefined && crc32(plain) !== entry.crc32)
    throw damaged(where, new Error('its checksum does not match'));
  return parseDocument(plain, where);
}
