/** A policy document made ready to be asked on every request: matched in microseconds, its findings shared. */
import type { PolicyDocument, PolicyRule, When } from './document.ts';
import { caselessMatcherOf, type Matcher, matcherOf, reaches } from './patterns.ts';
import type { Place, Refusal, Rules } from './rules.ts';

/** What rules go by. */
export interface Subject {
  readonly team: string;
  readonly project: string | null;
  /** The key's name; null: nobody's. */
  readonly key: string | null;
  /** Of the key. */
  readonly tags: readonly string[];
  /** Added by the client: they can only restrict. */
  readonly added: readonly string[];
  readonly surface: string;
}

export interface CompiledPolicy {
  readonly version: number;
  readonly document: PolicyDocument;
  /** What holds for a request: of every rule that applies, the strictest. The same object for the same rules. */
  rulesFor(subject: Subject): Rules;
  /** Whether any rule asks for a tag: the others need not be told apart. */
  tagMatters(tag: string): boolean;
}

/** Findings kept: more sets of rules that apply together than this, and the oldest is made anew. */
const MOST_SETS = 1000;

export function compilePolicy(document: PolicyDocument, version: number): CompiledPolicy {
  const compiled = document.rules.map(compileRule);
  const tagMatters = caselessMatcherOf(document.rules.flatMap(({ when }) => when.tags?.any ?? []));
  const known = new Map<string, Rules>();
  return {
    version,
    document,
    tagMatters,
    rulesFor(subject) {
      let key = '';
      const applied: CompiledRule[] = [];
      let ttlSeconds = Number.POSITIVE_INFINITY;
      let isKept = false;
      for (const [i, rule] of compiled.entries()) {
        if (!rule.applies(subject)) continue;
        applied.push(rule);
        key += `${i},`;
        const { cache } = rule.rule;
        if (cache === undefined) continue;
        ttlSeconds = Math.min(ttlSeconds, cache.ttlSeconds);
        // A client can have less kept by its tags, not more.
        if (subject.added.length === 0 || rule.applies({ ...subject, added: [] })) isKept = true;
      }
      const ttl = isKept && ttlSeconds > 0 ? ttlSeconds : null;
      key += ttl;
      let rules = known.get(key);
      if (rules === undefined) {
        rules = together(applied, version, ttl);
        if (known.size >= MOST_SETS) known.delete(known.keys().next().value!);
        known.set(key, rules);
      }
      return rules;
    },
  };
}

type Verdict = Pick<Refusal, 'about' | 'isDenied'>;
type Bar = (place: Place) => Verdict | null;

const NOT_ALLOWED = {
  model: { about: 'model' },
  provider: { about: 'provider' },
  region: { about: 'region' },
} as const;
const DENIED = { model: { about: 'model', isDenied: true }, provider: { about: 'provider', isDenied: true } } as const;

interface CompiledRule {
  readonly rule: PolicyRule;
  applies(subject: Subject): boolean;
  /** Null: it has nothing to say of places. */
  readonly bar: Bar | null;
  /** Null: it has nothing to say of verifiers. */
  readonly verifiers: Matcher | null;
}

function compileRule(rule: PolicyRule): CompiledRule {
  // A verifier is one more place that prompts go to.
  const restrictsPlaces = rule.providers !== undefined || rule.regions !== undefined;
  const verifiers = rule.verifiers?.allow ?? (restrictsPlaces ? [] : null);
  return {
    rule,
    applies: conditionOf(rule.when),
    bar: barOf(rule),
    verifiers: verifiers && matcherOf(verifiers),
  };
}

/** What is sent to count its tokens is sent all the same: what holds for one holds for the other. */
const WITHIN: Readonly<Record<string, string | undefined>> = Object.assign(Object.create(null), {
  count_tokens: 'messages',
});

function conditionOf({ teams, projects, keys, surfaces, tags }: When): (subject: Subject) => boolean {
  const parts: ((subject: Subject) => boolean)[] = [];
  const add = (names: When['teams'], of: (subject: Subject) => string | null, alsoOf = of) => {
    if (names === undefined) return;
    const any = names.any && matcherOf(names.any);
    const none = names.none && matcherOf(names.none);
    const isAmong = (isNamed: (name: string) => boolean, subject: Subject): boolean => {
      const [name, also] = [of(subject), alsoOf(subject)];
      return (name !== null && isNamed(name)) || (also !== null && also !== name && isNamed(also));
    };
    parts.push((subject) => {
      if (any !== undefined && !isAmong(any, subject)) return false;
      return none === undefined || !isAmong(none, subject);
    });
  };
  add(teams, ({ team }) => team);
  add(projects, ({ project }) => project);
  add(keys, ({ key }) => key);
  add(
    surfaces,
    ({ surface }) => surface,
    ({ surface }) => WITHIN[surface] ?? surface,
  );
  if (tags !== undefined) {
    // Whatever the case: a client that means to restrict itself must not miss by a letter.
    const any = caselessMatcherOf(tags.any);
    parts.push((subject) => subject.tags.some(any) || subject.added.some(any));
  }
  return (subject) => parts.every((part) => part(subject));
}

function barOf({ models, providers, regions }: PolicyRule): Bar | null {
  const bars: Bar[] = [];
  if (providers !== undefined) {
    const allowed = providers.allow && caselessMatcherOf(providers.allow);
    const denied = providers.deny && caselessMatcherOf(providers.deny);
    bars.push(({ provider }) => {
      if (denied?.(provider)) return DENIED.provider;
      return allowed === undefined || allowed(provider) ? null : NOT_ALLOWED.provider;
    });
  }
  if (regions !== undefined) {
    const allowed = caselessMatcherOf(regions.allow);
    bars.push(({ region }) => (region !== null && allowed(region) ? null : NOT_ALLOWED.region));
  }
  if (models !== undefined) bars.push(modelBar(models));
  if (bars.length === 0) return null;
  return (place) => {
    for (const bar of bars) {
      const verdict = bar(place);
      if (verdict !== null) return verdict;
    }
    return null;
  };
}

/** No model is called that, so only a pattern that takes in all of a provider's matches. */
const ANY_MODEL = '\0';

function modelBar({ allow, deny }: NonNullable<PolicyRule['models']>): Bar {
  const allowed = allow && caselessMatcherOf(allow);
  const denied = deny && caselessMatcherOf(deny);
  const isFor = (patterns: readonly string[] | undefined, provider: string) =>
    patterns?.some((pattern) => reaches(pattern.toLowerCase(), `${provider.toLowerCase()}/`)) ?? false;
  return ({ model, alsoCalled, provider, everyModel }) => {
    if (model !== null) {
      if (denied?.(model) || (alsoCalled !== undefined && denied?.(alsoCalled))) return DENIED.model;
      return allowed === undefined || allowed(model) ? null : NOT_ALLOWED.model;
    }
    if (everyModel) {
      if (isFor(deny, provider)) return DENIED.model;
      return allowed === undefined || allowed(`${provider}/${ANY_MODEL}`) ? null : NOT_ALLOWED.model;
    }
    // Some model of it may be asked, so its files may be, too; one of which all models are denied is asked for nothing.
    if (denied?.(`${provider}/${ANY_MODEL}`)) return DENIED.model;
    return allow === undefined || isFor(allow, provider) ? null : NOT_ALLOWED.model;
  };
}

/** Places whose verdict is remembered: clients may name any model. */
const MOST_PLACES = 2000;

function together(applied: readonly CompiledRule[], version: number, ttl: number | null): Rules {
  const bars = applied.flatMap(({ rule, bar }) => (bar === null ? [] : [{ rule: rule.name, bar }]));
  const verifiers = applied.flatMap(({ verifiers }) => (verifiers === null ? [] : [verifiers]));
  const guards = new Map(
    applied.flatMap(({ rule }) => (rule.guards ?? []).map((guard) => [guard.name, guard] as const)),
  );
  // Places of known models are the same objects each time; of those that clients make up, the words are looked at.
  const seen = new WeakMap<Place, Refusal | null>();
  const verdicts = new Map<string, Refusal | null>();
  const refusalOf = (place: Place): Refusal | null => {
    if (bars.length === 0) return null;
    const known = seen.get(place);
    if (known !== undefined) return known;
    const { model, provider, region, alsoCalled = '', everyModel = false } = place;
    const key = `${model}\n${provider}\n${region}\n${alsoCalled}\n${everyModel}`;
    let verdict = verdicts.get(key);
    if (verdict === undefined) {
      verdict = firstRefusal(bars, place);
      if (verdicts.size >= MOST_PLACES) verdicts.clear();
      verdicts.set(key, verdict);
    }
    seen.set(place, verdict);
    return verdict;
  };
  return {
    version,
    applied: applied.map(({ rule }) => rule.name),
    refusalOf,
    allows: (place) => refusalOf(place) === null,
    allowsVerifier: (name) => verifiers.every((allows) => allows(name)),
    explores: applied.every(({ rule }) => rule.exploration === undefined),
    softens: applied.every(({ rule }) => rule.softLimits === undefined),
    guards: [...guards.values()],
    cache: ttl === null ? null : { ttlSeconds: ttl },
  };
}

function firstRefusal(bars: readonly { readonly rule: string; readonly bar: Bar }[], place: Place): Refusal | null {
  for (const { rule, bar } of bars) {
    const verdict = bar(place);
    if (verdict !== null) return { rule, ...verdict };
  }
  return null;
}
