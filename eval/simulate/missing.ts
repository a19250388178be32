/**
 * Feedback that depends on the answer: the unhappy speak three times as often as the content. What is then estimated of
 * the quality of what was answered, with a random slice of audits and without one.
 */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';
import { type FeedbackRow, type MissingFeedback, missingFeedback } from '../ope/missing-feedback.ts';
import { decideAll } from './bandit-log.ts';
import type { Beliefs } from './route.ts';
import { meanOver, shareOver, type TargetResult, targetResult } from './target.ts';
import type { World } from './world.ts';

export interface MissingOptions {
  /** Of the router in force. */
  readonly beliefs: Beliefs;
  readonly exploration: number;
  readonly decisions: number;
  /** Probability that a content user says so; an unhappy one does three times as often. */
  readonly contentSpeak: number;
  readonly auditShare: number;
}

export interface MissingRun {
  readonly truth: number;
  readonly found: MissingFeedback;
  /** Mean of what was said, taken at its word. */
  readonly naive: number;
}

const UNHAPPY = 3;
/** Resamples of one interval: there are hundreds of intervals. */
const REPLICATES = 100;

/** One log, and what is made of it. @param rows of the world that requests are drawn from, with replacement */
export function runMissing(world: World, rows: readonly number[], options: MissingOptions, seed: number): MissingRun {
  const { beliefs, exploration, decisions, contentSpeak, auditShare } = options;
  const { table } = world.part;
  const m = table.modelIds.length;
  const random = seededRandom(deriveSeed(seed, 'simulate-missing'));
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration };
  const order = Array.from({ length: decisions }, () => rows[Math.floor(random() * rows.length)]!);
  const log = decideAll(world, order, beliefs, rule, random);
  const spoken = log.map(({ row, column }, i): FeedbackRow => {
    const quality = table.quality[row * m + column]!;
    const speaks = contentSpeak * (quality + UNHAPPY * (1 - quality));
    return {
      group: String(i),
      model: table.modelIds[column]!,
      feedback: random() < speaks ? quality : null,
      audit: random() < auditShare ? quality : null,
      auditProbability: auditShare,
    };
  });
  // The truth is the mean of the policy on all prompts, not of the answers that happened to be drawn.
  const value = (i: number) =>
    log[i]!.probabilities.reduce((sum, p, j) => sum + p * table.quality[order[i]! * m + j]!, 0);
  const said = spoken.filter(({ feedback }) => feedback !== null);
  return {
    truth: order.reduce((sum, _, i) => sum + value(i), 0) / decisions,
    found: missingFeedback(spoken, { seed, replicates: REPLICATES }),
    naive: said.reduce((sum, { feedback }) => sum + feedback!, 0) / said.length,
  };
}

export function missingTargets(
  world: World,
  { auditShare, decisions, contentSpeak }: Pick<MissingOptions, 'auditShare' | 'decisions' | 'contentSpeak'>,
  audited: readonly MissingRun[],
  unaudited: readonly MissingRun[],
): TargetResult[] {
  const of = { simulation: 'missing', source: world.name };
  const points = audited.flatMap(({ found, truth }) =>
    found.kind === 'audited' && found.quality.value !== null ? [{ quality: found.quality, truth }] : [],
  );
  const errors = points.map(({ quality, truth }) => quality.value! - truth);
  const naive = meanOver(audited.map((run) => run.naive - run.truth));
  const rmse = Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length);
  const covered = points.filter(
    ({ quality: { low, high }, truth }) => low !== null && high !== null && low <= truth && truth <= high,
  );
  const bounded = unaudited.filter(({ found }) => found.kind === 'bounds');
  const holding = bounded.filter(({ found: { bounds }, truth }) => bounds.low <= truth && truth <= bounds.high);
  const width = bounded.reduce((sum, { found: { bounds } }) => sum + bounds.high - bounds.low, 0) / bounded.length;
  return [
    targetResult({
      ...of,
      name: `bias of the estimated quality, ${decisions} answers, ${(100 * auditShare).toFixed(0)} % audited at random`,
      unit: 'points',
      found: meanOver(errors),
      wanted: { atLeast: -0.01, atMost: 0.01 },
      runs: errors.length,
      note:
        `root mean square error ${(100 * rmse).toFixed(2)} points; the interval holds the truth in ${covered.length} of ${points.length} runs; ` +
        `taken at their word, those who speak are ${(100 * naive.value!).toFixed(1)} points off (${(100 * contentSpeak).toFixed(0)} % of the content speak, three times as many of the unhappy)`,
    }),
    targetResult({
      ...of,
      name: 'runs without audits in which bounds are given and no point, and the truth is inside',
      unit: 'share',
      found: shareOver(holding.length, unaudited.length),
      wanted: { atLeast: 0.95 },
      runs: unaudited.length,
      note: bounded.length === 0 ? 'no run was without a point' : `bounds are ${(100 * width).toFixed(0)} points wide`,
    }),
  ];
}
