/** A log as a gateway keeps one: each decision with its exact propensities and the outcome of the one model drawn. */
import { type OutcomeTable, type Random, selectRows } from '../../datasets/index.ts';
import { oddsOf, type Rule } from '../../router/policy/rule.ts';
import type { Beliefs } from './route.ts';
import type { World } from './world.ts';

export interface SimulatedDecision {
  /** Prompt, a row of the world. */
  readonly row: number;
  /** Model drawn, a column of the world. */
  readonly column: number;
  /** Probability of each model, length m. */
  readonly probabilities: Float64Array;
  readonly greedy: readonly number[];
}

/** Decides every row in turn. @param rows of the world, in order; a prompt may stand there several times */
export function decideAll(
  world: World,
  rows: readonly number[],
  { quality, costUsd }: Beliefs,
  rule: Rule,
  random: Random,
): SimulatedDecision[] {
  const m = world.part.table.modelIds.length;
  return rows.map((row) => {
    const at = row * m;
    const { probabilities, greedy } = oddsOf(quality.subarray(at, at + m), costUsd.subarray(at, at + m), rule);
    return { row, column: draw(probabilities, random), probabilities, greedy };
  });
}

/** An index, drawn with these probabilities. */
export function draw(probabilities: ArrayLike<number>, random: Random): number {
  const u = random();
  let sum = 0;
  let last = 0;
  for (let k = 0; k < probabilities.length; k++) {
    if (probabilities[k]! <= 0) continue;
    sum += probabilities[k]!;
    last = k;
    if (u < sum) return k;
  }
  return last;
}

/** The log as a retraining reads it: one row a decision, and in it the outcome of the model drawn. */
export function loggedTable(world: World, log: readonly SimulatedDecision[]): OutcomeTable {
  const m = world.part.table.modelIds.length;
  const table = selectRows(
    world.part.table,
    log.map(({ row }) => row),
  );
  log.forEach(({ column }, i) => {
    for (let j = 0; j < m; j++) {
      if (j === column) continue;
      table.quality[i * m + j] = Number.NaN;
      table.outputTokens[i * m + j] = Number.NaN;
    }
  });
  return table;
}

/** k × d embeddings of rows. */
export function embeddingsAt({ z, dimension: d }: World, rows: readonly number[]): Float32Array {
  const out = new Float32Array(rows.length * d);
  rows.forEach((r, i) => {
    out.set(z.subarray(r * d, r * d + d), i * d);
  });
  return out;
}
