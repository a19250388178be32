/**
 * Outcomes as columns: a row is put together when it is read. A million of them take some 60 MB, a fifth of what
 * the same rows take as objects, so that large evaluations fit on small machines.
 */
import type { Outcome, OutcomeRows } from './schema.ts';

/** Numbers that a row may lack; NaN stands for those. JSON has none, so nothing is confused with it. */
const OPTIONAL = ['inputTokens', 'outputTokens', 'outputChars', 'costUsd', 'latencyMs', 'rawScore'] as const;
type OptionalField = (typeof OPTIONAL)[number];

export class OutcomeColumns implements OutcomeRows {
  #length = 0;
  #names = new Names();
  #prompt = new Int32Array(0);
  #model = new Int32Array(0);
  #quality = new Float64Array(0);
  /** A column is made when the first row has its field. */
  #optional = new Map<OptionalField, Float64Array>();

  static from(rows: Iterable<Outcome>): OutcomeColumns {
    const columns = new OutcomeColumns();
    for (const row of rows) columns.push(row);
    return columns;
  }

  get length(): number {
    return this.#length;
  }

  push(row: Outcome): void {
    const at = this.#length;
    if (at === this.#quality.length) this.#grow();
    this.#prompt[at] = this.#names.prompts.of(row.promptId);
    this.#model[at] = this.#names.models.of(row.modelId);
    this.#quality[at] = row.quality;
    for (const field of OPTIONAL) {
      const value = row[field];
      if (value === undefined) continue;
      let column = this.#optional.get(field);
      if (column === undefined) {
        column = new Float64Array(this.#quality.length).fill(Number.NaN);
        this.#optional.set(field, column);
      }
      column[at] = value;
    }
    this.#length++;
  }

  *[Symbol.iterator](): Iterator<Outcome> {
    for (let at = 0; at < this.#length; at++) yield this.#row(at);
  }

  filter(keep: (outcome: Outcome) => boolean): OutcomeColumns {
    const out = new OutcomeColumns();
    out.#names = this.#names;
    for (const row of this) if (keep(row)) out.push(row);
    return out;
  }

  map<T>(to: (outcome: Outcome) => T): T[] {
    return Array.from(this, to);
  }

  some(holds: (outcome: Outcome) => boolean): boolean {
    for (const row of this) if (holds(row)) return true;
    return false;
  }

  #row(at: number): Outcome {
    const row: Outcome = {
      promptId: this.#names.prompts.names[this.#prompt[at]!]!,
      modelId: this.#names.models.names[this.#model[at]!]!,
      quality: this.#quality[at]!,
    };
    for (const field of OPTIONAL) {
      const value = this.#optional.get(field)?.[at] ?? Number.NaN;
      if (!Number.isNaN(value)) row[field] = value;
    }
    return row;
  }

  #grow(): void {
    const size = Math.max(1024, Math.ceil(this.#length * 1.5));
    const grown = <T extends Int32Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#prompt = grown(this.#prompt, new Int32Array(size));
    this.#model = grown(this.#model, new Int32Array(size));
    this.#quality = grown(this.#quality, new Float64Array(size));
    for (const [field, column] of this.#optional) {
      this.#optional.set(field, grown(column, new Float64Array(size).fill(Number.NaN)));
    }
  }
}

/** Ids by number; shared by columns filtered from one another. */
class Names {
  readonly prompts = new Numbered();
  readonly models = new Numbered();
}

class Numbered {
  readonly names: string[] = [];
  readonly #number = new Map<string, number>();

  of(name: string): number {
    let number = this.#number.get(name);
    if (number === undefined) {
      number = this.names.push(name) - 1;
      this.#number.set(name, number);
    }
    return number;
  }
}
