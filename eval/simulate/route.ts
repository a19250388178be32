/** What a router in force believes of a world, and what it does about it. */
import { promptChars } from '../../datasets/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { listCostUsd } from '../costs.ts';
import { aiq, type CostRange } from '../metrics/aiq.ts';
import { selectPartRows } from '../part.ts';
import { averaged } from '../replay/learner.ts';
import { singleModels } from '../single-models.ts';
import { sweep } from '../sweep.ts';
import type { World } from './world.ts';

/** For every prompt of a world, n × m. */
export interface Beliefs {
  readonly quality: Float32Array;
  /** List price × (characters / 4 in, forecast tokens out). */
  readonly costUsd: Float64Array;
}

/** Forecasts of heads; a model that they do not know is taken for the average one. */
export function believe(heads: Heads, world: World): Beliefs {
  const { table } = world.part;
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const { quality, outputTokens } = averaged(heads, table.modelIds, world.z, n);
  const costUsd = new Float64Array(n * m);
  table.prompts.forEach((prompt, i) => {
    const chars = promptChars(prompt);
    for (let j = 0; j < m; j++) costUsd[i * m + j] = listCostUsd(table, j, chars, outputTokens![i * m + j]!);
  });
  return { quality, costUsd };
}

/** The rows of one split, and the cost axis on its test rows. */
export interface Reading {
  readonly rows: readonly number[];
  aiqOf(beliefs: Beliefs): number;
}

/**
 * Reads the AIQ of beliefs on test rows: over every λ there is, on the cost axis of the single models there.
 */
export function readingOn(world: World, rows: readonly number[]): Reading {
  const part = selectPartRows(world.part, rows);
  const m = part.table.modelIds.length;
  const singles = singleModels(part);
  const cheap = singles.byRisingCost[0]!;
  const range: CostRange = {
    lowUsd: singles.costUsd[cheap]!,
    highUsd: singles.costUsd[singles.byRisingCost.at(-1)!]!,
    lowQuality: singles.quality[cheap]!,
  };
  const pick = <T extends Float32Array | Float64Array>(from: T, to: T): T => {
    rows.forEach((r, i) => {
      to.set(from.subarray(r * m, r * m + m), i * m);
    });
    return to;
  };
  return {
    rows,
    aiqOf(beliefs) {
      const own = {
        quality: pick(beliefs.quality, new Float32Array(rows.length * m)),
        costUsd: pick(beliefs.costUsd, new Float64Array(rows.length * m)),
      };
      return aiq(sweep(own, part, singles.byRisingCost), range)!;
    },
  };
}
