/** A verifier of the user's own: one POST through the egress guard. What hangs, breaks or lies gives no verdict. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import type { Egress } from '../egress/index.ts';
import type { Question } from '../escalation/verifier.ts';
import { mustAllowVerifier } from '../governance/policies/place.ts';
import type { Rules } from '../governance/policies/rules.ts';

/** As `escalation.verifierUrl` is asked, and what it is asked for. */
export interface VerifierQuestion extends Question {
  readonly verifier: string;
  /** `routing.expected` of the request. */
  readonly expected?: string;
}

const Verdict = z.union([
  z.object({ score: z.number().min(0).max(1) }).transform(({ score }) => score),
  z.object({ ok: z.boolean() }).transform(({ ok }) => (ok ? 1 : 0)),
]);

/** @returns a score in [0, 1] @throws `POLICY_REFUSED`, `EGRESS_REFUSED`, `EGRESS_FAILED` (no verdict came), or the signal's reason */
export async function scoreFrom(
  url: string,
  question: VerifierQuestion,
  {
    egress,
    signal,
    rules,
  }: { readonly egress: Pick<Egress, 'postJson'>; readonly signal: AbortSignal; readonly rules: Rules },
): Promise<number> {
  mustAllowVerifier(rules, question.verifier);
  const verdict = Verdict.safeParse(await egress.postJson(url, question, { signal }), PLAIN);
  if (verdict.success) return verdict.data;
  throw new RoutingError('EGRESS_FAILED', 'the verifier gave no verdict: {"score": 0…1} or {"ok": true} is wanted');
}
