/**
 * A gateway's log with all that judging it needs, and its form over HTTP: one JSON object a line,
 * {@link LogMeta} first, then each {@link LogLine}. Only the process that owns an embedded database can
 * read it, but judging takes seconds of computing, which belong elsewhere.
 */
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { defaultArtifactDir } from '../../router/artifact/artifact.ts';
import type { DecisionFacts } from '../../router/decision.ts';
import { vectorOf } from '../db/schema.ts';
import { activeArtifactDir } from './artifacts.ts';
import type { LeftOut } from './learnable.ts';
import { indexLog, type Log, MOST_SAMPLES, type RankedSample, rankedLines, rankedPages, readLog } from './log.ts';
import { activeArtifact, history } from './promotions.ts';
import type { LearningContext } from './retrain.ts';
import { completeLog } from './whole-log.ts';

export interface InForce {
  /** Hash of the promoted artifact; null: the base. */
  readonly promoted: string | null;
  /** Folder of the artifact in force. */
  readonly artifactDir: string;
  /** Newest label that went into the promoted artifact, milliseconds since 1970; null where that was not written down. */
  readonly trainedThrough: number | null;
}

export interface RankedLog extends Log {
  readonly samples: readonly RankedSample[];
}

/** A log, wherever it is read. */
export interface LogSource {
  inForce(): Promise<InForce>;
  /** The newest judged answers with embeddings of this encoder, oldest first. */
  read(encoderId: string): Promise<RankedLog>;
}

type Context = Pick<LearningContext, 'store' | 'dataDir' | 'baseDir' | 'learning'>;

/** The log of a store that is open in this process. @throws `DATABASE_UNAVAILABLE`, `ARTIFACT_MISSING` */
export const storedLog = (context: Context): LogSource => ({
  inForce: () => inForceOf(context),
  async read(encoderId) {
    await completeLog(context.store);
    const log = await readLog(context.store, encoderId, context.learning?.maxSamples);
    const samples: RankedSample[] = [];
    for await (const page of rankedPages(context.store, log.samples)) samples.push(...page);
    return { ...log, samples };
  },
});

const count = z.int().nonnegative();

/** The first line. */
export const LogMeta = z.object({
  promoted: z.string().nullable(),
  artifactDir: z.string().min(1),
  trainedThrough: z.number().nullable(),
  /** What was read of the log; null where no encoder was named. */
  log: z
    .object({
      /** Lines that follow. */
      samples: count.max(MOST_SAMPLES),
      leftOut: z.object({ notAnswered: count, sandbox: count, notRouted: count, otherEncoder: count } satisfies Record<
        LeftOut,
        typeof count
      >),
      limited: z.boolean(),
    })
    .nullable(),
});
export type LogMeta = z.infer<typeof LogMeta>;

const Embedding = z
  .base64()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine(({ length }) => length > 0 && length % 4 === 0, 'is no float32')
  .transform(vectorOf);

/** Every other line: a {@link RankedSample}, its embedding as base64 of little-endian float32. */
export const LogLine = z.object({
  id: z.string(),
  group: z.string(),
  executed: z.string(),
  sampled: z.string(),
  propensity: z.number(),
  distribution: z.array(z.object({ model: z.string(), probability: z.number() })),
  facts: z.looseObject({ inputTokens: z.number() }).transform((facts) => facts as unknown as DecisionFacts),
  embedding: Embedding,
  quality: z.number(),
  outputTokens: z.number().nullable(),
  costUsd: z.number().nullable(),
  tenant: z.string(),
  key: z.string().nullable(),
  tags: z.array(z.string()),
  createdAt: z.number(),
  explorable: z.boolean(),
  explored: z.boolean(),
  difficulty: z.number().nullable(),
  outOfDomain: z.number().nullable(),
  kind: z.enum(['verdict', 'hint']),
  weight: z.number(),
  auditQuality: z.number().nullable(),
  auditProbability: z.number().nullable(),
  latencyMs: z.number().nullable(),
  firstLabelledAt: z.number(),
  ranked: z.array(
    z.object({
      model: z.string(),
      like: z.string(),
      quality: z.number(),
      qualitySd: z.number(),
      outputTokens: z.number(),
      costUsd: z.number(),
      adequate: z.boolean(),
    }),
  ),
});

/** Rows read at once: some milliseconds, after which other requests get their turn. */
const LINES_AT_ONCE = 100;

/**
 * The log as text, some lines at a time, each ended by `\n`. What is in force and how many rows there are is
 * known before this returns; the rows are read as the text is taken. One that was erased meanwhile is missing then.
 * @param encoderId without it only the first line
 * @throws `DATABASE_UNAVAILABLE`, `ARTIFACT_MISSING`
 */
export async function logLines(context: Context, encoderId?: string): Promise<AsyncIterable<string>> {
  const inForce = await inForceOf(context);
  if (encoderId === undefined) return linesOf(context, { ...inForce, log: null }, '', []);
  await completeLog(context.store);
  const { ids, leftOut, limited } = await indexLog(context.store, encoderId, context.learning?.maxSamples);
  return linesOf(context, { ...inForce, log: { samples: ids.length, leftOut, limited } }, encoderId, ids);
}

async function* linesOf(
  { store }: Context,
  meta: LogMeta,
  encoderId: string,
  ids: readonly string[],
): AsyncGenerator<string> {
  yield `${JSON.stringify(meta)}\n`;
  for (let from = 0; from < ids.length; from += LINES_AT_ONCE) {
    const lines = await rankedLines(store, encoderId, ids.slice(from, from + LINES_AT_ONCE));
    yield lines.map((line) => `${line}\n`).join('');
    await setImmediate();
  }
}

async function inForceOf({ store, dataDir, baseDir = defaultArtifactDir() }: Context): Promise<InForce> {
  const promoted = await activeArtifact(store);
  const artifactDir = resolve((await activeArtifactDir(store, dataDir)) ?? baseDir);
  return { promoted, artifactDir, trainedThrough: promoted === null ? null : await trainedThrough(store, promoted) };
}

const StoredVerdict = z.object({ trainedThrough: z.number() });

async function trainedThrough(store: Context['store'], artifact: string): Promise<number | null> {
  const rows = await history(store, Number.MAX_SAFE_INTEGER);
  const stored = StoredVerdict.safeParse(rows.find((p) => p.kind === 'promoted' && p.artifact === artifact)?.verdict);
  return stored.success ? stored.data.trainedThrough : null;
}
