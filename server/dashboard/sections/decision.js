// One decision: what was chosen and why, what it beat and by how much, what was called, and what people said of it.
import { duration, exact, percent, points, ratio, shortHash, signedPercent, usd } from '../parts/format.js';
import { Bar, Copyable, html, Loaded, Moment, Pill, Table, useData } from '../parts/view.js';
import { STATUS_KINDS, words } from './decisions.js';

const WHY = {
  cheapest_adequate: 'The cheapest model that is predicted to be good enough.',
  best_effort: 'No model is predicted to reach the least quality asked for; this one is the likeliest to succeed.',
  abstained:
    'The prompt is unlike anything the router has learned from: the default took it, or what each model’s mean says.',
  explored: 'Drawn to learn how the model does. The policy sets the share of such draws.',
  only_candidate: 'The filters left this model alone.',
  sticky: 'The conversation’s model has it in its prompt cache; without that another would have been chosen.',
  pinned: 'The conversation cannot change its model now.',
  fallback: 'The chosen one failed before its first word; this was the next on the list.',
  escalated: 'An answer failed its check, and this model was further up the list.',
  checked: 'A cheaper one put first: its answer passed the check.',
  requested: 'The client named it.',
};

export function Decision({ id }) {
  const found = useData(`/v1/decisions/${encodeURIComponent(id)}`);
  return html`<${Loaded} of=${found} height=${400}>${(one) => html`<${Whole} of=${one} />`}<//>`;
}

function Whole({ of }) {
  const answered = of.executedModel ?? null;
  const cost = of.attempts.every(({ costUsd }) => costUsd === null)
    ? null
    : of.attempts.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);
  const saved = of.baselineCostUsd === null || cost === null ? null : of.baselineCostUsd - cost;
  return html`<div class="decision">
    <section class="answer" aria-label="What was chosen">
      <p class="answer-model">${answered ?? of.model}</p>
      <p class="answer-why"><${Pill} kind="info">${words(of.reason)}<//> ${WHY[of.reason] ?? ''}</p>
      ${answered !== null && answered !== of.model && html`<p class="muted">Decided for <code>${of.model}</code>; <code>${answered}</code> answered.</p>`}
      ${of.facts?.softLimit && html`<p class="notice">The budget <b>${of.facts.softLimit}</b> is nearly spent, so <code>auto</code> was to choose cheaper.</p>`}
      ${answered === null && !of.cached && html`<p class="notice bad">Nobody answered.</p>`}
      <dl class="facts">
        <${Fact} name="When"><${Moment} at=${of.createdAt} /><//>
        <${Fact} name="Asked for">${of.requestedModel}<//>
        <${Fact} name="Team">${of.tenant}${of.project ? ` · ${of.project}` : ''}<//>
        <${Fact} name="Key">${of.key ?? '–'}<//>
        <${Fact} name="Cost">${usd(cost)}<//>
        <${Fact} name="Saved">${saved === null ? '–' : html`${usd(saved)} against ${of.baselineModel}`}<//>
        ${of.routed && html`<${Fact} name="Propensity" hint="Probability with which the policy chose it.">${percent(of.propensity)}<//>`}
        ${of.routed && html`<${Fact} name="Floor" hint="Predicted quality that a model had to reach.">${ratio(of.floor, 3)}<//>`}
        ${of.difficulty !== null && html`<${Fact} name="Difficulty" hint="In logits: higher is harder for every model.">${ratio(of.difficulty)}<//>`}
        ${of.outOfDomain !== null && html`<${Fact} name="Unlike the training data" hint="0: like it; 1: unlike anything in it.">${ratio(of.outOfDomain)}<//>`}
        ${of.routerMs !== null && html`<${Fact} name="Router took">${duration(of.routerMs)}<//>`}
        ${of.artifact !== null && html`<${Fact} name="Router"><code title=${of.artifact}>${shortHash(of.artifact)}</code><//>`}
        ${of.policyVersion != null && html`<${Fact} name="Policy version">${of.policyVersion}<//>`}
        ${of.tags?.length > 0 && html`<${Fact} name="Tags">${of.tags.map((tag) => html`<${Pill} key=${tag}>${tag}<//> `)}<//>`}
      </dl>
    </section>
    ${of.ranked.length > 0 && html`<${Ranked} of=${of} />`}
    ${of.filtered.length > 0 && html`<${Filtered} all=${of.filtered} />`}
    <${Attempts} all=${of.attempts} cached=${of.cached} />
    ${of.guards?.length > 0 && html`<${Guards} all=${of.guards} />`}
    <${Verdicts} all=${of.feedback} />
    <${Part} title="Id"><${Copyable} text=${of.id} /><//>
  </div>`;
}

const Part = ({ title, children }) => html`<section class="part"><h3>${title}</h3>${children}</section>`;

const Fact = ({ name, hint, children }) => html`<div><dt title=${hint}>${name}</dt><dd>${children}</dd></div>`;

/** The chosen one first: what the others would have cost and brought, against it. */
function Ranked({ of }) {
  const [chosen] = of.ranked;
  return html`<${Part} title="What it was weighed against">
    <${Table}
      caption="Candidates, the chosen one first"
      rows=${of.ranked.map((one, i) => ({ ...one, probability: of.distribution[i]?.probability ?? null, isChosen: i === 0 }))}
      keyOf=${(row) => row.model}
      columns=${[
        {
          name: 'Model',
          grow: true,
          cell: (row) =>
            html`<span class="named"><span class="ellipsis" title=${row.model}>${row.isChosen ? html`<b>${row.model}</b>` : row.model}</span><${Bar} share=${row.quality} tone=${row.adequate ? 'accent' : 'faint'} /></span>`,
        },
        {
          name: 'Quality',
          number: true,
          cell: (row) => html`<span title=${`± ${ratio(row.qualitySd, 3)}`}>${ratio(row.quality, 3)}</span>`,
        },
        { name: 'Margin', number: true, cell: (row) => (row.isChosen ? '' : points(row.quality - chosen.quality)) },
        { name: 'Cost', number: true, cell: (row) => usd(row.costUsd) },
        {
          name: 'Dearer by',
          number: true,
          cell: (row) =>
            row.isChosen || chosen.costUsd === 0 ? '' : signedPercent(row.costUsd / chosen.costUsd - 1, 0),
        },
        {
          name: 'Odds',
          number: true,
          cell: (row) => percent(row.probability, row.probability !== null && row.probability < 0.01 ? 2 : 0),
        },
        {
          name: 'Good enough',
          cell: (row) => (row.adequate ? html`<${Pill} kind="good">yes<//>` : html`<${Pill}>no<//>`),
        },
      ]}
    />
    <p class="muted small-print">Quality and cost as predicted when the choice was made; margins against <code>${chosen.model}</code>.</p>
  <//>`;
}

const FILTERS = {
  context_too_small: 'The prompt and the answer asked for do not fit its context.',
  output_too_small: 'The answer asked for is longer than it writes.',
  no_image_input: 'It sees no images.',
  no_audio_input: 'It hears no audio.',
  no_file_input: 'It reads no files.',
  no_tools: 'It calls no tools.',
  no_structured_output: 'It cannot be held to a schema.',
  not_allowed: 'Not among the models allowed for this request.',
  unhealthy: 'It could not be called: no key, or it had been failing.',
  over_max_cost: 'Expected to cost more than was allowed.',
  unknown_to_artifact: 'The router has learned nothing of it.',
};

const Filtered = ({ all }) => html`<${Part} title="Left out before">
  <ul class="lines">
    ${all.map(({ model, reason }) => html`<li key=${model}><code>${model}</code> <span class="muted">${FILTERS[reason] ?? words(reason)}</span></li>`)}
  </ul>
<//>`;

const Attempts = ({ all, cached }) => html`<${Part} title="Calls">
  ${
    all.length === 0
      ? html`<p class="muted">${cached ? 'Answered from the response cache: nobody was called.' : 'No call is on record.'}</p>`
      : html`<${Table}
          caption="Calls to providers, in order"
          rows=${all}
          keyOf=${(row) => row.id}
          columns=${[
            {
              name: 'Deployment',
              grow: true,
              cell: (row) =>
                html`<span class="ellipsis" title=${row.deployment || row.model}>${row.deployment || row.model}</span>`,
            },
            { name: 'For', cell: (row) => row.purpose },
            {
              name: 'Status',
              cell: (row) =>
                html`<${Pill} kind=${STATUS_KINDS[row.status] ?? 'plain'}>${row.status}${row.errorCode ? ` · ${row.errorCode}` : ''}<//>`,
            },
            {
              name: 'Tokens',
              number: true,
              cell: (row) =>
                row.inputTokens === null ? '–' : `${exact(row.inputTokens)} → ${exact(row.outputTokens)}`,
            },
            { name: 'Cost', number: true, cell: (row) => usd(row.costUsd) },
            { name: 'First byte', number: true, cell: (row) => duration(row.firstByteMs) },
            { name: 'Took', number: true, cell: (row) => duration(row.totalMs) },
          ]}
        />`
  }
<//>`;

const Guards = ({ all }) => html`<${Part} title="Guardrails">
  <ul class="lines">
    ${all.map(
      (hit, i) => html`<li key=${i}>
        <${Pill} kind=${hit.action === 'blocked' ? 'bad' : hit.action === 'masked' ? 'warn' : 'plain'}>${hit.action}<//>
        ${hit.guard} found ${hit.found} in the ${hit.where}, ${hit.count === 1 ? 'once' : `${exact(hit.count)} times`}
      </li>`,
    )}
  </ul>
<//>`;

const Verdicts = ({ all }) => html`<${Part} title="What was said of the answer">
  ${
    all.length === 0
      ? html`<p class="muted">Nothing yet.</p>`
      : html`<ul class="lines">
          ${all.map(
            (one) => html`<li key=${one.id}>
              <b class="score">${ratio(one.score)}</b> ${one.source}${one.kind && one.kind !== 'verdict' ? ` (${one.kind})` : ''}${one.label ? html` · ${one.label}` : ''}
              <span class="muted"> <${Moment} at=${one.createdAt} relative /></span>
            </li>`,
          )}
        </ul>`
  }
<//>`;
