/**
 * The whole loop, by what clients and operators see of it: traffic → feedback → job → gate → canary → full on every
 * replica → rollback. The router takes the dear model for the best; here it is broken, and the others are good.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { type RunningGateway, startGateway } from '../../../server/main.ts';
import { storeKinds } from '../db/stores.ts';
import { chat, completion, jsonOf, sendJson, until, upstream } from '../fakes.ts';
import type { Base } from './synthetic-log.ts';
import { tinyBase } from './tiny-base.ts';

let base: Base;
beforeAll(async () => {
  base = await tinyBase();
});
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** How often an answer is good. */
const TRUTH: Record<string, number> = { 'lab/cheap': 0.9, 'lab/middle': 0.9, 'lab/dear': 0.05 };

const config = {
  logLevel: 'silent',
  // Else the broken model would lose its traffic before anything is learned.
  drift: { enabled: false },
  policy: { tolerance: 0.05, exploration: 0.5 },
  // A canary decides, by few verdicts: what is to be seen here is that it does, not how well.
  rollout: { start: 'canary', canaryShare: 0.5, canaryOutcomes: 20, maxQualityLoss: 0.2 },
};

/** Gateways over one database, each with a disk of its own. */
async function gateways(count: number, databaseUrl: string | undefined): Promise<RunningGateway[]> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-loop-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const host = await upstream((_, response) => sendJson(response, completion()));
  cleanUps.push(host.close);
  const catalog = join(folder, 'catalog.json');
  await writeFile(catalog, JSON.stringify({ priceDate: '2026-11-20', models: base.candidates }));
  const running: RunningGateway[] = [];
  for (let i = 0; i < count; i++) {
    const dataDir = join(folder, `replica-${i}`);
    const file = join(folder, `${i}.yaml`);
    const providers = { lab: { baseUrl: host.url } };
    await writeFile(
      file,
      JSON.stringify({
        ...config,
        dataDir,
        catalog,
        providers,
        artifact: base.dir,
        ...(databaseUrl && { databaseUrl }),
      }),
    );
    const env = { POINTSMAN_SIGNING_KEY: 'of this test alone, and long enough for one' };
    const gateway = await startGateway({ file, env, overrides: { port: 0 } });
    cleanUps.push(gateway.close);
    running.push(gateway);
  }
  return running;
}

const post = (url: string, body: object = {}) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
const get = (url: string) => jsonOf(fetch(url));

/** Clients that ask, each in a conversation of its own, and say whether the answer was good. */
function clients(running: readonly RunningGateway[], seed: number) {
  const random = seededRandom(seed);
  let asked = 0;
  const ask = async (): Promise<{ model: string; artifact: string | null }> => {
    const n = ++asked;
    const { url } = running[n % running.length]!;
    const content = base.texts[n % base.texts.length]!;
    const good = random();
    const response = await chat(
      url,
      { model: 'auto', messages: [{ role: 'user', content }] },
      { 'x-session-id': `session-${n}` },
    );
    expect(response.status).toBe(200);
    const { model } = await jsonOf(response);
    const decisionId = response.headers.get('x-pointsman-decision-id');
    const score = good < TRUTH[model]! ? 1 : 0;
    // Said to whichever replica: another one knows of the answer when its row is written, a moment later.
    const { url: other } = running[(n >> 1) % running.length]!;
    const say = async () => (await post(`${other}/v1/feedback`, { decisionId, score, source: 'user' })).status;
    await expect.poll(say, { timeout: 20_000, interval: 100 }).toBeLessThan(300);
    return { model, artifact: response.headers.get('x-pointsman-artifact') };
  };
  return async (count: number) => {
    const answers: { model: string; artifact: string | null }[] = [];
    while (answers.length < count) answers.push(...(await Promise.all(Array.from({ length: 8 }, ask))));
    // Rows are written behind the answers; who learns on another replica reads what is in the database.
    await Promise.all(running.map(({ store }) => store.flush()));
    return answers;
  };
}

const shareOf = (answers: readonly { model: string }[], model: string) =>
  answers.filter((answer) => answer.model === model).length / answers.length;

describe.each([
  { kind: 'PGlite on disk', replicas: 1 },
  { kind: 'PostgreSQL', replicas: 2 },
])('$replicas gateway(s) on $kind', ({ kind, replicas }) => {
  test('learn from what clients say, try the new router on some, take it for all, and take it back', async () => {
    let databaseUrl: string | undefined;
    if (kind === 'PostgreSQL') {
      const opened = await storeKinds.find(({ name }) => name === kind)!.open();
      cleanUps.push(opened.close);
      databaseUrl = opened.options.databaseUrl;
    }
    const running = await gateways(replicas, databaseUrl);
    const [here, there] = [running[0]!, running.at(-1)!];
    const artifacts = () => running.map(({ gateway }) => gateway.holder.current.artifactHash);
    const [base] = artifacts();
    const traffic = clients(running, 1);

    const before = await traffic(200);
    expect(new Set(before.map(({ artifact }) => artifact))).toEqual(new Set([base]));
    expect(shareOf(before, 'lab/dear')).toBeGreaterThan(0.4);

    const asked = await post(`${here.url}/v1/learning/retrain`);
    expect(asked.status).toBe(202);
    const { id } = await jsonOf(asked);
    const job = () => get(`${there.url}/v1/learning/jobs/${id}`);
    await expect.poll(async () => (await job()).state, { timeout: 90_000, interval: 200 }).toMatch(/done|failed/);
    const { state, result, error } = await job();
    expect(state, JSON.stringify(error)).toBe('done');
    expect(result.outcome, result.reasons.join('; ')).toBe('on-trial');
    expect(result).toMatchObject({ samples: 200, incumbent: base });
    expect(result.comparison.value.qualityNew).toBeGreaterThan(result.comparison.value.qualityOld);
    await until(() => running.every(({ gateway }) => gateway.trials.current?.kind === 'canary'));
    expect(artifacts()).toEqual(running.map(() => base));

    const history = async () => (await get(`${there.url}/v1/learning/history`)).history as { kind: string }[];
    const canary: { model: string; artifact: string | null }[] = [];
    while (!(await history()).some(({ kind }) => kind === 'promoted') && canary.length < 600) {
      canary.push(...(await traffic(40)));
    }
    const decidedBy = (artifact: string) => canary.filter((answer) => answer.artifact === artifact);
    // Both decided, and the new one avoided what the old one preferred.
    expect(shareOf(decidedBy(result.artifact), 'lab/dear')).toBeLessThan(shareOf(decidedBy(base!), 'lab/dear'));
    await expect.poll(async () => (await history())[0]?.kind).toBe('promoted');

    await until(() => artifacts().every((hash) => hash === result.artifact));
    const after = await traffic(40);
    expect(new Set(after.map(({ artifact }) => artifact))).toEqual(new Set([result.artifact]));
    expect(shareOf(after, 'lab/dear')).toBeLessThan(shareOf(before, 'lab/dear'));

    const back = await post(`${there.url}/v1/learning/rollback`);
    expect(await jsonOf(back)).toMatchObject({ from: result.artifact, to: null });
    await until(() => artifacts().every((hash) => hash === base));
    expect((await history()).map(({ kind }) => kind)).toEqual(['rolled-back', 'promoted', 'canary']);
    expect(await get(`${here.url}/v1/learning/history`)).toMatchObject({ active: null });
  }, 240_000);
});
