/** A model that comes, is tried, and goes again, in a gateway that runs all the while. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunningGateway, startGateway } from '../../../server/main.ts';
import { chat, completion, hello, jsonOf, sendJson, upstream } from '../fakes.ts';

const cleanUps: (() => unknown)[] = [];
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pointsman-onboarding-'));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

// One that the shipped router knows, and one that it knows nothing of.
const OLD = 'openai/gpt-5-nano';
const NEW = 'openai/brand-new';
const price = { inputUsdPerMTok: 1, outputUsdPerMTok: 2, contextTokens: 100_000 };

async function start() {
  const host = await upstream((_, response, { model }) => sendJson(response, completion(`by ${model}`)));
  const write = (ids: readonly string[], more: object = {}) => {
    const catalog = join(folder, `catalog-${ids.length}.json`);
    writeFileSync(catalog, JSON.stringify({ priceDate: '2026-11-01', models: ids.map((id) => ({ id, ...price })) }));
    const config = {
      port: 0,
      dataDir: join(folder, 'data'),
      logLevel: 'silent',
      catalog,
      providers: { openai: { baseUrl: host.url, apiKey: 'test-key' } },
      policy: { exploration: 0.1 },
      exploration: { newcomerShare: 0.5, newcomerCalls: 3 },
      ...more,
    };
    writeFileSync(join(folder, 'pointsman.yaml'), JSON.stringify(config));
  };
  write([OLD]);
  const running: RunningGateway = await startGateway({ file: join(folder, 'pointsman.yaml'), env: {} });
  cleanUps.push(host.close, running.close);
  return { running, write };
}

const ask = async ({ url }: RunningGateway, model = 'auto') => {
  const response = await chat(url, hello(model));
  expect(response.status).toBe(200);
  return response;
};
const candidates = ({ gateway }: RunningGateway) => gateway.holder.current.candidates.map(({ id }) => id);

test('a new model is tried as often as told and no more, and is out of auto’s reach once it is retired', async () => {
  const { running, write } = await start();
  const { gateway, store } = running;
  await expect.poll(async () => await store.db.execute(sql`select model from candidates`)).toEqual([{ model: OLD }]);
  expect(gateway.newcomers!.among(3)).toEqual([]);
  expect((await ask(running)).headers.get('x-pointsman-model')).toBe(OLD);

  write([OLD, NEW]);
  await running.reload();
  expect(candidates(running)).toEqual([OLD, NEW]);
  expect(gateway.newcomers!.among(3)).toEqual([NEW]);
  const reasons: string[] = [];
  // Half of the requests try it: that 100 do not make three is one chance in 10^24.
  for (let i = 0; i < 100 && reasons.length < 3; i++) {
    const { headers } = await ask(running);
    if (headers.get('x-pointsman-model') === NEW) reasons.push(headers.get('x-pointsman-reason')!);
  }
  expect(reasons).toEqual(['explored', 'explored', 'explored']);
  expect(gateway.newcomers!.among(3)).toEqual([]);
  for (let i = 0; i < 10; i++) expect((await ask(running)).headers.get('x-pointsman-model')).toBe(OLD);
  await store.flush();
  const rows = await store.db.execute(
    sql`select model, explorable, propensity, ranked->0->>'like' as like from decisions where model = ${NEW}`,
  );
  expect(rows).toHaveLength(3);
  // Half of all, and so says the log.
  for (const row of rows) expect(row).toMatchObject({ explorable: true, propensity: 0.5, like: '(average)' });

  write([OLD, NEW], { retire: [NEW] });
  await running.reload();
  expect(candidates(running)).toEqual([OLD]);
  expect((await jsonOf(await ask(running, NEW))).choices[0].message.content).toBe('by brand-new');
  const [retired] = await store.db.execute(sql`select retired_at from candidates where model = ${NEW}`);
  expect((retired as { retired_at: unknown }).retired_at).not.toBeNull();

  // All of them: refused, and what was in force stays.
  write([OLD, NEW], { retire: [OLD, NEW] });
  await running.reload();
  expect(candidates(running)).toEqual([OLD]);
});

test('a gateway in which every model is retired does not start, and says why', async () => {
  const catalog = join(folder, 'catalog.json');
  writeFileSync(catalog, JSON.stringify({ priceDate: '2026-11-01', models: [{ id: OLD, ...price }] }));
  writeFileSync(
    join(folder, 'all.yaml'),
    JSON.stringify({ port: 0, dataDir: join(folder, 'd'), catalog, retire: [OLD] }),
  );
  await expect(startGateway({ file: join(folder, 'all.yaml'), env: {} })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringMatching(/^retire: these are all the models/),
  });
});
