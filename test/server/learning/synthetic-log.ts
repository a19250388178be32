/**
 * Logs as a gateway would write them, of a world whose truth is known: prompts are embeddings around
 * the shipped encoder's, models succeed by a rule of the test's, the shipped router (with exploration) chooses.
 */

import type { Candidate } from '../../../datasets/catalog/candidate.ts';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { type Artifact, loadArtifact } from '../../../router/artifact/artifact.ts';
import { predictHeads } from '../../../router/heads/heads.ts';
import { type CandidatePrediction, decide } from '../../../router/policy/decide.ts';
import type { Policy } from '../../../router/policy/policy.ts';
import type { RequestFacts } from '../../../router/request.ts';
import type { AttemptRecord, DecisionRecord, FeedbackRecord } from '../../../server/db/store.ts';

/** Two models that stand for measured ones: the cheap one is really better or worse than it is taken for. */
export const candidates: readonly Candidate[] = [
  model('lab/cheap', 'meta-llama/llama-3.1-8b-instruct', 0.1),
  model('lab/middle', 'openai/gpt-4o-mini-2024-07-18', 1),
  model('lab/dear', 'openai/o3-mini-2025-01-31-high', 10),
];

function model(id: string, like: string, usd: number): Candidate {
  return {
    id,
    like,
    inputUsdPerMTok: usd,
    outputUsdPerMTok: 4 * usd,
    contextTokens: 128_000,
    inputModalities: ['text'],
    tools: true,
    structuredOutput: true,
    reasoning: false,
  };
}

export interface World {
  readonly seed: number;
  readonly decisions: number;
  readonly policy?: Partial<Policy>;
  /** Probability that this model's answer is good, given what the artifact predicts for it; u is uniform, fixed per prompt. */
  readonly truth: (model: string, predicted: number, u: number) => number;
  /** Decisions of one session; default 2. */
  readonly perSession?: number;
  readonly idPrefix?: string;
  /** Default: the shipped router, {@link candidates} and made-up sentences. */
  readonly base?: Base;
}

/** A router and what it chooses from. */
export interface Base {
  readonly dir: string;
  readonly candidates: readonly Candidate[];
  /** What is asked, in turn. */
  readonly texts: readonly string[];
}

export interface Entry {
  readonly decision: DecisionRecord;
  readonly attempt: AttemptRecord;
  readonly feedback: FeedbackRecord;
}

export async function logOf(world: World): Promise<{ entries: Entry[]; artifact: Artifact }> {
  const { base } = world;
  const artifact = await loadArtifact(base?.dir);
  const { heads, encoder } = artifact;
  const random = seededRandom(world.seed);
  const d = heads.dimension;
  const policy: Policy = { ...artifact.policy, exploration: 0.3, tolerance: 0.1, ...world.policy };
  const entries: Entry[] = [];
  const prefix = world.idPrefix ?? 'd';
  for (let i = 0; i < world.decisions; i++) {
    // A prompt like those trained on: real text through the real encoder, then a little noise.
    const z = await encoder.encode([base === undefined ? sentence(random) : base.texts[i % base.texts.length]!]);
    for (let a = 0; a < d; a++) z[a]! += 0.02 * normal(random);
    const out = predictHeads(heads, z, 1);
    const facts: RequestFacts = {
      inputTokens: 100,
      images: 0,
      audio: 0,
      tools: 0,
      responseSchema: false,
      turns: 1,
      chars: 400,
    };
    const predictions = (base?.candidates ?? candidates).map((candidate): CandidatePrediction => {
      const j = heads.modelIds.indexOf(candidate.like!);
      return {
        candidate,
        like: candidate.like!,
        quality: out.quality[j]!,
        qualitySd: out.qualitySd[j]!,
        meanQuality: out.quality[j]!,
        outputTokens: out.outputTokens[j]!,
      };
    });
    const choice = decide(predictions, facts, policy, out.outOfDomain[0]!, random());
    const predicted = predictions.find((p) => p.candidate.id === choice.model)!.quality;
    const good = random() < world.truth(choice.model, predicted, random());
    const id = `${prefix}${String(i).padStart(5, '0')}`;
    const createdAt = new Date(Date.UTC(2026, 0, 1) + i * 1000);
    entries.push({
      decision: {
        id,
        createdAt,
        tenant: 'default',
        key: null,
        surface: 'chat',
        tags: [],
        session: `${prefix}s${Math.floor(i / (world.perSession ?? 2))}`,
        requestedModel: 'auto',
        routed: true,
        model: choice.model,
        executedModel: choice.model,
        reason: choice.reason,
        propensity: choice.propensity,
        explored: choice.explored,
        floor: choice.floor,
        distribution: choice.ranked.map(({ model }, k) => ({ model, probability: choice.distribution[k]! })),
        ranked: [...choice.ranked],
        filtered: [],
        facts,
        difficulty: out.difficulty[0]!,
        outOfDomain: out.outOfDomain[0]!,
        artifact: artifact.hash,
        encoderId: encoder.id,
        embedding: z,
        priceDate: '2026-11-20',
        baselineModel: 'lab/dear',
        baselineCostUsd: 0.001,
        routerMs: 0.2,
        observed: null,
      },
      attempt: {
        id: `${id}-0`,
        decisionId: id,
        ordinal: 0,
        provider: 'lab',
        model: choice.model,
        deployment: choice.model,
        purpose: 'answer',
        startedAt: createdAt,
        status: 'ok',
        httpStatus: 200,
        errorCode: null,
        inputTokens: 100,
        cachedInputTokens: 0,
        cacheWriteTokens: null,
        outputTokens: 200,
        reasoningTokens: null,
        costUsd: 0.0001,
        firstByteMs: 100,
        totalMs: 500,
      },
      feedback: { id: `${id}-f`, decisionId: id, score: good ? 1 : 0, source: 'check', createdAt },
    });
  }
  return { entries, artifact };
}

const SUBJECTS = ['integral', 'contract', 'enzyme', 'sorting algorithm', 'treaty', 'market', 'proof', 'circuit'];
const ASKS = ['Explain', 'Which of these describes', 'Compute', 'Write a function for', 'Compare', 'Is it true that'];

function sentence(random: () => number): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  return `${pick(ASKS)} the ${pick(SUBJECTS)} number ${Math.floor(random() * 1000)} with regard to the ${pick(SUBJECTS)}?`;
}
