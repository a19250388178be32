/** What each generation of Claude takes of reasoning: a request phrased for one is answered with a 400 by another. */
import type { Effort, Reasoning } from '../conversation.ts';
import type { WriteTarget } from '../protocol.ts';

/** @see https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking and the migration guides of each model */
export interface Traits {
  /** `thinking: {type: "adaptive"}` and `output_config.effort`, since 4.6; before, a budget in tokens. */
  readonly adaptive: boolean;
  /** Still takes `{type: "enabled", budget_tokens}`. */
  readonly budgets: boolean;
  readonly efforts: readonly Effort[];
  /** How thinking is switched off, or as far off as it goes; null where the model always thinks. */
  readonly off: 'disabled' | 'between_tools' | null;
  /** Refuses to be forced to call a tool while it thinks. */
  readonly forcedToolEndsThinking: boolean;
  /** Goes on from an unfinished assistant turn at the end. */
  readonly prefill: boolean;
  /** Takes system messages in mid-conversation. */
  readonly systemMessages: boolean;
}

const OTHER: Traits = {
  adaptive: false,
  budgets: true,
  efforts: [],
  off: 'disabled',
  forcedToolEndsThinking: true,
  prefill: true,
  systemMessages: false,
};

/** @param model as its host names it, e.g. `claude-opus-4-6`, `anthropic.claude-3-7-sonnet-20250219-v1:0`, `claude-opus-4.5` */
export function traitsOf(model: string): Traits {
  const match = /claude-(?:([a-z]+)-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)/.exec(model);
  const alwaysThinks = /claude-(fable|mythos)/.test(model);
  if (match === null && !alwaysThinks) return OTHER;
  const [, family, major = '5', minor = '0'] = match ?? [];
  const version = Number(major) * 100 + Number(minor);
  return {
    adaptive: version >= 406,
    budgets: version <= 406,
    efforts: version >= 407 ? ['low', 'medium', 'high', 'xhigh', 'max'] : version === 406 ? TO_4_6 : [],
    off:
      version >= 505 && family === 'sonnet'
        ? 'between_tools'
        : alwaysThinks || isLateOpus(family, version)
          ? null
          : 'disabled',
    forcedToolEndsThinking: version < 408,
    prefill: version < 406,
    systemMessages: version >= 408,
  };
}

const TO_4_6: readonly Effort[] = ['low', 'medium', 'high', 'max'];
const isLateOpus = (family: string | undefined, version: number) => family === 'opus' && version >= 505;

/** The least budget that Anthropic takes. */
const MIN_BUDGET = 1024;
/** Beyond this Anthropic advises batches: one answer takes too long. */
const MAX_BUDGET = 32_000;
/** Share of the answer's bound that an effort may spend on thinking, for models that want a number. */
const BUDGET_SHARE: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 0.1,
  low: 0.2,
  medium: 0.5,
  high: 0.8,
  xhigh: 0.9,
  max: 0.95,
};

export interface ThinkingFields {
  readonly thinking?: Readonly<Record<string, unknown>> | undefined;
  readonly effort?: Effort | undefined;
}

/**
 * The fields that say what the client wants of reasoning as this model understands them.
 *
 * @param maxTokens the answer's bound, which thinking is part of
 * @param impossible the conversation or its tool choice rules thinking out
 */
export function thinkingFields(
  reasoning: Reasoning | undefined,
  target: Pick<WriteTarget, 'model' | 'reasoning'>,
  maxTokens: number,
  impossible: boolean,
): ThinkingFields {
  if (!target.reasoning) return {};
  const traits = traitsOf(target.model);
  const { effort, budgetTokens } = reasoning ?? {};
  const wanted =
    effort === 'none' ? false : (reasoning?.enabled ?? (effort !== undefined || budgetTokens !== undefined));
  if (!wanted || impossible) {
    const refused = reasoning?.enabled === false || effort === 'none';
    return refused || (impossible && wanted) ? switchedOff(effort, traits) : { effort: nearest(effort, traits) };
  }
  if (traits.adaptive) {
    const display = reasoning?.visible === undefined ? undefined : reasoning.visible ? 'summarized' : 'omitted';
    return { thinking: { type: 'adaptive', ...(display && { display }) }, effort: nearest(effort, traits) };
  }
  const budget = Math.min(budgetTokens ?? BUDGET_SHARE[effort ?? 'medium'] * maxTokens, MAX_BUDGET, maxTokens - 1);
  // The client's bound is a promise about cost, its wish for reasoning only a wish.
  if (maxTokens <= MIN_BUDGET) return {};
  return { thinking: { type: 'enabled', budget_tokens: Math.max(MIN_BUDGET, Math.floor(budget)) } };
}

function switchedOff(effort: Effort | undefined, traits: Traits): ThinkingFields {
  // A model that cannot stop thinking can be told to think little.
  if (traits.off === null) return { effort: 'low' };
  const kept = nearest(effort, traits);
  // Opus 5 thinks whatever is said at an effort above `high`.
  return { thinking: { type: traits.off }, effort: kept === 'xhigh' || kept === 'max' ? 'high' : kept };
}

function nearest(effort: Effort | undefined, { efforts }: Traits): Effort | undefined {
  if (effort === undefined || effort === 'none' || efforts.length === 0) return undefined;
  if (effort === 'minimal') return 'low';
  return efforts.includes(effort) ? effort : 'high';
}
