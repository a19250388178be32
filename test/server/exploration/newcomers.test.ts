/** Which candidates are new: kept in the database, the same for every replica. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Newcomers } from '../../../server/exploration/newcomers.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';

const CALLS = 500;
const present = (ids: string[], unknown: string[] = []) => ({ ids, unknown });

describe.each(storeKinds)('candidates on $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  beforeEach(async () => {
    await opened.store.db.execute(sql`delete from candidates`);
  });
  afterAll(() => opened.close());
  const rows = async () =>
    (await opened.store.db.execute(
      sql`select model, explored::float8, retired_at is not null as retired from candidates order by model`,
    )) as unknown as { model: string; explored: number; retired: boolean }[];

  test('that are there from the start are known, later ones are new, on every replica', async () => {
    const [one, two] = [new Newcomers(opened.store), new Newcomers(opened.store)];
    await one.see(present(['a/x', 'a/y']));
    expect(one.among(CALLS)).toEqual([]);
    // However high the bound is set later.
    expect(one.among(1_000_000)).toEqual([]);
    await two.see(present(['a/x', 'a/y', 'b/new']));
    expect(two.among(CALLS)).toEqual(['b/new']);
    await one.see(present(['b/new', 'a/x', 'a/y']));
    expect(one.among(CALLS)).toEqual(['b/new']);
    // Started again, it is no less new.
    const three = new Newcomers(opened.store);
    await three.see(present(['a/x', 'a/y', 'b/new']));
    expect(three.among(CALLS)).toEqual(['b/new']);
  });

  test('are new until all replicas together have tried them often enough', async () => {
    const [one, two] = [new Newcomers(opened.store), new Newcomers(opened.store)];
    await one.see(present(['a/x']));
    await one.see(present(['a/x', 'b/new']));
    await two.see(present(['a/x', 'b/new']));
    for (let i = 0; i < 300; i++) one.note('b/new');
    for (let i = 0; i < 199; i++) two.note('b/new');
    // Each knows its own at once.
    expect([one.among(300), two.among(200)]).toEqual([[], ['b/new']]);
    await Promise.all([one.stop(), two.stop()]);
    await two.see(present(['a/x', 'b/new']));
    expect(two.among(CALLS)).toEqual(['b/new']);
    two.note('b/new');
    expect(two.among(CALLS)).toEqual([]);
    await two.stop();
    expect((await rows()).find(({ model }) => model === 'b/new')).toMatchObject({ explored: 500 });
  });

  test('of which the router knows nothing are new even at the start', async () => {
    const newcomers = new Newcomers(opened.store);
    await newcomers.see(present(['a/x', 'own/model'], ['own/model']));
    expect(newcomers.among(CALLS)).toEqual(['own/model']);
  });

  test('that go are marked, and are as well known as before when they come back', async () => {
    const newcomers = new Newcomers(opened.store);
    await newcomers.see(present(['a/x', 'a/y']));
    await newcomers.see(present(['a/x', 'b/new']));
    newcomers.note('b/new');
    await newcomers.see(present(['a/x']));
    expect(newcomers.among(CALLS)).toEqual([]);
    expect((await rows()).map(({ model, retired }) => [model, retired])).toEqual([
      ['a/x', false],
      ['a/y', true],
      ['b/new', true],
    ]);
    await newcomers.see(present(['a/x', 'a/y', 'b/new']));
    expect(newcomers.among(CALLS)).toEqual(['b/new']);
    expect(newcomers.among(1)).toEqual([]);
    expect((await rows()).every(({ retired }) => !retired)).toBe(true);
  });

  test('are told to a database that is back, and nobody is new meanwhile', async () => {
    const { store } = opened;
    const script = { away: true };
    const db = new Proxy(store.db, {
      get(target, name) {
        if (script.away) throw new Error('away');
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const newcomers = new Newcomers({ db });
    await newcomers.see(present(['a/x']));
    expect(newcomers.among(CALLS)).toEqual([]);
    script.away = false;
    await newcomers.see(present(['a/x']));
    script.away = true;
    await newcomers.see(present(['a/x', 'b/new']));
    expect(newcomers.among(CALLS)).toEqual([]);
    script.away = false;
    newcomers.start();
    await expect.poll(() => newcomers.among(CALLS)).toEqual(['b/new']);
    await newcomers.stop();
  });
});
