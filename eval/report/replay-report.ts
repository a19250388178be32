/** A replay for people and programs: text for a terminal, one HTML file with the curves, JSON. */

import { RoutingError } from '../../datasets/index.ts';
import { eventLabel } from '../replay/events.ts';
import type { Estimate, ReplayResult, ReplayRow } from '../replay/result.ts';
import { decimals, interval, percent, signedPercent, usdPerThousand } from './format.ts';
import { htmlPage } from './html-page.ts';
import { htmlTable, small } from './html-table.ts';
import { type Curve, replayChart } from './replay-chart.ts';
import { facts, reading, sentences, signed, warnings } from './replay-words.ts';
import { escapeHtml } from './svg.ts';

/** @throws `INTERNAL` naming the field that is NaN or infinite */
export function replayJson(result: ReplayResult): string {
  const text = JSON.stringify(
    result,
    (key, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new RoutingError('INTERNAL', `replay: ${key} is ${value}; please report this`);
      }
      return value;
    },
    2,
  );
  return `${text}\n`;
}

export function replayText(r: ReplayResult): string {
  return [
    `Replay of ${r.dataset}`,
    ...facts(r).map((line) => `  ${line}`),
    ...warnings(r).map((line) => `  ! ${line}`),
    '',
    'How it learned (means per window; [middle 95 % of the seeds])',
    ...columns([
      ['decisions', 'quality, %', '', '$/1k', 'utility', '', 'regret', 'explored', 'most asked'],
      ...r.windows.map((w) => [
        `${w.from}-${w.to}`,
        percent(w.quality.value),
        interval(w.quality, (x) => percent(x)),
        usdPerThousand(w.costUsd.value),
        decimals(w.utility.value, 3),
        interval(w.utility, (x) => decimals(x, 3)),
        decimals(w.regret.value, 3),
        `${percent(w.explored)} %`,
        mostAsked(w.traffic),
      ]),
    ]),
    '',
    `In the end, over all decisions ([95 %], bootstrap over groups and seeds)`,
    ...columns([
      ['', 'quality, %', '', '$/1k paid', 'utility', '− best fixed', '', '− blind mix, %', '', 'saved, %'],
      ...r.rows.map((row) => [
        name(row),
        percent(row.quality.value),
        interval(row.quality, (x) => percent(x)),
        usdPerThousand(row.costUsd.value),
        decimals(row.utility.value, 3),
        signed(row.minusBestFixed.value),
        interval(row.minusBestFixed, signed),
        signedPercent(row.minusBlindMix.value),
        interval(row.minusBlindMix, (x) => signedPercent(x)),
        percent(row.saved.value),
      ]),
    ]),
    '',
    ...sentences(r).map((line) => `  ${line}`),
    ...(r.sessions ? ['', 'Conversations, by what the router does about the cache', ...columns(sessionRows(r))] : []),
    '',
    ...reading(r).map((line) => `  ${line}`),
  ]
    .map((line) => line.trimEnd())
    .join('\n');
}

const EVENT_STYLE = `
.event { stroke: var(--warn); stroke-dasharray: 4 3; }
.outage { fill: var(--warn); opacity: .14; }
.band { fill: var(--c); opacity: .16; stroke: none; }
svg .mark-text { fill: var(--warn); font-size: 11px; }
`;

export function replayHtml(r: ReplayResult): string {
  const title = `Replay of ${r.dataset}`;
  const last = r.regret.at(-1)!;
  const learning: Curve[] = [
    { name: 'utility', points: r.windows.map((w) => ({ x: (w.from + w.to) / 2, ...w.utility })) },
    { name: 'quality', points: r.windows.map((w) => ({ x: (w.from + w.to) / 2, ...w.quality })) },
  ];
  const cost: Curve[] = [
    {
      name: 'router',
      points: r.windows.map((w) => ({ x: (w.from + w.to) / 2, ...scaled(w.costUsd, 1000) })),
    },
  ];
  const regret: Curve[] = (['oracle', 'bestFixed', 'bestSingle', 'cheapest'] as const).map((key) => ({
    name: { oracle: 'oracle', bestFixed: 'best fixed', bestSingle: 'best single', cheapest: 'cheapest' }[key],
    points: [{ x: 0, value: 0, low: 0, high: 0 }, ...r.regret.map((p) => ({ x: p.at, ...p[key] }))],
  }));
  const pictures: [string, string, Curve[], string, string][] = [
    ['learning', 'Quality and utility', learning, 'mean per window', 'Bands: the middle 95 % of the seeds.'],
    ['cost', 'Cost', cost, 'USD per 1 000 prompts', 'Calls, routing, audits and judges.'],
    [
      'regret',
      'Cumulative regret',
      regret,
      'utility lost so far',
      'Against the best choice of each moment (oracle), and against always the same model. Below 0 the router is ahead.',
    ],
  ];
  return htmlPage(
    title,
    `<p class="verdict">${escapeHtml(sentences(r)[0]!)}</p>
<ul class="facts">${items(facts(r))}</ul>
${warnings(r)
  .map((line) => `<p class="warning"><strong>Warning:</strong> ${escapeHtml(line)}.</p>`)
  .join('')}
${pictures
  .map(
    ([id, heading, curves, unit, caption]) => `<h2>${heading}</h2>
<figure>
<div class="wide">${replayChart(curves, r, { width: 860, height: 320 }, `${id}-wide`, unit)}</div>
<div class="narrow">${replayChart(curves, r, { width: 380, height: 300 }, `${id}-narrow`, unit)}</div>
<figcaption>${caption}${r.events.length > 0 ? ` Marked: ${escapeHtml(r.events.map((e, k) => `${k + 1}: ${eventLabel(e)}`).join('; '))}.` : ''}</figcaption>
</figure>`,
  )
  .join('\n')}
<p>At the end: ${decimals(last.oracle.value, 1)} behind the oracle, ${decimals(last.bestFixed.value, 1)} behind the best fixed model (below 0: ahead).</p>
<h2>In the end</h2>
${htmlTable(
  'comparison',
  [
    '',
    'quality, %',
    '$/1k paid',
    'of it calls',
    'utility',
    '− best fixed',
    '− blind mix, %',
    'saved, %',
    'before overhead, %',
    'failed calls, %',
  ],
  r.rows.map((row) => [
    escapeHtml(name(row)),
    `${percent(row.quality.value)} ${small(interval(row.quality, (x) => percent(x)))}`,
    usdPerThousand(row.costUsd.value),
    usdPerThousand(row.callsUsd.value),
    `${decimals(row.utility.value, 3)} ${small(interval(row.utility, (x) => decimals(x, 3)))}`,
    `${signed(row.minusBestFixed.value)} ${small(interval(row.minusBestFixed, signed))}`,
    `${signedPercent(row.minusBlindMix.value)} ${small(interval(row.minusBlindMix, (x) => signedPercent(x)))}`,
    `${percent(row.saved.value)} ${small(interval(row.saved, (x) => percent(x)))}`,
    percent(row.savedBeforeOverhead.value),
    percent(row.failures),
  ]),
  (k) => (r.rows[k]!.kind === 'router' ? 'learned' : ''),
)}
<ul>${items(sentences(r).slice(1))}</ul>
${
  r.sessions
    ? `<h2>Conversations</h2>${htmlTable(
        'conversations',
        sessionRows(r)[0]!,
        sessionRows(r)
          .slice(1)
          .map((row) => row.map(escapeHtml)),
      )}`
    : ''
}
<h2>Windows</h2>
${htmlTable(
  'windows',
  ['decisions', 'quality, %', '$/1k', 'utility', 'regret', 'explored, %', 'most asked'],
  r.windows.map((w) => [
    `${w.from}–${w.to}`,
    `${percent(w.quality.value)} ${small(interval(w.quality, (x) => percent(x)))}`,
    usdPerThousand(w.costUsd.value),
    `${decimals(w.utility.value, 3)} ${small(interval(w.utility, (x) => decimals(x, 3)))}`,
    `${decimals(w.regret.value, 3)} ${small(interval(w.regret, (x) => decimals(x, 3)))}`,
    percent(w.explored),
    escapeHtml(mostAsked(w.traffic)),
  ]),
)}
${reading(r)
  .map((line) => `<p>${escapeHtml(line)}</p>`)
  .join('\n')}`,
    { styles: EVENT_STYLE },
  );
}

function sessionRows(r: ReplayResult): string[][] {
  const names = { none: 'ignored', priced: 'counted in the price', pinned: 'first model kept' };
  return [
    ['cache', 'quality, %', '$/1k', '', 'of it for switching', 'utility', 'turns switched, %'],
    ...r.sessions!.rows.map((row) => [
      `${names[row.stickiness]}${row.stickiness === r.sessions!.stickiness ? ' (above)' : ''}`,
      percent(row.quality.value),
      usdPerThousand(row.costUsd.value),
      interval(row.costUsd, usdPerThousand),
      usdPerThousand(row.switchUsd.value),
      decimals(row.utility.value, 3),
      percent(row.switched.value),
    ]),
  ];
}

const name = (row: ReplayRow): string =>
  `${row.name}${row.kind === 'hindsight' ? ' *' : ''}${row.kind === 'fixed' ? `: ${row.models}` : ''}`;

const mostAsked = (traffic: Readonly<Record<string, number>>): string =>
  Object.entries(traffic)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, 2)
    .map(([model, share]) => `${model.slice(model.lastIndexOf('/') + 1)} ${percent(share, 0)} %`)
    .join(', ');

const scaled = ({ value, low, high }: Estimate, by: number): Estimate => {
  const times = (x: number | null) => (x === null ? null : by * x);
  return { value: times(value), low: times(low), high: times(high) };
};
const items = (lines: readonly string[]): string => lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('');

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  const last = rows[0]!.length - 1;
  return rows.map(
    (row) =>
      `  ${row.map((cell, c) => (c === 0 || (c === last && /[a-z]/.test(rows[1]?.[c] ?? '')) ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')}`,
  );
}
