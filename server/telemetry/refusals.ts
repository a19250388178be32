/** Requests that were refused, by whose they were and why: who is kept from working is in no decision, since none was made. */
import type { Caller } from '../callers.ts';

/** What refused them: of errors that a request of a known caller ends in, those that say that it may not, or not now. */
const REASONS: Readonly<Record<string, RefusalReason>> = {
  POLICY_REFUSED: 'policy',
  FORBIDDEN_MODEL: 'model',
  BUDGET_EXCEEDED: 'budget',
  RATE_LIMITED: 'rate',
  GUARDRAIL_BLOCKED: 'guardrail',
};
export type RefusalReason = 'policy' | 'model' | 'budget' | 'rate' | 'guardrail';

export interface RefusalCount {
  readonly team: string;
  /** The key's name; null: nobody's. */
  readonly key: string | null;
  readonly reason: RefusalReason;
  /** The limit or the guardrail; null: of a policy, the message says which rule. */
  readonly by: string | null;
  readonly requests: number;
  readonly lastAt: string;
}

interface Counting extends Omit<RefusalCount, 'requests' | 'lastAt'> {
  requests: number;
  lastAt: number;
}

/** More different ones than this, and of the team that has most the one that was not seen for longest is forgotten. */
const MOST = 2000;

export class Refusals {
  readonly since = new Date();
  /** By team. */
  readonly #counts = new Map<string, Map<string, Counting>>();
  #size = 0;

  /** @param error what the client is told */
  count({ kind, tenant: team, name: key }: Pick<Caller, 'kind' | 'tenant' | 'name'>, error: unknown): void {
    const { code, limit, guard } = (error ?? {}) as { code?: unknown; limit?: unknown; guard?: unknown };
    const reason = typeof code === 'string' && Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
    if (reason === undefined || (kind !== 'key' && kind !== 'anybody')) return;
    const by = typeof limit === 'string' ? limit : typeof guard === 'string' ? guard : null;
    const id = JSON.stringify([key, reason, by]);
    const counts = this.#counts.get(team) ?? new Map<string, Counting>();
    this.#counts.set(team, counts);
    const count = counts.get(id) ?? { team, key, reason, by, requests: 0, lastAt: 0 };
    count.requests++;
    count.lastAt = Date.now();
    // The one that was seen last is at the end.
    if (!counts.delete(id)) this.#size++;
    counts.set(id, count);
    if (this.#size > MOST) this.#forget();
  }

  /** A team with many keys pushes out its own: the others keep their equal share, however long nobody was refused there. */
  #forget(): void {
    const [first, ...others] = this.#counts.values();
    let largest = first!;
    for (const counts of others) {
      const more = counts.size - largest.size;
      if (more > 0 || (more === 0 && oldestOf(counts).lastAt < oldestOf(largest).lastAt)) largest = counts;
    }
    const { team, key, reason, by } = oldestOf(largest);
    largest.delete(JSON.stringify([key, reason, by]));
    this.#size--;
    if (largest.size === 0) this.#counts.delete(team);
  }

  /** Most first. @param team null: all */
  of(team: string | null): RefusalCount[] {
    const some = team === null ? [...this.#counts.values()] : [this.#counts.get(team) ?? new Map<string, Counting>()];
    return some
      .flatMap((counts) => [...counts.values()])
      .sort((a, b) => b.requests - a.requests || b.lastAt - a.lastAt)
      .map((one) => ({ ...one, lastAt: new Date(one.lastAt).toISOString() }));
  }
}

const oldestOf = (counts: ReadonlyMap<string, Counting>): Counting => counts.values().next().value!;
