/**
 * Watches the trial under way and acts on what it shows. Every replica does, and each finding is acted upon once: the
 * row that says so is only added after the one that it is about.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import type { SqlStore } from '../../db/store.ts';
import { addPromotion, type NewPromotion, type Promotion, type Standing, standing } from '../promotions.ts';
import { canaryOf, type GateSays, type RolloutConfig, watchOf } from './begin.ts';
import { Labelling, shadowNumbers, trialUnits } from './evidence.ts';
import {
  type BeforeTrial,
  type Move,
  nextMove,
  nextShadowMove,
  type ShadowNumbers,
  type TrialNumbers,
  TrialTally,
  type Unit,
} from './monitor.ts';
import type { Trials } from './trials.ts';

export interface TrialWatchOptions {
  /** Between looks, ms; longer where a look takes long. Default 5 000. */
  readonly intervalMs?: number;
  /** Told of a row that this replica has added. */
  readonly onMove?: (row: Promotion) => void;
  readonly onProblem?: (error: unknown) => void;
}

/** What a row says that came of a trial. */
export interface TrialVerdict {
  readonly reasons: readonly string[];
  /** Hash of the artifact that was on trial. */
  readonly onTrial: string;
  /** It was worse, or failed: without new feedback it does not return. */
  readonly turnedDown: boolean;
  /** As the gate's verdict has it: what the next retraining takes for seen. */
  readonly trainedThrough: number | null;
  readonly rollout: {
    readonly gate: GateSays;
    readonly mustBeBetter: boolean;
    /** Ordinal of the row that the trial began with. */
    readonly trial: number;
    readonly numbers: TrialNumbers | ShadowNumbers;
  };
}

const Begun = z.object({
  rollout: z
    .object({ gate: z.enum(['promote', 'insufficient', 'refuse']), mustBeBetter: z.boolean().default(false) })
    .optional(),
  trainedThrough: z.number().nullish(),
});

/** A look takes at most this share of the time: it reads what requests are written to. */
const MOST_SHARE = 0.05;

export class TrialWatch {
  readonly #store: SqlStore;
  readonly #trials: Trials;
  readonly #limits: () => RolloutConfig;
  readonly #options: TrialWatchOptions;
  readonly #labelling = new Labelling();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #looking: Promise<Promotion | null> = Promise.resolve(null);

  /** @param limits asked anew each time: the configuration may have changed */
  constructor(store: SqlStore, trials: Trials, limits: () => RolloutConfig, options: TrialWatchOptions = {}) {
    this.#store = store;
    this.#trials = trials;
    this.#limits = limits;
    this.#options = options;
  }

  start(): void {
    const { intervalMs = 5000, onProblem = () => {} } = this.#options;
    const next = (ms: number) => {
      if (this.#isStopped) return;
      // Not all replicas at once: the first to see something acts.
      this.#timer = setTimeout(tick, ms * (0.75 + Math.random() / 2));
      this.#timer.unref();
    };
    const tick = async () => {
      const began = performance.now();
      await this.look().catch((error) => {
        if (!this.#isStopped) onProblem(error);
      });
      next(Math.max(intervalMs, (performance.now() - began) / MOST_SHARE));
    };
    next(intervalMs);
  }

  /** Resolves when a look that is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking.catch(() => null);
  }

  /**
   * Looks now. @returns the row that it added; null where there is nothing to do, or another replica did it
   * @throws `DATABASE_UNAVAILABLE`
   */
  look(): Promise<Promotion | null> {
    this.#looking = this.#looking.catch(() => null).then(() => this.#once());
    return this.#looking;
  }

  async #once(): Promise<Promotion | null> {
    const now = await standing(this.#store);
    if (now.trial === null || this.#isStopped) return null;
    const { trial } = now;
    const begun = Begun.safeParse(trial.verdict);
    const { rollout, trainedThrough = null } = begun.success ? begun.data : {};
    const { gate, mustBeBetter } = rollout ?? { gate: 'insufficient' as const, mustBeBetter: false };
    const { move, numbers } = await this.#shown(now, { gate, mustBeBetter });
    if (move.kind === 'wait') return null;
    // A replica that could not take the router up does not put it in force, nor give it requests.
    if ((move.kind === 'promote' || move.kind === 'advance') && this.#trials.current?.ordinal !== trial.ordinal) {
      return null;
    }
    const verdict: TrialVerdict = {
      reasons: [move.reason],
      onTrial: trial.terms.artifact,
      turnedDown: move.kind === 'roll-back' || (move.kind === 'stop' && move.turnedDown),
      trainedThrough,
      rollout: { gate, mustBeBetter, trial: trial.ordinal, numbers },
    };
    try {
      const row = await addPromotion(this.#store, { ...rowOf(move, now, this.#limits()), verdict, after: now.ordinal });
      this.#options.onMove?.(row);
      return row;
    } catch (error) {
      // Another replica saw it first, or somebody stopped it.
      if ((error as { code?: string }).code === 'INVALID_REQUEST') return null;
      throw error;
    }
  }

  async #shown(
    { trial }: Standing,
    before: BeforeTrial,
  ): Promise<{ move: Move; numbers: TrialNumbers | ShadowNumbers }> {
    const { ordinal, kind } = trial!;
    const limits = this.#limits();
    const failures = this.#trials.failures(ordinal);
    if (kind === 'shadow') {
      const numbers = await shadowNumbers(this.#store, trial!);
      return { move: nextShadowMove(numbers, failures, limits), numbers };
    }
    await this.#labelling.bringUp(this.#store, trial!);
    const { numbers } = await tallied(await trialUnits(this.#store, trial!));
    return { move: nextMove(kind, before, numbers, failures, limits), numbers };
  }
}

/** Units after which others get their turn: all of them take longer than a request may wait. */
const AT_A_TIME = 100;

async function tallied(units: readonly Unit[]): Promise<TrialTally> {
  const tally = new TrialTally();
  for (const [i, unit] of units.entries()) {
    if (i > 0 && i % AT_A_TIME === 0) await turn();
    tally.add(unit);
  }
  return tally;
}

type Row = Omit<NewPromotion, 'verdict' | 'after'>;

/** What a move changes. */
function rowOf(move: Exclude<Move, { kind: 'wait' }>, { inForce, trial }: Standing, limits: RolloutConfig): Row {
  const { artifact } = trial!.terms;
  const stays = { artifact: inForce, previous: inForce };
  switch (move.kind) {
    case 'advance':
      return { kind: 'canary', ...stays, trial: canaryOf(artifact, limits) };
    case 'promote':
      return { kind: 'promoted', artifact, previous: inForce, trial: watchOf(artifact, limits) };
    case 'stop':
      return { kind: 'stopped', ...stays };
    case 'roll-back':
      return { kind: 'rolled-back', artifact: trial!.beside, previous: inForce };
  }
}
