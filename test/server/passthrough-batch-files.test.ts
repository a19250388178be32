/** What a batch has written, under guardrails of answers: each line is looked at as the answer that it is. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { httpProvider } from '../../server/providers/http-provider.ts';
import { openai } from '../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import { candidate, gatewayOver } from './fakes.ts';
import { callerUnder, putUnder, rulesOf } from './governance/guards/governed.ts';
import { openAiHost } from './passthrough-upstream.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const MASK = { name: 'pii', kind: 'pii', on: 'answer' };
const BLOCK = { ...MASK, action: 'block' };
const BLOCKED = { status: 400, code: 'GUARDRAIL_BLOCKED' };

/** A gateway over a host whose batch has written this. @param length what its host says of it, where it does */
async function written(content: string | Buffer | string[], length?: number) {
  const host = await openAiHost();
  const provider = httpProvider(
    { ...openAiCompatibleKind('one'), protocols: openai.protocols },
    { name: 'one', baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'secret-key' }], transport: new Transport() },
  );
  const gateway = await gatewayOver([candidate('one/small', 1)], { providers: new Map([['one', provider]]) });
  cleanUps.push(gateway.close, host.close);
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  const { id } = await client.files.create({ file: new File(['{"a":1}'], 'a.jsonl'), purpose: 'batch' });
  const pieces = Array.isArray(content) ? content : [content];
  host.script = async ({ url }, response) => {
    if (!url.endsWith('/content')) return false;
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      ...(length !== undefined && { 'content-length': length }),
    });
    for (const piece of pieces) response.write(piece);
    if (length === undefined || Buffer.byteLength(pieces.join('')) >= length) response.end();
    else response.destroy();
    return true;
  };
  const fetched = () => fetch(`${gateway.url}/v1/files/${id}/content`);
  const content_ = async () => (await client.files.content(id)).text();
  return { gateway, host, client, fetched, content: content_ };
}

const answer = (body: object, more: object = {}) =>
  JSON.stringify({
    ...{ id: 'batch_req_1', custom_id: 'c-1' },
    response: { status_code: 200, request_id: 'r', body },
    ...{ error: null, ...more },
  });
const chat = (content: string, more: object = {}) =>
  answer({
    ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'small' },
    choices: [{ index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop', ...more }],
  });
const response = (text: string) =>
  answer({
    object: 'response',
    output: [{ type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text }] }],
  });
const embedding = answer({
  object: 'list',
  data: [{ object: 'embedding', index: 0, embedding: [0.4111111111111111, -0.12345678] }],
});

const LINES = [
  chat('mail joe@example.com'),
  chat('nothing'),
  response('mail ann@example.com'),
  embedding,
  answer({ object: 'list', data: [{ note: 'b@x.org' }] }),
  JSON.stringify({ custom_id: 'c-2', response: null, error: { code: 'x', message: 'no mail to d@x.org' } }),
];
const MASKED = LINES.map((line) => line.replace(/\w+@(?:example\.com|x\.org)/, '[EMAIL]'));

describe('a file that a batch has written', () => {
  test('is masked line by line by the places of its answers, and every other byte stays', async () => {
    const { gateway, content } = await written(`${LINES.join('\n')}\n`);
    putUnder(gateway, MASK);
    expect(await content()).toBe(`${MASKED.join('\n')}\n`);
    expect(gateway.decisions.at(-1)).toMatchObject({
      surface: 'files',
      guards: [{ guard: 'pii', found: 'email', where: 'answer', action: 'masked', count: 4 }],
    });
  });

  test('goes on as it comes where nothing can refuse it, wherever it is cut', async () => {
    const whole = LINES.join('\n');
    const { gateway, content } = await written(whole.match(/[\s\S]{1,37}/g)!);
    putUnder(gateway, MASK);
    expect(await content()).toBe(MASKED.join('\n'));
    putUnder(gateway, { ...MASK, dryRun: true });
    expect(await content()).toBe(whole);
    expect(gateway.decisions.at(-1)).toMatchObject({ guards: [{ action: 'noticed', count: 4 }] });
    // Rules of prompts have nothing to say.
    putUnder(gateway, { ...BLOCK, on: 'prompt' });
    expect(await content()).toBe(whole);
  });

  test('is refused whole by a rule that blocks: nothing of it is sent, and it counts as answered', async () => {
    const { gateway, fetched, content } = await written(`${chat('x '.repeat(700_000))}\n${LINES[0]}\n`);
    putUnder(gateway, BLOCK);
    await expect(content()).rejects.toMatchObject(BLOCKED);
    const refused = await fetched();
    expect(refused.status).toBe(400);
    expect(await refused.text()).not.toContain('x x');
    expect(gateway.decisions.at(-1)).toMatchObject({
      guards: [{ found: 'email', where: 'answer', action: 'blocked' }],
    });
    expect(gateway.attempts.at(-1)).toMatchObject({ status: 'ok' });
    expect(await readdir(join(gateway.gateway.config.dataDir, 'uploads')).catch(() => [])).toEqual([]);
  });

  test('that passes a rule that blocks is sent as it was, with its length', async () => {
    const whole = `${chat('é '.repeat(700_000))}\n${LINES[1]}`;
    const { gateway, fetched } = await written(whole);
    putUnder(gateway, BLOCK);
    const reply = await fetched();
    expect(reply.headers.get('content-length')).toBe(String(Buffer.byteLength(whole)));
    expect((await reply.text()) === whole).toBe(true);
  });

  test('goes by the rules of the endpoints that answered, and as those answers are judged', async () => {
    const { gateway, content } = await written(`${LINES[0]}\n${LINES[2]}\n`);
    const schema = { name: 'form', kind: 'schema', schema: { type: 'object' } };
    gateway.gateway.governance.policies.govern = ({ caller, surface }) =>
      callerUnder(
        surface === 'chat' ? rulesOf(MASK) : surface === 'responses' ? rulesOf({ ...schema, action: 'notice' }) : [],
        caller,
      );
    expect(await content()).toBe(`${MASKED[0]}\n${LINES[2]}\n`);
    expect(gateway.decisions.at(-1)!.guards).toMatchObject([{ found: 'email' }, { guard: 'form', found: 'not_json' }]);
  });

  test('says nothing by its tokens of what was masked in it', async () => {
    const logprobs = { content: [{ token: 'joe@example.com', logprob: -1 }] };
    const { gateway, content } = await written(
      `${chat('joe@example.com', { logprobs })}\n${chat('x', { logprobs: { content: [{ token: 'x' }] } })}\n`,
    );
    putUnder(gateway, { ...MASK, kinds: ['email'] });
    const [first, second] = (await content()).trimEnd().split('\n');
    expect(first).toContain('"logprobs":null');
    expect(first).not.toContain('joe');
    expect(second).toContain('"token":"x"');
  });

  test('that cannot be read passes, unless a rule says otherwise', async () => {
    const zip = Buffer.from([0x50, 0x4b, 3, 4, 0, 0, 0, 0xff]);
    const { gateway, fetched, content } = await written(zip);
    putUnder(gateway, MASK);
    expect(Buffer.from(await (await fetched()).arrayBuffer())).toEqual(zip);
    putUnder(gateway, { ...MASK, unreadable: 'block' });
    await expect(content()).rejects.toMatchObject(BLOCKED);
  });

  test('that breaks off is never taken for the whole', async () => {
    const { gateway, fetched } = await written(`${LINES[1]}\n`.repeat(100), 100_000);
    const isWhole = () =>
      fetched().then(
        async (reply) => {
          await reply.text();
          return reply.ok;
        },
        () => false,
      );
    for (const rule of [MASK, BLOCK]) {
      putUnder(gateway, rule);
      expect(await isWhole()).toBe(false);
      expect(gateway.attempts.at(-1)!.status).toMatch(/partial|error/);
    }
  });
});
