/** RouteLLM's published data: our loader and our figures against what was worked out from the same files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type OutcomeTable, readDataset, seededRandom, selectRows } from '../../datasets/index.ts';
import { apgr, cpt, decileThresholds, deferralCurve } from '../../eval/metrics/apgr.ts';
import { costApgr, costCpt, improvementOverRandom, pgr } from '../../eval/metrics/pgr.ts';
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

/** Area under the curve of a perfect ordering: prompts by rising gain of the strong model taken from the right. */
function perfectApgr(weak: Float64Array, strong: Float64Array): number {
  const gains = strong.map((s, i) => s - weak[i]!).sort();
  let area = 0;
  let quality = mean(weak);
  for (let k = gains.length - 1; k >= 0; k--) {
    const next = quality + gains[k]! / gains.length;
    area += (quality + next) / 2 / gains.length;
    quality = next;
  }
  return (area - mean(weak)) / (mean(strong) - mean(weak));
}

describe.skipIf(!there)('RouteLLM', async () => {
  const dataset = there ? await readDataset(folder) : null;
  const pair = (benchmark: string) => {
    const { table } = prepareTask(dataset!, { benchmark }).part;
    return { n: table.prompts.length, weak: column(table, WEAK), strong: column(table, STRONG) };
  };

  // Printed digits: means to four, shares in percent to one, the APGR of a perfect ordering to three.
  const PUBLISHED = [
    {
      benchmark: 'mmlu',
      prompts: 14_037,
      means: { weak: '0.6809', strong: '0.8059', best: '0.8587' },
      strictlyBetter: { strong: '17.8', weak: '5.3' },
      oracle: '1.285',
    },
    {
      benchmark: 'gsm8k',
      prompts: 1307,
      means: { weak: '0.6373', strong: '0.8577', best: '0.9296' },
      strictlyBetter: { strong: '29.2', weak: '7.2' },
      oracle: '1.121',
    },
    {
      benchmark: 'mt_bench',
      prompts: 72,
      means: { weak: '0.8281', strong: '0.9212', best: '0.9316' },
      strictlyBetter: { strong: '51.4', weak: '9.7' },
      oracle: '0.964',
    },
  ];

  test.each(PUBLISHED)('$benchmark: prompts, means of both models and of the better of the two', (published) => {
    const { n, weak, strong } = pair(published.benchmark);
    expect(n).toBe(published.prompts);
    expect(mean(weak).toFixed(4)).toBe(published.means.weak);
    expect(mean(strong).toFixed(4)).toBe(published.means.strong);
    expect(mean(strong.map((s, i) => Math.max(s, weak[i]!))).toFixed(4)).toBe(published.means.best);
  });

  test.each(PUBLISHED)('$benchmark: share of prompts on which one model is strictly better', (published) => {
    const { n, weak, strong } = pair(published.benchmark);
    const percent = (better: (i: number) => boolean) => ((100 * [...weak.keys()].filter(better).length) / n).toFixed(1);
    expect(percent((i) => strong[i]! > weak[i]!)).toBe(published.strictlyBetter.strong);
    expect(percent((i) => weak[i]! > strong[i]!)).toBe(published.strictlyBetter.weak);
  });

  test.each(PUBLISHED)('$benchmark: APGR of a perfect ordering', (published) => {
    const { weak, strong } = pair(published.benchmark);
    const scores = strong.map((s, i) => s - weak[i]!);
    const perfect = apgr(deferralCurve(scores, weak, strong, Float64Array.from(new Set(scores))))!;
    expect(perfect.toFixed(3)).toBe(published.oracle);
    expect(perfect).toBeCloseTo(perfectApgr(weak, strong), 9);
    // Deciles of the score cut corners where scores are graded.
    expect(apgr(deferralCurve(scores, weak, strong))!).toBeLessThanOrEqual(perfect + 1e-9);
  });

  test.each(PUBLISHED)('$benchmark: the random row, 50 % and 80 % of the calls for as much of the gap', (published) => {
    const { n, weak, strong } = pair(published.benchmark);
    const said = deferralCurve(new Float64Array(n), weak, strong);
    expect(apgr(said)!.toFixed(3)).toBe('0.500');
    expect((100 * cpt(said, 0.5)!).toFixed(2)).toBe('50.00');
    expect((100 * cpt(said, 0.8)!).toFixed(2)).toBe('80.00');
    expect(improvementOverRandom(apgr(said))!).toBeCloseTo(0, 9);
  });

  test('random scores, averaged over draws, stay near that row as the published ones do', () => {
    // Published means of random routers: MMLU .500, 50.07, 79.93; GSM8K .497 ± .01, 50.00 ± 2, 80.08 ± 1;
    // MT-Bench .500 ± .02, 49.03 ± 4, 78.08 ± 3.
    const tolerance = { mmlu: [0.005, 0.01], gsm8k: [0.01, 0.02], mt_bench: [0.03, 0.06] } as const;
    for (const [benchmark, [area, calls]] of Object.entries(tolerance)) {
      const { n, weak, strong } = pair(benchmark);
      const random = seededRandom(17);
      const draws = 40;
      const sums = [0, 0, 0];
      for (let d = 0; d < draws; d++) {
        const scores = Float64Array.from({ length: n }, () => random());
        const curve = deferralCurve(scores, weak, strong, decileThresholds(scores));
        sums[0]! += apgr(curve)! / draws;
        sums[1]! += cpt(curve, 0.5)! / draws;
        sums[2]! += cpt(curve, 0.8)! / draws;
      }
      expect(Math.abs(sums[0]! - 0.5)).toBeLessThan(area);
      expect(Math.abs(sums[1]! - 0.5)).toBeLessThan(calls);
      expect(Math.abs(sums[2]! - 0.8)).toBeLessThan(calls);
    }
  });

  test('over cost, with one price per call, the figures are those over strong calls', () => {
    const { weak, strong } = pair('gsm8k');
    const curve = deferralCurve(
      strong.map((s, i) => s - weak[i]!),
      weak,
      strong,
    );
    // $0.24 and $24.7 per million tokens, as RouteLLM counts
    const points = curve.map((p) => ({ costUsd: 0.24 + (24.7 - 0.24) * p.strongShare, quality: p.quality }));
    const range = { lowUsd: 0.24, highUsd: 24.7, lowQuality: mean(weak), highQuality: mean(strong) };
    expect(costApgr(points, range)).toBeCloseTo(apgr(curve)!, 9);
    expect(costCpt(points, range, 0.8)).toBeCloseTo(cpt(curve, 0.8)!, 6);
    expect(pgr(curve.at(-1)!.quality, range.lowQuality, range.highQuality)).toBeCloseTo(1, 9);
  });

  test('a subset keeps rows and models together', () => {
    const { table } = prepareTask(dataset!, { benchmark: 'gsm8k' }).part;
    const first = selectRows(table, [5]);
    expect(column(first, STRONG)[0]).toBe(column(table, STRONG)[5]);
  });
});
