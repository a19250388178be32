/** `pointsman keys` and `pointsman audit`: at a gateway that runs, on its database while none does, and from elsewhere. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { auditCommand } from '../../../server/cli/audit.ts';
import { keysCommand } from '../../../server/cli/keys.ts';
import { teamsCommand } from '../../../server/cli/teams.ts';
import { type AdminGateway, adminGateway, typed } from './admin-gateway.ts';

let gateway: AdminGateway;
beforeAll(async () => {
  gateway = await adminGateway();
});
afterAll(() => gateway.close());

const keys = (...args: string[]) => typed(keysCommand(), ...args, '--data-dir', gateway.dataDir);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing was thrown',
    (error) => error.code,
  );

describe('at a gateway that runs', () => {
  test('the key alone is printed, what to do with it beside it, and it works', async () => {
    expect((await keys('list')).out).toContain('There is no key yet');
    const { out, err } = await keys('create', 'ops', '--role', 'admin');
    expect(out).toMatch(/^pm_[\w-]{43}$/);
    expect(err).toContain(`by the gateway at ${gateway.url}`);
    expect(err).toContain(`curl ${gateway.url}/v1/chat/completions`);
    expect(err).not.toContain(out);
    expect(await gateway.status(out, '/v1/admin/teams')).toBe(200);
    expect(await gateway.status('', '/v1/models')).toBe(401);
  });

  test('with --out it goes into a file that only its owner may read, and replaces none', async () => {
    const file = join(gateway.dataDir, 'web.key');
    const { out, err } = await keys('create', 'web', '--models', 'auto,one/*', '--expires', '90d', '--out', file);
    expect(out).toBe('');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const key = readFileSync(file, 'utf8').trim();
    expect(err).not.toContain(key);
    expect(await gateway.status(key, '/v1/models')).toBe(200);
    expect(await codeOf(keys('create', 'web2', '--out', file))).toBe('INVALID_CONFIG');
    const made = JSON.parse((await keys('show', 'default/web', '--json')).out);
    expect(made.models).toEqual(['auto', 'one/*']);
    expect(Date.parse(made.expiresAt) - Date.now()).toBeGreaterThan(89 * 86_400_000);
    // Neither is web2 there: it was refused before anything was made.
    expect(await codeOf(keys('show', 'web2'))).toBe('NOT_FOUND');
  });

  test('a rotated key works beside the new one; revoked by its name, neither does', async () => {
    const old = (await keys('create', 'turning')).out;
    const rotated = await keys('rotate', 'turning', '--overlap', '1h');
    expect(rotated.err).toContain(`in the place of ${old.slice(0, 10)}`);
    for (const key of [old, rotated.out]) expect(await gateway.status(key, '/v1/models')).toBe(200);
    expect((await keys('list')).out).toMatch(/default\/turning +member +replaced/);
    const { out } = await keys('revoke', 'default/turning');
    expect(out).toContain(`no gateway takes ${old.slice(0, 10)}… and ${rotated.out.slice(0, 10)}…`);
    for (const key of [old, rotated.out]) expect(await gateway.status(key, '/v1/models')).toBe(401);
    expect((await keys('list')).out).not.toContain('turning');
    expect((await keys('list', '--all')).out).toMatch(/default\/turning +member +revoked/);
  });

  test.each(['0', '0s', '0h'])('one that is rotated with no overlap (%s) ends at once', async (overlap) => {
    const old = (await keys('create', `at once ${overlap}`)).out;
    const rotated = await keys('rotate', `default/at once ${overlap}`, '--overlap', overlap);
    expect([await gateway.status(old, '/v1/models'), await gateway.status(rotated.out, '/v1/models')]).toEqual([
      401, 200,
    ]);
    await keys('revoke', `default/at once ${overlap}`);
  });

  test('a name that two teams have must be told whose', async () => {
    await typed(teamsCommand(), 'create', 'search', '--data-dir', gateway.dataDir);
    await keys('create', 'twin');
    await keys('create', 'twin', '--team', 'search');
    expect(await codeOf(keys('revoke', 'twin'))).toBe('INVALID_REQUEST');
    expect(JSON.parse((await keys('show', 'search/twin', '--json')).out).team).toBe('search');
    expect((await keys('list', '--team', 'search')).out.split('\n')).toHaveLength(2);
  });

  test('the last admin stays unless one says force', async () => {
    expect(await codeOf(keys('revoke', 'ops'))).toBe('CONFLICT');
    expect((await keys('revoke', 'ops', '--force')).out).toContain('is revoked');
  });

  test('every change is in the audit log, by the operator, without a key', async () => {
    const made = (await keys('create', 'noted')).out;
    const { out } = await typed(auditCommand(), '--data-dir', gateway.dataDir);
    expect(out.split('\n')[1]).toMatch(/operator +key\.create +default/);
    expect(out).not.toContain(made);
    const { out: lines } = await typed(auditCommand(), '--json', '--limit', '2', '--data-dir', gateway.dataDir);
    expect(lines.split('\n').map((line) => JSON.parse(line).action)).toEqual(['key.create', 'key.revoke']);
  });
});

describe('from elsewhere, with a key', () => {
  test('a manager makes keys of the own team, and of no other', async () => {
    const manager = (await keys('create', 'lead', '--team', 'search', '--role', 'manager')).out;
    const file = join(gateway.dataDir, 'lead.key');
    writeFileSync(file, `${manager}\n`);
    const remote = (...args: string[]) =>
      typed(keysCommand(), ...args, '--url', `${gateway.url}/v1/`, '--key-file', file);
    const { out, err } = await remote('create', 'theirs');
    expect(err).toContain('Key search/theirs (member');
    expect(await gateway.status(out, '/v1/models')).toBe(200);
    expect(await codeOf(remote('create', 'more', '--role', 'admin'))).toBe('FORBIDDEN');
    expect((await remote('list')).out).not.toContain('default/');
    vi.stubEnv('POINTSMAN_URL', gateway.url);
    vi.stubEnv('POINTSMAN_ADMIN_KEY', manager);
    expect((await typed(keysCommand(), 'list')).out).toContain('search/theirs');
    vi.unstubAllEnvs();
  });

  test.each([
    ['an address that is none', ['--url', 'gateway'], 'INVALID_CONFIG'],
    ['nobody there', ['--url', 'http://127.0.0.1:1'], 'EGRESS_FAILED'],
    ['a key file that is not there', ['--url', 'http://127.0.0.1:1', '--key-file', '/nowhere'], 'MISSING_FILE'],
  ])('%s is told', async (_, args, code) => expect(await codeOf(typed(keysCommand(), 'list', ...args))).toBe(code));

  test('without a key nothing is shown', async () => {
    expect(await codeOf(typed(keysCommand(), 'list', '--url', gateway.url))).toBe('UNAUTHORIZED');
  });
});

describe('while no gateway runs', () => {
  test('the same is done on its database, and the gateway knows when it starts', async () => {
    await gateway.stop();
    const { out, err } = await keys('create', 'offline');
    expect(err).toContain(`by the database in ${gateway.dataDir}`);
    await gateway.start();
    expect(await gateway.status(out, '/v1/models')).toBe(200);
  }, 120_000);

  test('a folder where none has run is not made one', async () => {
    const nowhere = join(gateway.dataDir, 'nowhere');
    expect(await codeOf(typed(keysCommand(), 'create', 'x', '--data-dir', nowhere))).toBe('MISSING_FILE');
  });
});

test.each([
  [['create', 'x', '--expires', 'soon']],
  [['create', 'x', '--expires', '2020-13-45']],
  [['create', 'x', '--role', 'king']],
  [['create', 'x', '--dial', 'high']],
  [['rotate', 'x', '--overlap', '1 day']],
  [['create']],
])('%j is refused by what was typed', async (args) => {
  expect(await codeOf(keys(...args))).toMatch(/^commander\./);
});

test('the help says what a key is, what roles may do, and where the work is done', () => {
  let help = '';
  const command = keysCommand().configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  for (const word of ['create', 'rotate', 'read-only', 'two seconds', '--key-file', 'POINTSMAN_ADMIN_KEY']) {
    expect(help + command.commands.map((one) => one.helpInformation()).join('')).toContain(word);
  }
  expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});
