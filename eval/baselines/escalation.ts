/**
 * A router whose answers are checked, as the gateway's escalation does it: where the check says no, a model that is
 * predicted better answers, and every call is paid for. The check sees the true outcome and errs as often as it is told
 * to, so the row shows what a check that good would bring.
 */
import { deriveSeed, hashFraction } from '../../datasets/index.ts';
import { type CheckErrors, cascadeStart, wayUp } from '../../router/policy/cascade.ts';
import { type Contender, type Frozen, isUnfit, type Measurement, type SettingOutcome } from '../contender.ts';
import { freeze, targetCosts } from '../curve.ts';
import type { CurvePoint } from '../metrics/curve-point.ts';
import type { Part } from '../part.ts';
import { fixedOrder } from '../plug-in.ts';

/** The gateway's own default, `escalation.maxCalls`. */
const MAX_CALLS = 3;
/** Quality from which an answer is a good one, where quality is graded. */
const GOOD = 0.5;

/**
 * `escalation`: the router's choice answers first. `cascade`: a cheaper model does where, with the way up to that choice
 * counted in, it is expected to be cheaper and no worse (`router/policy/cascade.ts`).
 */
export type FirstAnswer = 'escalation' | 'cascade';

/** @param inner a router that predicts the quality of every model */
export const escalating = (inner: Contender, first: FirstAnswer, errors: CheckErrors): Contender => ({
  name: `${inner.name}+${first}`,
  kind: 'baseline',
  async prepare(training): Promise<Frozen | { readonly unfit: string }> {
    const frozen = await inner.prepare(training);
    if (isUnfit(frozen)) return frozen;
    const tuned = frozen.tuned?.();
    if (tuned?.measurement.predicted === undefined) return { unfit: 'it predicts no quality to go up by' };
    const { part, measurement } = tuned;
    const checkSeed = deriveSeed(training.seed, 'escalation-check');
    const { byRisingCost } = training.singles;
    const played = (on: Part, by: Measurement) => play(on, by, { first, errors, seed: checkSeed });
    const inHand = played(part, measurement);
    // Nobody has to check: every router may send a share of its prompts to the cheapest model as it is.
    const cheapest = fixedOrder(part, byRisingCost);
    const dearest = fixedOrder(part, [...byRisingCost].reverse());
    const keys = [...inHand.keys()];
    const settings = [...inHand.values(), cheapest].map(meanOf);
    const low = settings.at(-1)!.costUsd;
    const points = freeze(settings, targetCosts(low, mean(dearest.costUsd), training.gridPoints));
    return {
      points,
      baselineQuality: mean(fixedOrder(part, training.baseline).quality),
      label: (s) => (s < keys.length ? `${frozen.label(keys[s]!)}, ${wordsOf(errors)}` : 'always cheapest, unchecked'),
      async measure(test) {
        const outcomes = played(test, await frozen.measure(test));
        const used = new Set(points.flatMap(({ a, b }) => [a, b]));
        const outcomeOf = (s: number): SettingOutcome =>
          s < keys.length ? outcomes.get(keys[s]!)! : fixedOrder(test, byRisingCost);
        // No choices are told: one prompt can take several calls.
        return { outcomes: new Map([...used].map((s) => [s, withoutChoice(outcomeOf(s))])) };
      },
    };
  },
});

const wordsOf = ({ falseAccept, falseReject }: CheckErrors): string =>
  `checked (passes ${100 * falseAccept} % of bad answers, refuses ${100 * falseReject} % of good ones)`;

interface Play {
  readonly first: FirstAnswer;
  readonly errors: CheckErrors;
  readonly seed: number;
}

/** Each setting of a router with its choices checked: all calls' cost, and the quality of the answer given in the end. */
function play(
  { table, costUsd }: Part,
  { outcomes, predicted, expected }: Measurement,
  { first, errors, seed }: Play,
): Map<number, SettingOutcome> {
  const { prompts, modelIds, quality } = table;
  const m = modelIds.length;
  const out = new Map<number, SettingOutcome>();
  const orders = prompts.map((_, i) => {
    const known = modelIds.flatMap((_, j) => {
      const at = i * m + j;
      return Number.isNaN(quality[at]!) || Number.isNaN(predicted![at]!) ? [] : [j];
    });
    // As the gateway's list has them behind the choice: the cheapest first.
    return known.sort((a, b) => expected!.costUsd[i * m + a]! - expected!.costUsd[i * m + b]! || a - b);
  });
  for (const [setting, { choice, ...plain }] of outcomes) {
    if (choice === undefined) continue;
    const cost = new Float64Array(plain.costUsd);
    const reached = new Float64Array(plain.quality);
    for (let i = 0; i < prompts.length; i++) {
      const chosen = choice[i]!;
      // Chosen without a prediction: there is no telling what is better.
      if (!orders[i]!.includes(chosen)) continue;
      const columns = [chosen, ...orders[i]!.filter((j) => j !== chosen)];
      const ranked = columns.map((j) => ({
        quality: predicted![i * m + j]!,
        costUsd: expected!.costUsd[i * m + j]!,
      }));
      const path =
        first === 'cascade'
          ? cascadeStart(ranked, { ...errors, floor: ranked[0]!.quality, maxCalls: MAX_CALLS }).path
          : wayUp(ranked, 0, MAX_CALLS);
      cost[i] = 0;
      for (const k of path) {
        const at = i * m + columns[k]!;
        cost[i]! += costUsd[at]!;
        reached[i] = quality[at]!;
        if (accepts(quality[at]!, hashFraction(`${prompts[i]!.id}\0${modelIds[columns[k]!]}`, seed), errors)) break;
      }
    }
    out.set(setting, { costUsd: cost, quality: reached });
  }
  return out;
}

/** @param draw uniform in [0, 1), the same for one answer whoever asks */
const accepts = (quality: number, draw: number, { falseAccept, falseReject }: CheckErrors): boolean =>
  quality >= GOOD ? draw >= falseReject : draw < falseAccept;

const withoutChoice = ({ costUsd, quality }: SettingOutcome): SettingOutcome => ({ costUsd, quality });
const meanOf = (o: SettingOutcome): CurvePoint => ({ costUsd: mean(o.costUsd), quality: mean(o.quality) });
const mean = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
