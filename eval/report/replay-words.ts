/** What a replay found, in sentences. */
import { eventLabel } from '../replay/events.ts';
import type { Estimate, ReplayResult } from '../replay/result.ts';
import { DASH, decimals, interval, list, percent, usd, whole } from './format.ts';

export function facts(r: ReplayResult): string[] {
  const order = {
    time: 'in the order of their times',
    rows: 'in the order of the rows',
    shuffle: 'groups in random order, another one for each seed',
  }[r.order];
  const feedback =
    r.feedback === 'full'
      ? 'told the outcome of every model'
      : r.feedback === 'bandit'
        ? 'told the outcome of the chosen model only'
        : `told the outcome of the chosen model for ${percent(r.feedback, 0)} % of the answers`;
  const start =
    r.start === 'cold'
      ? 'starts knowing nothing'
      : r.start === 'artifact'
        ? `starts as router ${r.artifact.slice(0, 8)}`
        : `learns by ${r.start}, from nothing`;
  return [
    `${whole(r.decisions)} decisions over ${whole(r.groups)} groups and ${r.modelIds.length} models, ${order}; seeds ${list(r.seeds.map(String), 8)}`,
    `the router ${start}${r.warm.prompts > 0 ? ` and ${whole(r.warm.prompts)} prompts labelled beforehand (${usd(r.warm.costUsd.value)} of calls)` : ''}, is ${feedback}, learns anew every ${whole(r.retrainEvery)} decisions (${decimals(r.retrainings.value, 1)} times), explores ${percent(r.explorationShare)} %`,
    `utility = quality − λ · USD, λ = ${decimals(r.qualityPerUsd, 2)}: ${r.qualityPerUsdFrom}`,
    ...r.events.map((e, k) => `event ${k + 1}: ${eventLabel(e)}`),
    ...(r.untriedShare > 0
      ? [`${percent(r.untriedShare)} % of the pairs of prompt and model were never tried: nobody can choose them`]
      : []),
    ...(r.seenLeftOut > 0
      ? [
          `${whole(r.seenLeftOut)} prompts are left out because the encoder has learned from their groups (--include-seen keeps them)`,
        ]
      : []),
    ...(r.unpricedModels.length > 0 ? [`without a price, left out: ${list(r.unpricedModels)}`] : []),
    ...(r.hiddenReasoningModels.length > 0
      ? [`hidden reasoning tokens, left out: ${list(r.hiddenReasoningModels)}`]
      : []),
    ...(r.contaminated > 0 ? [`${whole(r.contaminated)} near-copies of training data left out`] : []),
  ];
}

export function warnings(r: ReplayResult): string[] {
  return [
    ...((r.retrainings.value ?? 0) < 1
      ? [
          `the router learned nothing here: ${whole(r.decisions)} decisions are fewer than one training takes (${whole(r.retrainEvery)}). ` +
            `Give more prompts, or --retrain-every ${Math.max(1, Math.floor(r.decisions / 5))}`,
        ]
      : []),
    ...(r.seenKept > 0
      ? [
          `the encoder has learned from ${whole(r.seenKept)} of these prompts, so what the router makes of them is too good`,
        ]
      : []),
    ...((r.costBasisShares.constant ?? 0) > 0.5
      ? [
          'most costs are constants: the length of the answers is not known, so a model costs the same on prompts of one length',
        ]
      : []),
    ...((r.unanswered.value ?? 0) > 0
      ? [
          `${decimals(r.unanswered.value, 1)} decisions had nobody to answer them: every model that was tried on the prompt was out`,
        ]
      : []),
    ...(r.seeds.length < 2 ? ['one seed has no interval; give --seeds 5'] : []),
  ];
}

/** What a hurried reader takes away; the first one is the verdict. */
export function sentences(r: ReplayResult): string[] {
  const row = (which: string) => r.rows.find((x) => x.name === which)!;
  const router = row('router');
  const fixed = row('best fixed');
  const { value, low, high } = router.minusBestFixed;
  const how =
    low !== null && low > 0
      ? 'gained'
      : high !== null && high < 0
        ? 'lost'
        : value! >= 0
          ? 'gained, within chance,'
          : 'lost, within chance,';
  const first = r.windows[0]!;
  const end = r.windows.at(-1)!;
  const { expected, drawn, decisions } = r.exploration;
  const over = r.overhead;
  const out = [
    `Over its whole life the router ${how} ${decimals(Math.abs(value!), 3)} of utility a decision ${interval(router.minusBestFixed, signed)} against always ${fixed.models}, the best fixed model in hindsight; regret went from ${decimals(first.regret.value, 3)} a decision in the first window to ${decimals(end.regret.value, 3)} in the last.`,
    `Exploring: ${decimals(decisions.value, 1)} decisions were not the greedy ones. Expected of the draws was a loss of ${decimals(negated(expected.value), 2)} of utility in all ${interval(flipped(expected), (x) => decimals(x, 2))}, and ${decimals(negated(drawn.value), 2)} were lost; what it taught is in the later windows.`,
    `Saved against always ${row('best single').models}: ${percent(router.saved.value)} % ${interval(router.saved, (x) => percent(x))} of what was paid, all told; ${percent(router.savedBeforeOverhead.value)} % before routing and audits.`,
  ];
  if (over.auditShare > 0 || over.routerUsd > 0) {
    out.push(
      `Charged beside the calls: routing ${usd(over.routerUsd)} a decision` +
        (over.auditShare > 0
          ? `, ${decimals(over.audits.value, 1)} audits by ${over.auditModel} for ${usd(over.auditUsd.value)} in all.`
          : '.'),
    );
  }
  if (r.cascade !== null) {
    out.push(
      `Cascade ${r.cascade.chain.join(' → ')}: ${percent(r.cascade.judgements.value)} judgements per 100 prompts at ${usd(r.cascade.judgeUsd)}, wrong ${percent(r.cascade.judgeError)} % of the time; ${percent(r.cascade.escalated.value)} escalations per 100 prompts.`,
    );
  }
  if (r.events.some((e) => e.kind === 'outage' && !e.known)) {
    out.push(
      `Calls that an outage let fail: ${percent(router.failures, 2)} per 100 decisions, ${decimals(router.failedAttemptMs, 0)} ms of waiting a decision at ${whole(r.attemptMs)} ms each.`,
    );
  }
  return out;
}

export const reading = (r: ReplayResult): string[] => [
  'Best fixed: the single model of greatest utility over these very decisions. Utility is linear, so no random mix of models is above it.',
  'Blind mix: what the same money buys when models are drawn without looking at the prompt, known in hindsight.',
  `Means only: the same router, learning each model's mean and nothing of the prompt. * sees the outcomes; nothing can reach it.`,
  ...(r.sessions
    ? [
        `Earlier turns are input again: at the cached price (${percent(r.sessions.cachedShare, 0)} % of the input price where none is known) if the same model answered the turn before, else at the full one. What a provider charges for writing its cache, and how long it keeps it, is not counted.`,
      ]
    : []),
];

export const signedOf = (x: number | null, digits: number): string =>
  x === null ? DASH : `${Number(x.toFixed(digits)) > 0 ? '+' : ''}${decimals(x, digits)}`;
export const signed = (x: number | null): string => signedOf(x, 3);
const negated = (x: number | null): number | null => (x === null ? null : -x);
const flipped = ({ value, low, high }: Estimate): Estimate => ({
  value: negated(value),
  low: negated(high),
  high: negated(low),
});
