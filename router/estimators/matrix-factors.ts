/**
 * Matrix factors: P(model m answers x) = σ(w · (v_m ⊙ W e_x) + β_m), by cross-entropy, with noise on the embedding.
 * w ⊙ v_m is one vector per model here: the classifier w adds nothing that v_m could not hold. The papers take twice
 * as many factors as they have models; on our sources 128 were no better than 32 and took three times as long.
 * @see Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024, arXiv 2406.18665 (pairs of models);
 *      Zhuang et al., "EmbedLLM: Learning Compact Representations of Large Language Models", 2024, arXiv 2410.02223
 *      (single outcomes, as here)
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
