/**
 * Multidimensional item response: P(model m answers x) = σ(a(x) · θ_m − b(x) + β_m) with discriminations
 * a(x) = softplus(A e_x + a₀) and difficulty b(x) linear in the embedding, abilities θ_m learned, none of it shrunk.
 * The paper maps a text profile of each model to θ_m; here outcomes alone say what a model can do.
 * @see Song et al., "IRT-Router", ACL 2025, arXiv 2506.01048 (MIRT, 25 dimensions)
 */
import type { Encoder } from '../encoder/encoder.ts';
import type { Estimator } from './estimator.ts';
import { gradientTrained } from './gradient-trained.ts';

export const irt = ({ encoder }: { encoder: Encoder }): Estimator =>
  gradientTrained('irt', encoder, {
    hidden: 25,
    activation: 'softplus',
    link: 'logistic',
    difficulty: true,
    rate: 1e-3,
    weightDecay: 1e-3,
    noise: 0,
  });
