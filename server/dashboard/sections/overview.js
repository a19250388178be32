// Overview: what was spent and saved, how much went where, and how well.

import { withQuery } from '../parts/api.js';
import { count, duration, exact, percent, points, signedUsd, usd } from '../parts/format.js';
import { TimeChart } from '../parts/time-chart.js';
import {
  Bar,
  Empty,
  ErrorShare,
  html,
  Loaded,
  Moment,
  Panel,
  Segments,
  Table,
  useData,
  useState,
} from '../parts/view.js';
import { useMemo } from '../vendor/hooks.js';
import { FirstSteps } from './first-steps.js';

const EVERY_MS = 60_000;

export function Overview({ place, period }) {
  const { query, step } = period;
  const summary = useData(withQuery('/v1/usage/summary', query), { everyMs: EVERY_MS });
  const series = useData(withQuery('/v1/usage/series', { ...query, step }), { everyMs: EVERY_MS });
  if (summary.data?.requests === 0 && series.data !== null) return html`<${FirstSteps} place=${place} />`;
  return html`
    <section class="panel figures-panel" aria-label="Key figures">
      <${Loaded} of=${summary} height=${104}>${(data) => html`<${Figures} of=${data} />`}<//>
    </section>
    <${Panel}
      title="Spend against the baseline"
      note=${summary.data ? html`Routed requests alone, all calls for them included; baseline <code>${summary.data.baseline}</code> for the same requests.` : 'Routed requests alone, all calls for them included.'}
    >
      <${Loaded} of=${series} height=${300}>${(data) => html`<${Spend} points=${data.points} step=${data.step} />`}<//>
    <//>
    <${Traffic} query=${query} step=${step} />
    ${summary.data && html`<p class="muted small-print">Counted until <${Moment} at=${summary.data.rolledUpTo} />; newer requests follow within minutes. Cost is reported usage at list price.</p>`}
  `;
}

function Figures({ of }) {
  return html`<dl class="figures">
    <${Figure} name="Spend" value=${usd(of.costUsd)} notes=${[`${count(of.inputTokens)} tokens in,`, `${count(of.outputTokens)} out`]} />
    <${Figure}
      name="Saved"
      value=${of.comparedRequests === 0 ? '–' : usd(of.savingUsd)}
      tone=${of.comparedRequests === 0 ? '' : of.savingUsd < 0 ? 'bad' : 'good'}
      notes=${savingNotes(of)}
    />
    <${Figure} name="Requests" value=${count(of.requests)} notes=${[`${count(of.routed)} routed${of.cached > 0 ? ',' : ''}`, of.cached > 0 && `${count(of.cached)} from the cache`]} />
    <${Figure}
      name="Errors"
      value=${of.requests > 0 ? percent(of.errors / of.requests, of.errors / of.requests < 0.01 ? 2 : 1) : '–'}
      tone=${of.requests > 0 && of.errors / of.requests > 0.02 ? 'bad' : ''}
      notes=${[`${exact(of.errors)} unanswered${of.blocked > 0 ? ',' : ''}`, of.blocked > 0 && `${exact(of.blocked)} blocked`]}
    />
    <${Figure}
      name="Judged quality"
      value=${percent(of.quality)}
      notes=${of.judged === 0 ? ['Nothing judged yet'] : [`${exact(of.judged)} judged${of.predictedQuality === null ? '' : ','}`, of.predictedQuality !== null && `${percent(of.predictedQuality)} predicted`]}
    />
    <${Figure} name="Latency p95" value=${duration(of.p95Ms)} notes=${[`p50 ${duration(of.p50Ms)},`, `p99 ${duration(of.p99Ms)}`]} />
  </dl>`;
}

function savingNotes({ comparedRequests, baselineCostUsd, savingUsd, savingLowUsd, savingHighUsd }) {
  if (comparedRequests === 0) return ['No routed requests to compare'];
  const share = baselineCostUsd > 0 && html`<b>${percent(savingUsd / baselineCostUsd)}</b> of the baseline`;
  if (savingLowUsd === null || savingHighUsd === null) return [share, 'an interval needs three days'];
  return [share, `95 %: ${usd(savingLowUsd)} to ${usd(savingHighUsd)}`];
}

/** @param notes  each is kept on one line where it can be: a number is not parted from its unit */
const Figure = ({ name, value, notes, tone = '' }) => html`<div class="figure">
  <dt>${name}</dt>
  <dd><span class=${`figure-value ${tone}`}>${value}</span><span class="figure-note">${notes.filter(Boolean).map((note, i) => html`<span key=${i}>${note}</span> `)}</span></dd>
</div>`;

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

function Spend({ points: all, step }) {
  const at = useMemo(() => all.map((point) => point.at), [all]);
  const series = useMemo(
    () => [
      { name: 'Baseline', values: all.map((point) => point.baselineCostUsd), tone: 'muted', dash: true },
      { name: 'Routed', values: all.map((point) => point.comparedCostUsd), tone: 'c1', fill: true },
    ],
    [all],
  );
  if (all.length === 0) return html`<${Empty} title="Nothing in this period." />`;
  return html`<${TimeChart} title="Spend against the baseline" ...${{ at, step, series, format: usd, total: totalUsd }} />`;
}

const totalUsd = (values) => usd(sum(values));
const totalCount = (values) => count(sum(values));

const DIMENSIONS = [
  { id: 'model', name: 'Model' },
  { id: 'provider', name: 'Provider' },
  { id: 'team', name: 'Team' },
];
const MEASURES = [
  { id: 'requests', name: 'Requests' },
  { id: 'costUsd', name: 'Spend' },
];
const TONES = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'];

function Traffic({ query, step }) {
  const [by, setBy] = useState('model');
  const [measure, setMeasure] = useState('requests');
  const series = useData(withQuery('/v1/usage/series', { ...query, step, by }), { everyMs: EVERY_MS });
  const breakdown = useData(withQuery('/v1/usage/breakdown', { ...query, by, limit: 20 }), { everyMs: EVERY_MS });
  const aside = html`<${Segments} label="Traffic by" options=${DIMENSIONS} value=${by} onChange=${setBy} />
    <${Segments} label="Measure" options=${MEASURES} value=${measure} onChange=${setMeasure} />`;
  return html`<${Panel} title="Traffic" aside=${aside}>
    <${Loaded} of=${series} height=${300}>
      ${(data) => html`<${Stack} points=${data.points} step=${data.step} measure=${measure} by=${by} />`}
    <//>
    <${Loaded} of=${breakdown} height=${200}>${(data) => html`<${Breakdown} rows=${data.rows} by=${by} measure=${measure} />`}<//>
  <//>`;
}

function Stack({ points: all, step, measure, by }) {
  const { at, series } = useMemo(() => stacksOf(all, measure), [all, measure]);
  if (at.length === 0) return html`<${Empty} title="Nothing in this period." />`;
  const isUsd = measure === 'costUsd';
  return html`<${TimeChart}
    title=${`${isUsd ? 'Spend' : 'Requests'} by ${by}`}
    ...${{ at, step, series, stacked: true, format: isUsd ? usd : count, total: isUsd ? totalUsd : totalCount }}
  />`;
}

/** The greatest groups each by itself, the others together. */
function stacksOf(all, measure) {
  const at = [...new Set(all.map((point) => point.at))];
  const place = new Map(at.map((moment, i) => [moment, i]));
  const groups = new Map();
  for (const point of all) {
    const values = groups.get(point.group) ?? at.map(() => 0);
    values[place.get(point.at)] += point[measure] ?? 0;
    groups.set(point.group, values);
  }
  const named = [...groups].filter(([name]) => name !== null).sort((a, b) => sum(b[1]) - sum(a[1]));
  const series = named.slice(0, TONES.length).map(([name, values], i) => ({ name, values, tone: TONES[i] }));
  const rest = [
    ...named.slice(TONES.length).map(([, values]) => values),
    ...(groups.has(null) ? [groups.get(null)] : []),
  ];
  if (rest.length > 0) {
    const values = at.map((_, i) => sum(rest.map((one) => one[i])));
    if (sum(values) > 0) series.push({ name: named.length > 0 ? 'Others' : 'Unknown', values, tone: 'c8' });
  }
  return { at, series };
}

function Breakdown({ rows, by, measure }) {
  const most = Math.max(...rows.map((row) => row[measure] ?? 0), 0);
  return html`<${Table}
    caption=${`Usage by ${by}`}
    rows=${[...rows].sort((a, b) => (a.group === null) - (b.group === null) || b[measure] - a[measure])}
    keyOf=${(row) => row.group ?? ''}
    columns=${[
      {
        name: by[0].toUpperCase() + by.slice(1),
        grow: true,
        cell: (row) =>
          html`<span class="named"><span class="ellipsis" title=${row.group ?? ''}>${row.group ?? 'others'}</span><${Bar} share=${most > 0 ? row[measure] / most : 0} /></span>`,
      },
      { name: 'Requests', number: true, cell: (row) => exact(row.requests) },
      { name: 'Spend', number: true, cell: (row) => usd(row.costUsd) },
      { name: 'Saved', number: true, cell: (row) => (row.comparedRequests > 0 ? signedUsd(row.savingUsd) : '–') },
      { name: 'Errors', number: true, cell: (row) => html`<${ErrorShare} of=${row} />` },
      {
        name: 'Quality',
        number: true,
        cell: (row) =>
          html`<span title=${row.judged > 0 && row.predictedQuality !== null ? `${exact(row.judged)} judged; ${points(row.quality - row.predictedQuality)} against the forecast` : 'nothing judged'}>${percent(row.quality)}</span>`,
      },
      { name: 'p95', number: true, cell: (row) => duration(row.p95Ms) },
    ]}
  />`;
}
