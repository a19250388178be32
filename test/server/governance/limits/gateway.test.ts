/** Limits over HTTP: what clients of each protocol are told, what streams settle, and who may change what. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RoutingError } from '../../../../datasets/index.ts';
import type { SqlStore } from '../../../../server/db/store.ts';
import { LimitReached, soonest } from '../../../../server/governance/limits/refusal.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  sendJson,
  sendStream,
  startSse,
  type TestGateway,
  type Upstream,
  until,
  upstream,
  word,
} from '../../fakes.ts';
import { attemptOf, callerOf, entrantOf, expecting } from './hosts.ts';

/** USD 1 000 and 2 000 per million tokens: the usual answer, 10 tokens in and 5 out, costs 2 cents. */
const models = [candidate('one/a', 1000), candidate('two/b', 500)];
const key = (name: string, tenant: string, more: object = {}) => ({
  name,
  tenant,
  key: `${name}-0123456789abcdef`,
  ...more,
});
const as = (name: string) => ({ authorization: `Bearer ${name}-0123456789abcdef` });

let opened: OpenedStore;
let host: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  // No minute ends in the middle of a test.
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-29T12:00:30Z') });
  opened = await storeKinds.find(({ name }) => name !== 'PostgreSQL')!.open();
  host = await upstream((_, response, body) => {
    if (JSON.stringify(body.messages).includes('hang')) {
      startSse(response);
      response.write(word('some words of an answer that never ends'));
    } else if (body.stream === true) sendStream(response, ['a', 'b', 'c', 'd', 'e']);
    else sendJson(response, completion());
  });
  gateway = await gatewayOver(models, {
    store: opened.store,
    upstreams: { one: host.url, two: host.url },
    config: {
      keys: [
        key('admin', 'ops', { scopes: ['call', 'manage', 'admin', 'usage'] }),
        key('manager', 'search', { scopes: ['call', 'manage', 'usage'] }),
        key('member', 'search'),
        key('few', 'few'),
        key('poor', 'poor'),
        key('soft', 'soft'),
        key('stream', 'stream'),
        key('half', 'half'),
        key('sales', 'sales', { scopes: ['call', 'manage'] }),
        key('out', 'out'),
        key('busy', 'busy'),
      ],
      limits: {
        rates: [
          { name: 'few requests', team: 'few', requestsPerMinute: 2, tokensPerMinute: 100_000 },
          { name: 'busy two', team: 'busy', model: 'two/*', requestsPerMinute: 1 },
        ],
        budgets: [
          { name: 'poor', team: 'poor', usd: 0.05, period: 'day' },
          { name: 'soft', team: 'soft', usd: 1, period: 'day', softShare: 0.01 },
          { name: 'stream', team: 'stream', usd: 100, period: 'day' },
          { name: 'half', team: 'half', usd: 0.5, period: 'day' },
          { name: 'out one', team: 'out', model: 'one/*', usd: 0.01, period: 'month' },
          { name: 'out two', team: 'out', model: 'two/*', usd: 0.01, period: 'day' },
          { name: 'busy one', team: 'busy', model: 'one/*', usd: 0.01, period: 'day' },
        ],
      },
    },
  });
  await gateway.gateway.governance.limits.start();
});
afterAll(async () => {
  await gateway.close();
  await host.close();
  await opened.close();
  vi.useRealTimers();
});

const spentBy = (name: string) =>
  gateway.gateway.governance.limits.used.find(({ limit }) => limit === `config:budget:${name}`);

describe('a client', () => {
  test('is told what is left, and with 429 when to come again, in its own protocol', async () => {
    const first = await chat(gateway.url, hello('one/a'), as('few'));
    expect(first.status).toBe(200);
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d{1,2}s$/);
    expect(first.headers.get('x-ratelimit-limit-tokens')).toBe('100000');
    await chat(gateway.url, hello('one/a'), as('few'));
    const refused = await chat(gateway.url, hello('one/a'), as('few'));
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(await refused.json()).toMatchObject({ error: { type: 'requests', code: 'RATE_LIMITED', param: null } });
    const anthropic = await fetch(`${gateway.url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as('few') },
      body: JSON.stringify(hello('one/a', { max_tokens: 10 })),
    });
    expect(anthropic.status).toBe(429);
    expect(anthropic.headers.get('anthropic-ratelimit-requests-remaining')).toBe('0');
    expect(await anthropic.json()).toMatchObject({ type: 'error', error: { type: 'rate_limit_error' } });
  });

  test('is refused when its budget does not cover the longest answer that it wants', async () => {
    const short = { max_tokens: 5 };
    expect((await chat(gateway.url, hello('one/a', short), as('poor'))).status).toBe(200);
    expect(spentBy('poor')!.spent).toBeCloseTo(0.02, 9);
    const refused = await chat(gateway.url, hello('one/a', short), as('poor'));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(await refused.json()).toMatchObject({ error: { type: 'insufficient_quota', code: 'BUDGET_EXCEEDED' } });
    // Nothing stays set aside for what was refused.
    expect(spentBy('poor')!.reserved).toBe(0);
  });

  test.each([
    ['a field of another protocol', { max_output_tokens: 1 }],
    ['a field that its host may not know', { max_completion_tokens: 1 }],
    ['no number of tokens', { max_tokens: 0.001 }],
  ])('that bounds its answer by %s gets no more of a budget for it', async (_, bound) => {
    const calls = host.requests.length;
    // Nothing is known of the model: 1 000 tokens at 1 USD a thousand, which half a USD does not cover.
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => chat(gateway.url, hello('two/b', bound), as('half'))),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(429));
    expect(host.requests).toHaveLength(calls);
  });

  test.each([-1, 0, 1.5, '128'])('that wants %o answers is told that this is no number of them', async (n) => {
    const response = await chat(gateway.url, hello('one/a', { n }), as('half'));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', param: 'n' } });
  });

  test('under a budget is refused what is paid for later, and told why', async () => {
    const post = (path: string, body: object, who: string) =>
      fetch(`${gateway.url}/v1/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...as(who) },
        body: JSON.stringify(body),
      });
    const later = { model: 'one/a', input: 'hello', max_output_tokens: 16, background: true };
    const refused = await post('responses', later, 'half');
    expect(refused.status).toBe(403);
    const { error } = await jsonOf(refused);
    expect(error.code).toBe('FORBIDDEN');
    expect(error.message).toContain('the budget “half” holds for this key');
    expect(error.message).toContain('without background: true');
    expect(error.message).toContain('limits.allowUnmetered: true');
    expect((await post('responses', { ...later, background: 'yes' }, 'half')).status).toBe(400);
    // Without a budget it is the provider's to do or to refuse: this one has no such file.
    const free = await post('batches', { input_file_id: 'file-1' }, 'member');
    expect(free.status).toBe(404);
  });

  test('that leaves in the middle of a stream has spent what it got, and nothing stays set aside', async () => {
    const leave = new AbortController();
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as('stream') },
      body: JSON.stringify({ model: 'one/a', stream: true, messages: [{ role: 'user', content: 'hang' }] }),
      signal: leave.signal,
    });
    await response.body!.getReader().read();
    const pot = spentBy('stream')!;
    expect(pot.reserved).toBeGreaterThan(0);
    leave.abort();
    await until(() => pot.reserved === 0);
    const attempt = gateway.attempts.at(-1)!;
    expect(attempt.status).toBe('cancelled');
    expect(attempt.costUsd).toBeGreaterThan(0);
    expect(pot.spent).toBe(attempt.costUsd);
  });

  test('of a stream that ends settles what its provider tells', async () => {
    const before = spentBy('stream')!.spent;
    const response = await chat(gateway.url, hello('one/a', { stream: true }), as('stream'));
    await response.text();
    // 10 tokens in, 5 out.
    expect(spentBy('stream')!.spent - before).toBeCloseTo(0.02, 9);
    expect(spentBy('stream')!.reserved).toBe(0);
  });
});

describe('auto, where nothing is left of any model', () => {
  const spend = async (tenant: string, model: string) => {
    const { limits } = gateway.gateway.governance;
    const place = { model, provider: model.slice(0, 3) };
    const account = await limits.reserve(entrantOf({ caller: callerOf({ tenant }) }), expecting(0.01, place));
    account.note(attemptOf(0.01, place));
    account.close();
  };

  test('is told which budget begins anew first, and when', async () => {
    await spend('out', 'one/a');
    expect((await chat(gateway.url, hello('auto', { max_tokens: 1 }), as('out'))).status).toBe(429);
    await spend('out', 'two/b');
    const refused = await chat(gateway.url, hello('auto', { max_tokens: 1 }), as('out'));
    expect(refused.status).toBe(429);
    // From half past noon to midnight, not to the end of the month.
    expect(refused.headers.get('retry-after')).toBe(String(11 * 3600 + 59 * 60 + 30));
    expect(refused.headers.get('x-should-retry')).toBe('false');
    const { error } = await jsonOf(refused);
    expect(error).toMatchObject({ type: 'insufficient_quota', code: 'BUDGET_EXCEEDED' });
    expect(error.message).toBe(
      'nothing is left of any model that auto may choose: budget “out two” is spent; it begins anew at 2026-11-30T00:00:00.000Z',
    );
  });

  test('is told of a rate where that is what lets it in first', async () => {
    await spend('busy', 'one/a');
    await spend('busy', 'two/b');
    const refused = await chat(gateway.url, hello('auto'), as('busy'));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('30');
    expect((await jsonOf(refused)).error).toMatchObject({ type: 'requests', code: 'RATE_LIMITED' });
  });

  test('a platform team sees who was refused and by what, and a team sees its own', async () => {
    await chat(gateway.url, hello('one/a'), as('poor'));
    const seen = async (who: string) =>
      (await jsonOf(fetch(`${gateway.url}/v1/usage/health`, { headers: as(who) }))).refusals;
    const all = await seen('admin');
    expect(Date.parse(all.since)).toBeLessThanOrEqual(Date.now());
    const one = { team: 'poor', key: 'poor', reason: 'budget', by: 'poor' };
    expect(all.counts).toContainEqual(expect.objectContaining(one));
    expect(all.requests).toBeGreaterThan(1);
    expect((await seen('manager')).counts).toEqual([]);
  });

  test('a rule of the policy is the reason only where no limit is', () => {
    const policy = new RoutingError('POLICY_REFUSED', 'rule');
    const reached = (seconds: number) =>
      new LimitReached('BUDGET_EXCEEDED', `in ${seconds}`, {
        type: 'insufficient_quota',
        limit: 'x',
        headers: { 'retry-after': String(seconds) },
      });
    expect(soonest([policy, policy])).toBe(policy);
    expect(soonest([policy, reached(9), reached(3), reached(5)])).toMatchObject({
      code: 'BUDGET_EXCEEDED',
      headers: { 'retry-after': '3' },
    });
    // One is to be had again by now.
    expect(soonest([policy, null])).toBe(null);
    expect(soonest([])).toBe(null);
  });
});

describe('a soft limit', () => {
  test('makes auto route cheaper and says so; what the request asked otherwise counts no more, and a named model stays', async () => {
    const auto = hello('auto', { routing: { budget: 5 } });
    const { holder } = gateway.gateway;
    const real = holder.current;
    const dearFirst = fakeRouter(models);
    const cheapFirst = fakeRouter([...models].reverse());
    const policies: unknown[] = [];
    holder.current = {
      ...real,
      route: (request, options) => {
        policies.push(options?.policy);
        return ((options?.policy?.dial ?? 10) < 5 ? cheapFirst : dearFirst).route(request, options);
      },
    };
    try {
      const before = await chat(gateway.url, auto, as('soft'));
      expect(before.headers.get('x-pointsman-model')).toBe('one/a');
      expect(before.headers.get('x-pointsman-soft-limit')).toBe(null);
      const after = await chat(gateway.url, auto, as('soft'));
      expect(after.headers.get('x-pointsman-model')).toBe('two/b');
      expect(after.headers.get('x-pointsman-soft-limit')).toBe('soft');
      expect(policies).toEqual([{ budget: 5 }, { dial: 2 }]);
      const decided = await jsonOf(
        fetch(`${gateway.url}/v1/route`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...as('soft') },
          body: JSON.stringify(auto),
        }),
      );
      expect(decided.model).toBe('two/b');
      // Its prompt and 1 000 tokens of an answer that nobody bounds, twice as dear as the estimate says.
      expect(decided.limits).toMatchObject({ softLimit: 'soft', refusal: null });
      const dear = await jsonOf(
        fetch(`${gateway.url}/v1/route`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...as('soft') },
          body: JSON.stringify(hello('one/a', { max_tokens: 700 })),
        }),
      );
      const { setAsideUsd, refusal } = dear.limits;
      expect(setAsideUsd).toBeGreaterThan(1.4);
      expect(refusal).toMatchObject({ code: 'BUDGET_EXCEEDED', limit: 'soft', retryAfterSeconds: 12 * 3600 - 30 });
      expect(refusal.message).toContain('this request may cost up to 1.4');
      expect(spentBy('soft')!.reserved).toBe(0);
      const named = await chat(gateway.url, hello('one/a'), as('soft'));
      expect(named.headers.get('x-pointsman-model')).toBe('one/a');
      expect(named.headers.get('x-pointsman-soft-limit')).toBe(null);
    } finally {
      holder.current = real;
    }
  });
});

describe('/v1/admin/limits', () => {
  const send = (method: string, path: string, who: string, body?: unknown) =>
    fetch(`${gateway.url}/v1/admin/limits${path}`, {
      method,
      headers: { ...as(who), ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });

  test('shows what is used, what is left, and when it begins anew', async () => {
    const { limits } = await jsonOf(send('GET', '', 'admin'));
    const stream = limits.find(({ name }: { name: string }) => name === 'stream');
    const today = '2026-11-29';
    expect(stream).toMatchObject({
      kind: 'budget',
      team: 'stream',
      usd: 100,
      madeBy: 'configuration',
      editable: false,
    });
    expect(stream.use).toHaveLength(1);
    const [use] = stream.use;
    expect(use).toMatchObject({ measure: 'usd', subject: null, period: today, cap: 100, reserved: 0 });
    expect(use.used).toBeGreaterThan(0.02);
    expect(use.remaining).toBeCloseTo(100 - use.used, 9);
    expect(new Date(use.endsAt).getTime() % 86_400_000).toBe(0);
    const few = limits.find(({ name }: { name: string }) => name === 'few requests');
    expect(few.use.map(({ measure }: { measure: string }) => measure).sort()).toEqual(['requests', 'tokens']);
  });

  test('a limit that is made holds at once, and is changed and removed', async () => {
    const made = await send('POST', '', 'admin', { kind: 'budget', name: 'new', team: 'sales', usd: 0.01 });
    expect(made.status).toBe(201);
    const { id } = await jsonOf(made);
    expect(made.headers.get('location')).toBe(`/v1/admin/limits/${id}`);
    expect((await chat(gateway.url, hello('one/a'), as('sales'))).status).toBe(429);
    const changed = await jsonOf(send('PATCH', `/${id}`, 'admin', { usd: 50, softShare: 1 }));
    expect(changed).toMatchObject({ id, usd: 50, softShare: 1, softDial: 2, team: 'sales', madeBy: 'admin' });
    expect((await chat(gateway.url, hello('one/a'), as('sales'))).status).toBe(200);
    expect(await jsonOf(send('DELETE', `/${id}`, 'admin'))).toEqual({ id, removed: true });
    expect((await send('DELETE', `/${id}`, 'admin')).status).toBe(404);
    const { entries } = await jsonOf(fetch(`${gateway.url}/v1/admin/audit`, { headers: as('admin') }));
    const ours = entries.filter(({ team }: { team: string }) => team === 'sales').reverse();
    expect(ours.map(({ action, actor }: { action: string; actor: string }) => [action, actor])).toEqual([
      ['budget.create', 'ops/admin'],
      ['budget.update', 'ops/admin'],
      ['budget.remove', 'ops/admin'],
    ]);
    expect(ours[1].details).toMatchObject({ before: { usd: 0.01, softShare: 0.8 }, after: { usd: 50, softShare: 1 } });
  });

  test('a manager makes limits within its team, and changes none of an admin’s', async () => {
    const whole = await send('POST', '', 'manager', { kind: 'budget', name: 'mine', usd: 5 });
    expect(whole.status).toBe(403);
    expect(
      (await send('POST', '', 'manager', { kind: 'budget', name: 'x', team: 'sales', key: 'k', usd: 5 })).status,
    ).toBe(404);
    expect((await send('POST', '', 'manager', { kind: 'budget', name: 'x', team: '*', key: 'k', usd: 5 })).status).toBe(
      404,
    );
    const own = await jsonOf(
      send('POST', '', 'manager', { kind: 'rate', name: 'mine', key: 'member', requestsPerMinute: 9 }),
    );
    expect(own).toMatchObject({ team: 'search', key: 'member', madeBy: 'manager', editable: true });
    expect((await send('PATCH', `/${own.id}`, 'manager', { requestsPerMinute: 8 })).status).toBe(200);
    const admins = await jsonOf(send('POST', '', 'admin', { kind: 'budget', name: 'team', team: 'search', usd: 5 }));
    expect((await send('PATCH', `/${admins.id}`, 'manager', { usd: 500 })).status).toBe(403);
    expect((await send('DELETE', `/${admins.id}`, 'manager')).status).toBe(403);
    // To another team none of it is there.
    expect((await send('PATCH', `/${own.id}`, 'sales', { requestsPerMinute: 8 })).status).toBe(404);
    expect((await send('GET', '?team=search', 'sales')).status).toBe(404);
    const names = async (who: string) =>
      (await jsonOf(send('GET', '', who))).limits.map(({ name }: { name: string }) => name).sort();
    expect(await names('manager')).toEqual(['mine', 'team']);
    expect(await names('sales')).toEqual([]);
    expect((await send('GET', '', 'member')).status).toBe(403);
    expect((await send('POST', '', 'member', { kind: 'budget', name: 'x', key: 'k', usd: 5 })).status).toBe(403);
  });

  test('a team sees its own part of what counts each team by itself', async () => {
    await send('POST', '', 'admin', { kind: 'budget', name: 'each', team: '*', usd: 5 });
    for (const who of ['sales', 'stream']) await chat(gateway.url, hello('one/a', { max_tokens: 5 }), as(who));
    const each = async (who: string) =>
      (await jsonOf(send('GET', '', who))).limits
        .find(({ name }: { name: string }) => name === 'each')
        .use.map(({ subject }: { subject: string }) => subject)
        .sort();
    expect(await each('admin')).toEqual(expect.arrayContaining(['sales', 'stream']));
    expect(await each('sales')).toEqual(['sales']);
  });

  test.each([
    ['nothing', undefined, 'missing'],
    ['no kind', { name: 'x', usd: 1 }, 'kind'],
    ['no amount', { kind: 'budget', name: 'x' }, 'usd'],
    ['a negative amount', { kind: 'budget', name: 'x', usd: -1 }, 'usd'],
    ['an amount in words', { kind: 'budget', name: 'x', usd: '5' }, 'usd'],
    ['a field that is not there', { kind: 'budget', name: 'x', usd: 1, daily: true }, 'daily'],
    ['a period that is not counted', { kind: 'budget', name: 'x', usd: 1, period: 'year' }, 'period'],
    ['a rate of nothing', { kind: 'rate', name: 'x' }, 'requestsPerMinute'],
    ['half a request', { kind: 'rate', name: 'x', requestsPerMinute: 0.5 }, 'requestsPerMinute'],
    ['a name of any length', { kind: 'budget', name: 'x'.repeat(201), usd: 1 }, 'name'],
  ])('refuses %s, naming the field', async (_, body, field) => {
    const response = await send('POST', '', 'admin', body);
    expect(response.status).toBe(400);
    const { error } = await jsonOf(response);
    expect(error.code).toBe('INVALID_REQUEST');
    expect(error.message).toContain(field);
  });

  test('refuses a name that is taken, and to change what the configuration says', async () => {
    const twice = { kind: 'budget', name: 'twice', usd: 1, tag: 'never' };
    const { id } = await jsonOf(send('POST', '', 'admin', twice));
    expect((await send('POST', '', 'admin', twice)).status).toBe(409);
    const inFile = encodeURIComponent('config:budget:stream');
    expect((await send('PATCH', `/${inFile}`, 'admin', { usd: 1 })).status).toBe(409);
    expect((await send('DELETE', `/${inFile}`, 'admin')).status).toBe(409);
    expect((await send('PATCH', `/${id}`, 'admin', { team: 'search' })).status).toBe(400);
    expect((await send('PATCH', `/${id}`, 'admin', { requestsPerMinute: 5 })).status).toBe(400);
  });
});

test('is not asked for where there is no database: the configuration’s limits hold all the same', async () => {
  const alone = await gatewayOver(models, {
    upstreams: { one: host.url },
    config: { limits: { rates: [{ name: 'one', requestsPerMinute: 1 }] } },
  });
  try {
    expect((await chat(alone.url, hello('one/a'))).status).toBe(200);
    expect((await chat(alone.url, hello('one/a'))).status).toBe(429);
    const { limits } = await jsonOf(fetch(`${alone.url}/v1/admin/limits`));
    expect(limits[0]).toMatchObject({ name: 'one', use: [{ measure: 'requests', used: 1, cap: 1, remaining: 0 }] });
  } finally {
    await alone.close();
  }
});

test('what was spent is in the database', async () => {
  await gateway.gateway.governance.limits.look();
  const rows = await (opened.store as SqlStore).db.execute(
    "select used from limit_use where limit_id = 'config:budget:stream'",
  );
  expect(Number((rows as unknown as { used: unknown }[])[0]!.used)).toBeCloseTo(spentBy('stream')!.spent, 9);
});
