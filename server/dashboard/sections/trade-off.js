// Cost and quality: where the policy in force stands on its own curve, and what another setting would have cost.
import { withQuery } from '../parts/api.js';
import { Curve } from '../parts/charts.js';
import { exact, percent, points, signedPercent, usd } from '../parts/format.js';
import { Bar, Copyable, Empty, html, Loaded, Panel, Table, useData, useId, useState } from '../parts/view.js';

export function TradeOff({ period }) {
  const curve = useData(withQuery('/v1/usage/curve', { team: period.query.team, sample: 1000 }));
  return html`<${Panel}
    title="What another setting would have cost"
    note="The newest routed requests, chosen anew at each setting of the dial by the router’s own rule, from what was predicted of them. Quality is the router’s forecast, not a verdict."
  >
    <${Loaded} of=${curve} height=${420} empty=${(data) => data.points.length === 0 && html`<${Nothing} />`}>
      ${(data) => html`<${Settings} curve=${data} />`}
    <//>
  <//>`;
}

function Settings({ curve }) {
  const { current, points: all, sample } = curve;
  const [dial, setDial] = useState(current.dial ?? 5);
  const slider = useId();
  const nearest = (wanted) => all.reduce((a, b) => (Math.abs(b.dial - wanted) < Math.abs(a.dial - wanted) ? b : a));
  const chosen = nearest(dial);
  const change = current.costUsd > 0 ? chosen.costUsd / current.costUsd - 1 : null;
  // The shares at the setting in force, where it is one of the dial's.
  const now = current.dial === null ? null : nearest(current.dial).models;
  const isNow = chosen.dial === current.dial;
  const said = `Dial ${chosen.dial}: ${usd(chosen.costUsd)} a request, predicted quality ${percent(chosen.quality)}`;
  return html`<div class="trade-off">
    <div>
      <${Curve} points=${all} current=${current} chosen=${chosen} onChoose=${setDial} />
    </div>
    <div class="trade-off-side">
      <div class="slider">
        <label for=${slider}>Dial <output for=${slider}><b>${chosen.dial}</b></output></label>
        <input
          id=${slider}
          type="range"
          min="0"
          max="10"
          step="0.5"
          value=${chosen.dial}
          aria-valuetext=${said}
          onInput=${(event) => setDial(Number(event.target.value))}
        />
        <div class="slider-ends" aria-hidden="true"><span>0 cheapest</span><span>10 best</span></div>
      </div>
      <${Table}
        dense
        caption="What is in force against the setting looked at"
        rows=${[
          {
            name: '1,000 requests',
            now: usd(1000 * current.costUsd),
            there: usd(1000 * chosen.costUsd),
            change: signedPercent(change),
            tone: change === null || Math.abs(change) < 0.0005 ? '' : change < 0 ? 'good' : 'bad',
          },
          {
            name: 'Predicted quality',
            now: percent(current.quality),
            there: percent(chosen.quality),
            change: points(chosen.quality - current.quality),
            tone: '',
          },
        ]}
        columns=${[
          { name: 'Mean', cell: (row) => row.name },
          {
            name: current.dial === null ? 'Now' : `Now (${current.dial})`,
            number: true,
            cell: (row) => row.now,
          },
          { name: `At ${chosen.dial}`, number: true, cell: (row) => html`<b>${row.there}</b>` },
          { name: 'Change', number: true, cell: (row) => html`<span class=${row.tone}>${row.change}</span>` },
        ]}
      />
      <h3>Who would have answered</h3>
      <${Table}
        dense
        caption=${`Share of the requests by model at dial ${chosen.dial}`}
        rows=${Object.entries(chosen.models)
          .sort((a, b) => b[1] - a[1])
          .slice(0, MOST_MODELS)}
        keyOf=${([model]) => model}
        columns=${[
          {
            name: 'Model',
            grow: true,
            cell: ([model, share]) =>
              html`<span class="named"><span class="ellipsis" title=${model}>${model}</span><${Bar} share=${share} /></span>`,
          },
          ...(now === null || isNow
            ? []
            : [{ name: 'Now', number: true, cell: ([model]) => percent(now[model] ?? 0) }]),
          {
            name: isNow ? 'Now' : `At ${chosen.dial}`,
            number: true,
            cell: ([, share]) => html`<b>${percent(share)}</b>`,
          },
        ]}
      />
    </div>
    <div class="trade-off-todo">
      <h3>${isNow ? 'This is in force' : `To have it so: dial ${chosen.dial}`}</h3>
      <p class="muted">${isNow ? 'Move the dial to see another setting. It is set for everybody in' : 'For everybody in'} <code>pointsman.yaml</code>, or for one request by a header:</p>
      <${Copyable} text=${`policy: {dial: ${chosen.dial}}`} />
      <${Copyable} text=${`x-pointsman-dial: ${chosen.dial}`} />
      <p class="muted small-print">Over the newest ${exact(sample)} routed requests. What single requests asked for themselves is left out; conversations that could not change their model keep it.</p>
    </div>
  </div>`;
}

/** Shown; the shares of others are small. */
const MOST_MODELS = 8;

const Nothing = () => html`<${Empty} title="No routed requests yet.">
  <p>Send some with <code>"model": "auto"</code>: the curve is reckoned from what was predicted of them. <code>pointsman demo</code> shows one without keys.</p>
<//>`;
