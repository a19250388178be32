/** What heads forecast for every candidate on many prompts, in columns: a log of 50 000 answers is compared at once. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { type Heads, predictHeads, selectHeads } from '../../router/heads/heads.ts';
import { meanQualities, place } from '../../router/policy/solve.ts';
import { embeddingsOf, type Sample } from './log.ts';

/** n samples × c candidates. */
export interface Forecasts {
  /** c. */
  readonly count: number;
  /** Candidate id → its column. */
  readonly column: ReadonlyMap<string, number>;
  /** n × c, in [0, 1]; NaN where the heads of that sample do not know the candidate. */
  readonly quality: Float32Array;
  /** n × c, of prompts of which nothing is known. */
  readonly meanQuality: Float32Array;
  /** n × c. */
  readonly outputTokens: Float32Array;
  /** n, in [0, 1]. */
  readonly outOfDomain: Float32Array;
}

export interface ForecastPart {
  readonly heads: Heads;
  /** Samples that these heads forecast. */
  readonly rows: readonly number[];
}

/** @param parts that hold every sample once */
export function forecastsOf(
  candidates: readonly Candidate[],
  samples: readonly Sample[],
  parts: readonly ForecastPart[],
): Forecasts {
  const n = samples.length;
  const count = candidates.length;
  const column = new Map(candidates.map(({ id }, k) => [id, k]));
  const quality = new Float32Array(n * count).fill(Number.NaN);
  const meanQuality = new Float32Array(n * count);
  const outputTokens = new Float32Array(n * count);
  const outOfDomain = new Float32Array(n);
  for (const { heads, rows } of parts) {
    const placed = place(heads, candidates);
    const asked = selectHeads(heads, [...new Set(placed.map(({ like }) => like))]);
    const m = asked.modelIds.length;
    if (m === 0 || rows.length === 0) continue;
    const out = predictHeads(asked, embeddingsOf(rows.map((i) => samples[i]!)), rows.length);
    const means = meanQualities(asked);
    const pairs = placed.map(
      ({ candidate, like }) => [column.get(candidate.id)!, asked.modelIds.indexOf(like)] as const,
    );
    rows.forEach((i, r) => {
      outOfDomain[i] = out.outOfDomain[r]!;
      for (const [k, j] of pairs) {
        quality[i * count + k] = out.quality[r * m + j]!;
        meanQuality[i * count + k] = means[j]!;
        outputTokens[i * count + k] = out.outputTokens[r * m + j]!;
      }
    });
  }
  return { count, column, quality, meanQuality, outputTokens, outOfDomain };
}
