import { expect, test } from 'vitest';
import { blankHeads } from '../../../eval/replay/learner.ts';
import { banditTargets, runBandit } from '../../../eval/simulate/bandit.ts';
import { changeTargets, type ModelWatch, runChange, runPriceCut, splitOf } from '../../../eval/simulate/change.ts';
import { runFlipped, type TeamAnswer } from '../../../eval/simulate/flipped.ts';
import { missingTargets, runMissing } from '../../../eval/simulate/missing.ts';
import { runNewcomer } from '../../../eval/simulate/newcomer.ts';
import { readingOn } from '../../../eval/simulate/route.ts';
import { smallWorld, trueBeliefs } from './small-world.ts';

const world = smallWorld(1200, 1);
const cold = blankHeads(world.part.table.modelIds, world.dimension);
const { train, test: tested } = splitOf(world, 1);

test('beliefs that know the kind of prompt have a greater AIQ than beliefs that know nothing', () => {
  const reading = readingOn(world, tested);
  const { costUsd, quality } = trueBeliefs(world);
  expect(reading.aiqOf({ quality, costUsd })).toBeGreaterThan(
    reading.aiqOf({ quality: new Float32Array(quality.length).fill(0.5), costUsd }) + 0.1,
  );
});

test('a router that learns from its own log gains on its start, and what it gains is a share of what full information does', () => {
  const options = { start: cold, exploration: 0.1, refitAt: [200, 800], readAt: [800], seed: 1 };
  const run = runBandit(world, options);
  const [{ bandit, full, prompts }] = run.at as [(typeof run.at)[number]];
  expect(prompts).toBeLessThanOrEqual(train.length);
  expect(full).toBeGreaterThan(run.start);
  expect(bandit).toBeGreaterThan(run.start);
  const [target] = banditTargets(world, 'cold', [run]);
  expect(target!.found.value).toBeCloseTo((bandit - run.start) / (full - run.start), 9);
  expect(target!.wanted).toBeNull();
  expect(runBandit(world, options)).toEqual(run);
});

/** Says after so many answers of a model that it has become worse. */
const countingWatch = (model: string, answers: number, shift: number) => (): ModelWatch => {
  let seen = 0;
  return {
    judged: (of) => {
      if (of === model) seen++;
    },
    shifts: () => new Map(seen >= answers ? [[model, shift]] : []),
  };
};

test('a model that a watch calls changed loses its traffic from then on', () => {
  const options = {
    beliefs: trueBeliefs(world),
    exploration: 0.03,
    // The first after the date: about half of the 200 decisions before it are answered by either model.
    makeWatch: countingWatch('cheap', 150, -1),
    loss: 0.3,
    before: 200,
    after: 1000,
  };
  // With λ where cheap and dear are worth the same, cheap answers the plain prompts, half of all.
  const run = runChange(world, tested, options, 1);
  expect(run.shareBefore).toBeGreaterThan(0.4);
  expect(run.delay).toBeGreaterThan(0);
  expect(run.shareAfter).toBeLessThan(0.05);
  expect(run.falseAlarm).toBe(false);
});

test('an alarm where nothing has changed is counted as a false one', () => {
  const options = { beliefs: trueBeliefs(world), exploration: 0.03, loss: 0, before: 200, after: 200 };
  const quiet = { judged: () => {}, shifts: () => new Map() };
  const alarmed = runChange(world, tested, { ...options, makeWatch: countingWatch('cheap', 50, -1) }, 1);
  const calm = runChange(world, tested, { ...options, makeWatch: () => quiet }, 1);
  expect([alarmed.falseAlarm, calm.falseAlarm]).toEqual([true, false]);
  expect(calm.delay).toBeNull();
  const [noticed] = changeTargets(world, [calm], [alarmed], 400);
  expect(noticed!.found.value).toBe(0);
  expect(noticed!.note).toContain('false alarms in 1 of 1');
});

test('a price that falls moves traffic in the very next decisions', () => {
  const run = runPriceCut(world, tested, trueBeliefs(world), 0.01, 1);
  expect(run.model).toBe('dear');
  expect(run.shareAfter).toBeGreaterThan(run.shareBefore + 0.2);
  expect(runPriceCut(world, tested, trueBeliefs(world), 1, 1).shareKnown).toBe(run.shareBefore);
});

test('a new model that is worth more than the others earns traffic from its explored calls', () => {
  const run = runNewcomer(world, { exploration: 0.03, share: 0.1, refitAt: [50, 150], seed: 1 });
  expect(run.fair).toBeGreaterThan(0.4);
  expect(run.at.at(-1)!.share).toBeGreaterThan(run.fair / 2);
  expect(run.at.map(({ explored }) => explored)[0]).toBe(50);
});

test('audits correct what the unhappy say; without them there are only bounds', () => {
  const options = {
    beliefs: trueBeliefs(world),
    exploration: 0.03,
    decisions: 1000,
    contentSpeak: 0.2,
    auditShare: 0.2,
  };
  const audited = [1, 2, 3, 4].map((seed) => runMissing(world, tested, options, seed));
  const unaudited = [runMissing(world, tested, { ...options, auditShare: 0 }, 1)];
  // Nine of ten answers are good: of those who speak .9 · .2 are content and .1 · .6 are not, so three of four.
  for (const { naive, truth } of audited) expect(naive).toBeLessThan(truth - 0.08);
  const [bias, bounds] = missingTargets(world, options, audited, unaudited);
  expect(Math.abs(bias!.found.value!)).toBeLessThan(0.04);
  expect(unaudited[0]!.found.kind).toBe('bounds');
  expect(bounds!.found.value).toBe(1);
});

test('flipped labels of one team cost nothing where its answers have no weight', () => {
  const options = { start: cold, decisions: 600, exploration: 0.1, teams: 3, seed: 1 };
  const silenced = (answers: readonly TeamAnswer[]) =>
    Float64Array.from(answers, ({ tenant }) => (tenant === 'team 0' ? 0 : 1));
  expect(runFlipped(world, { ...options, weightsOf: silenced }).cost).toBe(0);
  const heard = (answers: readonly TeamAnswer[]) =>
    Float64Array.from(answers, ({ tenant }) => (tenant === 'team 0' ? 20 : 1));
  expect(runFlipped(world, { ...options, weightsOf: heard }).cost).toBeGreaterThan(0.01);
});
