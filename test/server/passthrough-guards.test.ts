/** Files, forms and recordings under guardrails: what is uploaded, and what comes back, is looked at like any prompt. */
import OpenAI, { toFile } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { httpProvider } from '../../server/providers/http-provider.ts';
import { openai } from '../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import { candidate, gatewayOver } from './fakes.ts';
import { putUnder, rulesOf } from './governance/guards/governed.ts';
import { openAiHost } from './passthrough-upstream.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const KEYS = { a: 'key-of-tenant-a-1234', b: 'key-of-tenant-b-1234' };

async function start(...rules: object[]) {
  const host = await openAiHost();
  const provider = httpProvider(
    { ...openAiCompatibleKind('one'), protocols: openai.protocols },
    { name: 'one', baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'secret-key' }], transport: new Transport() },
  );
  const gateway = await gatewayOver([candidate('one/small', 1)], {
    providers: new Map([['one', provider]]),
    ...(rules.length === 0 && {
      config: { keys: Object.entries(KEYS).map(([tenant, key]) => ({ name: tenant, key, tenant })) },
    }),
  });
  cleanUps.push(gateway.close, host.close);
  putUnder(gateway, ...rules);
  const as = (apiKey: string) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
  return { host, gateway, client: as('unused'), a: as(KEYS.a), b: as(KEYS.b) };
}

const MASK = { name: 'pii', kind: 'pii' };
const BLOCK = { ...MASK, action: 'block' };
const line = (content: string, more: object = {}, url = '/v1/chat/completions') =>
  JSON.stringify({
    ...{ custom_id: 'c-1', method: 'POST', url },
    body: { model: 'small', messages: [{ role: 'user', content }], ...more },
  });
const CHAT = line('mail joe@example.com');
const upload = async (client: OpenAI, content: string | Buffer, purpose = 'batch', name = 'batch.jsonl') =>
  client.files.create({ file: await toFile(Buffer.from(content), name), purpose: purpose as 'batch' });
/** The file's bytes as the host got them. */
const fileIn = (body: Buffer): string => {
  const text = body.toString('latin1');
  const from = text.indexOf('\r\n\r\n', text.indexOf('filename=')) + 4;
  return Buffer.from(text.slice(from, text.indexOf('\r\n--', from)), 'latin1').toString('utf8');
};
const BLOCKED = { status: 400, code: 'GUARDRAIL_BLOCKED' };

describe('a batch', () => {
  const LINES = [
    CHAT,
    '',
    line('nothing'),
    line('x', { input: 'b@x.org' }, '/v1/responses'),
    JSON.stringify({
      custom_id: 'e',
      url: '/v1/embeddings',
      body: { model: 'm', input: ['é c@x.org'], dimensions: 12345678 },
    }),
    JSON.stringify({ custom_id: 'u', url: '/v1/unheard-of', body: { deep: [{ id: 'd@x.org' }] } }),
  ];

  test('is masked in each of its lines by the places of its endpoint, and every other byte stays', async () => {
    const { host, gateway, client } = await start(MASK);
    await upload(client, `${LINES.join('\n')}\r\n`);
    const masked = LINES.map((one) => one.replace(/[\w]+@(?:x\.org|example\.com)/, '[EMAIL]'));
    expect(fileIn(host.seen[0]!.body)).toBe(`${masked.join('\n')}\r\n`);
    expect(Number(host.seen[0]!.headers['content-length'])).toBe(host.seen[0]!.body.length);
    expect(gateway.decisions).toMatchObject([
      { surface: 'files', guards: [{ guard: 'pii', found: 'email', where: 'prompt', action: 'masked', count: 4 }] },
    ]);
  });

  test('without anything to find goes up byte for byte', async () => {
    const { host, gateway, client } = await start(BLOCK);
    const content = `${line('a  b')}\n{ "body" : {"model":"m","seed":1.0, "messages":[ ] } }\n`;
    await upload(client, content);
    expect(fileIn(host.seen[0]!.body)).toBe(content);
    expect(gateway.decisions).toMatchObject([{ guards: null }]);
  });

  test('is refused whole by a rule that blocks, and nothing of it leaves', async () => {
    const { host, gateway, client } = await start(BLOCK);
    await expect(upload(client, `${line('fine')}\n${CHAT}`)).rejects.toMatchObject(BLOCKED);
    expect(host.seen).toHaveLength(0);
    expect(gateway.decisions).toMatchObject([{ surface: 'files', reason: 'blocked', guards: [{ found: 'email' }] }]);
    expect(gateway.attempts).toHaveLength(0);
  });

  test.each([
    ['no JSON', `${line('fine')}\n{"body":`, 2],
    ['no object', `${line('fine')}\n\n[1]\n`, 3],
    ['no text', Buffer.from([0x50, 0x4b, 3, 4, 0, 0]), 1],
    ['Latin-1', Buffer.from(`${line('fine')}\n${line('\u00fc')}\n`, 'latin1'), 2],
    ['words', 'hello\n', 1],
  ])(
    'that is %s is refused with its line, whether its purpose stands before it or after it',
    async (_, content, at) => {
      const { host, gateway, client } = await start(MASK);
      const told = { status: 400, code: 'INVALID_REQUEST', message: expect.stringContaining(`line ${at}:`) };
      await expect(upload(client, content)).rejects.toMatchObject(told);
      const form = new FormData();
      form.set('purpose', 'batch');
      form.set('file', new Blob([new Uint8Array(Buffer.from(content))]), 'x.jsonl');
      const reply = await fetch(`${gateway.url}/v1/files`, { method: 'POST', body: form });
      expect(reply.status).toBe(400);
      expect(((await reply.json()) as { error: { message: string } }).error.message).toContain(`line ${at}:`);
      expect(host.seen).toHaveLength(0);
      // Rules that only watch refuse nothing.
      putUnder(gateway, { ...MASK, dryRun: true });
      await upload(client, content);
      expect(host.seen).toHaveLength(1);
    },
  );

  test('under rules that only watch passes as it comes, and what was noticed is on record', async () => {
    const { host, gateway, client } = await start({ ...BLOCK, dryRun: true });
    await upload(client, `${CHAT}\n`);
    expect(fileIn(host.seen[0]!.body)).toBe(`${CHAT}\n`);
    expect(gateway.decisions).toMatchObject([{ guards: [{ found: 'email', action: 'noticed', count: 1 }] }]);
  });

  test('may have fields beside it that are no requests', async () => {
    const { host, gateway } = await start(BLOCK);
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('expires_after[anchor]', 'created_at');
    form.set('file', new Blob([line('fine')]), 'x.jsonl');
    const reply = await fetch(`${gateway.url}/v1/files`, { method: 'POST', body: form });
    expect(reply.status).toBe(200);
    expect(host.seen).toHaveLength(1);
  });

  test('larger than memory is to hold waits on disk, and goes up as it was', async () => {
    const { host, client } = await start(MASK);
    const content = `${line('x'.repeat(1000))}\n`.repeat(2500);
    await upload(client, `${content}${CHAT}`);
    expect(fileIn(host.seen[0]!.body)).toBe(`${content}${CHAT.replace('joe@example.com', '[EMAIL]')}`);
  });

  test('goes by the rules of what its lines ask, not only by those of files', async () => {
    const { host, gateway, client } = await start();
    const [chat] = [rulesOf(BLOCK)];
    const { govern } = gateway.gateway.governance.policies;
    gateway.gateway.governance.policies.govern = (asking) => {
      const caller = govern.call(gateway.gateway.governance.policies, asking);
      return asking.surface === 'chat'
        ? { ...caller, rules: { ...caller.rules, guards: chat! } }
        : { ...caller, rules: { ...caller.rules, guards: [] } };
    };
    const as = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEYS.a, maxRetries: 0 });
    void client;
    await expect(upload(as, CHAT)).rejects.toMatchObject(BLOCKED);
    const other = JSON.stringify({ url: '/v1/embeddings', body: { input: 'joe@example.com' } });
    await upload(as, other);
    expect(fileIn(host.seen[0]!.body)).toBe(other);
  });
});

describe('another file', () => {
  test.each([
    ['text', 'notes.txt', 'write to joe@example.com\nsoon', 'write to [EMAIL]\nsoon'],
    ['a table', 'people.csv', 'name;mail\nJoe;joe@example.com\n', 'name;mail\nJoe;[EMAIL]\n'],
    [
      'rows to learn from',
      'rows.jsonl',
      `{"messages":[{"role":"user","content":"joe\\u0040example.com"}]}\n`,
      `{"messages":[{"role":"user","content":"[EMAIL]"}]}\n`,
    ],
    ['a document of JSON', 'a.json', '{\n  "to": "joe\\u0040example.com"\n}\n', '{\n  "to": "[EMAIL]"\n}\n'],
    [
      'JSON and other lines',
      'a.txt',
      '{not json\n{"a":"joe\\u0040example.com"}\nann@example.org',
      '{not json\n{"a":"[EMAIL]"}\n[EMAIL]',
    ],
  ])('that is %s is masked', async (_, name, content, masked) => {
    const { host, client } = await start(MASK);
    await upload(client, content, 'fine-tune', name);
    expect(fileIn(host.seen[0]!.body)).toBe(masked);
  });

  test('of Latin-1 keeps its bytes', async () => {
    const { host, client } = await start(MASK);
    await upload(client, Buffer.from('für joe@example.com und Ärger', 'latin1'), 'user_data', 'a.txt');
    expect(host.seen[0]!.body.includes(Buffer.from('für [EMAIL] und Ärger', 'latin1'))).toBe(true);
  });

  test('that cannot be looked into passes, unless a rule says otherwise', async () => {
    const { host, gateway, client } = await start(MASK);
    const pdf = '%PDF-1.7\n1 0 obj << /Length 3 >> stream\nabc\nendstream';
    await upload(client, pdf, 'user_data', 'a.pdf');
    expect(fileIn(host.seen[0]!.body)).toBe(pdf);
    putUnder(gateway, { ...MASK, unreadable: 'block' });
    await expect(upload(client, pdf, 'user_data', 'a.pdf')).rejects.toMatchObject(BLOCKED);
    await expect(upload(client, Buffer.from([0, 1, 2]), 'vision', 'a.png')).rejects.toMatchObject(BLOCKED);
    expect(host.seen).toHaveLength(1);
    expect(gateway.decisions.at(-1)).toMatchObject({
      reason: 'blocked',
      guards: [{ guard: 'pii', found: 'unreadable' }],
    });
  });

  test('of which a part says that it is encoded is refused', async () => {
    const { gateway } = await start(MASK);
    const body = `--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nam9l\r\n--b--\r\n`;
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    expect((await fetch(`${gateway.url}/v1/files`, { method: 'POST', headers, body })).status).toBe(400);
  });
});

describe('a file that a provider has already', () => {
  const MINDING = { ...MASK, unreadable: 'block' };
  const ask = (client: OpenAI, file_id: string) =>
    client.responses.create({
      model: 'one/small',
      input: [{ role: 'user', content: [{ type: 'input_file', file_id }] }],
    });
  const run = (client: OpenAI, input_file_id: string) =>
    client.batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });

  test('and was seen under the rule may be used, one from before it may not', async () => {
    const { gateway, client } = await start({ ...MASK, kinds: ['card'] });
    const before = await upload(client, CHAT);
    putUnder(gateway, MINDING);
    const after = await upload(client, CHAT);
    for (const use of [ask, run]) {
      await expect(use(client, before.id)).rejects.toMatchObject(BLOCKED);
      await use(client, after.id);
    }
    // Another rule has not seen it.
    putUnder(gateway, { ...MINDING, kinds: ['phone'] });
    await expect(run(client, after.id)).rejects.toMatchObject(BLOCKED);
    putUnder(gateway, { ...MINDING, dryRun: true });
    await run(client, before.id);
    expect(gateway.decisions.at(-1)).toMatchObject({ guards: [{ found: 'unreadable', action: 'noticed' }] });
    putUnder(gateway, MASK);
    await run(client, before.id);
    await ask(client, before.id);
  });

  test('is no file under the name by which it is known that it was seen', async () => {
    const { client } = await start(MINDING);
    const { id } = await upload(client, CHAT);
    await expect(ask(client, `${id} seen`)).rejects.toMatchObject({ status: 404 });
    await expect(run(client, `${id} seen`)).rejects.toMatchObject({ status: 404 });
  });
});

describe('a form beside a recording', () => {
  const sound = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7) % 256));
  const transcribe = async (client: OpenAI, more: object = {}) =>
    client.audio.transcriptions.create({ file: await toFile(sound, 'a.wav'), model: 'one/small', ...more } as never);

  test('is masked in its words, and the recording stays', async () => {
    const { host, gateway, client } = await start({ ...MASK, on: 'prompt' });
    host.script = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"x@x.org"}');
      return true;
    };
    await transcribe(client, { prompt: 'a call with joe@example.com' });
    const text = host.seen[0]!.body.toString('latin1');
    expect(text).toContain('\r\n\r\na call with [EMAIL]\r\n');
    expect(text).toContain('name="model"\r\n\r\nsmall\r\n');
    expect(host.seen[0]!.body.includes(sound)).toBe(true);
    expect(gateway.decisions).toMatchObject([{ surface: 'audio', guards: [{ found: 'email', action: 'masked' }] }]);
    putUnder(gateway, { ...BLOCK, on: 'prompt', unreadable: 'block' });
    await expect(transcribe(client)).rejects.toMatchObject(BLOCKED);
  });

  test('brings back words that are looked at as an answer', async () => {
    const { host, gateway, client } = await start({ ...MASK, on: 'answer' });
    let type = 'application/json';
    let said = JSON.stringify({
      text: 'card 4111 1111 1111 1111',
      words: ['card', '4111', '1111', '1111', '1111'].map((word) => ({ word })),
      segments: [
        { text: ' card 4111 1111', tokens: [1, 2] },
        { text: ' 1111 1111', tokens: [3] },
      ],
      usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
    });
    host.script = (_, response) => response.writeHead(200, { 'content-type': type }).end(said) !== undefined;
    const told = (await transcribe(client)) as unknown as { text: string; words: { word: string }[] };
    expect(told.text).toBe('card [CARD]');
    expect(JSON.stringify(told)).not.toContain('1111');
    expect(gateway.attempts).toMatchObject([{ status: 'ok', inputTokens: 3 }]);
    expect(gateway.decisions.at(-1)!.guards).toMatchObject([{ found: 'card', where: 'answer', action: 'masked' }]);
    type = 'text/plain';
    said = '1\n00:00 --> 00:01\njoe@example.com\n';
    expect(await transcribe(client, { response_format: 'srt' })).toBe('1\n00:00 --> 00:01\n[EMAIL]\n');
    await expect(transcribe(client, { stream: true })).rejects.toMatchObject({ status: 400 });
    putUnder(gateway, { ...BLOCK, on: 'answer' });
    await expect(transcribe(client, { response_format: 'text' })).rejects.toMatchObject(BLOCKED);
    expect(gateway.attempts.at(-1)).toMatchObject({ status: 'ok' });
  });
});

test('pictures and speech are not asked for where a rule lets no answer pass that it cannot look into', async () => {
  const { host, gateway, client } = await start({ ...BLOCK, on: 'answer', unreadable: 'block' });
  const picture = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 0]).toString('base64');
  const painted = { created: 1, data: [{ b64_json: picture, revised_prompt: 'a letter to joe@example.com' }] };
  host.script = ({ url }, response) => {
    const isImage = url.endsWith('/generations');
    response.writeHead(200, { 'content-type': isImage ? 'application/json' : 'audio/mpeg' });
    return response.end(isImage ? JSON.stringify(painted) : 'ID3\0') !== undefined;
  };
  const speak = () => client.audio.speech.create({ model: 'one/small', input: 'hello', voice: 'alloy' });
  const paint = (more = {}) => client.images.generate({ model: 'one/small', prompt: 'a letter', ...more });
  await expect(speak()).rejects.toMatchObject(BLOCKED);
  await expect(paint()).rejects.toMatchObject(BLOCKED);
  expect(host.seen).toHaveLength(0);
  expect(gateway.decisions.at(-1)).toMatchObject({
    surface: 'images',
    reason: 'blocked',
    guards: [{ found: 'unreadable', where: 'answer', action: 'blocked' }],
  });
  putUnder(gateway, { ...MASK, on: 'answer' });
  expect((await speak()).status).toBe(200);
  expect((await paint()).data).toEqual([{ b64_json: picture, revised_prompt: 'a letter to [EMAIL]' }]);
  await expect(paint({ stream: true })).rejects.toMatchObject({ status: 400 });
  putUnder(gateway, { ...MASK, on: 'answer', unreadable: 'block', dryRun: true });
  await speak();
  expect(gateway.decisions.at(-1)).toMatchObject({ guards: [{ found: 'unreadable', action: 'noticed', count: 1 }] });
  await paint();
  expect(gateway.decisions.at(-1)!.guards).toMatchObject([{ found: 'unreadable', count: 1 }, { found: 'email' }]);
});

test('words of what is spoken, painted and moderated are on record when they are refused', async () => {
  const { host, gateway, client } = await start(BLOCK);
  const input = 'joe@example.com';
  await expect(client.audio.speech.create({ model: 'one/small', input, voice: 'alloy' })).rejects.toMatchObject(
    BLOCKED,
  );
  await expect(client.images.generate({ model: 'one/small', prompt: input })).rejects.toMatchObject(BLOCKED);
  await expect(client.moderations.create({ model: 'one/small', input })).rejects.toMatchObject(BLOCKED);
  expect(host.seen).toHaveLength(0);
  expect(gateway.decisions.map(({ surface, reason }) => `${surface} ${reason}`)).toEqual([
    'audio blocked',
    'images blocked',
    'moderations blocked',
  ]);
});

describe('files within a request', () => {
  const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
  const withFile = (file_data: string) => ({
    model: 'one/small',
    input: [{ role: 'user', content: [{ type: 'input_file', filename: 'a.txt', file_data }] }],
  });
  const sent = (body: Buffer) => JSON.parse(body.toString()).input[0].content[0].file_data as string;

  test('are masked where they hold text', async () => {
    const { host, client } = await start(MASK);
    await client.responses.create(withFile(`data:text/plain;base64,${base64('to joe@example.com')}`) as never);
    expect(sent(host.seen[0]!.body)).toBe(`data:text/plain;base64,${base64('to [EMAIL]')}`);
    await client.responses.create(withFile(base64('{"to":"joe\\u0040example.com"}')) as never);
    expect(sent(host.seen[1]!.body)).toBe(base64('{"to":"[EMAIL]"}'));
  });

  test('pass where they do not, unless a rule says otherwise', async () => {
    const { host, gateway, client } = await start(BLOCK);
    const bytes = base64(Buffer.from([0, 1, 2, 255]));
    await client.responses.create(withFile(bytes) as never);
    expect(sent(host.seen[0]!.body)).toBe(bytes);
    putUnder(gateway, { ...BLOCK, unreadable: 'block' });
    await expect(client.responses.create(withFile(bytes) as never)).rejects.toMatchObject(BLOCKED);
    const picture = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
    const messages = [{ role: 'user', content: [picture] }];
    await expect(client.chat.completions.create({ model: 'one/small', messages } as never)).rejects.toMatchObject(
      BLOCKED,
    );
    await client.responses.create(withFile(base64('plain text')) as never);
  });
});

describe('a batch of one tenant', () => {
  test('cannot refer to what another one holds, by whatever member', async () => {
    const { host, a, b } = await start();
    const { id: file } = await upload(a, CHAT);
    const { id: response } = await a.responses.create({ model: 'one/small', input: 'x' });
    const asked = host.seen.length;
    const part = { role: 'user', content: [{ type: 'input_file', file_id: file }] };
    const cases: [string, object][] = [
      ['/v1/responses', { input: [part] }],
      ['/v1/responses', { previous_response_id: response }],
      ['/v1/unheard-of', { previous_response_id: response }],
      ['/v1/chat/completions', { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: file } }] }] }],
    ];
    for (const [url, body] of cases) {
      const content = `${line('fine')}\n${JSON.stringify({ url, body })}\n${line('fine')}\n`.padEnd(200_000, '\n');
      const told = { status: 404, message: expect.stringContaining('line 2:') };
      await expect(upload(b, content)).rejects.toMatchObject(told);
      await upload(a, content);
    }
    // A host may have had the beginning of what was broken off, but no whole form.
    expect(host.seen.length - asked).toBe(cases.length);
  });
});
