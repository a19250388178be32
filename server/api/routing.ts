/** `routing` in a request's body: what this one request asks of the router. Ours alone, so it never goes upstream. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { Knobs } from '../../router/policy/policy.ts';
import type { RouteOptions } from '../../router/router.ts';
import { FieldError } from './errors.ts';

const { minQuality, maxCostUsd, dial, target, budget } = Knobs.shape;

/** The knobs of `router/policy/policy.ts` that a client may set, and whether nothing is to be left to chance. */
export const Routing = z.strictObject({
  minQuality: minQuality.unwrap().optional(),
  maxCostUsd: maxCostUsd.unwrap().optional(),
  dial: dial.unwrap().optional(),
  target: target.unwrap().optional(),
  budget: budget.unwrap().optional(),
  critical: z.boolean().optional(),
});
export type Routing = z.infer<typeof Routing>;

export const routeOptionsOf = ({ critical, ...policy }: Routing = {}): RouteOptions => ({
  ...(Object.keys(policy).length > 0 && { policy: policy as NonNullable<RouteOptions['policy']> }),
  ...(critical !== undefined && { critical }),
});

/** Knobs in range may still contradict each other, or the router: that is the request's fault, not the operator's. */
export function blameRequest(error: unknown, routing: Routing | undefined): never {
  if (routing !== undefined && error instanceof RoutingError && error.code === 'INVALID_CONFIG') {
    const [, place, message] = /^policy((?:\.[\w.]+)?): (.*)$/s.exec(error.message) ?? [];
    throw new FieldError(`routing${place ?? ''}`, message ?? error.message);
  }
  throw error;
}
