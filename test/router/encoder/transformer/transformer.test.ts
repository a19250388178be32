/** Embeddings of a model small enough to work out by hand, from texts of every kind; and what cannot be run. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openTransformerEncoder, type TransformerEncoder } from '../../../../router/encoder/transformer/transformer.ts';
import { failureOf, temporaryFolder } from '../../fixtures.ts';
import { TABLE, type TinyModel, writeTinyModel } from './tiny-model.ts';

const tiny = (model: TinyModel = {}): string => writeTinyModel(join(temporaryFolder(), 'tiny'), model);

/** Works with an encoder over such a model and closes it. */
async function over<T>(model: TinyModel | string, work: (encoder: TransformerEncoder) => Promise<T>): Promise<T> {
  const encoder = await openTransformerEncoder(typeof model === 'string' ? model : tiny(model));
  try {
    return await work(encoder);
  } finally {
    await encoder.close();
  }
}

const rounded = (z: Float32Array): number[] => [...z].map((v) => Number(v.toFixed(5)));

describe('an embedding', () => {
  // Tokens [CLS] what is two plus three ? [SEP]: 8 rows, ids 4 + 5 + 7 + 6 + 8 + 10 = 40.
  const question = 'What is two plus three?';
  test.each<[string, TinyModel, number[]]>([
    ['the mean of its tokens', {}, [1 / 8, 1 / 8, 5]],
    ['its first token', { pooling: { pooling_mode_cls_token: true } }, [1, 0, 0]],
    ['its last token', { pooling: { pooling_mode_lasttoken: true } }, [0, 1, 0]],
    ['the greatest of its tokens', { pooling: { pooling_mode_max_tokens: true } }, [1, 1, 10]],
    [
      'two pools together',
      { pooling: { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true } },
      [1, 0, 0, 1 / 8, 1 / 8, 5],
    ],
    [
      'of length 1 where the model says so',
      { pooling: { pooling_mode_max_tokens: true }, modules: ['Transformer', 'Pooling', 'Normalize'] },
      [0.09901, 0.09901, 0.99015],
    ], // √102
    [
      'what the network pooled itself',
      { output: 'sentence_embedding', pooling: { pooling_mode_cls_token: true } },
      [1 / 8, 1 / 8, 5],
    ],
    ['of a network that asks for segments too', { extraInput: 'token_type_ids' }, [1 / 8, 1 / 8, 5]],
  ])('is %s', async (_, model, expected) => {
    await over(model, async (encoder) => {
      expect(encoder.dimension).toBe(expected.length);
      expect(rounded(await encoder.encode([question]))).toEqual(expected.map((v) => Number(v.toFixed(5))));
    });
  });

  test('is the same alone, among others and in another thread', async () => {
    const folder = tiny();
    const texts = [question, '', 'two', 'is is is', 'an unknown word', question];
    const together = await over(folder, (encoder) => encoder.encode(texts));
    await over(folder, async (encoder) => {
      for (const [i, text] of texts.entries()) {
        expect(await encoder.encode([text])).toEqual(together.slice(i * 3, i * 3 + 3));
      }
      expect(await encoder.encode([])).toHaveLength(0);
    });
  });

  test('of a text that is too long is that of its head and tail', async () => {
    // 8 tokens at most: [CLS] two two two … three three three [SEP].
    const long = `${'two '.repeat(300)}${'what '.repeat(300)}${'three '.repeat(300)}`;
    await over({ maxTokens: 8 }, async (encoder) => {
      expect(rounded(await encoder.encode([long]))).toEqual([1 / 8, 1 / 8, (3 * 7 + 3 * 8) / 8]);
      // Exactly as many as allowed: nothing is left out.
      expect(rounded(await encoder.encode([question]))).toEqual([1 / 8, 1 / 8, 5]);
    });
    await over({ maxTokens: 3 }, async (encoder) => {
      expect(rounded(await encoder.encode([long]))).toEqual([1 / 3, 1 / 3, 7 / 3].map((v) => Number(v.toFixed(5))));
    });
  });

  test('is made of any text: an empty one, a megabyte, lone surrogates, every blank', async () => {
    const texts = [
      '',
      ' \n\t\0',
      'x'.repeat(1 << 20),
      'what '.repeat(1 << 18),
      '\ud800 two \udc00',
      '\u2028\ufeff',
      '👩‍🚀',
      '三加二',
    ];
    await over({}, async (encoder) => {
      const z = await encoder.encode(texts);
      expect(z).toHaveLength(texts.length * 3);
      expect(z.every(Number.isFinite)).toBe(true);
      // [CLS] and [SEP] alone.
      expect([...z.slice(0, 3)]).toEqual([0.5, 0.5, 0]);
    });
  });
});

describe('an encoder', () => {
  test('is named by what its files hold, wherever they lie', async () => {
    const id = (model: TinyModel) => over(model, async (encoder) => encoder.id);
    const first = await id({});
    expect(first).toMatch(/^transformer-[0-9a-f]{16}$/);
    expect(await id({})).toBe(first);
    expect(await id({ pooling: { pooling_mode_cls_token: true } })).not.toBe(first);
    expect(await id({ maxTokens: 17 })).not.toBe(first);
    expect(await id({ table: { ...TABLE, two: [0, 0, 70] } })).not.toBe(first);
  });

  test('leaves the thread that asks free while the network computes', async () => {
    await over({ toil: 40 }, async (encoder) => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      const started = performance.now();
      await encoder.encode(['two', 'three']);
      const ms = performance.now() - started;
      clearInterval(timer);
      // A blocked loop would not tick at all. Half is left for a machine with other work.
      expect(ticks).toBeGreaterThan(ms / 5 / 10);
      expect(ms).toBeGreaterThan(30);
    });
  });

  test('that was closed answers what was asked before, and takes up its work again', async () => {
    const encoder = await openTransformerEncoder(tiny());
    const asked = encoder.encode(Array(50).fill('two'));
    await encoder.close();
    expect(await asked).toHaveLength(150);
    expect(rounded(await encoder.encode(['']))).toEqual([0.5, 0.5, 0]);
    await encoder.close();
    await encoder.close();
  });
});

describe('a model that cannot be run', () => {
  test.each<[string, TinyModel, ((folder: string) => void) | null, RegExp]>([
    [
      'its network is no ONNX',
      {},
      (f) => writeFileSync(join(f, 'onnx/model.onnx'), 'no network'),
      /model\.onnx: not a network that ONNX Runtime can load/,
    ],
    [
      'its tokeniser is none',
      {},
      (f) => writeFileSync(join(f, 'tokenizer.json'), '{}'),
      /tokenizer\.json: no tokeniser can be made of it/,
    ],
    [
      'its network asks for what no text has',
      { extraInput: 'past_key_values' },
      null,
      /wants an input past_key_values, known are input_ids.*feature extraction/,
    ],
    [
      'its pooling is of another width',
      { pooling: { word_embedding_dimension: 384, pooling_mode_mean_tokens: true } },
      null,
      /have 3 numbers, the pooling's config says 384/,
    ],
    [
      'a layer is missing from its export',
      { modules: ['Transformer', 'Pooling', 'Dense'] },
      null,
      /layer after pooling \(Dense\).*sentence_embedding/,
    ],
    ['its numbers are not finite', { table: { ...TABLE, '[CLS]': [Number.NaN, 0, 0] } }, null, /not finite/],
  ])('because %s says so when it is opened', async (_, model, spoil, message) => {
    const folder = tiny(model);
    spoil?.(folder);
    const failure = await failureOf(() => openTransformerEncoder(folder));
    expect(failure.code).toBe('ARTIFACT_DAMAGED');
    expect(failure.message).toMatch(message);
  });

  test('is told when a file of it is missing', async () => {
    const folder = tiny();
    rmSync(join(folder, 'tokenizer.json'));
    expect((await failureOf(() => openTransformerEncoder(folder))).code).toBe('MISSING_FILE');
  });

  test('a layer after pooling is no hindrance where the network has it inside', async () => {
    const model = { modules: ['Transformer', 'Pooling', 'Dense'], output: 'sentence_embedding' };
    await over(model, async (encoder) => expect(encoder.dimension).toBe(3));
  });
});
