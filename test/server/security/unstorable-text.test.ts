/**
 * What PostgreSQL holds in no text and no `jsonb`, NUL and halves of surrogate pairs, in every member that ends up there:
 * refused with 400 or cleaned, and never an error of the database.
 */
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningGateway, startGateway } from '../../../server/main.ts';
import { type Databases, tempDir, useDatabases } from '../db/stores.ts';
import { completion } from '../fakes.ts';

const ADMIN = 'pm_admin-key-of-this-test-and-of-no-other-0123456789';
const SECRET = Buffer.alloc(32, 7).toString('base64');
const MODEL = 'openai/gpt-6-luna';

let running: RunningGateway;
let postgres: Databases;
let host: Server;
let folder: string;
let decision: string;

beforeAll(async () => {
  folder = await tempDir();
  postgres = useDatabases();
  host = createServer((request, response) => {
    request.resume();
    const answer =
      request.url?.includes('/files') === true ? { id: 'file-\u0000\ud800', object: 'file' } : completion();
    request.on('end', () =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer)),
    );
  });
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  const hostUrl = `http://127.0.0.1:${(host.address() as AddressInfo).port}/v1`;
  running = await startGateway({
    file: false,
    env: {
      OPENAI_API_KEY: 'of-the-provider-0123456789',
      OPENAI_BASE_URL: hostUrl,
      POINTSMAN_ADMIN_KEY: ADMIN,
      POINTSMAN_SECRET_KEY: SECRET,
    },
    overrides: {
      ...{ port: 0, dataDir: join(folder, 'data'), logLevel: 'silent', auth: 'required' },
      databaseUrl: await postgres.createDatabase(),
    },
  });
  await ask('POST', '/v1/admin/teams', { name: 'alpha' });
  decision = (await ask('POST', '/v1/chat/completions', chat({}))).decision!;
}, 180_000);
afterAll(async () => {
  await running?.close();
  host?.closeAllConnections();
  host?.close();
  await postgres?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const chat = (more: object) => ({ model: MODEL, messages: [{ role: 'user', content: 'hello' }], ...more });

async function ask(method: string, path: string, body?: object, headers: object = {}) {
  const response = await fetch(`${running.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, decision: response.headers.get('x-pointsman-decision-id') };
}

type Case = readonly [what: string, method: string, path: string, body: (bad: string) => object];

const CHAT = '/v1/chat/completions';
const tool = (name: string) => ({
  type: 'function',
  function: { name, description: name, parameters: { [name]: name } },
});

const CASES: readonly Case[] = [
  ['a prompt', 'POST', CHAT, (bad) => chat({ messages: [{ role: 'user', content: bad, name: bad }] })],
  ['a user', 'POST', CHAT, (bad) => chat({ user: bad })],
  ['a safety identifier', 'POST', CHAT, (bad) => chat({ safety_identifier: bad })],
  ['a session', 'POST', CHAT, (bad) => chat({ routing: { session: bad } })],
  ['a key of the prompt cache', 'POST', CHAT, (bad) => chat({ prompt_cache_key: bad })],
  ['metadata', 'POST', CHAT, (bad) => chat({ metadata: { [bad]: bad, session_id: bad, user_id: bad } })],
  ['tags', 'POST', CHAT, (bad) => chat({ routing: { tags: [bad] } })],
  ['a model', 'POST', CHAT, (bad) => chat({ model: bad })],
  ['a model of a provider', 'POST', CHAT, (bad) => chat({ model: `openai/${bad}` })],
  ['names of tools', 'POST', CHAT, (bad) => chat({ tools: [tool(bad)], tool_choice: bad })],
  ['what auto is asked', 'POST', CHAT, (bad) => chat({ model: 'auto', user: bad, tools: [tool(bad)], stop: bad })],
  ['a previous response', 'POST', '/v1/responses', (bad) => ({ model: MODEL, input: 'x', previous_response_id: bad })],
  ['a conversation', 'POST', '/v1/responses', (bad) => ({ model: MODEL, input: 'x', conversation: bad })],
  ['what is spoken', 'POST', '/v1/audio/speech', (bad) => ({ model: MODEL, input: bad, voice: bad })],
  ['a batch’s file', 'POST', '/v1/batches', (bad) => ({ input_file_id: bad, endpoint: bad, metadata: { [bad]: bad } })],
  ['a verdict’s label', 'POST', '/v1/feedback', (bad) => ({ decisionId: decision, label: bad })],
  ['a verdict’s source', 'POST', '/v1/feedback', (bad) => ({ decisionId: decision, score: 1, source: bad })],
  ['a verdict’s id', 'POST', '/v1/feedback', (bad) => ({ decisionId: decision, score: 1, id: bad })],
  ['a verdict’s decision', 'POST', '/v1/feedback', (bad) => ({ decisionId: bad, score: 1 })],
  ['a team', 'POST', '/v1/admin/teams', (bad) => ({ name: bad })],
  ['a team’s projects', 'POST', '/v1/admin/teams', (bad) => ({ name: 'beta', projects: [bad] })],
  ['a key’s name', 'POST', '/v1/admin/keys', (bad) => ({ name: bad, team: 'alpha', role: 'member' })],
  ['a key’s team', 'POST', '/v1/admin/keys', (bad) => ({ name: 'k', team: bad, role: 'member' })],
  ['a key’s tags', 'POST', '/v1/admin/keys', (bad) => ({ name: 'k', team: 'alpha', tags: [bad] })],
  ['a key’s models', 'POST', '/v1/admin/keys', (bad) => ({ name: 'k', team: 'alpha', models: [bad] })],
  [
    'a limit',
    'POST',
    '/v1/admin/limits',
    (bad) => ({ name: bad, kind: 'budget', tag: bad, usd: 1, allowUnknown: true }),
  ],
  [
    'a policy',
    'POST',
    '/v1/admin/policies',
    (bad) => ({
      document: { version: 1, description: bad, rules: [{ name: 'r', description: bad, exploration: false }] },
      comment: bad,
    }),
  ],
  ['whom to forget', 'POST', '/v1/erase', (bad) => ({ user: bad })],
];

const BAD: readonly [name: string, text: string][] = [
  ['NUL', 'a\u0000b'],
  ['half of a pair', 'a\ud800b'],
  ['the other half', 'a\udc00b'],
];

test.each(CASES)('%s', async (_, method, path, body) => {
  for (const [name, bad] of BAD) {
    const { status, text } = await ask(method, path, body(bad));
    expect(status, `${name}: ${text.slice(0, 300)}`).toBeLessThan(500);
    expect(text, name).not.toMatch(/invalid byte sequence|unsupported Unicode|22021|22P05/);
  }
});

test('a file whose id cannot be written down is no error of the client’s', async () => {
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', new Blob(['{}\n']), 'x.jsonl');
  const headers = { authorization: `Bearer ${ADMIN}` };
  expect((await fetch(`${running.url}/v1/files`, { method: 'POST', headers, body: form })).status).toBe(200);
  expect((await fetch(`${running.url}/v1/files`, { headers })).status).toBe(200);
});

test('afterwards all is on record, and can be read', async () => {
  const told = await ask('POST', CHAT, chat({ user: 'a\u0000b', metadata: { session_id: '\ud800' } }));
  expect(told.status).toBe(200);
  const read = await ask('GET', `/v1/decisions/${told.decision}`);
  expect(read.status).toBe(200);
  for (const path of [
    '/v1/admin/audit',
    '/v1/admin/keys',
    '/v1/admin/teams',
    '/v1/admin/limits',
    '/v1/admin/policies',
    '/v1/usage/decisions',
  ]) {
    expect((await ask('GET', path)).status, path).toBe(200);
  }
  // In queries, too.
  for (const path of ['/v1/decisions?tenant=%00', '/v1/decisions?cursor=a%00', '/v1/usage/summary?team=a%ED%A0%80']) {
    expect((await ask('GET', path)).status, path).toBeLessThan(500);
  }
});
