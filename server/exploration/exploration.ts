/** Which requests may be used to try models, and what that may cost. */
import type { Decision } from '../../router/decision.ts';
import type { Team } from '../teams.ts';

export class Exploration {
  /** False where the team has not switched it on, or the day's budget is spent. */
  allows(team: Team): boolean {
    return team.explores;
  }

  /** Accounts for what a decision is expected to cost beyond the best guess. */
  note(_decision: Decision): void {}
}
