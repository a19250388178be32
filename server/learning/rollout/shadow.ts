/** The shadow: a router on trial decides beside the one in force, and nothing of it reaches the request. */
import type { Decision } from '../../../router/decision.ts';
import type { Router } from '../../../router/router.ts';
import type { DecisionRecord, ObservedChoice } from '../../db/records.ts';
import type { Trials } from './trials.ts';

/** A model takes longer than that to answer; a router that does is not waited for, and counts as one that did not decide. */
export const PATIENCE_MS = 50;

export type DecideBy = (router: Router) => Promise<{ decision: Decision; routerMs: number }>;

/**
 * Starts to decide, where a router is in the shadow. Resolves when the record holds what came of it, or after
 * {@link PATIENCE_MS}: the record then names the trial alone. Never rejects; a failure is counted against the trial.
 */
export async function shadow(trials: Trials, record: DecisionRecord, decideBy: DecideBy | null): Promise<void> {
  const trial = trials.current;
  if (decideBy === null || trial?.kind !== 'shadow') return;
  record.trial = trial.ordinal;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), PATIENCE_MS);
  });
  const decided = decideBy(trial.router).catch((error) => {
    trials.fail(trial.ordinal, error);
    return null;
  });
  const found = await Promise.race([decided, late]);
  clearTimeout(timer);
  if (found !== null) record.shadow = choiceOf(found.decision, found.routerMs, record.model);
}

/** @param executed the model that the router in force called */
function choiceOf(decision: Decision, routerMs: number, executed: string): ObservedChoice {
  const [chosen] = decision.ranked;
  const named = decision.ranked.find(({ model }) => model === executed);
  return {
    model: decision.model,
    reason: decision.reason,
    propensity: decision.propensity,
    artifact: decision.artifact,
    chosen: told(chosen!),
    named: named === undefined ? null : told(named),
    routerMs,
  };
}

const told = ({ quality, outputTokens, costUsd }: ObservedChoice['chosen']): ObservedChoice['chosen'] => ({
  quality,
  outputTokens,
  costUsd,
});
