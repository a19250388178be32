/** Judged answers for tests: what is not told of one is what most have. */
import type { Sample } from '../../../server/learning/log.ts';

type Told = Pick<Sample, 'id' | 'executed' | 'embedding' | 'quality'> & Partial<Sample>;

/** One answer of the model that was certain to be drawn, judged by a person of the only team. */
export const aSample = (told: Told): Sample => ({
  group: told.id,
  sampled: told.executed,
  propensity: 1,
  distribution: [{ model: told.sampled ?? told.executed, probability: told.propensity ?? 1 }],
  facts: {
    inputTokens: 10,
    images: 0,
    audio: 0,
    tools: 0,
    responseSchema: false,
    turns: 1,
    chars: 40,
  } as Sample['facts'],
  outputTokens: null,
  costUsd: null,
  tenant: 'default',
  key: null,
  tags: [],
  createdAt: 1.7e12,
  explorable: true,
  explored: false,
  difficulty: null,
  outOfDomain: null,
  kind: 'verdict',
  weight: 1,
  auditQuality: null,
  auditProbability: null,
  latencyMs: null,
  firstLabelledAt: 1,
  ...told,
});
