/** A load balancer as people put one in front of replicas: in turn, and the next one where a connection fails or a replica stops. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RoundRobin {
  readonly url: string;
  close(): Promise<void>;
}

/** @param replicas their addresses now; they may come and go */
export async function roundRobin(replicas: () => readonly string[]): Promise<RoundRobin> {
  let turn = 0;
  const pass = (incoming: IncomingMessage, response: ServerResponse, body: Buffer, left: number) => {
    const all = replicas();
    const { hostname, port } = new URL(all[turn++ % all.length]!);
    const again = (why: string) => {
      if (left > 0) pass(incoming, response, body, left - 1);
      else response.writeHead(502).end(why);
    };
    const { method, url: path, headers } = incoming;
    const upstream = request({ hostname, port, method, path, headers }, (reply) => {
      // A replica that stops says so before it does anything.
      if (reply.statusCode === 503 && !path?.startsWith('/readyz')) {
        reply.resume();
        again('every replica is stopping');
        return;
      }
      response.writeHead(reply.statusCode!, reply.headers);
      reply.pipe(response);
      reply.on('error', () => response.destroy());
    });
    // Nothing came back: the request was not taken, or its replica died over it; either is told apart by whether it was reused.
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      if (response.headersSent) response.destroy();
      else if (error.code === 'ECONNREFUSED') again('no replica answers');
      else response.destroy();
    });
    response.on('close', () => upstream.destroy());
    upstream.end(body);
  };
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => pass(incoming, response, Buffer.concat(pieces), 2 * replicas().length));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
