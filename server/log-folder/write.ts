/**
 * The log → a folder of Parquet: `decisions/date=2026-11-29/part-0.parquet` and so on, a day at a time, a row group at a
 * time in memory. An export that was interrupted goes on with the first day that it had not finished.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { candidatesOf, listsFor } from '../db/candidate-lists.ts';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';
import {
  columnsOf,
  EXPORTED_TABLES,
  type ExportColumn,
  type ExportedTable,
  fileValue,
  MODEL_CHANGES,
  PACKED,
  PARQUET_TYPES,
  selected,
} from './columns.ts';

export interface FolderExport {
  /** Made where it is not there. Days in it are replaced, others stay. */
  readonly out: string;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  /** One team's part alone. */
  readonly team?: string | undefined;
  readonly embeddings: boolean;
  /** Told after each day. */
  readonly onDay?: (day: string, decisions: number) => void;
}

export interface FolderExported {
  readonly days: number;
  /** Of them, written by a run before this one, which was interrupted. */
  readonly resumed: number;
  readonly rows: Readonly<Record<ExportedTable, number>>;
  /** Decisions that the database holds damaged: of their candidates the file has the one that answered, at most. */
  readonly damaged: number;
}

/** Decisions read at once, with all that belongs to them. */
const PAGE = 500;
/** Rows of a row group: bounds what is held in memory. */
const GROUP_ROWS = 5000;
const DAY_MS = 86_400_000;

/** @throws `DATABASE_UNAVAILABLE`, `INVALID_REQUEST` for a folder that another export is half done in */
export async function writeFolder(
  store: Pick<SqlStore, 'db' | 'flush'>,
  request: FolderExport,
): Promise<FolderExported> {
  await store.flush();
  const progress = await Progress.open(request);
  const rows = { decisions: 0, attempts: 0, feedback: 0, outcomes: 0 };
  let days = 0;
  let resumed = 0;
  let damaged = 0;
  for await (const day of daysOf(store.db, request)) {
    days++;
    if (progress.has(day)) {
      resumed++;
      continue;
    }
    const counts = await writeDay(store.db, request, day);
    for (const table of EXPORTED_TABLES) rows[table] += counts[table];
    damaged += counts.damaged;
    await progress.done(day);
    request.onDay?.(day, counts.decisions);
  }
  await writeModelChanges(store.db, request.out);
  await progress.end();
  return { days, resumed, rows, damaged };
}

const Marker = z.object({ request: z.string(), days: z.array(z.string()) });

/** Which days are finished, in a file that readers pass over for its underscore. It goes when all are. */
class Progress {
  readonly #path: string;
  readonly #request: string;
  readonly #days: Set<string>;

  private constructor(path: string, request: string, days: readonly string[]) {
    this.#path = path;
    this.#request = request;
    this.#days = new Set(days);
  }

  static async open({ out, from, to, team, embeddings }: FolderExport): Promise<Progress> {
    const path = join(out, '_export.json');
    const request = JSON.stringify({ from, to, team, embeddings });
    await mkdir(out, { recursive: true });
    if (!existsSync(path)) return new Progress(path, request, []);
    const marker = Marker.safeParse(JSON.parse(await readFile(path, 'utf8').catch(() => 'null')));
    if (marker.success && marker.data.request === request) return new Progress(path, request, marker.data.days);
    throw new RoutingError(
      'INVALID_REQUEST',
      `${path}: an export with other options was begun here and not finished; repeat that one, or take another folder`,
    );
  }

  has(day: string): boolean {
    return this.#days.has(day);
  }

  async done(day: string): Promise<void> {
    this.#days.add(day);
    await writeFile(`${this.#path}.new`, JSON.stringify({ request: this.#request, days: [...this.#days] }));
    await rename(`${this.#path}.new`, this.#path);
  }

  end(): Promise<void> {
    return rm(this.#path, { force: true });
  }
}

type Db = SqlStore['db'];
type Values = Record<string, unknown>;

const rowsOf = async (db: Db, query: ReturnType<typeof sql>) => (await asked(db.execute(query))) as unknown as Values[];

/** Days with decisions, oldest first: from one to the next by the index. */
async function* daysOf(db: Db, { from, to, team }: FolderExport): AsyncGenerator<string> {
  let after = from ?? new Date(Date.UTC(1, 0));
  for (;;) {
    const [row] = await rowsOf(
      db,
      sql`select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD') as day from decisions
          where created_at >= ${after.toISOString()}::timestamptz
            and ${to === undefined ? sql`true` : sql`created_at < ${to.toISOString()}::timestamptz`}
            and ${team === undefined ? sql`true` : sql`tenant = ${team}`}
          order by created_at limit 1`,
    );
    if (row === undefined) return;
    const day = row.day as string;
    yield day;
    after = new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS);
  }
}

type DayCounts = Record<ExportedTable | 'damaged', number>;

async function writeDay(db: Db, request: FolderExport, day: string): Promise<DayCounts> {
  const files = await Promise.all(
    EXPORTED_TABLES.map((table) => PartFile.begin(request.out, table, day, columnsOf(table, request.embeddings))),
  );
  const [decisions, ...others] = files;
  let last: { at: number; id: string } | undefined;
  let damaged = 0;
  for (;;) {
    const page = await decisionPage(db, request, day, decisions!.columns, last);
    if (page.length === 0) break;
    await decisions!.add(page);
    damaged += page.filter(({ damage }) => damage !== undefined).length;
    const ids = JSON.stringify(page.map(({ id }) => id));
    for (const file of others) {
      const order = { attempts: 'ordinal', feedback: 'created_at', outcomes: 'model_id' }[file.table as 'attempts'];
      const rows = await rowsOf(
        db,
        sql`select ${sql.raw(file.columns.map(selected).join(', '))} from ${sql.raw(file.table)} t
            where t.decision_id = any(array(select jsonb_array_elements_text(${ids}::jsonb)))
            order by t.decision_id, t.${sql.raw(order)}`,
      );
      await file.add(rows);
    }
    const end = page.at(-1)!;
    last = { at: Number(end.created_at), id: end.id as string };
    if (page.length < PAGE) break;
  }
  for (const file of files) await file.end();
  return { ...Object.fromEntries(files.map(({ table, rows }) => [table, rows])), damaged } as DayCounts;
}

async function decisionPage(
  db: Db,
  { from, to, team }: FolderExport,
  day: string,
  columns: readonly ExportColumn[],
  last: { at: number; id: string } | undefined,
): Promise<Values[]> {
  const begin = Date.parse(`${day}T00:00:00Z`);
  const first = new Date(Math.max(begin, from?.getTime() ?? begin)).toISOString();
  const end = new Date(Math.min(begin + DAY_MS, to?.getTime() ?? Number.POSITIVE_INFINITY)).toISOString();
  const at = last && new Date(last.at).toISOString();
  const packed = PACKED.map((name) => `t.${name}`).join(', ');
  const rows = await rowsOf(
    db,
    sql`select ${sql.raw(columns.map(selected).join(', '))}, ${sql.raw(packed)} from decisions t
        where t.created_at >= ${at ?? first}::timestamptz and t.created_at < ${end}::timestamptz
          and ${team === undefined ? sql`true` : sql`t.tenant = ${team}`}
          and ${last === undefined ? sql`true` : sql`(t.created_at > ${at}::timestamptz or t.id > ${last.id})`}
        order by t.created_at, t.id limit ${PAGE}`,
  );
  return withCandidateTexts(db, rows);
}

/** JSON is a text in the file, and stays one where it is one in the database. */
async function withCandidateTexts(db: Db, rows: readonly Values[]): Promise<Values[]> {
  const listOf = ({ candidate_list }: Values) => ({ candidateList: candidate_list as string | null });
  const lists = await listsFor(db, rows.map(listOf));
  return rows.map((row) => {
    if (row.candidates === null) return row;
    const [ranked, distribution] = [JSON.parse(row.ranked as string), JSON.parse(row.distribution as string)];
    const candidates = row.candidates as Uint8Array;
    const all = candidatesOf({ ranked, distribution, candidates, ...listOf(row) }, lists);
    const { damage } = all;
    return { ...row, ranked: JSON.stringify(all.ranked), distribution: JSON.stringify(all.distribution), damage };
  });
}

/** One file on its way: under another name until it is whole. */
class PartFile {
  readonly table: string;
  readonly columns: readonly ExportColumn[];
  rows = 0;
  readonly #path: string;
  readonly #writer: import('hyparquet-writer').ParquetWriter;
  #held: Values[] = [];

  private constructor(
    table: string,
    columns: readonly ExportColumn[],
    path: string,
    writer: import('hyparquet-writer').ParquetWriter,
  ) {
    this.table = table;
    this.columns = columns;
    this.#path = path;
    this.#writer = writer;
  }

  static async begin(
    out: string,
    table: string,
    day: string | null,
    columns: readonly ExportColumn[],
  ): Promise<PartFile> {
    // Loaded late: who exports nothing needs no encoder.
    const { fileWriter, ParquetWriter } = await import('hyparquet-writer');
    const folder = day === null ? join(out, table) : join(out, table, `date=${day}`);
    await mkdir(folder, { recursive: true });
    const path = join(folder, 'part-0.parquet');
    const writer = new ParquetWriter({
      writer: fileWriter(`${path}.new`),
      schema: [
        { name: 'root', num_children: columns.length },
        ...columns.map(({ name, type, required }) => ({
          name,
          ...PARQUET_TYPES[type],
          repetition_type: required ? 'REQUIRED' : 'OPTIONAL',
        })),
      ] as never,
      createdBy: 'pointsman',
    });
    return new PartFile(table, columns, path, writer);
  }

  async add(rows: readonly Values[]): Promise<void> {
    this.#held.push(...rows);
    this.rows += rows.length;
    if (this.#held.length >= GROUP_ROWS) await this.#write();
  }

  async #write(): Promise<void> {
    const rows = this.#held;
    this.#held = [];
    await this.#writer.write({
      columnData: this.columns.map(({ name, type }) => ({
        name,
        data: rows.map((row) => fileValue(type, row[name])),
      })) as never,
      rowGroupSize: GROUP_ROWS,
    });
  }

  /** The file as a whole takes its place, or goes where there is nothing to say. */
  async end(): Promise<void> {
    if (this.#held.length > 0) await this.#write();
    await this.#writer.finish();
    if (this.rows > 0) await rename(`${this.#path}.new`, this.#path);
    else {
      await rm(`${this.#path}.new`, { force: true });
      await rm(this.#path, { force: true });
    }
  }
}

async function writeModelChanges(db: Db, out: string): Promise<void> {
  const columns: ExportColumn[] = [
    { name: 'ordinal', type: 'integer', required: true },
    { name: 'model', type: 'text', required: true },
    { name: 'changed_at', type: 'moment', required: true },
  ];
  const file = await PartFile.begin(out, MODEL_CHANGES, null, columns);
  const rows = await rowsOf(
    db,
    sql`select ordinal::text as ordinal, subject as model,
          (extract(epoch from changed_at) * 1000)::double precision as changed_at
        from alarms where kind = 'model-change' and subject is not null and changed_at is not null order by ordinal`,
  );
  await file.add(rows);
  await file.end();
}
