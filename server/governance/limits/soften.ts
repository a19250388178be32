/** What limits do to a caller: `auto` may cost less, or must pass over models of which nothing is left. */
import type { Routing } from '../../api/knobs.ts';
import type { Caller } from '../../callers.ts';
import type { Place, Rules } from '../policies/rules.ts';
import type { Meter } from './matching.ts';
import { type LimitReached, refusal } from './refusal.ts';
import type { Limit } from './terms.ts';

/** The caller with no higher dial than this. */
export const softened = (caller: Caller, dial: number): Caller => ({
  ...caller,
  routing: { ...caller.routing, dial: Math.min(dial, caller.routing?.dial ?? dial) },
});

/** What a request asks of the router, but for what would set the trade-off in another way than by a dial. */
export function withoutTrade({ target: _, budget: __, ...routing }: Routing): Routing {
  return routing;
}

/**
 * The caller whose `auto` passes over places of which nothing is left: what binds every outbound call of a request are its
 * rules, so it is told there.
 * @param usedUpAt that of which nothing is left there; null: there is none
 */
export function withoutModels(
  caller: Caller,
  usedUpAt: (model: string, provider: string) => Meter | null,
  now: number,
): Caller {
  // As it was when the choice was made: what the request itself sets aside later uses nothing up for it.
  const known = new Map<string, Meter | null>();
  return passingOver(caller, ({ model, provider }) => {
    if (model === null) return null;
    const key = placeKey(model, provider);
    let meter = known.get(key);
    if (meter === undefined) {
      meter = usedUpAt(model, provider);
      known.set(key, meter);
    }
    return meter === null ? null : { limit: meter.limit.name, error: () => refusalBy(meter, now) };
  });
}

/** How {@link withoutPlaces} knows a place. */
export const placeKey = (model: string, provider: string): string => `${model}\0${provider}`;

/**
 * The caller whose `auto` passes over these places: so much is left there, but too little for the request.
 * @param refusals by {@link placeKey}
 * @param explores false: nothing is left to chance, since what was drawn has been given up
 */
export function withoutPlaces(caller: Caller, refusals: ReadonlyMap<string, LimitReached>, explores: boolean): Caller {
  const bound = passingOver(caller, ({ model, provider }) => {
    const refused = model === null ? undefined : refusals.get(placeKey(model, provider));
    return refused === undefined ? null : { limit: refused.limit, error: () => refused };
  });
  return explores ? bound : { ...bound, rules: { ...bound.rules, explores: false } };
}

interface Lack {
  /** Name of the limit. */
  readonly limit: string;
  readonly error: () => LimitReached;
}

function passingOver(caller: Caller, lackAt: (place: Place) => Lack | null): Caller {
  const { rules } = caller;
  const narrowed: Rules = {
    ...rules,
    allows: (place) => rules.allows(place) && lackAt(place) === null,
    refusalOf(place) {
      const refused = rules.refusalOf(place);
      if (refused !== null) return refused;
      const lack = lackAt(place);
      return lack === null ? null : { rule: `limit ${lack.limit}`, about: 'model', error: lack.error };
    },
    allowsVerifier: (name) => rules.allowsVerifier(name),
  };
  return { ...caller, rules: narrowed };
}

type BudgetMeter = Meter & { readonly limit: Extract<Limit, { kind: 'budget' }> };

/** Of the budgets of which so much is spent that `auto` is to be cheaper, the one that allows least. */
export function softest(budgets: readonly Meter[], now: number): BudgetMeter | null {
  let found: BudgetMeter | null = null;
  for (const meter of budgets as readonly BudgetMeter[]) {
    const { softShare, softDial } = meter.limit;
    if (softShare >= 1 || meter.pot(now).share < softShare) continue;
    if (found === null || softDial < found.limit.softDial) found = meter;
  }
  return found;
}

/** Of those of which nothing is left, as far as is known here, the one that has something again last; null: there is none. */
export function usedUp(meters: readonly Meter[], now: number): Meter | null {
  let found: Meter | null = null;
  for (const meter of meters) {
    const pot = meter.pot(now);
    const isUsedUp = meter.measure === 'usd' ? pot.share >= 1 || (pot.isDry && pot.left <= 0) : pot.left < 1;
    if (!pot.isKnown || !isUsedUp) continue;
    if (found === null || pot.span.endMs > found.pot(now).span.endMs) found = meter;
  }
  return found;
}

/** What is set aside for requests under way may come back before the period is over. */
const refusalBy = (meter: Meter, now: number) =>
  refusal(meter, meter.measure !== 'usd' || meter.pot(now).share >= 1 ? 'spent' : 'elsewhere', null, now);
