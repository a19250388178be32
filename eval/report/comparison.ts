/** What changed between two results of one task, for a terminal. */
import type { Change, ResultComparison } from '../compare-results.ts';
import { FIGURE_INFO } from '../figures.ts';
import { decimals, interval, list, percent, signedPercent } from './format.ts';
import { columns } from './text.ts';

export function comparisonText({ changes, onlyBefore, onlyNow }: ResultComparison, path: string): string {
  const lines = [`Against ${path}, the same task, resample by resample:`];
  if (changes.length === 0) lines.push('  no router stands in both results');
  else lines.push(...columns([['router', 'figure', 'before', 'now', 'difference', ''], ...changes.map(rowOf)]));
  if (onlyBefore.length > 0) lines.push(`  only before: ${list(onlyBefore)}`);
  if (onlyNow.length > 0) lines.push(`  only now: ${list(onlyNow)}`);
  return `${lines.join('\n')}\n`;
}

function rowOf({ router, figure, before, now, difference }: Change): string[] {
  const inShares = FIGURE_INFO[figure].unit === 'share';
  const show = (x: number | null) => (inShares ? percent(x, 2) : decimals(x, 4));
  const signed = (x: number | null) =>
    inShares ? signedPercent(x, 2) : `${x !== null && x > 0 ? '+' : ''}${decimals(x, 4)}`;
  return [
    router,
    `${figure}${inShares ? ' %' : ''}`,
    show(before.value),
    show(now.value),
    signed(difference.value),
    interval(difference, signed),
  ];
}
