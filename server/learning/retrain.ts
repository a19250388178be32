/** Log → refitted heads → verdict → perhaps a router on trial or in force. The work of the job `retrain`. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import { defaultArtifactDir, Manifest } from '../../router/artifact/artifact.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { type GatewayConfig, LearningConfig, RolloutConfig } from '../config/index.ts';
import type { SqlStore } from '../db/store.ts';
import { clearAlarmsRaisedBy } from '../drift/alarms.ts';
import { artifactDir, artifactsFolder, keepArtifact, unusablePromotion } from './artifacts.ts';
import type { FitResult } from './fit.ts';
import { type FitMessage, fitInput } from './fit-input.ts';
import { fitInThread } from './fit-thread.ts';
import { type Comparison, DEFAULT_GATE, type GateOptions, type Verdict } from './gate.ts';
import type { LeftOut } from './learnable.ts';
import { activeArtifact, history, type Promotion, promotionOf } from './promotions.ts';
import { beginRollout, type GateSays, wasTurnedDown } from './rollout/begin.ts';
import type { Signing } from './rollout/signing.ts';
import { completeLog } from './whole-log.ts';

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
  /** The key that artifacts are signed with. Default: the data folder’s, or that of the environment. */
  readonly signing?: Signing | undefined;
  /** From what is learned. Default: as the configuration has it where nothing is said. */
  readonly learning?: GatewayConfig['learning'] | undefined;
  /** What becomes of the result. Default: in force if the log shows it to be no worse, else refused. */
  readonly rollout?: GatewayConfig['rollout'] | undefined;
  /** Which are protected. Default: none. */
  readonly teams?: GatewayConfig['teams'] | undefined;
  /** What is learned from, where that is no log of the store: an exported one. */
  readonly log?:
    | {
        fitInput(asked: {
          readonly encoderId: string;
          readonly maxSamples: number;
          readonly hints: boolean;
        }): AsyncIterable<FitMessage>;
      }
    | undefined;
  /** Who computes. Default: a thread of its own. */
  readonly fit?: typeof fitInThread | undefined;
}

export interface RetrainOptions extends Partial<GateOptions> {
  /** Judge, but promote nothing and write nothing down. */
  readonly dryRun?: boolean | undefined;
  readonly seed?: number | undefined;
  /** The encoder, too, from the answers whose prompts are kept. */
  readonly encoder?: boolean | undefined;
}

/** What a retraining is part of, and who watches it. */
export interface RetrainRun {
  /** Its verdict stands once: begun again after it was on record, a job only reads it. */
  readonly jobId?: string | undefined;
  /** Ends it; what is on record by then stays there. */
  readonly signal?: AbortSignal | undefined;
  /** Waited for where a new step begins. @param share of the whole that is done, in [0, 1] */
  readonly step?: ((step: RetrainStep, share: number) => Promise<void>) | undefined;
}

export type RetrainStep = 'reading the log' | 'fitting and comparing' | 'deciding' | 'tidying up';

export interface RetrainReport {
  readonly outcome: 'promoted' | 'refused' | 'on-trial' | 'would-promote' | 'would-refuse' | 'would-try';
  readonly reasons: readonly string[];
  /** Hash of the artifact that was in force. */
  readonly incumbent: string;
  /** Hash of the new one; null unless promoted or on trial. */
  readonly artifact: string | null;
  /** Judged answers learned from; of these, never seen by the incumbent. */
  readonly samples: number;
  readonly unseen: number;
  /** Answers that only a hint speaks of, learned from beside them; absent in verdicts of earlier versions. */
  readonly hints?: number;
  readonly sessions: number;
  /** Teams whose verdicts run against everybody else's, and count a twentieth. */
  readonly contradicting: readonly string[];
  /** How many judged answers each model has, most first. */
  readonly models: readonly { readonly model: string; readonly samples: number; readonly quality: number }[];
  /** Judged answers left out, by reason. */
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  readonly limited: boolean;
  readonly comparison: Comparison | null;
  /** What the gate asked, and what was found. */
  readonly checks: Verdict['checks'];
  readonly power: Verdict['power'];
  readonly decisionTimes: Verdict['decisionTimes'];
  readonly limits: Verdict['limits'];
  readonly gate: GateOptions;
  readonly seed: number;
  /** Newest label learned from, milliseconds since 1970: what the next retraining takes for seen. */
  readonly trainedThrough: number | null;
  readonly seconds: number;
}

const underWay = new WeakSet<SqlStore>();

/**
 * @throws `INVALID_REQUEST` while another one runs that is no job, or where something else came into force meanwhile;
 *         `DATABASE_UNAVAILABLE`, `ARTIFACT_…`, the signal's reason
 */
export async function retrain(
  context: LearningContext,
  options: RetrainOptions = {},
  run: RetrainRun = {},
): Promise<RetrainReport> {
  const { store } = context;
  // Of jobs one runs at a time anyway; a dry run leaves no trace.
  if (run.jobId !== undefined || options.dryRun) return retrainNow(context, options, run);
  if (underWay.has(store)) throw new RoutingError('INVALID_REQUEST', 'a retraining is under way; wait for it to end');
  underWay.add(store);
  try {
    return await retrainNow(context, options, run);
  } finally {
    underWay.delete(store);
  }
}

async function retrainNow(context: LearningContext, options: RetrainOptions, run: RetrainRun): Promise<RetrainReport> {
  const { store, dataDir, signing } = context;
  const { jobId, signal, step = async () => {} } = run;
  const onRecord = jobId === undefined ? null : await promotionOf(store, jobId);
  if (onRecord !== null) return conclude(store, onRecord);
  const { dryRun = false, seed = 1, encoder = false } = options;
  const rollout = context.rollout ?? RolloutConfig.parse({ trialOnInsufficient: false });
  const gate = gateOf(options);
  const started = performance.now();
  const begun = new Date();
  await step('reading the log', 0);
  await completeLog(store, signal);
  const ground = await groundOf(context);
  const { promoted, incumbentDir, baseDir } = ground;
  const { maxSamples, halfLifeDays, hints, maxTeamShare, maxKeyShare } = context.learning ?? LearningConfig.parse({});
  // Where the router in force learned from hints, they tell which sessions it has seen.
  const asked = { encoderId: ground.encoderId, maxSamples, hints: hints || ground.knowsHints };
  await step('fitting and comparing', 0.1);
  const fitting = context.fit ?? fitInThread;
  const fitted = (saveUnder: string) =>
    fitting(
      {
        baseDir,
        incumbentDir,
        encoderDir: context.encoderDir,
        trainedThrough: ground.trainedThrough,
        candidates: context.candidates,
        policy: context.policy ?? {},
        protectedTeams: Object.entries(context.teams ?? {}).flatMap(([name, team]) => (team.protected ? [name] : [])),
        gate,
        seed,
        saveUnder,
        saveUnsure: rollout.trialOnInsufficient,
        encoder,
        learning: { halfLifeDays, hints, maxTeamShare, maxKeyShare },
      },
      context.log === undefined ? fitInput(store, { ...asked, texts: encoder }) : context.log.fitInput(asked),
      { signal, onProgress: (_, share) => void step('fitting and comparing', 0.1 + 0.8 * share).catch(() => {}) },
    );
  const result = await (dryRun ? inScratch(fitted) : fitted(artifactsFolder(dataDir)));
  await step('deciding', 0.9);
  const { says, reasons } = await saidOf(store, result);
  const { checks, power, decisionTimes, limits } = result.verdict;
  const report: RetrainReport = {
    outcome: says === 'promote' ? 'would-promote' : says === 'insufficient' ? 'would-try' : 'would-refuse',
    reasons,
    incumbent: result.incumbent,
    artifact: null,
    samples: result.learned.samples,
    unseen: result.unseen,
    hints: result.learned.hints,
    sessions: result.learned.sessions,
    contradicting: result.learned.contradicting,
    models: result.learned.models,
    leftOut: result.leftOut,
    limited: result.limited,
    comparison: result.comparison,
    checks,
    power,
    decisionTimes,
    limits,
    gate,
    seed,
    trainedThrough: result.learned.trainedThrough,
    seconds: (performance.now() - started) / 1000,
  };
  if (dryRun) return report;
  const artifact = says === 'refuse' ? null : result.saved!.hash;
  if (artifact !== null) {
    // The base too: a later version of this package may ship another one.
    await keepArtifact(store, dataDir, result.base, result.baseDir ?? baseDir, signing);
    await keepArtifact(store, dataDir, artifact, result.saved!.dir, signing);
  }
  signal?.throwIfAborted();
  const row = await beginRollout(
    { store, rollout },
    {
      artifact,
      previous: promoted,
      gate: says,
      mustBeBetter: result.verdict.mustBeBetter,
      verdict: report,
      jobId: jobId ?? null,
    },
  );
  await step('tidying up', 0.99);
  return conclude(store, row, begun);
}

/**
 * Closes the alarms that were raised before the log was read, where the world has been judged as it is now: a trial, or
 * a log that cannot tell, is still to find that out.
 */
async function conclude(store: SqlStore, row: Promotion, begun?: Date): Promise<RetrainReport> {
  const report = reportOf(row);
  const isJudged = report.outcome === 'promoted' || report.checks.some(({ result }) => result === 'failed');
  const readAt = begun ?? new Date(row.createdAt.getTime() - 1000 * report.seconds);
  if (isJudged && report.outcome !== 'on-trial') await clearAlarmsRaisedBy(store, readAt);
  return report;
}

const gateOf = ({ minFeedback, maxQualityLoss, maxUnknown, limits }: RetrainOptions): GateOptions => ({
  minFeedback: minFeedback ?? DEFAULT_GATE.minFeedback,
  maxQualityLoss: maxQualityLoss ?? DEFAULT_GATE.maxQualityLoss,
  maxUnknown: maxUnknown ?? DEFAULT_GATE.maxUnknown,
  ...(limits !== undefined && { limits }),
});

const OUTCOMES: Partial<Record<Promotion['kind'], RetrainReport['outcome']>> = {
  promoted: 'promoted',
  shadow: 'on-trial',
  canary: 'on-trial',
};

/** What a verdict on record says, by the row: that tells what became of it. */
function reportOf({ kind, artifact, trial, verdict }: Promotion): RetrainReport {
  const outcome = OUTCOMES[kind] ?? 'refused';
  return {
    ...(verdict as RetrainReport),
    outcome,
    artifact: outcome === 'promoted' ? artifact : outcome === 'on-trial' ? trial!.artifact : null,
  };
}

interface Ground {
  /** Hash of the promoted artifact in force; null: the base is. */
  readonly promoted: string | null;
  readonly incumbentDir: string;
  readonly baseDir: string;
  readonly encoderId: string;
  readonly trainedThrough: number | null;
  /** Whether the promoted artifact learned from hints. */
  readonly knowsHints: boolean;
}

/** What the new router is fitted from and compared with. */
async function groundOf({ store, dataDir, baseDir: configured, signing }: LearningContext): Promise<Ground> {
  const promoted = await activeArtifact(store);
  const configuredDir = configured ?? defaultArtifactDir();
  const incumbentDir = promoted === null ? configuredDir : await artifactDir(store, dataDir, promoted, signing);
  const manifest = promoted === null ? readManifest(incumbentDir) : manifestOfPromoted(promoted, incumbentDir);
  return {
    promoted,
    incumbentDir,
    baseDir:
      promoted === null
        ? configuredDir
        : await baseOf(manifest, configuredDir, (hash) => artifactDir(store, dataDir, hash, signing)),
    encoderId: manifest.encoder.id,
    ...(promoted === null ? { trainedThrough: null, knowsHints: false } : await learnedFromOf(store, promoted)),
  };
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

/** What the gate says. What was taken back does not return by itself: it takes feedback that was not there then. */
async function saidOf(
  store: SqlStore,
  { verdict, saved }: FitResult,
): Promise<{ says: GateSays; reasons: readonly string[] }> {
  const { kind, reasons } = verdict;
  // What was not made cannot be tried: too few answers to compare at all.
  if (saved === null) return { says: 'refuse', reasons };
  if (!(await wasTurnedDown(store, saved.hash))) return { says: kind, reasons };
  const why = `${saved.hash.slice(0, 12)} was rolled back or turned down; without new feedback it does not return`;
  return { says: 'refuse', reasons: [why] };
}

/**
 * What to start from: never the incumbent, which has learned from this log already. The configured
 * artifact if it has the same encoder (it may be a newer one), else the incumbent's own parent.
 */
async function baseOf(
  { encoder, parent }: Manifest,
  configuredDir: string,
  dirOf: (hash: string) => Promise<string>,
): Promise<string> {
  if (readManifest(configuredDir).encoder.id === encoder.id || parent === null) return configuredDir;
  return dirOf(parent);
}

const StoredVerdict = z.object({ trainedThrough: z.number().nullable(), hints: z.number().default(0) });

/** By the verdict that the artifact came of, whether it came into force at once or by way of a trial. */
async function learnedFromOf(
  store: SqlStore,
  artifact: string,
): Promise<{ trainedThrough: number; knowsHints: boolean }> {
  const rows = await history(store, Number.MAX_SAFE_INTEGER);
  const about = rows.filter(
    (p) => p.trial?.artifact === artifact || (p.kind === 'promoted' && p.artifact === artifact),
  );
  for (const { verdict } of about) {
    const stored = StoredVerdict.safeParse(verdict);
    if (!stored.success || stored.data.trainedThrough === null) continue;
    return { trainedThrough: stored.data.trainedThrough, knowsHints: stored.data.hints > 0 };
  }
  return { trainedThrough: about.at(-1)?.createdAt.getTime() ?? Date.now(), knowsHints: false };
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
