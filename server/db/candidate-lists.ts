/**
 * Names of candidates in a table, once per content: decisions say which list and count by its places (candidates.ts).
 * Written before the first decision that uses it, and with every part of the spool that has such a decision.
 */
import { createHash } from 'node:crypto';
import { inArray, lt, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { RoutingError } from '../../datasets/errors.ts';
import type { RankedCandidate } from '../../router/decision.ts';
import {
  type CandidateList,
  type CandidatePlaces,
  MOST_CANDIDATES,
  type Odds,
  unpackCandidates,
  unpackDistribution,
} from './candidates.ts';
import { asked } from './connection.ts';
import { candidateLists, decisions, storableText } from './schema.ts';

type Db = PgRemoteDatabase;
type Entry = string | readonly [string, string];

/** Beyond it the list begins anew: nobody has so many candidates at once. */
const MOST_NAMES = 4096;

/**
 * All candidates that this process has seen, in the order of their names: requests that rule out some of them share
 * one list, and so do replicas with the same candidates.
 */
export class Roster implements CandidatePlaces {
  #list: CandidateList = listOf([]);
  /** Place by name, of those that are like themselves or the only one of the name. */
  #places = new Map<string, number>();
  /** Place by name and likeness, of the others. */
  #otherPlaces = new Map<string, number>();
  #scratch = new Uint16Array(256);

  placesOf(ranked: readonly RankedCandidate[]): { list: CandidateList; places: Uint16Array } | null {
    if (this.#find(ranked)) return { list: this.#list, places: this.#scratch };
    return this.#add(ranked) && this.#find(ranked) ? { list: this.#list, places: this.#scratch } : null;
  }

  #find(ranked: readonly RankedCandidate[]): boolean {
    if (this.#scratch.length < ranked.length) this.#scratch = new Uint16Array(2 * ranked.length);
    const { likes } = this.#list;
    for (let i = 0; i < ranked.length; i++) {
      const { model, like } = ranked[i]!;
      let place = this.#places.get(model);
      if (place !== undefined && likes[place] !== like) place = this.#otherPlaces.get(pairKey(model, like));
      if (place === undefined) return false;
      this.#scratch[i] = place;
    }
    return true;
  }

  #add(ranked: readonly RankedCandidate[]): boolean {
    // What the database would change of a name would change the name.
    if (ranked.some(({ model, like }) => storableText(model) !== model || storableText(like) !== like)) return false;
    const { models, likes } = this.#list;
    const pairs = new Map(models.map((model, i) => [pairKey(model, likes[i]!), [model, likes[i]!] as const]));
    const own = new Map(ranked.map(({ model, like }) => [pairKey(model, like), [model, like] as const]));
    for (const [key, pair] of own) pairs.set(key, pair);
    const chosen = pairs.size > MOST_NAMES ? own : pairs;
    if (chosen.size > MOST_CANDIDATES) return false;
    const sorted = [...chosen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pair]) => pair);
    this.#list = listOf(sorted);
    this.#places = new Map();
    this.#otherPlaces = new Map();
    sorted.forEach(([model, like], i) => {
      if (this.#places.has(model)) this.#otherPlaces.set(pairKey(model, like), i);
      else this.#places.set(model, i);
    });
    return true;
  }
}

const pairKey = (model: string, like: string): string => `${model}\n${like}`;

function listOf(pairs: readonly (readonly [string, string])[]): CandidateList {
  const hash = createHash('sha256').update(JSON.stringify(pairs)).digest('base64url').slice(0, 22);
  return { hash, models: pairs.map(([model]) => model), likes: pairs.map(([, like]) => like) };
}

const texts = new WeakMap<CandidateList, string>();

/** The row of the table, but for its moment, as JSON by column name. */
export function listToJson(list: CandidateList): string {
  const made = texts.get(list);
  if (made !== undefined) return made;
  const { hash, models, likes } = list;
  const entries = models.map((model, i): Entry => (model === likes[i] ? model : [model, likes[i]!]));
  const text = JSON.stringify({ hash, models: entries });
  texts.set(list, text);
  return text;
}

/** Writes lists, or that they are used. @param rows of {@link listToJson} @throws `DATABASE_UNAVAILABLE` */
export async function putLists(db: Db, rows: readonly string[]): Promise<void> {
  if (rows.length === 0) return;
  // By the later of the two clocks: decisions have their moment from here, and lists outlast the decisions.
  await db.execute(sql`
    insert into candidate_lists (hash, models, used_at)
    select distinct on (hash) hash, models, greatest(now(), ${new Date().toISOString()}::timestamptz)
    from jsonb_to_recordset(${`[${rows.join(',')}]`}::jsonb) as list(hash text, models jsonb)
    on conflict (hash) do update set used_at = greatest(candidate_lists.used_at, excluded.used_at)`);
}

/** A list in use is written anew so often, that `used_at` is never far behind. */
export const TOUCH_MS = 3_600_000;

/** Longer than {@link TOUCH_MS} and whatever clocks are apart. */
const SLACK = sql.raw(`interval '1 day'`);

/**
 * Removes lists that no decision can use: last used a day or more before the oldest decision there is, or before now where
 * there is none. One decision that is kept for long keeps the lists since then, of 2 kB each.
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function dropUnusedLists(db: Db): Promise<number> {
  const oldest = sql`least(now(), (select ${decisions.createdAt} from ${decisions} order by ${decisions.createdAt} limit 1))`;
  const gone = await asked(
    db
      .delete(candidateLists)
      .where(lt(candidateLists.usedAt, sql`${oldest} - ${SLACK}`))
      .returning({ hash: candidateLists.hash }),
  );
  return gone.length;
}

/** Lists by hash. */
export type CandidateLists = ReadonlyMap<string, CandidateList>;

/** Content never changes under its hash, so what was read once is known for good. */
const known = new Map<string, CandidateList>();
const MOST_KNOWN = 1000;

/** The lists that these rows count by; those that are nowhere are missing. @throws `DATABASE_UNAVAILABLE` */
export async function listsFor(
  db: Db,
  rows: readonly { readonly candidateList: string | null }[],
): Promise<CandidateLists> {
  const found = new Map<string, CandidateList>();
  const missing = new Set<string>();
  for (const { candidateList } of rows) {
    if (candidateList === null || found.has(candidateList)) continue;
    const list = known.get(candidateList);
    if (list === undefined) missing.add(candidateList);
    else found.set(candidateList, list);
  }
  if (missing.size === 0) return found;
  const read = await asked(
    db
      .select({ hash: candidateLists.hash, models: candidateLists.models })
      .from(candidateLists)
      .where(inArray(candidateLists.hash, [...missing])),
  );
  for (const { hash, models } of read) {
    const pairs = models.map((entry) => (typeof entry === 'string' ? ([entry, entry] as const) : entry));
    const list = { hash, models: pairs.map(([model]) => model), likes: pairs.map(([, like]) => like) };
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(hash, list);
    found.set(hash, list);
  }
  return found;
}

/** What the columns of a decision hold of its candidates. */
export interface CandidateColumns {
  readonly ranked: unknown;
  readonly distribution: unknown;
  readonly candidates: Uint8Array | null;
  readonly candidateList: string | null;
}

export interface Candidates {
  readonly ranked: RankedCandidate[];
  readonly distribution: Odds[];
  /** Why not all is told; then `ranked` is what was forecast of the model that answered, at most. */
  readonly damage?: string;
}

/** Of a row of this build or an earlier one. What cannot be read is said, and the rest is given. */
export function candidatesOf(row: CandidateColumns, lists: CandidateLists): Candidates {
  const plain = { ranked: listOr(row.ranked), distribution: listOr(row.distribution) } as Candidates;
  if (row.candidates === null) return plain;
  try {
    const { ranked, distribution } = unpackCandidates(row.candidates, listFor(row, lists));
    return { ranked, distribution: distribution ?? plain.distribution };
  } catch (error) {
    return { ...plain, damage: damageOf(error) };
  }
}

/** {@link candidatesOf} for the probabilities alone. Without them no estimate can rest on the row. */
export function distributionOf(
  row: Omit<CandidateColumns, 'ranked'>,
  lists: CandidateLists,
): Pick<Candidates, 'distribution' | 'damage'> {
  const distribution = listOr(row.distribution) as Odds[];
  if (row.candidates === null) return { distribution };
  try {
    return { distribution: unpackDistribution(row.candidates, listFor(row, lists)) ?? distribution };
  } catch (error) {
    return { distribution, damage: damageOf(error) };
  }
}

function listFor({ candidateList }: { readonly candidateList: string | null }, lists: CandidateLists): CandidateList {
  const list = lists.get(candidateList ?? '');
  if (list !== undefined) return list;
  throw new RoutingError('RECORD_DAMAGED', `the candidates of a decision: list ${candidateList} is not on record`);
}

const listOr = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function damageOf(error: unknown): string {
  if (error instanceof RoutingError && error.code === 'RECORD_DAMAGED') return `${error.code}: ${error.message}`;
  throw error;
}

/** Rows with their candidates in the place of the columns that hold them. @throws `DATABASE_UNAVAILABLE` */
export async function withCandidates<T extends CandidateColumns>(
  db: Db,
  rows: readonly T[],
): Promise<(Omit<T, keyof CandidateColumns> & Candidates)[]> {
  const lists = await listsFor(db, rows);
  return rows.map((row) => {
    const { candidates: _, candidateList: _list, ...rest } = row;
    // Fields that are there already stay where they are.
    return { ...(rest as Omit<T, keyof CandidateColumns>), ...candidatesOf(row, lists) };
  });
}

/** What was forecast of the model that answered, in SQL: `ranked` has it in either form. @param d the table or its alias */
export const forecastOfAnswer = (field: 'quality' | 'costUsd', d: string): string =>
  `case when jsonb_typeof(${d}.ranked) = 'array' then (
    select (r->>'${field}')::double precision from jsonb_array_elements(${d}.ranked) r
    where r->>'model' = ${d}.executed_model limit 1) end`;
