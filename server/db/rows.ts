/**
 * A row on its way: JSON by column name, made once when it is recorded. The same text is a
 * line of the spool and an element of the array that the insert statement spreads.
 */
import { getTableColumns } from 'drizzle-orm';
import { listToJson, Roster } from './candidate-lists.ts';
import { type CandidateList, packCandidates } from './candidates.ts';
import type { AttemptRecord, DecisionRecord, FeedbackRecord, TextRecord } from './records.ts';
import { attempts, decisions, feedback, storable, texts, vectorBytes } from './schema.ts';

export const RECORD_TABLES = { decisions, attempts, feedback, texts } as const;
export type RecordTable = keyof typeof RECORD_TABLES;

export type Row =
  | { readonly table: 'decisions'; readonly row: DecisionRecord }
  | { readonly table: 'attempts'; readonly row: AttemptRecord }
  | { readonly table: 'feedback'; readonly row: FeedbackRecord }
  | { readonly table: 'texts'; readonly row: TextRecord };

/** Rows that others need to be read: they go before them, and may come again. */
export const LISTS = 'candidate_lists';

export interface EncodedRow {
  readonly table: RecordTable | typeof LISTS;
  readonly json: string;
  /** What a decision counts its candidates by; absent on one that came back from a spool, where the list is a row before it. */
  readonly list?: CandidateList | undefined;
}

interface Column {
  readonly key: string;
  /** `"name":` */
  readonly start: string;
  readonly isCount: boolean;
  /** Left out, it is null. */
  readonly isNullByDefault: boolean;
}

const columnsOf = (table: RecordTable): Column[] =>
  Object.entries(getTableColumns(RECORD_TABLES[table])).map(([key, column]) => ({
    key,
    start: `${JSON.stringify(column.name)}:`,
    isCount: column.getSQLType() === 'bigint',
    isNullByDefault: column.default === undefined,
  }));

const COLUMNS: Record<RecordTable, readonly Column[]> = {
  decisions: columnsOf('decisions'),
  attempts: columnsOf('attempts'),
  feedback: columnsOf('feedback'),
  texts: columnsOf('texts'),
};

const roster = new Roster();

/** A row as it goes into spool and database: candidates packed. @throws `TypeError` for what has no JSON, a cycle or a bigint */
export function encodeRow(row: Row): EncodedRow {
  const { table } = row;
  if (table !== 'decisions') return { table, json: rowToJson(row) };
  const { ranked, distribution, executedModel } = row.row;
  const packed =
    Array.isArray(ranked) && Array.isArray(distribution) ? packCandidates(ranked, distribution, roster) : null;
  if (packed === null) return { table, json: rowToJson(row) };
  const { list, bytes, hasDistribution } = packed;
  const json = jsonOf(table, row.row, {
    // Sums of the database and builds before this one read what was forecast of the model that answered.
    ranked: [ranked.find(({ model }) => model === executedModel) ?? ranked[0]!],
    distribution: hasDistribution ? [] : distribution,
    candidates: bytes,
    candidateList: list.hash,
  });
  return { table, json, list };
}

/** JSON as PostgreSQL takes it, of a decision with its candidates as JSON. @throws `TypeError` as {@link encodeRow} */
export const rowToJson = ({ table, row }: Row): string => jsonOf(table, row, NOTHING);

const NOTHING: Readonly<Record<string, unknown>> = {};

/** @param instead what takes the place of the row's own values */
function jsonOf(table: RecordTable, row: Row['row'], instead: Readonly<Record<string, unknown>>): string {
  const values = row as unknown as Record<string, unknown>;
  let json = '';
  for (const { key, start, isCount, isNullByDefault } of COLUMNS[table]) {
    const value = instead[key] ?? values[key];
    // What a record leaves out has the column's default.
    if (value === undefined || (value === null && isNullByDefault)) continue;
    json += `${json === '' ? '{' : ','}${start}${valueToJson(key, value, isCount)}`;
  }
  json = json === '' ? '{}' : `${json}}`;
  // jsonb refuses NUL and lone surrogates, which JSON itself can escape.
  const isSuspect = json.includes('\\u') && /\\u(0000|d[89a-f])/i.test(json);
  return isSuspect ? JSON.stringify(storable(JSON.parse(json))) : json;
}

function valueToJson(key: string, value: unknown, isCount: boolean): string {
  // Some providers report fractions of tokens.
  if (typeof value === 'number') return numberToJson(isCount ? Math.round(value) : value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  // What PostgreSQL reads as bytea.
  if (value instanceof Float32Array) return `"\\\\x${Buffer.from(vectorBytes(value)).toString('hex')}"`;
  if (value instanceof Buffer) return `"\\\\x${value.toString('hex')}"`;
  const list = key === 'distribution' ? distributionToJson(value as DecisionRecord['distribution']) : null;
  return list ?? JSON.stringify(value) ?? 'null';
}

const numberToJson = (value: number): string => (Number.isFinite(value) ? `${value}` : 'null');

/** Names that are remembered: the candidates of a few routers. */
const MOST_NAMES = 2000;

/** How what is said of a model begins, by its name. */
const openings = new Map<string, string>();

function openingOf(model: string): string {
  const known = openings.get(model);
  if (known !== undefined) return known;
  const made = `{"model":${JSON.stringify(model)},"probability":`;
  if (openings.size >= MOST_NAMES) openings.clear();
  openings.set(model, made);
  return made;
}

/**
 * Every routed decision names all candidates, forty or more, and most have one probability: that of being tried. To write
 * a number costs more than all else here, so each is written once, in a fifth of the time of `JSON.stringify`.
 *
 * @returns null for items that are not what their type says
 */
function distributionToJson(items: DecisionRecord['distribution']): string | null {
  let json = '';
  let last = Number.NaN;
  let text = '';
  for (const { model, probability } of items) {
    if (typeof model !== 'string' || !Number.isFinite(probability)) return null;
    if (probability !== last) {
      last = probability;
      text = `${probability}}`;
    }
    json += `${json === '' ? '[' : ','}${openingOf(model)}${text}`;
  }
  return json === '' ? '[]' : `${json}]`;
}

const lineStart = (table: EncodedRow['table']) => `{"table":"${table}","row":`;
const TABLES = [...(Object.keys(RECORD_TABLES) as RecordTable[]), LISTS] as const;
const LINE_STARTS = TABLES.map((table) => [table, lineStart(table)] as const);

/** The lists that these rows need to be read, as rows. @param has those that are where they go already */
export function listRows(rows: readonly EncodedRow[], has: (hash: string) => boolean): Map<string, EncodedRow> {
  const lists = new Map<string, EncodedRow>();
  for (const { list } of rows) {
    if (list === undefined || lists.has(list.hash) || has(list.hash)) continue;
    lists.set(list.hash, { table: LISTS, json: listToJson(list) });
  }
  return lists;
}

/** One line of a spool file, without its line end. */
export const rowToLine = ({ table, json }: EncodedRow): string => `${lineStart(table)}${json}}`;

/** @returns null for a line that was not written by {@link rowToLine}, or not to its end */
export function rowFromLine(line: string): EncodedRow | null {
  for (const [table, start] of LINE_STARTS) {
    if (line.startsWith(start) && line.endsWith('}}')) return { table, json: line.slice(start.length, -1) };
  }
  return null;
}
