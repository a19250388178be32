import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { always, asLogged, judgeLog, type LoggedPolicy, uniform } from '../../../eval/ope/judge.ts';
import { checkLoggedRow, LoggedRow } from '../../../eval/ope/logged-row.ts';
import { logHtml, logJson, logText } from '../../../eval/report/log-report.ts';
import { hideAllButOne, makeWorld, policyOf } from './world.ts';

/** Two models, drawn 3 : 1; `a` answers well in 60 %, `b` in 90 %, and costs ten times as much. */
function simpleLog(n: number, pB = 0.25): LoggedRow[] {
  const random = seededRandom(6);
  return Array.from({ length: n }, (_, i) => {
    const sampled = random() < pB ? 'b' : 'a';
    return {
      id: `d${i}`,
      session: `s${i >> 1}`,
      sampled,
      propensity: sampled === 'b' ? pB : 1 - pB,
      distribution: { a: 1 - pB, b: pB },
      quality: random() < (sampled === 'b' ? 0.9 : 0.6) ? 1 : 0,
      costUsd: sampled === 'b' ? 0.01 : 0.001,
    };
  });
}
const options = { replicates: 300, seed: 1 };
const byName = (log: readonly LoggedRow[], policies: readonly LoggedPolicy[], more = {}) =>
  new Map(judgeLog(log, policies, { ...options, ...more }).policies.map((p) => [p.name, p]));

describe('a log with overlap', () => {
  const log = simpleLog(2000);
  const mean = (of: (row: LoggedRow) => number) => log.reduce((sum, row) => sum + of(row), 0) / log.length;
  const judged = byName(log, [asLogged, always('b'), uniform]);

  test('the policy that logged is worth what was observed, by every estimator that weighs', () => {
    const p = judged.get('as logged')!;
    for (const name of ['ips', 'snips', 'dr', 'switchDr', 'sndr'] as const) {
      // Forecasts for the drawn action and of the policy differ row by row; their mean is off by the draw's luck only.
      expect(p.quality[name].value!, name).toBeCloseTo(
        mean((r) => r.quality),
        1.8,
      );
    }
    expect(p.quality.ips.value).toBeCloseTo(
      mean((r) => r.quality),
      9,
    );
    expect(p.qualityMinusLog).toEqual({ value: 0, low: 0, high: 0 });
    expect(p.qualityMinusLogAnytime).toBeNull();
    expect(p.flags).toEqual([]);
  });

  test('always the better model: found by all, within the intervals, and at its cost', () => {
    const p = judged.get('b')!;
    for (const [name, e] of Object.entries(p.quality)) {
      expect(e.value!).toBeGreaterThan(0.86);
      if (name !== 'dm') expect(e.low! < e.value! && e.value! < e.high!, name).toBe(true);
    }
    // 0.9 − (0.75 · 0.6 + 0.25 · 0.9) = 0.225
    expect(p.qualityMinusLog.low! < 0.225 && p.qualityMinusLog.high! > 0.225).toBe(true);
    expect(p.qualityMinusLog.low!).toBeGreaterThan(0.15);
    expect(p.qualityMinusLogAnytime!.low).toBeGreaterThan(0);
    expect(p.costUsd!.value).toBeCloseTo(0.01, 4);
    // 0.01 − (0.75 · 0.001 + 0.25 · 0.01) = 0.00675
    expect(p.costMinusLogUsd!.value).toBeCloseTo(0.00675, 3);
    // w = 4 on a quarter of the rows: (Σw)²/Σw² = n/4
    expect(p.diagnostics.effectiveRows).toBeCloseTo(log.filter((r) => r.sampled === 'b').length);
    expect(p.flags).toEqual([]);
  });

  test('the same log and seed give the same judgement, in whatever order the rows stand if they have times', () => {
    const timed = log.slice(0, 600).map((row, i) => ({ ...row, at: i }));
    const once = judgeLog(timed, [uniform], options);
    expect(judgeLog([...timed].reverse(), [uniform], options)).toEqual(once);
  });

  test('sessions of rows that agree widen the intervals', () => {
    const lone = log.map(({ session: _, ...row }) => row);
    const copies = log.flatMap((row) => [0, 1, 2, 3].map((k) => ({ ...row, id: `${row.id}-${k}` })));
    const width = (rows: readonly LoggedRow[]) => {
      const { low, high } = byName(rows, [uniform]).get('uniform')!.quality.dr;
      return high! - low!;
    };
    expect(width(copies)).toBeCloseTo(width(log), 1.5);
    expect(width(lone)).toBeGreaterThan(0);
  });

  test('an answer after a failed call counts for the model that was drawn', () => {
    const fallen = log.map((row, i) => (i % 10 === 0 ? { ...row, executed: 'other' } : row));
    const judgement = judgeLog(fallen, [uniform], options);
    expect(judgement.fellBack).toBe(200);
    expect(judgement.policies[0]!.quality).toEqual(judged.get('uniform')!.quality);
  });
});

describe('where no interval can be told', () => {
  const policies = [asLogged, always('b'), uniform];
  const openEnds = { low: null, high: null };

  test('forecasts alone have none: the rows do not know how far off they are', () => {
    // b is forecast 0.7 everywhere, and answers well in 90 %; the log cannot correct the direct method.
    const flat = { name: 'flat', fit: () => () => 0.7 };
    const log = simpleLog(2000).map((row, i) => ({ ...row, distribution: { ...row.distribution, c: 0 }, at: i }));
    for (const { quality } of judgeLog(log, policies, { ...options, rewardModel: flat }).policies) {
      expect(quality.dm).toEqual({ value: expect.closeTo(0.7), ...openEnds });
      expect(quality.dr.low).not.toBeNull();
    }
    // Weights of 200 are over τ = 20: Switch-DR is the direct method, and has as little.
    const rare = byName(simpleLog(3000, 0.005), [always('a'), always('b')]);
    expect(rare.get('b')!.quality.switchDr).toEqual(rare.get('b')!.quality.dm);
    expect(rare.get('a')!.quality.switchDr.low).not.toBeNull();
    const html = logHtml({ source: 'x', judgement: judgeLog(log, policies, options), leftOut: [] });
    expect(html).toMatch(/Where IPS, SNIPS, DR and SNDR disagree beyond their intervals/);
  });

  test('answers that were all right leave it open how many will be', () => {
    const right = simpleLog(250).map((row) => ({ ...row, quality: 1 }));
    const judgement = judgeLog(right, policies, options);
    for (const { quality, qualityMinusLog, name } of judgement.policies) {
      for (const of of ['snips', 'dr', 'switchDr', 'sndr'] as const) {
        expect(quality[of], `${name} by ${of}`).toEqual({ value: expect.closeTo(1), ...openEnds });
      }
      // Nothing is to be estimated where a policy is compared to itself.
      const itself = { value: 0, low: 0, high: 0 };
      expect(qualityMinusLog).toEqual(name === 'as logged' ? itself : { value: expect.closeTo(0), ...openEnds });
    }
    const report = { source: 'x', judgement, leftOut: [] };
    for (const text of [logText(report), logHtml(report)]) {
      expect(text).not.toMatch(/\[100\.0, 100\.0\]|\[0\.0, 0\.0\]/);
      expect(text).toMatch(/–: no interval/);
    }
    expect(logText(report)).toMatch(/as logged +100\.0 +– +0\.0 +– /);
  });

  test('nor can three sessions tell', () => {
    const judgement = judgeLog(
      simpleLog(6, 0.5).map((row) => ({ ...row, distribution: { a: 0.5, b: 0.5 } })),
      [uniform, always('a')],
      options,
    );
    for (const { name, quality, qualityMinusLog, costUsd, flags } of judgement.policies) {
      for (const e of [...Object.values(quality), costUsd]) expect(e).toMatchObject(openEnds);
      expect(qualityMinusLog.low).toBe(name === 'uniform' ? 0 : null);
      expect(flags.map(({ code }) => code)).toContain('few-sessions');
    }
    expect(logText({ source: 'x', judgement, leftOut: [] })).not.toMatch(/\[[^\]]*\d, /);
  });
});

describe('costs', () => {
  const log = simpleLog(600);

  test('a mean cost below 0 is printed as 0, as its interval is cut there, and kept in JSON', () => {
    const judgement = judgeLog(log, [always('b')], options);
    const [p] = judgement.policies;
    const costUsd = { value: -0.00037, low: 0, high: 0.0012 };
    const report = { source: 'x', judgement: { ...judgement, policies: [{ ...p!, costUsd }] }, leftOut: [] };
    expect(logText(report)).toMatch(/ \$0 +\[\$0, \$1\.20\]/);
    expect(logHtml(report)).toMatch(/\$0 <[^>]*>\[\$0, \$1\.20\]/);
    for (const text of [logText(report), logHtml(report)]) expect(text).not.toMatch(/[-−]\$?0\.370|\$[-−]/);
    expect(JSON.parse(logJson(report)).policies[0].costUsd).toEqual(costUsd);
  });

  test('a few unknown ones are taken as forecast, many are not judged', () => {
    const drop = (every: number) => log.map((row, i) => (i % every === 0 ? { ...row, costUsd: null } : row));
    const few = judgeLog(drop(30), [always('b')], options);
    expect(few.withoutCost).toBe(20);
    expect(few.policies[0]!.costUsd!.value).toBeCloseTo(0.01, 3);
    const many = judgeLog(drop(5), [always('b')], options);
    expect(many.policies[0]!.costUsd).toBeNull();
    expect(logText({ source: 'x', judgement: many, leftOut: [] })).toMatch(/no cost is judged: it is unknown for 120/);
  });
});

test('logged predictions and embeddings are used where every row has them', () => {
  const log = simpleLog(400);
  expect(judgeLog(log, [uniform], options).rewardModel).toBe('mean per model');
  const told = log.map((row) => ({ ...row, predictions: { a: 0.6, b: 0.9 } }));
  expect(judgeLog(told, [uniform], options).rewardModel).toBe('logged forecasts, corrected per model');
  const embedded = log.map((row, i) => ({ ...row, embedding: [i % 3, i % 5] }));
  expect(judgeLog(embedded, [uniform], options).rewardModel).toBe('ridge over embeddings');
});

test('a perfect reward model brings doubly robust and the direct method to the truth itself', () => {
  const world = makeWorld(5, 400, 0.3);
  const log = hideAllButOne(world, 400, 3).map((row) => ({
    ...row,
    quality: world.chance[row.prompt * 5 + 'abcde'.indexOf(row.sampled)]!,
  }));
  const perfect = {
    name: 'perfect',
    fit: () => (row: LoggedRow, model: string) =>
      world.chance[(row as (typeof log)[number]).prompt * 5 + 'abcde'.indexOf(model)]!,
  };
  const greedy = policyOf('greedy', world.target);
  const { quality } = judgeLog(log, [greedy], { ...options, rewardModel: perfect }).policies[0]!;
  const onThese = log.reduce((sum, { prompt }) => {
    const best = world.target.subarray(prompt * 5, prompt * 5 + 5).indexOf(1);
    return sum + world.chance[prompt * 5 + best]! / log.length;
  }, 0);
  expect(quality.dr.value).toBeCloseTo(onThese, 9);
  expect(quality.dm.value).toBeCloseTo(onThese, 9);
  expect(quality.sndr.value).toBeCloseTo(onThese, 9);
});

describe('what may not be trusted', () => {
  const codes = (log: readonly LoggedRow[], policy: LoggedPolicy) =>
    judgeLog(log, [policy], options).policies[0]!.flags.map(({ code }) => code);

  test('a policy that does what the log hardly tried: no overlap, and few effective rows', () => {
    const log = simpleLog(3000, 0.005);
    expect(codes(log, always('b'))).toEqual(expect.arrayContaining(['no-overlap', 'few-effective-rows']));
    expect(codes(log, always('a'))).toEqual([]);
  });

  test('a log of a router that left nothing to chance', () => {
    // Every second row can be only a, the others only b, though both are candidates.
    const log = simpleLog(400).map((row, i) => ({
      ...row,
      sampled: i % 2 ? 'a' : 'b',
      propensity: 1,
      distribution: i % 2 ? { a: 1, b: 0 } : { a: 0, b: 1 },
    }));
    expect(codes(log, always('a'))).toContain('deterministic-log');
    expect(codes(log, asLogged)).toEqual([]);
    const text = logText({ source: 'x', judgement: judgeLog(log, [always('a')], options), leftOut: [] });
    expect(text).toMatch(/WARNING: on 100\.0 % of the decisions nothing was left to chance/);
    expect(text).toMatch(/exploration: 0\.02/);
  });

  test('propensities that are not those drawn with', () => {
    // b was drawn in a quarter of the cases; the log claims a half.
    const log = simpleLog(2000).map((row) => ({ ...row, propensity: 0.5, distribution: { a: 0.5, b: 0.5 } }));
    expect(codes(log, always('b'))).toContain('mean-weight');
  });

  test('few sessions, and a policy that learned from the very rows', () => {
    const log = simpleLog(1000).map((row, i) => ({ ...row, session: `s${i % 20}` }));
    expect(codes(log, { ...uniform, learnedFrom: ({ id }) => id < 'd5' })).toEqual(['few-sessions', 'own-log']);
  });

  test('is red in the page, and says why, there and in the text', () => {
    const judgement = judgeLog(simpleLog(3000, 0.005), [asLogged, always('b'), always('a')], options);
    const report = { source: 'the <log>', judgement, leftOut: ['3 left out: nobody knows'] };
    const html = logHtml(report);
    expect(html).toMatch(/\.below \{[^}]*color: var\(--warn\)/);
    expect(html).toContain('b<span class="below">▼ not to be trusted</span>');
    expect(html).toMatch(/<p class="warning"><span class="below">▼ b<\/span> NOT TO BE TRUSTED: no overlap: 100\.0 %/);
    expect(html).not.toContain('a<span class="below">');
    expect(html).toContain('the &lt;log&gt;');
    expect(html).not.toMatch(/NaN|undefined|Infinity|<script/);
    const text = logText(report);
    expect(text).toMatch(/▼ b: NOT TO BE TRUSTED: no overlap/);
    expect(text).toMatch(/b ▼ /);
    expect(text).toContain('3 left out: nobody knows');
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
    const json = JSON.parse(logJson(report));
    expect(json).toMatchObject({ source: 'the <log>', rows: 3000, seed: 1 });
    expect(json.policies[1].flags[0].code).toBe('no-overlap');
  });

  test('JSON never turns a number that is none into null', () => {
    const judgement = judgeLog(simpleLog(100), [asLogged], options);
    const broken = { ...judgement, maxWeight: Number.NaN };
    expect(() => logJson({ source: 'x', judgement: broken, leftOut: [] })).toThrow(/maxWeight is NaN/);
  });
});

describe('a log on which nothing can rest is refused, by row and field, with what to do', () => {
  const good: LoggedRow = {
    id: 'd7',
    sampled: 'a',
    propensity: 0.5,
    distribution: { a: 0.5, b: 0.5 },
    quality: 1,
  };
  const bad: [string, Partial<LoggedRow>, RegExp][] = [
    ['no propensity', { propensity: undefined }, /field propensity: is missing.*log it with every decision/],
    ['a null propensity', { propensity: null }, /field propensity: is missing/],
    ['a propensity of 0', { propensity: 0 }, /field propensity: 0 is not in \(0, 1\]/],
    ['a propensity above 1', { propensity: 1.5 }, /1\.5 is not in/],
    ['a negative propensity', { propensity: -0.5 }, /-0\.5 is not in/],
    ['a propensity that is no number', { propensity: Number.NaN }, /NaN is not in/],
    ['probabilities that do not sum to 1', { distribution: { a: 0.5, b: 0.4 } }, /sum to 0\.9, not to 1.*do not round/],
    ['a probability that is none', { distribution: { a: 0.5, b: Number.NaN } }, /distribution\.b: NaN/],
    ['a propensity of another draw', { propensity: 0.6 }, /0\.6, but the distribution gives a 0\.5/],
    ['a drawn model that could not be drawn', { sampled: 'z' }, /gives z 0/],
    ['a quality above 1', { quality: 5 }, /field quality: 5 is not in \[0, 1\]/],
    ['a quality that is no number', { quality: Number.NaN }, /field quality: NaN/],
    ['a cost that is no amount', { costUsd: Number.POSITIVE_INFINITY }, /field costUsd: Infinity/],
  ];
  test.each(bad)('%s', (_, change, message) => {
    const rows = [...simpleLog(50), { ...good, ...change }];
    const judge = () => judgeLog(rows, [uniform], { ...options, keepGoing: true });
    expect(judge).toThrow(expect.objectContaining({ code: 'UNDEFINED_METRIC' }));
    expect(judge).toThrow(/^row d7: /);
    expect(judge).toThrow(message);
  });

  test('a good row passes, from a file too', () => {
    expect(() => checkLoggedRow(LoggedRow.parse(JSON.parse(JSON.stringify(good))), 'here')).not.toThrow();
  });

  test('no row, and one session only', () => {
    expect(() => judgeLog([], [uniform], options)).toThrow(expect.objectContaining({ code: 'EMPTY_TABLE' }));
    expect(() => judgeLog([good], [uniform], options)).toThrow(
      expect.objectContaining({ code: 'UNDEFINED_METRIC', message: expect.stringMatching(/two sessions/) }),
    );
  });
});

describe('a policy without a value is refused, or listed', () => {
  const log = simpleLog(200).map((row) => ({ ...row, distribution: { ...row.distribution, never: 0 } }));
  const cases: [string, LoggedPolicy, RegExp][] = [
    ['it takes no logged action', always('never'), /never: it takes no action that was logged.*explore/],
    [
      'it takes a model that could not be drawn',
      always('gone'),
      /gone: on row d0 it takes gone, which could not be drawn/,
    ],
    [
      'its probabilities do not sum to 1',
      { name: 'x', probabilities: () => ({ a: 0.5 }) },
      /x: on row d0 .*sum to 0\.5/,
    ],
    [
      'its probabilities are none',
      { name: 'x', probabilities: () => ({ a: Number.NaN }) },
      /gives a the probability NaN/,
    ],
  ];
  test.each(cases)('%s', (_, policy, message) => {
    expect(() => judgeLog(log, [policy], options)).toThrow(
      expect.objectContaining({ code: 'UNDEFINED_METRIC', message: expect.stringMatching(message) }),
    );
    const { policies, refused } = judgeLog(log, [policy, uniform2], { ...options, keepGoing: true });
    expect(policies.map(({ name }) => name)).toEqual(['half']);
    expect(refused).toEqual([{ name: policy.name, reason: expect.stringMatching(message) }]);
  });
  const uniform2: LoggedPolicy = { name: 'half', probabilities: () => ({ a: 0.5, b: 0.5 }) };
});
