/**
 * Tokens of the answer from the embedding, one ridge per model on log(1 + tokens): the cost side of every method
 * whose paper brings none, so that methods differ by what they know of quality and in nothing else.
 * @see Duan, "Smearing estimate: a nonparametric retransformation method", 1983 (mean and not median)
 */
import { tokensOf } from '../heads/heads.ts';
import { DEFAULT_OUTPUT_TOKENS } from '../training/fit-tokens.ts';
import { predictColumns, ridgeColumns } from './ridge-columns.ts';

export interface AnswerLengths {
  /** n × m, each ≥ 1, for the training rows, from fits without the row's own fold. */
  readonly outOfFold: Float32Array;
  /** n × m, each ≥ 1. */
  predict(z: Float32Array, n: number): Float32Array;
}

/** @param outputTokens n × m, NaN where unknown */
export function answerLengths(
  z: Float32Array,
  d: number,
  outputTokens: Float32Array,
  m: number,
  folds: Int32Array,
): AnswerLengths {
  const logs = outputTokens.map((t) => Math.log1p(t));
  const fit = ridgeColumns(z, d, logs, m, folds);
  // E[exp(e)] of a normal residual of variance v is exp(v / 2); bounded, for heavy tails.
  const smear = Float64Array.from({ length: m }, (_, j) => {
    let sum = 0;
    let count = 0;
    for (let at = j; at < logs.length; at += m) {
      if (Number.isNaN(logs[at]!)) continue;
      sum += (logs[at]! - fit.outOfFold[at]!) ** 2;
      count++;
    }
    return count === 0 ? Number.NaN : Math.min(1.5, sum / count / 2);
  });
  const tokens = (log: number, at: number): number =>
    Number.isNaN(smear[at % m]!) ? DEFAULT_OUTPUT_TOKENS : tokensOf(log + smear[at % m]!);
  return {
    outOfFold: fit.outOfFold.map(tokens),
    predict: (queries, n) => predictColumns(fit, queries, n).map(tokens),
  };
}
