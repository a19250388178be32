/** One connection of a process listens for all who ask, comes back by itself, and ends with the last of them. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LISTENER, listen } from '../../../server/db/listen.ts';
import { until } from '../fakes.ts';
import { type PostgresServer, startPostgres } from './stores.ts';

let server: PostgresServer;
let databaseUrl: string;
let admin: pg.Client;
const listeners: Listener[] = [];
beforeAll(async () => {
  server = await startPostgres();
  databaseUrl = await server.createDatabase();
  admin = await connected();
});
afterEach(async () => {
  for (const { hearing } of listeners.splice(0)) hearing.stop();
  await expect.poll(connections, { timeout: SOON }).toEqual([]);
});
afterAll(async () => {
  await admin.end();
  await server.remove();
});

const SOON = 30_000;

async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => {});
  await client.connect();
  return client;
}

interface Listener {
  heard: number;
  readonly problems: string[];
  readonly hearing: { stop(): void };
}

function hear(channel: string, url = databaseUrl): Listener {
  const listener = { heard: 0, problems: [] as string[], hearing: { stop() {} } };
  listener.hearing = listen(url, channel, () => void listener.heard++, {
    backoffMs: 10,
    onProblem: ({ message }) => listener.problems.push(message),
  });
  listeners.push(listener);
  return listener;
}

const tell = (channel: string) => admin.query('select pg_notify($1, $2)', [channel, '']);
const connections = async (): Promise<number[]> => {
  const { rows } = await admin.query(
    'select pid from pg_stat_activity where application_name = $1 and datname = current_database()',
    [LISTENER],
  );
  return rows.map(({ pid }) => pid as number);
};
const cut = async () => {
  for (const pid of await connections()) await admin.query('select pg_terminate_backend($1)', [pid]);
};

test('several channels share one connection, and each listener hears its own', async () => {
  const [one, again, two] = [hear('one'), hear('one'), hear('two')];
  // Never before `listen` has returned; then once, since something may have been missed before.
  expect([one, again, two].map(({ heard }) => heard)).toEqual([0, 0, 0]);
  await until(() => [one, again, two].every(({ heard }) => heard === 1), SOON);
  expect(await connections()).toHaveLength(1);
  await tell('one');
  await until(() => one.heard === 2 && again.heard === 2, SOON);
  await tell('two');
  await until(() => two.heard === 2, SOON);
  expect([one.heard, again.heard, two.heard]).toEqual([2, 2, 2]);
});

test('who begins later on a connection that is there is called once, and the others are not', async () => {
  const one = hear('one');
  await until(() => one.heard === 1, SOON);
  const [late, same] = [hear('late'), hear('one')];
  expect([late.heard, same.heard]).toEqual([0, 0]);
  await until(() => late.heard === 1 && same.heard === 1, SOON);
  await tell('late');
  await until(() => late.heard === 2, SOON);
  expect([one.heard, same.heard]).toEqual([1, 1]);
  expect(await connections()).toHaveLength(1);
});

test('who stops hears no more, and the rest go on; the connection ends with the last', async () => {
  const [gone, stays] = [hear('gone'), hear('stays')];
  await until(() => gone.heard === 1 && stays.heard === 1, SOON);
  gone.hearing.stop();
  gone.hearing.stop();
  await tell('gone');
  await tell('stays');
  await until(() => stays.heard === 2, SOON);
  expect(gone.heard).toBe(1);
  stays.hearing.stop();
  await expect.poll(connections, { timeout: SOON }).toEqual([]);
  // And anew.
  const back = hear('gone');
  await until(() => back.heard === 1, SOON);
});

test('a connection that is lost is told of once to each, and made again for all of them', async () => {
  const [one, two] = [hear('one'), hear('two')];
  for (let round = 1; round <= 2; round++) {
    // Called when listening began, and in the round before at the notice and when it began again.
    await until(() => one.heard === 2 * round - 1 && two.heard === 2 * round - 1, SOON);
    await cut();
    await until(() => one.heard === 2 * round && two.heard === 2 * round, SOON);
    expect([one.problems.length, two.problems.length]).toEqual([round, round]);
    expect(await connections()).toHaveLength(1);
    await tell('one');
    await tell('two');
  }
  await until(() => one.heard === 5 && two.heard === 5, SOON);
});

test('while the server is away each is told once, who comes then as well, and all hear when it is back', async () => {
  const one = hear('one');
  await until(() => one.heard === 1, SOON);
  await admin.end();
  await server.stop();
  await until(() => one.problems.length === 1, SOON);
  const late = hear('late');
  await until(() => late.problems.length === 1, SOON);
  // Some tries more, at 10, 20, 40, 80 ms.
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([one.problems.length, late.problems.length]).toEqual([1, 1]);
  await server.start();
  admin = await connected();
  await until(() => one.heard === 2 && late.heard === 1, SOON);
  await tell('one');
  await until(() => one.heard === 3, SOON);
  expect(await connections()).toHaveLength(1);
});

test('what one listener throws is told to it, and the others hear all the same', async () => {
  const problems: string[] = [];
  const broken = listen(
    databaseUrl,
    'one',
    () => {
      throw new Error('broken');
    },
    { onProblem: ({ message }) => problems.push(message) },
  );
  const one = hear('one');
  await until(() => one.heard === 1, SOON);
  await tell('one');
  await until(() => one.heard === 2, SOON);
  expect(problems).toEqual(['broken', 'broken']);
  broken.stop();
});

test('who throws at a notice and at being told of it silences nobody, and ends nothing', async () => {
  const thrown: unknown[] = [];
  const keep = (error: unknown) => thrown.push(error);
  process.on('unhandledRejection', keep);
  let told = 0;
  const broken = listen(
    databaseUrl,
    'one',
    () => {
      throw new Error('broken');
    },
    {
      backoffMs: 10,
      onProblem: () => {
        told++;
        throw new Error('broken, too');
      },
    },
  );
  const one = hear('one');
  await until(() => one.heard === 1, SOON);
  await tell('one');
  await until(() => one.heard === 2, SOON);
  await cut();
  await until(() => one.heard === 3, SOON);
  // At each of three notices, and when the connection was lost.
  expect(told).toBe(4);
  broken.stop();
  process.off('unhandledRejection', keep);
  expect(thrown).toEqual([]);
});

test('a server that lets in and drops again is asked after longer and longer waits', async () => {
  const options = { backoffMs: 200, steadyMs: 3_600_000 };
  let heard = 0;
  const hearing = listen(databaseUrl, 'dropped', () => void heard++, options);
  await until(() => heard === 1, SOON);
  const begun = performance.now();
  for (let drops = 1; drops <= 3; drops++) {
    await cut();
    await until(() => heard === 1 + drops, SOON);
  }
  // 200 + 400 + 800, less what timers round.
  expect(performance.now() - begun).toBeGreaterThan(1390);
  hearing.stop();
});

test('each database has its own connection', async () => {
  const [one, other] = [hear('one'), hear('one', await server.createDatabase())];
  await until(() => one.heard === 1 && other.heard === 1, SOON);
  await tell('one');
  await until(() => one.heard === 2, SOON);
  expect(other.heard).toBe(1);
});

test('a channel is a name, whatever is in it', async () => {
  const odd = hear(`o"dd'; select 1`);
  await until(() => odd.heard === 1, SOON);
  await tell(`o"dd'; select 1`);
  await until(() => odd.heard === 2, SOON);
});

test('without a database it goes on trying, says so once, and stops when told to', async () => {
  const lost = hear('channel', 'postgres://nobody@127.0.0.1:9/none');
  await until(() => lost.problems.length === 1, SOON);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(lost.problems.length).toBe(1);
  lost.hearing.stop();
});
