/** Caps on how much of what is learned one team, or one key, may account for. */
import { RoutingError } from '../../datasets/index.ts';
import type { Sample } from '../learning/log.ts';

export interface InfluenceCaps {
  /** Most of the total weight that one of several teams may have, in (0, 1]. */
  readonly maxTeamShare: number;
  /** The same for one key. */
  readonly maxKeyShare: number;
}

/**
 * Never more than this part of all weight is taken away. What is taken from one makes the others count for more, so
 * it bounds that as well: nobody's share more than doubles. Without it a team of 5 % beside one of 95 % would be
 * raised to a half, and could steer what it was meant to be kept from steering.
 */
const MOST_TAKEN = 0.5;
/** Team and key caps are brought together step by step; a round that takes less than this part ends it. */
const SMALL = 1e-9;
const MOST_ROUNDS = 200;
const ROUNDING = 1e-12;

/**
 * What to multiply the weight of each sample by. Of T teams with weight none keeps more than
 *
 *     share(team) ≤ C = max(maxTeamShare, 1/T)                  (one team alone: C = 1)
 *     share(key)  ≤ max(maxKeyShare, C / keys of its team)      (a team may use its share through one key, too)
 *
 * of what is left in all, with the least taken that does it, from the rows of a team or key in proportion. The limit
 * of the rule: at most half of all weight is taken away, so a team (a key) of more than (1 + C)/2 of the weight stays
 * above its cap, at 2·share − 1.
 *
 * @param weights wᵢ ≥ 0 that will be learned with; default: the samples' own
 * @returns multipliers in (0, 1], in the order of the samples; 1 where there is nothing to cap
 * @throws `INVALID_CONFIG` for a cap outside (0, 1]
 */
export function influenceWeights(
  samples: readonly Pick<Sample, 'tenant' | 'key' | 'weight'>[],
  { maxTeamShare, maxKeyShare }: InfluenceCaps,
  weights: ArrayLike<number> = samples.map(({ weight }) => weight),
): Float64Array {
  for (const [name, cap] of Object.entries({ maxTeamShare, maxKeyShare })) {
    if (!(cap > 0 && cap <= 1)) throw new RoutingError('INVALID_CONFIG', `learning.${name}: must be in (0, 1]`);
  }
  const keys = groupsOf(samples.map(({ tenant, key }) => JSON.stringify([tenant, key])));
  const raw = new Float64Array(keys.count);
  const teamNames = new Array<string>(keys.count);
  samples.forEach(({ tenant }, i) => {
    raw[keys.of[i]!]! += weights[i]!;
    teamNames[keys.of[i]!] = tenant;
  });
  const teams = groupsOf(teamNames);
  const kept = raw.slice();
  const floor = sum(raw) * MOST_TAKEN;

  // Who has no weight is nobody to share with.
  const keysOfTeam = new Float64Array(teams.count);
  raw.forEach((w, k) => {
    if (w > 0) keysOfTeam[teams.of[k]!]!++;
  });
  const several = keysOfTeam.filter((n) => n > 0).length;
  const teamCap = Math.max(maxTeamShare, 1 / Math.max(1, several));
  const teamCaps = new Float64Array(teams.count).fill(several <= 1 ? 1 : teamCap);
  const keyCaps = Float64Array.from(teams.of, (t) => Math.max(maxKeyShare, teamCaps[t]! / Math.max(1, keysOfTeam[t]!)));

  for (let round = 0; round < MOST_ROUNDS; round++) {
    const before = sum(kept);
    const byTeam = new Float64Array(teams.count);
    kept.forEach((w, k) => {
      byTeam[teams.of[k]!]! += w;
    });
    const team = capped(byTeam, teamCaps, floor);
    for (let k = 0; k < kept.length; k++) kept[k]! *= ratio(team, byTeam, teams.of[k]!);
    kept.set(capped(kept, keyCaps, floor));
    if (before - sum(kept) <= SMALL * before) break;
  }
  return Float64Array.from(keys.of, (k) => ratio(kept, raw, k));
}

/**
 * min(wₖ, cₖ·s) for the greatest s that is its own sum, Σ min(wₖ, cₖ·s) = s; where that sum would be below the floor,
 * for the s that makes it the floor. Σ cₖ ≥ 1 is taken for granted.
 */
function capped(w: Float64Array, caps: Float64Array, floor: number): Float64Array {
  const order = [...w.keys()].filter((k) => w[k]! > 0).sort((a, b) => w[b]! / caps[b]! - w[a]! / caps[a]!);
  let rest = sum(w);
  if (rest <= floor) return w;
  let share = 0;
  let s = rest;
  for (const k of order) {
    if (w[k]! <= caps[k]! * s * (1 + ROUNDING)) break;
    // It is capped, and so are all before it: what is left in all is rest + share·s.
    rest -= w[k]!;
    share += caps[k]!;
    s = Math.max(share < 1 ? rest / (1 - share) : 0, (floor - rest) / share);
  }
  return w.map((weight, k) => Math.min(weight, caps[k]! * s));
}

interface Groups {
  readonly count: number;
  /** Which group each is of. */
  readonly of: Int32Array;
}

function groupsOf(names: readonly string[]): Groups {
  const index = new Map<string, number>();
  const of = Int32Array.from(names, (name) => {
    const known = index.get(name);
    if (known !== undefined) return known;
    index.set(name, index.size);
    return index.size - 1;
  });
  return { count: index.size, of };
}

const ratio = (part: Float64Array, whole: Float64Array, at: number): number =>
  whole[at]! > 0 ? part[at]! / whole[at]! : 1;

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
