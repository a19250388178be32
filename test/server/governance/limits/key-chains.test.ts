/** A key's own budget goes with the key: through another name, through rotation, and through an upgrade from when it went by its name. */
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { OPERATOR } from '../../../../server/callers.ts';
import type { Access } from '../../../../server/governance/access/access.ts';
import type { KeyRing } from '../../../../server/governance/access/key-ring.ts';
import { createKey, revokeKey, rotateKey, updateKey } from '../../../../server/governance/access/keys.ts';
import { carryOver } from '../../../../server/governance/limits/carry-over.ts';
import { spanOf } from '../../../../server/governance/limits/period.ts';
import { partsOfSubject, subjectOf } from '../../../../server/governance/limits/terms.ts';
import { viewsOf } from '../../../../server/governance/limits/views.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { accessOver } from '../access/access.ts';
import { callerOf, entrantOf, limitsOver, request, type TestLimits } from './hosts.ts';

const by = { actor: OPERATOR };
const NOW = Date.now();
const MONTH = spanOf('month', NOW).name;

for (const kind of storeKinds) {
  describe(kind.name, () => {
    let opened: OpenedStore;
    let access: Access & { readonly ring: KeyRing };
    const running: TestLimits[] = [];
    let made = 0;

    beforeAll(async () => {
      opened = await kind.open();
      access = accessOver(opened.store);
      await access.ring.look();
    });
    afterEach(async () => {
      for (const { limits } of running.splice(0)) await limits.stop();
    });
    afterAll(() => opened.close());

    /** A budget of a name of its own, so that no test sees what another has spent. */
    async function started(name: string, more: object = {}, isOlder = false): Promise<TestLimits> {
      const config = { budgets: [{ name, key: '*', usd: 1, period: 'month', ...more }] };
      const test = limitsOver(config, {
        store: opened.store,
        // Looked at by hand.
        everyMs: 3_600_000,
        now: () => NOW,
        ...(!isOlder && { keys: access.ring }),
      });
      await test.limits.start();
      running.push(test);
      return test;
    }

    /** In place of its predecessor. */
    async function again(test: TestLimits, name: string): Promise<TestLimits> {
      await test.limits.stop();
      running.splice(running.indexOf(test), 1);
      return started(name);
    }

    async function keyOf(name: string): Promise<{ id: string; secret: string }> {
      const { key, secret } = await createKey(access, { name, team: 'default' }, by);
      return { id: key.id, secret };
    }

    const spend = (test: TestLimits, secret: string, usd: number): Promise<string> =>
      request(test.limits, { usd, entrant: entrantOf({ caller: access.ring.find(secret)! }) });

    /** What a row of an earlier version says: kept by name. */
    async function spentByName(budget: string, name: string, used: number): Promise<void> {
      await opened.store.db.execute(sql`
        insert into limit_use (limit_id, period, used, told, updated_at)
        values (${`config:budget:${budget}#default/${name}`}, ${MONTH}, ${used}, '[50]'::jsonb, now())`);
    }

    const usesOf = async ({ limits }: TestLimits) =>
      (await viewsOf(limits, opened.store, OPERATOR, null))[0]!.use.map(({ subject, used }) => [subject, used]);

    test('another name and another secret leave a key its pot', async () => {
      const old = await keyOf('before');
      const test = await started('kept');
      expect(await spend(test, old.secret, 0.75)).toBe('ok');
      await updateKey(access, old.id, { name: 'after' }, by);
      expect(await spend(test, old.secret, 0.5)).toBe('BUDGET_EXCEEDED');
      const fresh = await rotateKey(access, old.id, {}, by);
      await updateKey(access, fresh.key.id, { name: 'at last' }, by);
      expect(await spend(test, fresh.secret, 0.5)).toBe('BUDGET_EXCEEDED');
      expect(await spend(test, fresh.secret, 0.125)).toBe('ok');
      // Both work, and spend the same.
      expect(await spend(test, old.secret, 0.25)).toBe('BUDGET_EXCEEDED');
      expect(await usesOf(test)).toEqual([['default/at last', 0.875]]);
      const next = await again(test, 'kept');
      expect(await spend(next, fresh.secret, 0.25)).toBe('BUDGET_EXCEEDED');
      expect(await spend(next, fresh.secret, 0.125)).toBe('ok');
    });

    test('a new key that takes a name that has become free has a pot of its own', async () => {
      const first = await keyOf('taken');
      const test = await started('own');
      expect(await spend(test, first.secret, 1)).toBe('ok');
      await updateKey(access, first.id, { name: 'moved' }, by);
      const second = await keyOf('taken');
      expect(await spend(test, second.secret, 0.5)).toBe('ok');
      expect(await spend(test, first.secret, 0.5)).toBe('BUDGET_EXCEEDED');
      expect(new Map((await usesOf(test)) as [string, number][])).toEqual(
        new Map([
          ['default/moved', 1],
          ['default/taken', 0.5],
        ]),
      );
    });

    test('a limit that names the id of a key holds for the keys that take its place, and for those before it', async () => {
      const old = await keyOf('named by id');
      const next = await rotateKey(access, old.id, {}, by);
      const last = await rotateKey(access, next.key.id, {}, by);
      const other = await keyOf('not named');
      const test = await started('one id', { key: next.key.id });
      expect(await spend(test, last.secret, 0.75)).toBe('ok');
      for (const { secret } of [old, next, last]) expect(await spend(test, secret, 0.5)).toBe('BUDGET_EXCEEDED');
      expect(await spend(test, other.secret, 5)).toBe('ok');
    });

    test('keys that somebody has made replace each other in a circle are one, and hang nobody', async () => {
      const first = await keyOf('circle');
      const second = await rotateKey(access, first.id, {}, by);
      await opened.store.db.execute(sql`
        update client_keys set replaced_by = ${first.id}, changed_at = clock_timestamp() where id = ${second.key.id}`);
      await access.ring.look();
      expect(access.ring.firstOf(first.id)).toBe(access.ring.firstOf(second.key.id));
      expect(access.ring.nameOf(first.id)).toEqual({ team: 'default', name: 'circle' });
    });

    test('a key of the configuration goes by its name, whatever ids there are', async () => {
      const test = await started('by name');
      const entrant = entrantOf({ caller: callerOf({ name: 'of file', tenant: 'default' }) });
      expect(await request(test.limits, { usd: 0.75, entrant })).toBe('ok');
      const next = await again(test, 'by name');
      expect(await request(next.limits, { usd: 0.5, entrant })).toBe('BUDGET_EXCEEDED');
      expect(await usesOf(next)).toEqual([['default/of file', 0.75]]);
    });

    test('what was spent by name before an upgrade is spent, also when it comes again with another name', async () => {
      const { id, secret } = await keyOf('app');
      await spentByName('upgraded', 'app', 0.75);
      const test = await started('upgraded');
      expect(await usesOf(test)).toEqual([['default/app', 0.75]]);
      expect(await spend(test, secret, 0.5)).toBe('BUDGET_EXCEEDED');
      await updateKey(access, id, { name: 'app two' }, by);
      const next = await again(test, 'upgraded');
      expect(await spend(next, secret, 0.5)).toBe('BUDGET_EXCEEDED');
      expect(await spend(next, secret, 0.25)).toBe('ok');
      const last = await again(next, 'upgraded');
      expect(await spend(last, secret, 0.125)).toBe('BUDGET_EXCEEDED');
      expect(last.said.filter(({ details }) => details.thresholdPercent === 50)).toEqual([]);
    });

    test('going back to the earlier version finds what was spent since, and the way forward again counts it once', async () => {
      const { secret } = await keyOf('back and forth');
      const name = 'back-and-forth';
      await spentByName(name, 'back and forth', 0.25);
      const newer = await started(name);
      expect(await spend(newer, secret, 0.25)).toBe('ok');
      await newer.limits.stop();
      running.pop();
      const older = await started(name, {}, true);
      const byName = entrantOf({ caller: callerOf({ name: 'back and forth', tenant: 'default' }) });
      expect(await request(older.limits, { usd: 0.75, entrant: byName })).toBe('BUDGET_EXCEEDED');
      expect(await request(older.limits, { usd: 0.25, entrant: byName })).toBe('ok');
      const forward = await again(older, name);
      expect(await usesOf(forward)).toEqual([['default/back and forth', 0.75]]);
      expect(await spend(forward, secret, 0.5)).toBe('BUDGET_EXCEEDED');
      expect(await spend(forward, secret, 0.25)).toBe('ok');
    });

    test('a name that two keys have had is carried over to the one that works', async () => {
      const gone = await keyOf('again');
      await revokeKey(access, gone.id, by);
      const works = await keyOf('again');
      await spentByName('twice', 'again', 0.75);
      const test = await started('twice');
      expect(await spend(test, works.secret, 0.5)).toBe('BUDGET_EXCEEDED');
    });

    test('carrying over is the same done once or by many at once', async () => {
      const budget = `many${++made}`;
      await keyOf('many');
      await spentByName(budget, 'many', 0.5);
      const { limits } = limitsOver({ budgets: [{ name: budget, key: '*', usd: 1 }] });
      const carrying = {
        ...{ store: opened.store, limits: limits.all, keys: access.ring, periods: [MONTH] },
        ...{ isConfigured: () => false, isOlderBeside: true },
      };
      await Promise.all([1, 2, 3, 4, 5].map(() => carryOver(carrying)));
      const rows = (await opened.store.db.execute(
        sql`select used from limit_use where limit_id like ${`config:budget:${budget}#%`}`,
      )) as unknown as { used: unknown }[];
      expect(rows.map(({ used }) => Number(used))).toEqual([0.5, 0.5]);
    });

    const usesBySubject = async (budget: string) => {
      const rows = (await opened.store.db.execute(
        sql`select limit_id, used from limit_use where limit_id like ${`config:budget:${budget}#%`}`,
      )) as unknown as { limit_id: string; used: unknown }[];
      const at = `config:budget:${budget}#default/`.length;
      return Object.fromEntries(rows.map(({ limit_id, used }) => [limit_id.slice(at), Number(used)]));
    };

    const carryingOver = (budget: string) => {
      const { limits } = limitsOver({ budgets: [{ name: budget, key: '*', usd: 100 }] });
      return () =>
        carryOver({
          ...{ store: opened.store, limits: limits.all, keys: access.ring, periods: [MONTH] },
          ...{ isConfigured: () => false, isOlderBeside: false },
        });
    };

    test('a chain that has had two names in one period has what was spent under both', async () => {
      const old = await keyOf('two-a');
      await spentByName('names', 'two-a', 10);
      const fresh = await rotateKey(access, old.id, {}, by);
      await updateKey(access, fresh.key.id, { name: 'two-b' }, by);
      await spentByName('names', 'two-b', 3);
      const carry = carryingOver('names');
      for (let i = 0; i < 3; i++) {
        await carry();
        expect(await usesBySubject('names')).toEqual({ [old.id]: 13, 'two-a': 13, 'two-b': 13 });
      }
      // An earlier version spends on under one name, and the chain under its id.
      const more = (subject: string, usd: number) =>
        opened.store.db.execute(sql`
          update limit_use set used = used + ${usd} where limit_id = ${`config:budget:names#default/${subject}`}`);
      await more('two-a', 1);
      await more(old.id, 4);
      for (let i = 0; i < 2; i++) {
        await carry();
        expect(await usesBySubject('names')).toEqual({ [old.id]: 18, 'two-a': 18, 'two-b': 18 });
      }
    });

    test('what was spent by name is carried to one chain, not also to a new key that takes the name later', async () => {
      const victim = await keyOf('victim');
      await spentByName('once', 'victim', 50);
      const carry = carryingOver('once');
      await carry();
      await updateKey(access, victim.id, { name: 'victim of old' }, by);
      const { id } = await keyOf('victim');
      for (let i = 0; i < 2; i++) {
        await carry();
        expect(await usesBySubject('once')).toEqual({ [victim.id]: 50, victim: 50 });
      }
      expect(await usesOf(await started('once', { usd: 100 }))).toEqual([['default/victim of old', 50]]);
      expect(id).not.toBe(victim.id);
    });

    if (kind.name !== 'PostgreSQL') return;

    test('a replica of an earlier version beside the new one spends the same budget', async () => {
      const { id, secret } = await keyOf('rolling');
      const byName = entrantOf({ caller: callerOf({ name: 'rolling', tenant: 'default' }) });
      const older = await started('rolling', {}, true);
      // Earlier versions leave the row by which they show life without a word.
      await opened.store.db.execute(
        sql`update limit_leases set period = '' where limit_id = '~alive' and replica = ${older.limits.replica}`,
      );
      const newer = await started('rolling');
      const bothLook = async () => {
        for (const { limits } of [older, newer, older]) await limits.look();
      };
      for (const usd of [0.25, 0.25]) expect(await request(older.limits, { usd, entrant: byName })).toBe('ok');
      await bothLook();
      expect(await spend(newer, secret, 0.75)).toBe('BUDGET_EXCEEDED');
      expect(await spend(newer, secret, 0.25)).toBe('ok');
      await bothLook();
      await bothLook();
      expect(await request(older.limits, { usd: 0.5, entrant: byName })).toBe('BUDGET_EXCEEDED');
      // A refused pot asks no more for a quarter of a second.
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await request(older.limits, { usd: 0.25, entrant: byName })).toBe('ok');
      await bothLook();
      expect(await spend(newer, secret, 0.125)).toBe('BUDGET_EXCEEDED');
      expect(await usesOf(newer)).toEqual([['default/rolling', 1]]);
      await updateKey(access, id, { name: 'rolling on' }, by);
      expect(await spend(newer, secret, 0.125)).toBe('BUDGET_EXCEEDED');
    });
  });
}

test('what a subject was made of is read back, whatever is in the names', () => {
  for (const parts of [
    ['a', 'b'],
    ['team/1', 'k%2F', '#t'],
    ['100%', 'ü\n'],
  ]) {
    expect(partsOfSubject(subjectOf(parts))).toEqual(parts);
  }
  expect(partsOfSubject('a/%zz')).toEqual(['a', '%zz']);
});
