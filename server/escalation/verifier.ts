/** The user's own judge of answers: one POST through the egress guard. Without its word an answer counts as not checked. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import type { Egress } from '../egress/index.ts';
import type { Fault } from './answer-shape.ts';

/** What the verifier is sent. */
export interface Question {
  readonly decisionId: string;
  /** Who answered, `provider/model`. */
  readonly model: string;
  /** What the client spoke: `chat`, `responses` or `messages`. */
  readonly surface: string;
  /** The client's request, and the answer as the client would get it. */
  readonly request: unknown;
  readonly answer: unknown;
}

const Verdict = z.object({ ok: z.boolean('must be true or false'), reason: z.string().optional() });

/** @throws `EGRESS_REFUSED`, `EGRESS_FAILED` (no verdict came), or the signal's reason */
export async function askVerifier(
  url: string,
  question: Question,
  { egress, signal }: { readonly egress: Pick<Egress, 'postJson'>; readonly signal: AbortSignal },
): Promise<Fault | null> {
  const verdict = Verdict.safeParse(await egress.postJson(url, question, { signal }), PLAIN);
  if (!verdict.success) {
    const [issue] = verdict.error.issues;
    throw new RoutingError(
      'EGRESS_FAILED',
      `the verifier’s verdict: ${issue!.path.join('.') || 'the whole'}: ${issue!.message}; {"ok": true} or {"ok": false} is wanted`,
    );
  }
  return verdict.data.ok ? null : { check: 'verifier', why: 'the verifier says no' };
}
