/** The parts that the estimators of the zoo are made of: ridge with holes, networks and their gradient, lengths. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { Adam } from '../../router/estimators/adam.ts';
import { answerLengths } from '../../router/estimators/answer-lengths.ts';
import { type CrossFitOptions, crossFit } from '../../router/estimators/cross-fit.ts';
import { isZooName, ZOO } from '../../router/estimators/index.ts';
import { innerFolds } from '../../router/estimators/inner-folds.ts';
import { Network, type NetworkOptions } from '../../router/estimators/network.ts';
import { addProduct, addTransposedProduct, transposedProduct } from '../../router/estimators/products.ts';
import { predictColumns, ridgeColumns } from '../../router/estimators/ridge-columns.ts';
import { standardiser } from '../../router/estimators/standardise.ts';
import { DEFAULT_OUTPUT_TOKENS } from '../../router/training/fit-tokens.ts';
import { irtWorld, promptOf, tableOf } from './fixtures.ts';

const NaN_ = Number.NaN;
const random = seededRandom(5);
const draws = (n: number): Float64Array => Float64Array.from({ length: n }, () => normal(random));

test('the zoo knows its own names and no other', () => {
  expect(Object.keys(ZOO).every(isZooName)).toBe(true);
  expect(['toString', 'IRT', ''].some(isZooName)).toBe(false);
});

test('inner folds keep groups together and are as many as there are groups, five at most', () => {
  const table = (groups: string[]) =>
    tableOf(
      ['a'],
      groups.map(() => 1),
      { prompts: groups.map((groupId, i) => promptOf(`p${i}`, { groupId })) },
    );
  const folds = innerFolds(table(['x', 'y', 'x', 'z']), 1);
  expect(folds[0]).toBe(folds[2]);
  expect(new Set(folds).size).toBe(3);
  expect(new Set(innerFolds(table([...'abcdefghij']), 1)).size).toBe(5);
});

test('a standardiser gives mean 0 and variance 1, and 0 where nothing moved', () => {
  // Columns 1, 3 (mean 2, deviation 1) and 7, 7.
  const scale = standardiser(Float32Array.of(1, 7, 3, 7), 2);
  expect([...scale(Float32Array.of(1, 7, 5, 99))]).toEqual([-1, 0, 3, 0]);
});

describe('products of matrices', () => {
  // Sizes on both sides of a multiple of four.
  const sizes = [1, 3, 4, 6];
  test('equal the plain loops, whatever the sizes', () => {
    for (const n of sizes) {
      for (const k of sizes) {
        const d = 5;
        const a = draws(n * d);
        const b = draws(k * d);
        const bias = draws(k);
        const e = draws(n * k);
        const dot = new Float64Array(n * k);
        transposedProduct(a, b, bias, n, d, k, dot);
        const product = new Float64Array(n * d);
        addProduct(e, b, n, k, d, product);
        const outer = new Float64Array(k * d);
        addTransposedProduct(e, a, n, k, d, outer);
        for (let i = 0; i < n; i++) {
          for (let r = 0; r < k; r++) {
            let s = bias[r]!;
            for (let t = 0; t < d; t++) s += a[i * d + t]! * b[r * d + t]!;
            expect(dot[i * k + r]).toBeCloseTo(s, 12);
          }
          for (let t = 0; t < d; t++) {
            let s = 0;
            for (let r = 0; r < k; r++) s += e[i * k + r]! * b[r * d + t]!;
            expect(product[i * d + t]).toBeCloseTo(s, 12);
          }
        }
        for (let r = 0; r < k; r++) {
          for (let t = 0; t < d; t++) {
            let s = 0;
            for (let i = 0; i < n; i++) s += e[i * k + r]! * a[i * d + t]!;
            expect(outer[r * d + t]).toBeCloseTo(s, 12);
          }
        }
      }
    }
  });
});

describe('a network', () => {
  const kinds: NetworkOptions[] = [
    { hidden: 5, activation: 'relu', link: 'identity', difficulty: false },
    { hidden: 5, activation: 'identity', link: 'logistic', difficulty: false },
    { hidden: 5, activation: 'softplus', link: 'logistic', difficulty: true },
  ];
  const d = 3;
  const n = 4;
  const x = draws(n * d);
  const observed = Float64Array.of(1, 0, NaN_, 0.5, 0, 1, 1, NaN_);

  test('starts out as the means it is given', () => {
    for (const options of kinds) {
      const q = new Network(d, Float64Array.of(0.2, 0.9), n, seededRandom(1), options).forward(x, n);
      q.forEach((v, at) => {
        expect(v).toBeCloseTo(at % 2 === 0 ? 0.2 : 0.9, 12);
      });
    }
  });

  test('knows the slope of its loss by every parameter, as small steps measure it', () => {
    for (const options of kinds) {
      const network = new Network(d, Float64Array.of(0.3, 0.6), n, seededRandom(2), options);
      network.parameters.forEach((_, k) => {
        network.parameters[k]! += 0.3 * normal(random);
      });
      const loss = (): number => {
        let sum = 0;
        network.forward(x, n).forEach((q, at) => {
          const o = observed[at]!;
          if (Number.isNaN(o)) return;
          sum += options.link === 'identity' ? (q - o) ** 2 / 2 : -o * Math.log(q) - (1 - o) * Math.log(1 - q);
        });
        return sum;
      };
      const delta = network.forward(x, n).map((q, at) => (Number.isNaN(observed[at]!) ? 0 : q - observed[at]!));
      const gradient = new Float64Array(network.parameters.length);
      network.backward(x, delta, n, gradient);
      // u is in the parameters of every network, but only a difficulty moves it.
      expect(gradient.filter((g) => g !== 0).length).toBeGreaterThan(gradient.length / 3);
      for (let k = 0; k < gradient.length; k++) {
        const kept = network.parameters[k]!;
        network.parameters[k] = kept + 1e-5;
        const above = loss();
        network.parameters[k] = kept - 1e-5;
        const below = loss();
        network.parameters[k] = kept;
        expect(gradient[k]).toBeCloseTo((above - below) / 2e-5, 5);
      }
    }
  });
});

test('the first step of Adam is the rate, downhill, whatever the gradient; decay acts on weights only', () => {
  const adam = new Adam(3);
  const parameters = Float64Array.of(1, 1, 1);
  // Gradients: 5; 0 plus decay 0.1 · 1; 0 without decay.
  adam.step(parameters, Float64Array.of(5, 0, 0), { rate: 0.01, decay: 0.1, decayed: 2 });
  expect([...parameters].map((p) => Number(p.toFixed(6)))).toEqual([0.99, 0.99, 1]);
});

describe('cross-fitting a network', () => {
  const options: CrossFitOptions = {
    hidden: 8,
    activation: 'identity',
    link: 'logistic',
    difficulty: false,
    rate: 1e-2,
    weightDecay: 0,
    noise: 0,
  };
  const models = { a: { ability: 0, slope: 1 }, b: { ability: 1, slope: -1 } };
  const foldsOf = (n: number) => Int32Array.from({ length: n }, (_, i) => i % 5);

  test('learns where there is something to learn, and stops at the means where there is not', () => {
    const world = irtWorld({ n: 400, models, ease: 2, seed: 6 });
    const fit = crossFit(world.z, 6, world.table.quality, 2, foldsOf(400), 1, options);
    expect(fit.steps).toBeGreaterThan(0);
    const mute = irtWorld({ n: 400, models, ease: 0, seed: 6 });
    const none = crossFit(mute.z, 6, mute.table.quality, 2, foldsOf(400), 1, options);
    const spread = (q: Float32Array) => {
      const own = q.filter((_, at) => at % 2 === 0);
      return Math.max(...own) - Math.min(...own);
    };
    expect(spread(fit.outOfFold)).toBeGreaterThan(0.8);
    expect(spread(none.outOfFold)).toBeLessThan(0.2);
    expect(spread(none.predict(mute.z, 400))).toBeLessThan(0.15);
  });

  test('a row is forecast by networks that have seen nothing of its fold', () => {
    const { z, table } = irtWorld({ n: 100, models, ease: 2, seed: 7 });
    const folds = foldsOf(100);
    // Outcomes of fold 0 are changed by too little to end training at another step.
    const poked = table.quality.map((q, at) => (folds[at >> 1] === 0 ? Math.abs(q - 0.001) : q));
    const [was, is] = [table.quality, poked].map((q) => crossFit(z, 6, q, 2, folds, 1, options));
    expect(is!.steps).toBe(was!.steps);
    was!.outOfFold.forEach((q, at) => {
      if (folds[at >> 1] === 0) expect(is!.outOfFold[at]).toBe(q);
      else expect(is!.outOfFold[at]).not.toBe(q);
    });
  });

  test('with one fold there is nothing to judge by: the means are all', () => {
    // (0.5 + 1 + 1) / 3 and (0.5 + 0 + 1) / 3.
    const q = crossFit(Float32Array.of(0, 1), 1, Float32Array.of(1, 0, 1, 1), 2, new Int32Array(2), 1, options);
    expect(q.predict(Float32Array.of(9), 1)[0]).toBeCloseTo(2.5 / 3, 6);
    expect(q.predict(Float32Array.of(9), 1)[1]).toBeCloseTo(0.5, 6);
  });
});

describe('ridge with holes', () => {
  test('is least squares with the slope shrunk and the mean kept, by hand', () => {
    // z = −1, 1 twice over: variance 1, so that a strength s divides the slope of 2 by 1 + s; the mean is 5.
    const z = Float32Array.of(-1, 1, -1, 1, -1, 1, -1, 1);
    const y = Float32Array.of(3, 7, 3, 7, 3, 7, 3, 7);
    const fit = ridgeColumns(z, 1, y, 1, Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3));
    expect(fit.strength).toBe(0.003); // a line without noise: the least there is
    expect(fit.weights[0]).toBeCloseTo(2 / 1.003, 6);
    expect(fit.weights[1]).toBeCloseTo(5, 6);
    expect(predictColumns(fit, Float32Array.of(2), 1)[0]).toBeCloseTo(5 + 4 / 1.003, 5);
  });

  test('a column with holes is fitted as if its missing rows were not there, few of them or many', () => {
    const n = 60;
    const z = Float32Array.from(draws(n * 4));
    const folds = Int32Array.from({ length: n }, (_, i) => i % 5);
    for (const share of [0.2, 0.7]) {
      const holes = seededRandom(8);
      const column = Float32Array.from(draws(n), (v, i) => (holes() < share ? NaN_ : v + z[i * 4]!));
      const kept = [...column.keys()].filter((i) => !Number.isNaN(column[i]!));
      const rows = <T extends Float32Array | Int32Array>(from: T, width: number) =>
        kept.flatMap((i) => [...from.subarray(i * width, i * width + width)]);
      const alone = ridgeColumns(
        Float32Array.from(rows(z, 4)),
        4,
        Float32Array.from(rows(column, 1)),
        1,
        Int32Array.from(rows(folds, 1)),
      );
      const withHoles = ridgeColumns(z, 4, column, 1, folds);
      expect(withHoles.strength).toBe(alone.strength);
      for (let a = 0; a < 5; a++) expect(withHoles.weights[a]).toBeCloseTo(alone.weights[a]!, 8);
    }
  });

  test('a row is forecast from the other folds, and so is a missing cell; an empty column is 0', () => {
    const n = 50;
    const z = Float32Array.from(draws(n * 3));
    const folds = Int32Array.from({ length: n }, (_, i) => i % 5);
    const values = Float32Array.from({ length: n * 2 }, (_, at) => (at % 2 === 1 ? NaN_ : z[(at >> 1) * 3]! + 1));
    const { outOfFold } = ridgeColumns(z, 3, values, 2, folds);
    const poked = values.map((v, at) => (folds[at >> 1] === 2 && at % 2 === 0 ? v + 0.01 : v));
    const after = ridgeColumns(z, 3, poked, 2, folds).outOfFold;
    for (let i = 0; i < n; i++) {
      expect(outOfFold[i * 2]).toBeCloseTo(values[i * 2]!, 1);
      if (folds[i] === 2) expect(after[i * 2]).toBe(outOfFold[i * 2]);
      else expect(after[i * 2]).not.toBe(outOfFold[i * 2]);
      expect(outOfFold[i * 2 + 1]).toBe(0);
    }
  });
});

describe('answer lengths', () => {
  test('follow what the embedding tells; a model whose lengths nobody knows gets the usual constant', () => {
    const n = 200;
    const z = Float32Array.from(draws(n * 2));
    // ln(1 + tokens) = 5 + z₀, without noise; the second model's are unknown.
    const tokens = Float32Array.from({ length: n * 2 }, (_, at) =>
      at % 2 === 1 ? NaN_ : Math.expm1(5 + z[(at >> 1) * 2]!),
    );
    const folds = Int32Array.from({ length: n }, (_, i) => i % 5);
    const lengths = answerLengths(z, 2, tokens, 2, folds);
    const predicted = lengths.predict(Float32Array.of(1, 0, -1, 0), 2);
    expect(predicted[0]! / Math.expm1(6)).toBeCloseTo(1, 1);
    expect(predicted[2]! / Math.expm1(4)).toBeCloseTo(1, 1);
    expect(predicted[1]).toBe(DEFAULT_OUTPUT_TOKENS);
    expect(lengths.outOfFold[0]! / tokens[0]!).toBeCloseTo(1, 1);
  });

  test('are means and not medians: noise raises them', () => {
    const n = 4000;
    const z = Float32Array.from(draws(n));
    const tokens = Float32Array.from({ length: n }, () => Math.expm1(5 + normal(random)));
    const folds = Int32Array.from({ length: n }, (_, i) => i % 5);
    const mean = tokens.reduce((a, b) => a + b, 0) / n;
    // The mean is e^(1/2) = 1.65 times the median.
    const ratio = answerLengths(z, 1, tokens, 1, folds).predict(Float32Array.of(0), 1)[0]! / mean;
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });
});

test('cluster profiles tell two kinds of prompts apart that no line could', async () => {
  // Success inside, failure at both ends of one coordinate; and three clusters say so.
  const encoder: Encoder = { id: 'flat', dimension: 2, encode: async () => new Float32Array(2) };
  const angle = seededRandom(9);
  const prompts = Array.from({ length: 300 }, (_, i) => {
    const at = [-1, 0, 1][i % 3]! * 2 + 0.2 * (angle() - 0.5);
    return promptOf(`p${i}`, { embedding: Float32Array.of(Math.cos(at), Math.sin(at)) });
  });
  const table = tableOf(
    ['a'],
    prompts.map((_, i) => (i % 3 === 1 ? 1 : 0)),
    { prompts },
  );
  const fitted = await ZOO.cluster({ encoder }).fit(table, 1);
  const { quality } = await fitted.predict(prompts.slice(0, 3));
  expect(quality[0]).toBeLessThan(0.1);
  expect(quality[1]).toBeGreaterThan(0.9);
  expect(quality[2]).toBeLessThan(0.1);
});
