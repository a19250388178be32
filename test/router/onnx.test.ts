/** What ONNX Runtime computes is what the plain reference says: encoder and heads, to 1e-4. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../datasets/index.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { DENSE_FACTS } from '../../router/encoder/ngram/facts.ts';
import { ngramFeatures } from '../../router/encoder/ngram/features.ts';
import { encodeNgrams, ngramDimension, ngramGraph, openNgramEncoder } from '../../router/encoder/ngram/ngram.ts';
import { type Heads, NO_REGIONS, predictHeads, selectHeads, tokensOf } from '../../router/heads/heads.ts';
import { headsGraph, unpackHeads } from '../../router/heads/onnx.ts';
import { GraphBuilder } from '../../router/onnx/graph.ts';
import { joinModels } from '../../router/onnx/join.ts';
import { openSession, type Session } from '../../router/onnx/session.ts';
import { encodeAll, fitNgramEncoder } from '../../router/training/ngram-encoder.ts';
import { unitLength } from '../../router/training/unit-length.ts';
import { failureOf, generatedTexts, smallEncoder } from './fixtures.ts';

const PARITY = 1e-4;

const TEXTS: readonly [string, string][] = [
  ['an empty text', ''],
  ['spaces only', ' \t\n   '],
  ['one character', 'x'],
  ['a sentence like those it was fitted on', 'What is 12 plus 30? Answer with the number only.'],
  ['Chinese', '為什麼天空是藍色的？請解釋。'],
  ['Arabic', 'لماذا السماء زرقاء؟'],
  ['Hindi with marks', 'आसमान नीला क्यों है?'],
  ['emoji with joiners', '👩‍👩‍👧‍👦 🏳️‍🌈 😀😀'],
  ['lone surrogates', 'a\ud800b\udfff\ud83d c'],
  ['NUL and other controls', '\u0000\u0001a\u0000b\u007f\u0000'],
  ['ligatures that grow when normalised', 'ﬁﬂ ﷺ ﷺ ㍿ ½'],
  ['4 000 characters', 'the quick brown fox 12345 '.repeat(160).slice(0, 4000)],
  ['a hundred thousand characters', 'lorem ipsum dolor '.repeat(6000)],
  ['one word of 4 000 characters', 'z'.repeat(4000)],
  ['code', 'def f(x: int) -> int:\n    return {k: v for k, v in x.items() if v != 0}["a"]  # no\n'],
  ['LaTeX', 'Let $\\int_0^{\\infty} e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$ and \\begin{align} a &= b \\end{align}'],
  ['a number of forty digits', '1234567890'.repeat(4)],
];

const { weights, model, encoder } = await smallEncoder();

describe('the encoder', () => {
  const reference = (text: string): Float32Array => {
    const out = new Float32Array(ngramDimension(weights));
    encodeNgrams(weights, ngramFeatures(text), out, 0);
    return out;
  };

  test.each(TEXTS)('is the same graph and reference on %s', async (_, text) => {
    expectClose(await encoder.encode([text]), reference(text));
  });

  test('is the same graph and reference on any string', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), async (text) => {
        expectClose(await encoder.encode([text]), reference(text));
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test('encodes many texts as it encodes each, in order', async () => {
    const texts = TEXTS.map(([, text]) => text);
    const all = await encoder.encode(texts);
    expect(all).toHaveLength(texts.length * encoder.dimension);
    for (const [i, text] of texts.entries()) {
      expect(all.slice(i * encoder.dimension, (i + 1) * encoder.dimension)).toEqual(await encoder.encode([text]));
    }
    expect(await encoder.encode([])).toHaveLength(0);
  });

  test.each([
    ['one text', ['one']],
    ['five that differ by a number', Array.from({ length: 5 }, (_, i) => `what is ${i} plus ${i * 7}`)],
    ['a hundred of the same', Array.from({ length: 100 }, () => 'all the same text')],
  ])('fitted on %s keeps to sizes that float32 can tell', async (_, texts) => {
    const few = fitNgramEncoder(texts, { seed: 1, kinds: texts.map((_, i) => (i % 2 ? 'a' : 'b')) });
    const z = await (await openNgramEncoder(ngramGraph(few))).encode([...texts, 'something else']);
    expect(z.every((v) => Math.abs(v) < 100)).toBe(true);
    expect([...z.subarray(0, z.length - ngramDimension(few))]).toEqual(
      [...encodeAll(few, texts)].map((v) => expect.closeTo(v, 4)),
    );
  });

  test('falls on its known coordinate when nothing of a text was seen in training', async () => {
    const at = encoder.knownCoordinate!;
    const ordinary = (await encoder.encode(['What is 7 plus 5? Answer with the number only.']))[at]!;
    const foreign = (await encoder.encode(['Þætti ýmsum ðað ofurlítið skrýtið']))[at]!;
    expect(ordinary).toBeGreaterThan(-0.3);
    expect(foreign).toBeLessThan(-0.8);
  });

  test('is named by its content', async () => {
    const same = ngramGraph(weights);
    expect(Buffer.compare(same, model)).toBe(0);
    const other = await smallEncoder({ seed: 2 });
    expect(other.encoder.id).not.toBe(encoder.id);
  });
});

describe('an encoder with word vectors', async () => {
  const { weights, encoder } = await smallEncoder({ vectors: true });
  const { dimension } = weights.words!;
  const wordsOf = (z: Float32Array): Float32Array => z.subarray(weights.directions, weights.directions + dimension);

  test.each(TEXTS)('is the same graph and reference on %s', async (_, text) => {
    expectClose(await encoder.encode([text]), encodeAll(weights, [text]));
  });

  test('puts them between directions and facts, and keeps the known share last', async () => {
    expect(encoder.dimension).toBe(weights.directions + dimension + DENSE_FACTS.length + 1);
    expect(encoder.knownCoordinate).toBe(encoder.dimension - 1);
  });

  test('says nothing of words it does not know, and the same whatever the order, case and number of those it does', async () => {
    expect([...wordsOf(await encoder.encode(['Þætti ýmsum']))]).toEqual(Array(dimension).fill(0));
    const once = wordsOf(await encoder.encode(['capital river']));
    expect(once.some((x) => Math.abs(x) > 0.1)).toBe(true);
    expectClose(
      wordsOf(await encoder.encode(['River, CAPITAL river þætti'])).map((x) => x),
      wordsOf(await encoder.encode(['capital, river'])),
    );
  });

  test('weighs its words by rarity and one word more that says nothing: by hand', () => {
    // Rows 1 and 2, vectors 2·(3, 0) and 1·(0, 4), weights 1 and ½: (1·6, ½·4) / (1 + 1 + ½) = (2.4, 0.8).
    const words = {
      dimension: 2,
      hashes: Float32Array.of(-1, 11, 12),
      table: Int8Array.of(0, 0, 3, 0, 0, 4),
      rowScale: Float32Array.of(0, 2, 1),
      weight: Float32Array.of(1, 1, 0.5),
    };
    const out = new Float32Array(ngramDimension({ directions: weights.directions, words }));
    encodeNgrams({ ...weights, words }, { ...ngramFeatures(''), words: Int32Array.of(1, 2) }, out, 0);
    expect(out[weights.directions]).toBeCloseTo(2.4, 6);
    expect(out[weights.directions + 1]).toBeCloseTo(0.8, 6);
  });
});

test('an encoder fitted when there were fewer facts still gets those it knows', async () => {
  const g = new GraphBuilder('older');
  g.input('ids', 'int32', ['L']);
  g.input('weights', 'float', ['L']);
  g.output('z', g.input('dense', 'float', [1, 3]), [1, 3]);
  const older = await openNgramEncoder(g.build());
  const text = 'How many of 12 eggs are left?';
  expect([...(await older.encode([text]))]).toEqual([...ngramFeatures(text).dense.subarray(0, 3)]);
});

describe('encoder and heads in one graph', () => {
  test('say what they say one after the other', async () => {
    const { encoder, headsSession, predict } = await loadArtifact();
    for (const text of ['', 'Why?', ...generatedTexts(5, 3)]) {
      const { embedding, all } = await predict(text);
      expect(embedding).toEqual(await encoder.encode([text]));
      const z = { data: embedding, dims: [1, embedding.length] };
      const alone = await headsSession.run({ z }, ['all']);
      all.forEach((v, at) => {
        expect(v).toBeCloseTo(alone.all![at]!, 5);
      });
    }
  });

  test('refuse what is no model, wherever it breaks off', async () => {
    const { model } = await smallEncoder();
    const heads = headsGraph(handHeads(null));
    const size = heads.length;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: size - 1 }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        for (const broken of [heads.subarray(0, at), heads.with(at, byte)]) {
          try {
            expect(joinModels(model, broken, 'z').length).toBeGreaterThan(0);
          } catch (error) {
            expect(error).toMatchObject({ code: 'ARTIFACT_DAMAGED' });
          }
        }
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(() => joinModels(new Uint8Array(0), heads, 'z')).toThrow(
      expect.objectContaining({ code: 'ARTIFACT_DAMAGED' }),
    );
  });
});

describe('the heads', () => {
  const shipped = loadArtifact();

  test.each([
    ['ordinary embeddings, one at a time', 1, 1],
    ['ordinary embeddings in a batch of 50', 50, 1],
    ['embeddings far outside the training data', 50, 100],
    ['extreme embeddings', 50, 1e6],
  ])('are the same graph and reference on %s', async (_, n, scale) => {
    const { heads, headsSession } = await shipped;
    const random = seededRandom(n + scale);
    const z = Float32Array.from({ length: n * heads.dimension }, (_, at) => {
      const centre = heads.domain.centres[at % heads.domain.centres.length]!;
      return scale * (10 * centre + normal(random));
    });
    await expectSame(heads, headsSession, z, n);
  });

  test('are the same graph and reference at zero and on a spike in any coordinate', async () => {
    const { heads, headsSession } = await shipped;
    const d = heads.dimension;
    const z = new Float32Array((d + 1) * d);
    for (let a = 0; a < d; a++) z[(a + 1) * d + a] = a % 2 === 0 ? 30 : -30;
    await expectSame(heads, headsSession, z, d + 1);
  });

  test('are the same for one model alone, and for one factor and many', async () => {
    const { heads } = await shipped;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer(),
        async (k, m, seed) => {
          const random = seededRandom(seed);
          const made = madeUpHeads(k, m, 4, random);
          const z = Float32Array.from({ length: 5 * 4 }, () => 3 * normal(random));
          await expectSame(made, await openSession(headsGraph(made), 'heads.onnx'), z, 5);
        },
      ),
      { numRuns: 40, seed: 2 },
    );
    const one = selectHeads(heads, [heads.modelIds[3]!]);
    const z = new Float32Array(heads.dimension).fill(0.5);
    await expectSame(one, await openSession(headsGraph(one), 'heads.onnx'), z, 1);
  });

  test('say what a model does with a prompt: by hand, on one factor', () => {
    // z = (1, 0): factor 2·1 + 0.5 = 2.5, cut to 2. It points where the one centre does: distance 0, in domain.
    // logit 1 − 0.5·2 = 0 → p = 0.5; its variance 0.04 + 2²·0.01 + (−0.5)²·0.04 = 0.09, so sd = 0.25 · 0.3.
    // tokens: g = 3·1 + 0 = 3, cut to 1; ln(1 + t) = 2 + 0.5·1 + 0.25 = 2.75.
    const p = predictHeads(handHeads(null), Float32Array.of(1, 0), 1);
    expect(p.logits[0]).toBeCloseTo(0, 6);
    expect(p.quality[0]).toBeCloseTo(0.5, 6);
    expect(p.qualitySd[0]).toBeCloseTo(0.075, 6);
    expect(p.outputTokens[0]).toBeCloseTo(Math.exp(2.75) - 1, 3);
    expect(p.difficulty[0]).toBeCloseTo(1, 6); // −(mean slope −0.5) · 2
    expect(p.outOfDomain[0]).toBe(0);
  });

  test('fall to the intercept as the distance grows, by hand', () => {
    // z = (3, 4): cosine 0.6, distance 0.4. From near 0.1 to far 0.5 that is three quarters of the way: of the factor,
    // 2·3 + 0.5 cut to 2, a quarter is left. Its own variance grows to 0.4 / 0.2 of 0.04·(−0.5)².
    const p = predictHeads(handHeads(null), Float32Array.of(3, 4), 1);
    expect(p.outOfDomain[0]).toBeCloseTo(0.75, 6);
    expect(p.logits[0]).toBeCloseTo(1 - 0.5 * 0.5, 6);
    const pq = p.quality[0]! * (1 - p.quality[0]!);
    expect(p.qualitySd[0]).toBeCloseTo(pq * Math.sqrt(0.04 + 0.5 ** 2 * 0.01 + 0.25 * 0.04 * 2), 6);
    // Beyond far nothing is left, and an embedding of zeros points nowhere.
    for (const z of [
      [-1, 0],
      [0, 0],
    ]) {
      expect(predictHeads(handHeads(null), Float32Array.from(z), 1).outOfDomain[0]).toBe(1);
    }
  });

  test('count an unknown text as out of domain in proportion, wherever the limit lies', async () => {
    // z = (100, −2.5) with a limit of −2 on the second coordinate: 2/2.5 is left; the angle to the centre is small.
    const heads = handHeads({ coordinate: 1, limit: -2 });
    expect(predictHeads(heads, Float32Array.of(100, -2.5), 1).outOfDomain[0]).toBeCloseTo(0.2, 6);
    expect(predictHeads(heads, Float32Array.of(100, -2), 1).outOfDomain[0]).toBe(0);
    for (const limit of [-2, -0.1, 0, 1]) {
      const made = handHeads({ coordinate: 1, limit });
      await expectSame(made, await openSession(headsGraph(made), 'heads.onnx'), Float32Array.of(0, -1, 0, 2), 2);
    }
  });
});

test('bytes that are no model are refused as damaged', async () => {
  const failure = await failureOf(() => openSession(new TextEncoder().encode('not a model'), 'heads.onnx'));
  expect(failure.code).toBe('ARTIFACT_DAMAGED');
  expect(failure.message).toContain('heads.onnx');
});

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let a = 0; a < expected.length; a++) {
    if (!(Math.abs(actual[a]! - expected[a]!) <= PARITY * Math.max(1, Math.abs(expected[a]!)))) {
      expect.fail(`number ${a}: graph ${actual[a]}, reference ${expected[a]}`);
    }
  }
}

async function expectSame(heads: Heads, session: Session, z: Float32Array, n: number): Promise<void> {
  const out = await session.run({ z: { data: z, dims: [n, heads.dimension] } });
  const expected = predictHeads(heads, z, n);
  expectClose(out.logits!, expected.logits);
  expectClose(out.qualitySd!, expected.qualitySd);
  expectClose(out.difficulty!, expected.difficulty);
  expectClose(out.outOfDomain!, expected.outOfDomain);
  expectClose(Float32Array.from(out.logTokens!, tokensOf), expected.outputTokens);
  const m = heads.modelIds.length;
  const last = unpackHeads(out.all!.subarray(-(3 * m + 2)));
  expect(last.logits).toEqual(out.logits!.subarray(-m));
  expect(last.logTokens).toEqual(out.logTokens!.subarray(-m));
  expect(last.qualitySd).toEqual(out.qualitySd!.subarray(-m));
  expect([last.difficulty, last.outOfDomain]).toEqual([out.difficulty!.at(-1), out.outOfDomain!.at(-1)]);
}

function handHeads(known: Heads['domain']['known']): Heads {
  return {
    modelIds: ['a'],
    dimension: 2,
    regions: NO_REGIONS,
    factors: {
      count: 1,
      weights: Float64Array.of(2, 0),
      bias: Float64Array.of(0.5),
      limits: Float64Array.of(-2, 2),
      variance: Float64Array.of(0.04),
    },
    rows: Float64Array.of(1, -0.5),
    covariance: Float64Array.of(0.04, 0, 0, 0.01),
    tokens: {
      weights: Float64Array.of(3, 0),
      bias: 0,
      limits: [-1, 1],
      rows: Float64Array.of(2, 0.5),
      logSmear: Float64Array.of(0.25),
    },
    domain: { centres: Float64Array.of(1, 0), typical: 0.2, near: 0.1, far: 0.5, known },
    evidence: Float64Array.of(10),
  };
}

function madeUpHeads(k: number, m: number, d: number, random: () => number): Heads {
  const draw = (count: number, scale = 1): Float64Array =>
    Float64Array.from({ length: count }, () => scale * normal(random));
  const w = k + 1;
  const covariance = new Float64Array(m * w * w);
  for (let j = 0; j < m; j++) {
    const half = draw(w * w, 0.2);
    for (let a = 0; a < w; a++)
      for (let b = 0; b < w; b++)
        for (let c = 0; c < w; c++) covariance[(j * w + a) * w + b]! += half[a * w + c]! * half[b * w + c]!;
  }
  const b = m % 3 === 0 ? 0 : 2; // with and without regions
  const unitDraw = Float64Array.from(unitLength(Float32Array.from(draw(3 * d)), d));
  return {
    modelIds: Array.from({ length: m }, (_, j) => `made/up-${j}`),
    dimension: d,
    regions: { names: Array.from({ length: b }, (_, r) => `region ${r}`), weights: draw(b * d), bias: draw(b) },
    factors: {
      count: k,
      weights: draw(k * (d + b)),
      bias: draw(k),
      limits: Float64Array.from({ length: 2 * k }, (_, a) => (a % 2 === 0 ? -2 : 2)),
      variance: draw(k).map((v) => v * v),
    },
    rows: draw(m * w),
    covariance,
    tokens: { weights: draw(d), bias: 0.1, limits: [-1, 1], rows: draw(2 * m), logSmear: draw(m, 0.1) },
    domain: { centres: unitDraw, typical: 0.3, near: 0.5, far: 1.2, known: { coordinate: d - 1, limit: -1 } },
    evidence: new Float64Array(m),
  };
}

test('ONNX Runtime is told to send no usage reports before it is loaded', async () => {
  // Loaded in a process of its own: here it may have been loaded already.
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--import',
      'tsx',
      '--input-type=module',
      '--eval',
      `import { openSession } from './router/onnx/session.ts';
       const before = process.env.ORT_DISABLE_TELEMETRY ?? 'unset';
       await openSession(new Uint8Array(3), 'x').catch((error) => console.log(before, process.env.ORT_DISABLE_TELEMETRY, error.code));`,
    ],
    { env: { ...process.env, ORT_DISABLE_TELEMETRY: undefined } },
  );
  expect(stdout.trim()).toBe('unset 1 ARTIFACT_DAMAGED');
});
