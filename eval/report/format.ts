/** Numbers as people read them: percent, USD, intervals; a dash where a figure is not defined. */
import type { Estimate } from '../result.ts';

export const DASH = '–';

/** 0.1234 → "12.34" with two digits. Never "-0.00". */
export function percent(x: number | null, digits = 1): string {
  if (x === null) return DASH;
  const text = (100 * x).toFixed(digits);
  return (Number(text) === 0 ? (0).toFixed(digits) : text).replace('-', '−');
}

/** The same with a plus sign. */
export function signedPercent(x: number | null, digits = 1): string {
  const text = percent(x, digits);
  return x !== null && Number((100 * x).toFixed(digits)) > 0 ? `+${text}` : text;
}

/** A plain number with so many decimals. Never "-0.0000". */
export function decimals(x: number | null, digits = 4): string {
  if (x === null) return DASH;
  const text = x.toFixed(digits);
  return (Number(text) === 0 ? (0).toFixed(digits) : text).replace('-', '−');
}

export const interval = ({ low, high }: Pick<Estimate, 'low' | 'high'>, show: (x: number | null) => string): string =>
  low === null && high === null ? '' : `[${show(low)}, ${show(high)}]`;

/** USD with three significant digits and no exponent. */
export function usd(x: number | null): string {
  if (x === null) return DASH;
  if (x === 0) return '$0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))));
  return `$${x.toFixed(Math.min(12, digits))}`;
}

/** USD per 1 000 prompts, from USD per prompt. */
export const usdPerThousand = (x: number | null): string => usd(x === null ? null : 1000 * x);

export const whole = (n: number): string => n.toLocaleString('en-US').replaceAll(',', ' ');

/** At most `count` names, then how many more. */
export function list(names: readonly string[], count = 4): string {
  const more = names.length - count;
  return more > 1 ? `${names.slice(0, count).join(', ')} and ${more} more` : names.join(', ');
}

/** How a router stands against the zero router. */
export type Standing = 'above' | 'unclear' | 'below' | 'same' | 'none';

/**
 * `above` or `below` where the whole interval lies on one side; `same` where both are one and the same.
 */
export function standing({ value, low, high }: Estimate): Standing {
  if (value === null || low === null || high === null) return 'none';
  // Rounding of sums moves a router that is the zero router by less than this.
  if (Math.max(Math.abs(value), Math.abs(low), Math.abs(high)) < 1e-9) return 'same';
  return low > 0 ? 'above' : high < 0 ? 'below' : 'unclear';
}
