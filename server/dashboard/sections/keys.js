// Keys: who may call, what each may do; made, rotated and revoked. A secret is shown once and kept nowhere here.
import { call, withQuery } from '../parts/api.js';
import { Dialog, FormDialog } from '../parts/dialog.js';
import { useSession } from '../parts/session.js';
import {
  Copyable,
  Empty,
  Field,
  html,
  Loaded,
  Moment,
  Panel,
  Pill,
  Segments,
  Table,
  useData,
  useState,
} from '../parts/view.js';

const ROLES = ['member', 'read-only', 'manager', 'admin'];
const STATES = { active: 'good', expired: 'plain', revoked: 'bad', archived: 'plain' };
const SHOWN = [
  { id: 'active', name: 'Active' },
  { id: 'all', name: 'All' },
];

export function Keys({ place }) {
  const session = useSession();
  const [asks, setAsks] = useState(null);
  const [secret, setSecret] = useState(null);
  const [shown, setShown] = useState('active');
  const keys = useData(withQuery('/v1/admin/keys', { team: place.query.team }));
  const close = () => setAsks(null);
  const revealed = async ({ key, secret: text }) => {
    close();
    setSecret({ key, text });
    await keys.reload();
  };
  const aside = html`<${Segments} label="Keys shown" options=${SHOWN} value=${shown} onChange=${setShown} />
    <button type="button" class="primary" onClick=${() => setAsks({ what: 'create' })}>New key</button>`;
  return html`
    <${Panel} title="Client keys" note="Kept as a keyed hash: the key itself is nowhere, and is told by its first characters." aside=${aside}>
      <${Loaded} of=${keys} height=${240} empty=${(data) => data.keys.length === 0 && html`<${Empty} title="No keys yet."><p>Make one for each client: it says whose requests are whose, and what they may cost.</p><//>`}>
        ${(data) => html`<${List} rows=${data.keys.filter(({ state }) => shown === 'all' || state === 'active')} onAsk=${setAsks} />`}
      <//>
    <//>
    ${asks?.what === 'create' && html`<${Create} ...${{ session, team: place.query.team, onClose: close, onDone: revealed }} />`}
    ${
      asks?.what === 'rotate' &&
      html`<${FormDialog} title=${`Rotate ${asks.key.name}?`} submit="Make a new key" onClose=${close} onSubmit=${async ({
        hours,
      }) =>
        revealed(
          await call('POST', `/v1/admin/keys/${encodeURIComponent(asks.key.id)}/rotate`, {
            overlapMinutes: Math.round(Number(hours) * 60),
          }),
        )}>
        <p>A new key takes its place, with the same name, team and limits. The old one goes on working for a while, so that nothing stops.</p>
        <${Field} label="Hours that the old key goes on working"><input name="hours" type="number" min="0" max="2160" step="0.5" defaultValue="24" required /><//>
      <//>`
    }
    ${
      asks?.what === 'revoke' &&
      html`<${FormDialog} title=${`Revoke ${asks.key.name}?`} submit="Revoke" danger onClose=${close} onSubmit=${async () => {
        await call('DELETE', `/v1/admin/keys/${encodeURIComponent(asks.key.id)}`);
        close();
        await keys.reload();
      }}>
        <p>Whoever calls with <code>${asks.key.prefix}…</code> is refused from now on, on every replica within two seconds. This cannot be undone.</p>
      <//>`
    }
    ${secret !== null && html`<${Secret} of=${secret} onClose=${() => setSecret(null)} />`}
  `;
}

const List = ({ rows, onAsk }) => html`<${Table}
  caption="Client keys"
  rows=${rows}
  keyOf=${(row) => row.id}
  columns=${[
    {
      name: 'Name',
      grow: true,
      cell: (row) =>
        html`<span class="two-lines"><b class="ellipsis" title=${row.name}>${row.name}</b><code class="muted">${row.prefix}…</code></span>`,
    },
    {
      name: 'Team',
      cell: (row) =>
        html`<span class="two-lines"><span class="ellipsis short" title=${row.team}>${row.team}</span>${row.project && html`<span class="muted ellipsis short" title=${row.project}>${row.project}</span>`}</span>`,
    },
    { name: 'Role', cell: (row) => row.role },
    {
      name: 'Models',
      cell: (row) =>
        html`<span class="ellipsis short" title=${row.models?.join(', ') ?? ''}>${row.models?.join(', ') ?? 'all'}</span>`,
    },
    {
      name: 'State',
      cell: (row) =>
        html`<${Pill} kind=${STATES[row.state] ?? 'plain'}>${row.replacedBy && row.state === 'active' ? 'being replaced' : row.state}<//>`,
    },
    { name: 'Last used', cell: (row) => html`<${Moment} at=${row.lastUsedAt} relative />` },
    { name: 'Expires', cell: (row) => html`<${Moment} at=${row.expiresAt} relative />` },
    {
      name: 'Actions',
      hidden: true,
      cell: (row) =>
        row.state === 'active' &&
        html`<span class="actions">
          ${!row.replacedBy && html`<button type="button" class="small" aria-label=${`Rotate ${row.name}`} onClick=${() => onAsk({ what: 'rotate', key: row })}>Rotate</button>`}
          <button type="button" class="small danger" aria-label=${`Revoke ${row.name}`} onClick=${() => onAsk({ what: 'revoke', key: row })}>Revoke</button>
        </span>`,
    },
  ]}
/>`;

function Create({ session, team, onClose, onDone }) {
  const isAdmin = session.may('admin');
  const send = async ({ name, team: whose, project, role, models, expires }) => {
    const patterns = models.split(/[\s,]+/).filter((one) => one !== '');
    await onDone(
      await call('POST', '/v1/admin/keys', {
        name: name.trim(),
        role,
        ...(whose?.trim() && { team: whose.trim() }),
        ...(project.trim() && { project: project.trim() }),
        ...(patterns.length > 0 && { models: patterns }),
        ...(expires && { expiresAt: new Date(`${expires}T23:59:59`).toISOString() }),
      }),
    );
  };
  return html`<${FormDialog} title="New key" submit="Make it" onClose=${onClose} onSubmit=${send}>
    <${Field} label="Name" hint="What records and this page call it."><input name="name" required maxlength="100" autocomplete="off" /><//>
    <div class="two">
      ${isAdmin && html`<${Field} label="Team"><input name="team" defaultValue=${team ?? ''} maxlength="100" placeholder="default" autocomplete="off" /><//>`}
      <${Field} label="Project"><input name="project" maxlength="100" placeholder="none" autocomplete="off" /><//>
    </div>
    <div class="two">
      <${Field} label="Role"><select name="role">${ROLES.filter((role) => isAdmin || role !== 'admin').map((role) => html`<option key=${role} value=${role}>${role}</option>`)}</select><//>
      <${Field} label="Expires"><input name="expires" type="date" /><//>
    </div>
    <${Field} label="Models" hint="Patterns such as openai/*, with spaces between; empty: all."><input name="models" autocomplete="off" spellcheck="false" /><//>
  <//>`;
}

const Secret = ({ of, onClose }) => html`<${Dialog} title="The new key" onClose=${onClose}>
  <div class="stack">
    <p>Copy the key of <b>${of.key.name}</b> now. It is shown this once, and nobody can read it again.</p>
    <${Copyable} text=${of.text} block />
    <footer class="dialog-foot"><button type="button" class="primary" onClick=${onClose}>I have it</button></footer>
  </div>
<//>`;
