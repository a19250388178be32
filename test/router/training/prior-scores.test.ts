import { describe, expect, test } from 'vitest';
import { normal, readCatalog, readScores, type Scores, seededRandom } from '../../../datasets/index.ts';
import { loadArtifact } from '../../../router/artifact/artifact.ts';
import { type Heads, predictHeads, selectHeads } from '../../../router/heads/heads.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { putRows, rowOf } from '../../../router/training/onboard-row.ts';
import { checkPrior, priorRows } from '../../../router/training/prior-scores.ts';
import { fitAbilities } from '../../../router/training/prior-scores-ability.ts';
import { candidateOf, irtWorld } from '../fixtures.ts';

const base = fitHeads(
  irtWorld({ n: 300, models: { 'm/a': { ability: -1, slope: 1 }, 'm/b': { ability: 1, slope: 1 } }, ease: 1, seed: 1 })
    .table,
  irtWorld({ n: 300, models: { 'm/a': { ability: -1, slope: 1 }, 'm/b': { ability: 1, slope: 1 } }, ease: 1, seed: 1 })
    .z,
  1,
).heads;

/** 40 models whose intercept is 2 · ability + noise; scores of two benchmarks tell the ability. */
function madeUp(options: { noise: number; seed?: number }): {
  heads: Heads;
  scores: Scores;
  truth: Map<string, number>;
} {
  const random = seededRandom(options.seed ?? 3);
  const w = base.factors.count + 1;
  const truth = new Map<string, number>();
  const models: Scores['models'] = [];
  const rows = Array.from({ length: 40 }, (_, i) => {
    const ability = normal(random);
    const intercept = 2 * Math.tanh(ability / 2) * 2 + options.noise * normal(random);
    truth.set(`made/model-${i}x`, intercept);
    const percent = (shift: number): number => 100 / (1 + Math.exp(-(ability + shift + 0.1 * normal(random))));
    models.push({
      name: `model-${i}x`,
      reasoning: false,
      scores: [
        ['one', percent(0), 's'],
        ['two', percent(1), 's'],
      ],
    });
    return {
      modelId: `made/model-${i}x`,
      row: Float64Array.from({ length: w }, (_, a) => (a === 0 ? intercept : 1)),
      covariance: Float64Array.from({ length: w * w }, (_, at) => (at % (w + 1) === 0 ? 0.01 : 0)),
      tokens: [5, 1, 0.1] as const,
      evidence: 500,
    };
  });
  const heads = { ...putRows({ ...base }, rows) };
  const scores: Scores = {
    collected: '2026-11-22',
    sources: { s: { from: 'here', licence: 'MIT', what: 'made up' } },
    benchmarks: { one: 'percent', two: 'percent' },
    models,
  };
  return {
    heads: selectHeads(
      heads,
      rows.map((r) => r.modelId),
    ),
    scores,
    truth,
  };
}

describe('a prior from published scores', () => {
  test('foretells the row of a model left out, with intervals that hold as often as they say', () => {
    const { heads, scores } = madeUp({ noise: 0.4 });
    const [intercept] = checkPrior(heads, scores);
    expect(intercept?.models).toBe(40);
    expect(intercept?.r2).toBeGreaterThan(0.75);
    expect(intercept?.coverage80).toBeGreaterThan(0.65);
    expect(intercept?.coverage95).toBeGreaterThan(0.85);
  });

  test('falls back to the mean where scores say nothing of outcomes', () => {
    const { heads, scores } = madeUp({ noise: 0.4 });
    const shuffled = {
      ...scores,
      models: scores.models.map((m, i) => ({ ...m, scores: scores.models[(i * 7 + 3) % 40]!.scores })),
    };
    expect(checkPrior(heads, shuffled)[0]?.r2).toBeLessThan(0.15);
    const rows = priorRows(heads, [candidateOf('new/unknown')], shuffled);
    const mean = heads.rows.filter((_, at) => at % (heads.factors.count + 1) === 0).reduce((a, b) => a + b, 0) / 40;
    const row = rowOf(rows, 'new/unknown')!;
    expect(Math.abs(row.row[0]! - mean)).toBeLessThan(0.5);
    expect(row.covariance[0]).toBeGreaterThan(1);
  });

  test('ranks new models by their scores, and is less sure the less is known and the further away', () => {
    const { heads, scores } = madeUp({ noise: 0.4 });
    const scored = (name: string, one: number, two?: number): Scores['models'][number] => ({
      name,
      reasoning: false,
      scores:
        two === undefined
          ? [['one', one, 's']]
          : [
              ['one', one, 's'],
              ['two', two, 's'],
            ],
    });
    const more = {
      ...scores,
      models: [
        ...scores.models,
        scored('weak', 20, 40),
        scored('strong', 80, 91),
        scored('giant', 98.4, 98.4),
        scored('half-known', 80),
      ],
    };
    const rows = priorRows(
      heads,
      ['weak', 'strong', 'giant', 'half-known', 'nothing'].map((n) => candidateOf(`new/${n}`)),
      more,
    );
    const level = (id: string) => rowOf(rows, `new/${id}`)!.row[0]!;
    const variance = (id: string) => rowOf(rows, `new/${id}`)!.covariance[0]!;
    expect(level('weak')).toBeLessThan(level('nothing'));
    expect(level('nothing')).toBeLessThan(level('strong'));
    expect(level('strong')).toBeLessThan(level('giant'));
    expect(variance('strong')).toBeLessThan(variance('half-known'));
    expect(variance('half-known')).toBeLessThan(variance('nothing'));
    expect(variance('strong')).toBeLessThan(0.7 * variance('giant'));
    for (const id of rows.modelIds) expect(rowOf(rows, id)!.row.every(Number.isFinite)).toBe(true);
    expect(rowOf(rows, 'new/strong')?.evidence).toBe(0);
  });

  test('gives one model one row, whoever sells it: a prior, or the row that the heads know it by', () => {
    const { heads, scores } = madeUp({ noise: 0.4 });
    const more = {
      ...scores,
      models: [
        ...scores.models,
        { name: 'phi-9', reasoning: false, scores: [['one', 70, 's'] as [string, number, string]] },
      ],
    };
    const rows = priorRows(
      heads,
      ['here/phi-9', 'ollama/phi9:latest', 'there/model-3x-instruct'].map((id) => candidateOf(id)),
      more,
    );
    expect(rowOf(rows, 'here/phi-9')!.row).toEqual(rowOf(rows, 'ollama/phi9:latest')!.row);
    expect(rowOf(rows, 'there/model-3x-instruct')).toEqual({
      ...rowOf(heads, 'made/model-3x')!,
      modelId: 'there/model-3x-instruct',
    });
    const again = priorRows(rows, [candidateOf('elsewhere/phi-9')], more);
    expect(rowOf(again, 'elsewhere/phi-9')!.row).toEqual(rowOf(rows, 'here/phi-9')!.row);
    expect(selectHeads(rows, heads.modelIds)).toEqual(heads);
  });

  test('knows nothing but how models differ where fewer than ten have both outcomes and scores', () => {
    const { scores } = madeUp({ noise: 0.4 });
    const rows = priorRows(base, [candidateOf('new/x')], scores);
    expect(checkPrior(base, scores)).toEqual([]);
    expect(rowOf(rows, 'new/x')!.covariance[0]).toBeGreaterThan(1);
    expect(predictHeads(selectHeads(rows, ['new/x']), new Float32Array(base.dimension), 1).quality[0]).toBeGreaterThan(
      0,
    );
  });
});

describe('ability', () => {
  test('orders models by what their scores share, over benchmarks that few models have in common', () => {
    const random = seededRandom(8);
    const truth = Array.from({ length: 60 }, () => normal(random));
    const models = truth.map((t, i) => {
      const percent = (shift: number) => 100 / (1 + Math.exp(-(t + shift + 0.15 * normal(random))));
      const old: [string, number, string] = ['old', percent(1), 's'];
      const late: [string, number, string] = ['late', percent(-1), 's'];
      return { name: `m${i}`, reasoning: false, scores: i < 25 ? [old] : i < 35 ? [old, late] : [late] };
    });
    const { mean } = fitAbilities(models, { old: 'percent', late: 'percent' });
    const correlation =
      truth.reduce((s, t, i) => s + t * mean[i]!, 0) /
      Math.sqrt(truth.reduce((s, t) => s + t * t, 0) * mean.reduce((s, t) => s + t * t, 0));
    expect(correlation).toBeGreaterThan(0.9);
  });

  test('takes from price, date and size what scores do not say', () => {
    const random = seededRandom(9);
    const models = Array.from({ length: 80 }, (_, i) => {
      const year = 2023 + Math.floor(3 * random());
      const usd = Math.exp(2 * normal(random));
      const t = 0.8 * (year - 2024) + 0.6 * Math.log(usd) * 0.5;
      return {
        name: `m${i}`,
        released: `${year}-06`,
        inputUsdPerMTok: usd,
        outputUsdPerMTok: usd,
        reasoning: false,
        scores: [['one', 100 / (1 + Math.exp(-t)), 's'] as [string, number, string]],
      };
    });
    const unscored = (year: number, usd: number) => ({
      name: 'x',
      released: `${year}-06`,
      inputUsdPerMTok: usd,
      outputUsdPerMTok: usd,
      reasoning: false,
      scores: [],
    });
    const { mean, variance } = fitAbilities([...models, unscored(2023, 0.1), unscored(2025, 0.1), unscored(2025, 10)], {
      one: 'percent',
    });
    expect(mean[80]).toBeLessThan(mean[81]!);
    expect(mean[81]).toBeLessThan(mean[82]!);
    expect(variance[82]).toBeGreaterThan(variance[0]!);
  });
});

describe('the shipped scores', () => {
  test('give every candidate of the shipped catalog a row, cheap predecessors below dear successors', async () => {
    const { heads } = await loadArtifact();
    const tried = selectHeads(
      heads,
      heads.modelIds.filter((id) => rowOf(heads, id)!.evidence > 0),
    );
    const { models } = await readCatalog();
    const rows = priorRows(tried, models, await readScores());
    expect(models.filter((m) => !rows.modelIds.includes(m.id))).toEqual([]);
    expect(rowOf(rows, 'groq/llama-3.1-8b-instant')!.row).toEqual(
      rowOf(tried, 'meta-llama/llama-3.1-8b-instruct')!.row,
    );
    const level = (id: string) => rowOf(rows, id)!.row[0]!;
    expect(level('groq/openai/gpt-oss-20b')).toBeLessThan(level('groq/openai/gpt-oss-120b'));
    expect(level('google/gemini-2.5-flash-lite')).toBeLessThan(level('google/gemini-3.8-flash'));
    expect(level('openai/gpt-5-nano')).toBeLessThan(level('openai/gpt-6-sol'));
  });

  test('foretell the level of a model left out better than the mean does', async () => {
    const { heads } = await loadArtifact();
    const [intercept] = checkPrior(heads, await readScores());
    expect(intercept!.models).toBeGreaterThan(40);
    expect(intercept!.r2).toBeGreaterThan(0.2);
    expect(intercept!.coverage95).toBeGreaterThan(0.85);
  });
});
