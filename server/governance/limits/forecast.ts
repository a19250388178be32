/** What a call is expected to cost and to take before it is made, from what was seen of the model's calls in this process. */
import { costUsd, type Price } from '../../../datasets/catalog/price.ts';
import { IMAGE_TOKENS } from '../../../router/request/tokens.ts';
import type { AttemptRecord } from '../../db/records.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import type { AskedOfModel } from './batches/asked.ts';

/** Where a request goes, and what is known of it. */
export interface Expectation {
  /** `provider/model`. */
  readonly model: string;
  readonly provider: string;
  /** 0: nobody counted them. */
  readonly inputTokens: number;
  /** As the router predicts; 0: nobody did. */
  readonly outputTokens: number;
  /** The client wants no more of them; null: it did not say. */
  readonly mostOutputTokens: number | null;
  /** False: its host may not know the field that says so. */
  readonly isBoundSure?: boolean | undefined;
  /** Answers that it wants at once; all of the above is of one. */
  readonly answers: number;
  /** Null: nobody knows it. */
  readonly price:
    | (Price & { readonly maxOutputTokens?: number | undefined; readonly reasoning?: boolean | undefined })
    | null;
}

export interface Forecast {
  /** What is set aside of budgets. */
  readonly costUsd: number;
  /** What is set aside of rates: of prompt and answers. */
  readonly tokens: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Tokens of an answer of a model that nothing was seen of. */
const FIRST_OUTPUT = 1000;
/**
 * Least that is foreseen for an answer of a batch that nobody bounds, and by how much more of a model that thinks: what is
 * seen of calls anybody can bring about, so that it only raises this.
 */
export const OPEN_OUTPUT = 2000;
const THINKING_FACTOR = 4;
/** Weight of the latest call in what is remembered of a model. */
const WEIGHT = 0.1;
/** An estimate that nothing was seen of may be too low by so much; none is corrected by more than the other. */
const FIRST_FACTOR = 2;
const MOST_FACTOR = 10;
/** What providers count beside the text: roles, framing. */
const FRAME_TOKENS = 16;
const CHARS_PER_TOKEN = 4;
/** Names of models may be the client's own. */
const MOST_MODELS = 1000;

interface Seen {
  /** Means. */
  outputTokens: number;
  costUsd: number;
  /**
   * By how much estimates of the prompt and of the answer were too low: a call that was worse raises it at once, better
   * ones lower it slowly. In [1, 10].
   */
  inputFactor: number;
  outputFactor: number;
  /** Longest answer that was longer than its client allowed: the host does not keep the bound, or not all of it counts. */
  unboundedTokens: number;
}

/** Of what costs nothing for certain. */
export const FREE_PRICE: Price = { inputUsdPerMTok: 0, outputUsdPerMTok: 0 };

/** What bounds an answer, by protocol. A field of another one is passed on, and bounds nothing. */
export const BOUNDS: Readonly<Record<SurfaceName, readonly string[]>> = {
  chat: ['max_completion_tokens', 'max_tokens'],
  responses: ['max_output_tokens'],
  messages: ['max_tokens'],
  embeddings: [],
};

/**
 * What a request says of the length of its answer; the larger where it says two. What does not fit is its provider's to refuse.
 *
 * @param knowsNewField its host is sure to know `max_completion_tokens`
 */
export function askedOutput(
  surface: SurfaceName,
  json: Readonly<Record<string, unknown>>,
  { knowsNewField = true } = {},
): Pick<Expectation, 'mostOutputTokens' | 'isBoundSure' | 'answers'> {
  const said = BOUNDS[surface].map((field) => json[field]).filter(isCount);
  const isUnsure = surface === 'chat' && !knowsNewField && !isCount(json.max_tokens);
  return {
    mostOutputTokens: said.length === 0 ? null : Math.max(...said),
    ...(isUnsure && said.length > 0 && { isBoundSure: false }),
    answers: isCount(json.n) ? json.n : 1,
  };
}

export const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) > 0 && Number(value) < 1e9;

export class Forecasts {
  readonly #byModel = new Map<string, Seen>();

  /**
   * The cost is meant to be too high rather than too low, since requests that cost more than was set aside overspend a
   * budget by that: the estimates times the factors seen of the model, and the longest answer that the client allows where
   * the router predicts none. Tokens are as estimated.
   */
  of(expected: Expectation, chars: number, hasOutput = true): Forecast {
    const { model, outputTokens: predicted, mostOutputTokens, answers, price } = expected;
    const seen = this.#byModel.get(model);
    const inputTokens = expected.inputTokens || Math.ceil(chars / CHARS_PER_TOKEN);
    const isSure = expected.isBoundSure !== false;
    const atLeast = isSure ? 0 : (seen?.outputTokens ?? FIRST_OUTPUT);
    const bound = mostOutputTokens === null ? null : Math.max(mostOutputTokens, seen?.unboundedTokens ?? 0, atLeast);
    const most = Math.min((isSure ? bound : null) ?? Number.POSITIVE_INFINITY, price?.maxOutputTokens ?? MOST_OUTPUT);
    const likely = predicted || (bound ?? seen?.outputTokens ?? FIRST_OUTPUT);
    const count = hasOutput ? answers : 0;
    const outputTokens = Math.min(likely, most) * count;
    const base = { inputTokens, outputTokens, tokens: inputTokens + outputTokens };
    if (price === null) return { ...base, costUsd: seen?.costUsd ?? 0 };
    // The first guess is high as it is.
    const outputFactor = predicted > 0 || seen !== undefined ? (seen?.outputFactor ?? FIRST_FACTOR) : 1;
    const safe = {
      inputTokens: inputTokens * (seen?.inputFactor ?? FIRST_FACTOR) + FRAME_TOKENS,
      outputTokens: Math.min(likely * outputFactor, most) * count,
    };
    return { ...base, costUsd: costUsd(price, safe) };
  }

  /**
   * The same of many requests at once, of which sums alone are known. Small calls are cheap to make, and a mean that they
   * lower would be taken thousands of times: what was seen raises the first guess, and never lowers it.
   */
  ofMany(model: string, asked: Omit<AskedOfModel, 'model'>, price: NonNullable<Expectation['price']>): Forecast {
    const { requests, chars, longestChars, images, bounded, boundedTokens, open } = asked;
    const seen = this.#byModel.get(model);
    const inputFactor = Math.max(FIRST_FACTOR, seen?.inputFactor ?? 0);
    const unboundedTokens = seen?.unboundedTokens ?? 0;
    const inputTokens = Math.ceil(chars / CHARS_PER_TOKEN) + images * IMAGE_TOKENS;
    const most = price.maxOutputTokens ?? MOST_OUTPUT;
    const kept = Math.min(Math.max(boundedTokens, bounded * unboundedTokens), bounded * most);
    const first = OPEN_OUTPUT * (price.reasoning ? THINKING_FACTOR : 1);
    const each = Math.min(
      Math.max(first, (seen?.outputTokens ?? 0) * Math.max(FIRST_FACTOR, seen?.outputFactor ?? 0)),
      most,
    );
    const outputTokens = kept + open * each;
    const longest = (longestChars / CHARS_PER_TOKEN) * inputFactor + FRAME_TOKENS;
    return {
      ...{ inputTokens, outputTokens, tokens: inputTokens + outputTokens },
      costUsd: costUsd(priceOfPrompts(price, longest), {
        inputTokens: inputTokens * inputFactor + requests * FRAME_TOKENS,
        outputTokens,
      }),
    };
  }

  /** What became of it. Calls without a whole answer teach nothing but that they were longer than they might be. */
  learn(expected: Expectation, forecast: Forecast, attempt: AttemptRecord): void {
    const { model, status, inputTokens, outputTokens, costUsd } = attempt;
    const tooLong = model === expected.model ? tooLongBy(expected, forecast, attempt) : 0;
    if (status !== 'ok' && tooLong === 0) return;
    const seen = this.#byModel.get(model) ?? {
      outputTokens: outputTokens ?? FIRST_OUTPUT,
      costUsd: costUsd ?? 0,
      inputFactor: FIRST_FACTOR,
      outputFactor: FIRST_FACTOR,
      unboundedTokens: 0,
    };
    seen.unboundedTokens = Math.max(seen.unboundedTokens, tooLong);
    this.#keep(model, seen);
    if (status !== 'ok') return;
    if (costUsd !== null) seen.costUsd = towards(seen.costUsd, costUsd);
    if (outputTokens !== null) seen.outputTokens = towards(seen.outputTokens, outputTokens);
    if (model === expected.model) {
      seen.inputFactor = factorOf(seen.inputFactor, (inputTokens ?? 0) - FRAME_TOKENS, forecast.inputTokens);
      // Of answers that the client bounds the bound is no estimate.
      const isEstimate =
        expected.outputTokens > 0 || expected.mostOutputTokens === null || expected.isBoundSure === false;
      if (isEstimate) seen.outputFactor = factorOf(seen.outputFactor, outputTokens ?? 0, forecast.outputTokens);
    }
  }

  #keep(model: string, seen: Seen): void {
    if (this.#byModel.size >= MOST_MODELS && !this.#byModel.has(model)) this.#byModel.clear();
    this.#byModel.set(model, seen);
  }
}

/** What prompts cost of which the longest has so many tokens: sums over many must not be taken for one long prompt. */
export function priceOfPrompts({ longPromptPrices, ...price }: Price, longestTokens: number): Price {
  return { ...price, ...longPromptPrices?.findLast(({ aboveInputTokens }) => longestTokens > aboveInputTokens) };
}

/** Tokens of an answer that is longer than its client allowed; 0: it is not. */
function tooLongBy(
  { mostOutputTokens, isBoundSure, answers, price }: Expectation,
  { inputTokens }: Forecast,
  { outputTokens, costUsd: cost }: AttemptRecord,
): number {
  // A host that does not know the field may still keep the one that it knows.
  if (mostOutputTokens === null || isBoundSure === false) return 0;
  let tokens = outputTokens;
  // Cut off before its usage was told: it was priced by the prompt's estimate and what was seen of the answer.
  if (tokens === null && cost !== null && price !== null && price.outputUsdPerMTok > 0) {
    const ofPrompt = costUsd(price, { inputTokens, outputTokens: 0 });
    tokens = Math.round((1e6 * (cost - ofPrompt)) / price.outputUsdPerMTok);
  }
  const each = (tokens ?? 0) / answers;
  return each > mostOutputTokens ? Math.min(each, MOST_OUTPUT) : 0;
}

/** Whatever a model can say at once. */
const MOST_OUTPUT = 1e6;

const towards = (mean: number, value: number): number => mean + WEIGHT * (value - mean);

/** @param before the factor so far @param actual tokens @param estimate tokens; none: nothing is learned */
function factorOf(before: number, actual: number, estimate: number): number {
  if (estimate <= 0) return before;
  const factor = Math.min(MOST_FACTOR, Math.max(1, actual / estimate));
  return factor > before ? factor : towards(before, factor);
}
