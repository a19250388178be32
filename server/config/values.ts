/** Values that several options share. */
import { z } from 'zod';

/** A switch: nothing but a plain yes turns it on, and what is neither yes nor no is refused. */
export const Flag = z.union(
  [
    z.boolean(),
    z
      .string()
      .trim()
      .toLowerCase()
      .regex(/^(1|true|yes|on|0|false|no|off)$/)
      .transform((word) => /^(1|true|yes|on)$/.test(word)),
  ],
  'must be true or false (also 1, yes, on, 0, no, off)',
);

export const HttpUrl = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' });
