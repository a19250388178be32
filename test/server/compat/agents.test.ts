/** Coding agents, routed: one model for one conversation, and a truthful conversion for the next when it fails. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Candidate } from '../../../datasets/catalog/candidate.ts';
import { decide } from '../../../router/policy/decide.ts';
import { Policy } from '../../../router/policy/policy.ts';
import { readRequest } from '../../../router/request.ts';
import type { Router } from '../../../router/router.ts';
import { candidate, fakeRouter, gatewayOver, type TestGateway } from '../fakes.ts';
import { AGENTS, APPLY_PATCH, CLAUDE_CODE_HEADERS, CODEX_HEADERS, codexBody, codexInput } from './agents.ts';
import { anthropicUpstream } from './upstreams/anthropic.ts';
import { geminiUpstream } from './upstreams/gemini.ts';
import { type RunningUpstream, run, STORY, type TrueUpstream, UPSTREAMS } from './upstreams/index.ts';
import { responsesUpstream } from './upstreams/responses.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** GPT-5 takes no sampling settings, and refuses those that Cursor sends. */
const described = (id: string): Partial<Candidate> => ({
  reasoning: true,
  maxOutputTokens: 64_000,
  ...(id.includes('/gpt-5') && { sampling: false }),
});

/** The router's own policy over forecasts that a test sets: the first of `liked` is the best by far, the next the next. */
function policyRouter(candidates: readonly Candidate[], liked: string[]): Router {
  return {
    ...fakeRouter(candidates),
    async route(request, options = {}) {
      const { facts } = readRequest(request, options.shape);
      const predictions = candidates.map((one) => {
        const quality = 0.95 - 0.15 * liked.indexOf(one.id);
        return { candidate: one, like: one.id, quality, qualitySd: 0.05, meanQuality: quality, outputTokens: 100 };
      });
      const choice = decide(predictions, facts, Policy.parse({ tolerance: 0.02 }), 0, 0.5, {
        session: options.session,
      });
      const decision = await fakeRouter(candidates).route(request, {});
      return { ...decision, ...choice, facts };
    },
  };
}

describe.each(AGENTS)('$name, routed over every protocol', (agent) => {
  const spoken = UPSTREAMS.map(({ protocol }, i) => [protocol, i] as const);

  async function start(): Promise<{
    gateway: TestGateway;
    running: RunningUpstream[];
    like(first: RunningUpstream, next?: RunningUpstream): void;
  }> {
    const running = await Promise.all(UPSTREAMS.map((one) => run(one)));
    const models = running.map(({ modelId }) => candidate(modelId, 1, described(modelId)));
    const liked: string[] = [];
    const gateway = await gatewayOver(models, {
      providers: new Map(running.map(({ modelId, provider }) => [modelId.split('/')[0]!, provider])),
      holder: { current: policyRouter(models, liked) },
      config: { retry: { retries: 0 } },
    });
    for (const one of running) cleanUps.push(one.close);
    cleanUps.push(gateway.close);
    const like = (...first: (RunningUpstream | undefined)[]) => {
      const ids = first.flatMap((one) => (one === undefined ? [] : [one.modelId]));
      liked.splice(0, liked.length, ...ids, ...models.map(({ id }) => id).filter((id) => !ids.includes(id)));
    };
    return { gateway, running, like };
  }

  test.each(spoken)('keeps its tool loop on the model that began it, over %s', async (_, i) => {
    const { gateway, running, like } = await start();
    const begun = running[i]!;
    const other = running[(i + 1) % running.length]!;
    like(begun);
    const conversation = agent.begin(gateway, 'auto');
    const calls = await conversation.ask();
    expect(calls).toHaveLength(1);
    like(other);
    expect(await conversation.report(calls)).toEqual({ text: STORY.report, model: begun.modelId });
    expect(begun.refusals).toEqual([]);
    expect(
      gateway.decisions.map(({ reason, executedModel, facts }) => [
        reason,
        executedModel,
        (facts as { step?: string }).step,
      ]),
    ).toEqual([
      ['cheapest_adequate', begun.modelId, 'plan'],
      ['pinned', begun.modelId, 'act'],
    ]);
    if (agent.session !== undefined) {
      for (const { session } of gateway.decisions) expect(session).toBe(agent.session);
    }
    const { seal } = begun.upstream;
    if (seal !== undefined) expect(begun.received[1]!.body.includes(seal)).toBe(agent.keepsSeals);
  });

  const pairs = spoken.flatMap(([from, i]) =>
    spoken.flatMap(([to, j]) => (i === j ? [] : [[from, to, i, j] as const])),
  );
  test.each(pairs)(
    'when %s fails in the loop, %s goes on with a conversation that it can read',
    async (_, __, i, j) => {
      const { gateway, running, like } = await start();
      const [begun, next] = [running[i]!, running[j]!];
      like(begun, next);
      const conversation = agent.begin(gateway, 'auto');
      const calls = await conversation.ask();
      begun.down = 503;
      const { text, model } = await conversation.report(calls).catch((error) => {
        throw new Error(`${String(error)}\n${next.refusals.join('\n')}`, { cause: error });
      });
      expect({ text, model }).toEqual({ text: STORY.report, model: next.modelId });
      expect(next.refusals).toEqual([]);
      expect(gateway.decisions[1]).toMatchObject({
        reason: 'pinned',
        model: begun.modelId,
        executedModel: next.modelId,
      });
      const { body } = next.received[0]!;
      expect(body).toContain(STORY.question);
      expect(body).toContain(STORY.reading);
      expect(body).not.toContain('pm1.');
      const { seal } = begun.upstream;
      const isReadable = next.upstream.reads?.includes(seal ?? '') === true;
      if (seal !== undefined) expect(body.includes(seal)).toBe(isReadable && agent.keepsSeals);
    },
  );
});

/** One routed model after the other, in this order. */
async function over(upstreams: readonly TrueUpstream[]) {
  const running = await Promise.all(upstreams.map((one) => run(one)));
  const gateway = await gatewayOver(
    running.map(({ modelId }) => candidate(modelId, 1, described(modelId))),
    { providers: new Map(running.map(({ modelId, provider }) => [modelId.split('/')[0]!, provider])) },
  );
  cleanUps.push(...running.map(({ close }) => close), gateway.close);
  return { gateway, running };
}

const post = (url: string, body: unknown, headers: Record<string, string>) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

test('Codex with a tool that a grammar binds is answered by the one model that can be bound, and nobody else is called', async () => {
  const { gateway, running } = await over([anthropicUpstream, geminiUpstream, responsesUpstream]);
  const body = codexBody('auto', codexInput(STORY.question), [APPLY_PATCH]);
  const response = await post(`${gateway.url}/v1/responses`, body, CODEX_HEADERS);
  expect(response.headers.get('x-pointsman-model')).toBe(running[2]!.modelId);
  expect(await response.text()).toContain('response.completed');
  expect(running.map(({ received }) => received.length)).toEqual([0, 0, 1]);
  expect(JSON.parse(running[2]!.received[0]!.body).tools.at(-1)).toEqual(APPLY_PATCH);
});

test('Claude Code’s adaptive thinking is put as a budget to a Claude that knows nothing else, when the router chose it', async () => {
  const { gateway, running } = await over([anthropicUpstream]);
  const body = {
    model: 'auto',
    max_tokens: 32_000,
    stream: true,
    thinking: { type: 'adaptive' },
    output_config: { effort: 'medium' },
    messages: [{ role: 'user', content: STORY.greeting }],
  };
  const response = await post(`${gateway.url}/v1/messages?beta=true`, body, CLAUDE_CODE_HEADERS);
  expect(await response.text()).toContain('message_stop');
  expect(running[0]!.refusals).toEqual([]);
  const { thinking, output_config } = JSON.parse(running[0]!.received[0]!.body);
  // Half of the answer's bound for a medium effort.
  expect(thinking).toEqual({ type: 'enabled', budget_tokens: 16_000 });
  expect(output_config).toBeUndefined();
});
