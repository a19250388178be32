/**
 * A new encoder from the prompts of the log, where they are kept by choice. Directions and word weights are learned
 * from the texts alone. What the artifact knew of models is carried over by its forecasts for the same prompts: heads
 * over the new encoder are first fitted on them, and then corrected by the log as any others. No outcome goes into
 * the encoder or into those first heads, so that answers can be held out from the heads alone.
 * @see Hinton et al., "Distilling the Knowledge in a Neural Network", 2015
 */
import { existsSync } from 'node:fs';
import type { OutcomeTable, Prompt } from '../../datasets/index.ts';
import type { Artifact } from '../../router/artifact/artifact.ts';
import { type Heads, predictHeads, selectHeads } from '../../router/heads/heads.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { fitHeads } from '../../router/training/fit-heads.ts';
import { learnEncoder } from '../../router/training/train.ts';
import { readWordVectors, shippedVectors } from '../../router/training/word-vectors-file.ts';
import { counted } from '../counted.ts';
import { embeddingsOf, type Sample } from './log.ts';

/** Judged answers with their prompt, at least: an encoder of fewer texts knows hardly a word. */
export const LEAST_WITH_TEXT = 500;
/** Prompts that the artifact's forecasts are carried over by: heads have far fewer numbers than these. */
const MOST_TAUGHT = 10_000;
/** Models whose forecasts are carried over, at least: what all find hard is seen in several. */
const LEAST_TAUGHT_MODELS = 8;

export interface FreshEncoder {
  /** Bytes of `encoder.onnx`. */
  readonly part: Uint8Array;
  /** Over the new encoder, what the artifact's heads say over its own. */
  readonly heads: Heads;
  /** The sample with the new encoder's embedding. */
  readonly renewed: (sample: Sample) => Sample;
}

/** Why no encoder can be learned; null: one can. @param withText judged answers whose prompt is kept */
export function whyNoEncoder(
  { manifest }: Pick<Artifact, 'manifest'>,
  policy: Pick<Policy, 'target' | 'budget'>,
  withText: number,
): string | null {
  if (manifest.encoder.kind !== 'ngram') {
    return 'the encoder in force is a network that was trained elsewhere; only encoders of n-grams are learned from a log';
  }
  if (policy.target !== null || policy.budget !== null) {
    // Such a sample would hold embeddings of single prompts of the operator's users, out of reach of erasing.
    return 'policy.target and policy.budget are solved on a sample of prompts that an encoder of the log’s own prompts does not carry; use dial or tolerance';
  }
  if (withText < LEAST_WITH_TEXT) {
    return `insufficient evidence: ${counted(withText, 'judged answer')} whose prompt is kept, ${LEAST_WITH_TEXT} are needed for an encoder (privacy.mode text or redacted)`;
  }
  return null;
}

/**
 * @param samples each with its prompt in `texts`, by id
 * @param options `likeOf`: the artifact's model on whose row a model of the log starts
 */
export async function fitEncoder(
  base: Artifact,
  samples: readonly Sample[],
  texts: ReadonlyMap<string, string>,
  options: {
    readonly seed: number;
    readonly modelIds: readonly string[];
    readonly likeOf: (modelId: string) => string | undefined;
  },
): Promise<FreshEncoder> {
  const { seed, modelIds, likeOf } = options;
  const prompts = samples.map(
    ({ id, group }): Prompt => ({ id, source: 'log', benchmark: 'log', text: texts.get(id)!, groupId: group }),
  );
  // The shipped words stay: a log does not have the language in it.
  const vectors = existsSync(shippedVectors()) ? { vectors: readWordVectors(shippedVectors()) } : {};
  const encoder = await learnEncoder(prompts, { seed, ...vectors });
  const z = await encoder.encode(prompts.map(({ text }) => text));
  const d = z.length / samples.length;

  const step = Math.ceil(samples.length / MOST_TAUGHT);
  const rows = [...samples.keys()].filter((i) => i % step === 0);
  const taught = selectHeads(base.heads, taughtModels(base.heads, modelIds, likeOf));
  const table = forecastTable(
    taught,
    rows.map((i) => prompts[i]!),
    rows.map((i) => samples[i]!),
  );
  const someZ = new Float32Array(rows.length * d);
  rows.forEach((i, to) => {
    someZ.set(z.subarray(i * d, i * d + d), to * d);
  });
  const { heads } = fitHeads(table, someZ, seed, {
    ...(encoder.knownCoordinate !== undefined && { knownCoordinate: encoder.knownCoordinate }),
  });
  const embedding = new Map(samples.map(({ id }, i) => [id, z.subarray(i * d, i * d + d)]));
  return {
    part: encoder.part as Uint8Array,
    heads,
    renewed: (sample) => ({ ...sample, embedding: embedding.get(sample.id)! }),
  };
}

/** Those that the log's models start on, and others of the artifact where these are few. */
function taughtModels(
  heads: Heads,
  modelIds: readonly string[],
  likeOf: (modelId: string) => string | undefined,
): string[] {
  const ids = new Set(modelIds.map(likeOf).filter((id) => id !== undefined && heads.modelIds.includes(id)) as string[]);
  const step = Math.max(1, Math.floor(heads.modelIds.length / LEAST_TAUGHT_MODELS));
  for (let j = 0; j < heads.modelIds.length && ids.size < LEAST_TAUGHT_MODELS; j += step) ids.add(heads.modelIds[j]!);
  return [...ids].sort();
}

/** What heads forecast for prompts, as if it had been observed. */
function forecastTable(heads: Heads, prompts: readonly Prompt[], samples: readonly Sample[]): OutcomeTable {
  const { quality, outputTokens } = predictHeads(heads, embeddingsOf(samples), samples.length);
  return {
    name: 'log',
    prompts,
    modelIds: heads.modelIds,
    models: {},
    quality,
    outputTokens,
    costUsd: new Float64Array(quality.length).fill(Number.NaN),
    tokensRecorded: true,
  };
}
