import type { Encoder } from '../encoder/encoder.ts';
import { cluster } from './cluster.ts';
import type { Estimator } from './estimator.ts';
import { irt } from './irt.ts';
import { itemResponse } from './item-response.ts';
import { knn } from './knn.ts';
import { matrixFactors } from './matrix-factors.ts';
import { meanQuality } from './mean-quality.ts';
import { mlp } from './mlp.ts';
import { ridge } from './ridge.ts';

/** Every method by its name: the published families, the baseline that they have to beat, and ours. */
export const ZOO = {
  'mean-quality': meanQuality,
  knn,
  cluster,
  ridge,
  'matrix-factors': matrixFactors,
  mlp,
  irt,
  'item-response': itemResponse,
} satisfies Record<string, (options: { encoder: Encoder }) => Estimator>;
export type ZooName = keyof typeof ZOO;

/** The method that is shipped. */
export const OURS: ZooName = 'item-response';

export const isZooName = (name: string): name is ZooName => Object.hasOwn(ZOO, name);

export { artifactPredictor } from './artifact.ts';
export { embed } from './embed.ts';
export type { Estimator, Predictions, Predictor } from './estimator.ts';
export { type ItemResponsePredictor, itemResponse } from './item-response.ts';
export { knn } from './knn.ts';
export { meanQuality } from './mean-quality.ts';
