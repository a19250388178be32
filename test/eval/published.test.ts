/** RouteLLM's published data: our loader and our APGR against figures that were worked out from the same files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type OutcomeTable, readDataset, selectRows } from '../../datasets/index.ts';
import { apgr, cpt, deferralCurve } from '../../eval/metrics/apgr.ts';
import { prepareTask } from '../../eval/task.ts';

const folder = join(import.meta.dirname, '../../../shared/data/outcomes/routellm');
const there = existsSync(folder);
if (!there) console.log(`skipped: RouteLLM's outcomes are not at ${folder}`);

const WEAK = 'mistralai/mixtral-8x7b-instruct-v0.1';
const STRONG = 'openai/gpt-4-1106-preview';

const column = (table: OutcomeTable, id: string): Float64Array => {
  const m = table.modelIds.length;
  const j = table.modelIds.indexOf(id);
  return Float64Array.from(table.prompts, (_, i) => table.quality[i * m + j]!);
};
const mean = (xs: Float64Array) => xs.reduce((sum, x) => sum + x, 0) / xs.length;

describe.skipIf(!there)('RouteLLM', async () => {
  const dataset = there ? await readDataset(folder) : null;

  test.each([
    { benchmark: 'mmlu', n: 14_037, weak: 0.6809, strong: 0.8059, best: 0.8587, oracle: 1.285 },
    { benchmark: 'gsm8k', n: 1307, weak: 0.6373, strong: 0.8577, best: 0.9296, oracle: 1.121 },
    { benchmark: 'mt_bench', n: 72, weak: 0.8281, strong: 0.9212, best: 0.9316, oracle: 0.964 },
  ])(
    '$benchmark: means and the APGR of a perfect ordering, contaminated prompts left out',
    ({ benchmark, n, ...expected }) => {
      const { table } = prepareTask(dataset!, { benchmark }).part;
      const weak = column(table, WEAK);
      const strong = column(table, STRONG);
      expect(table.prompts).toHaveLength(n);
      expect(mean(weak)).toBeCloseTo(expected.weak, 4);
      expect(mean(strong)).toBeCloseTo(expected.strong, 4);
      expect(mean(strong.map((s, i) => Math.max(s, weak[i]!)))).toBeCloseTo(expected.best, 4);
      const scores = strong.map((s, i) => s - weak[i]!);
      // Every score a threshold: the exact area. Deciles cut corners where scores are graded, as in MT-Bench.
      const perfect = deferralCurve(scores, weak, strong, Float64Array.from(new Set(scores)));
      expect(apgr(deferralCurve(scores, weak, strong))!).toBeLessThanOrEqual(apgr(perfect)! + 1e-9);
      expect(apgr(perfect)!).toBeCloseTo(expected.oracle, 2);
    },
  );

  test('a score that is the same for all needs half of the calls for half of the gap', () => {
    const { table } = prepareTask(dataset!, { benchmark: 'mmlu' }).part;
    const curve = deferralCurve(new Float64Array(table.prompts.length), column(table, WEAK), column(table, STRONG));
    expect(apgr(curve)).toBeCloseTo(0.5, 9);
    expect(cpt(curve, 0.5)).toBeCloseTo(0.5, 9);
  });

  test('a subset keeps rows and models together', () => {
    const { table } = prepareTask(dataset!, { benchmark: 'gsm8k' }).part;
    const first = selectRows(table, [5]);
    expect(column(first, STRONG)[0]).toBe(column(table, STRONG)[5]);
  });
});
