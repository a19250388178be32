/** What goes on while the gateway runs: promotions are taken up, and so are changes of the configuration and what other replicas find resting. */
import type { Candidate, Catalog } from '../datasets/catalog/candidate.ts';
import { readCatalog } from '../datasets/catalog/catalog.ts';
import { RoutingError } from '../datasets/index.ts';
import type { GatewayApp } from './app.ts';
import {
  type ConfigSources,
  type Environment,
  type GatewayConfig,
  inForce,
  isLoopback,
  refusePublicHost,
  reloadable,
  watchConfig,
} from './config/index.ts';
import { readHealth, shareHealth as writeHealth } from './db/deployment-health.ts';
import { deleteExpired } from './db/sessions.ts';
import type { SqlStore } from './db/store.ts';
import type { Breaker } from './forward/breaker.ts';
import { type Gateway, setupOf } from './gateway.ts';
import { usableModels } from './models.ts';
import { type ProviderSetup, providersFrom, type StoredKey } from './providers/index.ts';
import type { RouterInForce, RouterProblem } from './router-in-force.ts';

export interface Upkept {
  readonly built: GatewayApp;
  readonly router: RouterInForce;
  readonly store: SqlStore;
  readonly config: GatewayConfig;
  readonly problems: readonly RouterProblem[];
  readonly sources: ConfigSources & { readonly env: Environment };
  readonly stored: readonly StoredKey[];
}

/** Begins it; `reload` looks at the configuration file at once. */
export function upkeep({ built, router, store, problems, stored, ...rest }: Upkept): {
  reload(): Promise<void>;
  stop(): void;
} {
  const { app, gateway } = built;
  const complain = (err: RouterProblem) =>
    app.log.error({ err }, 'a promoted router cannot be taken up; another decides');
  for (const problem of problems) complain(problem);
  const promotions = router.watch(complain);
  const forget = setInterval(() => {
    const before = new Date(Date.now() - gateway.config.sessions.ttlMinutes * 60_000);
    void deleteExpired(store.db, before).catch(() => undefined);
  }, FORGET_MS);
  forget.unref();
  const health = store.kind === 'postgres' ? shareHealth(store, gateway.breaker) : undefined;
  const reload = watchConfig(
    rest.sources,
    async (next) => {
      const { applied, needsRestart } = reloadable(gateway.config, next);
      await adopt(inForce(gateway.config, next), gateway, router, rest.sources.env, stored);
      app.log.level = gateway.config.logLevel;
      app.log.info({ applied, needsRestart }, 'the configuration has changed');
    },
    (error) =>
      app.log.error(
        { code: error.code, reason: error.message },
        'a changed configuration is refused; the old one stays',
      ),
    { current: rest.config },
  );
  return {
    reload: () => reload.look(),
    stop() {
      promotions.stop();
      reload.stop();
      clearInterval(forget);
      health?.stop();
    },
  };
}

/** Longest that providers of an earlier configuration are kept for the requests that began with it: as long as one may last. */
async function adopt(
  next: GatewayConfig,
  gateway: Gateway,
  router: RouterInForce,
  env: Environment,
  stored: readonly StoredKey[],
): Promise<void> {
  refusePublicHost(next);
  const catalog = await readCatalog(next.catalog);
  const providers = providersFrom(next, env, stored);
  refuseLoops(providers, next.host, next.port);
  const candidates = candidatesOf(next, catalog, providers);
  const setup = setupOf(next, catalog, providers.on);
  await router.recast(candidates, next.policy);
  const longestMs = Math.max(next.timeouts.totalMs, gateway.config.timeouts.totalMs);
  const before = gateway.adopt(setup);
  const retire = setTimeout(() => {
    for (const provider of before.values()) void provider.close();
  }, longestMs);
  retire.unref();
}

/** How often pins of conversations that are over are deleted. */
const FORGET_MS = 3_600_000;

/** How often replicas tell each other which deployments rest. */
const HEALTH_MS = 2000;

function shareHealth({ db }: SqlStore, breaker: Breaker): { stop(): void } {
  const timer = setInterval(() => {
    const changes = breaker.changes();
    // A database that is away costs what the others know, no more.
    void (changes.length > 0 ? writeHealth(db, changes) : Promise.resolve())
      .then(() => readHealth(db))
      .then((rows) => breaker.learn(rows))
      .catch(() => undefined);
  }, HEALTH_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** @throws `INVALID_CONFIG` where the providers that are on have nothing that `auto` could choose */
export function candidatesOf(config: GatewayConfig, catalog: Catalog, providers: ProviderSetup): Candidate[] {
  const candidates = usableModels(catalog, providers.on, config.models).filter(({ kind }) => kind !== 'embedding');
  if (candidates.length > 0) return candidates;
  throw new RoutingError(
    'INVALID_CONFIG',
    `the catalog has no model of ${[...providers.on.keys()].join(', ')}: add some to a catalog file and name it as catalog`,
  );
}

/** `OPENAI_BASE_URL` set for a client of this gateway would make the gateway its own provider. */
export function refuseLoops(providers: ProviderSetup, host: string, port: number): void {
  for (const provider of providers.on.values()) {
    const url = new URL(provider.address);
    if (
      isLoopback(url.hostname) &&
      (isLoopback(host) || host === '0.0.0.0' || host === '::') &&
      url.port === String(port)
    ) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `provider ${provider.name} has this gateway’s own address ${provider.address}; is its BASE_URL set in your shell for a client?`,
      );
    }
  }
}
