/**
 * Any sentence-embedding model as an encoder: tokens by @xenova/transformers, the network by ONNX Runtime,
 * pooled as its config says, in a thread of its own so that whoever serves requests meanwhile goes on.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Piscina } from 'piscina';
import { RoutingError } from '../../../datasets/index.ts';
import { onnxRuntime } from '../../onnx/session.ts';
import { promptText } from '../../request.ts';
import { canonicalText } from '../canonical-text.ts';
import type { Encoder } from '../encoder.ts';
import { readModelFolder, type TransformerModel } from './model-folder.ts';
import type { TransformerReference } from './reference.ts';

export interface TransformerEncoder extends Encoder {
  /** What an artifact over this encoder keeps of it. */
  readonly reference: TransformerReference;
  /** What was assumed where the model's files say nothing. */
  readonly assumed: readonly string[];
  close(): Promise<void>;
}

/**
 * Opens a model to train over: runs it once, to see that it does.
 * @throws what {@link readModelFolder} throws; `ARTIFACT_DAMAGED` when tokeniser or network cannot be used
 */
export async function openTransformerEncoder(folder: string): Promise<TransformerEncoder> {
  const model = readModelFolder(folder);
  const files = await hashFiles(model);
  const thread = startThread(model);
  try {
    const dimension = (await thread.encode('text')).length;
    const reference = { kind: 'transformer' as const, id: idOf(files), dimension, folder: model.folder, files };
    return encoderOf(thread, reference, model.assumed);
  } catch (error) {
    await thread.close();
    throw error;
  }
}

/**
 * Opens the model that an artifact was trained over. Its files are checked now; it is loaded at the first text.
 * @param folder where it lies now; default: where it lay then
 * @throws `ARTIFACT_MISSING` when the model is not there, `ARTIFACT_MISMATCH` when it is another one
 */
export async function reopenTransformerEncoder(
  reference: TransformerReference,
  folder: string = reference.folder,
): Promise<TransformerEncoder> {
  const there = resolve(folder);
  const remedy = `put the model of this router there (${reference.id}), or name its folder as encoder in the configuration`;
  let model: TransformerModel;
  try {
    model = readModelFolder(there);
  } catch (error) {
    if (!(error instanceof RoutingError) || error.code !== 'MISSING_FILE') throw error;
    throw new RoutingError('ARTIFACT_MISSING', `${error.message.split(';')[0]}; ${remedy}`, { cause: error });
  }
  const files = await hashFiles(model);
  const names = new Set([...Object.keys(reference.files), ...Object.keys(files)]);
  const other = [...names].find((name) => files[name] !== reference.files[name]);
  if (other !== undefined) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `${join(there, other)}: not the file that the heads were trained over; ${remedy}`,
    );
  }
  return encoderOf(startThread(model), reference, model.assumed);
}

function encoderOf(thread: Thread, reference: TransformerReference, assumed: readonly string[]): TransformerEncoder {
  const { id, dimension } = reference;
  return {
    id,
    dimension,
    reference,
    assumed,
    async encode(texts) {
      const out = new Float32Array(texts.length * dimension);
      const embeddings = await Promise.all(texts.map((text) => thread.encode(text)));
      embeddings.forEach((z, i) => {
        // A text without tokens is nothing: zeros.
        if (z.length !== dimension && z.length !== 0) {
          throw new RoutingError(
            'ARTIFACT_MISMATCH',
            `encoder ${id} makes embeddings of ${z.length} numbers, the heads were trained on ${dimension}; train again`,
          );
        }
        out.set(z, i * dimension);
      });
      return out;
    },
    close: thread.close,
  };
}

interface Thread {
  encode(text: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Starts at the first text. Closing frees it when what was asked is answered; a later text starts it anew. */
function startThread(model: TransformerModel): Thread {
  let pool: Piscina | undefined;
  return {
    async encode(text) {
      if (pool === undefined) {
        // What keeps the runtime from reporting its usage must be set in this thread: the other one has a copy.
        await onnxRuntime();
        pool ??= newPool(model);
      }
      try {
        return (await pool.run(canonicalText(promptText(text).normalize('NFKC')))) as Float32Array;
      } catch (cause) {
        throw new RoutingError('ARTIFACT_DAMAGED', (cause as Error).message, { cause });
      }
    },
    async close() {
      const closing = pool;
      pool = undefined;
      await closing?.close();
    },
  };
}

function newPool(model: TransformerModel): Piscina {
  const pool = new Piscina({
    ...threadModule(),
    workerData: model,
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
  // A thread that dies fails the texts it was given; with none, the next text gets a new thread.
  pool.on('error', () => {});
  return pool;
}

/** The thread's module, from TypeScript sources as from dist; tsx does not reach into threads by itself. */
const threadModule = () =>
  import.meta.url.endsWith('.ts')
    ? { filename: fileURLToPath(new URL('./thread.ts', import.meta.url)), execArgv: ['--import', registerTsx()] }
    : { filename: fileURLToPath(new URL('./thread.js', import.meta.url)), execArgv: [] };

function registerTsx(): string {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const api = new URL('./dist/esm/api/index.mjs', tsx).href;
  return `data:text/javascript,import{register}from${JSON.stringify(api)};register();`;
}

/** Names an encoder by its content: every file that decides what an embedding is. */
const idOf = (files: TransformerReference['files']): string => {
  const lines = Object.entries(files).map(([name, hash]) => `${hash}  ${name}\n`);
  return `transformer-${createHash('sha256').update(lines.sort().join('')).digest('hex').slice(0, 16)}`;
};

async function hashFiles({ folder, files }: TransformerModel): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of files) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, name)), hash);
    hashes[name] = hash.digest('hex');
  }
  return hashes;
}
