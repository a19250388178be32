import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SharedSums, type SumsStore } from '../../../server/db/shared-sums.ts';
import { Spending } from '../../../server/db/spending.ts';
import { type OpenedStore, storeKinds } from './stores.ts';

const at = (text: string) => () => new Date(text);

describe.each(storeKinds)('spending on $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());

  test('is that of all replicas together', async () => {
    const day = at('2026-03-01T12:00:00Z');
    const [first, second] = [new Spending(opened.store, day), new Spending(opened.store, day)];
    first.add('exploration', 0.5);
    first.add('exploration', 0.25);
    second.add('exploration', 0.125);
    second.add('audit', 2);
    expect(first.today('exploration')).toBe(0.75);
    expect(first.today('audit')).toBe(0);
    // stop() writes what is left; start() hears of the rest.
    await Promise.all([first.stop(), second.stop()]);
    for (const spending of [first, second, new Spending(opened.store, day)]) {
      spending.start();
      await expect.poll(() => spending.today('exploration')).toBe(0.875);
      expect(spending.today('audit')).toBe(2);
      spending.add('audit', 1);
      expect(spending.today('audit')).toBe(3);
      await spending.stop();
      await opened.store.db.execute(sql`update spending set usd = 2 where purpose = 'audit'`);
    }
  });

  test('begins again at midnight UTC, and what was not written yet goes to its own day', async () => {
    let now = '2026-03-02T23:59:59.999Z';
    const spending = new Spending(opened.store, () => new Date(now));
    spending.add('exploration', 4);
    now = '2026-03-03T00:00:00Z';
    expect(spending.today('exploration')).toBe(0);
    spending.add('exploration', 1);
    await spending.stop();
    expect(spending.today('exploration')).toBe(1);
    const rows = await opened.store.db.execute(
      sql`select day, purpose, usd from spending where day > '2026-03-01' order by day`,
    );
    expect(rows).toEqual([
      { day: '2026-03-02', purpose: 'exploration', usd: 4 },
      { day: '2026-03-03', purpose: 'exploration', usd: 1 },
    ]);
  });

  test('of a database that is closed is kept, and nothing is thrown', async () => {
    const other = await kind.open();
    const spending = new Spending(other.store, at('2026-03-04T00:00:00Z'));
    await other.close();
    spending.start();
    spending.add('audit', 7);
    await spending.stop();
    expect(spending.today('audit')).toBe(7);
  });
});

test('spending without a database is that of the process', async () => {
  const spending = new Spending(null);
  spending.start();
  for (const usd of [0.5, Number.NaN, -3, Number.POSITIVE_INFINITY, 0]) spending.add('audit', usd);
  await spending.stop();
  expect([spending.today('audit'), spending.today('exploration')]).toEqual([0.5, 0]);
});

describe('sums', () => {
  /** A database that can be away; `duringAdd` happens while it writes. */
  function scripted() {
    const sums = new Map<string, number>();
    const script = { sums, away: false, duringAdd: () => {} };
    const store: SumsStore = {
      async add(amounts) {
        script.duringAdd();
        if (script.away) throw new Error('away');
        for (const [key, amount] of amounts) sums.set(key, (sums.get(key) ?? 0) + amount);
      },
      async read() {
        if (script.away) throw new Error('away');
        return sums;
      },
    };
    return { script, store };
  }

  test('that cannot be written are kept, and added once the database is back', async () => {
    const { script, store } = scripted();
    const sums = new SharedSums(store);
    script.away = true;
    for (let i = 0; i < 10; i++) {
      sums.add('a', 1);
      await sums.exchange();
    }
    expect(sums.of('a')).toBe(10);
    script.away = false;
    script.sums.set('a', 5);
    await sums.exchange();
    await sums.exchange();
    expect(script.sums.get('a')).toBe(15);
    expect(sums.of('a')).toBe(15);
  });

  test('lose nothing that comes while they are written, and count nothing twice', async () => {
    const { script, store } = scripted();
    const sums = new SharedSums(store);
    sums.add('a', 1);
    script.duringAdd = () => sums.add('a', 2);
    await sums.exchange();
    expect(sums.of('a')).toBe(3);
    expect(script.sums.get('a')).toBe(1);
    script.duringAdd = () => {};
    await sums.exchange();
    expect(sums.of('a')).toBe(3);
    expect(script.sums.get('a')).toBe(3);
  });

  test('are written once where two ask for it at once', async () => {
    const { script, store } = scripted();
    const sums = new SharedSums(store);
    sums.add('a', 1);
    await Promise.all([sums.exchange(), sums.exchange(), sums.stop()]);
    expect(script.sums.get('a')).toBe(1);
  });
});
