/** Datasets → an artifact: encoder from texts, heads from outcomes, settings from the calibration part. */
import {
  type Dataset,
  type OutcomeTable,
  outcomeTable,
  type Prompt,
  RoutingError,
  roleOf,
  selectRows,
} from '../../datasets/index.ts';
import type { ArtifactParts } from '../artifact/artifact.ts';
import { hashGroup, textHashes } from '../artifact/trained-on.ts';
import { type NgramWeights, ngramDimension, ngramGraph, openNgramEncoder } from '../encoder/ngram/ngram.ts';
import type { TransformerEncoder } from '../encoder/transformer/transformer.ts';
import { type HeadPredictions, predictHeads } from '../heads/heads.ts';
import { Policy } from '../policy/policy.ts';
import { believedQuality } from '../policy/solve.ts';
import { certify } from './certificate.ts';
import { chooseTolerance } from './choose-tolerance.ts';
import { fitHeads } from './fit-heads.ts';
import { kindOf } from './fit-regions.ts';
import { encodeAll, fitNgramEncoder } from './ngram-encoder.ts';
import { sampleTraffic } from './solve-policy.ts';
import type { WordVectors } from './word-vectors.ts';

export interface TrainOptions {
  readonly seed: number;
  readonly created: Date;
  /** Licence of each dataset by name, for the manifest. */
  readonly licences?: Readonly<Record<string, string>>;
  /** A model that embeds texts already; default: an encoder is learned from the texts. */
  readonly encoder?: TransformerEncoder | undefined;
  /** Word vectors for the encoder that is learned; default: it does without. */
  readonly vectors?: WordVectors | undefined;
  /** Told what is being done, and how far along in [0, 1]. */
  readonly onProgress?: (step: string, share: number) => void;
}

/** What is shipped, and what the certificate is about. */
const RULE = { exploration: 0.02, maxOutOfDomain: 0.5 };

/** ONNX Runtime and the reference must agree this closely on every prompt checked. */
const PARITY = 1e-4;

/**
 * @param datasets already merged; groups are split by {@link roleOf}, whatever the seed
 * @throws `EMPTY_TABLE` when the training part holds no outcomes or no texts
 */
export async function train(dataset: Dataset, options: TrainOptions): Promise<ArtifactParts> {
  const progress = options.onProgress ?? (() => {});
  const table = outcomeTable(dataset);
  const rowsOf = (role: string): number[] =>
    table.prompts.flatMap((p, i) => (!p.contaminated && roleOf(p.groupId) === role ? [i] : []));
  const training = selectRows(table, rowsOf('train'));
  const calibration = selectRows(table, rowsOf('calibration'));
  const proving = selectRows(table, rowsOf('certificate'));
  if (training.prompts.length === 0) {
    throw new RoutingError('EMPTY_TABLE', `${dataset.name}: no prompt falls into the training part; give more data`);
  }

  if (training.prompts.every((p) => p.text.trim() === '')) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${dataset.name}: no prompt has a text, and the encoder is learned from texts; give the data itself, not a replay bundle`,
    );
  }

  const textsOf = (part: OutcomeTable): string[] => part.prompts.map((p) => p.text);
  const encoder = options.encoder
    ? frozen(options.encoder, progress)
    : await learnEncoder(training.prompts, options, progress);
  progress('encoding', 0);
  const z = await encoder.encode(textsOf(training));

  progress('fitting heads', 0);
  const fit = fitHeads(training, z, options.seed, encoder);
  progress('choosing the tolerance on the calibration part', 0);
  const forecast = async (part: OutcomeTable): Promise<{ z: Float32Array; predicted: HeadPredictions }> => {
    const z = await encoder.encode(textsOf(part));
    const predicted = predictHeads(fit.heads, z, part.prompts.length);
    return { z, predicted: { ...predicted, quality: believedQuality(fit.heads, predicted, RULE.maxOutOfDomain) } };
  };
  const calibrated = await forecast(calibration);
  const chosen = chooseTolerance(calibration, calibrated.predicted, training);
  const traffic = sampleTraffic(calibration, calibrated.z, calibrated.predicted, training);
  const certificate = certify(proving, (await forecast(proving)).predicted, training, RULE);
  const round = (x: number): number => Number(x.toFixed(4));

  return {
    encoder: encoder.part,
    heads: fit.heads,
    // What could be proved goes before what is estimated.
    policy: Policy.parse({ tolerance: certificate?.tolerance ?? chosen.tolerance, ...RULE, certificate, traffic }),
    training: {
      seed: options.seed,
      data: summary(dataset, options.licences ?? {}),
      trainedGroupHashes: hashes(training.prompts),
      calibrationGroupHashes: hashes(calibration.prompts),
      certificateGroupHashes: hashes(proving.prompts),
      trainedTextHashes: textHashes(training.prompts, dataset.prompts),
      calibrationTextHashes: textHashes(calibration.prompts, dataset.prompts),
      certificateTextHashes: textHashes(proving.prompts, dataset.prompts),
    },
    metrics: {
      trainingPrompts: training.prompts.length,
      calibrationPrompts: calibration.prompts.length,
      certificatePrompts: proving.prompts.length,
      factorR2OutOfFold: fit.r2.map(round),
      tolerance: chosen.evidence,
    },
    notes: [
      'Trained on public evaluation results: academic English questions, mathematics, code. Chat, other languages and long documents were not in it.',
      'LiveCodeBench outcomes are CC BY-SA 4.0 (livecodebench.github.io); weights derived from them carry that attribution.',
      ...(options.encoder?.assumed ?? []),
    ],
    parent: null,
    created: options.created,
  };
}

/** What heads are fitted over. */
export interface TrainingEncoder {
  /** Its part of the artifact. */
  readonly part: ArtifactParts['encoder'];
  readonly knownCoordinate?: number;
  encode(texts: readonly string[]): Promise<Float32Array>;
}

type Progress = (step: string, share: number) => void;

/** An n-gram encoder from texts and what names their kind; no outcome goes into it. @throws `INTERNAL` */
export async function learnEncoder(
  prompts: readonly Prompt[],
  { seed, vectors }: Pick<TrainOptions, 'seed' | 'vectors'>,
  progress: Progress = () => {},
): Promise<TrainingEncoder> {
  const texts = prompts.map((p) => p.text);
  const step = 'learning n-gram directions from texts';
  progress(step, 0);
  const weights = fitNgramEncoder(texts, {
    seed,
    kinds: prompts.map(kindOf),
    ...(vectors && { vectors }),
    onProgress: (share) => progress(step, share),
  });
  const part = ngramGraph(weights);
  await checkParity(part, weights, texts.slice(0, 50));
  return {
    part,
    knownCoordinate: ngramDimension(weights) - 1,
    encode: async (more) => encodeAll(weights, more),
  };
}

/** A network of millions of weights takes its time: it is told how far it has come every so many texts. */
const TEXTS_AT_A_TIME = 32;

function frozen({ reference, dimension, encode }: TransformerEncoder, progress: Progress): TrainingEncoder {
  return {
    part: reference,
    async encode(texts) {
      const out = new Float32Array(texts.length * dimension);
      for (let at = 0; at < texts.length; at += TEXTS_AT_A_TIME) {
        out.set(await encode(texts.slice(at, at + TEXTS_AT_A_TIME)), at * dimension);
        progress('encoding', Math.min(1, (at + TEXTS_AT_A_TIME) / texts.length));
      }
      return out;
    },
  };
}

function hashes(prompts: readonly { groupId: string }[]): string[] {
  return [...new Set(prompts.map((p) => hashGroup(p.groupId)))].sort();
}

function summary(dataset: Dataset, licences: Readonly<Record<string, string>>): ArtifactParts['training']['data'] {
  const sourceOf = new Map(dataset.prompts.map((p) => [p.id, p.source]));
  return [...new Set(sourceOf.values())].sort().map((name) => {
    const prompts = dataset.prompts.filter((p) => p.source === name);
    return {
      name,
      prompts: prompts.length,
      groups: new Set(prompts.map((p) => p.groupId)).size,
      outcomes: dataset.outcomes.filter((o) => sourceOf.get(o.promptId) === name).length,
      ...(licences[name] !== undefined && { licence: licences[name] }),
    };
  });
}

/** The graph that is shipped must say what the reference says. @throws `INTERNAL` */
async function checkParity(model: Uint8Array, weights: NgramWeights, texts: readonly string[]): Promise<void> {
  const encoder = await openNgramEncoder(model);
  const actual = await encoder.encode(texts);
  const expected = encodeAll(weights, texts);
  expected.forEach((value, at) => {
    if (!(Math.abs(actual[at]! - value) <= PARITY)) {
      throw new RoutingError(
        'INTERNAL',
        `encoder graph and reference differ at dimension ${at % encoder.dimension}: ${actual[at]} and ${value}`,
      );
    }
  });
}
