/** Which judged answers can teach the router: one rule for the reply to feedback, for reading the log and for its report. */
import { sandbox } from '../providers/sandbox.ts';

export const WHY_LEFT_OUT = {
  notAnswered: 'no model had answered',
  sandbox: 'answered by the sandbox, no model was called',
  notRouted: 'the client had named the model, or no embedding of the prompt is kept',
  otherEncoder: 'embedded by another encoder',
} as const;
export type LeftOut = keyof typeof WHY_LEFT_OUT;

/** Of a verdict, not of the answer: it never becomes an outcome. */
export const WITHOUT_WEIGHT = 'verdicts of this key are kept and not learned from (feedbackWeight of the key)';

export const SANDBOX = sandbox().name;

export interface Judged {
  readonly routed: boolean;
  readonly executedModel: string | null;
  /** Whose answer it was; null where that is not written down yet. */
  readonly provider: string | null;
  readonly embedding: { readonly length: number } | null;
  readonly encoderId: string | null;
}

/** The first reason that applies; null: the answer teaches. @param encoderId of the router in force */
export function whyLeftOut(judged: Judged, encoderId: string): LeftOut | null {
  if (judged.executedModel === null) return 'notAnswered';
  if (judged.provider === SANDBOX) return 'sandbox';
  if (!judged.routed || judged.embedding === null) return 'notRouted';
  return judged.encoderId === encoderId ? null : 'otherEncoder';
}
