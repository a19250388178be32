/** The leader board for a terminal. */
import { columns, wrap } from '../report/text.ts';
import type { LeaderBoard } from './rank.ts';
import type { BoardTable, Section } from './section.ts';
import { sectionsOf } from './sections.ts';

/** @returns lines ending in a newline, no colour */
export const leaderBoardText = (board: LeaderBoard): string =>
  `${sectionsOf(board).flatMap(sectionLines).join('\n').trimStart()}\n`;

const sectionLines = ({ title, notes, warnings = [], tables }: Section): string[] => [
  '',
  title,
  ...warnings.flatMap((line) => wrap(`WARNING: ${line}.`, 118).map((part) => `  ${part}`)),
  ...notes.flatMap((line) => wrap(line, 118).map((part) => `  ${part}`)),
  ...tables.flatMap((table) => ['', ...columns(cells(table))]),
];

const cells = ({ head, rows }: BoardTable): string[][] => [
  [...head],
  ...rows.map((row) => row.map(({ text, small }) => (small ? `${text} ${small}` : text))),
];
