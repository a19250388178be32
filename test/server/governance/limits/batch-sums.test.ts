/** Sums of batches: what a file asks for, what it may cost, and that budgets count each batch once whatever happens in which order. */
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore, type SqlStore } from '../../../../server/db/store.ts';
import { BatchCounter } from '../../../../server/governance/limits/batches/asked.ts';
import type { NewBatch } from '../../../../server/governance/limits/batches/batches.ts';
import { type ExpectedOfModel, endOf, shareAt } from '../../../../server/governance/limits/batches/expected.ts';
import { Forecasts } from '../../../../server/governance/limits/forecast.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { callerOf, entrantOf, limitsOver } from './hosts.ts';

const counted = (bodies: readonly object[], knowsNewField = true) => {
  const counter = new BatchCounter(() => knowsNewField);
  bodies.forEach((body, i) => {
    const whole = { url: '/v1/chat/completions', body } as Record<string, unknown>;
    const more = { whole, text: JSON.stringify(whole), number: i + 1, surface: 'chat' as const };
    counter.request({ json: body as Record<string, unknown>, ...more });
  });
  return counter.asked;
};

describe('what a file asks for', () => {
  test('is summed up model by model: answers, their bounds, pictures without their bytes', () => {
    const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(40_000)}` } };
    const linked = { type: 'image_url', image_url: { url: 'https://pictures.example/1.png' } };
    const { models, fault, url } = counted([
      { model: 'a', max_tokens: 10, n: 3 },
      { model: 'a', messages: [{ role: 'user', content: [picture, linked] }] },
      { model: 'b', max_completion_tokens: 2000 },
    ]);
    expect([fault, url]).toEqual([null, '/v1/chat/completions']);
    expect(models).toMatchObject([
      { model: 'a', requests: 2, images: 2, bounded: 3, boundedTokens: 30, open: 1 },
      { model: 'b', requests: 1, images: 0, bounded: 1, boundedTokens: 2000, open: 0 },
    ]);
    expect(models[0]!.chars).toBeLessThan(500);
    // A bound that its host may not know bounds nothing shorter than an answer that nobody bounds.
    const unsure = counted([{ model: 'a', max_completion_tokens: 5 }], false);
    expect(unsure.models[0]).toMatchObject({ bounded: 1, boundedTokens: 2000 });
  });

  test('comes to no less than its requests by themselves', () => {
    const price = { inputUsdPerMTok: 1000, outputUsdPerMTok: 2000, maxOutputTokens: 4000 };
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            chars: fc.nat(5000),
            most: fc.option(fc.integer({ min: 1, max: 9000 })),
            n: fc.integer({ min: 1, max: 3 }),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        (requests) => {
          const forecasts = new Forecasts();
          const bodies = requests.map(({ chars, most, n }) => ({
            ...{ model: 'a', n, content: 'x'.repeat(chars) },
            ...(most !== null && { max_tokens: most }),
          }));
          const [asked] = counted(bodies).models;
          const together = forecasts.ofMany('one/a', asked!, price).costUsd;
          const alone = requests.map(({ most, n }, i) => {
            const text = JSON.stringify(bodies[i]);
            const expected = { model: 'one/a', provider: 'one', inputTokens: 0, outputTokens: 0, answers: n, price };
            return forecasts.of({ ...expected, mostOutputTokens: most }, text.length).costUsd;
          });
          const sum = alone.reduce((a, b) => a + b, 0);
          // Prompts are rounded up one by one there, and what stands around a body in its line counts here.
          expect(together).toBeGreaterThanOrEqual(sum - 0.002 * requests.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('beyond the bound of a long prompt is priced as that, by its longest prompt and not by their sum', () => {
    const price = {
      inputUsdPerMTok: 1,
      outputUsdPerMTok: 0,
      longPromptPrices: [{ aboveInputTokens: 1000, inputUsdPerMTok: 10 }],
    };
    const asked = {
      requests: 100,
      chars: 100_000,
      longestChars: 1000,
      images: 0,
      bounded: 0,
      boundedTokens: 0,
      open: 0,
    };
    const forecasts = new Forecasts();
    // 25 000 tokens, twice, and 16 for each.
    expect(forecasts.ofMany('a', asked, price as never).costUsd).toBeCloseTo(51_600 / 1e6, 12);
    expect(forecasts.ofMany('a', { ...asked, longestChars: 8000 }, price as never).costUsd).toBeCloseTo(
      516_000 / 1e6,
      12,
    );
  });
});

const expected = (usd: number, more: Partial<ExpectedOfModel> = {}): ExpectedOfModel => ({
  ...{ model: 'one/a', requests: 4, inputTokens: 100, outputTokens: 100, usd },
  price: { inputUsdPerMTok: 500, outputUsdPerMTok: 1000 },
  ...more,
});

describe('the end of a batch', () => {
  test('is none while it runs, and what its host has counted when it is over', () => {
    for (const status of ['validating', 'in_progress', 'finalizing', 'cancelling', undefined, 7]) {
      expect(endOf({ status, usage: { input_tokens: 5, output_tokens: 5 } }, [expected(1)])).toBe(null);
    }
    // 100 cached of 1 000 tokens at a tenth, and 200 at 1 000 USD a million.
    const usage = { input_tokens: 1000, output_tokens: 200, input_tokens_details: { cached_tokens: 100 } };
    const price = { inputUsdPerMTok: 500, outputUsdPerMTok: 1000, cachedInputUsdPerMTok: 50 };
    expect(endOf({ status: 'completed', usage }, [expected(1, { price })])).toEqual({
      by: 'usage',
      costs: [expect.closeTo(0.45 + 0.005 + 0.2, 12)],
    });
  });

  test.each([
    { input_tokens: -1, output_tokens: 5 },
    { input_tokens: 'many', output_tokens: 5 },
    { input_tokens: 1e12, output_tokens: 5 },
    { input_tokens: 5 },
    'none',
    null,
  ])('is not told by %o', (usage) => {
    expect(endOf({ status: 'completed', usage }, [expected(1)])).toEqual({ by: 'forecast', costs: [1] });
  });

  test('costs nothing below zero and by forecast no more than was set aside, whatever a host says', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('completed', 'failed', 'expired', 'cancelled'),
        fc.anything(),
        fc.anything(),
        fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 4 }),
        (status, usage, request_counts, usds) => {
          const parts = usds.map((usd, i) => expected(usd, { model: `one/${i}` }));
          const end = endOf({ status, usage, request_counts } as Record<string, unknown>, parts)!;
          expect(end.costs).toHaveLength(parts.length);
          for (const [i, cost] of end.costs.entries()) {
            expect(cost).toBeGreaterThanOrEqual(0);
            if (end.by === 'forecast') expect(cost).toBeLessThanOrEqual(usds[i]!);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('of a host that nothing is known of is at its list price', () => {
    expect([shareAt('openai'), shareAt('mine'), shareAt('constructor')]).toEqual([0.5, 1, 1]);
    expect([shareAt('openai', { openai: 0.8 }), shareAt('mine', { mine: 0.4 })]).toEqual([0.8, 0.4]);
  });
});

const whose = { tenant: 'search', deployment: 'one' };

/** A statement about them. */
const isOfBatches = (args: unknown[]): boolean => JSON.stringify(args).includes('batch_');

/** USD 2 a token of an answer, nothing else: a batch of one request of so many tokens. */
const price = { inputUsdPerMTok: 0, outputUsdPerMTok: 2e6 };

describe.each(storeKinds)('on $name', ({ name, open }) => {
  let opened: OpenedStore;
  const stores: SqlStore[] = [];
  beforeAll(async () => {
    opened = await open();
    stores.push(opened.store);
    // An embedded database is one process's own.
    if (name === 'PostgreSQL') stores.push(await openStore(opened.options));
  });
  afterAll(async () => {
    for (const store of stores.slice(1)) await store.close();
    await opened.close();
  });

  test('a batch that cannot be written down is not made, and counts where nobody knows whether it was written', async () => {
    const { store } = opened;
    const away = { isAway: false };
    const db = new Proxy(store.db, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name !== 'insert' && name !== 'execute' && name !== 'delete') return value;
        return (...args: unknown[]) => {
          if (!away.isAway || (name === 'execute' && !isOfBatches(args))) return value.apply(target, args);
          throw Object.assign(new Error('gone'), { code: 'DATABASE_UNAVAILABLE' });
        };
      },
    });
    const budgets = [{ name: 'away', team: 'search', usd: 100, period: 'month' }];
    const { limits } = limitsOver({ budgets }, { store: { ...store, db } as SqlStore, everyMs: 60_000 });
    await limits.start();
    try {
      const entrant = entrantOf({ caller: callerOf({ tenant: 'search' }) });
      const make = (tokens: number) => {
        const asked = counted([{ model: 'a', max_tokens: tokens }]);
        const made: NewBatch = {
          ...{
            file: `away-${tokens}`,
            endpoint: '/v1/chat/completions',
            window: '24h',
            provider: 'one',
            deployment: 'one',
          },
          priceOf: () => ({ id: 'one/a', price }),
        };
        return limits.batches!.keep('search', made.file, asked).then(() => limits.batches!.reserve(entrant, made));
      };
      away.isAway = true;
      await expect(make(10)).rejects.toMatchObject({ message: 'gone' });
      away.isAway = false;
      const [pot] = limits.used.filter(({ limit }) => limit === 'config:budget:away');
      // Nobody knows whether the row is there: it counts.
      expect([pot!.reserved, pot!.spentByAll]).toEqual([0, expect.closeTo(20, 9)]);
      expect(await make(5)).not.toBe(null);
      expect(pot!.spentByAll).toBeCloseTo(30, 9);
    } finally {
      await limits.stop();
    }
  });

  test('what counts of a budget is the sum of its batches, each as it stands, in whatever order they are made and end', async () => {
    const step = fc.record({
      replica: fc.nat(1),
      what: fc.constantFrom('make', 'make', 'usage', 'cancelled', 'late', 'restart'),
      batch: fc.nat(7),
      tokens: fc.integer({ min: 1, max: 60 }),
    });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const run = `budget-${++runs}`;
        const cap = 100;
        const budgets = [{ name: run, team: 'search', usd: cap, period: 'month' }];
        const begin = async (store: SqlStore) => {
          const one = limitsOver({ budgets, batchPrices: { one: 1 } }, { store, everyMs: 60_000 });
          await one.limits.start();
          return one.limits;
        };
        const replicas = await Promise.all(stores.map(begin));
        const entrant = entrantOf({ caller: callerOf({ tenant: 'search' }) });
        let tooLow = 0;
        const batches: { id: string; usd: number; state: 'open' | 'forecast' | 'usage' }[] = [];
        try {
          for (const { replica, what, batch: at, tokens } of steps) {
            const index = replica % replicas.length;
            const ledger = replicas[index]!.batches!;
            if (what === 'restart') {
              // One that is alone is killed: it writes nothing more. Of several, what was leased comes back.
              if (replicas.length === 1) replicas[index]!.look = async () => {};
              else await replicas[index]!.stop();
              replicas[index] = await begin(stores[index]!);
            } else if (what === 'make') {
              const id = `${run}-${batches.length}`;
              const asked = counted([{ model: 'a', max_tokens: tokens }]);
              await ledger.keep('search', id, asked);
              const made: NewBatch = {
                ...{ file: id, endpoint: '/v1/chat/completions', window: '24h', provider: 'one', deployment: 'one' },
                priceOf: () => ({ id: 'one/a', price }),
              };
              const sum = batches.reduce((total, { usd }) => total + usd, 0);
              const account = await ledger.reserve(entrant, made).catch((error) => {
                expect(error.code).toBe('BUDGET_EXCEEDED');
                return null;
              });
              const isWithin = sum + 2 * tokens <= cap + 1e-9;
              if (replicas.length === 1) expect(account !== null).toBe(isWithin);
              // What is leased to one replica another may have found to be spent: by as much as forecasts were too low.
              else if (account !== null) expect(sum + 2 * tokens).toBeLessThanOrEqual(cap + tooLow + 1e-9);
              if (account === null) continue;
              await account.made({ id, status: 'validating' });
              batches.push({ id, usd: 2 * tokens, state: 'open' });
            } else {
              const one = batches[at % Math.max(1, batches.length)];
              if (one === undefined) continue;
              if (what === 'usage') {
                await ledger.seen(whose, {
                  id: one.id,
                  status: 'completed',
                  usage: { input_tokens: 1, output_tokens: tokens },
                });
                tooLow += Math.max(0, 2 * tokens - one.usd);
                if (one.state !== 'usage') one.usd = 2 * tokens;
                one.state = 'usage';
              } else if (what === 'cancelled') {
                const request_counts = { total: 1, completed: 0, failed: 0 };
                await ledger.seen(whose, { id: one.id, status: 'cancelled', request_counts, usage: null });
                if (one.state === 'open') Object.assign(one, { usd: 0, state: 'forecast' });
              } else {
                await stores[0]!.db.execute(sql`update batch_reserves
                  set ends_at = now() - interval '1 hour', looked_at = now() - interval '1 hour' where batch = ${one.id}`);
                await ledger.look();
                if (one.state === 'open') one.state = 'forecast';
              }
            }
          }
        } finally {
          for (const limits of replicas) await limits.stop();
        }
        const rows = await stores[0]!.db.execute(
          sql`select used, leased from limit_use where limit_id = ${`config:budget:${run}`}`,
        );
        const [use] = rows as unknown as [{ used: number; leased: number } | undefined];
        const sum = batches.reduce((total, { usd }) => total + usd, 0);
        expect(Number(use?.used ?? 0)).toBeCloseTo(sum, 6);
        expect(Number(use?.leased ?? 0)).toBeCloseTo(0, 6);
      }),
      { numRuns: 25 },
    );
  });
});
