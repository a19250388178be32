/** Where `pointsman retrain` gets at learning: through the gateway that owns the embedded database, or in the database itself. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import type { GatewayConfig } from '../config/index.ts';
import { type LockFile, lockOwner } from '../db/lock.ts';
import { openStore } from '../db/store.ts';
import { encoderFolder } from '../encoder-folder.ts';
import { storedTeams } from '../governance/access/teams.ts';
import { type LearningAdmin, learningAdmin } from '../learning/admin.ts';
import { type JobOptions, openLearning } from '../learning/jobs/learning.ts';
import type { Job } from '../learning/jobs/rows.ts';
import { teamsOver } from '../teams.ts';

/** A job as it comes over HTTP, too: its moments may be texts. */
export type ToldJob = {
  readonly [Field in keyof Job]: Job[Field] extends Date | null ? Date | string | null : Job[Field];
};

export interface LearningAccess extends LearningAdmin {
  request(options: JobOptions): Promise<{ job: ToldJob; isNew: boolean }>;
  job(id: string): Promise<ToldJob>;
  /** The latest first. */
  jobs(): Promise<ToldJob[]>;
  /** Who does jobs: a gateway that answers, any that looks into the same database, or nobody but this process. */
  readonly doneBy: 'gateway' | 'any' | 'here';
  /** Does jobs in this process from now on; absent where a gateway does. */
  start?(): void;
  close(): Promise<void>;
}

/** @throws `DATABASE_LOCKED`, `DATABASE_UNAVAILABLE`, `MISSING_FILE` where no gateway has ever logged anything */
export async function learningAccess(config: GatewayConfig): Promise<LearningAccess> {
  const owner = config.databaseUrl === undefined ? lockOwner(config.dataDir) : null;
  return owner === null ? accessHere(config) : accessOf(owner, config.dataDir);
}

const JOBS_SHOWN = 20;

async function accessHere(config: GatewayConfig): Promise<LearningAccess> {
  const { dataDir, policy, artifact: baseDir, learning: options, rollout, databaseUrl } = config;
  if (databaseUrl === undefined) refuseNewFolder(dataDir);
  const { models: candidates } = await readCatalog(config.catalog);
  const encoderDir = config.encoder === undefined ? undefined : await encoderFolder(config.encoder, config);
  const store = await openStore(config);
  const teams = teamsOver(config.teams, await storedTeams(store.db));
  const context = { store, dataDir, candidates, policy, baseDir, encoderDir, learning: options, rollout, teams };
  // Without pg-boss: who takes a job is settled by its row, and this process looks for it itself.
  const learning = openLearning({ store, context: () => context, triggers: false });
  return {
    ...learningAdmin(context),
    request: (asked) => learning.request(asked),
    job: (id) => learning.job(id),
    jobs: () => learning.jobs(JOBS_SHOWN),
    doneBy: databaseUrl === undefined ? 'here' : 'any',
    start: () => learning.start(),
    async close() {
      await learning.stop();
      await store.close();
    },
  };
}

/** A folder that no gateway has ever used holds nothing to learn from; opening it would make a database there. */
function refuseNewFolder(dataDir: string): void {
  if (existsSync(join(dataDir, 'db'))) return;
  const where = resolve(dataDir);
  throw new RoutingError(
    'MISSING_FILE',
    `${where}: no gateway has logged anything there; name the gateway's own folder with --data-dir ` +
      '(default: .pointsman in the folder that the gateway is started from)',
  );
}

/** The gateway that holds the data directory does the work. @throws what it answers, by the same codes */
function accessOf({ pid, url, token }: LockFile, dataDir: string): LearningAccess {
  if (url === null) {
    throw new RoutingError(
      'DATABASE_LOCKED',
      `process ${pid} has ${dataDir} open and answers no requests; try again when it is done`,
    );
  }
  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const reply = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch((cause) => {
      throw new RoutingError(
        'DATABASE_LOCKED',
        `the gateway at ${url} (process ${pid}) holds ${dataDir} but does not answer`,
        { cause },
      );
    });
    const answer = (await reply.json()) as { error?: { code?: string; message?: string } };
    if (reply.ok) return answer as T;
    throw new RoutingError(
      (answer.error?.code ?? 'INTERNAL') as ErrorCode,
      answer.error?.message ?? `the gateway at ${url} answered ${reply.status}`,
    );
  };
  return {
    retrain: (options) => post('/admin/retrain', options),
    rollback: (options) => post('/admin/rollback', options),
    trust: (options) => post('/admin/trust', options),
    request: (request) => post('/admin/jobs', { request }),
    job: async (id) => (await post<{ job: ToldJob }>('/admin/jobs', { id })).job,
    jobs: async () => (await post<{ jobs: ToldJob[] }>('/admin/jobs', { limit: JOBS_SHOWN })).jobs,
    doneBy: 'gateway',
    close: async () => {},
  };
}
