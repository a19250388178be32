/** Verdicts for people: what was learned, old against new, and what to do next. */

import { andHints, counted } from '../counted.ts';
import type { HistoryReport, RollbackReport } from './admin.ts';
import type { Comparison, Estimate } from './gate.ts';
import { type LeftOut, WHY_LEFT_OUT } from './learnable.ts';
import type { Promotion } from './promotions.ts';
import type { RetrainReport } from './retrain.ts';

const MODELS_SHOWN = 12;
const SLICES_SHOWN = 12;
/** Of the column of models: most ids fit. */
const LEAST_WIDTH = 44;

export function verdictText(report: RetrainReport): string {
  const { outcome, comparison, leftOut } = report;
  const lines = [
    '',
    `  Learned from ${counted(report.samples, 'judged answer')}${andHints(report.hints ?? 0)} in ${counted(report.sessions, 'session')} (${report.unseen} new to the router in force)`,
  ];
  for (const [reason, why] of Object.entries(WHY_LEFT_OUT)) {
    const count = leftOut[reason as LeftOut];
    if (count > 0) lines.push(`  ${count} left out: ${why}`);
  }
  if (report.contradicting.length > 0) {
    lines.push(`  Verdicts of ${report.contradicting.join(', ')} run against everybody else’s: they count a twentieth`);
  }
  if (report.limited) lines.push('  The log holds more; the newest were read');
  if (report.models.length > 0) {
    const shown = report.models.slice(0, MODELS_SHOWN);
    const width = Math.max(...shown.map(({ model }) => model.length), LEAST_WIDTH);
    lines.push('', `  ${'model'.padEnd(width)} answers  quality`);
    for (const { model, samples, quality } of shown) {
      lines.push(`  ${model.padEnd(width)} ${String(samples).padStart(7)}  ${percent(quality).padStart(7)}`);
    }
    if (report.models.length > MODELS_SHOWN) lines.push(`  … and ${report.models.length - MODELS_SHOWN} more`);
  }
  if (comparison !== null) lines.push('', ...comparisonLines(comparison), ...gateLines(report));
  lines.push('', `  ${HEADLINES[outcome]}`, ...report.reasons.map((reason) => `    ${reason}`));
  if (outcome === 'promoted') {
    lines.push(
      '',
      `  ${report.incumbent.slice(0, 12)} → ${report.artifact!.slice(0, 12)}. A running gateway takes it up by itself.`,
    );
    lines.push('  To undo it: pointsman retrain --rollback');
  }
  if (outcome === 'on-trial') {
    lines.push(
      '',
      `  ${report.artifact!.slice(0, 12)} decides for a part of the requests. To end it: pointsman retrain --rollback`,
    );
  }
  return [...lines, ''].join('\n');
}

const HEADLINES: Record<RetrainReport['outcome'], string> = {
  promoted: 'PROMOTED',
  refused: 'NOT PROMOTED',
  'on-trial': 'ON TRIAL',
  'would-promote': 'WOULD BE PROMOTED (dry run)',
  'would-try': 'WOULD BE PUT ON TRIAL (dry run)',
  'would-refuse': 'WOULD NOT BE PROMOTED (dry run)',
};

function comparisonLines(c: Comparison): string[] {
  const row = (name: string, old: string, fresh: string, note = '') =>
    `  ${name.padEnd(34)} ${old.padStart(10)} ${fresh.padStart(10)}  ${note}`.trimEnd();
  const lines = [
    `  On ${counted(c.rows, 'judged answer')} (${counted(c.groups, 'session')}), each forecast by heads that never saw its session; seeded, 95 % intervals`,
    '',
    row('', 'in force', 'new'),
    row('log loss of the forecasts', c.logLossOld.toFixed(3), c.logLossNew.toFixed(3), interval(c.logLoss, 3)),
    row('Brier score', c.brierOld.toFixed(3), c.brierNew.toFixed(3)),
    row(`mean forecast (observed ${percent(c.observed)})`, percent(c.forecastOld), percent(c.forecastNew)),
    row(
      'calibration error',
      plain(c.calibration.old, 3),
      plain(c.calibration.fresh, 3),
      interval(c.calibration.difference, 3),
    ),
  ];
  if (c.costForecast !== null) {
    const { realisedUsd, forecastOldUsd, forecastNewUsd, calls } = c.costForecast;
    const times = (usd: number) => `${(usd / realisedUsd).toFixed(2)} x`;
    lines.push(row('cost forecast / realised', times(forecastOldUsd), times(forecastNewUsd), `${calls} calls`));
  }
  const { value } = c;
  if (value === null) return lines;
  const snips = (s: { value: number; ess: number } | null) => (s === null ? 'none' : percent(s.value));
  const ess = (s: { value: number; ess: number } | null) => (s === null ? '0' : s.ess.toFixed(0));
  lines.push(
    row('quality, doubly robust', clipped(value.qualityOld), clipped(value.qualityNew), interval(value.quality, 3)),
    row(
      'quality, SNIPS',
      snips(value.snipsOld),
      snips(value.snipsNew),
      `${value.snips === null ? '' : `${interval(value.snips, 3)}, `}effective sessions ${ess(value.snipsOld)} and ${ess(value.snipsNew)}`,
    ),
    ...(value.utility === null ? [] : [row('utility, doubly robust', '', '', interval(value.utility, 3))]),
    row(
      'expected cost of a call, USD',
      value.costOldUsd.toPrecision(3),
      value.costNewUsd.toPrecision(3),
      change(value.costOldUsd, value.costNewUsd),
    ),
    `  ${percent(value.changed)} of the choices change; the log has tried ${percent(value.tried)} of the new ones`,
    `  ${value.rows} sessions with a draw of their own; as good as ${value.overlap.change.effective.toFixed(0)} tell the two apart`,
    ...sliceLines(c.slices),
  );
  return lines;
}

/** The slices that lose most, first. */
function sliceLines(slices: Comparison['slices']): string[] {
  const shown = [...slices].sort((a, b) => (a.quality.value ?? 0) - (b.quality.value ?? 0)).slice(0, SLICES_SHOWN);
  if (shown.length === 0) return [];
  const more = slices.length > shown.length ? [`  … and ${slices.length - shown.length} more`] : [];
  const line = ({ name, isProtected, units, quality }: (typeof shown)[number]) =>
    `  ${(isProtected ? `${name} (protected)` : name).padEnd(34)} ${String(units).padStart(21)}  ${interval(quality, 3)}`;
  return [
    '',
    `  ${'kind of traffic'.padEnd(34)} ${'sessions'.padStart(21)}  quality, together 95 %`,
    ...shown.map(line),
    ...more,
  ];
}

const RESULTS = { passed: 'passed', failed: 'FAILED', unknown: 'cannot tell' } as const;

/** What was asked, and whether the log could have told at all. */
function gateLines({ checks, power }: RetrainReport): string[] {
  if (checks.length === 0) return [];
  const lines = checks.map(
    ({ name, result, detail }) => `  ${name.padEnd(14)} ${RESULTS[result].padEnd(11)}  ${detail}`,
  );
  if (power !== null) {
    lines.push(
      `  ${'power'.padEnd(14)} ${`${(100 * power.power).toFixed(0)} %`.padEnd(11)}  in ${power.units} sessions; ${power.unitsNeeded} would give 80 %`,
    );
  }
  return ['', ...lines];
}

export function historyText({ active, history }: HistoryReport): string {
  if (history.length === 0) {
    return `\n  In force: ${named(active)}\n\n  Nothing was promoted or refused yet. Once answers were judged (POST /v1/feedback): pointsman retrain\n`;
  }
  const lines = history.map((row) => {
    const why = (row.verdict as { reasons?: string[] } | null)?.reasons?.[0] ?? '';
    const when = new Date(row.createdAt).toISOString().slice(0, 19);
    return `  ${when}Z  ${row.kind.padEnd(11)}  ${aboutOf(row).padEnd(12)}  ${why}`.trimEnd();
  });
  const trial = trialText(history.find(({ kind }) => kind !== 'refused'));
  return ['', `  In force: ${named(active)}`, ...trial, '', ...lines, ''].join('\n');
}

/** The artifact that a row is about: on trial, stopped, or in force from then on. */
function aboutOf({ kind, artifact, trial, verdict }: Promotion): string {
  if (kind === 'refused') return '';
  const { onTrial } = (verdict ?? {}) as { onTrial?: string };
  const about = kind === 'stopped' ? (onTrial ?? artifact) : (trial?.artifact ?? artifact);
  return about?.slice(0, 12) ?? 'base';
}

/** What goes on after the last row with an effect. */
function trialText(last: Promotion | undefined): string[] {
  if (last?.trial == null) return [];
  const { artifact, share, teams } = last.trial;
  const of = teams.length === 0 ? 'the requests' : `the requests of ${teams.join(', ')}`;
  if (last.kind === 'shadow') return [`  On trial: ${named(artifact)}, which decides without acting (shadow)`];
  if (last.kind === 'canary') return [`  On trial: ${named(artifact)}, with ${percent(share)} of ${of} (canary)`];
  if (last.kind !== 'promoted') return [];
  return [`  Watched: ${percent(1 - share)} of ${of} stay with ${named(last.previous)} for comparison`];
}

export const rollbackText = ({ from, to, stopped }: RollbackReport): string =>
  stopped
    ? `\n  Stopped the trial of ${named(from)}; ${named(to)} is in force and has all requests. ` +
      'To take one that is in force out of force, run --rollback again.\n'
    : `\n  Rolled back from ${named(from)} to ${named(to)}. A running gateway takes it up by itself.\n`;

const named = (hash: string | null): string => hash?.slice(0, 12) ?? 'the base artifact';

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** An estimate may leave [0, 1], which the quality itself cannot; the JSON holds it as it is. */
const clipped = (x: number): string => (x < 0 || x > 1 ? `≈ ${percent(x < 0 ? 0 : 1)}` : percent(x));

const interval = ({ value, low, high }: Estimate, digits: number): string => {
  if (value === null) return 'unknown';
  const ends = low === null || high === null ? 'no interval' : `${signed(low, digits)} to ${signed(high, digits)}`;
  return `${signed(value, digits)} (${ends})`;
};

const plain = ({ value }: Estimate, digits: number): string => (value === null ? 'unknown' : value.toFixed(digits));

const signed = (x: number, digits: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(digits)}`;

const change = (from: number, to: number): string => (from > 0 ? `${signed((100 * (to - from)) / from, 0)} %` : '');
