// Models and health: how long answers take, what fails, which places are left alone for a while, and who is refused.

import { withQuery } from '../parts/api.js';
import { count, duration, exact, percent, usd } from '../parts/format.js';
import { hrefOf } from '../parts/place.js';
import { TimeChart } from '../parts/time-chart.js';
import { Empty, ErrorShare, html, Loaded, Moment, Panel, Pill, Table, useData, useState } from '../parts/view.js';
import { useMemo } from '../vendor/hooks.js';

export function Health({ place, period }) {
  const { query, step } = period;
  const series = useData(withQuery('/v1/usage/series', { ...query, step }), { everyMs: 60_000 });
  const models = useData(withQuery('/v1/usage/breakdown', { ...query, by: 'model', limit: 100 }), { everyMs: 60_000 });
  const health = useData(withQuery('/v1/usage/health', { team: query.team }), { everyMs: 10_000 });
  if (series.data?.points.length === 0 && models.data?.rows.length === 0) {
    return html`<${Panel} title="No requests in this period">
        <p>How long answers take and what fails is shown here once there are some: the <a href=${hrefOf(place, 'overview')}>overview</a> says how to send one.</p>
      <//>
      <${Places} of=${health} />`;
  }
  return html`
    <${Panel} title="Latency" note="Answers, from the first call to a provider to the last byte. Receiving an upload and looking into it come before that.">
      <${Loaded} of=${series} height=${300}>${(data) => html`<${Latency} points=${data.points} step=${data.step} />`}<//>
    <//>
    <${Panel} title="Errors" note="Requests that nobody answered, or whose answer broke off.">
      <${Loaded} of=${series} height=${240}>${(data) => html`<${Errors} points=${data.points} step=${data.step} />`}<//>
    <//>
    <${Panel} title="Models">
      <${Loaded} of=${models} height=${200} empty=${(data) => data.rows.length === 0 && html`<${Empty} title="No requests in this period." />`}>
        ${(data) => html`<${Models} rows=${data.rows} />`}
      <//>
    <//>
    <${Places} of=${health} />
  `;
}

/** What is known of now, whatever the period: where models are called, and who was refused. */
const Places = ({ of }) => html`
  <${Panel}
    title="Deployments"
    note="Places where models are called, over the last hour. One that fails three times in a row rests, and auto goes past it."
  >
    <${Loaded} of=${of} height=${200} empty=${(data) => data.deployments.length === 0 && html`<${Empty} title="No provider is set up: the sandbox answers." />`}>
      ${(data) => html`<${Deployments} all=${data.deployments} />`}
    <//>
  <//>
  <${Panel}
    title="Refused"
    note="Requests that were turned away before any model was called. Of this replica alone, since it began."
  >
    <${Loaded} of=${of} height=${120} empty=${(data) => (data.refusals?.counts ?? []).length === 0 && html`<${Empty} title="Nobody was refused." />`}>
      ${(data) => html`<${Refusals} of=${data.refusals} />`}
    <//>
  <//>
`;

const REASONS = {
  policy: 'the policy forbids it',
  model: 'not among the key’s models',
  budget: 'a budget is used up',
  rate: 'too many a minute',
  guardrail: 'a guardrail blocked it',
};

const Refusals = ({ of }) => html`
  <p class="status-line">${exact(of.requests)} since <${Moment} at=${of.since} /></p>
  <${Table}
    caption="Refused requests"
    rows=${of.counts}
    keyOf=${(row) => [row.team, row.key, row.reason, row.by].join('\n')}
    columns=${[
      {
        name: 'Key',
        grow: true,
        cell: (row) =>
          html`<span class="two-lines"><b class="ellipsis" title=${row.key ?? ''}>${row.key ?? 'no key'}</b><span class="muted ellipsis" title=${row.team}>${row.team}</span></span>`,
      },
      {
        name: 'Why',
        grow: true,
        cell: (row) =>
          html`<span class="two-lines"><span>${REASONS[row.reason] ?? row.reason}</span>${row.by && html`<span class="muted ellipsis" title=${row.by}>${row.by}</span>`}</span>`,
      },
      { name: 'Requests', number: true, cell: (row) => exact(row.requests) },
      { name: 'Last', cell: (row) => html`<${Moment} at=${row.lastAt} relative />` },
    ]}
  />`;

function Latency({ points, step }) {
  const at = useMemo(() => points.map((point) => point.at), [points]);
  const series = useMemo(
    () => [
      { name: 'p99', values: points.map((point) => point.p99Ms), tone: 'c4' },
      { name: 'p95', values: points.map((point) => point.p95Ms), tone: 'c2' },
      { name: 'p50', values: points.map((point) => point.p50Ms), tone: 'c1' },
    ],
    [points],
  );
  if (at.length === 0) return html`<${Empty} title="Nothing in this period." />`;
  return html`<${TimeChart} title="Latency" ...${{ at, step, series, format: duration, total: latest, idle: 'Latest' }} />`;
}

/** Percentiles cannot be added up: what is told is the last one known. */
const latest = (values) => duration(values.findLast((value) => value !== null));

function Errors({ points, step }) {
  const at = useMemo(() => points.map((point) => point.at), [points]);
  const series = useMemo(
    () => [{ name: 'Errors', values: points.map((point) => point.errors), tone: 'bad' }],
    [points],
  );
  if (at.length === 0) return html`<${Empty} title="Nothing in this period." />`;
  const requests = points.reduce((sum, point) => sum + point.requests, 0);
  const total = (values) => {
    const errors = values.reduce((sum, value) => sum + (value ?? 0), 0);
    return `${count(errors)}${requests > 0 ? ` (${percent(errors / requests)})` : ''}`;
  };
  return html`<${TimeChart} title="Errors" stacked height=${150} ...${{ at, step, series, format: count, total }} />`;
}

const Models = ({ rows }) => html`<${Table}
  caption="Models"
  rows=${rows}
  keyOf=${(row) => row.group ?? ''}
  columns=${[
    {
      name: 'Model',
      grow: true,
      cell: (row) => html`<span class="ellipsis" title=${row.group ?? ''}>${row.group ?? 'others'}</span>`,
    },
    { name: 'Requests', number: true, cell: (row) => exact(row.requests) },
    { name: 'Errors', number: true, cell: (row) => html`<${ErrorShare} of=${row} />` },
    { name: 'p50', number: true, cell: (row) => duration(row.p50Ms) },
    { name: 'p95', number: true, cell: (row) => duration(row.p95Ms) },
    { name: 'p99', number: true, cell: (row) => duration(row.p99Ms) },
    // What was blocked, came from the cache or nobody answered cost nothing, and says nothing of what the model costs.
    {
      name: 'Cost of an answer',
      number: true,
      cell: (row) => (row.answered > 0 ? usd(row.costUsd / row.answered) : '–'),
    },
    { name: 'Quality', number: true, cell: (row) => percent(row.quality) },
  ]}
/>`;

function Deployments({ all }) {
  const [isWhole, setWhole] = useState(false);
  const used = all.filter(({ requests, rests }) => requests > 0 || rests);
  const shown = isWhole ? all : used;
  const resting = all.filter(({ rests }) => rests).length;
  return html`
    <p class="status-line" role="status">
      ${
        resting === 0
          ? used.length === 0
            ? html`<${Pill}>idle<//> none of ${exact(all.length)} was called in the last hour`
            : html`<${Pill} kind="good">All well<//> nothing rests`
          : html`<${Pill} kind="bad">${resting} resting<//> of ${all.length}`
      }
    </p>
    ${
      shown.length > 0 &&
      html`<${Table}
      caption="Deployments"
      rows=${shown.slice(0, 200)}
      keyOf=${(row) => row.deployment}
      columns=${[
        {
          name: 'Deployment',
          grow: true,
          cell: (row) => html`<span class="ellipsis" title=${row.deployment}>${row.deployment}</span>`,
        },
        { name: 'Provider', cell: (row) => row.provider },
        {
          name: 'State',
          cell: (row) =>
            row.rests
              ? html`<${Pill} kind="bad">rests for ${duration(row.restsForMs)}<//>`
              : row.requests === 0
                ? html`<${Pill}>idle<//>`
                : html`<${Pill} kind=${row.errors / row.requests > 0.1 ? 'warn' : 'good'}>${row.errors / row.requests > 0.1 ? 'failing' : 'ok'}<//>`,
        },
        { name: 'Calls', number: true, cell: (row) => exact(row.requests) },
        { name: 'Failed', number: true, cell: (row) => exact(row.errors) },
        { name: 'p95', number: true, cell: (row) => duration(row.p95Ms) },
      ]}
    />`
    }
    ${
      used.length < all.length &&
      html`<button type="button" class="small start" aria-expanded=${isWhole ? 'true' : 'false'} onClick=${() => setWhole(!isWhole)}>
        ${isWhole ? 'Only those in use' : used.length === 0 ? `Show all ${exact(all.length)}` : `And ${exact(all.length - used.length)} that nobody called`}
      </button>`
    }
  `;
}
