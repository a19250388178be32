/** Lets in who has a key, where keys are set up, and notes who it is. */
import type { FastifyInstance } from 'fastify';
import { ANYBODY, type Caller } from '../callers.ts';
import type { Gateway } from '../gateway.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
}

/** Probes of an orchestrator ask without a key; `/admin` has a token of its own. */
const OPEN = /^\/(healthz|readyz|admin\/)/;

export function callersOnly(app: FastifyInstance, gateway: Gateway): void {
  // Set anew for each request below.
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    request.caller = OPEN.test(request.url) ? ANYBODY : gateway.setup.callers.identify(request.headers);
  });
}
