/** What admins have bound to keys by their names and projects: nobody else takes a key out of it by calling it something else. */
import { RoutingError } from '../../../datasets/errors.ts';
import type { Caller } from '../../callers.ts';
import { isId } from '../limits/matching.ts';
import type { Limit } from '../limits/terms.ts';
import type { When } from '../policies/document.ts';
import { matcherOf } from '../policies/patterns.ts';

/** What limits and rules know a key by, beside its tags. */
export interface KeyPlace {
  readonly team: string;
  /** Null: of a key that has none yet, so that what holds for all holds for it. */
  readonly name: string | null;
  readonly project: string | null;
  /** Of the key; null: it is about to be made. */
  readonly id: string | null;
}

export interface Bindings {
  readonly limits: readonly Limit[];
  /** Of the policy in force. */
  readonly rules: readonly { readonly name: string; readonly when: When }[];
  /** Where the rotation chain of a key begins. */
  firstOf(keyId: string): string;
}

/**
 * Rules only restrict, and so do limits: a key that leaves one may do more than before. What managers have made is theirs to
 * be got around.
 *
 * @param ofManagersToo also limits that managers have made
 * @returns what would hold no more, in words
 */
export function lostBindings(
  { limits, rules, firstOf }: Bindings,
  before: KeyPlace,
  after: KeyPlace,
  ofManagersToo = false,
): string[] {
  const isLost = (holds: (place: KeyPlace) => boolean) => holds(before) && !holds(after);
  return [
    ...limits
      .filter(
        (limit) => (ofManagersToo || limit.madeBy !== 'manager') && isLost((place) => isWithin(limit, place, firstOf)),
      )
      .map(({ kind, name }) => `the ${kind} “${name}”`),
    ...rules.filter(({ when }) => isLost((place) => applies(when, place))).map(({ name }) => `the rule “${name}”`),
  ];
}

/** For whoever may do it all the same: it goes through, and is not to go unseen. */
export const leftBindings = (bindings: Bindings | null | undefined, before: KeyPlace, after: KeyPlace): string[] =>
  bindings == null
    ? []
    : lostBindings(bindings, before, after, true).map(
        (lost) => `${lost} does not hold for this key any more: it goes by the name or project that the key had`,
      );

/** @throws `FORBIDDEN` for whoever is no admin, naming what would hold no more */
export function keepBindings(
  actor: Pick<Caller, 'scopes'>,
  bindings: Bindings | null | undefined,
  before: KeyPlace,
  after: KeyPlace,
): void {
  if (actor.scopes.has('admin') || bindings == null) return;
  const [lost] = lostBindings(bindings, before, after);
  if (lost === undefined) return;
  const isRenamed = before.name !== after.name;
  const field = before.project === after.project ? 'name' : isRenamed ? 'name, project' : 'project';
  throw new RoutingError(
    'FORBIDDEN',
    `${field}: only an admin takes a key out of what admins have bound it to: ${lost}`,
  );
}

function isWithin({ team, key, project }: Limit, place: KeyPlace, firstOf: Bindings['firstOf']): boolean {
  const isOfKey = (named: string): boolean =>
    isId(named) ? place.id !== null && firstOf(named) === firstOf(place.id) : named === place.name;
  return (
    (team === undefined || team === '*' || team === place.team) &&
    (project === undefined || (project === '*' ? place.project !== null : project === place.project)) &&
    (key === undefined || key === '*' || isOfKey(key))
  );
}

function applies({ teams, projects, keys }: When, { team, name, project }: KeyPlace): boolean {
  const isMet = (names: When['keys'], is: string | null): boolean => {
    if (names === undefined) return true;
    if (names.any !== undefined && (is === null || !matcherOf(names.any)(is))) return false;
    return names.none === undefined || is === null || !matcherOf(names.none)(is);
  };
  return isMet(teams, team) && isMet(projects, project) && isMet(keys, name);
}
