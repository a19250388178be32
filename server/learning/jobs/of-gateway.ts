/** Learning as a running gateway does it: with its configuration as it is now, and what comes into force taken up at once. */
import { RoutingError } from '../../../datasets/errors.ts';
import type { Admin } from '../../api/admin.ts';
import type { GatewayApp } from '../../app.ts';
import type { SqlStore } from '../../db/store.ts';
import type { RouterInForce } from '../../router-in-force.ts';
import { answerJobs, type Learning, openLearning } from './learning.ts';

export interface GatewayLearning {
  readonly learning: Learning;
  /** For the command line, in the process that owns the embedded database. */
  readonly admin: Admin | undefined;
}

const START_AFTER_MS = 500;

/** @param built the gateway, asked for when it is there */
export function learningOf(
  router: RouterInForce,
  store: SqlStore,
  databaseUrl: string | undefined,
  built: () => GatewayApp,
): GatewayLearning {
  const log = () => built().app.log;
  const learning = openLearning({
    store,
    databaseUrl,
    context() {
      const { config, teams } = built().gateway;
      return { ...router.learning, learning: config.learning, rollout: config.rollout, teams };
    },
    onChange: router.takeUp,
    startAfterMs: START_AFTER_MS,
    onProblem: ({ message }) =>
      log().warn({ reason: message }, 'jobs of learning cannot be looked for; it goes on trying'),
    onRequested: (job, reason) => log().info({ job, reason }, 'a retraining is due'),
    onFinished({ id: job, runs }, error) {
      if (error === null) log().info({ job, runs }, 'a retraining has ended');
      else log().error({ job, runs, err: error }, 'a retraining has failed');
    },
  });
  return { learning, admin: adminOver(router.admin, learning) };
}

/** A retraining by the command line is a job as any other, and its report the reply. */
function adminOver(admin: RouterInForce['admin'], learning: Learning): Admin | undefined {
  if (admin === undefined) return undefined;
  return {
    ...admin,
    async retrain(options) {
      const { dryRun, historyOnly, ...asked } = (options ?? {}) as Record<string, unknown>;
      if (dryRun || historyOnly) return admin.retrain(options);
      const { job } = await learning.request(asked);
      const { result, error } = await learning.ended(job.id);
      if (error !== null) throw new RoutingError(error.code, error.message);
      return result;
    },
    jobs: (options) => answerJobs(learning, options),
  };
}
