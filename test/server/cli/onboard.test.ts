import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { readDataset } from '../../../datasets/index.ts';
import { loadArtifact } from '../../../router/artifact/artifact.ts';
import { trainedOn } from '../../../router/artifact/trained-on.ts';
import { selectHeads } from '../../../router/heads/heads.ts';
import { rowOf } from '../../../router/training/onboard-row.ts';
import { anchorsCommand } from '../../../server/cli/anchors.ts';
import { onboardCommand } from '../../../server/cli/onboard.ts';
import { failureOf, folderOf } from '../../datasets/fixtures.ts';
import { generatedDataset, temporaryFolder } from '../../router/fixtures.ts';

afterEach(() => void vi.restoreAllMocks());

/** A folder of made-up prompts, with answers of two models. */
function labels(n: number): string {
  const { prompts, outcomes, models } = generatedDataset(n, 5, ['new/apprentice', 'openai/gpt-4o-2024-05-13']);
  const lines = (rows: readonly object[]): string => rows.map((r) => `${JSON.stringify(r)}\n`).join('');
  return folderOf({
    'prompts.jsonl': lines(prompts),
    'outcomes.jsonl': lines([...outcomes]),
    'models.json': JSON.stringify(models),
  });
}

/** What a command prints to standard output. */
async function printed(command: ReturnType<typeof onboardCommand>, ...args: string[]): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await command.parseAsync(args, { from: 'user' });
  const text = write.mock.calls.map(([piece]) => String(piece)).join('');
  write.mockRestore();
  return text;
}

describe('pointsman onboard', () => {
  test('writes an artifact with one more row, and says what the labels brought', async () => {
    const out = join(temporaryFolder(), 'artifact');
    const report = JSON.parse(
      await printed(onboardCommand(), 'new/apprentice', '--data', labels(120), '--out', out, '--json'),
    );
    const [old, fresh] = [await loadArtifact(), await loadArtifact(out)];
    expect(report).toMatchObject({
      model: 'new/apprentice',
      labels: 120,
      artifact: { hash: fresh.hash, parent: old.hash },
    });
    expect(report.after.logLoss).toBeLessThan(report.before.logLoss);
    expect(report.quality.low).toBeLessThan(report.quality.mean);
    expect(Math.abs(report.after.meanQuality - report.quality.mean)).toBeLessThan(0.1);
    expect(report.picks.prompts).toBe(120);
    expect(JSON.parse(report.catalogEntry)).toMatchObject({ id: 'new/apprentice', inputUsdPerMTok: 0.1 });

    expect(fresh.manifest.parent).toBe(old.hash);
    expect(fresh.encoder.id).toBe(old.encoder.id);
    expect(fresh.policy).toEqual(old.policy);
    expect(rowOf(fresh.heads, 'new/apprentice')?.evidence).toBe(120);
    expect(selectHeads(fresh.heads, old.heads.modelIds)).toEqual(old.heads);
    expect(fresh.manifest.training.data.at(-1)).toMatchObject({ prompts: 120, groups: 60 });
    // What it has learned now may not be tested on, whatever the groups are called elsewhere.
    const elsewhere = generatedDataset(120, 5).prompts.map(({ text }) => ({ groupId: 'another file', text }));
    expect(elsewhere.some(trainedOn(old.manifest).seen)).toBe(false);
    expect(elsewhere.every(trainedOn(fresh.manifest).fitted)).toBe(true);
  });

  test('writes over another router only when told to', async () => {
    const out = join(temporaryFolder(), 'artifact');
    const args = ['openai/gpt-4o-2024-05-13', '--data', labels(40), '--out', out];
    await printed(onboardCommand(), ...args);
    const { hash } = (await loadArtifact(out)).manifest;
    const failure = await failureOf(() => printed(onboardCommand(), ...args));
    expect(failure).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining('--replace') });
    expect((await loadArtifact(out)).manifest.hash).toBe(hash);
    await printed(onboardCommand(), ...args, '--artifact', out, '--replace');
    expect((await loadArtifact(out)).manifest.parent).toBe(hash);
  });

  test('adds to a model that is known already, and tells it in words', async () => {
    const out = join(temporaryFolder(), 'artifact');
    const text = await printed(onboardCommand(), 'openai/gpt-4o-2024-05-13', '--data', labels(60), '--out', out);
    expect(text).toMatch(/started from +its own row, which rests on \d+ labels/);
    expect(text).toContain(`Next: pointsman start --artifact ${out}`);
    const before = rowOf((await loadArtifact()).heads, 'openai/gpt-4o-2024-05-13')!.evidence;
    expect(rowOf((await loadArtifact(out)).heads, 'openai/gpt-4o-2024-05-13')!.evidence).toBe(before + 60);
  });

  test('refuses too few labels with advice, a model without any, an unknown predecessor and a folder in use', async () => {
    const out = join(temporaryFolder(), 'artifact');
    const failure = (...args: string[]) => failureOf(() => printed(onboardCommand(), ...args));
    const few = await failure('new/apprentice', '--data', labels(20), '--out', out, '--json');
    expect(few.code).toBe('EMPTY_TABLE');
    expect(few.message).toMatch(/20 labelled prompts .* give 30 at least.*pointsman anchors/);
    const none = await failure('new/other', '--data', labels(40), '--out', out, '--json');
    expect(none).toMatchObject({
      code: 'UNKNOWN_MODEL',
      message: expect.stringContaining('it has those of new/apprentice'),
    });
    const like = await failure('new/apprentice', '--data', labels(40), '--out', out, '--like', 'no/such', '--json');
    expect(like.code).toBe('UNKNOWN_MODEL');
    const used = await failure('new/apprentice', '--data', labels(40), '--out', folderOf({ 'mine.txt': '' }), '--json');
    expect(used.code).toBe('INVALID_CONFIG');
    const price = await failure('new/apprentice', '--data', labels(40), '--out', out, '--input-usd', '1', '--json');
    expect(price).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining('both or neither') });
    expect(existsSync(out)).toBe(false);
  });
});

describe('pointsman anchors', () => {
  test('lists prompts to label, best first, and writes them as the prompts of a new folder', async () => {
    const dir = labels(60);
    const out = join(temporaryFolder(), 'prompts.jsonl');
    const listed = JSON.parse(await printed(anchorsCommand(), '--data', dir, '-n', '12', '--out', out, '--json'));
    expect(listed).toHaveLength(12);
    const fewer = await printed(anchorsCommand(), '--prompts', join(dir, 'prompts.jsonl'), '-n', '5', '--json');
    expect(JSON.parse(fewer)).toEqual(listed.slice(0, 5));

    const folder = folderOf({
      'prompts.jsonl': readFileSync(out, 'utf8'),
      'outcomes.jsonl': `${JSON.stringify({ promptId: listed[0].id, modelId: 'a/b', quality: 1 })}\n`,
    });
    const { prompts } = await readDataset(folder);
    expect(prompts.map((p) => p.id)).toEqual(listed.map((a: { id: string }) => a.id));
    // Two prompts of one group are near-copies: one of them is enough.
    expect(new Set(prompts.map((p) => p.groupId)).size).toBe(12);
  });

  test('prints one id and reason a line, for the next program to read', async () => {
    const text = await printed(anchorsCommand(), '--data', labels(40), '-n', '6');
    expect(text.trimEnd().split('\n')).toHaveLength(6);
    expect(text).toMatch(/^p\d+\tcoverage\n/);
  });

  test('refuses two sources of prompts or none, a missing or empty file, and to overwrite', async () => {
    const codeOf = async (...args: string[]) =>
      (await failureOf(() => printed(anchorsCommand(), ...args, '--json'))).code;
    const dir = labels(40);
    expect(await codeOf()).toBe('INVALID_CONFIG');
    expect(await codeOf('--data', dir, '--prompts', join(dir, 'prompts.jsonl'))).toBe('INVALID_CONFIG');
    expect(await codeOf('--prompts', 'no/such.jsonl')).toBe('MISSING_FILE');
    expect(await codeOf('--prompts', join(folderOf({ 'prompts.jsonl': '' }), 'prompts.jsonl'))).toBe('EMPTY_TABLE');
    expect(await codeOf('--data', dir, '--out', join(dir, 'prompts.jsonl'))).toBe('INVALID_CONFIG');
  });
});
