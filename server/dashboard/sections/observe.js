// Observe mode: clients go on naming models, and this is what auto would have done in their place.
import { withQuery } from '../parts/api.js';
import { exact, percent, points, usd } from '../parts/format.js';
import { Copyable, Empty, html, Loaded, Panel, useData } from '../parts/view.js';

export function Observe({ period }) {
  const observed = useData(withQuery('/v1/usage/observe', period.query));
  return html`<${Panel}
    title="What auto would have saved"
    note="Requests for a concrete model are answered by it, and decided in the shadow. Nothing is rerouted."
  >
    <${Loaded} of=${observed} height=${240} empty=${(data) => data.observed.requests === 0 && html`<${Nothing} share=${data.share} />`}>
      ${(data) => html`<${Verdict} of=${data} />`}
    <//>
  <//>`;
}

function Verdict({ of }) {
  const { requests, unknown, paidUsd, otherShare, autoUsd, savedShare, savedUsd, qualityDifference } = of.observed;
  const known = requests - unknown;
  if (savedShare === null || savedUsd === null) {
    return html`<${Empty} title=${`${exact(known)} of the ${of.enough} requests that a verdict needs.`}>
      <p>They cost ${usd(paidUsd)} with the models that clients named. ${unknown > 0 ? `${exact(unknown)} more cannot be estimated: their model is no candidate here, or has no known price.` : ''}</p>
    <//>`;
  }
  const isSure = savedShare.low > 0 || savedShare.high < 0;
  const isLoss = savedUsd.value < 0;
  return html`
    <p class="verdict">
      With <code>auto</code>, these requests would have cost about <b>${usd(autoUsd.value)}</b> in place of <b>${usd(paidUsd)}</b>:
      <b class=${isLoss ? 'bad' : 'good'}> ${isLoss ? `${usd(-savedUsd.value)} more` : `${usd(savedUsd.value)} saved`} (${percent(Math.abs(savedShare.value))})</b>${isSure ? '.' : ', within what chance explains.'}
    </p>
    <dl class="facts wide">
      <${Estimated} name="Saving" of=${savedShare} show=${percent} />
      <${Estimated} name="Saved in USD" of=${savedUsd} show=${usd} />
      <${Estimated} name="Another model would have answered" of=${otherShare} show=${percent} />
      <${Estimated} name="Predicted quality with auto" of=${qualityDifference} show=${points} />
      <div><dt>Observed requests</dt><dd>${exact(requests)}${unknown > 0 ? html` <span class="muted interval">${exact(unknown)} of them cannot be estimated</span>` : ''}</dd></div>
      <div><dt>Observed now</dt><dd>${percent(of.share, 0)} <span class="muted interval">of the requests that name a model</span></dd></div>
    </dl>
    <p class="muted small-print">An estimate: what was paid, scaled by the predicted cost of both models. Quality is the router’s own forecast; only routed requests with feedback can prove it.${of.limited ? ' The newest requests were read; the period holds more.' : ''}</p>
    <p>To let it decide in earnest, send <code>"model": "auto"</code>, or give a model’s name to it: <code>aliases: {"my-model": auto}</code>.</p>
  `;
}

const Estimated = ({ name, of, show }) =>
  of === null
    ? html`<div><dt>${name}</dt><dd class="muted">unknown</dd></div>`
    : html`<div><dt>${name}</dt><dd><b>${show(of.value)}</b> ${of.low !== null && of.high !== null && html`<span class="muted interval">95 %: ${show(of.low)} to ${show(of.high)}</span>`}</dd></div>`;

const Nothing = ({ share }) => html`<${Empty} title="Nothing was observed in this period.">
  ${
    share > 0
      ? html`<p>Observe mode is on for ${percent(share, 0)} of the requests that name a model; none came in this period.</p>`
      : html`<p>Switch it on to see what <code>auto</code> would save on the traffic that you have, before anything is routed:</p>
          <${Copyable} text="observe: {share: 1}" />`
  }
<//>`;
