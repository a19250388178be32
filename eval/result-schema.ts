/** The result's form as a zod schema: what `--json` writes, what `--compare` reads, and the published JSON schema. */
import { z } from 'zod';
import { COST_BASES } from './costs.ts';
import { FIGURES } from './figures.ts';
import { type Evaluation, FLAG_CODES } from './result.ts';
import { SPLITS } from './split.ts';

const finite = z.number();
const share = finite.min(0).max(1);
const count = z.int().min(0);
const maybe = finite.nullable();

const Estimate = z.strictObject({ value: maybe, low: maybe, high: maybe });
const Bounds = z.strictObject({ low: maybe, high: maybe });
const Point = { costUsd: finite.min(0), quality: share };
const Knobs = z.array(
  z.strictObject({
    share: finite,
    policy: z.strictObject({ tolerance: finite, qualityPerUsd: maybe }),
  }),
);
const Slice = z.strictObject({
  name: z.string(),
  prompts: count,
  groups: count,
  quality: finite,
  baselineQuality: finite,
  qualityChange: Estimate,
  costShare: Estimate,
});
const Cell = z.strictObject({ model: z.string(), ...Point, predicted: maybe });
const Regretted = z.strictObject({
  promptId: z.string(),
  benchmark: z.string(),
  regret: finite,
  chosen: Cell,
  better: Cell,
  text: z.string().optional(),
});
const OperatingPoint = z.strictObject({
  reached: z.boolean(),
  costUsd: finite.min(0),
  quality: finite,
  knobs: Knobs,
  byBenchmark: z.array(Slice),
  byLanguage: z.array(Slice),
  mostRegretted: z.array(Regretted),
});
const Promised = z.strictObject({ saving: Estimate, kept: Estimate, reached: z.boolean() });
const Router = z.strictObject({
  name: z.string(),
  kind: z.enum(['learned', 'baseline', 'hindsight']),
  aiq: Estimate,
  aiqMinusZero: Estimate,
  aiqLinear: maybe,
  gapRecovered: maybe,
  apgr: maybe,
  cpt50: maybe,
  cpt80: maybe,
  qualityNeutralCost: maybe,
  savingsAt: z.strictObject({ '95': maybe, '98': maybe, '100': maybe }),
  ece: maybe,
  curve: z.array(
    z.strictObject({
      setting: z.string(),
      costUsd: finite,
      quality: finite,
      interval: z.strictObject({ costUsd: Bounds, quality: Bounds }).optional(),
      knobs: Knobs.optional(),
    }),
  ),
  intervals: z.record(z.string(), Bounds),
  best: z.strictObject({ costUsd: finite, quality: finite }),
  promised: z.strictObject({ '95': Promised, '98': Promised, '100': Promised }),
  eceByModel: z.record(z.string(), finite).nullable(),
  chosen: z.strictObject({ predicted: finite, observed: finite }).nullable(),
  differsFromZero: maybe,
  metrics: z.strictObject(
    Object.fromEntries(FIGURES.map((name) => [name, Estimate])) as Record<(typeof FIGURES)[number], typeof Estimate>,
  ),
  reliability: z
    .array(z.strictObject({ predicted: finite, observed: finite, low: maybe, high: maybe, n: count }))
    .nullable(),
  operatingPoint: OperatingPoint.nullable(),
  replicates: z.record(z.string(), z.string()).nullable(),
  hindsightAiq: maybe,
});

/** @see `evaluation.schema.json`, made from this */
export const EvaluationSchema: z.ZodType<Evaluation> = z
  .strictObject({
    schemaVersion: z.literal(1),
    taskHash: z.string(),
    flags: z.array(
      z.strictObject({
        code: z.enum(FLAG_CODES),
        severity: z.enum(['red', 'note']),
        message: z.string(),
        router: z.string().optional(),
      }),
    ),
    splitDuplicates: z.strictObject({
      testPrompts: count,
      share,
      examples: z.array(z.tuple([z.string(), z.string()])),
      unchecked: count,
    }),
    sensitivity: z.array(
      z.strictObject({
        analysis: z.string(),
        leads: z.array(z.strictObject({ router: z.string(), lead: Estimate })),
      }),
    ),
    controls: z.array(
      z.strictObject({
        name: z.string(),
        lead: Estimate,
        gapRecovered: maybe,
        expected: z.string(),
        passed: z.boolean(),
      }),
    ),
    dataset: z.string(),
    split: z.enum(SPLITS),
    benchmark: z.string().nullable(),
    seed: z.int(),
    trainPrompts: count,
    prompts: count,
    groups: count,
    groupsInData: count,
    models: count,
    modelIds: z.array(z.string()),
    costBasis: z.enum(COST_BASES),
    costBasisShares: z.strictObject(
      Object.fromEntries(COST_BASES.map((name) => [name, share])) as Record<(typeof COST_BASES)[number], typeof share>,
    ),
    hiddenReasoningIncluded: z.array(z.string()),
    untriedShare: share,
    dropped: z.strictObject({
      trainedGroups: count,
      contaminated: count,
      noOutcome: count,
      hiddenReasoningModels: z.array(z.string()),
      unpricedModels: z.array(z.string()),
      baseModels: z.array(z.string()),
      routers: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
    }),
    baseline: z.strictObject({ model: z.string(), costUsd: finite, quality: finite }),
    costRange: z.strictObject({ cheapest: z.string(), lowUsd: finite, dearest: z.string(), highUsd: finite }),
    bootstrap: z.strictObject({ replicates: count, unit: z.enum(['group', 'benchmark, then group']) }),
    artifacts: z.array(z.string()),
    routers: z.array(Router),
    singleModels: z.array(z.strictObject({ model: z.string(), costUsd: finite, quality: finite })),
    byBenchmark: z.array(
      z.strictObject({
        benchmark: z.string(),
        prompts: count,
        groups: count,
        trainPrompts: count,
        routers: z.array(z.strictObject({ name: z.string(), aiq: Estimate, aiqMinusZero: Estimate })),
      }),
    ),
  })
  .meta({
    title: 'Pointsman evaluation',
    description:
      'What `pointsman eval --json` prints. Costs are USD per prompt, shares and qualities fractions, null what is not defined.',
  });

/** The published JSON schema. */
export const evaluationJsonSchema = (): string =>
  `${JSON.stringify(z.toJSONSchema(EvaluationSchema, { reused: 'ref' }), null, 2)}\n`;
