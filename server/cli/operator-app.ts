/** The endpoints of `/v1/admin` on a database that no gateway has open, for the operator; nothing listens. */
import Fastify, { type FastifyInstance } from 'fastify';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { accessRoutes } from '../api/access.ts';
import { parseJsonBodies } from '../api/body.ts';
import { handleError } from '../api/errors.ts';
import { importKeysRoute } from '../api/import-keys.ts';
import { limitsRoutes } from '../api/limits.ts';
import { policiesRoutes } from '../api/policies.ts';
import { OPERATOR } from '../callers.ts';
import { type Environment, type GatewayConfig, variable } from '../config/index.ts';
import { newDecisionId } from '../db/decision-id.ts';
import { openStore } from '../db/store.ts';
import { Gateway, type RouterHolder } from '../gateway.ts';
import { adminKeyFrom } from '../governance/access/first-admin.ts';

const MOST_BYTES = 256 * 1024 * 1024;

export async function operatorApp(
  config: GatewayConfig,
  env: Environment,
): Promise<{ readonly app: FastifyInstance; close(): Promise<void> }> {
  const catalog = await readCatalog(config.catalog);
  const store = await openStore(config);
  try {
    const gateway = new Gateway({
      // Nothing is routed here.
      holder: { current: { candidates: [], async close() {} } as Partial<RouterHolder['current']> } as RouterHolder,
      ...{ store, config, catalog, providers: new Map() },
      secret: variable(env, 'POINTSMAN_SECRET_KEY'),
      adminKey: adminKeyFrom(env),
    });
    // What limits there are, and what of them is used: without it closing would take for written what was never read.
    await Promise.all([gateway.governance.keys.look(), gateway.governance.limits.start()]);
    const app = Fastify({ genReqId: () => newDecisionId(), bodyLimit: MOST_BYTES });
    parseJsonBodies(app);
    app.setErrorHandler(handleError);
    app.decorateRequest('caller', null as never);
    app.addHook('onRequest', async (request) => {
      request.caller = OPERATOR;
    });
    accessRoutes(app, gateway);
    limitsRoutes(app, gateway);
    importKeysRoute(app, gateway);
    policiesRoutes(app, gateway);
    return {
      app,
      async close() {
        await app.close();
        await gateway.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}
