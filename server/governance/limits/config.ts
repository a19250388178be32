/** Options of limits: budgets in USD and rates a minute; part of `config/schema.ts`. */
import { z } from 'zod';
import { HttpUrl } from '../../config/values.ts';

const name = z.string().min(1).max(200);

/** Whom a limit is for. None named: all requests together. Several named: requests of which all hold. */
export const WHOSE = {
  team: name.optional().describe('Requests of this team; * stands for each team by itself.'),
  project: name
    .optional()
    .describe('Requests of this project, of each team by itself unless one is named; * stands for each project.'),
  key: name
    .optional()
    .describe(
      'Requests with the key of this name, of each team by itself unless one is named, or of this id; * stands for each.',
    ),
  model: name.optional().describe('Requests to these models, * standing for anything: openai/*.'),
  provider: name.optional().describe('Requests to this provider, by its name in this file.'),
  tag: name
    .optional()
    .describe(
      'Requests with this tag, which clients may add only where a team is named; * stands for each tag of a key.',
    ),
};

export const BudgetConfig = z.strictObject({
  name: name.describe('What it is called in messages, reports and headers.'),
  ...WHOSE,
  usd: z.number().positive().max(1e12).describe('What may be spent in a period, USD at list price.'),
  period: z.enum(['day', 'month']).default('month').describe('A day or a month, UTC.'),
  softShare: z
    .number()
    .positive()
    .max(1)
    .default(0.8)
    .describe(
      'From this share of it on auto chooses cheaper models, in (0, 1]; 1: never. Named models stay what they are.',
    ),
  softDial: z
    .number()
    .min(0)
    .max(10)
    .default(2)
    .describe('The highest dial (0 cheapest … 10 best) that auto may have then.'),
  notifyAt: z
    .array(z.number().positive().max(1000))
    .default([50, 80, 100])
    .describe('Percent of it at which the webhook is told, once a period each.'),
});
export type BudgetConfig = z.infer<typeof BudgetConfig>;

export const RateConfig = z.strictObject({
  name: name.describe('What it is called in messages.'),
  ...WHOSE,
  requestsPerMinute: z.number().int().positive().max(1e9).optional().describe('Requests a minute.'),
  tokensPerMinute: z
    .number()
    .int()
    .positive()
    .max(1e12)
    .optional()
    .describe('Tokens a minute, of prompts and answers.'),
});
export type RateConfig = z.infer<typeof RateConfig>;

/** What is used of a limit is kept by its name. */
const isOnce = (limits: readonly { readonly name: string }[]): boolean =>
  new Set(limits.map((limit) => limit.name)).size === limits.length;
const EMPTY = 'must say requestsPerMinute or tokensPerMinute';
const ONCE = 'two of them have the same name, which is what their use is kept by';

export const LimitsConfig = z.strictObject({
  budgets: z
    .array(BudgetConfig)
    .refine(isOnce, ONCE)
    .default([])
    .describe('Budgets in USD; more can be made with pointsman budgets.'),
  rates: z
    .array(
      RateConfig.refine((rate) => rate.requestsPerMinute !== undefined || rate.tokensPerMinute !== undefined, EMPTY),
    )
    .refine(isOnce, ONCE)
    .default([])
    .describe('Requests and tokens a minute.'),
  allowUnmetered: z
    .boolean()
    .default(false)
    .describe(
      'Under a budget: let background responses pass, and batches of which nobody can tell what they may cost; no budget counts them.',
    ),
  batchPrices: z
    .record(z.string().min(1), z.number().min(0).max(1))
    .default({})
    .describe(
      'What a provider takes for batches, as a share of its list price; by default 0.5 where its price list is known to say so, else 1.',
    ),
  refuseUnpriced: z.boolean().default(false).describe('Under a budget: refuse models of which nobody knows the price.'),
  webhookUrl: HttpUrl.optional().describe('Told of thresholds by POST; its host must be in egress.allow.'),
});
export type LimitsConfig = z.infer<typeof LimitsConfig>;
