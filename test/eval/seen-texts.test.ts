/** A benchmark that an artifact has learned from is not tested on, whatever its groups are called in the file at hand. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Prompt, readDataset, roleOf } from '../../datasets/index.ts';
import { sourceOf } from '../../eval/artifact-source.ts';
import { evaluate } from '../../eval/evaluate.ts';
import { estimatorForecaster, type LearnedSource } from '../../eval/learned.ts';
import { singleModels } from '../../eval/single-models.ts';
import type { TaskFile } from '../../eval/task-file.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { textHashes, trainedOn } from '../../router/artifact/trained-on.ts';
import { fakeSource, knowing, loading, partFrom, truth, world } from './fixtures.ts';

/** 400 questions with options, of which an artifact learned from the first `count`. */
function learnedWorld(count: number) {
  const made = world({ prompts: 400 });
  const dataset = {
    ...made,
    prompts: made.prompts.map((p, i) => ({
      ...p,
      text: `How many days are there from day ${i} ${`of year ${7 * i} `.repeat(9)}to its end?\nA. 10\nB. 20\nC. none`,
    })),
  };
  const hashes = textHashes(dataset.prompts.slice(0, count), dataset.prompts);
  const training = { seed: 1, data: [], trainedGroupHashes: ['of-other-names'], calibrationGroupHashes: [] };
  return {
    dataset,
    source: { ...fakeSource({}), ...trainedOn({ training: { ...training, trainedTextHashes: hashes } }) },
  };
}

/** The same questions as somebody else would bring them: other groups, capitals, options with a heading and brackets. */
const broughtAnew = (p: Prompt): Prompt => ({
  ...p,
  groupId: `imported-${p.id}`,
  text: p.text.toUpperCase().replace('\nA. ', '\n\nOPTIONS:\n(A) '),
});

describe('an evaluation', () => {
  test('tests no prompt whose text an artifact was fitted on, though its group has another name', async () => {
    const { dataset, source } = learnedWorld(200);
    const brought = { ...dataset, prompts: dataset.prompts.map(broughtAnew) };
    const tested = async (of: LearnedSource) => {
      let part = '';
      const options = { routers: ['default'], load: loading(of), replicates: 20, checks: false };
      const onTask = ({ split }: TaskFile) => {
        part = split.folds.map((fold) => fold.testGroupsSha256).join();
      };
      const { groups, dropped } = await evaluate(brought, { ...options, onTask });
      return { part, groups, known: dropped.trainedGroups };
    };
    const byText = await tested(source);
    // 30 % of 400 groups, none of them of the first 200 prompts: as if it had been told which groups they are.
    expect(byText).toMatchObject({ groups: 120, known: 200 });
    expect(await tested(fakeSource({ seen: (g) => Number(g.slice('imported-p'.length)) < 200 }))).toEqual(byText);
    expect((await tested(fakeSource({}))).part).not.toBe(byText.part);
  });

  test('chooses settings on prompts whose texts the encoder has not learned from', async () => {
    const { dataset, source } = learnedWorld(150);
    const prompts = dataset.prompts.map(broughtAnew);
    const part = partFrom({ ...dataset, prompts });
    const training = { part, singles: singleModels(part), baseline: [0], gridPoints: 5, seed: 1 };
    const fitted = await estimatorForecaster('known', knowing(truth), source).fit(training);
    // 250 are left, more than the 200 that it takes.
    expect('tuning' in fitted && fitted.tuning.rows).toEqual(Array.from({ length: 250 }, (_, k) => 150 + k));
  });
});

const root = join(import.meta.dirname, '../../../shared/data/outcomes/mmlu-pro');
const there = existsSync(root);
if (!there) console.log(`seen-texts: skipped, the outcomes of MMLU-Pro are not at ${root}`);

describe.skipIf(!there)('the shipped router and MMLU-Pro in a file of somebody else', () => {
  test('knows again what it has learned from, and nothing else', async () => {
    const { seen, fitted } = sourceOf(await loadArtifact());
    const { prompts } = await readDataset(root);
    const usable = prompts.filter((p) => !p.contaminated);
    const started = performance.now();
    const brought = usable.map(broughtAnew);
    const counts = { used: 0, report: 0, missed: 0, mistaken: 0, missedFitted: 0, mistakenFitted: 0 };
    usable.forEach((p, i) => {
      const role = roleOf(p.groupId);
      const [used, learned] = [role !== 'report', role === 'train'];
      counts[used ? 'used' : 'report']++;
      if (seen(brought[i]!) !== used) counts[used ? 'missed' : 'mistaken']++;
      if (fitted(brought[i]!) !== learned) counts[learned ? 'missedFitted' : 'mistakenFitted']++;
      // Word for word nothing is missed.
      expect(seen({ groupId: 'imported', text: p.text })).toBe(used);
    });
    console.log('MMLU-Pro under other groups:', counts, `${(performance.now() - started).toFixed(0)} ms`);
    // Missed are questions of fewer than 24 letters, or that start like another; what is mistaken starts alike, too.
    expect(counts.used).toBeGreaterThan(8000);
    expect(counts.report).toBeGreaterThan(800);
    expect(counts.missed).toBeLessThan(0.03 * counts.used);
    expect(counts.missedFitted).toBeLessThan(0.03 * counts.used);
    expect(counts.mistaken).toBeLessThan(0.003 * counts.report);
    expect(counts.mistakenFitted).toBeLessThan(0.003 * counts.report);
  });
});
