/** The report as one HTML file: no network, light and dark, wide and narrow, whole without script and without colour. */

import { type CurveEntry, type Estimate, type Evaluation, ownPoints, type RouterResult } from '../result.ts';
import { calibrationChart } from './calibration-chart.ts';
import { figuresTable } from './figures-table.ts';
import { DASH, decimals, interval, percent, signedPercent, standing, usdPerThousand, whole } from './format.ts';
import { htmlPage } from './html-page.ts';
import { small, htmlTable as table } from './html-table.ts';
import {
  baselineLine,
  costLine,
  droppedLines,
  flagLines,
  rangeLine,
  readingLines,
  testLine,
  untriedLine,
} from './notes.ts';
import { operatingSections } from './operating-html.ts';
import { isDistrusted, knobsText, learnedRouters, promiseLine, savingsLines } from './plain-words.ts';
import { curveChart, escapeHtml, leadChart } from './svg.ts';
import { TOOLTIP_SCRIPT } from './tooltip.ts';
import { verdict } from './verdict.ts';

/** @param card what the data holds and cannot show, as `cardText` words it */
export function htmlReport(e: Evaluation, card?: string): string {
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
  return htmlPage(
    title,
    `<p class="verdict">${escapeHtml(verdict(e))}</p>
<ul class="facts">${items(facts)}</ul>
${flagLines(e)
  .map(({ severity, message, code }) =>
    severity === 'red'
      ? `<p class="warning red" data-code="${code}"><strong>▲ Warning:</strong> ${escapeHtml(message)}.</p>`
      : `<p class="note" data-code="${code}">${escapeHtml(message)}.</p>`,
  )
  .join('')}
${plainWords(e)}
${card === undefined ? '' : `<details><summary>The data, and what it can show</summary><pre>${escapeHtml(card)}</pre></details>`}
${dropped.length > 0 ? `<details><summary>Left out, and why (${dropped.length})</summary><ul>${items(dropped)}</ul></details>` : ''}
<h2>Quality against cost</h2>
<figure>
<div class="wide">${curveChart(e, { width: 860, height: 440 }, 'curve-wide')}</div>
<div class="narrow">${curveChart(e, { width: 380, height: 400 }, 'curve-narrow')}</div>
<figcaption>${e.singleModels.length > 0 ? `Small dots are the single models${e.untriedShare > 0 ? ', adjusted for prompts they were not tried on' : ''}. ` : ''}Each line is a router at operating points fixed on the training part and measured on the test part; no hull is taken on the test part. Up and to the left is better. Bands are 95 % intervals of learned routers. Hover over a point, or tap it, for the setting behind it.</figcaption>
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
${pair(e)}${calibration(e)}${benchmarks(e)}${operatingHeading(e)}
${operatingSections(e)}
${checks(e)}
<h2>All figures</h2>
${figuresTable(e)}
<h2>Operating points</h2>
${e.routers.map(operatingPoints).join('\n')}
<p class="note">Task ${escapeHtml(e.taskHash.slice(0, 16))}: results are comparable under the same one only. Seed ${e.seed}. Artifacts: ${escapeHtml(e.artifacts.map((hash) => hash.slice(0, 12)).join(', ') || 'none')}.</p>`,
    { script: TOOLTIP_SCRIPT },
  );
}

/** Savings of learned routers as one would tell them. */
function plainWords(e: Evaluation): string {
  const routers = learnedRouters(e);
  if (routers.length === 0) return '';
  return `<h2>What it saves</h2>
${routers
  .map(
    (
      r,
    ) => `<p><strong>${escapeHtml(r.name)}</strong>${isDistrusted(e, r.name) ? ' <span class="worse">▲ not to be trusted, see the warnings</span>' : ''}</p>
<ul class="plain">${items([...savingsLines(e, r), promiseLine(e, r)])}</ul>`,
  )
  .join('\n')}
<p class="note">The first three are read off the measured curve; the last is the one an operator gets, chosen without looking at the test part. The router itself is not charged.</p>
`;
}

function calibration(e: Evaluation): string {
  const shown = e.routers.filter((r) => r.kind === 'learned' && r.reliability);
  if (shown.length === 0) return '';
  const plots = shown.map(
    (r, k) =>
      `<figure>${calibrationChart(r.name, r.reliability!, `calibration-${k}`)}<figcaption>${escapeHtml(r.name)}: error ${percent(r.ece)} %, Brier ${decimals(r.metrics.brier.value, 3)}, AUC within benchmark ${decimals(r.metrics.withinAuc.value, 3)}</figcaption></figure>`,
  );
  return `<h2>Do its probabilities mean something?</h2>
<div class="plots">${plots.join('\n')}</div>
<p class="note">All models together, bins of equal mass, 95 % intervals. On the dashed line forecasts are right on average.</p>
`;
}

const operatingHeading = (e: Evaluation): string =>
  learnedRouters(e).length === 0 ? '' : '<h2>At 98 % of the baseline’s quality</h2>';

/** Routers whose place is known, and the lead under other choices of the analysis. */
function checks(e: Evaluation): string {
  const lead = (x: Estimate) => `${signedPercent(x.value, 2)} ${small(interval(x, (v) => signedPercent(v, 2)))}`;
  const parts: string[] = [];
  if (e.sensitivity.length > 0) {
    const names = e.sensitivity[0]!.leads.map(({ router }) => router);
    const rows = e.sensitivity.map(({ analysis, leads }) => [escapeHtml(analysis), ...leads.map((l) => lead(l.lead))]);
    parts.push(
      '<h2>Would another analysis say the same?</h2><p>Lead over the zero router, points of AIQ, with one choice made another way.</p>',
      table('Sensitivity', ['analysis', ...names.map(escapeHtml)], rows),
    );
  }
  if (e.controls.length > 0) {
    const rows = e.controls.map((c) => [
      `${escapeHtml(c.name)}${c.passed ? '' : '<span class="below">▼ failed</span>'}`,
      lead(c.lead),
      percent(c.gapRecovered),
      escapeHtml(c.expected),
    ]);
    parts.push(
      '<h2>Negative controls</h2><p>Routers whose place is known beforehand, run through the same code.</p>',
      table('Negative controls', ['control', '− zero, points', 'gap, %', 'must be'], rows),
    );
  }
  return parts.join('\n');
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
      `${escapeHtml(r.name)}${r.kind === 'hindsight' ? ' *' : ''}${isDistrusted(e, r.name) ? '<span class="below">▲ not to be trusted</span>' : below ? '<span class="below">▼ below zero</span>' : ''}`,
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
  const bounds = (p: CurveEntry) => (p.interval ? small(interval(p.interval.quality, percent)) : '');
  const knobs = (p: CurveEntry) =>
    (p.knobs ?? [])
      .map(
        (k) =>
          `${p.knobs!.length > 1 ? `${percent(k.share, 0)} %: ` : ''}<code>${escapeHtml(knobsText(k.policy))}</code>`,
      )
      .join('<br>');
  const rows = r.curve.map((p) => [
    escapeHtml(p.setting),
    usdPerThousand(p.costUsd),
    `${percent(p.quality, 2)} ${bounds(p)}`,
    ...(r.kind === 'learned' ? [knobs(p)] : []),
  ]);
  return `<details><summary>${escapeHtml(r.name)}: ${r.curve.length} ${r.curve.length === 1 ? 'point' : 'points'}</summary>
${table(`Operating points of ${r.name}`, ['setting', '$/1k', 'quality, %', ...(r.kind === 'learned' ? ['knobs'] : [])], rows)}</details>`;
}
