/** What a user may say of files of outcomes that were not written for us: names of columns, scale, score, prices. */
import { RoutingError } from '../errors.ts';

export interface ImportOptions {
  /**
   * Our field → the file's column, e.g. `{prompt: 'question', model: 'llm', quality: 'score'}`; an empty column
   * leaves the field out. A file with a column a model: `{'quality.openai/gpt-x': 'gpt_x_score'}`.
   */
  readonly map?: Readonly<Record<string, string>>;
  /** The range of the scores, mapped linearly onto [0, 1]. Default: they are in [0, 1] already. */
  readonly scale?: readonly [low: number, high: number];
  /** The score to take where a file holds several: a column of rows, a named score of promptfoo, a scorer of Inspect. */
  readonly score?: string;
  /** Prices: a file in the format of `models.json`, or a catalog. */
  readonly prices?: string;
  /** What to do with a (prompt, model) pair that stands there more than once. Default: refuse, unless the file numbers them. */
  readonly repeats?: 'refuse' | 'average';
}

/** What a row may say, by our names; `repeat` numbers the tries of one pair. */
export const FIELDS = [
  'id',
  'text',
  'model',
  'quality',
  'cost',
  'inputTokens',
  'outputTokens',
  'outputChars',
  'latencyMs',
  'benchmark',
  'groupId',
  'repeat',
] as const;
export type Field = (typeof FIELDS)[number];

/** Fields that have a value for each model, so that they may stand in a column a model. */
export const MODEL_FIELDS = ['quality', 'cost', 'inputTokens', 'outputTokens', 'outputChars', 'latencyMs'] as const;
export type ModelField = (typeof MODEL_FIELDS)[number];

/** Names that are understood unasked, the first that is there counts. Compared without case, blanks, `_` and `-`. */
const NAMES: Readonly<Record<Field, readonly string[]>> = {
  id: ['promptid', 'questionid', 'sampleid', 'exampleid', 'id'],
  text: ['text', 'prompt', 'question', 'input', 'query', 'instruction'],
  model: ['modelid', 'model', 'modelname', 'llm'],
  quality: ['quality', 'score', 'correct', 'accuracy', 'passed', 'pass', 'success', 'rating', 'grade'],
  cost: ['costusd', 'cost', 'usd'],
  inputTokens: ['inputtokens', 'prompttokens', 'tokensin'],
  outputTokens: ['outputtokens', 'completiontokens', 'tokensout'],
  outputChars: ['outputchars'],
  latencyMs: ['latencyms', 'latency'],
  benchmark: ['benchmark', 'task', 'category', 'dataset', 'subject'],
  groupId: ['groupid', 'group', 'cluster'],
  repeat: ['epoch', 'repeat', 'trial', 'run', 'seed'],
};
/** Names of the objects that hold a value a model, in rows of JSON. */
const PLURALS: Readonly<Record<string, ModelField>> = { scores: 'quality', qualities: 'quality', costs: 'cost' };

export const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]/g, '');

/** Our field by any of its names. */
export function fieldNamed(name: string): Field | undefined {
  const wanted = plain(name);
  return FIELDS.find((field) => plain(field) === wanted || NAMES[field].includes(wanted));
}

/** The field that a column a model holds, by a prefix or the name of an object: `scores`, `cost`, `outputTokens` … */
export function modelFieldNamed(name: string): ModelField | undefined {
  const field = PLURALS[plain(name)] ?? fieldNamed(name);
  return (MODEL_FIELDS as readonly string[]).includes(field ?? '') ? (field as ModelField) : undefined;
}

export interface Columns {
  /** The column of each field that is there. */
  readonly of: Partial<Record<Field, string>>;
  /** Columns that hold one model's value each. */
  readonly wide: readonly { readonly field: ModelField; readonly modelId: string; readonly column: string }[];
  readonly unused: readonly string[];
}

/**
 * Which column holds what: as mapped, else by its name.
 * @throws `INVALID_CONFIG` for a mapped field or column that does not exist
 */
export function columnsOf(file: string, names: readonly string[], map: ImportOptions['map'] = {}): Columns {
  const of: Partial<Record<Field, string>> = {};
  const wide: { field: ModelField; modelId: string; column: string }[] = [];
  const left = new Set(names);
  const off = new Set<Field>();
  for (const [key, column] of Object.entries(map)) {
    const dot = key.indexOf('.');
    const field = dot < 0 ? fieldNamed(key) : modelFieldNamed(key.slice(0, dot));
    if (field === undefined || dot === key.length - 1) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `map: ${key} is none of the fields ${FIELDS.join(', ')}, nor one of ${MODEL_FIELDS.join(', ')} with a model ` +
          'behind it, as in quality.MODEL=column',
      );
    }
    if (column === '') {
      off.add(field);
      continue;
    }
    if (!names.includes(column)) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `${file}: has no column ${column}, which map gives for ${key}; ${listed(names)}`,
      );
    }
    if (dot < 0) of[field] = column;
    else wide.push({ field: field as ModelField, modelId: key.slice(dot + 1), column });
    left.delete(column);
  }
  for (const field of FIELDS) {
    if (of[field] !== undefined || off.has(field)) continue;
    const candidates = [...left];
    const column = NAMES[field].map((name) => candidates.find((c) => plain(c) === name)).find((c) => c !== undefined);
    if (column === undefined) continue;
    of[field] = column;
    left.delete(column);
  }
  for (const column of [...left]) {
    const split = /^([A-Za-z_]+)[.:](.+)$/s.exec(column);
    const field = split === null ? undefined : modelFieldNamed(split[1]!);
    if (field === undefined) continue;
    wide.push({ field, modelId: split![2]!, column });
    left.delete(column);
  }
  return { of, wide, unused: [...left] };
}

export const listed = (names: readonly string[], what = 'columns'): string =>
  `its ${what}: ${names.slice(0, 30).join(', ')}${names.length > 30 ? ` and ${names.length - 30} more` : ''}`;

/** `prompt=question,model=llm` → a map. @throws `INVALID_CONFIG` */
export function parseMap(text: string): Record<string, string> {
  const map: Record<string, string> = {};
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    if (at < 1) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `map: ${JSON.stringify(part)} is not FIELD=COLUMN, as in prompt=question,model=llm,quality=score`,
      );
    }
    map[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return map;
}

/** `1..5` → [1, 5]. @throws `INVALID_CONFIG` */
export function parseScale(text: string): [number, number] {
  const parts = /^\s*(-?\d+(?:\.\d+)?)\s*\.\.\s*(-?\d+(?:\.\d+)?)\s*$/.exec(text);
  const [low, high] = [Number(parts?.[1]), Number(parts?.[2])];
  if (parts === null || !Number.isFinite(low) || !Number.isFinite(high) || low >= high) {
    throw new RoutingError('INVALID_CONFIG', `scale: ${JSON.stringify(text)} is not LOW..HIGH, as in 1..5`);
  }
  return [low, high];
}
