/** The response cache as clients meet it, on the embedded database and on a real PostgreSQL. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { count, eq } from 'drizzle-orm';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cachedAnswers } from '../../../../server/db/schema.ts';
import { ResponseCache } from '../../../../server/governance/cache/response-cache.ts';
import { NO_RULES } from '../../../../server/governance/policies/rules.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import {
  candidate,
  chat,
  completion,
  gatewayOver,
  hello,
  jsonOf,
  memoryStore,
  type Script,
  sendJson,
  sendStream,
  startSse,
  type TestGateway,
  until,
  upstream,
  word,
} from '../../fakes.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const fine: Script = (_, response, body) =>
  body.stream ? sendStream(response, ['All ', 'is ', 'well']) : sendJson(response, completion('All is well'));

/** A gateway whose policy keeps answers for a minute. */
async function start(script: Script, setup: Parameters<typeof gatewayOver>[1] = {}) {
  const host = await upstream(script);
  const gateway = await gatewayOver([candidate('one/cheap', 1), candidate('one/dear', 30)], {
    upstreams: { one: host.url },
    ...setup,
    config: { retry: { retries: 0 }, ...(setup.config as object) },
  });
  cachingFor(gateway, 60);
  cleanUps.push(host.close, gateway.close);
  return { gateway, host };
}

/** As a policy document says it; what documents say is tested with them. */
function cachingFor(gateway: TestGateway, ttlSeconds: number): void {
  gateway.gateway.governance.policies.govern = ({ caller }) => ({
    ...caller,
    rules: { ...NO_RULES, version: 1, cache: { ttlSeconds } },
  });
}

const stateOf = (response: Response) => response.headers.get('x-pointsman-cache');
const states = async (...responses: Promise<Response>[]) => (await Promise.all(responses)).map(stateOf);

/** Each prompt is another request. */
let prompts = 0;
const asking = (more: object = {}) => ({
  model: 'auto',
  messages: [{ role: 'user', content: `Question ${++prompts}` }],
  ...more,
});

describe.each(storeKinds)('answers kept, on $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(async () => {
    await opened.close();
  });
  // Longer than a busy machine takes.
  const shared = ({ cache, ...more }: { cache?: object; upstreams?: Record<string, string> } = {}) => ({
    store: opened.store,
    config: { cache: { readMs: 10_000, ...cache } },
    ...more,
  });
  const rows = async (key = eq(cachedAnswers.tenant, 'default')) =>
    (await opened.store.db.select({ n: count() }).from(cachedAnswers).where(key))[0]!.n;

  test('are given again, byte for byte, whatever the order of the members', async () => {
    const { gateway, host } = await start(fine, shared());
    const { model, messages } = asking();
    const first = await chat(gateway.url, { model, messages, temperature: 0 });
    expect(stateOf(first)).toBe('miss');
    const again = await chat(gateway.url, { temperature: 0, messages, model });
    expect(stateOf(again)).toBe('hit');
    expect(await again.text()).toBe(await first.text());
    expect(host.requests).toHaveLength(1);
    expect(Number(again.headers.get('age'))).toBeLessThan(60);
    // 10 in, 5 out at 1 and 2 USD per million: 20e-6.
    expect(Number(again.headers.get('x-pointsman-cache-saved-usd'))).toBeCloseTo(20e-6, 9);
    expect(Number(again.headers.get('x-pointsman-cost-usd'))).toBe(0);
    expect(again.headers.get('x-pointsman-estimated-saving-usd')).toBeNull();
    expect(again.headers.get('x-pointsman-model')).toBe('one/cheap');
    const id = again.headers.get('x-pointsman-decision-id')!;
    expect(id).not.toBe(first.headers.get('x-pointsman-decision-id'));
    const { decision, attempts } = (await gateway.store.getDecision(id))!;
    expect(decision).toMatchObject({
      ...{ cached: true, routed: false, reason: 'cached', executedModel: 'one/cheap' },
      ...{ baselineCostUsd: null, propensity: 1, explored: false },
    });
    expect(attempts).toEqual([]);
  });

  test('are found by another gateway on the same database, and after a start', async () => {
    const { gateway, host } = await start(fine, shared());
    const body = asking();
    await chat(gateway.url, body);
    await gateway.gateway.governance.cache.written();
    const upstreams = { one: host.url };
    const other = await start(fine, shared({ upstreams }));
    expect(await states(chat(other.gateway.url, body))).toEqual(['hit']);
    expect(host.requests).toHaveLength(1);
    // Kept in memory alone, they are not; nor where the provider is another host.
    const lone = await start(fine, shared({ upstreams, cache: { shared: false } }));
    expect(await states(chat(lone.gateway.url, body))).toEqual(['miss']);
    const elsewhere = await start(fine, shared());
    expect(await states(chat(elsewhere.gateway.url, body))).toEqual(['miss']);
  });

  test('are deleted with the person who asked, and nobody else’s are', async () => {
    const { gateway, host } = await start(fine, shared());
    const ours = asking({ user: 'alice' });
    const theirs = { ...ours, user: 'bob' };
    for (const body of [ours, theirs]) await chat(gateway.url, body);
    await gateway.gateway.governance.cache.written();
    const before = await rows();
    const erased = await fetch(`${gateway.url}/v1/erase`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'alice' }),
    });
    expect(erased.status).toBe(200);
    expect(await rows()).toBe(before - 1);
    expect(await states(chat(gateway.url, ours))).toEqual(['miss']);
    expect(await states(chat(gateway.url, theirs))).toEqual(['hit']);
    expect(host.requests).toHaveLength(3);
  });

  test('that one replica erased are forgotten by the others within a minute', async () => {
    const { gateway, host } = await start(fine, shared());
    const other = await start(fine, shared({ upstreams: { one: host.url } }));
    let later = 0;
    const cache = new ResponseCache(other.gateway.gateway, () => Date.now() + later);
    Object.assign(other.gateway.gateway.governance, { cache });
    for (const one of [gateway, other.gateway]) cachingFor(one, 3600);
    const body = asking({ user: 'carol' });
    await chat(gateway.url, body);
    await gateway.gateway.governance.cache.written();
    expect(await states(chat(other.gateway.url, body))).toEqual(['hit']);
    await fetch(`${gateway.url}/v1/erase`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'carol' }),
    });
    later = 60_000;
    expect(await states(chat(other.gateway.url, body))).toEqual(['miss']);
  });

  test('are deleted, not marked, when their time is over', async () => {
    const { gateway } = await start(fine, shared());
    // A time that is over at once.
    cachingFor(gateway, 1e-6);
    const before = await rows();
    await chat(gateway.url, asking());
    const { cache } = gateway.gateway.governance;
    await cache.written();
    expect(await rows()).toBe(before + 1);
    await cache.sweep();
    expect(await rows()).toBe(before);
    expect(cache.state.entries).toBe(0);
  });
});

describe('the response cache', () => {
  test('replays a stream to the OpenAI SDK as it was', async () => {
    const { gateway, host } = await start(fine);
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'any', maxRetries: 0 });
    const body = { ...asking(), stream: true, stream_options: { include_usage: true } };
    const read = async () => {
      const { data, response } = await client.chat.completions.create(body as never).withResponse();
      const chunks: OpenAI.ChatCompletionChunk[] = [];
      for await (const chunk of data as unknown as AsyncIterable<OpenAI.ChatCompletionChunk>) chunks.push(chunk);
      return { chunks, headers: response.headers };
    };
    const first = await read();
    const again = await read();
    expect(again.headers.get('x-pointsman-cache')).toBe('hit');
    expect(again.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(again.headers.get('cache-control')).toMatch(/no-cache/);
    expect(again.chunks).toEqual(first.chunks);
    expect(again.chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('All is well');
    expect(again.chunks.at(-1)!.usage).toMatchObject({ completion_tokens: 3 });
    expect(host.requests).toHaveLength(1);
    // A whole answer is another request.
    expect(await states(chat(gateway.url, { ...body, stream: false }))).toEqual(['miss']);
  });

  test('is off without a policy, and says nothing then', async () => {
    const { gateway, host } = await start(fine);
    gateway.gateway.governance.policies.govern = ({ caller }) => caller;
    const body = asking();
    expect(await states(chat(gateway.url, body))).toEqual([null]);
    expect(await states(chat(gateway.url, body))).toEqual([null]);
    expect(host.requests).toHaveLength(2);
  });

  test('is off where the configuration says so, whatever a policy says', async () => {
    const { gateway } = await start(fine, { config: { cache: { enabled: false } } });
    const body = asking();
    await chat(gateway.url, body);
    expect(await states(chat(gateway.url, body))).toEqual([null]);
  });

  test('never answers one tenant with what another got, nor a key with what it may not use', async () => {
    const keys = [
      { name: 'a', key: 'key-of-tenant-a-1234', tenant: 'a' },
      { name: 'a2', key: 'key-of-tenant-a-5678', tenant: 'a' },
      { name: 'a3', key: 'key-of-tenant-a-9012', tenant: 'a', models: ['one/dear'] },
      { name: 'b', key: 'key-of-tenant-b-1234', tenant: 'b' },
    ];
    const { gateway, host } = await start(fine, { config: { keys } });
    const as = (i: number) => ({ authorization: `Bearer ${keys[i]!.key}` });
    const body = asking({ model: 'one/cheap' });
    expect(stateOf(await chat(gateway.url, body, as(0)))).toBe('miss');
    expect(stateOf(await chat(gateway.url, body, as(3)))).toBe('miss');
    expect(stateOf(await chat(gateway.url, body, as(1)))).toBe('hit');
    const refused = await chat(gateway.url, body, as(2));
    expect(refused.status).toBe(403);
    expect((await jsonOf(refused)).error.code).toBe('FORBIDDEN_MODEL');
    expect(host.requests).toHaveLength(2);
  });

  test('tells apart what is asked of the router, in the body or in headers, and which router answers', async () => {
    const { gateway, host } = await start(fine);
    const body = asking();
    const dial = { 'x-pointsman-dial': '3' };
    expect(stateOf(await chat(gateway.url, body))).toBe('miss');
    expect(stateOf(await chat(gateway.url, { ...body, routing: { dial: 3 } }))).toBe('miss');
    // Said in another way, and in another conversation, it is the same.
    expect(stateOf(await chat(gateway.url, { ...body, routing: { session: 'x' } }, dial))).toBe('hit');
    expect(stateOf(await chat(gateway.url, { ...body, routing: { models: ['one/dear'] } }))).toBe('miss');
    expect(stateOf(await chat(gateway.url, { ...body, routing: { tags: ['secret'] } }))).toBe('miss');
    expect(stateOf(await chat(gateway.url, body, { 'openai-beta': 'x' }))).toBe('miss');
    const { holder } = gateway.gateway;
    holder.current = { ...holder.current, artifactHash: 'another' };
    expect(stateOf(await chat(gateway.url, body))).toBe('miss');
    expect(host.requests).toHaveLength(6);
  });

  test('asks anew for no-cache, keeps nothing for no-store, and gives nothing older than max-age', async () => {
    let n = 0;
    const { gateway } = await start((_, response) => sendJson(response, completion(`answer ${++n}`)));
    const body = asking();
    const ask = async (control?: string) => {
      const response = await chat(gateway.url, body, control === undefined ? {} : { 'cache-control': control });
      return [stateOf(response), (await jsonOf(response)).choices[0].message.content];
    };
    expect(await ask('no-store')).toEqual(['bypass', 'answer 1']);
    expect(await ask()).toEqual(['miss', 'answer 2']);
    expect(await ask('no-cache')).toEqual(['bypass', 'answer 3']);
    expect(await ask('max-age=3600')).toEqual(['hit', 'answer 3']);
    const { cache } = gateway.gateway.governance;
    expect(cache.state).toMatchObject({ hits: 1, misses: 1, bypassed: 2, entries: 1 });
  });

  test('keeps no error, no broken stream and nothing of a client that left', async () => {
    const scripts: Script[] = [
      (_, response) => sendJson(response, { error: { message: 'bad', type: 'x' } }, 400),
      (_, response) => {
        startSse(response);
        response.write(word('All'), () => response.destroy());
      },
      (_, response) => {
        startSse(response);
        response.write(word('All'));
      },
      fine,
    ];
    const { gateway, host } = await start((request, response, body) => scripts.shift()!(request, response, body));
    const body = asking({ model: 'one/cheap', stream: true });
    expect((await chat(gateway.url, body)).status).toBe(400);
    expect(await (await chat(gateway.url, body)).text()).toContain('UPSTREAM_CLOSED');
    const leaving = new AbortController();
    const left = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    await left.body!.getReader().read();
    leaving.abort();
    await until(() => gateway.attempts.some(({ status }) => status === 'cancelled'));
    expect(gateway.gateway.governance.cache.state.entries).toBe(0);
    expect(await states(chat(gateway.url, body))).toEqual(['miss']);
    expect(host.requests).toHaveLength(4);
  });

  test('keeps nothing that was drawn by chance, that the sandbox made up, or that is too large', async () => {
    const { gateway } = await start(fine, { config: { cache: { maxAnswerKb: 0.1 } } });
    const { cache } = gateway.gateway.governance;
    await chat(gateway.url, asking());
    expect(cache.state).toMatchObject({ misses: 1, entries: 0 });
    const sandbox = await gatewayOver([candidate('one/cheap', 1)]);
    cleanUps.push(sandbox.close);
    cachingFor(sandbox, 60);
    expect((await chat(sandbox.url, hello('auto'))).headers.get('x-pointsman-sandbox')).toBe('true');
    expect(sandbox.gateway.governance.cache.state).toMatchObject({ misses: 1, entries: 0 });
    const exploring = await start(fine);
    const { holder } = exploring.gateway.gateway;
    const { current } = holder;
    holder.current = { ...current, route: async (...args) => ({ ...(await current.route(...args)), explored: true }) };
    await chat(exploring.gateway.url, asking());
    expect(exploring.gateway.gateway.governance.cache.state).toMatchObject({ misses: 1, entries: 0 });
  });

  test('passes over what a provider stores, looks up or does', async () => {
    const { gateway, host } = await start(fine);
    const body = asking({ store: true });
    expect(await states(chat(gateway.url, body))).toEqual(['bypass']);
    expect(await states(chat(gateway.url, body))).toEqual(['bypass']);
    expect(host.requests).toHaveLength(2);
  });

  test('keeps nothing of a model that looks things up, by whatever name it was called', async () => {
    const models = { 'one/news': [{ provider: 'one', model: 'maker/model:online' }] };
    const { gateway, host } = await start(fine, { config: { models, aliases: { today: 'one/news' } } });
    for (let i = 0; i < 2; i++) expect((await chat(gateway.url, hello('today'))).status).toBe(200);
    expect(host.requests.map(({ body }) => JSON.parse(body).model)).toEqual([
      'maker/model:online',
      'maker/model:online',
    ]);
    expect(gateway.gateway.governance.cache.state).toMatchObject({ hits: 0, entries: 0 });
  });

  test('repeats a tool call: with the tool’s result it is another request', async () => {
    const call = {
      ...completion(''),
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
    };
    const { gateway, host } = await start((_, response) => sendJson(response, call));
    const tools = [{ type: 'function', function: { name: 'add', parameters: { type: 'object' } } }];
    const body = asking({ tools });
    const first = await jsonOf(chat(gateway.url, body));
    expect(await jsonOf(chat(gateway.url, body))).toEqual(first);
    const messages = [
      ...body.messages,
      first.choices[0].message,
      { role: 'tool', tool_call_id: 'call_1', content: '2' },
    ];
    expect(await states(chat(gateway.url, { ...body, messages }))).toEqual(['miss']);
    expect(host.requests).toHaveLength(2);
  });

  test('counts a hit against rates and not against budgets, and nothing is learned from it', async () => {
    const { gateway } = await start(fine);
    const { limits } = gateway.gateway.governance;
    const seen: string[] = [];
    const { admit, reserve } = limits;
    limits.admit = (entrant) => {
      seen.push('admit');
      return admit.call(limits, entrant);
    };
    limits.reserve = (...args) => {
      seen.push('reserve');
      return reserve.apply(limits, args);
    };
    const body = asking();
    await chat(gateway.url, body);
    const hit = await chat(gateway.url, body);
    expect(seen).toEqual(['admit', 'reserve', 'admit']);
    const decisionId = hit.headers.get('x-pointsman-decision-id');
    const verdict = await fetch(`${gateway.url}/v1/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ decisionId, score: 1 }),
    });
    expect(verdict.ok).toBe(true);
    expect(await jsonOf(verdict)).toMatchObject({ learnable: false });
  });

  test('goes on in memory with the database away', async () => {
    const away = Object.assign(memoryStore(), {
      kind: 'postgres',
      db: {
        select: () => ({ from: () => ({ where: () => Promise.reject(new Error('away')) }) }),
        insert: () => ({ values: () => ({ onConflictDoUpdate: () => Promise.reject(new Error('away')) }) }),
      },
    });
    const { gateway, host } = await start(fine, { store: away as never });
    const body = asking();
    expect(await states(chat(gateway.url, body))).toEqual(['miss']);
    expect(await states(chat(gateway.url, body))).toEqual(['hit']);
    expect(host.requests).toHaveLength(1);
    const { cache } = gateway.gateway.governance;
    await cache.written();
    expect(cache.state).toMatchObject({ failures: 2, dropped: 1 });
  });

  test('does as the policy document says, and gives again what its guardrails let out', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pointsman-cache-'));
    cleanUps.push(() => rm(folder, { recursive: true }));
    const file = join(folder, 'policy.yaml');
    await writeFile(
      file,
      `version: 1
rules:
  - {name: keep, cache: {ttlSeconds: 60}}
  - {name: fresh, when: {tags: [fresh]}, cache: false}
  - {name: mail, guards: [{name: mail, kind: pii, kinds: [email]}]}
`,
    );
    const says = completion('Write to a@b.example');
    const { gateway, host } = await start((_, response) => sendJson(response, says), {
      config: { policies: { file } },
    });
    delete (gateway.gateway.governance.policies as { govern?: unknown }).govern;
    await gateway.gateway.governance.start();
    const body = asking();
    const first = await (await chat(gateway.url, body)).text();
    expect(first).toContain('[EMAIL]');
    const again = await chat(gateway.url, body);
    expect(stateOf(again)).toBe('hit');
    expect(await again.text()).toBe(first);
    expect(host.requests).toHaveLength(1);
    expect(await states(chat(gateway.url, { ...body, routing: { tags: ['fresh'] } }))).toEqual([null]);
    expect(await gateway.gateway.governance.telemetry.metrics.text()).toContain(
      'pointsman_guardrail_hits_total{guard="mail",found="email",where="answer",action="masked"} 2\n',
    );
  });
});
