/** Options of the response cache: where a policy switches it on; part of `config/schema.ts`. */
import { z } from 'zod';
import { Flag } from '../../config/values.ts';

export const CacheConfig = z.strictObject({
  enabled: Flag.default(true).describe('False: nothing is kept, whatever a policy says. No policy, no cache.'),
  maxMb: z.number().positive().max(100_000).default(64).describe('Answers kept in memory, MB.'),
  maxAnswerKb: z.number().positive().max(100_000).default(512).describe('Largest answer kept, kB.'),
  shared: Flag.default(true).describe(
    'Answers are kept in the database, too, for the other replicas and the next start.',
  ),
  readMs: z
    .number()
    .positive()
    .max(10_000)
    .default(50)
    .describe('Longest wait for the database before a provider is asked instead, ms.'),
});
export type CacheConfig = z.infer<typeof CacheConfig>;
