/** How an artifact names a transformer encoder that it does not hold: by the content of the model's files. */
import { z } from 'zod';

export const TransformerReference = z.strictObject({
  kind: z.literal('transformer'),
  id: z.string(),
  dimension: z.number().int().positive(),
  /** Where the model lay when the heads were trained, absolute. No part of the content: a model may move. */
  folder: z.string().min(1),
  /** SHA-256 of every file that decides what an embedding is, by its path in the folder. */
  files: z.record(z.string(), z.string()),
});
export type TransformerReference = z.infer<typeof TransformerReference>;
