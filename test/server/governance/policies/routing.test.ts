/** What a policy makes of `auto`: the real router keeps the reason, and nothing is left to chance where a rule or a team says so. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readCatalog } from '../../../../datasets/catalog/catalog.ts';
import { Router } from '../../../../router/index.ts';
import type { RouteOptions } from '../../../../router/router.ts';
import { ANYBODY, type Caller } from '../../../../server/callers.ts';
import { compilePolicy } from '../../../../server/governance/policies/compile.ts';
import { readPolicyText } from '../../../../server/governance/policies/document.ts';
import { chat, gatewayOver, hello, type TestGateway } from '../../fakes.ts';

let router: Router;
beforeAll(async () => {
  router = await Router.load({ policy: { exploration: 0.5 } });
});
afterAll(() => router.close());

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Nobody's request under these rules. */
function under(rules: string): Caller {
  const { document, problems } = readPolicyText(`version: 1\nrules:\n${rules}`);
  if (document === null) throw new Error(problems.join('\n'));
  const subject = { team: 'default', project: null, key: null, tags: [], added: [], surface: 'chat' };
  return { ...ANYBODY, rules: compilePolicy(document, 3).rulesFor(subject) };
}

async function gatewayOf(config: object = {}): Promise<TestGateway> {
  const { models } = await readCatalog();
  const gateway = await gatewayOver(models, { holder: { current: router }, config });
  cleanUps.push(gateway.close);
  return gateway;
}

test('what rules keep out of a decision is filtered by the policy, and so told', async () => {
  // Without keys the sandbox stands in for every provider, under its own name.
  const { gateway } = await gatewayOf();
  const caller = under("  - {name: r, providers: {allow: [openai]}, models: {deny: ['*mini*']}}");
  const { decision } = await gateway.decide({ messages: hello('auto').messages }, {}, caller, 0.3);
  const isOut = (id: string) => !id.startsWith('openai/') || id.includes('mini');
  for (const { model } of decision.ranked) expect(isOut(model)).toBe(false);
  const policy = decision.filtered.filter(({ reason }) => reason === 'policy').map(({ model }) => model);
  expect(policy.toSorted()).toEqual(
    router.candidates
      .map(({ id }) => id)
      .filter(isOut)
      .toSorted(),
  );
  expect(policy.length).toBeGreaterThan(0);
});

test('rules that leave a model which cannot take the request are named among the reasons', async () => {
  const { gateway } = await gatewayOf();
  const [first] = router.candidates.toSorted((a, b) => a.contextTokens - b.contextTokens);
  const caller = under(`  - {name: r, models: {allow: ['${first!.id}']}}`);
  const messages = [{ role: 'user', content: 'word '.repeat(first!.contextTokens) }];
  const error = await gateway.decide({ messages }, {}, caller).catch((thrown) => thrown);
  expect(error.code).toBe('NO_CANDIDATE');
  expect(error.message).toContain(`context_too_small (${first!.id})`);
  expect(error.message).toContain('policy (');
});

test('a conversation does not stay with a model that rules keep out by now', async () => {
  const { gateway } = await gatewayOf();
  const session = { incumbent: 'openai/gpt-6-sol', prefixTokens: 5000, locked: 'tool_loop' as const, sticky: true };
  const request = { messages: hello('auto').messages };
  const free = await gateway.decide(request, { session }, ANYBODY);
  expect(free.decision).toMatchObject({ model: 'openai/gpt-6-sol', reason: 'pinned' });
  const bound = await gateway.decide(request, { session }, under('  - {name: r, providers: {deny: [openai]}}'));
  expect(bound.decision.ranked.filter(({ model }) => model.startsWith('openai/'))).toEqual([]);
});

describe('exploration', () => {
  const explorable = async (config: object, caller: Caller) => {
    const { gateway } = await gatewayOf(config);
    const { teamOf } = await import('../../../../server/teams.ts');
    const options = gateway.exploration.routeOptions(teamOf(gateway, caller.tenant), caller.rules);
    const { decision } = await gateway.decide({ messages: hello('auto').messages }, options, caller, 0.001);
    return decision.explorable;
  };
  const off = under('  - {name: r, exploration: false}');

  test('is off under a rule, and no estimate may rest on what was decided then', async () => {
    expect(await explorable({}, ANYBODY)).toBe(true);
    expect(await explorable({}, off)).toBe(false);
    const teams = { default: { exploration: true } };
    expect(await explorable({ auth: 'required', teams }, ANYBODY)).toBe(true);
    expect(await explorable({ auth: 'required', teams }, off)).toBe(false);
  });

  test('is off where keys are asked for, until the team switches it on', async () => {
    expect(await explorable({ auth: 'required' }, ANYBODY)).toBe(false);
    expect(await explorable({ auth: 'required', teams: { other: { exploration: true } } }, ANYBODY)).toBe(false);
    expect(await explorable({ keys: [{ name: 'k', key: 'key-of-somebody-1234' }] }, ANYBODY)).toBe(false);
  });

  test('of requests that come in is off for the key of a team that has not switched it on', async () => {
    const key = 'key-of-somebody-1234';
    const seen: (boolean | undefined)[] = [];
    const watching = {
      ...router,
      route: (request: never, options?: RouteOptions) => {
        seen.push(options?.explore);
        return router.route(request, options);
      },
    };
    for (const exploration of [false, true]) {
      const gateway = await gatewayOf({ keys: [{ name: 'k', key, tenant: 't' }], teams: { t: { exploration } } });
      gateway.gateway.holder.current = watching as Router;
      expect((await chat(gateway.url, hello('auto'), { authorization: `Bearer ${key}` })).status).toBe(200);
    }
    expect(seen).toEqual([false, true]);
  });
});
