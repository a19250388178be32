/** A guardrail as the policy document has it: a list of these is `guards` there, and in what holds for one request. */
import { z } from 'zod';
import { DenyRule, InjectionRule, LengthRule, PiiRule, SchemaRule } from './kinds/rules.ts';

export const GuardRule = z.discriminatedUnion('kind', [PiiRule, InjectionRule, DenyRule, SchemaRule, LengthRule]);
export type GuardRule = z.infer<typeof GuardRule>;

const MOST_RULES = 50;

/** They look in this order, each at what the one before it left. */
export const GuardRules = z
  .array(GuardRule)
  .max(MOST_RULES)
  .superRefine((rules, context) => {
    const names = new Set<string>();
    for (const [i, { name }] of rules.entries()) {
      if (names.has(name)) {
        context.addIssue({ code: 'custom', path: [i, 'name'], message: `another guardrail is called ${name}` });
      }
      names.add(name);
    }
  });
