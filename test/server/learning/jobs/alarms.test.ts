/** Which alarms a retraining closes, also where it is only read off its record. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listAlarms } from '../../../../server/drift/alarms.ts';
import { retrain } from '../../../../server/learning/retrain.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { type Base, logOf } from '../synthetic-log.ts';
import { tinyBase } from '../tiny-base.ts';

let opened: OpenedStore;
let base: Base;
beforeAll(async () => {
  opened = await storeKinds[0]!.open();
  base = await tinyBase();
});
afterAll(() => opened.close());

const run = (jobId: string) => {
  const { store, options } = opened;
  return retrain({ store, dataDir: options.dataDir, baseDir: base.dir, candidates: base.candidates }, {}, { jobId });
};
const raise = () =>
  opened.store.db.execute(sql`insert into alarms (raised_at, kind, details) values (now(), 'price', '{}')`);
const open = () => listAlarms(opened.store, { open: true });

test('one that cannot tell leaves them open, one that promotes closes those that were there before', async () => {
  await raise();
  expect(await run('1')).toMatchObject({ outcome: 'refused', samples: 0 });
  expect(await open()).toHaveLength(1);
  const { entries } = await logOf({
    truth: (model) => (model === 'lab/dear' ? 0.05 : 0.85),
    policy: { exploration: 1, tolerance: 0.25 },
    perSession: 1,
    base,
    seed: 1,
    decisions: 700,
  });
  for (const entry of entries) opened.store.record(entry);
  const report = await run('2');
  expect(report.outcome, report.reasons.join('; ')).toBe('promoted');
  expect(await open()).toEqual([]);
  // As when the process died between the verdict and this.
  await opened.store.db.execute(sql`update alarms set cleared_at = null`);
  await raise();
  expect(await run('2')).toEqual(report);
  expect((await open()).map(({ ordinal }) => ordinal)).toEqual([2]);
});
