/** A client's wish for reasoning → the fields of the model's own that Converse hands on. */
import type { Conversation, Effort, Reasoning } from '../conversation.ts';
import type { WriteTarget } from '../protocol.ts';
import { type Family, isClaudeFrom } from './family.ts';

export interface ThinkingFields {
  /** Go to `additionalModelRequestFields`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Sampling may not be set beside them. */
  readonly fixedSampling: boolean;
  /** The bound that the answer must have with them; undefined: whatever it has without. */
  readonly maxTokens?: number | undefined;
}

const NOTHING: ThinkingFields = { fields: {}, fixedSampling: false };

/** Claude's smallest budget, and room for the answer itself where nobody bounded it. */
const SMALLEST_BUDGET = 1024;
const ANSWER_TOKENS = 8192;

const BUDGET: Record<Effort, number> = {
  none: 0,
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 24_576,
  max: 32_000,
};

/**
 * @param maxTokens  bound of the answer so far
 * @param unsigned   the conversation stands in a tool loop whose last call came without thinking that can go back
 */
export function thinkingFields(
  { reasoning, toolChoice }: Conversation,
  target: WriteTarget,
  family: Family,
  { maxTokens, unsigned }: { readonly maxTokens: number | undefined; readonly unsigned: boolean },
): ThinkingFields {
  if (reasoning === undefined || !target.reasoning) return NOTHING;
  const off = reasoning.enabled === false || reasoning.effort === 'none';
  if (family.kind === 'nova') return off ? NOTHING : novaThinking(reasoning, maxTokens);
  if (family.kind === 'gpt') {
    return { ...NOTHING, fields: { reasoning_effort: off ? 'low' : threeSteps(reasoning) } };
  }
  if (family.kind !== 'claude') return NOTHING;
  if (off) return claudeOff(family);
  // Claude refuses to think where it is made to call a tool.
  if (toolChoice?.type === 'required' || toolChoice?.type === 'tool') return NOTHING;
  if (isClaudeFrom(family, 4.6)) {
    const effort = claudeEffort(reasoning, family);
    return {
      fields: { thinking: { type: 'adaptive' }, ...(effort !== undefined && { output_config: { effort } }) },
      fixedSampling: true,
    };
  }
  // Until 4.5 a turn that calls tools while thinking must begin with its thinking, which another model's turn lacks.
  if (!isClaudeFrom(family, 3.7) || unsigned) return NOTHING;
  return withBudget(reasoning, target, maxTokens);
}

/** Up to 4.x thinking is off unless asked for; 5.5 always thinks and refuses to be told not to. */
function claudeOff(family: Family): ThinkingFields {
  if (family.version === null || family.version < 5) return NOTHING;
  if (family.version < 5.5) return { ...NOTHING, fields: { thinking: { type: 'disabled' } } };
  return { fields: { output_config: { effort: 'low' } }, fixedSampling: true };
}

function withBudget(reasoning: Reasoning, target: WriteTarget, maxTokens: number | undefined): ThinkingFields {
  const wanted = Math.max(reasoning.budgetTokens ?? BUDGET[reasoning.effort ?? 'medium'], SMALLEST_BUDGET);
  // The budget is part of the answer's bound, and must be below it.
  const bound = maxTokens ?? Math.min(wanted + ANSWER_TOKENS, target.maxOutputTokens ?? Number.POSITIVE_INFINITY);
  const budget = Math.min(wanted, bound - 1);
  if (budget < SMALLEST_BUDGET) return NOTHING;
  return {
    fields: { thinking: { type: 'enabled', budget_tokens: budget } },
    fixedSampling: true,
    maxTokens: bound,
  };
}

function claudeEffort(reasoning: Reasoning, { version }: Family): string | undefined {
  if (reasoning.effort === 'minimal') return 'low';
  if (reasoning.effort === 'xhigh' && version !== null && version < 4.7) return 'high';
  if (reasoning.effort !== undefined) return reasoning.effort;
  return reasoning.budgetTokens === undefined ? undefined : threeSteps(reasoning);
}

/** Nova at high effort takes no bound of the answer: where the client set one, it is kept and the effort is not. */
function novaThinking(reasoning: Reasoning, maxTokens: number | undefined): ThinkingFields {
  const step = threeSteps(reasoning);
  const maxReasoningEffort = step === 'high' && maxTokens !== undefined ? 'medium' : step;
  return {
    fields: { reasoningConfig: { type: 'enabled', maxReasoningEffort } },
    fixedSampling: maxReasoningEffort === 'high',
  };
}

function threeSteps({ effort, budgetTokens }: Reasoning): 'low' | 'medium' | 'high' {
  const budget = effort === undefined ? (budgetTokens ?? BUDGET.medium) : BUDGET[effort];
  return budget <= BUDGET.low ? 'low' : budget <= BUDGET.medium ? 'medium' : 'high';
}
