/** Lets in who has a key, where keys are set up, and notes who it is. */
import type { FastifyInstance } from 'fastify';
import { ANYBODY, type Caller, demand } from '../callers.ts';
import type { Gateway } from '../gateway.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
}

/** Probes of an orchestrator ask without a key; `/admin` has a token of its own. */
const OPEN = /^\/(healthz|readyz|admin\/)/;

/** Endpoints that ask for a scope of their own, or show no more than what any key may know. */
const HAS_ITS_OWN = /^\/(metrics|openapi\.json|v1\/(feedback|decisions|learning|export|erase|models))([/?]|$)/;

export function callersOnly(app: FastifyInstance, gateway: Gateway): void {
  // Set anew for each request below.
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    request.caller = OPEN.test(request.url) ? ANYBODY : gateway.setup.callers.identify(request.headers);
    if (!OPEN.test(request.url) && !HAS_ITS_OWN.test(request.url)) demand(request.caller, 'call');
  });
}
