/** The router that decides: loaded at start, replaced between requests when another artifact comes into force. */
import type { Candidate } from '../datasets/catalog/candidate.ts';
import { Router } from '../router/index.ts';
import type { Admin } from './api/admin.ts';
import type { GatewayConfig } from './config/index.ts';
import type { SqlStore } from './db/store.ts';
import { encoderFolder } from './encoder-folder.ts';
import type { RouterHolder } from './gateway.ts';
import { artifactDir, unusablePromotion, watchPromotions } from './learning/artifacts.ts';
import { activeArtifact } from './learning/promotions.ts';
import type { LearningContext } from './learning/retrain.ts';

type Options = Pick<GatewayConfig, 'artifact' | 'dataDir' | 'encoder' | 'policy'>;

/** Why a promoted router does not decide; without a stack, which would tell an operator nothing. */
export interface RouterProblem {
  readonly code: string;
  readonly message: string;
}

export interface RouterInForce {
  readonly holder: RouterHolder;
  /** For the command line, in the process that owns the embedded database; undefined on PostgreSQL, where any may write. */
  readonly admin: Admin | undefined;
  /** The same router over other candidates, or with other knobs: when the configuration changed. */
  recast(candidates: readonly Candidate[], policy: GatewayConfig['policy']): Promise<void>;
  /** Looks for promotions by whatever process from now on. */
  watch(onProblem: (problem: RouterProblem) => void): { stop(): void };
}

/** Loads the base router, which decides while nothing is promoted, and gives what needs the database its turn later. */
export async function loadRouters(candidates: readonly Candidate[], options: Options) {
  const encoderDir = options.encoder === undefined ? undefined : await encoderFolder(options.encoder, options);
  let cast: { candidates: readonly Candidate[]; policy: Options['policy'] } = { candidates, policy: options.policy };
  const load = (artifact: string | undefined) =>
    Router.load({ ...cast, encoderDir, ...(artifact !== undefined && { artifact }) });
  const base = await load(options.artifact);
  return async (store: SqlStore, onProblem: (problem: RouterProblem) => void): Promise<RouterInForce> => {
    const { dataDir, artifact: baseDir, policy } = options;
    const holder: RouterHolder = { current: base };
    let inForce: { dir: string | undefined; hash: string | null } = { dir: baseDir, hash: null };
    const adopt = async (dir: string | undefined, hash: string | null) => {
      const before = holder.current;
      holder.current = await load(dir).catch((error) => {
        throw hash === null ? error : unusablePromotion(hash, error);
      });
      inForce = { dir, hash };
      await before.close();
    };
    const adoptHash = async (hash: string | null) =>
      adopt(hash === null ? baseDir : await artifactDir(store, dataDir, hash), hash);
    const known = await activeArtifact(store);
    // One that cannot be loaded must not keep the gateway down.
    if (known !== null) await adoptHash(known).catch((error) => onProblem(problemOf(error)));
    return {
      holder,
      async recast(others, knobs) {
        const before = cast;
        cast = { candidates: others, policy: knobs };
        await adopt(inForce.dir, inForce.hash).catch((error) => {
          cast = before;
          throw error;
        });
      },
      admin:
        store.lock === null
          ? undefined
          : adminOf({ store, dataDir, candidates, baseDir, encoderDir, policy }, store.lock.token, adoptHash),
      watch: (onWatchProblem) =>
        watchPromotions(store, dataDir, adopt, { known, baseDir, onProblem: toldOnce(onWatchProblem) }),
    };
  };
}

const problemOf = (error: unknown): RouterProblem => {
  const { code = 'INTERNAL', message = String(error) } = error as Partial<RouterProblem>;
  return { code, message };
};

/** Every look finds the same problem again: it is told when it is another than the last. */
function toldOnce(tell: (problem: RouterProblem) => void): (error: unknown) => void {
  let last: string | undefined;
  return (error) => {
    const problem = problemOf(error);
    if (problem.message !== last) tell(problem);
    last = problem.message;
  };
}

/** Learning on request, in the process that owns the database; what comes into force is taken up before the reply. */
function adminOf(context: LearningContext, token: string, adopt: (hash: string | null) => Promise<void>): Admin {
  const { store } = context;
  const andAdopt = async (operation: 'retrain' | 'rollback', options: unknown) => {
    const before = await activeArtifact(store);
    // Loaded late: a gateway that is never asked to learn does not need it.
    const { learningAdmin } = await import('./learning/admin.ts');
    const report = await learningAdmin(context)[operation](options);
    const now = await activeArtifact(store);
    if (now !== before) await adopt(now);
    return report;
  };
  return {
    token,
    retrain: (options) => andAdopt('retrain', options),
    rollback: (options) => andAdopt('rollback', options),
    log: async (options) => (await import('./learning/admin.ts')).learningAdmin(context).log(options),
  };
}
