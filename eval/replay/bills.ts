/** What calls were expected to cost and what they were billed at, by model. Prices are those of the list, before any event. */
import { promptChars } from '../../datasets/index.ts';
import { listCostUsd } from '../costs.ts';
import type { Part } from '../part.ts';

/** A forecast of cost counts for so many bills. */
const PRIOR_BILLS = 20;

export class Bills {
  readonly #part: Part;
  readonly #priceless: ArrayLike<number>;
  readonly #expected: Float64Array;
  readonly #billed: Float64Array;
  readonly #count: Float64Array;

  /** @param priceless USD of a call by model, for those without list prices: taken as known */
  constructor(part: Part, priceless: ArrayLike<number>) {
    const m = part.table.modelIds.length;
    this.#part = part;
    this.#priceless = priceless;
    this.#expected = new Float64Array(m);
    this.#billed = new Float64Array(m);
    this.#count = new Float64Array(m);
  }

  /** List price × (characters / 4 in, `tokens` out). */
  expected(row: number, j: number, tokens: number): number {
    const { table } = this.#part;
    const usd = listCostUsd(table, j, promptChars(table.prompts[row]!), tokens);
    return Number.isNaN(usd) ? this.#priceless[j]! : usd;
  }

  add(row: number, j: number, usd: number): void {
    const { table, constantLength } = this.#part;
    const tokens = table.outputTokens[row * table.modelIds.length + j]!;
    // Only recorded bills can differ from the list: others were made of the same lengths and prices.
    if (Number.isNaN(table.costUsd[row * table.modelIds.length + j]!) || constantLength[row] === 1) return;
    const expected = this.expected(row, j, tokens);
    if (!(expected > 0)) return;
    this.#expected[j]! += expected;
    this.#billed[j]! += usd;
    this.#count[j]!++;
  }

  /** m factors on the forecasts: 1 where nothing was billed. */
  scales(): Float64Array {
    return this.#billed.map((billed, j) => {
      const count = this.#count[j]!;
      if (count === 0) return 1;
      const prior = (PRIOR_BILLS * this.#expected[j]!) / count;
      return (billed + prior) / (this.#expected[j]! + prior);
    });
  }
}
