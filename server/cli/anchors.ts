/** `pointsman anchors`: which of your prompts to label first, so that few labels say most of a new model. */
import { existsSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import ora from 'ora';
import { Prompt, RoutingError, readDataset, readNumberedJsonl, refuseForTraining } from '../../datasets/index.ts';
import { resolveDataset } from '../../datasets/sources/index.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { embed } from '../../router/estimators/index.ts';
import { chooseAnchors } from '../../router/training/anchors.ts';
import { positive } from './numbers.ts';

interface Options {
  data?: string;
  prompts?: string;
  count: number;
  artifact?: string;
  out?: string;
  json?: boolean;
}

const HELP = `
Four in five are picked by coverage: together they lie near all the others. One in five
by discrimination: its answer tells most of a model that is not known yet. Each is the
best after those before it, so the first half of the list is the best half; of prompts
that share a groupId one is picked. Same prompts and artifact, same list: pick once, and
use it for every model to come.

What this buys is that no kind of prompt goes without a label. The mean over your traffic
is known about as well from as many prompts drawn by lot.

Then run the model on them, judge the answers, and write outcomes.jsonl beside the
prompts: {"promptId", "modelId", "quality"} a line, quality from 0 to 1.

Examples
  pointsman anchors --data DIR -n 100
  pointsman anchors --prompts prompts.jsonl -n 100 --out labels/prompts.jsonl
  pointsman onboard provider/model --data labels --out my-router`;

export function anchorsCommand(): Command {
  return new Command('anchors')
    .description('Tell which prompts to label first when a model is to be added.')
    .option('--data <dir>', 'folder of prompts and outcomes')
    .option('--prompts <file>', 'prompts alone: {"id", "text", "groupId"?} a line, plain or gzipped')
    .option('-n, --count <number>', 'how many', positive, 100)
    .option('--artifact <dir>', 'router artifact (default: the shipped one)')
    .option('--out <file>', 'also write them as JSONL, ready to be the prompts.jsonl of a folder')
    .option('--json', 'print JSON: a list of {"id", "why"}')
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  if ((options.data === undefined) === (options.prompts === undefined)) {
    throw new RoutingError('INVALID_CONFIG', 'give either --data DIR or --prompts FILE');
  }
  if (options.out !== undefined && existsSync(options.out)) {
    throw new RoutingError('INVALID_CONFIG', `--out ${options.out}: is there already; name a new file`);
  }
  const spinner = options.json ? null : ora({ text: 'reading prompts', stream: process.stderr }).start();
  try {
    const prompts = await promptsOf(options);
    const artifact = await loadArtifact(options.artifact);
    try {
      if (spinner) spinner.text = `encoding ${prompts.length} prompts`;
      const z = await embed(artifact.encoder, prompts);
      if (spinner) spinner.text = 'picking';
      const groups = prompts.map((p) => p.groupId);
      const anchors = chooseAnchors(artifact.heads, z, groups, options.count).map(({ row, why }) => ({
        prompt: prompts[row]!,
        why,
      }));
      if (options.out !== undefined) {
        const lines = anchors.map(({ prompt: { embedding, ...prompt }, why }) =>
          JSON.stringify({ ...prompt, ...(prompt.text === '' && { embedding: Array.from(embedding!) }), why }),
        );
        write(options.out, `${lines.join('\n')}\n`);
      }
      spinner?.succeed(
        `${anchors.length} of ${prompts.length} prompts in ${new Set(groups).size} groups, best first` +
          `${options.out === undefined ? '' : `; written to ${options.out}`}`,
      );
      if (options.json) {
        const list = anchors.map(({ prompt, why }) => ({ id: prompt.id, why }));
        process.stdout.write(`${JSON.stringify(list, null, 2)}\n`);
      } else {
        process.stdout.write(anchors.map(({ prompt, why }) => `${prompt.id}\t${why}\n`).join(''));
      }
    } finally {
      await artifact.encoder.close?.();
    }
  } catch (error) {
    spinner?.stop();
    throw error;
  }
}

/** @throws `EMPTY_TABLE` without prompts, `DUPLICATE_ROW` for an id that stands there twice */
async function promptsOf({ data, prompts: file }: Options): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  if (data !== undefined) {
    const dir = resolveDataset(data);
    refuseForTraining(dir);
    prompts.push(...(await readDataset(dir)).prompts);
  } else {
    if (!existsSync(file!)) throw new RoutingError('MISSING_FILE', `${file}: no such file`);
    const seen = new Set<string>();
    for await (const { row, line } of readNumberedJsonl(file!, Prompt)) {
      if (seen.has(row.id)) {
        throw new RoutingError('DUPLICATE_ROW', `${file}:${line}: prompt ${row.id} stands there twice`);
      }
      seen.add(row.id);
      const { embedding, groupId, ...rest } = row;
      prompts.push({
        ...rest,
        groupId: groupId ?? row.id,
        ...(embedding && { embedding: Float32Array.from(embedding) }),
      });
    }
  }
  if (prompts.length > 0) return prompts;
  throw new RoutingError('EMPTY_TABLE', `${data ?? file}: holds no prompt to pick from`);
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content, { flag: 'wx' });
  } catch (cause) {
    throw new RoutingError('INVALID_CONFIG', `--out ${path}: cannot write there (${(cause as Error).message})`, {
      cause,
    });
  }
}
