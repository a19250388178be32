/** `POST /v1/admin/import/litellm`: keys and teams of a LiteLLM database, for `pointsman import litellm-keys`. */
import type { FastifyInstance } from 'fastify';
import { demand } from '../callers.ts';
import type { Gateway } from '../gateway.ts';
import { accessOf } from '../governance/access/access.ts';
import { importFromLiteLlm, LiteLlmImport } from '../governance/access/litellm-keys.ts';
import { readBody } from './body.ts';

export function importKeysRoute(app: FastifyInstance, gateway: Gateway): void {
  app.post('/v1/admin/import/litellm', async ({ caller, body, id }) => {
    demand(caller, 'admin');
    const { value } = readBody(LiteLlmImport, body);
    return importFromLiteLlm(accessOf(gateway), value, { actor: caller, requestId: id });
  });
}
