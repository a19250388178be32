/** What a log says of other policies, for a terminal, as a page and as JSON; what may not be trusted is red, and says why. */

import { RoutingError } from '../../datasets/index.ts';
import { ESTIMATORS, type EstimatorName, type LogJudgement, type PolicyJudgement } from '../ope/judge.ts';
import type { Estimate } from '../result.ts';
import { DASH, list, percent, signedPercent, usdPerThousand, whole } from './format.ts';
import { htmlPage } from './html-page.ts';
import { small, htmlTable as table } from './html-table.ts';
import { escapeHtml } from './svg.ts';
import { columns, wrap } from './text.ts';

export interface LogReport {
  /** Where the log was read. */
  readonly source: string;
  readonly judgement: LogJudgement;
  /** What was left out of the log, and why; whole sentences without their full stop. */
  readonly leftOut: readonly string[];
}

/** @returns lines ending in a newline, no colour */
export function logText(report: LogReport): string {
  const { source, judgement: j } = report;
  const lines = [
    `${source}`,
    ...facts(report).map((line) => `  ${line}`),
    ...warnings(j).flatMap((line) => wrap(`WARNING: ${line}.`, 106).map((part) => `  ${part}`)),
    '',
    ...wrap(verdict(j), 110),
    '',
    ...columns([TEXT_HEAD, ...j.policies.map(textRow)]),
    '',
    ...j.policies.flatMap((p) =>
      p.flags.length === 0 ? [] : wrap(`▼ ${p.name}: ${distrust(p)}.`, 106).map((part) => `  ${part}`),
    ),
    ...(j.refused.length > 0 ? ['', '  Not judged:', ...j.refused.map(({ reason }) => `    - ${reason}`)] : []),
    '',
    ...reading(j).flatMap((line) => wrap(line, 110)),
  ];
  return `${lines.join('\n')}\n`;
}

/** One file: no script, no network, light and dark, wide and narrow. */
export function logHtml(report: LogReport): string {
  const { source, judgement: j } = report;
  const title = `What ${source} says of other policies`;
  const items = (lines: readonly string[]) => lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('');
  return htmlPage(
    title,
    `<p class="verdict">${escapeHtml(verdict(j))}</p>
<ul class="facts">${items(facts(report))}</ul>
${warnings(j)
  .map((line) => `<p class="warning"><strong>Warning:</strong> ${escapeHtml(line)}.</p>`)
  .join('\n')}
<h2>Policies</h2>
${table('Policies', HTML_HEAD, j.policies.map(htmlRow))}
${j.policies
  .filter((p) => p.flags.length > 0)
  .map((p) => `<p class="warning"><span class="below">▼ ${escapeHtml(p.name)}</span> ${escapeHtml(distrust(p))}.</p>`)
  .join('\n')}
${reading(j)
  .map((line) => `<p>${escapeHtml(line)}</p>`)
  .join('\n')}
<h2>Each estimator</h2>
<p>Mean quality, %. Where IPS, SNIPS, DR and SNDR disagree beyond their intervals, the log cannot tell. DM is what the
forecasts say, and nothing in the log bounds their error: it has no interval, nor has Switch-DR where much is left to them.</p>
${table(
  'Estimators',
  ['policy', ...ESTIMATORS.map((name) => ESTIMATOR_NAMES[name])],
  j.policies.map((p) => [named(p), ...ESTIMATORS.map((name) => inPercent(p.quality[name], '<br>'))]),
)}
<h2>Can the log tell?</h2>
${table('Diagnostics', DIAGNOSTIC_HEAD, j.policies.map(diagnosticRow))}
<h2>Models that could be drawn</h2>
${table(
  'Models',
  ['model', 'could be drawn', 'was drawn'],
  j.models.map(({ model, eligible, drawn }) => [escapeHtml(model), whole(eligible), whole(drawn)]),
)}
${j.refused.length > 0 ? `<details open><summary>Not judged, and why (${j.refused.length})</summary><ul>${items(j.refused.map(({ reason }) => reason))}</ul></details>` : ''}`,
  );
}

/** @throws `INTERNAL` naming the field that is NaN or infinite, which JSON would turn into null */
export function logJson({ source, judgement, leftOut }: LogReport): string {
  const text = JSON.stringify(
    { source, leftOut, ...judgement },
    (key, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new RoutingError('INTERNAL', `log judgement: ${key} is ${value}; please report this`);
      }
      return value;
    },
    2,
  );
  return `${text}\n`;
}

const ESTIMATOR_NAMES: Readonly<Record<EstimatorName, string>> = {
  dm: 'DM',
  ips: 'IPS',
  snips: 'SNIPS',
  dr: 'DR',
  switchDr: 'Switch-DR',
  sndr: 'SNDR',
};

const distrust = (p: PolicyJudgement): string => `NOT TO BE TRUSTED: ${p.flags.map((f) => f.message).join('; ')}`;

function facts({ judgement: j, leftOut }: LogReport): string[] {
  const fellBack =
    j.fellBack > 0
      ? [`on ${whole(j.fellBack)} a call failed and another model answered: it counts for the one drawn`]
      : [];
  return [
    `${whole(j.rows)} judged decisions in ${whole(j.sessions)} sessions, ${j.models.length} models`,
    ...fellBack,
    ...costFact(j),
    ...leftOut,
  ];
}

function costFact(j: LogJudgement): string[] {
  if (j.withoutCost === 0) return [];
  if (j.policies.every((p) => p.costUsd === null)) {
    return [`no cost is judged: it is unknown for ${whole(j.withoutCost)} decisions`];
  }
  return [`of ${whole(j.withoutCost)} decisions the cost is unknown and taken as forecast`];
}

/** What is wrong with the log as a whole. */
function warnings(j: LogJudgement): string[] {
  if (j.deterministicShare <= 0.5) return [];
  return [
    `on ${percent(j.deterministicShare)} % of the decisions nothing was left to chance, so what other models would have ` +
      'answered is a guess; let the router explore (policy: exploration: 0.02 or more in pointsman.yaml) and judge ' +
      'what is logged from then on',
  ];
}

/** The sentence that a hurried reader takes away. */
function verdict(j: LogJudgement): string {
  const others = j.policies.filter((p) => p.diagnostics.differs > 0.001);
  const trusted = others.filter((p) => p.flags.length === 0);
  if (others.length === 0) return 'No other policy was judged.';
  if (trusted.length === 0) return 'This log can judge no policy but the one that made it.';
  const better = trusted.filter((p) => (p.qualityMinusLog.low ?? -1) > 0);
  const cheaper = trusted.filter((p) => saves(p) && (p.qualityMinusLog.low ?? -1) >= -0.01);
  const names = (policies: readonly PolicyJudgement[]) => list(policies.map((p) => p.name));
  const counted = `Of ${others.length} other policies the log can judge ${trusted.length}.`;
  const found = [
    ...(better.length > 0 ? [`Better than what was done, beyond chance: ${names(better)}.`] : []),
    ...(cheaper.length > 0 ? [`Cheaper, and at most one point worse: ${names(cheaper)}.`] : []),
  ];
  return [counted, ...(found.length > 0 ? found : ['None is shown to be better than what was done.'])].join(' ');
}

/** Beyond chance, and beyond what sums round to. */
const saves = ({ costUsd, costMinusLogUsd }: PolicyJudgement): boolean =>
  costUsd?.value != null && (costMinusLogUsd?.high ?? 1) < -1e-3 * costUsd.value;

function reading(j: LogJudgement): string[] {
  return [
    `Quality and cost: doubly robust, with forecasts by "${j.rewardModel}" that never saw the row’s session (${j.folds} folds); ` +
      '− log: against what was done, on the same rows. ' +
      `Intervals: 95 %, symmetric bootstrap-t over sessions, ${whole(j.replicates)} resamples, seed ${j.seed}. ` +
      `At all times: may be looked at after every decision. ${DASH}: no interval, for want of sessions or of anything that varies.`,
    'Effective rows: (Σw)²/Σw². Mean weight: 1 when propensities are right. Untried: share of its choices that the log made ' +
      `with a probability under 1 %. Switch-DR leaves weights over ${j.maxWeight} to the forecast.`,
    'Judged answers only: where judgements are given to some answers rather than others, all this holds for these alone. ' +
      'The best of many policies looks better than it is.',
  ];
}

const TEXT_HEAD = [
  'policy',
  'quality %',
  '',
  '− log',
  '',
  'SNIPS %',
  '$/1k',
  '',
  'effective rows',
  'mean weight',
  'untried %',
];

/** A dash where there are no bounds, or none apart: an interval of no width would look like certainty. */
const interval = ({ low, high }: Pick<Estimate, 'low' | 'high'>, show: (x: number | null) => string): string =>
  low === null || high === null || low === high ? DASH : `[${show(low)}, ${show(high)}]`;

/** No mean cost is below 0, where its interval is cut too; JSON has the value as estimated. */
const costOf = ({ costUsd }: PolicyJudgement): Estimate | null =>
  costUsd?.value == null ? costUsd : { ...costUsd, value: Math.max(0, costUsd.value) };
const meanWeight = ({ diagnostics: d }: PolicyJudgement) =>
  `${d.meanWeight.toFixed(2)} ± ${(2 * d.meanWeightSe).toFixed(2)}`;

function textRow(p: PolicyJudgement): string[] {
  return [
    p.flags.length > 0 ? `${p.name} ▼` : p.name,
    percent(p.quality.dr.value),
    interval(p.quality.dr, (x) => percent(x)),
    signedPercent(p.qualityMinusLog.value),
    interval(p.qualityMinusLog, (x) => signedPercent(x)),
    percent(p.quality.snips.value),
    usdPerThousand(costOf(p)?.value ?? null),
    p.costUsd === null ? '' : interval(p.costUsd, usdPerThousand),
    whole(Math.floor(p.diagnostics.effectiveRows)),
    meanWeight(p),
    percent(p.diagnostics.thin),
  ];
}

const HTML_HEAD = [
  'policy',
  'quality, %',
  '− log',
  '− log, at all times',
  '$/1k',
  '− log, $/1k',
  'effective rows',
  'mean weight',
  'untried, %',
];

const inPercent = (e: Estimate, gap = ' '): string =>
  `${percent(e.value)}${gap}${small(interval(e, (x) => percent(x)))}`;
const signedUsd = (x: number | null): string => usdPerThousand(x).replace('$-', '−$');
const inUsd = (e: Estimate | null): string =>
  e === null ? DASH : `${signedUsd(e.value)} ${small(interval(e, signedUsd))}`;

function named(p: PolicyJudgement): string {
  return `${escapeHtml(p.name)}${p.flags.length > 0 ? '<span class="below">▼ not to be trusted</span>' : ''}`;
}

function htmlRow(p: PolicyJudgement): string[] {
  return [
    named(p),
    inPercent(p.quality.dr),
    `${signedPercent(p.qualityMinusLog.value)} ${small(interval(p.qualityMinusLog, (x) => signedPercent(x)))}`,
    p.qualityMinusLogAnytime === null ? DASH : interval(p.qualityMinusLogAnytime, (x) => signedPercent(x)),
    inUsd(costOf(p)),
    inUsd(p.costMinusLogUsd),
    whole(Math.floor(p.diagnostics.effectiveRows)),
    meanWeight(p),
    percent(p.diagnostics.thin),
  ];
}

const DIAGNOSTIC_HEAD = [
  'policy',
  'effective rows',
  'greatest weight',
  'mean weight ± 2 SE',
  'untried, %',
  'could not be drawn, %',
  'model never drawn, %',
  'differs from the log, %',
];

function diagnosticRow(p: PolicyJudgement): string[] {
  const d = p.diagnostics;
  return [
    named(p),
    `${whole(Math.floor(d.effectiveRows))} ${small(`of ${whole(d.rows)}`)}`,
    d.maxWeight.toFixed(1),
    meanWeight(p),
    percent(d.thin),
    percent(d.impossible),
    percent(d.neverLogged),
    percent(d.differs),
  ];
}
