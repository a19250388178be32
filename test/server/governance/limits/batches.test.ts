/** Batches under budgets: set aside when they are made, settled when they are over, on every kind of database. */
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openStore, type SqlStore } from '../../../../server/db/store.ts';
import { heldIn } from '../../../../server/held-objects.ts';
import { httpProvider } from '../../../../server/providers/http-provider.ts';
import { openai } from '../../../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../../../server/providers/openai-compatible.ts';
import { Transport } from '../../../../server/providers/transport.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, jsonOf, type TestGateway } from '../../fakes.ts';
import { type Host, openAiHost } from '../../passthrough-upstream.ts';

/** USD 1 000 and 2 000 per million tokens; half of it in a batch. */
const models = [candidate('one/small', 1000), candidate('one/large', 2000)];

const KEYS = ['a', 'b', 'admin'] as const;
const keyOf = (name: (typeof KEYS)[number]) => `${name}-0123456789abcdef`;
const keys = KEYS.map((name) => ({
  ...{ name, tenant: name === 'admin' ? 'ops' : name, key: keyOf(name) },
  ...(name === 'admin' && { scopes: ['call', 'admin', 'manage', 'usage'] }),
}));

const providerAt = (url: string) =>
  httpProvider(
    { ...openAiCompatibleKind('one'), protocols: openai.protocols },
    { name: 'one', baseUrl: url, keys: [{ id: '', weight: 1, key: 'secret' }], transport: new Transport() },
  );

const line = (more: object = {}, n = 0) =>
  JSON.stringify({
    ...{ custom_id: `r${n}`, method: 'POST', url: '/v1/chat/completions' },
    body: { model: 'small', messages: [{ role: 'user', content: 'hello' }], max_tokens: 100, ...more },
  });

async function upload(
  gateway: TestGateway,
  lines: readonly string[],
  who: (typeof KEYS)[number] = 'a',
  more: object = {},
) {
  const form = new FormData();
  form.set('purpose', 'batch');
  for (const [name, value] of Object.entries(more)) form.set(name, String(value));
  form.set('file', new Blob([lines.join('\n')]), 'batch.jsonl');
  const response = await fetch(`${gateway.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${keyOf(who)}` },
    body: form,
  });
  expect(response.status).toBe(200);
  return (await jsonOf(response)).id as string;
}

const send = (gateway: TestGateway, path: string, body?: object, who: (typeof KEYS)[number] = 'a') =>
  fetch(`${gateway.url}/v1/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${keyOf(who)}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

const make = (gateway: TestGateway, file: string, more: object = {}, who: (typeof KEYS)[number] = 'a') =>
  send(
    gateway,
    'batches',
    { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', ...more },
    who,
  );

let host: Host;
/** What the host says of a batch, beside what it was made with. */
let state: Record<string, unknown> = {};
const made: Record<string, Record<string, unknown>> = {};
beforeAll(async () => {
  host = await openAiHost('one');
  host.script = (seen, response) => {
    const { pathname } = new URL(seen.url, 'http://host');
    if (!pathname.startsWith('/v1/batches')) return false;
    const id = pathname.split('/')[3];
    const answer = (value: object, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
      return true;
    };
    if (seen.method === 'POST' && id === undefined) {
      if (state.refuses) return answer({ error: { message: 'no', type: 'invalid_request_error' } }, 400);
      const batch = {
        id: `batch_${Object.keys(made).length}`,
        created_at: Date.now() / 1000,
        ...JSON.parse(String(seen.body)),
      };
      made[batch.id] = batch;
      if (state.hangsUp) return response.destroy() !== undefined;
      return answer({ ...batch, status: 'validating' });
    }
    if (id === undefined) return answer({ object: 'list', data: Object.values(made).toReversed(), has_more: false });
    return answer({ ...made[id], status: 'in_progress', ...state });
  };
});
afterAll(() => host.close());

const running: TestGateway[] = [];
afterEach(async () => {
  state = {};
  for (const gateway of running.splice(0)) await stop(gateway);
});

/** Without its store, which others may use. */
async function stop({ app, gateway }: TestGateway) {
  await gateway.governance.stop();
  app.server.closeAllConnections();
  await app.close();
}

async function start(store: SqlStore, limits: object, more: object = {}): Promise<TestGateway> {
  const gateway = await gatewayOver(models, {
    store,
    heldStore: heldIn(store),
    providers: new Map([['one', providerAt(host.url)]]),
    config: { keys, limits: { batchPrices: { one: 0.5 }, ...limits }, ...more },
  });
  await gateway.gateway.governance.start();
  running.push(gateway);
  return gateway;
}

/** What is counted by the minute is not to see it turn: waits where less than half of it is left. */
async function inOneMinute(): Promise<void> {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 30_000) await new Promise((resolve) => setTimeout(resolve, left + 50));
}

const budget = (usd: number, more: object = {}) => ({
  budgets: [{ name: `b${Math.random()}`, team: 'a', usd, period: 'month', ...more }],
});

async function useOf(gateway: TestGateway) {
  const { limits } = await jsonOf(send(gateway, 'admin/limits', undefined, 'admin'));
  const { used, reserved } = limits[0].use[0] ?? { used: 0, reserved: 0 };
  return { used: used as number, reserved: reserved as number };
}

describe.each(storeKinds)('on $name, a batch', ({ open }) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(() => opened.close());

  test('is set aside as its lines ask for, seen by whoever looks at budgets, and settled by the tokens that its host counts', async () => {
    const gateway = await start(opened.store, budget(10));
    const lines = [line(), line({ n: 2 }), line({ model: 'large', max_tokens: 50 })];
    const file = await upload(gateway, lines);
    const response = await make(gateway, file);
    expect(response.status).toBe(200);
    const { id } = await jsonOf(response);
    // Answers: 300 · 0.002 + 50 · 0.004, and prompts of characters / 4 · 2 + 16 tokens, all at half.
    const prompts = (text: string) => (Math.ceil(text.length / 4) * 2 + 16) / 1000;
    const small = (Math.ceil((lines[0]!.length + lines[1]!.length) / 4) * 2 + 32) / 1000;
    const expected = (0.6 + 0.2 + small + prompts(lines[2]!) * 2) / 2;
    const aside = await useOf(gateway);
    expect(aside.used).toBeCloseTo(0, 9);
    expect(aside.reserved).toBeCloseTo(expected, 9);
    await send(gateway, `batches/${id}`);
    expect((await useOf(gateway)).reserved).toBeCloseTo(expected, 9);
    state = { status: 'completed', request_counts: { total: 3, completed: 3, failed: 0 } };
    state.usage = { input_tokens: 30, output_tokens: 0, total_tokens: 30 };
    await send(gateway, `batches/${id}`);
    const { used, reserved } = await useOf(gateway);
    expect(reserved).toBeCloseTo(0, 9);
    // Tokens of prompts are divided as they were expected.
    const [ofSmall, ofLarge] = [Math.ceil((lines[0]!.length + lines[1]!.length) / 4), Math.ceil(lines[2]!.length / 4)];
    expect(used).toBeCloseTo((0.03 * (ofSmall + 2 * ofLarge)) / (ofSmall + ofLarge) / 2, 9);
    // Once, however often it is asked for.
    await send(gateway, `batches/${id}`);
    expect((await useOf(gateway)).used).toBeCloseTo(used, 9);
  });

  test('that a budget does not cover is refused as a request would be, and takes nothing', async () => {
    const gateway = await start(opened.store, budget(0.5));
    const [first, second] = await Promise.all([0, 1].map((n) => upload(gateway, [line({ max_tokens: 300 }, n)])));
    expect((await make(gateway, first!)).status).toBe(200);
    const asked = host.seen.length;
    const refused = await make(gateway, second!);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const { error } = await jsonOf(refused);
    expect(error).toMatchObject({ type: 'insufficient_quota', code: 'BUDGET_EXCEEDED' });
    expect(error.message).toMatch(/^this batch may cost up to 0\.3\d* USD, more than is left of budget/);
    expect(host.seen).toHaveLength(asked);
    const all = await make(gateway, await upload(gateway, [line({ max_tokens: 5000 })]));
    expect((await jsonOf(all)).error.message).toContain('make it of fewer requests');
    // Ordinary requests hear of it, too.
    const chat = await send(gateway, 'chat/completions', JSON.parse(line({ model: 'one/small' })).body);
    expect((await jsonOf(chat)).error.code).toBe('BUDGET_EXCEEDED');
  });

  test.each([
    ['failed', {}, 0],
    ['completed', {}, 1],
    ['cancelled', { request_counts: { total: 4, completed: 1, failed: 0 } }, 0.25],
    [
      'expired',
      { request_counts: { total: 4, completed: 3, failed: 1 }, usage: { input_tokens: 0, output_tokens: 0 } },
      0.75,
    ],
    ['completed', { request_counts: { total: 400, completed: 1 } }, 1],
  ])(
    'that is %s with %o counts as %d of what was set aside where its host counts no tokens',
    async (status, more, share) => {
      const gateway = await start(opened.store, budget(10));
      const { id } = await jsonOf(
        make(
          gateway,
          await upload(
            gateway,
            [0, 1, 2, 3].map((n) => line({}, n)),
          ),
        ),
      );
      const { reserved } = await useOf(gateway);
      expect(reserved).toBeGreaterThan(0.4);
      state = { status, ...more };
      await send(gateway, `batches/${id}/cancel`, {});
      expect((await useOf(gateway)).used).toBeCloseTo(share * reserved, 9);
    },
  );

  test('that its host refuses, or that cannot be sent to it, gives all back', async () => {
    const gateway = await start(opened.store, budget(10));
    const file = await upload(gateway, [line()]);
    state = { refuses: true };
    expect((await make(gateway, file)).status).toBe(400);
    await expect.poll(() => useOf(gateway)).toEqual({ used: 0, reserved: expect.closeTo(0, 9) });
  });

  test('of which nobody has heard whether it was made is found at its host', async () => {
    const gateway = await start(opened.store, budget(10));
    const file = await upload(gateway, [line()]);
    state = { hangsUp: true };
    expect((await make(gateway, file)).status).toBe(502);
    const { reserved } = await useOf(gateway);
    expect(reserved).toBeGreaterThan(0.1);
    state = {};
    const { db } = opened.store;
    const ofFile = sql`expected->>'file' = ${file}`;
    const before = sql`now() - interval '1 hour'`;
    await db.execute(sql`update batch_reserves set looked_at = ${before}, created_at = ${before} where ${ofFile}`);
    await gateway.gateway.governance.limits.batches!.look();
    const rows = await db.execute(sql`select batch, settled_by from batch_reserves where ${ofFile}`);
    expect(rows).toEqual([{ batch: Object.keys(made).at(-1), settled_by: null }]);
    expect((await useOf(gateway)).reserved).toBeCloseTo(reserved, 9);
    // Whoever made it may ask for it, and nobody else.
    const asked = (key: (typeof KEYS)[number]) => send(gateway, `batches/${Object.keys(made).at(-1)}`, undefined, key);
    expect([(await asked('a')).status, (await asked('b')).status]).toEqual([200, 404]);
    // One that its host does not list was never made, and gives all back.
    delete made[Object.keys(made).at(-1)!];
    await db.execute(sql`update batch_reserves set batch = null, looked_at = ${before} where ${ofFile}`);
    await gateway.gateway.governance.limits.batches!.look();
    expect(await useOf(gateway)).toEqual({ used: expect.closeTo(0, 9), reserved: expect.closeTo(0, 9) });
  });

  test('is written down before its host hears of it, and settled by whoever runs when it is over', async () => {
    const limits = budget(10);
    const first = await start(opened.store, limits);
    const file = await upload(first, [line()]);
    const bucket = `config:budget:${limits.budgets[0]!.name}`;
    const spent = async () => {
      const rows = await opened.store.db.execute(sql`select used from limit_use where limit_id = ${bucket}`);
      return Number((rows as unknown as { used: number }[])[0]?.used);
    };
    const script = host.script;
    let written = Number.NaN;
    host.script = async (seen, response) => {
      if (seen.method === 'POST' && seen.url === '/v1/batches') written = await spent();
      return script(seen, response);
    };
    const { id } = await jsonOf(make(first, file));
    host.script = script;
    expect(written).toBeGreaterThan(0.1);
    await stop(running.pop()!);
    const second = await start(opened.store, limits);
    expect((await useOf(second)).reserved).toBeCloseTo(written, 9);
    // Of the one file two batches: what it asks for is known to whoever asks.
    expect((await make(second, file)).status).toBe(200);
    expect((await useOf(second)).reserved).toBeCloseTo(2 * written, 9);
    state = { status: 'completed', usage: { input_tokens: 10, output_tokens: 20 } };
    await send(second, `batches/${id}`);
    const { used, reserved } = await useOf(second);
    // 10 · 0.001 + 20 · 0.002, at half.
    expect([used, reserved]).toEqual([expect.closeTo(0.025, 9), expect.closeTo(written, 9)]);
    await stop(running.pop()!);
    expect(await spent()).toBeCloseTo(0.025 + written, 9);
  });

  test('that nobody polls is asked for by the gateway itself, where the rules let it, and else settled by its forecast', async () => {
    const gateway = await start(opened.store, budget(10));
    const { limits, policies } = gateway.gateway.governance;
    const { db } = opened.store;
    const { id } = await jsonOf(make(gateway, await upload(gateway, [line()])));
    const { reserved } = await useOf(gateway);
    const asked = () => host.seen.filter(({ method, url }) => method === 'GET' && url === `/v1/batches/${id}`).length;
    await limits.batches!.look();
    expect(asked()).toBe(0);
    const passes = (what: ReturnType<typeof sql>) =>
      db.execute(sql`update batch_reserves set ${what} where batch = ${id}`);
    await passes(sql`looked_at = now() - interval '1 hour'`);
    const { govern } = policies;
    policies.govern = (asking) => ({ ...asking.caller, rules: { ...asking.caller.rules, allows: () => false } });
    await limits.batches!.look();
    expect(asked()).toBe(0);
    policies.govern = govern;
    await passes(sql`looked_at = now() - interval '1 hour'`);
    await limits.batches!.look();
    expect(asked()).toBe(1);
    expect((await useOf(gateway)).reserved).toBeCloseTo(reserved, 9);
    await passes(sql`looked_at = now() - interval '1 hour', ends_at = now() - interval '1 minute'`);
    await limits.batches!.look();
    expect(asked()).toBe(2);
    expect(await useOf(gateway)).toEqual({ used: expect.closeTo(reserved, 9), reserved: expect.closeTo(0, 9) });
    // Told late, the count of its host sets it right.
    state = { status: 'completed', usage: { prompt_tokens: 10, completion_tokens: 20 } };
    await send(gateway, `batches/${id}`);
    expect((await useOf(gateway)).used).toBeCloseTo(0.025, 9);
  });

  test('tells the webhook of thresholds that it reaches, and softens auto', async () => {
    const limits = budget(0.3, { softShare: 0.5, notifyAt: [50, 90] });
    const gateway = await start(opened.store, limits);
    const { limits: inForce } = gateway.gateway.governance;
    const said: object[] = [];
    inForce.log = { warn: (details) => said.push(details) };
    expect((await make(gateway, await upload(gateway, [line({ max_tokens: 150 })]))).status).toBe(200);
    await inForce.look();
    expect(said).toMatchObject([{ budget: limits.budgets[0]!.name, thresholdPercent: 50 }]);
    const route = await send(gateway, 'route', { messages: [{ role: 'user', content: 'hello' }] });
    expect(route.headers.get('x-pointsman-soft-limit')).toBe(limits.budgets[0]!.name);
  });
});

describe('a batch of which nobody can tell what it may cost', () => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await storeKinds[0]!.open();
  });
  afterAll(() => opened.close());

  test.each([
    ['a model without a price', [line({ model: 'cheap' })], 'nobody here knows the price of cheap'],
    ['auto', [line({ model: 'auto' })], 'a batch is not routed'],
    ['no model', [line(), line({ model: undefined }, 1)], 'line 2: it names no model'],
    ['what is no request', ['{"custom_id":"1"}'], 'line 1: it has no body'],
    ['no JSON', [line(), '{'], 'not all of it could be read as lines of JSON'],
    ['nothing', [''], 'it has no requests'],
    ['another endpoint', [line().replace('/v1/chat/completions', '/v1/images/generations')], '/v1/images/generations'],
    ['two endpoints', [line(), line().replace('/v1/chat/completions', '/v1/embeddings')], 'those before it are for'],
    [
      'a bound twice',
      [line().replace('"max_tokens":100', '"max_tokens":1,"max_tokens":100')],
      'two members of one name',
    ],
    [
      'a bound in disguise',
      [line().replace('"max_tokens":100', '"max_tokens":1,"max\\u005ftokens":100')],
      'two members',
    ],
  ])('since its file asks for %s is refused, and told why and what to do', async (_, lines, why) => {
    // Of several tenants the upload would be refused for some of it.
    const alone = { keys: keys.map((one) => ({ ...one, tenant: 'a' })) };
    const gateway = await start(opened.store, budget(10), alone);
    const file = await upload(gateway, lines);
    const refused = await make(gateway, file);
    expect(refused.status).toBe(403);
    const { error } = await jsonOf(refused);
    expect(error.code).toBe('FORBIDDEN');
    expect(error.message).toContain(why);
    expect(error.message).toContain('one by one to /v1/chat/completions');
    expect(error.message).toContain('limits.allowUnmetered: true');
    expect(host.seen.at(-1)!.url).toBe('/v1/files');
    const passing = await start(opened.store, { ...budget(10), allowUnmetered: true }, alone);
    expect((await make(passing, file)).status).toBe(200);
  });

  test('since its file is written in a way that another reader may read otherwise is refused', async () => {
    const gateway = await start(opened.store, budget(10), { keys: keys.map((one) => ({ ...one, tenant: 'a' })) });
    const parts = [
      'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch',
      `Content-Disposition: form-data; name="file"; filename="b.jsonl"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${line()}`,
    ];
    const response = await fetch(`${gateway.url}/v1/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keyOf('a')}`, 'content-type': 'multipart/form-data; boundary=xyz' },
      body: `${parts.map((part) => `--xyz\r\n${part}\r\n`).join('')}--xyz--\r\n`,
    });
    expect(response.status).toBe(200);
    expect((await make(gateway, (await jsonOf(response)).id)).status).toBe(403);
  });

  test('since its file came before the budget is refused until it is uploaded again', async () => {
    const before = await start(opened.store, {});
    const file = await upload(before, [line()]);
    expect((await make(before, file)).status).toBe(200);
    const gateway = await start(opened.store, budget(10));
    const refused = await make(gateway, file);
    expect(refused.status).toBe(403);
    expect((await jsonOf(refused)).error.message).toContain('Upload it again through the gateway');
    expect((await make(gateway, await upload(gateway, [line()]))).status).toBe(200);
    // Of whom no budget is makes what it likes.
    expect((await make(gateway, await upload(gateway, [line({ model: 'cheap' })], 'b'), {}, 'b')).status).toBe(200);
  });

  test('is a mistake where it says another endpoint than its lines', async () => {
    const gateway = await start(opened.store, budget(10));
    const refused = await make(gateway, await upload(gateway, [line()]), { endpoint: '/v1/embeddings' });
    expect(refused.status).toBe(400);
    expect((await jsonOf(refused)).error.message).toContain('the lines of the file are for /v1/chat/completions');
  });

  test.each([{ model_id: 'large' }, { model: 'large' }, { priority: 9 }])(
    'since what asks for it says %o, too, is refused',
    async (more) => {
      const gateway = await start(opened.store, budget(10));
      const file = await upload(gateway, [line()]);
      const refused = await make(gateway, file, more);
      expect(refused.status).toBe(403);
      const { error } = await jsonOf(refused);
      expect([error.code, error.message]).toEqual(['FORBIDDEN', expect.stringContaining(Object.keys(more)[0]!)]);
      const fine = { metadata: { team: 'a' }, output_expires_after: { anchor: 'created_at', seconds: 3600 } };
      expect((await make(gateway, file, fine)).status).toBe(200);
      // Without a budget it is its host's to say what they are.
      expect((await make(gateway, await upload(gateway, [line()], 'b'), more, 'b')).status).toBe(200);
    },
  );

  test('is none for other fields of its form', async () => {
    const gateway = await start(opened.store, budget(10));
    const more = { 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': 86_400 };
    expect((await make(gateway, await upload(gateway, [line()], 'a', more))).status).toBe(200);
  });
});

describe('rates', () => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await storeKinds[0]!.open();
  });
  afterAll(() => opened.close());

  test('count the requests of a batch once, when it is made, up to what is left of the minute', async () => {
    await inOneMinute();
    const rates = [{ name: 'minute', team: 'a', requestsPerMinute: 20, tokensPerMinute: 1e6 }];
    const gateway = await start(opened.store, { rates });
    const { limits } = gateway.gateway.governance;
    const at = Date.now();
    const used = (measure: string) => limits.used.find((pot) => pot.measure === measure && pot.span.endMs > at)?.spent;
    const file = await upload(
      gateway,
      Array.from({ length: 5 }, (_, n) => line({}, n)),
    );
    const { id } = await jsonOf(make(gateway, file));
    // The upload, and the batch of five.
    expect(used('requests')).toBe(6);
    const tokens = used('tokens')!;
    expect(tokens).toBeGreaterThan(500);
    state = { status: 'completed', output_file_id: 'file-out', usage: { input_tokens: 50, output_tokens: 100 } };
    await send(gateway, `batches/${id}`);
    expect(used('requests')).toBe(7);
    expect(used('tokens')).toBe(tokens);
    const large = await upload(
      gateway,
      Array.from({ length: 100 }, (_, n) => line({}, n)),
    );
    expect((await make(gateway, large)).status).toBe(200);
    expect(used('requests')).toBe(20);
    expect((await make(gateway, large)).status).toBe(429);
  });

  test('of tokens that a batch has used up keep nobody from looking at it or stopping it', async () => {
    await inOneMinute();
    const gateway = await start(opened.store, { rates: [{ name: 'few', team: 'a', tokensPerMinute: 500 }] });
    const file = await upload(gateway, [line({ max_tokens: 1000 })]);
    const made = await make(gateway, file);
    const { id, ...rest } = await jsonOf(made);
    expect([made.status, rest]).toEqual([200, expect.anything()]);
    expect((await send(gateway, `batches/${id}`)).status).toBe(200);
    expect((await send(gateway, `batches/${id}/cancel`, {})).status).toBe(200);
    expect((await make(gateway, file)).status).toBe(429);
  });
});

test('of several models takes of a budget for one of them its part alone', async () => {
  const opened = await storeKinds[0]!.open();
  try {
    const gateway = await start(opened.store, budget(10, { model: 'one/large' }));
    const large = line({ model: 'large', max_tokens: 50 });
    const { id } = await jsonOf(make(gateway, await upload(gateway, [line(), large])));
    // 50 · 0.004 and its prompt at 0.002 a token, at half.
    const part = (0.2 + 0.002 * (Math.ceil(large.length / 4) * 2 + 16)) / 2;
    expect((await useOf(gateway)).reserved).toBeCloseTo(part, 9);
    state = { status: 'expired', request_counts: { total: 2, completed: 1, failed: 1 } };
    await send(gateway, `batches/${id}`);
    expect(await useOf(gateway)).toEqual({ used: expect.closeTo(part / 2, 9), reserved: expect.closeTo(0, 9) });
    // One that asks for no such model has nothing to do with it.
    expect((await make(gateway, await upload(gateway, [line()]))).status).toBe(200);
    expect((await useOf(gateway)).used).toBeCloseTo(part / 2, 9);
  } finally {
    for (const gateway of running.splice(0)) await stop(gateway);
    await opened.close();
  }
});

test('two gateways on one database give out no more than there is, and both see what becomes of it', async () => {
  const opened = await storeKinds.find(({ name }) => name === 'PostgreSQL')!.open();
  const other = await openStore(opened.options);
  try {
    // Each batch may cost 0.1 and its prompt; five of them fit.
    const limits = budget(0.7);
    const gateways = [await start(opened.store, limits), await start(other, limits)];
    const file = await upload(gateways[0]!, [line()]);
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => make(gateways[i % 2]!, file)));
    const ids = await Promise.all(answers.filter(({ ok }) => ok).map(async (one) => (await jsonOf(one)).id as string));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
    const { reserved } = await useOf(gateways[0]!);
    const each = reserved / ids.length;
    expect(each).toBeGreaterThan(0.1);
    expect(ids.length).toBe(Math.floor(0.7 / each));
    state = { status: 'completed', usage: { input_tokens: 10, output_tokens: 20 } };
    await Promise.all(ids.flatMap((id) => gateways.map((gateway) => send(gateway, `batches/${id}`))));
    for (const gateway of gateways) {
      await gateway.gateway.governance.limits.look();
      expect((await useOf(gateway)).used).toBeCloseTo(0.025 * ids.length, 9);
    }
    state = {};
    // What came back is there for the next.
    await expect
      .poll(async () => (await make(gateways[1]!, file)).status, { timeout: 10_000, interval: 300 })
      .toBe(200);
  } finally {
    for (const gateway of running.splice(0)) await stop(gateway);
    await other.close();
    await opened.close();
  }
});
