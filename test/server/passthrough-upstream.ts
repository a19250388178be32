/** A host of OpenAI's API for tests: files, batches, audio and stored responses, of all who use its one key. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Host {
  readonly url: string;
  readonly seen: Seen[];
  /** What answers before the usual does; true: it has. */
  script: (request: Seen, response: ServerResponse) => boolean | Promise<boolean>;
  close(): Promise<void>;
}

/** @param name begins its ids */
export async function openAiHost(name = 'one'): Promise<Host> {
  const files = new Map<string, { meta: object; content: Buffer }>();
  const batches = new Map<string, Record<string, unknown>>();
  const responses = new Map<string, object>();
  let made = 0;
  const json = (response: ServerResponse, value: object, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  const missing = (response: ServerResponse) =>
    json(
      response,
      { error: { message: 'No such object', type: 'invalid_request_error', code: null, param: 'id' } },
      404,
    );
  /** Newest first, as OpenAI lists. */
  const list = (response: ServerResponse, all: { id: string }[], query: URLSearchParams) => {
    const sorted = all.toReversed();
    const from = query.has('after') ? sorted.findIndex(({ id }) => id === query.get('after')) + 1 : 0;
    const limit = Number(query.get('limit') ?? 20);
    const data = sorted.slice(from, from + limit);
    json(response, { object: 'list', data, has_more: from + limit < sorted.length });
  };

  const usual = (seen: Seen, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(seen.url, 'http://host');
    const [, , kind, id, what] = pathname.split('/');
    const call = `${seen.method} /${kind}${id === undefined ? '' : '/ID'}${what === undefined ? '' : `/${what}`}`;
    const body = () => JSON.parse(seen.body.toString()) as Record<string, unknown>;
    switch (call) {
      case 'POST /files': {
        const meta = { id: `file-${name}-${++made}`, object: 'file', bytes: seen.body.length, purpose: 'batch' };
        files.set(meta.id, { meta, content: seen.body });
        return json(response, meta);
      }
      case 'GET /files':
        return list(
          response,
          [...files.values()].map(({ meta }) => meta as { id: string }),
          searchParams,
        );
      case 'GET /files/ID':
        return files.has(id!) ? json(response, files.get(id!)!.meta) : missing(response);
      case 'GET /files/ID/content':
        response.writeHead(200, { 'content-type': 'application/octet-stream' });
        return response.end(files.get(id!)?.content);
      case 'DELETE /files/ID':
        return json(response, { id, object: 'file', deleted: files.delete(id!) });
      case 'POST /batches': {
        const batch = { id: `batch_${name}_${++made}`, object: 'batch', status: 'in_progress', ...body() };
        batches.set(batch.id, batch);
        return json(response, batch);
      }
      case 'GET /batches':
        return list(response, [...batches.values()] as { id: string }[], searchParams);
      case 'GET /batches/ID': {
        const output_file_id = `file-${name}-out`;
        files.set(output_file_id, { meta: { id: output_file_id, object: 'file' }, content: Buffer.from('{"ok":1}\n') });
        const usage = { input_tokens: 70, output_tokens: 30, total_tokens: 100 };
        return json(response, { ...batches.get(id!), status: 'completed', output_file_id, usage });
      }
      case 'POST /batches/ID/cancel':
        return json(response, { ...batches.get(id!), status: 'cancelling' });
      case 'POST /responses': {
        const { stream, store = true, model } = body();
        const n = ++made;
        const item = {
          type: 'message',
          id: `msg_${name}_${n}`,
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'fine', annotations: [] }],
        };
        const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 };
        const whole = { id: `resp_${name}_${n}`, object: 'response', created_at: 1, model, store, status: 'completed' };
        const full = { ...whole, output: [item], usage };
        if (store !== false) responses.set(whole.id, full);
        if (stream !== true) return json(response, full);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const events = [
          { type: 'response.created', response: { ...whole, status: 'in_progress', output: [] } },
          { type: 'response.output_item.added', output_index: 0, item: { ...item, content: [] } },
          { type: 'response.output_text.delta', item_id: item.id, output_index: 0, content_index: 0, delta: 'fine' },
          { type: 'response.output_item.done', output_index: 0, item },
          { type: 'response.completed', response: full },
        ];
        for (const [i, event] of events.entries()) {
          response.write(`event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: i })}\n\n`);
        }
        return response.end();
      }
      case 'GET /responses/ID':
      case 'POST /responses/ID/cancel':
        return responses.has(id!) ? json(response, responses.get(id!)!) : missing(response);
      case 'GET /responses/ID/input_items':
        return json(response, { object: 'list', data: [{ id: `msg_in_${id}`, type: 'message' }], has_more: false });
      case 'DELETE /responses/ID':
        return json(response, { id, object: 'response', deleted: responses.delete(id!) });
      default:
        return missing(response);
    }
  };

  const seen: Seen[] = [];
  const host: Host = {
    url: '',
    seen,
    script: () => false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of request) pieces.push(piece as Buffer);
    } catch {
      return;
    }
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, body: Buffer.concat(pieces) };
    seen.push(one);
    if (!(await host.script(one, response))) usual(one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(host, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` });
}
