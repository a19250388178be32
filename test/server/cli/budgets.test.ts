/** `pointsman budgets`: budgets and rates are made, listed, changed and removed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { budgetsCommand } from '../../../server/cli/budgets.ts';
import { type AdminGateway, adminGateway, typed } from './admin-gateway.ts';

let gateway: AdminGateway;
beforeAll(async () => {
  gateway = await adminGateway();
});
afterAll(() => gateway.close());

const budgets = (...args: string[]) => typed(budgetsCommand(), ...args, '--data-dir', gateway.dataDir);
const listed = async () =>
  JSON.parse((await budgets('list', '--json')).out) as { name: string; [field: string]: unknown }[];

test('a budget and a rate of one name are two things, and each is changed by what is its own', async () => {
  expect((await budgets('create', 'web', '--key', 'web', '--usd', '5', '--period', 'day', '--unknown-ok')).out).toBe(
    'Budget web is made: 5.00 USD a day for key web',
  );
  expect((await budgets('create', 'web', '--key', 'web', '--requests-per-minute', '60', '--unknown-ok')).out).toBe(
    'Rate web is made: 60 requests a minute for key web',
  );
  await budgets('update', 'web', '--usd', '7.5', '--notify-at', '50,90');
  await budgets('update', 'web', '--tokens-per-minute', '1000');
  expect(await listed()).toEqual([
    expect.objectContaining({ kind: 'budget', usd: 7.5, period: 'day', notifyAt: [50, 90], key: 'web' }),
    expect.objectContaining({ kind: 'rate', requestsPerMinute: 60, tokensPerMinute: 1000 }),
  ]);
  expect((await budgets('list')).out).toMatch(/^web +key web +7\.50 USD a day/m);
  await expect(budgets('remove', 'web')).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  expect((await budgets('list')).out).toContain('warning: web bounds nobody: no key that works is called "web"');
  // Of one budget that nobody has used all is left; what a rate leaves is told from minute to minute.
  expect((await budgets('list')).out).toMatch(/7\.50 USD a day +0\.00 USD \(0 %\) +7\.50 USD/);
  for (const { id } of await listed()) await budgets('remove', String(id));
  expect((await budgets('list')).out).toContain('nothing bounds what is spent');
});

test('one for a team or a key that there is not is most likely a slip, and says so', async () => {
  await expect(budgets('create', 'x', '--team', 'defualt', '--usd', '1')).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    message:
      'team: there is no team "defualt"; did you mean default? (allowUnknown, or --unknown-ok, makes it all the same)',
  });
  await expect(budgets('create', 'x', '--key', 'nobody', '--usd', '1')).rejects.toThrow('there is no key "nobody"');
  const { out, err } = await budgets('create', 'x', '--model', 'one/chaep', '--usd', '1');
  expect(out).toBe('Budget x is made: 1.00 USD a month for model one/chaep');
  expect(err).toContain('no model that is known here is called "one/chaep"; did you mean one/cheap?');
  await budgets('remove', 'x');
});

test('one that holds for every team by itself says so', async () => {
  expect((await budgets('create', 'each', '--team', '*', '--usd', '100')).out).toContain(
    '100.00 USD a month for team *',
  );
  expect((await budgets('remove', 'each')).out).toBe('Budget each is removed');
});

test.each([
  [['create', 'x'], 'INVALID_REQUEST'],
  [['create', 'x', '--usd', '1', '--requests-per-minute', '1'], 'INVALID_REQUEST'],
  [['create', 'x', '--usd', '-1'], 'INVALID_REQUEST'],
  [['create', 'x', '--period', 'day', '--tokens-per-minute', '1'], 'INVALID_REQUEST'],
  [['create', 'x', '--usd', 'much'], 'commander.invalidArgument'],
  [['create', 'x', '--usd', '1', '--notify-at', 'a'], 'commander.invalidArgument'],
  [['update', 'nobody', '--usd', '1'], 'NOT_FOUND'],
  [['update', 'nobody'], 'INVALID_REQUEST'],
  [['remove', 'nobody'], 'NOT_FOUND'],
])('%j is refused: %s', async (args, code) => expect(budgets(...args)).rejects.toMatchObject({ code }));
