import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEvent } from '../../../eval/replay/events.ts';
import { replay } from '../../../eval/replay/replay.ts';
import type { ReplayResult } from '../../../eval/replay/result.ts';
import { replayHtml, replayJson, replayText } from '../../../eval/report/replay-report.ts';
import { CHEAP, DEAR, lengthWorld, options, source } from './worlds.ts';

const row = (r: ReplayResult, name: string) => r.rows.find((x) => x.name === name)!;

describe('a router that starts cold in a world where length tells difficulty', async () => {
  const r = await replay(lengthWorld(), source(), options());

  test('regrets less at the end than at the beginning', () => {
    const [first, last] = [r.windows[0]!, r.windows.at(-1)!];
    expect(last.regret.value!).toBeLessThan(first.regret.value! / 2);
    expect(last.utility.value!).toBeGreaterThan(first.utility.value!);
  });

  test('ends above the best fixed model, and below the oracle', () => {
    // Short to the cheap one, long to the dear one: 0.9 at half the price, against 0.9 − 60 · 0.0066 of the dear one.
    expect(r.windows.at(-1)!.utility.value!).toBeGreaterThan(row(r, 'best fixed').utility.value!);
    expect(row(r, 'oracle').minusBestFixed.low!).toBeGreaterThan(row(r, 'router').minusBestFixed.high!);
  });

  test('counts how often it learned and what it was told', () => {
    // 600 decisions by 50: after the 1st to the 11th fifty, not at the end.
    expect(r.retrainings.value).toBe(11);
    expect(r.told.value).toBe(600);
    expect(r.exploration.decisions.value! / 600).toBeGreaterThan(0.02);
    expect(r.exploration.expected.value!).toBeLessThan(0);
  });

  test('warns of a life too short to learn anything in, and not of one that learned', () => {
    const short = { ...r, decisions: 73, retrainEvery: 100, retrainings: { value: 0, low: 0, high: 0 } };
    expect(replayText(short)).toContain(
      '! the router learned nothing here: 73 decisions are fewer than one training takes (100)',
    );
    expect(replayHtml(short)).toMatch(/class="warning".*--retrain-every 14/);
    expect(replayText(r)).not.toContain('learned nothing');
  });

  test('reports the same in text, HTML and JSON, without a number that is none', () => {
    for (const text of [replayText(r), replayHtml(r), replayJson(r)])
      expect(text).not.toMatch(/NaN|undefined|Infinity/);
    expect(replayHtml(r)).toMatch(/^<!doctype html>[\s\S]*<svg[\s\S]*<\/html>\n$/);
    expect(JSON.parse(replayJson(r)).rows).toHaveLength(r.rows.length);
    expect(() => replayJson({ ...r, attemptMs: Number.NaN })).toThrow(/attemptMs/);
  });
});

test('starts better when it was told something beforehand, and says what that cost', async () => {
  const dataset = lengthWorld();
  const [cold, warm] = [
    await replay(dataset, source(), options()),
    await replay(dataset, source(), options({ warm: 200 })),
  ];
  expect(warm.decisions).toBe(400);
  expect(warm.windows[0]!.regret.value!).toBeLessThan(cold.windows[0]!.regret.value!);
  // What reading the prompt is worth: the means know everything else that it knows.
  expect(row(warm, 'router').utility.value!).toBeGreaterThan(row(warm, 'means only').utility.value! + 0.02);
  expect(row(warm, 'router').minusBestFixed.value!).toBeGreaterThan(0);
  expect(warm.warm.prompts).toBe(200);
  // Both models on 200 prompts, about 0.0032 USD a prompt.
  expect(warm.warm.costUsd.value!).toBeGreaterThan(0.4);
  expect(cold.warm.costUsd.value).toBe(0);
});

test('full information is learned from faster than the chosen answers alone', async () => {
  const dataset = lengthWorld();
  const [bandit, full] = [
    await replay(dataset, source(), options({ exploration: 0.02 })),
    await replay(dataset, source(), options({ exploration: 0.02, feedback: 'full' })),
  ];
  expect(full.told.value).toBe(1200);
  expect(row(full, 'router').utility.value!).toBeGreaterThan(row(bandit, 'router').utility.value!);
});

test('a share of answers is told about where feedback is rare', async () => {
  const r = await replay(lengthWorld(), source(), options({ feedback: 0.2 }));
  // 120 of 600 expected, sd 10.
  expect(r.told.value!).toBeGreaterThan(80);
  expect(r.told.value!).toBeLessThan(160);
});

test('an outage takes all traffic from its model in exactly its decisions', async () => {
  for (const kind of ['outage', 'blind-outage']) {
    const events = [parseEvent(`${kind}:${DEAR}@401-500`)];
    const r = await replay(lengthWorld(), source(), options({ events, window: 100 }));
    const shares = r.windows.map((w) => w.traffic[DEAR] ?? 0);
    expect(shares[4]).toBe(0);
    expect(shares[3]).toBeGreaterThan(0.2);
    expect(shares[5]).toBeGreaterThan(0.2);
    expect(row(r, 'router').failures > 0).toBe(kind === 'blind-outage');
    expect(row(r, 'router').failedAttemptMs).toBeCloseTo(2000 * row(r, 'router').failures);
    expect(replayHtml(r)).toContain('class="outage"');
  }
});

test('a price rise moves traffic away from then on, a fall moves it there', async () => {
  const share = async (factor: number) => {
    const events = [parseEvent(`price:${DEAR}@301=${factor}`)];
    const r = await replay(lengthWorld(), source(), options({ events, window: 300 }));
    return r.windows.map((w) => w.traffic[DEAR] ?? 0);
  };
  const [rise, fall] = [await share(20), await share(0.01)];
  expect(rise[1]!).toBeLessThan(0.15);
  expect(rise[1]!).toBeLessThan(rise[0]! - 0.1);
  expect(fall[1]!).toBeGreaterThan(fall[0]! + 0.1);
});

test('a model that grows worse without a word loses its traffic once the router has learned of it', async () => {
  const events = [parseEvent(`quality:${DEAR}@301=-0.9`)];
  const r = await replay(lengthWorld(1200), source(), options({ events, window: 300, feedback: 'full' }));
  const shares = r.windows.map((w) => w.traffic[DEAR] ?? 0);
  expect(shares.at(-1)!).toBeLessThan(shares[0]!);
});

test('in conversations switching costs, and whoever keeps the model pays less than who ignores the cache', async () => {
  const r = await replay(lengthWorld(), source(), options({ sessions: 5, feedback: 'full' }));
  const of = (which: string) => r.sessions!.rows.find((x) => x.stickiness === which)!;
  expect(of('pinned').switchUsd.value).toBe(0);
  expect(of('none').switchUsd.value!).toBeGreaterThan(0);
  expect(of('priced').costUsd.value!).toBeLessThan(of('none').costUsd.value!);
  expect(of('pinned').costUsd.value!).toBeLessThan(of('none').costUsd.value!);
  expect(of('priced').utility.value!).toBeGreaterThan(of('none').utility.value!);
  expect(of('priced').switched.value!).toBeLessThan(of('none').switched.value!);
});

test('routing and audits are charged, and netted from what was saved', async () => {
  const plain = await replay(lengthWorld(), source(), options());
  const charged = await replay(lengthWorld(), source(), options({ routerUsd: 0.0005, auditShare: 0.1 }));
  const [a, b] = [row(plain, 'router'), row(charged, 'router')];
  expect(a.costUsd.value).toBe(a.callsUsd.value);
  // 0.0005 a decision and the audits' share.
  expect(b.costUsd.value! - b.callsUsd.value!).toBeCloseTo(0.0005 + charged.overhead.auditUsd.value! / 600, 9);
  expect(b.saved.value!).toBeLessThan(b.savedBeforeOverhead.value!);
  expect(charged.overhead.audits.value!).toBeGreaterThan(35);
  expect(charged.overhead.auditModel).toBe(DEAR);
  expect(row(charged, 'best single').costUsd.value).toBe(row(plain, 'best single').costUsd.value);
});

test('a cascade stands beside the router, with what its judge cost', async () => {
  const r = await replay(lengthWorld(), source(), options({ cascade: [CHEAP, DEAR], judgeUsd: 0.0001 }));
  const cascade = row(r, 'cascade');
  // Every prompt is judged once, by the one judge between two models.
  expect(r.cascade!.judgements.value).toBe(1);
  expect(cascade.costUsd.value! - cascade.callsUsd.value!).toBeCloseTo(0.0001, 9);
  expect(cascade.models).toBe(`${CHEAP} → ${DEAR}`);
});

test('the same seed gives the same bytes, another one others', async () => {
  const run = async (seed: number) => replayJson(await replay(lengthWorld(200), source(), options({ seed, seeds: 2 })));
  const first = await run(1);
  expect(await run(1)).toBe(first);
  expect(await run(2)).not.toBe(first);
});

test('cumulative regret against the oracle is never below 0 and never falls', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 1000 }),
      fc.boolean(),
      fc.constantFrom('cold', 'ridge', 'mean-quality'),
      fc.constantFrom([], [`blind-outage:${CHEAP}@20-40`], [`price:${DEAR}@30=7`, `quality:${CHEAP}@10=0.4`]),
      async (seed, talks, start, events) => {
        const r = await replay(
          lengthWorld(80, seed),
          source(),
          options({
            seed,
            start,
            seeds: 1,
            window: 10,
            retrainEvery: 30,
            replicates: 2,
            events: events.map(parseEvent),
            sessions: talks ? 3 : undefined,
          }),
        );
        let before = 0;
        for (const { oracle } of r.regret) {
          expect(oracle.value!).toBeGreaterThanOrEqual(before - 1e-9);
          before = oracle.value!;
        }
      },
    ),
    { numRuns: 25 },
  );
});

test('without exploration nothing is lost by exploring', async () => {
  const r = await replay(lengthWorld(200), source(), options({ exploration: 0 }));
  expect(r.exploration).toMatchObject({ expected: { value: 0 }, drawn: { value: 0 }, decisions: { value: 0 } });
});

test('prompts that the artifact has learned from are left out, or kept with a warning', async () => {
  const seen = (groupId: string) => Number(groupId.slice(1)) < 150;
  const r = await replay(lengthWorld(300), source(seen), options());
  expect([r.decisions, r.seenLeftOut, r.seenKept]).toEqual([150, 150, 0]);
  const kept = await replay(lengthWorld(300), source(seen), options({ includeSeen: true }));
  expect([kept.decisions, kept.seenLeftOut, kept.seenKept]).toEqual([300, 0, 150]);
  expect(replayText(kept)).toContain('has learned from 150 of these prompts');
});

describe('what cannot be replayed is refused with a reason', () => {
  const world = lengthWorld(40);
  const same = { ...world, outcomes: world.outcomes.map((o) => ({ ...o, quality: 1, costUsd: 0.1 })) };
  test.each([
    [
      'an unknown model in an event',
      world,
      { events: [parseEvent('price:no/body@3=2')] },
      'UNKNOWN_MODEL',
      /no\/body.*a\/cheap/,
    ],
    ['a decision out of range', world, { events: [parseEvent(`price:${DEAR}@41=2`)] }, 'INVALID_CONFIG', /41.*1 … 40/],
    [
      'a date without times',
      world,
      { events: [parseEvent(`price:${DEAR}@2026-05-01=2`)] },
      'INVALID_CONFIG',
      /not replayed by time/,
    ],
    ['one prompt', lengthWorld(1), {}, 'EMPTY_TABLE', /1 prompts are left/],
    ['a warm-up that takes all', world, { warm: 35 }, 'EMPTY_TABLE', /--warm/],
    ['models that are all the same', same, {}, 'UNDEFINED_METRIC', /same quality at the same cost/],
    ['no prices', { ...world, models: {} }, {}, 'EMPTY_TABLE', /without a price/],
    ['a cascade of one', world, { cascade: [CHEAP] }, 'INVALID_CONFIG', /two or more/],
    ['a cascade of a stranger', world, { cascade: [CHEAP, 'no/body'] }, 'UNKNOWN_MODEL', /--cascade.*no\/body/],
    ['a share above 1', world, { exploration: 1.5 }, 'INVALID_CONFIG', /--exploration 1.5/],
    ['conversations of one turn', world, { sessions: 1 }, 'INVALID_CONFIG', /--sessions/],
    ['an unknown method', world, { start: 'magic' }, 'INVALID_CONFIG', /magic.*ridge/],
    ['time without times', world, { order: 'time' as const }, 'INVALID_CONFIG', /p0 has no field "at"/],
  ])('%s', async (_, dataset, more, code, message) => {
    const refusal = replay(dataset, source(), options(more));
    await expect(refusal).rejects.toMatchObject({ code });
    await expect(refusal).rejects.toThrow(message);
  });
});
