/** Checked answers replayed: costs and qualities by hand, rates by formula, and rows beside the plain router when asked. */
import { describe, expect, test } from 'vitest';
import { type Dataset, seededRandom } from '../../datasets/index.ts';
import { escalating, type FirstAnswer } from '../../eval/baselines/escalation.ts';
import { type Contender, isUnfit, type Measurement, type Training } from '../../eval/contender.ts';
import { pure } from '../../eval/curve.ts';
import { evaluate } from '../../eval/evaluate.ts';
import type { Part } from '../../eval/part.ts';
import { lookUp } from '../../eval/plug-in.ts';
import { singleModels } from '../../eval/single-models.ts';
import { type CheckErrors, cascadeValue } from '../../router/policy/cascade.ts';
import { evalCommand } from '../../server/cli/eval.ts';
import { fakeSource, knowing, loading, partFrom, SKILLS, world } from './fixtures.ts';

/** Outcomes as given, prompt by prompt; null: not tried. Calls cost 1, 4 and 10 USD. */
function partOf(outcomes: readonly (readonly (number | null)[])[]): Part {
  const dataset: Dataset = {
    name: 'made up',
    prompts: outcomes.map((_, i) => ({ id: `p${i}`, source: 's', benchmark: 'b', text: 'x', groupId: `g${i}` })),
    outcomes: outcomes.flatMap((row, i) =>
      row.flatMap((quality, j) =>
        quality === null ? [] : [{ promptId: `p${i}`, modelId: 'abc'[j]!, quality, costUsd: [1, 4, 10][j]! }],
      ),
    ),
    models: {},
  };
  return partFrom(dataset);
}

/** A router that always chooses one column and predicts the same of every prompt. */
function always(column: number, quality: readonly number[], costUsd: readonly number[] = [1, 4, 10]): Contender {
  const measured = (part: Part): Measurement => {
    const n = part.table.prompts.length;
    return {
      outcomes: new Map([[0, lookUp(part, new Int16Array(n).fill(column))]]),
      predicted: Float64Array.from({ length: n * quality.length }, (_, at) => quality[at % quality.length]!),
      expected: {
        costUsd: Float64Array.from({ length: n * quality.length }, (_, at) => costUsd[at % quality.length]!),
      },
    };
  };
  return {
    name: 'always',
    kind: 'learned',
    prepare: async ({ part }) => ({
      points: [pure([{ costUsd: 0, quality: 0 }], 0)],
      baselineQuality: 0,
      label: () => 'always',
      tuned: () => ({ part, measurement: measured(part) }),
      measure: async (test) => measured(test),
    }),
  };
}

const trainingOn = (part: Part): Training => {
  const singles = singleModels(part);
  return { part, singles, baseline: singles.byFallingQuality, gridPoints: 5, seed: 1 };
};

/** What the checked setting costs and reaches, prompt by prompt. */
async function played(inner: Contender, part: Part, errors: CheckErrors, first: FirstAnswer = 'escalation') {
  const frozen = await escalating(inner, first, errors).prepare(trainingOn(part));
  if (isUnfit(frozen)) throw new Error(frozen.unfit);
  const { outcomes } = await frozen.measure(part);
  const checked = [...outcomes].find(([s]) => frozen.label(s).startsWith('always, checked'))![1];
  return { costUsd: [...checked.costUsd], quality: [...checked.quality], frozen };
}

const PERFECT = { falseAccept: 0, falseReject: 0 };
const RISING = [0.5, 0.7, 0.9];

describe('a checked router', () => {
  const part = partOf([
    [1, 1, 1],
    [0, 1, 1],
    [0, 0, 1],
    [0, 0, 0],
    [0, null, 1],
  ]);

  test('goes up until the check is content, and pays for every call', async () => {
    const { costUsd, quality } = await played(always(0, RISING), part, PERFECT);
    expect(costUsd).toEqual([1, 5, 15, 15, 11]);
    expect(quality).toEqual([1, 1, 1, 0, 1]);
  });

  test('goes nowhere that is predicted to be no better', async () => {
    const { costUsd, quality } = await played(always(0, [0.8, 0.7, 0.9]), part, PERFECT);
    expect(costUsd).toEqual([1, 11, 11, 11, 11]);
    expect(quality).toEqual([1, 1, 1, 0, 1]);
  });

  test('is the plain one where the check passes everything', async () => {
    const { costUsd, quality } = await played(always(0, RISING), part, { falseAccept: 1, falseReject: 0 });
    expect(costUsd).toEqual([1, 1, 1, 1, 1]);
    expect(quality).toEqual([1, 0, 0, 0, 0]);
  });

  test('ends at the top where the check refuses everything', async () => {
    const { costUsd, quality } = await played(always(0, RISING), part, { falseAccept: 0, falseReject: 1 });
    expect(costUsd).toEqual([15, 15, 15, 15, 11]);
    expect(quality).toEqual([1, 1, 1, 0, 1]);
  });

  test('puts a cheaper model first only where that pays', async () => {
    // Decided for: the dear one, 0.9 at 10. First the cheap one: 1 + 0.5 · 10, and 0.5 + 0.5 · 0.9.
    const cheaperFirst = await played(always(2, RISING), part, PERFECT, 'cascade');
    expect(cheaperFirst.costUsd).toEqual([1, 11, 11, 11, 11]);
    // A check that passes four bad answers of five: 0.5 + 0.1 · 0.9 is less than 0.9.
    const stands = await played(always(2, RISING), part, { falseAccept: 0.8, falseReject: 0 }, 'cascade');
    expect(stands.costUsd).toEqual([10, 10, 10, 10, 10]);
  });

  test('has no say without predictions', async () => {
    const blind: Contender = {
      ...always(0, RISING),
      prepare: async () => ({
        points: [],
        baselineQuality: 0,
        label: () => '',
        measure: async () => ({ outcomes: new Map() }),
      }),
    };
    expect(await escalating(blind, 'escalation', PERFECT).prepare(trainingOn(part))).toEqual({
      unfit: expect.stringContaining('predicts no quality'),
    });
  });

  test('is frozen at points whose training figures are its own', async () => {
    const { frozen } = await played(always(0, RISING), part, PERFECT);
    // (1 + 5 + 15 + 15 + 11) / 5 and 4 / 5, beside always cheapest: 1 and 1 / 5.
    expect(frozen.points[0]).toMatchObject({ trainCostUsd: 1, trainQuality: 0.2 });
    expect(frozen.points.at(-1)).toMatchObject({ trainCostUsd: 9.4, trainQuality: 0.8 });
  });
});

test('costs and reaches what the formula of the policy says, where answers are independent', async () => {
  const random = seededRandom(5);
  const part = partOf(Array.from({ length: 20_000 }, () => RISING.map((p) => (random() < p ? 1 : 0))));
  const errors = { falseAccept: 0.3, falseReject: 0.1 };
  const { costUsd, quality } = await played(always(0, RISING), part, errors);
  const expected = cascadeValue(
    RISING.map((p, j) => ({ quality: p, costUsd: [1, 4, 10][j]! })),
    errors,
  );
  expect(mean(costUsd)).toBeCloseTo(expected.costUsd, 1);
  expect(mean(quality)).toBeCloseTo(expected.quality, 2);
});

/** Knows which model is better, and nothing of a prompt. */
const onlyMeans = (_: unknown, modelId: string): number => SKILLS[modelId as keyof typeof SKILLS];

describe('the leader board', () => {
  const run = (check?: CheckErrors) =>
    evaluate(world({ prompts: 600 }), {
      routers: ['default', 'knn'],
      load: loading(fakeSource({ asItIs: onlyMeans, estimator: knowing(onlyMeans) })),
      replicates: 50,
      checks: false,
      ...(check && { check }),
    });

  test('shows checked routers beside the plain ones when asked, and else not', async () => {
    const plain = await run();
    expect(plain.routers.map(({ name }) => name).filter((name) => name.includes('+'))).toEqual([]);
    const checked = await run(PERFECT);
    const names = checked.routers.map(({ name }) => name);
    for (const name of ['default+escalation', 'default+cascade', 'knn+escalation', 'knn+cascade']) {
      expect(names).toContain(name);
    }
    const row = (name: string) => checked.routers.find((router) => router.name === name)!;
    expect(row('default+escalation').kind).toBe('baseline');
    // Of routers that know nothing of a prompt, the one whose answers are checked learns it from the answer.
    const aiq = (name: string) => row(name).aiq.value!;
    expect(aiq('default+escalation')).toBeGreaterThan(aiq('default'));
    // The plain rows are what they were.
    const { aiq: before, curve, promised } = plain.routers.find(({ name }) => name === 'default')!;
    expect(row('default')).toMatchObject({ aiq: before, curve, promised });
  });
});

test.each(['2', '-0.1', 'x', '', '0.1,0.2,0.3', '0.1,'])('--escalation does not take %j', async (text) => {
  const command = evalCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  await expect(command.parseAsync(['--escalation', text], { from: 'user' })).rejects.toMatchObject({
    code: 'commander.invalidArgument',
  });
});

const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
