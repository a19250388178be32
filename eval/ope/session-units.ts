/** Turns of a conversation → one unit with one draw: what was left to chance is the model of its first turn, not of each. */

/** A judged row of a log, as far as this needs to know it. */
export interface SessionRow {
  /** Session, or the row itself where it belongs to none. */
  readonly group: string;
  /** False where nothing was left to chance by rule: later turns, critical requests, teams that do not explore. */
  readonly explorable: boolean;
}

/** A session as one draw and what came of it. */
export interface SessionUnit {
  /** Index of the first explorable row: action, propensity and distribution are its. */
  readonly first: number;
  /** Indices of the rows whose mean is the reward: that one and what came after it in the session, in order. */
  readonly rows: readonly number[];
}

/**
 * Of session s with judged rows 1 … T in the order of time and f the first explorable one:
 *
 *     a_s = a_f,   p_s = π_b(a_f | x_f),   r_s = mean of r_f … r_T
 *
 * Later turns keep the model, so what they bring is the doing of that one draw, and weighing each by its own
 * propensity (1) would call it chance that the conversation went on with it. What came before the draw is not its
 * doing and is left out. A policy is taken to do on the session what it does on x_f.
 *
 * By intention to treat: where a call failed, an answer was checked or a second runner was faster, another model
 * answered, and what came of that counts for the model drawn. The fall-back is part of what choosing it brings.
 *
 * @param rows judged rows in the order of time
 * @returns sessions in the order of their first draws; one without an explorable row is no unit
 * @see Hernán & Robins, "Causal Inference: What If", 2020, chapter 22, for intention to treat and time-varying treatments
 */
export function sessionUnits(rows: readonly SessionRow[]): SessionUnit[] {
  const units = new Map<string, { first: number; rows: number[] }>();
  rows.forEach(({ group, explorable }, i) => {
    const unit = units.get(group);
    if (unit !== undefined) unit.rows.push(i);
    else if (explorable) units.set(group, { first: i, rows: [i] });
  });
  return [...units.values()];
}

/** Mean of a value over each unit's rows; rows whose value is NaN are left out, NaN where all are. */
export function unitMeans(units: readonly SessionUnit[], values: ArrayLike<number>): Float64Array {
  return Float64Array.from(units, ({ rows }) => {
    let sum = 0;
    let count = 0;
    for (const i of rows) {
      const value = values[i]!;
      if (Number.isNaN(value)) continue;
      sum += value;
      count++;
    }
    return count === 0 ? Number.NaN : sum / count;
  });
}
