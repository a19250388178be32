/** Sets aside what a batch may cost in all of its budgets, or in none. */
import type { Hold } from '../account.ts';
import type { Matched, Meter } from '../matching.ts';
import type { Pot } from '../pot.ts';
import type { ExpectedOfModel } from './expected.ts';

/** What was set aside in a pot of a budget. */
export interface BatchHold {
  readonly pot: Pot;
  readonly usd: number;
  /** Of a budget for some models alone. */
  readonly models: readonly string[] | null;
}

export interface Holding {
  readonly matched: Matched;
  /** Rates that have not let its request in yet. */
  readonly pending: readonly Meter[];
  readonly now: number;
  /** Without waiting. */
  takeNow(pot: Pot, amount: number): boolean;
  /** Adds what is lacking, or gives all back. @throws LimitReached */
  ask(holds: Hold[], lacking: readonly Hold[]): Promise<void>;
}

interface Sum {
  amount: number;
  readonly models: string[] | null;
}

/**
 * Of rates its requests and tokens use up what is left of the minute at most: a batch runs over hours, and one that is larger
 * than any minute would never begin.
 * @throws `BUDGET_EXCEEDED`, `RATE_LIMITED`
 */
export async function holdBatch(
  { matched, pending, now, takeNow, ask }: Holding,
  provider: string,
  expected: readonly ExpectedOfModel[],
): Promise<readonly BatchHold[]> {
  const sums = sumsOf(matched, provider, expected);
  const holds: Hold[] = [];
  const lacking: Hold[] = [];
  const usual = new Map<Pot, number>();
  const take = (meter: Meter, held: number) => {
    const pot = meter.pot(now);
    if (meter.measure === 'usd') usual.set(pot, pot.lastAmount);
    (takeNow(pot, held) ? holds : lacking).push({ meter, pot, held });
  };
  for (const meter of pending) take(meter, 1);
  for (const [meter, { amount }] of sums) if (meter.measure === 'usd') take(meter, amount);
  if (lacking.length > 0) await ask(holds, lacking);
  for (const { pot, held } of holds) {
    if (pot.measure !== 'usd') pot.settle(held, held);
    // How much the next requests take it says nothing of.
    else pot.taken = Math.max(0, pot.taken - held);
  }
  for (const [pot, amount] of usual) pot.lastAmount = amount;
  for (const [meter, { amount }] of sums) {
    if (meter.measure === 'usd') continue;
    const pot = meter.pot(now);
    // It was counted as one request when it came.
    const more = meter.measure === 'requests' && matched.requests.includes(meter) ? amount - 1 : amount;
    pot.settle(0, Math.min(more, Math.floor(pot.left)));
  }
  return holds.flatMap(({ meter, pot, held: usd }) =>
    meter.measure === 'usd' ? [{ pot, usd, models: sums.get(meter)!.models }] : [],
  );
}

function sumsOf(matched: Matched, provider: string, expected: readonly ExpectedOfModel[]): ReadonlyMap<Meter, Sum> {
  const sums = new Map<Meter, Sum>();
  const add = (meter: Meter, one: ExpectedOfModel, isOfModels: boolean) => {
    const sum = sums.get(meter) ?? { amount: 0, models: isOfModels ? [] : null };
    sums.set(meter, sum);
    sum.amount += amountOf(meter, one);
    sum.models?.push(one.model);
  };
  for (const one of expected) {
    for (const meter of [...matched.budgets, ...matched.tokens, ...matched.requests]) add(meter, one, false);
    for (const meter of matched.at(one.model, provider)) add(meter, one, true);
  }
  return sums;
}

const amountOf = ({ measure }: Meter, { usd, inputTokens, outputTokens, requests }: ExpectedOfModel): number =>
  measure === 'usd' ? usd : measure === 'tokens' ? inputTokens + outputTokens : requests;
