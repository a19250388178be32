/** `/v1/admin/policies` and `pointsman policy`: versions come in whole, with examples that pass, and every change is on record. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listAudit } from '../../../../server/governance/access/audit.ts';
import { EXAMPLE_POLICY } from '../../../../server/governance/policies/example-document.ts';
import { programFile } from '../../../run/shared.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import {
  candidate,
  chat,
  completion,
  gatewayOver,
  hello,
  sendJson,
  type TestGateway,
  type Upstream,
  upstream,
} from '../../fakes.ts';

const PROGRAM = await programFile();

const KEYS = { admin: 'key-of-an-admin-1234', manager: 'key-of-a-manager-12', member: 'key-of-a-member-123' };
const keys = [
  { name: 'admin', key: KEYS.admin, scopes: ['call', 'admin'] },
  { name: 'manager', key: KEYS.manager, scopes: ['call', 'manage', 'usage'] },
  { name: 'member', key: KEYS.member },
];

const only = (provider: string, examples: object[] = []) => ({
  version: 1,
  rules: [{ name: `only ${provider}`, when: { teams: ['default'] }, providers: { allow: [provider] } }],
  examples,
});

let opened: OpenedStore;
let one: Upstream;
let gateway: TestGateway;
beforeAll(async () => {
  opened = await storeKinds[0]!.open();
  one = await upstream((_, response) => sendJson(response, completion('fine')));
  gateway = await gatewayOver([candidate('one/m'), candidate('two/m')], {
    store: opened.store,
    upstreams: { one: one.url, two: one.url },
    config: { keys },
  });
  await gateway.gateway.governance.start();
  opened.store.lock!.announce(gateway.url);
});
afterAll(async () => {
  await gateway.close();
  await one.close();
  await opened.close();
});

type Who = keyof typeof KEYS;
const ask = async (who: Who | null, method: 'GET' | 'POST', path = '', payload?: object) => {
  const response = await gateway.app.inject({
    method,
    url: `/v1/admin/policies${path}`,
    headers: who === null ? {} : { authorization: `Bearer ${KEYS[who]}` },
    ...(payload && { payload }),
  });
  return { status: response.statusCode, body: response.json() };
};
const statusOf = async (model: string) =>
  (await chat(gateway.url, hello(model), { authorization: `Bearer ${KEYS.member}` })).status;

describe('the API', () => {
  test('is for admins', async () => {
    for (const [who, status] of [
      [null, 401],
      ['member', 403],
      ['manager', 403],
      ['admin', 200],
    ] as const) {
      expect((await ask(who, 'GET')).status).toBe(status);
      if (status === 200) continue;
      expect((await ask(who, 'POST', '', { document: only('one') })).status).toBe(status);
      expect((await ask(who, 'GET', '/1')).status).toBe(status);
      expect((await ask(who, 'POST', '/1/activate')).status).toBe(status);
    }
  });

  test('takes a version, puts it in force at once, and takes it back', async () => {
    expect((await ask('admin', 'GET')).body).toEqual({
      inForce: { source: 'none', version: null, path: null },
      versions: [],
    });
    const examples = [{ name: 'e', request: {}, expect: { allowed: ['one/m'], denied: ['two/m'] } }];
    const first = await ask('admin', 'POST', '', { document: only('one', examples), comment: 'first' });
    expect(first).toMatchObject({
      status: 201,
      body: { version: { version: 1, createdBy: 'default/admin', comment: 'first', activatedAt: null }, examples: 1 },
    });
    const second = await ask('admin', 'POST', '', { text: 'version: 1\nrules: []\n' });
    expect([second.status, second.body.version.version]).toEqual([201, 2]);
    expect([await statusOf('one/m'), await statusOf('two/m')]).toEqual([200, 200]);
    expect((await ask('admin', 'POST', '/1/activate')).body.version).toMatchObject({
      version: 1,
      activatedBy: 'default/admin',
    });
    expect([await statusOf('one/m'), await statusOf('two/m')]).toEqual([200, 403]);
    expect((await ask('admin', 'GET')).body.inForce).toEqual({ source: 'database', version: 1, path: null });
    await ask('admin', 'POST', '/2/activate');
    expect(await statusOf('two/m')).toBe(200);
    expect((await ask('admin', 'GET', '/1')).body).toMatchObject({ version: { version: 1 }, document: { examples } });
    const rows = await listAudit(opened.store.db, { team: null, limit: 10 });
    expect(rows.map(({ action, subject, actor }) => `${actor} ${action} ${subject}`)).toEqual([
      'default/admin policy.activate 2',
      'default/admin policy.activate 1',
      'default/admin policy.create 2',
      'default/admin policy.create 1',
    ]);
  });

  test.each([
    [{}, 'document: send the policy as document, or its YAML as text'],
    [{ document: only('one'), text: 'x' }, 'document: send the policy as document, or its YAML as text'],
    [
      { document: { version: 1, rules: [{ name: 'r', modles: {} }] } },
      'rules.0.modles: no such field; did you mean models?',
    ],
    [{ text: 'version: 1\nrules: 7' }, 'text:2:1: rules: must be a list of rules'],
    [{ document: null }, 'document: must hold version, rules and examples'],
    [
      { document: only('one', [{ name: 'e', request: {}, expect: { allowed: ['two/m'] } }]) },
      'document: examples do not come out as they say: “e”: expected allowed two/m, but rule only one keeps it out by its provider',
    ],
  ])('refuses %j', async (payload, message) => {
    const { status, body } = await ask('admin', 'POST', '', payload);
    expect([status, body.error.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(body.error.message).toContain(message);
    expect((await ask('admin', 'GET')).body.versions).toHaveLength(2);
  });

  test('knows no version that there is not', async () => {
    for (const path of ['/99', '/0', '/x', '/1e3', '/-1']) {
      expect((await ask('admin', 'GET', path)).status).toBe(404);
      expect((await ask('admin', 'POST', `${path}/activate`)).status).toBe(404);
    }
  });
});

describe('the command', () => {
  const run = async (...args: string[]) => {
    const options = {
      env: { PATH: process.env.PATH, HOME: process.env.HOME },
      cwd: (opened.options as { dataDir: string }).dataDir,
    };
    const done = await promisify(execFile)(process.execPath, [PROGRAM, 'policy', ...args], options).catch(
      (error) => error,
    );
    return { code: done.code ?? 0, out: done.stdout as string, err: done.stderr as string };
  };
  const file = (name: string, text: string) => {
    const path = join((opened.options as { dataDir: string }).dataDir, name);
    writeFileSync(path, text);
    return path;
  };

  test('pushes to the gateway that runs, and puts in force there', async () => {
    const { dataDir } = opened.options as { dataDir: string };
    const pushed = await run(
      'push',
      file('p.yaml', JSON.stringify(only('one'))),
      '--comment',
      'by hand',
      '--activate',
      '--data-dir',
      dataDir,
    );
    expect(pushed).toMatchObject({ code: 0, out: expect.stringContaining('version 3 is in force') });
    expect([await statusOf('one/m'), await statusOf('two/m')]).toEqual([200, 403]);
    const listed = await run('list', '--data-dir', dataDir);
    expect(listed.out).toMatch(/^version 3 is in force\n\n +VERSION .*\n\* +3 .* operator .* by hand\n/);
  });

  test('tells what fails of a policy, and exits with 1', async () => {
    const bad = EXAMPLE_POLICY.replace('providers: { allow: [clinic-vllm] }', 'providers: { deny: [openai] }');
    const { code, out } = await run('test', file('bad.yaml', bad));
    expect(code).toBe(1);
    expect(out).toMatch(
      /FAIL {2}patient data stays in the clinic\n +rules that apply: patient-data, everybody\n +expected denied azure-eu\/gpt-6, but no rule keeps it out/,
    );
  });

  test('says where a policy is no policy, and exits with 2', async () => {
    const { code, err } = await run(
      'check',
      file('worse.yaml', 'version: 1\nrules:\n  - {name: r, models: {alow: []}}\n'),
    );
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(
        /error INVALID_CONFIG: .*worse\.yaml:3:24: rules\.0\.models\.alow: no such field; did you mean allow\?/,
      ),
    ]);
    const { dataDir } = opened.options as { dataDir: string };
    const pushed = await run('push', join(dataDir, 'worse.yaml'), '--data-dir', dataDir);
    expect([pushed.code, pushed.err]).toEqual([2, expect.stringMatching(/INVALID_REQUEST: .*worse\.yaml:3:24: rules/)]);
  });
});
