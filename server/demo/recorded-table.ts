/** The result of the demo on recorded outcomes, as a newcomer reads it. */
import type { Result } from './client.ts';
import { type RecordedTask, recordedCostUsd } from './recorded.ts';
import type { RecordedOutcome } from './recorded-run.ts';
import { blindMix, columns, type Figures, figures, percent, rowsAgainst, signed } from './table.ts';

/** What is worth a line of its own: one kind of prompt with so many fresh prompts. */
const MOST_BENCHMARKS = 10;

/** Figures of every candidate on the fresh prompts, by what was recorded: what it would show if asked by name. */
export function recordedSingles({ world }: Pick<RecordedOutcome, 'world'>): Figures[] {
  const results = world.candidates.map((candidate, j) =>
    world.fresh.map(
      (task): Result<RecordedTask> => ({
        task,
        model: candidate.id,
        score: task.quality[j]!,
        costUsd: recordedCostUsd(candidate, task, j),
      }),
    ),
  );
  return results.map((list) => figures(list, results[world.best]!));
}

export function recordedSummary(outcome: RecordedOutcome) {
  const { world, options, single } = outcome;
  const best = single.at(-1)!;
  const singles = recordedSingles(outcome);
  const routed = (results: readonly Result[]) => {
    const f = figures(results, best);
    return { ...f, blindMix: blindMix(singles, f.usdPerThousand) };
  };
  return {
    data: world.name,
    ...options,
    practice: world.practice.length,
    fresh: world.fresh.length,
    models: world.candidates.map(({ id }) => id),
    likened: world.likened,
    always: Object.fromEntries(world.candidates.map(({ id }, j) => [id, singles[j]!])),
    alwaysCheapest: figures(single[0]!, best),
    alwaysBest: figures(best, best),
    before: routed(outcome.before),
    after: routed(outcome.after),
    retrain: outcome.retrain,
    artifacts: outcome.artifacts,
    seconds: outcome.seconds,
  };
}

export function recordedText(outcome: RecordedOutcome): string {
  const { world, retrain, single, before, after, artifacts } = outcome;
  const best = single.at(-1)!;
  const singles = recordedSingles(outcome);
  const promoted = retrain.outcome === 'promoted';
  const plain = (id: string) => id.slice(id.indexOf('/') + 1);
  const { row, routed } = rowsAgainst(singles, best);
  const beyond = (results: readonly Result[]) => {
    const f = figures(results, best);
    return `${signed((f.right - blindMix(singles, f.usdPerThousand)) * 100)} points`;
  };
  const table = columns([
    ['', 'quality', 'USD per 1,000', 'saved', 'blind mix', ''],
    ...world.candidates.map(({ id }, j) =>
      row(
        `always ${plain(id)}`,
        singles[j]!,
        '',
        [j === 0 && 'cheapest', j === world.best && 'best in practice'].filter(Boolean).join(', '),
      ),
    ),
    routed('auto, before retraining', before, 'the router as shipped'),
    routed('auto, after retraining', after, promoted ? `learned from ${retrain.samples} answers` : 'not promoted'),
  ]);
  table.splice(1 + world.candidates.length, 0, '');
  const likened = Object.entries(world.likened);
  return [
    '',
    `${world.fresh.length} fresh prompts of ${world.name}, asked before and after ${world.practice.length} others were practised on:`,
    '',
    ...table.map((line) => `  ${line}`.trimEnd()),
    '',
    '  saved: against always asking the best. blind mix: the quality that the same money buys when the model',
    '  is drawn without looking at the prompt; what auto has beyond it comes from reading the prompt.',
    '',
    ...(promoted
      ? [
          `Beyond a blind mix of the same cost: ${beyond(before)} before, ${beyond(after)} after retraining.`,
          `Promoted because: ${retrain.reasons.join('; ')}.`,
          `The running gateway went from router ${artifacts[0].slice(0, 8)} to ${artifacts[1].slice(0, 8)} without a restart.`,
        ]
      : [
          `Beyond a blind mix of the same cost: ${beyond(before)} before retraining.`,
          'The retrained router was not promoted, so nothing changed:',
          ...retrain.reasons.map((r) => `  ${r}`),
        ]),
    '',
    'Who got what, by benchmark (per cent of the requests, cheapest model first):',
    '',
    ...byBenchmark(outcome).map((line) => `  ${line}`),
    '',
    'What this is: models and prompts are real, and so are qualities and lengths of the answers, as they were recorded.',
    'No model is called: a local stand-in replies with a placeholder of the recorded length. Gateway, log, feedback,',
    'retraining and hot swap are the real ones; the policy explores more than the shipped one (half of the requests, not 2 %)',
    'and is looser (tolerance 0.15, not 0.02), before and after alike.',
    ...(world.seen > 0
      ? [`No fresh prompt belongs to a group that the shipped router has learned from (${world.seen} prompts do).`]
      : []),
    ...(likened.length > 0
      ? [
          `Unknown to the shipped router, so at first taken for one of like price: ${likened.map(([id, like]) => `${id} (as ${like})`).join(', ')}.`,
        ]
      : []),
    ...(world.constantLengths
      ? ['Lengths of answers are not recorded here: costs are by a constant of 300 tokens.']
      : []),
    `Choices are drawn at random, so figures differ a little from run to run. Took ${outcome.seconds.toFixed(0)} s; nothing is left behind.`,
  ].join('\n');
}

function byBenchmark({ before, after, world }: RecordedOutcome): string[] {
  const counts = new Map<string, number>();
  for (const { benchmark } of world.fresh) counts.set(benchmark, (counts.get(benchmark) ?? 0) + 1);
  const names = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name);
  const shares = (results: readonly Result[]) =>
    world.candidates
      .map(({ id }) => Math.round((100 * results.filter((r) => r.model === id).length) / results.length))
      .join('/');
  const quality = (results: readonly Result[]) => percent(results.reduce((s, r) => s + r.score, 0) / results.length);
  return columns([
    ['benchmark', 'prompts', 'before', 'after', 'shares before', 'after'],
    ...names.slice(0, MOST_BENCHMARKS).map((name) => {
      const of = (results: readonly Result<RecordedTask>[]) => results.filter((r) => r.task.benchmark === name);
      const [b, a] = [of(before), of(after)];
      return [name, String(b.length), quality(b), quality(a), shares(b), shares(a)];
    }),
  ]);
}
