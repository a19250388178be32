/** How much a statement of the roll-up takes: what was too much is not tried again as it was. */
import { sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { Portion } from '../../../server/usage/portion.ts';
import type { Db } from '../../../server/usage/statements.ts';

const cut = { execute: () => Promise.reject(new Error('Query read timeout')) } as unknown as Db;
const quick = { execute: () => Promise.resolve([]) } as unknown as Db;

describe('Portion', () => {
  test('half as many rows after a statement that failed, and twice as many after a roll-up that went well', async () => {
    const portion = new Portion(4000);
    await expect(portion.run(cut, sql`select 1`)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(portion.rows).toBe(2000);
    // Nothing is learnt of a large portion from a small statement: only a whole roll-up says that it is not too much.
    await portion.run(quick, sql`select 1`);
    expect(portion.rows).toBe(2000);
    // This one had a statement that failed.
    portion.done();
    expect(portion.rows).toBe(2000);
    portion.done();
    expect(portion.rows).toBe(4000);
    portion.done();
    expect(portion.rows).toBe(4000);
  });

  test('never none', async () => {
    const portion = new Portion();
    for (let i = 0; i < 100; i++) await portion.run(cut, sql`select 1`).catch(() => {});
    expect(portion.rows).toBe(500);
    expect([portion.shares(0), portion.shares(500), portion.shares(501)]).toEqual([1, 1, 2]);
  });
});
