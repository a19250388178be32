// Teams and budgets: who there is, what each may spend, and how much of it is gone.
import { call, withQuery } from '../parts/api.js';
import { FormDialog } from '../parts/dialog.js';
import { count, exact, percent, usd } from '../parts/format.js';
import { useSession } from '../parts/session.js';
import { Empty, Field, html, Loaded, Moment, Panel, Pill, Table, useData, useState } from '../parts/view.js';

export function Budgets({ place }) {
  const session = useSession();
  const [asks, setAsks] = useState(null);
  const limits = useData(withQuery('/v1/admin/limits', { team: place.query.team }), { everyMs: 15_000 });
  const teams = useData('/v1/admin/teams');
  const close = () => setAsks(null);
  const done = async () => {
    close();
    await Promise.all([limits.reload(), teams.reload()]);
  };
  const of = (kind) => (data) => data.limits.filter((limit) => limit.kind === kind);
  return html`
    <${Panel} title="Budgets" note="Set aside before each call, settled after it, over all replicas together. Near its end, from the tall mark on, auto chooses cheaper models; at it, requests are refused." aside=${html`<button type="button" class="primary" onClick=${() => setAsks({ what: 'limit', kind: 'budget', team: place.query.team })}>New budget</button>`}>
      <${Loaded} of=${limits} height=${200} empty=${(data) => of('budget')(data).length === 0 && html`<${Empty} title="No budgets: nothing bounds what is spent."><p>Begin with one for all requests together, or one for each team: <b>New budget</b>, and the team <code>*</code>.</p><//>`}>
        ${(data) => html`<ul class="rows">${of('budget')(data).map((limit) => html`<${Limit} key=${limit.id} of=${limit} onAsk=${setAsks} />`)}</ul>`}
      <//>
    <//>
    <${Panel} title="Rates" note="Requests and tokens a minute." aside=${html`<button type="button" onClick=${() => setAsks({ what: 'limit', kind: 'rate', team: place.query.team })}>New rate</button>`}>
      <${Loaded} of=${limits} height=${80} empty=${(data) => of('rate')(data).length === 0 && html`<${Empty} title="No rate limits."><p>They keep one client from crowding out the others; providers’ own limits hold without them.</p><//>`}>
        ${(data) => html`<ul class="rows">${of('rate')(data).map((limit) => html`<${Limit} key=${limit.id} of=${limit} onAsk=${setAsks} />`)}</ul>`}
      <//>
    <//>
    <${Panel} title="Teams" aside=${session.may('admin') && html`<button type="button" onClick=${() => setAsks({ what: 'team' })}>New team</button>`}>
      <${Loaded} of=${teams} height=${120} empty=${(data) => data.teams.length === 0 && html`<${Empty} title="No teams yet." />`}>
        ${(data) => html`<${Teams} rows=${data.teams} />`}
      <//>
    <//>
    ${asks?.what === 'limit' && html`<${Edit} ...${{ ...asks, session, onClose: close, onDone: done }} />`}
    ${asks?.what === 'team' && html`<${NewTeam} onClose=${close} onDone=${done} />`}
    ${
      asks?.what === 'remove' &&
      html`<${FormDialog} title=${`Remove ${asks.limit.name}?`} submit="Remove" danger onClose=${close} onSubmit=${async () => {
        await call('DELETE', `/v1/admin/limits/${encodeURIComponent(asks.limit.id)}`);
        await done();
      }}><p>Nothing bounds these requests by it any more. What was spent stays on record.</p><//>`
    }
  `;
}

const CONDITIONS = ['team', 'project', 'key', 'model', 'provider', 'tag'];

function whose(limit) {
  const named = CONDITIONS.filter((name) => limit[name] !== undefined && limit[name] !== null);
  if (named.length === 0) return 'all requests';
  return named.map((name) => (limit[name] === '*' ? `each ${name}` : `${name} ${limit[name]}`)).join(' · ');
}

const MEASURES = { usd: usd, requests: count, tokens: count };

function Limit({ of, onAsk }) {
  const isBudget = of.kind === 'budget';
  const uses = of.use ?? [];
  const isFixed = of.editable === false || of.madeBy === 'configuration';
  return html`<li class="row">
    <div class="row-head">
      <b class="ellipsis" title=${of.name}>${of.name}</b>
      <span class="muted ellipsis" title=${whose(of)}>${whose(of)}</span>
      <span class="row-when">
        ${
          isFixed
            ? html`<span class="muted" title="It is in pointsman.yaml, and changed there.">${of.madeBy === 'configuration' ? 'from the configuration' : 'made by an admin'}</span>`
            : html`<span class="actions"><button type="button" class="small" aria-label=${`Change ${of.name}`} onClick=${() => onAsk({ what: 'limit', kind: of.kind, limit: of })}>Change</button>
              <button type="button" class="small danger" aria-label=${`Remove ${of.name}`} onClick=${() => onAsk({ what: 'remove', limit: of })}>Remove</button></span>`
        }
      </span>
    </div>
    ${(of.warnings ?? []).map((warning) => html`<p class="warn" key=${warning}>It bounds nobody: ${warning}.</p>`)}
    ${
      uses.length === 0
        ? html`<p class="muted">${isBudget ? `${usd(of.usd)} a ${of.period}: nothing of it is used` : `${ratesOf(of)}: nobody came in the last one`}</p>`
        : uses.map((use, i) => html`<${Use} key=${i} of=${use} limit=${of} />`)
    }
  </li>`;
}

const ratesOf = ({ requestsPerMinute, tokensPerMinute }) =>
  [requestsPerMinute && `${exact(requestsPerMinute)} requests`, tokensPerMinute && `${exact(tokensPerMinute)} tokens`]
    .filter(Boolean)
    .join(', ') + ' a minute';

/** Less is what adding and taking away left over. */
const LEAST = 1e-9;

function Use({ of, limit }) {
  const show = MEASURES[of.measure] ?? count;
  const reserved = of.reserved ?? 0;
  const share = of.cap > 0 ? of.used / of.cap : 0;
  const held = of.cap > 0 && reserved > LEAST ? reserved / of.cap : 0;
  const isBudget = limit.kind === 'budget';
  const tone = share + held >= 1 ? 'bad' : isBudget && share >= limit.softShare ? 'warn' : 'accent';
  const left = Math.max(0, of.cap - of.used - reserved);
  const state = { bad: isBudget ? 'refuses' : 'full', warn: 'auto chooses cheaper' }[tone];
  const subject = of.subject ?? (limit.kind === 'rate' ? of.measure : null);
  return html`<div class=${subject === null ? 'use' : 'use named-use'}>
    ${subject !== null && html`<span class="use-subject ellipsis" title=${subject}>${subject}</span>`}
    <${Meter} share=${share} held=${held} tone=${tone} soft=${isBudget ? limit.softShare : 0} marks=${isBudget ? (limit.notifyAt ?? []).map((p) => p / 100) : []} label=${`${show(of.used)} of ${show(of.cap)} used${held > 0 ? `, ${show(reserved)} set aside` : ''}`} />
    <span class="use-text">
      <span><b>${show(of.used)}</b> of ${show(of.cap)} <span class=${tone === 'accent' ? 'muted' : tone}>${percent(share, 0)}</span>${held > 0 && html` + <span class="use-held" title="For requests and batches under way: what is not used of it comes back.">${show(reserved)} set aside (${percent(held, 0)})</span>`}${state && html` <${Pill} kind=${tone}>${state}<//>`}</span>
      <span class="muted">${left > 0 ? `${show(left)} left` : held > 0 ? 'the rest is set aside' : 'used up'}${isBudget && of.endsAt ? html`; starts again <${Moment} at=${of.endsAt} relative />` : ''}</span>
    </span>
  </div>`;
}

/** A bar, lighter where it is only set aside, with marks where something happens: a tall one where auto begins to save, short ones where the webhook is told. */
const Meter = ({
  share,
  held,
  tone,
  soft,
  marks,
  label,
}) => html`<span class=${`meter ${tone}`} role="img" aria-label=${label}>
  <span class="meter-fill" style=${{ width: `${Math.min(1, share) * 100}%` }}></span>
  ${held > 0 && share < 1 && html`<span class="meter-held" style=${{ left: `${share * 100}%`, width: `${Math.min(1 - share, held) * 100}%` }}></span>`}
  ${marks.filter((mark) => mark > 0 && mark < 1 && mark !== soft).map((mark, i) => html`<i key=${i} style=${{ left: `${mark * 100}%` }} title=${`${percent(mark, 0)}: the webhook is told`}></i>`)}
  ${soft > 0 && soft < 1 && html`<i class="soft" style=${{ left: `${soft * 100}%` }} title=${`${percent(soft, 0)}: auto chooses cheaper`}></i>`}
</span>`;

function Edit({ kind, limit, team, session, onClose, onDone }) {
  const isNew = limit === undefined;
  const isBudget = kind === 'budget';
  const send = async (fields) => {
    const number = (name) => (fields[name] === '' || fields[name] === undefined ? undefined : Number(fields[name]));
    const terms = isBudget
      ? {
          usd: number('usd'),
          period: fields.period,
          softShare: number('soft') / 100,
          notifyAt: fields.notify
            .split(/[\s,%]+/)
            .filter((one) => one !== '')
            .map(Number),
        }
      : { requestsPerMinute: number('requests'), tokensPerMinute: number('tokens') };
    const named = Object.fromEntries(CONDITIONS.map((name) => [name, fields[name]?.trim() || undefined]));
    const allowed = fields.unknown === 'ok' ? { allowUnknown: true } : {};
    if (isNew)
      await call('POST', '/v1/admin/limits', { kind, name: fields.name.trim(), ...named, ...terms, ...allowed });
    else
      await call('PATCH', `/v1/admin/limits/${encodeURIComponent(limit.id)}`, { name: fields.name.trim(), ...terms });
    await onDone();
  };
  return html`<${FormDialog} title=${isNew ? (isBudget ? 'New budget' : 'New rate') : `Change ${limit.name}`} submit=${isNew ? 'Make it' : 'Save'} onClose=${onClose} onSubmit=${send}>
    <${Field} label="Name"><input name="name" required maxlength="200" defaultValue=${limit?.name ?? ''} autocomplete="off" /><//>
    ${
      isBudget
        ? html`<div class="two">
              <${Field} label="USD"><input name="usd" type="number" min="0.000001" step="any" required defaultValue=${limit?.usd ?? ''} /><//>
              <${Field} label="Each"><select name="period"><option value="month" selected=${limit?.period !== 'day'}>month (UTC)</option><option value="day" selected=${limit?.period === 'day'}>day (UTC)</option></select><//>
            </div>
            <div class="two">
              <${Field} label="Soft from, %" hint="From here on auto chooses cheaper models; named ones stay."><input name="soft" type="number" min="1" max="100" required defaultValue=${limit === undefined ? 80 : Math.round(limit.softShare * 100)} /><//>
              <${Field} label="Tell the webhook at, %"><input name="notify" defaultValue=${(limit?.notifyAt ?? [50, 80, 100]).join(', ')} inputmode="numeric" /><//>
            </div>`
        : html`<div class="two">
            <${Field} label="Requests a minute"><input name="requests" type="number" min="1" step="1" defaultValue=${limit?.requestsPerMinute ?? ''} /><//>
            <${Field} label="Tokens a minute"><input name="tokens" type="number" min="1" step="1" defaultValue=${limit?.tokensPerMinute ?? ''} /><//>
          </div>`
    }
    ${
      isNew
        ? html`<fieldset><legend>For requests of</legend>
            <p class="hint">All of what is named must be true; nothing named: all requests together. <code>*</code> counts each team or key by itself.</p>
            <div class="two">
              ${session.may('admin') && html`<${Field} label="Team"><input name="team" defaultValue=${team ?? ''} autocomplete="off" placeholder="any" /><//>`}
              <${Field} label="Project"><input name="project" autocomplete="off" placeholder="any" /><//>
              <${Field} label="Key"><input name="key" autocomplete="off" placeholder="any" /><//>
              <${Field} label="Model"><input name="model" autocomplete="off" placeholder="any" spellcheck="false" /><//>
              <${Field} label="Tag"><input name="tag" autocomplete="off" placeholder="any" /><//>
            </div>
            <${Field} label="Where nobody is called so"><select name="unknown"><option value="">do not make it: most likely a slip</option><option value="ok">make it: they are to come</option></select><//>
          </fieldset>`
        : html`<p class="muted">For ${whose(limit)}.</p>`
    }
  <//>`;
}

const Teams = ({ rows }) => html`<${Table}
  caption="Teams"
  rows=${rows}
  keyOf=${(row) => row.name}
  columns=${[
    {
      name: 'Team',
      grow: true,
      cell: (row) =>
        html`<span class="two-lines"><b class="ellipsis" title=${row.name}>${row.name}</b>${row.description && html`<span class="muted ellipsis" title=${row.description}>${row.description}</span>`}</span>`,
    },
    {
      name: 'Projects',
      cell: (row) =>
        html`<span class="ellipsis short" title=${row.projects.join(', ')}>${row.projects.length === 0 ? '–' : row.projects.join(', ')}</span>`,
    },
    {
      name: 'Explores',
      cell: (row) =>
        html`<span title="Whether auto now and then tries another model, to learn how it does. A team’s own choice.">${row.settings?.exploration ? 'yes' : 'no'}</span>`,
    },
    {
      name: 'Made',
      cell: (row) =>
        row.createdAt === null
          ? html`<span class="muted">configuration</span>`
          : html`<${Moment} at=${row.createdAt} relative />`,
    },
    {
      name: 'State',
      cell: (row) => (row.archivedAt === null ? html`<${Pill} kind="good">active<//>` : html`<${Pill}>archived<//>`),
    },
  ]}
/>`;

const NewTeam = ({
  onClose,
  onDone,
}) => html`<${FormDialog} title="New team" submit="Make it" onClose=${onClose} onSubmit=${async ({
  name,
  description,
}) => {
  await call('POST', '/v1/admin/teams', {
    name: name.trim(),
    ...(description.trim() && { description: description.trim() }),
  });
  await onDone();
}}>
  <${Field} label="Name"><input name="name" required maxlength="100" autocomplete="off" /><//>
  <${Field} label="Description"><input name="description" maxlength="1000" autocomplete="off" /><//>
<//>`;
