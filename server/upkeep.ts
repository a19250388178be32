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
import { makePartitions } from './db/partitions.ts';
import { deleteExpired } from './db/sessions.ts';
import type { SqlStore } from './db/store.ts';
import { DriftWatch, tellWebhook } from './drift/watch.ts';
import type { Breaker } from './forward/breaker.ts';
import type { Gateway } from './gateway.ts';
import { type TrialVerdict, TrialWatch } from './learning/rollout/watch.ts';
import { routable, usableModels } from './models.ts';
import { deleteExpired as deleteOld } from './privacy/retention.ts';
import { type ProviderSetup, providersFrom, type StoredKey } from './providers/index.ts';
import type { RouterInForce, RouterProblem } from './router-in-force.ts';
import { keepRolling } from './usage/rolling.ts';

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
  const promotions = router.watch(gateway.trials, complain, ({ message }) =>
    app.log.warn({ reason: message }, 'the database does not tell of promotions at once; it is asked every second'),
  );
  const trials = watchTrials(gateway, store, app.log, promotions.look);
  // Stopped with the gateway: requests that are still under way then may spend.
  gateway.spending.start();
  const { policies } = gateway.governance;
  policies.log = { info: (text) => app.log.info(text), error: (text) => app.log.error(text) };
  gateway.newcomers?.start();
  void seeCandidates(gateway);
  const drift = watchDrift(gateway, store, app.log);
  const rolling = keepRolling(store, {
    onProblem: ({ code, message }) => app.log.warn({ code, reason: message }, 'usage could not be rolled up'),
  });
  const makeMonths = () =>
    makePartitions(store).catch(({ code, message }) =>
      app.log.warn({ code, reason: message }, 'months of the log could not be made; it is tried again in an hour'),
    );
  void makeMonths();
  const retain = async () => {
    await makeMonths();
    try {
      const deleted = await deleteOld(store, { privacy: gateway.config.privacy, teams: gateway.teams });
      if (Object.values(deleted).some((count) => count > 0)) app.log.info(deleted, 'rows past their age were deleted');
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      app.log.warn({ code, reason: message }, 'rows past their age could not be deleted; it is tried again in an hour');
    }
  };
  const retainSoon = setTimeout(retain, RETAIN_AFTER_MS);
  retainSoon.unref();
  const forget = setInterval(() => {
    const before = new Date(Date.now() - gateway.config.sessions.ttlMinutes * 60_000);
    void deleteExpired(store.db, before).catch(() => undefined);
    void retain();
  }, FORGET_MS);
  forget.unref();
  const health = store.kind === 'postgres' ? shareHealth(store, gateway.breaker) : undefined;
  const reload = watchConfig(
    rest.sources,
    async (next) => {
      const { applied, needsRestart } = reloadable(gateway.config, next);
      await adopt(inForce(gateway.config, next), gateway, router, rest.sources.env, stored);
      app.log.level = gateway.config.logLevel;
      app.server.headersTimeout = gateway.config.timeouts.headersMs;
      app.server.requestTimeout = gateway.config.timeouts.requestMs;
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
      void trials.stop();
      void drift.stop();
      void rolling.stop();
      reload.stop();
      clearTimeout(retainSoon);
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
  const setup = gateway.setupFor(next, catalog, providers.on);
  await router.recast(candidates, next.policy);
  const longestMs = Math.max(next.timeouts.totalMs, gateway.config.timeouts.totalMs);
  const before = gateway.adopt(setup);
  const retire = setTimeout(() => {
    for (const provider of before.values()) void provider.close();
  }, longestMs);
  retire.unref();
  await seeCandidates(gateway);
}

/** Who of the candidates is new goes by when each was first seen. */
async function seeCandidates({ newcomers, holder }: Gateway): Promise<void> {
  const { candidates, unknown } = holder.current;
  await newcomers?.see({ ids: candidates.map(({ id }) => id), unknown });
}

/** A router on trial: what it shows is acted upon, and said. */
function watchTrials(
  gateway: Gateway,
  store: SqlStore,
  log: GatewayApp['app']['log'],
  look: () => Promise<void>,
): TrialWatch {
  let told: string | undefined;
  const watch = new TrialWatch(store, gateway.trials, () => gateway.config.rollout, {
    onMove({ kind, artifact, ordinal, verdict }) {
      const { reasons, onTrial } = verdict as TrialVerdict;
      log.warn({ promotion: ordinal, kind, onTrial, inForce: artifact }, reasons[0]);
      void look();
    },
    onProblem(error) {
      const { code, message } = error as { code?: string; message: string };
      if (message !== told) log.warn({ code, reason: message }, 'the trial of a router could not be looked at');
      told = message;
    },
  });
  watch.start();
  return watch;
}

/** Alarms go to the log and to the webhook; the metric is `/metrics`' own. */
function watchDrift(gateway: Gateway, store: SqlStore, log: GatewayApp['app']['log']): DriftWatch {
  let told: string | undefined;
  const watch = new DriftWatch(gateway, store, {
    onAlarm(alarm) {
      const { kind, subject, ordinal, details, text } = alarm;
      log.warn({ alarm: ordinal, kind, subject, ...details }, text);
      const { config, egress } = gateway.setup;
      tellWebhook(config, egress, alarm).catch(({ code, message }) =>
        log.warn({ code, reason: message }, 'the webhook was not told of an alarm'),
      );
    },
    onProblem({ code, message }) {
      // A database that is away is told by whoever writes to it.
      if (message !== told) log.warn({ code, reason: message }, 'drift could not be looked for');
      told = message;
    },
  });
  watch.start();
  return watch;
}

/** A start has other things to do first. */
const RETAIN_AFTER_MS = 60_000;

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
  const usable = usableModels(catalog, providers.on, config.models);
  const candidates = routable(usable, config);
  if (candidates.length > 0) return candidates;
  if (routable(usable, { retire: [] }).length > 0) {
    throw new RoutingError('INVALID_CONFIG', 'retire: these are all the models that auto could choose; leave some');
  }
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
