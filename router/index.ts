/** What to do: request → Decision. Pure: no network, no database. */
export { Candidate, Catalog } from '../datasets/catalog/candidate.ts';
export { readCatalog } from '../datasets/catalog/catalog.ts';
export { RoutingError } from '../datasets/index.ts';
export { type Artifact, loadArtifact, saveArtifact } from './artifact/artifact.ts';
export {
  type Decision,
  FILTERS,
  type FilterReason,
  NoCandidate,
  type RankedCandidate,
  REASONS,
  type ReasonCode,
} from './decision.ts';
export type { Encoder } from './encoder/encoder.ts';
export type { Estimator, Predictions, Predictor } from './estimators/estimator.ts';
export { Certificate, certificateHolds, type Present, priceBook, type Standing } from './policy/certificate.ts';
export { Knobs, Policy } from './policy/policy.ts';
export { LOCKS, type Lock, type Session } from './policy/session.ts';
export {
  type AgentStep,
  type RequestFacts,
  type RoutableRequest,
  type RoutingInput,
  readRequest,
  type Shape,
  STEPS,
} from './request.ts';
export { createRouter, type RouteOptions, Router, type RouterOptions } from './router.ts';
