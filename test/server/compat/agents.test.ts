/** Coding agents through the gateway: their own bytes to a model they name, one model for one conversation where it is routed. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Candidate } from '../../../datasets/catalog/candidate.ts';
import { decide } from '../../../router/policy/decide.ts';
import { Policy } from '../../../router/policy/policy.ts';
import { readRequest } from '../../../router/request.ts';
import type { Router } from '../../../router/router.ts';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import { KINDS } from '../../../server/providers/index.ts';
import { Transport } from '../../../server/providers/transport.ts';
import { candidate, fakeRouter, gatewayOver, type Script, sendStream, type TestGateway, upstream } from '../fakes.ts';
import { AGENT_REQUEST, STREAM } from '../protocols/messages-fixtures.ts';
import {
  AGENTS,
  APPLY_PATCH,
  CLAUDE_CODE_HEADERS,
  CLAUDE_CODE_SESSION,
  CODEX_HEADERS,
  codexBody,
  codexInput,
} from './agents.ts';
import { CLIENT_KEY } from './clients.ts';
import { anthropicUpstream } from './upstreams/anthropic.ts';
import { geminiUpstream } from './upstreams/gemini.ts';
import { type RunningUpstream, run, STORY, type TrueUpstream, UPSTREAMS } from './upstreams/index.ts';
import { responsesUpstream } from './upstreams/responses.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

describe('a model that the agent names gets the agent’s own bytes, but for the name', () => {
  async function sent(id: string, path: string, body: string, headers: Record<string, string>, script: Script) {
    const name = id.split('/')[0]!;
    const host = await upstream(script);
    const options = {
      baseUrl: host.url,
      keys: [{ id: '', weight: 1, key: 'key-of-the-provider' }],
      transport: new Transport(),
    };
    const providers = new Map([[name, httpProvider(KINDS.get(name)!, options)]]);
    const gateway = await gatewayOver([candidate(id)], { providers });
    cleanUps.push(host.close, gateway.close);
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    return { request: host.requests[0]!, gateway, text };
  }

  /** JSON as no printer of ours writes it: spaces, `1.0`, a large integer, fields that nobody knows. */
  const written = (value: object, extra: string) =>
    `${JSON.stringify(value, null, 1).replace(/\n\}$/, '')},\n ${extra} }`;

  test('Claude Code: beta fields, cache marks, the order of blocks, signatures', async () => {
    const id = 'anthropic/claude-sonnet-4-5';
    const request = {
      ...AGENT_REQUEST,
      model: id,
      metadata: { user_id: `user_ab_account_cd_session_${CLAUDE_CODE_SESSION}` },
    };
    const body = written(
      request,
      '"temperature" : 1.0, "a_field_of_next_year": {"n": 12345678901234567890, "é":"\\u00e9"}',
    );
    const headers = { ...CLAUDE_CODE_HEADERS, 'x-api-key': CLIENT_KEY, authorization: `Bearer ${CLIENT_KEY}` };
    const frames = STREAM.map(({ event, data }) => `event: ${event}\ndata: ${data}\n\n`);
    const {
      request: got,
      gateway,
      text,
    } = await sent(id, '/v1/messages?beta=true', body, headers, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(frames.join(''));
    });
    expect(got.body).toBe(body.replace(id, 'claude-sonnet-4-5'));
    expect(got.url).toBe('/v1/messages');
    expect(got.headers).toMatchObject({
      'anthropic-beta': CLAUDE_CODE_HEADERS['anthropic-beta'],
      'anthropic-version': '2023-06-01',
      'x-api-key': 'key-of-the-provider',
    });
    expect(JSON.stringify(got.headers)).not.toContain(CLIENT_KEY);
    expect(text).toBe(frames.join('').replace('claude-sonnet-4-5-20250929', id));
    expect(gateway.decisions[0]).toMatchObject({
      session: CLAUDE_CODE_SESSION,
      reason: 'requested',
      facts: { step: 'act' },
    });
  });

  test('Codex: sealed reasoning with its id, the grammar of a custom tool, the cache key', async () => {
    const id = 'openai/gpt-5.1';
    const input = [
      ...codexInput('Why does the build fail?'),
      {
        type: 'reasoning',
        id: 'rs_68f0',
        summary: [{ type: 'summary_text', text: '**Looking**' }],
        content: null,
        encrypted_content: 'gAAAAABo',
      },
      {
        type: 'custom_tool_call',
        status: 'completed',
        call_id: 'call_A1',
        name: 'apply_patch',
        input: '*** Begin Patch\n*** End Patch',
      },
      {
        type: 'custom_tool_call_output',
        call_id: 'call_A1',
        output: '{"output":"Success","metadata":{"exit_code":0}}',
      },
    ];
    const body = written(
      codexBody(id, input, [APPLY_PATCH]),
      '"client_metadata": {"n": "1"}, "a_field_of_next_year": 1.50',
    );
    const frames = [
      '{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","model":"gpt-5.1","status":"in_progress","output":[]}}',
      '{"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Fixed."}',
      '{"type":"response.completed","sequence_number":2,"response":{"id":"resp_1","object":"response","model":"gpt-5.1","status":"completed","output":[],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":11}}}',
    ].map((data) => `event: ${JSON.parse(data).type}\ndata: ${data}\n\n`);
    const headers = {
      ...CODEX_HEADERS,
      authorization: `Bearer ${CLIENT_KEY}`,
      'openai-beta': 'responses=experimental',
    };
    const {
      request: got,
      gateway,
      text,
    } = await sent(id, '/v1/responses', body, headers, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(frames.join(''));
    });
    expect(got.body).toBe(body.replace(id, 'gpt-5.1'));
    expect(got.url).toBe('/v1/responses');
    expect(got.headers).toMatchObject({
      authorization: 'Bearer key-of-the-provider',
      'openai-beta': 'responses=experimental',
    });
    expect(text).toBe(frames.join('').replaceAll('"model":"gpt-5.1"', `"model":"${id}"`));
    expect(gateway.decisions[0]).toMatchObject({ session: CODEX_HEADERS.session_id, facts: { step: 'act' } });
  });

  test('Cursor: its tags and unknown fields', async () => {
    const id = 'groq/llama-4';
    const request = {
      model: id,
      messages: [
        { role: 'system', content: 'You help in an editor.' },
        { role: 'user', content: '<user_info>\nOS: linux\n</user_info>' },
        {
          role: 'user',
          content: [
            { type: 'text', text: '<user_query>\nRename it\n</user_query>', cache_control: { type: 'ephemeral' } },
          ],
        },
      ],
      tools: [{ type: 'custom', name: 'ApplyPatch', format: APPLY_PATCH.format }],
      stream: true,
      stream_options: { include_usage: true },
    };
    const body = written(request, '"temperature" : 0.10, "user": "google-oauth2|117", "cursor_only": [1.0]');
    const { request: got, gateway } = await sent(id, '/v1/chat/completions', body, {}, (_, response) =>
      sendStream(response, ['ok']),
    );
    expect(got.body).toBe(body.replace(id, 'llama-4'));
    expect(gateway.decisions[0]).toMatchObject({ session: 'google-oauth2|117', facts: { step: 'plan' } });
  });
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
