/** Keys, teams and budgets as LiteLLM keeps them: out of its database, or a file that was exported from it. Read loosely: columns come and go between its versions. */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { csvRows } from '../../../datasets/formats/csv.ts';
import { RoutingError } from '../../../datasets/index.ts';
import { PLAIN } from '../../../datasets/plain-issues.ts';

/** JSON as text where a CSV file holds it. */
const jsonIn = (value: unknown): unknown => {
  if (typeof value !== 'string') return value;
  try {
    return value === '' ? null : JSON.parse(value);
  } catch {
    return value;
  }
};

/** An array as PostgreSQL writes it, `{a,"b, c"}`, or as JSON. */
const arrayIn = (value: unknown): unknown =>
  typeof value !== 'string' || !value.startsWith('{')
    ? jsonIn(value)
    : [...value.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^",]+)/g)].map(([, quoted, plain]) =>
        quoted === undefined ? plain! : quoted.replace(/\\(.)/g, '$1'),
      );

const text = z.preprocess((value) => (value === '' ? null : value), z.coerce.string().nullish());
/** A bigint comes as text, a CSV's number as well. */
const number = z.preprocess((value) => (value === '' || value == null ? null : value), z.coerce.number().nullable());
const texts = z.preprocess(arrayIn, z.array(z.string()).nullish());
const record = z.preprocess(jsonIn, z.record(z.string(), z.unknown()).nullish());
const flag = z.preprocess(
  (value) => (typeof value === 'string' ? /^(t|true|1)$/i.test(value) : (value ?? false)),
  z.boolean(),
);
/** Without a zone it is UTC. */
const moment = z.preprocess((value) => {
  if (value == null || value === '') return null;
  if (typeof value !== 'string') return value;
  return new Date(/[zZ]|[+-]\d\d(:?\d\d)?$/.test(value) ? value : `${value.replace(' ', 'T')}Z`);
}, z.date().nullable());

const bounds = { max_budget: number, budget_duration: text, tpm_limit: number, rpm_limit: number };

export const LiteLlmKey = z.looseObject({
  /** The SHA-256 of the key in hex; in databases of its first versions the key itself. */
  token: z.string().min(1),
  /** Its last characters: `sk-...abcd`. */
  key_name: text,
  key_alias: text,
  team_id: text,
  budget_id: text,
  models: texts,
  metadata: record,
  model_max_budget: record,
  max_parallel_requests: number,
  spend: number,
  blocked: flag,
  expires: moment,
  ...bounds,
});
export type LiteLlmKey = z.infer<typeof LiteLlmKey>;

export const LiteLlmTeam = z.looseObject({
  team_id: z.string().min(1),
  team_alias: text,
  models: texts,
  blocked: flag,
  spend: number,
  max_parallel_requests: number,
  ...bounds,
});
export type LiteLlmTeam = z.infer<typeof LiteLlmTeam>;

export const LiteLlmBudget = z.looseObject({ budget_id: z.string().min(1), ...bounds });
export type LiteLlmBudget = z.infer<typeof LiteLlmBudget>;

export interface LiteLlmAccess {
  readonly keys: readonly LiteLlmKey[];
  readonly teams: readonly LiteLlmTeam[];
  /** What keys refer to by `budget_id`. */
  readonly budgets: readonly LiteLlmBudget[];
}

/** `LiteLLM_VerificationToken`, `LiteLLM_TeamTable` and `LiteLLM_BudgetTable`; nothing is written. @throws `DATABASE_UNAVAILABLE`, `WRONG_FORMAT` */
export async function accessInDatabase(url: string): Promise<LiteLlmAccess> {
  const { default: pg } = await import('pg');
  // LiteLLM's own variable may name a schema as Prisma does.
  const place = new URL(url);
  const schema = place.searchParams.get('schema');
  for (const name of ['schema', 'connection_limit', 'pool_timeout', 'pgbouncer']) place.searchParams.delete(name);
  const client = new pg.Client({
    connectionString: place.href,
    connectionTimeoutMillis: 10_000,
    // Prisma writes UTC into columns without a zone.
    options: '-c default_transaction_read_only=on -c timezone=UTC',
  });
  try {
    await client.connect();
    const inSchema = (table: string) =>
      schema === null ? `"${table}"` : `"${schema.replaceAll('"', '""')}"."${table}"`;
    const rowsOf = async (table: string): Promise<unknown[]> => {
      // As JSON, so that a moment without a zone stays what it is.
      const { rows } = await client.query(`select row_to_json(t) as row from ${inSchema(table)} t`);
      return rows.map(({ row }) => row);
    };
    const keys = await rowsOf('LiteLLM_VerificationToken');
    const teams = await rowsOf('LiteLLM_TeamTable');
    const budgets = await rowsOf('LiteLLM_BudgetTable').catch(() => []);
    return accessOf({ keys, teams, budgets }, 'the database');
  } catch (cause) {
    if (cause instanceof RoutingError) throw cause;
    const { code } = cause as { code?: string };
    if (code === '42P01') {
      throw new RoutingError(
        'WRONG_FORMAT',
        'there is no table "LiteLLM_VerificationToken" in that database: is it LiteLLM’s, and its schema the right one (?schema=NAME)?',
        { cause },
      );
    }
    // The message of the driver may hold the password.
    throw new RoutingError('DATABASE_UNAVAILABLE', `LiteLLM’s database cannot be read (${code ?? 'no answer'})`, {
      cause,
    });
  } finally {
    await client.end().catch(() => {});
  }
}

/** An answer of `/key/list?return_full_object=true`, a JSON export of the tables, or the key table as CSV. @throws `MISSING_FILE`, `WRONG_FORMAT`, `INVALID_ROW` */
export async function accessInFile(path: string): Promise<LiteLlmAccess> {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  if (/\.csv$/i.test(path)) {
    const keys: unknown[] = [];
    for await (const { value } of csvRows(path, createReadStream(path), ['token'])) keys.push(value);
    return accessOf({ keys }, path);
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RoutingError('WRONG_FORMAT', `${path}: is neither JSON nor named .csv`, { cause });
  }
  return accessOf(Array.isArray(json) ? { keys: json } : json, path);
}

const Tables = z.looseObject({
  keys: z.array(z.unknown()),
  teams: z.array(z.unknown()).optional(),
  budgets: z.array(z.unknown()).optional(),
});

function accessOf(tables: unknown, from: string): LiteLlmAccess {
  const { success, data } = Tables.safeParse(tables);
  if (!success) {
    throw new RoutingError('WRONG_FORMAT', `${from}: must be a list of keys, or {keys: […], teams: […], budgets: […]}`);
  }
  const all = <T>(schema: z.ZodType<T>, rows: readonly unknown[] | undefined, what: string): T[] =>
    (rows ?? []).map((row, i) => {
      const parsed = schema.safeParse(row, PLAIN);
      if (parsed.success) return parsed.data;
      // Not the value: it may be a key.
      const { path } = parsed.error.issues[0]!;
      throw new RoutingError(
        'INVALID_ROW',
        `${from}: ${what} ${i + 1}: ${path.join('.') || 'it'} is not what LiteLLM keeps there`,
      );
    });
  return {
    keys: all(LiteLlmKey, data.keys, 'key'),
    teams: all(LiteLlmTeam, data.teams, 'team'),
    budgets: all(LiteLlmBudget, data.budgets, 'budget'),
  };
}
