/** `pointsman datasets`: `list` and `fetch` public datasets by name, `check` what is inside folders of outcomes. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import ora from 'ora';
import {
  type DatasetSummary,
  type ModelSummary,
  readDataset,
  readFetchedSource,
  summarise,
} from '../../datasets/index.ts';
import {
  cacheFolder,
  datasetFolder,
  downloadFolder,
  resolveDataset,
  SOURCES,
  sourceNamed,
} from '../../datasets/sources/index.ts';
import type { Source } from '../../datasets/sources/source.ts';
import { type Fetched, fetchDataset } from '../dataset-fetch.ts';
import { natural } from './numbers.ts';

const LIST_HELP = `
Models, prompts and sizes are about what authors or others report; fetch counts what it finds.
"evaluation only" marks data that its authors let nobody train on: train, onboard and
anchors refuse it. "fetched" tells whether it is in the cache folder, which is
$POINTSMAN_CACHE, else ~/.cache/pointsman.

Examples
  pointsman datasets list
  pointsman datasets list --json | jq '.[] | select(.fetched) | .dir'`;

const FETCH_HELP = `
Writes a folder as every command reads it (prompts, outcomes, models.json) with SOURCE.md and
source.json beside: licence, citation, revision, and each file's length and sha256. Near-duplicate
prompts share a groupId.

The first fetch records the sums of the files (lock.json beside the downloads); a later one that
finds other bytes refuses them. A download that was cut off or stopped with Ctrl-C goes on from
where it was. Without network, put the files where the error says, or name them with --from.
Pickles are never read.

Environment
  POINTSMAN_CACHE         where downloads and datasets are kept
  HF_ENDPOINT, HF_TOKEN   another Hugging Face hub; a token for what is not public
  POINTSMAN_MIRROR        https://codeload.github.com=https://my.mirror, several with commas
  HTTPS_PROXY, NO_PROXY   as usual

Examples
  pointsman datasets fetch routellm
  pointsman datasets fetch sprout --out data/sprout
  pointsman datasets fetch embedllm --from train.csv val.csv test.csv
  pointsman datasets fetch routerbench --from routerbench_0shot.jsonl
  pointsman datasets check routellm`;

const HELP = `
DIR may also be the name of a dataset that was fetched.

A folder holds
  prompts.jsonl[.gz]    {"id", "text", "benchmark"?, "groupId"?, …} a line; the same groupId for
                        questions that are nearly the same, so that no split separates them
  outcomes.jsonl[.gz]   {"promptId", "modelId", "quality", "outputTokens"?, "costUsd"?, …} a line;
                        quality from 0 (failed) to 1 (right); a pair that was never tried has no line
  models.json           optional: {"modelId": {"inputUsdPerMTok", "outputUsdPerMTok"}, …}

Examples
  pointsman datasets check DIR --json
  pointsman datasets check routellm`;

export function datasetsCommand(): Command {
  const datasets = new Command('datasets').description(
    'Public datasets by name, and what is inside folders of prompts, models and outcomes.',
  );
  datasets
    .command('list')
    .description('Public datasets: what each holds, how large it is, its licence, and whether it is here.')
    .option('--cache <dir>', 'cache folder (default: $POINTSMAN_CACHE, else ~/.cache/pointsman)')
    .option('--json', 'print only JSON: a list with one object a dataset')
    .addHelpText('after', LIST_HELP)
    .action(list);
  datasets
    .command('fetch')
    .description('Downloads a public dataset, verifies its files and writes it as a dataset folder.')
    .argument('<name>', 'as pointsman datasets list names it')
    .option('--out <dir>', 'folder to write (default: datasets/NAME in the cache folder)')
    .option('--cache <dir>', 'cache folder (default: $POINTSMAN_CACHE, else ~/.cache/pointsman)')
    .option('--from <file...>', 'files fetched by hand, under the names that upstream gives them')
    .option('--force', 'write it anew though it is here')
    .option('--json', 'print only JSON')
    .addHelpText('after', FETCH_HELP)
    .action(fetchOne);
  datasets
    .command('check')
    .description('Reads every row, refuses what is wrong with file and line, and prints what is inside.')
    .argument('<dir...>', 'folders to read')
    .option('--json', 'print only JSON: a list with one object a folder')
    .option('--benchmarks <count>', 'benchmarks to list', natural, 20)
    .addHelpText('after', HELP)
    .action(async (dirs: string[], options: { json?: boolean; benchmarks: number }) => {
      const summaries: DatasetSummary[] = [];
      for (const dir of dirs) {
        if (process.stderr.isTTY) process.stderr.write(`reading ${dir} …\n`);
        const unknown = new Map<string, number>();
        const onUnknownField = (file: string, field: string) => {
          const name = `${file}: ${field}`;
          unknown.set(name, (unknown.get(name) ?? 0) + 1);
        };
        const found = summarise(await readDataset(resolveDataset(dir), { onUnknownField }));
        const summary = { ...found, warnings: [...unknownWarnings(unknown), ...found.warnings] };
        summaries.push(summary);
        if (!options.json) process.stdout.write(`${textOf(summary, options.benchmarks)}\n`);
      }
      if (options.json) process.stdout.write(`${JSON.stringify(summaries, null, 2)}\n`);
    });
  return datasets;
}

/** What `list --json` prints of each. */
function listed(source: Source, cache: string) {
  const dir = datasetFolder(source.name, cache);
  const here = existsSync(dir) ? readFetchedSource(dir) : null;
  return {
    name: source.name,
    holds: source.holds,
    models: source.models,
    prompts: source.prompts,
    size: source.size,
    licence: source.licence,
    citation: source.citation,
    homepage: source.homepage,
    revision: source.revision,
    evaluationOnly: source.evaluationOnly,
    byHand: source.byHand?.advice ?? null,
    fetched: here !== null,
    dir: here === null ? null : dir,
    fetchedAt: here?.fetchedAt ?? null,
  };
}

function list(options: { cache?: string; json?: boolean }): void {
  const all = SOURCES.map((source) => listed(source, options.cache ?? cacheFolder()));
  if (options.json) {
    process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
    return;
  }
  const rows = all.map((x) => [
    x.name,
    x.models === null ? '–' : whole(x.models),
    x.prompts === null ? '–' : whole(x.prompts),
    x.size ?? 'not known',
    x.fetched ? 'yes' : 'no',
    x.evaluationOnly === null ? 'train and evaluate' : 'evaluation only',
  ]);
  const table = columns([['dataset', 'models', 'prompts', 'to fetch', 'fetched', 'allowed use'], ...rows]);
  const about = all.map(
    (x) =>
      `  ${x.name}: ${x.holds}\n    licence  ${x.licence}` +
      (x.byHand === null
        ? ''
        : '\n    by hand  upstream has pickles only: pointsman datasets fetch routerbench says what to do'),
  );
  process.stdout.write([...table, '', ...about, '', 'Fetch one: pointsman datasets fetch NAME', ''].join('\n'));
}

interface FetchOneOptions {
  out?: string;
  cache?: string;
  from?: string[];
  force?: boolean;
  json?: boolean;
}

async function fetchOne(name: string, options: FetchOneOptions): Promise<void> {
  const source = sourceNamed(name);
  const cache = options.cache ?? cacheFolder();
  const progress = progressOn(process.stderr);
  const stop = new AbortController();
  const onInterrupt = () => stop.abort(new Stopped());
  process.once('SIGINT', onInterrupt);
  try {
    const fetched = await fetchDataset(source, { ...options, cache, signal: stop.signal, onProgress: progress.tell });
    progress.done();
    process.stdout.write(options.json ? `${JSON.stringify(fetched, null, 2)}\n` : fetchedText(source, fetched));
  } catch (error) {
    progress.done();
    if (!(error instanceof Stopped)) throw error;
    process.stderr.write(
      `stopped; what has arrived is kept in ${downloadFolder(name, cache)}, and the next run goes on from there\n`,
    );
    process.exitCode = 130;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

/** Ctrl-C: no error of the program. */
class Stopped extends Error {}

/** One line that changes on a terminal; elsewhere a line a step, and one every tenth of a file. */
function progressOn(stream: NodeJS.WriteStream): { tell: (step: string, share: number) => void; done: () => void } {
  if (stream.isTTY) {
    // Left as it is, the spinner would read the keyboard, and Ctrl-C with it.
    const spinner = ora({ stream, discardStdin: false }).start();
    return {
      tell: (step) => {
        spinner.text = step;
      },
      done: () => void spinner.stop(),
    };
  }
  let last = '';
  return {
    tell: (step, share) => {
      const key = `${step.replace(/[:,].*$/, '')} ${Math.floor(share * 10)}`;
      if (key !== last) stream.write(`${step}\n`);
      last = key;
    },
    done: () => {},
  };
}

function fetchedText(source: Source, { dir, written, source: about, recorded }: Fetched): string {
  const lines =
    written === null
      ? [`${source.name}: here since ${about.fetchedAt.slice(0, 10)}, in ${dir} (--force writes it anew)`]
      : [
          `${source.name}: ${whole(written.prompts)} prompts in ${whole(written.groups)} groups, ${written.models} models, ${whole(written.outcomes)} outcomes, in ${dir}`,
          ...written.leftOut.map(({ why, rows }) => `  left out   ${whole(rows)} answers: ${why}`),
          ...(recorded.length > 0
            ? [
                `  recorded   the sha256 of ${recorded.length} ${recorded.length === 1 ? 'file' : 'files'}: later fetches must find the same bytes`,
              ]
            : []),
        ];
  return [
    ...lines,
    `  licence    ${source.licence}`,
    `  cite       ${source.citation}`,
    ...(source.evaluationOnly === null ? [] : [`  for evaluation only: ${source.evaluationOnly}`]),
    `  next       pointsman datasets check ${dir}`,
    '',
  ].join('\n');
}

function unknownWarnings(unknown: ReadonlyMap<string, number>): string[] {
  const names = [...unknown].map(([name, rows]) => `${name} (${whole(rows)} ${rows === 1 ? 'row' : 'rows'})`);
  const shown = names.slice(0, 10).join(', ') + (names.length > 10 ? ` and ${names.length - 10} more` : '');
  return names.length === 0 ? [] : [`fields that nothing here reads; are they misspelt? ${shown}`];
}

function textOf(s: DatasetSummary, benchmarks: number): string {
  const lines = [
    `${s.name}: ${whole(s.prompts)} prompts in ${whole(s.groups)} groups, ` +
      `${s.candidates} candidate models, ${whole(s.outcomes)} outcomes`,
    `  missing cells           ${percent(s.missing)}`,
    `  solved by no candidate  ${share(s.solvedByNobody, s.prompts)}`,
    `  solved by every one     ${share(s.solvedByAll, s.prompts)}`,
    `  oracle                  ${s.oracle === null ? '–' : s.oracle.toFixed(3)}   best answer of any candidate, mean over prompts`,
    s.bestSingle === null
      ? '  best single model       –       no model was asked nearly everything, so means do not compare'
      : `  best single model       ${s.bestSingle.quality.toFixed(3)}   ${s.bestSingle.modelId}`,
    `  known beside quality    ${known(s)}`,
    '',
    ...columns([['benchmark', 'prompts'], ...s.benchmarks.slice(0, benchmarks).map((b) => [b.name, whole(b.prompts)])]),
  ];
  if (s.benchmarks.length > benchmarks) lines.push(`  … and ${s.benchmarks.length - benchmarks} more`);
  lines.push(
    '',
    ...columns([['model', 'outcomes', 'coverage', 'quality', 'USD per M tokens'], ...s.models.map(rowOf)]),
  );
  if (s.warnings.length > 0) lines.push('', ...s.warnings.map((text) => `  note: ${text}`));
  lines.push('');
  return lines.join('\n');
}

function rowOf(x: ModelSummary): string[] {
  const price =
    x.inputUsdPerMTok === null || x.outputUsdPerMTok === null ? '–' : `${x.inputUsdPerMTok} / ${x.outputUsdPerMTok}`;
  return [x.modelId, whole(x.outcomes), percent(x.coverage), x.quality.toFixed(3), price];
}

function known(s: DatasetSummary): string {
  const fields = [
    s.withCost > 0 && `cost ${percent(s.withCost / s.outcomes)}`,
    s.withTokens > 0 && `tokens ${percent(s.withTokens / s.outcomes)}`,
    s.withChars > 0 && `characters ${percent(s.withChars / s.outcomes)}`,
  ].filter((text) => text !== false);
  return fields.length === 0 ? 'nothing' : `${fields.join(', ')} of the outcomes`;
}

/** Left-aligned first column, the others right-aligned. */
function columns(rows: readonly string[][]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map(
    (row) => `  ${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')}`,
  );
}

const whole = (n: number): string => n.toLocaleString('en-US');
const percent = (x: number): string => `${(x * 100).toFixed(1)} %`;
const share = (part: number, of: number): string => `${percent(of === 0 ? 0 : part / of)} (${whole(part)} prompts)`;
