/** Files, batches and stored responses of two tenants at one provider: each sees its own, wherever it is noted. */
import { request as httpRequest } from 'node:http';
import OpenAI, { toFile } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { heldIn } from '../../server/held-objects.ts';
import { httpProvider } from '../../server/providers/http-provider.ts';
import { openai } from '../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import { storeKinds } from './db/stores.ts';
import { candidate, gatewayOver, jsonOf, type TestGateway, until } from './fakes.ts';
import { type Host, openAiHost } from './passthrough-upstream.ts';

const KEYS = { a: 'key-of-tenant-a-1234', b: 'key-of-tenant-b-1234', narrow: 'key-of-narrow-123456' };
const keys = [
  { name: 'a', key: KEYS.a, tenant: 'a' },
  { name: 'b', key: KEYS.b, tenant: 'b' },
  { name: 'narrow', key: KEYS.narrow, tenant: 'a', models: ['one/small'] },
];

const small = candidate('one/small', 1);
const large = candidate('one/large', 2);
const other = candidate('two/other', 3);

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function hostOf(name: string): Promise<Host> {
  const host = await openAiHost(name);
  cleanUps.push(host.close);
  return host;
}

/** Speaks Responses, with as many keys as named. */
const speaking = (name: string, { url }: Host, ids: readonly string[] = ['']) =>
  httpProvider(
    { ...openAiCompatibleKind(name), protocols: openai.protocols },
    {
      name,
      baseUrl: url,
      keys: ids.map((id, i) => ({ id, weight: i + 1, key: `secret-${id}` })),
      transport: new Transport(),
    },
  );

async function over(providers: readonly ReturnType<typeof speaking>[], more: Parameters<typeof gatewayOver>[1] = {}) {
  const gateway = await gatewayOver([small, large, other], {
    providers: new Map(providers.map((one) => [one.name, one])),
    ...more,
    config: { keys, ...(more.config as object) },
  });
  cleanUps.push(gateway.close);
  const as = (who: keyof typeof KEYS) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEYS[who], maxRetries: 0 });
  return { gateway, a: as('a'), b: as('b'), narrow: as('narrow') };
}

async function start() {
  const host = await hostOf('one');
  return { host, ...(await over([speaking('one', host)])) };
}

const lines = () => toFile(Buffer.from('{"custom_id":"1"}\n'), 'batch.jsonl');
const upload = async (client: OpenAI, query = {}) =>
  client.files.create({ file: await lines(), purpose: 'batch' }, { query });
const batchOf = (client: OpenAI, input_file_id: string) =>
  client.batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });

const isUnowned = { status: 404, code: 'NOT_FOUND' };
const idsOf = async (page: AsyncIterable<{ id: string }>) => {
  const ids: string[] = [];
  for await (const { id } of page) ids.push(id);
  return ids;
};
const held = (host: Host) => host.seen.map(({ method, url }) => `${method} ${url}`);

describe('files', () => {
  test('go up as they are, and come back to their tenant only', async () => {
    const { host, gateway, a, b } = await start();
    const file = await upload(a);
    expect(host.seen[0]!.body.includes('{"custom_id":"1"}\n')).toBe(true);
    expect(Number(host.seen[0]!.headers['content-length'])).toBe(host.seen[0]!.body.length);
    expect((await a.files.retrieve(file.id)).id).toBe(file.id);
    expect(await (await a.files.content(file.id)).text()).toContain('{"custom_id":"1"}\n');
    const asked = host.seen.length;
    for (const call of [
      () => b.files.retrieve(file.id),
      () => b.files.content(file.id),
      () => b.files.delete(file.id),
      () => batchOf(b, file.id),
      () => a.files.retrieve('file-of-nobody'),
      () => a.batches.retrieve(file.id),
    ]) {
      await expect(call()).rejects.toMatchObject(isUnowned);
    }
    expect(host.seen).toHaveLength(asked);
    expect((await a.files.delete(file.id)).deleted).toBe(true);
    await expect(a.files.retrieve(file.id)).rejects.toMatchObject(isUnowned);
    expect(gateway.decisions).toMatchObject(
      Array.from({ length: 4 }, () => ({
        surface: 'files',
        tenant: 'a',
        key: 'a',
        routed: false,
        reason: 'requested',
      })),
    );
    expect(gateway.attempts).toMatchObject(
      Array.from({ length: 4 }, () => ({ provider: 'one', deployment: 'one', status: 'ok', httpStatus: 200 })),
    );
  });

  test('one far beyond the limit of other bodies streams through', async () => {
    const host = await hostOf('one');
    const { a } = await over([speaking('one', host)], { config: { bodyLimitMb: 1 } });
    const content = Buffer.alloc(20 * 1024 * 1024, `{"line":"${'x'.repeat(1012)}"}\n`);
    const file = await a.files.create({ file: await toFile(content, 'large.jsonl'), purpose: 'batch' });
    expect(host.seen[0]!.body.includes(content)).toBe(true);
    const back = Buffer.from(await (await a.files.content(file.id)).arrayBuffer());
    expect(back.equals(host.seen[0]!.body)).toBe(true);
  });

  test('a client that hangs up in mid-upload ends it at the provider, and is on record', async () => {
    const host = await hostOf('one');
    const { gateway } = await over([speaking('one', host)]);
    const request = httpRequest(`${gateway.url}/v1/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.a}`, 'content-type': 'multipart/form-data; boundary=b' },
    });
    request.on('error', () => {});
    request.write('--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nhalf');
    await until(() => gateway.gateway.lives.size === 1);
    request.destroy();
    await until(() => gateway.attempts.length > 0);
    expect(gateway.attempts).toMatchObject([{ status: 'cancelled', provider: 'one' }]);
    expect(gateway.decisions).toHaveLength(1);
    await until(() => gateway.gateway.lives.size === 0);
    expect(host.seen).toHaveLength(0);
  });

  test('a list shows a tenant its own, over as many pages of the provider as it takes', async () => {
    const { host, a, b } = await start();
    const own: Record<'a' | 'b', string[]> = { a: [], b: [] };
    for (let i = 0; i < 9; i++) {
      const who = i % 3 === 0 ? 'a' : 'b';
      own[who].unshift((await upload({ a, b }[who])).id);
    }
    expect(await idsOf(a.files.list({ limit: 2 }))).toEqual(own.a);
    expect(await idsOf(b.files.list({ limit: 4 }))).toEqual(own.b);
    const page = await b.files.list({ limit: 4 });
    expect(page.data.map(({ id }) => id)).toEqual(own.b.slice(0, 4));
    expect(page.has_more).toBe(true);
    expect(host.seen.at(-1)!.url).toMatch(/^\/v1\/files\?limit=4&after=/);
    await expect(a.files.list({ limit: 0 })).rejects.toMatchObject({ status: 400, param: 'limit' });
  });

  test('several providers: one is named, by header or query, and keeps the file', async () => {
    const [one, two] = [await hostOf('one'), await hostOf('two')];
    const { a, narrow, gateway } = await over([speaking('one', one), speaking('two', two)]);
    await expect(upload(a)).rejects.toMatchObject({ status: 400, message: expect.stringContaining('one, two') });
    const inQuery = await upload(a, { provider: 'two' });
    const inHeader = await a.files.create(
      { file: await lines(), purpose: 'batch' },
      { headers: { 'x-pointsman-provider': 'two' } },
    );
    expect(held(two)).toEqual(['POST /v1/files', 'POST /v1/files']);
    await a.files.retrieve(inQuery.id);
    await a.files.retrieve(inHeader.id);
    expect(held(one)).toEqual([]);
    await expect(upload(a, { provider: 'three' })).rejects.toMatchObject({ status: 400, param: 'provider' });
    // A key that may use models of one provider only need not name it.
    expect((await upload(narrow)).id).toMatch(/^file-one-/);
    await expect(upload(narrow, { provider: 'two' })).rejects.toMatchObject({ status: 400 });
    const plain = await fetch(`${gateway.url}/v1/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.a}` },
    });
    expect(plain.status).toBe(400);
  });

  test('several keys: an object stays with the one it was made with', async () => {
    const host = await hostOf('one');
    const { a } = await over([speaking('one', host, ['first', 'second'])]);
    const file = await upload(a);
    await a.files.retrieve(file.id);
    expect(host.seen.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer secret-second',
      'Bearer secret-second',
    ]);
    // The key is no longer set up: said so, not asked of another.
    const later = await over([speaking('one', host, ['first'])], {
      heldStore: {
        hold: async () => {},
        find: async (tenant, id) => ({
          id,
          kind: 'file',
          tenant,
          provider: 'one',
          deployment: 'one#second',
          model: null,
          createdAt: new Date(),
        }),
        among: async (_, ids) => new Set(ids),
        release: async () => true,
      },
    });
    await expect(later.a.files.retrieve(file.id)).rejects.toMatchObject({
      status: 400,
      code: 'PROVIDER_NOT_CONFIGURED',
    });
    expect(host.seen).toHaveLength(2);
  });

  test('a file in a turn is a 404 for another tenant, however its name is written', async () => {
    const { host, gateway, a } = await start();
    const { id } = await upload(a);
    const asked = host.seen.length;
    const post = (path: string, body: string) =>
      fetch(`${gateway.url}/v1/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEYS.b}`, 'content-type': 'application/json' },
        body,
      });
    const part = `{"type":"file","file":{"file_id":"${id}"}}`;
    for (const [path, body, field] of [
      [
        'chat/completions',
        `{"model":"one/small","messages":[{"role":"user","content":[${part}]}]}`,
        'messages.0.content.0.file.file_id',
      ],
      [
        'chat/completions',
        `{"model":"one/small","messages":[{"role":"user","content":[${part.replace('file_id', 'file\\u005fid')}]}]}`,
        'messages.0.content.0.file.file_id',
      ],
      [
        'responses',
        `{"model":"one/small","input":[{"role":"user","content":[{"type":"input_file","file_id":"${id}"}]}]}`,
        'input.0.content.0.file_id',
      ],
      [
        'responses',
        `{"model":"one/small","input":"x","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["${id}"]}}]}`,
        'tools.0.container.file_ids.0',
      ],
    ] as const) {
      const reply = await post(path, body);
      expect(reply.status).toBe(404);
      expect((await jsonOf(reply)).error).toMatchObject({ code: 'NOT_FOUND', param: field });
    }
    const messages = await post(
      'messages',
      `{"model":"one/small","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"${id}"}}]}]}`,
    );
    expect(messages.status).toBe(404);
    expect(host.seen).toHaveLength(asked);
  });

  test('what a model or a schema calls file_id is no file of anybody', async () => {
    const { a } = await start();
    const tool = {
      type: 'function',
      name: 'open',
      parameters: { type: 'object', properties: { file_id: {} } },
    } as const;
    const answer = await a.responses.create({
      model: 'one/small',
      input: [
        { role: 'user', content: 'x' },
        { type: 'function_call', call_id: 'c', name: 'open', arguments: '{"file_id":"mine"}' },
        { type: 'function_call_output', call_id: 'c', output: '"file_id"' },
      ],
      tools: [{ ...tool, strict: null }],
      metadata: { file_id: 'x' },
    });
    expect(answer.output_text).toBe('fine');
  });
});

describe('batches', () => {
  test('run where their file is; what they write is their tenant’s, and their usage is written down once', async () => {
    const { host, gateway, a, b } = await start();
    const file = await upload(a);
    const batch = await batchOf(a, file.id);
    expect(JSON.parse(host.seen.at(-1)!.body.toString())).toMatchObject({ input_file_id: file.id });
    await expect(b.batches.retrieve(batch.id)).rejects.toMatchObject(isUnowned);
    await expect(b.batches.cancel(batch.id)).rejects.toMatchObject(isUnowned);
    await expect(a.files.content('file-one-out')).rejects.toMatchObject(isUnowned);
    const done = await a.batches.retrieve(batch.id);
    expect(done.status).toBe('completed');
    expect(await (await a.files.content(done.output_file_id!)).text()).toBe('{"ok":1}\n');
    await expect(b.files.content(done.output_file_id!)).rejects.toMatchObject(isUnowned);
    await a.batches.retrieve(batch.id);
    expect((await a.batches.cancel(batch.id)).status).toBe('cancelling');
    expect(await idsOf(a.batches.list())).toEqual([batch.id]);
    expect(await idsOf(b.batches.list())).toEqual([]);
    expect(gateway.attempts.map(({ inputTokens }) => inputTokens).filter(Boolean)).toEqual([70]);
    expect(new Set(gateway.decisions.map(({ surface }) => surface))).toEqual(new Set(['files', 'batches']));
  });

  test('a key that may not use every model of the provider runs none, for nobody sees what is in them', async () => {
    const { host, narrow } = await start();
    const file = await upload(narrow);
    await expect(batchOf(narrow, file.id)).rejects.toMatchObject({ status: 403, code: 'FORBIDDEN_MODEL' });
    expect(held(host)).toEqual(['POST /v1/files']);
  });

  test('a batch without a file is a mistake', async () => {
    const { a } = await start();
    await expect(batchOf(a, undefined as never)).rejects.toMatchObject({ status: 400, param: 'input_file_id' });
  });
});

describe('responses', () => {
  const ask = (client: OpenAI, more: object = {}) =>
    client.responses.create({
      model: 'one/small',
      input: 'hello',
      ...more,
    } as OpenAI.Responses.ResponseCreateParamsNonStreaming);

  test('a conversation goes on with its id, for its tenant only', async () => {
    const { host, a, b } = await start();
    const first = await ask(a);
    expect(first.id).toMatch(/^resp_one_/);
    await ask(a, { previous_response_id: first.id });
    expect(JSON.parse(host.seen.at(-1)!.body.toString()).previous_response_id).toBe(first.id);
    // Another model of the same provider can read it as well.
    await ask(a, { previous_response_id: first.id, model: 'one/large' });
    const asked = host.seen.length;
    const refused = ask(b, { previous_response_id: first.id });
    await expect(refused).rejects.toMatchObject({ ...isUnowned, param: 'previous_response_id' });
    await expect(ask(a, { previous_response_id: 'resp_nobody' })).rejects.toMatchObject(isUnowned);
    expect(host.seen).toHaveLength(asked);
  });

  test('it is noted from a stream, and its items, too', async () => {
    const { a, b } = await start();
    const stream = await a.responses.create({ model: 'one/small', input: 'hello', stream: true });
    let id = '';
    for await (const event of stream) if (event.type === 'response.completed') id = event.response.id;
    await ask(a, { previous_response_id: id });
    const item = [{ type: 'item_reference', id: `msg_one_${id.split('_').at(-1)}` }];
    await ask(a, { input: item });
    await expect(ask(b, { input: item })).rejects.toMatchObject({ ...isUnowned, param: 'input.0.id' });
    await expect(ask(b, { previous_response_id: id })).rejects.toMatchObject(isUnowned);
  });

  const RAN = { type: 'code_interpreter_call', id: 'ci_1', code: '1', container_id: 'cntr_1', status: 'completed' };
  const DREW = { type: 'image_generation_call', id: 'ig_1', status: 'completed', result: 'aGk=' };
  const THOUGHT = { type: 'reasoning', id: 'rs_1', summary: [] };
  const ASKED = { type: 'mcp_approval_request', id: 'mcpr_1', name: 'f', arguments: '{}', server_label: 's' };
  const SAID = { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: 'fine' }] };

  test.each([
    ['whole', {}],
    ['not stored', { store: false }],
    ['in pieces', { stream: true }],
    ['in pieces and not stored', { stream: true, store: false }],
  ])('what a provider ran or drew for one tenant is not the other’s: answered %s', async (_, how) => {
    const { host, a, b } = await start();
    const output = [RAN, DREW, THOUGHT, ASKED, SAID];
    host.script = ({ body }, response) => {
      const { store = true, stream } = JSON.parse(body.toString());
      const whole = { id: 'resp_1', object: 'response', model: 'small', store, status: 'completed', output };
      const events = [
        { type: 'response.created', response: { ...whole, output: [] } },
        ...output.map((item, output_index) => ({ type: 'response.output_item.done', output_index, item })),
        { type: 'response.completed', response: whole },
      ];
      const frames = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
      response.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' });
      response.end(stream ? frames : JSON.stringify(whole));
      return true;
    };
    // So that there is something for an answer to be noted from.
    const first = await ask(a, how);
    if ('stream' in how) for await (const _ of first as unknown as AsyncIterable<unknown>);
    const approval = { type: 'mcp_approval_response', approval_request_id: 'mcpr_1', approve: true };
    const { result: __, ...drawn } = DREW;
    const asked = host.seen.length;
    for (const [item, field] of [
      [RAN, 'id'],
      [{ ...RAN, id: undefined }, 'container_id'],
      [drawn, 'id'],
      [DREW, 'id'],
      [THOUGHT, 'id'],
      [approval, 'approval_request_id'],
      [{ type: 'additional_tools', tools: [{ type: 'code_interpreter', container: 'cntr_1' }] }, 'tools.0.container'],
    ] as const) {
      const refused = ask(b, { store: false, input: [{ role: 'user', content: 'x' }, item] });
      await expect(refused, field).rejects.toMatchObject({ ...isUnowned, param: `input.1.${field}` });
    }
    expect(host.seen).toHaveLength(asked);
    // As agents do it: all that came before, and the next turn.
    await ask(a, { store: false, input: [{ role: 'user', content: 'x' }, ...output, drawn, approval] });
    // A turn that says itself what it means is anybody's.
    await ask(b, { store: false, input: [{ role: 'user', content: 'x' }, SAID] });
    expect(host.seen).toHaveLength(asked + 2);
  });

  test('what is not stored is not held', async () => {
    const { a } = await start();
    const first = await ask(a, { store: false });
    await expect(ask(a, { previous_response_id: first.id })).rejects.toMatchObject(isUnowned);
  });

  test('it is fetched, cancelled, listed and deleted where it is', async () => {
    const { host, gateway, a, b } = await start();
    const { id } = await ask(a);
    expect((await a.responses.retrieve(id, { include: ['reasoning.encrypted_content'] })).id).toBe(id);
    expect(decodeURIComponent(host.seen.at(-1)!.url)).toBe(`/v1/responses/${id}?include[]=reasoning.encrypted_content`);
    expect((await a.responses.cancel(id)).id).toBe(id);
    expect((await a.responses.inputItems.list(id)).data).toHaveLength(1);
    await ask(a, { input: [{ type: 'item_reference', id: `msg_in_${id}` }] });
    const asked = host.seen.length;
    for (const call of [
      () => b.responses.retrieve(id),
      () => b.responses.cancel(id),
      () => b.responses.inputItems.list(id),
      () => b.responses.delete(id),
    ]) {
      await expect(call()).rejects.toMatchObject(isUnowned);
    }
    expect(host.seen).toHaveLength(asked);
    await a.responses.delete(id);
    await expect(a.responses.retrieve(id)).rejects.toMatchObject(isUnowned);
    // Its tokens were paid once: when it was made.
    const paid = gateway.attempts.filter(({ inputTokens }) => inputTokens !== null);
    expect(paid.map(({ model }) => model)).toEqual(['one/small', 'one/small']);
  });

  test('objects of several holders, or a model that its holder has not, are the client’s mistake', async () => {
    const [one, two] = [await hostOf('one'), await hostOf('two')];
    const { a } = await over([speaking('one', one), speaking('two', two)]);
    const first = await ask(a);
    const second = await ask(a, { model: 'two/other' });
    const mixed = [{ type: 'item_reference', id: second.output[0]!.id }];
    await expect(ask(a, { previous_response_id: first.id, input: mixed })).rejects.toMatchObject({
      status: 400,
      param: 'input.0.id',
    });
    await expect(ask(a, { previous_response_id: first.id, model: 'two/other' })).rejects.toMatchObject({
      status: 400,
      param: 'previous_response_id',
    });
  });

  test('auto goes on with the provider that holds the conversation', async () => {
    const [one, two] = [await hostOf('one'), await hostOf('two')];
    const { a, gateway } = await over([speaking('one', one), speaking('two', two)]);
    const first = await ask(a, { model: 'two/other' });
    // Alone, `auto` would take the first candidate, one/small.
    expect((await ask(a, { model: 'auto' })).model).toBe('one/small');
    const next = await ask(a, { model: 'auto', previous_response_id: first.id });
    expect(next.model).toBe('two/other');
    expect(gateway.decisions.at(-1)).toMatchObject({ routed: true, executedModel: 'two/other' });
  });
});

describe.each(storeKinds.slice(0, 1))('held in $name', ({ open }) => {
  test('another gateway on the same database, started later, knows them', async () => {
    const { store, close } = await open();
    cleanUps.push(close);
    const host = await hostOf('one');
    const before = await over([speaking('one', host)], { heldStore: heldIn(store) });
    const file = await upload(before.a);
    const { id } = await before.a.responses.create({ model: 'one/small', input: 'hello' });
    const after = await over([speaking('one', host)], { heldStore: heldIn(store) });
    expect((await after.a.files.retrieve(file.id)).id).toBe(file.id);
    expect(await idsOf(after.a.files.list())).toEqual([file.id]);
    expect(await idsOf(after.b.files.list())).toEqual([]);
    await after.a.responses.create({ model: 'one/small', input: 'more', previous_response_id: id });
    await expect(after.b.files.retrieve(file.id)).rejects.toMatchObject(isUnowned);
    await after.a.files.delete(file.id);
    await expect(after.a.files.retrieve(file.id)).rejects.toMatchObject(isUnowned);
  });
});

test('with the database away an answer is not lost, and an unknown id is no 404', async () => {
  const away = () => Promise.reject(new Error('away'));
  const host = await hostOf('one');
  const { a, gateway } = await over([speaking('one', host)], {
    heldStore: { hold: away, find: away, among: away, release: away },
  });
  const file = await upload(a);
  expect((await a.files.retrieve(file.id)).id).toBe(file.id);
  await expect(a.files.retrieve('file-unknown')).rejects.toMatchObject({ status: 500 });
  gateway.gateway.held.close();
});

test('without a provider that is on, it says so', async () => {
  const { gateway } = await over([]);
  const headers = { authorization: `Bearer ${KEYS.a}` };
  const reply = await fetch(`${(gateway as TestGateway).url}/v1/files`, { headers });
  expect(reply.status).toBe(400);
  expect((await jsonOf(reply)).error.code).toBe('PROVIDER_NOT_CONFIGURED');
});
