/** The leader board as one HTML page: no script, no network, light and dark. */
import { htmlPage } from '../report/html-page.ts';
import { htmlTable, small } from '../report/html-table.ts';
import { escapeHtml, intervalChart, type LeadRow } from '../report/svg.ts';
import type { SourceBoard } from './board.ts';
import type { LeaderBoard } from './rank.ts';
import type { BoardTable, Section } from './section.ts';
import { sectionsOf } from './sections.ts';
import { TRUE_DIFFICULTY } from './true-difficulty.ts';

/** Many columns: intervals stand below their value, and long names wrap. */
const BOARD_STYLE = `
.scroll { margin: 8px 0; }
th, td { padding: 5px 7px; }
td { white-space: normal; min-width: 62px; }
td small { display: block; white-space: nowrap; }
tbody th { white-space: normal; min-width: 120px; overflow-wrap: anywhere; }
tr.control th, tr.row th { color: var(--soft); }
`;

/** Rows whose place says something; the others would stretch the picture. */
const DRAWN: readonly string[] = ['benchmark-mean', 'length-only', 'cascade', TRUE_DIFFICULTY];

function chart(board: SourceBoard, ours: string): string {
  const rows = board.rows
    .filter(({ name, role }) => role === 'method' || DRAWN.includes(name))
    .map(
      ({ name, role, minusZero }): LeadRow => ({
        name: name === TRUE_DIFFICULTY ? 'true difficulty' : name,
        lead: minusZero,
        className: role === 'row' ? 'series ref' : name === ours ? 'series learned s1' : 'series s0',
        marker: role === 'row' ? 'diamond' : name === ours ? 'square' : 'circle',
      }),
    );
  const id = board.source.replaceAll(/[^a-z0-9]+/g, '-');
  return `<figure><div class="wide">${intervalChart(rows, 860, `${id}-wide`)}</div><div class="narrow">${intervalChart(rows, 380, `${id}-narrow`)}</div></figure>`;
}

export function leaderBoardPage(board: LeaderBoard): string {
  const sections = sectionsOf(board);
  return htmlPage(
    'Leader board of routing methods',
    `<ul class="facts"><li>${board.methods.length} methods, ${board.splits} splits, ${board.labels} labels, seed ${board.seed}</li></ul>
<ul>${sections.map((s) => `<li><a href="#${anchor(s)}">${escapeHtml(s.title)}</a></li>`).join('')}</ul>
${sections.map((section) => sectionHtml(section, board)).join('\n')}`,
    { styles: BOARD_STYLE },
  );
}

const anchor = ({ title }: Section): string => title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

const sectionHtml = (
  section: Section,
  board: LeaderBoard,
): string => `<h2 id="${anchor(section)}">${escapeHtml(section.title)}</h2>
${(section.warnings ?? []).map((line) => `<p class="warning"><strong>Warning:</strong> ${escapeHtml(line)}.</p>`).join('\n')}
${section.source ? chart(section.source, board.ours) : ''}${section.tables.map(tableHtml).join('\n')}
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
