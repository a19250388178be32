/** Cells and JSON values as numbers. What is not a number is refused, never guessed. */
import { RoutingError } from '../errors.ts';
import type { ImportOptions } from './options.ts';

/** Where a value stands, for messages: `file:line`. Called only when something is wrong. */
export type Where = () => string;

export interface ReadNumbers {
  readonly scale?: ImportOptions['scale'];
  /** True where `0,5` is a half: in files whose columns are parted by semicolons. */
  readonly decimalComma?: boolean;
}

export const refused = (where: Where, field: string, why: string): RoutingError =>
  new RoutingError('INVALID_ROW', `${where()}: field ${field}: ${why}`);

const YES = new Set(['true', 'yes', 'pass', 'passed', 'correct', 'success', 't', 'y']);
const NO = new Set(['false', 'no', 'fail', 'failed', 'incorrect', 'wrong', 'failure', 'f', 'n']);

export const isAbsent = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'string' && value.trim() === '');

/** A quality in [0, 1] and the score it was read from; undefined where there is none. @throws `INVALID_ROW` */
export function readQuality(
  value: unknown,
  where: Where,
  field: string,
  options: ReadNumbers,
): { quality: number; raw?: number } | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value === 'boolean') return { quality: value ? 1 : 0 };
  if (typeof value === 'string') {
    const word = value.trim().toLowerCase();
    if (YES.has(word)) return { quality: 1 };
    if (NO.has(word)) return { quality: 0 };
    const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(word);
    if (share !== null && options.scale === undefined) return within(Number(share[1]) / 100, where, field, options);
  }
  return within(numberOf(value, where, field, options), where, field, options);
}

function within(score: number, where: Where, field: string, { scale }: ReadNumbers): { quality: number; raw?: number } {
  const [low, high] = scale ?? [0, 1];
  if (score < low || score > high) {
    const hint = scale === undefined ? '; give the range of the scores, e.g. --scale 1..5' : '';
    throw refused(where, field, `${score} is outside ${low}..${high}${hint}`);
  }
  return scale === undefined ? { quality: score } : { quality: (score - low) / (high - low), raw: score };
}

/** A number from 0 on, or nothing. @throws `INVALID_ROW` */
export function readAmount(value: unknown, where: Where, field: string, options: ReadNumbers): number | undefined {
  if (isAbsent(value)) return undefined;
  const amount = numberOf(typeof value === 'string' ? value.replace(/^\s*\$/, '') : value, where, field, options);
  if (amount < 0) throw refused(where, field, `${amount} is below 0`);
  return amount;
}

function numberOf(value: unknown, where: Where, field: string, { decimalComma }: ReadNumbers): number {
  const text = typeof value === 'string' ? value.trim() : undefined;
  const point = decimalComma && text !== undefined ? text.replace(/^(-?\d+),(\d+)$/, '$1.$2') : text;
  // `Number` also reads 0x10 and the like, which nobody means.
  const number =
    typeof value === 'number'
      ? value
      : /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(point ?? '')
        ? Number(point)
        : Number.NaN;
  if (Number.isFinite(number)) return number;
  const shown = JSON.stringify(value) ?? String(value);
  throw refused(
    where,
    field,
    `${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown} is not a number; leave it empty where a model was not asked`,
  );
}
