/** The report as one HTML file: no script, no network, light and dark, wide and narrow. */
import { type Evaluation, ownPoints, type RouterResult } from '../result.ts';
import { DASH, interval, percent, signedPercent, standing, usdPerThousand, whole } from './format.ts';
import { small, htmlTable as table } from './html-table.ts';
import {
  baselineLine,
  costLine,
  droppedLines,
  rangeLine,
  readingLines,
  testLine,
  untriedLine,
  warningLines,
} from './notes.ts';
import { STYLE_SHEET } from './style-sheet.ts';
import { curveChart, escapeHtml, leadChart } from './svg.ts';

export function htmlReport(e: Evaluation): string {
  const title = `Routers on ${e.dataset}${e.benchmark === null ? '' : ` (${e.benchmark}*)`}`;
  const untried = untriedLine(e);
  const facts = [
    testLine(e),
    `seed ${e.seed}`,
    costLine(e),
    baselineLine(e),
    rangeLine(e),
    ...(untried ? [untried] : []),
  ];
  const dropped = droppedLines(e);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE_SHEET}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p class="verdict">${escapeHtml(verdict(e))}</p>
<ul class="facts">${items(facts)}</ul>
${warningLines(e)
  .map((line) => `<p class="warning"><strong>Warning:</strong> ${escapeHtml(line)}.</p>`)
  .join('')}
${dropped.length > 0 ? `<details><summary>Left out, and why (${dropped.length})</summary><ul>${items(dropped)}</ul></details>` : ''}
<h2>Quality against cost</h2>
<figure>
<div class="wide">${curveChart(e, { width: 860, height: 440 }, 'curve-wide')}</div>
<div class="narrow">${curveChart(e, { width: 380, height: 400 }, 'curve-narrow')}</div>
<figcaption>${e.singleModels.length > 0 ? `Small dots are the single models${e.untriedShare > 0 ? ', adjusted for prompts they were not tried on' : ''}. ` : ''}Each line is a router at operating points fixed on the training part and measured on the test part; no hull is taken on the test part. Up and to the left is better.</figcaption>
</figure>
<h2>Lead over the zero router</h2>
<figure>
<div class="wide">${leadChart(e, 860, 'lead-wide')}</div>
<div class="narrow">${leadChart(e, 380, 'lead-narrow')}</div>
<figcaption>An interval that crosses the line at 0 means: not shown to be better or worse than a random mix of single models.</figcaption>
</figure>
<h2>Leader board</h2>
${leaderBoard(e)}
${readingLines(e)
  .map((text) => `<p>${escapeHtml(text)}</p>`)
  .join('\n')}
<p>Intervals: 95 %, ${whole(e.bootstrap.replicates)} bootstrap resamples by ${escapeHtml(e.bootstrap.unit)}, the same for every router. Rows marked * see the outcomes; nothing can reach them. Hindsight AIQ chooses its settings on the test part and is optimistic.</p>
<h2>What was promised, and what was kept</h2>
<p>Asked on the training part to keep a share of the baseline’s quality: what it saved and kept on the test part (%).</p>
${promises(e)}
${pair(e)}${benchmarks(e)}<h2>Operating points</h2>
${e.routers.map(operatingPoints).join('\n')}
</main>
</body>
</html>
`;
}

/** The one sentence that a hurried reader takes away. */
function verdict(e: Evaluation): string {
  const learned = e.routers.filter((r) => r.kind === 'learned' && r.aiqMinusZero.value !== null);
  const best = learned.sort((a, b) => b.aiqMinusZero.value! - a.aiqMinusZero.value!)[0];
  if (!best) return 'No learned router took part.';
  const lead = `${signedPercent(best.aiqMinusZero.value, 2)} points of AIQ ${interval(best.aiqMinusZero, (x) => signedPercent(x, 2))}`;
  const gap = best.gapRecovered === null ? '' : `, ${percent(best.gapRecovered)} % of the way to the oracle`;
  switch (standing(best.aiqMinusZero)) {
    case 'above':
      return `The best learned router, ${best.name}, beats the best mix of single models by ${lead}${gap}.`;
    case 'below':
      return `No learned router reaches the best mix of single models; the nearest, ${best.name}, is at ${lead}.`;
    default:
      return `No learned router is shown to beat the best mix of single models on this data; ${best.name} is at ${lead}${gap}.`;
  }
}

const items = (lines: readonly string[]): string => lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('');

function leaderBoard(e: Evaluation): string {
  const head = [
    'router',
    'AIQ, %',
    '− zero',
    'gap, %',
    '$/1k at best',
    'quality, %',
    'saved at 95 %',
    '98 %',
    '100 %',
    'QNC, %',
    'ECE, %',
    'AIQ linear',
    'hindsight AIQ',
  ];
  const rows = e.routers.map((r) => {
    const below = standing(r.aiqMinusZero) === 'below';
    return [
      `${escapeHtml(r.name)}${r.kind === 'hindsight' ? ' *' : ''}${below ? '<span class="below">▼ below zero</span>' : ''}`,
      `${percent(r.aiq.value, 2)} ${small(interval(r.aiq, (x) => percent(x)))}`,
      `${signedPercent(r.aiqMinusZero.value, 2)} ${small(interval(r.aiqMinusZero, (x) => signedPercent(x, 2)))}`,
      percent(r.gapRecovered),
      usdPerThousand(r.best.costUsd),
      percent(r.best.quality),
      percent(r.savingsAt['95']),
      percent(r.savingsAt['98']),
      percent(r.savingsAt['100']),
      percent(r.qualityNeutralCost),
      percent(r.ece),
      percent(r.aiqLinear, 2),
      percent(r.hindsightAiq, 2),
    ];
  });
  return table('Leader board', head, rows, (k) => e.routers[k]!.kind);
}

function promises(e: Evaluation): string {
  const shown = e.routers.filter((r) => r.kind !== 'hindsight' && ownPoints(r).length > 1);
  const both = (r: RouterResult, s: '95' | '98' | '100') =>
    `${percent(r.promised[s].saving.value)} ${small(interval(r.promised[s].saving, (x) => percent(x)))} / ${percent(r.promised[s].kept.value)}`;
  return table(
    'Promises',
    ['router', '95 %: saved / kept', '98 %', '100 %', 'other model than zero router, % of prompts'],
    shown.map((r) => [escapeHtml(r.name), both(r, '95'), both(r, '98'), both(r, '100'), percent(r.differsFromZero, 0)]),
  );
}

function pair(e: Evaluation): string {
  const shown = e.routers.filter((r) => r.apgr !== null);
  if (shown.length === 0) return '';
  const number = (x: number | null) => (x === null ? DASH : x.toFixed(3));
  const rows = shown.map((r) => [
    escapeHtml(r.name),
    `${number(r.apgr)} ${small(interval(r.intervals.apgr!, number))}`,
    percent(r.cpt50),
    percent(r.cpt80),
  ]);
  return `<h2>Two models</h2>
<p>RouteLLM’s definitions with both end points fixed: decile thresholds on the predicted difference; shares of calls to the strong model in %.</p>
${table('Two models', ['router', 'APGR', 'CPT(50 %)', 'CPT(80 %)'], rows)}
`;
}

function benchmarks(e: Evaluation): string {
  if (e.byBenchmark.length === 0) return '';
  const names = e.routers.filter((r) => r.kind !== 'hindsight' && r.name !== 'zero').map((r) => r.name);
  const rows = e.byBenchmark.map((b) => [
    escapeHtml(b.benchmark),
    whole(b.prompts),
    ...names.map((name) => {
      const lead = b.routers.find((r) => r.name === name)!.aiqMinusZero;
      return `${signedPercent(lead.value, 2)} ${small(interval(lead, (x) => signedPercent(x, 1)))}`;
    }),
  ]);
  return `<h2>Each benchmark, left out of training: AIQ − zero, %</h2>
${table('Benchmarks', ['benchmark', 'prompts', ...names.map(escapeHtml)], rows)}
`;
}

function operatingPoints(r: RouterResult): string {
  const rows = r.curve.map((p) => [escapeHtml(p.setting), usdPerThousand(p.costUsd), percent(p.quality, 2)]);
  return `<details><summary>${escapeHtml(r.name)}: ${r.curve.length} ${r.curve.length === 1 ? 'point' : 'points'}</summary>
${table(`Operating points of ${r.name}`, ['setting', '$/1k', 'quality, %'], rows)}</details>`;
}
