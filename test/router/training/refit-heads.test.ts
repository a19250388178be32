/** Heads refitted from logs: what the log shows is learned, what it does not show stays as it was. */
import { describe, expect, test } from 'vitest';
import { normal, type OutcomeTable, seededRandom } from '../../../datasets/index.ts';
import { blankHeads } from '../../../eval/replay/learner.ts';
import { headsFromJson, headsToJson } from '../../../router/artifact/heads-json.ts';
import { type Heads, predictHeads } from '../../../router/heads/heads.ts';
import { headsGraph } from '../../../router/heads/onnx.ts';
import { openSession } from '../../../router/onnx/session.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { failureOf, irtWorld, logLoss, promptOf, sigmoid, tableOf } from '../fixtures.ts';

const D = 6;
const MODELS = {
  'm/weak': { ability: -0.5, slope: 1 },
  'm/mid': { ability: 0.5, slope: 1 },
  'm/best': { ability: 1.5, slope: 1 },
};
const world = irtWorld({ n: 400, d: D, models: MODELS, ease: 1.2, seed: 31 });
const base = fitHeads(world.table, world.z, 1).heads;
const likeOf = (id: string): string | undefined => ({ 'new/cheap': 'm/mid', 'new/dear': 'm/best' })[id];

const CANDIDATES = ['new/cheap', 'new/dear'];

/** A log: n prompts, each answered by one candidate drawn evenly. */
function log(n: number, truth: (z: Float32Array, at: number, j: number) => number, seed: number) {
  const random = seededRandom(seed);
  const z = Float32Array.from({ length: n * D }, () => normal(random));
  const quality = new Float32Array(n * 2).fill(Number.NaN);
  for (let i = 0; i < n; i++) {
    const j = random() < 0.5 ? 0 : 1;
    quality[i * 2 + j] = random() < truth(z, i * D, j) ? 1 : 0;
  }
  return { z, table: tableOf(CANDIDATES, quality) };
}

/** Predicted quality of a model on embeddings. */
function predicted(heads: Heads, id: string, z: Float32Array): Float32Array {
  const m = heads.modelIds.length;
  const j = heads.modelIds.indexOf(id);
  const { quality } = predictHeads(heads, z, z.length / D);
  return Float32Array.from({ length: z.length / D }, (_, i) => quality[i * m + j]!);
}

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
const fresh = (() => {
  const random = seededRandom(77);
  return Float32Array.from({ length: 1000 * D }, () => normal(random));
})();

/** What the artifact says of the model a candidate is like. */
const asBefore = (z: Float32Array, at: number, j: number): number =>
  predicted(base, likeOf(CANDIDATES[j]!)!, z.slice(at, at + D))[0]!;

describe('refitHeads', () => {
  test('changes little where the log says what the artifact said', () => {
    const { z, table } = log(400, asBefore, 1);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    CANDIDATES.forEach((id) => {
      const before = predicted(base, likeOf(id)!, fresh);
      const after = predicted(heads, id, fresh);
      // 200 answers each: a rate of them has a standard error of 0.035.
      expect(mean(after.map((q, i) => Math.abs(q - before[i]!)))).toBeLessThan(0.06);
    });
  });

  test('hardly moves on three answers', () => {
    const { z, table } = log(3, () => 0, 2);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    CANDIDATES.forEach((id) => {
      const before = mean(predicted(base, likeOf(id)!, fresh));
      const after = mean(predicted(heads, id, fresh));
      expect(after).toBeLessThan(before);
      expect(before - after).toBeLessThan(0.25);
    });
  });

  test('leaves the models that the log says nothing of as they were, to the last digit', () => {
    for (const n of [50, 400]) {
      const { z, table } = log(n, () => 0.3, 3);
      const heads = refitHeads(base, table, z, { seed: 1, likeOf });
      expect(heads.modelIds).toEqual([...base.modelIds, ...CANDIDATES]);
      // Within the domain, which a long enough log may widen.
      const { outOfDomain } = predictHeads(base, fresh, 1000);
      for (const id of base.modelIds) {
        const before = predicted(base, id, fresh);
        predicted(heads, id, fresh).forEach((q, i) => {
          if (outOfDomain[i] === 0) expect(q).toBe(before[i]);
        });
      }
      expect(outOfDomain.filter((v) => v === 0).length).toBeGreaterThan(900);
    }
  });

  test('learns that a candidate is worse than the model it was likened to, and that the other is not', () => {
    const { z, table } = log(400, (x, at, j) => (j === 0 ? 0.25 : asBefore(x, at, 1)), 4);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    expect(mean(predicted(base, 'm/mid', fresh))).toBeGreaterThan(0.5);
    expect(Math.abs(mean(predicted(heads, 'new/cheap', fresh)) - 0.25)).toBeLessThan(0.08);
    expect(Math.abs(mean(predicted(heads, 'new/dear', fresh)) - mean(predicted(base, 'm/best', fresh)))).toBeLessThan(
      0.06,
    );
  });

  test('learns from single answers that a candidate fails on one kind of prompt', () => {
    // Where the second coordinate is positive, which the artifact thinks nothing of, the cheap one fails.
    const fails = (x: Float32Array, at: number, j: number) =>
      j === 0 ? (x[at + 1]! > 0 ? 0.1 : 0.9) : asBefore(x, at, 1);
    const { z, table } = log(600, fails, 5);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    const on = (id: string, sign: number, h: Heads) => {
      const rows = [...Array(1000).keys()].filter((i) => Math.sign(fresh[i * D + 1]!) === sign);
      const q = predicted(h, id, fresh);
      return mean(rows.map((i) => q[i]!));
    };
    expect(on('m/mid', -1, base) - on('m/mid', 1, base)).toBeLessThan(0.15);
    expect(on('new/cheap', -1, heads) - on('new/cheap', 1, heads)).toBeGreaterThan(0.45);
    expect(Math.abs(on('new/dear', -1, heads) - on('new/dear', 1, heads))).toBeLessThan(0.2);
    const truth = Float64Array.from({ length: 1000 }, (_, i) => fails(fresh, i * D, 0));
    const before = logLoss(truth, predicted(base, 'm/mid', fresh));
    expect(logLoss(truth, predicted(heads, 'new/cheap', fresh))).toBeLessThan(before - 0.15);
  });

  test('learns of each candidate where it alone fails, when they fail in different places', () => {
    // The cheap one where coordinate 1 is high, the dear one where coordinate 3 is.
    const fails = (x: Float32Array, at: number, j: number) => (x[at + (j === 0 ? 1 : 3)]! > 0 ? 0.15 : 0.85);
    const { z, table } = log(800, fails, 12);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    const gap = (id: string, coordinate: number) => {
      const q = predicted(heads, id, fresh);
      const side = (sign: number) => mean([...q].filter((_, i) => Math.sign(fresh[i * D + coordinate]!) === sign));
      return side(-1) - side(1);
    };
    expect(gap('new/cheap', 1)).toBeGreaterThan(0.35);
    expect(gap('new/dear', 3)).toBeGreaterThan(0.35);
    expect(Math.abs(gap('new/cheap', 3))).toBeLessThan(0.15);
    expect(Math.abs(gap('new/dear', 1))).toBeLessThan(0.15);
  });

  test('learns that a kind of prompt is harder for all than the artifact thought', () => {
    const harder = (x: Float32Array, at: number, j: number) => sigmoid(0.5 + 0.8 * j - 2 * x[at + 2]!);
    const { z, table } = log(600, harder, 6);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    for (const [j, id] of CANDIDATES.entries()) {
      const truth = Float64Array.from({ length: 1000 }, (_, i) => harder(fresh, i * D, j));
      const before = logLoss(truth, predicted(base, likeOf(id)!, fresh));
      const after = logLoss(truth, predicted(heads, id, fresh));
      expect(after).toBeLessThan(before - 0.1);
    }
  });

  test('makes nothing of feedback that is a coin flip', () => {
    const { z, table } = log(300, () => 0.5, 7);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    const truth = new Float64Array(1000).fill(0.5);
    for (const id of CANDIDATES) {
      // ln 2 is the best possible; the artifact's own idea of easy and hard is not unlearned in 150 answers.
      const before = logLoss(truth, predicted(base, likeOf(id)!, fresh));
      expect(logLoss(truth, predicted(heads, id, fresh))).toBeLessThan(before);
    }
  });

  test('starts a model of its own row on that row, and one like nothing known between the others', () => {
    const table: OutcomeTable = tableOf(['m/weak', 'who/knows'], [1, Number.NaN, Number.NaN, 0]);
    const z = fresh.slice(0, 2 * D);
    const heads = refitHeads(base, table, z, { seed: 1, likeOf });
    expect(heads.modelIds).toEqual(['m/mid', 'm/best', 'm/weak', 'who/knows']);
    expect(Math.abs(mean(predicted(heads, 'm/weak', fresh)) - mean(predicted(base, 'm/weak', fresh)))).toBeLessThan(
      0.15,
    );
    const unknown = mean(predicted(heads, 'who/knows', fresh));
    expect(unknown).toBeGreaterThan(mean(predicted(base, 'm/weak', fresh)) - 0.15);
    expect(unknown).toBeLessThan(mean(predicted(base, 'm/best', fresh)));
  });

  test('believes the answers of a model like nothing known, though all others are as they were', () => {
    // Models of known rows that do as forecast, and one that is hardly ever wrong.
    const ids = [...base.modelIds, 'who/knows'];
    const random = seededRandom(22);
    const n = 1200;
    const z = Float32Array.from({ length: n * D }, () => normal(random));
    const { quality: forecast } = predictHeads(base, z, n);
    const quality = new Float32Array(n * 4).fill(Number.NaN);
    for (let i = 0; i < n; i++) {
      const j = Math.floor(random() * 4);
      quality[i * 4 + j] = random() < (j === 3 ? 0.97 : forecast[i * 3 + j]!) ? 1 : 0;
    }
    const heads = refitHeads(base, tableOf(ids, quality), z, { seed: 1, likeOf });
    // 300 answers: a rate of .97 has a standard error of .01.
    expect(mean(predicted(heads, 'who/knows', fresh))).toBeGreaterThan(0.94);
    base.modelIds.forEach((id) => {
      expect(Math.abs(mean(predicted(heads, id, fresh)) - mean(predicted(base, id, fresh)))).toBeLessThan(0.04);
    });
  });

  test('learns how far models differ from few answers of each', () => {
    // Twelve models from .2 to .9, a dozen answers each: shrunk, but not to one level.
    const ids = Array.from({ length: 12 }, (_, j) => `m/${j}`);
    const random = seededRandom(23);
    const n = 144;
    const z = Float32Array.from({ length: n * D }, () => normal(random));
    const quality = new Float32Array(n * 12).fill(Number.NaN);
    for (let i = 0; i < n; i++) quality[i * 12 + (i % 12)] = random() < (i % 12 < 6 ? 0.2 : 0.9) ? 1 : 0;
    const heads = refitHeads(blankHeads(ids, D), tableOf(ids, quality), z, { seed: 1, likeOf });
    const level = ids.map((id) => mean(predicted(heads, id, fresh)));
    expect(mean(level.slice(6)) - mean(level.slice(0, 6))).toBeGreaterThan(0.45);
  });

  test('learns how long answers are', () => {
    const { z, table } = log(400, asBefore, 8);
    const long = {
      ...table,
      outputTokens: table.quality.map((q, at) => (Number.isNaN(q) ? Number.NaN : at % 2 === 0 ? 3000 : 40)),
    };
    const heads = refitHeads(base, long, z, { seed: 1, likeOf });
    const m = heads.modelIds.length;
    const { outputTokens } = predictHeads(heads, fresh, 1000);
    const meanOf = (id: string) =>
      mean(Array.from({ length: 1000 }, (_, i) => outputTokens[i * m + heads.modelIds.indexOf(id)]!));
    // The artifact knows no lengths (300); 200 answers weigh ten times its 20: (200·3000 + 20·300)/220 = 2 755, 64.
    expect(meanOf('new/cheap')).toBeGreaterThan(2500);
    expect(meanOf('new/cheap')).toBeLessThan(3000);
    expect(meanOf('new/dear')).toBeLessThan(75);
    expect(meanOf('m/weak')).toBeCloseTo(300, 0);
  });

  test('is the same for the same seed, leaves the artifact alone, and survives a save', async () => {
    const before = headsToJson(base);
    const { z, table } = log(200, () => 0.4, 9);
    const heads = refitHeads(base, table, z, { seed: 4, likeOf });
    expect(headsToJson(refitHeads(base, table, z, { seed: 4, likeOf }))).toBe(headsToJson(heads));
    expect(headsToJson(base)).toBe(before);
    const back = headsFromJson(headsToJson(heads));
    const session = await openSession(headsGraph(heads), 'heads.onnx');
    const out = await session.run({
      z: { data: fresh.slice(0, 50 * D), dims: [50, D] },
    });
    const expected = predictHeads(back, fresh.slice(0, 50 * D), 50);
    expected.logits.forEach((l, at) => {
      expect(Math.abs(out.logits![at]! - l)).toBeLessThan(1e-4);
    });
    expected.qualitySd.forEach((v, at) => {
      expect(Math.abs(out.qualitySd![at]! - v)).toBeLessThan(1e-4);
    });
  });

  test('takes one answer, and a hundred to the same prompt', () => {
    const one = refitHeads(base, tableOf(['new/cheap'], [0]), fresh.slice(0, D), { seed: 1, likeOf });
    expect(predicted(one, 'new/cheap', fresh).every((q) => q > 0 && q < 1)).toBe(true);
    const same = Float32Array.from({ length: 100 * D }, (_, at) => fresh[at % D]!);
    const prompts = Array.from({ length: 100 }, (_, i) => promptOf(`p${i}`, { groupId: 'one session' }));
    const many = refitHeads(base, tableOf(['new/cheap'], new Array(100).fill(0), { prompts }), same, {
      seed: 1,
      likeOf,
    });
    expect(mean(predicted(many, 'new/cheap', fresh))).toBeLessThan(mean(predicted(base, 'm/mid', fresh)));
  });

  test('takes a log of 130 000 answers', () => {
    const n = 130_000;
    const random = seededRandom(10);
    const heads = fitHeads(tableOf(['m/a'], [1, 0, 1, 0]), Float32Array.of(1, 2, 3, 4), 1).heads;
    const z = Float32Array.from({ length: n }, () => normal(random));
    const quality = Float32Array.from({ length: n }, () => (random() < 0.7 ? 1 : 0));
    const prompts = Array.from({ length: n }, (_, i) => promptOf('p', { groupId: `g${i % 100}` }));
    const refitted = refitHeads(heads, tableOf(['m/a'], quality, { prompts }), z, { seed: 1, likeOf });
    expect(refitted.evidence[0]).toBe(n);
    expect(predictHeads(refitted, Float32Array.of(0), 1).quality[0]).toBeCloseTo(0.7, 1);
  });

  test.each([
    ['EMPTY_TABLE', tableOf(CANDIDATES, []), new Float32Array(0)],
    ['ARTIFACT_MISMATCH', tableOf(CANDIDATES, [1, Number.NaN]), new Float32Array(D + 1)],
  ])('refuses with %s what does not fit', async (code, table, z) => {
    expect((await failureOf(() => refitHeads(base, table, z, { seed: 1, likeOf }))).code).toBe(code);
  });
});
