/** What is learned from a log over a transformer is an artifact over the same transformer, wherever it lies now. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { loadArtifact, saveArtifact } from '../../../router/artifact/artifact.ts';
import { openTransformerEncoder } from '../../../router/encoder/transformer/transformer.ts';
import { train } from '../../../router/training/train.ts';
import { fitAndJudge } from '../../../server/learning/fit.ts';
import type { Sample } from '../../../server/learning/log.ts';
import { tinyDataset, writeTinyModel } from '../../router/encoder/transformer/tiny-model.ts';
import { candidateOf, factsOf, temporaryFolder } from '../../router/fixtures.ts';
import { aSample } from './samples.ts';

test('a promoted router over a transformer is refitted from embeddings alone', async () => {
  const home = temporaryFolder();
  const model = writeTinyModel(join(home, 'model'));
  const encoder = await openTransformerEncoder(model);
  const dataset = tinyDataset(300);
  const parts = await train(dataset, { seed: 1, created: new Date(0), encoder });
  const base = saveArtifact(join(home, 'base'), parts);
  // The strong model has become bad at what is easy, and the weak one good at everything.
  const random = seededRandom(3);
  const models = ['local/weak', 'local/strong'];
  const samples: Sample[] = [];
  for (const [i, { text }] of dataset.prompts.slice(0, 200).entries()) {
    const executed = models[i % 4 < 2 ? 0 : 1]!;
    const embedding = (await encoder.encode([text])).map((v) => v + 0.01 * normal(random));
    const share = executed === 'local/weak' ? 0.95 : 0.3;
    samples.push(
      aSample({
        id: `d${i}`,
        group: `s${i}`,
        executed,
        sampled: executed,
        propensity: 0.5,
        distribution: models.map((id) => ({ model: id, probability: 0.5 })),
        facts: factsOf(),
        embedding,
        quality: random() < share ? 1 : 0,
        outputTokens: 50,
        costUsd: 0.001,
        firstLabelledAt: 1,
      }),
    );
  }
  await encoder.close();
  renameSync(model, join(home, 'moved'));
  const result = await fitAndJudge({
    samples,
    baseDir: base.dir,
    incumbentDir: base.dir,
    encoderDir: join(home, 'moved'),
    trainedThrough: null,
    candidates: models.map((id) => candidateOf(id)),
    policy: {},
    gate: { minFeedback: 50, maxQualityLoss: 0.05, maxUnknown: 1 },
    seed: 1,
    saveUnder: join(home, 'artifacts'),
  });
  expect(result.verdict).toMatchObject({ promote: true });
  const refitted = await loadArtifact(result.saved!.dir, { encoderDir: join(home, 'moved') });
  expect(refitted.manifest.encoder).toEqual(parts.encoder);
  expect(refitted.manifest.parent).toBe(base.hash);
  expect(refitted.heads).not.toEqual(parts.heads);
});
