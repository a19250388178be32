/** Calls as `forward` does and, where the answer may be checked, checks it: the hook of the gateway's answering. */
import type { FastifyBaseLogger } from 'fastify';
import type { AttemptRecord, DecisionRecord } from '../db/records.ts';
import { type ForwardRequest, forward, type OpenCall } from '../forward/forward.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { ESCALATION_VERIFIER } from '../governance/policies/place.ts';
import type { Conversation } from '../protocols/conversation.ts';
import { escalate } from './escalate.ts';
import { type Plan, planFor } from './plan.ts';

export interface CheckedRequest {
  readonly gateway: Gateway;
  readonly record: DecisionRecord;
  readonly targets: readonly Target[];
  readonly request: ForwardRequest;
  /** The client's `routing.escalation`. */
  readonly wanted: boolean | undefined;
  /** A provider holds an object of this conversation. */
  readonly held: boolean;
  /** Takes the record of every attempt but that of the call given back. */
  readonly note: (attempt: AttemptRecord) => void;
  readonly log: FastifyBaseLogger;
}

/** What came of checking; undefined where nothing was checked. */
export interface Checked {
  /**
   * Why another model answers than the one decided for, in place of its reason: `escalated` after a failed check,
   * `checked` where a cheaper one was put first and its answer passed. Null: the decision's own reason holds.
   */
  readonly reason: 'escalated' | 'checked' | null;
  /** Calls that were made because a check had failed, and answered. */
  readonly ups: number;
  /** The answer given failed its check, too. */
  readonly failed: boolean;
}

/** @throws UpstreamFailure when nobody answered, or the client left */
export async function forwardChecked(input: CheckedRequest): Promise<{ call: OpenCall; checked?: Checked }> {
  const { gateway, record, targets, request, note, log } = input;
  const { config, egress } = gateway.setup;
  const { rules } = request;
  const escalation = rules.allowsVerifier(ESCALATION_VERIFIER)
    ? config.escalation
    : { ...config.escalation, verifierUrl: undefined };
  const planned = escalation.enabled ? conversationAndPlan(input, escalation) : null;
  if (planned === null) return { call: await forward(targets, request, config, note, gateway.breaker) };
  const { plan, conversation } = planned;
  const { json, surface } = request.asked;
  const asksForConfidence = escalation.minTokenProbability > 0 && json.logprobs !== true;
  const asking = asksForConfidence ? { ...request, asked: { ...request.asked, confidence: true } } : request;
  const first = await forward(plan.targets, asking, config, note, gateway.breaker);
  const { call, ups, failed } = await escalate(first, {
    checking: {
      config: escalation,
      rules,
      egress,
      conversation,
      question: { decisionId: record.id, surface: surface.name, request: json },
      signal: request.life,
      onUnchecked: (why) => log.warn(why, 'an answer was not checked'),
    },
    ranked: record.ranked,
    targets,
    request: asking,
    limits: config,
    breaker: gateway.breaker,
    note,
    // What is wrong is said, never a word of the answer.
    onFault: (model, { check, why }) => log.info({ model, check, why }, 'an answer failed its check'),
  });
  return { call, checked: { ups, failed, reason: reasonOf(call, first, ups, plan) } };
}

function reasonOf(call: OpenCall, first: OpenCall, ups: number, { cheaper }: Plan): Checked['reason'] {
  if (ups > 0) return 'escalated';
  return call.target.id === first.target.id && call.target.id === cheaper ? 'checked' : null;
}

/** Null: the first answer is given unchecked, also for a request that only its provider can read. */
function conversationAndPlan(
  { record, targets, request: { asked }, wanted, held }: CheckedRequest,
  config: Gateway['config']['escalation'],
): { plan: Plan; conversation: Conversation } | null {
  if (!record.routed || asked.stream) return null;
  let conversation: Conversation;
  try {
    conversation = asked.conversation();
  } catch {
    return null;
  }
  const plan = planFor(config, {
    record,
    targets,
    stream: asked.stream,
    wanted,
    held,
    conversation,
  });
  return plan && { plan, conversation };
}
