/** The tasks beside the ranking in words: learning curve, unseen benchmarks, onboarding and RouteLLM's protocol. */
import { PUBLISHED, type RouteLlmBoard } from '../protocols/routellm.ts';
import { DASH, decimals, interval, percent, signedPercent, whole } from '../report/format.ts';
import { ADAPT_LABELS, type AdaptedSummary } from './adapted.ts';
import type { Standing } from './combine.ts';
import type { OnboardingBoard } from './onboarding.ts';
import type { LeaderBoard } from './rank.ts';
import { type Cell, cell, estimate, type Section } from './section.ts';
import { TRUE_DIFFICULTY } from './true-difficulty.ts';
import type { UnseenBoard } from './unseen.ts';

export function curveSection({ curves, ours }: LeaderBoard): Section {
  return {
    title: 'Learning curve',
    notes: [
      `AIQ − zero (%) by training prompts, in domain; splits: ${curves[0]!.splits}. The zero router has the same labels.`,
    ],
    tables: curves.map((curve) => ({
      name: `Learning curve on ${curve.source}`,
      head: [curve.source, ...curve.points.map((p) => whole(p.trainPrompts))],
      rows: curve.points[0]!.methods.map(({ name }) => [
        cell(name === ours ? `${name} (ours)` : name),
        ...curve.points.map((p) => {
          const one = p.methods.find((method) => method.name === name);
          return one ? estimate(one.minusZero, signedPercent) : cell(DASH);
        }),
      ]),
      classes: curve.points[0]!.methods.map(({ name }) => (name === ours ? 'learned' : 'row')),
    })),
  };
}

/** `mmlu-pro/law` of mmlu-pro stays as it is. */
const benchmarkName = (source: string, name: string): string =>
  name.startsWith(`${source}/`) ? name : `${source}: ${name}`;

/** Rows that say something on a benchmark nobody has seen. */
const UNSEEN_ROWS = ['random', 'length-only', 'cascade', TRUE_DIFFICULTY];

export function unseenSection(board: UnseenBoard, { methods, ours }: LeaderBoard): Section {
  const names = [...methods, ...UNSEEN_ROWS];
  const lead = (standings: readonly Standing[], name: string): Cell => {
    const one = standings.find((s) => s.name === name);
    return one ? estimate(one.minusZero, signedPercent) : cell(DASH);
  };
  const pooledName = (source: string | null) => (source === null ? 'mean of all benchmarks' : `mean of ${source}’s`);
  return {
    title: 'Unseen benchmarks',
    notes: [
      'AIQ − zero (%) on each benchmark, left out of training with its groups; the encoder has not read the source. Means give each benchmark the same weight; their intervals draw benchmarks, then groups.',
    ],
    tables: [
      {
        name: 'Unseen benchmarks, means',
        head: ['', ...board.pooled.map(({ source }) => pooledName(source))],
        rows: names.map((name) => [
          cell(name === ours ? `${name} (ours)` : name),
          ...board.pooled.map(({ standings }) => lead(standings, name)),
        ]),
        classes: names.map((name) => (methods.includes(name) ? 'learned' : 'row')),
      },
      {
        name: 'Unseen benchmarks, each',
        head: ['benchmark', 'trained on', 'tested on', ours, 'mean-quality', 'best method', TRUE_DIFFICULTY],
        rows: board.benchmarks.map((b) => {
          const best = b.standings
            .filter((s) => methods.includes(s.name))
            .reduce((x, y) => ((y.aiq.value ?? 0) > (x.aiq.value ?? 0) ? y : x));
          return [
            cell(benchmarkName(b.source, b.name)),
            cell(whole(b.trainPrompts)),
            cell(whole(b.testPrompts)),
            lead(b.standings, ours),
            lead(b.standings, 'mean-quality'),
            { ...lead(b.standings, best.name), small: best.name },
            lead(b.standings, TRUE_DIFFICULTY),
          ];
        }),
      },
    ],
  };
}

export const adaptedSection = (summary: readonly AdaptedSummary[], benchmarks: number): Section => ({
  title: 'Calibration on an unseen benchmark',
  notes: [
    `Heads fitted on the other benchmarks, then ${ADAPT_LABELS} labels of the left-out one, tested on the rest of it: ${benchmarks} benchmarks. Debiased error over (benchmark, model); intervals over benchmarks.`,
  ],
  tables: [
    {
      name: 'Calibration on an unseen benchmark',
      head: ['', 'error, %', 'Brier − that of the labels’ means'],
      rows: summary.map((s) => [
        cell(s.adaptation),
        estimate(s.error, percent, 1),
        estimate(s.brierMinusMeans, decimals, 4),
      ]),
    },
  ],
});

export function onboardingSection(board: OnboardingBoard): Section {
  const counts = board.models[0]!.labels.map(({ count }) => count);
  return {
    title: `Onboarding on ${board.source}`,
    notes: [
      `Each model is new in turn and gets its row from so many labels; ${whole(board.trainPrompts)} training prompts, splits: ${board.splits}. All on full data: AIQ − zero ${signedPercent(board.leadFull.value, 2)} ${interval(board.leadFull, (x) => signedPercent(x, 2))} %.`,
      'What a model brings: AIQ with it minus AIQ without it, in points. The share of it that is there from few labels is given where full data bring more than 0 beyond the interval.',
    ],
    tables: [
      {
        name: `Onboarding on ${board.source}`,
        head: [
          'new model',
          'brings, full data',
          ...counts.flatMap((count) => [`${count} labels: minus full data`, 'share, %']),
        ],
        rows: board.models.map(({ modelId, brings, labels }) => [
          cell(modelId),
          estimate(brings, signedPercent),
          ...labels.flatMap(({ behindFull, share }) => [estimate(behindFull, signedPercent), cell(percent(share, 0))]),
        ]),
      },
    ],
  };
}

export function pairSection(part: RouteLlmBoard['parts'][number], ours: string): Section {
  const published = PUBLISHED[part.part];
  const number = (x: number | null) => decimals(x, 3);
  return {
    title: `RouteLLM, ${part.part}`,
    notes: [
      `RouteLLM’s answers and its own definitions (decile thresholds, contaminated prompts left out): ${part.draws} draws, ${whole(part.trainPrompts)} training and ${whole(part.testPrompts)} test prompts; intervals over draws and groups together.`,
      ...(published
        ? [
            `Best published: APGR ${published.apgr}, CPT(50 %) ${percent(published.cpt50)} %, CPT(80 %) ${percent(published.cpt80)} %${part.part === 'gsm8k' ? ', without labels of GSM8K' : ', with as many gold labels and arena data'}.`,
          ]
        : []),
    ],
    tables: [
      {
        name: `RouteLLM, ${part.part}`,
        head: ['', 'APGR', 'CPT(50 %), %', 'CPT(80 %), %'],
        rows: [...part.rows]
          .sort((a, b) => (b.apgr.value ?? 0) - (a.apgr.value ?? 0))
          .map((row) => [
            cell(row.name === ours ? `${row.name} (ours)` : row.name),
            { text: number(row.apgr.value), small: interval(row.apgr, number) },
            estimate(row.cpt50, percent, 1),
            estimate(row.cpt80, percent, 1),
          ]),
      },
    ],
  };
}
