/** An encoder of the log's own prompts: learned where enough are kept, judged as any candidate, and without their words. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { type Artifact, loadArtifact } from '../../../router/artifact/artifact.ts';
import { headsToJson } from '../../../router/artifact/heads-json.ts';
import { predictHeads } from '../../../router/heads/heads.ts';
import { fitEncoder, LEAST_WITH_TEXT, whyNoEncoder } from '../../../server/learning/encoder-fit.ts';
import { type FitJob, type FitResult, fitAndJudge } from '../../../server/learning/fit.ts';
import { DEFAULT_GATE } from '../../../server/learning/gate.ts';
import type { Sample } from '../../../server/learning/log.ts';
import { generatedTexts } from '../../router/fixtures.ts';
import { aSample } from './samples.ts';
import type { Base } from './synthetic-log.ts';
import { tinyBase } from './tiny-base.ts';

const N = 700;
/** What nobody but a user would have written. */
const MARKER = 'zanzibarquokka';
const folder = mkdtempSync(join(tmpdir(), 'pointsman-encoder-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let base: Base;
let artifact: Artifact;
let samples: Sample[];
let result: FitResult;
const texts = new Map<string, string>();

/** The dear model is broken where the marker stands, and the cheap one elsewhere; an encoder that never saw the word cannot tell. */
beforeAll(async () => {
  base = await tinyBase();
  artifact = await loadArtifact(base.dir);
  const random = seededRandom(7);
  const models = base.candidates.map(({ id }) => id);
  const prompts = generatedTexts(N, 23).map((text) =>
    random() < 0.5 ? `${MARKER} ${MARKER} ${MARKER} ${text}` : text,
  );
  samples = await Promise.all(
    prompts.map(async (text, i) => {
      const id = `d${i}`;
      texts.set(id, text);
      const executed = models[Math.floor(random() * 3)]!;
      const marked = text.startsWith(MARKER);
      const good = executed === 'lab/middle' ? 0.6 : (executed === 'lab/cheap') === marked ? 0.95 : 0.05;
      return aSample({
        id,
        executed,
        propensity: 1 / 3,
        distribution: models.map((model) => ({ model, probability: 1 / 3 })),
        embedding: await artifact.encoder.encode([text]),
        quality: random() < good ? 1 : 0,
        outputTokens: 100,
        createdAt: 1.7e12 + i * 1000,
        firstLabelledAt: i,
      });
    }),
  );
  result = await fitAndJudge({ ...jobOf(), samples, texts });
});

const jobOf = (more: Partial<FitJob> = {}): FitJob => ({
  baseDir: base.dir,
  incumbentDir: base.dir,
  encoderDir: undefined,
  trainedThrough: null,
  candidates: base.candidates,
  policy: { tolerance: 0.05 },
  gate: { ...DEFAULT_GATE, limits: { decisionMs: [1e6, 1e6] } },
  seed: 1,
  saveUnder: folder,
  encoder: true,
  ...more,
});

test('learns a word that the artifact’s encoder never saw, and is judged on embeddings of its own', async () => {
  expect(result.verdict.kind, result.verdict.reasons.join('; ')).toBe('promote');
  expect(result.learned.samples).toBe(N);
  const heads = await fitAndJudge({ ...jobOf({ encoder: false }), samples });
  // The same answers, held out the same way: the old encoder hardly tells marked prompts from others.
  expect(result.comparison!.logLossNew).toBeLessThan(heads.comparison!.logLossNew - 0.05);

  const fresh = await loadArtifact(result.saved!.dir);
  expect(fresh.manifest.encoder.id).not.toBe(artifact.manifest.encoder.id);
  const z = await fresh.encoder.encode([`${MARKER} ${MARKER} ${MARKER} ${base.texts[0]}`, base.texts[0]!]);
  const { quality } = predictHeads(fresh.heads, z, 2);
  const m = fresh.heads.modelIds.length;
  const cheap = fresh.heads.modelIds.indexOf('lab/cheap');
  expect(quality[cheap]! - quality[m + cheap]!).toBeGreaterThan(0.4);
});

test('what later logs start from is over the new encoder, and no outcome of this log went into it', async () => {
  const saved = await loadArtifact(result.saved!.dir);
  const start = await loadArtifact(result.baseDir!);
  expect(saved.manifest.parent).toBe(start.hash);
  expect(result.base).toBe(start.hash);
  expect(start.manifest.parent).toBe(artifact.hash);
  expect(start.manifest.encoder.id).toBe(saved.manifest.encoder.id);
  const modelIds = base.candidates.map(({ id }) => id);
  const likeOf = (id: string) => base.candidates.find((c) => c.id === id)!.like;
  const [one, other] = await Promise.all(
    [samples, samples.map((s) => ({ ...s, quality: 1 - s.quality }))].map((log) =>
      fitEncoder(artifact, log, texts, { seed: 1, modelIds, likeOf }),
    ),
  );
  expect(Buffer.from(one!.part).equals(other!.part)).toBe(true);
  expect(headsToJson(one!.heads)).toBe(headsToJson(other!.heads));
  expect(headsToJson(start.heads)).toBe(headsToJson(one!.heads));

  // Weights of words and n-grams, by hash; no prompt and nothing that one can be looked up by.
  for (const dir of [saved.dir, start.dir]) {
    for (const file of readdirSync(dir)) {
      expect(readFileSync(join(dir, file)).includes(MARKER), join(dirname(dir), file)).toBe(false);
    }
  }
  // The next retraining of heads alone works on this ground.
  const embedded = await Promise.all(
    samples.slice(0, 120).map(async (s) => ({ ...s, embedding: await saved.encoder.encode([texts.get(s.id)!]) })),
  );
  const next = await fitAndJudge({
    ...jobOf({ baseDir: start.dir, incumbentDir: saved.dir, encoder: false }),
    samples: embedded,
  });
  expect(next.comparison!.rows).toBe(120);
});

test('says why none is learned: too few prompts are kept, a network is in force, or a budget is to be kept', async () => {
  const few = new Map([...texts].slice(0, LEAST_WITH_TEXT - 1));
  const refused = await fitAndJudge({ ...jobOf(), samples, texts: few });
  expect(refused).toMatchObject({ saved: null, comparison: null, learned: { samples: 499 } });
  expect(refused.verdict).toMatchObject({ kind: 'refuse', promote: false });
  expect(refused.verdict.reasons.join()).toMatch(/499 judged answers whose prompt is kept, 500 are needed/);
  const plain = { target: null, budget: null };
  expect(whyNoEncoder(artifact, plain, 500)).toBeNull();
  expect(whyNoEncoder(artifact, { ...plain, budget: 3 }, 500)).toMatch(/policy.target and policy.budget/);
  const network = { kind: 'transformer' } as unknown as Artifact['manifest']['encoder'];
  expect(whyNoEncoder({ manifest: { ...artifact.manifest, encoder: network } }, plain, 500)).toMatch(/network/);
});
