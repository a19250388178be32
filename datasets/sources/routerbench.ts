/**
 * RouterBench: eleven models of 2023 on eight benchmarks, with costs. Upstream has pickled data frames only.
 *
 * Verified on public code that reads it: the files (`routerbench_0shot.pkl`, 99 567 659 bytes, and `_5shot`), the
 * revision that several projects pin, the columns `sample_id`, `prompt`, `eval_name`, one named after each model with
 * its score, and `<model>|model_response`, `<model>|total_cost`. Not verified: the content, and how a converter
 * writes prompts that are lists of turns: lists in Parquet and JSONL, Python's notation in CSV; both are read.
 */
import { basename } from 'node:path';
import { z } from 'zod';
import { fileBytes } from '../formats/bytes.ts';
import { csvRows } from '../formats/csv.ts';
import { jsonLines } from '../formats/json-lines.ts';
import { parquetRows } from '../formats/parquet.ts';
import { formatOf } from '../formats/sniff.ts';
import { modelIdOf } from './model-id.ts';
import { type Answer, checked, clipped, recorded, type Source } from './source.ts';

const COST = '|total_cost';
const RESPONSE = '|model_response';
const COLUMNS = ['sample_id', 'prompt', 'eval_name'];

const Number_ = z.union([z.number(), z.boolean().transform(Number), z.string().trim().min(1).pipe(z.coerce.number())]);
const Row = z.looseObject({
  sample_id: z.union([z.string().min(1), z.number()]).transform(String),
  prompt: z.union([z.string().min(1), z.array(z.string()).min(1)]),
  eval_name: z.string().min(1),
});

export const routerbench: Source = {
  name: 'routerbench',
  holds: 'eleven models of 2023 on MMLU, HellaSwag, GSM8K, ARC, Winogrande, MBPP, MT-Bench and RAG, with costs',
  notes: [
    'Quality is the score of the benchmark, in [0, 1]; costs are USD as the authors computed them.',
    'Most of a prompt is a template that whole benchmarks share.',
    'Give either the 0-shot or the 5-shot file: both use the same sample ids.',
  ],
  homepage: 'https://huggingface.co/datasets/withmartian/routerbench',
  licence: 'none stated for the data (code: MIT)',
  citation: 'Hu et al., "RouterBench: A Benchmark for Multi-LLM Routing System", 2024, arXiv:2403.12031',
  revision: '784021482c3f320c6619ed4b3bb3b41a21424fcb',
  evaluationOnly: null,
  models: 11,
  prompts: 36_497,
  size: '100 MB',
  files: [],
  byHand: {
    formats: ['csv', 'jsonl', 'parquet'],
    advice:
      'RouterBench is published as Python pickles only, and reading a pickle runs whatever program is inside. ' +
      'In a container without network and without your files, download ' +
      'https://huggingface.co/datasets/withmartian/routerbench/resolve/784021482c3f320c6619ed4b3bb3b41a21424fcb/routerbench_0shot.pkl ' +
      "beforehand and run there: python -c \"import pandas; pandas.read_pickle('routerbench_0shot.pkl')" +
      ".to_json('routerbench_0shot.jsonl', orient='records', lines=True)\"; " +
      'then: pointsman datasets fetch routerbench --from routerbench_0shot.jsonl (CSV and Parquet do as well)',
  },
  row: Row,
  async *rows({ given, leaveOut }) {
    for (const path of given) {
      for await (const { value, row } of tableRows(path)) {
        const { sample_id, prompt, eval_name, ...columns } = checked(Row, value, path, row);
        const turns = typeof prompt === 'string' ? turnsOf(prompt) : prompt;
        const answers: Answer[] = [];
        const costs = Object.keys(columns).filter((name) => name.endsWith(COST));
        checked(z.array(z.string()).min(1, `no column <model>${COST}`), costs, basename(path), row);
        for (const name of costs) {
          const model = name.slice(0, -COST.length);
          const score = columns[model];
          // pandas writes what is missing as nothing, null or NaN.
          if (isMissing(score)) {
            leaveOut('no score');
            continue;
          }
          const response = columns[`${model}${RESPONSE}`];
          const cost = columns[name];
          answers.push({
            modelId: modelIdOf(model),
            info: { sourceName: model },
            ...clipped(checked(Number_, score, `${path}: column ${model}`, row)),
            ...recorded('costUsd', isMissing(cost) ? null : checked(Number_, cost, `${path}: column ${name}`, row)),
            ...(typeof response === 'string' && { outputChars: response.length }),
          });
        }
        yield {
          prompt: {
            id: `routerbench/${sample_id}`,
            source: 'routerbench',
            benchmark: eval_name,
            text: turns.join('\n'),
          },
          answers,
        };
      }
    }
  },
};

async function* tableRows(path: string) {
  const format = formatOf(path);
  if (format === 'parquet') yield* parquetRows(path, COLUMNS);
  else if (format === 'csv') yield* csvRows(path, fileBytes(path), COLUMNS);
  else yield* jsonLines(path, fileBytes(path));
}

const isMissing = (value: unknown): boolean =>
  value === null || value === undefined || value === '' || value === 'nan' || Number.isNaN(value);

/** `['first', "second"]`, as Python writes a list of turns, or the text itself. */
function turnsOf(text: string): string[] {
  if (!/^\[\s*['"].*['"]\s*\]$/s.test(text)) return [text];
  const literal = /\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|$)/gsy;
  const inside = text.slice(1, -1).trim();
  const turns: string[] = [];
  while (literal.lastIndex < inside.length) {
    const match = literal.exec(inside);
    if (match === null) return [text];
    turns.push((match[1] ?? match[2])!.replaceAll(/\\(.)/gs, (_, escaped: string) => ESCAPES[escaped] ?? escaped));
  }
  return turns;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
