/**
 * Matrix factors: P(model m answers x) = σ(w · (v_m ⊙ W e_x) + β_m), by cross-entropy, with noise on the embedding.
 * w ⊙ v_m is one vector per model here: what the classifier w adds to v_m is nothing that v_m could not hold.
 * @see Ong et al., "RouteLLM", 2024, arXiv 2406.18665 (128 factors); Zhuang et al., "EmbedLLM", 2024, arXiv
 *      2410.02223 (from single outcomes instead of pairs)
 */
import type { Encoder } from '../encoder/encoder.ts';
import type { Estimator } from './estimator.ts';
import { gradientTrained } from './gradient-trained.ts';

export const matrixFactors = ({ encoder }: { encoder: Encoder }): Estimator =>
  gradientTrained('matrix-factors', encoder, {
    hidden: 32,
    activation: 'identity',
    link: 'logistic',
    difficulty: false,
    rate: 1e-3,
    weightDecay: 5e-3,
    noise: 0.5,
  });
