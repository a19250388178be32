/** What to do: request → Decision. Pure: no network, no database. */
export { Candidate, Catalog } from '../datasets/catalog/candidate.ts';
export { readCatalog } from '../datasets/catalog/catalog.ts';
export { RoutingError } from '../datasets/index.ts';
export { type Artifact, loadArtifact, saveArtifact } from './artifact/artifact.ts';
export { type Decision, type FilterReason, NoCandidate, type RankedCandidate, type ReasonCode } from './decision.ts';
export type { Encoder } from './encoder/encoder.ts';
export type { Estimator, Predictions, Predictor } from './estimators/estimator.ts';
export { Certificate, certificateHolds, type Present, priceBook, type Standing } from './policy/certificate.ts';
export { Knobs, Policy } from './policy/policy.ts';
export { type RequestFacts, type RoutableRequest, type RoutingInput, readRequest } from './request.ts';
export { createRouter, type RouteOptions, Router, type RouterOptions } from './router.ts';
