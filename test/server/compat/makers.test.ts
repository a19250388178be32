/** Two makers that speak one protocol: neither is given what the other sealed, and each gets back what it sealed itself. */
import { afterEach, describe, expect, test } from 'vitest';
import { candidate, gatewayOver } from '../fakes.ts';
import { CLIENTS } from './clients.ts';
import { anthropicUpstream, minimaxUpstream } from './upstreams/anthropic.ts';
import { run, STORY, type TrueUpstream } from './upstreams/index.ts';
import { responsesUpstream, xaiUpstream } from './upstreams/responses.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const ALL = [responsesUpstream, xaiUpstream, anthropicUpstream, minimaxUpstream];
const nameOf = ({ kind }: TrueUpstream) => kind.name;
const PAIRS = ALL.flatMap((from) => ALL.map((to) => [nameOf(from), nameOf(to), from, to] as const));

describe.each(CLIENTS)('$name', (client) => {
  test.each(PAIRS)('after %s with %s', async (_, __, begins, goesOn) => {
    const running = await Promise.all(ALL.map((one) => run(one)));
    const gateway = await gatewayOver(
      running.map(({ modelId }) => candidate(modelId, 1, { reasoning: true, maxOutputTokens: 64_000 })),
      { providers: new Map(running.map(({ provider }) => [provider.name, provider])) },
    );
    cleanUps.push(...running.map(({ close }) => close), gateway.close);
    const [from, to] = [begins, goesOn].map((one) => running[ALL.indexOf(one)]!) as [
      (typeof running)[0],
      (typeof running)[0],
    ];
    for (const stream of [false, true]) {
      to.received.length = 0;
      const said = await client
        .converse({ url: gateway.url, model: from.modelId, switchTo: to.modelId, stream })
        .catch((error) => {
          throw new Error(`${String(error)}\n${to.refusals.join('\n')}`, { cause: error });
        });
      expect(said.at(-1)).toMatchObject({ text: STORY.report, model: to.modelId });
      expect(said[1]!.calls).toEqual([{ name: STORY.tool.name, input: STORY.call }]);
      const { body } = to.received.at(-1)!;
      expect(body).not.toContain('pm1.');
      expect(body.includes(begins.seal!)).toBe(begins === goesOn && client.keepsSeals);
    }
  });
});
