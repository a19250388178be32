/** Which rows of the log may say something of choices that were not made. */
import { expect, test } from 'vitest';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { compare } from '../../../server/learning/compare.ts';
import { embeddingsOf, logTable, type Sample } from '../../../server/learning/log.ts';
import { aSample } from './samples.ts';
import { candidates, logOf } from './synthetic-log.ts';

test('critical requests, where nothing else could have been chosen, are left out of the comparison of choices', async () => {
  const { entries, artifact } = await logOf({ seed: 5, decisions: 60, truth: (_, predicted) => predicted });
  const samples: Sample[] = entries.map(({ decision, feedback }, i) =>
    aSample({
      id: decision.id,
      group: decision.session!,
      executed: decision.model,
      sampled: decision.model,
      propensity: decision.propensity,
      distribution: decision.distribution,
      facts: decision.facts as Sample['facts'],
      embedding: decision.embedding!,
      quality: feedback.score!,
      outputTokens: null,
      costUsd: null,
      firstLabelledAt: i,
    }),
  );
  const rowsWith = (critical: (i: number) => boolean) => {
    const log = samples.map((s, i) => (critical(i) ? { ...s, facts: { ...s.facts, critical: true as const } } : s));
    const compared = compare([], log, {
      incumbent: artifact.heads,
      candidates,
      policy: artifact.policy,
      refit: (some) =>
        refitHeads(artifact.heads, logTable(some), embeddingsOf(some), {
          seed: 1,
          likeOf: (id) => candidates.find((c) => c.id === id)!.like,
        }),
      seed: 1,
    })!;
    // They teach and judge forecasts all the same.
    expect(compared.rows).toBe(60);
    return compared.value?.rows ?? 0;
  };
  expect(rowsWith(() => false)).toBe(60);
  expect(rowsWith((i) => i % 3 === 0)).toBe(40);
  expect(rowsWith(() => true)).toBe(0);
});
