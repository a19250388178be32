/** What was seen of a model since its heads were fitted, until they are fitted anew. */

export interface Adjustment {
  /** Added to the quality predicted for it, in [-1, 1]; below 0 where it does worse than it did. */
  readonly shift: number;
  /** What that leaves uncertain: added to its standard deviation, in quadrature; >= 0. */
  readonly widen: number;
}

/** By candidate id. */
export type Adjustments = ReadonlyMap<string, Adjustment>;
