/** A table of the HTML reports: first column fixed, and a wide one scrolls inside its own box. */
import { escapeHtml } from './svg.ts';

/** Cells are HTML already. */
export function htmlTable(
  name: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  className: (row: number) => string = () => '',
): string {
  const cells = (row: readonly string[]) =>
    row.map((cell, c) => (c === 0 ? `<th scope="row">${cell}</th>` : `<td>${cell}</td>`)).join('');
  const many = head.length > 8;
  return `${many ? '<p class="hint">The table scrolls sideways.</p>' : ''}<div class="scroll${many ? ' many' : ''}" role="region" aria-label="${escapeHtml(name)}" tabindex="0"><table>
<thead><tr>${head.map((cell) => `<th scope="col">${cell}</th>`).join('')}</tr></thead>
<tbody>${rows.map((row, k) => `<tr class="${className(k)}">${cells(row)}</tr>`).join('\n')}</tbody>
</table></div>`;
}

export const small = (text: string): string => (text === '' ? '' : `<small>${text}</small>`);
