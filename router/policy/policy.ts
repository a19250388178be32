/** The knobs of a decision. */
import { z } from 'zod';

export const Policy = z.strictObject({
  /** A candidate this much below the best predicted quality is still good enough, in [0, 1]. */
  tolerance: z.number().min(0).max(1),
  /** Least predicted quality wanted, in [0, 1]. */
  minQuality: z.number().min(0).max(1).default(0),
  /** Most that one call may be expected to cost, USD; null: no limit. */
  maxCostUsd: z.number().positive().nullable().default(null),
  /** Quality given up per USD saved among adequate candidates; null: the cheapest one wins. */
  qualityPerUsd: z.number().nonnegative().nullable().default(null),
  /** Share of decisions drawn evenly over the nearly adequate candidates, in [0, 1]. */
  exploration: z.number().min(0).max(1).default(0),
  /** Chosen when the router abstains; null: the candidate of highest predicted quality. */
  defaultModel: z.string().nullable().default(null),
  /** Out-of-domain score above which the router abstains, in [0, 1]. */
  maxOutOfDomain: z.number().min(0).max(1).default(1),
});
export type Policy = z.infer<typeof Policy>;
