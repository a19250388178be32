/** A row on its way: which table, and its JSON form for the spool. */
import type { AttemptRecord, DecisionRecord, FeedbackRecord } from './records.ts';
import { vectorBytes, vectorOf } from './schema.ts';

export type Row =
  | { readonly table: 'decisions'; readonly row: DecisionRecord }
  | { readonly table: 'attempts'; readonly row: AttemptRecord }
  | { readonly table: 'feedback'; readonly row: FeedbackRecord };

const MOMENTS = ['createdAt', 'startedAt'];

export function rowToJson({ table, row }: Row): string {
  const embedding =
    'embedding' in row && row.embedding ? Buffer.from(vectorBytes(row.embedding)).toString('base64') : null;
  return JSON.stringify({ table, row: table === 'decisions' ? { ...row, embedding } : row });
}

/** @returns null for a line that is not a whole row */
export function rowFromJson(line: string): Row | null {
  try {
    const { table, row } = JSON.parse(line) as { table: Row['table']; row: Record<string, unknown> };
    if (!['decisions', 'attempts', 'feedback'].includes(table) || typeof row.id !== 'string') return null;
    for (const name of MOMENTS) if (typeof row[name] === 'string') row[name] = new Date(row[name]);
    if (typeof row.embedding === 'string') row.embedding = vectorOf(Buffer.from(row.embedding, 'base64'));
    return { table, row } as unknown as Row;
  } catch {
    return null;
  }
}
