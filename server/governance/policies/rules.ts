/** What the policy in force says of one kind of request: of a key, its tags, and those that the client added. */

import type { RoutingError } from '../../../datasets/index.ts';

/** A place where a model can be had. */
export interface Place {
  /** `provider/model`; null where no one model is asked: files and what else a provider holds. */
  readonly model: string | null;
  /** Name of the provider, as in the configuration. */
  readonly provider: string;
  /** Where it computes; null: nobody said, so a rule about regions keeps it out. */
  readonly region: string | null;
  /** The model as `provider/name there`, where that differs: what is denied by that name is denied, too. */
  readonly alsoCalled?: string | undefined;
  /** Whatever model of the provider there is may be run: a batch is a file that nobody looks into. */
  readonly everyModel?: boolean | undefined;
}

/** Why a place is out. */
export interface Refusal {
  /** The rule's name. */
  readonly rule: string;
  /** What of the place it minds. */
  readonly about: 'model' | 'provider' | 'region';
  /** The rule names it among what it denies, rather than not among what it allows. */
  readonly isDenied?: true | undefined;
  /** What is told in place of `POLICY_REFUSED`, where no rule but a limit keeps it out. */
  readonly error?: (() => RoutingError) | undefined;
}

/** Guardrails and caching as the document has them: read by `guards/` and `cache/`. */
export interface RuleParts {
  readonly guards: readonly unknown[];
  readonly cache: { readonly ttlSeconds: number } | null;
}

export interface Rules extends RuleParts {
  /** Version of the policy document; null: none is in force. */
  readonly version: number | null;
  /** Names of the rules that apply, in the document's order. */
  readonly applied: readonly string[];
  /** All that may be asked, whatever it is for. */
  allows(place: Place): boolean;
  /** Null: the place is allowed. */
  refusalOf(place: Place): Refusal | null;
  /** Whether a verifier that sees prompts may be told, by its name. */
  allowsVerifier(name: string): boolean;
  /** False: nothing is left to chance. True: the team's own choice holds. */
  readonly explores: boolean;
  /** Soft limits may make `auto` cheaper. */
  readonly softens: boolean;
}

/** Where no policy is in force. */
export const NO_RULES: Rules = {
  version: null,
  applied: [],
  allows: () => true,
  refusalOf: () => null,
  allowsVerifier: () => true,
  explores: true,
  softens: true,
  guards: [],
  cache: null,
};
