/** How robust a router is: measured on real prompts where they are, and on made-up ones everywhere. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Dataset, readDataset } from '../../datasets/index.ts';
import { robustnessText } from '../../eval/report/robustness.ts';
import { MOST_PICKS, poolOf, robustness } from '../../eval/robustness.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { failureOf, generatedDataset } from '../router/fixtures.ts';

const artifact = await loadArtifact();
const [first, second] = artifact.heads.modelIds.filter((id) => !/o1|o3|thinking|gemini/.test(id)) as [string, string];
const options = { seed: 1, replicates: 50 };

describe('a pool', () => {
  test('holds the models that are priced and known, and prompts that were not trained on', () => {
    const data = generatedDataset(120, 3, [first, second, 'local/unknown']);
    const pool = poolOf(data, artifact, 80, 1);
    expect(pool.candidates.map((c) => c.id).sort()).toEqual([first, second].sort());
    expect(pool.prompts).toHaveLength(80);
    expect(new Set(pool.prompts.map((p) => p.id)).size).toBe(80);
    expect(poolOf(data, artifact, 80, 1).prompts).toEqual(pool.prompts);
  });

  test.each<[string, Dataset]>([
    ['models that the router does not know', generatedDataset(120, 3, [first, 'local/unknown'])],
    ['too few prompts', generatedDataset(40, 3, [first, second])],
  ])('is refused for %s, with the counts and a way out', async (_, data) => {
    const failure = await failureOf(() => poolOf(data, artifact, 100, 1));
    expect(failure.code).toBe('EMPTY_TABLE');
    expect(failure.message).toContain('--data');
  });
});

test('a router that always picks one model passes every row, and is told on', async () => {
  const pool = poolOf(generatedDataset(60, 4, [first, second]), artifact, 60, 1);
  // The dearer one is never worth it: nothing but price tells these two candidates apart.
  const candidates = pool.candidates.map((c, k) => ({ ...c, like: first, id: `one/${k}`, inputUsdPerMTok: 1 + k }));
  const result = await robustness(artifact, { ...pool, candidates }, options);
  expect(result.picks).toEqual([{ model: 'one/0', share: 1 }]);
  for (const row of result.rows) {
    expect(row.same.value).toBe(1);
    expect([row.worse, row.better, row.qualityChange, row.costRatio]).toEqual([0, 0, null, null]);
  }
  expect(robustnessText(result)).toContain('what follows says little');
});

test('the same seed gives the same figures', async () => {
  const pool = poolOf(generatedDataset(60, 4, [first, second]), artifact, 60, 1);
  expect(await robustness(artifact, pool, options)).toEqual(await robustness(artifact, pool, options));
});

const real = fileURLToPath(new URL('../../../shared/data/outcomes/mmlu-pro', import.meta.url));
if (!existsSync(real)) console.log('robustness: skipped, ../shared/data/outcomes/mmlu-pro is not there');

test.skipIf(!existsSync(real))(
  'on real prompts, with picks spread, nine of ten picks survive what does not change the task',
  { timeout: 120_000 },
  async () => {
    const pool = poolOf(await readDataset(real), artifact, 400, 0);
    const { picks, rows } = await robustness(artifact, pool, options);
    expect(picks[0]!.share).toBeLessThanOrEqual(MOST_PICKS);
    for (const { kind, name, same, worse } of rows) {
      if (name.startsWith('new wordings')) continue;
      if (kind === 'harmless') expect(same.value, name).toBeGreaterThanOrEqual(0.9);
      if (kind === 'talk') expect(worse, name).toBeLessThanOrEqual(0.02);
    }
  },
);
