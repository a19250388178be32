/** What goes wrong, as each real client raises it. None of them retries by itself here. */

import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { APICallError, generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import { KINDS } from '../../../server/providers/index.ts';
import { Transport } from '../../../server/providers/transport.ts';
import {
  candidate,
  completion,
  fakeRouter,
  gatewayOver,
  type Script,
  sendJson,
  sendStream,
  startSse,
  type TestGateway,
  type Upstream,
  upstream,
  word,
} from '../fakes.ts';
import { CLIENT_KEY, openAi } from './clients.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Speaks the chat protocol only. */
const LLAMA = 'together/llama-4';
const CLAUDE = 'anthropic/claude-sonnet-4-5';

interface Started {
  readonly gateway: TestGateway;
  readonly hosts: Readonly<Record<string, Upstream>>;
}

/** Models in the order in which `auto` ranks them, each with what its host does. */
async function start(scripts: Readonly<Record<string, Script>>, config: object = {}): Promise<Started> {
  const hosts: Record<string, Upstream> = {};
  const providers = new Map();
  for (const [id, script] of Object.entries(scripts)) {
    const host = await upstream(script);
    hosts[id] = host;
    const name = id.split('/')[0]!;
    const options = { baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'k' }], transport: new Transport() };
    providers.set(name, httpProvider(KINDS.get(name)!, options));
    cleanUps.push(host.close);
  }
  const models = Object.keys(scripts).map((id) => candidate(id));
  const gateway = await gatewayOver(models, { providers, config: { retry: { retries: 0 }, ...config } });
  cleanUps.push(gateway.close);
  return { gateway, hosts };
}

interface Asker {
  readonly name: string;
  /** Classes of errors by status; each client has one for each. */
  readonly kinds: Readonly<Record<number, new (...args: never[]) => Error>>;
  /** @returns the text of the answer */
  ask(gateway: Pick<TestGateway, 'url'>, model: string, options?: { stream?: boolean; key?: string }): Promise<string>;
}

const HELLO = [{ role: 'user' as const, content: 'Say hello' }];

const KINDS_OF_OPENAI = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  404: OpenAI.NotFoundError,
  429: OpenAI.RateLimitError,
  502: OpenAI.InternalServerError,
};

const ASKERS: readonly Asker[] = [
  {
    name: 'openai chat',
    kinds: KINDS_OF_OPENAI,
    async ask({ url }, model, { stream = false, key } = {}) {
      const { chat } = openAi({ url, key });
      if (!stream) return (await chat.completions.create({ model, messages: HELLO })).choices[0]!.message.content ?? '';
      let text = '';
      for await (const chunk of await chat.completions.create({ model, messages: HELLO, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? '';
      }
      return text;
    },
  },
  {
    name: 'openai responses',
    kinds: KINDS_OF_OPENAI,
    async ask({ url }, model, { stream = false, key } = {}) {
      const { responses } = openAi({ url, key });
      if (!stream) return (await responses.create({ model, input: 'Say hello' })).output_text;
      return (await responses.stream({ model, input: 'Say hello' }).finalResponse()).output_text;
    },
  },
  {
    name: 'anthropic',
    kinds: {
      400: Anthropic.BadRequestError,
      401: Anthropic.AuthenticationError,
      404: Anthropic.NotFoundError,
      429: Anthropic.RateLimitError,
      502: Anthropic.InternalServerError,
    },
    async ask({ url }, model, { stream = false, key = CLIENT_KEY } = {}) {
      const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
      const body = { model, max_tokens: 100, messages: HELLO };
      const { content } = stream
        ? await client.messages.stream(body).finalMessage()
        : await client.messages.create(body);
      return content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('');
    },
  },
];

const fine: Script = (_, response, body) =>
  body.stream ? sendStream(response, ['All ', 'well']) : sendJson(response, completion('All well'));

const failure = (asking: Promise<unknown>): Promise<Record<string, unknown> & Error> =>
  asking.then(
    (answer) => {
      throw new Error(`answered ${JSON.stringify(answer)}`);
    },
    (error) => error,
  );

describe.each(ASKERS)('$name', ({ ask, kinds, name }) => {
  const isAnthropic = name === 'anthropic';

  test('a wrong key is an authentication error, the right one is none', async () => {
    const key = 'pm-0123456789abcdef';
    const { gateway, hosts } = await start({ [LLAMA]: fine }, { keys: [{ name: 'team', key }] });
    const error = await failure(ask(gateway, 'auto', { key: 'pm-wrong-wrong-wrong' }));
    expect(error).toBeInstanceOf(kinds[401]);
    expect(error).toMatchObject({ status: 401, type: 'authentication_error' });
    expect(error.message).not.toContain('pm-wrong');
    expect(hosts[LLAMA]!.requests).toEqual([]);
    expect(await ask(gateway, 'auto', { key })).toBe('All well');
  });

  test('an unknown model is not found, and the nearest one is named', async () => {
    const { gateway } = await start({ [LLAMA]: fine });
    const error = await failure(ask(gateway, 'togethr/llama-4'));
    expect(error).toBeInstanceOf(kinds[404]);
    expect(error.message).toContain(`Did you mean ${LLAMA}?`);
  });

  test.each([false, true])('a fault of the request comes in the provider’s words, streamed: %s', async (stream) => {
    const told = {
      message: 'Invalid schema for function',
      type: 'invalid_request_error',
      param: 'tools[0]',
      code: 'invalid_function_parameters',
    };
    const { gateway } = await start({ [LLAMA]: (_, response) => sendJson(response, { error: told }, 400) });
    const error = await failure(ask(gateway, 'auto', { stream }));
    expect(error).toBeInstanceOf(kinds[400]);
    expect(error.message).toContain('Invalid schema for function');
    expect(error).toMatchObject(isAnthropic ? { type: told.type } : { code: told.code, param: told.param });
  });

  test.each([false, true])('a busy provider’s retry-after reaches the client, streamed: %s', async (stream) => {
    const busy: Script = (_, response) => {
      response.setHeader('retry-after', '30');
      sendJson(
        response,
        { error: { message: 'slow down', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' } },
        429,
      );
    };
    const { gateway } = await start({ [LLAMA]: busy });
    const error = await failure(ask(gateway, LLAMA, { stream }));
    expect(error).toBeInstanceOf(kinds[429]);
    expect((error.headers as Headers).get('retry-after')).toBe('30');
    expect(error).toMatchObject({ type: 'rate_limit_error' });
  });

  test('overload told as the first frame of a stream goes to the next model', async () => {
    const overloaded: Script = (_, response) => {
      startSse(response);
      response.write('event: error\n');
      response.end('data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n');
    };
    const { gateway } = await start({ [CLAUDE]: overloaded, [LLAMA]: fine });
    expect(await ask(gateway, 'auto', { stream: true })).toBe('All well');
    expect(gateway.attempts.map(({ model, httpStatus }) => [model, httpStatus])).toEqual([
      [CLAUDE, 529],
      [LLAMA, 200],
    ]);
  });

  test.each([false, true])('with everybody down it is a server’s error with a status, streamed: %s', async (stream) => {
    const down: Script = (_, response) => sendJson(response, 'no', 503);
    const { gateway } = await start({ [CLAUDE]: down, [LLAMA]: down });
    const error = await failure(ask(gateway, 'auto', { stream }));
    expect(error).toBeInstanceOf(kinds[502]);
    expect(error.status).toBe(502);
    expect(gateway.attempts).toHaveLength(2);
  });

  test('a stream that breaks in the middle is thrown, whoever sent it', async () => {
    const breaks: Script = (request, response) => {
      startSse(response);
      response.write(word('All '));
      setTimeout(() => request.socket.destroy(), 20);
    };
    const { gateway } = await start({ [LLAMA]: breaks });
    const error = await failure(ask(gateway, 'auto', { stream: true }));
    expect(error.message).toContain('together ended the stream early');
    expect(error).toBeInstanceOf(isAnthropic ? Anthropic.APIError : name === 'openai chat' ? OpenAI.APIError : Error);
    expect(gateway.attempts.at(-1)).toMatchObject({ status: 'partial' });
  });

  test('a prompt that is too long is told in the client’s own words for it', async () => {
    const message = 'prompt is too long: 210000 tokens > 200000 maximum';
    const { gateway } = await start({
      [CLAUDE]: (_, response) =>
        sendJson(response, { type: 'error', error: { type: 'invalid_request_error', message } }, 400),
    });
    const error = await failure(ask(gateway, 'auto'));
    expect(error).toBeInstanceOf(kinds[400]);
    expect(error.message).toContain('prompt is too long');
    expect(error).toMatchObject(isAnthropic ? { type: 'invalid_request_error' } : { code: 'context_length_exceeded' });
  });

  test('a prompt that no candidate can take is told so before anybody is called', async () => {
    const { gateway, hosts } = await start({ [LLAMA]: fine });
    gateway.gateway.holder.current = {
      ...gateway.gateway.holder.current,
      route: (request, options) => fakeRouter([candidate(LLAMA, 1, { contextTokens: 1 })]).route(request, options),
    };
    const error = await failure(ask(gateway, 'auto'));
    expect(error).toBeInstanceOf(kinds[400]);
    if (!isAnthropic) expect(error).toMatchObject({ code: 'context_length_exceeded' });
    expect(hosts[LLAMA]!.requests).toEqual([]);
  });
});

describe.each(['chat', 'responses'] as const)('ai sdk %s', (surface) => {
  const modelOf = ({ url }: TestGateway, id: string, apiKey = CLIENT_KEY) =>
    createOpenAI({ baseURL: `${url}/v1`, apiKey })[surface](id);

  test.each([
    ['a wrong key', 'auto', 401],
    ['an unknown model', 'togethr/llama-4', 404],
  ])('%s is an API call error with its status', async (_, id, statusCode) => {
    const key = 'pm-0123456789abcdef';
    const { gateway } = await start({ [LLAMA]: fine }, { keys: [{ name: 'team', key }] });
    const model = modelOf(gateway, id, statusCode === 401 ? undefined : key);
    const error = await failure(generateText({ model, prompt: 'hi', maxRetries: 0 }));
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode, isRetryable: false });
    if (statusCode === 404) expect(error.message).toContain(`Did you mean ${LLAMA}?`);
  });

  test('everybody down is an error that may be tried again', async () => {
    const { gateway } = await start({ [LLAMA]: (_, response) => sendJson(response, 'no', 503) });
    const error = await failure(generateText({ model: modelOf(gateway, 'auto'), prompt: 'hi', maxRetries: 0 }));
    expect(error).toMatchObject({ statusCode: 502, isRetryable: true });
  });

  test('a stream that breaks in the middle reaches onError', async () => {
    const { gateway } = await start({
      [LLAMA]: (request, response) => {
        startSse(response);
        response.write(word('All '));
        setTimeout(() => request.socket.destroy(), 20);
      },
    });
    const errors: unknown[] = [];
    const result = streamText({
      model: modelOf(gateway, 'auto'),
      prompt: 'hi',
      maxRetries: 0,
      onError: ({ error }) => {
        errors.push(error);
      },
    });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    expect(text).toBe('All ');
    expect(JSON.stringify(errors)).toContain('together ended the stream early');
  });
});
