/** What the files of an exported log hold: the columns of its tables, by the names they have in the database. */
import { getTableColumns } from 'drizzle-orm';
import { attempts, decisions, feedback, outcomes } from '../db/schema.ts';

/** Never the texts. Each lies under the day of its decision. */
export const EXPORTED = { decisions, attempts, feedback, outcomes } as const;
export type ExportedTable = keyof typeof EXPORTED;
export const EXPORTED_TABLES = Object.keys(EXPORTED) as ExportedTable[];

export type ColumnType = 'text' | 'json' | 'double' | 'boolean' | 'integer' | 'moment' | 'bytes';

export interface ExportColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly required: boolean;
}

const TYPES: Readonly<Record<string, ColumnType>> = {
  text: 'text',
  jsonb: 'json',
  'double precision': 'double',
  boolean: 'boolean',
  bigint: 'integer',
  integer: 'integer',
  bytea: 'bytes',
};

/** Columns that others of the file are read from: which form the database keeps them in is its own matter. */
export const PACKED = ['candidates', 'candidate_list'] as const;

/** @param embeddings whether the prompts' embeddings go along */
export function columnsOf(table: ExportedTable, embeddings: boolean): ExportColumn[] {
  return Object.values(getTableColumns(EXPORTED[table])).flatMap((column): ExportColumn[] => {
    const kind = column.getSQLType();
    const type = kind.startsWith('timestamp') ? 'moment' : TYPES[kind]!;
    if ((PACKED as readonly string[]).includes(column.name) || (type === 'bytes' && !embeddings)) return [];
    return [{ name: column.name, type, required: column.notNull }];
  });
}

/** How each is read out of the database, so that both drivers give the same. */
export const selected = ({ name, type }: ExportColumn): string => {
  const column = `t."${name}"`;
  if (type === 'json' || type === 'integer') return `${column}::text as "${name}"`;
  if (type === 'moment') return `(extract(epoch from ${column}) * 1000)::double precision as "${name}"`;
  return `${column} as "${name}"`;
};

/** What a value of the database is in a file. JSON stays text, whose numbers are exact; every engine reads it. */
export function fileValue(type: ColumnType, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'integer') return BigInt(value as string);
  if (type === 'moment') return new Date(Number(value));
  return value;
}

/** Parquet's own types, in the plain form that old readers know, too. */
export const PARQUET_TYPES: Readonly<Record<ColumnType, { readonly type: string; readonly converted_type?: string }>> =
  {
    text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
    json: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
    double: { type: 'DOUBLE' },
    boolean: { type: 'BOOLEAN' },
    integer: { type: 'INT64' },
    moment: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' },
    bytes: { type: 'BYTE_ARRAY' },
  };

/** Model changes that drift has found: what learning leaves out goes by them. Beside the tables, of all days. */
export const MODEL_CHANGES = 'model_changes';
