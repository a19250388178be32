/** Who runs: the methods to be ranked, the rows that every board shows beside them, and the negative controls. */
import type { Encoder } from '../../router/encoder/encoder.ts';
import type { Estimator } from '../../router/estimators/estimator.ts';
import { dearest } from '../baselines/fixed.ts';
import { BASELINES } from '../baselines/index.ts';
import type { Contender } from '../contender.ts';
import { fittedOn, type LearnedSource } from '../learned.ts';
import { leakyRouter, permutedLabels, pureNoise } from './controls.ts';
import { type EaseOf, TRUE_DIFFICULTY, trueDifficulty } from './true-difficulty.ts';

/** A method by its name: given an encoder, an estimator. */
export type Methods = Readonly<Record<string, (options: { encoder: Encoder }) => Estimator>>;

/** `method`: ranked. `row`: shown beside. `control`: its place is known beforehand. */
export type Role = 'method' | 'row' | 'control';

export const NOISE = 'control: pure noise';
export const PERMUTED = 'control: permuted labels';
export const LEAKY = 'control: sees the test outcomes';
export const CONTROLS: readonly string[] = [NOISE, PERMUTED, LEAKY];

/** Rows of every board, in order; the oracle stands last. */
export const ALWAYS: readonly string[] = [
  'cheapest',
  'best-single',
  'zero',
  'random',
  'benchmark-mean',
  'length-only',
  'cascade',
  TRUE_DIFFICULTY,
  'oracle',
];

export const roleOf = (name: string): Role =>
  CONTROLS.includes(name) ? 'control' : ALWAYS.includes(name) ? 'row' : 'method';

/** @param ours method whose labels are permuted for a control */
export function contenderOf(
  name: string,
  methods: Methods,
  ours: string,
  encoder: Encoder,
  ease: EaseOf | null,
): Contender {
  const learned = (estimator: Estimator) => fittedOn(name, NOTHING_SEEN, estimator);
  switch (name) {
    case NOISE:
      return learned(pureNoise());
    case PERMUTED:
      return permutedLabels(learned(methods[ours]!({ encoder })));
    case LEAKY:
      return leakyRouter();
    case TRUE_DIFFICULTY:
      return trueDifficulty(ease);
    case 'dearest':
      return dearest();
  }
  const baseline = BASELINES[name as keyof typeof BASELINES];
  return baseline ? baseline() : learned(methods[name]!({ encoder }));
}

/** The encoder has not read the source, so settings may be chosen on all of a training part. */
const NOTHING_SEEN: Pick<LearnedSource, 'fitted'> = { fitted: () => false };
