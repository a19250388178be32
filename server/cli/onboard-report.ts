/** What `pointsman onboard` says of the labels, of the forecasts before and after, and of what changes. */
import type { Prompt } from '../../datasets/index.ts';
import { forEachResample, percentileInterval } from '../../eval/index.ts';
import { debiasedSquaredCalibrationError } from '../../eval/metrics/calibration-error.ts';
import type { HeldOut } from '../../router/training/onboard-check.ts';

/** The model's answers that were judged, row by row. */
export interface Labels {
  readonly prompts: readonly Prompt[];
  readonly quality: readonly number[];
  readonly outputTokens: readonly number[];
}

/** Of so many prompts, those that go to the model before and after, and those that change hands. */
export interface Picks {
  readonly candidates: number;
  readonly prompts: number;
  readonly before: number;
  readonly after: number;
  readonly changed: number;
}

export interface Report {
  readonly model: string;
  readonly labels: number;
  readonly groups: number;
  readonly quality: ReturnType<typeof qualityOf>;
  readonly startedFrom: string;
  readonly before: ReturnType<typeof standing>;
  readonly after: ReturnType<typeof standing>;
  readonly picks: Picks | null;
  readonly seenInTraining: number;
  readonly artifact: { readonly hash: string; readonly parent: string; readonly dir: string };
  readonly catalogEntry: string | null;
}

export function textOf(r: Report): string {
  const three = (x: number | null): string => (x === null ? '–' : x.toFixed(3));
  const whole = (x: number | null): string => (x === null ? '–' : x.toFixed(0));
  const row = (name: string, before: string, after: string, note = ''): string =>
    `  ${name.padEnd(24)}${before.padStart(8)}${after.padStart(8)}   ${note}`.trimEnd();
  const { before, after, picks } = r;
  const lines = [
    `${r.model}: ${r.labels} labelled prompts in ${r.groups} groups`,
    `  mean quality            ${three(r.quality.mean)}   95 % ${three(r.quality.low)} to ${three(r.quality.high)}`,
    `  started from            ${r.startedFrom}`,
    '',
    row('prompts held out', 'before', 'after'),
    row('log loss', three(before.logLoss), three(after.logLoss), 'lower is better'),
    row('Brier score', three(before.brier), three(after.brier), 'lower is better'),
    row('calibration error', three(before.calibrationError), three(after.calibrationError), 'debiased, ten bins'),
    row(
      'mean quality foretold',
      three(before.meanQuality),
      three(after.meanQuality),
      `observed ${three(r.quality.mean)}`,
    ),
    row(
      'tokens of an answer',
      whole(before.outputTokens),
      whole(after.outputTokens),
      `observed ${whole(after.observedTokens)}`,
    ),
    '',
  ];
  if (picks !== null) {
    const percent = (x: number): string => `${((100 * x) / picks.prompts).toFixed(0)} %`;
    lines.push(
      `  of ${picks.prompts} of these prompts and ${picks.candidates} candidates it takes ${percent(picks.before)} before, ` +
        `${percent(picks.after)} now; ${percent(picks.changed)} change hands`,
    );
  }
  if (after.logLoss >= before.logLoss) {
    lines.push('  note: these labels foretell the others no better than none did; more of them may');
  }
  if (r.seenInTraining > 0) {
    lines.push(
      `  note: ${r.seenInTraining} of the prompts trained this artifact, so their difficulty was known too well`,
    );
  }
  lines.push(`  artifact ${r.artifact.hash} written to ${r.artifact.dir}, made from ${r.artifact.parent}`, '');
  if (r.catalogEntry !== null) {
    lines.push(
      '  Before it can be chosen it needs an entry in your catalog (--catalog FILE), such as',
      `  ${r.catalogEntry}`,
    );
  }
  lines.push(`  Next: pointsman start --artifact ${r.artifact.dir}`, '');
  return lines.join('\n');
}

/** Mean quality of the model's answers with a 95 % interval over groups. */
export function qualityOf({ prompts, quality }: Labels): { mean: number; low: number | null; high: number | null } {
  const groups = [...new Set(prompts.map((p) => p.groupId))];
  const place = new Map(groups.map((g, k) => [g, k]));
  const sum = new Float64Array(groups.length);
  const count = new Float64Array(groups.length);
  prompts.forEach((p, i) => {
    sum[place.get(p.groupId)!]! += quality[i]!;
    count[place.get(p.groupId)!]!++;
  });
  const means = new Float64Array(1000);
  forEachResample(groups.length, means.length, 1, (weights, r) => {
    let [s, c] = [0, 0];
    for (let k = 0; k < groups.length; k++) {
      s += weights[k]! * sum[k]!;
      c += weights[k]! * count[k]!;
    }
    means[r] = s / c;
  });
  return { mean: quality.reduce((a, b) => a + b, 0) / quality.length, ...percentileInterval(means) };
}

/** How good forecasts were. */
export function standing(forecast: HeldOut['after'], { quality, outputTokens }: Labels) {
  const observed = Float64Array.from(quality);
  const n = observed.length;
  let [logLoss, brier] = [0, 0];
  for (let i = 0; i < n; i++) {
    const p = Math.min(1 - 1e-6, Math.max(1e-6, forecast.quality[i]!));
    logLoss -= (observed[i]! * Math.log(p) + (1 - observed[i]!) * Math.log(1 - p)) / n;
    brier += (observed[i]! - p) ** 2 / n;
  }
  const squared = debiasedSquaredCalibrationError(forecast.quality, observed);
  const sized = outputTokens.flatMap((t, i) => (Number.isNaN(t) ? [] : [i]));
  const mean = (xs: readonly number[]): number | null =>
    xs.length === 0 ? null : xs.reduce((a, b) => a + b, 0) / xs.length;
  return {
    logLoss,
    brier,
    calibrationError: squared === null ? null : Math.sqrt(Math.max(0, squared)),
    meanQuality: mean([...forecast.quality])!,
    outputTokens: mean(sized.map((i) => forecast.outputTokens[i]!)),
    observedTokens: mean(sized.map((i) => outputTokens[i]!)),
  };
}
