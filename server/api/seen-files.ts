/**
 * Under which guardrails a file was looked at when it came: kept beside what is known of it, so that a rule which lets
 * nothing pass unseen can tell the files that it has seen from all others, on every replica.
 */
import type { Caller } from '../callers.ts';
import type { GuardHit } from '../db/records.ts';
import type { Gateway } from '../gateway.ts';
import type { HeldObject } from '../held-objects.ts';

/** Of what is known of a file; clients cannot refer to it. */
export const SEEN = 'seen';

/** No provider's ids hold a space. */
const seenId = (file: string): string => `${file} ${SEEN}`;

/** @param marks of the rules */
export const seenUnder = (file: HeldObject, marks: readonly string[]): HeldObject => ({
  ...file,
  id: seenId(file.id),
  kind: SEEN,
  model: marks.join(','),
});

export const forgetSeen = ({ held }: Gateway, { tenant }: Caller, file: string): Promise<void> =>
  held.release(tenant, seenId(file));

/**
 * @param files   ids that the request refers to
 * @param callers the one who asks, under each of the surfaces whose rules hold
 * @returns what rules that only watch have noticed. @throws GuardrailBlocked
 */
export async function mustBeSeen(
  gateway: Gateway,
  files: readonly string[],
  ...callers: readonly Caller[]
): Promise<readonly GuardHit[]> {
  const { guards } = gateway.governance;
  const minding = callers.filter((caller) => guards.mindsUnseen(caller));
  if (minding.length === 0) return [];
  const hits: GuardHit[] = [];
  for (const file of new Set(files)) {
    const seen = await gateway.held.find(minding[0]!.tenant, seenId(file));
    const marks = new Set(seen?.model?.split(','));
    hits.push(...guards.mustHaveSeen(minding, marks, file.slice(0, 100)));
  }
  return hits;
}
