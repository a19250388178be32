/** A gateway's log over HTTP: what comes out is what was read, and what is broken is told. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import Fastify from 'fastify';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RoutingError } from '../../../datasets/index.ts';
import { adminRoutes } from '../../../server/api/admin.ts';
import { parseJsonBodies } from '../../../server/api/body.ts';
import { handleError } from '../../../server/api/errors.ts';
import { LearningConfig } from '../../../server/config/index.ts';
import { type EncodedRow, rowToJson } from '../../../server/db/rows.ts';
import { vectorBytes } from '../../../server/db/schema.ts';
import { Spool } from '../../../server/db/spool.ts';
import { openStore } from '../../../server/db/store.ts';
import { learningAdmin } from '../../../server/learning/admin.ts';
import { type AskedLogOptions, askedLog } from '../../../server/learning/log-client.ts';
import { LogLine, storedLog } from '../../../server/learning/log-stream.ts';
import { storeKinds } from '../db/stores.ts';
import { candidates, type Entry, logOf } from './synthetic-log.ts';

const TOKEN = 'secret';
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const lockOf = (url: string | null, token = TOKEN) => ({
  pid: 7,
  url,
  token,
  startedAt: '',
  place: null,
  processStart: null,
});
const coded = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** A server whose answer to everything is this. */
async function answering(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  open.push({
    close() {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The admin endpoints alone. */
async function serving(log: (options: unknown) => Promise<AsyncIterable<string>>): Promise<string> {
  const app = Fastify({ bodyLimit: 1000 });
  parseJsonBodies(app);
  app.setErrorHandler(handleError);
  adminRoutes(app, {
    token: TOKEN,
    retrain: async () => ({}),
    rollback: async () => ({}),
    trust: async () => ({}),
    jobs: async () => ({}),
    log,
  });
  open.push(app);
  return app.listen({ port: 0, host: '127.0.0.1' });
}

const asked = (url: string | null, options?: AskedLogOptions) => askedLog(lockOf(url), '/data', options).read('e');

const meta = (samples: number, promoted: string | null = null) => ({
  promoted,
  artifactDir: '/artifact',
  trainedThrough: null,
  log: { samples, leftOut: { notAnswered: 0, sandbox: 0, notRouted: 0, otherEncoder: 0 }, limited: false },
});
const row = {
  id: 'a',
  group: 'a',
  executed: 'x',
  sampled: 'x',
  propensity: 1,
  distribution: [{ model: 'x', probability: 1 }],
  facts: { inputTokens: 1 },
  embedding: Buffer.from(vectorBytes(Float32Array.of(1, 2))).toString('base64'),
  quality: 1,
  outputTokens: null,
  costUsd: null,
  tenant: 'default',
  key: null,
  tags: [],
  createdAt: 1.7e12,
  explorable: true,
  explored: false,
  difficulty: 0.5,
  outOfDomain: null,
  kind: 'verdict',
  weight: 1,
  auditQuality: null,
  auditProbability: null,
  latencyMs: 3,
  firstLabelledAt: 1,
  ranked: [],
};
const ndjson = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

let entries: Entry[];
let encoderId: string;
beforeAll(async () => {
  const { entries: few, artifact } = await logOf({ seed: 1, decisions: 50, truth: () => 0.5 });
  encoderId = artifact.encoder.id;
  // More than a page of the database, of few embeddings.
  entries = Array.from({ length: 1100 }, (_, i) => {
    const { decision, attempt, feedback } = few[i % 50]!;
    const id = `n${i}`;
    return {
      decision: { ...decision, id, createdAt: new Date(1.7e12 + i * 1000) },
      attempt: { ...attempt, id: `${id}-0`, decisionId: id },
      feedback: { ...feedback, id: `${id}-f`, decisionId: id },
    };
  });
});

async function contextOf(kind = storeKinds[0]!, as: (entry: Entry, i: number) => Entry = (entry) => entry) {
  const opened = await kind.open();
  open.push(opened);
  for (const entry of entries.map(as)) opened.store.record(entry);
  // A busy machine does not take all of them in one go.
  do await opened.store.flush();
  while (opened.store.writer.spooled);
  return { store: opened.store, dataDir: opened.options.dataDir, candidates };
}

test('over HTTP every field of every row comes out as it was read, embeddings bit for bit', async () => {
  const context = await contextOf();
  const log = askedLog(lockOf(await serving(learningAdmin(context).log)), context.dataDir);
  const stored = storedLog(context);
  expect(await log.inForce()).toMatchObject(await stored.inForce());
  const [there, here] = [await log.read(encoderId), await stored.read(encoderId)];
  expect(there).toEqual(here);
  expect(there.samples.map(({ id }) => id)).toEqual(entries.map(({ decision }) => decision.id));
  expect(there.samples[0]!.ranked).toEqual(entries[0]!.decision.ranked);
  expect(there.samples[0]!.embedding).toEqual(entries[0]!.decision.embedding);
  const other = await log.read('another');
  expect(other).toMatchObject({ samples: [], leftOut: { otherEncoder: 1100 } });
});

describe.each(storeKinds)('on $name', (kind) => {
  test('what an earlier process left on disk is part of the log: whoever reads it waits', async () => {
    const opened = await kind.open();
    open.push(opened);
    const { dataDir } = opened.options;
    await opened.store.close();
    /** Opened anew after a process that had these rows on disk alone. */
    const opening = async (left: typeof entries) => {
      const spool = new Spool(dataDir, { exclusive: true });
      await spool.append(left.flatMap(rowsOf));
      await spool.close();
      const store = await openStore(opened.options);
      open.push(store);
      return { store, dataDir, candidates };
    };
    const first = await opening(entries.slice(0, 250));
    expect((await storedLog(first).read(encoderId)).samples).toHaveLength(250);
    await first.store.close();
    const second = await opening(entries.slice(250, 500));
    for await (const text of await learningAdmin(second).log({ encoderId })) {
      expect(JSON.parse(text)).toMatchObject({ log: { samples: 500 } });
      break;
    }
  });

  test('hints are no judged answers: they are not read, and take no room', async () => {
    const context = await contextOf(kind, (entry, i) =>
      i % 11 === 0 ? entry : { ...entry, feedback: { ...entry.feedback, kind: 'hint', source: 'hint:regenerated' } },
    );
    const judged = entries.flatMap(({ decision }, i) => (i % 11 === 0 ? [decision.id] : []));
    const learning = { ...LearningConfig.parse({}), maxSamples: 100 };
    for (const log of [
      storedLog({ ...context, learning }),
      askedLog(lockOf(await serving(learningAdmin({ ...context, learning }).log)), context.dataDir),
    ]) {
      const { samples, limited } = await log.read(encoderId);
      expect(samples.map(({ id }) => id)).toEqual(judged);
      expect(limited).toBe(false);
    }
    const fewer = await storedLog({ ...context, learning: { ...learning, maxSamples: 99 } }).read(encoderId);
    expect(fewer.samples.map(({ id }) => id)).toEqual(judged.slice(1));
    expect(fewer.limited).toBe(true);
  });
});

const rowsOf = ({ decision, attempt, feedback }: Entry): EncodedRow[] => [
  { table: 'decisions', json: rowToJson({ table: 'decisions', row: decision }) },
  { table: 'attempts', json: rowToJson({ table: 'attempts', row: attempt }) },
  { table: 'feedback', json: rowToJson({ table: 'feedback', row: feedback }) },
];

test('a row in JSON is the row', () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0);
  fc.assert(
    fc.property(
      fc.record({ id: fc.string(), quality: number, propensity: number, firstLabelledAt: fc.nat() }),
      fc.float32Array({ minLength: 1, maxLength: 20 }),
      (fields, embedding) => {
        const line = { ...row, ...fields, embedding: Buffer.from(vectorBytes(embedding)).toString('base64') };
        expect(LogLine.parse(JSON.parse(JSON.stringify(line)))).toEqual({ ...row, ...fields, embedding });
      },
    ),
  );
});

test('only who knows the token is answered, and only to options that are some', async () => {
  const context = await contextOf();
  const url = await serving(learningAdmin(context).log);
  const post = (body: string, token = TOKEN) =>
    fetch(`${url}/admin/log`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    });
  const codeOf = async (reply: Response) => [reply.status, JSON.parse(await reply.text()).error.code];
  expect(await codeOf(await post('{}', 'other'))).toEqual([401, 'UNAUTHORIZED']);
  expect(await codeOf(await post('{"encoder": 1}'))).toEqual([400, 'INVALID_REQUEST']);
  expect(await codeOf(await post('{"encoderId": ""}'))).toEqual([400, 'INVALID_REQUEST']);
  expect(await codeOf(await post('[]'))).toEqual([400, 'INVALID_REQUEST']);
  expect(await codeOf(await post(JSON.stringify({ encoderId: 'e'.repeat(2000) })))).toEqual([413, 'BODY_TOO_LARGE']);
  const lines = (await (await post('{}')).text()).split('\n');
  expect(lines).toHaveLength(2);
  expect(JSON.parse(lines[0]!)).toMatchObject({ promoted: null, trainedThrough: null, log: null });
  await expect(askedLog(lockOf(url, 'other'), '/data').inForce()).rejects.toEqual(
    coded('UNAUTHORIZED', /refuses the token in \/data\/lock\.json.*Run this again/),
  );
});

test('a client that reads slowly is waited for; one that hangs up ends the reading', async () => {
  const TEXT = 'x'.repeat(100_000);
  let given = 0;
  let ended = false;
  const url = await serving(async () =>
    (async function* () {
      try {
        for (;;) {
          given++;
          yield TEXT;
        }
      } finally {
        ended = true;
      }
    })(),
  );
  // Not by fetch, which opens another connection in place of the one that was hung up.
  const call = request(`${url}/admin/log`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } }).end();
  const [reply] = (await once(call, 'response')) as [IncomingMessage];
  expect(reply.statusCode).toBe(200);
  await wait(300);
  const before = given;
  await wait(300);
  // Full buffers of sockets, then nothing more.
  expect(given).toBe(before);
  expect(given).toBeLessThan(200);
  reply.on('error', () => {});
  call.destroy();
  await expect.poll(() => ended).toBe(true);
});

test('what fails in the middle is told by its own code', async () => {
  const url = await serving(async () =>
    (async function* () {
      yield ndjson(meta(2), row);
      throw new RoutingError('DATABASE_UNAVAILABLE', 'the disk is full');
    })(),
  );
  await expect(asked(url)).rejects.toEqual(coded('DATABASE_UNAVAILABLE', /gateway at http.*: the disk is full/));
});

test('a database that fails before anything is out is an error of its own', async () => {
  const context = await contextOf();
  const url = await serving(learningAdmin(context).log);
  await context.store.close();
  await expect(asked(url)).rejects.toEqual(coded('DATABASE_UNAVAILABLE', /the gateway at .*: database/));
});

test.each([
  ['nothing at all', '', 'UPSTREAM_CLOSED', /stopped in the middle of its log; run this again/],
  ['fewer rows than announced', ndjson(meta(2), row), 'UPSTREAM_CLOSED', /stopped in the middle/],
  ['half a line', ndjson(meta(1), row).slice(0, -20), 'UPSTREAM_CLOSED', /stopped in the middle/],
  ['a page of HTML', '<html>\n</html>\n', 'UPSTREAM_INVALID', /line 1 is not JSON.*another program at that port/],
  ['null', 'null\n', 'UPSTREAM_INVALID', /line 1: field \(row\)/],
  ['no rows asked for', ndjson({ ...meta(0), log: null }), 'UPSTREAM_INVALID', /line 1: field log/],
  ['a count beyond all', ndjson(meta(1_000_001)), 'UPSTREAM_INVALID', /line 1: field log\.samples/],
  ['a row too many', ndjson(meta(1), row, row), 'UPSTREAM_INVALID', /line 3: more rows than it announced/],
  [
    'a row without a propensity',
    ndjson(meta(1), { ...row, propensity: null }),
    'UPSTREAM_INVALID',
    /line 2: field propensity/,
  ],
  ['half a float', ndjson(meta(1), { ...row, embedding: 'AAAAAAA=' }), 'UPSTREAM_INVALID', /line 2: field embedding/],
  ['no base64', ndjson(meta(1), { ...row, embedding: 'é€' }), 'UPSTREAM_INVALID', /line 2: field embedding/],
  [
    'embeddings of two lengths',
    ndjson(meta(2), row, { ...row, embedding: 'AAAAAA==' }),
    'UPSTREAM_INVALID',
    /line 3: field embedding: 1 numbers/,
  ],
  ['an endless line', 'x'.repeat(5 * 1024 * 1024), 'UPSTREAM_INVALID', /line 1 is over 4 MB/],
] as [string, string, string, RegExp][])('an answer of %s is refused', async (_, text, code, message) => {
  await expect(asked(await answering((_, reply) => reply.end(text)))).rejects.toEqual(coded(code, message));
});

test.each([
  [404, '{"error":{"code":"NOT_FOUND","message":"no endpoint"}}', 'NOT_FOUND', /earlier version\. Restart it/],
  [503, '{"error":{"code":"SHUTTING_DOWN","message":"try again"}}', 'SHUTTING_DOWN', /gateway at .*: try again/],
  [400, '{"error":{"code":"OTHER","message":"what?"}}', 'UPSTREAM_ERROR', /: what\?/],
  [500, 'x'.repeat(1_000_000), 'UPSTREAM_INVALID', /status 500 and no reason/],
  [302, '', 'UPSTREAM_INVALID', /status 302/],
] as [number, string, string, RegExp][])('status %i is told with what to do', async (status, text, code, message) => {
  const url = await answering((_, reply) => reply.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(text));
  await expect(asked(url)).rejects.toEqual(coded(code, message));
});

test('a gateway that dies midway, falls silent, answers nowhere or nothing', async () => {
  const dies = await answering((_, reply) => {
    reply.write(ndjson(meta(2), row));
    setTimeout(() => reply.destroy(), 20);
  });
  await expect(asked(dies)).rejects.toEqual(coded('UPSTREAM_CLOSED', /stopped in the middle/));
  const silent = await answering((_, reply) => void reply.write(ndjson(meta(2), row)));
  await expect(asked(silent, { silenceMs: 100 })).rejects.toEqual(coded('UPSTREAM_TIMEOUT', /said nothing for 0\.1 s/));
  const mute = await answering(() => {});
  await expect(asked(mute, { silenceMs: 100 })).rejects.toEqual(coded('UPSTREAM_TIMEOUT', /said nothing for 0\.1 s/));
  await expect(asked('http://127.0.0.1:1')).rejects.toEqual(
    coded('DATABASE_LOCKED', /does not answer.*run this again/),
  );
  await expect(asked(null)).rejects.toEqual(coded('DATABASE_LOCKED', /process 7 has \/data open/));
});

test('a router that comes into force between the questions is told', async () => {
  let promoted: string | null = null;
  const url = await answering((_, reply) => {
    reply.end(ndjson(promoted === null ? { ...meta(0), log: null } : meta(0, promoted)));
    promoted = 'another';
  });
  const log = askedLog(lockOf(url), '/data');
  expect(await log.inForce()).toMatchObject({ promoted: null });
  await expect(log.read('e')).rejects.toEqual(coded('INVALID_REQUEST', /came into force meanwhile; run this again/));
});
