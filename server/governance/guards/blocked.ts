/** What a guardrail refused: which one, and what was found by then. Never the text itself. */
import { RoutingError } from '../../../datasets/index.ts';
import type { GuardHit } from '../../db/records.ts';

export class GuardrailBlocked extends RoutingError {
  readonly guard: string;
  readonly hits: readonly GuardHit[];

  /** @param unread what it could not look into, where that is why */
  constructor(guard: string, where: GuardHit['where'], hits: readonly GuardHit[], unread?: string) {
    const found = [...new Set(hits.filter((hit) => hit.action === 'blocked').map((hit) => hit.found))].join(', ');
    const why = unread === undefined ? '' : `: it cannot look into ${unread}`;
    super('GUARDRAIL_BLOCKED', `the guardrail “${guard}” does not let this ${where} pass (found: ${found})${why}`);
    this.guard = guard;
    this.hits = hits;
  }
}
