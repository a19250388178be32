/** What the policy in force says of one kind of request: of a key, its tags, and those that the client added. */

/** A place where a model can be had. */
export interface Place {
  /** `provider/model`. */
  readonly model: string;
  /** Name of the provider, as in the configuration. */
  readonly provider: string;
  /** Where it computes; null: nobody said, so a rule about regions keeps it out. */
  readonly region: string | null;
}

/** Guardrails and caching as the document has them: read by `guards/` and `cache/`. */
export interface RuleParts {
  readonly guards: readonly unknown[];
  readonly cache: { readonly ttlSeconds: number } | null;
}

export interface Rules extends RuleParts {
  /** Version of the policy document; null: none is in force. */
  readonly version: number | null;
  /** All that may be asked, whatever it is for. */
  allows(place: Place): boolean;
  /** Whether a verifier or a webhook that sees prompts may be told, by its name. */
  allowsVerifier(name: string): boolean;
  /** False: nothing is left to chance. True: the team's own choice holds. */
  readonly explores: boolean;
  /** Soft limits may make `auto` cheaper. */
  readonly softens: boolean;
}

/** Where no policy is in force. */
export const NO_RULES: Rules = {
  version: null,
  allows: () => true,
  allowsVerifier: () => true,
  explores: true,
  softens: true,
  guards: [],
  cache: null,
};
