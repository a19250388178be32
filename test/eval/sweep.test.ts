import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../datasets/index.ts';
import { freeze, GRID_POINTS, targetCosts } from '../../eval/curve.ts';
import { type Beliefs, choicePath, choicesAt, sweep } from '../../eval/sweep.ts';
import { partFrom } from './fixtures.ts';

/** Recorded costs 1, 2 and 6 USD; qualities as given, a row a prompt; null: not tried. */
function tiny(rows: (number | null)[][]): Dataset {
  const ids = ['m/a', 'm/b', 'm/c'];
  return {
    name: 'tiny',
    models: {},
    prompts: rows.map((_, i) => ({ id: `p${i}`, source: 's', benchmark: 'b', text: 'x', groupId: `g${i}` })),
    outcomes: rows.flatMap((row, i) =>
      row.flatMap((quality, j) =>
        quality === null ? [] : [{ promptId: `p${i}`, modelId: ids[j]!, quality, costUsd: [1, 2, 6][j]! }],
      ),
    ),
  };
}

const beliefs = (rows: number[][]): Beliefs => ({
  quality: Float64Array.from(rows.flat()),
  costUsd: Float64Array.from(rows.flatMap(() => [1, 2, 6])),
});

describe('sweep over λ', () => {
  test('a prompt changes model exactly where the next one is worth its price', () => {
    const part = partFrom(tiny([[0, 1, 1]]));
    // b gains .3 for 1 USD, c another .2 for 4 USD
    expect(choicePath(beliefs([[0.4, 0.7, 0.9]]), part, 0, [0])).toEqual({
      models: [0, 1, 2],
      lambdas: [expect.closeTo(0.3, 12), expect.closeTo(0.05, 12)],
    });
    // b gains .1 for 1, c .5 for 5: as much a dollar, and the mix of a and c is as good as b
    expect(choicePath(beliefs([[0.4, 0.45, 0.9]]), part, 0, [0]).models).toEqual([0, 2]);
    // nothing is better than the cheapest
    expect(choicePath(beliefs([[0.9, 0.9, 0.8]]), part, 0, [0]).models).toEqual([0]);
  });

  test('models that were not tried on a prompt, or that the router does not know, are not chosen', () => {
    const part = partFrom(
      tiny([
        [0, null, 1],
        [0, 1, 1],
      ]),
    );
    const known = beliefs([
      [0.1, 0.9, 0.3],
      [0.1, 0.9, Number.NaN],
    ]);
    expect(choicePath(known, part, 0, [0]).models).toEqual([0, 2]);
    expect(choicePath(known, part, 1, [0]).models).toEqual([0, 1]);
    const nothing = beliefs([new Array(3).fill(Number.NaN), [0, 0, 0]]);
    expect(choicePath(nothing, part, 0, [1, 2, 0]).models).toEqual([2]);
  });

  test('visits every setting once with what it really cost and reached', () => {
    const part = partFrom(
      tiny([
        [0, 1, 1],
        [1, 0, 1],
      ]),
    );
    const points = sweep(
      beliefs([
        [0.2, 0.8, 0.85],
        [0.5, 0.55, 0.95],
      ]),
      part,
      [0],
    );
    // All to a: cost 1, quality .5. Below λ = .6 / 1 the first prompt goes to b; below .45 / 5 = .09 the second
    // to c, as b lies under the line; below .05 / 4 = .0125 the first to c as well.
    expect(points.map(({ costUsd, quality }) => [costUsd, quality])).toEqual([
      [1, 0.5],
      [1.5, 1],
      [4, 1],
      [6, 1],
    ]);
    expect(points.map((p) => p.lambda)).toEqual([
      Number.POSITIVE_INFINITY,
      expect.closeTo((0.6 + 0.09) / 2, 6),
      expect.closeTo((0.09 + 0.0125) / 2, 6),
      expect.closeTo(0.0125 / 2, 6),
    ]);
  });

  test('choices at a λ are the argmax of p̂ − λ ĉ', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    const part = partFrom(tiny([[0, 1, 1]]));
    fc.assert(
      fc.property(fc.tuple(unit, unit, unit), fc.array(unit, { minLength: 1, maxLength: 6 }), (p, lambdas) => {
        const falling = [...lambdas].sort((a, b) => b - a);
        const own = beliefs([p]);
        choicesAt(own, part, [0], falling).forEach((choice, k) => {
          const score = (j: number) => p[j]! - falling[k]! * own.costUsd[j]!;
          expect(score(choice[0]!)).toBeCloseTo(Math.max(score(0), score(1), score(2)), 12);
        });
      }),
    );
  });
});

describe('operating points', () => {
  test('target costs are evenly spaced in ln cost, ends exact', () => {
    const targets = targetCosts(1, 100);
    expect(targets).toHaveLength(GRID_POINTS);
    expect([targets[0], targets.at(-1)]).toEqual([1, 100]);
    expect(targets[16]).toBeCloseTo(10, 12);
    expect(targetCosts(0, 32)[16]).toBeCloseTo(16, 12); // a free model: evenly in cost
    expect(targetCosts(3, 3)).toEqual([3]);
  });

  test('mixes the two settings around a target cost; off the ends uses the nearest setting', () => {
    const settings = [
      { costUsd: 5, quality: 0.9 },
      { costUsd: 1, quality: 0.5 },
      { costUsd: 4, quality: 0.55 }, // under the line from (1, .5) to (5, .9)
    ];
    expect(freeze(settings, [0.5, 2, 9])).toEqual([
      { a: 1, b: 1, weight: 0, trainCostUsd: 1, trainQuality: 0.5 },
      { a: 1, b: 0, weight: 0.25, trainCostUsd: 2, trainQuality: expect.closeTo(0.6, 12) },
      { a: 0, b: 0, weight: 0, trainCostUsd: 5, trainQuality: 0.9 },
    ]);
  });
});
