/** All checks of one answer, the cheap ones first; the first fault found is enough. */
import { RoutingError } from '../../datasets/index.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { Egress } from '../egress/index.ts';
import type { JsonAnswer } from '../forward/attempt.ts';
import { ESCALATION_VERIFIER, mustAllowVerifier } from '../governance/policies/place.ts';
import type { Rules } from '../governance/policies/rules.ts';
import type { Conversation } from '../protocols/conversation.ts';
import { checkShape, type Fault } from './answer-shape.ts';
import { checkConfidence } from './confidence.ts';
import { checkSchema } from './response-schema.ts';
import { checkToolCalls } from './tool-calls.ts';
import { askVerifier, type Question } from './verifier.ts';

export interface Checking {
  readonly config: GatewayConfig['escalation'];
  readonly rules: Rules;
  readonly egress: Pick<Egress, 'postJson'>;
  readonly conversation: Conversation;
  readonly question: Omit<Question, 'model' | 'answer'>;
  readonly signal: AbortSignal;
  /** Told when the verifier gave no verdict: the answer then counts as not checked by it. */
  readonly onUnchecked: (error: { readonly code: string; readonly reason: string }) => void;
}

/** Null: nothing found wrong. Never rejects: a check that fails itself finds nothing. */
export async function faultOf(answer: JsonAnswer, model: string, checking: Checking): Promise<Fault | null> {
  const { config, conversation, onUnchecked } = checking;
  try {
    const { whole, tokenProbability } = answer;
    // Cut at the client's own bound: that of a dearer model would be cut there, too.
    if (whole.finish === 'length' && conversation.maxOutputTokens !== undefined) return null;
    return (
      checkShape(whole, conversation) ??
      (await checkToolCalls(whole, conversation)) ??
      (await checkSchema(whole, conversation)) ??
      checkConfidence(tokenProbability, config.minTokenProbability) ??
      (await verified(answer, model, checking))
    );
  } catch (error) {
    const code = error instanceof RoutingError ? error.code : 'INTERNAL';
    onUnchecked({ code, reason: error instanceof Error ? error.message : String(error) });
    return null;
  }
}

async function verified({ text }: JsonAnswer, model: string, checking: Checking): Promise<Fault | null> {
  const { config, egress, question, signal, rules } = checking;
  if (config.verifierUrl === undefined) return null;
  mustAllowVerifier(rules, ESCALATION_VERIFIER);
  return askVerifier(
    config.verifierUrl,
    { ...question, model, answer: JSON.parse(text) as unknown },
    { egress, signal },
  );
}
