/** Alarms in the database: raised once, open until a retraining or somebody clears them. */
import { and, desc, eq, isNull, lte, type SQL, sql } from 'drizzle-orm';
import type { Adjustment, Adjustments } from '../../router/policy/adjustment.ts';
import { databaseError } from '../db/connection.ts';
import type { AlarmKind } from '../db/records.ts';
import { alarms } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import type { FoundAlarm } from './monitor.ts';

export interface Alarm extends FoundAlarm {
  readonly ordinal: number;
  readonly raisedAt: Date;
  readonly artifact: string | null;
  readonly clearedAt: Date | null;
}

type Db = Pick<SqlStore, 'db'>;

/** Standard deviations that uncertainty takes off a forecast of a model that changed. */
const CAUTION = 0.5;

/**
 * Raises an alarm unless the same one is open. Two replicas that find it in the same instant may raise it twice, which
 * costs a second message.
 * @returns its ordinal; null where it is open already
 */
export async function raiseAlarm({ db }: Db, artifact: string, found: FoundAlarm): Promise<number | null> {
  const { kind, subject, details, shift, widen, changedAt } = found;
  const rows = await caught(
    db.execute(sql`
      insert into ${alarms} (raised_at, kind, subject, artifact, details, shift, widen, changed_at)
      select now(), ${kind}::text, ${subject}::text, ${artifact}::text, ${JSON.stringify(details)}::jsonb,
             ${shift}::double precision, ${widen}::double precision, ${changedAt?.toISOString() ?? null}::timestamptz
      where not exists (
        select 1 from ${alarms} where kind = ${kind}::text and subject is not distinct from ${subject}::text
          and artifact = ${artifact}::text and cleared_at is null
      )
      returning ordinal`),
  );
  const [row] = rows as unknown as { ordinal: number | string }[];
  return row === undefined ? null : Number(row.ordinal);
}

/** The latest first. @param open only those that nobody cleared */
export async function listAlarms({ db }: Db, { open = false, limit = 100 } = {}): Promise<Alarm[]> {
  const rows = await caught(
    db
      .select()
      .from(alarms)
      .where(open ? isNull(alarms.clearedAt) : undefined)
      .orderBy(desc(alarms.ordinal))
      .limit(limit),
  );
  return rows.map((row) => ({ ...row, details: row.details as Alarm['details'] }));
}

/** @returns false where it is not there, or cleared already */
export const clearAlarm = async (store: Db, ordinal: number): Promise<boolean> =>
  (await clear(store, eq(alarms.ordinal, ordinal))) > 0;

/** What a retraining has taken into account: everything raised by then. @returns how many were open */
export const clearAlarmsRaisedBy = async (store: Db, by: Date): Promise<number> =>
  clear(store, lte(alarms.raisedAt, by));

async function clear({ db }: Db, which: SQL): Promise<number> {
  const rows = await caught(
    db
      .update(alarms)
      .set({ clearedAt: new Date() })
      .where(and(which, isNull(alarms.clearedAt)))
      .returning({ ordinal: alarms.ordinal }),
  );
  return rows.length;
}

/**
 * What open alarms make of the forecasts of an artifact: a model that changed is taken down by its shift, and by half a
 * standard deviation of what is uncertain now; an alarm about all of the traffic only widens.
 */
export function adjustmentsOf(open: readonly Alarm[], artifact: string, modelIds: readonly string[]): Adjustments {
  const ours = open.filter((alarm) => alarm.artifact === artifact && (alarm.shift !== 0 || alarm.widen > 0));
  const adjustments = new Map<string, Adjustment>();
  for (const { subject, shift, widen } of ours) {
    for (const model of subject === null ? modelIds : [subject]) {
      const before = adjustments.get(model) ?? { shift: 0, widen: 0 };
      const down = subject === null ? 0 : shift - CAUTION * widen;
      adjustments.set(model, { shift: before.shift + down, widen: Math.hypot(before.widen, widen) });
    }
  }
  return adjustments;
}

/** What an alarm says to people, in a line. */
export function alarmText({
  kind,
  subject,
  details,
  shift,
}: Pick<Alarm, 'kind' | 'subject' | 'details' | 'shift'>): string {
  const about = subject ?? 'all of the traffic';
  const points = (value: unknown) => `${(100 * Number(value)).toFixed(1)} points`;
  const times = (value: unknown) => `${Number(value).toFixed(2)} times`;
  const said: Record<AlarmKind, string> = {
    'model-change': `${about}: answers have been ${points(details.meanResidual)} beside their forecasts for ${details.answers} answers, after ${details.before} that were as forecast`,
    calibration: `${about}: answers are ${points(details.meanResidual)} beside their forecasts (${details.answers} answers)`,
    price: `${about}: calls cost ${times(details.ratio)} what they did, beside their forecasts`,
    latency: `${about}: the first word takes ${times(details.ratio)} as long as it did`,
    input: `${about}: other prompts come than before (${Number(details.distance).toFixed(2)} standard deviations)`,
  };
  if (details.onlyTeam !== undefined) {
    return `${said[kind]}; so say the verdicts of ${details.onlyTeam} alone, and forecasts stay as they are`;
  }
  return shift < 0 ? `${said[kind]}; its forecasts are taken down by ${points(-shift)}` : said[kind];
}

const caught = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    throw databaseError(error);
  });
