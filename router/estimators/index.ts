export { artifactPredictor } from './artifact.ts';
export { embed } from './embed.ts';
export type { Estimator, Predictions, Predictor } from './estimator.ts';
export { type ItemResponsePredictor, itemResponse } from './item-response.ts';
export { knn } from './knn.ts';
export { meanQuality } from './mean-quality.ts';
