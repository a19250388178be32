/** What becomes of an artifact that the gate has judged: in force, on trial, or refused. */
import { z } from 'zod';
import type { GatewayConfig } from '../../config/index.ts';
import type { TrialTerms } from '../../db/records.ts';
import type { SqlStore } from '../../db/store.ts';
import { addPromotion, history, type Promotion, standing } from '../promotions.ts';

export type RolloutConfig = GatewayConfig['rollout'];
export type RolloutStart = RolloutConfig['start'];

/** What the gate says: shown to be no worse, shown to be no better or worse, or neither. */
export type GateSays = 'promote' | 'insufficient' | 'refuse';

export interface RolloutContext {
  readonly store: SqlStore;
  readonly rollout: RolloutConfig;
}

export interface RolloutRequest {
  /** Hash of the new artifact, kept already (`keepArtifact`); null where none was made, which only a refusal may be about. */
  readonly artifact: string | null;
  /** Hash of the artifact in force that it was judged against; null: the base. */
  readonly previous: string | null;
  readonly gate: GateSays;
  /** It costs more than what is in force, so that not worse is not enough. Default false. */
  readonly mustBeBetter?: boolean | undefined;
  /** Stored as it is, with `reasons` for people and `trainedThrough` for the next retraining. */
  readonly verdict: object;
  /** Where one that passed begins; default: `rollout.start`. */
  readonly start?: RolloutStart | undefined;
  /** The job that it came of: its verdict stands once, however often it was begun. */
  readonly jobId?: string | null | undefined;
}

/**
 * Writes down what becomes of a judged artifact, and by that sets it going (README.md has the table).
 *
 * An artifact that passed, or of which the log could not tell, is refused where a trial is under way, unless it is to
 * be promoted at once, which ends the trial; and where a trial or a rollback has turned that very artifact down.
 *
 * @returns the row; where the job has one already, that
 * @throws `INVALID_REQUEST` when what it was judged against is not in force any more
 */
export async function beginRollout({ store, rollout }: RolloutContext, asked: RolloutRequest): Promise<Promotion> {
  const { artifact, previous, gate, verdict, jobId = null } = asked;
  const start = asked.start ?? rollout.start;
  const now = await standing(store);
  const refuse = (...reasons: string[]) =>
    addPromotion(store, {
      kind: 'refused',
      artifact: previous,
      previous,
      jobId,
      verdict: reasons.length === 0 ? verdict : { ...verdict, reasons: [...reasons, ...reasonsOf(verdict)] },
    });
  const stored = { ...verdict, rollout: { gate, mustBeBetter: asked.mustBeBetter ?? false } };
  if (artifact === null || gate === 'refuse') return refuse();
  if (gate === 'insufficient' && !rollout.trialOnInsufficient) return refuse();
  if (artifact === previous) return refuse(`${short(artifact)} is in force already`);
  if (await wasTurnedDown(store, artifact)) {
    return refuse(`${short(artifact)} was turned down before; without new feedback it does not return`);
  }
  if (gate === 'promote' && start === 'full') {
    return addPromotion(store, {
      kind: 'promoted',
      artifact,
      previous,
      verdict: stored,
      jobId,
      trial: watchOf(artifact, rollout),
    });
  }
  if (now.trial !== null) {
    return refuse(`${short(now.trial.terms.artifact)} is on trial; one at a time (pointsman retrain --stop ends it)`);
  }
  const kind = start === 'shadow' ? 'shadow' : 'canary';
  const trial = kind === 'shadow' ? { artifact, share: 0, teams: [] } : canaryOf(artifact, rollout);
  return addPromotion(store, {
    kind,
    artifact: previous,
    previous,
    verdict: stored,
    jobId,
    trial,
    after: now.ordinal,
  });
}

export const canaryOf = (artifact: string, { canaryShare, canaryTeams }: RolloutConfig): TrialTerms => ({
  artifact,
  share: canaryShare,
  teams: canaryTeams,
});

/** Over a promotion, where some requests are to stay with the router before; null: none do. */
export const watchOf = (artifact: string, { holdback }: RolloutConfig): TrialTerms | null =>
  holdback === 0 ? null : { artifact, share: 1 - holdback, teams: [] };

const TurnedDown = z.object({ onTrial: z.string(), turnedDown: z.literal(true) });

/** Whether an artifact was rolled back, or stopped because it was worse or failed. */
export async function wasTurnedDown(store: Pick<SqlStore, 'db'>, artifact: string): Promise<boolean> {
  const rows = await history(store, Number.MAX_SAFE_INTEGER);
  return rows.some(({ kind, previous, verdict }) => {
    if (kind === 'rolled-back') return previous === artifact;
    if (kind !== 'stopped') return false;
    const stopped = TurnedDown.safeParse(verdict);
    return stopped.success && stopped.data.onTrial === artifact;
  });
}

const reasonsOf = (verdict: object): string[] => {
  const { reasons } = verdict as { reasons?: unknown };
  return Array.isArray(reasons) ? reasons.filter((reason) => typeof reason === 'string') : [];
};

const short = (hash: string): string => hash.slice(0, 12);
