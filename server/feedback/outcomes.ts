/**
 * Feedback → outcomes: what everybody said of one answer, as one number. The rule (README.md):
 *
 * 1. Of each source of a voter its latest word counts. A voter is the key that judged; a verifier, an audit or a hint
 *    is one of its own, by its source.
 * 2. A voter's sources count alike: its vote is their mean, its weight the greatest of theirs. So nobody gains weight
 *    by speaking under many names.
 * 3. quality = Σ wᵥ voteᵥ / Σ wᵥ over verdicts and audits; votes of weight 0 are kept and count nothing.
 *    weight = max wᵥ: two weak voices that agree are no strong one.
 * 4. Only where there is no such vote: the mean of the hints, with the weight of the greatest.
 * 5. audit_quality = the mean of the audits alone, of whatever weight: chance chose them, so estimates may rest on it.
 *    Where a weightless audit is all there is, it is the quality, too, with weight 0.
 *
 * The outcome is of the model that answered, which after a fallback is not the one that was drawn.
 */
import { sql } from 'drizzle-orm';
import { databaseError } from '../db/connection.ts';
import { attempts, decisions, feedback, outcomes } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';

export interface LabelOptions {
  /**
   * Looks only at decisions that something was said of since then, by the clock of whoever wrote it. What waited on
   * disk while the database was away may be older: once in a while do without. Default: all.
   */
  readonly since?: Date;
  /** Looks at these decisions alone. */
  readonly decisions?: readonly string[];
}

/** Brings outcomes up to what was said; rows that change nothing are not written. @throws `DATABASE_UNAVAILABLE` */
export async function labelOutcomes(
  { db }: Pick<SqlStore, 'db'>,
  { since, decisions: ids }: LabelOptions = {},
): Promise<void> {
  // An array: without statistics, which the embedded database never gathers, a join would read all of the log.
  const recent =
    ids !== undefined
      ? sql`f.decision_id = any(array(select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb)))`
      : since === undefined
        ? sql`true`
        : sql`f.decision_id = any(array(
          select distinct decision_id from ${feedback} where created_at >= ${since.toISOString()}::timestamptz))`;
  await db
    .execute(sql`
      with latest as (
        select distinct on (f.decision_id, f.kind, f.tenant, f.key, f.source)
          f.decision_id, d.executed_model as model_id, f.kind, f.score, f.weight,
          case when f.kind = 'verdict' and f.tenant is not null and f.source not like 'verifier:%'
               then 'key:' || coalesce(f.key, '') else 'source:' || f.source end as voter
        from ${feedback} f
        -- What was taken unchecked may be of anybody.
        join ${decisions} d on d.id = f.decision_id and (f.tenant is null or f.tenant = d.tenant)
        where f.score between 0 and 1 and d.executed_model is not null and ${recent}
        order by f.decision_id, f.kind, f.tenant, f.key, f.source, f.created_at desc, f.id desc
      ),
      votes as (
        select decision_id, model_id, kind, avg(score) as score, max(weight) as weight, count(*) as sources
        from latest
        where weight > 0 or kind = 'audit'
        group by decision_id, model_id, kind, voter
      ),
      sums as (
        select decision_id, model_id,
          avg(score) filter (where kind <> 'hint' and weight > 0) as plain,
          sum(score * weight) filter (where kind <> 'hint' and weight > 0) as weighted,
          sum(weight) filter (where kind <> 'hint' and weight > 0) as total,
          max(weight) filter (where kind <> 'hint' and weight > 0) as greatest,
          min(weight) filter (where kind <> 'hint' and weight > 0) as least,
          sum(sources) filter (where kind <> 'hint' and weight > 0) as sources,
          avg(score) filter (where kind = 'hint') as hint,
          max(weight) filter (where kind = 'hint') as hint_weight,
          sum(sources) filter (where kind = 'hint') as hints,
          avg(score) filter (where kind = 'audit') as audit,
          sum(sources) filter (where kind = 'audit') as audits
        from votes
        group by decision_id, model_id
      ),
      said as (
        select decision_id, model_id,
          -- Equal weights cancel, without a rounding error.
          coalesce(case when greatest = least then plain else weighted / total end, hint, audit) as quality,
          coalesce(sources, hints, audits)::int as sources,
          case when greatest is null and hint is not null then 'hint' else 'verdict' end as kind,
          coalesce(greatest, hint_weight, 0) as weight,
          audit as audit_quality
        from sums
      )
      insert into ${outcomes} as o (decision_id, model_id, quality, sources, kind, weight, audit_quality, output_tokens,
                                    cost_usd, latency_ms, first_labelled_at)
      select s.*, a.output_tokens, a.cost_usd, a.total_ms, date_trunc('milliseconds', clock_timestamp())
      from said s
      left join ${outcomes} known on known.decision_id = s.decision_id and known.model_id = s.model_id
      left join lateral (
        select output_tokens, cost_usd, total_ms from ${attempts}
        -- A call does not change once it is on record.
        where decision_id = s.decision_id and model = s.model_id and purpose not in ('check', 'audit')
          and known.latency_ms is null
        order by ordinal desc limit 1
      ) a on true
      -- Left out here, not in the update: a row that conflicts is locked, which costs as much as writing it.
      where known.decision_id is null or a.total_ms is not null
        or (known.quality, known.sources, known.kind, known.weight, known.audit_quality)
          is distinct from (s.quality, s.sources, s.kind, s.weight, s.audit_quality)
      on conflict (decision_id, model_id) do update
        set quality = excluded.quality, sources = excluded.sources, kind = excluded.kind, weight = excluded.weight,
            audit_quality = excluded.audit_quality,
            output_tokens = coalesce(excluded.output_tokens, o.output_tokens),
            cost_usd = coalesce(excluded.cost_usd, o.cost_usd),
            latency_ms = coalesce(excluded.latency_ms, o.latency_ms)`)
    .catch((error) => {
      throw databaseError(error);
    });
}
