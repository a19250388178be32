import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Dataset, type ModelInfos, type Outcome, seededRandom } from '../../datasets/index.ts';
import { cardText, datasetCard } from '../../eval/card.ts';
import { promptOf } from '../datasets/fixtures.ts';

const rows = (modelId: string, qualities: readonly (number | null)[], more: Partial<Outcome> = {}): Outcome[] =>
  qualities.flatMap((quality, i) => (quality === null ? [] : [{ promptId: `p${i}`, modelId, quality, ...more }]));

/** Random letters: no two are near-duplicates. */
const textOf = (i: number): string => {
  const random = seededRandom(i);
  return Array.from({ length: 60 }, () => Math.floor(random() * 36).toString(36)).join('');
};
const dataOf = (n: number, outcomes: Outcome[], models: ModelInfos = {}): Dataset => ({
  name: 'small',
  prompts: Array.from({ length: n }, (_, i) => promptOf(`p${i}`, { text: textOf(i) })),
  outcomes,
  models,
});

test('tells what there is to gain: best single model, oracle, headroom, what all and none solve', () => {
  const data = dataOf(4, [...rows('x', [1, 1, 0, 0]), ...rows('y', [1, 0, 0.5, 0])]);
  const card = datasetCard(data);
  // x: 2 of 4; oracle: (1 + 1 + 0.5 + 0) / 4
  expect(card.bestSingle).toEqual({ modelId: 'x', quality: 0.5 });
  expect(card.oracle).toBeCloseTo(0.625);
  expect(card.headroom).toBeCloseTo(0.125);
  expect(card.solvedByAll).toBeCloseTo(0.25);
  expect(card.solvedByNone).toBeCloseTo(0.25);
  expect(card).toMatchObject({ prompts: 4, groups: 4, models: 2, outcomes: 8, coverage: 1 });
});

test('tells the spread of costs, from recorded costs and from prices', () => {
  const recorded = datasetCard(
    dataOf(2, [...rows('x', [1, 0], { costUsd: 0.02 }), ...rows('y', [1, 1], { costUsd: 0.5 })]),
  );
  expect(recorded.cheapest).toEqual({ modelId: 'x', costUsd: 0.02 });
  expect(recorded.dearest).toEqual({ modelId: 'y', costUsd: 0.5 });
  // 0.5 / 0.02
  expect(recorded.priceFactor).toBeCloseTo(25);
  expect(recorded.costBasis?.main).toBe('recorded');
  const priced = datasetCard(
    dataOf(2, [...rows('x', [1, 0], { outputTokens: 100 }), ...rows('y', [1, 1], { outputTokens: 100 })], {
      x: { inputUsdPerMTok: 1, outputUsdPerMTok: 2 },
    }),
  );
  // 60 / 4 characters in at $1 and 100 tokens out at $2 a million
  expect(priced.cheapest!.costUsd).toBeCloseTo((15 + 200) / 1e6, 12);
  expect(priced).toMatchObject({ unpriced: ['y'], priceFactor: null });
});

test('works out the smallest difference that shows from the test groups and the disagreement', () => {
  // 100 prompts: 30 test groups. The two best differ on 40 of 100: d = 0.4.
  const x = Array.from({ length: 100 }, (_, i) => (i < 70 ? 1 : 0));
  const y = Array.from({ length: 100 }, (_, i) => (i >= 30 && i < 80 ? 1 : 0));
  const never = x.map(() => 0);
  const { power } = datasetCard(dataOf(100, [...rows('x', x), ...rows('y', y), ...rows('z', never)]));
  expect(power.testGroups).toBe(30);
  expect(power.disagreement).toBeCloseTo(0.4);
  // √(0.4 / 30) = .11547; × 2.8016 = .3235
  expect(power.standardError).toBeCloseTo(0.11547, 5);
  expect(power.detectable).toBeCloseTo(0.3235, 4);
});

test('says what it cannot work out', () => {
  const one = datasetCard(dataOf(3, rows('x', [1, 0, 1])));
  expect(one.power).toMatchObject({ testGroups: 1, disagreement: null, standardError: null, detectable: null });
  expect(one).toMatchObject({ cheapest: null, dearest: null, priceFactor: null, costBasis: null });
  expect(cardText(one)).toContain('cheapest –, dearest –');
  const apart = datasetCard(dataOf(2, [...rows('x', [1, null]), ...rows('y', [null, 1])]));
  expect(apart.power.disagreement).toBeNull();
  expect(cardText(apart)).toContain('no prompt has outcomes of two models');
  expect(() => datasetCard(dataOf(0, []))).toThrow(expect.objectContaining({ code: 'EMPTY_TABLE' }));
});

const noted = (data: Dataset) => datasetCard(data).warnings.join('\n');
const alternate = (n: number, of = 2) => Array.from({ length: n }, (_, i) => (i % of === 0 ? 1 : 0));

test('warns of little data', () => {
  expect(noted(dataOf(1, rows('x', [1])))).toContain('one prompt only');
  expect(noted(dataOf(49, rows('x', alternate(49))))).toContain('49 prompts are fewer than 50');
  expect(noted(dataOf(50, rows('x', alternate(50))))).toContain('50 prompts are fewer than 200');
  expect(noted(dataOf(200, rows('x', alternate(200))))).not.toContain('prompts are fewer');
  const grouped = dataOf(3, rows('x', [1, 0, 1]));
  const together = grouped.prompts.map((p) => ({ ...p, groupId: 'g' }));
  expect(noted({ ...grouped, prompts: together })).toContain('all prompts are in one group');
});

test('warns where there is nothing to route', () => {
  const [a, b] = [alternate(60), alternate(60, 3)];
  expect(noted(dataOf(60, rows('x', a)))).toContain('one model only');
  expect(noted(dataOf(60, [...rows('x', a), ...rows('y', a)]))).toContain('all models did equally well');
  const constant = noted(
    dataOf(60, [
      ...rows(
        'x',
        a.map(() => 0.5),
      ),
      ...rows(
        'y',
        a.map(() => 0.5),
      ),
    ]),
  );
  expect(constant).toContain('every outcome has quality 0.5');
  expect(constant).not.toContain('equally well');
  const dominated = noted(
    dataOf(60, [
      ...rows('x', a),
      ...rows(
        'y',
        a.map(() => 0),
      ),
    ]),
  );
  expect(dominated).toContain('no model is ever better than x');
  const useful = noted(dataOf(60, [...rows('x', a, { costUsd: 1 }), ...rows('y', b, { costUsd: 3 })]));
  expect(useful).toBe(`60 prompts are fewer than 200: read every figure with its interval`);
});

test('warns where costs have no spread, or no price is known', () => {
  const [a, b] = [alternate(60), alternate(60, 3)];
  expect(noted(dataOf(60, [...rows('x', a), ...rows('y', b)]))).toContain('no price is known');
  for (const costUsd of [0, 0.1]) {
    const same = noted(dataOf(60, [...rows('x', a, { costUsd }), ...rows('y', b, { costUsd })]));
    expect(same, `${costUsd}`).toContain('cost the same');
  }
});

test('warns of few outcomes, and of near-duplicates in different groups', () => {
  const a = alternate(60);
  const sparse = a.map((q, i) => (i < 5 ? q : null));
  expect(noted(dataOf(60, [...rows('x', sparse), ...rows('y', a)]))).not.toContain('pairs have an outcome');
  expect(noted(dataOf(60, [...rows('x', sparse), ...rows('y', a), ...rows('z', sparse)]))).toContain(
    // 5 + 60 + 5 of 180
    'only 39 % of the prompt and model pairs have an outcome',
  );
  const data = dataOf(60, rows('x', a));
  const prompts = data.prompts.map((p, i) => (i === 7 ? { ...p, text: `${textOf(3)}!` } : p));
  const card = datasetCard({ ...data, prompts });
  expect(card.nearDuplicates).toEqual({ pairs: 1, promptsInvolved: 2, examples: [['p3', 'p7']], unchecked: 0 });
  expect(card.warnings.join('\n')).toContain('2 prompts have a near-duplicate in another group, e.g. p3 and p7');
});

test('counts how prompts are written', () => {
  const texts = [
    'What is it?',
    'Что это такое?',
    '这是什么?',
    'これは何ですか漢字漢字漢字漢字',
    '이것은 무엇입니까?',
    '12 + 3',
    'Où est-il?',
  ];
  const data = dataOf(
    texts.length,
    rows(
      'x',
      texts.map(() => 1),
    ),
  );
  const prompts = data.prompts.map((p, i) => ({ ...p, text: texts[i]! }));
  const { scripts } = datasetCard({ ...data, prompts });
  expect(Object.fromEntries(scripts.map((s) => [s.name, s.prompts]))).toEqual({
    Latin: 2,
    Cyrillic: 1,
    Chinese: 1,
    Japanese: 1,
    Korean: 1,
    other: 1,
  });
});

test('fits a terminal: a dozen lines, plain', () => {
  const text = cardText(
    datasetCard(
      dataOf(60, [...rows('x', alternate(60), { costUsd: 1 }), ...rows('y', alternate(60, 3), { costUsd: 3 })]),
    ),
  );
  const lines = text.split('\n');
  expect(lines).toHaveLength(13);
  expect(lines[0]).toBe('small');
  expect(text).toContain('cheapest x $1000, dearest y $3000 (3.0 ×)');
});

test('has no NaN anywhere, whatever the outcomes', () => {
  const maybe = fc.option(fc.constantFrom(0, 0.25, 1), { freq: 3 });
  const outcomes = fc
    .array(fc.tuple(maybe, maybe, maybe), { minLength: 1, maxLength: 12 })
    .filter((all) => all.flat().some((q) => q !== null));
  const price = fc.option(
    fc.record({ inputUsdPerMTok: fc.constantFrom(0, 1), outputUsdPerMTok: fc.constantFrom(0, 5) }),
    {
      nil: undefined,
    },
  );
  fc.assert(
    fc.property(
      outcomes,
      fc.array(price, { minLength: 3, maxLength: 3 }),
      fc.option(fc.constantFrom(0, 0.5)),
      (all, prices, cost) => {
        const more = cost === null ? {} : { costUsd: cost };
        const models = Object.fromEntries(prices.flatMap((p, j) => (p === undefined ? [] : [[`m${j}`, p]])));
        const card = datasetCard(
          dataOf(
            all.length,
            [0, 1, 2].flatMap((j) =>
              rows(
                `m${j}`,
                all.map((row) => row[j]!),
                j === 0 ? more : {},
              ),
            ),
            models,
          ),
        );
        const numbers = (value: unknown): number[] =>
          typeof value === 'number'
            ? [value]
            : typeof value === 'object' && value !== null
              ? Object.values(value).flatMap(numbers)
              : [];
        for (const x of numbers(card)) expect(Number.isFinite(x)).toBe(true);
        expect(card.headroom).toBeGreaterThanOrEqual(0);
        expect(cardText(card)).not.toMatch(/NaN|Infinity|undefined|null/);
      },
    ),
    { numRuns: 300, seed: 1 },
  );
});

test('a model that answered half of the prompts does not hide what a router could gain', () => {
  // x answered the first two prompts, right and wrong; y all of them, wrong and right and twice wrong.
  const card = datasetCard(dataOf(4, [...rows('x', [1, 0, null, null]), ...rows('y', [0, 1, 0, 0])]));
  expect(card.bestSingle.modelId).toBe('x');
  // On the two prompts that x answered the best is right twice, x once.
  expect(card.headroom).toBeCloseTo(0.5);
  expect(card.warnings.join()).not.toContain('ever better');
});

test('counts only the candidates and the groups that are tested, where these are known', () => {
  const data = dataOf(40, [
    ...rows('x', Array(40).fill(1)),
    ...rows('y', Array(40).fill(0)),
    ...rows('z', Array(40).fill(0.5)),
  ]);
  const card = datasetCard(data, { candidates: ['y', 'z'], testGroups: 7 });
  expect(card.models).toBe(2);
  expect(card.bestSingle.modelId).toBe('z');
  expect(card.power.testGroups).toBe(7);
});
