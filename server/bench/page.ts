/** The comparison for people: tables of at most 100 columns, and the targets in plain words. */
import { cpus, totalmem } from 'node:os';
import type { Comparison, LoadId, Row } from './compare.ts';
import { JUDGED, judge, type LoadNumber, loadSpread, pairedSpread, type Spread, spreadOf } from './judge.ts';
import { PORTKEY_NOTES } from './portkey.ts';

const NAME = 24;

export function comparisonPage(result: Comparison): string {
  const { rows } = result;
  const row = (id: string) => rows.find((each) => each.id === id);
  const { repetitions, seconds, ownBuild } = result;
  const lines = [
    'Gateways side by side: one local upstream that answers at once, prompts of 500 characters',
    ...machine(),
    ...[
      `Medians of ${repetitions} round${repetitions === 1 ? '' : 's'}; a round starts each contender afresh; each load takes ${seconds} s.`,
      `Ours: key checked, decided, every answer recorded and logged; run ${ownBuild}.`,
    ].flatMap(wrapped),
    '',
    'JSON                         1 connection          32 connections          128 connections',
    'milliseconds            req/s    p50    p99    req/s    p50    p99    req/s    p50    p99',
    ...rows.map(
      (each) => name(each) + (['json-1', 'json-32', 'json-128'] as const).map((l) => triple(each, l)).join(''),
    ),
    '',
    'At 32 connections        JSON req/s (lowest … highest)  processor µs an answer   memory MB',
    '                                                                                   rest   load',
    ...rows.map(
      (each) =>
        name(each) +
        `${range(loadSpread(each, 'json-32', 'perSecond'))}`.padStart(29) +
        count(loadSpread(each, 'json-32', 'processorUs').median).padStart(25) +
        count(spreadOf(each.visits.map((v) => v.restMb)).median).padStart(11) +
        count(spreadOf(each.visits.map((v) => v.loadMb)).median).padStart(7),
    ),
    '',
    'Streams                          1 connection: ms to the first byte        streams/s',
    '                            p50      p99   added p50   added p99       1 conn.   32 conn.',
    ...rows.map((each) => name(each) + streams(each, row('direct'))),
    '',
    ...verdictLines(result),
    ...notes(result),
  ];
  return `${lines.join('\n')}\n`;
}

function machine(): string[] {
  const all = cpus();
  const model = all[0]?.model.trim() || 'unknown processor';
  const gb = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `${all.length} × ${model}, ${gb} GiB, ${process.platform}, Node ${process.version}`,
    'Load client, upstream and gateway share these cores: read the ratios, not the absolute numbers.',
  ];
}

const name = ({ name: text }: Row): string => text.padEnd(NAME).slice(0, NAME);

const triple = (row: Row, load: LoadId): string => {
  const of = (number: LoadNumber) => loadSpread(row, load, number).median;
  const width = load === 'json-1' ? 5 : 9;
  return count(of('perSecond')).padStart(width) + ms(of('p50')).padStart(7) + ms(of('p99')).padStart(7);
};

function streams(row: Row, direct: Row | undefined): string {
  const of = (load: LoadId, number: LoadNumber) => loadSpread(row, load, number).median;
  const added = (number: 'firstByteP50' | 'firstByteP99') =>
    direct === undefined || direct === row
      ? '-'
      : ms(
          pairedSpread(
            row,
            direct,
            (visit) => visit.loads['sse-1'][number],
            (a, b) => a - b,
          ).median,
        );
  return (
    ms(of('sse-1', 'firstByteP50')).padStart(7) +
    ms(of('sse-1', 'firstByteP99')).padStart(9) +
    added('firstByteP50').padStart(12) +
    added('firstByteP99').padStart(12) +
    count(of('sse-1', 'perSecond')).padStart(14) +
    count(of('sse-32', 'perSecond')).padStart(11)
  );
}

function verdictLines(result: Comparison): string[] {
  return JUDGED.flatMap((judged) => {
    const verdicts = judge(result, judged);
    if (verdicts.length === 0) return [];
    const { name: who } = result.rows.find(({ id }) => id === judged)!;
    return [
      `Targets, for "${who}" (within a round: median, lowest … highest)`,
      ...verdicts.map(({ what, target, value, met, by }) => {
        const word = met === null ? 'not measured' : met ? 'met' : `missed: ${by}`;
        return `  ${what.padEnd(38)}${target.padStart(7)}   ${found(value).padEnd(23)} ${word}`;
      }),
      '',
    ];
  });
}

const found = ({ median, low, high }: Spread): string =>
  Number.isNaN(median) ? '-' : `${median.toFixed(2)} (${low.toFixed(2)} … ${high.toFixed(2)})`;

/** Load per processor from which a measurement is spoilt. */
const BUSY = 0.3;

function notes({ rows, missing, loadBefore }: Comparison): string[] {
  const lines: string[] = [];
  if (loadBefore !== null && loadBefore > cpus().length * BUSY) {
    lines.push(
      `THE MACHINE WAS BUSY with other things before the start (load ${loadBefore.toFixed(1)} on ${cpus().length} processors): measure again when it is idle; only the processor time of an answer means something now.`,
    );
  }
  for (const { name: who, visits } of rows) {
    const complaints = new Set(visits.flatMap((visit) => visit.complaints));
    for (const complaint of complaints) lines.push(`${who}: NOT AS CLAIMED: ${complaint}`);
    const loads = visits.flatMap((visit) => Object.values(visit.loads));
    const failed = loads.reduce((sum, load) => sum + load.failed, 0);
    const first = loads.find((load) => load.firstFailure !== null)?.firstFailure;
    if (failed > 0) lines.push(`${who}: ${failed} requests failed and are not counted; the first: ${first}`);
  }
  const direct = rows.find(({ id }) => id === 'direct');
  const bare = rows.find(({ id }) => id === 'bare');
  if (direct !== undefined && bare !== undefined) {
    const headroom = pairedSpread(
      direct,
      bare,
      (v) => v.loads['json-32'].perSecond,
      (a, b) => a / b,
    ).median;
    if (headroom < 2)
      lines.push(`Upstream and load client allow only ${headroom.toFixed(1)} × the bare proxy: they limit it, too.`);
  }
  lines.push(...missing);
  if (rows.some(({ id }) => id === 'portkey')) lines.push(...PORTKEY_NOTES);
  if (rows.some(({ id }) => id === 'postgres')) {
    lines.push('With PostgreSQL the processor time and memory of the database’s own processes are not counted.');
  }
  return lines.flatMap((line) => wrapped(line));
}

/** Lines of at most 100 columns; what follows the first is set in. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replace(/\s+/g, ' ').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 98) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** `12 345`: whole numbers with thin groups. */
function count(value: number): string {
  if (Number.isNaN(value)) return '-';
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
}

const ms = (value: number): string =>
  Number.isNaN(value) ? '-' : value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);

const range = ({ median, low, high }: Spread): string => `${count(median)} (${count(low)} … ${count(high)})`;
