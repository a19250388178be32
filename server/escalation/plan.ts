/** Whether an answer of this request is checked, and who answers first: the model decided for, or a cheaper one whose way up is counted in. */
import type { RankedCandidate } from '../../router/decision.ts';
import { type CheckErrors, cascadeStart } from '../../router/policy/cascade.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { DecisionRecord } from '../db/records.ts';
import type { Target } from '../forward/target.ts';
import type { Conversation } from '../protocols/conversation.ts';

export interface Plan {
  /** Where to call first, in order: the same as without checks, but for a cheaper model put before them. */
  readonly targets: readonly Target[];
  /** The model put first; null: the decision stands. */
  readonly cheaper: string | null;
}

export interface PlanInput {
  readonly record: Pick<DecisionRecord, 'routed' | 'reason' | 'explored' | 'floor' | 'ranked' | 'facts'>;
  readonly targets: readonly Target[];
  readonly stream: boolean;
  /** The client's `routing.escalation`. */
  readonly wanted: boolean | undefined;
  /** A provider holds an object of this conversation: no other model can go on with it. */
  readonly held: boolean;
  readonly conversation: Pick<Conversation, 'responseFormat' | 'tools'>;
}

/** Null: the first answer is given unchecked. */
export function planFor(config: GatewayConfig['escalation'], input: PlanInput): Plan | null {
  const { record, targets, stream, wanted, held } = input;
  if (!config.enabled || wanted === false || stream || held || !record.routed) return null;
  if ('critical' in record.facts || record.reason === 'pinned') return null;
  const [first] = targets;
  // The sandbox makes its answers up: whether they are good says nothing.
  if (first === undefined || first.provider.sandbox) return null;
  const stands: Plan = { targets, cheaper: null };
  // What was drawn to be learned from is what must answer; and a pinned deployment leads the list for a reason.
  if (record.explored || record.reason === 'sticky' || first.id !== record.ranked[0]?.model) return stands;
  const callable = new Set(targets.map(({ id }) => id));
  const ranked = record.ranked.filter(({ model }) => callable.has(model));
  const errors = errorsOf(config, input);
  if (errors.falseAccept === 1) return stands;
  const { start } = cascadeStart(ranked, { ...errors, floor: record.floor, maxCalls: config.maxCalls });
  if (start === 0) return stands;
  const { model } = ranked[start]!;
  return {
    targets: [...targets.filter(({ id }) => id === model), ...targets.filter(({ id }) => id !== model)],
    cheaper: model,
  };
}

/** Most wrong answers still fit their schema; a right one seldom breaks it. */
const OF_THE_FORM: CheckErrors = { falseAccept: 0.9, falseReject: 0.02 };
const OF_NOTHING: CheckErrors = { falseAccept: 1, falseReject: 0 };

/** How far the checks that this request gets can be trusted. Confidence is left out: few hosts tell it, and not before they are asked. */
function errorsOf(config: GatewayConfig['escalation'], { conversation }: PlanInput): CheckErrors {
  const { verifierUrl, falseAccept, falseReject } = config;
  if (verifierUrl !== undefined) return { falseAccept, falseReject };
  const { responseFormat, tools } = conversation;
  const isFormal = tools.length > 0 || (responseFormat !== undefined && responseFormat.type !== 'text');
  return isFormal ? OF_THE_FORM : OF_NOTHING;
}

/**
 * Where to go when an answer has failed its check: the models not called yet of higher predicted quality than any
 * that was, in the order of the ranked list. A model without a prediction is none of them.
 */
export function above(
  tried: ReadonlySet<string>,
  ranked: readonly Pick<RankedCandidate, 'model' | 'quality'>[],
  targets: readonly Target[],
): Target[] {
  const quality = new Map(ranked.map((candidate) => [candidate.model, candidate.quality]));
  const best = Math.max(...[...tried].map((model) => quality.get(model) ?? Number.POSITIVE_INFINITY));
  return targets.filter(({ id }) => !tried.has(id) && (quality.get(id) ?? Number.NEGATIVE_INFINITY) > best);
}
