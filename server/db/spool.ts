/** Rows on disk while the database is away: lines of JSON, appended, replayed once it is back. */
import { createReadStream } from 'node:fs';
import { appendFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Row, rowFromJson, rowToJson } from './rows.ts';

/** Rows of one replay batch. */
const REPLAY_ROWS = 200;

export class Spool {
  readonly #folder: string;
  /** Files to replay, oldest first. */
  #files: string[] = [];
  /** The one that is appended to; replaying it closes it. */
  #open: string | null = null;
  #made = 0;

  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'spool');
  }

  get isEmpty(): boolean {
    return this.#files.length === 0;
  }

  /** Finds what earlier processes left behind. */
  async find(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    this.#files = names
      .filter((name) => /^rows-\d+-\d+-\d+\.jsonl$/.test(name) && !isOfLiveProcess(name))
      .sort((a, b) => timeOf(a) - timeOf(b))
      .map((name) => join(this.#folder, name));
  }

  /** When it resolves the rows are with the operating system: they outlive this process. */
  async append(rows: readonly Row[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    if (this.#open === null) {
      this.#open = join(this.#folder, `rows-${Date.now()}-${process.pid}-${++this.#made}.jsonl`);
      this.#files.push(this.#open);
    }
    await appendFile(this.#open, rows.map((row) => `${rowToJson(row)}\n`).join(''), { mode: 0o600 });
  }

  /** Rows that no database will take, kept for people to look at. */
  async reject(row: Row, why: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const line = JSON.stringify({ why, row: JSON.parse(rowToJson(row)) });
    await appendFile(join(this.#folder, 'rejected.jsonl'), `${line}\n`, { mode: 0o600 });
  }

  /** Writes every spooled row (those already there are skipped by id), then removes the files. */
  async replay(write: (rows: readonly Row[]) => Promise<void>): Promise<void> {
    for (let file = this.#files[0]; file !== undefined; file = this.#files[0]) {
      if (file === this.#open) this.#open = null;
      await replayFile(file, write, (lines) => appendFile(join(this.#folder, 'damaged.txt'), `${lines.join('\n')}\n`));
      await rm(file, { force: true });
      this.#files.shift();
    }
  }
}

async function replayFile(
  file: string,
  write: (rows: readonly Row[]) => Promise<void>,
  keepDamaged: (lines: string[]) => Promise<void>,
): Promise<void> {
  const damaged: string[] = [];
  let rows: Row[] = [];
  const input = createReadStream(file);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line === '') continue;
      const row = rowFromJson(line);
      // The last line of a process killed while writing it: cut short, and never acknowledged.
      if (row === null) damaged.push(line);
      else rows.push(row);
      if (rows.length >= REPLAY_ROWS) {
        await write(rows);
        rows = [];
      }
    }
    if (rows.length > 0) await write(rows);
  } finally {
    input.destroy();
  }
  if (damaged.length > 0) await keepDamaged(damaged);
}

const timeOf = (name: string) => Number(name.split('-')[1]);

/** A replica on the same disk that still runs replays its own spool. */
function isOfLiveProcess(name: string): boolean {
  const pid = Number(name.split('-')[2]);
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
