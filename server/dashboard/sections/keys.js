// Keys: who may call, what each may do; made, rotated and revoked. A secret is shown once and kept nowhere here.
import { call, events, withQuery } from '../parts/api.js';
import { Dialog, FormDialog } from '../parts/dialog.js';
import { exact } from '../parts/format.js';
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

const ROLES = {
  member: 'member: calls models, gives feedback, sees its team’s usage',
  'read-only': 'read-only: sees its team’s usage',
  manager: 'manager: also makes keys and budgets of its team',
  admin: 'admin: everything, of all teams',
};
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
  const [wanted, setWanted] = useState('');
  const keys = useData(withQuery('/v1/admin/keys', { team: place.query.team }));
  const close = () => setAsks(null);
  const isOpen = session.kind === 'anybody';
  const isFirst = isOpen && keys.data !== null && !keys.data.keys.some(({ state }) => state === 'active');
  const revealed = async ({ key, secret: text }) => {
    close();
    setSecret({ key, text });
    // From the first key on everybody is asked for one. Whoever has just made it goes on with it; and asking for the list
    // waits until it was copied, since a refusal would end in the form to sign in, and the key would be gone.
    if (isOpen) await call('POST', '/auth/key', { key: text }).catch(() => {});
    else await keys.reload();
  };
  const copied = async () => {
    setSecret(null);
    if (!isOpen) return;
    events.dispatchEvent(new Event('signed-in'));
    await keys.reload();
  };
  const isWanted = ({ name, team, project, prefix }) =>
    [name, team, project, prefix].some((text) => text?.toLowerCase().includes(wanted.trim().toLowerCase()));
  const aside = html`${
    (keys.data?.keys.length ?? 0) > 8 &&
    html`<label class="inline"><span>Find</span><input type="search" value=${wanted} placeholder="name, team, prefix" spellcheck="false" onInput=${(event) => setWanted(event.target.value)} /></label>`
  }
    <${Segments} label="Keys shown" options=${SHOWN} value=${shown} onChange=${setShown} />
    <button type="button" class="primary" onClick=${() => setAsks({ what: 'create' })}>New key</button>`;
  return html`
    ${isOpen && html`<div class="notice warn"><p><b>Nobody is asked for a key:</b> whoever reaches this address may do everything. From the first key on, everybody is asked for one; so the first is an admin’s, and yours.</p></div>`}
    <${Panel} title="Client keys" note="What is kept is a keyed hash: a key is shown when it is made, and after that told by its first characters." aside=${aside}>
      <${Loaded} of=${keys} height=${240} empty=${(data) => data.keys.length === 0 && html`<${Empty} title="No keys yet."><p>Make one for each client: it says whose requests are whose, and what they may cost.</p><//>`}>
        ${(data) => html`<${List} rows=${data.keys.filter((key) => (shown === 'all' || key.state === 'active') && isWanted(key))} isAll=${shown === 'all' && wanted.trim() === ''} onAsk=${setAsks} />`}
      <//>
    <//>
    ${asks?.what === 'create' && html`<${Create} ...${{ session, isFirst, team: place.query.team, onClose: close, onDone: revealed }} />`}
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
    ${secret !== null && html`<${Secret} of=${secret} onClose=${copied} />`}
  `;
}

/** More are found by name: a page of thousands of buttons helps nobody. */
const MOST = 200;

function List({ rows, isAll, onAsk }) {
  if (rows.length === 0) {
    return html`<${Empty} title="No key like that.">${!isAll && html`<p>There are others: look for another name, or among all.</p>`}<//>`;
  }
  return html`<${Rows} rows=${rows.slice(0, MOST)} onAsk=${onAsk} />
    ${rows.length > MOST && html`<p class="muted">The first ${exact(MOST)} of ${exact(rows.length)}; the others are found by name.</p>`}`;
}

const Rows = ({ rows, onAsk }) => html`<${Table}
  caption="Client keys"
  rows=${rows}
  keyOf=${(row) => row.id}
  columns=${[
    {
      name: 'Name',
      grow: true,
      cell: (row) =>
        html`<span class="two-lines"><b class="ellipsis" title=${row.name}>${row.name}</b><span class="muted ellipsis"><code>${row.prefix}…</code> · ${row.role}</span></span>`,
    },
    {
      name: 'Team',
      cell: (row) =>
        html`<span class="two-lines"><span class="ellipsis short" title=${row.team}>${row.team}</span>${row.project && html`<span class="muted ellipsis short" title=${row.project}>${row.project}</span>`}</span>`,
    },
    {
      name: 'Models',
      cell: (row) =>
        html`<span class="ellipsis short" title=${row.models?.join(', ') ?? ''}>${row.models?.join(', ') ?? 'all'}</span>`,
    },
    {
      name: 'State',
      cell: (row) =>
        row.replacedBy && row.state === 'active'
          ? html`<${Pill} kind="warn">being replaced<//>`
          : html`<${Pill} kind=${STATES[row.state] ?? 'plain'}>${row.state}<//>`,
    },
    {
      name: 'Last used',
      cell: (row) =>
        html`<span class="two-lines"><${Moment} at=${row.lastUsedAt} relative />${row.expiresAt && html`<span class="muted">${row.state === 'expired' ? 'expired' : 'expires'} <${Moment} at=${row.expiresAt} relative /></span>`}</span>`,
    },
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

function Create({ session, isFirst, team, onClose, onDone }) {
  const isAdmin = session.may('admin');
  const send = async ({ name, team: whose, project, role, models = '', expires }) => {
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
  const roles = Object.entries(ROLES).filter(([role]) => (isFirst ? role === 'admin' : isAdmin || role !== 'admin'));
  return html`<${FormDialog} title=${isFirst ? 'The first key: yours' : 'New key'} submit="Make it" onClose=${onClose} onSubmit=${send}>
    ${isFirst && html`<p>An admin’s, without an end: once it is made everybody is asked for a key, and you go on here with this one.</p>`}
    <${Field} label="Name" hint="What records and this page call it."><input name="name" required maxlength="100" autocomplete="off" defaultValue=${isFirst ? 'me' : ''} /><//>
    <div class="two">
      ${isAdmin && html`<${Field} label="Team"><input name="team" defaultValue=${team ?? ''} maxlength="100" placeholder="default" autocomplete="off" /><//>`}
      <${Field} label="Project"><input name="project" maxlength="100" placeholder="none" autocomplete="off" /><//>
    </div>
    <${Field} label="Role"><select name="role">${roles.map(([role, text]) => html`<option key=${role} value=${role}>${text}</option>`)}</select><//>
    ${
      !isFirst &&
      html`<${Field} label="Models" hint="Patterns such as openai/*, with spaces between; empty: all."><input name="models" autocomplete="off" spellcheck="false" placeholder="all" /><//>
        <${Field} label="Expires" hint="At the end of that day, your time; empty: never."><input name="expires" type="date" /><//>`
    }
  <//>`;
}

const Secret = ({ of, onClose }) => html`<${Dialog} title="The new key" onClose=${onClose}>
  <div class="stack">
    <p>Copy the key of <b>${of.key.name}</b> now. It is shown this once, and nobody can read it again.</p>
    <p class="muted">A client sends it as its API key: <code>authorization: Bearer …</code></p>
    <${Copyable} text=${of.text} block />
    <footer class="dialog-foot"><button type="button" class="primary" onClick=${onClose}>I have it</button></footer>
  </div>
<//>`;
