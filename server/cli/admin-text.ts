/** What `keys`, `teams`, `budgets` and `audit` share in reading and printing: tables, moments, lengths of time. */
import { InvalidArgumentError } from 'commander';

/**
 * Columns side by side, a heading over each. One of ids goes where the terminal is too narrow for it: names do in their place,
 * and `--json` has them.
 * @param room characters of a line; undefined: any number, as for a file
 */
export function tableOf(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  room: number | undefined = process.stdout.columns,
): string {
  const lines = [heads, ...rows.map((row) => row.map(plain))];
  const widths = heads.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const width = widths.reduce((sum, one) => sum + one + GAP, -GAP);
  if (room !== undefined && width > room && heads.at(-1) === 'ID') {
    return tableOf(
      heads.slice(0, -1),
      rows.map((row) => row.slice(0, -1)),
      room,
    );
  }
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
    .join('\n');
}

const GAP = 2;

/** Nothing that a terminal would act upon. */
export const plain = (text: string): string => text.replace(/\p{Cc}/gu, '?');

/** `2026-11-29 19:35` of UTC, or a dash. */
export const momentOf = (iso: string | null | undefined): string => iso?.slice(0, 16).replace('T', ' ') ?? '-';

const MINUTES: Readonly<Record<string, number>> = { s: 1 / 60, m: 1, h: 60, d: 1440, w: 10_080 };

/** `45s`, `30m`, `24h`, `90d`, `2w` in minutes; none at all is `0`, too. */
export function minutes(text: string): number {
  if (text === '0') return 0;
  const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('give a length of time like 30m, 24h, 90d or 2w.');
  return Number(count) * MINUTES[unit!]!;
}

/** `90d` from now, or a day or moment: `2026-12-31`, `2026-12-31T12:00:00Z`. */
export function whenEnding(text: string): string {
  if (/^\d{1,6}[smhdw]$/.test(text)) return new Date(Date.now() + minutes(text) * 60_000).toISOString();
  const moment = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(moment.getTime())) {
    throw new InvalidArgumentError('give a length of time (90d, 24h) or a day (2026-12-31).');
  }
  return moment.toISOString();
}

/** Collects an option that may be given several times, or once with commas. */
export const list = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== ''),
];

/** What was given, without what was not. */
export const given = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

/** In single quotes where a shell would read more into it. */
export const quoted = (text: string): string =>
  /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
