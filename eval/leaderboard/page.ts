/** The leader board as one HTML page: no script, no network, light and dark. */
import { htmlTable, small } from '../report/html-table.ts';
import { STYLE_SHEET } from '../report/style-sheet.ts';
import { escapeHtml } from '../report/svg.ts';
import type { LeaderBoard } from './rank.ts';
import type { BoardTable, Section } from './section.ts';
import { sectionsOf } from './sections.ts';

export function leaderBoardPage(board: LeaderBoard): string {
  const sections = sectionsOf(board);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Leader board of routing methods</title>
<style>${STYLE_SHEET}</style>
</head>
<body>
<main>
<h1>Leader board of routing methods</h1>
<ul class="facts"><li>${board.methods.length} methods, ${board.splits} splits, ${board.labels} labels, seed ${board.seed}</li></ul>
<ul>${sections.map((s) => `<li><a href="#${anchor(s)}">${escapeHtml(s.title)}</a></li>`).join('')}</ul>
${sections.map(sectionHtml).join('\n')}
</main>
</body>
</html>
`;
}

const anchor = ({ title }: Section): string => title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

const sectionHtml = (section: Section): string => `<h2 id="${anchor(section)}">${escapeHtml(section.title)}</h2>
${(section.warnings ?? []).map((line) => `<p class="warning"><strong>Warning:</strong> ${escapeHtml(line)}.</p>`).join('\n')}
${section.tables.map(tableHtml).join('\n')}
<ul class="facts">${section.notes.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>`;

const tableHtml = ({ name, head, rows, classes }: BoardTable): string =>
  htmlTable(
    name,
    head.map(escapeHtml),
    rows.map((row) =>
      row.map((c) => `${escapeHtml(c.text)}${c.small === undefined ? '' : ` ${small(escapeHtml(c.small))}`}`),
    ),
    (k) => classes?.[k] ?? '',
  );
