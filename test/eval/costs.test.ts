import { describe, expect, test } from 'vitest';
import { type Dataset, type Outcome, outcomeTable } from '../../datasets/index.ts';
import { isPriced, mainBasis, realisedCosts } from '../../eval/costs.ts';
import { singleModels } from '../../eval/single-models.ts';
import { prepareTask } from '../../eval/task.ts';
import { partFrom, SKILLS, world } from './fixtures.ts';

/** Two prompts of 400 characters; a costs 1 and 2 USD per million tokens, b 10 and 20. */
function dataset(outcomes: Outcome[], models: Dataset['models'] = {}): Dataset {
  return {
    name: 'costs',
    prompts: ['p0', 'p1'].map((id) => ({ id, source: 's', benchmark: 'b', text: 'x'.repeat(400), groupId: id })),
    outcomes,
    models: {
      'm/a': { inputUsdPerMTok: 1, outputUsdPerMTok: 2 },
      'm/b': { inputUsdPerMTok: 10, outputUsdPerMTok: 20 },
      ...models,
    },
  };
}
const cell = (promptId: string, modelId: string, rest: Partial<Outcome> = {}): Outcome => ({
  promptId,
  modelId,
  quality: 1,
  ...rest,
});
const costsOf = (d: Dataset) => realisedCosts(outcomeTable(d), d);

describe('costs', () => {
  test('a recorded cost comes before anything worked out', () => {
    const costs = costsOf(dataset([cell('p0', 'm/a', { costUsd: 0.5, outputTokens: 7 })]));
    expect(costs.costUsd[0]).toBe(0.5);
    expect(mainBasis(costs.shares)).toBe('recorded');
  });

  test('else list price × tokens: input from characters / 4, output from tokens or characters / 4', () => {
    const costs = costsOf(dataset([cell('p0', 'm/a', { outputTokens: 50 }), cell('p0', 'm/b', { outputChars: 40 })]));
    expect(costs.costUsd[0]).toBeCloseTo((100 * 1 + 50 * 2) / 1e6, 12);
    expect(costs.costUsd[1]).toBeCloseTo((100 * 10 + 10 * 20) / 1e6, 12);
    expect(costs.shares).toEqual({ recorded: 0, tokens: 0.5, characters: 0.5, constant: 0 });
    expect(mainBasis(costs.shares)).toBe('characters'); // of equals the less trustworthy
  });

  test('one unknown answer length on a prompt gives every model of it the same 300 tokens', () => {
    const costs = costsOf(
      dataset([cell('p0', 'm/a', { outputTokens: 5 }), cell('p0', 'm/b'), cell('p1', 'm/a', { outputTokens: 5 })]),
    );
    expect(costs.costUsd[0]).toBeCloseTo((100 * 1 + 300 * 2) / 1e6, 12);
    expect(costs.costUsd[1]).toBeCloseTo((100 * 10 + 300 * 20) / 1e6, 12);
    expect(costs.costUsd[2]).toBeCloseTo((100 * 1 + 5 * 2) / 1e6, 12);
    expect(costs.costUsd[3]).toBeNaN(); // b was not tried on p1
    expect([...costs.constantLength]).toEqual([1, 0]);
  });

  test('a model is priced by its list price, or by a recorded cost in every outcome', () => {
    const d = dataset([
      cell('p0', 'm/x', { costUsd: 1 }),
      cell('p0', 'm/y', { costUsd: 1 }),
      cell('p1', 'm/y'),
      cell('p1', 'm/a'),
    ]);
    const table = outcomeTable(d);
    expect(table.modelIds.map((id, j) => [id, isPriced(table, j)])).toEqual([
      ['m/a', true],
      ['m/x', true],
      ['m/y', false],
    ]);
  });
});

describe('task', () => {
  test('names what it leaves out: contaminated prompts, base, unpriced and hidden-reasoning models', () => {
    const d = dataset(
      [
        cell('p0', 'm/a'),
        cell('p0', 'm/b'),
        cell('p0', 'm/free'),
        cell('p0', 'openai/o1-mini'),
        cell('p0', 'm/a-base'),
        cell('p1', 'm/a'),
      ],
      { 'openai/o1-mini': { inputUsdPerMTok: 1, outputUsdPerMTok: 1 } },
    );
    const contaminated: Dataset = {
      ...d,
      prompts: d.prompts.map((p) => (p.id === 'p1' ? { ...p, contaminated: true } : p)),
    };
    const task = prepareTask(contaminated);
    expect(task.part.table.modelIds).toEqual(['m/a', 'm/b']);
    expect(task.part.table.prompts.map((p) => p.id)).toEqual(['p0']);
    expect(task.dropped).toEqual({
      contaminated: 1,
      noOutcome: 0,
      hiddenReasoningModels: ['openai/o1-mini'],
      unpricedModels: ['m/free'],
      baseModels: ['m/a-base'],
    });
    expect(task.hiddenReasoningIncluded).toEqual([]);
    const included = prepareTask(contaminated, { includeReasoning: true });
    expect(included.part.table.modelIds).toContain('openai/o1-mini');
    expect(included.hiddenReasoningIncluded).toEqual(['openai/o1-mini']);
  });

  test('keeps a reasoning model whose every call has a recorded cost', () => {
    const d = dataset([cell('p0', 'm/a'), cell('p0', 'openai/o1-mini', { costUsd: 0.2 })]);
    expect(prepareTask(d).part.table.modelIds).toEqual(['m/a', 'openai/o1-mini']);
    expect(prepareTask(d, { includeReasoning: true }).hiddenReasoningIncluded).toEqual([]);
  });

  test('says what to do when no two models can be compared, or no benchmark fits', () => {
    expect(() => prepareTask(dataset([cell('p0', 'm/a'), cell('p0', 'm/free')]))).toThrow(/m\/free.*models\.json/);
    expect(() => prepareTask(world(), { benchmark: 'nope' })).toThrow(/nope.*bench-0/);
  });
});

describe('single models', () => {
  test('without holes each figure is the plain mean', () => {
    const part = partFrom(world({ prompts: 60 }));
    const singles = singleModels(part);
    part.table.modelIds.forEach((_, j) => {
      const own = part.table.quality.filter((_q, at) => at % 3 === j);
      expect(singles.quality[j]).toBeCloseTo(own.reduce((sum, q) => sum + q, 0) / 60, 6);
      const costs = part.costUsd.filter((_c, at) => at % 3 === j);
      expect(singles.costUsd[j]).toBeCloseTo(costs.reduce((sum, c) => sum + c, 0) / 60, 12);
    });
    expect(singles.byRisingCost.map((j) => part.table.modelIds[j])).toEqual(Object.keys(SKILLS));
  });

  test('a model that was only asked easy prompts does not pass for a good one', () => {
    // strong and weak on all prompts: strong fails the 20 hard ones, weak fails those and half of the 20 easy ones;
    // a third like weak, but asked the easy ones only: its plain mean (.5) would beat weak's (.25)
    const rows = Array.from({ length: 40 }, (_, i) => i);
    const price = { inputUsdPerMTok: 1, outputUsdPerMTok: 1 };
    const d: Dataset = {
      name: 'holes',
      models: { 'm/strong': price, 'm/weak': price, 'm/third': price },
      prompts: rows.map((i) => ({ id: `p${i}`, source: 's', benchmark: 'b', text: 'x', groupId: `g${i}` })),
      outcomes: rows.flatMap((i) => {
        const easy = i < 20;
        const half = easy && i % 2 === 0 ? 1 : 0;
        return [
          cell(`p${i}`, 'm/strong', { quality: easy ? 1 : 0 }),
          cell(`p${i}`, 'm/weak', { quality: half }),
          ...(easy ? [cell(`p${i}`, 'm/third', { quality: half })] : []),
        ];
      }),
    };
    const part = partFrom(d);
    const { quality } = singleModels(part);
    const of = (id: string) => quality[part.table.modelIds.indexOf(id)]!;
    expect(of('m/strong')).toBeCloseTo(0.5, 2);
    expect(Math.abs(of('m/third') - of('m/weak'))).toBeLessThan(0.08);
    expect(of('m/third')).toBeLessThan(0.4);
  });
});
