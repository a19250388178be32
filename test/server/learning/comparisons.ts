/** Comparisons for tests: what is not told of one speaks for the new router. */
import type { Diagnostics } from '../../../eval/ope/diagnostics.ts';
import type { Comparison, ValueComparison } from '../../../server/learning/comparison.ts';

export const aDiagnosis = (over: Partial<Diagnostics> = {}): Diagnostics => ({
  rows: 1000,
  sessions: 1000,
  effectiveRows: 600,
  maxWeight: 12,
  meanWeight: 1.01,
  meanWeightSe: 0.02,
  meanWeightZ: 0.5,
  thin: 0,
  impossible: 0,
  neverLogged: 0,
  differs: 0.3,
  ...over,
});

export const aValue = (over: Partial<ValueComparison> = {}): ValueComparison => ({
  rows: 1000,
  quality: { value: 0.02, low: -0.001, high: 0.041 },
  qualityOld: 0.7,
  qualityNew: 0.72,
  utility: null,
  costUsd: null,
  snipsOld: null,
  snipsNew: null,
  snips: null,
  overlap: {
    change: { share: 0.3, thin: 0, unseen: 0, effective: 400 },
    isFew: false,
    old: aDiagnosis(),
    fresh: aDiagnosis(),
  },
  exact: null,
  designError: 0.01,
  costOldUsd: 0.002,
  costNewUsd: 0.001,
  tried: 0.9,
  changed: 0.3,
  unknown: 0.05,
  latency: null,
  ...over,
});

export const aComparison = (over: Partial<Comparison> = {}): Comparison => ({
  rows: 1000,
  groups: 500,
  logLoss: { value: -0.05, low: -0.08, high: -0.01 },
  logLossOld: 0.6,
  logLossNew: 0.55,
  brierOld: 0.2,
  brierNew: 0.19,
  observed: 0.7,
  forecastOld: 0.8,
  forecastNew: 0.71,
  calibration: {
    old: { value: 0.06, low: 0.05, high: 0.07 },
    fresh: { value: 0.02, low: 0.01, high: 0.03 },
    difference: { value: -0.04, low: -0.05, high: -0.03 },
  },
  costForecast: null,
  value: aValue(),
  slices: [],
  ...over,
});
