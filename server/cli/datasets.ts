/** `pointsman datasets check DIR...`: what is inside folders of outcomes, before anything is trained on them. */
import { Command } from 'commander';
import { type DatasetSummary, type ModelSummary, readDataset, summarise } from '../../datasets/index.ts';
import { natural } from './numbers.ts';

const HELP = `
A folder holds
  prompts.jsonl[.gz]    {"id", "text", "benchmark"?, "groupId"?, …} a line; the same groupId for
                        questions that are nearly the same, so that no split separates them
  outcomes.jsonl[.gz]   {"promptId", "modelId", "quality", "outputTokens"?, "costUsd"?, …} a line;
                        quality from 0 (failed) to 1 (right); a pair that was never tried has no line
  models.json           optional: {"modelId": {"inputUsdPerMTok", "outputUsdPerMTok"}, …}

Example
  pointsman datasets check DIR --json`;

export function datasetsCommand(): Command {
  const datasets = new Command('datasets').description('Looks at folders of prompts, models and outcomes.');
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
        const found = summarise(await readDataset(dir, { onUnknownField }));
        const summary = { ...found, warnings: [...unknownWarnings(unknown), ...found.warnings] };
        summaries.push(summary);
        if (!options.json) process.stdout.write(`${textOf(summary, options.benchmarks)}\n`);
      }
      if (options.json) process.stdout.write(`${JSON.stringify(summaries, null, 2)}\n`);
    });
  return datasets;
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
