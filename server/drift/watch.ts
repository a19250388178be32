/** Reads what came in, tells what changed, and takes it into account: every replica does, and each alarm is raised once. */
import { and, asc, desc, eq, gte, inArray, isNotNull, sql } from 'drizzle-orm';
import type { GatewayConfig } from '../config/index.ts';
import { forecastOfAnswer } from '../db/candidate-lists.ts';
import { attempts, decisions, feedback } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import type { Egress } from '../egress/index.ts';
import type { Gateway } from '../gateway.ts';
import { adjustmentsOf, alarmText, listAlarms, raiseAlarm } from './alarms.ts';
import { DriftMonitor, type FoundAlarm } from './monitor.ts';

export interface DriftWatchOptions {
  readonly intervalMs?: number;
  /** Told of each alarm that this process raised. */
  readonly onAlarm: (alarm: FoundAlarm & { readonly ordinal: number; readonly text: string }) => void;
  /** Told when looking fails; it goes on looking. */
  readonly onProblem: (error: { readonly code?: string; readonly message: string }) => void;
}

const INTERVAL_MS = 10_000;
/** Rows of one look: a busy gateway is sampled. */
const VERDICTS = 2_000;
const CALLS = 500;
const PROMPTS = 200;
/** What is read when watching begins: the verdicts that the artifact in force has had so far. */
const HISTORY = 5_000;
/** Rows may be written somewhat later than they are dated: each look goes back so far. */
const OVERLAP_MS = 60_000;
/** Ids remembered, so that no row counts twice. */
const REMEMBERED = 20_000;

export class DriftWatch {
  readonly #gateway: Gateway;
  readonly #store: SqlStore;
  readonly #options: DriftWatchOptions;
  readonly #seen = new Set<string>();
  #monitor = new DriftMonitor();
  #artifact = '';
  #since = new Date(0);
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #looking: Promise<void> | undefined;

  constructor(gateway: Gateway, store: SqlStore, options: DriftWatchOptions) {
    this.#gateway = gateway;
    this.#store = store;
    this.#options = options;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      void this.look().finally(() => {
        if (!this.#stopped) this.start();
      });
    }, this.#options.intervalMs ?? INTERVAL_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Looks once; never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error) => {
        if (!this.#stopped) this.#options.onProblem(error);
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { current } = this.#gateway.holder;
    const now = new Date();
    const enabled = this.#gateway.config.drift.enabled;
    if (current.artifactHash !== this.#artifact) {
      // Forecasts of another artifact are to be seen right or wrong for themselves.
      this.#artifact = current.artifactHash;
      this.#monitor = new DriftMonitor();
      this.#seen.clear();
      this.#since = new Date(0);
    }
    if (enabled) {
      await this.#read(this.#since);
      for (const found of this.#monitor.found()) {
        const ordinal = await raiseAlarm(this.#store, this.#artifact, found);
        if (ordinal !== null) this.#options.onAlarm({ ...found, ordinal, text: alarmText(found) });
      }
      this.#since = new Date(now.getTime() - OVERLAP_MS);
    }
    const open = enabled ? await listAlarms(this.#store, { open: true, limit: 1000 }) : [];
    const ids = current.candidates.map(({ id }) => id);
    this.#gateway.adjustments = adjustmentsOf(open, current.artifactHash, ids);
    this.#gateway.openAlarms = open;
  }

  async #read(since: Date): Promise<void> {
    const { db } = this.#store;
    const artifact = this.#artifact;
    const forecast = (field: 'quality' | 'costUsd') =>
      sql<number | null>`${sql.raw(forecastOfAnswer(field, 'decisions'))}`;
    const verdicts = await db
      .select({
        id: decisions.id,
        model: decisions.executedModel,
        predicted: forecast('quality'),
        observed: feedback.score,
        team: feedback.tenant,
        weight: feedback.weight,
        at: decisions.createdAt,
      })
      .from(feedback)
      .innerJoin(decisions, eq(decisions.id, feedback.decisionId))
      .where(
        and(
          gte(feedback.createdAt, since),
          inArray(feedback.kind, ['verdict', 'audit']),
          sql`${feedback.weight} > 0`,
          eq(decisions.artifact, artifact),
          isNotNull(decisions.executedModel),
        ),
      )
      .orderBy(desc(feedback.createdAt))
      .limit(since.getTime() === 0 ? HISTORY : VERDICTS);
    const taken = new Map(
      (await listAlarms(this.#store, { limit: 1000 }))
        .filter((alarm) => alarm.artifact === artifact && alarm.subject !== null)
        .map((alarm) => [alarm.subject!, alarm]),
    );
    for (const { id, model, predicted, observed, at, team, weight } of verdicts.reverse()) {
      // The first verdict of a decision counts: many on one are no more evidence.
      if (predicted === null || !this.#isNew(id)) continue;
      const alarm = taken.get(model!);
      // What an alarm has taken off since is no part of what the artifact forecast.
      const isTakenDown =
        alarm !== undefined && at >= alarm.raisedAt && (alarm.clearedAt === null || at < alarm.clearedAt);
      const raw = isTakenDown ? predicted - alarm.shift : predicted;
      this.#monitor.judged({
        model: model!,
        predicted: Math.min(1, Math.max(0, raw)),
        observed,
        at: at.getTime(),
        team,
        weight,
      });
    }
    const calls = await db
      .select({
        id: attempts.id,
        model: attempts.model,
        deployment: attempts.deployment,
        costUsd: attempts.costUsd,
        predictedCostUsd: forecast('costUsd'),
        firstByteMs: attempts.firstByteMs,
        at: attempts.startedAt,
      })
      .from(attempts)
      .innerJoin(decisions, eq(decisions.id, attempts.decisionId))
      .where(
        and(
          gte(attempts.startedAt, since),
          eq(attempts.status, 'ok'),
          inArray(attempts.purpose, ['answer', 'escalation']),
          eq(attempts.model, decisions.executedModel),
        ),
      )
      .orderBy(desc(attempts.startedAt))
      .limit(CALLS);
    for (const { id, at, ...call } of calls.reverse()) {
      if (this.#isNew(`call ${id}`)) this.#monitor.called({ ...call, at: at.getTime() });
    }
    const prompts = await db
      .select({ id: decisions.id, session: decisions.session, embedding: decisions.embedding, at: decisions.createdAt })
      .from(decisions)
      .where(and(gte(decisions.createdAt, since), eq(decisions.artifact, artifact), isNotNull(decisions.embedding)))
      .orderBy(desc(decisions.createdAt), asc(decisions.id))
      .limit(PROMPTS);
    for (const { id, session, embedding, at } of prompts.reverse()) {
      if (this.#isNew(`prompt ${session ?? id}`)) this.#monitor.prompted(embedding!, at.getTime());
    }
  }

  #isNew(id: string): boolean {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > REMEMBERED) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest!);
    }
    return true;
  }
}

/** Tells an endpoint of the operator's. A webhook that fails costs a line in the log. */
export async function tellWebhook(
  { drift }: Pick<GatewayConfig, 'drift'>,
  egress: Pick<Egress, 'tell'>,
  alarm: FoundAlarm & { readonly ordinal: number; readonly text: string },
): Promise<void> {
  if (drift.webhookUrl === undefined) return;
  await egress.tell(drift.webhookUrl, { event: 'alarm', ...alarm }, { signal: AbortSignal.timeout(WEBHOOK_MS) });
}

const WEBHOOK_MS = 10_000;
