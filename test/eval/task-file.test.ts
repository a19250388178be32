/** Frozen tasks: the same data and options have one hash, anything else that a result depends on has another. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type Dataset, OutcomeColumns, seededRandom, shuffled } from '../../datasets/index.ts';
import { foldRows, type SplitName } from '../../eval/split.ts';
import { prepareTask } from '../../eval/task.ts';
import {
  checkSameTask,
  readTaskFile,
  sameTask,
  type TaskFile,
  type TaskParts,
  taskFileOf,
  taskHash,
  taskOptions,
  writeTaskFile,
} from '../../eval/task-file.ts';
import { world } from './fixtures.ts';

const dir = mkdtempSync(join(tmpdir(), 'pointsman-task-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Choices = Partial<Omit<TaskParts, 'task' | 'folds'>>;

function frozen(dataset: Dataset, choices: Choices = {}): TaskFile {
  const { split = 'group', seed = 0, trainPrompts, benchmark, replicates = 200 } = choices;
  const task = prepareTask(dataset, { ...(benchmark != null && { benchmark }) });
  const folds = foldRows(task.part.table.prompts, {
    split,
    seed,
    seen: () => false,
    ...(trainPrompts !== undefined && { trainPrompts }),
  });
  return taskFileOf({ ...choices, task, folds, split, seed, replicates });
}

const data = world({ prompts: 240, holes: 0.1 });
const task = frozen(data);

const withOutcome = (change: (o: { quality: number; outputTokens?: number }) => object): Dataset => {
  let k = 0;
  return { ...data, outcomes: data.outcomes.map((o) => (k++ === 17 ? { ...o, ...change(o) } : o)) };
};
const withPrice = (usd: number): Dataset => ({
  ...data,
  models: { ...data.models, 'a/small': { ...data.models['a/small'], inputUsdPerMTok: usd } },
});

describe('hash of a task', () => {
  test('names what was compared, and is the SHA-256 of the canonical content', () => {
    expect(task).toMatchObject({
      format: 1,
      name: 'world',
      dataset: { names: ['world'], benchmark: null, prompts: 240, groups: 240 },
      pool: { modelIds: ['a/small', 'b/middle', 'c/large'], costBasis: 'tokens', hiddenReasoning: [] },
      split: { how: 'group', seed: 0, testShare: 0.3, trainPrompts: null },
      operatingPoints: { gridPoints: 33, keepShares: [0.95, 0.98, 1] },
      baseline: null,
      bootstrap: { replicates: 200, unit: 'group' },
    });
    // 30 % of 240 groups of one prompt each are tested.
    expect(task.split.folds).toMatchObject([{ name: 'test', trainPrompts: 168, testPrompts: 72 }]);
    expect(task.pool.prices['a/small']).toEqual({
      inputUsdPerMTok: data.models['a/small']!.inputUsdPerMTok,
      outputUsdPerMTok: data.models['a/small']!.outputUsdPerMTok,
    });
    const sorted = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(sorted)
        : value !== null && typeof value === 'object'
          ? Object.fromEntries(
              Object.entries(value)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([k, v]) => [k, sorted(v)]),
            )
          : value;
    const { hash, name: _, dataset, ...rest } = task;
    const { names: __, ...counted } = dataset;
    const json = JSON.stringify(sorted({ ...rest, dataset: counted }));
    expect(hash).toBe(createHash('sha256').update(json).digest('hex'));
  });

  test('outcomes are hashed as one JSON line each: prompt, model, quality and realised cost', () => {
    const one: Dataset = {
      name: 'one',
      prompts: ['q2', 'q1'].map((id) => ({ id, source: 's', benchmark: 'b', text: 'abcd', groupId: id })),
      // 4 characters are one token: 1e-6 USD in; 100 tokens out are 2e-4 USD. Recorded costs stand as they are.
      outcomes: [
        { promptId: 'q2', modelId: 'x', quality: 1, outputTokens: 100 },
        { promptId: 'q1', modelId: 'y', quality: 0.25, costUsd: 0.1 + 0.2 },
        { promptId: 'q1', modelId: 'x', quality: 0, costUsd: 0 },
      ],
      models: {
        x: { inputUsdPerMTok: 1, outputUsdPerMTok: 2 },
        y: { inputUsdPerMTok: 3, outputUsdPerMTok: 4 },
      },
    };
    const lines = '["q1","x",0,0]\n["q1","y",0.25,0.3]\n["q2","x",1,0.000201]\n';
    expect(frozen(one).dataset.outcomesSha256).toBe(createHash('sha256').update(lines).digest('hex'));
  });

  test('does not hang on the order of rows, the name of the folder, or notes', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = seededRandom(seed);
        const other: Dataset = {
          name: `copy-${seed}`,
          prompts: shuffled(data.prompts, random),
          outcomes: OutcomeColumns.from(shuffled([...data.outcomes], random)),
          models: Object.fromEntries(shuffled(Object.entries(data.models), random)),
        };
        const choices: Choices = { name: 'mine', notes: `seed ${seed}` };
        expect(frozen(other, choices).hash).toBe(task.hash);
        expect(sameTask(task, frozen(other, choices))).toEqual([]);
        expect(frozen(other, { split: 'benchmark' }).hash).toBe(frozen(data, { split: 'benchmark' }).hash);
        expect(frozen(other, { trainPrompts: 50 }).hash).toBe(frozen(data, { trainPrompts: 50 }).hash);
      }),
      { numRuns: 10 },
    );
  });

  test.each<[string, () => TaskFile, RegExp]>([
    [
      'a price',
      () => frozen(withPrice(2)),
      /^prices of a\/small: 2\/\S+ instead of 3\.98\S+\/15\.92\S+ USD per million/,
    ],
    [
      'a quality',
      () => frozen(withOutcome(({ quality }) => ({ quality: 1 - quality }))),
      /^outcomes: other qualities or realised costs$/,
    ],
    [
      'a graded quality by a little',
      () => frozen(withOutcome(({ quality }) => ({ quality: Math.abs(quality - 1e-6) }))),
      /^outcomes/,
    ],
    ['an answer’s length, and so its cost', () => frozen(withOutcome(() => ({ outputTokens: 101 }))), /^outcomes/],
    ['a recorded cost', () => frozen(withOutcome(() => ({ costUsd: 0.5 }))), /^outcomes/],
    [
      'a prompt left out',
      () => frozen({ ...data, prompts: data.prompts.slice(1) }),
      /^data: prompts 239 instead of 240$/,
    ],
    [
      'a prompt’s benchmark',
      () => frozen({ ...data, prompts: data.prompts.map((p, i) => (i === 3 ? { ...p, benchmark: 'other' } : p)) }),
      /^data: other prompts, or others of their groups and benchmarks$/,
    ],
    [
      'a prompt’s group',
      () =>
        frozen({
          ...data,
          prompts: data.prompts.map((p, i) => (i === 3 ? { ...p, groupId: data.prompts[4]!.groupId } : p)),
        }),
      /^data: groups 239 instead of 240$/,
    ],
    [
      'a model',
      () => frozen({ ...data, outcomes: data.outcomes.filter((o) => o.modelId !== 'b/middle') }),
      /^models: without b\/middle$/,
    ],
    ['the seed of the split', () => frozen(data, { seed: 1 }), /^split: seed 1 instead of 0$/],
    ['how it is split', () => frozen(data, { split: 'benchmark' }), /^split: how benchmark instead of group$/],
    ['the training prompts', () => frozen(data, { trainPrompts: 100 }), /^split: trainPrompts 100 instead of none$/],
    ['the benchmarks', () => frozen(data, { benchmark: 'bench-1' }), /^data: benchmark bench-1 instead of none$/],
    ['the grid', () => frozen(data, { gridPoints: 17 }), /^operating points: gridPoints 17 instead of 33$/],
    [
      'the shares to keep',
      () => frozen(data, { keepShares: [0.9] }),
      /^operating points: keepShares 0.9 instead of 0.95, 0.98, 1$/,
    ],
    [
      'the baseline',
      () => frozen(data, { baseline: 'c/large' }),
      /^baseline: c\/large instead of the best single model in training$/,
    ],
    [
      'the rows always shown',
      () => frozen(data, { baselines: ['zero', 'oracle'] }),
      /^rows always shown: without benchmark-mean, best-single/,
    ],
    ['the replicates', () => frozen(data, { replicates: 1000 }), /^bootstrap: replicates 1000 instead of 200$/],
  ])('changes with %s, and the difference is named', (_, make, says) => {
    const now = make();
    expect(now.hash).not.toBe(task.hash);
    expect(sameTask(task, now).some((line) => says.test(line))).toBe(true);
    expect(() => checkSameTask(task, now)).toThrow(/this is not the frozen task "world"/);
  });

  test('says which test groups are others, and how many prompts there are', () => {
    const folds = (seed: number) => sameTask(task, frozen(data, { seed })).filter((line) => line.includes('groups'));
    expect(folds(1)).toEqual(['split: other training groups', 'split: other test groups']);
    expect(sameTask(task, frozen(data, { trainPrompts: 100 }))).toContain(
      'split: other training groups (100 prompts instead of 168)',
    );
    const parts = frozen(data, { split: 'benchmark' });
    expect(parts.split.folds.map((f) => f.name)).toEqual(['bench-0', 'bench-1']);
    expect(parts.split.testShare).toBeNull();
    expect(parts.bootstrap.unit).toBe('benchmark, then group');
    expect(sameTask(parts, frozen(data, { split: 'benchmark', trainPrompts: 60 }))).toContain(
      'split without bench-0: other training groups (60 prompts instead of 120)',
    );
  });

  test('two tasks have one hash exactly when no difference is named', () => {
    const choices = fc.record({
      split: fc.constantFrom<SplitName>('group', 'benchmark'),
      seed: fc.nat(2),
      gridPoints: fc.constantFrom(17, 33),
      baseline: fc.constantFrom(undefined, 'a/small'),
      replicates: fc.constantFrom(200, 1000),
      trainPrompts: fc.constantFrom(undefined, 40),
      price: fc.constantFrom(1, 2),
      flip: fc.boolean(),
    });
    const made = ({ price, flip, ...rest }: typeof choices extends fc.Arbitrary<infer T> ? T : never) => {
      const priced = withPrice(price);
      return frozen(
        flip ? { ...priced, outcomes: withOutcome((o) => ({ quality: 1 - o.quality })).outcomes } : priced,
        rest,
      );
    };
    fc.assert(
      fc.property(choices, choices, (a, b) => {
        const [x, y] = [made(a), made(b)];
        expect(sameTask(x, y).length === 0).toBe(x.hash === y.hash);
        expect(made(a).hash).toBe(x.hash);
      }),
      { numRuns: 40 },
    );
  });

  test('gives back the options that it was made with', () => {
    expect(taskOptions(task)).toEqual({ split: 'group', seed: 0, replicates: 200 });
    const more = frozen(data, { seed: 4, trainPrompts: 50, benchmark: 'bench', baseline: 'c/large' });
    expect(taskOptions(more)).toEqual({
      split: 'group',
      seed: 4,
      replicates: 200,
      trainPrompts: 50,
      benchmark: 'bench',
      baseline: 'c/large',
    });
  });
});

describe('task file', () => {
  const path = (name: string) => join(dir, name);
  const codeOf = (work: () => unknown): unknown => {
    try {
      work();
    } catch (error) {
      return (error as { code: string }).code;
    }
    return null;
  };

  test('is read as it was written, and left alone when the same task is frozen again', () => {
    writeTaskFile(path('a.json'), task);
    expect(readTaskFile(path('a.json'))).toEqual(task);
    const bytes = readFileSync(path('a.json'), 'utf8');
    writeTaskFile(path('a.json'), { ...task, name: 'another name' });
    expect(readFileSync(path('a.json'), 'utf8')).toBe(bytes);
  });

  test('is not written over by another task', () => {
    writeTaskFile(path('b.json'), task);
    expect(() => writeTaskFile(path('b.json'), frozen(data, { seed: 1 }))).toThrow(
      /holds another task \(split: seed 1/,
    );
    expect(readTaskFile(path('b.json')).hash).toBe(task.hash);
  });

  test('leaves nothing half-written where it cannot be written', () => {
    expect(codeOf(() => writeTaskFile(join(dir, 'no', 'such', 'folder.json'), task))).toBe('INVALID_CONFIG');
    expect(existsSync(join(dir, 'no'))).toBe(false);
    expect(readdirSync(dir).filter((name) => name.endsWith('.half'))).toEqual([]);
  });

  test('is refused when edited, and the message says so', () => {
    const edited = structuredClone(task);
    edited.pool.prices['a/small']!.inputUsdPerMTok = 0.01;
    writeFileSync(path('edited.json'), JSON.stringify(edited));
    expect(codeOf(() => readTaskFile(path('edited.json')))).toBe('ARTIFACT_DAMAGED');
    expect(() => readTaskFile(path('edited.json'))).toThrow(/edited\.json: its hash is .* edited after it was frozen/);
    // A name or a note may be changed: they are for people.
    writeFileSync(path('renamed.json'), JSON.stringify({ ...task, name: 'autumn', notes: 'for the paper' }));
    expect(readTaskFile(path('renamed.json')).name).toBe('autumn');
    expect(taskHash({ ...task, name: 'autumn' })).toBe(task.hash);
  });

  test.each([
    ['missing', undefined, 'MISSING_FILE', /--freeze/],
    ['no JSON', '{', 'MALFORMED_JSON', /not JSON/],
    ['of another format', JSON.stringify({ ...task, format: 2 }), 'WRONG_FORMAT', /field format/],
    ['with a field too many', JSON.stringify({ ...task, more: 1 }), 'WRONG_FORMAT', /more/],
    [
      'with a seed that is none',
      JSON.stringify({ ...task, split: { ...task.split, seed: -1 } }),
      'WRONG_FORMAT',
      /split\.seed/,
    ],
    ['a list', '[]', 'WRONG_FORMAT', /\(file\)/],
  ])('%s is refused with file and field', (name, text, code, says) => {
    const file = path(`${name.replaceAll(' ', '-')}.json`);
    if (text !== undefined) writeFileSync(file, text);
    expect(codeOf(() => readTaskFile(file))).toBe(code);
    expect(() => readTaskFile(file)).toThrow(says);
    expect(() => readTaskFile(file)).toThrow(file);
  });
});
