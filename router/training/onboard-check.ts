/** What a few labels bring: each prompt foretold by a row that never saw its group, beside the row that saw no label. */
import { groupFolds, type Prompt } from '../../datasets/index.ts';
import { type Heads, predictHeads, selectHeads } from '../heads/heads.ts';
import { type Onboarding, onboardModel } from './onboard.ts';

export interface HeldOut {
  /** n, expected quality before any label was seen, and out of fold after. */
  readonly before: { readonly quality: Float64Array; readonly outputTokens: Float64Array };
  readonly after: { readonly quality: Float64Array; readonly outputTokens: Float64Array };
}

const FOLDS = 5;

/**
 * @param given   as for {@link onboardModel}, every quality known
 * @param prompts n, the labelled prompts: their groups stay together
 */
export function heldOutOnboarding(heads: Heads, given: Onboarding, prompts: readonly Prompt[], seed = 1): HeldOut {
  const n = prompts.length;
  const d = heads.dimension;
  const after = { quality: new Float64Array(n), outputTokens: new Float64Array(n) };
  const before = { quality: new Float64Array(n), outputTokens: new Float64Array(n) };
  const every = Array.from({ length: n }, (_, i) => i);
  foretell([], every, before);
  const fold = groupFolds(prompts, Math.min(FOLDS, new Set(prompts.map((p) => p.groupId)).size), seed);
  for (const f of new Set(fold)) {
    foretell(
      every.filter((i) => fold[i] !== f),
      every.filter((i) => fold[i] === f),
      after,
    );
  }
  return { before, after };

  function foretell(labelled: readonly number[], wanted: readonly number[], into: HeldOut['after']): void {
    const z = (rows: readonly number[]): Float32Array => {
      const out = new Float32Array(rows.length * d);
      rows.forEach((i, k) => {
        out.set(given.z.subarray(i * d, i * d + d), k * d);
      });
      return out;
    };
    const fitted = onboardModel(heads, {
      ...given,
      z: z(labelled),
      quality: labelled.map((i) => given.quality[i]!),
      outputTokens: labelled.map((i) => given.outputTokens?.[i] ?? Number.NaN),
    });
    const predicted = predictHeads(selectHeads(fitted, [given.modelId]), z(wanted), wanted.length);
    wanted.forEach((i, k) => {
      into.quality[i] = predicted.quality[k]!;
      into.outputTokens[i] = predicted.outputTokens[k]!;
    });
  }
}
