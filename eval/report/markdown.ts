/** The report as Markdown, for a pull request or a wiki: what the HTML says first, without pictures. */
import type { Estimate, Evaluation } from '../result.ts';
import { interval, percent, signedPercent, standing, usdPerThousand, whole } from './format.ts';
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
import { isDistrusted, knobsLines, learnedRouters, promiseLine, savingsLines } from './plain-words.ts';
import { verdict } from './verdict.ts';

/** @returns Markdown ending in a newline; tables in GitHub's form */
export function markdownReport(e: Evaluation, card?: string): string {
  const untried = untriedLine(e);
  const dropped = droppedLines(e);
  const blocks = [
    `# Routers on ${text(e.dataset)}${e.benchmark === null ? '' : ` (${text(e.benchmark)}*)`}`,
    text(verdict(e)),
    ...flagLines(e).map(
      ({ severity, message }) => `> **${severity === 'red' ? '🟥 Warning' : 'Note'}:** ${text(message)}.`,
    ),
    bullets([
      testLine(e),
      costLine(e),
      baselineLine(e),
      rangeLine(e),
      ...(untried ? [untried] : []),
      ...dropped.map((line) => `left out: ${line}`),
    ]),
    ...(card === undefined ? [] : [`\`\`\`\n${card.replaceAll('```', '')}\n\`\`\``]),
    ...savings(e),
    '## Leader board',
    leaderBoard(e),
    ...readingLines(e).map(text),
    `Intervals: 95 %, ${whole(e.bootstrap.replicates)} bootstrap resamples by ${e.bootstrap.unit}. \\* sees the outcomes.`,
    ...slicesOf(e),
    ...sensitivity(e),
    `Task \`${e.taskHash.slice(0, 16)}\`, seed ${e.seed}: results are comparable under the same task only.`,
  ];
  return `${blocks.join('\n\n')}\n`;
}

function savings(e: Evaluation): string[] {
  const routers = learnedRouters(e);
  if (routers.length === 0) return [];
  return [
    '## What it saves',
    ...routers.map((r) => {
      const [knobs] = r.operatingPoint ? knobsLines(r.operatingPoint) : [];
      const lines = bullets([...savingsLines(e, r), promiseLine(e, r)]);
      return `**${text(r.name)}**${isDistrusted(e, r.name) ? ' 🟥 not to be trusted' : ''}\n\n${lines}${knobs === undefined ? '' : `\n- in \`pointsman.yaml\`: \`${knobs}\``}`;
    }),
  ];
}

function leaderBoard(e: Evaluation): string {
  const both = (x: Estimate, show: (v: number | null) => string) => `${show(x.value)} ${interval(x, show)}`.trim();
  return table(
    [
      'router',
      'AIQ, %',
      '− zero, points',
      'gap, %',
      '$/1k at best',
      'quality, %',
      'saved at 95 / 98 / 100 %',
      'ECE, %',
    ],
    e.routers.map((r) => [
      `${text(r.name)}${r.kind === 'hindsight' ? ' \\*' : ''}${isDistrusted(e, r.name) ? ' 🟥' : standing(r.aiqMinusZero) === 'below' ? ' ▼' : ''}`,
      both(r.aiq, (v) => percent(v, 2)),
      both(r.aiqMinusZero, (v) => signedPercent(v, 2)),
      percent(r.gapRecovered),
      usdPerThousand(r.best.costUsd),
      percent(r.best.quality),
      [r.savingsAt['95'], r.savingsAt['98'], r.savingsAt['100']].map((v) => percent(v)).join(' / '),
      percent(r.ece),
    ]),
  );
}

function slicesOf(e: Evaluation): string[] {
  const [r] = learnedRouters(e);
  const slices = [
    ...(r?.operatingPoint?.byBenchmark ?? []).map((s) => ({ kind: 'benchmark', ...s })),
    ...(r?.operatingPoint?.byLanguage ?? []).map((s) => ({ kind: 'language', ...s })),
  ];
  if (!r || slices.length === 0) return [];
  return [
    `## ${text(r.name)} at 98 % of the baseline’s quality`,
    table(
      ['kind', 'slice', 'prompts', 'quality, %', 'baseline’s, %', 'difference, points', 'cost, % of the baseline’s'],
      slices.map((s) => [
        s.kind,
        text(s.name),
        whole(s.prompts),
        percent(s.quality),
        percent(s.baselineQuality),
        `${signedPercent(s.qualityChange.value)} ${interval(s.qualityChange, (v) => signedPercent(v))}`,
        `${percent(s.costShare.value)} ${interval(s.costShare, (v) => percent(v))}`,
      ]),
    ),
  ];
}

function sensitivity(e: Evaluation): string[] {
  if (e.sensitivity.length === 0) return [];
  const names = e.sensitivity[0]!.leads.map(({ router }) => text(router));
  return [
    '## The lead under other analyses',
    table(
      ['analysis', ...names],
      e.sensitivity.map(({ analysis, leads }) => [
        analysis,
        ...leads.map(({ lead }) => `${signedPercent(lead.value, 2)} ${interval(lead, (v) => signedPercent(v, 2))}`),
      ]),
    ),
  ];
}

const bullets = (lines: readonly string[]): string => lines.map((line) => `- ${text(line)}`).join('\n');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map((_, c) => (c === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)].join('\n');
}

/** Names from data must not become markup. */
const text = (raw: string): string => raw.replace(/[\\`*_<>[\]]/g, (c) => `\\${c}`).replaceAll('\n', ' ');
