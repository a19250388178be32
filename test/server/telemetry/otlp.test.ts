/** Traces and metrics at a collector that takes them, one that hangs, and one that is not there. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ATTRIBUTE, METRIC } from '../../../server/telemetry/names.ts';
import { readTraceparent } from '../../../server/telemetry/traceparent.ts';
import {
  candidate,
  chat,
  completion,
  gatewayOver,
  hello,
  type Script,
  sendJson,
  sendStream,
  type Upstream,
  until,
  upstream,
} from '../fakes.ts';

interface Taken {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A collector of OpenTelemetry that speaks OTLP over HTTP in JSON. */
async function collector(behaviour: 'takes' | 'hangs' | 'refuses' = 'takes') {
  const taken: Taken[] = [];
  const server: Server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece) => (text += piece));
    request.on('end', () => {
      taken.push({ path: request.url!, headers: request.headers, text });
      if (behaviour === 'hangs') return;
      response.writeHead(behaviour === 'takes' ? 200 : 400, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const fine: Script = (_, response, body) =>
  body.stream ? sendStream(response, ['All ', 'is ', 'well']) : sendJson(response, completion('All is well'));

async function start(
  otlpUrl: string | undefined,
  scripts: { one?: Script; two?: Script } = {},
  telemetry: object = {},
) {
  const hosts: Record<string, Upstream> = {
    one: await upstream(scripts.one ?? fine),
    two: await upstream(scripts.two ?? fine),
  };
  const gateway = await gatewayOver([candidate('one/cheap', 1), candidate('two/dear', 30)], {
    upstreams: { one: hosts.one!.url, two: hosts.two!.url },
    config: { retry: { retries: 0 }, telemetry: { ...(otlpUrl !== undefined && { otlpUrl }), ...telemetry } },
  });
  cleanUps.push(hosts.one!.close, hosts.two!.close, gateway.close);
  await gateway.gateway.governance.telemetry.start({});
  return { gateway, hosts };
}

interface Span {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: Record<string, unknown>;
}

type Attributes = { key: string; value: Record<string, unknown> }[];
const plain = (attributes: Attributes = []) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [[type, told]] = Object.entries(value) as [[string, unknown]];
      return [key, type === 'intValue' ? Number(told) : told];
    }),
  );

// biome-ignore lint/suspicious/noExplicitAny: the protocol's own nesting, which is what is read here
const bodies = (taken: readonly Taken[], path: string): any[] =>
  taken.filter((one) => one.path === path).map(({ text }) => JSON.parse(text));

const spansAt = (taken: readonly Taken[]): Span[] =>
  bodies(taken, '/v1/traces').flatMap(({ resourceSpans }) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    resourceSpans.flatMap(({ scopeSpans }: any) =>
      // biome-ignore lint/suspicious/noExplicitAny: as above
      scopeSpans.flatMap(({ spans }: any) =>
        // biome-ignore lint/suspicious/noExplicitAny: as above
        spans.map((span: any) => ({ ...span, attributes: plain(span.attributes) })),
      ),
    ),
  );

const SERVER = 2;
const CLIENT = 3;

describe('a collector gets', () => {
  test('a span for a request and one for each call under it, in the conventions’ names', async () => {
    const { url, taken, close } = await collector();
    cleanUps.push(close);
    const { gateway } = await start(
      url,
      { one: (_, response) => sendJson(response, { error: { message: 'down' } }, 500) },
      { headers: { 'x-team': 'platform' } },
    );
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const response = await chat(gateway.url, hello('auto', { user: 'alice', messages: SECRET_PROMPT }), {
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
      authorization: 'Bearer secret-of-the-client',
    });
    expect(response.status).toBe(200);
    await gateway.gateway.governance.telemetry.stop();
    const spans = spansAt(taken);
    const [server] = spans.filter(({ kind }) => kind === SERVER);
    const calls = spans.filter(({ kind }) => kind === CLIENT);
    expect(server).toMatchObject({
      ...{ name: 'POST /v1/chat/completions', traceId, parentSpanId: 'b7ad6b7169203331', status: {} },
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/chat/completions',
        'http.response.status_code': 200,
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'auto',
        'gen_ai.response.model': 'two/dear',
        'gen_ai.provider.name': 'two',
        'gen_ai.usage.input_tokens': 10,
        'gen_ai.usage.output_tokens': 5,
        'pointsman.decision.id': response.headers.get('x-pointsman-decision-id'),
        'pointsman.routed': true,
        'pointsman.reason': 'cheapest_adequate',
        'pointsman.propensity': 1,
        'pointsman.artifact': 'fake',
        'pointsman.team': 'default',
        'pointsman.attempts': 2,
      },
    });
    expect(calls).toHaveLength(2);
    for (const { traceId: of, parentSpanId } of calls) expect([of, parentSpanId]).toEqual([traceId, server!.spanId]);
    expect(calls[0]).toMatchObject({
      ...{ name: 'chat cheap', status: { code: 2 } },
      attributes: { 'error.type': 'UPSTREAM_ERROR', 'http.response.status_code': 500, 'pointsman.attempt.ordinal': 0 },
    });
    expect(calls[1]).toMatchObject({
      name: 'chat dear',
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'two',
        'gen_ai.request.model': 'dear',
        'gen_ai.usage.input_tokens': 10,
        'gen_ai.usage.output_tokens': 5,
        'pointsman.attempt.purpose': 'answer',
      },
    });
    for (const span of spans)
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
    expect(taken.every(({ headers }) => headers['x-team'] === 'platform')).toBe(true);
    const all = taken.map(({ text }) => text).join('');
    for (const secret of ['confidential', 'All is well', 'secret-of-the-client', 'alice', 'test-key']) {
      expect(all).not.toContain(secret);
    }
    expect(await gateway.gateway.governance.telemetry.metrics.text()).toMatch(
      /pointsman_otlp_exports_total\{signal="traces",result="sent"\} [1-9]/,
    );
  });

  test('histograms of calls and of requests, by known names alone', async () => {
    const { url, taken, close } = await collector();
    cleanUps.push(close);
    const { gateway } = await start(url);
    await (await chat(gateway.url, hello('auto', { stream: true }))).text();
    await chat(gateway.url, hello('one/some-name-of-a-client'));
    await gateway.gateway.governance.telemetry.stop();
    const metrics = bodies(taken, '/v1/metrics')
      .flatMap(({ resourceMetrics }) => resourceMetrics)
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap((scope) => scope.metrics);
    const points = (name: string) =>
      metrics
        .filter((metric) => metric.name === name)
        .flatMap(({ histogram }) => histogram.dataPoints)
        // biome-ignore lint/suspicious/noExplicitAny: as above
        .map((point: any) => ({ ...point, attributes: plain(point.attributes) }));
    const [duration] = points('gen_ai.client.operation.duration');
    expect(duration).toMatchObject({
      count: 1,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'one',
        'gen_ai.request.model': 'one/cheap',
      },
    });
    expect(
      points('gen_ai.client.operation.duration').map(({ attributes }) => attributes['gen_ai.request.model']),
    ).toEqual(['one/cheap', 'other']);
    expect(
      points('gen_ai.client.token.usage').map(({ attributes, sum }) => [attributes['gen_ai.token.type'], sum]),
    ).toEqual(
      expect.arrayContaining([
        ['input', 10],
        ['output', 3],
      ]),
    );
    expect(points('gen_ai.client.operation.time_to_first_chunk')).toHaveLength(1);
    expect(points('gen_ai.server.request.duration')).toHaveLength(2);
    expect(points('gen_ai.server.time_to_first_token')[0]).toMatchObject({ count: 1 });
    expect(JSON.stringify(metrics)).not.toContain('some-name-of-a-client');
  });

  test('as large a share as asked, but what the client’s own trace says comes first', async () => {
    const { url, taken, close } = await collector();
    cleanUps.push(close);
    const { gateway } = await start(url, {}, { traceShare: 0 });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    await chat(gateway.url, hello('auto'));
    await chat(gateway.url, hello('auto'), { traceparent: `00-${traceId}-b7ad6b7169203331-00` });
    await chat(gateway.url, hello('auto'), { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
    await gateway.gateway.governance.telemetry.stop();
    expect(spansAt(taken).map((span) => [span.traceId, span.kind])).toEqual(
      expect.arrayContaining([
        [traceId, SERVER],
        [traceId, CLIENT],
      ]),
    );
    expect(spansAt(taken)).toHaveLength(2);
  });
});

const SECRET_PROMPT = [{ role: 'user', content: 'confidential' }];

test('providers are told nothing of the trace', async () => {
  const { url, close } = await collector();
  cleanUps.push(close);
  const { gateway, hosts } = await start(url);
  await chat(gateway.url, hello('auto'), {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'a=b',
    baggage: 'user=alice',
  });
  const { headers } = hosts.one!.requests[0]!;
  for (const name of ['traceparent', 'tracestate', 'baggage']) expect(headers[name]).toBeUndefined();
});

describe('a collector that is in trouble costs nothing but what it does not get:', () => {
  test.each(['hangs', 'refuses'] as const)('one that %s', async (behaviour) => {
    const { url, taken, close } = await collector(behaviour);
    cleanUps.push(close);
    const { gateway } = await start(url);
    for (let i = 0; i < 3; i++) expect((await chat(gateway.url, hello('auto'))).status).toBe(200);
    const stopped = gateway.gateway.governance.telemetry.stop();
    await until(() => taken.length > 0);
    // Within its bound of two seconds, with room for a busy machine: the exports themselves would wait for five.
    await expect(Promise.race([stopped.then(() => 'stopped'), later(4500)])).resolves.toBe('stopped');
    expect((await chat(gateway.url, hello('auto'))).status).toBe(200);
  });

  test('one that is not there', async () => {
    const { url, close } = await collector();
    await close();
    const { gateway } = await start(url);
    expect((await chat(gateway.url, hello('auto'))).status).toBe(200);
    const stopped = gateway.gateway.governance.telemetry.stop();
    await expect(Promise.race([stopped.then(() => 'stopped'), later(4500)])).resolves.toBe('stopped');
  });
});

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, 'still waiting'));

test('an environment that names no URL is refused, and one that switches it off is heard', async () => {
  const { gateway } = await start(undefined);
  const { telemetry } = gateway.gateway.governance;
  await expect(telemetry.start({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
  });
  await telemetry.start({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318', OTEL_SDK_DISABLED: 'true' });
});

test('attributes and metrics are called what the conventions call them', () => {
  const known = new Set(Object.values(conventions));
  const strange = Object.values({ ...ATTRIBUTE, ...METRIC }).filter((name) => !known.has(name as never));
  expect(strange).toEqual([]);
});

describe('a traceparent', () => {
  const hex = (length: number) =>
    fc.array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length }).map((c) => c.join(''));

  test('that is well-formed is read', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.nat(255), (traceId, spanId, flags) => {
        fc.pre(!/^0+$/.test(traceId) && !/^0+$/.test(spanId));
        const header = `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`;
        expect(readTraceparent(header)).toEqual({ traceId, spanId, traceFlags: flags & 1 });
      }),
    );
  });

  test.each([
    undefined,
    '',
    'nonsense',
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331',
    `01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-${'x'.repeat(1000)}`,
  ])('that is not begins a new trace: %j', (header) => {
    expect(readTraceparent(header)).toBeNull();
  });

  test('of a later version may say more', () => {
    expect(readTraceparent('01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more')?.traceFlags).toBe(1);
  });
});
