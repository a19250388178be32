/**
 * `auto` passes over models of which a limit of their own has too little left for the request: such a limit speaks of what
 * a call may cost there, which is known only when it is decided what would be called.
 */
import { RoutingError } from '../../datasets/errors.ts';
import type { Decision } from '../../router/decision.ts';
import type { Caller } from '../callers.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { FREE_PRICE } from '../governance/limits/forecast.ts';
import type { Entrant, Expectation } from '../governance/limits/limits.ts';
import { LimitReached, soonest } from '../governance/limits/refusal.ts';
import { placeKey, withoutPlaces } from '../governance/limits/soften.ts';
import { placeOf } from '../governance/policies/place.ts';

/** What the client asks of an answer, wherever it comes from. */
export type AskedOf = (target: Target) => Pick<Expectation, 'mostOutputTokens' | 'isBoundSure' | 'answers'>;

/** What a call there is expected to take. @param tokens 0: nobody counted them */
export function expectationAt(
  target: Target,
  tokens: Pick<Expectation, 'inputTokens' | 'outputTokens'>,
  askedOf: AskedOf,
): Expectation {
  const { id, provider, candidate = null } = target;
  const price = provider.sandbox === true ? FREE_PRICE : candidate;
  return { model: id, provider: provider.name, ...tokens, ...askedOf(target), price };
}

/** One request's, for as long as it is not decided where it goes. */
export class PassingOver {
  readonly #gateway: Gateway;
  readonly #entrant: Entrant;
  readonly #askedOf: AskedOf;
  /** By place, each once, so that whatever is done for each comes to an end. */
  readonly #refusals = new Map<string, LimitReached>();
  #explores = true;

  constructor(gateway: Gateway, entrant: Entrant, askedOf: AskedOf) {
    this.#gateway = gateway;
    this.#entrant = entrant;
    this.#askedOf = askedOf;
  }

  /**
   * Decides, and again without the places that limits of their own keep out. Which ones those are hangs on all models that
   * could have been drawn and on none that was, so that probabilities are what they say.
   *
   * @param decide for a caller who may not use those places
   * @returns the decision, and that caller
   * @throws `BUDGET_EXCEEDED`, `RATE_LIMITED` of the limit that has something again first, where nothing else is left
   */
  async decide<T extends { readonly decision: Decision }>(
    caller: Caller,
    decide: (bound: Caller) => Promise<T>,
  ): Promise<T & { readonly bound: Caller }> {
    const holds = this.#gateway.governance.limits.holdsForModels(this.#entrant);
    for (;;) {
      const bound = this.#refusals.size === 0 ? caller : withoutPlaces(caller, this.#refusals, this.#explores);
      const made = await decide(bound).catch((error) => {
        throw this.#refusals.size > 0 && error instanceof RoutingError ? this.#insteadOf(error) : error;
      });
      if (!holds || !this.#looksAt(made.decision, bound)) return { ...made, bound };
    }
  }

  /**
   * What was found only when it was to be set aside: other requests were quicker, or only the database knew. What was drawn
   * is given up then, so that nothing is left to chance any more.
   * @returns false: it is nothing that another model would help against
   */
  learnsOf(error: unknown, target: Target): boolean {
    const key = keyOf(target);
    if (!(error instanceof LimitReached) || !error.isOfModel || this.#refusals.has(key)) return false;
    this.#refusals.set(key, error);
    this.#explores = false;
    return true;
  }

  /** @returns true: there is a place to be passed over that was not known before */
  #looksAt({ ranked, distribution, facts }: Decision, bound: Caller): boolean {
    const { governance, setup } = this.#gateway;
    const before = this.#refusals.size;
    ranked.forEach(({ model, outputTokens }, i) => {
      if (i > 0 && !(distribution[i]! > 0)) return;
      const tokens = { inputTokens: facts.inputTokens, outputTokens };
      for (const target of setup.models.resolve(model, { ...bound, models: undefined }).targets) {
        const key = keyOf(target);
        if (this.#refusals.has(key)) continue;
        const expected = expectationAt(target, tokens, this.#askedOf);
        const refusal = governance.limits.foreseeAt(this.#entrant, expected);
        if (refusal !== null) this.#refusals.set(key, refusal);
      }
    });
    return this.#refusals.size > before;
  }

  /** Models that can be had, but not for this request, leave nothing but those passed over. */
  #insteadOf(error: RoutingError): RoutingError {
    return error instanceof LimitReached ? error : (soonest([...this.#refusals.values()]) ?? error);
  }
}

/** As rules see the place, who are told of it. */
function keyOf(target: Target): string {
  const { model, provider } = placeOf(target);
  return placeKey(model ?? target.id, provider);
}
