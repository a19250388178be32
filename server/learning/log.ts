/** The log as learning reads it: routed decisions whose answer somebody judged, with the embedding instead of the text. */
import { setImmediate } from 'node:timers/promises';
import { and, asc, between, countDistinct, desc, eq, gt, inArray, isNull, lt, lte, or, sql } from 'drizzle-orm';
import { type OutcomeTable, outcomeTable, type Prompt } from '../../datasets/index.ts';
import type { DecisionFacts, RankedCandidate } from '../../router/decision.ts';
import { type CandidateLists, candidatesOf, distributionOf, listsFor, withCandidates } from '../db/candidate-lists.ts';
import { databaseError } from '../db/connection.ts';
import type { OutcomeKind } from '../db/records.ts';
import { attempts, decisions, feedback, outcomes, vectorOf } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { type Judged, type LeftOut, whyLeftOut } from './learnable.ts';

/** One judged answer. */
export interface Sample {
  readonly id: string;
  /** Session, or the decision itself: rows of one group are not independent. */
  readonly group: string;
  /** The model that answered; outcomes are its. */
  readonly executed: string;
  /** The model that was drawn; `propensity` is its. Another one where a call failed and moved on. */
  readonly sampled: string;
  readonly propensity: number;
  /** Every candidate that was eligible, with its probability. */
  readonly distribution: readonly { readonly model: string; readonly probability: number }[];
  readonly facts: DecisionFacts;
  readonly embedding: Float32Array;
  /** Feedback as one number, in [0, 1]. */
  readonly quality: number;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
  /** Whose request it was: the team, and its key. */
  readonly tenant: string;
  readonly key: string | null;
  readonly tags: readonly string[];
  /** When it was decided, milliseconds since 1970. */
  readonly createdAt: number;
  /** False where nothing was left to chance by rule: no estimate of another policy may rest on it. */
  readonly explorable: boolean;
  /** Another model than the best guess was drawn. */
  readonly explored: boolean;
  /** What the router said of the prompt, null where it said nothing. */
  readonly difficulty: number | null;
  readonly outOfDomain: number | null;
  /** `hint`: nobody judged the answer, `quality` is read off what the client did next. */
  readonly kind: OutcomeKind;
  /** How much the verdict counts, in (0, 1]. */
  readonly weight: number;
  /** The verdict of an audit, and the probability with which the answer was drawn for one; null: none. */
  readonly auditQuality: number | null;
  readonly auditProbability: number | null;
  readonly latencyMs: number | null;
  /** When a retraining first saw it, milliseconds since 1970. */
  readonly firstLabelledAt: number;
}

export interface Log {
  readonly samples: readonly Sample[];
  /** Judged answers that cannot be learned from, by reason. */
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  /** True where the log holds more than was read. */
  readonly limited: boolean;
}

/** Newest judged answers that are read where nobody says how many; and most that anybody may. */
export const MAX_SAMPLES = 50_000;
export const MOST_SAMPLES = 1_000_000;
/** Rows read at once: some milliseconds of this thread, between which requests get their turn. */
const PAGE = 250;
const INDEX_PAGE = 1_000;

/** Judged answers as they come from the database, JSON and embeddings still text, so that a thread of its own can read them. */
export interface LogPage {
  readonly rows: readonly JudgedRow[];
  /** What their candidates count by; absent where none are packed. */
  readonly lists?: CandidateLists;
}

export interface LogScan {
  /** Newest first; to be read once. */
  readonly pages: AsyncIterable<LogPage>;
  /** Complete when all pages were read. */
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  readonly limited: boolean;
}

export interface ScanOptions {
  /** Most samples. Default: {@link MAX_SAMPLES}. */
  readonly limit?: number;
  /** Read what only a hint speaks of, too, which then counts towards the limit. Default: it is not there. */
  readonly hints?: boolean;
  readonly page?: number;
}

/** The newest judged answers with embeddings of this encoder, a page at a time. @throws `DATABASE_UNAVAILABLE` */
export function scanLog(
  { db }: Pick<SqlStore, 'db'>,
  encoderId: string,
  { limit = MAX_SAMPLES, hints = false, page: size = PAGE }: ScanOptions = {},
): LogScan {
  const sieve = new Sieve(encoderId, limit);
  async function* pages(): AsyncGenerator<LogPage> {
    sieve.leftOut.notAnswered = await judgedWithoutAnswer(db);
    for await (const found of everyPage<JudgedRow>(
      (after) => judgedPage(db, { encoderId, size, hints }, after),
      size,
    )) {
      const rows = found.filter((row) => sieve.keeps(row));
      if (rows.length > 0) yield { rows, lists: await listsFor(db, rows) };
      if (sieve.limited) return;
      await setImmediate();
    }
  }
  return {
    pages: pages(),
    leftOut: sieve.leftOut,
    get limited() {
      return sieve.limited;
    },
  };
}

/** Where the newest judged answers are, oldest first, and what else there is: nothing of them is read but that. */
export interface LogIndex {
  readonly ids: readonly string[];
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  readonly limited: boolean;
}

/** What {@link scanLog} would read, without hints. @throws `DATABASE_UNAVAILABLE` */
export async function indexLog(
  { db }: Pick<SqlStore, 'db'>,
  encoderId: string,
  limit: number = MAX_SAMPLES,
): Promise<LogIndex> {
  const sieve = new Sieve(encoderId, limit);
  sieve.leftOut.notAnswered = await judgedWithoutAnswer(db);
  const ids: string[] = [];
  const page = (after?: Place) =>
    db
      .select(PLACE)
      .from(outcomes)
      .innerJoin(decisions, eq(decisions.id, outcomes.decisionId))
      .where(and(ofKinds(false), following(after)))
      .orderBy(...NEWEST_FIRST)
      .limit(INDEX_PAGE);
  for await (const found of everyPage(page, INDEX_PAGE)) {
    for (const row of found) if (sieve.keeps(row)) ids.push(row.id);
    if (sieve.limited) break;
    await setImmediate();
  }
  return { ids: ids.reverse(), leftOut: sieve.leftOut, limited: sieve.limited };
}

/** Tells what teaches from what does not, and counts the latter. */
export class Sieve {
  readonly leftOut = { notAnswered: 0, sandbox: 0, notRouted: 0, otherEncoder: 0 };
  /** There was more than the limit. */
  limited = false;
  readonly #encoderId: string;
  readonly #limit: number;
  #taken = 0;
  /** Of the embeddings kept. */
  #bytes = 0;

  constructor(encoderId: string, limit: number) {
    this.#encoderId = encoderId;
    this.#limit = limit;
  }

  keeps({ bytes, ...row }: JudgedPlace): boolean {
    const embedding = bytes === null ? null : { length: bytes };
    let why = whyLeftOut({ ...row, executedModel: row.executed, embedding }, this.#encoderId);
    if (why === null) {
      this.#bytes ||= bytes!;
      // An encoder has one dimension: what has another one is of none.
      if (bytes !== this.#bytes || bytes % 4 !== 0) why = 'otherEncoder';
    }
    if (why !== null) this.leftOut[why]++;
    else if (this.#taken >= this.#limit) this.limited = true;
    else this.#taken++;
    return why === null && !this.limited;
  }
}

async function* everyPage<T extends Place>(read: (after?: T) => PromiseLike<T[]>, size: number): AsyncGenerator<T[]> {
  let after: T | undefined;
  do {
    let page: T[];
    try {
      page = await read(after);
    } catch (error) {
      throw databaseError(error);
    }
    yield page;
    after = page.length < size ? undefined : page.at(-1);
  } while (after !== undefined);
}

export type JudgedRow = Awaited<ReturnType<typeof judgedPage>>[number];
type JudgedPlace = Place & Pick<Judged, 'routed' | 'provider' | 'encoderId'> & { readonly bytes: number | null };

/** Rows that follow this one, newest first. */
const judgedPage = (
  db: SqlStore['db'],
  { encoderId, size, hints }: { readonly encoderId: string; readonly size: number; readonly hints: boolean },
  after?: Place,
) =>
  db
    .select({ ...PLACE, ...contentOf(encoderId) })
    .from(outcomes)
    .innerJoin(decisions, eq(decisions.id, outcomes.decisionId))
    .where(and(ofKinds(hints), following(after)))
    .orderBy(...NEWEST_FIRST)
    .limit(size);

interface Place {
  readonly createdAt: Date;
  readonly id: string;
  readonly executed: string;
}

const ofKinds = (hints: boolean) => (hints ? undefined : eq(outcomes.kind, 'verdict'));

const NEWEST_FIRST = [desc(decisions.createdAt), asc(decisions.id), asc(outcomes.modelId)] as const;

const following = (after: Place | undefined) =>
  after &&
  and(
    lte(decisions.createdAt, after.createdAt),
    or(
      lt(decisions.createdAt, after.createdAt),
      gt(decisions.id, after.id),
      and(eq(decisions.id, after.id), gt(outcomes.modelId, after.executed)),
    ),
  );

/** What tells a row's place, and whether it teaches. */
const PLACE = {
  id: decisions.id,
  executed: outcomes.modelId,
  createdAt: decisions.createdAt,
  routed: decisions.routed,
  // Its last call of this decision is the one that answered.
  provider: sql<string | null>`(
    select ${attempts.provider} from ${attempts}
    where ${attempts.decisionId} = ${decisions.id} and ${attempts.model} = ${outcomes.modelId}
    order by ${attempts.ordinal} desc limit 1)`,
  encoderId: decisions.encoderId,
  bytes: sql<number | null>`octet_length(${decisions.embedding})`,
};

const contentOf = (encoderId: string) => ({
  tenant: decisions.tenant,
  session: decisions.session,
  sampled: decisions.model,
  propensity: decisions.propensity,
  distribution: sql<string>`${decisions.distribution}::text`,
  candidates: sql<string | null>`replace(encode(${decisions.candidates}, 'base64'), chr(10), '')`,
  candidateList: decisions.candidateList,
  facts: sql<string>`${decisions.facts}::text`,
  // As base64: what drivers make of bytes costs this thread more than all else of the row. None of another encoder.
  embedding: sql<string>`case when ${decisions.encoderId} = ${encoderId}
    then replace(encode(${decisions.embedding}, 'base64'), chr(10), '') else '' end`,
  quality: outcomes.quality,
  outputTokens: outcomes.outputTokens,
  costUsd: outcomes.costUsd,
  key: decisions.key,
  tags: sql<string>`${decisions.tags}::text`,
  difficulty: decisions.difficulty,
  outOfDomain: decisions.outOfDomain,
  explorable: decisions.explorable,
  explored: decisions.explored,
  kind: outcomes.kind,
  weight: outcomes.weight,
  auditQuality: outcomes.auditQuality,
  auditProbability: decisions.auditProbability,
  latencyMs: outcomes.latencyMs,
  firstLabelledAt: outcomes.firstLabelledAt,
});

/** A page's judged answers; embeddings are views of one array. */
export function samplesOf({ rows, lists = new Map() }: LogPage): Sample[] {
  const d = rows[0]!.bytes! / 4;
  const embeddings = new Float32Array(rows.length * d);
  return rows.map((row, i) => {
    const { facts, tags, ...rest } = flatOf(row);
    const embedding = embeddings.subarray(i * d, i * d + d);
    embedding.set(vectorOf(Buffer.from(row.embedding, 'base64')));
    return {
      ...rest,
      distribution: distributionOf(columnsOf(row), lists).distribution,
      facts: JSON.parse(facts) as DecisionFacts,
      tags: JSON.parse(tags) as string[],
      embedding,
      createdAt: row.createdAt.getTime(),
      firstLabelledAt: row.firstLabelledAt.getTime(),
      group: groupOf(row),
    };
  });
}

/** Of a row, what a sample has as it is. */
function flatOf(row: JudgedRow) {
  const { session: _s, routed: _r, provider: _p, encoderId: _e, bytes: _b, ...rest } = row;
  const { distribution: _d, candidates: _c, candidateList: _l, ...flat } = rest;
  return flat;
}

const columnsOf = ({ distribution, candidates, candidateList }: JudgedRow) => ({
  distribution: JSON.parse(distribution) as unknown,
  candidates: candidates === null ? null : Buffer.from(candidates, 'base64'),
  candidateList,
});

/** The newest judged answers with embeddings of this encoder, oldest first; hints are none. @throws `DATABASE_UNAVAILABLE` */
export async function readLog(
  store: Pick<SqlStore, 'db'>,
  encoderId: string,
  limit: number = MAX_SAMPLES,
): Promise<Log> {
  const scan = scanLog(store, encoderId, { limit });
  const samples: Sample[] = [];
  for await (const page of scan.pages) samples.push(...samplesOf(page));
  return { samples: samples.reverse(), leftOut: scan.leftOut, limited: scan.limited };
}

/** Decisions that were judged though nobody had answered: they have no outcome. */
async function judgedWithoutAnswer(db: SqlStore['db']): Promise<number> {
  const rows = await db
    .select({ n: countDistinct(feedback.decisionId) })
    .from(feedback)
    .innerJoin(decisions, eq(decisions.id, feedback.decisionId))
    .where(and(isNull(decisions.executedModel), between(feedback.score, 0, 1)))
    .catch((error) => {
      throw databaseError(error);
    });
  return rows[0]!.n;
}

/** A judged answer with what was forecast when deciding, of every candidate. */
export interface RankedSample extends Sample {
  readonly ranked: readonly RankedCandidate[];
}

/** The samples with their forecasts, in their order, a page of the database at a time. @throws `DATABASE_UNAVAILABLE` */
export async function* rankedPages(
  { db }: Pick<SqlStore, 'db'>,
  samples: readonly Sample[],
): AsyncGenerator<RankedSample[]> {
  for (let from = 0; from < samples.length; from += PAGE) {
    const page = samples.slice(from, from + PAGE);
    const ids = page.map(({ id }) => id);
    const found = await db
      .select({
        id: decisions.id,
        ranked: decisions.ranked,
        distribution: sql<null>`null`,
        candidates: decisions.candidates,
        candidateList: decisions.candidateList,
      })
      .from(decisions)
      .where(inArray(decisions.id, ids))
      .catch((error) => {
        throw databaseError(error);
      });
    const ranked = new Map((await withCandidates(db, found)).map((row) => [row.id, row.ranked]));
    yield page.map((sample) => ({ ...sample, ranked: ranked.get(sample.id) ?? [] }));
  }
}

/**
 * The same as lines of JSON, as {@link RankedSample} has it but for the embedding, which is base64 of little-endian
 * float32. What is JSON in the database goes into the line as it is.
 * @param ids of one page
 */
export async function rankedLines(
  { db }: Pick<SqlStore, 'db'>,
  encoderId: string,
  ids: readonly string[],
): Promise<string[]> {
  const found = await db
    .select({ ...PLACE, ...contentOf(encoderId), ranked: sql<string>`${decisions.ranked}::text` })
    .from(outcomes)
    .innerJoin(decisions, eq(decisions.id, outcomes.decisionId))
    .where(and(ofKinds(false), inArray(decisions.id, [...ids])))
    .catch((error) => {
      throw databaseError(error);
    });
  const lists = await listsFor(db, found);
  const lines = new Map(found.map((row) => [row.id, lineOf(row, lists)]));
  return ids.flatMap((id) => lines.get(id) ?? []);
}

function lineOf(row: JudgedRow & { readonly ranked: string }, lists: CandidateLists): string {
  const { facts, tags, ranked: _, ...flat } = flatOf(row) as ReturnType<typeof flatOf> & { readonly ranked: string };
  let { distribution, ranked } = row;
  if (row.candidates !== null) {
    const all = candidatesOf({ ...columnsOf(row), ranked: JSON.parse(ranked) }, lists);
    [distribution, ranked] = [JSON.stringify(all.distribution), JSON.stringify(all.ranked)];
  }
  const plain = JSON.stringify({
    ...flat,
    createdAt: row.createdAt.getTime(),
    firstLabelledAt: row.firstLabelledAt.getTime(),
    group: groupOf(row),
  });
  return `${plain.slice(0, -1)},"distribution":${distribution},"facts":${facts},"tags":${tags},"ranked":${ranked}}`;
}

const groupOf = ({ session, tenant, id }: Pick<JudgedRow, 'session' | 'tenant' | 'id'>): string =>
  session === null ? id : `${tenant}\n${session}`;

/** Judged answers as a table: one row per decision, one column per model that answered, one cell filled in each row. */
export function logTable(samples: readonly Sample[]): OutcomeTable {
  return outcomeTable({
    name: 'log',
    prompts: samples.map(
      ({ id, group, facts, embedding }): Prompt => ({
        id,
        source: 'log',
        benchmark: 'log',
        text: '',
        groupId: group,
        embedding,
        chars: facts.chars,
      }),
    ),
    outcomes: samples.map(({ id, executed, quality, outputTokens, costUsd }) => ({
      promptId: id,
      modelId: executed,
      quality,
      ...(outputTokens !== null && { outputTokens }),
      ...(costUsd !== null && { costUsd }),
    })),
    models: {},
  });
}

/** n × d, row-major. */
export function embeddingsOf(samples: readonly Sample[]): Float32Array {
  const d = samples[0]?.embedding.length ?? 0;
  const z = new Float32Array(samples.length * d);
  samples.forEach(({ embedding }, i) => {
    z.set(embedding, i * d);
  });
  return z;
}
