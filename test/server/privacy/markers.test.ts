/**
 * Plants markers in everything that people and providers say, with the whole loop switched on, and looks for them in all
 * that the gateway writes: by default none is there.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startGateway } from '../../../server/main.ts';
import { completion, type Script, sendJson, startSse, type Upstream, upstream, word } from '../fakes.ts';

const logged: string[] = [];
vi.mock('pino', async (original) => {
  const real = await original<typeof import('pino')>();
  const logging = (options: object) => real.pino(options, { write: (line: string) => void logged.push(line) });
  return { ...real, pino: Object.assign(logging, { destination: real.pino.destination }) };
});

const MARKERS: Record<string, string> = {};
/** A word that stands nowhere else, findable however it is written. */
const mark = (where: string): string => {
  MARKERS[where] ??= `zq${Buffer.from(where).toString('hex')}qz`;
  return MARKERS[where];
};

const tool = {
  type: 'function',
  function: {
    name: 'look_up',
    description: mark('tool description'),
    parameters: { type: 'object', properties: { what: { type: 'string', description: mark('tool schema') } } },
  },
};

/** Answers, breaks, refuses and calls tools, quoting what it was asked each time. */
const talker: Script = (_, response, body) => {
  const asked = JSON.stringify(body);
  if (asked.includes('break')) {
    startSse(response);
    response.write(word(mark('broken stream')));
    response.socket!.destroy();
    return;
  }
  for (const status of [400, 401, 404, 429, 500]) {
    if (asked.includes(`fail ${status}`)) {
      const error = { message: `${mark(`error ${status}`)} you said ${asked}`, type: 'x', code: mark('error code') };
      return sendJson(response, { error }, status);
    }
  }
  if (body.stream === true) {
    startSse(response);
    response.write(word(mark('stream')));
    response.write(word('', 'stop'));
    response.end('data: [DONE]\n\n');
    return;
  }
  if (asked.includes('judge') || asked.includes('"score"')) return sendJson(response, completion('{"score": 1}'));
  const answer = completion(mark('answer')) as { choices: { message: object }[] };
  if (body.tools !== undefined && !asked.includes('tool_call_id')) {
    const call = { name: 'look_up', arguments: JSON.stringify({ what: mark('tool arguments') }) };
    answer.choices[0]!.message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c1', type: 'function', function: call }],
    };
  }
  sendJson(response, answer);
};

const folder = mkdtempSync(join(tmpdir(), 'pointsman-markers-'));
let provider: Upstream;
let gateway: Awaited<ReturnType<typeof startGateway>>;

beforeAll(async () => {
  provider = await upstream(talker);
  gateway = await startGateway({
    file: false,
    env: { OPENAI_API_KEY: 'k', OPENAI_BASE_URL: `${provider.url}` },
    overrides: {
      port: 0,
      dataDir: folder,
      logLevel: 'trace',
      retry: { retries: 0 },
      audit: { share: 1, judge: 'openai/gpt-6-sol', budgetUsdPerDay: 100 },
      verifiers: [
        { kind: 'exact', name: 'key' },
        { kind: 'numeric', name: 'number' },
        { kind: 'pattern', name: 'words', must: ['zq'], mustNot: ['(a+)+$'] },
        { kind: 'schema', name: 'form' },
        { kind: 'tool_calls', name: 'calls' },
      ],
      observe: { share: 1 },
      escalation: { enabled: true },
    } as never,
  });
});
afterAll(async () => {
  await gateway.close();
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

async function said(path: string, body: unknown): Promise<string> {
  const response = await post(path, body);
  await response.text().catch(() => '');
  return response.headers.get('x-pointsman-decision-id') ?? '';
}

test('nothing that anybody said is in the database, the spool, the log or any file', async () => {
  const routing = { expected: mark('expected answer') };
  const messages = (text: string) => [
    { role: 'system', content: mark('system') },
    { role: 'user', content: `${mark('user')} ${text}` },
  ];
  const ids: string[] = [];
  for (const model of ['auto', 'openai/gpt-6-luna']) {
    ids.push(await said('/v1/chat/completions', { model, messages: messages('hello'), routing }));
    ids.push(await said('/v1/chat/completions', { model, messages: messages('hello'), routing, stream: true }));
    ids.push(await said('/v1/chat/completions', { model, messages: messages('break'), stream: true }));
    for (const status of [400, 401, 404, 429, 500]) {
      ids.push(await said('/v1/chat/completions', { model, messages: messages(`fail ${status}`) }));
    }
    const call = {
      id: 'c1',
      type: 'function',
      function: { name: 'look_up', arguments: `{"what":"${mark('history')}"}` },
    };
    ids.push(
      await said('/v1/chat/completions', {
        model,
        tools: [tool],
        messages: messages('look'),
        response_format: {
          type: 'json_schema',
          json_schema: { name: 's', schema: { title: mark('response schema') } },
        },
      }),
      await said('/v1/chat/completions', {
        model,
        tools: [tool],
        messages: [
          ...messages('look'),
          { role: 'assistant', content: null, tool_calls: [call] },
          { role: 'tool', tool_call_id: 'c1', content: `error: ${mark('tool result')}` },
        ],
      }),
    );
    ids.push(
      await said('/v1/messages', {
        model,
        max_tokens: 100,
        system: mark('messages system'),
        messages: [{ role: 'user', content: mark('messages user') }],
      }),
      await said('/v1/responses', { model, instructions: mark('instructions'), input: mark('responses input') }),
    );
    await said('/v1/embeddings', { model: 'openai/text-embedding-3-small', input: mark('embedding input') });
    // The same again, and on by hand: what hints are read off.
    ids.push(await said('/v1/chat/completions', { model, messages: messages('hello'), routing }));
  }
  await said('/v1/route', { messages: messages('only asked') });
  await said('/v1/chat/completions', `{"model": "auto", "messages": "${mark('malformed')}`);
  await said('/v1/chat/completions', { model: 'auto', messages: [{ role: mark('wrong role'), content: 1 }] });
  const judged = ids.filter((id) => id !== '');
  expect(judged.length).toBeGreaterThan(15);
  for (const decisionId of judged) {
    await post('/v1/feedback', { decisionId, correction: mark('correction') });
    await post('/v1/feedback', { decisionId, score: 0.5, source: `judge:${mark('judge name')}` });
    await post('/v1/feedback', { decisionId, label: mark('label') });
    await post('/v1/feedback', { decisionId, score: 1, id: mark('feedback id') });
    await post('/v1/feedback', { decisionId, score: 1, comment: mark('comment') });
  }
  await post('/v1/learning/retrain', { note: mark('retrain option') });
  await post('/v1/learning/retrain', {});
  const { store } = gateway;
  await expect
    .poll(
      async () => {
        await store.flush();
        const rows = await store.db.execute("select count(*)::int as n from attempts where purpose = 'audit'");
        return (rows as unknown as { n: number }[])[0]!.n;
      },
      { timeout: 30_000 },
    )
    .toBeGreaterThan(3);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await store.flush();

  // The markers did pass through here.
  const upstreamSaw = provider.requests.map(({ body }) => body).join('\n');
  for (const where of ['user', 'system', 'tool result', 'messages user', 'responses input']) {
    expect(upstreamSaw).toContain(mark(where));
  }
  expect(upstreamSaw).not.toContain(mark('expected answer'));
  expect(() => expectNone(upstreamSaw, 'what providers saw')).toThrow(/holds what stood in/);

  const tables = (await store.db.execute(
    "select table_schema || '.' || table_name as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema')",
  )) as unknown as { name: string }[];
  expect(tables.length).toBeGreaterThan(10);
  for (const { name } of tables) {
    if (name === 'public.artifact_blobs') continue;
    const rows = (await store.db.execute(`select t::text as row from ${name} t`)) as unknown as { row: string }[];
    expectNone(rows.map(({ row }) => row).join('\n'), name);
  }
  expect(logged.length).toBeGreaterThan(5);
  expectNone(logged.join('\n'), 'the log');
  // The database's own files hold deleted rows, too, the spool what was written ahead.
  for (const path of filesUnder(folder)) expectNone(readFileSync(path, 'latin1'), path);
}, 120_000);

function expectNone(text: string, where: string): void {
  for (const [planted, marker] of Object.entries(MARKERS)) {
    for (const form of [marker, Buffer.from(marker).toString('base64').slice(2, -4), encodeURIComponent(marker)]) {
      const at = text.indexOf(form);
      if (at >= 0)
        throw new Error(`${where} holds what stood in: ${planted} (…${text.slice(Math.max(0, at - 120), at + 40)}…)`);
    }
  }
}

function filesUnder(path: string): string[] {
  return readdirSync(path).flatMap((name) => {
    const whole = join(path, name);
    return statSync(whole).isDirectory() ? filesUnder(whole) : [whole];
  });
}
