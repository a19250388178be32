/** What a guardrail refused: which one, and what was found by then. Never the text itself. */
import { RoutingError } from '../../../datasets/index.ts';
import type { GuardHit } from '../../db/records.ts';

export class GuardrailBlocked extends RoutingError {
  readonly guard: string;
  readonly hits: readonly GuardHit[];

  constructor(guard: string, where: GuardHit['where'], hits: readonly GuardHit[]) {
    const found = [...new Set(hits.filter((hit) => hit.action === 'blocked').map((hit) => hit.found))].join(', ');
    super('GUARDRAIL_BLOCKED', `the guardrail “${guard}” does not let this ${where} pass (found: ${found})`);
    this.guard = guard;
    this.hits = hits;
  }
}
