/** `/healthz`: the process runs. `/readyz`: it can route, and write down what it did. */
import type { FastifyInstance } from 'fastify';
import type { Gateway } from '../gateway.ts';

export function healthRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_, reply) => {
    const database = await gateway.store.ready().catch(() => false);
    const candidates = gateway.holder.current.candidates.length;
    const ready = database && candidates > 0 && !gateway.closing;
    return reply.code(ready ? 200 : 503).send({
      status: ready ? 'ready' : gateway.closing ? 'shutting down' : 'not ready',
      database,
      candidates,
      artifact: gateway.holder.current.artifactHash,
      certificate: gateway.certificate,
      sandbox: gateway.isSandbox,
    });
  });
}
