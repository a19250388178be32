/** The operating point of each learned router in HTML: knobs, slices, and the prompts it chose worst on. */
import type { Estimate, Evaluation, Regretted, RouterResult, Slice } from '../result.ts';
import { DASH, interval, percent, signedPercent, usdPerThousand, whole } from './format.ts';
import { htmlTable, small } from './html-table.ts';
import { knobsLines, learnedRouters } from './plain-words.ts';
import { escapeHtml } from './svg.ts';

export function operatingSections(e: Evaluation): string {
  return learnedRouters(e).map(sectionOf).join('\n');
}

function sectionOf(r: RouterResult): string {
  const point = r.operatingPoint;
  if (!point) return '';
  const [knobs, ...remarks] = knobsLines(point);
  const where = point.reached
    ? `Quality ${percent(point.quality)} % at ${usdPerThousand(point.costUsd)} per 1 000 prompts, where the training part said it keeps 98 % of the baseline’s quality.`
    : 'It keeps 98 % of the baseline’s quality nowhere on the training part, so the baseline answers everything here.';
  return `<h3>${escapeHtml(r.name)}</h3>
<p>${escapeHtml(where)}</p>
${knobs === undefined ? '' : `<p>In <code>pointsman.yaml</code>, for this router at these prices:</p><pre>${escapeHtml(knobs)}</pre>`}
${remarks.map((text) => `<p class="note">${escapeHtml(text)}</p>`).join('')}
${slicesTable('Benchmark', point.byBenchmark, r.name)}
${slicesTable('Language', point.byLanguage, r.name)}
${regretted(point.mostRegretted, r.name)}`;
}

function slicesTable(kind: string, slices: readonly Slice[], router: string): string {
  if (slices.length === 0) return '';
  const points = (x: number | null) => signedPercent(x);
  const rows = slices.map((s) => [
    escapeHtml(s.name),
    whole(s.prompts),
    percent(s.quality),
    percent(s.baselineQuality),
    `${worse(s.qualityChange) ? `<span class="worse">▼ ${points(s.qualityChange.value)}</span>` : points(s.qualityChange.value)} ${small(interval(s.qualityChange, points))}`,
    `${percent(s.costShare.value)} ${small(interval(s.costShare, percent))}`,
  ]);
  return htmlTable(
    `${kind} slices of ${router}`,
    [kind.toLowerCase(), 'prompts', 'quality, %', 'baseline’s, %', 'difference, points', 'cost, % of the baseline’s'],
    rows,
  );
}

/** The whole interval lies below 0. */
const worse = ({ high }: Estimate): boolean => high !== null && high < 0;

function regretted(list: readonly Regretted[], router: string): string {
  if (list.length === 0) return '';
  const withText = list.some(({ text }) => text !== undefined);
  const cell = ({ model, quality, costUsd, predicted }: Regretted['chosen']) =>
    `${escapeHtml(model)} ${small(`quality ${percent(quality, 0)} %, forecast ${predicted === null ? DASH : `${percent(predicted, 0)} %`}, ${usdPerThousand(costUsd)}/1k`)}`;
  const entries = list.map(
    (r) => `<li><code>${escapeHtml(r.promptId)}</code> regret ${percent(r.regret)}
<div>chosen: ${cell(r.chosen)}</div>
<div>better: ${cell(r.better)}</div>${r.text === undefined ? '' : `<blockquote>${escapeHtml(shortened(r.text))}</blockquote>`}</li>`,
  );
  return `<details><summary>Where ${escapeHtml(router)} is wrong: the ${list.length} most regretted prompts</summary>
<p>Regret in points of quality, money counted at the rate at which the cheapest and the best single model are equally good a choice. ${withText ? '' : 'By id; <code>--show-text</code> adds the texts.'}</p>
<ol class="regretted">${entries.join('\n')}</ol></details>`;
}

const MOST_CHARS = 300;
const shortened = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= MOST_CHARS ? line : `${line.slice(0, MOST_CHARS)} …`;
};
