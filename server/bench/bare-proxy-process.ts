/** The least that a gateway on Fastify and undici can do: reads the JSON body, sends it on, pipes the answer back. */
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { Pool } from 'undici';

const upstream = new URL(process.argv[2]!);
const pool = new Pool(upstream.origin, { headersTimeout: 0, bodyTimeout: 0 });
const app = Fastify();

app.post('/v1/chat/completions', async (request, reply) => {
  const answer = await pool.request({
    path: `${upstream.pathname}/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request.body),
  });
  reply.code(answer.statusCode).header('content-type', answer.headers['content-type']);
  const length = answer.headers['content-length'];
  if (length !== undefined) reply.header('content-length', length);
  return reply.send(answer.body);
});

await app.listen({ host: '127.0.0.1', port: 0 });
process.send!({ port: (app.server.address() as AddressInfo).port });
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
