/** Audits by a judge model: who is drawn, what is asked, what it costs, and when it stops. */
import { describe, expect, test } from 'vitest';
import { ANYBODY } from '../../../server/callers.ts';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import { openAiCompatibleKind } from '../../../server/providers/openai-compatible.ts';
import { Transport } from '../../../server/providers/transport.ts';
import { auditDraw } from '../../../server/verify/index.ts';
import {
  candidate,
  completion,
  fakeRouter,
  gatewayOver,
  type Script,
  sendJson,
  sendStream,
  until,
  upstream,
} from '../fakes.ts';
import {
  ask,
  atEnd,
  CHEAP,
  endpoint,
  JUDGE,
  PROTOCOLS,
  saying,
  settled,
  verdictsOf,
  type World,
  world,
} from './world.ts';

const AUDIT = { share: 1, judge: 'one/judge', weight: 0.6, budgetUsdPerDay: 1 };
const USD = { cheap: 20e-6, judge: 200e-6 };

/** Candidates answer; the judge says what it is told to. */
const judged =
  (verdict: string | ((response: Parameters<Script>[1]) => void)): Script =>
  (_, response, { model, stream }) => {
    if (model === 'judge') {
      if (typeof verdict === 'string') sendJson(response, completion(verdict));
      else verdict(response);
    } else if (stream === true) sendStream(response, ['Ro', 'me']);
    else sendJson(response, completion('Rome'));
  };

const verdicts = ({ gateway }: World) => verdictsOf(gateway);
const audits = ({ gateway }: World) => gateway.attempts.filter(({ purpose }) => purpose === 'audit');
const toJudge = ({ host }: World) =>
  host.requests.map(({ body }) => JSON.parse(body)).filter(({ model }) => model === 'judge');

describe.each(PROTOCOLS)('an answer drawn, in %s', (protocol) => {
  test.each([false, true])('is judged when it is out, streamed: %s', async (stream) => {
    const one = await world(judged('{"score": 0.7}'), { audit: AUDIT });
    const id = await ask(one.gateway, protocol, 'Capital of Italy?', { stream });
    await settled(one.gateway, 1);
    expect(one.gateway.decisions).toMatchObject([
      { id, auditProbability: 1, audited: true, executedModel: 'one/cheap' },
    ]);
    expect(verdicts(one)).toMatchObject([
      { decisionId: id, score: 0.7, source: 'judge', kind: 'audit', weight: 0.6, tenant: 'default', key: null },
    ]);
    const [question] = toJudge(one);
    expect(question).toMatchObject({ temperature: 0, max_tokens: 64 });
    expect(JSON.stringify(question.messages)).toMatch(/Capital of Italy\?.*Rome/);
    // After the answer's own call, under its decision.
    expect(one.gateway.attempts).toMatchObject([
      { ordinal: 0, purpose: 'answer', model: 'one/cheap' },
      { ordinal: 1, purpose: 'audit', model: 'one/judge', decisionId: id, id: `${id}-1`, status: 'ok' },
    ]);
    expect(audits(one)[0]!.costUsd).toBeCloseTo(USD.judge, 12);
    expect(one.gateway.gateway.spending.today('audit')).toBeCloseTo(USD.judge, 12);
  });
});

describe('who is drawn', () => {
  test('a share of them, with that probability on record', async () => {
    const one = await world(judged('{"score": 1}'), { audit: { ...AUDIT, share: 0.25 } });
    const { gateway } = one.gateway;
    const facts = { images: 0, audio: 0 };
    expect(auditDraw(gateway, ANYBODY, facts, () => 0.2499)).toEqual({ auditProbability: 0.25, audited: true });
    expect(auditDraw(gateway, ANYBODY, facts, () => 0.25)).toEqual({ auditProbability: 0.25, audited: false });
    let drawn = 0;
    for (let i = 0; i < 2000; i++) drawn += auditDraw(gateway, ANYBODY, facts).audited ? 1 : 0;
    // 500 ± 19.4: six standard deviations.
    expect(drawn).toBeGreaterThan(383);
    expect(drawn).toBeLessThan(617);
  });

  test('nobody where no audits are made, where the client named the model, or where there are pictures', async () => {
    const off = await world(judged('{"score": 1}'));
    await ask(off.gateway, 'chat', 'Hi');
    expect(off.gateway.decisions).toMatchObject([{ auditProbability: null, audited: false }]);
    const one = await world(judged('{"score": 1}'), { audit: AUDIT });
    await ask(one.gateway, 'chat', 'Hi', { model: 'one/cheap' });
    expect(one.gateway.decisions[0]!.audited ?? false).toBe(false);
    expect(auditDraw(one.gateway.gateway, ANYBODY, { images: 1, audio: 0 })).toEqual({
      auditProbability: null,
      audited: false,
    });
    expect(toJudge(one)).toEqual([]);
  });

  test('not the judge’s own answers: they are outside of what audits speak of, drawn or not', async () => {
    const host = await upstream(saying('Rome'));
    atEnd(host.close);
    const gateway = await gatewayOver([JUDGE, CHEAP], {
      upstreams: { one: host.url },
      holder: { current: fakeRouter([JUDGE, CHEAP]) },
      config: { audit: AUDIT },
    });
    atEnd(gateway.close);
    await ask(gateway, 'chat', 'Hi');
    await ask(gateway, 'chat', 'Hi', { stream: true });
    expect(gateway.decisions).toMatchObject(
      Array(2).fill({ executedModel: 'one/judge', auditProbability: null, audited: false }),
    );
    await settled(gateway, 1);
    expect(host.requests).toHaveLength(2);
  });

  test('nothing that nobody answered', async () => {
    const one = await world((_, response) => sendJson(response, { error: { message: 'no', type: 'x' } }, 400), {
      audit: AUDIT,
    });
    await expect(ask(one.gateway, 'chat', 'Hi')).rejects.toThrow('400');
    expect(one.gateway.decisions).toMatchObject([{ executedModel: null, auditProbability: null, audited: false }]);
  });

  test('nobody whose tenant has no key for the judge, or whose own key names other models', async () => {
    const host = await upstream(judged('{"score": 1}'));
    atEnd(host.close);
    const provider = (name: string, tenant?: string) =>
      httpProvider(openAiCompatibleKind(name), {
        baseUrl: host.url,
        keys: [{ id: '', weight: 1, key: 'test-key', tenant }],
        transport: new Transport(),
      });
    const models = [CHEAP, candidate('two/judge', 10)];
    const keyOf = (name: string, more: object) => ({ name, key: `a-key-for-${name}-of-16`, ...more });
    const gateway = await gatewayOver(models, {
      providers: new Map([
        ['one', provider('one')],
        ['two', provider('two', 'rich')],
      ]),
      holder: { current: fakeRouter([CHEAP]) },
      config: {
        audit: { ...AUDIT, judge: 'two/judge' },
        keys: [
          keyOf('poor', { tenant: 'poor' }),
          keyOf('rich', { tenant: 'rich' }),
          keyOf('bound', { tenant: 'rich', models: ['auto', 'one/*'] }),
          keyOf('auto', { tenant: 'rich', models: ['auto'] }),
        ],
      },
    });
    atEnd(gateway.close);
    for (const name of ['poor', 'rich', 'bound', 'auto']) {
      await ask(gateway, 'chat', 'Hi', {}, { authorization: `Bearer a-key-for-${name}-of-16` });
    }
    expect(gateway.decisions.map(({ key, audited }) => [key, audited])).toEqual([
      ['poor', false],
      ['rich', true],
      ['bound', false],
      ['auto', true],
    ]);
    await settled(gateway, 2);
    expect(host.requests.filter(({ body }) => JSON.parse(body).model === 'judge')).toHaveLength(2);
  });
});

describe('the day’s budget', () => {
  test('once spent, ends the draws; what was drawn before is still judged', async () => {
    // Two audits of 200e-6 reach 300e-6.
    const one = await world(judged('{"score": 1}'), { audit: { ...AUDIT, budgetUsdPerDay: 300e-6 } });
    for (let i = 0; i < 4; i++) {
      await ask(one.gateway, 'chat', 'Hi');
      await settled(one.gateway, Math.min(i + 1, 2));
    }
    expect(one.gateway.decisions.map(({ auditProbability }) => auditProbability)).toEqual([1, 1, null, null]);
    expect(verdicts(one)).toHaveLength(2);
    expect(one.gateway.gateway.spending.today('audit')).toBeCloseTo(400e-6, 12);
  });

  test('counts what failed calls cost, too', async () => {
    const one = await world(
      judged((response) => {
        // Half an answer, which its host bills.
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
        response.write('{"choices": [');
        setTimeout(() => response.destroy(), 20);
      }),
      { audit: AUDIT, retry: { retries: 0 } },
    );
    await ask(one.gateway, 'chat', 'Hi');
    await settled(one.gateway, 1);
    expect(audits(one).length).toBeGreaterThan(0);
    expect(audits(one)[0]!.status).toBe('error');
    const paid = audits(one).reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);
    expect(paid).toBeGreaterThan(0);
    expect(one.gateway.gateway.spending.today('audit')).toBeCloseTo(paid, 12);
  });
});

describe('a judge that', () => {
  test.each(['I like it.', '{"score": 11}', ''])('says %j gives no verdict, is paid and counted', async (said) => {
    const one = await world(judged(said), { audit: AUDIT });
    await ask(one.gateway, 'chat', 'Hi');
    await settled(one.gateway, 1);
    expect(verdicts(one)).toEqual([]);
    expect(audits(one)).toMatchObject([{ status: 'ok' }]);
    expect(one.gateway.gateway.afterwork.state).toMatchObject({ done: 1, failed: 0 });
    const metrics = await (await fetch(`${one.gateway.url}/metrics`)).text();
    expect(metrics).toContain('pointsman_afterwork_results_total{work="audit",result="unclear"} 1\n');
    expect(metrics).toContain('pointsman_afterwork_done_total 1\n');
  });

  test('wraps its number in words is understood', async () => {
    const one = await world(judged('Sure!\n```json\n{"score": 0.4}\n```'), { audit: AUDIT });
    await ask(one.gateway, 'chat', 'Hi');
    await settled(one.gateway, 1);
    expect(verdicts(one)).toMatchObject([{ score: 0.4 }]);
  });

  test('refuses is asked no more than twice for one answer, and nobody notices', async () => {
    const one = await world(
      judged((response) => sendJson(response, { error: { message: 'busy', type: 'x' } }, 503)),
      { audit: AUDIT, retry: { retries: 5, firstPauseMs: 1, longestPauseMs: 2 } },
    );
    await ask(one.gateway, 'chat', 'Hi');
    await settled(one.gateway, 1);
    expect(audits(one)).toHaveLength(2);
    expect(audits(one).map(({ ordinal }) => ordinal)).toEqual([1, 2]);
    expect(verdicts(one)).toEqual([]);
  });

  test('hangs when the gateway stops is hung up on, and that is counted', async () => {
    const one = await world(
      judged(() => {}),
      { audit: AUDIT },
    );
    await ask(one.gateway, 'chat', 'Hi');
    await until(() => toJudge(one).length === 1);
    await one.gateway.gateway.afterwork.stop(0);
    expect(one.gateway.gateway.afterwork.state).toMatchObject({ dropped: 1, atWork: 0 });
    expect(audits(one)).toMatchObject([{ status: 'error' }]);
  });
});

test('a judge by an alias has no stand-in, whatever the alias has', async () => {
  const one = await world(
    judged((response) => sendJson(response, { error: { message: 'gone', type: 'x' } }, 404)),
    {
      audit: { ...AUDIT, judge: 'grader' },
      aliases: { grader: 'one/judge' },
      fallbacks: { grader: ['one/other'] },
    },
    [CHEAP, JUDGE, candidate('one/other', 10)],
  );
  await ask(one.gateway, 'chat', 'Hi');
  await settled(one.gateway, 1);
  expect(audits(one).map(({ model }) => model)).toEqual(['one/judge']);
  expect(one.host.requests.map(({ body }) => JSON.parse(body).model)).toEqual(['cheap', 'judge']);
});

test('a judge and verifiers look at one answer side by side', async () => {
  const { url, egress } = await endpoint(() => ({ ok: true }));
  const verifiers = [
    { kind: 'http', name: 'mine', url },
    { kind: 'exact', name: 'key' },
  ];
  const one = await world(judged('{"score": 0.9}'), { audit: AUDIT, verifiers, egress });
  await ask(one.gateway, 'chat', 'Hi', { routing: { expected: 'rome' } });
  await settled(one.gateway, 3);
  expect(verdicts(one).map(({ source, kind, score }) => [source, kind, score])).toEqual(
    expect.arrayContaining([
      ['judge', 'audit', 0.9],
      ['verifier:mine', 'verdict', 1],
      ['verifier:key', 'verdict', 1],
    ]),
  );
});
