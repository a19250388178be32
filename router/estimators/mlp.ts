/**
 * MLP: one hidden layer of 100 rectified units, squared error. The paper fits one network per model; here the models
 * share the hidden layer, which costs m times less and gives a model with few outcomes what the others taught.
 * @see Hu et al., "RouterBench: A Benchmark for Multi-LLM Routing System", 2024, arXiv 2403.12031
 */
import type { Encoder } from '../encoder/encoder.ts';
import type { Estimator } from './estimator.ts';
import { gradientTrained } from './gradient-trained.ts';

export const mlp = ({ encoder }: { encoder: Encoder }): Estimator =>
  gradientTrained('mlp', encoder, {
    hidden: 100,
    activation: 'relu',
    link: 'identity',
    difficulty: false,
    rate: 1e-3,
    weightDecay: 5e-3,
    noise: 0,
  });
