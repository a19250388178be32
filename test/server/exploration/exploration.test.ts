/** Exploration in the gateway: who may be used for it, what it may cost, and what the record says of each choice. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Decision } from '../../../router/decision.ts';
import { decide } from '../../../router/policy/decide.ts';
import { Policy } from '../../../router/policy/policy.ts';
import type { Router } from '../../../router/router.ts';
import { ExplorationConfig } from '../../../server/config/loop-schema.ts';
import { Spending } from '../../../server/db/spending.ts';
import { Exploration } from '../../../server/exploration/exploration.ts';
import { NO_RULES } from '../../../server/governance/policies/rules.ts';
import type { PinStore } from '../../../server/sessions.ts';
import { teamOf } from '../../../server/teams.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  type Script,
  sendJson,
  type TestGateway,
  upstream,
} from '../fakes.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

// $1 and $2, $10 and $20 a million tokens.
const cheap = candidate('one/cheap', 1);
const dear = candidate('two/dear', 10);
const models = [cheap, dear];

/** Forecasts both alike and decides by the rule; `draw` is what the next request draws. */
function drawing(exploration = 0.4): { router: Router; state: { draw: number } } {
  const fake = fakeRouter(models);
  const state = { draw: 0 };
  const policy = Policy.parse({ tolerance: 0.02, exploration });
  const router: Router = {
    ...fake,
    policy,
    async route(request, options = {}) {
      const base = await fake.route(request, options);
      const predictions = base.ranked.map((one) => ({
        candidate: models.find(({ id }) => id === one.model)!,
        like: one.like,
        quality: 0.8,
        qualitySd: 0.05,
        meanQuality: 0.8,
        outputTokens: 100,
      }));
      const critical = options.critical === true;
      const { session, explore } = options;
      return { ...base, ...decide(predictions, base.facts, policy, 0, state.draw, { critical, session, explore }) };
    },
  };
  return { router, state };
}

const answering: Script = (_, response) => sendJson(response, completion());

async function start(
  options: { exploration?: number; config?: object; pins?: PinStore; one?: Script; two?: Script } = {},
): Promise<TestGateway & { state: { draw: number } }> {
  const { router, state } = drawing(options.exploration);
  const [one, two] = await Promise.all([upstream(options.one ?? answering), upstream(options.two ?? answering)]);
  const gateway = await gatewayOver(models, {
    holder: { current: router },
    upstreams: { one: one.url, two: two.url },
    config: { retry: { retries: 0 }, ...options.config },
    pins: options.pins,
  });
  cleanUps.push(one.close, two.close, gateway.close);
  return { ...gateway, state };
}

const KEY = 'a-key-of-at-least-16-characters';
const withKey = { authorization: `Bearer ${KEY}` };
/** Everything drawn from here on is explored: 0.2 of the mass is the dear one's. */
const EXPLORES = 0.9;

describe('a record says that its choice was left to chance', () => {
  test('where exploration was in force, whatever was drawn', async () => {
    const gateway = await start();
    for (const draw of [0, EXPLORES]) {
      gateway.state.draw = draw;
      expect((await chat(gateway.url, hello('auto'))).status).toBe(200);
    }
    expect(gateway.decisions).toMatchObject([
      { explorable: true, explored: false, model: 'one/cheap' },
      { explorable: true, explored: true, model: 'two/dear', reason: 'explored' },
    ]);
    // 0.6 + 0.4 / 2 and 0.4 / 2, bit for bit as they were drawn from.
    expect(gateway.decisions[0]!.propensity).toBeCloseTo(0.8, 12);
    expect(gateway.decisions[1]!.propensity).toBe(gateway.decisions[1]!.distribution[0]!.probability);
    expect(gateway.decisions[1]!.propensity).toBeCloseTo(0.2, 12);
  });

  test.each<[string, Parameters<typeof start>[0], object, Record<string, string>]>([
    ['a request that is critical', {}, { routing: { critical: true } }, {}],
    ['a policy that explores nothing', { exploration: 0 }, {}, {}],
    ['a team that did not allow it', { config: { keys: [{ name: 'k', key: KEY, tenant: 'shy' }] } }, {}, withKey],
    [
      'another team’s leave',
      { config: { keys: [{ name: 'k', key: KEY, tenant: 'shy' }], teams: { bold: { exploration: true } } } },
      {},
      withKey,
    ],
    [
      'a key that may use one model',
      {
        config: {
          keys: [{ name: 'k', key: KEY, models: ['auto', 'one/*'] }],
          teams: { default: { exploration: true } },
        },
      },
      {},
      withKey,
    ],
  ])('but not with %s', async (_, options, more, headers) => {
    const gateway = await start(options);
    gateway.state.draw = EXPLORES;
    expect((await chat(gateway.url, hello('auto', more), headers)).status).toBe(200);
    expect(gateway.decisions).toMatchObject([
      { explorable: false, explored: false, model: 'one/cheap', propensity: 1 },
    ]);
  });

  test('for a team that allowed it', async () => {
    const config = { keys: [{ name: 'k', key: KEY, tenant: 'bold' }], teams: { bold: { exploration: true } } };
    const gateway = await start({ config });
    await chat(gateway.url, hello('auto'), withKey);
    expect(gateway.decisions).toMatchObject([{ explorable: true, tenant: 'bold' }]);
  });

  test('on the first turn of a conversation alone', async () => {
    const gateway = await start();
    const routing = { session: 'conversation-1' };
    gateway.state.draw = EXPLORES;
    for (let turn = 0; turn < 3; turn++) await chat(gateway.url, hello('auto', { routing }));
    expect(gateway.decisions.map(({ explorable }) => explorable)).toEqual([true, false, false]);
    expect(gateway.decisions.map(({ explored }) => explored)).toEqual([true, false, false]);
  });

  test('unless another replica had drawn for the conversation', async () => {
    const pins: PinStore = {
      shared: true,
      read: async () => null,
      claim: async (_, __, pin) => ({ ...pin, model: 'one/cheap' }),
      move: async () => {},
    };
    const gateway = await start({ pins, config: { exploration: { budgetUsdPerDay: 1 } } });
    gateway.state.draw = EXPLORES;
    await chat(gateway.url, hello('auto', { routing: { session: 'conversation-2' } }));
    expect(gateway.decisions).toMatchObject([
      { model: 'one/cheap', reason: 'pinned', propensity: 1, explored: false, explorable: false },
    ]);
    // What was not acted upon has cost nothing.
    expect(gateway.gateway.spending.today('exploration')).toBe(0);
  });

  test('and nothing of the kind where the client named the model', async () => {
    const gateway = await start();
    await chat(gateway.url, hello('two/dear'));
    expect(gateway.decisions[0]).toMatchObject({ routed: false, propensity: 1, explorable: false });
  });
});

describe('what was drawn stays on record, beside who answered', () => {
  test('when the call fails and the next candidate answers', async () => {
    const gateway = await start({ two: (_, response) => sendJson(response, { error: { message: 'down' } }, 500) });
    gateway.state.draw = EXPLORES;
    const response = await chat(gateway.url, hello('auto'));
    expect(response.status).toBe(200);
    expect(response.headers.get('x-pointsman-model')).toBe('one/cheap');
    const [record] = gateway.decisions;
    expect(record).toMatchObject({ model: 'two/dear', executedModel: 'one/cheap', explored: true, explorable: true });
    expect(record!.propensity).toBeCloseTo(0.2, 12);
    expect(record!.distribution[0]).toEqual({ model: 'two/dear', probability: record!.propensity });
  });

  test('when the answer fails its check and another model’s takes its place', async () => {
    const config = { escalation: { enabled: true } };
    const answer =
      (text: string): Script =>
      (_, response) =>
        sendJson(response, completion(text));
    // Escalation goes up in predicted quality: here to the one that is forecast better.
    const gateway = await start({ config, one: answer('no JSON'), two: answer('{"city":"Rome"}') });
    const { router } = drawing();
    gateway.gateway.holder.current = {
      ...router,
      async route(request, options) {
        const d = await router.route(request, options);
        return { ...d, ranked: d.ranked.map((one, i) => ({ ...one, quality: 0.8 + i / 10 })) };
      },
    };
    const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
    const wants = { response_format: { type: 'json_schema', json_schema: { name: 'city', schema } } };
    const response = await chat(gateway.url, hello('auto', wants));
    expect((await jsonOf(response)).choices[0].message.content).toBe('{"city":"Rome"}');
    const [record] = gateway.decisions;
    expect(record).toMatchObject({ model: 'one/cheap', executedModel: 'two/dear', explorable: true });
    expect(record!.propensity).toBeCloseTo(0.8, 12);
  });
});

describe('the budget of a day', () => {
  const EXTRA = (10 * 10 + 100 * 20 - (10 * 1 + 100 * 2)) / 1e6;

  test('is spent by what is drawn beyond the best guess, and ends exploring', async () => {
    // Two draws of the dear one cost more than that, one does not.
    const gateway = await start({ config: { exploration: { budgetUsdPerDay: 1.5 * EXTRA } } });
    gateway.state.draw = EXPLORES;
    for (let i = 0; i < 4; i++) await chat(gateway.url, hello('auto'));
    expect(gateway.decisions.map(({ explored }) => explored)).toEqual([true, true, false, false]);
    expect(gateway.decisions.map(({ explorable }) => explorable)).toEqual([true, true, false, false]);
    expect(gateway.decisions[3]!.propensity).toBe(1);
    const [first] = gateway.decisions;
    const [drawn, guessed] = first!.ranked;
    expect(gateway.gateway.spending.today('exploration')).toBeCloseTo(2 * (drawn!.costUsd - guessed!.costUsd), 12);
  });

  test('is not spent by a question for a decision, nor by best guesses', async () => {
    const gateway = await start();
    await chat(gateway.url, hello('auto'));
    gateway.state.draw = EXPLORES;
    const asked = await gateway.app.inject({ method: 'POST', url: '/v1/route', payload: hello('auto') });
    expect(asked.json()).toMatchObject({ explored: true });
    expect(gateway.gateway.spending.today('exploration')).toBe(0);
  });

  const team = teamOf(
    {
      config: {
        teams: { t: { exploration: true, canary: true, protected: false } },
        privacy: { mode: 'facts', retentionDays: null, embeddingDays: null, textDays: null },
      },
      areAsked: false,
    },
    't',
  );
  const explorationOf = (config: object) => {
    const spending = new Spending(null);
    return {
      spending,
      exploration: new Exploration({ config: { exploration: ExplorationConfig.parse(config) }, spending }),
    };
  };
  const drawn = (costUsd: number, guessUsd: number, explored = true) =>
    ({
      explored,
      model: 'a',
      ranked: [
        { model: 'a', costUsd },
        { model: 'b', costUsd: guessUsd },
      ],
    }) as unknown as Decision;

  test('without a limit is never spent', () => {
    const { spending, exploration } = explorationOf({});
    spending.add('exploration', 1e9);
    expect(exploration.allows(team)).toBe(true);
  });

  test('counts only what is dearer: a cheaper try gives nothing back', () => {
    const { spending, exploration } = explorationOf({ budgetUsdPerDay: 1 });
    exploration.note(drawn(0.75, 0.25));
    exploration.note(drawn(0.1, 0.9));
    exploration.note(drawn(5, 0, false));
    expect(spending.today('exploration')).toBe(0.5);
    expect(exploration.routeOptions(team, NO_RULES)).toEqual({ explore: true });
    exploration.note(drawn(1, 0.5));
    expect(exploration.allows(team)).toBe(false);
    expect(exploration.routeOptions(team, NO_RULES)).toEqual({ explore: false });
  });

  test('is not that of audits', () => {
    const { spending, exploration } = explorationOf({ budgetUsdPerDay: 1 });
    spending.add('audit', 5);
    expect(exploration.allows(team)).toBe(true);
  });
});
