/** Stored answers that are fetched later under guardrails, and ids of others in spellings that only some hosts read. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { httpProvider } from '../../server/providers/http-provider.ts';
import { openai } from '../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import { candidate, gatewayOver, type TestGateway } from './fakes.ts';
import { putUnder } from './governance/guards/governed.ts';
import { openAiHost } from './passthrough-upstream.ts';

const MAIL = 'joe@example.com';
const keys = ['a', 'b'].map((tenant) => ({ name: tenant, tenant, key: `${tenant}-0123456789abcdef` }));
let host: Awaited<ReturnType<typeof openAiHost>>;
let g: TestGateway;
let kept: object = {};

beforeAll(async () => {
  host = await openAiHost('one');
  const settings = { baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'secret' }], transport: new Transport() };
  const kind = { ...openAiCompatibleKind('one'), protocols: openai.protocols };
  const providers = new Map([['one', httpProvider(kind, { name: 'one', ...settings })]]);
  g = await gatewayOver([candidate('one/small', 1)], { providers, config: { keys } } as never);
  host.script = (seen, response) => {
    if (!/\/responses\/resp_/.test(seen.url)) return false;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(kept));
    return true;
  };
});
afterAll(async () => {
  await g.app.close();
  await host.close();
});
beforeEach(() => putUnder(g));

const send = async (path: string, body?: object | string, tenant = 'a') => {
  const headers = { authorization: `Bearer ${tenant}-0123456789abcdef`, 'content-type': 'application/json' };
  const text = typeof body === 'object' ? JSON.stringify(body) : body;
  const sent = text === undefined ? { headers } : { method: 'POST', headers, body: text };
  const response = await fetch(`${g.url}/v1/${path}`, sent);
  const told = await response.text();
  return { status: response.status, text: told, json: JSON.parse(told) };
};

describe('a stored response', () => {
  const said = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: `write to ${MAIL}` }] };
  const states = ['completed', 'incomplete', 'queued', 'in_progress', 'cancelled', 'failed', 'Completed', undefined];

  test.each(states)('is looked at when it is fetched, cancelled or listed, with status %s', async (status) => {
    const made = await send('responses', { model: 'one/small', input: 'hi', max_output_tokens: 5 });
    const { id } = made.json as { id: string };
    const asked: [string, object?][] = [
      [`responses/${id}`],
      [`responses/${id}/cancel`, {}],
      [`responses/${id}/input_items`],
    ];
    for (const action of ['mask', 'block']) {
      putUnder(g, { name: 'pii', kind: 'pii', on: 'answer', action });
      for (const [path, body] of asked) {
        kept = path.endsWith('items')
          ? { object: 'list', data: [said] }
          : { id, object: 'response', status, output: [said], error: { code: 'x', message: `of ${MAIL}` } };
        const told = await send(path, body);
        expect(told.text).not.toContain(MAIL);
        expect(told.status).toBe(action === 'mask' ? 200 : 400);
      }
    }
  });

  test('is no answer yet while nothing was said', async () => {
    const made = await send('responses', { model: 'one/small', input: 'hi', max_output_tokens: 5 });
    const { id } = made.json as { id: string };
    putUnder(g, { name: 'size', kind: 'length', on: 'answer', minChars: 1000, action: 'block' });
    kept = { id, object: 'response', status: 'queued', output: [] };
    expect((await send(`responses/${id}`)).status).toBe(200);
    kept = { id, object: 'response', status: 'in_progress', output: [said] };
    expect((await send(`responses/${id}`)).json.error.code).toBe('GUARDRAIL_BLOCKED');
  });
});

describe('the id of another tenant’s file', () => {
  const upload = async (tenant: string, text = '{}') => {
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', new Blob([text]), 'b.jsonl');
    const headers = { authorization: `Bearer ${tenant}-0123456789abcdef` };
    const response = await fetch(`${g.url}/v1/files`, { method: 'POST', headers, body: form });
    return (await response.json()) as { id: string; error?: { message: string } };
  };
  let own: string;
  let other: string;
  beforeAll(async () => {
    own = (await upload('a')).id;
    other = (await upload('b')).id;
  });

  test.each(['INPUT_FILE_ID', 'inputFileId', 'input_file_ids', 'input_files', 'File_Id'])(
    'is not sent on in %s of a batch',
    async (name) => {
      const before = host.seen.length;
      const batch = { input_file_id: own, endpoint: '/v1/chat/completions', completion_window: '24h', [name]: other };
      const told = await send('batches', batch);
      expect(told).toMatchObject({ status: 400, json: { error: { code: 'INVALID_REQUEST', param: name } } });
      expect(host.seen.length).toBe(before);
    },
  );

  test.each<[string, string, (id: string) => object]>([
    ['chat/completions', 'messages.0.content.0.file.FILE_ID', (id) => turn({ type: 'file', file: { FILE_ID: id } })],
    ['chat/completions', 'messages.0.content.0.file.fileId', (id) => turn({ type: 'file', file: { fileId: id } })],
    [
      'chat/completions',
      'messages.0.content.0.Type',
      (id) => turn({ type: 'x_call', Type: 'file', file: { file_id: id } }),
    ],
    ['responses', 'input.0.content.0.File_Id', (id) => ({ input: [{ role: 'user', content: [{ File_Id: id }] }] })],
    ['responses', 'input.0.ID', (id) => ({ input: [{ type: 'item_reference', ID: id }] })],
    [
      'responses',
      'tools.0.Vector_Store_Ids',
      (id) => ({ input: 'hi', tools: [{ type: 'file_search', Vector_Store_Ids: [id] }] }),
    ],
  ])('is not sent on by %s in %s, alone or in a line of a batch', async (path, param, body) => {
    const asked = { model: 'one/small', max_tokens: 5, ...body(other) };
    expect(await send(path, asked)).toMatchObject({ status: 400, json: { error: { param } } });
    const line = { custom_id: 'r', method: 'POST', url: `/v1/${path}`, body: asked };
    expect((await upload('a', JSON.stringify(line))).error?.message).toContain(param);
  });

  test('is no matter of names that are the client’s own', async () => {
    const parameters = { type: 'object', properties: { fileId: { type: 'string' } } };
    const asked = {
      ...turn({ type: 'text', text: 'hi' }),
      ...{ model: 'one/small', metadata: { FILE_ID: 'mine' } },
      tools: [{ type: 'function', function: { name: 'f', parameters } }],
    };
    expect((await send('chat/completions', asked)).text).not.toContain('is spelt');
  });
});

const turn = (part: object) => ({ messages: [{ role: 'user', content: [part] }] });
