/** What the models on Bedrock have in common under Converse, and where Claude, Nova and OpenAI's open models differ. */
import type { Maker } from '../conversation.ts';
import type { WriteTarget } from '../protocol.ts';

export interface Family {
  readonly kind: 'claude' | 'nova' | 'gpt' | 'other';
  /**
   * Claude's version as a number, 4.5; null where the id does not tell it, as in the ARN of an application
   * inference profile. Such a one is taken to be a recent model.
   */
  readonly version: number | null;
  readonly opus: boolean;
}

/**
 * Whose reasoning a model on Bedrock reads back, by its id: `us.anthropic.claude-…`, `amazon.nova-…`. Ids that
 * name no maker (ARNs of profiles) are `other`: state the dialect's `maker` for these.
 */
export function makerOnBedrock(model: string): Maker {
  if (/\banthropic\.|claude/i.test(model)) return 'anthropic';
  if (/\bopenai\./i.test(model)) return 'openai';
  if (/\bdeepseek\./i.test(model)) return 'deepseek';
  if (/\bgoogle\./i.test(model)) return 'google';
  return 'other';
}

export function familyOf({ model, dialect }: WriteTarget): Family {
  const maker = dialect.maker ?? makerOnBedrock(model);
  if (maker === 'anthropic') return { kind: 'claude', version: claudeVersion(model), opus: /opus/i.test(model) };
  const kind = /nova/i.test(model) ? 'nova' : maker === 'openai' ? 'gpt' : 'other';
  return { kind, version: null, opus: false };
}

/** `claude-sonnet-4-5-20250929` and `claude-3-7-sonnet-…`: a date is no minor version. */
function claudeVersion(model: string): number | null {
  const [, major, minor] = /claude-(?:[a-z]+-)?(\d)(?:-(\d)(?!\d))?/i.exec(model) ?? [];
  return major === undefined ? null : Number(`${major}.${minor ?? 0}`);
}

/** The family is Claude at that version or a later one, or at one unknown. */
export const isClaudeFrom = ({ kind, version }: Family, from: number): boolean =>
  kind === 'claude' && (version === null || version >= from);
