/** `GET /metrics` in Prometheus' text format. What it tells is `telemetry/prometheus.ts`. */
import type { FastifyInstance } from 'fastify';
import { codeOf } from '../afterwards.ts';
import type { Gateway } from '../gateway.ts';
import { CONTENT_TYPE } from '../telemetry/prometheus.ts';

export function metricsRoute(app: FastifyInstance, gateway: Gateway): void {
  const { telemetry } = gateway.governance;
  // Set when a request is over, for its line in the log.
  app.decorateRequest('told', undefined);
  app.get('/metrics', async (_, reply) => {
    reply.type(CONTENT_TYPE);
    return telemetry.metrics.text();
  });
  // Wherever it is refused, before a call or a trace of it begins.
  app.addHook('onError', async ({ caller }, _reply, error) => {
    telemetry.metrics.refused(codeOf(error));
    // Of strangers nothing is counted but that.
    if (caller !== null) telemetry.refusals.count(caller, error);
  });
}
