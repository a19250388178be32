/** Servers for tests of outgoing connections: plain, with TLS, and a corporate proxy that counts. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterEach } from 'vitest';
import { TEST_SERVER } from './certificates.ts';

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Closed after the test. */
export function afterwards(close: () => Promise<void>): void {
  closers.push(close);
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterwards(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return (server.address() as AddressInfo).port;
}

/** @returns its port on 127.0.0.1 */
export const plainServer = (answer: RequestListener): Promise<number> => listening(createServer(answer));

/** Its certificate is by the tests' own authority. @returns its port on 127.0.0.1 */
export const tlsServer = (answer: RequestListener): Promise<number> => listening(createTlsServer(TEST_SERVER, answer));

export interface TestProxy {
  readonly port: number;
  /** `CONNECT host:port`, `GET http://…`, in the order of their coming. */
  readonly seen: string[];
  /** What they said in `proxy-authorization`. */
  readonly credentials: (string | undefined)[];
}

/** A proxy that takes every name for this machine. @param refuse status to refuse everything with */
export async function proxyServer({ tls = false, refuse = 0 } = {}): Promise<TestProxy> {
  const seen: string[] = [];
  const credentials: (string | undefined)[] = [];
  const note = (method = '', url = '', authorization?: string) => {
    seen.push(`${method} ${url}`);
    credentials.push(authorization);
  };
  const whole: RequestListener = (request, response) => {
    note(request.method, request.url, request.headers['proxy-authorization']);
    response.writeHead(refuse || 200).end('by the proxy');
  };
  const server = tls ? createTlsServer(TEST_SERVER, whole) : createServer(whole);
  server.on('connect', (request, client, head) => {
    note(request.method, request.url, request.headers['proxy-authorization']);
    client.on('error', () => {});
    if (refuse !== 0) {
      client.end(`HTTP/1.1 ${refuse} Refused\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  return { port: await listening(server), seen, credentials };
}
