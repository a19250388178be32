/** The options of each kind of guardrail, read strictly: a word that is misspelt is an error, not a guardrail less. */
import { z } from 'zod';
import { KINDS } from '../../../privacy/redact-rules.ts';
import { patternFault } from '../../../verify/pattern-engine.ts';
import { Action, BlockOrNotice, common, On, Unreadable } from './fields.ts';
import { schemaFault } from './schema-fault.ts';

/** Personal data and secrets. */
export const PiiRule = z.strictObject({
  ...common,
  kind: z.literal('pii'),
  on: On.default('both'),
  action: Action.default('mask'),
  unreadable: Unreadable,
  /** What is looked for; default: all of them. */
  kinds: z
    .array(z.enum(KINDS))
    .min(1)
    .default([...KINDS]),
});
export type PiiRule = z.infer<typeof PiiRule>;

/** Whose words a text is. A tool's result is the place where a stranger's instructions come in. */
export const Voice = z.enum(['system', 'user', 'assistant', 'tool']);
export type Voice = z.infer<typeof Voice>;

/** Texts that try to give the model other instructions than its operator's: by signs of it, scored. */
export const InjectionRule = z.strictObject({
  ...common,
  kind: z.literal('injection'),
  on: z.literal('prompt').default('prompt'),
  action: BlockOrNotice.default('block'),
  unreadable: Unreadable,
  /** Sum of the signs from which on a text is one; each sign says how much it weighs. */
  threshold: z.number().min(0.1).max(10).default(1),
  /** Whose words are looked at. The operator's own instructions speak of instructions by nature. */
  voices: z.array(Voice).min(1).default(['user', 'tool']),
});
export type InjectionRule = z.infer<typeof InjectionRule>;

const MOST_WORDS = 1000;
const MOST_WORD_CHARS = 200;
const MOST_PATTERNS = 100;
const MOST_PATTERN_CHARS = 500;

const Pattern = z
  .string()
  .min(1)
  .max(MOST_PATTERN_CHARS)
  .superRefine((pattern, context) => {
    const fault = patternFault(pattern);
    if (fault !== null) context.addIssue({ code: 'custom', message: `not a pattern that RE2 takes: ${fault}` });
  });

/** Words and patterns that must not pass. */
export const DenyRule = z
  .strictObject({
    ...common,
    kind: z.literal('deny'),
    on: On.default('both'),
    action: Action.default('block'),
    unreadable: Unreadable,
    /** Whole words or phrases, whatever their case and Unicode form. */
    words: z
      .array(
        z
          .string()
          .max(MOST_WORD_CHARS)
          .regex(/[^\s\p{C}]/u, 'must hold a visible character'),
      )
      .max(MOST_WORDS)
      .default([]),
    /** Regular expressions as RE2 takes them: no look-around, no back-references, time in proportion to the text. */
    patterns: z.array(Pattern).max(MOST_PATTERNS).default([]),
    /** Longest match of a pattern that is still found whole where it comes in pieces; so much of a stream is held back. */
    windowChars: z.number().int().min(16).max(4000).default(200),
  })
  .refine(({ words, patterns }) => words.length + patterns.length > 0, 'needs words or patterns');
export type DenyRule = z.infer<typeof DenyRule>;

/** The answer is JSON that follows a schema. */
export const SchemaRule = z.strictObject({
  ...common,
  kind: z.literal('schema'),
  on: z.literal('answer').default('answer'),
  action: BlockOrNotice.default('block'),
  schema: z.record(z.string(), z.unknown()).superRefine((schema, context) => {
    const fault = schemaFault(schema);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  }),
  /** `whole`: the answer is the JSON. `fenced`: it may stand in a code block with other words around it. */
  within: z.enum(['whole', 'fenced']).default('whole'),
});
export type SchemaRule = z.infer<typeof SchemaRule>;

/** How long all text of a prompt, or of an answer, may or must be. */
export const LengthRule = z
  .strictObject({
    ...common,
    kind: z.literal('length'),
    on: On.default('prompt'),
    action: BlockOrNotice.default('block'),
    minChars: z.number().int().nonnegative().optional(),
    maxChars: z.number().int().positive().optional(),
  })
  .refine(({ minChars, maxChars }) => minChars !== undefined || maxChars !== undefined, 'needs minChars or maxChars')
  .refine(({ minChars = 0, maxChars = Infinity }) => minChars <= maxChars, 'minChars is more than maxChars');
export type LengthRule = z.infer<typeof LengthRule>;
