/** `pointsman report`: figures worked by hand, words for newcomers, and the same from a folder and a running gateway. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { type ReportOptions, runReport, sinceOf } from '../../../server/cli/report.ts';
import { openStore } from '../../../server/db/store.ts';
import { startGateway } from '../../../server/main.ts';
import { usagePages } from '../../../server/report/read.ts';
import type { UsageCall, UsageRow } from '../../../server/report/rows.ts';
import { summarise } from '../../../server/report/summary.ts';
import { reportText } from '../../../server/report/text.ts';
import { aDecision, anAttempt } from '../db/records.ts';
import { storeKinds, tempDir } from '../db/stores.ts';

const aCall = (over: Partial<UsageCall> = {}): UsageCall => ({
  provider: 'a',
  model: 'a/cheap',
  purpose: 'answer',
  status: 'ok',
  errorCode: null,
  costUsd: 1,
  inputTokens: 10,
  cachedInputTokens: 4,
  outputTokens: 5,
  reasoningTokens: null,
  startedAt: 1000,
  firstByteMs: 20,
  totalMs: 100,
  ...over,
});
let rowCount = 0;
const aRow = (over: Partial<UsageRow> = {}): UsageRow => ({
  id: `r${++rowCount}`,
  at: Date.UTC(2026, 10, 1),
  tenant: 'default',
  session: null,
  surface: 'chat',
  routed: true,
  model: 'a/cheap',
  executed: 'a/cheap',
  baselineModel: 'b/dear',
  baselineCostUsd: 4,
  observed: null,
  calls: [aCall()],
  ...over,
});
const options = { replicates: 200, seed: 1, sandbox: 'sandbox' };
const many = (n: number, of: (i: number) => UsageRow) => Array.from({ length: n }, (_, i) => of(i));

describe('the figures', () => {
  test('count requests, calls, money, tokens and time', () => {
    const fallback = aRow({
      executed: 'b/dear',
      calls: [
        aCall({
          status: 'error',
          errorCode: 'UPSTREAM_ERROR',
          costUsd: 0,
          inputTokens: null,
          outputTokens: null,
          cachedInputTokens: null,
          totalMs: 50,
          startedAt: 1000,
        }),
        aCall({ provider: 'b', model: 'b/dear', costUsd: 5, startedAt: 1100, totalMs: 300 }),
      ],
    });
    const escalated = aRow({
      executed: 'b/dear',
      tenant: 'team',
      calls: [
        aCall({ errorCode: 'CHECK_FAILED', startedAt: 1000 }),
        aCall({ provider: 'b', model: 'b/dear', purpose: 'escalation', costUsd: 5, startedAt: 1100, totalMs: 100 }),
      ],
    });
    const lost = aRow({ executed: null, baselineCostUsd: null, calls: [aCall({ status: 'error', costUsd: 0.5 })] });
    const named = aRow({ routed: false, surface: 'messages', baselineCostUsd: null, baselineModel: null });
    const report = summarise([fallback, escalated, lost, named], options);
    expect(report.requests).toEqual({
      total: 4,
      routed: 3,
      named: 1,
      unanswered: 1,
      fellBack: 1,
      escalated: 1,
      sandbox: 0,
      audited: 0,
      cached: 0,
    });
    expect(report.calls).toEqual({ total: 6, failed: 2, unpriced: 0 });
    // 5 + 1 + 5 + 0.5 + 1; what nobody got: the failed check's 1 and the lost 0.5
    expect(report.spend).toEqual({ usd: 12.5, withoutAnswerUsd: 1.5, auditUsd: 0, cacheSavedUsd: 0 });
    expect(report.tokens).toEqual({ input: 50, cachedInput: 20, output: 25, reasoning: 0 });
    // 100 + 300, 100 + 100, 100
    expect(report.latencyMs).toEqual({ n: 3, p50: 200, p99: 400 });
    expect(report.by.model).toEqual([
      { name: 'b/dear', count: 2, costUsd: 10, inputTokens: 20, outputTokens: 10, failed: 0 },
      { name: 'a/cheap', count: 4, costUsd: 2.5, inputTokens: 30, outputTokens: 15, failed: 2 },
    ]);
    expect(report.by.tenant.map(({ name, count, costUsd, failed }) => [name, count, costUsd, failed])).toEqual([
      ['default', 3, 6.5, 1],
      ['team', 1, 6, 0],
    ]);
    expect(report.by.surface.map(({ name }) => name)).toEqual(['chat', 'messages']);
  });

  test('savings net what failed, and what nobody answered', () => {
    // 40 requests: paid 1 each beside 4; one fell back at 5 beside 4; one was lost at 0.5.
    const rows = [
      ...many(40, () => aRow()),
      aRow({
        executed: 'b/dear',
        calls: [aCall({ status: 'error', costUsd: 1 }), aCall({ model: 'b/dear', costUsd: 4 })],
      }),
      aRow({ executed: null, baselineCostUsd: null, calls: [aCall({ status: 'error', costUsd: 0.5 })] }),
      aRow({ calls: [aCall({ costUsd: null })] }),
    ];
    const { auto } = summarise(rows, options);
    expect(auto).toMatchObject({ requests: 42, unpriced: 1, paidUsd: 45.5, baselineUsd: 164, baselines: ['b/dear'] });
    expect(auto.savedUsd!.value).toBeCloseTo(118.5);
    expect(auto.savedShare!.value).toBeCloseTo(118.5 / 164);
    expect(auto.savedShare!.low!).toBeLessThan(118.5 / 164);
    expect(auto.savedShare!.high!).toBeGreaterThan(118.5 / 164);
  });

  test('answers from the cache are told apart, and are no saving of routing', () => {
    // 40 requests at 1 beside 4, and three answers given again that had cost 1 each.
    const cached = { routed: false, baselineModel: null, baselineCostUsd: null, calls: [], cachedUsd: 1 };
    const routed = many(40, () => aRow({ cachedUsd: null }));
    const report = summarise([...routed, ...many(3, () => aRow(cached))], options);
    expect(report.requests).toMatchObject({ total: 43, routed: 40, named: 0, cached: 3, unanswered: 0 });
    expect(report.spend).toMatchObject({ usd: 40, cacheSavedUsd: 3 });
    expect(report.auto).toEqual(summarise(routed, options).auto);
    expect(report.latencyMs.n).toBe(40);
    const text = reportText(report, 'x');
    expect(text).toContain('3 answered from the cache');
    expect(text).toMatch(/from cache {2}3 answers, which had cost \$3\.00\d* when they were made/);
  });

  test('audits are paid for, told apart, and no answer of anybody’s', () => {
    // 40 requests at 1 beside 4; the judge looked at ten of them, at 0.5 each and 9 s later. In one it is the model that answered.
    const audit = aCall({ purpose: 'audit', model: 'c/judge', costUsd: 0.5, startedAt: 10_000, totalMs: 900 });
    const rows = many(40, (i) =>
      aRow({
        calls: i < 10 ? [aCall({ costUsd: 1 }), { ...audit, ...(i === 0 && { model: 'a/cheap' }) }] : [aCall()],
      }),
    );
    const report = summarise(rows, options);
    expect(report.spend).toEqual({ usd: 45, withoutAnswerUsd: 0, auditUsd: 5, cacheSavedUsd: 0 });
    expect(report.requests).toMatchObject({ audited: 10, fellBack: 0, escalated: 0 });
    expect(report.auto).toMatchObject({ paidUsd: 45, auditUsd: 5, baselineUsd: 160 });
    expect(report.auto.savedUsd!.value).toBeCloseTo(115);
    expect(report.latencyMs).toEqual({ n: 40, p50: 100, p99: 100 });
    const text = reportText(report, 'x');
    expect(text).toContain('audits      $5.00 of it for a judge’s look at 10 answers');
    expect(text).toContain(
      '40 routed requests cost $45.0 ($5.00 of it audits); always calling b/dear would have cost $160.',
    );
  });

  test('a loss is told as one', () => {
    const { auto } = summarise(
      many(50, () => aRow({ calls: [aCall({ costUsd: 6 })] })),
      options,
    );
    expect(auto.savedUsd!.value).toBeCloseTo(-100);
    expect(auto.savedShare).toEqual({ value: -0.5, low: -0.5, high: -0.5 });
    expect(
      reportText(
        summarise(
          many(50, () => aRow({ calls: [aCall({ costUsd: 6 })] })),
          options,
        ),
        'x',
      ),
    ).toMatch(/Paid \$100 \(−50\.0 %.*\) more than the baseline\./);
  });

  test('requests of one session are one draw: the interval is wider than that of as many sessions', () => {
    const random = seededRandom(3);
    const luck = Array.from({ length: 20 }, () => 1 + 6 * random());
    const width = (session: (i: number) => string | null) => {
      const { auto } = summarise(
        many(400, (i) => aRow({ session: session(i), calls: [aCall({ costUsd: luck[i % 20]! })] })),
        options,
      );
      return auto.savedShare!.high! - auto.savedShare!.low!;
    };
    expect(width((i) => `s${i % 20}`)).toBeGreaterThan(2 * width(() => null));
  });

  const observed = (chosenUsd: number, namedUsd: number, model = 'a/cheap', paid = 3) =>
    aRow({
      routed: false,
      model: 'b/dear',
      executed: 'b/dear',
      baselineCostUsd: null,
      calls: [aCall({ model: 'b/dear', costUsd: paid })],
      observed: {
        model,
        chosen: { quality: 0.8, outputTokens: 100, costUsd: chosenUsd },
        named: { quality: 0.9, outputTokens: 200, costUsd: namedUsd },
      },
    });

  test('of observe mode scale what was paid by predicted costs', () => {
    // Paid 3 · 40 = 120; predicted 20 · (1 + 2) = 60 beside 20 · (2 + 2) = 80: auto 90, saved a quarter.
    const rows = [...many(20, () => observed(1, 2)), ...many(20, () => observed(2, 2, 'b/dear'))];
    const unknown = aRow({ routed: false, observed: { ...observed(1, 2).observed!, named: null } });
    const { observed: figures } = summarise([...rows, unknown], options);
    expect(figures).toMatchObject({ requests: 41, unknown: 1, paidUsd: 120 });
    expect(figures.autoUsd!.value).toBeCloseTo(90);
    expect(figures.savedUsd!.value).toBeCloseTo(30);
    expect(figures.savedShare!.value).toBeCloseTo(0.25);
    expect(figures.otherShare!.value).toBeCloseTo(0.5);
    expect(figures.qualityDifference!.value).toBeCloseTo(-0.1);
    for (const estimate of [figures.autoUsd!, figures.savedUsd!, figures.savedShare!, figures.otherShare!]) {
      expect(estimate.low!).toBeLessThan(estimate.value);
      expect(estimate.high!).toBeGreaterThan(estimate.value);
    }
  });

  test('of observe mode tell a loss as one', () => {
    // 2 beside 1: twice as dear.
    const text = reportText(
      summarise(
        many(30, () => observed(2, 1)),
        options,
      ),
      'x',
    );
    expect(text).toContain(
      'With auto: about $180, a saving of −100.0 % (95 % interval [−100.0 %, −100.0 %]), so a loss.',
    );
  });

  test('say nothing of fewer than 30 requests, and nothing false of models that cost nothing', () => {
    expect(
      summarise(
        many(29, () => aRow()),
        options,
      ).auto,
    ).toMatchObject({ requests: 29, savedUsd: null, savedShare: null });
    expect(
      summarise(
        many(30, () => aRow()),
        options,
      ).auto.savedShare!.value,
    ).toBe(0.75);
    expect(
      summarise(
        many(29, () => observed(1, 2)),
        options,
      ).observed.autoUsd,
    ).toBeNull();
    const free = summarise(
      many(40, () => observed(0, 0, 'a/cheap', 0)),
      options,
    ).observed;
    expect(free).toMatchObject({ autoUsd: null, savedShare: null });
    expect(free.qualityDifference!.value).toBeCloseTo(-0.1);
    expect(
      reportText(
        summarise(
          many(40, () => observed(0, 0, 'a/cheap', 0)),
          options,
        ),
        'x',
      ),
    ).not.toMatch(/NaN|null|undefined/);
  });

  test('the sandbox saves nothing and is said to be one', () => {
    const report = summarise(
      many(40, () => aRow({ baselineCostUsd: null, calls: [aCall({ provider: 'sandbox', costUsd: 0 })] })),
      options,
    );
    expect(report.requests.sandbox).toBe(40);
    expect(report.auto.requests).toBe(0);
    expect(reportText(report, 'x')).toContain('40 answered by the sandbox');
  });

  test('of a hundred thousand requests are told without running out of stack', () => {
    const rows = many(100_000, (i) => aRow({ calls: [aCall({ costUsd: i % 7 })] }));
    // (0 + … + 6) / 7 = 3 beside 4
    expect(summarise(rows, options).auto.savedShare!.value).toBeCloseTo(0.25, 3);
  });
});

describe('the words', () => {
  test('of an empty log say what to do', () => {
    const text = reportText(summarise([], options), '.pointsman');
    expect(text).toContain('No requests in .pointsman');
    expect(text).toContain('pointsman start');
  });
  test('of too little say so, and of no observation how to begin', () => {
    const text = reportText(summarise([...many(5, () => aRow()), aRow({ routed: false })], options), '.pointsman');
    expect(text).toContain('Not enough data to say more: 5 of the 30 requests');
    expect(text).toContain('observe: {share: 1}');
  });
  test('hold no undefined figure', () => {
    const odd = aRow({ calls: [], executed: null, baselineCostUsd: null });
    for (const rows of [[odd], [aRow({ calls: [aCall({ costUsd: null, firstByteMs: null })] })], many(31, () => odd)]) {
      const text = reportText(summarise(rows, options), 'x');
      expect(text).not.toMatch(/NaN|undefined|Infinity|null/);
    }
  });
});

describe.each(storeKinds)('on $name', ({ open }) => {
  test('pages hold every request once, newest first, with its calls in order', async () => {
    const { store, close } = await open();
    try {
      for (let i = 0; i < 2100; i++) {
        const id = `d${String(i).padStart(5, '0')}`;
        // Two of a millisecond.
        const createdAt = new Date(Date.UTC(2026, 0, 1) + Math.floor(i / 2));
        store.record({ decision: aDecision({ id, createdAt }) });
        if (i >= 2098) {
          for (const ordinal of [1, 0])
            store.record({
              attempt: anAttempt({
                id: `${id}-${ordinal}`,
                decisionId: id,
                ordinal,
                purpose: ordinal ? 'hedge' : 'answer',
              }),
            });
        }
      }
      await store.flush();
      const rows: UsageRow[] = [];
      for await (const page of usagePages(store, {})) rows.push(...page);
      expect(rows.map(({ id }) => id)).toEqual(
        Array.from({ length: 2100 }, (_, i) => `d${String(2099 - i).padStart(5, '0')}`),
      );
      expect(rows[0]!.calls.map(({ purpose }) => purpose)).toEqual(['answer', 'hedge']);
      expect(rows[0]).toMatchObject({
        observed: { model: 'a/small', named: null },
        baselineCostUsd: 1.2345678901234e-5,
      });
      const since = new Date(Date.UTC(2026, 0, 1) + 1049).toISOString();
      const some: UsageRow[] = [];
      for await (const page of usagePages(store, { since })) some.push(...page);
      expect(some).toHaveLength(2);
      const first: UsageRow[] = [];
      for await (const page of usagePages(store, {}, 1500)) first.push(...page);
      expect(first).toHaveLength(1500);
    } finally {
      await close();
    }
  });
});

describe('the command', () => {
  let folder: string;
  let config: string;
  let dataDir: string;
  beforeAll(async () => {
    folder = await tempDir();
    dataDir = join(folder, 'data');
    await mkdir(dataDir);
    config = join(folder, 'pointsman.yaml');
    await writeFile(config, JSON.stringify({ dataDir, logLevel: 'silent' }));
    const store = await openStore({ dataDir });
    for (let i = 0; i < 60; i++) {
      const id = `d${i}`;
      const old = i < 20;
      store.record({
        decision: aDecision({
          id,
          session: null,
          createdAt: new Date(Date.now() - (old ? 20 : 1) * 86_400_000),
          baselineCostUsd: 4,
          observed: null,
        }),
        attempt: anAttempt({ id: `${id}-0`, decisionId: id, costUsd: 1 }),
      });
    }
    await store.close();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  async function printed(more: Partial<ReportOptions> = {}): Promise<string> {
    vi.stubEnv('DATABASE_URL', '');
    let out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      out += String(chunk);
      return true;
    });
    try {
      await runReport({ config, replicates: 100, seed: 1, ...more });
    } finally {
      vi.mocked(process.stdout.write).mockRestore();
    }
    return out;
  }

  test('tells what was saved, in words and in JSON', async () => {
    const text = await printed();
    expect(text).toContain('requests    60: 60 routed (auto)');
    expect(text).toContain('60 routed requests cost $60.0; always calling b/large would have cost $240.');
    expect(text).toContain('Saved $180 (+75.0 %, 95 % interval [+75.0 %, +75.0 %]).');
    const json = JSON.parse(await printed({ json: true }));
    expect(json.auto).toMatchObject({ requests: 60, paidUsd: 60, baselineUsd: 240, savedUsd: { value: 180 } });
  });

  test('of a window counts what is in it', async () => {
    expect(JSON.parse(await printed({ json: true, since: sinceOf('7d') })).requests.total).toBe(40);
    expect(JSON.parse(await printed({ json: true, since: sinceOf('2w') })).requests.total).toBe(40);
    expect(JSON.parse(await printed({ json: true, since: sinceOf('2020-01-01') })).requests.total).toBe(60);
    expect(await printed({ since: sinceOf('30m') })).toContain('No requests in');
  });

  test('asks a gateway that runs, and tells the same', async () => {
    const alone = await printed({ json: true });
    const gateway = await startGateway({ file: config, env: {}, overrides: { port: 0 } });
    try {
      expect(await printed({ json: true })).toBe(alone);
      expect(JSON.parse(await printed({ json: true, since: sinceOf('7d') })).requests.total).toBe(40);
      const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: 'hi' }] }),
      });
      expect(answer.status).toBe(200);
      // What was answered just now is in it.
      expect(JSON.parse(await printed({ json: true })).requests).toMatchObject({ total: 61, sandbox: 1 });
    } finally {
      await gateway.close();
    }
  });

  test('refuses a folder that no gateway has used, and makes no database there', async () => {
    const empty = join(folder, 'empty');
    await expect(printed({ dataDir: empty })).rejects.toMatchObject({
      code: 'MISSING_FILE',
      message: expect.stringContaining('pointsman start'),
    });
  });

  test.each(['yesterday', '7', 'd', '-7d', '7 d', '2026-13-01', '2026-11-01T08:00', '', '999999999d'])(
    'does not take %j for a time',
    (text) => {
      expect(() => sinceOf(text)).toThrow(/give 7d/);
    },
  );
  test('takes amounts, days and moments', () => {
    const now = new Date('2026-11-20T12:00:00Z');
    expect(sinceOf('90m')(now).toISOString()).toBe('2026-11-20T10:30:00.000Z');
    expect(sinceOf('2026-11-01')(now).toISOString()).toBe('2026-11-01T00:00:00.000Z');
    expect(sinceOf('2026-11-01T08:00:00+02:00')(now).toISOString()).toBe('2026-11-01T06:00:00.000Z');
  });
});
