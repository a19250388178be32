// Numbers with their units, and moments, as people read them. What is not known is a dash.

const NONE = '–';
const MINUS = '−';

const known = (x) => typeof x === 'number' && Number.isFinite(x);
const signOf = (x) => (x < 0 ? MINUS : '');

const plain = (digits, least = 0) =>
  new Intl.NumberFormat('en', { minimumFractionDigits: least, maximumFractionDigits: digits });
const WHOLE = plain(0);
const ONE = plain(1);
const TWO = plain(2, 2);
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** $1.24M, $12,345, $12.34, $0.0042. */
export function usd(x) {
  if (!known(x)) return NONE;
  const size = Math.abs(x);
  if (size === 0) return '$0';
  if (size >= 1e6) return `${signOf(x)}$${SHORT.format(size)}`;
  if (size >= 1000) return `${signOf(x)}$${WHOLE.format(size)}`;
  if (size >= 1) return `${signOf(x)}$${TWO.format(size)}`;
  if (size < 1e-7) return `${signOf(x)}<$0.0000001`;
  // Two digits that say something, without an exponent.
  const digits = Math.min(9, Math.max(2, 1 - Math.floor(Math.log10(size))));
  return `${signOf(x)}$${size.toFixed(digits)}`;
}

/** Amounts of one column: below a dollar all with as many decimals, so that the eye can compare them. @returns amount → text */
export function usdAlike(values) {
  const sizes = values.filter((x) => known(x) && x !== 0).map(Math.abs);
  if (sizes.length === 0 || Math.max(...sizes) >= 1) return usd;
  const digits = Math.min(7, Math.max(2, 1 - Math.floor(Math.log10(Math.min(...sizes)))));
  const least = 10 ** -digits;
  return (x) => {
    if (!known(x) || x === 0) return usd(x);
    return Math.abs(x) < least / 2
      ? `${signOf(x)}<$${least.toFixed(digits)}`
      : `${signOf(x)}$${Math.abs(x).toFixed(digits)}`;
  };
}

export const signedUsd = (x) => (known(x) && x > 0 ? `+${usd(x)}` : usd(x));

/** 1,234 · 12.3K · 4.56M */
export function count(x) {
  if (!known(x)) return NONE;
  return Math.abs(x) < 10_000 ? ONE.format(x) : SHORT.format(x);
}

export const exact = (x) => (known(x) ? WHOLE.format(x) : NONE);

/** A share of 1 in percent. */
export function percent(x, digits = 1) {
  if (!known(x)) return NONE;
  return `${signOf(Math.round(x * 10 ** (digits + 2)))}${plain(digits, digits).format(Math.abs(100 * x))} %`;
}

export const signedPercent = (x, digits = 1) => (known(x) && x > 0 ? `+${percent(x, digits)}` : percent(x, digits));

/** A difference of two shares, in points of a hundred. */
export function points(x) {
  if (!known(x)) return NONE;
  return `${x > 0 ? '+' : signOf(x)}${Math.abs(100 * x).toFixed(1)} points`;
}

/** How many times as much: 1.2 ×, 15 ×, 0.4 ×; the same is 1 ×. */
export function times(x) {
  if (!known(x)) return NONE;
  return `${Math.abs(x - 1) < 0.005 ? '1' : x >= 10 ? WHOLE.format(x) : x >= 0.1 ? x.toFixed(1) : x.toPrecision(1)} ×`;
}

/** A number in [0, 1] as it is. */
export const ratio = (x, digits = 2) => (known(x) ? `${signOf(x)}${Math.abs(x).toFixed(digits)}` : NONE);

export function duration(ms) {
  if (!known(ms)) return NONE;
  if (ms === 0) return '0 ms';
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < 3_600_000) return `${ONE.format(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${ONE.format(ms / 3_600_000)} h`;
  return `${ONE.format(ms / 86_400_000)} days`;
}

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

export const localTime = (date) => LOCAL.format(date);
export const localDay = (date) => DAY.format(date);
export const utcTime = (date) => `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });
const STEPS = [
  ['second', 1000, 60_000],
  ['minute', 60_000, 3_600_000],
  ['hour', 3_600_000, 86_400_000],
  ['day', 86_400_000, 30 * 86_400_000],
];

/** "5 min. ago", and beyond a month the day. */
export function ago(date, now = Date.now()) {
  const gone = date.getTime() - now;
  if (Math.abs(gone) < 5000) return 'just now';
  const step = STEPS.find(([, , below]) => Math.abs(gone) < below);
  return step === undefined ? localDay(date) : RELATIVE.format(Math.round(gone / step[1]), step[0]);
}

/** The first letters of a hash; the base router has none. */
export const shortHash = (hash) => (hash === null || hash === undefined ? 'base' : String(hash).slice(0, 12));
