/** The calibration part → what an artifact needs to solve targets and budgets: a sample of it, and how far its forecasts flatter each setting. */
import { CHARS_PER_TOKEN, hashFraction, type OutcomeTable, promptChars } from '../../datasets/index.ts';
import type { HeadPredictions } from '../heads/heads.ts';
import { encodeTraffic, type Traffic } from '../policy/traffic.ts';
import { GRID, plainRule, poolsOf, routeRow } from './choose-tolerance.ts';

/** Prompts kept: some 280 KB. */
const SAMPLE = 256;

/** Settings that may be mixed, up to "always the cheapest". */
const TOLERANCES = [...GRID, 0.3, 0.4, 0.5, 0.7, 1];

/**
 * @param z         n × d embeddings of the calibration part
 * @param predicted of the same prompts, qualities as the decision rule believes them
 * @returns null where the part is empty
 */
export function sampleTraffic(
  calibration: OutcomeTable,
  z: Float32Array,
  predicted: HeadPredictions,
  training: OutcomeTable,
): Traffic | null {
  const { prompts } = calibration;
  const d = z.length / prompts.length;
  if (prompts.length === 0) return null;
  const rows = sampleRows(calibration);
  const embeddings = new Float32Array(rows.length * d);
  rows.forEach((row, i) => {
    embeddings.set(z.subarray(row * d, row * d + d), i * d);
  });
  const pools = poolsOf(calibration, training);
  const settings = TOLERANCES.map((tolerance) => {
    const flattery = pools.flatMap((pool) =>
      pool.rows.flatMap((i) => {
        const routed = routeRow(calibration, predicted, pool, i, plainRule(tolerance));
        if (routed === null) return [];
        const { reference } = routed;
        return [routed.predicted - routed.quality - (reference.predicted - reference.quality)];
      }),
    );
    return { tolerance, optimism: Number(mean(flattery).toFixed(5)) };
  });
  return encodeTraffic(embeddings, {
    sources: [...new Set(rows.map((row) => prompts[row]!.source))],
    inputTokens: rows.map((row) => Math.round(promptChars(prompts[row]!) / CHARS_PER_TOKEN)),
    settings,
  });
}

/** By hash of their ids: every prompt of the part is as likely, so that a budget is met on the part as it is. */
const sampleRows = ({ prompts }: OutcomeTable): number[] =>
  prompts
    .map((p, row) => ({ row, place: hashFraction(`traffic:${p.id}`) }))
    .sort((a, b) => a.place - b.place)
    .slice(0, SAMPLE)
    .map(({ row }) => row);

const mean = (xs: readonly number[]): number => (xs.length === 0 ? 0 : xs.reduce((a, b) => a + b) / xs.length);
