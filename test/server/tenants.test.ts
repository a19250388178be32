/** Tenants beside each other on one gateway: each has the models its keys reach, and nothing of the others'. */
import { afterEach, describe, expect, test } from 'vitest';
import { GatewayConfig } from '../../server/config/index.ts';
import { readUsage } from '../../server/forward/usage.ts';
import { anthropic } from '../../server/providers/anthropic.ts';
import { httpProvider, type KeyInHand } from '../../server/providers/http-provider.ts';
import { providersFrom } from '../../server/providers/index.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import { candidate, chat, completion, gatewayOver, hello, jsonOf, sendJson, upstream } from './fakes.ts';

const KEYS = { a: 'key-of-tenant-a-1234', b: 'key-of-tenant-b-1234' };
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** `one` has a key for tenant a only, `two` one for everybody. */
async function start(more: object = {}) {
  const host = await upstream((_, response) => sendJson(response, completion()));
  const at = (name: string, key: Partial<KeyInHand>) =>
    httpProvider(openAiCompatibleKind(name), {
      baseUrl: host.url,
      keys: [{ id: '', weight: 1, key: 'k', ...key }],
      transport: new Transport(),
    });
  const gateway = await gatewayOver([candidate('one/cheap', 1), candidate('two/dear', 9)], {
    providers: new Map([
      ['one', at('one', { tenant: 'a' })],
      ['two', at('two', {})],
    ]),
    config: {
      keys: [
        { name: 'a', key: KEYS.a, tenant: 'a' },
        { name: 'b', key: KEYS.b, tenant: 'b' },
      ],
      aliases: { small: 'one/cheap' },
      models: { 'two/unlisted': [{ provider: 'two' }] },
      ...more,
    },
  });
  cleanUps.push(host.close, gateway.close);
  return { gateway, host };
}
const as = (key: string) => ({ authorization: `Bearer ${key}` });

describe('a tenant without a key of one provider', () => {
  test('is routed to the models that it can have', async () => {
    const { gateway } = await start();
    const answer = await chat(gateway.url, hello('auto'), as(KEYS.b));
    expect(answer.status).toBe(200);
    expect((await jsonOf(answer)).model).toBe('two/dear');
    expect((await jsonOf(chat(gateway.url, hello('auto'), as(KEYS.a)))).model).toBe('one/cheap');
  });

  test('is shown only those, and the names that lead to them', async () => {
    const { gateway } = await start();
    const idsFor = async (key: string) =>
      (await jsonOf(fetch(`${gateway.url}/v1/models`, { headers: as(key) }))).data.map(({ id }: { id: string }) => id);
    expect(await idsFor(KEYS.a)).toEqual(['auto', 'small', 'one/cheap', 'two/dear', 'two/unlisted']);
    expect(await idsFor(KEYS.b)).toEqual(['auto', 'two/dear', 'two/unlisted']);
  });
});

test.each([
  [
    '/v1/responses',
    { input: 'x', tools: [{ type: 'file_search', vector_store_ids: ['vs_a'] }] },
    'tools.0.vector_store_ids.0',
  ],
  ['/v1/responses', { input: 'x', tools: [{ type: 'code_interpreter', container: 'cntr_a' }] }, 'tools.0.container'],
  ['/v1/responses', { input: 'x', prompt: { id: 'pmpt_a' } }, 'prompt.id'],
  ['/v1/messages', { max_tokens: 9, container: 'c_a', messages: [{ role: 'user', content: 'x' }] }, 'container'],
  [
    '/v1/messages/count_tokens',
    { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'file_a' } }] }] },
    'messages.0.content.0.source.file_id',
  ],
  ['/v1/chat/completions', { messages: [{ role: 'assistant', audio: { id: 'audio_a' } }] }, 'messages.0.audio.id'],
])('%s: what somebody made beside the gateway is not for every tenant: %j', async (path, body, field) => {
  const { gateway, host } = await start();
  const response = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...as(KEYS.b) },
    body: JSON.stringify({ model: 'two/dear', ...body }),
  });
  expect(response.status).toBe(404);
  expect((await jsonOf(response)).error.message).toContain(`${field}: nothing is held here`);
  expect(host.requests).toHaveLength(0);
});

describe('what could go unnoticed is refused', () => {
  test('a knob whose header is misspelt', async () => {
    const { gateway, host } = await start();
    const response = await chat(gateway.url, hello('auto'), { ...as(KEYS.b), 'x-pointsman-max-cost': '0.01' });
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toMatchObject({
      param: 'x-pointsman-max-cost',
      message: expect.stringContaining('did you mean x-pointsman-max-cost-usd?'),
    });
    expect(host.requests).toHaveLength(0);
  });

  test('a body in a coding that is not read', async () => {
    const { gateway } = await start();
    const response = await chat(gateway.url, hello('auto'), { ...as(KEYS.b), 'content-encoding': 'gzip' });
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error.message).toMatch(/^content-encoding: gzip is not read here/);
  });

  test.each(['two/', 'two/a\u0000b', 'two/a\r\nb'])('the model id %j, which no provider can have', async (model) => {
    const { gateway, host } = await start();
    const response = await chat(gateway.url, hello(model), as(KEYS.b));
    expect(response.status).toBe(404);
    expect((await jsonOf(response)).error.code).toBe('UNKNOWN_MODEL');
    expect(host.requests).toHaveLength(0);
  });

  test('metrics, without a key where keys are set up', async () => {
    const { gateway } = await start();
    expect((await fetch(`${gateway.url}/metrics`)).status).toBe(401);
    // They tell of all tenants: calling models is not enough, nor is seeing what one's own uses.
    expect((await fetch(`${gateway.url}/metrics`, { headers: as(KEYS.a) })).status).toBe(403);
    const seeing = { name: 'seeing', key: 'key-that-sees-usage-12', scopes: ['usage'] };
    const admin = { name: 'admin', key: 'key-of-the-admin-1234', scopes: ['admin'] };
    const { gateway: other } = await start({ keys: [seeing, admin] });
    expect((await fetch(`${other.url}/metrics`, { headers: as(seeing.key) })).status).toBe(403);
    expect((await fetch(`${other.url}/metrics`, { headers: as(admin.key) })).status).toBe(200);
  });
});

describe('usage that cannot be is not believed', () => {
  test('more tokens than any model takes count as not reported', () => {
    expect(readUsage({ prompt_tokens: 2 ** 53 - 1, completion_tokens: 5 })).toBeNull();
  });

  test('no more is cached than was sent, and no more thought than written', () => {
    const told = {
      prompt_tokens: 10,
      completion_tokens: 5,
      prompt_tokens_details: { cached_tokens: 1_000_000 },
      completion_tokens_details: { reasoning_tokens: 1_000_000 },
    };
    expect(readUsage(told)).toMatchObject({
      inputTokens: 10,
      cachedInputTokens: 10,
      outputTokens: 5,
      reasoningTokens: 5,
    });
  });
});

test('Anthropic’s address may be written as its own clients write it', () => {
  const config = (baseUrl: string) => GatewayConfig.parse({ providers: { anthropic: { baseUrl, apiKey: 'k' } } });
  const addressOf = (baseUrl: string) => providersFrom(config(baseUrl), {}).on.get(anthropic.name)!.address;
  expect(addressOf('http://127.0.0.1:9')).toBe('http://127.0.0.1:9/v1');
  expect(addressOf('http://127.0.0.1:9/v1')).toBe('http://127.0.0.1:9/v1');
  expect(addressOf('http://127.0.0.1:9/proxy')).toBe('http://127.0.0.1:9/proxy');
});
