/** Random programs of requests over several replicas: money is neither overspent nor lost, whatever comes between. */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type Ask, type Bank, type Granted, PostgresBank } from '../../../../server/governance/limits/bank.ts';
import { Leases } from '../../../../server/governance/limits/leases.ts';
import { spanOf } from '../../../../server/governance/limits/period.ts';
import { Pot } from '../../../../server/governance/limits/pot.ts';
import { readUse } from '../../../../server/governance/limits/rows.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';

const span = spanOf('month', Date.UTC(2026, 10, 29));
const CAP = 10;
/** A statement takes a millisecond; the embedded database, which has one process alone, takes longer. */
const RUNS = 12;

interface Replica {
  readonly pot: Pot;
  readonly leases: Leases;
  readonly line: Line;
  /** Amounts of requests under way. */
  readonly open: number[];
  /** Settled, as the requests know it. */
  spent: number;
}

/** The way to the bank: it may be down, or lose the answer. */
interface Line {
  state: 'up' | 'down' | 'deaf';
}

function replicaOn(bank: Bank, bucket: string): Replica {
  const line: Line = { state: 'up' };
  const over: Bank = {
    async exchange(asks: readonly Ask[]): Promise<Granted> {
      if (line.state === 'down') throw new Error('down');
      const granted = await bank.exchange(asks);
      if (line.state === 'deaf') throw new Error('the answer was lost');
      return granted;
    },
  };
  const options = { now: () => span.startMs + 1000, onClock: () => {}, replicas: () => 1, restMs: 0 };
  return {
    pot: new Pot({ limit: bucket, bucket, measure: 'usd', subject: null, span }, CAP, true),
    leases: new Leases({ ...options, bank: over }),
    line,
    open: [],
    spent: 0,
  };
}

const Step = fc.record({
  who: fc.nat({ max: 2 }),
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constant('request' as const) },
    { weight: 5, arbitrary: fc.constant('settle' as const) },
    { weight: 2, arbitrary: fc.constant('tell' as const) },
    { weight: 1, arbitrary: fc.constantFrom('down' as const, 'deaf' as const, 'up' as const) },
    { weight: 1, arbitrary: fc.constant('expire' as const) },
  ),
  cents: fc.integer({ min: 1, max: 300 }),
  /** Of what was set aside, what it comes to in percent. */
  percent: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 0, max: 100 }) }, fc.integer({ min: 101, max: 150 })),
});

describe.each(storeKinds)('on $name', (kind) => {
  let opened: OpenedStore | undefined;
  let made = 0;
  afterAll(() => opened?.close());

  test('what is spent and set aside stays within the limit, and every cent is told in the end', async () => {
    opened ??= await kind.open();
    const { db } = opened.store;
    await fc.assert(
      fc.asyncProperty(fc.array(Step, { minLength: 10, maxLength: 30 }), async (steps) => {
        const bucket = `ledger-${++made}`;
        // A lease of no time at all may be taken for lost whenever somebody looks.
        const banks = [0, 1, 2].map((i) => new PostgresBank(db, `${bucket}-${i}`, -1));
        const all = banks.map((bank) => replicaOn(bank, bucket));
        // What requests cost more than was set aside for them.
        let beyond = 0;
        for (const { who, what, cents, percent } of steps) {
          const replica = all[who]!;
          const { pot, leases, line, open } = replica;
          if (what === 'request') {
            const amount = cents / 100;
            if (pot.take(amount, 0) || (await leases.ask(pot, amount)) === 'taken') open.push(amount);
          } else if (what === 'settle') {
            const held = open.shift();
            if (held === undefined) continue;
            const cost = (held * percent) / 100;
            pot.settle(held, cost);
            replica.spent += cost;
            beyond += Math.max(0, cost - held);
          } else if (what === 'tell') await leases.tell([pot]);
          else if (what === 'expire') await banks[who]!.settleExpired();
          else line.state = what;
          const committed = all.reduce((sum, one) => sum + one.spent + one.open.reduce((a, b) => a + b, 0), 0);
          expect(committed).toBeLessThanOrEqual(CAP + beyond + 1e-6);
          for (const one of all) {
            expect(one.pot.reserved).toBeGreaterThanOrEqual(0);
            expect(one.pot.spent).toBeCloseTo(one.spent, 9);
          }
        }
        for (const one of all) {
          one.line.state = 'up';
          for (const held of one.open.splice(0)) one.pot.settle(held, 0);
          await one.leases.leave([one.pot]);
        }
        const row = (await readUse(db, [span.name])).find((use) => use.bucket === bucket);
        const spent = all.reduce((sum, one) => sum + one.spent, 0);
        expect(row?.used ?? 0).toBeCloseTo(spent, 6);
        expect(row?.leased ?? 0).toBeCloseTo(0, 6);
      }),
      { numRuns: kind.name === 'PostgreSQL' ? RUNS : 1 },
    );
  });

  test('nobody can take more than there is, and the last of it goes to who needs it', async () => {
    opened ??= await kind.open();
    const bank = (name: string) => new PostgresBank(opened!.store.db, name);
    const ask = { bucket: 'by-hand', period: '2026-11', cap: 10, spent: 0, floor: 0, need: 1, buffer: 4 };
    // 10 free: 1 needed, and of the other 9 a quarter at most, 2.25, where 4 are wanted.
    const [first] = (await bank('a').exchange([ask])).grants;
    expect(first).toMatchObject({ spent: 0, others: 0, held: 3.25 });
    // Spent 2 of them, 1.25 kept: 10 − 2 − 0 are free to it, 1.25 needed, 6.75 / 4 beyond.
    const [second] = (await bank('a').exchange([{ ...ask, spent: 2, floor: 1.25, need: 1.25 }])).grants;
    expect(second).toMatchObject({ spent: 2, held: 1.25 + 1.6875 });
    // Another needs more than is left, 10 − 2 − 2.9375, and gets that.
    const [third] = (await bank('b').exchange([{ ...ask, need: 6 }])).grants;
    expect(third).toMatchObject({ spent: 2, others: 2.9375, held: 5.0625 });
    // What is told twice counts once.
    const [again] = (await bank('a').exchange([{ ...ask, spent: 2, floor: 0, need: 0, buffer: 0 }])).grants;
    expect(again).toMatchObject({ spent: 2, others: 5.0625, held: 0 });
  });
});
