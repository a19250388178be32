/** What else the real clients show of an answer: the request's id, the headers, and the tokens of a request counted beforehand. */
import Anthropic from '@anthropic-ai/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { anthropic } from '../../../server/providers/anthropic.ts';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import { Transport } from '../../../server/providers/transport.ts';
import { candidate, gatewayOver, type Script, sendJson, type TestGateway, upstream } from '../fakes.ts';
import { CLIENT_KEY, openAi } from './clients.ts';
import { anthropicUpstream } from './upstreams/anthropic.ts';
import { chatUpstream } from './upstreams/chat.ts';
import { type RunningUpstream, run, STORY } from './upstreams/index.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const anthropicClient = ({ url }: TestGateway) => new Anthropic({ baseURL: url, apiKey: CLIENT_KEY, maxRetries: 0 });
const MESSAGES = [{ role: 'user' as const, content: STORY.greeting }];

describe.each([anthropicUpstream, chatUpstream])('an answer over $protocol', (of) => {
  async function start(): Promise<{ gateway: TestGateway; running: RunningUpstream }> {
    const running = await run(of);
    const gateway = await gatewayOver([candidate(running.modelId)], {
      providers: new Map([[running.modelId.split('/')[0]!, running.provider]]),
    });
    cleanUps.push(running.close, gateway.close);
    return { gateway, running };
  }

  test.each([false, true])(
    'tells its id where the OpenAI client looks for it, and who answered, streamed: %s',
    async (stream) => {
      const { gateway, running } = await start();
      const { response } = await openAi(gateway)
        .chat.completions.create({ model: 'auto', messages: MESSAGES, stream } as never)
        .withResponse();
      const { id } = gateway.decisions[0]!;
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'x-request-id': id,
        'x-pointsman-decision-id': id,
        'x-pointsman-model': running.modelId,
        'x-pointsman-provider': running.modelId.split('/')[0],
        'x-pointsman-reason': 'cheapest_adequate',
        'x-pointsman-router-ms': expect.stringMatching(/^\d+\.\d{3}$/),
        'x-pointsman-estimated-saving-usd': expect.any(String),
      });
      if (stream) await response.body?.cancel();
    },
  );

  test('tells its id where Anthropic’s client looks for it', async () => {
    const { gateway } = await start();
    const { _request_id } = await anthropicClient(gateway).messages.create({
      model: 'auto',
      max_tokens: 100,
      messages: MESSAGES,
    });
    expect(_request_id).toBe(`req_${gateway.decisions[0]!.id}`);
  });
});

describe('tokens counted beforehand', () => {
  async function start(script: Script) {
    const host = await upstream(script);
    const options = {
      baseUrl: host.url,
      keys: [{ id: '', weight: 1, key: 'k-of-the-provider' }],
      transport: new Transport(),
    };
    const gateway = await gatewayOver([candidate('anthropic/claude-sonnet-4-5')], {
      providers: new Map([['anthropic', httpProvider(anthropic, options)]]),
    });
    cleanUps.push(host.close, gateway.close);
    return { gateway, host };
  }
  const ask = (gateway: TestGateway, model: string) =>
    anthropicClient(gateway).messages.countTokens({ model, messages: MESSAGES, system: STORY.system }).withResponse();

  test('are the provider’s own count where it has one', async () => {
    const { gateway, host } = await start((_, response) => sendJson(response, { input_tokens: 4321 }));
    const { data, response } = await ask(gateway, 'anthropic/claude-sonnet-4-5');
    expect(data).toEqual({ input_tokens: 4321 });
    expect(response.headers.get('x-pointsman-estimated')).toBeNull();
    expect(host.requests[0]).toMatchObject({
      url: '/v1/messages/count_tokens',
      headers: { 'x-api-key': 'k-of-the-provider' },
    });
    expect(JSON.parse(host.requests[0]!.body)).toEqual({
      model: 'claude-sonnet-4-5',
      messages: MESSAGES,
      system: STORY.system,
    });
  });

  test.each([
    ['auto', (_: unknown, response: Parameters<Script>[1]) => sendJson(response, { input_tokens: 1 })],
    ['anthropic/claude-sonnet-4-5', (_: unknown, response: Parameters<Script>[1]) => sendJson(response, 'no', 500)],
  ] as const)('are an estimate that says so otherwise: %s', async (model, script) => {
    const { gateway } = await start(script);
    const { data, response } = await ask(gateway, model);
    // Some forty characters, and what a turn costs besides.
    expect(data.input_tokens).toBeGreaterThan(5);
    expect(data.input_tokens).toBeLessThan(60);
    expect(response.headers.get('x-pointsman-estimated')).toBe('true');
  });

  test('of an unknown model are a 404', async () => {
    const { gateway } = await start((_, response) => sendJson(response, {}));
    await expect(ask(gateway, 'claud-sonnet')).rejects.toBeInstanceOf(Anthropic.NotFoundError);
  });
});
