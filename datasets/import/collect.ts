/**
 * Where every reader puts what it finds: prompts by id or by text, outcomes by (prompt, model). A pair found again is
 * averaged or refused. A million outcomes take some 60 MB.
 */
import { createHash } from 'node:crypto';
import { RoutingError } from '../errors.ts';
import { OutcomeColumns } from '../outcome-columns.ts';
import type { Outcome } from '../schema.ts';
import { refused, type Where } from './values.ts';

export interface FoundPrompt {
  /** Without one, the text tells prompts apart. */
  readonly id?: string | undefined;
  readonly text?: string | undefined;
  readonly source?: string;
  readonly benchmark?: string | undefined;
  readonly groupId?: string | undefined;
}

const VALUES = ['quality', 'inputTokens', 'outputTokens', 'outputChars', 'costUsd', 'latencyMs', 'rawScore'] as const;
export type FoundOutcome = Partial<Record<(typeof VALUES)[number], number | undefined>> & { quality: number };

interface Collected {
  id: string;
  text: string;
  source: string | undefined;
  benchmark: string | undefined;
  groupId: string | undefined;
  /** For the message if its text never comes. */
  where: string;
}

export class Collector {
  /** What was assumed or left out, for people. */
  readonly notes: string[] = [];
  readonly prompts: Collected[] = [];
  readonly modelIds: string[] = [];
  #rows = 0;
  #averaged = 0;
  readonly #number = new Map<string, number>();
  readonly #column = new Map<string, number>();
  /** Per model, by prompt: its row + 1, 0 where there is none. */
  readonly #row: Int32Array[] = [];
  readonly #prompt = new Numbers();
  readonly #model = new Numbers();
  readonly #sums = VALUES.map(() => new Numbers());
  readonly #counts = VALUES.map(() => new Numbers());
  readonly #tally = new Map<string, number>();

  get outcomeCount(): number {
    return this.#rows;
  }

  /** Counts something for a note: `text` with `#` where the number goes. */
  count(text: string): void {
    this.#tally.set(text, (this.#tally.get(text) ?? 0) + 1);
  }

  /** @throws `INVALID_ROW` where a prompt has another text or group than before */
  prompt(found: FoundPrompt, where: Where): number {
    const text = found.text ?? '';
    const id = found.id ?? idOfText(text);
    const known = this.#number.get(id);
    if (known === undefined) {
      const { source, benchmark, groupId } = found;
      this.#number.set(id, this.prompts.length);
      return this.prompts.push({ id, text, source, benchmark, groupId, where: where() }) - 1;
    }
    const prompt = this.prompts[known]!;
    if (prompt.text === '') prompt.text = text;
    else if (text !== '' && text !== prompt.text) {
      throw refused(where, 'text', `prompt ${id} has another text than at ${prompt.where}; one id is one prompt`);
    }
    prompt.benchmark ??= found.benchmark;
    prompt.groupId ??= found.groupId;
    if (found.groupId !== undefined && found.groupId !== prompt.groupId) {
      throw refused(where, 'groupId', `${found.groupId}, but prompt ${id} is in group ${prompt.groupId}`);
    }
    return known;
  }

  /** The text of a prompt found before, by its id. */
  textOf(id: string): string | undefined {
    const known = this.#number.get(id);
    return known === undefined ? undefined : this.prompts[known]!.text;
  }

  /** @throws `DUPLICATE_ROW` for a pair that was there, unless repeats are averaged */
  outcome(prompt: number, modelId: string, found: FoundOutcome, where: Where, repeats: 'refuse' | 'average'): void {
    let column = this.#column.get(modelId);
    if (column === undefined) {
      column = this.modelIds.push(modelId) - 1;
      this.#column.set(modelId, column);
      this.#row.push(new Int32Array(0));
    }
    if (prompt >= this.#row[column]!.length) {
      const grown = new Int32Array(Math.max(1024, Math.ceil(prompt * 1.5) + 1));
      grown.set(this.#row[column]!);
      this.#row[column] = grown;
    }
    const rows = this.#row[column]!;
    let at = rows[prompt]! - 1;
    if (at < 0) {
      at = this.#rows++;
      rows[prompt] = at + 1;
      this.#prompt.add(at, prompt);
      this.#model.add(at, column);
    } else if (repeats === 'refuse') {
      throw new RoutingError(
        'DUPLICATE_ROW',
        `${where()}: model ${modelId} answered prompt ${shortened(this.prompts[prompt]!.id)} before; ` +
          'number repeated tries in a column epoch, or average them (--average-repeats)',
      );
    } else this.#averaged++;
    VALUES.forEach((field, k) => {
      const value = found[field];
      if (value === undefined) return;
      this.#sums[k]!.add(at, value);
      this.#counts[k]!.add(at, 1);
    });
  }

  /** @param rename the name of each model in the result; no two may get one name */
  outcomes(rename: (modelId: string) => string = (id) => id): OutcomeColumns {
    const columns = new OutcomeColumns();
    const names = this.modelIds.map(rename);
    for (let at = 0; at < this.#rows; at++) {
      const row: Outcome = {
        promptId: this.prompts[this.#prompt.at(at)]!.id,
        modelId: names[this.#model.at(at)]!,
        quality: 0,
      };
      VALUES.forEach((field, k) => {
        const count = this.#counts[k]!.at(at);
        if (count > 0) row[field] = this.#sums[k]!.at(at) / count;
      });
      // A mean of numbers in [0, 1] may miss 1 by the rounding of the sum.
      row.quality = Math.min(1, row.quality);
      columns.push(row);
    }
    return columns;
  }

  /** What was counted on the way, as notes. */
  tallies(): string[] {
    const averaged = `# repeated answers of one (prompt, model) pair were averaged with the first`;
    const all = this.#averaged > 0 ? [...this.#tally, [averaged, this.#averaged] as const] : [...this.#tally];
    return all.map(([text, count]) => text.replace('#', count.toLocaleString('en-US')));
  }
}

/** The id of a prompt that has none: the same text, the same id, in every file. */
export const idOfText = (text: string): string =>
  `text:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;

const shortened = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);

/** Sums by position, from 0; takes no memory before the first. */
class Numbers {
  #values = new Float64Array(0);

  at(i: number): number {
    return this.#values[i] ?? 0;
  }

  add(i: number, value: number): void {
    if (i >= this.#values.length) {
      const grown = new Float64Array(Math.max(1024, Math.ceil(i * 1.5) + 1));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[i]! += value;
  }
}
