import { expect, test } from 'vitest';
import { type Dataset, type Outcome, summarise } from '../../datasets/index.ts';
import { promptOf } from './fixtures.ts';

const rows = (modelId: string, qualities: readonly (number | null)[]): Outcome[] =>
  qualities.flatMap((quality, i) => (quality === null ? [] : [{ promptId: `p${i}`, modelId, quality }]));

const data: Dataset = {
  name: 'small',
  prompts: [
    promptOf('p0', { benchmark: 'sums' }),
    promptOf('p1', { benchmark: 'sums', text: 'the same words' }),
    promptOf('p2', { benchmark: 'dates', text: ' the same words\n', groupId: 'other' }),
    promptOf('p3', { benchmark: 'sums', text: '' }),
    promptOf('p4', { benchmark: 'sums', contaminated: true }),
  ],
  outcomes: [
    ...rows('a/full', [1, 0, 0.5, 0, null]),
    ...rows('a/half', [1, null, 1, null, null]),
    ...rows('a/full-base', [1, 1, 1, 1, 1]),
  ],
  models: { 'a/full': { inputUsdPerMTok: 1, outputUsdPerMTok: 2 } },
};

test('counts prompts, groups, benchmarks and missing cells, without base models', () => {
  const s = summarise(data);
  expect(s).toMatchObject({ prompts: 5, groups: 5, candidates: 2, outcomes: 11, contaminated: 1 });
  expect(s.benchmarks).toEqual([
    { name: 'sums', prompts: 4 },
    { name: 'dates', prompts: 1 },
  ]);
  // 6 of 5 × 2 cells are filled.
  expect(s.missing).toBeCloseTo(0.4);
  // p1 and p3 have only zeros, p0 only ones; nobody but the base model was asked p4.
  expect(s).toMatchObject({ solvedByNobody: 2, solvedByAll: 1, promptsWithoutOutcomes: 1 });
});

test('gives the oracle over prompts with outcomes, and each model its mean over what it answered', () => {
  const s = summarise(data);
  // (1 + 0 + 1 + 0) / 4
  expect(s.oracle).toBeCloseTo(0.5);
  const half = s.models.find((x) => x.modelId === 'a/half')!;
  expect(half).toMatchObject({ outcomes: 2, quality: 1, inputUsdPerMTok: null });
  expect(half.coverage).toBeCloseTo(0.4);
});

test('names no best single model where means are over different prompts', () => {
  expect(summarise(data).bestSingle).toBeNull();
  const full = { ...data, outcomes: [...rows('a/x', [1, 1, 0, 0, 1]), ...rows('a/y', [1, 0, 0, 0, 1])] };
  expect(summarise(full).bestSingle).toEqual({ modelId: 'a/x', quality: 0.6 });
});

test('warns of everything that is wrong', () => {
  const text = summarise(data).warnings.join('\n');
  expect(text).toContain('too few to learn from: a/full-base, a/half, a/full');
  expect(text).toContain('1 prompts have no outcome');
  expect(text).toContain('base models, never candidates, left out of training and evaluation: a/full-base');
  expect(text).toContain('no price in models.json, so left out wherever cost counts: a/half');
  expect(text).toContain('1 texts stand in more than one group');
  expect(text).toContain('1 prompts are marked contaminated');
});

test('has nothing to warn of in clean data', () => {
  const prompts = Array.from({ length: 40 }, (_, i) => promptOf(`p${i}`));
  const outcomes = rows(
    'a/full',
    prompts.map((_, i) => i % 2),
  );
  expect(summarise({ ...data, prompts, outcomes }).warnings).toEqual([]);
});

test('asks for no price where every outcome has its cost', () => {
  const outcomes = rows('a/unpriced', [1, 1, 0, 0, 1]).map((o) => ({ ...o, costUsd: 0.01 }));
  expect(summarise({ ...data, outcomes }).warnings.join('\n')).not.toContain('no price');
});
