/** The router that decides: loaded at start, replaced between requests when another artifact comes into force. */
import { z } from 'zod';
import type { Candidate } from '../datasets/catalog/candidate.ts';
import { RoutingError } from '../datasets/index.ts';
import { Router } from '../router/index.ts';
import type { Admin } from './api/admin.ts';
import type { GatewayConfig } from './config.ts';
import type { SqlStore } from './db/store.ts';
import type { RouterHolder } from './gateway.ts';
import { artifactDir, watchPromotions } from './learning/artifacts.ts';
import { activeArtifact, rollback } from './learning/promotions.ts';

type Options = Pick<GatewayConfig, 'artifact' | 'dataDir' | 'policy'>;

export interface RouterInForce {
  readonly holder: RouterHolder;
  /** For the command line, in the process that owns the embedded database; undefined on PostgreSQL, where any may write. */
  readonly admin: Admin | undefined;
  /** Looks for promotions by whatever process from now on. */
  watch(onProblem: (error: unknown) => void): { stop(): void };
}

/** Loads the base router, which decides while nothing is promoted, and gives what needs the database its turn later. */
export async function loadRouters(candidates: readonly Candidate[], options: Options) {
  const load = (artifact: string | undefined) =>
    Router.load({ candidates, policy: options.policy, ...(artifact !== undefined && { artifact }) });
  const base = await load(options.artifact);
  return async (store: SqlStore, onProblem: (error: unknown) => void): Promise<RouterInForce> => {
    const { dataDir, artifact: baseDir, policy } = options;
    const holder: RouterHolder = { current: base };
    const adopt = async (dir: string | undefined) => {
      holder.current = await load(dir);
    };
    const adoptHash = async (hash: string | null) =>
      adopt(hash === null ? baseDir : await artifactDir(store, dataDir, hash));
    const known = await activeArtifact(store);
    // One that cannot be loaded must not keep the gateway down.
    if (known !== null) await adoptHash(known).catch(onProblem);
    const context = { store, dataDir, candidates, baseDir, policy };
    return {
      holder,
      admin:
        store.lock === null
          ? undefined
          : {
              token: store.lock.token,
              async retrain(body) {
                const { retrain } = await import('./learning/retrain.ts');
                const report = await retrain(context, parseOptions(body));
                if (report.outcome === 'promoted') await adoptHash(report.artifact);
                return report;
              },
              async rollback() {
                const done = await rollback(store);
                await adoptHash(done.to);
                return done;
              },
            },
      watch: (onWatchProblem) => watchPromotions(store, dataDir, adopt, { known, baseDir, onProblem: onWatchProblem }),
    };
  };
}

const RetrainBody = z.strictObject({
  dryRun: z.boolean().optional(),
  minFeedback: z.number().int().nonnegative().optional(),
  maxQualityLoss: z.number().min(0).max(1).optional(),
  seed: z.number().int().optional(),
});

function parseOptions(body: unknown): z.infer<typeof RetrainBody> {
  const parsed = RetrainBody.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError('INVALID_REQUEST', `${issue.path.join('.') || 'body'}: ${issue.message}`);
}
