/** A section of the leader board: notes and tables in words, which the page and the terminal only set differently. */
import { interval } from '../report/format.ts';
import type { Estimate } from '../result.ts';
import type { SourceBoard } from './board.ts';

export interface Cell {
  readonly text: string;
  /** Set small: an interval. */
  readonly small?: string;
}

export interface BoardTable {
  readonly name: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** `learned` stands out. */
  readonly classes?: readonly string[];
}

export interface Section {
  readonly title: string;
  readonly notes: readonly string[];
  readonly warnings?: readonly string[];
  /** The ranking to be drawn above the tables. */
  readonly source?: SourceBoard;
  readonly tables: readonly BoardTable[];
}

export const cell = (text: string): Cell => ({ text });

export function estimate(e: Estimate, show: (x: number | null, digits: number) => string, digits = 2): Cell {
  const one = (x: number | null) => show(x, digits);
  return { text: one(e.value), small: interval(e, one) };
}
