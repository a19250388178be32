/**
 * Outcomes as people have them, as a dataset: our folders, rows in JSON or CSV, results of promptfoo, logs of Inspect.
 * What a file is shows in its content. Everything that is assumed or left out is told in `notes`.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { RoutingError } from '../errors.ts';
import { mergeDatasets, readDataset } from '../folder.ts';
import { nearDuplicateGroups } from '../near-duplicates.ts';
import { readNumberedJsonl } from '../read-jsonl.ts';
import type { Dataset, Prompt } from '../schema.ts';
import { isGzip, readDocument } from './bytes.ts';
import { Collector } from './collect.ts';
import { type Delimiter, type Format, formatOf } from './detect.ts';
import { fieldOf } from './messages.ts';
import type { ImportOptions } from './options.ts';
import { pricesOf, readPrices } from './prices.ts';
import { Providers, readPromptfoo, readPromptfooRow } from './promptfoo.ts';
import { RowReader } from './rows.ts';
import { refused } from './values.ts';

export { type ImportOptions, parseMap, parseScale } from './options.ts';

export interface ImportedDataset extends Dataset {
  /** What was found, assumed or left out, in sentences for people. */
  readonly notes: readonly string[];
}

/**
 * Reads files and folders as one dataset. A folder with `prompts.jsonl[.gz]` is read as it is (only
 * `options.prices` applies); any other folder stands for the files of outcomes in it. Prompts without a `groupId` get
 * one for each set of near-duplicates.
 * @throws `MISSING_FILE`, `EMPTY_TABLE`, `MALFORMED_JSON`, `TRUNCATED_FILE`, `INVALID_ROW`, `DUPLICATE_ROW`, and
 *         `INVALID_CONFIG` for options that do not fit the files; messages start with file and line
 */
export async function readOutcomes(
  path: string | readonly string[],
  options: ImportOptions = {},
): Promise<ImportedDataset> {
  const paths = typeof path === 'string' ? [path] : path;
  checkOptions(options);
  const folders: Dataset[] = [];
  const files: string[] = [];
  for (const one of paths) {
    if (!existsSync(one)) throw new RoutingError('MISSING_FILE', `${one}: no such file or folder`);
    if (!statSync(one).isDirectory()) files.push(one);
    else if (['prompts.jsonl', 'prompts.jsonl.gz'].some((name) => existsSync(join(one, name)))) {
      folders.push(await folderWithPrices(one, options.prices));
    } else files.push(...filesIn(one));
  }
  if (folders.length + files.length === 0)
    throw new RoutingError('MISSING_FILE', 'give a file or a folder of outcomes');
  const imported = files.length > 0 ? [await readFiles(files, options)] : [];
  const all = [...folders, ...imported];
  return { ...(all.length === 1 ? all[0]! : mergeDatasets(all)), notes: imported.flatMap(({ notes }) => notes) };
}

function checkOptions({ scale }: ImportOptions): void {
  if (scale === undefined || (Number.isFinite(scale[0]) && Number.isFinite(scale[1]) && scale[0] < scale[1])) return;
  throw new RoutingError('INVALID_CONFIG', `scale: ${scale[0]}..${scale[1]} is no range from low to high`);
}

async function folderWithPrices(dir: string, prices: string | undefined): Promise<Dataset> {
  const dataset = await readDataset(dir);
  return prices === undefined ? dataset : { ...dataset, models: { ...dataset.models, ...(await readPrices(prices)) } };
}

function filesIn(dir: string): string[] {
  const files = readdirSync(dir)
    .filter((name) => /\.(jsonl|ndjson|json|csv|tsv|eval)(\.gz)?$/i.test(name) && name !== 'models.json')
    .sort();
  if (files.length > 0) return files.map((name) => join(dir, name));
  throw new RoutingError(
    'MISSING_FILE',
    `${dir}: has neither prompts.jsonl[.gz] nor files of outcomes (.jsonl, .csv, .json, .eval)`,
  );
}

const KINDS: Readonly<Record<Format['kind'], string>> = {
  'inspect-zip': 'a log of Inspect (zipped)',
  inspect: 'a log of Inspect',
  promptfoo: 'results of promptfoo',
  'promptfoo-lines': 'results of promptfoo, a row a line',
  rows: 'a list of rows in JSON',
  lines: 'rows in JSON, one a line',
  csv: 'CSV',
};
const DELIMITER_NAMES: Readonly<Record<Delimiter, string>> = {
  ',': 'commas',
  ';': 'semicolons',
  '\t': 'tabs',
  '|': 'bars',
};

async function readFiles(files: readonly string[], options: ImportOptions): Promise<ImportedDataset> {
  const into = new Collector();
  const providers = new Providers();
  for (const file of files) {
    const format = await formatOf(file);
    const parted = format.kind === 'csv' ? `, columns parted by ${DELIMITER_NAMES[format.delimiter]}` : '';
    into.notes.push(`${file}: read as ${KINDS[format.kind]}${parted}`);
    await readFile(file, format, into, providers, options);
  }
  return finished(files, into, providers, options);
}

/** What reads zips and CSV is loaded where it is needed: whoever imports this package seldom does. */
async function readFile(
  file: string,
  format: Format,
  into: Collector,
  providers: Providers,
  options: ImportOptions,
): Promise<void> {
  switch (format.kind) {
    case 'inspect-zip':
      return (await import('./inspect.ts')).readInspectZip(file, into, options);
    case 'inspect':
      return (await import('./inspect.ts')).readInspect(await readDocument(file), file, into, options);
    case 'promptfoo':
      return readPromptfoo(await readDocument(file), file, into, providers, options);
    case 'promptfoo-lines':
      for await (const { row, line } of objectLines(file)) {
        readPromptfooRow(row, () => `${file}:${line}`, into, providers, options);
      }
      return;
    case 'lines': {
      const reader = new RowReader(file, into, options);
      for await (const { row, line } of objectLines(file)) addObject(reader, row, () => `${file}:${line}`);
      return reader.close();
    }
    case 'rows': {
      const document = await readDocument(file);
      const reader = new RowReader(file, into, options);
      if (!Array.isArray(document)) throw new RoutingError('INVALID_ROW', `${file}: is no list of rows`);
      document.forEach((row, i) => {
        const where = () => `${file}: row ${i + 1}`;
        if (typeof row !== 'object' || row === null || Array.isArray(row))
          throw refused(where, '(row)', 'is no object');
        addObject(reader, row, where);
      });
      return reader.close();
    }
    case 'csv':
      return readTable(file, format.delimiter, into, options);
  }
}

const AnyObject = z.looseObject({});

async function* objectLines(file: string): AsyncGenerator<{ row: object; line: number }> {
  if ((await isGzip(file)) !== file.endsWith('.gz')) {
    throw new RoutingError(
      'MALFORMED_JSON',
      `${file}: the name should end in .gz where the content is gzipped, and only there`,
    );
  }
  yield* readNumberedJsonl(file, AnyObject);
}

function addObject(reader: RowReader, row: object, where: () => string): void {
  reader.addColumns(Object.keys(row));
  reader.add((column) => fieldOf(row, column), where);
}

async function readTable(file: string, delimiter: Delimiter, into: Collector, options: ImportOptions): Promise<void> {
  const reader = new RowReader(file, into, options, { decimalComma: delimiter === ';' });
  const position = new Map<string, number>();
  const { readCsv } = await import('./csv.ts');
  for await (const { cells, line } of readCsv(file, delimiter)) {
    if (position.size === 0) {
      for (const [at, cell] of cells.entries()) {
        const name = cell.trim();
        // What pandas writes for its row numbers has no name.
        if (name === '') continue;
        if (position.has(name)) {
          throw new RoutingError('INVALID_ROW', `${file}:${line}: column ${name} stands there twice; rename one`);
        }
        position.set(name, at);
      }
      if (position.size === 0)
        throw new RoutingError('INVALID_ROW', `${file}:${line}: the first row holds no column names`);
      reader.addColumns(position.keys());
      reader.check();
    } else
      reader.add(
        (column) => cells[position.get(column)!],
        () => `${file}:${line}`,
      );
  }
  reader.close();
}

async function finished(
  files: readonly string[],
  into: Collector,
  providers: Providers,
  options: ImportOptions,
): Promise<ImportedDataset> {
  const empty = into.prompts.find(({ text }) => text.trim() === '');
  if (empty !== undefined) {
    throw new RoutingError(
      'INVALID_ROW',
      `${empty.where}: field text: prompt ${empty.id} has none in any row; prompts that are kept as embeddings go in a folder`,
    );
  }
  if (into.outcomeCount === 0) {
    const why = into.tallies().join('; ');
    throw new RoutingError('EMPTY_TABLE', `${files.join(', ')}: no outcomes${why === '' ? '' : ` (${why})`}`);
  }
  const name =
    files.length === 1 ? basename(resolve(files[0]!)).replace(/(\.\w+)(\.gz)?$/, '') : `${files.length} files`;
  const outcomes = into.outcomes((id) => providers.nameOf(id));
  const notes = [...into.notes, ...into.tallies()];
  const modelIds = into.modelIds.map((id) => providers.nameOf(id));
  const twice = modelIds.find((id, j) => modelIds.indexOf(id) !== j);
  if (twice !== undefined) {
    throw new RoutingError('DUPLICATE_ROW', `model ${twice} stands in files of two kinds; import one kind at a time`);
  }
  const uncosted = new Set<string>();
  for (const { modelId, costUsd } of outcomes) if (costUsd === undefined) uncosted.add(modelId);
  const models = await pricesOf(modelIds, uncosted, files, options.prices, notes);
  const prompts = grouped(into, name === '' ? 'import' : name, notes);
  const texts = new Set(prompts.map(({ text }) => text)).size;
  if (modelIds.length > 1 && outcomes.length === prompts.length && texts < prompts.length) {
    notes.push(
      'every prompt has one answer, though texts repeat: does the id number rows and not prompts? Leave it out (map id=)',
    );
  }
  return { name: name === '' ? 'import' : name, prompts, outcomes, models, notes };
}

/** Prompts with the groups they were given, else one for each set of near-duplicates. */
function grouped(into: Collector, source: string, notes: string[]): Prompt[] {
  const without = into.prompts.filter(({ groupId }) => groupId === undefined);
  const near = nearDuplicateGroups(without.map(({ text }) => text));
  const firstOf = new Map<number, string>();
  const groupOf = new Map<string, string>();
  without.forEach(({ id }, i) => {
    const first = firstOf.get(near[i]!) ?? id;
    firstOf.set(near[i]!, first);
    groupOf.set(id, first);
  });
  if (without.length > 0) {
    const whole = (n: number) => n.toLocaleString('en-US');
    notes.push(
      `prompts without a groupId: ${whole(without.length)}, in ${whole(firstOf.size)} near-duplicate ${firstOf.size === 1 ? 'group' : 'groups'}`,
    );
  }
  return into.prompts.map((p) => ({
    id: p.id,
    source: p.source ?? source,
    benchmark: p.benchmark ?? 'default',
    text: p.text,
    groupId: p.groupId ?? groupOf.get(p.id)!,
  }));
}
