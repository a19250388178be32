/** `pointsman teams`: made, listed, changed, archived and brought back. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keysCommand } from '../../../server/cli/keys.ts';
import { teamsCommand } from '../../../server/cli/teams.ts';
import { type AdminGateway, adminGateway, typed } from './admin-gateway.ts';

let gateway: AdminGateway;
beforeAll(async () => {
  gateway = await adminGateway();
});
afterAll(() => gateway.close());

const teams = (...args: string[]) => typed(teamsCommand(), ...args, '--data-dir', gateway.dataDir);
const keys = (...args: string[]) => typed(keysCommand(), ...args, '--data-dir', gateway.dataDir);
const listed = async () =>
  JSON.parse((await teams('list', '--json')).out).map(({ name, projects }: { name: string; projects: string[] }) => [
    name,
    ...projects,
  ]);

test('a team has projects, and keys of it one of them', async () => {
  expect((await teams('create', 'search', '--description', 'Search', '--projects', 'web, mobile')).out).toContain(
    'is made',
  );
  expect(await listed()).toEqual([['default'], ['search', 'web', 'mobile']]);
  await keys('create', 'a', '--team', 'search', '--project', 'web');
  await expect(keys('create', 'b', '--team', 'search', '--project', 'nope')).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
  });
  await teams('update', 'search', '--projects', 'web,batch');
  expect(await listed()).toEqual([['default'], ['search', 'web', 'batch']]);
  expect((await teams('list')).out).toMatch(/search +web,batch +database +2\d{3}-.* Search$/m);
});

test('keys of an archived team do not work, and do again when it is back', async () => {
  await keys('create', 'ops', '--role', 'admin');
  const key = (await keys('create', 'c', '--team', 'search')).out;
  expect(await gateway.status(key, '/v1/models')).toBe(200);
  expect((await teams('archive', 'search')).out).toContain('archived');
  expect(await gateway.status(key, '/v1/models')).toBe(401);
  await teams('restore', 'search');
  expect(await gateway.status(key, '/v1/models')).toBe(200);
});

test.each([
  [['create', 'search'], 'CONFLICT'],
  [['create', '../etc'], 'INVALID_REQUEST'],
  [['archive', 'default'], 'CONFLICT'],
  [['archive', 'nobody'], 'NOT_FOUND'],
])('%j is refused: %s', async (args, code) => expect(teams(...args)).rejects.toMatchObject({ code }));
