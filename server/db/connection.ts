/** The one thing the two kinds of database differ in: how a statement gets there. */
import { RoutingError } from '../../datasets/errors.ts';

/** Rows as objects by column name, or as arrays in column order. */
export type RowMode = 'object' | 'array';

export interface Connection {
  readonly kind: 'embedded' | 'postgres';
  /** @throws `DatabaseError` */
  query(text: string, params: readonly unknown[], rowMode: RowMode): Promise<unknown[]>;
  /**
   * Statements that go together: in one transaction, while no other process does the work of the same key. Embedded
   * there is no other process and no transaction, but work of this one waits its turn.
   */
  alone<T>(key: number, work: (query: Connection['query']) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Runs statements one after the other on one session; what migrations need. */
export interface Session {
  query(text: string, params?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

/** A statement that failed. `sqlState` is PostgreSQL's five letters, absent when the database could not be reached. */
export class DatabaseError extends RoutingError {
  readonly sqlState: string | undefined;

  constructor(message: string, sqlState?: string, options?: ErrorOptions) {
    super('DATABASE_UNAVAILABLE', message, options);
    this.sqlState = sqlState;
  }

  /** True when the row itself is at fault (class 22 data, 23 constraint, 54 limits): trying again cannot help. */
  get isRowFault(): boolean {
    return /^(22|23|54)/.test(this.sqlState ?? '');
  }
}

/** A driver's error → ours. Node's own codes (ECONNREFUSED) are no SQL states. */
export function databaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  // Drizzle's own error quotes the whole statement with every value.
  if (error instanceof Error && error.cause instanceof DatabaseError) return error.cause;
  const { code, message } = error as { code?: unknown; message?: string };
  const sqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
  return new DatabaseError(`database: ${message || String(code ?? error)}`, sqlState, { cause: error });
}

/** Waits for a statement. @throws `DatabaseError` */
export async function asked<T>(statement: PromiseLike<T>): Promise<T> {
  try {
    return await statement;
  } catch (error) {
    throw databaseError(error);
  }
}
