/**
 * Finds the sentence-embedding model that somebody named as `transformer:FOLDER` or `transformer:OWNER/NAME`:
 * a folder of this machine, or one on the Hugging Face hub, downloaded once below the data directory.
 */
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { RoutingError } from '../datasets/index.ts';
import { chooseNetwork } from '../router/encoder/transformer/model-folder.ts';
import { type Environment, variable } from './config/index.ts';

export interface EncoderFolderOptions {
  /** Downloads go to `<dataDir>/encoders/OWNER/NAME`. */
  readonly dataDir: string;
  /** `HF_ENDPOINT`: another hub or a mirror; `HF_TOKEN`: for models that are not public. */
  readonly env?: Environment;
  /** Told what is being fetched, and how far along in [0, 1]. */
  readonly onProgress?: (step: string, share: number) => void;
}

/** `OWNER/NAME` or `OWNER/NAME@REVISION`. */
const HUB_ID = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w.-]*))?$/;
const HUB = 'https://huggingface.co';
/** What the hub says of a model. */
const ModelInfo = z.looseObject({ sha: z.string(), siblings: z.array(z.looseObject({ rfilename: z.string() })) });
/** The files besides the network that say how a model embeds; nothing else is fetched. */
const USED = /^(tokenizer|tokenizer_config|config|modules|sentence_[\w-]+_config|[\w-]+\/config)\.json$/;
/** How long the hub may take to say what a model consists of. */
const ANSWER_MS = 30_000;

/**
 * @param named `transformer:FOLDER`, `transformer:OWNER/NAME` or `transformer:OWNER/NAME@REVISION`; a folder comes first
 * @returns the model's folder; what it holds is checked by whoever opens it
 * @throws `INVALID_CONFIG` when it is named otherwise; `MISSING_FILE` when there is neither such a folder nor
 *         such a model on the hub, or the hub cannot be reached
 */
export async function encoderFolder(named: string, options: EncoderFolderOptions): Promise<string> {
  const place = /^transformer:(.+)$/s.exec(named)?.[1];
  if (place === undefined) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `encoder ${named}: write transformer:FOLDER, or transformer:OWNER/NAME for a model of the Hugging Face hub`,
    );
  }
  if (existsSync(place)) return resolve(place);
  const [, id, revision = 'main'] = HUB_ID.exec(place) ?? [];
  if (id === undefined) {
    throw new RoutingError(
      'MISSING_FILE',
      `${resolve(place)}: no such folder; a sentence-embedding model should lie there`,
    );
  }
  const folder = resolve(options.dataDir, 'encoders', ...place.split('/'));
  if (!existsSync(folder)) await download(id, revision, folder, options);
  return folder;
}

/** Complete or not at all: under another name until the last file is there. */
async function download(id: string, revision: string, folder: string, options: EncoderFolderOptions): Promise<void> {
  const { env = process.env, onProgress = () => {} } = options;
  const hub = (variable(env, 'HF_ENDPOINT') || HUB).replace(/\/+$/, '');
  const token = variable(env, 'HF_TOKEN');
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const get = async (path: string, signal?: AbortSignal): Promise<Response> => {
    const response = await fetch(`${hub}/${path}`, { headers, ...(signal && { signal }) }).catch((cause) => {
      throw unreachable(id, hub, cause);
    });
    if (response.ok) return response;
    throw new RoutingError(
      'MISSING_FILE',
      `${hub}/${path} answered ${response.status}: there is no folder ${id} here and no such model there (or it is not public: set HF_TOKEN)`,
    );
  };

  onProgress(`looking for ${id} on ${hub}`, 0);
  const answer = await get(`api/models/${id}/revision/${revision}`, AbortSignal.timeout(ANSWER_MS));
  const info = ModelInfo.safeParse(await answer.json().catch(() => null));
  if (!info.success) {
    throw new RoutingError(
      'MISSING_FILE',
      `${hub} does not describe ${id} as the Hugging Face hub does; check HF_ENDPOINT`,
    );
  }
  const names = info.data.siblings.map(({ rfilename }) => rfilename);
  const network = chooseNetwork(names);
  if (network === undefined) {
    throw new RoutingError(
      'MISSING_FILE',
      `${id} on ${hub} has no onnx/model.onnx; choose a model that has, or export it (optimum-cli export onnx --model ${id} --task feature-extraction FOLDER) and name that folder`,
    );
  }
  const wanted = names.filter((name) => USED.test(name) || isWeights(name, network));
  const partial = `${folder}.${process.pid}.part`;
  try {
    for (const name of wanted) {
      const response = await get(`${id}/resolve/${info.data.sha}/${name}`);
      const file = join(partial, ...name.split('/'));
      mkdirSync(dirname(file), { recursive: true });
      const told = counted(response, (share) => onProgress(`downloading ${name}`, share));
      await pipeline(told, createWriteStream(file)).catch((cause) => {
        throw unreachable(id, hub, cause);
      });
    }
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** The network itself, or a file beside it that holds its weights; never a path that leads elsewhere. */
const isWeights = (name: string, network: string): boolean =>
  name.startsWith(network) && /^[\w.-]*$/.test(name.slice(network.length));

async function* counted(response: Response, tell: (share: number) => void): AsyncGenerator<Uint8Array> {
  const total = Number(response.headers.get('content-length'));
  let seen = 0;
  for await (const piece of Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])) {
    seen += (piece as Uint8Array).length;
    if (total > 0) tell(Math.min(1, seen / total));
    yield piece as Uint8Array;
  }
}

function unreachable(id: string, hub: string, cause: unknown): RoutingError {
  const { cause: inner, message } = cause as { cause?: { code?: string; message?: string }; message: string };
  return new RoutingError(
    'MISSING_FILE',
    `there is no folder ${id} here, and ${hub} cannot be reached (${inner?.code ?? inner?.message ?? message}); ` +
      'offline, fetch the model elsewhere, copy its folder here and name it: transformer:FOLDER',
    { cause },
  );
}
