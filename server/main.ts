/** Starts the gateway: configuration → providers, catalog, database, router → listening; and stops it without losing rows. */
import type { AddressInfo } from 'node:net';
import { readCatalog } from '../datasets/catalog/catalog.ts';
import { RoutingError } from '../datasets/index.ts';
import type { GatewayApp } from './app.ts';
import { type ConfigSources, readConfig, refusePublicHost, variable } from './config/index.ts';
import { refuseMoved } from './db/moved.ts';
import { listProviderKeys, openProviderKeys } from './db/provider-keys.ts';
import { Spending } from './db/spending.ts';
import { openStore, type SqlStore } from './db/store.ts';
import { Newcomers } from './exploration/newcomers.ts';
import { GivenUp } from './forward/watch.ts';
import type { Gateway } from './gateway.ts';
import { accessOf } from './governance/access/access.ts';
import { adminKeyFrom, ensureFirstAdmin } from './governance/access/first-admin.ts';
import { heldIn } from './held-objects.ts';
import type { Learning } from './learning/jobs/learning.ts';
import { learningOf } from './learning/jobs/of-gateway.ts';
import { pinsIn } from './pins.ts';
import { type ProviderSetup, providersFrom } from './providers/index.ts';
import type { RouterProblem } from './router-in-force.ts';
import { candidatesOf, refuseLoops, upkeep } from './upkeep.ts';

export interface RunningGateway {
  /** Where it answers, e.g. `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly gateway: Gateway;
  readonly store: SqlStore;
  readonly providers: ProviderSetup;
  /** Why the base router decides although another was promoted; null where none is in the way. */
  readonly routerProblem: string | null;
  /** Where the first admin's key was written just now; null where none was needed. */
  readonly adminKeyFile: string | null;
  /** Writes to the log who may come in, where that could be news to the operator. */
  tellOfAccess(): void;
  /** Looks at the configuration file now, as SIGHUP makes it do. */
  reload(): Promise<void>;
  /** Stops taking requests, lets those in flight finish, writes everything down. Call it once or more. */
  close(): Promise<void>;
}

/** @throws `INVALID_CONFIG`, `DATABASE_LOCKED`, `ARTIFACT_…` and what reading the catalog throws */
export async function startGateway(sources: ConfigSources = {}): Promise<RunningGateway> {
  const env = sources.env ?? process.env;
  const config = readConfig({ ...sources, env });
  refusePublicHost(config);
  refuseMoved(config);
  const adminKey = adminKeyFrom(env);
  const catalog = await readCatalog(config.catalog);
  // Keys that are kept in the database switch providers on: only then does the router wait for it.
  const secret = variable(env, 'POINTSMAN_SECRET_KEY');
  const first = secret === undefined ? undefined : await openStore(config);
  try {
    const stored = first === undefined || secret === undefined ? [] : await openProviderKeys(first.db, secret);
    const providers = providersFrom(config, env, stored);
    refuseLoops(providers, config.host, config.port);
    const candidates = candidatesOf(config, catalog, providers);
    // The database, the web framework and the router with its native runtime: each takes its while, so side by side.
    const [opened, loaded] = await Promise.allSettled([
      first ?? openStore(config),
      Promise.all([
        import('./app.ts'),
        import('./router-in-force.ts').then(({ loadRouters }) => loadRouters(candidates, config, env)),
      ]),
    ]);
    if (opened.status === 'rejected') throw opened.reason;
    const store = opened.value;
    try {
      if (loaded.status === 'rejected') throw loaded.reason;
      if (secret === undefined) await refuseSealedKeys(store);
      const [{ buildApp }, routerFor] = loaded.value;
      const problems: RouterProblem[] = [];
      const router = await routerFor(store, (problem) => problems.push(problem));
      const parts = {
        holder: router.holder,
        store,
        config,
        catalog,
        providers: providers.on,
        pins: pinsIn(store),
        heldStore: heldIn(store),
        spending: new Spending(store),
        secret,
        newcomers: new Newcomers(store),
        adminKey,
      };
      const { learning, admin } = learningOf(router, store, config.databaseUrl, () => built);
      const built: GatewayApp = buildApp({ ...parts, env, admin, learning });
      await built.gateway.governance.start();
      const firstAdmin = await ensureFirstAdmin(store, accessOf(built.gateway), config);
      built.gateway.governance.keys.onProblem = ({ code, message }) =>
        built.app.log.warn({ code, reason: message }, 'changes of keys and teams are not heard of; those known stay');
      const url = await listen(built, config.host, config.port);
      store.lock?.announce(url);
      const kept = upkeep({ built, router, store, config, problems, sources: { ...sources, env }, stored });
      learning.start();
      let closing: Promise<void> | undefined;
      return {
        url,
        gateway: built.gateway,
        store,
        providers,
        routerProblem: problems[0]?.message ?? null,
        adminKeyFile: firstAdmin?.path ?? null,
        tellOfAccess: () => tellOfAccess(built, firstAdmin?.path),
        reload: kept.reload,
        close() {
          kept.stop();
          closing ??= stop(built, store, learning, built.gateway.config.timeouts.shutdownMs);
          return closing;
        },
      };
    } catch (error) {
      if (store !== first) await store.close();
      throw error;
    }
  } catch (error) {
    await first?.close();
    throw error;
  }
}

/** Loudly where nobody is asked for a key. */
function tellOfAccess({ app, gateway }: GatewayApp, adminKeyFile: string | undefined): void {
  const { host, auth, allowPublic } = gateway.config;
  const { unreadable } = gateway.governance.keys;
  if (!gateway.areAsked) {
    app.log.warn(
      { host, auth, allowPublic },
      'NOBODY IS ASKED FOR A KEY: whoever reaches this address may do everything',
    );
  }
  if (adminKeyFile !== undefined) app.log.warn({ file: adminKeyFile }, 'the first admin’s key was written to a file');
  if (unreadable > 0) {
    app.log.error(
      { keys: unreadable },
      'keys were made with another POINTSMAN_SECRET_KEY; nobody can come in with them',
    );
  }
}

/** Keys that cannot be opened would be passed over for others, or for none. @throws `INVALID_CONFIG` */
async function refuseSealedKeys({ db }: SqlStore): Promise<void> {
  const sealed = await listProviderKeys(db).catch(() => []);
  if (sealed.length === 0) return;
  const names = sealed.map(({ provider, name }) => `${provider}/${name}`).join(', ');
  throw new RoutingError(
    'INVALID_CONFIG',
    `keys of providers are kept in the database (${names}): set POINTSMAN_SECRET_KEY to open them, or take them out with pointsman provider-keys remove`,
  );
}

async function listen({ app, gateway }: GatewayApp, host: string, port: number): Promise<string> {
  // Fastify would log each address; whoever starts the gateway is told its URL and says so itself.
  const { level } = app.log;
  app.log.level = 'warn';
  try {
    await app.listen({ host, port });
    app.log.level = level;
  } catch (cause) {
    await app.close();
    await gateway.close();
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EADDRINUSE'
        ? `port ${port} is in use, perhaps by another gateway; stop that, or choose another with --port or PORT`
        : code === 'EACCES'
          ? `port ${port} needs more rights than this user has; choose one above 1023`
          : `cannot listen on ${host}:${port} (${code ?? String(cause)})`;
    throw new RoutingError('INVALID_CONFIG', why, { cause });
  }
  const address = app.server.address() as AddressInfo;
  const name = address.address === '::' || address.address === '0.0.0.0' ? '127.0.0.1' : address.address;
  return `http://${name.includes(':') ? `[${name}]` : name}:${address.port}`;
}

/** Requests that were on their way when the end was asked for are still answered, each as the last of its connection. */
const DRAIN_MS = 200;
/** After this much longer than the shutdown's wait, connections are cut. */
const LAST_WORDS_MS = 1000;

async function stop(
  { app, gateway }: GatewayApp,
  store: SqlStore,
  learning: Learning,
  shutdownMs: number,
): Promise<void> {
  gateway.draining = true;
  const notLearning = learning.stop();
  await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
  gateway.closing = true;
  const deadline = performance.now() + shutdownMs;
  const giveUp = setTimeout(() => {
    for (const life of gateway.lives) life.giveUp(new GivenUp('SHUTTING_DOWN', 'the gateway is shutting down'));
  }, shutdownMs);
  const cut = setTimeout(() => app.server.closeAllConnections(), shutdownMs + LAST_WORDS_MS);
  // A kept-alive connection whose answer ends after closing began would hold the server open.
  const sweep = setInterval(() => app.server.closeIdleConnections(), 50);
  try {
    await app.close();
    // The last answers are out; their handlers may have a record to write yet.
    while (gateway.lives.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await gateway.afterwork.stop(Math.max(0, deadline - performance.now()));
    await gateway.close();
  } finally {
    clearTimeout(giveUp);
    clearTimeout(cut);
    clearInterval(sweep);
    await notLearning;
    await store.close();
  }
}
