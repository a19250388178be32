/** What the database holds of a trial: its judged conversations, or what was decided in the shadow. */
import { createHash } from 'node:crypto';
import { and, count, gte, max, sql } from 'drizzle-orm';
import { asked } from '../../db/connection.ts';
import type { Arm } from '../../db/records.ts';
import { attempts, decisions, feedback, outcomes } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import { labelOutcomes } from '../../feedback/outcomes.ts';
import type { RunningTrial } from '../promotions.ts';
import type { ShadowNumbers, Unit } from './monitor.ts';

type Db = Pick<SqlStore, 'db'>;

/** Clocks of replicas differ by less. */
const CLOCKS_MS = 10 * 60_000;

const sinceOf = ({ createdAt }: RunningTrial): Date => new Date(createdAt.getTime() - CLOCKS_MS);

/**
 * Conversations of a trial in the order in which they were first judged, which later verdicts do not change. A
 * conversation's quality is the mean of its answers, by the weight of the verdicts on them. Hints do not count; an answer
 * that no model gave, for no fault of the client's, is one of quality 0 that needs no verdict. Where the heaviest verdict
 * weighs w, the conversation counts with probability w, by a draw from its id: what is left is as it was, only less.
 *
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function trialUnits({ db }: Db, trial: RunningTrial): Promise<Unit[]> {
  const rows = await asked(
    db.execute(sql`
      select arm, max(arm_probability) as probability, sum(quality * weight) / sum(weight) as quality,
             min(tenant) as team, max(weight) as weight, unit
      from (
        select d.arm, d.arm_probability, d.tenant, coalesce(d.facts->>'trialUnit', d.id) as unit,
               coalesce(o.quality, 0) as quality, coalesce(o.weight, 1) as weight,
               coalesce(o.first_labelled_at, d.created_at) as at
        from ${decisions} d
        left join ${outcomes} o
          on o.decision_id = d.id and o.model_id = d.executed_model and o.kind = 'verdict' and o.weight > 0
        where d.created_at >= ${sinceOf(trial).toISOString()}::timestamptz and d.trial = ${trial.ordinal}
          and d.arm in ('candidate', 'incumbent') and d.arm_probability > 0 and d.arm_probability <= 1
          and (o.quality between 0 and 1 or (
            d.executed_model is null
            and exists (select from ${attempts} a where a.decision_id = d.id and a.status = 'error')
            and not exists (select from ${attempts} a where a.decision_id = d.id and a.status = 'cancelled')))
      ) judged
      group by unit, arm
      order by min(at), unit`),
  );
  const heard = (rows as Record<string, unknown>[]).filter(({ unit, weight }) => drawOf(String(unit)) < Number(weight));
  return heard.map(({ arm, probability, quality, team }) => ({
    arm: arm as Arm,
    armProbability: Number(probability),
    // A mean of numbers in [0, 1], up to the rounding of its sums.
    quality: Math.min(1, Math.max(0, Number(quality))),
    team: String(team),
  }));
}

/** In [0, 1), by the unit alone: the same at every look, and on either side of the trial. */
const drawOf = (unit: string): number =>
  createHash('sha256').update(`heard\n${unit}`).digest().readUIntBE(0, 6) / 2 ** 48;

/** @throws `DATABASE_UNAVAILABLE` */
export async function shadowNumbers({ db }: Db, trial: RunningTrial): Promise<ShadowNumbers> {
  const [row] = (await asked(
    db.execute(sql`
      select count(*) as decisions, count(*) filter (where not decided) as missing,
             percentile_cont(0.99) within group (order by (shadow->>'routerMs')::float8) filter (where decided) as p99,
             percentile_cont(0.99) within group (order by router_ms) filter (where decided) as p99_in_force,
             avg(case when shadow->>'model' <> model then 1.0 else 0.0 end) filter (where decided) as changed
      from (
        select shadow, model, router_ms, coalesce(jsonb_typeof(shadow) = 'object', false) as decided
        from ${decisions}
        where created_at >= ${sinceOf(trial).toISOString()}::timestamptz and trial = ${trial.ordinal}
      ) made`),
  )) as Record<string, unknown>[];
  const numberOf = (value: unknown) => (value === null || value === undefined ? null : Number(value));
  return {
    decisions: Number(row?.decisions ?? 0),
    missing: Number(row?.missing ?? 0),
    p99Ms: numberOf(row?.p99),
    p99InForceMs: numberOf(row?.p99_in_force),
    changed: numberOf(row?.changed),
  };
}

/** Brings feedback to outcomes while a trial runs, where there is any that it has not seen. */
export class Labelling {
  #trial = 0;
  #seen = '';
  #newest: Date | null = null;

  /** @throws `DATABASE_UNAVAILABLE` */
  async bringUp({ db }: Db, trial: RunningTrial): Promise<void> {
    if (this.#trial !== trial.ordinal) [this.#trial, this.#seen, this.#newest] = [trial.ordinal, '', null];
    const [said] = await asked(
      db
        .select({ n: count(), newest: max(feedback.createdAt) })
        .from(feedback)
        .where(and(gte(feedback.createdAt, sinceOf(trial)))),
    );
    const { n = 0, newest = null } = said ?? {};
    const seen = `${n} ${newest?.getTime()}`;
    if (n === 0 || newest === null || seen === this.#seen) return;
    // What waited on a disk arrives late: from the beginning, where it is not the newest that is new.
    const isNewest = this.#newest !== null && newest > this.#newest;
    await labelOutcomes({ db }, { since: isNewest ? new Date(this.#newest!.getTime() - CLOCKS_MS) : sinceOf(trial) });
    [this.#seen, this.#newest] = [seen, newest];
  }
}
