/** What the shipped method is to reach, beside what it reached: one line for each, missed ones included. */
import { type PartName, PUBLISHED, type RouteLlmBoard } from '../protocols/routellm.ts';
import type { Estimate } from '../result.ts';
import type { LeaderBoard } from './rank.ts';
import { TRUE_DIFFICULTY } from './true-difficulty.ts';

export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly found: Estimate;
  /** How the figure is worded: `fraction` and `points` (differences) in percent, the others as they are. */
  readonly unit: 'fraction' | 'points' | 'rank' | 'apgr' | 'score';
  readonly met: boolean;
  /** True where the whole interval is on the side of the verdict. */
  readonly sure: boolean;
  readonly note?: string;
}

const NONE: Estimate = { value: null, low: null, high: null };

/** On fewer test prompts than this a board is a try-out, and no target is met or missed. */
const LEAST_TEST_PROMPTS = 100;

/** Only what the run measured; in the order of the README. */
export function targetsOf(all: Omit<LeaderBoard, 'targets'>): Target[] {
  const board = { ...all, boards: all.boards.filter(({ testPrompts }) => testPrompts >= LEAST_TEST_PROMPTS) };
  return [
    ...pairTargets(board),
    ...gapTargets(board),
    ...rivalTargets(board),
    ...unseenTargets(board),
    ...onboardingTargets(board),
    ...calibrationTargets(board),
  ];
}

type Board = Omit<LeaderBoard, 'targets'>;

const atLeast = (found: Estimate, bound: number): Pick<Target, 'found' | 'met' | 'sure'> => {
  const met = found.value !== null && found.value >= bound;
  return { found, met, sure: met ? (found.low ?? -1) >= bound : (found.high ?? bound) < bound };
};

const atMost = (found: Estimate, bound: number): Pick<Target, 'found' | 'met' | 'sure'> => {
  const met = found.value !== null && found.value <= bound;
  return { found, met, sure: met ? (found.high ?? bound + 1) <= bound : (found.low ?? bound) > bound };
};

function pairTargets({ ours, routellm }: Board): Target[] {
  if (routellm === null) return [];
  const row = (part: PartName) => routellm.parts.find((p) => p.part === part)?.rows.find(({ name }) => name === ours);
  const published = (part: PartName, figure: 'apgr' | 'cpt50' | 'cpt80') => {
    const x = PUBLISHED[part]?.[figure];
    if (x === undefined) return {};
    const without = part === 'gsm8k' ? ', without labels of it' : '';
    return { note: `best published ${figure === 'apgr' ? x.toFixed(3) : (100 * x).toFixed(1)}${without}` };
  };
  const wanted: [
    PartName,
    keyof RouteLlmBoard['parts'][number]['rows'][number] & ('apgr' | 'cpt50' | 'cpt80'),
    number,
  ][] = [
    ['mmlu', 'apgr', 0.65],
    ['mmlu', 'cpt50', 0.3],
    ['mmlu', 'cpt80', 0.62],
    ['unseen subjects', 'apgr', 0.62],
    ['unseen subjects, all labels', 'apgr', 0.62],
    ['gsm8k', 'apgr', 0.645],
  ];
  return wanted.flatMap(([part, figure, bound]): Target[] => {
    const found = row(part)?.[figure];
    if (found === undefined) return [];
    const apgr = figure === 'apgr';
    return [
      {
        name: `RouteLLM ${part}: ${apgr ? 'APGR' : figure === 'cpt50' ? 'CPT(50 %)' : 'CPT(80 %)'}`,
        wanted: apgr ? `≥ ${bound}` : `≤ ${100 * bound} %`,
        unit: apgr ? 'apgr' : 'fraction',
        ...(apgr ? atLeast(found, bound) : atMost(found, bound)),
        ...published(part, figure),
      },
    ];
  });
}

const GAPS: Readonly<Record<string, number>> = { zeroeval: 0.04, 'mmlu-pro': 0.03, livecodebench: 0.05 };

const gapTargets = ({ boards, ours }: Board): Target[] =>
  boards.flatMap((board) => {
    const bound = GAPS[board.source];
    const row = board.rows.find(({ name }) => name === ours);
    if (bound === undefined || row === undefined) return [];
    const known = board.rows.find(({ name }) => name === TRUE_DIFFICULTY)?.gap.value ?? null;
    return [
      {
        name: `${board.source}: share of the gap to the oracle at ${board.trainPrompts} labels`,
        wanted: `≥ ${100 * bound} %`,
        unit: 'fraction',
        ...atLeast(row.gap, bound),
        ...(known !== null && { note: `with the true shared difficulty known ${(100 * known).toFixed(1)} %` }),
      },
    ];
  });

/** Best of the zoo by more than this is missed. */
const BEHIND = 0.003;

function rivalTargets({ boards, ranks, ours, methods }: Board): Target[] {
  if (methods.length < 3) return [];
  const own = ranks.find(({ name }) => name === ours);
  return [
    ...boards.flatMap((board): Target[] => {
      const row = board.rows.find(({ name }) => name === ours);
      if (row === undefined) return [];
      const best = board.rows.find(({ rank }) => rank === 1)!;
      return [
        {
          name: `${board.source}: AIQ minus the best method’s`,
          wanted: '≥ −0.3 points',
          unit: 'points',
          ...atLeast(row.behindBest, -BEHIND),
          note: best.name === ours ? 'is the best' : `best is ${best.name}`,
        },
      ];
    }),
    ...(own && ranks.length > 1
      ? [
          {
            name: 'mean rank over the sources',
            wanted: 'first',
            unit: 'rank' as const,
            found: { ...NONE, value: own.meanRank },
            met: ranks[0]!.name === ours,
            sure: false,
            note: `first is ${ranks[0]!.name} with ${ranks[0]!.meanRank.toFixed(2)}`,
          },
        ]
      : []),
  ];
}

function unseenTargets({ unseen, ours }: Board): Target[] {
  if (unseen === null) return [];
  const of = (standings: readonly { readonly name: string; readonly minusZero: Estimate }[]): Estimate =>
    standings.find(({ name }) => name === ours)?.minusZero ?? NONE;
  const all = of(unseen.pooled.at(-1)!.standings);
  const each = unseen.benchmarks.map(({ source, name, standings }) => ({
    name: `${source}: ${name}`,
    lead: of(standings),
  }));
  const below = each.filter(({ lead: { low, high } }) => {
    if (low === null || high === null) return false;
    return low < -Math.max(BEHIND, (high - low) / 2);
  });
  return [
    {
      name: `unseen benchmarks, mean of ${each.length}: AIQ − zero`,
      wanted: '> 0, lower bound ≥ −0.3 points',
      unit: 'points',
      found: all,
      met: (all.value ?? -1) > 0 && (all.low ?? -1) >= -BEHIND,
      sure: (all.low ?? -1) > 0,
    },
    {
      name: 'unseen benchmarks, each: lower bound against −max(0.3 points, half-width)',
      wanted: `${each.length} of ${each.length}`,
      unit: 'rank',
      found: { ...NONE, value: each.length - below.length },
      met: below.length === 0,
      sure: false,
      ...(below.length > 0 && { note: `not ${below.map(({ name }) => name).join(', ')}` }),
    },
  ];
}

const ONBOARD_AT = 100;

const onboardingTargets = ({ onboarding }: Board): Target[] =>
  onboarding.flatMap((board) => {
    const shares = board.models.flatMap(({ modelId, labels }) => {
      const at = labels.find(({ count }) => count === ONBOARD_AT);
      return at && at.share !== null ? [{ modelId, share: at.share }] : [];
    });
    if (shares.length === 0) return [];
    const worst = shares.reduce((a, b) => (b.share < a.share ? b : a));
    return [
      {
        name: `${board.source}: of what a model brings, there from ${ONBOARD_AT} labels (least of ${shares.length})`,
        wanted: '≥ 80 %',
        unit: 'fraction',
        found: { ...NONE, value: worst.share },
        met: worst.share >= 0.8,
        sure: false,
        note: `least for ${worst.modelId}`,
      },
    ];
  });

function calibrationTargets({ boards, adapted, ours }: Board): Target[] {
  const refitted = adapted?.summary.find(({ adaptation }) => adaptation === 'refitted on the labels');
  return [
    ...boards.flatMap((board): Target[] => {
      const c = board.rows.find(({ name }) => name === ours)?.calibration;
      if (!c) return [];
      return [
        {
          name: `${board.source}: calibration error of the worst model`,
          wanted: '≤ 3 %',
          unit: 'fraction',
          ...atMost(c.worstError, 0.03),
          note: `${c.worstModel}; mean of models ${(100 * c.meanError).toFixed(1)} %`,
        },
        {
          name: `${board.source}: Brier score minus mean-quality’s`,
          wanted: '< 0',
          unit: 'score',
          ...atMost(c.brierMinusMean, 0),
        },
      ];
    }),
    ...(refitted
      ? ([
          {
            name: 'calibration error per model on an unseen benchmark after 200 labels',
            wanted: '≤ 5 %',
            unit: 'fraction',
            ...atMost(refitted.error, 0.05),
          },
          {
            name: 'its Brier score minus that of the labels’ means',
            wanted: '< 0',
            unit: 'score',
            ...atMost(refitted.brierMinusMeans, 0),
          },
        ] satisfies Target[])
      : []),
  ];
}
