/** What the router answers: one choice, its reasons, and everything needed to judge it later. */
import { RoutingError } from '../datasets/index.ts';
import type { Standing } from './policy/certificate.ts';
import type { Mix } from './policy/mix.ts';
import type { RequestFacts } from './request.ts';

/** Facts of a request, and whether its caller called it critical. */
export type DecisionFacts = RequestFacts & { readonly critical?: true };

/** Why a candidate could not be chosen, each in a sentence. Facts only, never a prediction. */
export const FILTERS = {
  context_too_small: 'The prompt and the answer asked for do not fit the context of the model.',
  output_too_small: 'The answer asked for is longer than the model writes.',
  no_image_input: 'The last turn holds an image and the model sees none.',
  no_audio_input: 'The last turn holds audio and the model hears none.',
  no_file_input: 'The last turn holds a file, such as a PDF, and the model reads none.',
  no_tools: 'Tools are offered and the model calls none.',
  no_structured_output: 'The answer must follow a schema and the model cannot be held to one.',
  not_allowed: 'The model is not among those allowed for this request.',
  policy: 'A rule of the policy in force keeps every place of the model out.',
  limit: 'Too little is left of a limit for the model or its provider.',
  unhealthy: 'The model cannot be called now: no key is set for its provider, or it has been failing.',
  over_max_cost: 'The call is expected to cost more than maxCostUsd.',
  unknown_to_artifact: 'The router has learned nothing of the model, nor of the one it is like.',
} as const;
export type FilterReason = keyof typeof FILTERS;

/** Why the chosen candidate was chosen, each in a sentence. */
export const REASONS = {
  cheapest_adequate:
    'The cheapest model that is expected to be good enough, or with a rate of quality per USD the best bargain.',
  best_effort: 'No model is expected to reach the least quality asked for: this one is the likeliest to succeed.',
  abstained:
    'The prompt is unlike anything the router has learned from: the default model takes it, or what each model\u2019s mean quality says.',
  explored: 'Drawn to learn how the model does; the share of such draws is set by the policy.',
  only_candidate: 'The filters left this model alone.',
  pinned: 'The conversation cannot change its model now: it is in a tool loop, or holds what only this model can read.',
  sticky: 'The model has the conversation in its prompt cache; without that another would have been chosen.',
} as const;
export type ReasonCode = keyof typeof REASONS;

/** What predicts a candidate that the artifact knows nothing of, neither by itself nor as like another: the mean over models. */
export const AVERAGE_MODEL = '(average)';

export interface RankedCandidate {
  readonly model: string;
  /** The artifact's model whose head predicted it; differs from `model` for a `like:` candidate. Or {@link AVERAGE_MODEL}. */
  readonly like: string;
  /** Expected quality in [0, 1], and its standard deviation; on an abstention the model's mean. */
  readonly quality: number;
  readonly qualitySd: number;
  /** Expected tokens of the answer. */
  readonly outputTokens: number;
  /** Expected cost of the call, USD; in a session with what the prompt cache saves and costs. */
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
  /** True where exploration was in force, so that every eligible candidate had its chance: other policies may be judged by it. */
  readonly explorable: boolean;
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
