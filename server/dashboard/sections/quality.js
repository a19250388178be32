// Quality: whether forecasts mean what they say, and how good the answers were that somebody judged.
import { withQuery } from '../parts/api.js';
import { Reliability } from '../parts/charts.js';
import { exact, percent, points, ratio, shortHash } from '../parts/format.js';
import { Copyable, Empty, html, Loaded, Panel, Pill, Segments, Table, useData, useState } from '../parts/view.js';

const DIMENSIONS = [
  { id: 'artifact', name: 'Router' },
  { id: 'model', name: 'Model' },
  { id: 'team', name: 'Team' },
];

export function Quality({ period }) {
  const [by, setBy] = useState('artifact');
  const calibration = useData(withQuery('/v1/usage/calibration', period.query));
  const breakdown = useData(withQuery('/v1/usage/breakdown', { ...period.query, by, limit: 50 }));
  return html`
    <${Panel}
      title="Calibration"
      note="Judged quality against what had been predicted of the same answers, by version of the router, the newest first. On the dashed line a forecast of 0.8 comes true eight times in ten; the larger the dot, the more answers. How far off they are on average is said beside the version."
    >
      <${Loaded} of=${calibration} height=${320} empty=${(data) => data.versions.length === 0 && html`<${NothingJudged} />`}>
        ${(data) => html`<div class="multiples">
          ${data.versions.map(
            (version) => html`<article class="multiple" key=${version.artifact}>
              <header>
                <h3><code title=${version.artifact}>${shortHash(version.artifact)}</code></h3>
                <span title=${`Expected calibration error ${ratio(version.ece, 3)}`}><${Pill} kind=${version.judged < 100 ? 'plain' : version.ece <= 0.05 ? 'good' : version.ece <= 0.1 ? 'warn' : 'bad'}>off by ${(100 * version.ece).toFixed(1)} points<//></span>
              </header>
              <${Reliability} title=${`Calibration of ${shortHash(version.artifact)}`} bins=${version.bins} />
              <p class="muted">${exact(version.judged)} judged answer${version.judged === 1 ? '' : 's'}${version.judged < 100 ? ': too few to say much' : ''}</p>
            </article>`,
          )}
        </div>`}
      <//>
    <//>
    <${Panel} title="Judged against predicted" aside=${html`<${Segments} label="By" options=${DIMENSIONS} value=${by} onChange=${setBy} />`}>
      <${Loaded} of=${breakdown} height=${180} empty=${(data) => data.rows.every(({ judged }) => judged === 0) && html`<${Empty} title="Nothing judged in this period." />`}>
        ${(data) => html`<${Judged} rows=${data.rows.filter(({ judged }) => judged > 0)} by=${by} />`}
      <//>
    <//>
  `;
}

const Judged = ({ rows, by }) => html`<${Table}
  caption="Judged against predicted quality"
  rows=${rows}
  keyOf=${(row) => row.group ?? ''}
  columns=${[
    {
      name: DIMENSIONS.find(({ id }) => id === by).name,
      grow: true,
      cell: (row) =>
        html`<span class="ellipsis" title=${row.group ?? ''}>${by === 'artifact' ? shortHash(row.group) : (row.group ?? 'others')}</span>`,
    },
    { name: 'Judged', number: true, cell: (row) => exact(row.judged) },
    { name: 'Of requests', number: true, cell: (row) => (row.requests > 0 ? percent(row.judged / row.requests) : '–') },
    { name: 'Quality', number: true, cell: (row) => percent(row.quality) },
    { name: 'Predicted', number: true, cell: (row) => percent(row.predictedQuality) },
    {
      name: 'Difference',
      number: true,
      cell: (row) => (row.predictedQuality === null ? '–' : points(row.quality - row.predictedQuality)),
    },
  ]}
/>`;

function NothingJudged() {
  const line = `curl ${location.origin}/v1/feedback -H "authorization: Bearer $POINTSMAN_KEY" \\
  -H 'content-type: application/json' -d '{"decisionId": "…", "score": 1}'`;
  return html`<${Empty} title="Nobody has judged an answer in this period.">
    <p>Tell the gateway how good answers were (the id is in the header <code>x-pointsman-decision-id</code>), with a key that may give feedback as <code>POINTSMAN_KEY</code>, or let a judge look at a random sample: <code>audit</code> in <code>pointsman.yaml</code>.</p>
    <${Copyable} text=${line} block />
  <//>`;
}
