/** The knobs of a decision, and what an artifact knows of their effect. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import { Certificate } from './certificate.ts';
import { Traffic } from './traffic.ts';

export const Target = z.strictObject({
  /** Share of the reference model's quality to keep, in (0, 1]. */
  keep: z.number().positive().max(1),
  /** The candidate to compare with; left out: the one of highest quality on the artifact's sample of traffic. */
  reference: z.string().optional(),
});
export type Target = z.infer<typeof Target>;

/** What an operator or a request may set. */
export const Knobs = z.strictObject({
  /** A candidate this much below the best predicted quality is still good enough, in [0, 1]. */
  tolerance: z.number().min(0).max(1),
  /** Least predicted quality (a probability of success) wanted, in [0, 1]. */
  minQuality: z.number().min(0).max(1).default(0),
  /** The same for a step in which an agent plans (`facts.step`), where it is higher, in [0, 1]. */
  planMinQuality: z.number().min(0).max(1).default(0),
  /** Most that one call may be expected to cost, USD; null: no limit. */
  maxCostUsd: z.number().positive().nullable().default(null),
  /** Cost against quality, 0 = cheapest … 10 = best; 5 is `tolerance` itself. Null: likewise `tolerance`. */
  dial: z.number().min(0).max(10).nullable().default(null),
  /** Quality to keep, in expectation; the tolerance is then solved for. */
  target: Target.nullable().default(null),
  /** USD per 1 000 requests to spend, in expectation; the tolerance is then solved for. */
  budget: z.number().positive().nullable().default(null),
  /** Quality given up per USD saved among adequate candidates; null: the cheapest one wins. */
  qualityPerUsd: z.number().nonnegative().nullable().default(null),
  /** Share of decisions drawn over other candidates, mostly the nearly adequate ones, in [0, 1]. */
  exploration: z.number().min(0).max(1).default(0),
  /** Chosen when the router abstains; null: what each model's mean quality says. */
  defaultModel: z.string().nullable().default(null),
  /** Out-of-domain score above which the router abstains, in [0, 1]. */
  maxOutOfDomain: z.number().min(0).max(1).default(1),
});
export type Knobs = z.infer<typeof Knobs>;

/** An artifact's `policy.json`. */
export const Policy = Knobs.extend({
  /** What was proved of the tolerance, or found not to be provable; null: nothing was tried. */
  certificate: Certificate.nullable().default(null),
  /** Prompts on which targets and budgets are solved; null: they cannot be. */
  traffic: Traffic.nullable().default(null),
});
export type Policy = z.infer<typeof Policy>;

/** Each says alone how much quality is traded for money. */
const TRADE_OFFS = ['dial', 'target', 'budget'] as const;

/**
 * Knobs over those of a policy. A trade-off given here (`tolerance`, `dial`, `target` or `budget`) replaces that of the base.
 * @throws `INVALID_CONFIG` naming the knob that is out of range or unknown, or two that contradict each other
 */
export function withOverrides(base: Policy, overrides: Partial<Knobs> | undefined): Policy {
  if (overrides === undefined || overrides === null) return base;
  if (typeof overrides !== 'object' || Array.isArray(overrides)) {
    throw new RoutingError('INVALID_CONFIG', 'policy: an object of knobs is wanted');
  }
  const set = Object.fromEntries(Object.entries(overrides).filter(([, v]) => v !== undefined));
  const given = TRADE_OFFS.filter((name) => set[name] != null);
  if (given.length > 1) {
    throw new RoutingError('INVALID_CONFIG', `policy: ${given.join(' and ')} each set the trade-off; give one of them`);
  }
  const cleared = given.length > 0 || set.tolerance !== undefined ? { dial: null, target: null, budget: null } : {};
  const { certificate, traffic, ...knobs } = base;
  const parsed = Knobs.safeParse({ ...knobs, ...cleared, ...set }, PLAIN);
  if (parsed.success) return { ...parsed.data, certificate, traffic };
  const issue = parsed.error.issues[0]!;
  throw new RoutingError('INVALID_CONFIG', `${['policy', ...issue.path].join('.')}: ${issue.message}`);
}

/** Looser than the middle of a dial must begin somewhere, even where the artifact's tolerance is 0. */
const LEAST_LOOSE = 0.01;

/**
 * The tolerance that a policy's dial stands for: 10 → 0, 5 → the policy's own, 0 → 1, falling all the way;
 * straight above the middle, geometric below, where tolerances span decades.
 */
export function dialTolerance({ dial, tolerance }: Pick<Policy, 'dial' | 'tolerance'>): number {
  if (dial === null) return tolerance;
  if (dial === 5) return tolerance;
  return dial > 5 ? (tolerance * (10 - dial)) / 5 : Math.max(tolerance, LEAST_LOOSE) ** (dial / 5);
}
