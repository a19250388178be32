/** The leader board as data: what is printed, drawn and written as JSON. Fractions and USD; null where undefined. */
import { type CostBasis, mainBasis } from '../costs.ts';
import type { Estimate } from '../result.ts';
import { combineDraws, combineSplits, type Standing } from './combine.ts';
import type { Entry } from './entry.ts';
import { CONTROLS, LEAKY, type Role, roleOf } from './field.ts';
import type { SplitMeasure } from './measure.ts';

/** Above this share of the way to the oracle a router must have seen outcomes: part of the oracle's lead is luck. */
export const IMPOSSIBLE_GAP = 0.5;

export interface BoardRow extends Standing {
  readonly role: Role;
  /** Place among the methods by AIQ, from 1; null for rows that are not ranked. */
  readonly rank: number | null;
}

export interface ControlCheck {
  readonly name: string;
  readonly behaved: boolean;
  readonly expected: string;
  readonly found: Estimate;
}

/** One source, ranked in domain. */
export interface SourceBoard {
  readonly source: string;
  readonly prompts: number;
  readonly groups: number;
  readonly modelIds: readonly string[];
  readonly pool: { readonly shipped: boolean; readonly rule: string; readonly groupsSha256: string };
  readonly costBasis: CostBasis;
  readonly encoderFittedOn: string;
  readonly splits: number;
  readonly trainPrompts: number;
  readonly testPrompts: number;
  readonly rows: readonly BoardRow[];
  readonly controls: readonly ControlCheck[];
  /** Our lead over the zero router with one choice of the analysis made another way. */
  readonly sensitivity: readonly { readonly analysis: string; readonly lead: Estimate }[];
  /** Methods that recover more of the gap than anybody honest could. */
  readonly suspects: readonly string[];
  readonly unfit: readonly { readonly name: string; readonly reason: string }[];
}

export interface MeanRank {
  readonly name: string;
  readonly meanRank: number;
  /** By source, in the order of the boards. */
  readonly ranks: readonly number[];
  /** Mean over sources of AIQ − zero. */
  readonly meanLead: number;
}

/** @param names who is shown, in order; what was measured beside them is left out */
export function sourceBoard(
  entry: Entry,
  splits: readonly SplitMeasure[],
  names: readonly string[],
  seed: number,
): SourceBoard {
  const methods = names.filter((name) => roleOf(name) === 'method');
  const standings = new Map(
    combineSplits(splits, { seed, rivals: methods, reference: 'mean-quality' }).map((s) => [s.name, s]),
  );
  const placed = methods
    .filter((name) => standings.get(name)?.aiq.value != null)
    .sort((a, b) => standings.get(b)!.aiq.value! - standings.get(a)!.aiq.value!);
  const rows = [...placed, ...names.filter((name) => !placed.includes(name) && standings.has(name))].map(
    (name): BoardRow => {
      const rank = placed.indexOf(name);
      return { ...standings.get(name)!, role: roleOf(name), rank: rank < 0 ? null : rank + 1 };
    },
  );
  const { prompts, modelIds } = entry.task.part.table;
  const mean = (of: (s: SplitMeasure) => number) =>
    Math.round(splits.reduce((sum, s) => sum + of(s), 0) / splits.length);
  return {
    source: entry.task.name,
    prompts: prompts.length,
    groups: new Set(prompts.map((p) => p.groupId)).size,
    modelIds,
    pool: { shipped: entry.poolShipped, rule: entry.pool.rule, groupsSha256: entry.pool.groupsSha256 },
    costBasis: mainBasis(entry.task.costShares),
    encoderFittedOn: entry.encoding.fittedOn,
    splits: splits.length,
    trainPrompts: mean((s) => s.trainPrompts),
    testPrompts: mean((s) => s.testPrompts),
    rows,
    controls: rows.filter(({ name }) => CONTROLS.includes(name)).map(checkControl),
    sensitivity: sensitivityOf(splits, seed),
    suspects: rows.filter((row) => row.role === 'method' && isImpossible(row)).map(({ name }) => name),
    unfit: names
      .filter((name) => !standings.has(name))
      .map((name) => ({
        name,
        reason:
          splits.map((s) => s.unfit[name]).find((reason) => reason !== undefined) ?? 'was not measured in every split',
      })),
  };
}

/** Analyses that every split could be read by. */
function sensitivityOf(splits: readonly SplitMeasure[], seed: number): SourceBoard['sensitivity'] {
  const [first] = splits;
  return Object.keys(first?.sensitivity ?? {})
    .filter((analysis) => splits.every((s) => s.sensitivity?.[analysis]))
    .map((analysis) => {
      const draws = splits.map((s) => s.sensitivity![analysis]!);
      return { analysis, lead: combineDraws(draws, draws[0]!.replicates.length, seed) };
    });
}

const isImpossible = ({ gap }: Standing): boolean => gap.low !== null && gap.low > IMPOSSIBLE_GAP;

function checkControl(row: BoardRow): ControlCheck {
  if (row.name === LEAKY) {
    return {
      name: row.name,
      behaved: isImpossible(row),
      expected: `stands out: more than ${100 * IMPOSSIBLE_GAP} % of the gap to the oracle`,
      found: row.gap,
    };
  }
  return {
    name: row.name,
    behaved: row.minusZero.low !== null && row.minusZero.low <= 0,
    expected: 'is not above the zero router beyond its interval',
    found: row.minusZero,
  };
}

/** Methods by mean rank over the boards they all stand on; ties by mean lead. */
export function meanRanks(boards: readonly SourceBoard[]): MeanRank[] {
  const rowOf = (board: SourceBoard, name: string) => board.rows.find((row) => row.name === name && row.rank !== null);
  const names = (boards[0]?.rows ?? [])
    .map((row) => row.name)
    .filter((name) => boards.every((board) => rowOf(board, name)));
  const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
  return names
    .map((name) => {
      // Rank among those who stand on every board.
      const ranks = boards.map((board) => {
        const own = rowOf(board, name)!.aiq.value!;
        return 1 + names.filter((other) => rowOf(board, other)!.aiq.value! > own).length;
      });
      return {
        name,
        ranks,
        meanRank: mean(ranks),
        meanLead: mean(boards.map((board) => rowOf(board, name)!.minusZero.value!)),
      };
    })
    .sort((a, b) => a.meanRank - b.meanRank || b.meanLead - a.meanLead);
}
