/** The leader board in words: sections of notes and tables, which the page and the terminal only set differently. */
import { DASH, interval, percent, signedPercent, whole } from '../report/format.ts';
import type { Estimate } from '../result.ts';
import type { BoardRow, SourceBoard } from './board.ts';
import type { LeaderBoard } from './rank.ts';

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
  readonly tables: readonly BoardTable[];
}

export function sectionsOf(board: LeaderBoard): Section[] {
  return [...(board.ranks.length > 0 ? [rankSection(board)] : []), ...board.boards.map((b) => sourceSection(b, board))];
}

function rankSection({ ranks, boards }: LeaderBoard): Section {
  return {
    title: 'Mean rank over the sources',
    notes: [
      'Rank by AIQ in domain among the methods that took part everywhere; lead: mean over sources of AIQ − zero.',
    ],
    tables: [
      {
        name: 'Mean rank',
        head: ['method', 'mean rank', ...boards.map((b) => b.source), 'mean lead, %'],
        rows: ranks.map((r) => [
          cell(r.name),
          cell(r.meanRank.toFixed(2)),
          ...r.ranks.map((rank) => cell(String(rank))),
          cell(signedPercent(r.meanLead, 2)),
        ]),
      },
    ],
  };
}

function sourceSection(b: SourceBoard, { ours, replicates }: LeaderBoard): Section {
  const misbehaved = b.controls.filter((c) => !c.behaved);
  return {
    title: `${b.source}, in domain`,
    notes: [
      `${whole(b.prompts)} prompts in ${whole(b.groups)} groups, ${b.modelIds.length} models${b.pool.shipped ? '' : ' (pool by rule, in no file)'}; ` +
        `${b.splits} group splits, ${whole(b.trainPrompts)} training and ${whole(b.testPrompts)} test prompts each; costs by ${b.costBasis}.`,
      `Encoder fitted on ${b.encoderFittedOn}.`,
      `Intervals: 95 %, ${whole(replicates)} resamples of groups and of splits together.`,
      ...b.controls.map(
        (c) =>
          `${c.name} ${c.behaved ? 'behaved' : 'DID NOT BEHAVE'}: expected that it ${c.expected}; found ${signedPercent(c.found.value, 2)} ${interval(c.found, (x) => signedPercent(x, 2))} %.`,
      ),
      ...b.unfit.map(({ name, reason }) => `${name} is left out: ${reason}.`),
    ],
    warnings: [
      ...misbehaved.map((c) => `${c.name} did not behave: this board does not measure skill alone`),
      ...b.suspects.map((name) => `${name} recovers more of the gap than anybody honest could: look for a leak`),
    ],
    tables: [standingsTable(b, ours), calibrationTable(b)],
  };
}

function standingsTable(b: SourceBoard, ours: string): BoardTable {
  return {
    name: `Standings on ${b.source}`,
    head: ['', 'AIQ, %', '− zero', 'gap, %', '− best method', 'sd over splits', 'differs from zero, %'],
    rows: b.rows.map((row) => [
      cell(label(row, ours)),
      estimate(row.aiq, percent),
      estimate(row.minusZero, signedPercent),
      estimate(row.gap, signedPercent, 1),
      row.role === 'method' ? estimate(row.behindBest, signedPercent) : cell(''),
      cell(percent(row.sdOverSplits, 2)),
      cell(percent(row.differsFromZero, 0)),
    ]),
    classes: b.rows.map((row) => (row.role === 'method' ? 'learned' : row.role)),
  };
}

function calibrationTable(b: SourceBoard): BoardTable {
  const rows = b.rows.filter((row) => row.calibration !== null && row.role !== 'control');
  return {
    name: `Calibration on ${b.source}`,
    head: [
      'calibration',
      'error, mean of models, %',
      'worst model',
      'Brier',
      '− mean-quality’s',
      'excess log loss',
      'chosen: predicted, %',
      'observed, %',
    ],
    rows: rows.map(({ name, calibration: c }) => [
      cell(name),
      cell(percent(c!.meanError)),
      estimate(c!.worstError, percent, 1),
      cell(c!.brier.toFixed(4)),
      estimate(c!.brierMinusMean, (x) => (x === null ? DASH : x.toFixed(4))),
      cell(c!.excessLogLoss.toFixed(4)),
      cell(percent(c!.chosenPredicted)),
      cell(percent(c!.chosenObserved)),
    ]),
    classes: rows.map((row) => (row.role === 'method' ? 'learned' : row.role)),
  };
}

const label = (row: BoardRow, ours: string): string =>
  `${row.rank === null ? '' : `${row.rank}. `}${row.name}${row.name === ours ? ' (ours)' : ''}`;

export const cell = (text: string): Cell => ({ text });

export function estimate(e: Estimate, show: (x: number | null, digits: number) => string, digits = 2): Cell {
  const one = (x: number | null) => show(x, digits);
  return { text: one(e.value), small: interval(e, one) };
}
