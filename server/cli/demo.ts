/** `pointsman demo`: the whole line in a minute, on generated tasks and local programs, or on recorded outcomes. */
import { Command } from 'commander';
import ora from 'ora';
import { resolveForTraining } from '../../datasets/sources/index.ts';
import type { DemoOutcome } from '../demo/run.ts';
import { demoText, figures } from '../demo/table.ts';
import { wholeNumber } from './numbers.ts';
import { onStop } from './signals.ts';

const HELP = `
Examples
  pointsman demo                       generated tasks, four local programs
  pointsman demo --data DIR            recorded outcomes of real models
  pointsman demo --data DIR --models 3 --practice 300 --json`;

interface Options {
  data: string[];
  practice?: number;
  fresh: number;
  models: number;
  seed: number;
  json?: boolean;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Starts a gateway with four local programs as its models, sends practice tasks through HTTP, gives feedback, ' +
        'retrains from the log and shows what changed. Needs no keys, no data and no network. With --data real models ' +
        'on real prompts, as recorded, take the place of programs and tasks.',
    )
    .option('--data <dir...>', 'folders of recorded outcomes, with texts and list prices', collect, [])
    .option('--practice <count>', 'tasks to learn from (default: 800; with --data 600)', wholeNumber(60, 5000))
    .option('--fresh <count>', 'other tasks to measure on', wholeNumber(40, 5000), 300)
    .option('--models <count>', 'of the data, models to route between at most', wholeNumber(2, 100), 6)
    .option('--seed <number>', 'seed of the tasks', wholeNumber(0, 2 ** 31), 1)
    .option('--json', 'print only JSON')
    .addHelpText('after', HELP)
    .action(async ({ data, models, practice, ...options }: Options) => {
      const stop = new AbortController();
      const stopListening = onStop(
        () => stop.abort(new Error('interrupted')),
        () => process.exit(130),
      );
      const spinner = ora({ stream: process.stderr, isSilent: options.json ?? false });
      let step = '';
      try {
        const say = (text: string, done?: number, of?: number) => {
          if (text !== step) {
            if (step !== '') spinner.succeed(step);
            step = text;
            spinner.start(step);
          }
          if (done !== undefined) spinner.text = `${text} (${done} of ${of})`;
        };
        const print = (text: string) => {
          spinner.succeed(step);
          console.log(text);
        };
        // Late: the gateway is much to load for a look at --help.
        if (data.length > 0) {
          const [{ runRecorded }, { recordedSummary, recordedText }] = await Promise.all([
            import('../demo/recorded-run.ts'),
            import('../demo/recorded-table.ts'),
          ]);
          const asked = { ...options, models, practice: practice ?? 600 };
          const outcome = await runRecorded(resolveForTraining(data), asked, say, stop.signal);
          print(options.json ? JSON.stringify(recordedSummary(outcome), null, 2) : recordedText(outcome));
        } else {
          const { runDemo } = await import('../demo/run.ts');
          const outcome = await runDemo({ ...options, practice: practice ?? 800 }, say, stop.signal);
          print(options.json ? JSON.stringify(summaryOf(outcome), null, 2) : demoText(outcome));
        }
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

const collect = (value: string, previous: string[]): string[] => [...previous, value];
