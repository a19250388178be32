/** A report in words, for people who have never seen one. */
import { interval, percent, signedPercent, usd, whole } from '../../eval/report/format.ts';
import { shortened } from '../terminal.ts';
import { ENOUGH, type Estimate, type ObservedFigures, type SavedFigures } from './savings.ts';
import type { Group, Percentiles, UsageReport } from './summary.ts';

/** Rows of a table before the rest is counted. */
const MOST_ROWS = 10;

/**
 * @param place where the log lies, for the first line
 * @param room characters of a line of a table, where it has names that are too long for it; undefined: any number
 */
export function reportText(report: UsageReport, place: string, room?: number): string {
  const { requests } = report;
  if (requests.total === 0) return nothingYet(place);
  return [
    [`Requests in ${place}, ${day(report.from)} to ${day(report.to)}${report.limited ? ', the newest ones' : ''}`],
    totals(report),
    table('by model', 'calls', report.by.model, room),
    ...(report.by.provider.length > 1 ? [table('by provider', 'calls', report.by.provider, room)] : []),
    ...(report.by.tenant.length > 1 ? [table('by tenant', 'requests', report.by.tenant, room)] : []),
    ...(report.by.surface.length > 1 ? [table('by API', 'requests', report.by.surface, room)] : []),
    saved(report.auto),
    observed(report.observed, requests.named),
  ]
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

const nothingYet = (place: string): string =>
  [
    `No requests in ${place}${place.endsWith('.') ? '' : '.'}`,
    '',
    'Start the gateway with "pointsman start", send it some requests, and run this again;',
    'name another data folder with --data-dir, or a longer time with --since.',
  ].join('\n');

function totals({ requests, calls, spend, tokens, latencyMs, firstByteMs }: UsageReport): string[] {
  const notes = [
    requests.routed > 0 && `${whole(requests.routed)} routed (auto)`,
    requests.named > 0 && `${whole(requests.named)} for a model that the client named`,
    requests.cached > 0 && `${whole(requests.cached)} answered from the cache`,
    requests.fellBack > 0 && `${whole(requests.fellBack)} answered by a fall-back`,
    requests.escalated > 0 && `${whole(requests.escalated)} gone up to another model after a check`,
    requests.unanswered > 0 && `${whole(requests.unanswered)} without an answer`,
    requests.sandbox > 0 && `${whole(requests.sandbox)} answered by the sandbox, which calls nobody`,
  ].filter((note) => note !== false);
  const unpriced = calls.unpriced === 0 ? '' : `; ${whole(calls.unpriced)} calls have no known price and count as 0`;
  return [
    `requests    ${whole(requests.total)}: ${notes.join(', ')}`,
    `calls       ${whole(calls.total)}, of which ${whole(calls.failed)} failed`,
    `spent       ${usd(spend.usd)}, of which ${usd(spend.withoutAnswerUsd)} for calls whose answer nobody got${unpriced}`,
    ...(requests.cached > 0
      ? [
          `from cache  ${whole(requests.cached)} answers, which had cost ${usd(spend.cacheSavedUsd)} when they were made`,
        ]
      : []),
    ...(requests.audited > 0
      ? [`audits      ${usd(spend.auditUsd)} of it for a judge’s look at ${whole(requests.audited)} answers`]
      : []),
    `tokens      ${whole(tokens.input)} in (${whole(tokens.cachedInput)} from caches), ${whole(tokens.output)} out` +
      (tokens.reasoning > 0 ? ` (${whole(tokens.reasoning)} of them reasoning)` : ''),
    `answered    ${times(latencyMs)}`,
    `first byte  ${times(firstByteMs)}`,
  ];
}

const times = ({ n, p50, p99 }: Percentiles): string =>
  n === 0 ? 'nothing yet' : `half within ${ms(p50!)}, 99 % within ${ms(p99!)}`;

const ms = (x: number): string => (x < 10_000 ? `${Math.round(x)} ms` : `${(x / 1000).toFixed(1)} s`);

/** @param room characters of a line; undefined: any number */
function table(title: string, unit: string, groups: readonly Group[], room: number | undefined): string[] {
  const shown = groups.slice(0, MOST_ROWS);
  const lines = [
    [unit, 'failed', 'USD', 'tokens in', 'tokens out'],
    ...shown.map((g) => [g.count, g.failed, usd(g.costUsd), g.inputTokens, g.outputTokens].map(shownAs)),
  ];
  const widths = lines[0]!.map((_, k) => GAP + Math.max(...lines.map((line) => line[k]!.length)));
  const longest = Math.max(title.length, ...shown.map(({ name }) => name.length));
  const beside = widths.reduce((a, b) => a + b);
  const width = room === undefined ? longest : Math.min(longest, Math.max(LEAST_WIDTH, room - beside));
  const rest = groups.length - shown.length;
  return [
    ...[title, ...shown.map(({ name }) => name)].map(
      (name, i) =>
        shortened(name, width).padEnd(width) + lines[i]!.map((cell, k) => cell.padStart(widths[k]!)).join(''),
    ),
    ...(rest > 0 ? [`and ${rest} more (--json has all)`] : []),
  ];
}

const shownAs = (cell: number | string): string => (typeof cell === 'string' ? cell : whole(cell));

/** Between columns. */
const GAP = 3;
/** Of names, however narrow the terminal. */
const LEAST_WIDTH = 24;

function saved(figures: SavedFigures): string[] {
  const { requests, baselines, paidUsd, auditUsd, baselineUsd, savedUsd, savedShare, unpriced } = figures;
  const title = 'What auto saved';
  const left = unpriced === 0 ? [] : [`  ${whole(unpriced)} routed requests are left out: no price is known for them.`];
  if (requests === 0)
    return [title, '  No routed answers of real models yet: send "model": "auto" to have them.', ...left];
  const audits = auditUsd === 0 ? '' : ` (${usd(auditUsd)} of it audits)`;
  const facts = `  ${whole(requests)} routed requests cost ${usd(paidUsd)}${audits}; always calling ${baselines.join(' or ') || 'the baseline'} would have cost ${usd(baselineUsd)}.`;
  if (savedUsd === null || savedShare === null) return [title, facts, notEnough(requests), ...left];
  return [
    title,
    facts,
    `  ${verdict(savedUsd, savedShare)}`,
    '  Failed calls and those whose answer failed its check are counted as paid. A stream’s baseline is priced at',
    '  the tokens expected of the answer.',
    ...left,
  ];
}

function verdict(savedUsd: Estimate, share: Estimate): string {
  const sum = `${usd(Math.abs(savedUsd.value))} (${signedPercent(share.value)} %, 95 % interval ${interval(share, (x) => `${signedPercent(x)} %`)})`;
  const kind = savedUsd.value >= 0 ? `Saved ${sum}` : `Paid ${sum} more than the baseline`;
  const isSure = share.low !== null && share.high !== null && (share.low > 0 || share.high < 0);
  return isSure ? `${kind}.` : `${kind}: within what chance explains.`;
}

function observed(figures: ObservedFigures, named: number): string[] {
  const { requests, unknown, paidUsd, otherShare, autoUsd, savedShare, qualityDifference } = figures;
  const title = 'What auto would have saved (observe mode)';
  if (requests === 0) {
    const how = 'set "observe: {share: 1}" in pointsman.yaml to have it decided in the shadow; nothing is rerouted.';
    return [title, named === 0 ? '  No requests with a concrete model id.' : `  Nothing was observed: ${how}`];
  }
  const known = requests - unknown;
  const left =
    unknown === 0
      ? []
      : [`  ${whole(unknown)} more cannot be estimated: their model is no candidate here, or has no known price.`];
  const facts = `  ${whole(known)} observed requests cost ${usd(paidUsd)} with the models that clients named.`;
  if (known < ENOUGH) return [title, facts, notEnough(known), ...left];
  const range = (e: Estimate, show: (x: number | null) => string) =>
    `${show(e.value)} (95 % interval ${interval(e, show)})`;
  const points = (x: number | null) => `${signedPercent(x)} points`;
  return [
    title,
    facts,
    ...(autoUsd && savedShare
      ? [
          `  With auto: about ${usd(autoUsd.value)}, a saving of ${range(savedShare, (x) => `${percent(x)} %`)}${savedShare.value < 0 ? ', so a loss' : ''}.`,
        ]
      : ['  What auto would have cost cannot be told: the named models are predicted to cost nothing.']),
    ...(otherShare
      ? [`  It would have called another model on ${range(otherShare, (x) => `${percent(x)} %`)} of them.`]
      : []),
    ...(qualityDifference
      ? [`  Predicted chance of a good answer: ${range(qualityDifference, points)} with auto.`]
      : []),
    '  An estimate: what was paid, scaled by the predicted cost of both models (predicted tokens at list price).',
    '  Quality is the router’s own prediction; only routed requests with feedback can prove it.',
    ...left,
  ];
}

const notEnough = (n: number): string =>
  `  Not enough data to say more: ${n} of the ${ENOUGH} requests that an interval needs.`;

const day = (iso: string | null): string => iso!.slice(0, 16).replace('T', ' ');
