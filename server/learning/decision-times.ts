/** How long two sets of heads take to decide, measured side by side in the thread that fits. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { type Heads, predictHeads } from '../../router/heads/heads.ts';
import { decide } from '../../router/policy/decide.ts';
import { mixOf } from '../../router/policy/mix.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { meanQualities, place } from '../../router/policy/solve.ts';
import type { DecisionTimes } from './comparison.ts';
import type { Sample } from './log.ts';

/** Decisions timed of each, after as many that warm up. */
const DECISIONS = 300;
/** Of which the fastest counts: one that was put off by other work of the machine says nothing of the heads. */
const TRIES = 3;

/**
 * Times one decision each in turn, from the embedding on, so that what else the machine does falls on both alike. It is
 * the reference in TypeScript that is timed; a gateway runs the same heads as a graph, whose ratio is much the same.
 * @returns null where no candidate can be decided on, or there is no sample
 */
export function decisionTimes(
  old: Heads,
  fresh: Heads,
  samples: readonly Sample[],
  candidates: readonly Candidate[],
  policy: Policy,
): DecisionTimes | null {
  if (samples.length === 0) return null;
  const deciders = [old, fresh].map((heads) => deciderOf(heads, candidates, policy));
  const [decideOld, decideNew] = deciders;
  if (!decideOld || !decideNew) return null;
  const times = { old: new Float64Array(DECISIONS), fresh: new Float64Array(DECISIONS) };
  const timed = (work: (sample: Sample) => void, sample: Sample): number => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES; i++) {
      const started = performance.now();
      work(sample);
      least = Math.min(least, performance.now() - started);
    }
    return least;
  };
  for (let k = -DECISIONS; k < DECISIONS; k++) {
    const sample = samples[(k + DECISIONS) % samples.length]!;
    const oldMs = timed(decideOld, sample);
    const newMs = timed(decideNew, sample);
    if (k < 0) continue;
    times.old[k] = oldMs;
    times.fresh[k] = newMs;
  }
  const at = (values: Float64Array, share: number) => values.sort()[Math.floor(share * (values.length - 1))]!;
  return {
    oldP50: at(times.old, 0.5),
    oldP99: at(times.old, 0.99),
    newP50: at(times.fresh, 0.5),
    newP99: at(times.fresh, 0.99),
  };
}

function deciderOf(heads: Heads, candidates: readonly Candidate[], policy: Policy): ((sample: Sample) => void) | null {
  const placed = place(heads, candidates);
  if (placed.length === 0) return null;
  const columns = placed.map(({ like }) => heads.modelIds.indexOf(like));
  const means = meanQualities(heads);
  const mix = mixOf(policy);
  return ({ embedding, facts }) => {
    const out = predictHeads(heads, embedding, 1);
    const predictions = placed.map(({ candidate, like }, k) => ({
      candidate,
      like,
      quality: out.quality[columns[k]!]!,
      qualitySd: out.qualitySd[columns[k]!]!,
      meanQuality: means[columns[k]!]!,
      outputTokens: out.outputTokens[columns[k]!]!,
    }));
    decide(predictions, facts, policy, out.outOfDomain[0]!, 0.5, { mix });
  };
}
