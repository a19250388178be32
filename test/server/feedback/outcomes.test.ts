/** What everybody said of one answer, brought to one number: the rule of server/feedback/README.md, on both databases. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FeedbackRecord } from '../../../server/db/records.ts';
import { outcomes } from '../../../server/db/schema.ts';
import { labelOutcomes } from '../../../server/feedback/outcomes.ts';
import { aDecision, anAttempt } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';

describe.each(storeKinds)('on $name', (kind) => {
  let opened: OpenedStore;
  let said = 0;

  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    await opened.store.db.execute(sql`truncate decisions, attempts, feedback, outcomes`);
    opened.store.record({ decision: aDecision(), attempt: anAttempt({ outputTokens: 77 }) });
  });

  /** A word of the key that asked, at the second that it was said, in order. */
  const say = (source: string, score: number, more: Partial<FeedbackRecord> = {}) => {
    said++;
    const createdAt = new Date(Date.UTC(2026, 0, 2) + said * 1000);
    const feedback = { id: `f${said}`, decisionId: 'd1', source, score, createdAt, tenant: 'default', key: 'team-a' };
    opened.store.record({ feedback: { ...feedback, ...more } });
  };
  const labelled = async (options?: Parameters<typeof labelOutcomes>[1]) => {
    await opened.store.flush();
    await labelOutcomes(opened.store, options);
    return opened.store.db.select().from(outcomes).orderBy(outcomes.decisionId);
  };

  test('of each source its latest word counts, and sources of one key count alike', async () => {
    say('user', 0);
    say('code', 0.5);
    say('user', 1); // changed their mind
    // (1 + 0.5) / 2
    expect(await labelled()).toMatchObject([
      { quality: 0.75, sources: 2, kind: 'verdict', weight: 1, auditQuality: null, outputTokens: 77 },
    ]);
  });

  test('keys are averaged by their weight, which no number of names can raise', async () => {
    say('user', 1);
    for (let i = 0; i < 9; i++) say(`user:${i}`, 0, { key: 'low', weight: 0.25 });
    // (1 · 1 + 0.25 · 0) / 1.25, where ten voices that count alike would make 0.1
    expect(await labelled()).toMatchObject([{ quality: 0.8, sources: 10, weight: 1 }]);
  });

  test('another key’s later word does not take the place of the first one’s', async () => {
    say('user', 1);
    say('user', 0, { key: 'low', weight: 0.25 });
    expect(await labelled()).toMatchObject([{ quality: 0.8 }]);
  });

  test('a verifier is a voter of its own, whoever’s request it looked at', async () => {
    say('user', 1);
    say('judge:aa', 1);
    say('verifier:form', 0, { weight: 0.5 });
    // The key’s two sources are one vote: (1 · 1 + 0.5 · 0) / 1.5
    expect((await labelled())[0]!.quality).toBeCloseTo(2 / 3, 15);
  });

  test('a verdict without weight is kept and makes no outcome, and takes nothing from the others', async () => {
    say('user', 0, { weight: 0 });
    expect(await labelled()).toEqual([]);
    say('user', 1, { key: 'other', weight: 0.5 });
    expect(await labelled()).toMatchObject([{ quality: 1, sources: 1, weight: 0.5 }]);
  });

  test('two weak voices that agree are no strong one', async () => {
    say('user', 1, { weight: 0.2 });
    say('user', 1, { key: 'b', weight: 0.3 });
    expect(await labelled()).toMatchObject([{ quality: 1, weight: 0.3 }]);
  });

  test('hints count where there is no verdict, and give way to the first one', async () => {
    const hint = { kind: 'hint', weight: 0.2 } as const;
    say('hint:asked_again', 0, hint);
    say('hint:switched_model', 0.5, hint);
    expect(await labelled()).toMatchObject([{ quality: 0.25, sources: 2, kind: 'hint', weight: 0.2 }]);
    say('user', 1);
    expect(await labelled()).toMatchObject([{ quality: 1, sources: 1, kind: 'verdict', weight: 1 }]);
  });

  test('an audit is a verdict by its weight, and is kept apart as well', async () => {
    say('user', 1);
    say('judge', 0.5, { kind: 'audit', weight: 0.5 });
    // (1 · 1 + 0.5 · 0.5) / 1.5
    const [row] = await labelled();
    expect(row).toMatchObject({ kind: 'verdict', weight: 1, auditQuality: 0.5, sources: 2 });
    expect(row!.quality).toBeCloseTo(1.25 / 1.5, 15);
  });

  test('an audit without weight serves estimates alone', async () => {
    say('judge', 0.5, { kind: 'audit', weight: 0 });
    expect(await labelled()).toMatchObject([{ quality: 0.5, weight: 0, auditQuality: 0.5, kind: 'verdict' }]);
    say('hint:asked_again', 0, { kind: 'hint', weight: 0.2 });
    expect(await labelled()).toMatchObject([{ quality: 0, weight: 0.2, auditQuality: 0.5, kind: 'hint' }]);
  });

  test('what was taken unchecked of another team counts nothing', async () => {
    say('user', 0, { tenant: 'stranger', key: 'x' });
    expect(await labelled()).toEqual([]);
  });

  test('rows of an earlier version, without a key, are averaged by source', async () => {
    say('user', 1, { tenant: null, key: null });
    say('tests', 0, { tenant: null, key: null });
    expect(await labelled()).toMatchObject([{ quality: 0.5, sources: 2, weight: 1 }]);
  });

  test('the outcome is of the model that answered, at what its answer cost', async () => {
    const moved = { id: 'd2', executedModel: 'b/large' };
    opened.store.record({ decision: aDecision(moved) });
    const call = { decisionId: 'd2', model: 'b/large' };
    opened.store.record({ attempt: anAttempt({ id: 'x0', ...call, ordinal: 1, outputTokens: 5, purpose: 'answer' }) });
    // The same model judged afterwards: not its answer.
    opened.store.record({ attempt: anAttempt({ id: 'x1', ...call, ordinal: 2, outputTokens: 900, purpose: 'audit' }) });
    say('user', 1, { decisionId: 'd2' });
    expect(await labelled()).toMatchObject([{ decisionId: 'd2', modelId: 'b/large', outputTokens: 5 }]);
  });

  test('a decision that arrives after its feedback, and one that nobody answered', async () => {
    say('user', 1, { decisionId: 'late' });
    say('user', 1, { decisionId: 'failed' });
    opened.store.record({ decision: aDecision({ id: 'failed', executedModel: null }) });
    expect(await labelled()).toEqual([]);
    opened.store.record({ decision: aDecision({ id: 'late' }) });
    expect(await labelled()).toMatchObject([{ decisionId: 'late' }]);
  });

  test('labelling again changes no row, and looks only at what is new if asked to', async () => {
    const versions = async () =>
      (await opened.store.db.execute(sql`select xmin::text as v from outcomes order by decision_id`)) as unknown;
    say('user', 1);
    const [before] = await labelled();
    const first = await versions();
    const again = await labelled();
    expect(again).toEqual([before]);
    expect(await versions()).toEqual(first);
    opened.store.record({ decision: aDecision({ id: 'd2' }) });
    say('user', 0, { decisionId: 'd2' });
    const lastSecond = new Date(Date.UTC(2026, 0, 2) + said * 1000);
    expect(await labelled({ since: new Date(lastSecond.getTime() + 1) })).toHaveLength(1);
    expect(await labelled({ since: lastSecond })).toHaveLength(2);
  });
});
