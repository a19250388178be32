/** `pointsman demo`: the whole line in a minute, on generated tasks and local programs. */
import { Command } from 'commander';
import ora from 'ora';
import type { DemoOutcome } from '../demo/run.ts';
import { demoText, figures } from '../demo/table.ts';
import { wholeNumber } from './numbers.ts';
import { onStop } from './signals.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Starts a gateway with four local programs as its models, sends practice tasks through HTTP, gives feedback, ' +
        'retrains from the log and shows what changed. Needs no keys, no data and no network.',
    )
    .option('--practice <count>', 'tasks to learn from', wholeNumber(60, 5000), 800)
    .option('--fresh <count>', 'other tasks to measure on', wholeNumber(40, 5000), 300)
    .option('--seed <number>', 'seed of the tasks', wholeNumber(0, 2 ** 31), 1)
    .option('--json', 'print only JSON')
    .action(async (options: { practice: number; fresh: number; seed: number; json?: boolean }) => {
      const stop = new AbortController();
      const stopListening = onStop(
        () => stop.abort(new Error('interrupted')),
        () => process.exit(130),
      );
      const spinner = ora({ stream: process.stderr, isSilent: options.json ?? false });
      let step = '';
      try {
        // Late: the gateway is much to load for a look at --help.
        const { runDemo } = await import('../demo/run.ts');
        const outcome = await runDemo(
          options,
          (text, done, of) => {
            if (text !== step) {
              if (step !== '') spinner.succeed(step);
              step = text;
              spinner.start(step);
            }
            if (done !== undefined) spinner.text = `${text} (${done} of ${of})`;
          },
          stop.signal,
        );
        spinner.succeed(step);
        console.log(options.json ? JSON.stringify(summaryOf(outcome), null, 2) : demoText(outcome));
      } catch (error) {
        spinner.stop();
        throw stop.signal.aborted ? new Error('stopped before it was done; everything it started is gone') : error;
      } finally {
        stopListening();
      }
    });
}

function summaryOf(outcome: DemoOutcome) {
  const best = outcome.single.at(-1)!.results;
  return {
    ...outcome.options,
    always: Object.fromEntries(outcome.single.map(({ model, results }) => [model, figures(results, best)])),
    before: figures(outcome.before, best),
    after: figures(outcome.after, best),
    retrain: outcome.retrain,
    artifacts: outcome.artifacts,
    seconds: outcome.seconds,
  };
}
