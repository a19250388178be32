/** The policy document: rules of who may use what, and examples of what that comes to. Read strictly: a rule that is misspelt protects nobody. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PLAIN, plainPath } from '../../../datasets/plain-issues.ts';
import { optionsAt } from '../../config/schema-at.ts';
import { readYamlText } from '../../config/yaml-text.ts';
import { nearest } from '../../nearest.ts';
import { GuardRules } from '../guards/rule.ts';

const MOST_RULES = 500;
const MOST_EXAMPLES = 1000;
const MOST_NAMES = 500;

const Name = z
  .string('must be a text; put it in quotes')
  .min(1, 'must not be empty')
  .max(200)
  .regex(/^\P{Cc}*$/u, 'must hold no control character');

const Names = z.array(Name, 'must be a list of names').max(MOST_NAMES);
/** To leave a condition open, leave it out: an empty list could mean nobody, or everybody. */
const SomeNames = Names.min(1, 'names nobody; leave it out to mean all');

/** A plain list means any of these. */
const listMeansAny = (value: unknown): unknown => (Array.isArray(value) ? { any: value } : value);

const AnyOrNone = z.preprocess(
  listMeansAny,
  z.strictObject({ any: SomeNames.optional(), none: SomeNames.optional() }, 'must be a list, or {any: …, none: …}'),
);

/** Who a rule is for: all that is written must hold. Without anything it is for every request. */
const When = z.strictObject({
  teams: AnyOrNone.optional(),
  projects: AnyOrNone.optional(),
  keys: AnyOrNone.optional(),
  /** `chat`, `responses`, `messages`, `embeddings`, `audio`, `images`, `moderations`, `files`, `batches` … */
  surfaces: AnyOrNone.optional(),
  /** Any of these. There is no `none`: clients add tags, and one that is added must never allow more. */
  tags: z
    .preprocess(
      listMeansAny,
      z.strictObject({ any: SomeNames }, 'must be a list of tags; a tag only restricts, so there is no none'),
    )
    .optional(),
});
export type When = z.infer<typeof When>;

const AllowDeny = z.strictObject({
  /** Only these. An empty list: none at all. */
  allow: Names.optional(),
  /** Not these, whatever is allowed. */
  deny: Names.optional(),
});

const OnlyFalse = z.literal(false, 'a rule only restricts: write false, or leave it out');

const RuleName = z
  .string('must be a text; put it in quotes')
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$/, 'letters, digits, spaces, ., - and _, 80 at most');

export const PolicyRule = z
  .strictObject({
    /** What refusals, examples and people call it. */
    name: RuleName,
    description: z.string().max(2000).optional(),
    when: When.default({}),
    /** Ids `provider/model`; `*` stands for anything, and case does not matter. */
    models: AllowDeny.optional(),
    providers: AllowDeny.optional(),
    /** A place whose region nobody has said is in none of them. */
    regions: z.strictObject({ allow: Names }).optional(),
    exploration: OnlyFalse.optional(),
    /** Verifiers that are sent prompts. Default: all; under a rule about providers or regions, none. */
    verifiers: z.strictObject({ allow: Names }).optional(),
    softLimits: OnlyFalse.optional(),
    guards: GuardRules.optional(),
    /** Answers may be kept for the very same request, for so long; 0 or false: they may not, whatever others say. */
    cache: z
      .preprocess(
        (value) => (value === false ? { ttlSeconds: 0 } : value),
        z.strictObject(
          { ttlSeconds: z.number().min(0).max(31_536_000) },
          'must be {ttlSeconds: …}, or false to keep nothing',
        ),
      )
      .optional(),
  })
  .refine(
    (rule) => Object.keys(rule).some((key) => !['name', 'description', 'when'].includes(key)),
    'says nothing of what holds: models, providers, regions, exploration, verifiers, softLimits, guards or cache',
  );
export type PolicyRule = z.infer<typeof PolicyRule>;

const ExampleRequest = z.strictObject({
  team: Name.default('default'),
  project: Name.optional(),
  key: Name.optional(),
  /** Of the key. */
  tags: Names.default([]),
  /** Added by the client. */
  clientTags: Names.default([]),
  surface: Name.default('chat'),
  /** Default: `auto`. */
  model: Name.default('auto'),
  /** What guardrails of the prompt are shown. */
  text: z.string().max(100_000).optional(),
});
export type ExampleRequest = z.infer<typeof ExampleRequest>;

/** A model as `provider/model`, wherever the configuration has it; or at one place. */
const ExamplePlace = z.union(
  [Name, z.strictObject({ model: Name, provider: Name.optional(), region: Name.optional() })],
  'must be a model id, or {model, provider, region}',
);
export type ExamplePlace = z.infer<typeof ExamplePlace>;

const Expectation = z
  .strictObject({
    allowed: z.array(ExamplePlace).max(MOST_NAMES).optional(),
    denied: z.array(ExamplePlace).max(MOST_NAMES).optional(),
    /** The request's own model, or whatever `auto` could choose, is refused. */
    refused: z.boolean().optional(),
    explores: z.boolean().optional(),
    softLimits: z.boolean().optional(),
    verifiers: z.strictObject({ allowed: Names.optional(), denied: Names.optional() }).optional(),
    /** Seconds that an answer may be kept; 0: not at all. */
    cacheSeconds: z.number().min(0).optional(),
    /** What guardrails make of `text`, by their name or by what they find: `{email: masked, deny-words: blocked}`. */
    guards: z.record(Name, z.enum(['masked', 'blocked', 'noticed', 'passed'])).optional(),
    /** Names of exactly the rules that apply. */
    rules: Names.optional(),
  })
  .refine((expect) => Object.keys(expect).length > 0, 'expects nothing');
export type Expectation = z.infer<typeof Expectation>;

export const PolicyExample = z.strictObject({ name: Name, request: ExampleRequest, expect: Expectation });
export type PolicyExample = z.infer<typeof PolicyExample>;

export const PolicyDocument = z
  .strictObject(
    {
      version: z.literal(1, 'must be 1: the form of this document'),
      description: z.string().max(10_000).optional(),
      rules: z.array(PolicyRule, 'must be a list of rules').max(MOST_RULES),
      examples: z.array(PolicyExample).max(MOST_EXAMPLES).default([]),
    },
    'must hold version, rules and examples',
  )
  .superRefine(({ rules }, context) => {
    const names = new Set<string>();
    const guards = new Map<string, string>();
    for (const [i, rule] of rules.entries()) {
      if (names.has(rule.name)) {
        context.addIssue({
          code: 'custom',
          path: ['rules', i, 'name'],
          message: `another rule is called ${rule.name}`,
        });
      }
      names.add(rule.name);
      for (const [j, guard] of (rule.guards ?? []).entries()) {
        // The same guardrail in two rules is one; two that share a name could not be told apart.
        const said = JSON.stringify(guard);
        if ((guards.get(guard.name) ?? said) !== said) {
          context.addIssue({
            code: 'custom',
            path: ['rules', i, 'guards', j, 'name'],
            message: `another guardrail, of other options, is called ${guard.name}`,
          });
        }
        guards.set(guard.name, said);
      }
    }
  });
export type PolicyDocument = z.infer<typeof PolicyDocument>;

export type Reading =
  | { readonly document: PolicyDocument; readonly problems: null }
  | { readonly document: null; readonly problems: readonly string[] };

/** Larger than any policy that people keep. */
export const LONGEST_DOCUMENT = 1024 * 1024;
/** More than these help nobody. */
const MOST_PROBLEMS = 10;

/** From YAML or JSON text. Never throws. @param file what messages call it */
export function readPolicyText(text: string, file = 'policy'): Reading {
  if (text.length > LONGEST_DOCUMENT) return failed([`${file}: too large to be a policy (1 MB at most)`]);
  try {
    const yaml = readYamlText(text);
    if (yaml.faults.length > 0) {
      return failed(yaml.faults.map(({ message, place }) => `${file}:${place.line}:${place.column}: ${message}`));
    }
    return readPolicy(yaml.value, (path, message) => {
      const { line, column } = yaml.placeOf(path);
      return `${file}:${line}:${column}: ${path.length === 0 ? '' : `${plainPath(path)}: `}${message}`;
    });
  } catch {
    // Nested so deeply that reading it takes more stack than there is.
    return failed([`${file}: nested too deeply to be a policy`]);
  }
}

type Word = (path: readonly (string | number)[], message: string) => string;

/** From a parsed value: a body, or a row of the database. Never throws. */
export function readPolicy(
  value: unknown,
  word: Word = (path, message) => `${path.length === 0 ? 'document' : plainPath(path)}: ${message}`,
): Reading {
  const parsed = PolicyDocument.safeParse(value, PLAIN);
  if (parsed.success) return { document: parsed.data, problems: null };
  return failed(
    parsed.error.issues.flatMap((issue) => {
      const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
      if (issue.code !== 'unrecognized_keys') return [word(path, issue.message)];
      return issue.keys.map((key) => word([...path, key], unknownField(path, key)));
    }),
  );
}

function unknownField(path: readonly (string | number)[], key: string): string {
  // The schema says `none` is not there; why not is worth more.
  if (path.at(-1) === 'tags' && key === 'none') return 'a tag only restricts: there is no none of tags';
  const known = optionsAt(PolicyDocument, path);
  const guess = nearest(key, known);
  if (guess !== undefined) return `no such field; did you mean ${guess}?`;
  return known.length === 0 ? 'no such field' : `no such field; known here: ${known.join(', ')}`;
}

function failed(problems: readonly string[]): Reading {
  const more = problems.length > MOST_PROBLEMS ? [`… and ${problems.length - MOST_PROBLEMS} more`] : [];
  return { document: null, problems: [...problems.slice(0, MOST_PROBLEMS), ...more] };
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * The version that decisions made under a file are recorded with: 2⁴⁷ plus 47 bits of the SHA-256 of its text, so that
 * it is the same on every replica and no version of the database, which are counted from 1.
 */
export const versionOfFile = (text: string): number =>
  2 ** 47 + (Number.parseInt(sha256(text).slice(0, 12), 16) % 2 ** 47);
