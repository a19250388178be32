/** Limits of one process: who is let in, what is set aside, what is settled, and what clients are told. */
import { describe, expect, test } from 'vitest';
import { viewsOf } from '../../../../server/governance/limits/views.ts';
import { NO_RULES } from '../../../../server/governance/policies/rules.ts';
import { attemptOf, callerOf, countOf, entrantOf, expecting, limitsOver, request } from './hosts.ts';

const NOON = Date.UTC(2026, 10, 29, 12, 0, 0);
const SECOND = 1000;

describe('a rate of requests', () => {
  const perKey = { rates: [{ name: 'per key', key: '*', requestsPerMinute: 2 }] };

  test('counts each key by itself, tells what is left, and says when to come again', async () => {
    const { limits } = limitsOver(perKey, { now: () => NOON + 48.2 * SECOND });
    const { headers } = limits.admit(entrantOf());
    expect(headers).toEqual({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      // 11.8 s are left of the minute.
      'x-ratelimit-reset-requests': '12s',
    });
    expect(limits.admit(entrantOf()).headers['x-ratelimit-remaining-requests']).toBe('0');
    expect(() => limits.admit(entrantOf())).toThrowError(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        type: 'requests',
        message: 'limit “per key” of 2 requests a minute is reached: try again in 12 s',
        headers: expect.objectContaining({ 'retry-after': '12', 'x-ratelimit-remaining-requests': '0' }),
      }),
    );
    expect(await request(limits, { entrant: entrantOf({ caller: callerOf({ name: 'two' }) }) })).toBe('ok');
    // The same name in another team is another key.
    expect(await request(limits, { entrant: entrantOf({ caller: callerOf({ tenant: 'sales' }) }) })).toBe('ok');
  });

  test('begins anew with each minute of UTC, and a clock that goes back finds what was used', () => {
    let now = NOON;
    const { limits } = limitsOver(perKey, { now: () => now });
    limits.admit(entrantOf());
    limits.admit(entrantOf());
    now += 60 * SECOND;
    limits.admit(entrantOf());
    now -= 60 * SECOND;
    expect(() => limits.admit(entrantOf())).toThrow();
    now += 60 * SECOND;
    limits.admit(entrantOf());
    expect(() => limits.admit(entrantOf())).toThrow();
  });

  test('does not count what another limit refuses', () => {
    const { limits } = limitsOver(
      {
        rates: [
          { name: 'wide', requestsPerMinute: 3 },
          { name: 'narrow', tag: 'batch', requestsPerMinute: 1 },
        ],
      },
      { now: () => NOON },
    );
    const tagged = entrantOf({ caller: callerOf({ tags: ['batch'] }) });
    limits.admit(tagged);
    for (let i = 0; i < 5; i++) expect(() => limits.admit(tagged)).toThrow('narrow');
    // One of three is used.
    expect(limits.admit(entrantOf()).headers['x-ratelimit-remaining-requests']).toBe('1');
  });

  test('tells Anthropic’s clients in their words, too', () => {
    const { limits } = limitsOver(perKey, { now: () => NOON });
    expect(limits.admit(entrantOf({ surface: 'messages' })).headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '2',
      'anthropic-ratelimit-requests-remaining': '1',
      'anthropic-ratelimit-requests-reset': '2026-11-29T12:01:00.000Z',
    });
  });
});

describe('a rate of tokens', () => {
  const tokens = { rates: [{ name: 'tokens', team: 'search', tokensPerMinute: 1000 }] };

  test('sets aside what the prompt and the longest answer may take, and settles what they took', async () => {
    const { limits } = limitsOver(tokens, { now: () => NOON });
    const left = () => limits.admit(entrantOf()).headers['x-ratelimit-remaining-tokens'];
    // 400 characters are 100 tokens; with at most 500 of an answer 600 are set aside.
    const account = await limits.reserve(entrantOf(), expecting(0.5, { inputTokens: 0 }));
    expect(left()).toBe('400');
    await expect(limits.reserve(entrantOf(), expecting(0.5, { inputTokens: 0 }))).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      type: 'tokens',
    });
    account.note(attemptOf(0.01, { inputTokens: 120, outputTokens: 30 }));
    expect(left()).toBe('400');
    account.close();
    expect(left()).toBe('850');
  });

  test('lets a request that is longer than the limit go where a minute is its own', async () => {
    const { limits } = limitsOver(tokens, { now: () => NOON });
    const account = await limits.reserve(entrantOf(), expecting(50));
    account.note(attemptOf(0.01, { inputTokens: 10, outputTokens: 10 }));
    account.close();
    await expect(limits.reserve(entrantOf(), expecting(50))).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });

  test('counts a call without a report as what was expected, and one that never began as nothing', async () => {
    const { limits } = limitsOver(tokens, { now: () => NOON });
    const account = await limits.reserve(entrantOf(), expecting(0.39, { inputTokens: 10 }));
    account.note(attemptOf(0, { status: 'error', inputTokens: null, outputTokens: null }));
    account.note(attemptOf(0.01, { status: 'cancelled', inputTokens: null, outputTokens: null }));
    account.close();
    expect(limits.admit(entrantOf()).headers['x-ratelimit-remaining-tokens']).toBe('600');
  });
});

describe('a budget', () => {
  const daily = { budgets: [{ name: 'daily', team: 'search', usd: 1, period: 'day' }] };
  const spentOf = ({ limits }: ReturnType<typeof limitsOver>) =>
    limits.used.map(({ spent, reserved }) => ({ spent, reserved }));

  test('sets aside what a request may cost, settles what its calls did cost, and gives back the rest', async () => {
    const test = limitsOver(daily, { now: () => NOON });
    const account = await test.limits.reserve(entrantOf(), expecting(0.4));
    expect(spentOf(test)).toEqual([{ spent: 0, reserved: 0.4 }]);
    // A failed call that was charged, then the answer.
    account.note(attemptOf(0.125, { status: 'error' }));
    expect(spentOf(test)).toEqual([{ spent: 0.125, reserved: expect.closeTo(0.275) }]);
    account.note(attemptOf(0.25));
    account.close();
    account.close();
    expect(spentOf(test)).toEqual([{ spent: 0.375, reserved: 0 }]);
    // The loser of a hedge is heard of when its connection is down.
    account.note(attemptOf(0.0625, { purpose: 'hedge' }));
    account.note(attemptOf(0.5, { purpose: 'audit' }));
    expect(spentOf(test)).toEqual([{ spent: 0.4375, reserved: 0 }]);
  });

  test('refuses what is more than is left, and says until when', async () => {
    const { limits } = limitsOver(daily, { now: () => NOON });
    expect(await request(limits, { usd: 0.9 })).toBe('ok');
    await expect(limits.reserve(entrantOf(), expecting(0.2))).rejects.toMatchObject({
      code: 'BUDGET_EXCEEDED',
      type: 'insufficient_quota',
      message:
        'this request may cost up to 0.2 USD, more than is left of budget “daily”: 0.1 USD; it begins anew at 2026-11-30T00:00:00.000Z',
      headers: { 'retry-after': '43200', 'x-should-retry': 'false' },
    });
    expect(await request(limits, { usd: 0.05 })).toBe('ok');
    // What is under way may cost less than was set aside: worth another try soon.
    const account = await limits.reserve(entrantOf(), expecting(0.05));
    await expect(limits.reserve(entrantOf(), expecting(0.03))).rejects.toMatchObject({
      message: 'what is left of budget “daily” is set aside for requests that are under way: try again in 2 s',
      headers: { 'retry-after': '2' },
    });
    account.close();
  });

  test('says whether it is spent, or smaller than one request', async () => {
    const small = limitsOver(daily, { now: () => NOON });
    await expect(small.limits.reserve(entrantOf(), expecting(1.5))).rejects.toMatchObject({
      message:
        'this request may cost up to 1.5 USD, more than all of budget “daily”, 1 USD: ask for a shorter answer or a cheaper model, or have the budget raised; it begins anew at 2026-11-30T00:00:00.000Z',
    });
    expect(await request(small.limits, { usd: 1 })).toBe('ok');
    await expect(small.limits.reserve(entrantOf(), expecting(1.5))).rejects.toMatchObject({
      message: 'budget “daily” is spent; it begins anew at 2026-11-30T00:00:00.000Z',
    });
  });

  test('begins anew at midnight UTC; what began before it counts to the day before', async () => {
    let now = Date.UTC(2026, 10, 29, 23, 59, 59);
    const test = limitsOver(daily, { now: () => now });
    const account = await test.limits.reserve(entrantOf(), expecting(1));
    now += 2 * SECOND;
    expect(await request(test.limits, { usd: 0.5 })).toBe('ok');
    account.note(attemptOf(0.75));
    account.close();
    expect(test.limits.used.map(({ span, spent }) => [span.name, spent])).toEqual([
      ['2026-11-29', 0.75],
      ['2026-11-30', 0.5],
    ]);
  });

  test('of a month ends with it, however long it is', async () => {
    let now = Date.UTC(2028, 1, 29, 23, 59, 59);
    const { limits } = limitsOver({ budgets: [{ name: 'monthly', usd: 1 }] }, { now: () => now });
    expect(await request(limits, { usd: 1 })).toBe('ok');
    await expect(limits.reserve(entrantOf(), expecting(1))).rejects.toMatchObject({ headers: { 'retry-after': '1' } });
    now += SECOND;
    expect(await request(limits, { usd: 1 })).toBe('ok');
  });

  test('is not overspent by requests at once', async () => {
    const { limits } = limitsOver(daily, { now: () => NOON });
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => request(limits, { usd: 0.01, ms: 1 })));
    expect(countOf(outcomes, 'ok')).toBe(100);
  });

  test('that is lowered below what is spent refuses; raised again it goes on from there', async () => {
    const test = limitsOver(daily, { now: () => NOON });
    expect(await request(test.limits, { usd: 0.5 })).toBe('ok');
    test.configure({ budgets: [{ name: 'daily', team: 'search', usd: 0.25, period: 'day' }] });
    expect(await request(test.limits, { usd: 0.01 })).toBe('BUDGET_EXCEEDED');
    test.configure({ budgets: [{ name: 'daily', team: 'search', usd: 0.75, period: 'day' }] });
    expect(await request(test.limits, { usd: 0.25 })).toBe('ok');
    expect(await request(test.limits, { usd: 0.01 })).toBe('BUDGET_EXCEEDED');
    test.configure({});
    expect(await request(test.limits, { usd: 5 })).toBe('ok');
  });

  test('lets what costs nothing pass when it is spent, and nothing of which nobody knows what it costs', async () => {
    const test = limitsOver(daily, { now: () => NOON });
    expect(await request(test.limits, { usd: 1 })).toBe('ok');
    const free = { inputUsdPerMTok: 0, outputUsdPerMTok: 0 };
    await test.limits.reserve(entrantOf(), expecting(1, { price: free }));
    await expect(test.limits.reserve(entrantOf(), expecting(1, { price: null }))).rejects.toMatchObject({
      code: 'BUDGET_EXCEEDED',
    });
    test.configure({ budgets: [{ name: 'daily', team: 'search', usd: 2, period: 'day' }] });
    for (let i = 0; i < 2; i++) {
      const account = await test.limits.reserve(entrantOf(), expecting(1, { price: null }));
      account.note(attemptOf(null));
      account.close();
    }
    expect(spentOf(test)).toEqual([{ spent: 1, reserved: 0 }]);
    expect(test.said).toHaveLength(1);
    expect(test.said[0]).toMatchObject({
      details: { model: 'one/a' },
      message: expect.stringContaining('without a price'),
    });
  });

  test('counts a call whose cost is unknown as what was set aside', async () => {
    const test = limitsOver(daily, { now: () => NOON });
    const account = await test.limits.reserve(entrantOf(), expecting(0.25));
    account.note(attemptOf(null));
    account.close();
    expect(spentOf(test)).toEqual([{ spent: 0.25, reserved: 0 }]);
  });

  test('counts what broke off before its usage was told as what was set aside, where nobody saw how it reasoned', async () => {
    const cut = { status: 'cancelled', inputTokens: null, outputTokens: null } as const;
    const settled = async (reasoning: boolean, attempt: Parameters<typeof attemptOf>[1], usd = 0.01) => {
      const test = limitsOver(daily, { now: () => NOON });
      const price = { inputUsdPerMTok: 0, outputUsdPerMTok: 1000, reasoning };
      const account = await test.limits.reserve(entrantOf(), expecting(0.25, { price }));
      account.note(attemptOf(usd, attempt));
      account.close();
      return spentOf(test)[0]!.spent;
    };
    expect(await settled(true, cut)).toBe(0.25);
    expect(await settled(true, { ...cut, status: 'partial' })).toBe(0.25);
    expect(await settled(true, cut, 0)).toBe(0.25);
    expect(await settled(true, cut, 0.5)).toBe(0.5);
    expect(await settled(true, { ...cut, outputTokens: 10 })).toBe(0.01);
    expect(await settled(true, { ...cut, status: 'error' }, 0)).toBe(0);
    expect(await settled(false, cut)).toBe(0.01);
  });

  test('refuses a model without a price where it is said to, and says why', async () => {
    const test = limitsOver({ ...daily, refuseUnpriced: true }, { now: () => NOON });
    await expect(test.limits.reserve(entrantOf(), expecting(0, { price: null }))).rejects.toMatchObject({
      code: 'POLICY_REFUSED',
      message: expect.stringContaining('nobody knows the price of one/a'),
    });
    expect(spentOf(test)).toEqual([]);
    expect(await request(test.limits, { usd: 0.5 })).toBe('ok');
    // Of whom no budget is.
    const free = entrantOf({ caller: callerOf({ tenant: 'sales' }) });
    await test.limits.reserve(free, expecting(0, { price: null }));
  });

  test('lets nothing pass that is paid for later, unless it is said to', () => {
    const ofModel = { budgets: [{ name: 'dear', model: 'one/*', usd: 1 }] };
    const rate = { rates: [{ name: 'rate', requestsPerMinute: 5 }] };
    const outcome = (config: object, entrant = entrantOf()) => {
      try {
        limitsOver(config, { now: () => NOON }).limits.mustBeMetered(entrant, 'batches');
        return 'ok';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(outcome(daily)).toBe('FORBIDDEN');
    expect(outcome(ofModel)).toBe('FORBIDDEN');
    expect(outcome({ ...daily, allowUnmetered: true })).toBe('ok');
    expect(outcome(daily, entrantOf({ caller: callerOf({ tenant: 'sales' }) }))).toBe('ok');
    expect(outcome(rate)).toBe('ok');
    expect(outcome({})).toBe('ok');
  });

  test('learns what a named model’s answers cost where the client sets no bound', async () => {
    const test = limitsOver(daily, { now: () => NOON });
    const open = { mostOutputTokens: null };
    // Nothing is known: 1 000 tokens at 1 USD a thousand.
    const first = await test.limits.reserve(entrantOf(), expecting(0, open));
    expect(spentOf(test)[0]!.reserved).toBeCloseTo(1);
    first.note(attemptOf(0.02, { outputTokens: 20 }));
    first.close();
    // Answers have 20 tokens, and an estimate may be too low by 2 until more is seen.
    const second = await test.limits.reserve(entrantOf(), expecting(0, open));
    expect(spentOf(test)[0]!.reserved).toBeCloseTo(0.02 * 1.9);
    second.note(attemptOf(0.02, { outputTokens: 20 }));
    second.close();
  });
});

describe('a budget of a model', () => {
  const dear = { budgets: [{ name: 'dear', model: 'one/*', usd: 1, period: 'day' }] };

  test('is charged by whoever answers in the end', async () => {
    const test = limitsOver(dear, { now: () => NOON });
    const { limits } = test;
    const account = await limits.reserve(entrantOf(), expecting(0.5, { model: 'two/b', provider: 'two' }));
    expect(limits.used).toEqual([]);
    account.note(attemptOf(0.25));
    account.note(attemptOf(0.5, { model: 'two/b', provider: 'two' }));
    account.close();
    expect(limits.used.map(({ spent, reserved }) => [spent, reserved])).toEqual([[0.25, 0]]);
    const other = await limits.reserve(entrantOf(), expecting(0.5));
    other.note(attemptOf(0.5, { model: 'two/b', provider: 'two' }));
    other.close();
    expect(limits.used.map(({ spent, reserved }) => [spent, reserved])).toEqual([[0.25, 0]]);
  });

  test('that is spent is passed over by auto, and refuses the model by its name', async () => {
    const { limits } = limitsOver(dear, { now: () => NOON });
    const auto = entrantOf({ isAuto: true, requestedModel: 'auto' });
    expect(limits.admit(auto).caller.rules).toBe(NO_RULES);
    expect(await request(limits, { usd: 1 })).toBe('ok');
    const { rules } = limits.admit(auto).caller;
    const at = (model: string) => ({ model, provider: model.split('/')[0]!, region: null });
    expect(rules.allows(at('one/a'))).toBe(false);
    expect(rules.refusalOf(at('one/a'))).toMatchObject({ rule: 'limit dear', about: 'model' });
    expect(rules.allows(at('two/b'))).toBe(true);
    expect(rules.refusalOf(at('two/b'))).toBe(null);
    expect(limits.admit(entrantOf()).caller.rules).toBe(NO_RULES);
    expect(await request(limits, { usd: 0.01 })).toBe('BUDGET_EXCEEDED');
  });
});

describe('a soft limit', () => {
  const soft = { budgets: [{ name: 'søft', usd: 1, period: 'day', softShare: 0.5, softDial: 2 }] };
  const auto = entrantOf({ isAuto: true, requestedModel: 'auto' });

  test('makes auto cheaper from its share on, and leaves a named model alone', async () => {
    const { limits } = limitsOver(soft, { now: () => NOON });
    await request(limits, { usd: 0.49 });
    expect(limits.admit(auto).caller).toBe(auto.caller);
    await request(limits, { usd: 0.01 });
    const { caller, headers, isSoftened } = limits.admit(auto);
    expect(caller.routing).toEqual({ dial: 2 });
    expect(headers).toEqual({ 'x-pointsman-soft-limit': 's?ft' });
    expect(isSoftened).toBe(true);
    const named = entrantOf();
    expect(limits.admit(named)).toMatchObject({ caller: named.caller, headers: {}, isSoftened: false });
  });

  test('keeps a bound that is narrower, and does nothing where the policy says so', async () => {
    const { limits } = limitsOver(soft, { now: () => NOON });
    await request(limits, { usd: 0.9 });
    const bound = callerOf({ routing: { dial: 1, minQuality: 0.3 } });
    expect(limits.admit({ ...auto, caller: bound }).caller.routing).toEqual({ dial: 1, minQuality: 0.3 });
    const hard = callerOf({ rules: { ...NO_RULES, softens: false } });
    expect(limits.admit({ ...auto, caller: hard }).caller).toBe(hard);
  });
});

describe('thresholds', () => {
  const config = {
    budgets: [{ name: 'told', team: '*', usd: 1, period: 'day', notifyAt: [50, 80] }],
    webhookUrl: 'https://hook.example.com/',
  };

  test('are told once a period each, with whose it is', async () => {
    let now = NOON;
    const { limits, told } = limitsOver(config, { now: () => now });
    await request(limits, { usd: 0.4 });
    await limits.look();
    expect(told).toEqual([]);
    await request(limits, { usd: 0.4 });
    await limits.look();
    await limits.look();
    expect(told.map(({ body }) => [body.subject, body.thresholdPercent, body.spentUsd, body.period])).toEqual([
      ['search', 50, 0.8, '2026-11-29'],
      ['search', 80, 0.8, '2026-11-29'],
    ]);
    now += 86_400_000;
    await request(limits, { usd: 0.6 });
    await limits.look();
    expect(told.at(-1)!.body).toMatchObject({ thresholdPercent: 50, period: '2026-11-30' });
    expect(told).toHaveLength(3);
  });
});

const KEY_ID = '0b2f8a4e-1111-4222-8333-444455556666';

describe('what holds for whom', () => {
  test.each([
    ['nobody in particular', {}, true],
    ['its team', { team: 'search' }, true],
    ['another team', { team: 'sales' }, false],
    ['its project', { project: 'web' }, true],
    ['another project', { project: 'app' }, false],
    ['each project', { project: '*' }, true],
    ['its key by name', { key: 'one' }, true],
    ['its key by id', { key: KEY_ID }, true],
    ['another key', { key: 'two' }, false],
    ['its key in another team', { key: 'one', team: 'sales' }, false],
    ['a tag of it', { tag: 'batch' }, true],
    ['another tag', { tag: 'live' }, false],
    ['its model', { model: 'one/a' }, true],
    ['models like it', { model: 'one/*' }, true],
    ['another model', { model: 'two/*' }, false],
    ['its provider', { provider: 'one' }, true],
    ['another provider', { provider: 'two' }, false],
    ['all of it together', { team: 'search', project: 'web', key: 'one', tag: 'batch', model: 'one/a' }, true],
  ])('a limit for %s', async (_, whose, holds) => {
    const { limits } = limitsOver({ budgets: [{ name: 'b', ...whose, usd: 1, period: 'day' }] }, { now: () => NOON });
    const caller = callerOf({ project: 'web', keyId: KEY_ID, tags: ['batch'] });
    expect(await request(limits, { usd: 2, entrant: entrantOf({ caller }) })).toBe(holds ? 'BUDGET_EXCEEDED' : 'ok');
  });

  test('each tag of a key counts by itself, and none that a client thinks up', async () => {
    const { limits } = limitsOver({ budgets: [{ name: 'b', tag: '*', usd: 1, period: 'day' }] }, { now: () => NOON });
    const entrant = entrantOf({ caller: callerOf({ tags: ['a', 'b'] }), tags: ['a', 'b', 'thought-up'] });
    expect(await request(limits, { usd: 0.75, entrant })).toBe('ok');
    expect(limits.used.map(({ subject, spent }) => [subject, spent])).toEqual([
      ['a', 0.75],
      ['b', 0.75],
    ]);
    const other = entrantOf({ caller: callerOf({ tenant: 'sales', tags: ['b'] }), tags: ['b'] });
    expect(await request(limits, { usd: 0.5, entrant: other })).toBe('BUDGET_EXCEEDED');
  });

  const usedBy = ({ limits }: ReturnType<typeof limitsOver>) =>
    limits.used.map(({ subject, spent }) => [subject, spent]);

  test('names that hold what parts names do not make two teams one', async () => {
    const test = limitsOver({ budgets: [{ name: 'b', key: '*', usd: 1, period: 'day' }] }, { now: () => NOON });
    const slashed = callerOf({ tenant: 'acme', name: 'eu/prod#1' });
    const nested = callerOf({ tenant: 'acme/eu', name: 'prod#1' });
    const literal = callerOf({ tenant: 'acme%2Feu', name: 'prod#1' });
    for (const caller of [slashed, nested, literal]) {
      expect(await request(test.limits, { usd: 1, entrant: entrantOf({ caller }) })).toBe('ok');
    }
    expect(usedBy(test)).toEqual([
      ['acme/eu%2Fprod%231', 1],
      ['acme%2Feu/prod%231', 1],
      ['acme%252Feu/prod%231', 1],
    ]);
    const manager = callerOf({ tenant: 'acme', scopes: new Set(['manage'] as const) });
    const seenBy = async (team: string) =>
      (await viewsOf(test.limits, null, manager, team)).flatMap(({ use }) => use.map(({ subject }) => subject));
    expect(await seenBy('acme')).toEqual(['acme/eu%2Fprod%231']);
    expect(await seenBy('acme/eu')).toEqual(['acme%2Feu/prod%231']);
    expect(await seenBy('acm')).toEqual([]);
  });

  test.each([
    ['key', { key: 'one' }, {}],
    ['project', { project: 'web' }, { project: 'web' }],
  ])('a %s of the same name in another team has a pot of its own', async (_, whose, more) => {
    const { limits } = limitsOver({ budgets: [{ name: 'b', ...whose, usd: 1, period: 'day' }] }, { now: () => NOON });
    const own = entrantOf({ caller: callerOf(more) });
    const others = entrantOf({ caller: callerOf({ ...more, tenant: 'sales' }) });
    expect(await request(limits, { usd: 1, entrant: others })).toBe('ok');
    expect(await request(limits, { usd: 1, entrant: own })).toBe('ok');
    expect(await request(limits, { usd: 0.1, entrant: own })).toBe('BUDGET_EXCEEDED');
  });

  test('a key that is called like another one’s id is not taken for it', async () => {
    const { limits } = limitsOver(
      { budgets: [{ name: 'b', key: KEY_ID, usd: 1, period: 'day' }] },
      { now: () => NOON },
    );
    const posing = entrantOf({ caller: callerOf({ tenant: 'sales', name: KEY_ID, keyId: 'another' }) });
    expect(await request(limits, { usd: 5, entrant: posing })).toBe('ok');
    const meant = entrantOf({ caller: callerOf({ keyId: KEY_ID }) });
    expect(await request(limits, { usd: 1, entrant: meant })).toBe('ok');
    expect(await request(limits, { usd: 0.1, entrant: meant })).toBe('BUDGET_EXCEEDED');
  });

  test('a tag that a client adds counts against limits of its own team alone', async () => {
    const budget = (name: string, more: object) => ({ name, tag: 'batch', usd: 1, period: 'day', ...more });
    const test = limitsOver(
      { budgets: [budget('all', {}), budget('own', { team: 'search' }), budget('other', { team: 'sales' })] },
      { now: () => NOON },
    );
    const used = () => test.limits.used.map(({ limit, spent }) => [limit, spent]);
    expect(await request(test.limits, { usd: 0.25, entrant: entrantOf({ tags: ['batch'] }) })).toBe('ok');
    expect(used()).toEqual([['config:budget:own', 0.25]]);
    // The same tag of the key itself, right after: what was matched for the one is not taken for the other.
    expect(
      await request(test.limits, { usd: 0.5, entrant: entrantOf({ caller: callerOf({ tags: ['batch'] }) }) }),
    ).toBe('ok');
    expect(used()).toEqual([
      ['config:budget:own', 0.75],
      ['config:budget:all', 0.5],
    ]);
  });

  test('everybody passes where there are no limits, without a header', async () => {
    const { limits } = limitsOver({});
    expect(limits.admit(entrantOf())).toMatchObject({ headers: {}, isSoftened: false });
    expect(await request(limits, { usd: 1000 })).toBe('ok');
  });
});

test('two budgets of one name are refused, and so is a rate that limits nothing', () => {
  const one = { name: 'same', usd: 1 };
  expect(() => limitsOver({ budgets: [one, one] })).toThrow('same name');
  expect(() => limitsOver({ rates: [{ name: 'nothing' }] })).toThrow('requestsPerMinute or tokensPerMinute');
});
