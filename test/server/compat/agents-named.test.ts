/** A model that a coding agent names gets the agent's own bytes, but for the name. */
import { afterEach, describe, expect, test } from 'vitest';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import { KINDS } from '../../../server/providers/index.ts';
import { Transport } from '../../../server/providers/transport.ts';
import { candidate, gatewayOver, type Script, sendStream, upstream } from '../fakes.ts';
import { AGENT_REQUEST, STREAM } from '../protocols/messages-fixtures.ts';
import {
  APPLY_PATCH,
  CLAUDE_CODE_HEADERS,
  CLAUDE_CODE_SESSION,
  CODEX_HEADERS,
  codexBody,
  codexInput,
} from './agents.ts';
import { CLIENT_KEY } from './clients.ts';

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
    expect(gateway.decisions[0]).toMatchObject({
      session: null,
      endUser: expect.stringMatching(/^[0-9a-f]{32}$/),
      facts: { step: 'plan' },
    });
  });
});
