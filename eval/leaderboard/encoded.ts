/**
 * Embeddings by an encoder that has not read the source: it is fitted on the texts of the other sources, without
 * any group of this one. Where there is no other source it is fitted on the texts of each training part instead.
 */
import type { Dataset, Prompt } from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { kindOf } from '../../router/training/fit-regions.ts';
import { encodeAll, fitNgramEncoder } from '../../router/training/ngram-encoder.ts';
import type { WordVectors } from '../../router/training/word-vectors.ts';
import { readWordVectors, shippedVectors } from '../../router/training/word-vectors-file.ts';

/** Fewer texts than this give no directions worth the name. */
const MIN_TEXTS = 300;

export interface Encoded {
  readonly encoder: Encoder;
  /** The prompts asked for, in their order, each with its embedding. */
  readonly prompts: readonly Prompt[];
}

/** Embeds a task's prompts for a fold whose training rows are given. */
export type Embedder = (prompts: readonly Prompt[], train: readonly number[]) => Promise<Encoded>;

export interface EmbedderChoice {
  readonly embedder: Embedder;
  /** For the page: what the encoder was fitted on. */
  readonly fittedOn: string;
}

/** Word vectors for boards on a source, and what to say of them. */
export interface VectorsChoice {
  readonly vectors: () => Promise<WordVectors>;
  readonly from: string;
}

/** Their text may hold questions of the source, as plain text without answers to learn from: transductive. */
export const SHIPPED_VECTORS: VectorsChoice = {
  vectors: async () => readWordVectors(shippedVectors()),
  from: 'word vectors as shipped, whose text may hold prompts of the source (without outcomes)',
};

/**
 * @param datasets all sources at hand; prompts that their source keeps for tests teach the encoder nothing
 * @param source   the one that is to be ranked on
 */
export function embedderWithout(
  datasets: readonly Dataset[],
  source: Dataset,
  seed: number,
  { vectors, from }: VectorsChoice = SHIPPED_VECTORS,
): EmbedderChoice {
  const carried = source.prompts[0]?.embedding?.length;
  if (carried !== undefined && source.prompts.every((p) => p.embedding?.length === carried)) {
    const encoder: Encoder = { id: 'carried', dimension: carried, encode: () => Promise.reject(new Error('no texts')) };
    return {
      embedder: async (prompts) => ({ encoder, prompts }),
      fittedOn: 'nothing here: the data carries embeddings',
    };
  }
  const own = new Set(source.prompts.map((p) => p.groupId));
  const others = datasets.filter((d) => d !== source);
  const texts = others.flatMap((d) =>
    d.prompts.filter((p) => p.split !== 'test' && p.text.trim() !== '' && !own.has(p.groupId)),
  );
  if (texts.length < MIN_TEXTS) {
    return {
      embedder: async (prompts, train) =>
        encodeBy(
          train.map((i) => prompts[i]!),
          prompts,
          seed,
          await vectors(),
        ),
      fittedOn: `texts of the training part of each split: there is no other source; ${from}`,
    };
  }
  let done: Promise<Encoded> | undefined;
  let doneFor: readonly Prompt[] | undefined;
  return {
    embedder: (prompts) => {
      if (done === undefined || doneFor !== prompts) {
        done = vectors().then((words) => encodeBy(texts, prompts, seed, words));
      }
      doneFor = prompts;
      return done;
    },
    fittedOn: `${texts.length} texts of ${others.map((d) => d.name).join(', ')} without any group of ${source.name}; ${from}`,
  };
}

/** Fits the encoder on `texts` and embeds the prompts. */
async function encodeBy(
  texts: readonly Prompt[],
  prompts: readonly Prompt[],
  seed: number,
  vectors: WordVectors,
): Promise<Encoded> {
  const weights = fitNgramEncoder(
    texts.map((p) => p.text),
    { seed, kinds: texts.map(kindOf), vectors },
  );
  const d = encodeAll(weights, ['']).length;
  const encoder: Encoder = {
    id: 'leaderboard',
    dimension: d,
    knownCoordinate: d - 1,
    encode: async (asked) => encodeAll(weights, asked),
  };
  return { encoder, prompts: prompts.map((p) => ({ ...p, embedding: encodeAll(weights, [p.text]) })) };
}
