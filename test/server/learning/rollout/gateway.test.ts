/** A gateway with a router beside the one in force: who decides, what is written down, and that no request suffers. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Router } from '../../../../router/router.ts';
import type { DecisionRecord } from '../../../../server/db/store.ts';
import type { Trial } from '../../../../server/learning/rollout/trials.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  sendJson,
  type TestGateway,
  type Upstream,
  upstream,
} from '../../fakes.ts';

const models = [candidate('one/old'), candidate('one/new')];
const inForce = fakeRouter(models, 'in-force');
const beside = fakeRouter(models.toReversed(), 'beside');
const broken: Router = {
  ...beside,
  route: async () => {
    throw Object.assign(new Error('no'), { code: 'ARTIFACT_DAMAGED' });
  },
};

let host: Upstream;
const cleanUps: (() => Promise<void>)[] = [];
beforeAll(async () => {
  host = await upstream((_, response) => sendJson(response, completion()));
});
afterAll(() => host.close());
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

async function gatewayWith(trial: Partial<Trial>, config: object = {}): Promise<TestGateway> {
  const gateway = await gatewayOver(models, {
    holder: { current: inForce },
    upstreams: { one: host.url },
    config,
  });
  cleanUps.push(gateway.close);
  gateway.gateway.trials.current = {
    ordinal: 7,
    kind: 'canary',
    terms: { artifact: 'beside', share: 0.5, teams: [] },
    router: beside,
    ...trial,
  };
  return gateway;
}

const talk = async ({ url, decisions }: TestGateway, session: string): Promise<DecisionRecord> => {
  const response = await chat(url, hello('auto'), { 'x-session-id': session });
  expect(response.status).toBe(200);
  await response.text();
  return decisions.at(-1)!;
};

const talks = async (gateway: TestGateway, count: number): Promise<DecisionRecord[]> => {
  const records: DecisionRecord[] = [];
  for (let i = 0; i < count; i++) records.push(await talk(gateway, `session-${i}`));
  return records;
};

describe('a canary', () => {
  test('decides its share of the conversations, and each record says which side it was on and how likely', async () => {
    const gateway = await gatewayWith({ terms: { artifact: 'beside', share: 0.25, teams: [] } });
    const records = await talks(gateway, 60);
    const sides = records.map(({ trial, arm, armProbability, artifact, model }) => ({
      trial,
      arm,
      armProbability,
      artifact,
      model,
    }));
    const candidates = sides.filter(({ arm }) => arm === 'candidate');
    // 60 draws at 0.25, by a hash of names that do not change: 15 are expected.
    expect(candidates.length).toBeGreaterThan(5);
    expect(candidates.length).toBeLessThan(28);
    for (const side of sides) {
      expect(side).toEqual(
        side.arm === 'candidate'
          ? { trial: 7, arm: 'candidate', armProbability: 0.25, artifact: 'beside', model: 'one/new' }
          : { trial: 7, arm: 'incumbent', armProbability: 0.75, artifact: 'in-force', model: 'one/old' },
      );
    }
    const units = new Set(records.map(({ facts }) => (facts as { trialUnit: string }).trialUnit));
    expect(units.size).toBe(60);
  });

  test('has all turns of a conversation on one side, also when its share grows', async () => {
    const gateway = await gatewayWith({});
    const first = await talks(gateway, 12);
    const again = await talks(gateway, 12);
    expect(again.map(({ arm, facts }) => [arm, (facts as { trialUnit: string }).trialUnit])).toEqual(
      first.map(({ arm, facts }) => [arm, (facts as { trialUnit: string }).trialUnit]),
    );
    const { trials } = gateway.gateway;
    trials.current = { ...trials.current!, terms: { artifact: 'beside', share: 0.9, teams: [] } };
    const grown = await talks(gateway, 12);
    first.forEach(({ arm }, i) => {
      if (arm === 'candidate') expect(grown[i]!.arm).toBe('candidate');
    });
  });

  test('leaves alone teams that do not take part, or were not asked to', async () => {
    const refuses = await gatewayWith(
      { terms: { artifact: 'beside', share: 1, teams: [] } },
      { teams: { default: { canary: false } } },
    );
    expect(await talk(refuses, 's')).toMatchObject({
      artifact: 'in-force',
      trial: null,
      arm: null,
      armProbability: null,
    });
    const others = await gatewayWith({ terms: { artifact: 'beside', share: 1, teams: ['red'] } });
    expect(await talk(others, 's')).toMatchObject({ artifact: 'in-force', trial: null });
    const ours = await gatewayWith({ terms: { artifact: 'beside', share: 1, teams: ['default'] } });
    expect(await talk(ours, 's')).toMatchObject({ artifact: 'beside', trial: 7 });
  });

  test('whose router fails costs no request: the one in force decides, and the failure counts against the trial', async () => {
    const gateway = await gatewayWith({ router: broken });
    const records = await talks(gateway, 12);
    const drawn = records.filter(({ arm }) => arm === 'candidate').length;
    expect(drawn).toBeGreaterThan(0);
    expect(records.every(({ artifact, model }) => artifact === 'in-force' && model === 'one/old')).toBe(true);
    expect(gateway.gateway.trials.failures(7)).toMatchObject({ count: drawn, code: 'ARTIFACT_DAMAGED' });
    expect(gateway.gateway.trials.failures(8)).toMatchObject({ count: 0 });
  });

  test('is not blamed for a request that nobody can serve', async () => {
    const gateway = await gatewayWith({ terms: { artifact: 'beside', share: 1, teams: [] } });
    const body = { ...hello('auto'), routing: { models: ['one/none'] } };
    const response = await chat(gateway.url, body);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(gateway.gateway.trials.failures(7).count).toBe(0);
  });
});

test('in a watch the router in force is the one on trial, and the one before has what is held back', async () => {
  const gateway = await gatewayWith({ kind: 'watch', terms: { artifact: 'in-force', share: 0.75, teams: [] } });
  const records = await talks(gateway, 40);
  for (const { arm, artifact, armProbability } of records) {
    expect([artifact, armProbability]).toEqual(arm === 'candidate' ? ['in-force', 0.75] : ['beside', 0.25]);
  }
  expect(records.some(({ arm }) => arm === 'incumbent')).toBe(true);
  expect(records.some(({ arm }) => arm === 'candidate')).toBe(true);
});

describe('a shadow', () => {
  const inShadow = { kind: 'shadow', terms: { artifact: 'beside', share: 0, teams: [] } } as const;

  test('decides beside, and nothing of it reaches the answer', async () => {
    const gateway = await gatewayWith(inShadow);
    const record = await talk(gateway, 's');
    expect(record).toMatchObject({ artifact: 'in-force', model: 'one/old', trial: 7, arm: null, armProbability: null });
    expect(record.shadow).toMatchObject({
      model: 'one/new',
      artifact: 'beside',
      propensity: 1,
      chosen: { quality: 0.9 },
      named: { quality: 0.89 },
      routerMs: expect.any(Number),
    });
    expect((record.facts as { trialUnit?: string }).trialUnit).toBeUndefined();
  });

  test('does not where the client names a model', async () => {
    const gateway = await gatewayWith(inShadow);
    const named = await chat(gateway.url, hello('one/old'));
    await named.text();
    expect(gateway.decisions.at(-1)).toMatchObject({ routed: false });
    expect(gateway.decisions.at(-1)!.shadow ?? null).toBeNull();
    expect(gateway.decisions.at(-1)!.trial ?? null).toBeNull();
  });

  test('that fails or never ends costs nothing but its own record', async () => {
    const failing = await gatewayWith({ ...inShadow, router: broken });
    expect(await talk(failing, 's')).toMatchObject({ model: 'one/old', trial: 7 });
    expect(failing.decisions.at(-1)!.shadow ?? null).toBeNull();
    expect(failing.gateway.trials.failures(7)).toMatchObject({ count: 1, code: 'ARTIFACT_DAMAGED' });
    const never: Router = { ...beside, route: () => new Promise(() => {}) };
    const hanging = await gatewayWith({ ...inShadow, router: never });
    expect(await talk(hanging, 's')).toMatchObject({ model: 'one/old', trial: 7 });
    expect(hanging.decisions.at(-1)!.shadow ?? null).toBeNull();
    expect(hanging.gateway.trials.failures(7).count).toBe(0);
  });

  test('is on record, too, where no model answers', async () => {
    const gateway = await gatewayOver(models, {
      holder: { current: inForce },
      upstreams: { one: 'http://127.0.0.1:9/v1' },
    });
    cleanUps.push(gateway.close);
    gateway.gateway.trials.current = { ordinal: 7, router: beside, ...inShadow };
    const response = await chat(gateway.url, hello('auto'));
    expect((await jsonOf(response)).error).toBeDefined();
    expect(gateway.decisions.at(-1)).toMatchObject({ executedModel: null, shadow: { model: 'one/new' } });
  });
});
