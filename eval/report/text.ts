/** The leader board for a terminal. */
import { type BenchmarkResult, type Evaluation, ownPoints, type RouterResult } from '../result.ts';
import { DASH, interval, percent, signedPercent, standing, usdPerThousand, whole } from './format.ts';
import {
  baselineLine,
  costLine,
  droppedLines,
  flagLines,
  rangeLine,
  readingLines,
  testLine,
  untriedLine,
} from './notes.ts';
import { isDistrusted, learnedRouters, savingsLines } from './plain-words.ts';

/** @returns lines ending in a newline, no colour */
export function textReport(e: Evaluation): string {
  const dropped = droppedLines(e);
  const untried = untriedLine(e);
  const lines = [
    `${e.dataset}${e.benchmark === null ? '' : `, benchmarks ${e.benchmark}*`}, seed ${e.seed}`,
    `  ${testLine(e)}`,
    `  ${costLine(e)}`,
    ...flagLines(e).flatMap(({ severity, message }) =>
      wrap(`${severity === 'red' ? 'WARNING' : 'note'}: ${message}`, 106).map((part) => `  ${part}`),
    ),
    `  ${baselineLine(e)}`,
    `  ${rangeLine(e)}`,
    ...(untried ? [`  ${untried}`] : []),
    ...(dropped.length > 0 ? ['  left out:', ...dropped.map((line) => `    - ${line}`)] : []),
    '',
    ...columns([HEADER, ...e.routers.map((r) => row(e, r))]),
    '',
    ...flags(e),
    ...plainWords(e),
    ...(e.routers.some((r) => r.apgr !== null) ? ['', ...pairTable(e)] : []),
    '',
    'Asked on the training part to keep a share of the baseline’s quality, on the test part it saved / kept (%):',
    ...columns([
      PROMISES,
      ...e.routers.filter((r) => r.kind !== 'hindsight' && ownPoints(r).length > 1).map(promiseRow),
    ]),
    '',
    ...(e.byBenchmark.length > 0 ? [...benchmarkTable(e), ''] : []),
    ...readingLines(e).flatMap((text) => wrap(text, 110)),
    `Intervals: 95 %, ${whole(e.bootstrap.replicates)} bootstrap resamples by ${e.bootstrap.unit}, the same for every router.`,
  ];
  return `${lines.join('\n')}\n`;
}

const HEADER = [
  'router',
  'AIQ %',
  '',
  '− zero',
  '',
  'gap %',
  '$/1k at best',
  'quality %',
  'saved 95',
  '98',
  '100 %',
  'ECE %',
  'hindsight AIQ',
];

function row(e: Evaluation, r: RouterResult): string[] {
  const below = standing(r.aiqMinusZero) === 'below' ? ' ▼' : '';
  const mark = isDistrusted(e, r.name) ? ' ▲' : below;
  return [
    r.name + (r.kind === 'hindsight' ? ' *' : '') + mark,
    percent(r.aiq.value, 2),
    interval(r.aiq, (x) => percent(x, 1)),
    signedPercent(r.aiqMinusZero.value, 2),
    interval(r.aiqMinusZero, (x) => signedPercent(x, 2)),
    percent(r.gapRecovered),
    usdPerThousand(r.best.costUsd),
    percent(r.best.quality),
    percent(r.savingsAt['95']),
    percent(r.savingsAt['98']),
    percent(r.savingsAt['100']),
    percent(r.ece),
    r.hindsightAiq === null ? DASH : `(${percent(r.hindsightAiq, 2)})`,
  ];
}

const PROMISES = ['router', '95 %', '98 %', '100 %', 'differs from zero'];

const promiseRow = (r: RouterResult): string[] => [
  r.name,
  ...(['95', '98', '100'] as const).map(
    (s) => `${percent(r.promised[s].saving.value)} / ${percent(r.promised[s].kept.value)}`,
  ),
  r.differsFromZero === null ? DASH : `${percent(r.differsFromZero, 0)} %`,
];

/** One line for each thing a reader must not miss. */
function flags(e: Evaluation): string[] {
  const learned = e.routers.filter((r) => r.kind === 'learned');
  const trusted = learned.filter((r) => !isDistrusted(e, r.name));
  const named = (s: string) => trusted.filter((r) => standing(r.aiqMinusZero) === s).map((r) => r.name);
  const lines: string[] = [];
  if (named('above').length > 0) lines.push(`better than the zero router beyond chance: ${named('above').join(', ')}`);
  if (named('unclear').length > 0) {
    lines.push(`not shown to differ from the zero router on this data: ${named('unclear').join(', ')}`);
  }
  if (trusted.length < learned.length) {
    const others = learned.filter((r) => !trusted.includes(r)).map((r) => r.name);
    lines.push(`▲ not to be trusted, see the warnings: ${others.join(', ')}`);
  }
  if (e.routers.some((r) => standing(r.aiqMinusZero) === 'below')) {
    lines.push('▼ below the zero router: a random mix of single models does better');
  }
  lines.push('* sees the outcomes; nothing can reach it. hindsight AIQ: settings chosen on the test part, optimistic');
  return lines.map((line) => `  ${line}`);
}

/** Savings of the best learned router as one would tell them. */
function plainWords(e: Evaluation): string[] {
  const [best] = learnedRouters(e);
  return best && !isDistrusted(e, best.name)
    ? ['', `${best.name}:`, ...savingsLines(e, best).map((line) => `  ${line}`)]
    : [];
}

function pairTable(e: Evaluation): string[] {
  const rows = e.routers
    .filter((r) => r.apgr !== null)
    .map((r) => [
      r.name,
      r.apgr!.toFixed(3),
      interval(r.intervals.apgr!, (x) => (x === null ? DASH : x.toFixed(3))),
      percent(r.cpt50),
      percent(r.cpt80),
    ]);
  return [
    'Two models, by RouteLLM’s definitions with both end points fixed (decile thresholds on the predicted difference):',
    ...columns([['router', 'APGR', '', 'CPT(50 %)', 'CPT(80 %)'], ...rows]),
  ];
}

function benchmarkTable(e: Evaluation): string[] {
  const names = e.routers
    .filter((r) => r.kind !== 'hindsight' && !['zero', 'random'].includes(r.name))
    .map((r) => r.name);
  const cell = (b: BenchmarkResult, name: string) =>
    signedPercent(b.routers.find((r) => r.name === name)!.aiqMinusZero.value, 2);
  return [
    'AIQ − zero (%) on each benchmark, left out of training:',
    ...columns([
      ['benchmark', 'prompts', ...names],
      ...e.byBenchmark.map((b) => [b.benchmark, whole(b.prompts), ...names.map((name) => cell(b, name))]),
    ]),
  ];
}

/** First column to the left, the others to the right. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((r) => r[c]!.length)));
  return rows.map((r) =>
    `  ${r.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')}`.trimEnd(),
  );
}

export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += (line === '' ? '' : ' ') + word;
  }
  return [...lines, line];
}
