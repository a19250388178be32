/** Notices that a model's answers have become worse, or better, than was forecast of them, and since when. */

export interface DetectorOptions {
  /** Answers that go by between two false alarms on average, at least. Default 20 000. */
  readonly runLength?: number;
  /** A forecast this much beside the truth is no alarm, in quality. Default 0.03. */
  readonly tolerance?: number;
}

export interface Change {
  readonly direction: 'worse' | 'better';
  /** The first answer after the change, as given to {@link ChangeDetector.add}. */
  readonly since: number;
  /** Answers since then, and what they were on average beside their forecasts. */
  readonly answers: number;
  readonly meanResidual: number;
  /** Standard error of that mean. */
  readonly error: number;
  /** Answers before it: with none, the forecasts were never right. */
  readonly before: number;
}

/** Stakes of the gamblers: a small one finds small changes, a large one is quick about great ones. */
const STAKES = [0.1, 0.2, 0.4, 0.6];

/**
 * Two e-detectors, one for each direction. For forecasts p and observed qualities y, both in [0, 1],
 *
 *     E_t(λ) = max(E_{t−1}(λ), 1) · (1 + λ (p_t − τ − y_t)),    alarm when the mean of E_t(λ) over λ ≥ runLength
 *
 * for "worse", with y and p + τ exchanged for "better". While every answer is, given the past, on average no more than τ
 * worse than forecast, no gambler gains on average, so that false alarms are `runLength` answers apart on average or
 * more, whatever the distribution and dependence. The change is dated where the winning gambler last stood at 1.
 *
 * @see Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
 *      New England Journal of Statistics in Data Science 2024
 */
export class ChangeDetector {
  readonly #runLength: number;
  readonly #worse: Gamblers;
  readonly #better: Gamblers;
  #count = 0;
  #change: Change | null = null;

  constructor({ runLength = 20_000, tolerance = 0.03 }: DetectorOptions = {}) {
    this.#runLength = runLength;
    this.#worse = new Gamblers(tolerance);
    this.#better = new Gamblers(tolerance);
  }

  /** The first change found; later answers only make `meanResidual` surer. */
  get change(): Change | null {
    return this.#change;
  }

  /**
   * @param predicted what was forecast of the answer, in [0, 1]
   * @param observed  what it was worth, in [0, 1]
   * @param at        when, or which: what a change is dated by
   */
  add(predicted: number, observed: number, at: number): void {
    const residual = observed - predicted;
    this.#count++;
    if (this.#change !== null) {
      this.#change = this.#told(this.#change.direction, residual);
      return;
    }
    // In both cases what the gambler bets on is that the first is greater than the second.
    this.#worse.bet(predicted, observed, residual, at);
    this.#better.bet(1 - predicted, 1 - observed, residual, at);
    if (this.#worse.capital >= this.#runLength) this.#change = this.#told('worse');
    else if (this.#better.capital >= this.#runLength) this.#change = this.#told('better');
  }

  #told(direction: Change['direction'], residual?: number): Change {
    const run = (direction === 'worse' ? this.#worse : this.#better).run;
    if (residual !== undefined) run.add(residual);
    return {
      direction,
      since: run.since,
      answers: run.count,
      meanResidual: run.mean,
      error: run.error,
      before: this.#count - run.count,
    };
  }
}

/** Answers since a gambler last stood at 1. */
class Run {
  since = Number.NaN;
  count = 0;
  mean = 0;
  #squares = 0;

  add(residual: number): void {
    this.count++;
    const off = residual - this.mean;
    this.mean += off / this.count;
    this.#squares += off * (residual - this.mean);
  }

  get error(): number {
    return this.count < 2 ? 1 : Math.sqrt(this.#squares / (this.count - 1) / this.count);
  }
}

class Gamblers {
  readonly #tolerance: number;
  readonly #each = STAKES.map((stake) => ({ stake, capital: 1, run: new Run() }));

  constructor(tolerance: number) {
    this.#tolerance = tolerance;
  }

  get capital(): number {
    return this.#each.reduce((sum, { capital }) => sum + capital, 0) / this.#each.length;
  }

  /** Of the richest. */
  get run(): Run {
    return this.#each.reduce((a, b) => (b.capital > a.capital ? b : a)).run;
  }

  bet(expected: number, came: number, residual: number, at: number): void {
    const gain = Math.max(0, expected - this.#tolerance) - came;
    for (const gambler of this.#each) {
      if (gambler.capital <= 1) {
        gambler.capital = 1;
        gambler.run = new Run();
        gambler.run.since = at;
      }
      gambler.run.add(residual);
      gambler.capital *= 1 + gambler.stake * gain;
    }
  }
}
