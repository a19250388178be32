/** The demo's result as a newcomer reads it. */
import type { Result } from './client.ts';
import type { DemoOutcome } from './run.ts';
import type { Task } from './tasks.ts';

export interface Figures {
  /** Share of right answers, or mean quality where answers are graded; in [0, 1]. */
  readonly right: number;
  readonly usdPerThousand: number;
  /** Share of the cost of always asking the dearest program that was not spent; may be negative. */
  readonly saved: number;
}

export function figures(results: readonly Result[], dearest: readonly Result[]): Figures {
  const cost = sum(results.map((r) => r.costUsd));
  const most = sum(dearest.map((r) => r.costUsd));
  return {
    right: sum(results.map((r) => r.score)) / results.length,
    usdPerThousand: (cost / results.length) * 1000,
    saved: most === 0 ? 0 : 1 - cost / most,
  };
}

/**
 * Right answers that the programs reach at this cost when it is decided without looking at the prompt:
 * the best mix of two of them, known only in hindsight.
 * @param single figures of each program, all on the same tasks
 */
export function blindMix(single: readonly Figures[], usdPerThousand: number): number {
  let best = 0;
  for (const a of single) {
    if (a.usdPerThousand > usdPerThousand) continue;
    best = Math.max(best, a.right);
    for (const b of single) {
      if (b.usdPerThousand <= usdPerThousand) continue;
      const share = (usdPerThousand - a.usdPerThousand) / (b.usdPerThousand - a.usdPerThousand);
      best = Math.max(best, a.right + share * (b.right - a.right));
    }
  }
  return best;
}

/** Rows of the table: one of fixed figures, and one of `auto` beside the blind mix of the same cost. */
export function rowsAgainst(singles: readonly Figures[], best: readonly Result[]) {
  const row = (name: string, f: Figures, mix: string, note: string) => [
    name,
    percent(f.right),
    f.usdPerThousand.toFixed(3),
    percent(f.saved),
    mix,
    note,
  ];
  const routed = (name: string, results: readonly Result[], note: string) => {
    const f = figures(results, best);
    return row(name, f, percent(blindMix(singles, f.usdPerThousand)), note);
  };
  return { row, routed };
}

export function demoText(outcome: DemoOutcome): string {
  const { single, before, after, retrain, options } = outcome;
  const dearest = single.at(-1)!.results;
  const promoted = retrain.outcome === 'promoted';
  const singles = single.map(({ results }) => figures(results, dearest));
  const { row, routed } = rowsAgainst(singles, dearest);
  const rank = (i: number) => (i === 0 ? ' (cheapest)' : i === single.length - 1 ? ' (best)' : '');
  const table = columns([
    ['', 'right answers', 'USD per 1,000', 'saved', 'blind mix', ''],
    ...single.map(({ model, about }, i) => row(`always ${model.split('/')[0]}${rank(i)}`, singles[i]!, '', about)),
    routed('auto, before retraining', before, 'the router as shipped'),
    routed('auto, after retraining', after, promoted ? `learned from ${retrain.samples} answers` : 'not promoted'),
  ]);
  table.splice(1 + single.length, 0, '');
  return [
    '',
    `${options.fresh} fresh tasks, asked of each program by name, and of the router before and after it learned:`,
    '',
    ...table.map((line) => `  ${line}`),
    '',
    '  saved: against always asking the best. blind mix: right answers that the same money buys when the',
    '  program is drawn without looking at the prompt; what auto has beyond it comes from reading the prompt.',
    '',
    ...verdict(outcome),
    '',
    'Who got what, by family of tasks (per cent of the requests, cheapest program first):',
    '',
    ...byFamily(outcome).map((line) => `  ${line}`),
    '',
    'What this is: the tasks are generated and their answers can be checked. The models are four small local',
    'programs of really different skill, with prices like those of hosted models; each gets only the text of a',
    'prompt and computes its answer, right or wrong. Gateway, log, feedback, retraining and hot swap are the real',
    'ones; to learn within a minute the policy explores more than the shipped one (half of the requests, not 2 %) and',
    'is looser (tolerance 0.15, not 0.02). It shows that the loop works; what it saves for you, only your own',
    'traffic can tell.',
    `Choices are drawn at random, so figures differ a little from run to run. Took ${outcome.seconds.toFixed(0)} s; nothing is left behind.`,
  ].join('\n');
}

function verdict({ retrain, before, after, single, artifacts }: DemoOutcome): string[] {
  if (retrain.outcome !== 'promoted') {
    return ['The retrained router was not promoted, so nothing changed:', ...retrain.reasons.map((r) => `  ${r}`)];
  }
  const singles = single.map(({ results }) => figures(results, single.at(-1)!.results));
  const beyond = (results: readonly Result[]) => {
    const f = figures(results, single.at(-1)!.results);
    return `${signed((f.right - blindMix(singles, f.usdPerThousand)) * 100)} points`;
  };
  return [
    `Beyond a blind mix of the same cost: ${beyond(before)} before, ${beyond(after)} after retraining.`,
    `Promoted because: ${retrain.reasons.join('; ')}.`,
    `The running gateway went from router ${artifacts[0].slice(0, 8)} to ${artifacts[1].slice(0, 8)} without a restart.`,
  ];
}

/** A row per family: right answers and the share that each program got, before and after. */
function byFamily({ before, after, single }: DemoOutcome): string[] {
  const names = single.map(({ model }) => model);
  const families = [...new Set(before.map((r) => r.task.family))].sort();
  const shares = (results: readonly Result<Task>[]) =>
    names.map((name) => Math.round((100 * results.filter((r) => r.model === name).length) / results.length)).join('/');
  const right = (results: readonly Result<Task>[]) => percent(sum(results.map((r) => r.score)) / results.length);
  const legend = names.map((name) => name.split('/')[0]).join('/');
  return columns([
    ['family', 'right before', 'after', `${legend} before`, 'after'],
    ...families.map((family) => {
      const [b, a] = [before, after].map((list) => list.filter((r) => r.task.family === family)) as [
        Result<Task>[],
        Result<Task>[],
      ];
      return [family, right(b), right(a), shares(b), shares(a)];
    }),
  ]);
}

/** First and last column to the left if they hold words, numbers to the right. */
export function columns(rows: readonly string[][]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  const words = rows[0]!.map((_, c) => c === 0 || rows.slice(1).every((row) => /^[a-z]/.test(row[c]!)));
  return rows.map((row) =>
    row
      .map((cell, c) => (words[c] ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
      .join('   ')
      .trimEnd(),
  );
}

const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
export const percent = (x: number): string => `${(x * 100).toFixed(1)} %`;
export const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(1)}`;
