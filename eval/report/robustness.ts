/** The robustness of a router in words: one block per pool, one line per perturbation. */
import { MOST_PICKS, type Robustness, type RobustnessKind } from '../robustness.ts';
import { DASH, interval, list, percent, whole } from './format.ts';

const HEADINGS: Record<RobustnessKind, string> = {
  harmless: 'the same task, written otherwise',
  talk: 'the same task, and talk to the router',
  'follow-up': 'the same conversation, further on',
  reference: 'for comparison: the follow-up without its conversation',
};

export function robustnessText(result: Robustness): string {
  const [top] = result.picks;
  const lines = [
    `${result.pool}: ${result.models} candidates, ${whole(result.prompts)} prompts that the router has not seen, artifact ${result.artifact.slice(0, 12)}`,
    `tolerance ${result.tolerance}${result.toleranceMoved ? ' (at its own one model has nearly all picks)' : ''}; ` +
      `picks: ${list(result.picks.map(({ model, share }) => `${model} ${percent(share, 0)} %`))}`,
  ];
  if (top!.share > MOST_PICKS) {
    lines.push(
      `note: at no setting does every model stay at ${percent(MOST_PICKS, 0)} % of the picks; what follows says little`,
    );
  }
  lines.push(
    '',
    `${''.padEnd(30)}prompts  same pick, 95 % interval     worse   better   where it differs: quality, cost`,
  );
  let kind: RobustnessKind | undefined;
  for (const row of result.rows) {
    if (row.kind !== kind) lines.push(HEADINGS[row.kind]);
    kind = row.kind;
    const pick = `${percent(row.same.value)} % ${interval(row.same, percent)}`;
    const change =
      row.qualityChange === null
        ? DASH
        : `${row.qualityChange < 0 ? '−' : '+'}${Math.abs(row.qualityChange).toFixed(3)}, × ${row.costRatio!.toFixed(2)}`;
    lines.push(
      `  ${row.name.padEnd(28)}${String(row.prompts).padStart(7)}  ${pick.padEnd(27)}` +
        `${percent(row.worse).padStart(5)} %  ${percent(row.better).padStart(5)} %   ${change}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
