/** Runs one sentence-embedding model in a thread of its own: text → tokens → network → pooled embedding. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxRuntime } from '../../onnx/session.ts';
import type { TransformerModel } from './model-folder.ts';
import { normalise, pool } from './pooling.ts';

type Encode = (text: string) => Promise<Float32Array>;

let opened: Promise<Encode> | undefined;

/** @returns the embedding, or no numbers at all for a text without tokens. Errors lose their class on the way. */
export default async function encode(text: string): Promise<Float32Array> {
  opened ??= open(workerData as TransformerModel);
  return (await opened)(text);
}

async function open(model: TransformerModel): Promise<Encode> {
  const tokenise = await openTokeniser(model);
  const ort = await onnxRuntime();
  const path = join(model.folder, model.onnx);
  // By path: weights over 2 GB lie in files beside it. Some cores are left to whoever waits for the embedding.
  const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: Math.max(1, Math.min(4, availableParallelism() - 1)),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }).catch((cause) => {
    throw new Error(`${path}: not a network that ONNX Runtime can load (${(cause as Error).message})`);
  });
  const inputs = session.inputMetadata.map(({ name, ...more }) => {
    const values = INPUTS[name];
    if (values === undefined) {
      throw new Error(
        `${path}: wants an input ${name}, known are ${Object.keys(INPUTS).join(', ')}; export it for feature extraction`,
      );
    }
    return { name, values, type: 'type' in more ? more.type : 'int64' };
  });

  return async (text) => {
    const ids = tokenise(text);
    if (ids.length === 0) return new Float32Array(0);
    const feeds: Record<string, Tensor> = {};
    for (const { name, values, type } of inputs) {
      const data = values(ids);
      const dims = [1, ids.length];
      feeds[name] =
        type === 'int32'
          ? new ort.Tensor('int32', Int32Array.from(data), dims)
          : new ort.Tensor('int64', BigInt64Array.from(data, BigInt), dims);
    }
    const results = await session.run(feeds).catch((cause) => {
      throw new Error(`${path}: fails on ${ids.length} tokens (${(cause as Error).message})`);
    });
    return embeddingOf(results, model, path);
  };
}

/** What the networks of encoders ask for, from the ids of one text without padding. */
const INPUTS: Readonly<Record<string, (ids: readonly number[]) => number[]>> = {
  input_ids: (ids) => [...ids],
  attention_mask: (ids) => ids.map(() => 1),
  token_type_ids: (ids) => ids.map(() => 0),
  position_ids: (ids) => ids.map((_, i) => i),
};

async function openTokeniser(model: TransformerModel): Promise<(text: string) => number[]> {
  // Everything lies in the folder; nothing is ever fetched from here.
  const { AutoTokenizer, env, LogLevel } = await import('@xenova/transformers');
  env.allowRemoteModels = false;
  env.logLevel = LogLevel.ERROR;
  const tokenizer = await AutoTokenizer.from_pretrained(model.folder, { local_files_only: true }).catch((cause) => {
    throw new Error(
      `${join(model.folder, 'tokenizer.json')}: no tokeniser can be made of it (${(cause as Error).message})`,
    );
  });
  const head = Math.ceil(model.maxTokens / 2);
  const tail = model.maxTokens - head;
  return (text) => {
    const ids = tokenizer.encode(model.lowerCase ? text.toLowerCase() : text);
    // Head and tail, the special tokens at both ends among them: a prompt often asks at its end.
    return ids.length <= model.maxTokens ? ids : [...ids.slice(0, head), ...ids.slice(ids.length - tail)];
  };
}

function embeddingOf(results: InferenceSession.OnnxValueMapType, model: TransformerModel, path: string): Float32Array {
  const outputs = Object.entries(results) as [string, Tensor][];
  const whole = outputs.find(([name]) => name === 'sentence_embedding');
  const [name, tensor] =
    whole ??
    outputs.find(([name]) => name === 'last_hidden_state' || name === 'token_embeddings') ??
    outputs.find(([, { dims }]) => dims.length === 3) ??
    outputs.find(([, { dims }]) => dims.length === 2) ??
    [];
  if (tensor === undefined)
    throw new Error(`${path}: none of its outputs is an embedding; export it for feature extraction`);
  if (whole === undefined && model.furtherLayers.length > 0) {
    throw new Error(
      `${path}: the model has a layer after pooling (${model.furtherLayers.join(', ')}) that this export leaves out; export it with the output sentence_embedding`,
    );
  }
  const data = tensor.data;
  if (!(data instanceof Float32Array)) {
    throw new Error(`${path}: output ${name} is ${tensor.type}; use an export whose outputs are float32`);
  }
  const width = tensor.dims.at(-1)!;
  if (tensor.dims.length === 3 && model.width !== null && model.width !== width) {
    throw new Error(
      `${path}: its token vectors have ${width} numbers, the pooling's config says ${model.width}; the files are of two models`,
    );
  }
  const z = tensor.dims.length === 3 ? pool(data, width, model.pooling) : data.slice();
  if (!z.every(Number.isFinite)) throw new Error(`${path}: its embedding holds numbers that are not finite`);
  return model.unitLength ? normalise(z) : z;
}
