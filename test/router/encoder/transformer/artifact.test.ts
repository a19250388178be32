/** A router over a transformer: trained by the same code, kept without the model, and refused over any other. */
import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ArtifactParts, loadArtifact, readEncoder, saveArtifact } from '../../../../router/artifact/artifact.ts';
import type { TransformerReference } from '../../../../router/encoder/transformer/reference.ts';
import {
  openTransformerEncoder,
  reopenTransformerEncoder,
  type TransformerEncoder,
} from '../../../../router/encoder/transformer/transformer.ts';
import { Router } from '../../../../router/index.ts';
import { train } from '../../../../router/training/train.ts';
import { candidateOf, failureOf, temporaryFolder } from '../../fixtures.ts';
import { tinyDataset, writeTinyModel } from './tiny-model.ts';

/** Its thread has the model; the folder is gone with the first test. */
let encoder: TransformerEncoder;
let parts: ArtifactParts;
const candidates = [
  candidateOf('local/weak', { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.4 }),
  candidateOf('local/strong', { inputUsdPerMTok: 10, outputUsdPerMTok: 40 }),
];

beforeAll(async () => {
  encoder = await openTransformerEncoder(writeTinyModel(join(temporaryFolder(), 'tiny'), { pooling: null }));
  parts = await train(tinyDataset(400), { seed: 1, created: new Date('2026-01-01T00:00:00Z'), encoder });
});

afterAll(() => encoder.close());

/** The model at a place of its own, and an artifact that names this place. */
function saved(): { dir: string; hash: string; model: string } {
  const home = temporaryFolder();
  const model = writeTinyModel(join(home, 'model'), { pooling: null });
  const reference = { ...(parts.encoder as TransformerReference), folder: model };
  return { ...saveArtifact(join(home, 'router'), { ...parts, encoder: reference }), model };
}

describe('an artifact over a transformer', () => {
  test('holds everything but the model, which its manifest names by its files', async () => {
    const { dir, model } = saved();
    expect(readdirSync(dir).sort()).toEqual(['heads.json', 'heads.onnx', 'manifest.json', 'policy.json']);
    const { manifest } = await loadArtifact(dir);
    expect(manifest.encoder).toEqual({ ...encoder.reference, folder: model });
    expect(Object.keys(encoder.reference.files)).toContain('onnx/model.onnx');
    expect(manifest.notes).toContain('no 1_Pooling/config.json: the mean of the token vectors is taken');
  });

  test('routes: the easy to the weak, the hard to the strong', async () => {
    const { dir } = saved();
    const router = await Router.load({ artifact: dir, candidates, policy: { exploration: 0 } });
    const pick = async (content: string): Promise<string> =>
      (await router.route({ messages: [{ role: 'user', content }] })).model;
    expect(await pick('what is what is is')).toBe('local/weak');
    expect(await pick('three sum plus three sum sum')).toBe('local/strong');
    const [first, second] = await Promise.all([pick('what is what is'), pick('three sum plus three sum')]);
    expect([first, second]).toEqual(['local/weak', 'local/strong']);
    await router.close();
    expect(await pick('what is what is is')).toBe('local/weak');
    await router.close();
  });

  test('has the same hash wherever the model lies, and loads from there', async () => {
    const { dir, hash, model } = saved();
    expect(saved().hash).toBe(hash);
    renameSync(model, `${model}-moved`);
    const artifact = await loadArtifact(dir, { encoderDir: `${model}-moved` });
    expect(artifact.hash).toBe(hash);
    expect(await artifact.encoder.encode(['two'])).toEqual(await encoder.encode(['two']));
    await artifact.encoder.close?.();
  });

  test('is refitted over the same model', async () => {
    const { dir, hash, model } = saved();
    const artifact = await loadArtifact(dir);
    const refitted = saveArtifact(`${dir}-refitted`, { ...parts, encoder: readEncoder(artifact), parent: hash });
    expect((await loadArtifact(refitted.dir)).manifest.encoder).toEqual({ ...encoder.reference, folder: model });
  });

  test('replaces an artifact that held an encoder of its own, and leaves nothing of it', () => {
    const { dir } = saved();
    writeFileSync(join(dir, 'encoder.onnx'), 'of another time');
    saveArtifact(dir, parts);
    expect(existsSync(join(dir, 'encoder.onnx'))).toBe(false);
  });

  test('is trained to the same bytes of the same data', async () => {
    const again = await train(tinyDataset(400), { seed: 1, created: new Date(0), encoder });
    expect(again.heads).toEqual(parts.heads);
    expect(again.policy).toEqual(parts.policy);
  });
});

describe('without its model, such an artifact', () => {
  test('says what is missing and where it should be', async () => {
    const { dir, model } = saved();
    rmSync(join(model, 'tokenizer.json'));
    const one = await failureOf(() => loadArtifact(dir));
    expect(one.code).toBe('ARTIFACT_MISSING');
    expect(one.message).toContain(join(model, 'tokenizer.json'));
    rmSync(model, { recursive: true });
    const all = await failureOf(() => loadArtifact(dir));
    expect(all.code).toBe('ARTIFACT_MISSING');
    expect(all.message).toContain(`${model}: no such folder; put the model of this router there (${encoder.id})`);
    expect(all.message).toContain('name its folder as encoder in the configuration');
  });

  test('refuses another in its place, by the file that differs', async () => {
    const { dir, model } = saved();
    writeTinyModel(model, { maxTokens: 20 });
    const changed = await failureOf(() => loadArtifact(dir));
    expect(changed.code).toBe('ARTIFACT_MISMATCH');
    // It has a pooling config too, which the one trained over had not.
    expect(changed.message).toMatch(/(sentence_bert_config|1_Pooling\/config)\.json: not the file/);
    const added = saved();
    cpSync(join(model, '1_Pooling'), join(added.model, '1_Pooling'), { recursive: true });
    expect((await failureOf(() => loadArtifact(added.dir))).message).toContain('1_Pooling/config.json: not the file');
  });

  test('refuses embeddings of another dimension', async () => {
    const { dir, model } = saved();
    const reference = { ...encoder.reference, folder: model, dimension: 4 };
    saveArtifact(dir, { ...parts, encoder: reference });
    const failure = await failureOf(() => loadArtifact(dir));
    expect(failure.code).toBe('ARTIFACT_MISMATCH');
    expect(failure.message).toContain('3 dimensions');
    const wide = await reopenTransformerEncoder(reference);
    const encoded = await failureOf(() => wide.encode(['two']));
    expect(encoded.code).toBe('ARTIFACT_MISMATCH');
    expect(encoded.message).toContain('embeddings of 3 numbers, the heads were trained on 4');
    await wide.close();
  });
});
