/** The log as learning reads it: routed decisions whose answer somebody judged, with the embedding instead of the text. */
import { and, asc, between, countDistinct, desc, eq, inArray, isNull, sql } from 'drizzle-orm';
import { type OutcomeTable, outcomeTable, type Prompt } from '../../datasets/index.ts';
import type { DecisionFacts, RankedCandidate } from '../../router/decision.ts';
import { databaseError } from '../db/connection.ts';
import type { OutcomeKind } from '../db/records.ts';
import { attempts, decisions, feedback, outcomes } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { type LeftOut, whyLeftOut } from './learnable.ts';

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

/** Newest judged answers that one retraining reads; bounds its time and memory. */
export const MAX_SAMPLES = 20_000;
const PAGE = 1_000;

/**
 * Feedback → outcomes, one per decision and model that answered. Of each source its latest word
 * counts, and sources count alike: three clicks of one user are one opinion.
 */
export async function labelOutcomes({ db }: Pick<SqlStore, 'db'>): Promise<void> {
  await db
    .execute(sql`
      insert into ${outcomes} (decision_id, model_id, quality, sources, output_tokens, cost_usd, latency_ms, first_labelled_at)
      select d.id, d.executed_model, said.quality, said.sources, a.output_tokens, a.cost_usd, a.total_ms,
             date_trunc('milliseconds', clock_timestamp())
      from (
        select decision_id, avg(score) as quality, count(*)::int as sources
        from (
          select distinct on (decision_id, source) decision_id, score
          from ${feedback}
          where score between 0 and 1
          order by decision_id, source, created_at desc, id desc
        ) latest
        group by decision_id
      ) said
      join ${decisions} d on d.id = said.decision_id and d.executed_model is not null
      left join lateral (
        select output_tokens, cost_usd, total_ms from ${attempts}
        where decision_id = d.id and model = d.executed_model
        order by ordinal desc limit 1
      ) a on true
      on conflict (decision_id, model_id) do update
        set quality = excluded.quality, sources = excluded.sources, output_tokens = excluded.output_tokens,
            cost_usd = excluded.cost_usd, latency_ms = excluded.latency_ms`)
    .catch((error) => {
      throw databaseError(error);
    });
}

/** The newest judged answers with embeddings of this encoder, oldest first. */
export async function readLog(
  { db }: Pick<SqlStore, 'db'>,
  encoderId: string,
  limit: number = MAX_SAMPLES,
): Promise<Log> {
  const samples: Sample[] = [];
  const leftOut = { notAnswered: await judgedWithoutAnswer(db), sandbox: 0, notRouted: 0, otherEncoder: 0 };
  let limited = false;
  for (let offset = 0; ; offset += PAGE) {
    const page = await db
      .select({
        id: decisions.id,
        tenant: decisions.tenant,
        session: decisions.session,
        routed: decisions.routed,
        executed: outcomes.modelId,
        // Its last call of this decision is the one that answered.
        provider: sql<string | null>`(
          select ${attempts.provider} from ${attempts}
          where ${attempts.decisionId} = ${decisions.id} and ${attempts.model} = ${outcomes.modelId}
          order by ${attempts.ordinal} desc limit 1)`,
        sampled: decisions.model,
        propensity: decisions.propensity,
        distribution: decisions.distribution,
        facts: decisions.facts,
        embedding: decisions.embedding,
        encoderId: decisions.encoderId,
        quality: outcomes.quality,
        outputTokens: outcomes.outputTokens,
        costUsd: outcomes.costUsd,
        key: decisions.key,
        tags: decisions.tags,
        createdAt: decisions.createdAt,
        explorable: decisions.explorable,
        kind: outcomes.kind,
        weight: outcomes.weight,
        auditQuality: outcomes.auditQuality,
        auditProbability: decisions.auditProbability,
        latencyMs: outcomes.latencyMs,
        firstLabelledAt: outcomes.firstLabelledAt,
      })
      .from(outcomes)
      .innerJoin(decisions, eq(decisions.id, outcomes.decisionId))
      .orderBy(desc(decisions.createdAt), asc(decisions.id))
      .limit(PAGE)
      .offset(offset)
      .catch((error) => {
        throw databaseError(error);
      });
    for (const row of page) {
      const why = whyLeftOut({ ...row, executedModel: row.executed }, encoderId);
      if (why !== null) leftOut[why]++;
      else if (samples.length >= limit) limited = true;
      else {
        const { tenant, session, facts, firstLabelledAt, id, executed, sampled, propensity, distribution } = row;
        samples.push({
          id,
          executed,
          sampled,
          propensity,
          distribution,
          quality: row.quality,
          outputTokens: row.outputTokens,
          costUsd: row.costUsd,
          embedding: row.embedding!,
          facts: facts as DecisionFacts,
          tenant,
          key: row.key,
          tags: row.tags,
          createdAt: row.createdAt.getTime(),
          explorable: row.explorable,
          kind: row.kind,
          weight: row.weight,
          auditQuality: row.auditQuality,
          auditProbability: row.auditProbability,
          latencyMs: row.latencyMs,
          group: session === null ? id : `${tenant}\n${session}`,
          firstLabelledAt: firstLabelledAt.getTime(),
        });
      }
    }
    if (page.length < PAGE || limited) break;
  }
  return { samples: samples.reverse(), leftOut, limited };
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
      .select({ id: decisions.id, ranked: decisions.ranked })
      .from(decisions)
      .where(inArray(decisions.id, ids))
      .catch((error) => {
        throw databaseError(error);
      });
    const ranked = new Map(found.map((row) => [row.id, row.ranked as RankedCandidate[]]));
    yield page.map((sample) => ({ ...sample, ranked: ranked.get(sample.id) ?? [] }));
  }
}

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
