// One decision: what was chosen and why, what it beat and by how much, what was called, and what people said of it.
import { duration, exact, percent, points, ratio, shortHash, times, usd, usdAlike } from '../parts/format.js';
import { Bar, Copyable, html, Loaded, Moment, Pill, Table, useData } from '../parts/view.js';
import { heldKind, STATUS_KINDS, words } from './decisions.js';

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
  return html`<div class="decision">
    <section class="answer" aria-label="What was chosen">
      <p class="answer-model">${answered ?? of.model}</p>
      ${
        heldKind(of) !== null && of.reason === 'requested'
          ? html`<p class="answer-why"><${Pill} kind="info">${heldKind(of)[0]}<//> ${heldKind(of)[1]}</p>`
          : html`<p class="answer-why"><${Pill} kind="info">${words(of.reason)}<//> ${WHY[of.reason] ?? ''}</p>`
      }
      ${of.damage && html`<p class="notice bad">What this choice was weighed against cannot be read any more: at most the model that answered is shown below. <code>${of.damage}</code></p>`}
      ${answered !== null && answered !== of.model && html`<p class="muted">Decided for <code>${of.model}</code>; <code>${answered}</code> answered.</p>`}
      ${of.facts?.softLimit && html`<p class="notice warn">The budget <b>${of.facts.softLimit}</b> is nearly spent, so <code>auto</code> was to choose cheaper.</p>`}
      ${answered === null && !of.cached && html`<p class="notice bad">Nobody answered.</p>`}
      <${Beaten} of=${of} />
      <${Money} of=${of} cost=${cost} />
    </section>
    ${of.ranked.length > 0 && html`<${Ranked} of=${of} />`}
    ${of.filtered.length > 0 && html`<${Filtered} all=${of.filtered} />`}
    <${Attempts} all=${of.attempts} cached=${of.cached} />
    ${of.guards?.length > 0 && html`<${Guards} all=${of.guards} />`}
    <${Verdicts} all=${of.feedback} />
    <${Particulars} of=${of} />
    <${Part} title="Id"><${Copyable} text=${of.id} /><//>
  </div>`;
}

/** The whole of it in three lines: whether it is good enough, what the next one would have cost, how much better the best is. */
function Beaten({ of }) {
  const [chosen, ...others] = of.ranked;
  if (!of.routed || chosen === undefined || others.length === 0) return null;
  const enough = others.filter(({ adequate }) => adequate);
  const next = enough.toSorted((a, b) => a.costUsd - b.costUsd)[0];
  const best = others.reduce((a, b) => (b.quality > a.quality ? b : a));
  const name = (one) => html`<b>${one.model}</b>`;
  return html`<ul class="beaten">
    <li>${
      of.floor > 0
        ? html`Predicted quality <b>${percent(chosen.quality)}</b>${chosen.adequate ? `; ${percent(of.floor)} was enough.` : `, below the ${percent(of.floor)} asked for.`}`
        : html`Predicted quality <b>${percent(chosen.quality)}</b>.`
    }</li>
    <li>${
      next === undefined
        ? 'No other was predicted to be good enough.'
        : next.costUsd > chosen.costUsd
          ? html`The next cheapest that is good enough, ${name(next)}, costs ${dearer(next, chosen)}.`
          : next.costUsd === chosen.costUsd
            ? html`${name(next)} is good enough, too, and costs the same.`
            : html`${name(next)} is good enough, too, and cheaper: ${usd(next.costUsd)} in place of ${usd(chosen.costUsd)}.`
    }</li>
    <li>${
      best.quality > chosen.quality
        ? html`The best, ${name(best)}, is predicted ${points(best.quality - chosen.quality)} better${best.costUsd > chosen.costUsd ? html` and costs ${dearer(best, chosen)}` : ''}.`
        : 'None was predicted to be better.'
    }</li>
  </ul>`;
}

const dearer = (one, chosen) =>
  chosen.costUsd > 0
    ? html`<b>${times(one.costUsd / chosen.costUsd)}</b> as much`
    : html`<b>${usd(one.costUsd)}</b>, this one nothing`;

/** What it came to, beside what the baseline would have cost. */
function Money({ of, cost }) {
  const saved = of.baselineCostUsd === null || cost === null ? null : of.baselineCostUsd - cost;
  const took = of.attempts.reduce((sum, { totalMs }) => sum + (totalMs ?? 0), 0);
  return html`<dl class="facts money">
    <${Fact} name="Cost"><b>${usd(cost)}</b><//>
    <${Fact} name=${saved !== null && saved < 0 ? 'Dearer than the baseline' : 'Saved'}>
      ${
        saved === null
          ? '–'
          : html`<b class=${saved < 0 ? 'bad' : saved > 0 ? 'good' : ''}>${usd(Math.abs(saved))}</b>${of.baselineCostUsd > 0 ? ` (${percent(Math.abs(saved) / of.baselineCostUsd, 0)})` : ''}
              <span class="muted interval">against ${usd(of.baselineCostUsd)} with ${of.baselineModel}</span>`
      }
    <//>
    <${Fact} name="Calls took">${of.attempts.length === 0 ? '–' : duration(took)}<//>
    <${Fact} name="When"><${Moment} at=${of.createdAt} /><//>
  </dl>`;
}

const Part = ({ title, children }) => html`<section class="part"><h3>${title}</h3>${children}</section>`;

const Fact = ({ name, hint, children }) => html`<div><dt title=${hint}>${name}</dt><dd>${children}</dd></div>`;

const Particulars = ({ of }) => html`<${Part} title="Particulars">
  <dl class="facts">
    <${Fact} name="Asked for">${of.requestedModel}<//>
    <${Fact} name="Team">${of.tenant}${of.project ? ` · ${of.project}` : ''}<//>
    <${Fact} name="Key">${of.key ?? '–'}<//>
    ${of.routed && html`<${Fact} name="Chance of this choice" hint="Propensity: the probability with which the policy chose it.">${percent(of.propensity)}<//>`}
    ${of.difficulty !== null && html`<${Fact} name="Difficulty" hint="In logits: 0 is a middling prompt, higher is harder for every model.">${ratio(of.difficulty)}<//>`}
    ${of.outOfDomain !== null && html`<${Fact} name="Unlike the training data" hint="0 %: like it; 100 %: unlike anything in it.">${percent(of.outOfDomain, 0)}<//>`}
    ${of.routerMs !== null && html`<${Fact} name="Router took">${duration(of.routerMs)}<//>`}
    ${of.artifact !== null && html`<${Fact} name="Router"><code title=${of.artifact}>${shortHash(of.artifact)}</code><//>`}
    ${of.policyVersion != null && html`<${Fact} name="Policy version">${of.policyVersion}<//>`}
    ${of.tags?.length > 0 && html`<${Fact} name="Tags">${of.tags.map((tag) => html`<${Pill} key=${tag}>${tag}<//> `)}<//>`}
  </dl>
<//>`;

/** The chosen one first: what the others would have cost and brought, against it. */
function Ranked({ of }) {
  const [chosen] = of.ranked;
  const chances = new Map(of.distribution.map(({ model, probability }) => [model, probability]));
  const show = usdAlike(of.ranked.map(({ costUsd }) => costUsd));
  const against = (row, text) =>
    html`<span class="muted against">${row.model === chosen.model ? 'chosen' : text}</span>`;
  return html`<${Part} title="What it was weighed against">
    <${Table}
      caption="Candidates, the chosen one first"
      rows=${of.ranked}
      keyOf=${(row) => row.model}
      columns=${[
        {
          name: 'Model',
          grow: true,
          cell: (row) =>
            html`<span class="named"><span class="ellipsis" title=${row.model}>${row === chosen ? html`<b>${row.model}</b>` : row.model}</span><${Bar} share=${row.quality} tone=${row.adequate ? 'accent' : 'faint'} mark=${of.floor} /></span>`,
        },
        {
          name: 'Predicted quality',
          number: true,
          cell: (row) =>
            html`<span title=${`± ${percent(row.qualitySd)}`}>${percent(row.quality)}</span>${against(row, points(row.quality - chosen.quality))}`,
        },
        {
          name: 'Predicted cost',
          number: true,
          cell: (row) =>
            html`<span>${show(row.costUsd)}</span>${against(row, chosen.costUsd > 0 ? times(row.costUsd / chosen.costUsd) : '')}`,
        },
        {
          name: 'Good enough',
          cell: (row) => (row.adequate ? html`<${Pill} kind="good">yes<//>` : html`<${Pill}>no<//>`),
        },
        { name: 'Chance', number: true, cell: (row) => chance(chances.get(row.model) ?? null) },
      ]}
    />
    <p class="muted small-print">As predicted when the choice was made.${of.floor > 0 ? ` The mark on each bar is what was enough, ${percent(of.floor)}.` : ''} Chance: how likely the policy was to choose it.</p>
  <//>`;
}

const chance = (share) => percent(share, share !== null && share > 0 && share < 0.01 ? 2 : 0);

const FILTERS = {
  context_too_small: 'The prompt and the answer asked for do not fit its context.',
  output_too_small: 'The answer asked for is longer than it writes.',
  no_image_input: 'It sees no images.',
  no_audio_input: 'It hears no audio.',
  no_file_input: 'It reads no files.',
  no_tools: 'It calls no tools.',
  no_structured_output: 'It cannot be held to a schema.',
  policy: 'A rule of the policy keeps it out.',
  limit: 'Too little was left of a limit for it or its provider.',
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
