/**
 * Observe mode: clients go on naming models, and the gateway decides in the shadow what `auto` would have called.
 * Nothing of it reaches the request; what it would have saved is read off the record later (`pointsman report`).
 */

import type { RoutableRequest } from '../router/request.ts';
import { routeOptionsOf } from './api/knobs.ts';
import type { Caller } from './callers.ts';
import type { DecisionRecord, ObservedChoice } from './db/records.ts';
import type { Gateway } from './gateway.ts';
import type { ChatName } from './protocols/index.ts';
import { teamOf } from './teams.ts';

/** A model takes longer than that to answer; a router that does is not waited for. */
const PATIENCE_MS = 50;

/**
 * Starts to decide, if this request is among those observed. Resolves when the record holds what came of it, or after
 * {@link PATIENCE_MS}: the record is then written without. Never rejects.
 */
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
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), PATIENCE_MS);
  });
  const found = await Promise.race([decided(gateway, record, json, shape, caller), late]);
  clearTimeout(timer);
  if (found === null) return;
  record.observed = found.observed;
  record.routerMs = found.routerMs;
}

/** Null where there is nothing to tell: a request that cannot be routed is one that `auto` would not have taken. */
async function decided(
  gateway: Gateway,
  record: DecisionRecord,
  json: unknown,
  shape: ChatName,
  caller: Caller,
): Promise<{ observed: ObservedChoice; routerMs: number } | null> {
  try {
    const candidates = gateway.holder.current.candidates.map(({ id }) => id);
    // Within what the key allows, as `auto` would be.
    const explores = gateway.exploration.routeOptions(teamOf(gateway, caller.tenant), caller.rules);
    const options = { ...routeOptionsOf({}, caller, candidates), ...explores, shape };
    const { decision, routerMs } = await gateway.decide(json as RoutableRequest, options, caller);
    const [chosen] = decision.ranked;
    const named = decision.ranked.find(({ model }) => model === record.model);
    const observed = {
      model: decision.model,
      reason: decision.reason,
      propensity: decision.propensity,
      artifact: decision.artifact,
      chosen: told(chosen!),
      named: named === undefined ? null : told(named),
    };
    return { observed, routerMs };
  } catch {
    return null;
  }
}

const told = ({ quality, outputTokens, costUsd }: ObservedChoice['chosen']): ObservedChoice['chosen'] => ({
  quality,
  outputTokens,
  costUsd,
});
