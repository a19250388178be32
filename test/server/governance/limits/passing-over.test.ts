/** `auto` where little, but not nothing, is left of a model's own limit: another one is chosen, in every protocol. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
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
  type TestGateway,
  type Upstream,
  until,
  upstream,
} from '../../fakes.ts';
import { attemptOf, callerOf, entrantOf, expecting } from './hosts.ts';

/** USD 1 000, 500 and 100 per million tokens: an answer of 10 tokens in and 5 out costs 2, 1 and 0.2 cents at least. */
const models = [candidate('one/a', 1000), candidate('two/b', 500), candidate('two/c', 100)];
const TEAMS = ['sliver', 'stream', 'claude', 'rate', 'tokens', 'all', 'general', 'told', 'late', 'odds', 'small'];
const as = (name: string) => ({ authorization: `Bearer ${name}-0123456789abcdef` });
const sliver = (team: string, more: object = {}) => ({ name: team, team, model: 'one/*', usd: 0.00001, ...more });

/** Draws the second of two at even odds where it may explore, as {@link odds} says. */
const odds = { of: [1, 0, 0], at: 0 };
let opened: OpenedStore;
let host: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  // No minute ends in the middle of a test.
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-29T12:00:30Z') });
  opened = await storeKinds.find(({ name }) => name !== 'PostgreSQL')!.open();
  host = await upstream((_, response, body) => {
    if (body.stream === true) sendStream(response, ['a', 'b', 'c', 'd', 'e']);
    else sendJson(response, completion());
  });
  const fake = fakeRouter(models);
  gateway = await gatewayOver(models, {
    store: opened.store,
    upstreams: { one: host.url, two: host.url },
    holder: {
      current: {
        ...fake,
        async route(request, options) {
          const decision = await fake.route(request, options);
          if (options?.explore !== true || odds.at === 0) return decision;
          const [first, second, ...rest] = decision.ranked;
          return {
            ...decision,
            ranked: [second!, first!, ...rest],
            model: second!.model,
            distribution: [0.5, 0.5, ...rest.map(() => 0)],
            propensity: 0.5,
            explored: true,
            explorable: true,
          };
        },
      },
    },
    config: {
      teams: { odds: { exploration: true }, small: { exploration: true } },
      keys: TEAMS.map((name) => ({ name, tenant: name, key: `${name}-0123456789abcdef` })),
      limits: {
        rates: [
          { name: 'rate', team: 'rate', model: 'one/*', requestsPerMinute: 1 },
          { name: 'tokens', team: 'tokens', model: 'one/*', tokensPerMinute: 60 },
        ],
        budgets: [
          sliver('sliver'),
          sliver('stream'),
          sliver('claude'),
          sliver('told'),
          sliver('late'),
          sliver('odds'),
          sliver('all', { period: 'month' }),
          { name: 'all two', team: 'all', model: 'two/*', usd: 0.00001, period: 'day' },
          { name: 'general', team: 'general', usd: 0.00001 },
          // Enough for the cheapest of the two.
          { name: 'small two', team: 'small', provider: 'two', usd: 0.03 },
          sliver('small'),
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

/** The decision of an answer, as it is kept. */
async function kept(response: Response) {
  const id = response.headers.get('x-pointsman-decision-id')!;
  const found = () => gateway.decisions.find((decision) => decision.id === id);
  await until(() => found() !== undefined);
  return found()!;
}

describe('auto, where less is left of a model’s own budget than the request may cost', () => {
  test('takes the next choice, and says why not the first; a named model is refused as ever', async () => {
    const response = await chat(gateway.url, hello('auto'), as('sliver'));
    expect(response.status).toBe(200);
    const decision = await kept(response);
    expect(decision).toMatchObject({ model: 'two/b', executedModel: 'two/b', propensity: 1 });
    expect(decision.filtered).toEqual([{ model: 'one/a', reason: 'limit' }]);
    expect(decision.distribution.map(({ model }) => model)).toEqual(['two/b', 'two/c']);
    const named = await chat(gateway.url, hello('one/a'), as('sliver'));
    expect(named.status).toBe(429);
    expect((await jsonOf(named)).error.message).toMatch(
      /^this request may cost up to .* more than all of budget “sliver”/,
    );
  });

  test('does so streaming, and for a client of Anthropic’s protocol', async () => {
    const streamed = await chat(gateway.url, hello('auto', { stream: true }), as('stream'));
    expect(streamed.status).toBe(200);
    expect(await streamed.text()).toContain('[DONE]');
    expect((await kept(streamed)).executedModel).toBe('two/b');
    const message = await fetch(`${gateway.url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as('claude') },
      body: JSON.stringify(hello('auto', { max_tokens: 10 })),
    });
    expect(message.status).toBe(200);
    expect(await jsonOf(message)).toMatchObject({ type: 'message', model: 'two/b' });
  });

  test('goes on to what fits, of two models of one budget to the cheaper', async () => {
    const response = await chat(gateway.url, hello('auto', { max_tokens: 100 }), as('small'));
    expect(response.status).toBe(200);
    const { executedModel, filtered } = await kept(response);
    expect(executedModel).toBe('two/c');
    expect(filtered).toEqual([
      { model: 'one/a', reason: 'limit' },
      { model: 'two/b', reason: 'limit' },
    ]);
  });

  test('so it is with requests a minute and with tokens a minute of the model', async () => {
    const answeredBy = async (team: string) =>
      (await kept(await chat(gateway.url, hello('auto', { max_tokens: 40 }), as(team)))).executedModel;
    expect(await answeredBy('rate')).toBe('one/a');
    expect(await answeredBy('rate')).toBe('two/b');
    const { limits } = gateway.gateway.governance;
    const place = { model: 'one/a', provider: 'one' };
    const account = await limits.reserve(entrantOf({ caller: callerOf({ tenant: 'tokens' }) }), expecting(0.01, place));
    account.note({ ...attemptOf(0.01, place), inputTokens: 50, outputTokens: 5 });
    account.close();
    expect(await answeredBy('tokens')).toBe('two/b');
  });

  test('is refused only where nothing is left, until the limit that has something again first', async () => {
    const refused = await chat(gateway.url, hello('auto'), as('all'));
    expect(refused.status).toBe(429);
    // To midnight, not to the end of the month.
    expect(refused.headers.get('retry-after')).toBe(String(11 * 3600 + 59 * 60 + 30));
    const { error } = await jsonOf(refused);
    expect(error).toMatchObject({ type: 'insufficient_quota', code: 'BUDGET_EXCEEDED' });
    expect(error.message).toMatch(/^nothing is left of any model that auto may choose: .*“all two”/);
    const general = await chat(gateway.url, hello('auto'), as('general'));
    expect((await jsonOf(general)).error.message).toMatch(/^this request may cost/);
  });

  test('/v1/route tells the same', async () => {
    const told = await fetch(`${gateway.url}/v1/route`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as('told') },
      body: JSON.stringify(hello('auto')),
    });
    expect(told.status).toBe(200);
    expect(await jsonOf(told)).toMatchObject({
      model: 'two/b',
      filtered: [{ model: 'one/a', reason: 'limit' }],
      limits: { refusal: null },
    });
  });

  test('probabilities are those of what could be drawn, whichever was', async () => {
    odds.at = 1;
    // The second would have been drawn, and one/a, which is out, could have been.
    const decision = await kept(await chat(gateway.url, hello('auto'), as('odds')));
    odds.at = 0;
    expect(decision).toMatchObject({ model: 'two/c', explorable: true, propensity: 0.5 });
    expect(decision.distribution).toEqual([
      { model: 'two/c', probability: 0.5 },
      { model: 'two/b', probability: 0.5 },
    ]);
  });

  test('what is known only when it is set aside is passed over, too, and then nothing is explored', async () => {
    const { limits } = gateway.gateway.governance;
    vi.spyOn(limits, 'foreseeAt').mockReturnValue(null);
    odds.at = 1;
    const response = await chat(gateway.url, hello('auto', { max_tokens: 100 }), as('small'));
    odds.at = 0;
    vi.mocked(limits.foreseeAt).mockRestore();
    expect(response.status).toBe(200);
    const decision = await kept(response);
    expect(decision.model).toBe('two/c');
    expect(decision.explorable).toBe(false);
    expect(decision.propensity).toBe(1);
    expect(decision.filtered.map(({ model }) => model)).toEqual(['one/a', 'two/b']);
  });
});

test('what a request has set aside itself uses nothing up for it', async () => {
  const keys = [{ name: 'own', tenant: 'own', key: 'own-0123456789abcdef' }];
  const limits = {
    budgets: [{ name: 'spent', model: 'one/a', usd: 0.02 }],
    rates: [{ name: 'little', model: 'two/b', requestsPerMinute: 1 }],
  };
  const other = await gatewayOver(models, { upstreams: { one: host.url, two: host.url }, config: { keys, limits } });
  try {
    const ask = async (model: string) => {
      const response = await fetch(`${other.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...as('own'), 'content-type': 'application/json' },
        body: JSON.stringify({ model, max_tokens: 1, messages: [{ role: 'user', content: 'x' }] }),
      });
      await response.text();
      return [response.status, response.headers.get('x-pointsman-model')];
    };
    expect(await ask('one/a')).toEqual([200, 'one/a']);
    expect([await ask('auto'), await ask('auto')]).toEqual([
      [200, 'two/b'],
      [200, 'two/c'],
    ]);
  } finally {
    await other.app.close();
  }
});
