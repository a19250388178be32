/** Every client over every upstream protocol: what it gets, and what of it reaches the upstream with the next turn. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { candidate, gatewayOver, type TestGateway } from '../fakes.ts';
import { CLIENT_KEY, CLIENTS, type Client, type Said } from './clients.ts';
import { type RunningUpstream, run, STORY, UPSTREAMS, USED } from './upstreams/index.ts';

const running: RunningUpstream[] = [];
/** All upstreams behind one gateway, for ids; and one gateway for each, where `auto` has no other choice. */
let all: TestGateway;
const only = new Map<RunningUpstream, TestGateway>();

const described = ({ modelId }: RunningUpstream) => candidate(modelId, 1, { reasoning: true, maxOutputTokens: 64_000 });

beforeAll(async () => {
  for (const upstream of UPSTREAMS) running.push(await run(upstream));
  all = await gatewayOver(running.map(described), {
    providers: new Map(running.map(({ modelId, provider }) => [modelId.split('/')[0]!, provider])),
  });
  for (const one of running) {
    const gateway = await gatewayOver([described(one)], {
      providers: new Map([[one.modelId.split('/')[0]!, one.provider]]),
    });
    only.set(one, gateway);
  }
});
afterAll(async () => {
  await all.close();
  for (const gateway of only.values()) await gateway.close();
  for (const one of running) await one.close();
});

function forget(): void {
  for (const { received, refusals } of running) {
    received.length = 0;
    refusals.length = 0;
  }
}

/** The three answers, as any client should have them. */
function expected({ finishes }: Client, { upstream, modelId }: RunningUpstream): Said[] {
  const usage = { input: USED.input, cached: upstream.cached, output: USED.output };
  const plain = (text: string): Said => ({
    text,
    thinking: expect.toSatisfy((thinking) => thinking === null || thinking === '') as never,
    calls: [],
    finish: finishes.stop,
    usage,
    model: modelId,
  });
  return [
    plain(STORY.greeted),
    {
      text: STORY.plan,
      thinking: expect.toSatisfy((thinking) => thinking === null || thinking === STORY.thought) as never,
      calls: [{ name: STORY.tool.name, input: STORY.call }],
      finish: finishes.tools,
      usage,
      model: modelId,
    },
    plain(STORY.report),
  ];
}

const STREAMS = [
  ['whole answers', false],
  ['streams', true],
] as const;
const NAMES = ['auto', 'its id'] as const;

describe.each(CLIENTS)('$name', (client) => {
  describe.each(UPSTREAMS.map(({ protocol }, i) => [protocol, i] as const))('over %s', (_, i) => {
    describe.each(STREAMS)('%s', (__, stream) => {
      test.each(NAMES)('by %s: reads them, and goes on with what it keeps', async (name) => {
        forget();
        const upstream = running[i]!;
        const { url } = name === 'auto' ? only.get(upstream)! : all;
        const said = await client
          .converse({ url, model: name === 'auto' ? 'auto' : upstream.modelId, stream })
          .catch((error) => {
            throw new Error(`${String(error)}\n${upstream.refusals.join('\n')}`, { cause: error });
          });
        expect(upstream.refusals).toEqual([]);
        expect(said).toEqual(expected(client, upstream));
        expect(upstream.received.map(({ step }) => step)).toEqual(['greet', 'call', 'report']);
        expect(JSON.stringify(upstream.received)).not.toContain(CLIENT_KEY);
        const last = upstream.received[2]!.body;
        // The seal goes back to its maker, if its client keeps it at all.
        const { seal } = upstream.upstream;
        if (seal !== undefined) expect(last.includes(seal)).toBe(client.keepsSeals);
        expect(last).not.toContain('pm1.');
      });
    });
  });
});

describe.each(CLIENTS)('$name', (client) => {
  const pairs = UPSTREAMS.flatMap((from, i) =>
    UPSTREAMS.flatMap((to, j) => (i === j ? [] : [[from.protocol, to.protocol, i, j] as const])),
  );
  test.each(pairs)('after an answer of %s goes on with %s, which gets nothing it cannot read', async (_, __, i, j) => {
    const [from, to] = [running[i]!, running[j]!];
    for (const stream of [false, true]) {
      forget();
      const said = await client
        .converse({ url: all.url, model: from.modelId, switchTo: to.modelId, stream })
        .catch((error) => {
          throw new Error(`${String(error)}\n${to.refusals.join('\n')}`, { cause: error });
        });
      expect(said.at(-1)).toMatchObject({ text: STORY.report, model: to.modelId });
      const { body } = to.received[0]!;
      expect(body).toContain(STORY.reading);
      expect(body).not.toContain('pm1.');
      const { seal } = from.upstream;
      const isReadable = to.upstream.reads?.includes(seal ?? '') === true;
      if (seal !== undefined) expect(body.includes(seal)).toBe(isReadable && client.keepsSeals);
    }
  });
});
