/** What an admin has bound to a key by its name or project stays on it, whatever a manager calls it. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bindings, lostBindings } from '../../../../server/governance/access/bindings.ts';
import { BudgetConfig } from '../../../../server/governance/limits/config.ts';
import type { Limit, MadeBy, Whose } from '../../../../server/governance/limits/terms.ts';
import { compilePolicy } from '../../../../server/governance/policies/compile.ts';
import { PolicyDocument } from '../../../../server/governance/policies/document.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, type TestGateway } from '../../fakes.ts';

const ID = '0f0f0f0f-1111-2222-3333-444444444444';
const LATER = '0f0f0f0f-1111-2222-3333-555555555555';
const limit = (whose: Whose, madeBy: MadeBy = 'admin'): Limit => ({
  ...BudgetConfig.parse({ name: 'app month', usd: 1, ...whose }),
  ...{ kind: 'budget', id: 'x', madeBy },
});
const rules = (...all: object[]): Bindings['rules'] =>
  PolicyDocument.parse({ version: 1, rules: all.map((when, i) => ({ name: `r${i}`, when, models: { allow: [] } })) })
    .rules;
const APP = { team: 'search', name: 'app', project: 'site', id: ID };
const lost = (more: Partial<Bindings>, after: Partial<typeof APP>, before: Partial<typeof APP> = {}) =>
  lostBindings(
    { limits: [], rules: [], firstOf: (id) => (id === LATER ? ID : id), ...more },
    { ...APP, ...before },
    { ...APP, ...before, ...after },
  );

test.each<[Whose, object, boolean]>([
  [{ key: 'app' }, { name: 'ppa' }, true],
  [{ team: 'search', key: 'app' }, { name: 'ppa' }, true],
  [{ team: 'ads', key: 'app' }, { name: 'ppa' }, false],
  [{ key: 'app' }, { project: 'other' }, false],
  [{ key: '*' }, { name: 'ppa' }, false],
  [{ key: ID }, { name: 'ppa' }, false],
  [{ key: LATER, project: 'site' }, { project: 'other' }, true],
  [{ project: 'site' }, { project: 'other' }, true],
  [{ project: 'site' }, { project: null }, true],
  [{ project: '*' }, { project: null }, true],
  [{ project: '*' }, { project: 'other' }, false],
  [{ key: 'app', project: 'other' }, { name: 'ppa' }, false],
  [{ key: 'ppa' }, { name: 'ppa' }, false],
])('a limit for %j holds no more for a key that becomes %j: %s', (whose, after, isLost) => {
  for (const madeBy of ['admin', 'configuration'] as const) {
    expect(lost({ limits: [limit(whose, madeBy)] }, after)).toEqual(isLost ? ['the budget “app month”'] : []);
  }
  expect(lost({ limits: [limit(whose, 'manager')] }, after)).toEqual([]);
});

test.each<[object, object, boolean]>([
  [{ keys: ['app'] }, { name: 'ppa' }, true],
  [{ keys: ['a*'] }, { name: 'apple' }, false],
  [{ keys: { none: ['trusted'] } }, { name: 'trusted' }, true],
  [{ keys: { none: ['app'] } }, { name: 'ppa' }, false],
  [{ projects: ['site'] }, { project: null }, true],
  [{ teams: ['ads'], keys: ['app'] }, { name: 'ppa' }, false],
  [{ teams: ['search'] }, { name: 'ppa', project: null }, false],
])('a rule for %j holds no more for a key that becomes %j: %s', (when, after, isLost) => {
  expect(lost({ rules: rules(when) }, after)).toEqual(isLost ? ['the rule “r0”'] : []);
});

test('what rules hold for a key is the same as when its requests come', () => {
  const name = fc.constantFrom('app', 'api', 'x', 'site');
  const patterns = fc.array(fc.constantFrom('a*', '*p*', 'app', 'x', 'site', '*'), { minLength: 1, maxLength: 3 });
  const names = fc.oneof(patterns, fc.record({ any: patterns, none: patterns }, { requiredKeys: [] }));
  const when = fc.record({ keys: names, projects: names, teams: names }, { requiredKeys: [] });
  const place = fc.record({ team: fc.constant('x'), name, project: fc.option(name), id: fc.constant(ID) });
  fc.assert(
    fc.property(fc.array(when, { maxLength: 4 }), place, place, (whens, before, after) => {
      const all = rules(...whens);
      const policy = compilePolicy({ version: 1, rules: [...all], examples: [] } as never, 1);
      const applied = ({ team, name: key, project }: typeof before) =>
        policy.rulesFor({ team, key, project, tags: [], added: [], surface: 'chat' }).applied;
      const isThere = new Set(applied(after));
      expect(lost({ rules: all }, after as never, before as never)).toEqual(
        applied(before)
          .filter((one) => !isThere.has(one))
          .map((one) => `the rule “${one}”`),
      );
    }),
  );
});

describe('over HTTP', () => {
  const ROOT = 'the-root-key-of-the-configuration';
  const LEAD = 'the-lead-key-of-the-configuration';
  let opened: OpenedStore;
  let gateway: TestGateway;
  beforeAll(async () => {
    opened = await storeKinds.find(({ name }) => name !== 'PostgreSQL')!.open();
    gateway = await gatewayOver([candidate('one/cheap')], {
      store: opened.store,
      config: {
        dataDir: opened.options.dataDir,
        keys: [
          { name: 'root', key: ROOT, scopes: ['admin'] },
          { name: 'lead', key: LEAD, tenant: 'search', scopes: ['call', 'feedback', 'usage', 'manage'] },
        ],
      },
    });
    await gateway.gateway.governance.start();
  });
  afterAll(async () => {
    await gateway.close();
    await opened.close();
  });

  async function ask(method: 'GET' | 'POST' | 'PATCH', url: string, body: object | undefined, key: string) {
    const headers = { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) };
    const payload = body === undefined ? {} : { payload: body };
    const { statusCode, ...response } = await gateway.app.inject({ method, url, headers, ...payload });
    return { status: statusCode, body: response.json() };
  }

  test('a manager renames no key that an admin’s limit or rule names; an admin does', async () => {
    const made = await ask('POST', '/v1/admin/keys', { name: 'app' }, LEAD);
    expect(made.status).toBe(201);
    const { key } = made.body;
    await ask('POST', '/v1/admin/limits', { kind: 'budget', name: 'app month', key: 'app', usd: 5 }, ROOT);
    const document = {
      version: 1,
      rules: [{ name: 'all but ci', when: { teams: ['search'], keys: { none: ['ci'] } }, exploration: false }],
    };
    const pushed = await ask('POST', '/v1/admin/policies', { text: JSON.stringify(document) }, ROOT);
    await ask('POST', `/v1/admin/policies/${pushed.body.version.version}/activate`, {}, ROOT);
    const at = `/v1/admin/keys/${key.id}`;
    expect(await ask('PATCH', at, { name: 'ppa' }, LEAD)).toMatchObject({
      status: 403,
      body: {
        error: {
          code: 'FORBIDDEN',
          message: 'name: only an admin takes a key out of what admins have bound it to: the budget “app month”',
        },
      },
    });
    const other = (await ask('POST', '/v1/admin/keys', { name: 'other' }, LEAD)).body.key;
    const exception = await ask('PATCH', `/v1/admin/keys/${other.id}`, { name: 'ci' }, LEAD);
    expect(exception.body.error.message).toContain('the rule “all but ci”');
    expect((await ask('POST', '/v1/admin/keys', { name: 'ci' }, LEAD)).status).toBe(403);
    expect((await ask('PATCH', `/v1/admin/keys/${other.id}`, { name: 'another' }, LEAD)).status).toBe(200);
    const changed = await ask('PATCH', at, { name: 'ppa' }, ROOT);
    // Never in silence, and the list of limits goes on saying it.
    expect(changed).toMatchObject({
      status: 200,
      body: {
        name: 'ppa',
        warnings: [
          'the budget “app month” does not hold for this key any more: it goes by the name or project that the key had',
        ],
      },
    });
    const warnings = async () =>
      ((await ask('GET', '/v1/admin/limits', undefined, ROOT)).body.limits as { warnings?: string[] }[]).map(
        (one) => one.warnings,
      );
    expect(await warnings()).toEqual([['no key that works is called "app"']]);
    const back = await ask('PATCH', at, { name: 'app' }, LEAD);
    expect([back.status, back.body.warnings]).toEqual([200, undefined]);
    expect(await warnings()).toEqual([undefined]);
  });
});
