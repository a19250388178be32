/** Every baseline by the name it has on the command line. A new one is a file here and a line below. */
import type { Contender } from '../contender.ts';
import { cascadeRouter } from './cascade.ts';
import { bestSingle, cheapest } from './fixed.ts';
import { benchmarkMean, lengthOnly } from './group-means.ts';
import { oracleRouter } from './oracle.ts';
import { randomRouter } from './random.ts';
import { zeroRouter } from './zero.ts';

export const BASELINES = {
  cheapest,
  'best-single': bestSingle,
  zero: zeroRouter,
  random: randomRouter,
  'benchmark-mean': benchmarkMean,
  'length-only': lengthOnly,
  cascade: () => cascadeRouter(),
  oracle: oracleRouter,
} as const satisfies Record<string, () => Contender>;

export type BaselineName = keyof typeof BASELINES;

/** A leader board without these says nothing, so they are always shown. */
export const ALWAYS_SHOWN: readonly BaselineName[] = [
  'cheapest',
  'best-single',
  'zero',
  'random',
  'benchmark-mean',
  'oracle',
];
