/** Neither prompt nor answer nor expectation gets into a row or a log line, whoever looks at an answer and whatever goes wrong. */
import { afterEach, expect, test, vi } from 'vitest';
import { completion, sendJson, sendStream } from '../fakes.ts';
import { ask, endpoint, PROTOCOLS, settled, verdictsOf, world } from './world.ts';

const logged: string[] = [];
vi.mock('pino', async (original) => {
  const real = await original<typeof import('pino')>();
  const logging = (options: object) => real.pino(options, { write: (line: string) => void logged.push(line) });
  return { ...real, pino: Object.assign(logging, { destination: real.pino.destination }) };
});
afterEach(() => void logged.splice(0));

const MARKER = 'marker-7f3a';
const VERIFIERS = [
  { kind: 'exact', name: 'key' },
  { kind: 'numeric', name: 'sum' },
  { kind: 'schema', name: 'form' },
  { kind: 'pattern', name: 'polite', mustNot: [`${MARKER}-answer`] },
];

test.each([
  ['judges', '{"score": 0.5}', { ok: false, reason: `${MARKER}-reason` }],
  ['lies', `${MARKER}-verdict`, { score: `${MARKER}-score` }],
])('a judge and an endpoint that %s', async (_, verdict, said) => {
  const { url, egress } = await endpoint(() => said);
  const one = await world(
    (_, response, { model, stream }) => {
      if (model === 'judge') sendJson(response, completion(verdict));
      else if (stream === true) sendStream(response, [`${MARKER}-answer`, ' 7']);
      else sendJson(response, completion(`${MARKER}-answer 7`));
    },
    {
      logLevel: 'trace',
      verifiers: [...VERIFIERS, { kind: 'http', name: 'mine', url }],
      egress,
      audit: { share: 1, judge: 'one/judge' },
    },
  );
  one.gateway.gateway.afterwards.push({
    name: 'broken',
    wants: () => true,
    run: async (finished) => {
      throw new Error(JSON.stringify(finished.answer));
    },
  });
  const routing = { expected: `${MARKER}-expected 7` };
  for (const protocol of PROTOCOLS) {
    for (const stream of [false, true]) await ask(one.gateway, protocol, `${MARKER}-prompt`, { routing, stream });
  }
  await settled(one.gateway, 24);
  expect(one.gateway.gateway.afterwork.state).toMatchObject({ done: 18, failed: 6, dropped: 0 });
  expect(verdictsOf(one.gateway).length).toBeGreaterThanOrEqual(18);
  const { decisions, attempts } = one.gateway;
  expect(JSON.stringify([decisions, attempts, verdictsOf(one.gateway)])).not.toContain(MARKER);
  expect(logged.length).toBeGreaterThan(6);
  expect(logged.join('')).toContain('work on an answer that is out failed');
  expect(logged.join('')).not.toContain(MARKER);
  for (const { body } of one.host.requests) expect(body).not.toContain('expected');
});
