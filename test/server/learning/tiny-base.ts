/**
 * A small router to retrain, fitted in a second: with ten dimensions instead of two hundred a retraining takes a
 * fraction of one, and what becomes of it is the same.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Candidate } from '../../../datasets/catalog/candidate.ts';
import { outcomeTable } from '../../../datasets/index.ts';
import { saveArtifact } from '../../../router/artifact/artifact.ts';
import { Policy } from '../../../router/policy/policy.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { encodeAll } from '../../../router/training/ngram-encoder.ts';
import { candidateOf, generatedDataset, generatedTexts, smallEncoder } from '../../router/fixtures.ts';
import type { Base } from './synthetic-log.ts';

/** The dear model is the one that the small router takes for the best. */
const candidates: readonly Candidate[] = [
  candidateOf('lab/cheap', { like: 'local/weak', inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.4 }),
  candidateOf('lab/middle', { like: 'local/middling', inputUsdPerMTok: 1, outputUsdPerMTok: 4 }),
  candidateOf('lab/dear', { like: 'local/strong', inputUsdPerMTok: 10, outputUsdPerMTok: 40 }),
];

/** Its folder goes when the tests of the file are done. */
export async function tinyBase(): Promise<Base> {
  const { weights, model } = await smallEncoder({ directions: 8 });
  const table = outcomeTable(generatedDataset(600, 3));
  const texts = table.prompts.map(({ text }) => text);
  const parent = mkdtempSync(join(tmpdir(), 'pointsman-tiny-'));
  made.push(parent);
  const { dir } = saveArtifact(join(parent, 'router'), {
    encoder: model,
    heads: fitHeads(table, encodeAll(weights, texts), 1).heads,
    policy: Policy.parse({ tolerance: 0.05 }),
    training: {
      seed: 1,
      data: [{ name: 'made-up', prompts: 600, groups: 300, outcomes: 1800 }],
      trainedGroupHashes: [],
      calibrationGroupHashes: [],
    },
    metrics: {},
    notes: [],
    parent: null,
    created: new Date(0),
  });
  return { dir, candidates, texts: generatedTexts(200, 17) };
}

const made: string[] = [];
afterAll(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});
