/** The routers that decide: loaded at start, replaced between requests when another artifact comes into force or on trial. */
import type { Candidate } from '../datasets/catalog/candidate.ts';
import { Router } from '../router/index.ts';
import type { Admin } from './api/admin.ts';
import type { Environment } from './config/environment.ts';
import type { GatewayConfig } from './config/index.ts';
import { listen } from './db/listen.ts';
import type { SqlStore } from './db/store.ts';
import { encoderFolder } from './encoder-folder.ts';
import type { RouterHolder } from './gateway.ts';
import { artifactDir, unusablePromotion } from './learning/artifacts.ts';
import { PROMOTIONS_CHANNEL, type RunningTrial, type Standing, standing } from './learning/promotions.ts';
import type { LearningContext } from './learning/retrain.ts';
import { type Following, followStanding } from './learning/rollout/follow.ts';
import { signingOf } from './learning/rollout/signing.ts';
import type { Trials } from './learning/rollout/trials.ts';

type Options = Pick<GatewayConfig, 'artifact' | 'dataDir' | 'encoder' | 'policy' | 'databaseUrl'>;

/** Why a promoted router does not decide; without a stack, which would tell an operator nothing. */
export interface RouterProblem {
  readonly code: string;
  readonly message: string;
}

export interface RouterInForce {
  readonly holder: RouterHolder;
  /** For the command line, in the process that owns the embedded database; undefined on PostgreSQL, where any may write. */
  readonly admin: Omit<Admin, 'jobs'> | undefined;
  /** What retraining starts from, as it is now. */
  readonly learning: LearningContext;
  /** The same routers over other candidates, or with other knobs: when the configuration changed. */
  recast(candidates: readonly Candidate[], policy: GatewayConfig['policy']): Promise<void>;
  /** Takes up what is in force and on trial now, if it is another than before. @throws what loading it throws */
  takeUp(): Promise<void>;
  /**
   * Looks for promotions and trials by whatever process from now on. A router on trial that cannot be loaded is told as
   * a problem, and the one in force has all requests.
   */
  watch(
    trials: Trials,
    onProblem: (problem: RouterProblem) => void,
    /** Told when PostgreSQL does not tell any more; it is asked all the same. */
    onUnheard?: (error: Error) => void,
  ): Following;
}

/** One that is loaded. */
interface Loaded {
  /** null: the base. */
  readonly hash: string | null;
  readonly router: Router;
}

/** How long a router that could not be loaded for a trial is left alone: loading takes what requests need. */
const TRY_AGAIN_MS = 30_000;

/** Loads the base router, which decides while nothing is promoted, and gives what needs the database its turn later. */
export async function loadRouters(candidates: readonly Candidate[], options: Options, env: Environment = process.env) {
  const { dataDir, artifact: baseDir } = options;
  const encoderDir = options.encoder === undefined ? undefined : await encoderFolder(options.encoder, options);
  const signing = signingOf(dataDir, env);
  let cast: { candidates: readonly Candidate[]; policy: Options['policy'] } = { candidates, policy: options.policy };
  const load = (artifact: string | undefined) =>
    Router.load({ ...cast, encoderDir, ...(artifact !== undefined && { artifact }) });
  const base = await load(baseDir);
  return async (store: SqlStore, onProblem: (problem: RouterProblem) => void): Promise<RouterInForce> => {
    const holder: RouterHolder = { current: base };
    let inForce: Loaded = { hash: null, router: base };
    let trials: Trials | undefined;
    let onTrial: (Loaded & { readonly trial: RunningTrial }) | null = null;
    let tellTrial = onProblem;
    let again: NodeJS.Timeout | undefined;

    const loadHash = async (hash: string | null): Promise<Loaded> => {
      if (hash === null) return { hash, router: await load(baseDir) };
      try {
        return { hash, router: await load(await artifactDir(store, dataDir, hash, signing)) };
      } catch (error) {
        throw unusablePromotion(hash, error);
      }
    };
    /** One that is loaded already is taken as it is, which costs nothing when a trial ends. */
    const having = async (hash: string | null, loaded: readonly (Loaded | null)[]): Promise<Loaded> =>
      loaded.find((one) => one?.hash === hash) ?? (await loadHash(hash));

    /** Both at once, between requests. */
    const put = async (next: Loaded, trial: (Loaded & { readonly trial: RunningTrial }) | null) => {
      const before = [inForce.router, onTrial?.router];
      inForce = next;
      holder.current = next.router;
      onTrial = trial;
      if (trials !== undefined) {
        const { ordinal, kind, terms } = trial?.trial ?? {};
        trials.current =
          trial === null ? null : { ordinal: ordinal!, kind: kind!, terms: terms!, router: trial.router };
      }
      const kept = [next.router, trial?.router];
      await Promise.all(before.map((router) => (kept.includes(router) ? undefined : router?.close())));
    };

    const besideOf = async (trial: RunningTrial | null, loaded: readonly (Loaded | null)[]) => {
      clearTimeout(again);
      if (trial === null || trials === undefined) return null;
      try {
        return { ...(await having(trial.beside, loaded)), trial };
      } catch (error) {
        again = setTimeout(() => void takeUp().catch(() => undefined), TRY_AGAIN_MS);
        again.unref();
        const { code, message } = problemOf(error);
        tellTrial({ code, message: `no request is decided on trial: ${message}` });
        return null;
      }
    };

    let turn: Promise<void> = Promise.resolve();
    const inTurn = (work: () => Promise<void>) => {
      const mine = turn.then(work);
      turn = mine.catch(() => undefined);
      return mine;
    };
    const take = (now: Standing) =>
      inTurn(async () => {
        const loaded = [inForce, onTrial];
        const next = await having(now.inForce, loaded).catch(async (error) => {
          // Of another standing than this one: nothing is drawn for it any more.
          await put(inForce, null);
          throw error;
        });
        await put(next, await besideOf(now.trial, [...loaded, next]));
      });

    const known = await standing(store);
    // One that cannot be loaded must not keep the gateway down.
    if (known.inForce !== null) {
      await take({ ...known, trial: null }).catch((error) => onProblem(problemOf(error)));
    }
    const context: LearningContext = {
      store,
      dataDir,
      baseDir,
      encoderDir,
      signing,
      get candidates() {
        return cast.candidates;
      },
      get policy() {
        return cast.policy;
      },
    };
    const takeUp = async () => take(await standing(store));
    return {
      holder,
      recast: (others, knobs) =>
        inTurn(async () => {
          const before = cast;
          cast = { candidates: others, policy: knobs };
          try {
            const next = await loadHash(inForce.hash);
            await put(next, await besideOf(onTrial?.trial ?? null, [next]));
          } catch (error) {
            cast = before;
            throw error;
          }
        }),
      admin: store.lock === null ? undefined : adminOf(context, store.lock.token, takeUp),
      learning: context,
      takeUp,
      watch(ofGateway, onWatchProblem, onUnheard = () => {}) {
        trials = ofGateway;
        tellTrial = toldOnce(onWatchProblem);
        const following = followStanding(
          store,
          take,
          // A trial that was under way is taken up at the first look.
          {
            known: { ...known, ordinal: known.trial === null ? known.ordinal : -1 },
            onProblem: toldOnce(onWatchProblem),
          },
        );
        const { databaseUrl } = options;
        const hearing =
          databaseUrl === undefined || store.kind !== 'postgres'
            ? undefined
            : listen(databaseUrl, PROMOTIONS_CHANNEL, () => void following.look(), { onProblem: onUnheard });
        return {
          look: following.look,
          stop() {
            following.stop();
            hearing?.stop();
            clearTimeout(again);
          },
        };
      },
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
function adminOf(context: LearningContext, token: string, takeUp: () => Promise<void>): Omit<Admin, 'jobs'> {
  const andTakeUp = async (operation: 'retrain' | 'rollback' | 'trust', options: unknown) => {
    // Loaded late: a gateway that is never asked to learn does not need it.
    const { learningAdmin } = await import('./learning/admin.ts');
    const report = await learningAdmin(context)[operation](options);
    await takeUp();
    return report;
  };
  return {
    token,
    retrain: (options) => andTakeUp('retrain', options),
    rollback: (options) => andTakeUp('rollback', options),
    trust: (options) => andTakeUp('trust', options),
    log: async (options) => (await import('./learning/admin.ts')).learningAdmin(context).log(options),
  };
}
