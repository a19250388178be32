/**
 * Multidimensional item response: P(model m answers x) = σ(a(x) · θ_m − b(x) + β_m) with discriminations
 * a(x) = softplus(A e_x + a₀) and difficulty b(x) linear in the embedding, by cross-entropy. Abilities θ_m are free:
 * nothing draws models together but weight decay. The paper maps a text profile of each model to θ_m; here its
 * outcomes alone say what a model can do. β_m is what a(x) · θ_m would have to learn first: the model's mean.
 * @see Song et al., "IRT-Router: Effective and Interpretable Multi-LLM Routing via Item Response Theory", ACL 2025,
 *      arXiv 2506.01048 (MIRT, 25 dimensions)
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
