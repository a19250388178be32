/** A dataset as a folder: `prompts.jsonl[.gz]`, `outcomes.jsonl[.gz]`, `models.json`. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { RoutingError } from './errors.ts';
import { OutcomeColumns } from './outcome-columns.ts';
import { PLAIN, plainPath } from './plain-issues.ts';
import { readNumberedJsonl } from './read-jsonl.ts';
import { type Dataset, ModelInfos, Outcome, Prompt } from './schema.ts';

export interface ReadOptions {
  /** Told every field of every row that no schema knows: it is read by nobody, and may be a slip of the pen. */
  readonly onUnknownField?: (file: string, field: string) => void;
}

/**
 * Reads one dataset folder and checks that its rows belong together.
 * @throws `MISSING_FILE`, `DUPLICATE_ROW` (also where a file is there twice, plain and gzipped), `UNKNOWN_PROMPT`, and what {@link readNumberedJsonl} throws
 */
export async function readDataset(dir: string, options: ReadOptions = {}): Promise<Dataset> {
  if (!existsSync(dir)) {
    throw new RoutingError('MISSING_FILE', `${dir}: no such folder; give the folder that holds prompts.jsonl[.gz]`);
  }
  if (!statSync(dir).isDirectory()) {
    throw new RoutingError(
      'MISSING_FILE',
      `${dir}: is a file, and a folder is wanted; give the folder that holds prompts.jsonl[.gz], e.g. ${dirname(dir)}`,
    );
  }
  const unknown = (file: string, schema: { shape: object }) =>
    options.onUnknownField && unknownFields(schema, (field) => options.onUnknownField!(basename(file), field));
  const promptsFile = findFile(dir, 'prompts');
  const outcomesFile = findFile(dir, 'outcomes');

  const prompts: Prompt[] = [];
  const seen = new Set<string>();
  let dimension: number | undefined;
  for await (const { row, line } of readNumberedJsonl(promptsFile, Prompt, unknown(promptsFile, Prompt))) {
    if (seen.has(row.id)) {
      throw new RoutingError('DUPLICATE_ROW', `${promptsFile}:${line}: prompt ${row.id} stands there twice`);
    }
    dimension ??= row.embedding?.length;
    if (row.embedding !== undefined && row.embedding.length !== dimension) {
      throw new RoutingError(
        'INVALID_ROW',
        `${promptsFile}:${line}: field embedding: ${row.embedding.length} numbers where the rows before have ${dimension}`,
      );
    }
    seen.add(row.id);
    const { embedding, groupId, ...rest } = row;
    prompts.push({
      ...rest,
      groupId: groupId ?? row.id,
      ...(embedding && { embedding: Float32Array.from(embedding) }),
    });
  }

  const outcomes = new OutcomeColumns();
  const pairs = new Pairs(prompts);
  for await (const { row, line } of readNumberedJsonl(outcomesFile, Outcome, unknown(outcomesFile, Outcome))) {
    if (!seen.has(row.promptId)) {
      throw new RoutingError(
        'UNKNOWN_PROMPT',
        `${outcomesFile}:${line}: outcome of prompt ${row.promptId}, which ${basename(promptsFile)} does not have`,
      );
    }
    if (!pairs.add(row.promptId, row.modelId)) {
      throw new RoutingError(
        'DUPLICATE_ROW',
        `${outcomesFile}:${line}: (${row.promptId}, ${row.modelId}) stands there twice`,
      );
    }
    outcomes.push(row);
  }
  return { name: basename(resolve(dir)), prompts, outcomes, models: readModels(join(dir, 'models.json')) };
}

/** Several datasets as one; a prompt id may stand in one of them only. @throws `DUPLICATE_ROW` */
export function mergeDatasets(datasets: readonly Dataset[]): Dataset {
  const seen = new Map<string, string>();
  for (const d of datasets) {
    for (const p of d.prompts) {
      const other = seen.get(p.id);
      if (other !== undefined)
        throw new RoutingError('DUPLICATE_ROW', `prompt ${p.id} stands in ${other} and in ${d.name}`);
      seen.set(p.id, d.name);
    }
  }
  return {
    name: datasets.map((d) => d.name).join('+'),
    prompts: datasets.flatMap((d) => d.prompts),
    outcomes: OutcomeColumns.from(everyOutcome(datasets)),
    models: Object.assign({}, ...datasets.map((d) => d.models)),
  };
}

function* everyOutcome(datasets: readonly Dataset[]): Generator<Outcome> {
  for (const { outcomes } of datasets) yield* outcomes;
}

/** Which (prompt, model) pairs were read: a bit each, for there can be millions. */
class Pairs {
  readonly #row: ReadonlyMap<string, number>;
  readonly #seen = new Map<string, Uint8Array>();

  constructor(prompts: readonly Prompt[]) {
    this.#row = new Map(prompts.map(({ id }, i) => [id, i]));
  }

  /** @returns false where the pair was there already */
  add(promptId: string, modelId: string): boolean {
    let bits = this.#seen.get(modelId);
    if (bits === undefined) {
      bits = new Uint8Array(Math.ceil(this.#row.size / 8));
      this.#seen.set(modelId, bits);
    }
    const row = this.#row.get(promptId)!;
    const bit = 1 << (row % 8);
    if ((bits[row >> 3]! & bit) !== 0) return false;
    bits[row >> 3]! |= bit;
    return true;
  }
}

function unknownFields({ shape }: { shape: object }, tell: (field: string) => void): (row: object) => void {
  return (row) => {
    for (const field of Object.keys(row)) if (!Object.hasOwn(shape, field)) tell(field);
  };
}

function findFile(dir: string, stem: string): string {
  const [path, other] = [`${stem}.jsonl.gz`, `${stem}.jsonl`].map((name) => join(dir, name)).filter(existsSync);
  if (other !== undefined) {
    throw new RoutingError(
      'DUPLICATE_ROW',
      `${dir}: holds both ${stem}.jsonl.gz and ${stem}.jsonl; remove the one that is out of date`,
    );
  }
  if (path !== undefined) return path;
  throw new RoutingError('MISSING_FILE', `${dir}: has no ${stem}.jsonl or ${stem}.jsonl.gz`);
}

function readModels(path: string): ModelInfos {
  if (!existsSync(path)) return {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = ModelInfos.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError('INVALID_ROW', `${path}: field ${plainPath(issue.path)}: ${issue.message}`);
}
