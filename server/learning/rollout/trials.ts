/** A router on trial: which requests it decides. The conversation is what is drawn, so that all its turns are on one side. */
import { createHash } from 'node:crypto';
import type { Router } from '../../../router/router.ts';
import type { Arm, TrialTerms } from '../../db/records.ts';
import type { Team } from '../../teams.ts';

export interface Trial {
  /** Of the row in `promotions` that set these terms. */
  readonly ordinal: number;
  readonly kind: 'shadow' | 'canary';
  readonly terms: TrialTerms;
  readonly router: Router;
}

export interface Drawn {
  readonly trial: number;
  readonly arm: Arm;
  /** Probability of that arm, in (0, 1]. */
  readonly armProbability: number;
  /** Decides the request; null: the router in force. */
  readonly router: Router | null;
}

export class Trials {
  /** Replaced as a whole when the terms change; a request keeps what it began with. */
  current: Trial | null = null;

  /**
   * @param unit conversation, or the request itself: drawn by a hash, so that every replica draws alike
   * @returns null where the request takes no part in a trial
   */
  draw(team: Team, unit: string): Drawn | null {
    const trial = this.current;
    if (trial === null || trial.kind !== 'canary' || !team.canary) return null;
    const { artifact, share, teams } = trial.terms;
    if (teams.length > 0 && !teams.includes(team.name)) return null;
    // By the artifact, not the ordinal: whoever is in stays in when the share grows.
    const isIn = uniformOf(`${artifact}\n${team.name}\n${unit}`) < share;
    return {
      trial: trial.ordinal,
      arm: isIn ? 'candidate' : 'incumbent',
      armProbability: isIn ? share : 1 - share,
      router: isIn ? trial.router : null,
    };
  }
}

/** In [0, 1). */
const uniformOf = (text: string): number => createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
