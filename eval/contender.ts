/** A router in the leader board: it learns from the training part, freezes its settings, and is then measured. */
import type { Prompt } from '../datasets/index.ts';
import type { FrozenPoint } from './curve.ts';
import type { Part } from './part.ts';
import type { PolicyKnobs } from './result.ts';
import type { SingleModels } from './single-models.ts';

/**
 * `learned`: a fitted router. `baseline`: what it has to beat. `hindsight`: looks at the outcomes of the test
 * part, so nothing can reach it; it shows how much there is to gain.
 */
export type ContenderKind = 'learned' | 'baseline' | 'hindsight';

/** What a contender may look at when it is prepared: the training part of one split. */
export interface Training {
  readonly part: Part;
  readonly singles: SingleModels;
  /** Columns of the baseline: its model first, then those that stand in where it was not tried. */
  readonly baseline: readonly number[];
  /** Operating points a curve is frozen at. */
  readonly gridPoints: number;
  readonly seed: number;
}

export interface Contender {
  readonly name: string;
  readonly kind: ContenderKind;
  /** @returns a frozen router, or null with a reason when it has no say on these models */
  prepare(training: Training): Promise<Frozen | { readonly unfit: string }>;
  /**
   * Forecasts for a part as they were handed in, NaN where there is none; absent for routers that are fitted here.
   * Nobody can see what they were fitted on, but they can be compared (`inSampleSuspicion`).
   */
  given?(part: Part): Forecast;
  /** Models that its forecasts name, where they were handed in. */
  readonly modelIds?: readonly string[];
}

export interface Frozen {
  /** Operating points by rising cost on the training part. */
  readonly points: readonly FrozenPoint[];
  /** The baseline's mean quality on the rows that the points were chosen on. */
  readonly baselineQuality: number;
  /** What setting k of {@link points} is called in a report. */
  label(setting: number): string;
  /** What makes a gateway with this router decide as setting k does; absent where there is no such knob. */
  knobs?(setting: number): PolicyKnobs;
  /**
   * The same on the rows that the points were chosen on, by forecasts that had not seen them; absent where there are none.
   * What builds on a router chooses its own points by it.
   */
  tuned?(): { readonly part: Part; readonly measurement: Measurement };
  /** Measures the frozen points. Reads outcomes of the test part only to look up what was chosen. */
  measure(test: Part): Promise<Measurement>;
}

export interface Measurement {
  /** Per setting in use, by its index: what each prompt cost and reached; length n each. */
  readonly outcomes: ReadonlyMap<number, SettingOutcome>;
  /** n × m predicted quality, for calibration; absent for routers that predict none. */
  readonly predicted?: Float32Array | Float64Array;
  /** n × m expected cost, USD, and tokens of an answer; absent for routers that forecast neither. */
  readonly expected?: { readonly costUsd: Float64Array; readonly outputTokens?: Float32Array | Float64Array };
  /**
   * n × m: how much rather this model than another, for the strong-or-weak figures of two-model data;
   * absent for routers that do not rank.
   */
  readonly preference?: Float32Array | Float64Array;
  /** Figure read off the test part itself, for the hindsight row only. */
  readonly hindsight?: readonly { readonly costUsd: number; readonly quality: number }[];
}

export interface SettingOutcome {
  readonly costUsd: Float64Array;
  readonly quality: Float64Array;
  /** Column chosen; absent where one prompt can take several calls or is drawn at random. */
  readonly choice?: Int16Array;
}

/** Predicts for prompts it was not fitted on. Both n × m over the columns of the training part. */
export interface Forecast {
  /** NaN for a model it does not know. */
  readonly quality: Float32Array | Float64Array;
  /** Tokens of an answer; absent or NaN where not forecast. */
  readonly outputTokens?: Float32Array | Float64Array;
  /** Expected cost, USD, taken as it is; absent or NaN where it is to be worked out from prices and lengths. */
  readonly costUsd?: Float64Array;
}

/** What turns a training part into forecasts: out of fold for its own rows, fitted on all for others. */
export interface Forecaster {
  readonly name: string;
  fit(training: Training): Promise<FittedForecaster | { readonly unfit: string }>;
}

export interface FittedForecaster {
  /** Rows of the training part that settings may be chosen on, and honest forecasts for them. */
  readonly tuning: { readonly rows: readonly number[]; readonly forecast: Forecast };
  forecast(prompts: readonly Prompt[]): Promise<Forecast>;
}

export const isUnfit = (x: object): x is { readonly unfit: string } => 'unfit' in x;
