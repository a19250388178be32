/** `/v1/admin/policies`: versions of the policy document, and which of them is in force. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import type { Gateway } from '../gateway.ts';
import {
  activatePolicy,
  listPolicies,
  NewVersion,
  type PolicyAdminParts,
  pushPolicy,
  showPolicy,
} from '../governance/policies/admin.ts';
import type { Writing } from '../governance/policies/versions.ts';
import { readBody } from './body.ts';
import { sqlStoreOf } from './log-owner.ts';

interface OfOne {
  Params: { version: string };
}

/** All of them ask for the scope `admin` (`callers-only.ts`). */
export function policiesRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { policies } = gateway.governance;

  app.get('/v1/admin/policies', async () => {
    await policies.look();
    return listPolicies(partsOf(gateway), policies.inForce);
  });
  app.post('/v1/admin/policies', async (request, reply) => {
    const { value } = readBody(NewVersion, request.body);
    const made = await pushPolicy(partsOf(gateway), value, by(request));
    return reply.code(201).header('location', `/v1/admin/policies/${made.version.version}`).send(made);
  });
  app.get<OfOne>('/v1/admin/policies/:version', async ({ params }) => showPolicy(partsOf(gateway), numberOf(params)));
  app.post<OfOne>('/v1/admin/policies/:version/activate', async (request) => {
    const activated = await activatePolicy(partsOf(gateway), numberOf(request.params), by(request));
    // The next request to this gateway is under it; the other replicas hear of it.
    await policies.look();
    return activated;
  });
}

const partsOf = ({ store, config, catalog }: Gateway): PolicyAdminParts => ({
  store: sqlStoreOf(store),
  config,
  catalog,
});

const by = ({ caller, id }: FastifyRequest): Writing => ({ actor: caller, requestId: id });

/** @throws `NOT_FOUND` for what is no number of a version */
function numberOf({ version }: OfOne['Params']): number {
  if (/^[1-9]\d{0,14}$/.test(version)) return Number(version);
  throw new RoutingError(
    'NOT_FOUND',
    'there is no such version of the policy; pointsman policy list (GET /v1/admin/policies) shows them',
  );
}
