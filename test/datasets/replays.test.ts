import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readDataset, roleOf, summarise } from '../../datasets/index.ts';

const shipped = fileURLToPath(new URL('../../datasets/replays/default', import.meta.url));

test('the shipped replay holds numbers of held-out questions, and no text', async () => {
  const data = await readDataset(shipped);
  expect(data.prompts.length).toBeGreaterThan(100);
  for (const prompt of data.prompts) {
    expect(prompt.text).toBe('');
    expect(prompt.embedding?.every(Number.isFinite)).toBe(true);
    expect(prompt.chars).toBeGreaterThan(0);
    expect(roleOf(prompt.groupId), prompt.id).toBe('report');
  }
  // Asked for by its authors: these questions are not to be published.
  expect(data.prompts.filter((p) => /gpqa/i.test(`${p.benchmark} ${p.id}`))).toEqual([]);
});

test('the shipped replay has candidates of several prices and nothing that check would warn of', async () => {
  const summary = summarise(await readDataset(shipped));
  expect(summary.candidates).toBeGreaterThan(5);
  expect(new Set(summary.models.map((m) => m.outputUsdPerMTok)).size).toBeGreaterThan(3);
  expect(summary.warnings.filter((text) => !/hidden tokens|no price/.test(text))).toEqual([]);
});
