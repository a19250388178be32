/**
 * Rows on disk until the database has them: lines of JSON appended to segment files. A segment
 * goes when each of its rows is in the database, is replayed where memory does not hold its
 * rows any more, and is dropped, the oldest first, where all of them grow beyond the limit.
 */
import { randomBytes } from 'node:crypto';
import { close, type Dirent, ftruncate, open, write } from 'node:fs';
import { appendFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { processStart } from './lock.ts';
import { type EncodedRow, LISTS, listRows, rowToLine } from './rows.ts';
import { readSegment } from './segment-reader.ts';

/** One file. Only the spool changes it. */
export interface Segment {
  readonly path: string;
  bytes: number;
  /** Rows that memory holds as well. */
  waiting: number;
  /** Rows that are nowhere else; null where nobody has counted them, as an earlier process wrote them. */
  onlyHere: number | null;
  /** When its first and its last row came. */
  from: Date;
  to: Date;
  /** True once the file is no more, be it that the spool was full. */
  gone: boolean;
  /** Lists of candidates in it: each file can be read by itself, whatever becomes of the others. */
  readonly lists: Set<string>;
}

/** Rows that were dropped with the oldest segment, because the spool was full. */
export interface Loss {
  readonly rows: number;
  readonly from: Date;
  readonly to: Date;
}

export interface SpoolOptions {
  /** All files together; default 1 GB. */
  readonly limitBytes?: number;
  /** True where the lock of the data directory is ours: then what others left there is nobody's. */
  readonly exclusive?: boolean;
  readonly onLoss?: (loss: Loss) => void;
  readonly onProblem?: (message: string) => void;
}

const LIMIT_BYTES = 1e9;
/** What one overflow drops, and one replay starts again with. */
const SEGMENT_BYTES = 8e6;

const openFile = promisify(open);
const closeFile = promisify(close);
const truncateFile = promisify(ftruncate);

/** Files of this process's spools: another store in it must not take them for left-overs. */
const inUse = new Set<string>();

export class Spool {
  readonly #folder: string;
  readonly #options: SpoolOptions;
  readonly #limitBytes: number;
  readonly #segmentBytes: number;
  /** Oldest first. */
  #segments: Segment[] = [];
  /** The one that is appended to, the last of them. */
  #open: { readonly segment: Segment; readonly file: number } | null = null;
  #replay: { readonly segment: Segment; readonly batches: AsyncGenerator<EncodedRow[]> } | null = null;
  /** Steps on the files, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(dataDir: string, options: SpoolOptions = {}) {
    this.#folder = join(dataDir, 'spool');
    this.#options = options;
    this.#limitBytes = options.limitBytes ?? LIMIT_BYTES;
    this.#segmentBytes = Math.min(SEGMENT_BYTES, this.#limitBytes / 8);
  }

  /** True while rows are on disk that are neither in memory nor in the database. */
  get hasLeftovers(): boolean {
    return this.#segments.some(({ onlyHere }) => onlyHere !== 0);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Finds what earlier processes left behind. */
  async find(): Promise<void> {
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch((): Dirent[] => []);
    const found: Segment[] = [];
    for (const { name } of entries) {
      const path = join(this.#folder, name);
      if (!SEGMENT_NAME.test(name) || inUse.has(path)) continue;
      if (this.#options.exclusive !== true && isOfLiveProcess(name)) continue;
      const file = await stat(path).catch(() => null);
      if (file === null) continue;
      inUse.add(path);
      const [from, to] = [new Date(Number(SEGMENT_NAME.exec(name)![1])), file.mtime];
      found.push({ path, bytes: file.size, waiting: 0, onlyHere: null, from, to, gone: false, lists: new Set() });
    }
    found.sort((a, b) => a.to.getTime() - b.to.getTime());
    this.#segments.unshift(...found);
  }

  /**
   * When it resolves the rows are with the operating system: they outlive this process.
   * They count as waiting until {@link settle} or {@link release}.
   * @throws the file system's error; then none of them is there
   */
  append(rows: readonly EncodedRow[]): Promise<Segment> {
    const own = linesOf(rows);
    return this.#inTurn(async () => {
      await this.#makeRoom(own.length);
      const { segment, file } = await this.#fileFor(own.length);
      const lists = listRows(rows, (hash) => segment.lists.has(hash));
      const text = lists.size === 0 ? own : Buffer.concat([linesOf([...lists.values()]), own]);
      try {
        await writeAll(file, text);
        for (const hash of lists.keys()) segment.lists.add(hash);
      } catch (error) {
        await this.#cutBack(segment, file);
        throw error;
      }
      const now = new Date();
      if (segment.bytes === 0) segment.from = now;
      segment.to = now;
      segment.bytes += text.length;
      segment.waiting += rows.length;
      return segment;
    });
  }

  /** So many of its waiting rows are in the database. */
  settle(segment: Segment, rows: number): void {
    segment.waiting -= rows;
    this.#removeDone(segment);
  }

  /** So many of its waiting rows are in memory no longer: they will be replayed. */
  release(segment: Segment, rows: number): void {
    segment.waiting -= rows;
    if (segment.onlyHere !== null) segment.onlyHere += rows;
  }

  /**
   * A batch of rows that memory does not hold, oldest first, among others of the same segment;
   * asking for the next one says that the database has this one. Null: none are left.
   */
  async nextLeftovers(): Promise<EncodedRow[] | null> {
    for (;;) {
      if (this.#replay === null) {
        const segment = this.#segments.find(({ onlyHere }) => onlyHere !== 0);
        if (segment === undefined) return null;
        if (segment === this.#open?.segment) await this.#inTurn(() => this.#seal());
        this.#replay = {
          segment,
          batches: readSegment(segment.path, (lines) => this.#keep('damaged.txt', lines.join('\n'))),
        };
      }
      const { segment, batches } = this.#replay;
      try {
        const { value, done } = await batches.next();
        if (!done) return value;
        segment.onlyHere = 0;
        this.#removeDone(segment);
      } catch (error) {
        // Another replica may have replayed it meanwhile. Else it stays there for people to look at.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          this.#options.onProblem?.(`cannot read the spooled rows of ${segment.path}: ${(error as Error).message}`);
        }
        this.#forget(segment);
      }
      this.#replay = null;
    }
  }

  /** The database did not take the last batch: the replay starts again with its segment's first. */
  async rewind(): Promise<void> {
    const replay = this.#replay;
    this.#replay = null;
    await replay?.batches.return(undefined);
  }

  /** Rows that no database will take, kept for people to look at. */
  async reject(row: EncodedRow, why: string): Promise<void> {
    await this.#keep('rejected.jsonl', `{"why":${JSON.stringify(why)},"row":${rowToLine(row)}}`);
  }

  /** Lets go of the files; what waits in them is found again by the next start. */
  async close(): Promise<void> {
    await this.rewind();
    await this.#inTurn(() => this.#seal());
    // Files that became superfluous only now.
    await this.#turn;
    for (const { path } of this.#segments) inUse.delete(path);
    this.#segments = [];
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #fileFor(bytes: number): Promise<{ segment: Segment; file: number }> {
    const current = this.#open;
    if (current !== null && (current.segment.bytes === 0 || current.segment.bytes + bytes <= this.#segmentBytes)) {
      return current;
    }
    await this.#seal();
    const now = new Date();
    const name = `rows-${now.getTime()}-${process.pid}-${processStart(process.pid) ?? 0}-${randomBytes(4).toString('hex')}.jsonl`;
    const path = join(this.#folder, name);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = await openFile(path, 'a', 0o600);
    const segment: Segment = {
      path,
      bytes: 0,
      waiting: 0,
      onlyHere: 0,
      from: now,
      to: now,
      gone: false,
      lists: new Set(),
    };
    inUse.add(path);
    this.#segments.push(segment);
    this.#open = { segment, file };
    return this.#open;
  }

  /** Closes the open file: it is only read from now on. */
  async #seal(): Promise<void> {
    const current = this.#open;
    if (current === null) return;
    this.#open = null;
    await closeFile(current.file);
    this.#removeDone(current.segment);
  }

  /** After a write that failed, perhaps half-way: no torn line stays, and the next write tries a new file. */
  async #cutBack(segment: Segment, file: number): Promise<void> {
    await truncateFile(file, segment.bytes).catch(() => {});
    await this.#seal().catch(() => {});
  }

  /** The open file is emptied, not removed: the next row needs no new one. */
  #removeDone(segment: Segment): void {
    if (segment.waiting > 0 || segment.onlyHere !== 0 || segment.gone) return;
    if (segment !== this.#open?.segment) {
      this.#forget(segment);
      void this.#inTurn(() => rm(segment.path, { force: true })).catch(() => {});
      return;
    }
    void this.#inTurn(async () => {
      const current = this.#open;
      if (segment !== current?.segment || segment.waiting > 0 || segment.onlyHere !== 0 || segment.bytes === 0) return;
      await truncateFile(current.file, 0);
      segment.bytes = 0;
      segment.lists.clear();
    }).catch(() => {});
  }

  #forget(segment: Segment): void {
    segment.gone = true;
    inUse.delete(segment.path);
    this.#segments = this.#segments.filter((other) => other !== segment);
  }

  async #makeRoom(bytes: number): Promise<void> {
    while (this.bytes + bytes > this.#limitBytes) {
      const oldest = this.#segments.find((s) => s !== this.#open?.segment && s !== this.#replay?.segment);
      if (oldest === undefined) return;
      if (oldest.onlyHere === null) await countRows(oldest);
      // Its replay began, or ended, while its rows were counted.
      if (oldest.gone || oldest === this.#replay?.segment) continue;
      this.#forget(oldest);
      await rm(oldest.path, { force: true });
      const { onlyHere, from, to } = oldest;
      if (onlyHere) this.#options.onLoss?.({ rows: onlyHere, from, to });
    }
  }

  async #keep(name: string, text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await appendFile(join(this.#folder, name), `${text}\n`, { mode: 0o600 });
  }
}

/** What a file of an earlier process holds, which only matters once it has to go. */
async function countRows(segment: Segment): Promise<void> {
  let rows = 0;
  try {
    for await (const batch of readSegment(segment.path, async () => {})) {
      const own = batch.filter(({ table }) => table !== LISTS);
      if (rows === 0 && own.length > 0) segment.from = momentOf(own[0]!) ?? segment.from;
      rows += own.length;
    }
  } catch {
    // Unreadable: what was read so far is what is known of it.
  }
  // Replayed meanwhile, it has none.
  segment.onlyHere ??= rows;
}

function momentOf({ json }: EncodedRow): Date | null {
  const moment = new Date(/"(?:created|started)_at":"([^"]*)"/.exec(json)?.[1] ?? '');
  return Number.isNaN(moment.getTime()) ? null : moment;
}

const linesOf = (rows: readonly EncodedRow[]): Buffer => Buffer.from(`${rows.map(rowToLine).join('\n')}\n`);

const writeSome = promisify(write) as (
  file: number,
  data: Uint8Array,
  offset: number,
  length: number,
) => Promise<{ bytesWritten: number }>;

async function writeAll(file: number, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length; ) {
    at += (await writeSome(file, data, at, data.length - at)).bytesWritten;
  }
}

/** Time of making, process, its start in clock ticks since boot (0: unknown), and something random. */
const SEGMENT_NAME = /^rows-(\d+)-(\d+)-(\d+)-[0-9a-f]+\.jsonl$/;

/** A replica on the same disk that still runs replays its own rows. Its start tells it from a later process of its number. */
function isOfLiveProcess(name: string): boolean {
  const [, , pid, start] = SEGMENT_NAME.exec(name)!;
  // Of this process, but of no spool in use: of a store that it has closed.
  if (Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const startNow = processStart(Number(pid));
  return start === '0' || startNow === null || startNow === start;
}
