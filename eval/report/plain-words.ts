/** Savings as one would tell them, and the knobs that bring them. Shared by the HTML and the Markdown report. */
import type { Evaluation, FlagCode, OperatingPoint, PolicyKnobs, RouterResult } from '../result.ts';
import { interval, percent } from './format.ts';
import { marked } from './notes.ts';

export const SHARES = ['95', '98', '100'] as const;

/** Red flags that make a router's figures worthless, not only bad. */
const WORTHLESS: ReadonlySet<FlagCode> = new Set([
  'LEAKY_ROUTER',
  'IN_SAMPLE_FORECASTS',
  'MODELS_NOT_RANKED',
  'SIGN_CHANGES',
]);

/** True for a router whose own figures may not be trusted. */
export const isDistrusted = (e: Evaluation, name: string): boolean =>
  e.flags.some(({ router, severity, code }) => router === name && severity === 'red' && WORTHLESS.has(code));

/** The routers to tell of: learned ones, best first, those that may not be trusted last. */
export const learnedRouters = (e: Evaluation): RouterResult[] =>
  e.routers
    .filter((r) => r.kind === 'learned')
    .sort(
      (a, b) =>
        Number(isDistrusted(e, a.name)) - Number(isDistrusted(e, b.name)) ||
        (b.aiqMinusZero.value ?? -1) - (a.aiqMinusZero.value ?? -1),
    );

/** "at 98 % of the quality of X you pay 41 % [36, 46] of its cost", one line a share; what is never reached says so. */
export function savingsLines(e: Evaluation, r: RouterResult): string[] {
  const baseline = marked(e, e.baseline.model);
  return SHARES.map((share) => {
    const saving = r.savingsAt[share];
    if (saving === null) return `${share} % of the quality of ${baseline} is never reached on the test part`;
    const { low, high } = r.intervals[`saving${share}`]!;
    // What is paid is what is not saved, so the ends change places.
    const paid = { low: high === null ? null : 1 - high, high: low === null ? null : 1 - low };
    const bounds = paid.low === null && paid.high === null ? '' : ` ${interval(paid, payShare)}`;
    return `at ${share} % of the quality of ${baseline} you pay ${payShare(1 - saving)} %${bounds} of its cost`;
  });
}

/** An end without a bound: some resamples never got there. */
const payShare = (x: number | null): string => (x === null ? 'not reached' : percent(x, x < 0.1 ? 1 : 0));

/** What the operating point chosen on the training part really did. */
export function promiseLine(e: Evaluation, r: RouterResult): string {
  const { saving, kept, reached } = r.promised['98'];
  if (!reached) {
    return `it keeps 98 % of the quality of ${marked(e, e.baseline.model)} nowhere on the training part, so the baseline answers everything`;
  }
  return (
    `set on the training part to keep 98 %, it kept ${percent(kept.value)} % ${interval(kept, percent)} ` +
    `and saved ${percent(saving.value)} % ${interval(saving, percent)} against ${marked(e, e.baseline.model)}`
  );
}

/** One setting as the lines of a configuration. */
export const knobsText = ({ tolerance, qualityPerUsd }: PolicyKnobs): string =>
  `policy: {tolerance: ${tolerance}, qualityPerUsd: ${qualityPerUsd === null ? 'null' : Number(qualityPerUsd.toPrecision(4))}}`;

/** The setting to put in: of a random mix of two, the one that more prompts go by. */
export function knobsLines({ knobs }: OperatingPoint): string[] {
  if (knobs.length === 0) return [];
  const [most] = [...knobs].sort((a, b) => b.share - a.share);
  const lines = [knobsText(most!.policy)];
  if (knobs.length > 1) {
    lines.push(
      `(the measured point mixes ${knobs.length} settings; this one has ${percent(most!.share, 0)} % of the prompts)`,
    );
  }
  return lines;
}
