/** `pointsman bench retrain`: a made-up log of any length, and how long each part of a retraining takes on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { normal, seededRandom } from '../../datasets/index.ts';
import { type Artifact, loadArtifact } from '../../router/artifact/artifact.ts';
import { predictHeads } from '../../router/heads/heads.ts';
import type { RequestFacts } from '../../router/request.ts';
import { LearningConfig } from '../config/loop-schema.ts';
import { insertRows } from '../db/insert.ts';
import type { Entry } from '../db/records.ts';
import { type EncodedRow, encodeRow } from '../db/rows.ts';
import { openStore, type SqlStore } from '../db/store.ts';
import { labelOutcomes } from '../feedback/outcomes.ts';
import { fitInput } from '../learning/fit-input.ts';
import { fitInThread } from '../learning/fit-thread.ts';
import { DEFAULT_GATE } from '../learning/gate.ts';

export interface RetrainBenchOptions {
  readonly decisions: number;
  readonly models: number;
  readonly seed: number;
  /** PostgreSQL, of which the tables are filled; without it an embedded database in a folder of its own. */
  readonly databaseUrl?: string | undefined;
}

export interface RetrainBench {
  readonly decisions: number;
  readonly models: number;
  readonly dimension: number;
  readonly database: SqlStore['kind'];
  readonly stages: readonly Stage[];
  /** How late this thread, which answers requests in a gateway, came to what was due: milliseconds. */
  readonly delay: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly rssMb: number;
  readonly verdict: string;
}

export interface Stage {
  readonly name: string;
  /** By the clock. */
  readonly seconds: number;
  /** Of this process' threads, an embedded database's included: what it takes on one core that nobody else uses. */
  readonly processorSeconds: number;
}

export async function benchRetrain(options: RetrainBenchOptions, say: (text: string) => void): Promise<RetrainBench> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-bench-'));
  const store = await openStore({ databaseUrl: options.databaseUrl, dataDir: join(folder, 'data') });
  try {
    const artifact = await loadArtifact();
    const candidates = candidatesOf(artifact, options.models);
    say(`writing ${options.decisions} decisions`);
    await writeLog(store, artifact, candidates, options);
    say('retraining');
    return await timed(store, artifact, candidates, options, folder);
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function timed(
  store: SqlStore,
  artifact: Artifact,
  candidates: readonly Candidate[],
  { decisions, models, seed }: RetrainBenchOptions,
  folder: string,
): Promise<RetrainBench> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const stages: Stage[] = [];
  let at = performance.now();
  let used = process.cpuUsage();
  const lap = (name: string) => {
    const { user, system } = process.cpuUsage(used);
    stages.push({ name, seconds: (performance.now() - at) / 1000, processorSeconds: (user + system) / 1e6 });
    at = performance.now();
    used = process.cpuUsage();
  };
  const { maxSamples: _, ...learning } = LearningConfig.parse({});
  delays.enable();
  await labelOutcomes(store);
  lap('labelling');
  let fits = 0;
  const result = await fitInThread(
    {
      baseDir: artifact.dir,
      incumbentDir: artifact.dir,
      encoderDir: undefined,
      trainedThrough: null,
      candidates,
      policy: {},
      gate: DEFAULT_GATE,
      seed,
      saveUnder: join(folder, 'artifacts'),
      saveUnsure: true,
      learning,
    },
    fitInput(store, { encoderId: artifact.encoder.id, maxSamples: decisions }),
    { onProgress: () => lap(fits++ === 0 ? 'reading and weighing' : `fit ${fits - 1}`) },
  );
  lap('comparing, judging, saving');
  delays.disable();
  const ms = (nanoseconds: number) => nanoseconds / 1e6;
  return {
    decisions: result.learned.samples,
    models,
    dimension: artifact.heads.dimension,
    database: store.kind,
    stages,
    delay: { p50: ms(delays.percentile(50)), p99: ms(delays.percentile(99)), max: ms(delays.max) },
    rssMb: process.memoryUsage.rss() / 2 ** 20,
    verdict: result.verdict.kind,
  };
}

function candidatesOf({ heads }: Artifact, count: number): Candidate[] {
  return Array.from({ length: count }, (_, j) => ({
    id: `bench/model-${j}`,
    like: heads.modelIds[(j * 7) % heads.modelIds.length]!,
    inputUsdPerMTok: 0.1 * 1.5 ** j,
    outputUsdPerMTok: 0.4 * 1.5 ** j,
    contextTokens: 128_000,
    inputModalities: ['text'],
    tools: true,
    structuredOutput: true,
    reasoning: false,
  }));
}

const AT_ONCE = 1000;
const FACTS: RequestFacts = {
  inputTokens: 100,
  images: 0,
  audio: 0,
  tools: 0,
  responseSchema: false,
  turns: 1,
  chars: 400,
};
/** How far prompts lie from the places that the artifact knows. */
const NOISE = 0.03;
const EXPLORATION = 0.1;
/** Answers that somebody judges. */
const JUDGED = 0.8;

/** Prompts around the artifact's centres; the model forecast to be best, and others by exploration; its forecast comes true. */
async function writeLog(
  store: SqlStore,
  artifact: Artifact,
  candidates: readonly Candidate[],
  { decisions, seed }: RetrainBenchOptions,
): Promise<void> {
  const { heads } = artifact;
  const d = heads.dimension;
  const random = seededRandom(seed);
  const columns = candidates.map(({ like }) => heads.modelIds.indexOf(like!));
  // Not by way of the writer, which puts on disk what the database does not take at once.
  const rows: EncodedRow[] = [];
  const add = ({ decision, attempt, feedback }: Required<Pick<Entry, 'decision' | 'attempt'>> & Entry) => {
    rows.push(encodeRow({ table: 'decisions', row: decision }), encodeRow({ table: 'attempts', row: attempt }));
    if (feedback) rows.push(encodeRow({ table: 'feedback', row: feedback }));
  };
  let judged = 0;
  for (let from = 0; judged < decisions; from += AT_ONCE) {
    const z = Float32Array.from({ length: AT_ONCE * d }, () => NOISE * normal(random));
    for (let i = 0; i < AT_ONCE; i++) {
      const centre = Math.floor(random() * (heads.domain.centres.length / d)) * d;
      for (let a = 0; a < d; a++) z[i * d + a]! += heads.domain.centres[centre + a]!;
    }
    const out = predictHeads(heads, z, AT_ONCE);
    for (let i = 0; i < AT_ONCE && judged < decisions; i++) {
      const quality = columns.map((j) => out.quality[i * heads.modelIds.length + j]!);
      const best = quality.indexOf(Math.max(...quality));
      const explored = random() < EXPLORATION;
      const drawn = explored ? Math.floor(random() * candidates.length) : best;
      const even = EXPLORATION / candidates.length;
      const probability = (j: number) => even + (j === best ? 1 - EXPLORATION : 0);
      const id = `b${String(from + i).padStart(8, '0')}`;
      const model = candidates[drawn]!.id;
      const createdAt = new Date(Date.UTC(2026, 0, 1) + (from + i) * 1000);
      const isJudged = random() < JUDGED;
      if (isJudged) judged++;
      add({
        decision: {
          id,
          createdAt,
          tenant: `team-${(from + i) % 7}`,
          key: null,
          surface: 'chat',
          tags: [],
          session: `s${Math.floor((from + i) / 2)}`,
          requestedModel: 'auto',
          routed: true,
          model,
          executedModel: model,
          reason: 'best',
          propensity: probability(drawn),
          explored,
          floor: 0,
          distribution: candidates.map((c, j) => ({ model: c.id, probability: probability(j) })),
          ranked: candidates.map((c, j) => ({
            model: c.id,
            like: c.like!,
            quality: quality[j]!,
            qualitySd: 0.1,
            outputTokens: 200,
            costUsd: 0.001,
            adequate: true,
          })),
          filtered: [],
          facts: { ...FACTS, chars: 50 + Math.floor(random() * 4000) },
          difficulty: out.difficulty[i]!,
          outOfDomain: out.outOfDomain[i]!,
          artifact: artifact.hash,
          encoderId: artifact.encoder.id,
          embedding: z.slice(i * d, i * d + d),
          priceDate: '2026-01-01',
          baselineModel: null,
          baselineCostUsd: null,
          routerMs: 0.2,
          observed: null,
        },
        attempt: {
          id: `${id}-0`,
          decisionId: id,
          ordinal: 0,
          provider: 'bench',
          model,
          deployment: model,
          purpose: 'answer',
          startedAt: createdAt,
          status: 'ok',
          httpStatus: 200,
          errorCode: null,
          inputTokens: 100,
          cachedInputTokens: 0,
          cacheWriteTokens: null,
          outputTokens: 100 + Math.floor(random() * 400),
          reasoningTokens: null,
          costUsd: 0.0001,
          firstByteMs: 100,
          totalMs: 500,
        },
        ...(isJudged && {
          feedback: {
            id: `${id}-f`,
            decisionId: id,
            score: random() < quality[drawn]! ? 1 : 0,
            source: 'check',
            createdAt,
          },
        }),
      });
    }
    await insertRows(store.db, rows.splice(0));
  }
}
