/** A gateway on a data folder of its own, and the commands that administer it, run in this process. */
import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import { vi } from 'vitest';
import { buildApp } from '../../../server/app.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import { openStore, type SqlStore } from '../../../server/db/store.ts';
import { tempDir } from '../db/stores.ts';
import { candidate, catalogOf, fakeRouter } from '../fakes.ts';

export interface AdminGateway {
  readonly dataDir: string;
  readonly url: string;
  /** Listens, and says so in the lock file. */
  start(): Promise<void>;
  /** Lets go of the folder; its rows stay. */
  stop(): Promise<void>;
  /** What an endpoint says to a key. */
  status(key: string, path: string): Promise<number>;
  close(): Promise<void>;
}

export async function adminGateway(): Promise<AdminGateway> {
  const dataDir = await tempDir();
  const models = [candidate('one/cheap')];
  let running: (ReturnType<typeof buildApp> & { store: SqlStore; url: string }) | undefined;
  const gateway: AdminGateway = {
    dataDir,
    get url() {
      return running!.url;
    },
    async start() {
      const store = await openStore({ dataDir, onProblem: () => {} });
      const built = buildApp({
        ...{ holder: { current: fakeRouter(models) }, catalog: catalogOf(models), store, providers: new Map() },
        config: GatewayConfig.parse({ logLevel: 'silent', dataDir }),
      });
      await built.gateway.governance.start();
      const url = await built.app.listen({ host: '127.0.0.1', port: 0 });
      store.lock!.announce(url);
      running = { ...built, store, url };
    },
    async stop() {
      if (running === undefined) return;
      const { app, gateway, store } = running;
      running = undefined;
      app.server.closeAllConnections();
      await app.close();
      await gateway.close();
      await store.close();
    },
    status: async (key, path) =>
      (await fetch(`${running!.url}${path}`, { headers: { authorization: `Bearer ${key}` } })).status,
    async close() {
      await gateway.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  await gateway.start();
  return gateway;
}

/** Runs a command as typed. @returns what it printed; @throws what it throws, which the program prints */
export async function typed(command: Command, ...args: string[]): Promise<{ out: string; err: string }> {
  const [out, err] = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error')];
  for (const spy of [out, err]) spy.mockImplementation(() => {});
  try {
    for (const one of [command, ...command.commands]) {
      one.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    }
    await command.parseAsync(args, { from: 'user' });
    return {
      out: out.mock.calls.map(([line]) => line).join('\n'),
      err: err.mock.calls.map(([line]) => line).join('\n'),
    };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}
