/** Retraining as an operation of a running gateway, with options as they come over HTTP. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { usageLines } from '../report/read.ts';
import { UsageRequest } from '../report/rows.ts';
import { logLines } from './log-stream.ts';
import { history, type Promotion, rollback } from './promotions.ts';
import { type LearningContext, type RetrainReport, retrain } from './retrain.ts';

export const RetrainRequest = z.strictObject({
  dryRun: z.boolean().optional(),
  minFeedback: z.number().int().min(1).max(1_000_000).optional(),
  maxQualityLoss: z.number().min(0).max(1).optional(),
  maxUnknown: z.number().min(0).max(1).optional(),
  seed: z.number().int().optional(),
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

export interface RollbackReport {
  readonly from: string;
  /** null: the base. */
  readonly to: string | null;
}

export interface LearningAdmin {
  retrain(options: unknown): Promise<RetrainReport | HistoryReport>;
  rollback(options: unknown): Promise<RollbackReport>;
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
  rollback: () => rollback(context.store),
  async log(options) {
    const { encoderId, usage } = parsed(LogRequest, options);
    return usage === undefined ? logLines(context, encoderId) : usageLines(context.store, usage);
  },
});

function parsed<T>(schema: z.ZodType<T>, options: unknown): T {
  const { success, data, error } = schema.safeParse(options ?? {});
  if (success) return data;
  const issue = error.issues[0]!;
  throw new RoutingError('INVALID_REQUEST', `${issue.path.join('.') || 'options'}: ${issue.message}`);
}

async function historyReport({ store }: LearningContext): Promise<HistoryReport> {
  const rows = await history(store, HISTORY_ROWS);
  return { active: rows.find(({ kind }) => kind !== 'refused')?.artifact ?? null, history: rows };
}
