/**
 * Fetches a public dataset: downloads what is not here yet, checks every file against the sum that is known of it, and
 * writes the rows as a dataset folder.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { RoutingError } from '../datasets/errors.ts';
import { type FetchedSource, readFetchedSource } from '../datasets/evaluation-only.ts';
import { fileBytes } from '../datasets/formats/bytes.ts';
import { formatOf, isPickle, refuseWrongFormat } from '../datasets/formats/sniff.ts';
import { cacheFolder, datasetFolder, downloadFolder } from '../datasets/sources/index.ts';
import type { Source, SourceFile } from '../datasets/sources/source.ts';
import { type ReadyFile, sha256Of, type Written, writeFolder } from '../datasets/sources/write-folder.ts';
import { type Environment, variable } from './config/index.ts';
import { download, type Limits } from './download.ts';

export interface FetchOptions {
  /** Default: the folder of that name below the cache. */
  readonly out?: string;
  /** Default: `$POINTSMAN_CACHE`. */
  readonly cache?: string;
  /** Files fetched by hand, by the names that the source gives them. */
  readonly from?: readonly string[];
  /** Fetch again though the dataset is here. */
  readonly force?: boolean;
  /** `HF_ENDPOINT`, `HF_TOKEN`, `POINTSMAN_MIRROR`, proxies. */
  readonly env?: Environment;
  readonly signal?: AbortSignal;
  readonly onProgress?: (step: string, share: number) => void;
  readonly limits?: Partial<Limits>;
}

export interface Fetched {
  readonly dir: string;
  /** Null where the dataset was here already. */
  readonly written: Written | null;
  readonly source: FetchedSource;
  /** Files whose sum was recorded by this fetch, since nobody knew it before. */
  readonly recorded: readonly string[];
}

const HUB = 'https://huggingface.co';

/** Sums by file name, as the first fetch found them. */
const Lock = z.record(
  z.string(),
  z.object({
    url: z.string(),
    bytes: z.number(),
    sha256: z.string(),
    revision: z.string().nullable(),
    recordedAt: z.string(),
  }),
);
type Lock = z.infer<typeof Lock>;

/**
 * @throws `MISSING_FILE` when a file can be neither found nor downloaded, with its address and where to put it;
 *         `WRONG_CHECKSUM`; `WRONG_FORMAT`; `INVALID_CONFIG` for a file that the source does not have; what
 *         {@link writeFolder} throws; whatever `signal` was aborted with
 */
export async function fetchDataset(source: Source, options: FetchOptions = {}): Promise<Fetched> {
  const env = options.env ?? process.env;
  const cache = resolve(options.cache ?? cacheFolder(env));
  const dir = resolve(options.out ?? datasetFolder(source.name, cache));
  const here = options.force || (options.from?.length ?? 0) > 0 || !existsSync(dir) ? null : readFetchedSource(dir);
  if (here?.name === source.name && (source.revision === null || here.revision === source.revision)) {
    return { dir, written: null, source: here, recorded: [] };
  }
  const downloads = downloadFolder(source.name, cache);
  const lock = new LockFile(join(downloads, 'lock.json'));
  const { ready, revision } = await readyFiles(source, downloads, lock, { ...options, env });
  const written = await writeFolder(source, dir, {
    files: ready,
    revision,
    fetchedAt: new Date(),
    ...(options.signal && { signal: options.signal }),
    onProgress: (step, rows) => options.onProgress?.(`${step}, ${rows.toLocaleString('en-US')}`, 0),
  }).catch((cause: unknown) => {
    // A file that nobody vouches for and that cannot be read is no file to start from next time.
    const bad = ready.find(
      ({ name, path }) => lock.added.includes(name) && isDamage(cause) && cause.message.startsWith(path),
    );
    throw bad === undefined ? cause : rejected(cause as RoutingError, bad.path, dirname(bad.path) === downloads);
  });
  // Only what could be read is worth vouching for.
  lock.write();
  return { dir, written, source: readFetchedSource(dir)!, recorded: lock.added };
}

async function readyFiles(
  source: Source,
  downloads: string,
  lock: LockFile,
  options: FetchOptions & { readonly env: Environment },
): Promise<{ ready: ReadyFile[]; revision: string | null }> {
  const given = matched(source, options.from ?? []);
  if (source.byHand !== undefined) return { ready: await byHand(source, given, downloads, lock), revision: null };
  const ready: ReadyFile[] = [];
  let revision: string | null = null;
  for (const [i, file] of source.files.entries()) {
    options.signal?.throwIfAborted();
    const place = join(downloads, file.name);
    const step = source.files.length === 1 ? file.name : `${file.name} (${i + 1} of ${source.files.length})`;
    const path = given.get(file.name) ?? place;
    let commit = lock.of(file)?.revision ?? null;
    if (path === place && !existsSync(place)) {
      const fetched = await fetchFile(file, place, step, options);
      commit = fetched.revision ?? commit;
    }
    options.onProgress?.(`checking ${step}`, 0);
    try {
      refuseWrongFormat(path, file.format);
    } catch (cause) {
      throw isDamage(cause) ? rejected(cause, path, path === place) : cause;
    }
    ready.push(await verified(file, path, lock, commit, path === place));
    revision ??= commit;
  }
  return { ready, revision };
}

/** Files by the names that the source gives them. A source with one file takes it under any name. */
function matched(source: Source, from: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const path of from) {
    const name = basename(path);
    if (isPickle(name)) refuseWrongFormat(path, 'csv', source.byHand?.advice);
    if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
    const known =
      source.byHand !== undefined
        ? source.byHand.formats.includes(formatOf(name) ?? 'zip') && name
        : (source.files.find((file) => file.name === name)?.name ??
          (source.files.length === 1 && formatOf(name) === source.files[0]!.format && source.files[0]!.name));
    if (!known) {
      const wanted = source.byHand
        ? `a file that ends in ${source.byHand.formats.map((format) => `.${format}`).join(', ')}`
        : source.files.map((file) => file.name).join(', ');
      throw new RoutingError('INVALID_CONFIG', `--from ${path}: no file of ${source.name}; wanted: ${wanted}`);
    }
    given.set(known, path);
  }
  return given;
}

async function byHand(
  source: Source,
  given: ReadonlyMap<string, string>,
  downloads: string,
  lock: LockFile,
): Promise<ReadyFile[]> {
  const { advice } = source.byHand!;
  if (given.size === 0) throw new RoutingError('WRONG_FORMAT', `${source.name}: ${advice}`);
  const ready: ReadyFile[] = [];
  for (const [name, path] of given) {
    const format = formatOf(name)!;
    refuseWrongFormat(path, format, advice);
    const file = { name, url: source.homepage, format, bytes: null, sha256: null };
    mkdirSync(downloads, { recursive: true });
    ready.push(await verified(file, path, lock, null, false));
  }
  return ready;
}

async function fetchFile(
  file: SourceFile,
  place: string,
  step: string,
  { env, signal, onProgress, limits }: FetchOptions & { readonly env: Environment },
) {
  const token = variable(env, 'HF_TOKEN');
  onProgress?.(`downloading ${step}`, 0);
  try {
    return await download(mirrored(file.url, env), place, {
      ...(file.url.startsWith(HUB) && token && { headers: { authorization: `Bearer ${token}` } }),
      bytes: file.bytes,
      env,
      ...(signal && { signal }),
      ...(limits && { limits }),
      onProgress: (received, total) => {
        const whole = total || file.bytes || 0;
        const mb = `${(received / 1e6).toFixed(1)}${whole > 0 ? ` of ${(whole / 1e6).toFixed(1)}` : ''} MB`;
        onProgress?.(`downloading ${step}: ${mb}`, whole > 0 ? Math.min(1, received / whole) : 0);
      },
    });
  } catch (cause) {
    if (!(cause instanceof RoutingError) || cause.code !== 'MISSING_FILE') throw cause;
    throw new RoutingError(
      'MISSING_FILE',
      `${cause.message}. Without network: fetch ${file.url} elsewhere and put it at ${place}, or name it with --from; the next run goes on from there`,
      { cause },
    );
  }
}

/** `HF_ENDPOINT` stands for the hub; `POINTSMAN_MIRROR`: `https://one.host=https://another`, several with commas. */
function mirrored(url: string, env: Environment): string {
  const pairs = (variable(env, 'POINTSMAN_MIRROR') ?? '').split(',').filter(Boolean);
  const hub = variable(env, 'HF_ENDPOINT');
  if (hub) pairs.unshift(`${HUB}=${hub}`);
  for (const pair of pairs) {
    const [from = '', to] = pair.split('=').map((side) => side.trim().replace(/\/+$/, ''));
    if (to === undefined || !URL.canParse(to)) {
      throw new RoutingError('INVALID_CONFIG', `POINTSMAN_MIRROR: ${pair}: write https://host=https://its.mirror`);
    }
    if (url.startsWith(`${from}/`)) return to + url.slice(from.length);
  }
  return url;
}

async function verified(
  file: SourceFile,
  path: string,
  lock: LockFile,
  revision: string | null,
  ours: boolean,
): Promise<ReadyFile> {
  const bytes = statSync(path).size;
  if (file.bytes !== null && bytes !== file.bytes) {
    throw new RoutingError(
      'TRUNCATED_FILE',
      `${path}: is ${bytes} bytes long, wanted are ${file.bytes}; ${keptAside(path, ours)}fetch it again`,
    );
  }
  const sha256 = await sha256Of(fileBytes(path));
  const locked = lock.of(file);
  const wanted = file.sha256 ?? locked?.sha256;
  if (wanted !== undefined && wanted !== sha256) {
    const from = file.sha256 === null ? `the first fetch on ${locked!.recordedAt.slice(0, 10)} recorded` : 'wanted is';
    throw new RoutingError(
      'WRONG_CHECKSUM',
      `${path}: its sha256 is ${sha256}, ${from} ${wanted}; ${keptAside(path, ours)}` +
        (file.sha256 === null
          ? `where upstream changed it on purpose, remove ${lock.path} and fetch again`
          : 'fetch it again'),
    );
  }
  if (wanted === undefined) {
    lock.add(file, { url: file.url, bytes, sha256, revision, recordedAt: new Date().toISOString() });
  }
  return { name: file.name, path: resolve(path), url: file.url, bytes, sha256 };
}

const isDamage = (cause: unknown): cause is RoutingError =>
  cause instanceof RoutingError && ['TRUNCATED_FILE', 'WRONG_FORMAT', 'MALFORMED_JSON'].includes(cause.code);

function rejected(cause: RoutingError, path: string, ours: boolean): RoutingError {
  const kept = keptAside(path, ours);
  return kept === ''
    ? cause
    : new RoutingError(cause.code, `${cause.message}; ${kept}the next run downloads it anew`, { cause });
}

/** So that the next run downloads it anew; a file that somebody named stays where it is. */
function keptAside(path: string, ours: boolean): string {
  if (!ours) return '';
  const aside = `${path}.rejected`;
  rmSync(aside, { force: true });
  renameSync(path, aside);
  return `it is kept as ${aside}; `;
}

/** What earlier fetches recorded. An entry of another address is of another version of the file. */
class LockFile {
  readonly path: string;
  readonly added: string[] = [];
  #entries: Lock;

  constructor(path: string) {
    this.path = path;
    this.#entries = {};
    if (!existsSync(path)) return;
    try {
      this.#entries = Lock.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch (cause) {
      throw new RoutingError('INVALID_ROW', `${path}: is damaged; remove it to record the files' sums anew`, { cause });
    }
  }

  of({ name, url }: SourceFile): Lock[string] | undefined {
    const entry = Object.hasOwn(this.#entries, name) ? this.#entries[name] : undefined;
    return entry?.url === url ? entry : undefined;
  }

  /** Kept once {@link write} is called. */
  add({ name }: SourceFile, entry: Lock[string]): void {
    this.#entries = { ...this.#entries, [name]: entry };
    this.added.push(name);
  }

  write(): void {
    if (this.added.length === 0) return;
    mkdirSync(dirname(this.path), { recursive: true });
    const part = `${this.path}.${process.pid}.part`;
    writeFileSync(part, `${JSON.stringify(this.#entries, null, 1)}\n`);
    renameSync(part, this.path);
  }
}
