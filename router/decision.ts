/** What the router answers: one choice, its reasons, and everything needed to judge it later. */
import { RoutingError } from '../datasets/index.ts';
import type { Standing } from './policy/certificate.ts';
import type { Mix } from './policy/mix.ts';
import type { RequestFacts } from './request.ts';

/** Facts of a request, and whether its caller called it critical. */
export type DecisionFacts = RequestFacts & { readonly critical?: true };

/** Why a candidate could not be chosen. Facts only, never a prediction. */
export type FilterReason =
  | 'context_too_small'
  | 'output_too_small'
  | 'no_image_input'
  | 'no_audio_input'
  | 'no_tools'
  | 'no_structured_output'
  | 'not_allowed'
  | 'unhealthy'
  | 'over_max_cost'
  | 'unknown_to_artifact';

/** Why the chosen candidate was chosen. */
export type ReasonCode =
  /** The cheapest candidate predicted good enough, or the best expected utility. */
  | 'cheapest_adequate'
  /** No candidate reaches `minQuality`: the one most likely to succeed. */
  | 'best_effort'
  /** The prompt is unlike anything trained on: the default model, or what each model's mean quality says. */
  | 'abstained'
  /** Drawn for exploration. */
  | 'explored'
  /** Only one candidate was left after the filters. */
  | 'only_candidate';

export interface RankedCandidate {
  readonly model: string;
  /** The artifact's model whose head predicted it; differs from `model` for a `like:` candidate. */
  readonly like: string;
  /** Expected quality in [0, 1], and its standard deviation; on an abstention the model's mean. */
  readonly quality: number;
  readonly qualitySd: number;
  /** Expected tokens of the answer. */
  readonly outputTokens: number;
  /** Expected cost of the call, USD. */
  readonly costUsd: number;
  /** True when it clears the quality floor in force. */
  readonly adequate: boolean;
}

export interface Decision {
  /** The candidate to call. */
  readonly model: string;
  readonly reason: ReasonCode;
  /** Every eligible candidate, in the order to try them: the chosen one first, then fall-backs. */
  readonly ranked: readonly RankedCandidate[];
  readonly filtered: readonly { readonly model: string; readonly reason: FilterReason }[];
  /** Probability of each eligible candidate under the policy, same order as `ranked`; sums to 1. */
  readonly distribution: readonly number[];
  /** Probability of the chosen one: exact, in (0, 1]. */
  readonly propensity: number;
  readonly explored: boolean;
  /** The tolerances that were drawn from, and how often each. */
  readonly mix: Mix;
  /** Whether the artifact's certificate covers this choice. */
  readonly certificate: Standing;
  /** The quality a candidate had to reach, in [0, 1]. */
  readonly floor: number;
  /** 0 = like the training data, 1 = unlike anything in it. */
  readonly outOfDomain: number;
  /** Shared difficulty, in logits: higher is harder for every model. */
  readonly difficulty: number;
  readonly facts: DecisionFacts;
  readonly artifact: string;
  readonly encoderId: string;
  /** The encoder's output, length d. */
  readonly embedding: Float32Array;
}

/** No candidate is left, and why each one is out. */
export class NoCandidate extends RoutingError {
  readonly filtered: Decision['filtered'];
  /** The field of the request that rules the candidates out. */
  readonly param: string;

  constructor(message: string, filtered: Decision['filtered'], param: string) {
    super('NO_CANDIDATE', message);
    this.filtered = filtered;
    this.param = param;
  }
}

/** True when size is all that rules the candidates out: a shorter prompt, or answer, could be taken. */
export const isTooLong = (filtered: Decision['filtered']): boolean =>
  filtered.length > 0 &&
  filtered.every(({ reason }) => reason === 'context_too_small' || reason === 'output_too_small');
