/** A policy read naively, rule by rule and word by word, and random policies to read: what the compiled one must agree with. */
import fc from 'fast-check';
import type { Subject } from '../../../../server/governance/policies/compile.ts';
import type { PolicyDocument, PolicyRule } from '../../../../server/governance/policies/document.ts';
import { readPolicy } from '../../../../server/governance/policies/document.ts';
import type { Place } from '../../../../server/governance/policies/rules.ts';

/** `*` as in a shell, by the textbook: the pattern's first character against the text's. */
function fits(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] === '*') return fits(pattern.slice(1), text) || (text !== '' && fits(pattern, text.slice(1)));
  return text !== '' && pattern[0] === text[0] && fits(pattern.slice(1), text.slice(1));
}

const low = (text: string) => text.toLowerCase();
const among = (patterns: readonly string[], text: string) => patterns.some((p) => fits(low(p), low(text)));

function condition(names: { any?: string[]; none?: string[] } | undefined, value: string | null): boolean {
  if (names?.any && (value === null || !names.any.some((p) => fits(p, value)))) return false;
  return !(names?.none && value !== null && names.none.some((p) => fits(p, value)));
}

/** Counting is named by its own name, and as a part of `messages`. */
function ofSurface(names: { any?: string[]; none?: string[] } | undefined, surface: string): boolean {
  const called = surface === 'count_tokens' ? ['count_tokens', 'messages'] : [surface];
  if (names?.any && !called.some((name) => condition({ any: names.any! }, name))) return false;
  return called.every((name) => condition(names?.none && { none: names.none }, name));
}

export const applies = ({ when }: PolicyRule, { team, project, key, surface, tags, added }: Subject): boolean =>
  condition(when.teams as never, team) &&
  condition(when.projects as never, project) &&
  condition(when.keys as never, key) &&
  ofSurface(when.surfaces as never, surface) &&
  (when.tags === undefined || [...tags, ...added].some((tag) => among(when.tags!.any, tag)));

export interface Verdict {
  readonly applied: string[];
  readonly allowed: boolean;
  readonly verifier: boolean;
  readonly explores: boolean;
  readonly softens: boolean;
  readonly ttl: number | null;
}

/** All that applies, and the strictest of it. */
export function verdictOf({ rules }: PolicyDocument, subject: Subject, place: Place, verifier: string): Verdict {
  const own = rules.filter((rule) => applies(rule, subject));
  const ofKey = rules.filter((rule) => applies(rule, { ...subject, added: [] }));
  const names = [place.model!, ...(place.alsoCalled === undefined ? [] : [place.alsoCalled])];
  const allowed = own.every(({ models, providers, regions }) => {
    if (models?.allow && !among(models.allow, place.model!)) return false;
    if (models?.deny && names.some((name) => among(models.deny!, name))) return false;
    if (providers?.allow && !among(providers.allow, place.provider)) return false;
    if (providers?.deny && among(providers.deny, place.provider)) return false;
    return !regions || (place.region !== null && among(regions.allow, place.region));
  });
  const tells = own.every(({ providers, regions, verifiers }) => {
    if (verifiers) return verifiers.allow.some((p) => fits(p, verifier));
    return providers === undefined && regions === undefined;
  });
  const ttls = own.flatMap(({ cache }) => (cache ? [cache.ttlSeconds] : []));
  const isKept = ofKey.some(({ cache }) => cache) && Math.min(...ttls) > 0;
  return {
    applied: own.map(({ name }) => name),
    allowed,
    verifier: tells,
    explores: own.every(({ exploration }) => exploration !== false),
    softens: own.every(({ softLimits }) => softLimits !== false),
    ttl: isKept ? Math.min(...ttls) : null,
  };
}

/** Few words, so that they meet. */
const WORDS = ['a', 'b', 'ab', 'A', 'eu-west', 'eu'];
const PATTERNS = [...WORDS, '*', 'a*', '*b', 'e*t'];
export const word = fc.constantFrom(...WORDS);
const pattern = fc.constantFrom(...PATTERNS);
const modelPattern = fc.tuple(pattern, pattern).map(([p, m]) => `${p}/${m}`);
const some = (of: fc.Arbitrary<string>) => fc.array(of, { minLength: 1, maxLength: 3 });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const anyOrNone = fc.oneof(some(pattern), fc.record({ any: maybe(some(pattern)), none: maybe(some(pattern)) }));

const rule = fc.record({
  when: fc.record({
    teams: maybe(anyOrNone),
    projects: maybe(anyOrNone),
    keys: maybe(anyOrNone),
    surfaces: maybe(anyOrNone),
    tags: maybe(some(pattern)),
  }),
  models: maybe(
    fc.record({
      allow: maybe(fc.array(modelPattern, { maxLength: 3 })),
      deny: maybe(fc.array(modelPattern, { maxLength: 3 })),
    }),
  ),
  providers: maybe(
    fc.record({ allow: maybe(fc.array(pattern, { maxLength: 3 })), deny: maybe(fc.array(pattern, { maxLength: 3 })) }),
  ),
  regions: maybe(fc.record({ allow: fc.array(pattern, { maxLength: 3 }) })),
  verifiers: maybe(fc.record({ allow: fc.array(pattern, { maxLength: 2 }) })),
  exploration: maybe(fc.constant(false as const)),
  softLimits: fc.constant(false as const),
  cache: maybe(fc.oneof(fc.constant(false as const), fc.record({ ttlSeconds: fc.integer({ min: 0, max: 9 }) }))),
});

const without = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

export const documents: fc.Arbitrary<PolicyDocument> = fc.array(rule, { maxLength: 5 }).map((rules) => {
  const { document, problems } = readPolicy(
    without({ version: 1, rules: rules.map((one, i) => ({ ...one, name: `rule ${i}` })) }),
  );
  if (document === null) throw new Error(problems.join('\n'));
  return document;
});

export const subjects: fc.Arbitrary<Subject> = fc.record({
  team: word,
  project: fc.option(word, { nil: null }),
  key: fc.option(word, { nil: null }),
  tags: fc.array(word, { maxLength: 2 }),
  added: fc.array(word, { maxLength: 2 }),
  surface: word,
});

export const places: fc.Arbitrary<Place> = fc.record(
  {
    model: fc.tuple(word, word).map(([p, m]) => `${p}/${m}`),
    provider: word,
    region: fc.option(word, { nil: null }),
    alsoCalled: fc.tuple(word, word).map(([p, m]) => `${p}/${m}`),
  },
  { requiredKeys: ['model', 'provider', 'region'] },
);
