/** The library: `const router = await Router.load(); const decision = await router.route({ messages })`. */
import type { Candidate } from '../datasets/catalog/candidate.ts';
import type { Decision } from './decision.ts';
import type { Policy } from './policy/policy.ts';
import type { RoutableRequest } from './request.ts';

export interface RouterOptions {
  /** Artifact folder; default: the shipped one. */
  readonly artifact?: string;
  /** Candidate models; default: the shipped catalog. */
  readonly candidates?: readonly Candidate[];
  /** Overrides of the artifact's policy. */
  readonly policy?: Partial<Policy>;
}

export interface RouteOptions {
  /** Overrides for this request. */
  readonly policy?: Partial<Policy>;
  /** Only these model ids. */
  readonly allowed?: readonly string[];
  /** Not these: no key, breaker open. */
  readonly unhealthy?: readonly string[];
  /** Uniform number in [0, 1) that decides exploration and ties; default: a random one. */
  readonly draw?: number;
}

export interface Router {
  /** Content hash of the artifact. */
  readonly artifactHash: string;
  readonly encoderId: string;
  readonly candidates: readonly Candidate[];
  /** @throws `INVALID_REQUEST`, `NO_CANDIDATE` (its message names every filter hit) */
  route(request: RoutableRequest, options?: RouteOptions): Promise<Decision>;
}
