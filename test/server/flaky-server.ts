/** A server on this machine that hands out files and misbehaves when it is told to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';

export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

/** Answers one request, or returns false to leave it to the file server. */
export type Trick = (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean | undefined;

export interface FlakyServer {
  readonly url: string;
  readonly asked: Asked[];
  /** Used up one a request. */
  readonly tricks: Trick[];
  readonly files: Map<string, Buffer>;
}

const opened: { close: () => void; closeAllConnections: () => void }[] = [];

afterEach(() => {
  for (const server of opened.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

export async function flakyServer(files: Record<string, string | Uint8Array> = {}): Promise<FlakyServer> {
  const asked: Asked[] = [];
  const tricks: Trick[] = [];
  const kept = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url!.split('?')[0]!);
    const { range, authorization } = request.headers;
    asked.push({ path, range, ifRange: request.headers['if-range'] as string | undefined, authorization });
    const trick = tricks.shift();
    if (trick !== undefined && trick(request, response, kept.get(path) ?? Buffer.alloc(0)) !== false) return;
    const body = kept.get(path);
    if (body === undefined) response.writeHead(404).end('not here');
    else serve(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, tricks, files: kept };
}

export const etagOf = (body: Buffer): string => `"${body.length}-${body.subarray(0, 8).toString('hex')}"`;

/** As a good server does: ranges, for those whose version is still the same. */
export function serve(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const etag = etagOf(body);
  const same = request.headers['if-range'] === etag;
  if (from > 0 && same && from >= body.length) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
  } else if (from > 0 && same) {
    const rest = body.subarray(from);
    response.writeHead(206, {
      etag,
      'content-length': rest.length,
      'content-range': `bytes ${from}-${body.length - 1}/${body.length}`,
    });
    response.end(rest);
  } else {
    response.writeHead(200, { etag, 'content-length': body.length, 'x-repo-commit': 'c'.repeat(40) }).end(body);
  }
}

/** Announces everything and hangs up after so many bytes. */
export const cutAfter =
  (bytes: number, headers: Record<string, string> = {}): Trick =>
  (request, response, body) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = body.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      etag: etagOf(body),
      'content-length': rest.length,
      ...(from > 0 && { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
      ...headers,
    });
    response.write(rest.subarray(0, bytes), () => setTimeout(() => response.destroy(), 20));
  };

export const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Trick =>
  (_request, response) => {
    response.writeHead(code, headers).end(body);
  };
