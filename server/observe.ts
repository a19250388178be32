/**
 * Observe mode: clients go on naming models, and the gateway decides in the shadow what `auto` would have called.
 * Nothing of it reaches the request; what it would have saved is read off the record later (`pointsman report`).
 */

import type { RoutableRequest } from '../router/request.ts';
import type { Caller } from './callers.ts';
import type { DecisionRecord, ObservedChoice } from './db/records.ts';
import type { Gateway } from './gateway.ts';
import type { ChatName } from './protocols/index.ts';

/** Starts to decide, if this request is among those observed; resolves when the record holds what came of it. Never rejects. */
export async function observe(
  gateway: Gateway,
  record: DecisionRecord,
  json: unknown,
  shape: ChatName,
  caller: Caller,
  random: () => number = Math.random,
): Promise<void> {
  const { share } = gateway.config.observe;
  if (record.routed || share === 0 || random() >= share) return;
  try {
    const { decision, routerMs } = await gateway.decide(json as RoutableRequest, { shape }, caller);
    const [chosen] = decision.ranked;
    const named = decision.ranked.find(({ model }) => model === record.model);
    record.observed = {
      model: decision.model,
      reason: decision.reason,
      propensity: decision.propensity,
      artifact: decision.artifact,
      chosen: told(chosen!),
      named: named === undefined ? null : told(named),
    };
    record.routerMs = routerMs;
  } catch {
    // A request that cannot be routed is one that `auto` would not have taken: it counts as not observed.
  }
}

const told = ({ quality, outputTokens, costUsd }: ObservedChoice['chosen']): ObservedChoice['chosen'] => ({
  quality,
  outputTokens,
  costUsd,
});
