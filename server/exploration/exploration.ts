/** Which requests may be used to try models, what that may cost, and which models are new. */
import type { Decision } from '../../router/decision.ts';
import type { RouteOptions } from '../../router/router.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { Spending } from '../db/spending.ts';
import type { Rules } from '../governance/policies/rules.ts';
import type { Team } from '../teams.ts';
import type { Newcomers } from './newcomers.ts';

/** What of the gateway it goes by; the configuration may change under way. */
export interface ExplorationParts {
  readonly config: Pick<GatewayConfig, 'exploration'>;
  readonly spending: Spending;
}

export class Exploration {
  readonly #parts: ExplorationParts;
  readonly #newcomers: Newcomers | null;

  /** @param newcomers null: nobody is new */
  constructor(parts: ExplorationParts, newcomers: Newcomers | null = null) {
    this.#parts = parts;
    this.#newcomers = newcomers;
  }

  /** False where the team has not switched it on, or the day's budget is spent. */
  allows(team: Team): boolean {
    const { config, spending } = this.#parts;
    const { budgetUsdPerDay } = config.exploration;
    return team.explores && (budgetUsdPerDay === null || spending.today('exploration') < budgetUsdPerDay);
  }

  /** What the router is told of it for a request of this team, under these rules. */
  routeOptions(team: Team, { explores }: Pick<Rules, 'explores'>): Pick<RouteOptions, 'explore' | 'newcomers'> {
    if (!explores || !this.allows(team)) return { explore: false };
    const ids = this.#current();
    return {
      explore: true,
      ...(ids.length > 0 && { newcomers: { ids, share: this.#parts.config.exploration.newcomerShare } }),
    };
  }

  /**
   * Accounts for a decision that is acted upon: for what its model is expected to cost beyond the best guess, and for
   * the try of a model that is new. One that is cheaper than the best guess costs quality, not money: that is bounded by
   * how often is explored, and within what tolerance (README.md).
   */
  note({ explored, model, ranked }: Decision): void {
    if (!explored) return;
    // Behind what was drawn stands what would have been taken.
    const [drawn, guessed] = ranked;
    if (guessed !== undefined) this.#parts.spending.add('exploration', drawn!.costUsd - guessed.costUsd);
    if (this.#current().includes(model)) this.#newcomers?.note(model);
  }

  #current(): readonly string[] {
    return this.#newcomers?.among(this.#parts.config.exploration.newcomerCalls) ?? [];
  }
}
