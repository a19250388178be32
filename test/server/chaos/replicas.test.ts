/**
 * Three gateways, each a process of its own, behind a round-robin on one PostgreSQL: money, conversations, records and
 * routers are of all of them together, and clients do not notice when one is killed or all are replaced one by one.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadArtifact, readEncoder, saveArtifact } from '../../../router/artifact/artifact.ts';
import { openStore, type SqlStore } from '../../../server/db/store.ts';
import { keepArtifact } from '../../../server/learning/artifacts.ts';
import { addPromotion } from '../../../server/learning/promotions.ts';
import { signingOf } from '../../../server/learning/rollout/signing.ts';
import { type PostgresServer, startPostgres, tempDir } from '../db/stores.ts';
import { Client, type Result } from './client.ts';
import { CLIENT_KEY, GatewayProcess } from './gateway-process.ts';
import { bad, countEndings, drawAsks, readRecords, sendAll, unevenAccounts } from './load.ts';
import { type MisbehavingUpstream, startMisbehavingUpstream } from './misbehaving-upstream.ts';
import { type RoundRobin, roundRobin } from './round-robin.ts';

const SEED = 11;
const LIMIT_MS = 180_000;
const ENV = { POINTSMAN_SIGNING_KEY: 'one secret of thirty-two letters or more' };
/** Of the team that is held to it; a request of the test costs a hundredth of a cent or so. */
const BUDGET_USD = 0.002;
const POOR_KEY = 'poor-client-key-0123456789';

const client = new Client(CLIENT_KEY);
let upstream: MisbehavingUpstream;
let postgres: PostgresServer;
let store: SqlStore;
let folder: string;
let balancer: RoundRobin;
const replicas: GatewayProcess[] = [];
const alive = new Set<GatewayProcess>();

beforeAll(async () => {
  [upstream, postgres, folder] = await Promise.all([startMisbehavingUpstream(SEED), startPostgres(), tempDir()]);
  upstream.behave(20);
  const databaseUrl = await postgres.createDatabase();
  const more = {
    keys: [
      { name: 'chaos', key: CLIENT_KEY },
      { name: 'poor', key: POOR_KEY, tenant: 'poor' },
    ],
    limits: { budgets: [{ name: 'poor', team: 'poor', usd: BUDGET_USD, period: 'month', softShare: 1 }] },
  };
  for (let i = 0; i < 3; i++) replicas.push(new GatewayProcess(upstream, { databaseUrl, more, env: ENV }));
  await Promise.all(replicas.map((replica) => replica.start()));
  for (const replica of replicas) alive.add(replica);
  balancer = await roundRobin(() => [...alive].map(({ url }) => url));
  store = await openStore({ databaseUrl, dataDir: join(folder, 'store'), onProblem: () => {} });
}, LIMIT_MS);
afterAll(async () => {
  await client.close();
  await balancer?.close();
  await Promise.all(replicas.map((replica) => replica.remove()));
  await store?.close();
  await upstream?.close();
  await postgres?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const post = (key: string, content: string, more: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${balancer.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ model: 'auto', messages: [{ role: 'user', content }], ...more }),
  });

/** By the address of the balancer, whichever replica answers. */
const balanced = {
  get url() {
    return balancer.url;
  },
} as GatewayProcess;

function expectNone(problems: readonly string[]): void {
  expect(problems.slice(0, 8), `${problems.length} in all`).toEqual([]);
}

test(
  '200 clients at once on three replicas cannot spend more of a budget than one request is off its estimate',
  async () => {
    const statuses: number[] = [];
    const codes = new Set<string>();
    let n = 0;
    const one = async () => {
      for (let i = 0; i < 4; i++) {
        const response = await post(POOR_KEY, `Count to ten, please, and then <poor-${n++}>`, { max_tokens: 40 });
        statuses.push(response.status);
        const body = (await response.json()) as { error?: { code: string } };
        if (response.status !== 200) codes.add(body.error!.code);
      }
    };
    await Promise.all(Array.from({ length: 200 }, one));
    expect([...codes]).toEqual(['BUDGET_EXCEEDED']);
    const spent = async () => {
      const rows = (await store.db.execute(sql`
        select coalesce(sum(a.cost_usd), 0)::float8 as usd, coalesce(max(a.cost_usd), 0)::float8 as most, count(*)::int as calls
        from attempts a join decisions d on d.id = a.decision_id where d.tenant = 'poor'`)) as unknown as {
        usd: number;
        most: number;
        calls: number;
      }[];
      return rows[0]!;
    };
    const answered = statuses.filter((status) => status === 200).length;
    expect(answered).toBeGreaterThan(0);
    await expect.poll(async () => (await spent()).calls).toBe(answered);
    const { usd, most } = await spent();
    expect(usd).toBeLessThanOrEqual(BUDGET_USD + most);
    // Money that lies about on replicas is no use to anybody: most of it can be spent.
    expect(usd).toBeGreaterThan(0.8 * BUDGET_USD);
  },
  LIMIT_MS,
);

test(
  'all turns of a conversation stay on one model, whichever replica they come to',
  async () => {
    const conversation = async (session: string) => {
      const models = new Set<string | null>();
      // The first two at once: they agree as well.
      const ask = (turn: number) =>
        post(CLIENT_KEY, `Turn ${turn} of <pin-${session}>`, {}, { 'x-session-id': session });
      for (const response of await Promise.all([ask(1), ask(2)])) models.add(response.headers.get('x-pointsman-model'));
      for (let turn = 3; turn < 7; turn++) models.add((await ask(turn)).headers.get('x-pointsman-model'));
      return models.size;
    };
    const sizes = await Promise.all(Array.from({ length: 12 }, (_, i) => conversation(`s${i}`)));
    expect(sizes).toEqual(sizes.map(() => 1));
  },
  LIMIT_MS,
);

test(
  'a promotion is in force on all of them within two seconds',
  async () => {
    const base = await loadArtifact();
    const { hash, dir } = saveArtifact(
      join(folder, 'made'),
      {
        encoder: readEncoder(base),
        heads: base.heads,
        policy: { ...base.policy, tolerance: 0.11 },
        training: base.manifest.training,
        metrics: {},
        notes: [],
        parent: base.hash,
        created: new Date(0),
      },
      { underHash: true },
    );
    await keepArtifact(store, folder, hash, dir, signingOf(folder, ENV));
    const promotedAt = performance.now();
    await addPromotion(store, { kind: 'promoted', artifact: hash, previous: null, verdict: {} });
    const inForce = async (replica: GatewayProcess) => {
      const response = await fetch(`${replica.url}/readyz`);
      return ((await response.json()) as { artifact: string }).artifact;
    };
    const times = await Promise.all(
      replicas.map(async (replica) => {
        await expect.poll(() => inForce(replica), { timeout: 30_000, interval: 25 }).toBe(hash);
        return performance.now() - promotedAt;
      }),
    );
    const ms = times.map((time) => Math.round(time)).join(', ');
    // Two seconds are what is aimed at; a machine that tests many things at once may take longer and shows it.
    process.stdout.write(`replicas: a promotion reached the three after ${ms} ms\n`);
  },
  LIMIT_MS,
);

test(
  'a replica that is killed loses nothing that was answered, and is started again beside the others',
  async () => {
    const [victim] = replicas as [GatewayProcess];
    const asks = drawAsks(300, SEED, 'killed');
    let killed = false;
    const results = await sendAll(client, balanced, asks, 32, (ended) => {
      if (killed || ended < 100) return;
      killed = true;
      alive.delete(victim);
      victim.signal('SIGKILL');
    });
    expect(await victim.exited()).toBe(null);
    const counts = countEndings(results);
    // What it was answering when it was killed breaks off; all others have their answers.
    expect(counts.answer).toBeGreaterThanOrEqual(asks.length - 32);
    expectNone(bad(results, ['wrong', 'error']));
    await victim.start();
    alive.add(victim);
    const answered = results.filter(({ ending }) => ending === 'answer');
    const records = await readRecords(client, balanced, answered);
    expectNone(unevenAccounts(answered, records, upstream));
  },
  LIMIT_MS,
);

test(
  'replacing them one by one drops no request',
  async () => {
    const asks = drawAsks(600, SEED, 'rolling');
    let isRolled = false;
    const rolling = (async () => {
      for (const replica of replicas) {
        // As an orchestrator does: no new requests first, then the signal.
        alive.delete(replica);
        replica.signal('SIGTERM');
        expect(await replica.exited()).toBe(0);
        await replica.start();
        alive.add(replica);
      }
      isRolled = true;
    })();
    const results: Result[] = [];
    for (let round = 0; !isRolled || round < 2; round++) {
      const some = asks
        .slice((round * 20) % 600, ((round * 20) % 600) + 20)
        .map((ask) => ({ ...ask, token: `${ask.token}-${round}` }));
      results.push(...(await sendAll(client, balanced, some, 4)));
    }
    await rolling;
    expectNone(bad(results, ['wrong', 'error', 'refused', 'cut', 'left']));
    const records = await readRecords(client, balanced, results);
    expectNone(unevenAccounts(results, records, upstream));
  },
  LIMIT_MS,
);
