/** What every kind of provider promises, whatever it speaks: one line of a test file runs it for one more. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Environment } from '../../server/config/index.ts';
import { GatewayConfig } from '../../server/config/index.ts';
import { type Blame, fromStatus } from '../../server/forward/failure.ts';
import type { Usage } from '../../server/forward/usage.ts';
import { PROTOCOLS } from '../../server/protocols/index.ts';
import { type Provider, providersFrom } from '../../server/providers/index.ts';
import type { ProviderKind } from '../../server/providers/kind.ts';
import { candidate, gatewayOver, jsonOf, type TestGateway, type Upstream, upstream } from '../server/fakes.ts';

export interface ToldError {
  readonly status: number;
  /** Of its true shape; an object or the text itself. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The status that it means, where the host sends another (Google's 400 for a key it does not know). */
  readonly means?: number;
  /** What is made of it. */
  readonly message: string;
  readonly blame: Blame;
  readonly code?: string | number | null;
  /** Seconds to wait that it tells. */
  readonly retryAfter?: string;
}

export interface ProviderContract {
  readonly kind: ProviderKind;
  /** The protocol of the client that asks; default: OpenAI's chat. */
  readonly surface?: 'chat' | 'messages';
  /** Tells two contracts of one kind apart. */
  readonly as?: string;
  /** As this host names it. */
  readonly model: string;
  /** What switches it on beside its key. */
  readonly needs?: Environment;
  /** Where it is called by default. */
  readonly address: string;
  /** Header that bears the key, and how. Default: `authorization: Bearer KEY`. */
  readonly keyHeaders?: (key: string) => Readonly<Record<string, string>>;
  /** After the address, query included. */
  readonly paths: { readonly whole: string; readonly stream: string };
  /** Headers that its protocol asks for. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What a request must hold, and must not. */
  readonly asks?: (body: Record<string, unknown>, stream: boolean) => void;
  /** A whole answer that says `TEXT`. */
  readonly whole: { readonly body: unknown; readonly usage: Usage };
  /** The same as it streams. */
  readonly stream: {
    readonly frames: readonly (string | Uint8Array)[];
    readonly contentType?: string;
    readonly usage: Usage;
  };
  readonly errors: readonly ToldError[];
  /** A body by which it refuses a key and quotes it. */
  readonly refusesKey: (message: string) => unknown;
}

export const TEXT = 'Blue, mostly.';

const KEY = 'planted-key-0123456789abcdef';
const { timeouts } = GatewayConfig.parse({});

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** What a client of each protocol sees of the answer. */
const READERS = {
  chat: {
    whole: { choices: [{ message: { content: TEXT }, finish_reason: 'stop' }] },
    stream(text: string) {
      const chunks = dataOf(text);
      const said = chunks.filter((data) => data !== '[DONE]').map((data) => JSON.parse(data).choices?.[0]);
      return {
        text: said.map((choice) => choice?.delta.content ?? '').join(''),
        ended: chunks.at(-1) === '[DONE]' && said.some((choice) => choice?.finish_reason === 'stop'),
      };
    },
  },
  messages: {
    whole: { content: [{ type: 'text', text: TEXT }], stop_reason: 'end_turn' },
    stream(text: string) {
      const events = dataOf(text).map((data) => JSON.parse(data));
      return {
        text: events.map(({ delta }) => delta?.text ?? '').join(''),
        ended: events.at(-1)?.type === 'message_stop' && events.some(({ delta }) => delta?.stop_reason === 'end_turn'),
      };
    },
  },
} as const;

const dataOf = (text: string): string[] =>
  text.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []));

export function testProvider(contract: ProviderContract): void {
  const { kind, surface = 'chat', model, needs = {}, address, paths } = contract;
  const { name } = kind;
  const keyName = kind.keys[0]!;
  const prefix = name.toUpperCase().replaceAll('-', '_');
  const env: Environment = { ...needs, [keyName]: KEY };
  const keyHeaders = contract.keyHeaders?.(KEY) ?? { authorization: `Bearer ${KEY}` };
  const id = `${name}/${model}`;

  const built = (config: object, environment: Environment) => {
    const setup = providersFrom({ providers: {}, timeouts, ...config }, environment);
    for (const provider of setup.on.values()) cleanUps.push(() => provider.close());
    return setup;
  };

  interface Running {
    readonly gateway: TestGateway;
    readonly host: Upstream;
    readonly provider: Provider;
  }

  /** The provider over a host on loopback that answers all the same. */
  async function start(
    status: number,
    contentType: string,
    pieces: readonly (string | Uint8Array)[],
    headers = {},
  ): Promise<Running> {
    const host = await upstream((_, response) => {
      response.writeHead(status, { 'content-type': contentType, ...headers });
      for (const piece of pieces) response.write(piece);
      response.end();
    });
    cleanUps.push(host.close);
    const baseUrl = `${new URL(host.url).origin}${new URL(address).pathname.replace(/\/$/, '')}`;
    const { on } = providersFrom({ providers: { [name]: { enabled: true, baseUrl } }, timeouts }, env);
    const provider = on.get(name)!;
    const gateway = await gatewayOver([candidate(id, 1, { reasoning: false })], {
      providers: new Map([[name, provider]]),
      config: { retry: { retries: 0 } },
    });
    cleanUps.push(gateway.close);
    return { gateway, host, provider };
  }

  const ask = (gateway: TestGateway, stream: boolean) =>
    fetch(`${gateway.url}${surface === 'chat' ? '/v1/chat/completions' : '/v1/messages'}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: id,
        max_tokens: 100,
        messages: [{ role: 'user', content: 'Which colour is the sky?' }],
        ...(stream && { stream: true }),
      }),
    });

  function expectAsked({ host }: Running, stream: boolean): void {
    expect(host.requests).toHaveLength(1);
    const { url, headers, body } = host.requests[0]!;
    expect(url).toBe(`${new URL(address).pathname.replace(/\/$/, '')}${stream ? paths.stream : paths.whole}`);
    expect(headers).toMatchObject({ ...keyHeaders, ...contract.headers, 'content-type': 'application/json' });
    // The key is in its own headers and nowhere else.
    const bearing = Object.entries(headers).filter(([, value]) => String(value).includes(KEY));
    expect(bearing.map(([header]) => header).sort()).toEqual(Object.keys(keyHeaders).sort());
    expect(url + body).not.toContain(KEY);
    contract.asks?.(JSON.parse(body), stream);
  }

  describe(contract.as ?? name, () => {
    test('is off without its key, and says what to set', () => {
      const { on, off } = built({}, {});
      expect(on.has(name)).toBe(false);
      const wanted = kind.local === true ? [`${prefix}_BASE_URL`] : kind.keys;
      for (const each of wanted) expect(off.get(name)).toContain(each);
      if (kind.needs !== undefined) expect(off.get(name)).toContain(kind.needs);
    });

    test('is on by its environment alone, at its own address, and off again by the configuration', () => {
      const switched = kind.local === true ? { [`${prefix}_BASE_URL`]: address } : env;
      const provider = built({}, switched).on.get(name);
      expect(provider?.address).toBe(address);
      expect(provider?.credentials).toEqual([expect.not.objectContaining({ key: expect.anything() })]);
      expect(built({ providers: { [name]: { enabled: false } } }, switched).on.has(name)).toBe(false);
    });

    test('reads a whole answer and its usage, asked for as it wants', async () => {
      const running = await start(200, 'application/json', [JSON.stringify(contract.whole.body)]);
      const response = await ask(running.gateway, false);
      expect(await jsonOf(response)).toMatchObject({ model: id, ...READERS[surface].whole });
      expect(running.gateway.attempts).toMatchObject([{ status: 'ok', ...contract.whole.usage }]);
      expectAsked(running, false);
    });

    test('reads a stream to its end, and its usage, asked for as it wants', async () => {
      const { frames, contentType = 'text/event-stream', usage } = contract.stream;
      const running = await start(200, contentType, frames);
      const response = await ask(running.gateway, true);
      expect(READERS[surface].stream(await response.text())).toEqual({ text: TEXT, ended: true });
      expect(running.gateway.attempts).toMatchObject([{ status: 'ok', ...usage }]);
      expectAsked(running, true);
    });

    test.each(contract.errors.map((told) => [told.status, told.message, told] as const))(
      'reads an error of its own shape: %s %s',
      async (_, __, { status, means = status, body, headers = {}, message, blame, code, retryAfter }) => {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const running = await start(status, 'application/json', [text], headers);
        const response = await ask(running.gateway, false);
        const { error } = await jsonOf(response);
        expect(error.message).toContain(message);
        // A key of ours that is refused is no fault of the client's.
        const isOurs = blame === 'credential' && means !== 429;
        if (code !== undefined && surface === 'chat' && !isOurs) expect(error.code).toBe(code);
        if (retryAfter !== undefined) expect(response.headers.get('retry-after')).toBe(retryAfter);
        expect(response.status).toBe(means < 500 && !isOurs ? means : 502);
        const protocol = PROTOCOLS[running.provider.protocolFor(surface, model)];
        const { readError } = protocol;
        expect(fromStatus(running.provider, status, text, { readError }).blame).toBe(blame);
      },
    );

    test('keeps its key to itself when the host quotes it', async () => {
      const body = JSON.stringify(contract.refusesKey(`Incorrect API key provided: ${KEY}`));
      const { gateway } = await start(401, 'application/json', [body]);
      const response = await ask(gateway, false);
      const told = await response.text();
      expect(response.status).toBe(502);
      expect(told).toContain(`${name} refused its key`);
      expect(told + JSON.stringify([...response.headers])).not.toContain(KEY);
      expect(JSON.stringify([gateway.decisions, gateway.attempts])).not.toContain(KEY);
    });

    test('a stream that breaks off is no answer', async () => {
      const { frames, contentType = 'text/event-stream' } = contract.stream;
      // All but what says that the answer is over.
      const half = frames.slice(0, Math.floor(frames.length / 2));
      const { gateway } = await start(200, contentType, half);
      const text = await (await ask(gateway, true)).text();
      expect(READERS[surface].stream(text).ended).toBe(false);
      expect(text).toContain('"error"');
      expect(gateway.attempts.at(-1)!.status).not.toBe('ok');
    });
  });
}
