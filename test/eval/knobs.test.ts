import fc from 'fast-check';
import { expect, test } from 'vitest';
import { choicePath } from '../../eval/sweep.ts';
import { oddsOf } from '../../router/policy/rule.ts';
import { partFrom } from './fixtures.ts';

const numbers = (least: number, most: number) =>
  fc.array(fc.double({ min: least, max: most, noNaN: true }), { minLength: 4, maxLength: 4 });
const models = ['a', 'b', 'c', 'd'];
const part = partFrom({
  name: 'x',
  prompts: [{ id: 'p', source: 'x', benchmark: 'x', text: 'x', groupId: 'g' }],
  outcomes: models.map((modelId) => ({ promptId: 'p', modelId, quality: 1, costUsd: 1 })),
  models: {},
});

test('the knobs that a report gives for a λ make the gateway choose as the report did', () => {
  fc.assert(
    fc.property(
      numbers(0, 1),
      numbers(0.0001, 1),
      fc.double({ min: 0.001, max: 50, noNaN: true }),
      (quality, costUsd, lambda) => {
        const beliefs = { quality: Float64Array.from(quality), costUsd: Float64Array.from(costUsd) };
        const path = choicePath(beliefs, part, 0, [0, 1, 2, 3]);
        // Nearer to a breakpoint than rounding, either choice is right.
        fc.pre(path.lambdas.every((l) => Math.abs(l - lambda) > 1e-6 * l));
        const chosen = path.models[path.lambdas.filter((l) => lambda < l).length]!;
        const { greedy } = oddsOf(quality, costUsd, {
          tolerance: 1,
          minQuality: 0,
          qualityPerUsd: lambda,
          exploration: 0,
        });
        const utility = (j: number) => quality[j]! - lambda * costUsd[j]!;
        expect(utility(chosen)).toBeCloseTo(utility(greedy[0]!), 9);
      },
    ),
  );
});

test('without a price of quality the knobs take the cheapest, as λ = ∞ does', () => {
  const { greedy } = oddsOf([0.9, 0.1, 0.5], [3, 1, 2], {
    tolerance: 1,
    minQuality: 0,
    qualityPerUsd: null,
    exploration: 0,
  });
  expect(greedy).toEqual([1]);
});
