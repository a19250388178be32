/** A sentence-embedding model small enough to work out by hand: a token's vector is its row of a table. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Dataset, seededRandom } from '../../../../datasets/index.ts';
import { GraphBuilder } from '../../../../router/onnx/graph.ts';

const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'what', 'is', 'plus', 'two', 'three', 'sum', '?'];

/** Row of each word: [CLS] 1 0 0, [SEP] 0 1 0, the others 0 0 and their id; what is unknown −1 0 0. */
export const TABLE: Readonly<Record<string, readonly number[]>> = Object.fromEntries(
  WORDS.map((word, id) => [word, { '[CLS]': [1, 0, 0], '[SEP]': [0, 1, 0], '[UNK]': [-1, 0, 0] }[word] ?? [0, 0, id]]),
);

export interface TinyModel {
  /** Table rows by word, all of one width; default: {@link TABLE}. */
  readonly table?: Readonly<Record<string, readonly number[]>>;
  readonly pooling?: Readonly<Record<string, unknown>> | null;
  readonly modules?: readonly string[];
  /** null: no file says it. */
  readonly maxTokens?: number | null;
  /** Default: `last_hidden_state`; `sentence_embedding` gives the mean, [1, width]. */
  readonly output?: string;
  /** One more input that the network asks for. */
  readonly extraInput?: string;
  /** Matrix products of 600 × 600 that the network computes for nothing. */
  readonly toil?: number;
}

/** Writes the model to `folder`, in the layout of sentence-transformers. */
export function writeTinyModel(folder: string, model: TinyModel = {}): string {
  const { table = TABLE, pooling = { pooling_mode_mean_tokens: true }, modules, maxTokens = 16 } = model;
  const files: Record<string, string | Uint8Array> = {
    'onnx/model.onnx': network(table, model),
    'tokenizer.json': JSON.stringify(TOKENIZER),
    'tokenizer_config.json': JSON.stringify({ tokenizer_class: 'BertTokenizer', model_max_length: 1e30 }),
    'config.json': JSON.stringify({ model_type: 'bert' }),
  };
  if (maxTokens !== null) files['sentence_bert_config.json'] = JSON.stringify({ max_seq_length: maxTokens });
  if (pooling !== null) files['1_Pooling/config.json'] = JSON.stringify(pooling);
  if (modules !== undefined) {
    const type = (name: string): string => `sentence_transformers.models.${name}`;
    const path = (name: string, idx: number): string => (name === 'Transformer' ? '' : `${idx}_${name}`);
    files['modules.json'] = JSON.stringify(
      modules.map((name, idx) => ({ idx, path: path(name, idx), type: type(name) })),
    );
  }
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** input_ids, attention_mask [B, L] → rows of the table [B, L, width], or their mean over the mask [B, width]. */
function network(table: NonNullable<TinyModel['table']>, model: TinyModel): Uint8Array {
  const { output = 'last_hidden_state', extraInput, toil = 0 } = model;
  const rows = WORDS.map((word) => table[word]!);
  const width = rows[0]!.length;
  const g = new GraphBuilder('tiny-bert');
  const ids = g.input('input_ids', 'int64', ['B', 'L']);
  const mask = g.input('attention_mask', 'int64', ['B', 'L']);
  if (extraInput !== undefined) g.input(extraInput, 'int64', ['B', 'L']);
  const on = g.op('Unsqueeze', [g.op('Cast', [mask], { to: 1 }), g.constant(BigInt64Array.of(2n), [1])]);
  const gathered = g.op('Gather', [g.constant(Float32Array.from(rows.flat()), [rows.length, width]), ids]);
  let hidden = g.op('Mul', [gathered, on]);
  if (toil > 0) {
    const size = 600;
    const matrix = g.constant(new Float32Array(size * size).fill(1 / size), [size, size]);
    // Depends on the input, or it would be computed once, at loading.
    let product = g.op('Add', [matrix, g.op('ReduceSum', [hidden], { keepdims: 0 })]);
    for (let i = 0; i < toil; i++) product = g.op('MatMul', [product, matrix]);
    hidden = g.op('Add', [hidden, g.op('Mul', [g.op('ReduceSum', [product], { keepdims: 0 }), g.scalar(0)])]);
  }
  if (output === 'sentence_embedding') {
    const axis = g.constant(BigInt64Array.of(1n), [1]);
    const sum = g.op('ReduceSum', [hidden, axis], { keepdims: 0 });
    g.output(output, g.op('Div', [sum, g.op('ReduceSum', [on, axis], { keepdims: 0 })]), ['B', width]);
  } else {
    g.output(output, hidden, ['B', 'L', width]);
  }
  return g.build();
}

const TOKENIZER = {
  version: '1.0',
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
};

/** Prompts in the words that the model knows; the weak model answers the first kind of them, the strong one both. */
export function tinyDataset(n: number): Dataset {
  const random = seededRandom(5);
  const prompts = Array.from({ length: n }, (_, i) => {
    const words = i % 2 === 0 ? ['what', 'is', 'what'] : ['three', 'sum', 'plus', 'three'];
    const more = Array.from({ length: 1 + Math.floor(3 * random()) }, () => (i % 2 === 0 ? 'is' : 'sum'));
    const text = [...words, ...more].join(' ');
    return { id: `p${i}`, source: 'made-up', benchmark: 'made-up', text, groupId: `g${i}` };
  });
  const share = (model: string, i: number): number => (model === 'local/weak' && i % 2 === 1 ? 0.1 : 0.9);
  return {
    name: 'made-up',
    prompts,
    outcomes: prompts.flatMap(({ id }, i) =>
      ['local/weak', 'local/strong'].map((modelId) => ({
        promptId: id,
        modelId,
        quality: random() < share(modelId, i) ? 1 : 0,
        outputTokens: 50,
      })),
    ),
    models: {
      'local/weak': { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.4 },
      'local/strong': { inputUsdPerMTok: 10, outputUsdPerMTok: 40 },
    },
  };
}
