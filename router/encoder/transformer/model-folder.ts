/**
 * Reads a folder that holds a sentence-embedding model as sentence-transformers lays it out, its network as
 * ONNX: what the network is, how its tokens are pooled, how long a text may be, and which files say so.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { RoutingError } from '../../../datasets/index.ts';
import { PLAIN } from '../../../datasets/plain-issues.ts';
import { POOLINGS, type Pooling } from './pooling.ts';

export interface TransformerModel {
  /** Absolute. */
  readonly folder: string;
  /** The network, relative to the folder. */
  readonly onnx: string;
  /** Every file that decides what an embedding is, relative to the folder, sorted. */
  readonly files: readonly string[];
  /** Longest text in tokens, special ones included. */
  readonly maxTokens: number;
  readonly lowerCase: boolean;
  readonly pooling: readonly Pooling[];
  /** Width of a token's vector by the pooling's config; null: it does not say. */
  readonly width: number | null;
  /** Whether an embedding is scaled to length 1. */
  readonly unitLength: boolean;
  /** Layers after the pooling that only a network with the output `sentence_embedding` has inside. */
  readonly furtherLayers: readonly string[];
  /** What was assumed because the folder does not say it. */
  readonly assumed: readonly string[];
}

const count = z.number().int().positive();
const SentenceConfig = z.looseObject({ max_seq_length: count.nullish(), do_lower_case: z.boolean().nullish() });
// Tokenisers without a limit write 1e30.
const TokenizerConfig = z.looseObject({ model_max_length: z.number().positive().nullish() });
const NetworkConfig = z.looseObject({ max_position_embeddings: count.nullish() });
const Modules = z.array(z.looseObject({ type: z.string(), path: z.string().nullish() }));
const PoolingConfig = z.looseObject({
  word_embedding_dimension: count.nullish(),
  pooling_mode: z.union([z.enum(POOLINGS), z.array(z.enum(POOLINGS))]).nullish(),
  pooling_mode_cls_token: z.boolean().nullish(),
  pooling_mode_max_tokens: z.boolean().nullish(),
  pooling_mode_mean_tokens: z.boolean().nullish(),
  pooling_mode_mean_sqrt_len_tokens: z.boolean().nullish(),
  pooling_mode_weightedmean_tokens: z.boolean().nullish(),
  pooling_mode_lasttoken: z.boolean().nullish(),
});
const Anything = z.looseObject({});

/** No network attends over more tokens than this: a larger limit stands for "none". */
const UNLIMITED = 1_000_000;

/**
 * @throws `MISSING_FILE` naming what is not there and where it should be; `MALFORMED_JSON`;
 *         `INVALID_CONFIG` when a file says what is not known here, or nothing says how long a text may be
 */
export function readModelFolder(path: string): TransformerModel {
  const folder = resolve(path);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new RoutingError('MISSING_FILE', `${folder}: no such folder; a sentence-embedding model should lie there`);
  }
  const onnx = networkOf(folder);
  const files = networkFiles(folder, onnx);
  const read = <T>(name: string, schema: z.ZodType<T>, what?: string): T | undefined => {
    const file = join(folder, name);
    if (!existsSync(file)) {
      if (what === undefined) return undefined;
      throw new RoutingError('MISSING_FILE', `${file}: missing; ${what}`);
    }
    files.push(name);
    return parse(file, schema);
  };
  const tokenizer = 'save the tokeniser there (tokenizer.save_pretrained in Python), or download the model again';
  read('tokenizer.json', Anything, tokenizer);
  const tokens = read('tokenizer_config.json', TokenizerConfig, tokenizer)!;
  const network = read('config.json', NetworkConfig);
  const sentences = sentenceConfigs(folder).map((name) => read(name, SentenceConfig)!)[0];
  const modules = read('modules.json', Modules) ?? [];
  const typeOf = (type: string): string => type.slice(type.lastIndexOf('.') + 1);
  const layer = (type: string) => modules.find((module) => typeOf(module.type) === type);
  const poolingFile = `${layer('Pooling')?.path ?? '1_Pooling'}/config.json`;
  const pooling = read(poolingFile, PoolingConfig);

  const limits = [sentences?.max_seq_length, tokens.model_max_length, network?.max_position_embeddings].filter(
    (limit) => limit != null && limit < UNLIMITED,
  ) as number[];
  if (limits.length === 0) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `${folder}: nothing says how many tokens a text may have; write {"max_seq_length": 256} to sentence_bert_config.json there`,
    );
  }
  const poolings = pooling === undefined ? (['mean'] as const) : poolingsOf(pooling);
  if (poolings.length === 0) {
    throw new RoutingError('INVALID_CONFIG', `${join(folder, poolingFile)}: no way of pooling is set to true`);
  }
  return {
    folder,
    onnx,
    files: files.sort(),
    maxTokens: Math.min(...limits),
    lowerCase: sentences?.do_lower_case === true,
    pooling: poolings,
    width: pooling?.word_embedding_dimension ?? null,
    unitLength: layer('Normalize') !== undefined,
    furtherLayers: modules
      .map(({ type }) => typeOf(type))
      .filter((type) => !['Transformer', 'Pooling', 'Normalize'].includes(type)),
    assumed: pooling === undefined ? [`no ${poolingFile}: the mean of the token vectors is taken`] : [],
  };
}

/** Which of a model's files is its network; undefined: none, or several of equal right. */
export function chooseNetwork(names: readonly string[]): string | undefined {
  const found = names.filter((name) => /^(onnx\/)?[^/]+\.onnx$/.test(name));
  return (
    ['onnx/model.onnx', 'model.onnx'].find((name) => found.includes(name)) ??
    (found.length === 1 ? found[0] : undefined)
  );
}

function networkOf(folder: string): string {
  const inside = existsSync(join(folder, 'onnx'))
    ? readdirSync(join(folder, 'onnx')).map((name) => `onnx/${name}`)
    : [];
  const names = [...readdirSync(folder), ...inside];
  const chosen = chooseNetwork(names);
  if (chosen !== undefined) return chosen;
  const found = names.filter((name) => name.endsWith('.onnx'));
  throw new RoutingError(
    'MISSING_FILE',
    found.length === 0
      ? `${join(folder, 'onnx', 'model.onnx')}: missing, and there is no other .onnx file; export the model to ONNX (optimum-cli export onnx --task feature-extraction)`
      : `${join(folder, 'onnx', 'model.onnx')}: missing, and there are several others (${found.join(', ')}); name the one to use model.onnx`,
  );
}

/** The network and the files beside it that hold its weights, such as `model.onnx_data`. */
function networkFiles(folder: string, onnx: string): string[] {
  const prefix = onnx.slice(0, onnx.length - basename(onnx).length);
  return readdirSync(join(folder, dirname(onnx)))
    .filter((name) => name.startsWith(basename(onnx)))
    .map((name) => `${prefix}${name}`);
}

/** `sentence_bert_config.json`; older models name it after their own architecture. */
const sentenceConfigs = (folder: string): string[] =>
  readdirSync(folder).filter((name) => /^sentence_[\w-]+_config\.json$/.test(name));

function poolingsOf(config: z.infer<typeof PoolingConfig>): Pooling[] {
  const named = [config.pooling_mode ?? []].flat();
  const flags: Record<Pooling, unknown> = {
    cls: config.pooling_mode_cls_token,
    max: config.pooling_mode_max_tokens,
    mean: config.pooling_mode_mean_tokens,
    mean_sqrt_len_tokens: config.pooling_mode_mean_sqrt_len_tokens,
    weightedmean: config.pooling_mode_weightedmean_tokens,
    lasttoken: config.pooling_mode_lasttoken,
  };
  return POOLINGS.filter((pooling) => flags[pooling] === true || named.includes(pooling));
}

function parse<T>(file: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${file}: not JSON; download or save the model again`, { cause });
  }
  const parsed = schema.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError('INVALID_CONFIG', `${[file, ...issue.path].join(': ')}: ${issue.message}`);
}
