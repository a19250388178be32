/** What every guardrail's rule has, whatever its kind. */
import { z } from 'zod';

export const GuardName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,59}$/, 'small letters, digits, - and _, beginning with a letter or digit, 60 at most');

export const common = {
  /** As it is named in errors, decisions and counters; once in a policy. */
  name: GuardName,
  /** Found and counted, but nothing is changed or refused. */
  dryRun: z.boolean().default(false),
};

/** Which texts a guardrail looks at. */
export const On = z.enum(['prompt', 'answer', 'both']);
export type On = z.infer<typeof On>;

/** Masked: replaced by what says what it was. Blocked: refused. Noticed: only counted. */
export const Action = z.enum(['mask', 'block', 'notice']);
export type Action = z.infer<typeof Action>;

/** Where nothing can stand in for what was found. */
export const BlockOrNotice = z.enum(['block', 'notice']);

/** What a guardrail cannot look into: pictures, sounds, bytes of other kinds, files that it was not shown. Default: it passes. */
export const Unreadable = z.enum(['pass', 'block']).optional();
