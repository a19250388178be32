/** What the endpoints of keys, teams and the audit log answer, to good requests and to bad ones. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, type TestGateway } from '../../fakes.ts';

const ROOT = 'the-root-key-of-the-configuration';
const LEAD = 'the-lead-key-of-the-configuration';

let opened: OpenedStore;
let gateway: TestGateway;
beforeAll(async () => {
  opened = await storeKinds[0]!.open();
  gateway = await gatewayOver([candidate('one/cheap')], {
    store: opened.store,
    config: {
      dataDir: opened.options.dataDir,
      keys: [
        { name: 'root', key: ROOT, scopes: ['admin'] },
        { name: 'lead', key: LEAD, tenant: 'search', scopes: ['call', 'feedback', 'usage', 'manage'] },
      ],
      teams: { search: { exploration: true } },
    },
  });
  await gateway.gateway.governance.start();
});
afterAll(async () => {
  await gateway.close();
  await opened.close();
});

async function ask(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, body?: unknown, key = ROOT) {
  const response = await gateway.app.inject({
    ...{ method, url },
    headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.statusCode, headers: response.headers, body: response.json() };
}

test('a key is made, seen, changed, rotated and revoked', async () => {
  const made = await ask('POST', '/v1/admin/keys', { name: 'bot', team: 'search', models: ['auto'] }, LEAD);
  expect(made.status).toBe(201);
  const { id } = made.body.key;
  expect(made.headers.location).toBe(`/v1/admin/keys/${id}`);
  expect(made.body).toEqual({
    secret: expect.stringMatching(/^pm_/),
    key: {
      ...{ id, prefix: made.body.secret.slice(0, 10), name: 'bot', team: 'search', project: null, role: 'member' },
      ...{ scopes: ['call', 'feedback', 'usage'], state: 'active', scheme: expect.stringMatching(/^pm:[0-9a-f]{8}$/) },
      ...{ models: ['auto'], tags: [], feedbackWeight: 1 },
      ...{ createdAt: expect.any(String), createdBy: 'search/lead', expiresAt: null, revokedAt: null },
      ...{ replacedBy: null, lastUsedAt: null },
    },
  });
  const seen = await ask('GET', `/v1/admin/keys/${id}`, undefined, LEAD);
  expect(seen).toMatchObject({ status: 200, body: made.body.key });
  expect(await ask('GET', '/v1/me', undefined, made.body.secret)).toMatchObject({
    body: {
      kind: 'key',
      name: 'bot',
      role: 'member',
      team: 'search',
      project: null,
      scopes: ['call', 'feedback', 'usage'],
    },
  });
  expect((await ask('PATCH', `/v1/admin/keys/${id}`, { role: 'read-only' }, LEAD)).body).toMatchObject({
    scopes: ['usage'],
  });
  const rotated = await ask('POST', `/v1/admin/keys/${id}/rotate`, undefined, LEAD);
  expect(rotated).toMatchObject({ status: 201, body: { key: { name: 'bot', role: 'read-only' } } });
  const over = await ask('DELETE', `/v1/admin/keys/${rotated.body.key.id}`, undefined, LEAD);
  expect(over).toMatchObject({ status: 200, body: { state: 'revoked' } });
  expect(await ask('GET', '/v1/me', undefined, rotated.body.secret)).toMatchObject({
    status: 401,
    body: { error: { code: 'UNAUTHORIZED', message: 'this API key was revoked' } },
  });
  const { body } = await ask('GET', '/v1/admin/audit?team=search', undefined, LEAD);
  expect(body.entries.map(({ action }: { action: string }) => action)).toEqual([
    'key.revoke',
    'key.rotate',
    'key.create',
    'key.update',
    'key.create',
  ]);
  expect(body.entries[0]).toMatchObject({
    requestId: over.headers['x-request-id'] ?? expect.any(String),
    actor: 'search/lead',
  });
});

test('the audit log comes in pages', async () => {
  for (let i = 0; i < 5; i++) await ask('POST', '/v1/admin/teams', { name: `page ${i}` });
  const actions: number[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const { body } = await ask('GET', `/v1/admin/audit?limit=2${next === '' ? '' : `&cursor=${next}`}`);
    actions.push(...body.entries.map(({ ordinal }: { ordinal: number }) => ordinal));
    next = body.next;
  }
  expect(actions.length).toBeGreaterThanOrEqual(5);
  expect(actions).toEqual([...actions].sort((a, b) => b - a));
  expect(new Set(actions).size).toBe(actions.length);
});

test('a DELETE that names a type and has no body is one without a body', async () => {
  const { body } = await ask('POST', '/v1/admin/keys', { name: 'to go' });
  const at = `/v1/admin/keys/${body.key.id}`;
  expect(await ask('DELETE', at, '')).toMatchObject({ status: 200, body: { state: 'revoked' } });
  expect((await ask('DELETE', at, '{"a":')).status).toBe(400);
});

test('the configuration’s word on a team stands', async () => {
  const { body } = await ask('GET', '/v1/admin/teams');
  expect(body.teams.find(({ name }: { name: string }) => name === 'search')).toMatchObject({
    source: 'configuration',
    settings: { exploration: true },
  });
  expect((await ask('PATCH', '/v1/admin/teams/search', { exploration: false })).status).toBe(409);
  expect((await ask('PATCH', '/v1/admin/teams/search', { projects: ['a'] }, LEAD)).body).toMatchObject({
    source: 'both',
    projects: ['a'],
  });
  expect((await ask('DELETE', '/v1/admin/teams/search')).status).toBe(409);
  expect((await ask('PATCH', `/v1/admin/teams/${encodeURIComponent('page 0')}`, { description: 'x' })).status).toBe(
    200,
  );
});

test.each<['GET' | 'POST' | 'PATCH' | 'DELETE', string, unknown, number, RegExp]>([
  ['GET', '/v1/admin/keys?limit=0', undefined, 400, /^limit: /],
  ['GET', '/v1/admin/keys?limit=many', undefined, 400, /^limit: /],
  ['GET', '/v1/admin/keys?team=a&team=b', undefined, 400, /^team: /],
  ['GET', '/v1/admin/keys?page=2', undefined, 400, /^page: no such field/],
  ['GET', '/v1/admin/keys?cursor=none', undefined, 404, /no key/],
  ['GET', "/v1/admin/keys/'%20or%201=1", undefined, 404, /no key/],
  ['GET', '/v1/admin/audit?cursor=-1', undefined, 400, /^cursor: /],
  ['GET', '/v1/admin/audit?limit=501', undefined, 400, /^limit: /],
  ['POST', '/v1/admin/keys', undefined, 400, /body/],
  ['POST', '/v1/admin/keys', '{"name":', 400, /not JSON/],
  ['POST', '/v1/admin/keys', [], 400, /^body: /],
  ['POST', '/v1/admin/keys', { nam: 'x' }, 400, /^name: is missing; .*; and no such field: nam$/],
  ['POST', '/v1/admin/keys', { name: 'x', ['\u001b'.repeat(500)]: 1 }, 400, /^"(\\u001b){100}…": no such field$/],
  ['POST', '/v1/admin/keys', '{"name":"p","__proto__":{"role":"admin"}}', 400, /__proto__/],
  ['POST', '/v1/admin/keys', { name: 'x', tags: Array(51).fill('t') }, 400, /^tags: /],
  ['PATCH', '/v1/admin/keys/none', { name: 'x' }, 404, /no key/],
  ['DELETE', '/v1/admin/keys/none?force=perhaps', undefined, 400, /^force: /],
  ['POST', '/v1/admin/keys/none/rotate', { overlapMinutes: -1 }, 400, /^overlapMinutes: /],
  ['POST', '/v1/admin/teams', { name: '../x' }, 400, /^name: /],
  ['POST', '/v1/admin/teams', { name: 'x', exploration: 'yes' }, 400, /^exploration: /],
  ['PATCH', '/v1/admin/teams/nowhere', { description: '' }, 404, /no team/],
  ['PATCH', '/v1/admin/teams/__proto__', { description: '' }, 404, /no team/],
])('%s %s with %j is refused', async (method, url, body, status, message) => {
  const refused = await ask(method, url, body);
  expect([refused.status, refused.body.error.message]).toEqual([status, expect.stringMatching(message)]);
});
