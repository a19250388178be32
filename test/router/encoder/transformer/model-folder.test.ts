/** A model's folder says how it embeds; what is missing or senseless there is named, with its place. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chooseNetwork, readModelFolder } from '../../../../router/encoder/transformer/model-folder.ts';
import { failureOf, temporaryFolder } from '../../fixtures.ts';
import { type TinyModel, writeTinyModel } from './tiny-model.ts';

const tiny = (model: TinyModel = {}): string => writeTinyModel(join(temporaryFolder(), 'tiny'), model);
const put = (folder: string, name: string, value: unknown): void =>
  writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));

describe('a folder in the layout of sentence-transformers', () => {
  test('says its network, its pooling, its limits and every file that decides', () => {
    const folder = tiny({
      pooling: { word_embedding_dimension: 3, pooling_mode_cls_token: true, pooling_mode_mean_tokens: false },
      modules: ['Transformer', 'Pooling', 'Normalize'],
      maxTokens: 128,
    });
    expect(readModelFolder(folder)).toEqual({
      folder,
      onnx: 'onnx/model.onnx',
      files: [
        '1_Pooling/config.json',
        'config.json',
        'modules.json',
        'onnx/model.onnx',
        'sentence_bert_config.json',
        'tokenizer.json',
        'tokenizer_config.json',
      ],
      maxTokens: 128,
      lowerCase: false,
      pooling: ['cls'],
      width: 3,
      unitLength: true,
      furtherLayers: [],
      assumed: [],
    });
  });

  test('without a pooling config is averaged, and says so', () => {
    const model = readModelFolder(tiny({ pooling: null }));
    expect(model.pooling).toEqual(['mean']);
    expect(model.assumed).toEqual(['no 1_Pooling/config.json: the mean of the token vectors is taken']);
    expect(model.unitLength).toBe(false);
  });

  test('may pool in several ways, in the order in which they are joined, and by the newer name', () => {
    const both = { pooling_mode_mean_tokens: true, pooling_mode_cls_token: true, pooling_mode_max_tokens: true };
    expect(readModelFolder(tiny({ pooling: both })).pooling).toEqual(['cls', 'max', 'mean']);
    expect(readModelFolder(tiny({ pooling: { pooling_mode: 'lasttoken' } })).pooling).toEqual(['lasttoken']);
    expect(readModelFolder(tiny({ pooling: { pooling_mode: ['mean', 'max'] } })).pooling).toEqual(['max', 'mean']);
  });

  test('is cut at the least of the limits that its files name; one that stands for none is none', () => {
    const folder = tiny({ maxTokens: 512 });
    expect(readModelFolder(folder).maxTokens).toBe(512);
    put(folder, 'config.json', { max_position_embeddings: 300 });
    expect(readModelFolder(folder).maxTokens).toBe(300);
    put(folder, 'tokenizer_config.json', { model_max_length: 200 });
    expect(readModelFolder(folder).maxTokens).toBe(200);
  });

  test('counts the files that hold the weights of its network', () => {
    const folder = tiny();
    put(folder, 'onnx/model.onnx_data', 'weights');
    put(folder, 'onnx/model_O2.onnx', 'another export');
    const { files } = readModelFolder(folder);
    expect(files).toContain('onnx/model.onnx_data');
    expect(files).not.toContain('onnx/model_O2.onnx');
  });

  test('names the layers after pooling', () => {
    expect(readModelFolder(tiny({ modules: ['Transformer', 'Pooling', 'Dense'] })).furtherLayers).toEqual(['Dense']);
  });
});

describe('the network', () => {
  test.each<[string[], string | undefined]>([
    [['onnx/model.onnx', 'model.onnx', 'onnx/model_O4.onnx'], 'onnx/model.onnx'],
    [['model.onnx', 'model_quantized.onnx'], 'model.onnx'],
    [['onnx/model_quantized.onnx', 'config.json'], 'onnx/model_quantized.onnx'],
    [['onnx/a.onnx', 'onnx/b.onnx'], undefined],
    [['other/model.onnx', 'model.onnx_data'], undefined],
  ])('of %j is %s', (names, chosen) => {
    expect(chooseNetwork(names)).toBe(chosen);
  });
});

describe('a folder that cannot be used', () => {
  const cases: [string, (folder: string) => void, string, RegExp][] = [
    ['is not there', (f) => rmSync(f, { recursive: true }), 'MISSING_FILE', /tiny: no such folder/],
    [
      'has no network',
      (f) => rmSync(join(f, 'onnx/model.onnx')),
      'MISSING_FILE',
      /onnx\/model\.onnx: missing.*optimum-cli/,
    ],
    [
      'has several networks, none of them the usual one',
      (f) => {
        renameSync(join(f, 'onnx/model.onnx'), join(f, 'onnx/a.onnx'));
        put(f, 'onnx/b.onnx', '');
      },
      'MISSING_FILE',
      /several others \(onnx\/a\.onnx, onnx\/b\.onnx\); name the one to use model\.onnx/,
    ],
    [
      'has no tokeniser',
      (f) => rmSync(join(f, 'tokenizer.json')),
      'MISSING_FILE',
      /tokenizer\.json: missing.*save_pretrained/,
    ],
    [
      'has no tokeniser config',
      (f) => rmSync(join(f, 'tokenizer_config.json')),
      'MISSING_FILE',
      /tokenizer_config\.json: missing/,
    ],
    [
      'has a broken tokeniser',
      (f) => put(f, 'tokenizer.json', '{"model":'),
      'MALFORMED_JSON',
      /tokenizer\.json: not JSON/,
    ],
    [
      'says nowhere how long a text may be',
      (f) => rmSync(join(f, 'sentence_bert_config.json')),
      'INVALID_CONFIG',
      /"max_seq_length": 256.*sentence_bert_config\.json/,
    ],
    [
      'has a limit of no tokens',
      (f) => put(f, 'sentence_bert_config.json', { max_seq_length: 0 }),
      'INVALID_CONFIG',
      /sentence_bert_config\.json: max_seq_length/,
    ],
    [
      'pools in no way',
      (f) => put(f, '1_Pooling/config.json', { pooling_mode_mean_tokens: false }),
      'INVALID_CONFIG',
      /1_Pooling\/config\.json: no way of pooling/,
    ],
    [
      'pools in a way unknown here',
      (f) => put(f, '1_Pooling/config.json', { pooling_mode: 'attention' }),
      'INVALID_CONFIG',
      /1_Pooling\/config\.json: pooling_mode/,
    ],
    [
      'has a folder where a file should be',
      (f) => {
        rmSync(join(f, 'config.json'));
        mkdirSync(join(f, 'config.json'));
      },
      'MALFORMED_JSON',
      /config\.json/,
    ],
  ];
  test.each(cases)('because it %s', async (_, spoil, code, message) => {
    const folder = tiny();
    spoil(folder);
    const failure = await failureOf(() => readModelFolder(folder));
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
  });
});
