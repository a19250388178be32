/** Verdicts for people: what was learned, old against new, and what to do next. */
import type { HistoryReport, RollbackReport } from './admin.ts';
import type { Comparison, Estimate } from './gate.ts';
import { type LeftOut, WHY_LEFT_OUT } from './learnable.ts';
import type { RetrainReport } from './retrain.ts';

const MODELS_SHOWN = 12;
/** Of the column of models: most ids fit. */
const LEAST_WIDTH = 44;

export function verdictText(report: RetrainReport): string {
  const { outcome, comparison, leftOut } = report;
  const lines = [
    '',
    `  Learned from ${report.samples} judged answers in ${report.sessions} sessions (${report.unseen} new to the router in force)`,
  ];
  for (const [reason, why] of Object.entries(WHY_LEFT_OUT)) {
    const count = leftOut[reason as LeftOut];
    if (count > 0) lines.push(`  ${count} left out: ${why}`);
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
  if (comparison !== null) lines.push('', ...comparisonLines(comparison));
  lines.push('', `  ${HEADLINES[outcome]}`, ...report.reasons.map((reason) => `    ${reason}`));
  if (outcome === 'promoted') {
    lines.push(
      '',
      `  ${report.incumbent.slice(0, 12)} → ${report.artifact!.slice(0, 12)}. A running gateway takes it up by itself.`,
    );
    lines.push('  To undo it: pointsman retrain --rollback');
  }
  return [...lines, ''].join('\n');
}

const HEADLINES: Record<RetrainReport['outcome'], string> = {
  promoted: 'PROMOTED',
  refused: 'NOT PROMOTED',
  'would-promote': 'WOULD BE PROMOTED (dry run)',
  'would-refuse': 'WOULD NOT BE PROMOTED (dry run)',
};

function comparisonLines(c: Comparison): string[] {
  const row = (name: string, old: string, fresh: string, note = '') =>
    `  ${name.padEnd(34)} ${old.padStart(10)} ${fresh.padStart(10)}  ${note}`.trimEnd();
  const lines = [
    `  On ${c.rows} judged answers (${c.groups} sessions), each forecast by heads that never saw its session; seeded, 95 % intervals`,
    '',
    row('', 'in force', 'new'),
    row('log loss of the forecasts', c.logLossOld.toFixed(3), c.logLossNew.toFixed(3), interval(c.logLoss, 3)),
    row('Brier score', c.brierOld.toFixed(3), c.brierNew.toFixed(3)),
    row(`mean forecast (observed ${percent(c.observed)})`, percent(c.forecastOld), percent(c.forecastNew)),
  ];
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
      `effective rows ${ess(value.snipsOld)} and ${ess(value.snipsNew)}`,
    ),
    row(
      'expected cost of a call, USD',
      value.costOldUsd.toPrecision(3),
      value.costNewUsd.toPrecision(3),
      change(value.costOldUsd, value.costNewUsd),
    ),
    `  ${percent(value.changed)} of the choices change; the log has tried ${percent(value.tried)} of the new ones`,
  );
  return lines;
}

export function historyText({ active, history }: HistoryReport): string {
  if (history.length === 0) return '\n  Nothing was promoted or refused yet.\n';
  const lines = history.map(({ createdAt, kind, artifact, verdict }) => {
    const why = (verdict as { reasons?: string[] }).reasons?.[0] ?? '';
    const hash = kind === 'refused' ? '' : (artifact?.slice(0, 12) ?? 'base');
    return `  ${new Date(createdAt).toISOString().slice(0, 19)}Z  ${kind.padEnd(11)}  ${hash.padEnd(12)}  ${why}`.trimEnd();
  });
  return ['', `  In force: ${active?.slice(0, 12) ?? 'the base artifact'}`, '', ...lines, ''].join('\n');
}

export const rollbackText = ({ from, to }: RollbackReport): string =>
  `\n  Rolled back from ${from.slice(0, 12)} to ${to?.slice(0, 12) ?? 'the base artifact'}. A running gateway takes it up by itself.\n`;

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** An estimate may leave [0, 1], which the quality itself cannot; the JSON holds it as it is. */
const clipped = (x: number): string => (x < 0 || x > 1 ? `≈ ${percent(x < 0 ? 0 : 1)}` : percent(x));

const interval = ({ value, low, high }: Estimate, digits: number): string =>
  `${signed(value, digits)} (${signed(low, digits)} to ${signed(high, digits)})`;

const signed = (x: number, digits: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(digits)}`;

const change = (from: number, to: number): string => (from > 0 ? `${signed((100 * (to - from)) / from, 0)} %` : '');
