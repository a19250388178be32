/** Who judges: found from those who do and those who do not, and read of the database without their prompts. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { insertRows } from '../../../server/db/insert.ts';
import { rowToJson } from '../../../server/db/rows.ts';
import { fitObservation, type ObservationFacts, readUnjudged } from '../../../server/learning/observation.ts';
import { aDecision } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Requests of two teams and two models; `judges` says how likely one is judged. */
function traffic(n: number, judges: (facts: ObservationFacts) => number, seed = 1) {
  const random = seededRandom(seed);
  const judged: ObservationFacts[] = [];
  const unjudged: ObservationFacts[] = [];
  for (let i = 0; i < n; i++) {
    const facts = {
      tenant: random() < 0.5 ? 'quiet' : 'loud',
      executed: random() < 0.5 ? 'a/x' : 'b/y',
      difficulty: normal(random),
      outOfDomain: random() < 0.1 ? 1 : 0,
      chars: Math.floor(10 * 1000 ** random()),
    };
    (random() < judges(facts) ? judged : unjudged).push(facts);
  }
  return { judged, unjudged };
}

describe('the probability that an answer is judged', () => {
  const truth = ({ tenant, executed, difficulty, chars }: ObservationFacts) =>
    sigmoid(
      -2 +
        (tenant === 'loud' ? 1.5 : 0) +
        (executed === 'b/y' ? -0.7 : 0) +
        0.6 * difficulty! +
        0.1 * Math.log1p(chars),
    );
  const { judged, unjudged } = traffic(20_000, truth);
  const fresh = traffic(2000, truth, 2);
  const all = [...fresh.judged, ...fresh.unjudged];

  test('is found from team, model, difficulty and length', () => {
    const { probability } = fitObservation(judged, { rows: unjudged, share: 1 })!;
    const error = all.reduce((sum, facts) => sum + Math.abs(probability(facts) - truth(facts)), 0) / all.length;
    expect(error).toBeLessThan(0.02);
  });

  test('is the same where only some of those who did not judge were read', () => {
    const some = unjudged.filter((_, i) => i % 4 === 0);
    const { probability } = fitObservation(judged, { rows: some, share: 0.25 })!;
    const error = all.reduce((sum, facts) => sum + Math.abs(probability(facts) - truth(facts)), 0) / all.length;
    expect(error).toBeLessThan(0.03);
  });

  test('comes true on average on others than it was fitted on', () => {
    const { probability } = fitObservation(judged, { rows: unjudged, share: 1 })!;
    const expected = all.reduce((sum, facts) => sum + probability(facts), 0);
    // 2 000 coins: three standard deviations are 3 · √(2000 · 0.25) = 67.
    expect(Math.abs(expected - fresh.judged.length)).toBeLessThan(67);
  });

  test('corrects a mean that the loud team would make', () => {
    // Quality is 0.9 for the loud team and 0.5 for the quiet one: 0.7 in truth.
    const quality = ({ tenant }: ObservationFacts) => (tenant === 'loud' ? 0.9 : 0.5);
    const { probability } = fitObservation(judged, { rows: unjudged, share: 1 })!;
    const plain = judged.reduce((sum, facts) => sum + quality(facts), 0) / judged.length;
    const weights = judged.map((facts) => 1 / probability(facts));
    const total = weights.reduce((a, b) => a + b);
    const weighed = judged.reduce((sum, facts, i) => sum + (weights[i]! / total) * quality(facts), 0);
    expect(plain).toBeGreaterThan(0.76);
    expect(Math.abs(weighed - 0.7)).toBeLessThan(0.02);
  });

  test('is never under 0.02, of teams and models never seen either', () => {
    const rare = traffic(20_000, ({ tenant }) => (tenant === 'loud' ? 0.5 : 0.001));
    const { probability } = fitObservation(rare.judged, { rows: rare.unjudged, share: 1 })!;
    const facts: ObservationFacts = {
      tenant: 'quiet',
      executed: 'c/new',
      difficulty: null,
      outOfDomain: null,
      chars: 0,
    };
    expect(probability(facts)).toBe(0.02);
    expect(probability({ ...facts, tenant: 'unknown', chars: 1e9 })).toBeGreaterThanOrEqual(0.02);
    expect(probability({ ...facts, tenant: 'loud' })).toBeLessThanOrEqual(1);
  });

  test('is not guessed from a handful', () => {
    expect(fitObservation(judged.slice(0, 49), { rows: unjudged, share: 1 })).toBeNull();
    expect(fitObservation(judged, { rows: unjudged.slice(0, 49), share: 1 })).toBeNull();
  });
});

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  const start = Date.UTC(2026, 0, 1);
  beforeAll(async () => {
    opened = await kind.open();
    const rows = Array.from({ length: 1200 }, (_, i) => {
      const row = aDecision({
        id: `d${String(i).padStart(4, '0')}`,
        createdAt: new Date(start + i * 1000),
        tenant: i % 2 === 0 ? 'even' : 'odd',
        executedModel: i % 10 === 9 ? null : 'a/small',
        routed: i % 10 !== 8,
      });
      return { table: 'decisions' as const, json: rowToJson({ table: 'decisions', row }) };
    });
    await insertRows(opened.store.db, rows);
    // Of each ten the first has a verdict and the second only a hint.
    await opened.store.db.execute(sql`
      insert into outcomes (decision_id, model_id, quality, sources, kind, first_labelled_at)
      select id, 'a/small', 1, 1, case when id like '%0' then 'verdict' else 'hint' end, now()
      from decisions where id like '%0' or id like '%1'`);
  });
  afterAll(() => opened.close());

  test('answers without a verdict are read, not those of named models nor what nobody answered', async () => {
    const { rows, share } = await readUnjudged(opened.store, { from: start, to: start + 1199 * 1000 });
    expect(share).toBe(1);
    // Seven of ten: without the verdict, the named model and the one unanswered.
    expect(rows.length).toBe(840);
    expect(rows[0]).toEqual({
      tenant: 'odd',
      executed: 'a/small',
      difficulty: aDecision().difficulty,
      outOfDomain: aDecision().outOfDomain,
      chars: (aDecision().facts as { chars?: number }).chars ?? 0,
    });
  });

  test('only of the time asked for', async () => {
    const { rows } = await readUnjudged(opened.store, { from: start + 600_000, to: start + 609_000 });
    expect(rows.length).toBe(7);
  });

  test('where there are too many, the same part of all the time is read, and said to be', async () => {
    const { rows, share } = await readUnjudged(opened.store, { from: start, to: start + 1199 * 1000 }, 300);
    expect(share).toBeCloseTo(0.25, 2);
    // A quarter of 840, from slices of three seconds of every twelve.
    expect(rows.length).toBeGreaterThan(180);
    expect(rows.length).toBeLessThan(240);
    expect(new Set(rows.map(({ tenant }) => tenant))).toEqual(new Set(['even', 'odd']));
  });

  test('none are found where nothing was decided', async () => {
    expect(await readUnjudged(opened.store, { from: 0, to: 1000 })).toEqual({ rows: [], share: 1 });
  });
});
