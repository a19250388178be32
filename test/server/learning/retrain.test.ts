import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadArtifact } from '../../../router/artifact/artifact.ts';
import { LearningConfig } from '../../../server/config/index.ts';
import { insertRows } from '../../../server/db/insert.ts';
import { type EncodedRow, rowToJson } from '../../../server/db/rows.ts';
import { Spool } from '../../../server/db/spool.ts';
import { openStore } from '../../../server/db/store.ts';
import { labelOutcomes } from '../../../server/feedback/outcomes.ts';
import { learningAdmin } from '../../../server/learning/admin.ts';
import { activeArtifactDir, artifactsFolder, watchPromotions } from '../../../server/learning/artifacts.ts';
import { logTable, readLog } from '../../../server/learning/log.ts';
import { activeArtifact, addPromotion, history, rollback } from '../../../server/learning/promotions.ts';
import { verdictText } from '../../../server/learning/report.ts';
import { type LearningContext, type RetrainOptions, retrain } from '../../../server/learning/retrain.ts';
import { aDecision, anAttempt, someFeedback } from '../db/records.ts';
import { type OpenedStore, storeKinds, tempDir } from '../db/stores.ts';
import { fitHere } from './fit-here.ts';
import { type Base, candidates, type Entry, logOf, type World } from './synthetic-log.ts';
import { tinyBase } from './tiny-base.ts';

/** The dear model, which the router takes for the best, is broken; the others are good. */
const dearIsBroken: Omit<World, 'seed' | 'decisions'> = {
  truth: (model) => (model === 'lab/dear' ? 0.05 : 0.85),
  policy: { exploration: 1, tolerance: 0.25 },
  perSession: 1,
};
/** Everything is as the router says: nothing to learn. */
const asPredicted: Omit<World, 'seed' | 'decisions'> = {
  ...dearIsBroken,
  truth: (_, predicted) => predicted,
};
/** Answers of which, drawn evenly over three models, 200 are worth as many of any one: what the gate asks for. */
const ENOUGH = 700;

/** How long decisions take is nothing that a busy machine should be asked. */
const untimed: RetrainOptions = { limits: { decisionMs: [1e6, 1e6] } };
const promoting = async (context: LearningContext) => {
  const report = await retrain(context, untimed);
  expect(report.outcome, report.reasons.join('; ')).toBe('promoted');
  return report;
};

/** Small where only the plumbing matters; the shipped router is retrained at the end. */
let base: Base;
beforeAll(async () => {
  base = await tinyBase();
});

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  let context: LearningContext;
  // Opening one takes a second, emptying it milliseconds.
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    await opened.store.db.execute(
      sql`truncate decisions, attempts, feedback, outcomes, promotions, artifacts, artifact_blobs`,
    );
    await rm(artifactsFolder(opened.options.dataDir), { recursive: true, force: true });
    const { dir: baseDir, candidates } = base;
    context = {
      fit: fitHere,
      store: opened.store,
      dataDir: opened.options.dataDir,
      candidates,
      baseDir,
      policy: { tolerance: 0.05 },
    };
  });

  const record = async (entries: readonly Entry[]) => {
    await insertRows(opened.store.db, entries.flatMap(rowsOf));
  };
  const log = async (world: Omit<World, 'seed' | 'decisions'>, decisions: number, seed = 1, idPrefix = 'd') =>
    (await logOf({ base, ...world, seed, decisions, idPrefix })).entries;

  test('promotes a router that is really better, saves it, and a running gateway hears of it', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const heard: { dir: string; hash: string | null }[] = [];
    const watch = watchPromotions(
      opened.store,
      context.dataDir,
      (dir, hash) => {
        heard.push({ dir, hash });
      },
      { intervalMs: 20, known: null },
    );
    const report = await promoting(context);
    expect(report.samples).toBe(ENOUGH);
    expect(report.sessions).toBe(ENOUGH);
    const { comparison } = report;
    expect(comparison!.logLoss.high).toBeLessThan(0);
    expect(comparison!.value!.qualityNew).toBeGreaterThan(comparison!.value!.qualityOld + 0.1);
    const dir = await activeArtifactDir(opened.store, context.dataDir);
    expect(dir).toBe(join(artifactsFolder(context.dataDir), report.artifact!));
    const artifact = await loadArtifact(dir!);
    expect(artifact.hash).toBe(report.artifact);
    expect(artifact.manifest.parent).toBe(report.incumbent);
    expect(artifact.heads.modelIds).toContain('lab/dear');
    await expect.poll(() => heard).toEqual([{ dir, hash: report.artifact }]);
    watch.stop();
  });

  test('leaves the old router where labels hold nothing new, and writes the refusal down', async () => {
    await record(await log(asPredicted, 300));
    const report = await retrain(context);
    expect(report.outcome).toBe('refused');
    expect(report.reasons.join()).toMatch(/not shown to be better/);
    expect(await activeArtifactDir(opened.store, context.dataDir)).toBeNull();
    const rows = await history(opened.store);
    expect(rows.map(({ kind, artifact }) => ({ kind, artifact }))).toEqual([{ kind: 'refused', artifact: null }]);
    expect(rows[0]!.verdict).toMatchObject({ samples: 300, comparison: { rows: 300 } });
    expect(existsSync(artifactsFolder(context.dataDir))).toBe(false);
  });

  test('refuses on too little feedback, saying how much is needed', async () => {
    await record(await log(dearIsBroken, 49));
    const report = await retrain(context);
    expect(report.outcome).toBe('refused');
    expect(report.reasons).toEqual([
      expect.stringMatching(/insufficient evidence: 49 judged answers .* 50 are needed/),
    ]);
    expect((await retrain({ ...context }, { minFeedback: 30, dryRun: true })).reasons.join()).not.toMatch(
      /insufficient/,
    );
  });

  test('hints are no judged answers: neither for the gate nor in what is told', async () => {
    const entries = await log(dearIsBroken, 71);
    const hinted = ({ feedback, ...rest }: Entry): Entry => ({
      ...rest,
      feedback: { ...feedback, kind: 'hint', weight: 0.2, score: 0, source: 'hint:regenerated' },
    });
    await record(entries.map((entry, i) => (i === 0 ? entry : hinted(entry))));
    const report = await retrain(context, { dryRun: true });
    expect(report).toMatchObject({ outcome: 'would-refuse', samples: 1, unseen: 1, sessions: 1, hints: 0 });
    expect(report.models).toMatchObject([{ model: entries[0]!.decision.executedModel, samples: 1 }]);
    expect(report.reasons).toEqual([
      'insufficient evidence: 1 judged answer since the router in force was fitted, 50 are needed',
    ]);
    expect(verdictText(report)).toMatch(/Learned from 1 judged answer in 1 session \(1 new to the router in force\)/);
    const learning = LearningConfig.parse({ hints: true });
    const hintsToo = await retrain({ ...context, learning }, { dryRun: true });
    expect(hintsToo).toMatchObject({ outcome: 'would-refuse', samples: 1, unseen: 1, hints: 70, comparison: null });
    expect(hintsToo.models).toHaveLength(1);
    expect(verdictText(hintsToo)).toMatch(/Learned from 1 judged answer and 70 hints in 1 session/);
  });

  test('a dry run says what it would do and changes nothing', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const report = await retrain(context, { ...untimed, dryRun: true });
    expect(report.outcome, report.reasons.join('; ')).toBe('would-promote');
    expect(report.artifact).toBeNull();
    expect(await history(opened.store)).toEqual([]);
    expect(existsSync(artifactsFolder(context.dataDir))).toBe(false);
  });

  test('the next retraining judges only what the promoted router has not seen', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const first = await promoting(context);
    const again = await retrain(context);
    expect(again).toMatchObject({ outcome: 'refused', unseen: 0, samples: ENOUGH, incumbent: first.artifact });
    await record(await log(dearIsBroken, 80, 2, 'e'));
    const third = await retrain(context, { dryRun: true });
    expect(third).toMatchObject({ unseen: 80, samples: ENOUGH + 80 });
    expect(third.comparison!.rows).toBe(80);
  });

  test('rolls back to what was in force before, and no further than the base', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const { artifact } = await promoting(context);
    await addPromotion(opened.store, { kind: 'promoted', artifact: 'second', previous: artifact, verdict: {} });
    expect(await rollback(opened.store)).toEqual({ from: 'second', to: artifact, stopped: false });
    expect(await activeArtifact(opened.store)).toBe(artifact);
    expect(await rollback(opened.store)).toEqual({ from: artifact, to: null, stopped: false });
    expect(await activeArtifactDir(opened.store, context.dataDir)).toBeNull();
    await expect(rollback(opened.store)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await history(opened.store)).map(({ kind }) => kind)).toEqual([
      'rolled-back',
      'rolled-back',
      'promoted',
      'promoted',
    ]);
  });

  test('a rolled-back router returns only with new feedback', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const { artifact } = await promoting(context);
    await rollback(opened.store);
    const dry = await retrain(context, { dryRun: true });
    expect(dry).toMatchObject({ outcome: 'would-refuse', artifact: null });
    expect(dry.reasons.join()).toMatch(/was rolled back/);
    const again = await retrain(context);
    expect(again).toMatchObject({ outcome: 'refused', artifact: null });
    expect(again.reasons.join()).toMatch(/was rolled back/);
    expect(await activeArtifact(opened.store)).toBeNull();
    await record(await log(dearIsBroken, 20, 2, 'e'));
    const later = await promoting(context);
    expect(later.artifact).not.toBe(artifact);
  });

  test('a promoted router that is damaged is named with the way out, which works', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const { artifact } = await promoting(context);
    await writeFile(join(artifactsFolder(context.dataDir), artifact!, 'heads.json'), '{}');
    await record(await log(dearIsBroken, 60, 2, 'e'));
    await expect(retrain(context)).rejects.toMatchObject({
      code: 'ARTIFACT_DAMAGED',
      message: expect.stringMatching(
        new RegExp(`promoted router ${artifact!.slice(0, 12)} cannot be used .*: pointsman retrain --rollback$`),
      ),
    });
    await rollback(opened.store);
    expect(await promoting(context)).toMatchObject({ samples: ENOUGH + 60 });
  });

  test('does not promote over a promotion that it was not judged against', async () => {
    await addPromotion(opened.store, { kind: 'promoted', artifact: 'faster', previous: null, verdict: {} });
    await expect(
      addPromotion(opened.store, { kind: 'promoted', artifact: 'late', previous: null, verdict: {} }),
    ).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    expect(await activeArtifact(opened.store)).toBe('faster');
  });

  test('one retraining at a time', async () => {
    const both = await Promise.allSettled([retrain(context), retrain(context)]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((both[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'INVALID_REQUEST' });
  });

  test('of each source the latest word counts, and sources count alike', async () => {
    const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds));
    const say = (id: string, source: string, score: number, seconds: number) =>
      opened.store.record({ feedback: someFeedback({ id, source, score, createdAt: at(seconds) }) });
    opened.store.record({ decision: aDecision(), attempt: anAttempt({ outputTokens: 77 }) });
    say('1', 'user', 0, 1);
    say('2', 'user', 1, 3); // changed their mind
    say('3', 'user', 0.2, 2);
    say('4', 'test', 0.5, 1);
    say('5', 'nobody', 7, 1); // not a score
    await opened.store.flush();
    await labelOutcomes(opened.store);
    const { samples } = await readLog(opened.store, 'ngram-1');
    // (1 + 0.5) / 2
    expect(samples).toMatchObject([{ id: 'd1', quality: 0.75, outputTokens: 77, group: 'default\ns1' }]);
    const table = logTable(samples);
    expect(table.modelIds).toEqual(['a/small']);
    expect([...table.quality]).toEqual([0.75]);
    say('6', 'test', 0, 9);
    await opened.store.flush();
    await labelOutcomes(opened.store);
    expect((await readLog(opened.store, 'ngram-1')).samples[0]!.quality).toBe(0.5);
  });

  test('leaves out, and counts, what cannot be learned from', async () => {
    const judged = (id: string, over: Parameters<typeof aDecision>[0]) =>
      opened.store.record({
        decision: aDecision({ id, ...over }),
        attempt: anAttempt({ id: `a${id}`, decisionId: id }),
        feedback: someFeedback({ id: `f${id}`, decisionId: id }),
      });
    judged('fine', {});
    judged('foreign', { encoderId: 'other' });
    judged('named', { routed: false, embedding: null, encoderId: null });
    judged('failed', { executedModel: null }); // nothing answered: feedback on nothing
    judged('moved-on', { executedModel: 'b/large', session: null });
    opened.store.record({ feedback: someFeedback({ id: 'again', decisionId: 'failed', source: 'tests' }) });
    opened.store.record({ decision: aDecision({ id: 'failed-too', executedModel: null }) });
    opened.store.record({ feedback: someFeedback({ id: 'none', decisionId: 'failed-too', score: 7 }) });
    opened.store.record({ feedback: someFeedback({ id: 'lost', decisionId: 'never made' }) });
    await opened.store.flush();
    await labelOutcomes(opened.store);
    const { samples, leftOut } = await readLog(opened.store, 'ngram-1');
    // An answer judged twice is one; a score that is none judges nothing.
    expect(leftOut).toEqual({ otherEncoder: 1, notRouted: 1, notAnswered: 1, sandbox: 0 });
    expect(samples.map(({ id, executed, sampled, group }) => ({ id, executed, sampled, group }))).toEqual([
      { id: 'moved-on', executed: 'b/large', sampled: 'a/small', group: 'moved-on' },
      { id: 'fine', executed: 'a/small', sampled: 'a/small', group: 'default\ns1' },
    ]);
    expect(samples[1]!.propensity).toBe(0.1 + 0.2);
  });

  test('learns nothing from what the sandbox answered, however well it was judged', async () => {
    const entries = await log(dearIsBroken, 300);
    await record(entries.map((entry) => ({ ...entry, attempt: { ...entry.attempt, provider: 'sandbox' } })));
    const report = await retrain(context);
    expect(report).toMatchObject({ outcome: 'refused', samples: 0, unseen: 0, leftOut: { sandbox: 300 } });
    expect(verdictText(report)).toMatch(/300 left out: answered by the sandbox, no model was called/);
    await record(await log(dearIsBroken, 60, 2, 'real'));
    expect(await retrain(context, { dryRun: true })).toMatchObject({ samples: 60, leftOut: { sandbox: 300 } });
  });

  test('options that are none are refused by name', async () => {
    const admin = learningAdmin(context);
    await expect(admin.retrain({ minFeedback: 0 })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(/^minFeedback/),
    });
    await expect(admin.retrain({ min: 5 })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    expect(await admin.retrain({ historyOnly: true })).toEqual({ active: null, history: [] });
  });

  test('a promoted artifact that is gone from this disk comes from the database, or is asked for', async () => {
    await record(await log(dearIsBroken, ENOUGH));
    const { artifact } = await promoting(context);
    await rm(artifactsFolder(context.dataDir), { recursive: true });
    if (kind.name === 'PostgreSQL') {
      const dir = await activeArtifactDir(opened.store, context.dataDir);
      expect((await loadArtifact(dir!)).hash).toBe(artifact);
    } else {
      await expect(activeArtifactDir(opened.store, context.dataDir)).rejects.toMatchObject({
        code: 'ARTIFACT_MISSING',
      });
    }
  });
});

test('what an earlier process left on disk is part of the log: it is waited for', async () => {
  const dataDir = await tempDir();
  const { entries } = await logOf({ ...dearIsBroken, base, seed: 1, decisions: 300 });
  const left = new Spool(dataDir, { exclusive: true });
  await left.append(entries.flatMap(rowsOf));
  await left.close();
  const store = await openStore({ dataDir });
  try {
    const { dir: baseDir, candidates } = base;
    const report = await retrain({ store, dataDir, candidates, baseDir, fit: fitHere }, { dryRun: true });
    expect(report).toMatchObject({ samples: 300, sessions: 300 });
  } finally {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('hints are read where they teach, and where they tell what the router in force has seen', async () => {
  const opened = await storeKinds[0]!.open();
  try {
    const { entries } = await logOf({ ...dearIsBroken, base, seed: 1, decisions: ENOUGH });
    const hint = { kind: 'hint', weight: 0.2, source: 'hint:regenerated' } as const;
    const hinted = ({ feedback, ...rest }: Entry): Entry => ({ ...rest, feedback: { ...feedback, ...hint } });
    await insertRows(
      opened.store.db,
      entries.flatMap((entry, i) => rowsOf(i < 5 ? hinted(entry) : entry)),
    );
    const { dir: baseDir, candidates } = base;
    const { dataDir } = opened.options;
    const context: LearningContext = { store: opened.store, dataDir, candidates, baseDir, policy: { tolerance: 0.05 } };
    const learning = LearningConfig.parse({ hints: true });
    const isAskedFor = async (more: Partial<LearningContext>) => {
      let asked: boolean | undefined;
      const log = {
        fitInput({ hints }: { hints: boolean }): never {
          asked = hints;
          throw new Error('not read');
        },
      };
      await expect(retrain({ ...context, ...more, log }, { dryRun: true })).rejects.toThrow('not read');
      return asked;
    };
    expect([await isAskedFor({}), await isAskedFor({ learning })]).toEqual([false, true]);
    expect(await promoting({ ...context, learning, fit: fitHere })).toMatchObject({ hints: 5, samples: ENOUGH - 5 });
    expect(await isAskedFor({})).toBe(true);
    await rollback(opened.store);
    expect(await isAskedFor({})).toBe(false);
  } finally {
    await opened.close();
  }
});

describe('the same log', () => {
  const inFresh = async (order: (entries: Entry[]) => Entry[]) => {
    const opened = await storeKinds[0]!.open();
    try {
      const { entries } = await logOf({ ...dearIsBroken, base, seed: 1, decisions: ENOUGH });
      await insertRows(opened.store.db, order(entries).flatMap(rowsOf));
      const { dataDir } = opened.options;
      const { dir: baseDir, candidates } = base;
      const policy = { tolerance: 0.05 };
      const report = await promoting({ store: opened.store, dataDir, candidates, baseDir, policy, fit: fitHere });
      const files = ['heads.onnx', 'heads.json', 'encoder.onnx', 'policy.json'];
      const dir = join(artifactsFolder(dataDir), report.artifact!);
      const bytes = await Promise.all(files.map((name) => readFile(join(dir, name))));
      return { report, bytes };
    } finally {
      await opened.close();
    }
  };

  test('gives the same verdict and the same bytes, in whatever order it was written', async () => {
    const first = await inFresh((entries) => entries);
    const second = await inFresh((entries) => [...entries].reverse());
    expect(second.report.artifact).toBe(first.report.artifact);
    expect(second.report.comparison).toEqual(first.report.comparison);
    expect(second.bytes.every((b, i) => b.equals(first.bytes[i]!))).toBe(true);
  });
});

test('the shipped router is retrained, and answers are not held up meanwhile', async () => {
  const opened = await storeKinds[0]!.open();
  try {
    const { entries } = await logOf({ ...dearIsBroken, seed: 1, decisions: ENOUGH });
    await insertRows(opened.store.db, entries.flatMap(rowsOf));
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    await promoting({ store: opened.store, dataDir: opened.options.dataDir, candidates });
    clearInterval(beat);
    // Far below what the fit takes; far above a timer's jitter on a busy machine.
    expect(longest).toBeLessThan(1500);
  } finally {
    await opened.close();
  }
});

const rowsOf = ({ decision, attempt, feedback }: Entry): EncodedRow[] => [
  { table: 'decisions', json: rowToJson({ table: 'decisions', row: decision }) },
  { table: 'attempts', json: rowToJson({ table: 'attempts', row: attempt }) },
  { table: 'feedback', json: rowToJson({ table: 'feedback', row: feedback }) },
];
