/** Answers held to a schema, and embeddings, as the OpenAI client asks for them and reads them. */
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { generateText, Output } from 'ai';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import { KINDS } from '../../../server/providers/index.ts';
import { Transport } from '../../../server/providers/transport.ts';
import { candidate, gatewayOver, type Script, sendJson, type TestGateway, type Upstream, upstream } from '../fakes.ts';
import { openAi } from './clients.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(ids: readonly string[], script: Script): Promise<{ gateway: TestGateway; host: Upstream }> {
  const host = await upstream(script);
  const providers = new Map(
    ids.map((id) => {
      const name = id.split('/')[0]!;
      const options = { baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'k' }], transport: new Transport() };
      return [name, httpProvider(KINDS.get(name)!, options)] as const;
    }),
  );
  const gateway = await gatewayOver(
    ids.map((id) => candidate(id)),
    { providers, config: { retry: { retries: 0 } } },
  );
  cleanUps.push(host.close, gateway.close);
  return { gateway, host };
}

const Town = z.object({ name: z.string(), rivers: z.array(z.object({ name: z.string(), km: z.number().nullable() })) });
const TOWN = {
  name: 'Lyon',
  rivers: [
    { name: 'Rhône', km: 813 },
    { name: 'Saône', km: null },
  ],
};
const MESSAGES = [{ role: 'user' as const, content: 'Describe Lyon.' }];

const HOSTS = {
  'anthropic/claude-sonnet-4-5': {
    answer: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5',
      content: [{ type: 'text', text: JSON.stringify(TOWN) }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 10, output_tokens: 5 },
    },
    schemaOf: (body: Fields) => body.output_config?.format?.schema,
  },
  'google/gemini-3-flash-preview': {
    answer: {
      candidates: [
        { content: { role: 'model', parts: [{ text: JSON.stringify(TOWN) }] }, finishReason: 'STOP', index: 0 },
      ],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 15 },
    },
    schemaOf: (body: Fields) =>
      body.generationConfig?.responseMimeType === 'application/json' && body.generationConfig.responseJsonSchema,
  },
};
// biome-ignore lint/suspicious/noExplicitAny: what upstreams get is what the tests look into
type Fields = Record<string, any>;

describe.each(Object.entries(HOSTS))('structured output of %s', (id, { answer, schemaOf }) => {
  const sentSchema = ({ requests }: Upstream) => schemaOf(JSON.parse(requests[0]!.body));
  const RIVER = { type: 'object', properties: { name: { type: 'string' } }, required: ['name', 'km'] };
  const SCHEMA = {
    type: 'object',
    properties: { name: { type: 'string' }, rivers: { type: 'array', items: RIVER } },
    required: ['name', 'rivers'],
  };

  test.each(['auto', id])('is parsed by the chat client, asked as %s', async (model) => {
    const { gateway, host } = await start([id], (_, response) => sendJson(response, answer));
    const completion = await openAi(gateway).chat.completions.parse({
      model,
      messages: MESSAGES,
      response_format: zodResponseFormat(Town, 'town'),
    });
    expect(completion.choices[0]!.message.parsed).toEqual(TOWN);
    expect(sentSchema(host)).toMatchObject(SCHEMA);
  });

  test.each(['chat', 'responses'] as const)('is parsed by the AI SDK over %s', async (surface) => {
    const { gateway, host } = await start([id], (_, response) => sendJson(response, answer));
    const { output } = await generateText({
      model: createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'any' })[surface](id),
      output: Output.object({ schema: Town }),
      prompt: 'Describe Lyon.',
      maxRetries: 0,
    });
    expect(output).toEqual(TOWN);
    expect(sentSchema(host)).toMatchObject(SCHEMA);
  });

  test('is parsed by Anthropic’s client', async () => {
    const { gateway, host } = await start([id], (_, response) => sendJson(response, answer));
    const message = await new Anthropic({ baseURL: gateway.url, apiKey: 'any', maxRetries: 0 }).messages.parse({
      model: id,
      max_tokens: 1000,
      messages: MESSAGES,
      output_config: { format: zodOutputFormat(Town) },
    });
    expect(message.parsed_output).toEqual(TOWN);
    expect(sentSchema(host)).toMatchObject(SCHEMA);
  });

  test('is parsed by the Responses client', async () => {
    const { gateway, host } = await start([id], (_, response) => sendJson(response, answer));
    const response = await openAi(gateway).responses.parse({
      model: id,
      input: 'Describe Lyon.',
      text: { format: zodTextFormat(Town, 'town') },
    });
    expect(response.output_parsed).toEqual(TOWN);
    expect(sentSchema(host)).toMatchObject(SCHEMA);
  });
});

test('JSON without a schema is refused by name where the protocol has no such mode, and had where it has', async () => {
  const { gateway, host } = await start(Object.keys(HOSTS), (_, response) =>
    sendJson(response, HOSTS['google/gemini-3-flash-preview'].answer),
  );
  const ask = (model: string) =>
    openAi(gateway).chat.completions.create({ model, messages: MESSAGES, response_format: { type: 'json_object' } });
  await expect(ask('anthropic/claude-sonnet-4-5')).rejects.toMatchObject({
    status: 400,
    code: 'unsupported_parameter',
    param: 'response_format',
  });
  // The router's first choice cannot, the next can: nobody has been called in vain.
  const { data, response } = await ask('auto').withResponse();
  expect(data.model).toBe('google/gemini-3-flash-preview');
  expect(response.headers.get('x-pointsman-reason')).toBe('fallback');
  expect(host.requests).toHaveLength(1);
});

describe('embeddings', () => {
  const FLOATS = [0.5, -0.25, 1.5];
  const embed: Script = (_, response, body) => {
    const inputs = Array.isArray(body.input) ? body.input : [body.input];
    const embedding =
      body.encoding_format === 'base64' ? Buffer.from(Float32Array.from(FLOATS).buffer).toString('base64') : FLOATS;
    sendJson(response, {
      object: 'list',
      data: inputs.map((__, index) => ({ object: 'embedding', index, embedding })),
      model: 'text-embedding-3-small',
      usage: { prompt_tokens: 7, total_tokens: 7 },
    });
  };
  const ID = 'openai/text-embedding-3-small';

  test.each([undefined, 'float', 'base64'] as const)('come in the form asked for: %s', async (format) => {
    const { gateway, host } = await start([ID], embed);
    const { data, model, usage } = await openAi(gateway).embeddings.create({
      model: ID,
      input: ['one', 'two'],
      ...(format && { encoding_format: format }),
    });
    // The client asks for base64 unless told otherwise, and decodes what it asked for by itself.
    const base64 = Buffer.from(Float32Array.from(FLOATS).buffer).toString('base64');
    for (const { embedding } of data) expect(embedding).toEqual(format === 'base64' ? base64 : FLOATS);
    expect(data).toHaveLength(2);
    expect(model).toBe(ID);
    expect(usage).toEqual({ prompt_tokens: 7, total_tokens: 7 });
    expect(host.requests[0]!.url).toBe('/v1/embeddings');
    expect(JSON.parse(host.requests[0]!.body).model).toBe('text-embedding-3-small');
    expect(gateway.attempts[0]).toMatchObject({ status: 'ok', inputTokens: 7, outputTokens: 0, costUsd: 7e-6 });
  });

  test('are not had from auto, and the client hears why', async () => {
    const { gateway, host } = await start([ID], embed);
    const failure = openAi(gateway).embeddings.create({ model: 'auto', input: 'one' });
    await expect(failure).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(failure).rejects.toMatchObject({
      status: 400,
      param: 'model',
      message: expect.stringContaining('name the one'),
    });
    expect(host.requests).toEqual([]);
  });

  test.each([
    'anthropic/claude-sonnet-4-5',
    'google/gemini-3-flash-preview',
    'deepseek/deepseek-v4',
    'cohere/embed-v4.0',
  ])('are refused in words where they cannot be had, and nobody is called: %s', async (id) => {
    const { gateway, host } = await start([id], embed);
    await expect(openAi(gateway).embeddings.create({ model: id, input: 'one' })).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(new RegExp(`${id}.*embed`)),
    });
    expect(host.requests).toEqual([]);
  });

  test('of an unknown model are a 404', async () => {
    const { gateway } = await start([ID], embed);
    await expect(
      openAi(gateway).embeddings.create({ model: 'openay/text-embedding-3-smal', input: 'one' }),
    ).rejects.toMatchObject({ status: 404, code: 'UNKNOWN_MODEL', message: expect.stringContaining(ID) });
  });
});
