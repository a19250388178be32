// Where in the page one is: the part of the address after #, so that what is looked at can be sent to others.

/** `#/decisions/ID?range=7d` → `{ path: ['decisions', 'ID'], query: { range: '7d' } }` */
export function placeOf(hash) {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').filter((part) => part !== '');
  return { path: parts.map(decoded), query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Somebody may have typed it. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function hashOf({ path, query }) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

/** What of the query belongs to the whole page and is kept from section to section. */
const SHARED = ['range', 'from', 'to', 'team'];

export const hrefOf = (place, ...path) =>
  hashOf({ path, query: Object.fromEntries(SHARED.map((name) => [name, place.query[name]])) });

/** The same section with other settings. */
export function change(place, query, { replace = false } = {}) {
  const hash = hashOf({ path: place.path, query: { ...place.query, ...query } });
  if (hash === location.hash) return;
  if (!replace) location.hash = hash;
  else {
    history.replaceState(null, '', hash);
    dispatchEvent(new HashChangeEvent('hashchange'));
  }
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const RANGES = [
  { id: '24h', name: '24 h', ms: DAY_MS },
  { id: '7d', name: '7 days', ms: 7 * DAY_MS },
  { id: '30d', name: '30 days', ms: 30 * DAY_MS },
  { id: 'custom', name: 'Custom', ms: 30 * DAY_MS },
];

/**
 * The period that is looked at, as `/v1/usage/…` is asked for it. It ends with the hour that runs, so that pages
 * asked a minute apart ask the same.
 */
export function periodOf({ range = '7d', from, to, team }, now = Date.now()) {
  const { ms, id } = RANGES.find((one) => one.id === range) ?? RANGES[1];
  const end = Math.ceil(now / HOUR_MS) * HOUR_MS;
  // Days are those of UTC, as they are counted; the first one is whole.
  const back = ms > DAY_MS ? Math.floor((end - ms) / DAY_MS + 1) * DAY_MS : end - ms;
  const start = id === 'custom' ? (dayOf(from) ?? back) : back;
  // Whoever names a day as the last means all of it.
  const stop = id === 'custom' ? Math.min((dayOf(to) ?? end - DAY_MS) + DAY_MS, end) : end;
  const step = stop - start <= 3 * DAY_MS ? 'hour' : 'day';
  const ends = Math.max(stop, start + HOUR_MS);
  return { id, step, query: { from: new Date(start).toISOString(), to: new Date(ends).toISOString(), team } };
}

/** Midnight in UTC of YYYY-MM-DD. */
function dayOf(text) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text ?? '')) return undefined;
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(at) ? undefined : at;
}
