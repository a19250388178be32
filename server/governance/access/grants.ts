/** Nobody gives more than they have: what a key may be given, by who gives it. */
import { RoutingError } from '../../../datasets/errors.ts';
import { type Caller, isAmong } from '../../callers.ts';
import type { Scope } from '../../config/loop-schema.ts';
import type { Role } from '../../db/records.ts';
import type { KeyRow, KeySettings } from './records.ts';
import { reachOf, SCOPES_OF } from './roles.ts';

export interface Grant {
  readonly team: string;
  /** Where it is named anew. */
  readonly role?: Role | undefined;
  readonly scopes: ReadonlySet<Scope>;
  readonly settings: KeySettings;
  readonly expiresAt: Date | null;
}

const TIGHTER = { minQuality: Math.max, maxCostUsd: Math.min, dial: Math.min } as const;

/**
 * The settings that a key gets when they are asked for: those of who gives it stay on it. An admin gives what is asked.
 * @param own the row of the giver's own key, where it has one
 * @throws `FORBIDDEN` naming what is more than the giver has
 */
export function granted(giver: Caller, asked: Grant, own: Pick<KeyRow, 'expiresAt'> | null): Grant {
  if (giver.scopes.has('admin')) return asked;
  const reach = reachOf(giver);
  if (reach !== null && asked.team !== reach) throw more('team', `only keys of ${reach}`);
  const beyond = [...asked.scopes].filter((scope) => !giver.scopes.has(scope));
  if (beyond.length > 0) throw more('scopes', `not ${beyond.join(', ')}, which you do not have`);
  // People and programs read the role, whatever the list of scopes beside it says.
  if (asked.role !== undefined && [...SCOPES_OF[asked.role]].some((scope) => !giver.scopes.has(scope))) {
    throw more('role', `not ${asked.role}, which may do more than you`);
  }
  return {
    ...asked,
    settings: settingsWithin(giver, asked.settings),
    expiresAt: within(asked.expiresAt, own?.expiresAt ?? null),
  };
}

function settingsWithin(
  giver: Caller,
  { models, tags = [], routing, feedbackWeight, ...rest }: KeySettings,
): KeySettings {
  const beyond = giver.models === undefined ? [] : (models ?? []).filter((one) => !isAmong(one, giver.models!));
  if (beyond.length > 0) throw more('models', `not ${beyond.join(', ')}, which you may not use`);
  const bounds: Record<string, number | null | undefined> = { ...routing };
  for (const [knob, tighter] of Object.entries(TIGHTER) as [keyof typeof TIGHTER, typeof Math.max][]) {
    const [mine, theirs] = [giver.routing?.[knob], routing?.[knob]];
    if (typeof mine === 'number') bounds[knob] = typeof theirs === 'number' ? tighter(mine, theirs) : mine;
  }
  const allowed = models ?? giver.models;
  return {
    ...rest,
    ...(allowed !== undefined && { models: [...allowed] }),
    tags: [...new Set([...giver.tags, ...tags])],
    ...(Object.keys(bounds).length > 0 && { routing: bounds as NonNullable<KeySettings['routing']> }),
    feedbackWeight: Math.min(feedbackWeight ?? 1, giver.feedbackWeight),
  };
}

const within = (asked: Date | null, own: Date | null): Date | null =>
  own === null || (asked !== null && asked <= own) ? asked : own;

/**
 * What bounds a key that is there, an admin alone takes off it or loosens; others narrow it.
 * @throws `FORBIDDEN` naming what would be wider than before
 */
export function narrowing(
  actor: Caller,
  before: Pick<Grant, 'settings' | 'expiresAt'>,
  after: Pick<Grant, 'settings' | 'expiresAt'>,
): void {
  if (actor.scopes.has('admin')) return;
  const [was, is] = [before.settings, after.settings];
  const gone = (was.tags ?? []).filter((tag) => is.tags?.includes(tag) !== true);
  if (gone.length > 0) throw wider('tags', `${gone.join(', ')} stays on it`);
  const isWithin = is.models?.every((one) => isAmong(one, was.models ?? [])) === true;
  if (was.models !== undefined && !isWithin) throw wider('models', `no more than ${was.models.join(', ')}`);
  for (const [knob, tighter] of Object.entries(TIGHTER) as [keyof typeof TIGHTER, typeof Math.max][]) {
    const [bound, wanted] = [was.routing?.[knob], is.routing?.[knob]];
    if (typeof bound === 'number' && (typeof wanted !== 'number' || tighter(bound, wanted) !== wanted)) {
      throw wider(`routing.${knob}`, `it stays within ${bound}`);
    }
  }
  const weight = was.feedbackWeight ?? 1;
  if ((is.feedbackWeight ?? 1) > weight) throw wider('feedbackWeight', `no more than ${weight}`);
  const end = before.expiresAt;
  if (end !== null && (after.expiresAt === null || after.expiresAt > end)) {
    throw wider('expiresAt', `no later than ${end.toISOString()}`);
  }
}

/** A key that may do more than whoever would change it is not theirs to change. @throws `FORBIDDEN` */
export function mayChange(actor: Caller, scopes: ReadonlySet<Scope>): void {
  if (actor.scopes.has('admin')) return;
  const beyond = [...scopes].filter((scope) => !actor.scopes.has(scope));
  if (beyond.length > 0) {
    throw new RoutingError('FORBIDDEN', `this key may do more than you: ${beyond.join(', ')}`);
  }
}

const more = (field: string, what: string): RoutingError =>
  new RoutingError('FORBIDDEN', `${field}: nobody can give more than they have: ${what}`);

const wider = (field: string, what: string): RoutingError =>
  new RoutingError('FORBIDDEN', `${field}: only an admin makes a key’s bounds wider: ${what}`);
