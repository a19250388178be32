/** Log → refitted heads → verdict → perhaps a promotion. The one place where a router in force is replaced. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';
import { defaultArtifactDir, Manifest } from '../../router/artifact/artifact.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { startWorker } from '../db/start-worker.ts';
import type { SqlStore } from '../db/store.ts';
import { artifactDir, artifactsFolder, keepArtifact, unusablePromotion } from './artifacts.ts';
import type { FitJob, FitResult } from './fit.ts';
import type { FitReply } from './fit-worker.ts';
import { type Comparison, DEFAULT_GATE, type GateOptions, type Verdict } from './gate.ts';
import type { LeftOut } from './learnable.ts';
import { labelOutcomes, readLog, type Sample } from './log.ts';
import { activeArtifact, addPromotion, history } from './promotions.ts';

export interface LearningContext {
  readonly store: SqlStore;
  readonly dataDir: string;
  /** Models that may be chosen; outcomes of others teach, but are not judged. */
  readonly candidates: readonly Candidate[];
  /** Artifact in force while nothing is promoted. Default: the shipped one. */
  readonly baseDir?: string | undefined;
  /** Folder of the transformer that the artifacts were trained over, where it is no longer where it lay then. */
  readonly encoderDir?: string | undefined;
  /** The operator's overrides of the artifact's policy. */
  readonly policy?: Partial<Policy> | undefined;
}

export interface RetrainOptions extends Partial<GateOptions> {
  /** Judge, but promote nothing and write nothing down. */
  readonly dryRun?: boolean | undefined;
  readonly seed?: number | undefined;
}

export interface RetrainReport {
  readonly outcome: 'promoted' | 'refused' | 'would-promote' | 'would-refuse';
  readonly reasons: readonly string[];
  /** Hash of the artifact that was in force. */
  readonly incumbent: string;
  /** Hash of the new one; null unless promoted. */
  readonly artifact: string | null;
  /** Judged answers learned from; of these, never seen by the incumbent. */
  readonly samples: number;
  readonly unseen: number;
  readonly sessions: number;
  /** How many judged answers each model has, most first. */
  readonly models: readonly { readonly model: string; readonly samples: number; readonly quality: number }[];
  /** Judged answers left out, by reason. */
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  readonly limited: boolean;
  readonly comparison: Comparison | null;
  readonly gate: GateOptions;
  readonly seed: number;
  /** Newest label learned from, milliseconds since 1970: what the next retraining takes for seen. */
  readonly trainedThrough: number | null;
  readonly seconds: number;
}

const underWay = new WeakSet<SqlStore>();

/** @throws `INVALID_REQUEST` while another one runs, `DATABASE_UNAVAILABLE`, `ARTIFACT_…` */
export async function retrain(context: LearningContext, options: RetrainOptions = {}): Promise<RetrainReport> {
  const { store } = context;
  if (underWay.has(store)) throw new RoutingError('INVALID_REQUEST', 'a retraining is under way; wait for it to end');
  underWay.add(store);
  try {
    return await retrainNow(context, options);
  } finally {
    underWay.delete(store);
  }
}

async function retrainNow(context: LearningContext, options: RetrainOptions): Promise<RetrainReport> {
  const { store, dataDir, candidates } = context;
  const { dryRun = false, seed = 1 } = options;
  const gate: GateOptions = {
    minFeedback: options.minFeedback ?? DEFAULT_GATE.minFeedback,
    maxQualityLoss: options.maxQualityLoss ?? DEFAULT_GATE.maxQualityLoss,
    maxUnknown: options.maxUnknown ?? DEFAULT_GATE.maxUnknown,
  };
  const started = performance.now();
  await store.flush();
  await labelOutcomes(store);
  const promoted = await activeArtifact(store);
  const configuredDir = context.baseDir ?? defaultArtifactDir();
  const incumbentDir = promoted === null ? configuredDir : await artifactDir(store, dataDir, promoted);
  const manifest = promoted === null ? readManifest(incumbentDir) : manifestOfPromoted(promoted, incumbentDir);
  const baseDir = promoted === null ? configuredDir : await baseOf(store, dataDir, manifest, configuredDir);
  const log = await readLog(store, manifest.encoder.id);
  const trainedThrough = promoted === null ? null : await trainedThroughOf(store, promoted);
  const { encoderDir, policy = {} } = context;
  const job = { baseDir, incumbentDir, encoderDir, trainedThrough, candidates, policy, gate, seed };
  const fitted = (saveUnder: string) => fitInThread({ ...job, samples: log.samples, saveUnder });
  const result = await (dryRun ? inScratch(fitted) : fitted(artifactsFolder(dataDir)));
  const { promote, reasons } = await withoutReturns(store, result);
  const report: RetrainReport = {
    outcome: dryRun ? (promote ? 'would-promote' : 'would-refuse') : promote ? 'promoted' : 'refused',
    reasons,
    incumbent: result.incumbent,
    artifact: promote && !dryRun ? (result.saved?.hash ?? null) : null,
    samples: log.samples.length,
    unseen: result.unseen,
    sessions: new Set(log.samples.map(({ group }) => group)).size,
    models: perModel(log.samples),
    leftOut: log.leftOut,
    limited: log.limited,
    comparison: result.comparison,
    gate,
    seed,
    trainedThrough: log.samples.reduce<number | null>((t, s) => Math.max(t ?? 0, s.firstLabelledAt), null),
    seconds: (performance.now() - started) / 1000,
  };
  if (dryRun) return report;
  if (promote && result.saved !== null) {
    // The base too: a later version of this package may ship another one.
    await keepArtifact(store, dataDir, result.base, baseDir);
    await keepArtifact(store, dataDir, result.saved.hash, result.saved.dir);
  }
  await addPromotion(store, {
    kind: promote ? 'promoted' : 'refused',
    artifact: report.artifact ?? promoted,
    previous: promoted,
    verdict: report,
  });
  return report;
}

/** A dry run makes the artifact too: its hash tells whether it is one that was rolled back. */
async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-dry-run-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What somebody rolled back does not return by itself: it takes feedback that was not there then. */
async function withoutReturns(store: SqlStore, { verdict, saved }: FitResult): Promise<Verdict> {
  if (saved === null) return verdict;
  const rows = await history(store, Number.MAX_SAFE_INTEGER);
  if (!rows.some(({ kind, previous }) => kind === 'rolled-back' && previous === saved.hash)) return verdict;
  return {
    promote: false,
    reasons: [`${saved.hash.slice(0, 12)} was rolled back; without new feedback it does not return`],
  };
}

/**
 * What to start from: never the incumbent, which has learned from this log already. The configured
 * artifact if it has the same encoder (it may be a newer one), else the incumbent's own parent.
 */
async function baseOf(
  store: SqlStore,
  dataDir: string,
  { encoder, parent }: Manifest,
  configuredDir: string,
): Promise<string> {
  if (readManifest(configuredDir).encoder.id === encoder.id || parent === null) return configuredDir;
  return artifactDir(store, dataDir, parent);
}

const StoredVerdict = z.object({ trainedThrough: z.number().nullable() });

async function trainedThroughOf(store: SqlStore, artifact: string): Promise<number> {
  const rows = await history(store, Number.MAX_SAFE_INTEGER);
  const row = rows.find((p) => p.kind === 'promoted' && p.artifact === artifact);
  const stored = StoredVerdict.safeParse(row?.verdict);
  return (stored.success ? stored.data.trainedThrough : null) ?? row?.createdAt.getTime() ?? Date.now();
}

function readManifest(dir: string): Manifest {
  const path = join(dir, 'manifest.json');
  if (!existsSync(path)) throw new RoutingError('ARTIFACT_MISSING', `${dir}: no router artifact there`);
  try {
    return Manifest.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new RoutingError('ARTIFACT_DAMAGED', `${path}: not a manifest of this version`, { cause });
  }
}

function manifestOfPromoted(hash: string, dir: string): Manifest {
  try {
    return readManifest(dir);
  } catch (error) {
    throw unusablePromotion(hash, error);
  }
}

function perModel(samples: readonly Sample[]): RetrainReport['models'] {
  const models = new Map<string, { samples: number; sum: number }>();
  for (const { executed, quality } of samples) {
    const entry = models.get(executed) ?? { samples: 0, sum: 0 };
    models.set(executed, { samples: entry.samples + 1, sum: entry.sum + quality });
  }
  return [...models]
    .map(([model, entry]) => ({ model, samples: entry.samples, quality: entry.sum / entry.samples }))
    .sort((a, b) => b.samples - a.samples || (a.model < b.model ? -1 : 1));
}

function fitInThread(job: FitJob): Promise<FitResult> {
  return new Promise((resolve, reject) => {
    const worker = startWorker(import.meta.url, './fit-worker', { workerData: job });
    worker.on('message', ({ result, error }: FitReply) => {
      if (result) resolve(result);
      else reject(new RoutingError((error?.code ?? 'INTERNAL') as ErrorCode, error?.message ?? 'fitting failed'));
    });
    worker.on('error', (cause) => reject(new RoutingError('INTERNAL', `fitting failed: ${cause.message}`, { cause })));
    worker.on('exit', () => reject(new RoutingError('INTERNAL', 'fitting ended without a result')));
  });
}
