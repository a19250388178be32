import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { compareResults, readResult } from '../../eval/compare-results.ts';
import { evaluate } from '../../eval/evaluate.ts';
import { comparisonText } from '../../eval/report/comparison.ts';
import { jsonReport } from '../../eval/report/json.ts';
import type { Evaluation } from '../../eval/result.ts';
import { failureOf } from '../datasets/fixtures.ts';
import { temporaryFolder } from '../router/fixtures.ts';
import { fakeSource, loading, noise, truth, world } from './fixtures.ts';

const run = (share: number, seed = 0) =>
  evaluate(world({ prompts: 600 }), {
    load: loading(fakeSource({ asItIs: (p, m) => share * truth(p, m) + (1 - share) * noise(p, m) })),
    replicates: 100,
    routers: ['default'],
    checks: false,
    seed,
  });
let good: Evaluation;
let better: Evaluation;

beforeAll(async () => {
  [good, better] = await Promise.all([run(0.7), run(0.9)]);
});

const saved = (content: string): string => {
  const path = join(temporaryFolder(), 'report.json');
  writeFileSync(path, content);
  return path;
};

describe('two results of one task', () => {
  test('differ by the difference of their figures, with an interval narrower than unpaired ones', () => {
    const { changes } = compareResults(readResult(saved(jsonReport(good))), better);
    const aiq = changes.find((c) => c.router === 'default' && c.figure === 'aiq')!;
    expect(aiq.difference.value).toBeCloseTo(better.routers[0]!.aiq.value! - good.routers[0]!.aiq.value!, 12);
    const width = aiq.difference.high! - aiq.difference.low!;
    const unpaired = better.routers[0]!.aiq.high! - better.routers[0]!.aiq.low!;
    expect(width).toBeLessThan(unpaired);
    expect(aiq.difference.low!).toBeLessThan(aiq.difference.value!);
    expect(aiq.difference.high!).toBeGreaterThan(aiq.difference.value!);
    // Baselines did not change, so they take no line.
    expect(changes.every((c) => c.router === 'default')).toBe(true);
    expect(comparisonText({ changes, onlyBefore: ['old'], onlyNow: [] }, 'old.json')).toMatch(
      /default.*aiq %.*only before: old/s,
    );
  });

  test('a result compared with itself shows no change at all', () => {
    const { changes } = compareResults(good, readResult(saved(jsonReport(good))));
    for (const { difference } of changes) expect(Math.abs(difference.value ?? 0)).toBe(0);
  });

  test('of different tasks are not subtracted', async () => {
    const other = await run(0.7, 1);
    expect((await failureOf(async () => compareResults(good, other))).code).toBe('INVALID_CONFIG');
  });
});

describe('an earlier result', () => {
  test.each([
    ['{', 'MALFORMED_JSON'],
    ['[]', 'INVALID_ROW'],
    ['{"schemaVersion": 1}', 'INVALID_ROW'],
  ])('that is none is refused: %s', async (content, code) => {
    expect((await failureOf(async () => readResult(saved(content)))).code).toBe(code);
  });

  test('that is not there says how to write one', () => {
    expect(() => readResult('/nowhere/report.json')).toThrow(/write one with pointsman eval/);
  });
});
