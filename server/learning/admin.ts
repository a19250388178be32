/** Retraining as an operation of a running gateway, with options as they come over HTTP. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN, plainPath } from '../../datasets/plain-issues.ts';
import { usageLines } from '../report/read.ts';
import { UsageRequest } from '../report/rows.ts';
import { trustArtifact } from './artifacts.ts';
import { JobOptions } from './jobs/learning.ts';
import { logLines } from './log-stream.ts';
import { activeArtifact, history, type Promotion, rollback, stopTrial, type TakenBack } from './promotions.ts';
import { type LearningContext, type RetrainReport, retrain } from './retrain.ts';

export const RetrainRequest = JobOptions.extend({
  dryRun: z.boolean().optional(),
  /** Only report what happened so far. */
  historyOnly: z.boolean().optional(),
});
export type RetrainRequest = z.infer<typeof RetrainRequest>;

export const LogRequest = z.strictObject({
  /** Encoder of the embeddings asked for; without it only what is in force is told. */
  encoderId: z.string().min(1).max(500).optional(),
  /** Instead of judged answers: every request with its calls, for `pointsman report`. */
  usage: UsageRequest.optional(),
});

export interface HistoryReport {
  /** Hash of the artifact in force; null: the base. */
  readonly active: string | null;
  readonly history: readonly Promotion[];
}

export const RollbackRequest = z.strictObject({
  /** Only end the trial that is under way; what is in force stays. */
  stop: z.boolean().optional(),
});

export type RollbackReport = TakenBack;

export const TrustRequest = z.strictObject({
  /** Of an artifact on this disk, or in the database. */
  hash: z.string().min(1).max(100),
});

export interface TrustReport {
  readonly trusted: string;
}

export interface LearningAdmin {
  retrain(options: unknown): Promise<RetrainReport | HistoryReport>;
  rollback(options: unknown): Promise<RollbackReport>;
  /** Signs an artifact that the operator vouches for. */
  trust(options: unknown): Promise<TrustReport>;
}

export interface LogAdmin {
  /** Lines of JSON, as {@link logLines} gives them. */
  log(options: unknown): Promise<AsyncIterable<string>>;
}

const HISTORY_ROWS = 50;

/** @throws `INVALID_REQUEST` for options that are none, and what {@link retrain}, {@link rollback} and {@link logLines} throw */
export const learningAdmin = (context: LearningContext): LearningAdmin & LogAdmin => ({
  async retrain(options) {
    const { historyOnly, ...rest } = parsed(RetrainRequest, options);
    return historyOnly ? historyReport(context) : retrain(context, rest);
  },
  async rollback(options) {
    const { stop } = parsed(RollbackRequest, options);
    return stop ? stopTrial(context.store) : rollback(context.store);
  },
  async trust(options) {
    const { hash } = parsed(TrustRequest, options);
    const { store, dataDir, encoderDir, signing } = context;
    await trustArtifact(store, dataDir, hash, { encoderDir }, signing);
    return { trusted: hash };
  },
  async log(options) {
    const { encoderId, usage } = parsed(LogRequest, options);
    return usage === undefined ? logLines(context, encoderId) : usageLines(context.store, usage);
  },
});

function parsed<T>(schema: z.ZodType<T>, options: unknown): T {
  const { success, data, error } = schema.safeParse(options ?? {}, PLAIN);
  if (success) return data;
  const issue = error.issues[0]!;
  throw new RoutingError('INVALID_REQUEST', `${plainPath(issue.path) || 'options'}: ${issue.message}`);
}

async function historyReport({ store }: LearningContext): Promise<HistoryReport> {
  return { active: await activeArtifact(store), history: await history(store, HISTORY_ROWS) };
}
