/** Options of policies; the document itself is `document.ts`. Part of `config/schema.ts`. */
import { z } from 'zod';

export const PoliciesConfig = z.strictObject({
  file: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Policy document, YAML or JSON: what teams and tags may use, guardrails, caching. Without it the version activated in the database.',
    ),
});
export type PoliciesConfig = z.infer<typeof PoliciesConfig>;
