/** Guardrails that hold streams back, seen by the real clients: what is not found stays as it was, over every protocol. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLIENTS } from '../../compat/clients.ts';
import { type RunningUpstream, run, STORY, UPSTREAMS, USED } from '../../compat/upstreams/index.ts';
import { candidate, gatewayOver, type TestGateway } from '../../fakes.ts';
import { putUnder } from './governed.ts';

const running: RunningUpstream[] = [];
let gateway: TestGateway;

beforeAll(async () => {
  for (const upstream of UPSTREAMS) running.push(await run(upstream));
  gateway = await gatewayOver(
    running.map(({ modelId }) => candidate(modelId, 1, { reasoning: true, maxOutputTokens: 64_000 })),
    { providers: new Map(running.map(({ modelId, provider }) => [modelId.split('/')[0]!, provider])) },
  );
});
afterAll(async () => {
  await gateway.close();
  for (const one of running) await one.close();
});

const RULES = {
  'that find nothing': [
    { name: 'pii', kind: 'pii' },
    { name: 'names', kind: 'deny', words: ['falcon'], patterns: ['PRJ-\\d+'], action: 'mask', windowChars: 16 },
    { name: 'long', kind: 'length', on: 'both', maxChars: 100_000 },
  ],
  'that wait for the whole answer': [{ name: 'short', kind: 'length', on: 'answer', minChars: 1 }],
  // Every client sends the last answers back, where they must be found again.
  'that mask': [{ name: 'towns', kind: 'deny', words: ['paris', 'morning'], action: 'mask', on: 'answer' }],
};
const mask = (text: string) => text.replace(/paris|morning/gi, '[REMOVED]');

describe.each(Object.entries(RULES))('under guardrails %s', (name, rules) => {
  const told = name === 'that mask' ? mask : (text: string) => text;
  describe.each(CLIENTS)('$name', (client) => {
    // What is found nowhere is the same over all of them: once in each client's own protocol and once in another is enough.
    const upstreams = [...UPSTREAMS.entries()].filter(([i]) => name === 'that mask' || i < 3);
    const cases = upstreams.flatMap(([i, { protocol }]) =>
      [...(name === 'that mask' ? [false] : []), true].map((stream) => [protocol, stream, i] as const),
    );
    test.each(cases)('over %s, streamed: %s', async (_, stream, i) => {
      putUnder(gateway, ...rules);
      const upstream = running[i]!;
      upstream.refusals.length = 0;
      const { url } = gateway;
      const said = await client.converse({ url, model: upstream.modelId, stream }).catch((error) => {
        throw new Error(`${String(error)}\n${upstream.refusals.join('\n')}`, { cause: error });
      });
      const { finishes } = client;
      const call = { name: STORY.tool.name, input: JSON.parse(told(JSON.stringify(STORY.call))) };
      expect(said.map(({ text, finish, calls }) => ({ text, finish, calls }))).toEqual([
        { text: told(STORY.greeted), finish: finishes.stop, calls: [] },
        { text: told(STORY.plan), finish: finishes.tools, calls: [call] },
        { text: told(STORY.report), finish: finishes.stop, calls: [] },
      ]);
      for (const { usage, model, thinking } of said) {
        expect(usage).toEqual({ input: USED.input, cached: upstream.upstream.cached, output: USED.output });
        expect(model).toBe(upstream.modelId);
        expect([null, '', STORY.thought]).toContain(thinking);
      }
      expect(upstream.refusals).toEqual([]);
    });
  });
});
