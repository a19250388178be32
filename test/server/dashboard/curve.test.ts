import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AVERAGE_MODEL } from '../../../router/decision.ts';
import { Policy } from '../../../router/policy/policy.ts';
import { type ChoiceRow, curveOf, DIALS } from '../../../server/usage/curve.ts';

const policy = (knobs: object = {}) => Policy.parse({ tolerance: 0.1, ...knobs });

const row = (candidates: readonly [string, number, number][], more: Partial<ChoiceRow> = {}): ChoiceRow => ({
  ranked: candidates.map(([model, quality, costUsd]) => ({ model, like: model, quality, costUsd })),
  reason: 'cheapest_adequate',
  outOfDomain: 0,
  explorable: false,
  step: null,
  ...more,
});

/** Of one prompt the cheap model is nearly as good, of the other it is far from it. */
const TWO = [
  row([
    ['a/cheap', 0.85, 0.001],
    ['a/dear', 0.9, 0.01],
  ]),
  row([
    ['a/dear', 0.8, 0.01],
    ['a/cheap', 0.2, 0.001],
  ]),
];

const at = async (dial: number, rows = TWO, knobs: object = {}) =>
  (await curveOf(rows, policy(knobs)))!.points.find((point) => point.dial === dial)!;

describe('the curve', () => {
  test('has a point for each half step of the dial', async () => {
    expect((await curveOf(TWO, policy()))!.points.map(({ dial }) => dial)).toEqual([...DIALS]);
    expect(DIALS).toHaveLength(21);
  });

  test('buys the best at 10, the cheapest at 0, and between them what the tolerance allows', async () => {
    // Tolerance 0: (0.9 + 0.8) / 2 for (0.01 + 0.01) / 2.
    expect(await at(10)).toMatchObject({ quality: expect.closeTo(0.85), costUsd: expect.closeTo(0.01) });
    expect((await at(10)).models).toEqual({ 'a/dear': 1 });
    // Tolerance 1: (0.85 + 0.2) / 2 for 0.001.
    expect(await at(0)).toMatchObject({ quality: expect.closeTo(0.525), costUsd: expect.closeTo(0.001) });
    // Tolerance 0.1: 0.85 is within it of 0.9, 0.2 is not of 0.8.
    expect(await at(5)).toMatchObject({ quality: expect.closeTo(0.825), costUsd: expect.closeTo(0.0055) });
    expect((await at(5)).models).toEqual({ 'a/cheap': 0.5, 'a/dear': 0.5 });
  });

  test('a dial in force is the point of that dial; without one it is 5', async () => {
    expect((await curveOf(TWO, policy({ dial: 8 })))!.current).toMatchObject({
      dial: 8,
      quality: (await at(8)).quality,
    });
    const { current } = (await curveOf(TWO, policy()))!;
    expect(current).toEqual({ dial: 5, quality: (await at(5)).quality, costUsd: (await at(5)).costUsd });
  });

  test('a budget in force is the mix of two settings that spends it', async () => {
    // 7 USD for 1 000 requests lie between the settings of 0.0055 and 0.01 USD.
    const { current } = (await curveOf(TWO, policy({ budget: 7 })))!;
    expect(current.dial).toBeNull();
    expect(current.costUsd).toBeCloseTo(0.007);
    // On the line between (0.0055, 0.825) and (0.01, 0.85): a third of the way.
    expect(current.quality).toBeCloseTo(0.825 + 0.025 / 3);
  });

  test('a target in force keeps its share of the reference’s mean quality', async () => {
    // Of a/dear: 0.85; 0.98 of it is 0.833.
    const { current } = (await curveOf(TWO, policy({ target: { keep: 0.98, reference: 'a/dear' } })))!;
    expect(current.dial).toBeNull();
    expect(current.quality).toBeCloseTo(0.833);
  });

  test('a conversation that could not change its model keeps it at every setting', async () => {
    const rows = [
      row(
        [
          ['a/dear', 0.5, 0.01],
          ['a/cheap', 0.9, 0.001],
        ],
        { reason: 'pinned' },
      ),
    ];
    for (const dial of DIALS) expect((await at(dial, rows)).models).toEqual({ 'a/dear': 1 });
  });

  test('beyond the domain the default model answers', async () => {
    const rows = [
      row(
        [
          ['a/cheap', 0.6, 0.001],
          ['a/dear', 0.9, 0.01],
        ],
        { outOfDomain: 0.9 },
      ),
    ];
    expect((await at(0, rows, { maxOutOfDomain: 0.5, defaultModel: 'a/dear' })).models).toEqual({ 'a/dear': 1 });
    expect((await at(0, rows, { maxOutOfDomain: 0.5 })).models).toEqual({ 'a/cheap': 1 });
  });

  test('a model of which nothing is known is no best guess, however well it is spoken of', async () => {
    const rows = [
      row([
        ['a/known', 0.6, 0.01],
        ['a/new', 0.9, 0.001],
      ]),
    ];
    const known = rows[0]!.ranked[0]!;
    const untried = { ...rows[0]!.ranked[1]!, like: AVERAGE_MODEL };
    expect((await at(0, [{ ...rows[0]!, ranked: [known, untried] }])).models).toEqual({ 'a/known': 1 });
  });

  test('exploration counts where it was in force', async () => {
    const explored = [
      row(
        [
          ['a/cheap', 0.85, 0.001],
          ['a/dear', 0.9, 0.01],
        ],
        { explorable: true },
      ),
    ];
    const share = (await at(5, explored, { exploration: 0.1 })).models['a/dear'];
    // 0.9 · 0.1 / 2 for those near the best, 0.1 · 0.1 / 2 for everybody.
    expect(share).toBeCloseTo(0.05);
    expect((await at(5, TWO, { exploration: 0.1 })).models).toEqual({ 'a/cheap': 0.5, 'a/dear': 0.5 });
  });

  test('a step in which an agent plans has its own floor', async () => {
    const rows = [
      row(
        [
          ['a/cheap', 0.7, 0.001],
          ['a/dear', 0.9, 0.01],
        ],
        { step: 'plan' },
      ),
    ];
    expect((await at(0, rows, { planMinQuality: 0.8 })).models).toEqual({ 'a/dear': 1 });
  });

  test('there is none without routed requests', async () => {
    expect(await curveOf([], policy())).toBeNull();
  });

  test('a higher dial never buys worse answers, nor pays less; shares sum to 1', async () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    const candidate = fc.record({ quality: unit, costUsd: unit });
    const rows = fc.array(fc.array(candidate, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(rows, unit, async (prompts, tolerance) => {
        const made = prompts.map((all) => row(all.map(({ quality, costUsd }, j) => [`a/${j}`, quality, costUsd])));
        const { points } = (await curveOf(made, policy({ tolerance })))!;
        points.forEach((point, i) => {
          expect(Object.values(point.models).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
          if (i === 0) return;
          expect(point.quality).toBeGreaterThanOrEqual(points[i - 1]!.quality - 1e-9);
          expect(point.costUsd).toBeGreaterThanOrEqual(points[i - 1]!.costUsd - 1e-9);
        });
      }),
      { numRuns: 100 },
    );
  });
});
