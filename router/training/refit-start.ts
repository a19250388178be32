/** Where a refit starts: the row of each candidate before any correction. */
import { type Heads, selectHeads } from '../heads/heads.ts';

/** One row per candidate, copied from where it starts; a candidate like nothing known starts as the average model. */
export function startingHeads(
  base: Heads,
  modelIds: readonly string[],
  likeOf: (modelId: string) => string | undefined,
): Heads {
  const sources = modelIds.map((id) => {
    const like = base.modelIds.includes(id) ? id : likeOf(id);
    return like !== undefined && base.modelIds.includes(like) ? like : undefined;
  });
  const picked = selectHeads(
    base,
    sources.map((s) => s ?? base.modelIds[0]!),
  );
  const w = base.factors.count + 1;
  const row = columnMoments(base.rows, w);
  const length = columnMoments(base.tokens.rows, 2);
  const smear = columnMoments(base.tokens.logSmear, 1);
  sources.forEach((source, j) => {
    if (source !== undefined) return;
    picked.rows.set(row.mean, j * w);
    picked.covariance.fill(0, j * w * w, (j + 1) * w * w);
    // What is known of it is how much models differ.
    for (let a = 0; a < w; a++) picked.covariance[(j * w + a) * w + a] = row.variance[a]!;
    picked.tokens.rows.set(length.mean, j * 2);
    picked.tokens.logSmear[j] = smear.mean[0]!;
    picked.evidence[j] = 0;
  });
  return { ...picked, modelIds };
}

function columnMoments(values: Float64Array, width: number): { mean: Float64Array; variance: Float64Array } {
  const count = values.length / width;
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  values.forEach((v, at) => {
    mean[at % width]! += v / count;
  });
  values.forEach((v, at) => {
    variance[at % width]! += (v - mean[at % width]!) ** 2 / count;
  });
  return { mean, variance };
}
