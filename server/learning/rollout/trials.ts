/** A router on trial: which requests it decides. The conversation is what is drawn, so that all its turns are on one side. */
import { createHash } from 'node:crypto';
import type { Router } from '../../../router/router.ts';
import type { Arm, TrialTerms } from '../../db/records.ts';
import type { Team } from '../../teams.ts';

export interface Trial {
  /** Of the row in `promotions` that set these terms. */
  readonly ordinal: number;
  /** `watch`: over a promotion, where the router on trial is in force and some requests stay with the one before it. */
  readonly kind: 'shadow' | 'canary' | 'watch';
  readonly terms: TrialTerms;
  /** The one beside that in force: on trial, or in a watch the one before. */
  readonly router: Router;
}

export interface Drawn {
  readonly trial: number;
  readonly arm: Arm;
  /** Probability of that arm, in (0, 1]. */
  readonly armProbability: number;
  /** Decides the request; null: the router in force. */
  readonly router: Router | null;
  /** What was drawn, as a hash that no other trial has: rows of one unit count once. */
  readonly unit: string;
}

/** What went wrong on this replica with the router beside the one in force. */
export interface Failures {
  readonly count: number;
  /** Of the last. */
  readonly code: string;
}

export class Trials {
  /** Replaced as a whole when the terms change; a request keeps what it began with. */
  current: Trial | null = null;
  #failures: { trial: number; count: number; code: string } | null = null;

  /**
   * @param unit conversation, or the request itself: drawn by a hash, so that every replica draws alike
   * @returns null where the request takes no part in a trial
   */
  draw(team: Team, unit: string): Drawn | null {
    const trial = this.current;
    if (trial === null || trial.kind === 'shadow' || !team.canary) return null;
    const { artifact, share, teams } = trial.terms;
    if (teams.length > 0 && !teams.includes(team.name)) return null;
    // By the artifact, not the ordinal: whoever is in stays in when the share grows.
    const digest = createHash('sha256').update(`${artifact}\n${team.name}\n${unit}`).digest();
    const isIn = uniformOf(digest) < share;
    const isBeside = isIn === (trial.kind === 'canary');
    return {
      trial: trial.ordinal,
      arm: isIn ? 'candidate' : 'incumbent',
      armProbability: isIn ? share : 1 - share,
      router: isBeside ? trial.router : null,
      unit: digest.toString('hex', 6, 18),
    };
  }

  /**
   * Decides as drawn. A router beside the one in force that fails costs a request nothing but that: the one in force
   * decides, and the failure is counted against the trial.
   */
  async decide<T>(drawn: Drawn | null, decide: (router?: Router) => Promise<T>): Promise<T> {
    if (drawn?.router == null) return decide();
    try {
      return await decide(drawn.router);
    } catch (error) {
      const instead = await decide();
      this.fail(drawn.trial, error);
      return instead;
    }
  }

  fail(trial: number, error: unknown): void {
    const { code = 'INTERNAL' } = error as { code?: string };
    const before = this.#failures?.trial === trial ? this.#failures.count : 0;
    this.#failures = { trial, count: before + 1, code };
  }

  /** Of this trial, since this process began. */
  failures(trial: number): Failures {
    return this.#failures?.trial === trial ? this.#failures : { count: 0, code: '' };
  }
}

/** In [0, 1). */
const uniformOf = (digest: Buffer): number => digest.readUIntBE(0, 6) / 2 ** 48;
