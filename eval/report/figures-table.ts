/** Every figure of every router, for those who look for theirs: rows are figures, columns routers. */
import { FIGURE_INFO, FIGURES, type FigureName } from '../figures.ts';
import type { Estimate, Evaluation } from '../result.ts';
import { decimals, interval, percent } from './format.ts';
import { htmlTable, small } from './html-table.ts';
import { escapeHtml } from './svg.ts';

const ARROW = { high: '↑', low: '↓', zero: '→ 0', neither: '' } as const;

/** Figures that at least one router has. */
export const definedFigures = (e: Evaluation): FigureName[] =>
  FIGURES.filter((name) => e.routers.some((r) => r.metrics[name].value !== null));

export function shownFigure(name: FigureName, { value }: Pick<Estimate, 'value'>): string {
  return FIGURE_INFO[name].unit === 'share' ? percent(value, 2) : decimals(value, 3);
}

export function figuresTable(e: Evaluation): string {
  const rows = definedFigures(e).map((name) => {
    const { title, by, better, unit } = FIGURE_INFO[name];
    const show = (x: number | null) => (unit === 'share' ? percent(x, 1) : decimals(x, 3));
    return [
      `${escapeHtml(title)} ${ARROW[better]} ${small(`<code>${name}</code> ${escapeHtml(by)}`)}`,
      ...e.routers.map(({ metrics }) => `${shownFigure(name, metrics[name])} ${small(interval(metrics[name], show))}`),
    ];
  });
  const head = ['figure', ...e.routers.map(({ name }) => escapeHtml(name))];
  return `<details><summary>All ${rows.length} figures, with intervals</summary>
<p>Shares in %. ↑ higher is better, ↓ lower. Single-point figures are read at the operating point that keeps 98 %, where there is one. Those that read their settings off the test part say “optimistic”.</p>
${htmlTable('All figures', head, rows)}</details>`;
}
