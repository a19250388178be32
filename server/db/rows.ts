/**
 * A row on its way: JSON by column name, made once when it is recorded. The same text is a
 * line of the spool and an element of the array that the insert statement spreads.
 */
import { getTableColumns } from 'drizzle-orm';
import type { AttemptRecord, DecisionRecord, FeedbackRecord, TextRecord } from './records.ts';
import { attempts, decisions, feedback, storable, texts, vectorBytes } from './schema.ts';

export const RECORD_TABLES = { decisions, attempts, feedback, texts } as const;
export type RecordTable = keyof typeof RECORD_TABLES;

export type Row =
  | { readonly table: 'decisions'; readonly row: DecisionRecord }
  | { readonly table: 'attempts'; readonly row: AttemptRecord }
  | { readonly table: 'feedback'; readonly row: FeedbackRecord }
  | { readonly table: 'texts'; readonly row: TextRecord };

export interface EncodedRow {
  readonly table: RecordTable;
  readonly json: string;
}

interface Column {
  readonly key: string;
  readonly name: string;
  readonly isCount: boolean;
}

const columnsOf = (table: RecordTable): Column[] =>
  Object.entries(getTableColumns(RECORD_TABLES[table])).map(([key, column]) => ({
    key,
    name: column.name,
    isCount: column.getSQLType() === 'bigint',
  }));

const COLUMNS: Record<RecordTable, readonly Column[]> = {
  decisions: columnsOf('decisions'),
  attempts: columnsOf('attempts'),
  feedback: columnsOf('feedback'),
  texts: columnsOf('texts'),
};

/** JSON as PostgreSQL takes it. @throws `TypeError` for what has no JSON, a cycle or a bigint */
export function rowToJson({ table, row }: Row): string {
  const values = row as unknown as Record<string, unknown>;
  const plain: Record<string, unknown> = {};
  for (const { key, name, isCount } of COLUMNS[table]) {
    // What a record leaves out has the column's default.
    if (values[key] !== undefined) plain[name] = jsonValue(values[key], isCount);
  }
  const json = JSON.stringify(plain);
  // jsonb refuses NUL and lone surrogates, which JSON itself can escape.
  const isSuspect = json.includes('\\u') && /\\u(0000|d[89a-f])/i.test(json);
  return isSuspect ? JSON.stringify(storable(JSON.parse(json))) : json;
}

function jsonValue(value: unknown, isCount: boolean): unknown {
  if (value === null) return null;
  // What PostgreSQL reads as bytea.
  if (value instanceof Float32Array) return `\\x${Buffer.from(vectorBytes(value)).toString('hex')}`;
  // Some providers report fractions of tokens.
  return isCount && typeof value === 'number' ? Math.round(value) : value;
}

const lineStart = (table: RecordTable) => `{"table":"${table}","row":`;
const LINE_STARTS = (Object.keys(RECORD_TABLES) as RecordTable[]).map((table) => [table, lineStart(table)] as const);

/** One line of a spool file, without its line end. */
export const rowToLine = ({ table, json }: EncodedRow): string => `${lineStart(table)}${json}}`;

/** @returns null for a line that was not written by {@link rowToLine}, or not to its end */
export function rowFromLine(line: string): EncodedRow | null {
  for (const [table, start] of LINE_STARTS) {
    if (line.startsWith(start) && line.endsWith('}}')) return { table, json: line.slice(start.length, -1) };
  }
  return null;
}
