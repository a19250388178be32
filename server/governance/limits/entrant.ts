/** A request on its way in, as limits see it. */
import type { Caller } from '../../callers.ts';
import type { Meter } from './matching.ts';

/** A request before it is known where it goes. */
export interface Entrant {
  readonly caller: Caller;
  /** Tags of the key, and those that the client added. */
  readonly tags: readonly string[];
  readonly surface: string;
  /** `model` as the client sent it. */
  readonly requestedModel: string;
  /** `auto` was asked for. */
  readonly isAuto: boolean;
  /** Characters of the request. */
  readonly chars: number;
  /** It asks for something that is there already: rates of tokens have nothing to do with it. */
  readonly takesNoTokens?: boolean | undefined;
  /** What `Limits.admit` left open. */
  readonly pending?: readonly Meter[] | undefined;
}

/** One that was let in. */
export interface Admission {
  /** As before, or with narrower bounds on what `auto` may cost: a soft limit is reached. */
  readonly caller: Caller;
  /** OpenAI's `x-ratelimit-…`, and ours. */
  readonly headers: Readonly<Record<string, string>>;
  /** A soft limit sets the trade-off of `auto`: what the request asked of it counts no more. */
  readonly isSoftened: boolean;
  /** Rates of which it was not known in time whether they let it in: `Limits.reserve` asks. */
  readonly pending: readonly Meter[];
}
