/** `pointsman robustness`: whether greetings, typos, layout and talk to the router change what is picked. */
import { Command } from 'commander';
import ora from 'ora';
import { readCatalog, readDataset } from '../../datasets/index.ts';
import { robustnessText } from '../../eval/report/robustness.ts';
import { poolOf, type Robustness, robustness } from '../../eval/robustness.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { natural, positive } from './numbers.ts';

const HELP = `
Every prompt that the router has not seen is decided as it is and changed: with
typos, in other case, politely wrapped, told that it is easy, with a follow-up.
"worse" and "better" are shares of prompts whose new pick is predicted worse or
better than the old one on the prompt as it was. The candidates are the models
of the data that the router knows, or those of the catalog.

Examples
  pointsman robustness --data DIR
  pointsman robustness --data DIR DIR --catalog --prompts 1000
  pointsman robustness --data DIR --artifact my-router --json`;

interface Options {
  data: string[];
  artifact?: string;
  catalog?: boolean;
  prompts: number;
  seed: number;
  replicates: number;
  json?: boolean;
}

export function robustnessCommand(): Command {
  return new Command('robustness')
    .description('Measure whether wording that does not change the task changes the model that is picked.')
    .requiredOption('--data <dir...>', 'folders of outcomes with texts, each a pool of its own')
    .option('--artifact <dir>', 'router artifact (default: the shipped one)')
    .option('--catalog', 'choose among the shipped catalog, too')
    .option('--prompts <count>', 'prompts of each folder at most', positive, 400)
    .option('--seed <number>', 'fixes the prompts and every change', natural, 0)
    .option('--replicates <count>', 'bootstrap resamples', positive, 1000)
    .option('--json', 'print only JSON: a list with one object a pool')
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const spinner = ora({ stream: process.stderr }).start('reading');
  const results: Robustness[] = [];
  try {
    const artifact = await loadArtifact(options.artifact);
    const catalog = options.catalog ? (await readCatalog()).models : undefined;
    for (const dir of options.data) {
      const pool = poolOf(await readDataset(dir), artifact, options.prompts, options.seed);
      const pools = catalog ? [pool, { ...pool, name: `${pool.name}, catalog`, candidates: catalog }] : [pool];
      for (const one of pools) {
        const onProgress = (step: string) => {
          spinner.text = step;
        };
        const result = await robustness(artifact, one, { ...options, onProgress });
        results.push(result);
        if (!options.json) {
          spinner.clear();
          process.stdout.write(`${robustnessText(result)}\n`);
        }
      }
    }
  } finally {
    spinner.stop();
  }
  if (options.json) process.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
}
