/** What `/metrics` tells, and that nobody can make it tell more series than it should. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AttemptRecord, DecisionRecord } from '../../../server/db/records.ts';
import { GatewayMetrics } from '../../../server/telemetry/prometheus.ts';
import {
  candidate,
  chat,
  completion,
  gatewayOver,
  hello,
  type Script,
  sendJson,
  sendStream,
  startSse,
  type TestGateway,
  type Upstream,
  until,
  upstream,
  word,
} from '../fakes.ts';

/** One sample of Prometheus' text format. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-z_:][\w:]*)(?:\{((?:[a-z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? ([-+\d.e]+|NaN|[+-]Inf)$/i;

/** Every line has the form that the format asks for. */
function samplesOf(text: string): Sample[] {
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = LINE.exec(line) ?? [];
      if (name === undefined) throw new Error(`not a sample: ${line}`);
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, told]) => [key, told] as const);
      return { name, labels: Object.fromEntries(pairs), value: Number(value) };
    });
}

const amountOf = (samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number | undefined =>
  samples.find(
    (one) =>
      one.name === `pointsman_${name}` && Object.entries(labels).every(([key, told]) => one.labels[key] === told),
  )?.value;

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(one: Script, two: Script = one): Promise<TestGateway> {
  const hosts = [await upstream(one), await upstream(two)] as const;
  const gateway = await gatewayOver([candidate('one/cheap', 1), candidate('two/dear', 30)], {
    upstreams: { one: hosts[0].url, two: hosts[1].url },
    config: { retry: { retries: 0 } },
  });
  cleanUps.push(hosts[0].close, hosts[1].close, gateway.close);
  return gateway;
}

const scraped = async ({ url }: { url: string }) => samplesOf(await (await fetch(`${url}/metrics`)).text());

const fine: Script = (_, response, body) =>
  body.stream ? sendStream(response, ['All ', 'is ', 'well']) : sendJson(response, completion('All is well'));

test('counts requests, calls, tokens, cost and savings', async () => {
  const gateway = await start(fine);
  await chat(gateway.url, hello('auto'));
  await (await chat(gateway.url, hello('auto', { stream: true }))).text();
  await chat(gateway.url, hello('two/dear'));
  const samples = await scraped(gateway);
  const cheap = { surface: 'chat', model: 'one/cheap', provider: 'one', status: '2xx' };
  expect(amountOf(samples, 'requests_total', cheap)).toBe(2);
  expect(amountOf(samples, 'requests_total', { model: 'two/dear' })).toBe(1);
  expect(amountOf(samples, 'attempts_total', { provider: 'one', status: 'ok', purpose: 'answer' })).toBe(2);
  expect(amountOf(samples, 'request_seconds_count', { surface: 'chat', stream: 'false' })).toBe(2);
  expect(amountOf(samples, 'first_byte_seconds_count', { surface: 'chat', stream: 'true' })).toBe(1);
  expect(amountOf(samples, 'router_seconds_count')).toBe(2);
  expect(amountOf(samples, 'decisions_total', { model: 'one/cheap', reason: 'cheapest_adequate' })).toBe(2);
  // 10 in and 5 out, then 10 in and 3 out.
  expect(amountOf(samples, 'tokens_total', { model: 'one/cheap', kind: 'input' })).toBe(20);
  expect(amountOf(samples, 'tokens_total', { model: 'one/cheap', kind: 'output' })).toBe(8);
  // At 1 and 2 USD per million: 20e-6 and 16e-6.
  expect(amountOf(samples, 'cost_usd_total', { model: 'one/cheap' })).toBeCloseTo(36e-6, 9);
  const baseline = gateway.decisions.reduce((sum, { baselineCostUsd }) => sum + (baselineCostUsd ?? 0), 0);
  expect(amountOf(samples, 'routed_baseline_usd_total')).toBeCloseTo(baseline, 9);
  expect(amountOf(samples, 'routed_cost_usd_total')).toBeCloseTo(36e-6, 9);
  expect(amountOf(samples, 'savings_usd')).toBeCloseTo(baseline - 36e-6, 9);
  expect(amountOf(samples, 'requests_under_way')).toBe(0);
  expect(samples.some(({ name }) => name === 'nodejs_eventloop_lag_seconds')).toBe(true);
  expect(samples.some(({ name }) => name === 'process_resident_memory_bytes')).toBe(true);
});

test('tells a fail-over, and who failed', async () => {
  const gateway = await start((_, response) => sendJson(response, { error: { message: 'down' } }, 500), fine);
  await chat(gateway.url, hello('auto'));
  const samples = await scraped(gateway);
  expect(amountOf(samples, 'failovers_total', { provider: 'one' })).toBe(1);
  expect(amountOf(samples, 'attempts_total', { provider: 'one', status: 'error' })).toBe(1);
  expect(amountOf(samples, 'requests_total', { model: 'two/dear', provider: 'two', status: '2xx' })).toBe(1);
  expect(amountOf(samples, 'request_errors_total')).toBeUndefined();
});

test('tells errors by code, and whose fault they are by the class of the status', async () => {
  const scripts: Script[] = [
    (_, response) => sendJson(response, { error: { message: 'bad', type: 'x' } }, 400),
    (_, response) => {
      startSse(response);
      response.write(word('All'), () => response.destroy());
    },
  ];
  const gateway = await start((request, response, body) => scripts.shift()!(request, response, body));
  await chat(gateway.url, hello('one/cheap'));
  await (await chat(gateway.url, hello('one/cheap', { stream: true }))).text();
  await chat(gateway.url, hello('no-such-model'));
  await chat(gateway.url, { model: 'auto' });
  const samples = await scraped(gateway);
  const requests = (status: string, model: string) => amountOf(samples, 'requests_total', { status, model });
  expect(requests('4xx', 'one/cheap')).toBe(1);
  // 200 had been sent by then: it counts as what it would have been.
  expect(requests('5xx', 'one/cheap')).toBe(1);
  expect(requests('4xx', 'none')).toBe(2);
  expect(amountOf(samples, 'request_errors_total', { code: 'UPSTREAM_ERROR' })).toBe(1);
  expect(amountOf(samples, 'request_errors_total', { code: 'UPSTREAM_CLOSED' })).toBe(1);
  expect(amountOf(samples, 'request_errors_total', { code: 'UNKNOWN_MODEL' })).toBe(1);
  expect(amountOf(samples, 'request_errors_total', { code: 'INVALID_REQUEST' })).toBe(1);
});

test('a client that hangs up is no error of ours', async () => {
  const gateway = await start((_, response) => {
    startSse(response);
    response.write(word('All'));
  });
  const leaving = new AbortController();
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(hello('auto', { stream: true })),
    signal: leaving.signal,
  });
  await response.body!.getReader().read();
  leaving.abort();
  await until(() => gateway.gateway.lives.size === 0);
  const samples = await scraped(gateway);
  expect(amountOf(samples, 'requests_total', { status: 'left' })).toBe(1);
  expect(amountOf(samples, 'requests_total', { status: '5xx' })).toBeUndefined();
});

test('tells who was refused, and what rests', async () => {
  const gateway = await start((_, response) => sendJson(response, { error: { message: 'down' } }, 500));
  for (let i = 0; i < 3; i++) await chat(gateway.url, hello('one/cheap'));
  gateway.gateway.governance.telemetry.metrics.refused('RATE_LIMITED');
  gateway.gateway.governance.telemetry.metrics.refused('INVALID_REQUEST');
  const samples = await scraped(gateway);
  expect(amountOf(samples, 'refusals_total', { kind: 'rate' })).toBe(1);
  expect(samples.filter(({ name }) => name === 'pointsman_refusals_total')).toHaveLength(1);
  expect(amountOf(samples, 'breakers_open', { provider: 'one' })).toBe(1);
  expect(amountOf(samples, 'breakers_open', { provider: 'two' })).toBe(0);
});

test('a key that is not known counts as refused', async () => {
  const gateway = await gatewayOver([candidate('one/cheap', 1)], {
    config: { keys: [{ name: 'a', key: 'a-key-of-a-client-1' }] },
  });
  cleanUps.push(gateway.close);
  expect((await chat(gateway.url, hello('auto'), { authorization: 'Bearer nonsense' })).status).toBe(401);
  expect(await gateway.gateway.governance.telemetry.metrics.text()).toContain('pointsman_refusals_total{kind="key"} 1');
});

describe('however hostile the names', () => {
  let gateway: TestGateway;
  let host: Upstream;
  beforeAll(async () => {
    host = await upstream(fine);
    gateway = await gatewayOver([candidate('one/cheap', 1)], { upstreams: { one: host.url } });
  });
  afterAll(async () => {
    await gateway.close();
    await host.close();
  });

  test('no request adds a series that another has not', async () => {
    const hostile = [
      'x\n"} 1\npointsman_forged 1',
      '"',
      '\\',
      '\u001b[2J',
      '__proto__',
      'é'.repeat(300),
      '{}',
      'constructor',
    ];
    const ask = (name: string) =>
      chat(
        gateway.url,
        hello(`one/${name}`, {
          user: name,
          metadata: { user_id: name },
          routing: { tags: [name.slice(0, 99) || 'x'] },
        }),
      );
    await ask('warm up');
    // The first of each kind of outcome makes its series; all later ones have it.
    for (const name of hostile) await ask(name);
    const before = (await scraped(gateway)).map(({ name, labels }) => JSON.stringify([name, labels])).sort();
    for (const name of hostile) for (let i = 0; i < 3; i++) await ask(`${name}${i}`);
    const after = (await scraped(gateway)).map(({ name, labels }) => JSON.stringify([name, labels])).sort();
    expect(after).toEqual(before);
    expect(after.some((series) => series.includes('forged'))).toBe(false);
    expect(after.some((series) => series.includes('"model":"other"'))).toBe(true);
  });

  test('no record, whatever it holds, makes more series than words of ours, known models and providers allow', async () => {
    const metrics = new GatewayMetrics(gateway.gateway);
    const names = fc.oneof(fc.string(), fc.constantFrom('one/cheap', 'one', 'two/dear', '__proto__', 'toString', ''));
    const amount = fc.oneof(fc.constant(null), fc.double({ min: 0, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(
        fc.record({ a: names, b: names, c: names, d: names, e: names, amount }),
        ({ a, b, c, d, e, amount }) => {
          const attempt = {
            provider: a,
            model: b,
            status: 'ok',
            purpose: 'answer',
            totalMs: 1,
          } as unknown as AttemptRecord;
          Object.assign(attempt, { firstByteMs: amount, costUsd: amount, inputTokens: amount, outputTokens: amount });
          Object.assign(attempt, { cachedInputTokens: null, cacheWriteTokens: null, reasoningTokens: null });
          metrics.attempt(attempt);
          metrics.failedOver(a);
          metrics.refused(c);
          const record = { routed: true, model: b, reason: d, routerMs: 1, baselineCostUsd: amount, executedModel: b };
          metrics.ended({
            ...{ surface: e, isStream: false, model: b, provider: a, status: '2xx', code: c, seconds: 1 },
            ...{ firstByteSeconds: null, spentUsd: 0, record: record as unknown as DecisionRecord },
          });
        },
      ),
      { numRuns: 500 },
    );
    const samples = samplesOf(await metrics.registry.metrics());
    const told = (label: string) => new Set(samples.flatMap(({ labels }) => labels[label] ?? []));
    for (const model of told('model')) expect(['one/cheap', 'other', 'none']).toContain(model);
    for (const provider of told('provider')) expect(['one', 'other', 'none']).toContain(provider);
    expect([...told('surface')]).toEqual(['other']);
    for (const reason of told('reason')) expect(reason).toBe('other');
    // 3 models × 3 providers, times the few words of each metric.
    expect(samples.filter(({ name }) => name === 'pointsman_requests_total').length).toBeLessThanOrEqual(9);
  });
});
