/** An artifact is what its hash says: saved and loaded whole, refused when anything in it changed. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { isBaseModel, outcomeTable } from '../../datasets/index.ts';
import {
  type Artifact,
  type ArtifactParts,
  defaultArtifactDir,
  loadArtifact,
  readEncoder,
  saveArtifact,
} from '../../router/artifact/artifact.ts';
import { headsFromJson, headsToJson } from '../../router/artifact/heads-json.ts';
import { hashGroup, trainedOn } from '../../router/artifact/trained-on.ts';
import { predictHeads } from '../../router/heads/heads.ts';
import { Router } from '../../router/index.ts';
import { Policy } from '../../router/policy/policy.ts';
import { fitHeads } from '../../router/training/fit-heads.ts';
import { encodeAll } from '../../router/training/ngram-encoder.ts';
import { candidateOf, failureOf, generatedDataset, smallEncoder, temporaryFolder } from './fixtures.ts';

const FILES = ['encoder.onnx', 'heads.json', 'heads.onnx', 'manifest.json', 'policy.json'];
let parts: ArtifactParts;

beforeAll(async () => {
  parts = await partsOf(8);
});

async function partsOf(directions: number): Promise<ArtifactParts> {
  const { weights, model } = await smallEncoder({ directions });
  const table = outcomeTable(generatedDataset(60, 3));
  const z = encodeAll(
    weights,
    table.prompts.map((p) => p.text),
  );
  return {
    encoder: model,
    heads: fitHeads(table, z, 1).heads,
    policy: Policy.parse({ tolerance: 0.05 }),
    training: {
      seed: 1,
      data: [{ name: 'made-up', prompts: 60, groups: 30, outcomes: 180 }],
      trainedGroupHashes: [hashGroup('g1'), hashGroup('g2')],
      calibrationGroupHashes: [hashGroup('g3')],
    },
    metrics: { trainingPrompts: 60 },
    notes: ['made up'],
    parent: null,
    created: new Date('2026-01-02T03:04:05Z'),
  };
}

/** A saved artifact in a fresh folder. */
const saved = (more: Partial<ArtifactParts> = {}): { hash: string; dir: string } =>
  saveArtifact(join(temporaryFolder(), 'router'), { ...parts, ...more });

describe('saving and loading', () => {
  test('gives back what was saved', async () => {
    const { hash, dir } = saved();
    expect(readdirSync(dir).sort()).toEqual(FILES);
    const artifact = await loadArtifact(dir);
    expect(artifact.hash).toBe(hash);
    expect(artifact.hash).toMatch(/^[0-9a-f]{32}$/);
    expect(artifact.policy).toEqual(parts.policy);
    expect(artifact.manifest).toMatchObject({ models: parts.heads.modelIds, training: parts.training, parent: null });
    expect(Buffer.compare(readEncoder(artifact) as Uint8Array, parts.encoder as Uint8Array)).toBe(0);
    const z = await artifact.encoder.encode(['What is 3 plus 4?', 'Prove that $x$ is prime.']);
    const before = predictHeads(parts.heads, z, 2);
    const after = predictHeads(artifact.heads, z, 2);
    before.quality.forEach((p, at) => {
      expect(after.quality[at]).toBeCloseTo(p, 4);
    });
    before.outputTokens.forEach((t, at) => {
      expect(after.outputTokens[at]! / t).toBeCloseTo(1, 4);
    });
  });

  test('makes the same bytes of the same parts, and a hash that leaves out only the date', () => {
    const a = saved();
    const b = saved();
    for (const name of FILES) {
      expect(Buffer.compare(readFileSync(join(a.dir, name)), readFileSync(join(b.dir, name))), name).toBe(0);
    }
    expect(saved({ created: new Date('2027-01-01') }).hash).toBe(a.hash);
    const others: Partial<ArtifactParts>[] = [
      { policy: { ...parts.policy, tolerance: 0.06 } },
      { notes: [] },
      { parent: 'f'.repeat(32) },
      { metrics: {} },
      { training: { ...parts.training, seed: 2 } },
      { heads: { ...parts.heads, rows: parts.heads.rows.map((v, i) => (i === 0 ? v + 0.01 : v)) } },
    ];
    const hashes = others.map((more) => saved(more).hash);
    expect(new Set([a.hash, ...hashes]).size).toBe(others.length + 1);
  });

  test('names the folder by the hash where asked, beside older ones', async () => {
    const home = temporaryFolder();
    const a = saveArtifact(home, parts, { underHash: true });
    const b = saveArtifact(home, { ...parts, parent: a.hash }, { underHash: true });
    expect(readdirSync(home).sort()).toEqual([a.hash, b.hash].sort());
    expect((await loadArtifact(join(home, b.hash))).manifest.parent).toBe(a.hash);
  });

  test('replaces an older artifact but keeps its model card', async () => {
    const { dir } = saved();
    writeFileSync(join(dir, 'README.md'), 'about this model');
    const { hash } = saveArtifact(dir, { ...parts, notes: ['newer'] });
    expect((await loadArtifact(dir)).hash).toBe(hash);
    expect(readFileSync(join(dir, 'README.md'), 'utf8')).toBe('about this model');
    expect(readdirSync(join(dir, '..'))).toEqual(['router']);
  });

  test('takes a folder with a slash at its end, and makes the folders above', async () => {
    const { dir, hash } = saveArtifact(`${join(temporaryFolder(), 'deep', 'down')}/`, parts);
    expect((await loadArtifact(dir)).hash).toBe(hash);
    saveArtifact(`${dir}/`, parts);
    expect((await loadArtifact(dir)).hash).toBe(hash);
  });

  test.each(['thesis.txt', 'manifest.json/thesis.txt'])(
    'refuses to replace a folder that holds something else: %s',
    async (name) => {
      const dir = temporaryFolder();
      mkdirSync(join(dir, name, '..'), { recursive: true });
      writeFileSync(join(dir, name), 'three years of work');
      const failure = await failureOf(() => saveArtifact(dir, parts));
      expect(failure.code).toBe('INVALID_CONFIG');
      expect(failure.message).toContain(dir);
      expect(readFileSync(join(dir, name), 'utf8')).toBe('three years of work');
    },
  );

  test('fills an empty folder', async () => {
    const dir = temporaryFolder();
    const { hash } = saveArtifact(dir, parts);
    expect((await loadArtifact(dir)).hash).toBe(hash);
  });

  test('knows which groups it was fitted on', async () => {
    const { manifest } = await loadArtifact(saved().dir);
    const { seen, fitted } = trainedOn(manifest);
    const prompts = ['g1', 'g2', 'g3', 'g4', ''].map((groupId) => ({ groupId, text: 'some text' }));
    expect(prompts.map(seen)).toEqual([true, true, true, false, false]);
    expect(prompts.map(fitted)).toEqual([true, true, false, false, false]);
  });
});

describe('a damaged artifact', () => {
  test.each(FILES.flatMap((name) => [0.02, 0.5, 0.98].map((share) => [name, share] as const)))(
    'with one byte of %s changed at %s of its length is refused',
    async (name, share) => {
      const { dir } = saved();
      const path = join(dir, name);
      const bytes = readFileSync(path);
      // In the manifest: a digit before this place, so that it is still JSON.
      let at = Math.floor(bytes.length * share);
      if (name === 'manifest.json') while (bytes[at]! < 48 || bytes[at]! > 57) at--;
      bytes[at] = name === 'manifest.json' ? 48 + ((bytes[at]! - 47) % 10) : bytes[at]! ^ 1;
      writeFileSync(path, bytes);
      const failure = await failureOf(() => loadArtifact(dir));
      expect(failure.code).toBe('ARTIFACT_DAMAGED');
      if (name !== 'manifest.json') expect(failure.message).toContain(name);
    },
  );

  test.each(FILES.filter((name) => name !== 'manifest.json'))('without %s is refused', async (name) => {
    const { dir } = saved();
    rmSync(join(dir, name));
    const failure = await failureOf(() => loadArtifact(dir));
    expect(failure.code).toBe('ARTIFACT_DAMAGED');
    expect(failure.message).toContain(name);
  });

  test.each([
    ['empty', ''],
    ['cut short', '{"format": 1, "hash": "abc'],
    ['another JSON', '{"name": "my web app"}'],
    ['of a later format', '{"format": 99}'],
  ])('whose manifest is %s is refused', async (_, text) => {
    const { dir } = saved();
    writeFileSync(join(dir, 'manifest.json'), text);
    expect((await failureOf(() => loadArtifact(dir))).code).toBe('ARTIFACT_DAMAGED');
  });

  test('that is not there says how to make one', async () => {
    for (const dir of [join(temporaryFolder(), 'nowhere'), temporaryFolder()]) {
      const failure = await failureOf(() => loadArtifact(dir));
      expect(failure.code).toBe('ARTIFACT_MISSING');
      expect(failure.message).toContain('pointsman train');
    }
    expect((await failureOf(() => Router.load({ artifact: '/no/such/place' }))).code).toBe('ARTIFACT_MISSING');
  });

  test('of heads fitted on another encoder is refused as a mismatch', async () => {
    const { model } = await smallEncoder({ directions: 5 });
    const failure = await failureOf(() => loadArtifact(saved({ encoder: model }).dir));
    expect(failure.code).toBe('ARTIFACT_MISMATCH');
    expect(failure.message).toContain('dimensions');
  });
});

describe('heads as JSON', () => {
  test('come back to nine digits', () => {
    const back = headsFromJson(headsToJson(parts.heads));
    expect(back.modelIds).toEqual(parts.heads.modelIds);
    expect(headsToJson(back)).toBe(headsToJson(parts.heads));
    back.rows.forEach((v, i) => {
      expect(Math.abs(v - parts.heads.rows[i]!)).toBeLessThanOrEqual(1e-8 * Math.abs(v));
    });
  });

  test.each([
    ['a row too short', (v: HeadsFile) => v.models[0]!.row.pop()],
    ['weights of another dimension', (v: HeadsFile) => v.factors.weights.pop()],
    ['no model', (v: HeadsFile) => v.models.splice(0)],
    ['a number that is none', (v: HeadsFile) => v.factors.bias.splice(0, 1, null as unknown as number)],
    [
      'a known coordinate beyond the embedding',
      (v: HeadsFile) => {
        v.domain.known = { coordinate: v.dimension, limit: -3 };
      },
    ],
  ])('with %s are refused', async (_, damage) => {
    const value = JSON.parse(headsToJson(parts.heads)) as HeadsFile;
    damage(value);
    expect((await failureOf(() => headsFromJson(JSON.stringify(value)))).code).toBe('ARTIFACT_DAMAGED');
  });

  test('that are no numbers are not saved in the first place', async () => {
    const dir = join(temporaryFolder(), 'router');
    const heads = { ...parts.heads, rows: parts.heads.rows.map((v, i) => (i === 2 ? Number.NaN : v)) };
    expect((await failureOf(() => saveArtifact(dir, { ...parts, heads }))).code).toBe('ARTIFACT_DAMAGED');
    expect(existsSync(dir)).toBe(false);
  });
});

interface HeadsFile {
  dimension: number;
  models: { row: number[] }[];
  factors: { weights: number[]; bias: number[] };
  domain: { known: { coordinate: number; limit: number } | null };
}

describe('the shipped artifact', () => {
  const dir = defaultArtifactDir();
  let artifact: Artifact;
  beforeAll(async () => {
    artifact = await loadArtifact();
  });

  test('loads by the hash in its manifest, and from a copy elsewhere', async () => {
    const copy = join(temporaryFolder(), 'copy');
    cpSync(dir, copy, { recursive: true });
    expect((await loadArtifact(copy)).hash).toBe(artifact.hash);
    const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as { hash: string };
    expect(artifact.hash).toBe(manifest.hash);
  });

  test('is no larger than 12 MB', () => {
    const bytes = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(12_000_000);
  });

  test('names the same models in manifest, heads and graph, no base model among them; evidence is there or the row is a prior', async () => {
    expect(artifact.manifest.models).toEqual(artifact.heads.modelIds);
    expect(artifact.manifest.models.filter(isBaseModel)).toEqual([]);
    expect(new Set(artifact.manifest.models).size).toBe(artifact.manifest.models.length);
    // What nobody has outcomes of has a row from published facts, of a model that is on sale.
    const onSale = (await readCatalog()).models.map((m) => m.id);
    artifact.heads.modelIds.forEach((id, j) => {
      expect(artifact.heads.evidence[j]! > 0 || onSale.includes(id), id).toBe(true);
    });
    expect(artifact.encoder.dimension).toBe(artifact.manifest.encoder.dimension);
  });

  test('holds no words of a prompt: no three words in a row outside the manifest, groups and texts only as hashes', () => {
    // Three words in a row.
    const phrase = /[A-Za-z]{3,}[ ,.][A-Za-z]{3,}[ ,.][A-Za-z]{2,}/g;
    for (const name of ['encoder.onnx', 'heads.onnx', 'heads.json', 'policy.json']) {
      const text = readFileSync(join(dir, name), 'latin1').replace(/"method":\s*"[^"]*"/, ''); // the certificate's own words
      const found = text.match(phrase) ?? [];
      expect([...found], name).toEqual([]);
    }
    const { seed: _seed, data: _data, ...hashes } = artifact.manifest.training;
    expect(Object.keys(hashes)).toHaveLength(6);
    for (const hash of Object.values(hashes).flat()) expect(hash).toMatch(/^[0-9a-f]{12}$/);
  });

  test('was trained on the four sources and not on routellm', () => {
    const names = artifact.manifest.training.data.map((d) => d.name);
    expect(names).toEqual(['livecodebench', 'mmlu-pro', 'ulab-llmrouter', 'zeroeval']);
    expect(artifact.manifest.training.data.every((d) => d.licence !== undefined)).toBe(true);
  });

  test('serves a catalog of one model of its own', async () => {
    const id = artifact.heads.modelIds[0]!;
    const router = await Router.load({ candidates: [candidateOf(id)] });
    expect((await router.route({ messages: [{ role: 'user', content: 'hello' }] })).model).toBe(id);
  });
});
