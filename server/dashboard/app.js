// The page: who has signed in, which section is looked at, and what is around all of them.

import { call, events } from './parts/api.js';
import { change, hrefOf, periodOf, placeOf, RANGES } from './parts/place.js';
import { Session, sessionOf } from './parts/session.js';
import { themes } from './parts/time-chart.js';
import { Empty, Failure, html, Segments, useData, useEffect, useRef, useState } from './parts/view.js';
import { Audit } from './sections/audit.js';
import { Budgets } from './sections/budgets.js';
import { Decisions } from './sections/decisions.js';
import { Health } from './sections/health.js';
import { Keys } from './sections/keys.js';
import { Learning } from './sections/learning.js';
import { Observe } from './sections/observe.js';
import { Overview } from './sections/overview.js';
import { Quality } from './sections/quality.js';
import { SignIn } from './sections/sign-in.js';
import { TradeOff } from './sections/trade-off.js';
import { render } from './vendor/preact.js';

/** Of a section: where it is, who may see it (any of the scopes), and whether the period above is about it. */
const SECTIONS = [
  { id: 'overview', name: 'Overview', group: 'Usage', scopes: ['usage', 'manage', 'admin'], timed: true, of: Overview },
  {
    id: 'health',
    name: 'Models & health',
    group: 'Usage',
    scopes: ['usage', 'manage', 'admin'],
    timed: true,
    of: Health,
  },
  { id: 'quality', name: 'Quality', group: 'Usage', scopes: ['usage', 'manage', 'admin'], timed: true, of: Quality },
  {
    id: 'decisions',
    name: 'Decisions',
    group: 'Usage',
    scopes: ['usage', 'manage', 'admin'],
    timed: true,
    of: Decisions,
  },
  {
    id: 'trade-off',
    name: 'Cost and quality',
    group: 'Router',
    scopes: ['usage', 'manage', 'admin'],
    timed: false,
    of: TradeOff,
  },
  {
    id: 'observe',
    name: 'Observe mode',
    group: 'Router',
    scopes: ['usage', 'manage', 'admin'],
    timed: true,
    of: Observe,
  },
  { id: 'learning', name: 'Learning', group: 'Router', scopes: ['learn'], timed: false, of: Learning },
  { id: 'keys', name: 'Keys', group: 'Control', scopes: ['manage', 'admin'], timed: false, of: Keys },
  { id: 'budgets', name: 'Teams & budgets', group: 'Control', scopes: ['manage', 'admin'], timed: false, of: Budgets },
  { id: 'audit', name: 'Audit log', group: 'Control', scopes: ['manage', 'admin'], timed: false, of: Audit },
];

function App() {
  // undefined: not asked yet; null: nobody.
  const [me, setMe] = useState(undefined);
  const [error, setError] = useState(null);
  const [isReached, setReached] = useState(true);

  const ask = async () => {
    setError(null);
    try {
      setMe(await call('GET', '/v1/me'));
    } catch (caught) {
      if (caught.status === 401) setMe(null);
      else setError(caught);
    }
  };
  useEffect(() => {
    const out = () => setMe((old) => (old === undefined ? old : null));
    const reach = ({ detail }) => setReached(detail);
    events.addEventListener('signed-out', out);
    events.addEventListener('signed-in', ask);
    events.addEventListener('reach', reach);
    ask();
    return () => {
      events.removeEventListener('signed-out', out);
      events.removeEventListener('signed-in', ask);
      events.removeEventListener('reach', reach);
    };
  }, []);

  if (error !== null)
    return html`<main class="plain-page"><h1>Pointsman</h1><${Failure} error=${error} retry=${ask} /></main>`;
  if (me === undefined)
    return html`<main class="plain-page" aria-busy="true"><span class="visually-hidden">Loading</span></main>`;
  if (me === null) return html`<${SignIn} onSignedIn=${ask} />`;
  return html`<${Session.Provider} value=${sessionOf(me)}>
    <${Shell} session=${sessionOf(me)} isReached=${isReached} onSignedOut=${() => setMe(null)} />
  <//>`;
}

/** Follows the address. */
function usePlace() {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const follow = () => setPlace(placeOf(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return place;
}

function Shell({ session, isReached, onSignedOut }) {
  const place = usePlace();
  const allowed = SECTIONS.filter(({ scopes }) => session.may(...scopes));
  const asked = place.path[0];
  const section = allowed.find(({ id }) => id === asked) ?? (asked === undefined ? allowed[0] : undefined);
  const heading = useRef(null);
  const isFirst = useRef(true);

  useEffect(() => {
    document.title = section === undefined ? 'Pointsman' : `${section.name} · Pointsman`;
    // Whoever reads by ear hears where the link has led; on arrival the page's own title does that.
    if (!isFirst.current) heading.current?.focus({ preventScroll: true });
    if (!isFirst.current) scrollTo(0, 0);
    isFirst.current = false;
  }, [section?.id]);

  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      heading.current?.focus();
    }}>Skip to the content</a>
    <div class="shell">
      <${Side} ...${{ session, allowed, place, current: section?.id, onSignedOut }} />
      <main id="main">
        ${!isReached && html`<div class="notice warn" role="alert"><p>The gateway cannot be reached. What is shown is what it said last.</p></div>`}
        <header class="page-head">
          <h1 ref=${heading} tabindex="-1">${section?.name ?? 'Not here'}</h1>
          ${section?.timed && html`<${Period} place=${place} session=${session} />`}
          ${section !== undefined && !section.timed && session.may('admin') && TEAMED.has(section.id) && html`<div class="controls"><${TeamChoice} place=${place} /></div>`}
        </header>
        ${
          section === undefined
            ? html`<${Empty} title=${whyNot(asked, allowed)}>${allowed.length > 0 && html`<p><a href=${hrefOf(place, allowed[0].id)}>To the overview</a></p>`}<//>`
            : html`<${section.of} key=${section.id} place=${place} period=${periodOf(place.query)} />`
        }
      </main>
    </div>
  `;
}

/** Sections without a period whose rows are of teams. */
const TEAMED = new Set(['trade-off', 'keys', 'budgets', 'audit']);

function whyNot(asked, allowed) {
  if (allowed.length === 0) return 'This key may call models, and see nothing here: it needs the scope “usage”.';
  const known = SECTIONS.find(({ id }) => id === asked);
  return known === undefined
    ? 'There is no such page.'
    : `“${known.name}” needs the scope ${known.scopes.join(' or ')}, which you do not have.`;
}

function Side({ session, allowed, place, current, onSignedOut }) {
  const groups = [...new Set(allowed.map(({ group }) => group))];
  const nav = useRef(null);
  useEffect(() => {
    // Where there is little room the sections are a row that scrolls: the one that is looked at is in sight.
    const link = nav.current.querySelector('[aria-current]');
    if (link) nav.current.scrollLeft = link.offsetLeft - (nav.current.clientWidth - link.clientWidth) / 2;
  }, [current]);
  return html`<header class="side">
    <a class="brand" href=${hrefOf(place, allowed[0]?.id ?? '')}><span class="mark" aria-hidden="true"></span>Pointsman</a>
    <nav aria-label="Sections" ref=${nav}>
      ${groups.map(
        (group) => html`<div class="nav-group" key=${group}>
          <p class="nav-title" id=${`nav-${group}`}>${group}</p>
          <ul aria-labelledby=${`nav-${group}`}>
            ${allowed
              .filter((one) => one.group === group)
              .map(
                ({ id, name }) =>
                  html`<li key=${id}><a href=${hrefOf(place, id)} aria-current=${id === current ? 'page' : undefined}>${name}</a></li>`,
              )}
          </ul>
        </div>`,
      )}
    </nav>
    <div class="side-foot">
      <${Theme} />
      <${Me} session=${session} onSignedOut=${onSignedOut} />
    </div>
  </header>`;
}

function Me({ session, onSignedOut }) {
  const { kind, name, role, team } = session;
  const signOut = async () => {
    await call('POST', '/auth/logout').catch(() => {});
    onSignedOut();
  };
  const isOpen = kind === 'anybody' || kind === 'operator';
  return html`<div class="me">
    <p class="me-name" title=${isOpen ? '' : (name ?? '')}>${isOpen ? 'Open to anybody' : (name ?? 'Nameless')}</p>
    <p class="muted ellipsis" title=${team ?? ''}>${isOpen ? 'No keys are asked for' : `${role} · ${team ?? 'all teams'}`}</p>
    ${!isOpen && html`<button type="button" class="small" onClick=${signOut}>Sign out</button>`}
  </div>`;
}

const THEMES = [
  { id: 'auto', icon: '\u25d0', word: 'Auto' },
  { id: 'light', icon: '\u2600\ufe0e', word: 'Light' },
  { id: 'dark', icon: '\u263e\ufe0e', word: 'Dark' },
].map(({ id, icon, word }) => ({
  id,
  name: html`<span class="theme-icon" aria-hidden="true">${icon}</span><span class="theme-name">${word}</span>`,
}));

function Theme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? 'auto');
  const choose = (id) => {
    setTheme(id);
    if (id === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = id;
    try {
      localStorage.setItem('pointsman.theme', id);
    } catch {
      // It holds for this visit.
    }
    themes.dispatchEvent(new Event('change'));
  };
  return html`<${Segments} label="Theme" options=${THEMES} value=${theme} onChange=${choose} />`;
}

function Period({ place, session }) {
  const { range = '7d', from = '', to = '' } = place.query;
  const day = (name, label, value) =>
    html`<label class="inline"><span>${label}</span><input
        type="date"
        value=${value}
        onChange=${(event) => change(place, { range: 'custom', [name]: event.target.value })}
    /></label>`;
  return html`<div class="controls">
    <${Segments} label="Period" options=${RANGES} value=${range} onChange=${(id) => change(place, { range: id })} />
    ${range === 'custom' && html`${day('from', 'From', from)} ${day('to', 'To', to)}`}
    ${session.may('admin') && html`<${TeamChoice} place=${place} />`}
  </div>`;
}

function TeamChoice({ place }) {
  const { data } = useData('/v1/usage/breakdown?by=team&limit=100');
  const { team = '' } = place.query;
  const names = (data?.rows ?? []).map(({ group }) => group).filter((name) => name !== null);
  if (team !== '' && !names.includes(team)) names.push(team);
  return html`<label class="inline"><span>Team</span>
    <select value=${team} onChange=${(event) => change(place, { team: event.target.value })}>
      <option value="" selected=${team === ''}>All</option>
      ${names.sort().map((name) => html`<option key=${name} value=${name} selected=${name === team}>${name}</option>`)}
    </select>
  </label>`;
}

render(html`<${App} />`, document.getElementById('app'));
