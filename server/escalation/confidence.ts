/** The model was sure enough of its words, where its provider tells how sure it was. */
import type { Fault } from './answer-shape.ts';

/**
 * @param tokenProbability mean probability of the answer's tokens, in [0, 1]; null: not told
 * @param least            in [0, 1]; 0: any will do
 */
export function checkConfidence(tokenProbability: number | null, least: number): Fault | null {
  if (least === 0 || tokenProbability === null || tokenProbability >= least) return null;
  return {
    check: 'confidence',
    why: `its tokens have a mean probability of ${tokenProbability.toFixed(3)}, less than ${least}`,
  };
}
