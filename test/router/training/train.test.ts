/** From a dataset to an artifact: reproducible to the byte, true to the roles of groups, plain about bad data. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Dataset, roleOf } from '../../../datasets/index.ts';
import { type ArtifactParts, loadArtifact, saveArtifact } from '../../../router/artifact/artifact.ts';
import { hashGroup, trainedOn } from '../../../router/artifact/trained-on.ts';
import { predictHeads } from '../../../router/heads/heads.ts';
import { Router } from '../../../router/index.ts';
import { train } from '../../../router/training/train.ts';
import { candidateOf, failureOf, generatedDataset, generatedTexts, promptOf, temporaryFolder } from '../fixtures.ts';

const data = generatedDataset(400, 1);
const options = { seed: 1, created: new Date('2026-01-01T00:00:00Z') };
let parts: ArtifactParts;

beforeAll(async () => {
  parts = await train(data, options);
});

const hashesOf = (dataset: Dataset, role: string): string[] =>
  [...new Set(dataset.prompts.map((p) => p.groupId))]
    .filter((g) => roleOf(g) === role)
    .map(hashGroup)
    .sort();

describe('train', () => {
  test('makes the same bytes of the same data, all but the date', async () => {
    const home = temporaryFolder();
    const a = saveArtifact(join(home, 'a'), parts);
    const b = saveArtifact(join(home, 'b'), await train(generatedDataset(400, 1), { ...options, created: new Date() }));
    expect(b.hash).toBe(a.hash);
    for (const name of ['encoder.onnx', 'heads.onnx', 'heads.json', 'policy.json']) {
      expect(Buffer.compare(readFileSync(join(a.dir, name)), readFileSync(join(b.dir, name))), name).toBe(0);
    }
    const manifest = (dir: string) =>
      readFileSync(join(dir, 'manifest.json'), 'utf8').replace(/"created": "[^"]*"/, '');
    expect(manifest(b.dir)).toBe(manifest(a.dir));
  });

  test('lists exactly the training groups as trained on, and the calibration groups apart', () => {
    expect(parts.training.trainedGroupHashes).toEqual(hashesOf(data, 'train'));
    expect(parts.training.calibrationGroupHashes).toEqual(hashesOf(data, 'calibration'));
    const report = new Set(hashesOf(data, 'report'));
    expect(report.size).toBeGreaterThan(5);
    const used = [...parts.training.trainedGroupHashes, ...parts.training.calibrationGroupHashes];
    expect(used.filter((h) => report.has(h))).toEqual([]);
  });

  test('knows its prompts again by their texts in groups of another name, and no report prompt', () => {
    const { seen, fitted } = trainedOn(parts);
    const roles = new Map<string, string[]>();
    for (const { groupId, text } of data.prompts) {
      roles.set(text, [...new Set([...(roles.get(text) ?? []), roleOf(groupId)])]);
    }
    expect([...roles.values()].flat()).toEqual(
      expect.arrayContaining(['train', 'calibration', 'certificate', 'report']),
    );
    for (const [text, in_] of roles) {
      const elsewhere = { groupId: 'another file', text };
      expect(seen(elsewhere), text).toBe(in_.some((role) => role !== 'report'));
      expect(fitted(elsewhere), text).toBe(in_.includes('train'));
    }
  });

  test('uses certificate groups for the proof alone', async () => {
    expect(parts.training.certificateGroupHashes).toEqual(hashesOf(data, 'certificate'));
    const roles = new Map(data.prompts.map((p) => [p.id, roleOf(p.groupId)]));
    const changed: Dataset = {
      ...data,
      outcomes: data.outcomes.map((o) =>
        roles.get(o.promptId) === 'certificate' ? { ...o, quality: o.modelId === 'local/strong' ? 1 : 0 } : o,
      ),
    };
    const again = await train(changed, options);
    expect(again.heads).toEqual(parts.heads);
    expect(again.metrics).toEqual(parts.metrics);
    expect(again.policy.traffic).toEqual(parts.policy.traffic);
    expect(again.policy.certificate).not.toEqual(parts.policy.certificate);
  });

  test('uses calibration groups for settings alone', async () => {
    const roles = new Map(data.prompts.map((p) => [p.id, roleOf(p.groupId)]));
    const changed: Dataset = {
      ...data,
      outcomes: data.outcomes.map((o) => (roles.get(o.promptId) === 'calibration' ? { ...o, quality: 1 } : o)),
    };
    const again = await train(changed, options);
    expect(again.heads).toEqual(parts.heads);
    expect(again.metrics).not.toEqual(parts.metrics);
  });

  test('never looks at report groups, contaminated prompts and base models: no number changes with them', async () => {
    const roles = new Map(data.prompts.map((p) => [p.id, roleOf(p.groupId)]));
    const contaminated = generatedTexts(20, 99).map((text, i) =>
      promptOf(`bad${i}`, { text: `unheard of ${text}`, contaminated: true }),
    );
    const changed: Dataset = {
      ...data,
      prompts: [
        ...data.prompts.map((p) => (roles.get(p.id) === 'report' ? { ...p, text: 'something else entirely' } : p)),
        ...contaminated,
      ],
      outcomes: [
        ...data.outcomes.map((o) =>
          roles.get(o.promptId) === 'report' ? { ...o, quality: 1 - o.quality, outputTokens: 9999 } : o,
        ),
        ...contaminated.map((p) => ({ promptId: p.id, modelId: 'local/weak', quality: 1 })),
        ...data.prompts.map((p) => ({ promptId: p.id, modelId: 'local/strong-base', quality: 1 })),
      ],
    };
    const again = await train(changed, options);
    expect(Buffer.compare(again.encoder as Uint8Array, parts.encoder as Uint8Array)).toBe(0);
    expect(again.heads).toEqual(parts.heads);
    expect(again.policy).toEqual(parts.policy);
    expect(again.training.trainedGroupHashes).toEqual(parts.training.trainedGroupHashes);
  });

  test('counts what it was given, and says what text explains', () => {
    expect(parts.training.data).toEqual([{ name: 'made-up', prompts: 400, groups: 200, outcomes: 1200 }]);
    const r2 = parts.metrics.factorR2OutOfFold as number[];
    expect(r2).toHaveLength(3);
    // Five kinds of text of steadily growing difficulty: plain to see.
    expect(r2[0]!).toBeGreaterThan(0.4);
  });

  test('reports progress up to the end of each step', async () => {
    const steps = new Map<string, number>();
    await train(generatedDataset(60, 2), {
      ...options,
      onProgress: (step, share) => {
        expect(share).toBeGreaterThanOrEqual(steps.get(step) ?? 0);
        expect(share).toBeLessThanOrEqual(1);
        steps.set(step, share);
      },
    });
    expect([...steps.keys()].length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...steps.values())).toBe(1);
  });

  test('makes a router that sends the easy to the weak and the hard to the strong', async () => {
    const { dir } = saveArtifact(join(temporaryFolder(), 'router'), parts);
    const artifact = await loadArtifact(dir);
    const texts = generatedTexts(100, 55);
    const { quality, difficulty } = predictHeads(artifact.heads, await artifact.encoder.encode(texts), 100);
    const kind = (k: number) => [...Array(100).keys()].filter((i) => i % 5 === k);
    const meanOf = (rows: number[], of: ArrayLike<number>, stride = 1, j = 0) =>
      rows.reduce((s, i) => s + of[i * stride + j]!, 0) / rows.length;
    for (let k = 1; k < 5; k++) expect(meanOf(kind(k), difficulty)).toBeGreaterThan(meanOf(kind(k - 1), difficulty));
    // True rates for sums: σ(2) = 0.88 weak, σ(4.4) = 0.99 strong; for proofs σ(−2.8) = 0.06 and σ(−0.4) = 0.40.
    expect(Math.abs(meanOf(kind(0), quality, 3, 2) - 0.88)).toBeLessThan(0.12);
    expect(Math.abs(meanOf(kind(4), quality, 3, 1) - 0.4)).toBeLessThan(0.15);
    const router = await Router.load({
      artifact: dir,
      policy: { tolerance: 0.3, exploration: 0 },
      candidates: [
        candidateOf('local/weak', { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.4 }),
        candidateOf('local/strong', { inputUsdPerMTok: 10, outputUsdPerMTok: 40 }),
      ],
    });
    const chosen = await Promise.all(texts.map((content) => router.route({ messages: [{ role: 'user', content }] })));
    const share = (k: number) => kind(k).filter((i) => chosen[i]!.model === 'local/strong').length / 20;
    expect(share(0)).toBeLessThan(0.2);
    expect(share(3)).toBeGreaterThan(0.8);
  });

  test.each([
    ['one prompt', 1],
    ['two prompts', 2],
    ['a dozen prompts', 12],
  ])('makes a router that loads and routes of %s', async (_, n) => {
    const { dir } = saveArtifact(join(temporaryFolder(), 'router'), await train(generatedDataset(n, 1), options));
    const router = await Router.load({
      artifact: dir,
      candidates: [candidateOf('local/weak'), candidateOf('local/strong')],
    });
    const d = await router.route({ messages: [{ role: 'user', content: 'What is 3 plus 4?' }] });
    expect(d.ranked.every((r) => r.quality > 0 && r.quality < 1 && Number.isFinite(r.costUsd))).toBe(true);
  });

  test('makes a router even where every prompt is the same', async () => {
    const same = { ...data, prompts: data.prompts.map((p) => ({ ...p, text: 'the same words' })) };
    const { dir } = saveArtifact(join(temporaryFolder(), 'router'), await train(same, options));
    const { encoder } = await loadArtifact(dir);
    expect((await encoder.encode(['the same words', 'others'])).every(Number.isFinite)).toBe(true);
  });

  test.each([
    ['no outcomes', { ...data, outcomes: [] }],
    ['only base models', { ...data, outcomes: data.outcomes.map((o) => ({ ...o, modelId: `${o.modelId}-base` })) }],
    ['no group in the training part', withoutRole('train')],
    ['no texts', { ...data, prompts: data.prompts.map((p) => ({ ...p, text: '' })) }],
  ])('refuses data with %s', async (_, dataset) => {
    const failure = await failureOf(() => train(dataset, options));
    expect(failure.code).toBe('EMPTY_TABLE');
    expect(failure.message).toContain('made-up');
  });
});

function withoutRole(role: string): Dataset {
  const prompts = data.prompts.filter((p) => roleOf(p.groupId) !== role);
  const ids = new Set(prompts.map((p) => p.id));
  return { ...data, prompts, outcomes: data.outcomes.filter((o) => ids.has(o.promptId)) };
}
