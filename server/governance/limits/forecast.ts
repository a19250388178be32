/** What a call is expected to cost and to take before it is made, from what was seen of the model's calls in this process. */
import { costUsd, type Price } from '../../../datasets/catalog/price.ts';
import type { AttemptRecord } from '../../db/records.ts';

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
  /** Answers that it wants at once; all of the above is of one. */
  readonly answers: number;
  /** Null: nobody knows it. */
  readonly price: (Price & { readonly maxOutputTokens?: number | undefined }) | null;
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
}

/** Of what costs nothing for certain. */
export const FREE_PRICE: Price = { inputUsdPerMTok: 0, outputUsdPerMTok: 0 };

/** What a request of any of the three protocols says of the length of its answer. What does not fit is its provider's to refuse. */
export function askedOutput(
  json: Readonly<Record<string, unknown>>,
): Pick<Expectation, 'mostOutputTokens' | 'answers'> {
  const said = [json.max_completion_tokens, json.max_output_tokens, json.max_tokens].find(isCount);
  return { mostOutputTokens: said ?? null, answers: isCount(json.n) ? Math.min(json.n, MOST_ANSWERS) : 1 };
}

const isCount = (value: unknown): value is number => typeof value === 'number' && value > 0 && value < 1e9;
const MOST_ANSWERS = 128;

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
    const most = Math.min(mostOutputTokens ?? Number.POSITIVE_INFINITY, price?.maxOutputTokens ?? MOST_OUTPUT);
    const likely = predicted || (mostOutputTokens ?? seen?.outputTokens ?? FIRST_OUTPUT);
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

  /** What became of it. Calls without an answer teach nothing. */
  learn(expected: Expectation, forecast: Forecast, attempt: AttemptRecord): void {
    const { model, status, inputTokens, outputTokens, costUsd } = attempt;
    if (status !== 'ok') return;
    const seen = this.#byModel.get(model) ?? {
      outputTokens: outputTokens ?? FIRST_OUTPUT,
      costUsd: costUsd ?? 0,
      inputFactor: FIRST_FACTOR,
      outputFactor: FIRST_FACTOR,
    };
    if (costUsd !== null) seen.costUsd = towards(seen.costUsd, costUsd);
    if (outputTokens !== null) seen.outputTokens = towards(seen.outputTokens, outputTokens);
    if (model === expected.model) {
      seen.inputFactor = factorOf(seen.inputFactor, (inputTokens ?? 0) - FRAME_TOKENS, forecast.inputTokens);
      // Of answers that the client bounds the bound is no estimate.
      const isEstimate = expected.outputTokens > 0 || expected.mostOutputTokens === null;
      if (isEstimate) seen.outputFactor = factorOf(seen.outputFactor, outputTokens ?? 0, forecast.outputTokens);
    }
    if (this.#byModel.size >= MOST_MODELS && !this.#byModel.has(model)) this.#byModel.clear();
    this.#byModel.set(model, seen);
  }
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
