/** Rows of a table, whether from CSV or JSON: one for each (prompt, model), or one for each prompt with a value a model. */
import type { Collector, FoundOutcome } from './collect.ts';
import { promptText } from './messages.ts';
import { type Columns, columnsOf, type ImportOptions, listed, type ModelField, modelFieldNamed } from './options.ts';
import { isAbsent, type ReadNumbers, readAmount, readQuality, refused, type Where } from './values.ts';

export class RowReader {
  readonly #file: string;
  readonly #into: Collector;
  readonly #options: ImportOptions;
  readonly #numbers: ReadNumbers;
  readonly #names = new Set<string>();
  #columns: Columns | undefined;
  /** Columns without a use, but for those that turned out to hold a value a model. */
  readonly #used = new Set<string>();

  constructor(file: string, into: Collector, options: ImportOptions, more: { decimalComma?: boolean } = {}) {
    this.#file = file;
    this.#into = into;
    const { score, map } = options;
    this.#options = score === undefined ? options : { ...options, map: { quality: score, ...map } };
    this.#numbers = { ...(options.scale && { scale: options.scale }), ...more };
  }

  /** Makes columns known: at once for a CSV, with every row for JSON, whose rows need not be alike. */
  addColumns(names: Iterable<string>): void {
    const before = this.#names.size;
    for (const name of names) this.#names.add(name);
    if (this.#names.size !== before) this.#columns = undefined;
  }

  /** Columns that were not seen yet may be mapped too: rows of JSON need not be alike. */
  #known(): Columns {
    const mapped = Object.values(this.#options.map ?? {}).filter((column) => column !== '');
    this.#columns ??= columnsOf(this.#file, [...new Set([...this.#names, ...mapped])], this.#options.map);
    return this.#columns;
  }

  /** @param read the value of a column in this row @throws `INVALID_ROW`, `DUPLICATE_ROW` */
  add(read: (column: string) => unknown, where: Where): void {
    const columns = this.#known();
    const { of } = columns;
    const get = (field: keyof typeof of): unknown => (of[field] === undefined ? undefined : read(of[field]));
    const id = nameOf(get('id'), where, of.id);
    const text = textOf(get('text'), where, of.text);
    if (id === undefined && (text ?? '').trim() === '') {
      throw refused(where, of.text ?? 'text', `is missing or empty, and there is no id in its place; ${this.#has()}`);
    }
    const prompt = this.#into.prompt(
      {
        id,
        text,
        benchmark: nameOf(get('benchmark'), where, of.benchmark),
        groupId: nameOf(get('groupId'), where, of.groupId),
      },
      where,
    );
    const modelId = nameOf(get('model'), where, of.model);
    const objects = modelId === undefined ? this.#objects(read, columns) : [];
    const wide = columns.wide.map(({ field, modelId: model, column }) => ({
      field,
      model,
      value: read(column),
      column,
    }));
    if (objects.length === 0 && wide.length === 0) {
      if (modelId === undefined) throw refused(where, of.model ?? 'model', `is missing; ${this.#has()}`);
      if (of.quality === undefined) throw refused(where, 'quality', `is missing; ${this.#has()}`);
      this.#outcome(prompt, modelId, (field) => ({ value: get(field), column: of[field] ?? field }), where);
      return;
    }
    const cells = [...wide, ...objects];
    const models = [...new Set(cells.filter((c) => c.field === 'quality').map((c) => c.model))];
    if (models.length === 0) throw refused(where, 'quality', `no column holds a model's quality; ${this.#has()}`);
    for (const model of models) {
      const cell = (field: ModelField) => cells.find((c) => c.field === field && c.model === model);
      this.#outcome(prompt, model, (field) => cell(field) ?? { value: undefined, column: field }, where);
    }
  }

  /** Once all columns are known. @throws `INVALID_CONFIG` for a mapped column that is not there */
  check(): void {
    if (this.#names.size > 0) columnsOf(this.#file, [...this.#names], this.#options.map);
  }

  /** Checks, and notes what became of the columns, once the file is read. @throws `INVALID_CONFIG` */
  close(): void {
    this.check();
    const unused = this.#names.size === 0 ? [] : this.#known().unused.filter((name) => !this.#used.has(name));
    if (unused.length > 0) {
      this.#into.notes.push(
        `${this.#file}: columns that are not read: ${unused.slice(0, 20).join(', ')}${unused.length > 20 ? ` and ${unused.length - 20} more` : ''}`,
      );
    }
    const of: Columns['of'] = this.#names.size === 0 ? {} : this.#known().of;
    const renamed = Object.entries(of).filter(([field, column]) => field.toLowerCase() !== column.toLowerCase());
    if (renamed.length > 0) {
      this.#into.notes.push(
        `${this.#file}: read ${renamed.map(([field, column]) => `${column} as ${field}`).join(', ')}`,
      );
    }
  }

  #outcome(
    prompt: number,
    modelId: string,
    cellOf: (field: ModelField) => { value: unknown; column: string },
    where: Where,
  ): void {
    const cell = cellOf('quality');
    const quality = readQuality(cell.value, where, cell.column, this.#numbers);
    if (quality === undefined) {
      this.#into.count('# answers have no score: they count as never tried');
      return;
    }
    const amount = (field: ModelField) => {
      const { value, column } = cellOf(field);
      return readAmount(value, where, column, this.#numbers);
    };
    const found: FoundOutcome = {
      quality: quality.quality,
      rawScore: quality.raw,
      costUsd: amount('cost'),
      inputTokens: amount('inputTokens'),
      outputTokens: amount('outputTokens'),
      outputChars: amount('outputChars'),
      latencyMs: amount('latencyMs'),
    };
    const numbered = this.#columns?.of.repeat !== undefined;
    this.#into.outcome(prompt, modelId, found, where, this.#options.repeats ?? (numbered ? 'average' : 'refuse'));
  }

  /** `{"scores": {"model": 0.5}, "costs": {"model": 0.01}}` → a cell for each. */
  #objects(
    read: (column: string) => unknown,
    { of, unused }: Columns,
  ): { field: ModelField; model: string; value: unknown; column: string }[] {
    const cells: { field: ModelField; model: string; value: unknown; column: string }[] = [];
    for (const column of [...unused, ...Object.values(of)]) {
      const field =
        modelFieldNamed(column) ?? modelFieldNamed(Object.entries(of).find(([, c]) => c === column)?.[0] ?? '');
      const value = field === undefined ? undefined : read(column);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
      this.#used.add(column);
      for (const [model, x] of Object.entries(value)) {
        if (model !== '') cells.push({ field: field!, model, value: x, column: `${column}.${model}` });
      }
    }
    return cells;
  }

  #has(): string {
    return `${listed([...this.#names])}. Say which column is which, e.g. --map prompt=question,model=llm,quality=score`;
  }
}

function nameOf(value: unknown, where: Where, column: string | undefined): string | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value === 'string') return value.trim();
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw refused(where, column ?? '(row)', 'is neither text nor a number');
}

function textOf(value: unknown, where: Where, column: string | undefined): string | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value === 'number') return String(value);
  const text = promptText(value);
  if (text === undefined) throw refused(where, column ?? 'text', 'is neither text nor a list of messages');
  return text;
}
