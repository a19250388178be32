/** What holds for a request: the strictest of all rules that apply, whatever is added to it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePolicy, type Subject } from '../../../../server/governance/policies/compile.ts';
import { readPolicyText } from '../../../../server/governance/policies/document.ts';
import { refused } from '../../../../server/governance/policies/place.ts';
import type { Place, Rules } from '../../../../server/governance/policies/rules.ts';
import { documents, places, subjects, verdictOf, word } from './reference.ts';

const policyOf = (text: string) => {
  const { document, problems } = readPolicyText(`version: 1\nrules:\n${text}`);
  if (document === null) throw new Error(problems.join('\n'));
  return compilePolicy(document, 7);
};

const asked = (more: Partial<Subject> = {}): Subject => ({
  ...{ team: 'default', project: null, key: null, tags: [], added: [], surface: 'chat' },
  ...more,
});

const at = (model: string, region: string | null = null, provider = model.split('/')[0]!): Place => ({
  model,
  provider,
  region,
});

describe('a rule', () => {
  test('about regions keeps out a place whose region nobody has said', () => {
    const rules = policyOf('  - {name: eu, regions: {allow: [eu-*]}}').rulesFor(asked());
    expect(rules.allows(at('a/m', 'eu-central-1'))).toBe(true);
    expect(rules.allows(at('a/m', 'EU-West-3'))).toBe(true);
    expect(rules.refusalOf(at('a/m', 'us-east-1'))).toEqual({ rule: 'eu', about: 'region' });
    expect(rules.refusalOf(at('a/m'))).toEqual({ rule: 'eu', about: 'region' });
  });

  test('about messages holds for counting their tokens, which may be named by itself, too', () => {
    const applied = (surfaces: string) =>
      ['messages', 'count_tokens', 'chat', 'constructor'].filter((surface) => {
        const policy = policyOf(`  - {name: r, when: {surfaces: ${surfaces}}, models: {allow: [a/b]}}`);
        return policy.rulesFor(asked({ surface })).applied.length > 0;
      });
    expect(applied('[messages]')).toEqual(['messages', 'count_tokens']);
    expect(applied('[count_tokens]')).toEqual(['count_tokens']);
    expect(applied('{none: [messages]}')).toEqual(['chat', 'constructor']);
    expect(applied('{none: [count_tokens]}')).toEqual(['messages', 'chat', 'constructor']);
  });

  test('that denies a model denies it by the name that its provider has for it, too', () => {
    const rules = policyOf("  - {name: no, models: {deny: ['openai/gpt-6']}}").rulesFor(asked());
    expect(rules.allows(at('openai/GPT-6'))).toBe(false);
    expect(rules.allows({ ...at('mine/fast', null, 'openai'), alsoCalled: 'openai/gpt-6' })).toBe(false);
    expect(rules.allows(at('mine/fast'))).toBe(true);
  });

  test('about models goes for files of a provider whose models it leaves, and for batches where it leaves all', () => {
    const held = (provider: string, everyModel = false): Place => ({ model: null, provider, region: null, everyModel });
    const some = policyOf("  - {name: some, models: {allow: ['openai/gpt-6', 'home/*']}}").rulesFor(asked());
    expect([some.allows(held('openai')), some.allows(held('openai', true))]).toEqual([true, false]);
    expect([some.allows(held('home')), some.allows(held('home', true))]).toEqual([true, true]);
    expect([some.allows(held('other')), some.allows(held('other', true))]).toEqual([false, false]);
    const deny = policyOf("  - {name: deny, models: {deny: ['openai/gpt-6', 'bad/*']}}").rulesFor(asked());
    expect([deny.allows(held('openai')), deny.allows(held('openai', true))]).toEqual([true, false]);
    expect([deny.allows(held('bad')), deny.allows(held('other', true))]).toEqual([false, true]);
  });

  test('about where prompts go keeps verifiers out unless it names them; one about models does not', () => {
    const verifiers = (text: string) => {
      const rules = policyOf(text).rulesFor(asked());
      return [rules.allowsVerifier('mine'), rules.allowsVerifier('other')];
    };
    expect(verifiers('  - {name: r, providers: {deny: [x]}}')).toEqual([false, false]);
    expect(verifiers('  - {name: r, regions: {allow: [eu]}, verifiers: {allow: [mine]}}')).toEqual([true, false]);
    expect(verifiers('  - {name: r, models: {allow: [a/b]}}')).toEqual([true, true]);
  });

  test('holds where all of its conditions do', () => {
    const policy = policyOf(
      '  - {name: r, when: {teams: {none: [ops]}, keys: [ci-*], tags: [x, y]}, exploration: false}',
    );
    const explores = (more: Partial<Subject>) => policy.rulesFor(asked(more)).explores;
    expect(explores({ key: 'ci-1', tags: ['y'] })).toBe(false);
    expect(explores({ key: 'ci-1', added: ['Y'] })).toBe(false);
    expect(explores({ key: 'ci-1' })).toBe(true);
    expect(explores({ tags: ['x'] })).toBe(true);
    expect(explores({ team: 'ops', key: 'ci-1', tags: ['x'] })).toBe(true);
  });
});

test('guardrails of all rules come together, each once', () => {
  const policy = policyOf(`
  - {name: a, guards: [{name: mail, kind: pii, kinds: [email]}]}
  - {name: b, when: {tags: [x]}, guards: [{name: mail, kind: pii, kinds: [email]}, {name: long, kind: length, maxChars: 9}]}`);
  const names = (rules: Rules) => (rules.guards as { name: string }[]).map(({ name }) => name);
  expect(names(policy.rulesFor(asked()))).toEqual(['mail']);
  expect(names(policy.rulesFor(asked({ tags: ['x'] })))).toEqual(['mail', 'long']);
});

test('the shortest time to keep answers counts, none wins, and only the tags of the key switch keeping on', () => {
  const policy = policyOf(`
  - {name: a, when: {tags: [keep]}, cache: {ttlSeconds: 60}}
  - {name: b, when: {tags: [less]}, cache: {ttlSeconds: 9}}
  - {name: c, when: {tags: [off]}, cache: false}`);
  const ttl = (tags: string[], added: string[] = []) => policy.rulesFor(asked({ tags, added })).cache?.ttlSeconds;
  expect(ttl(['keep'])).toBe(60);
  expect(ttl(['keep'], ['less'])).toBe(9);
  expect(ttl(['keep', 'less', 'off'])).toBeUndefined();
  expect(ttl(['keep'], ['off'])).toBeUndefined();
  expect(ttl([], ['keep'])).toBeUndefined();
});

test('requests under the same rules share what holds for them', () => {
  const policy = policyOf('  - {name: r, when: {tags: [x]}, exploration: false}');
  expect(policy.rulesFor(asked({ team: 'a', tags: ['x'] }))).toBe(policy.rulesFor(asked({ team: 'b', added: ['x'] })));
  expect(policy.rulesFor(asked())).not.toBe(policy.rulesFor(asked({ tags: ['x'] })));
  expect(policy.rulesFor(asked())).toMatchObject({ version: 7, applied: [], explores: true });
});

test('agrees with the document read naively, for any document and request', () => {
  fc.assert(
    fc.property(
      documents,
      subjects,
      fc.array(places, { minLength: 1, maxLength: 4 }),
      word,
      (document, subject, at, v) => {
        const rules = compilePolicy(document, 1).rulesFor(subject);
        for (const place of at) {
          const { applied, allowed, verifier, explores, softens, ttl } = verdictOf(document, subject, place, v);
          expect(rules.applied).toEqual(applied);
          expect(rules.allows(place)).toBe(allowed);
          expect(rules.refusalOf(place) === null).toBe(allowed);
          // A second time it is remembered.
          expect(rules.allows(place)).toBe(allowed);
          expect(rules.allowsVerifier(v)).toBe(verifier);
          expect([rules.explores, rules.softens, rules.cache?.ttlSeconds ?? null]).toEqual([explores, softens, ttl]);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('a tag more never allows more, whoever adds it', () => {
  const within = (less: Rules, more: Rules, place: Place, verifier: string) => {
    const no = (is: boolean, was: boolean) => !is || was;
    expect(no(less.allows(place), more.allows(place))).toBe(true);
    expect(no(less.allowsVerifier(verifier), more.allowsVerifier(verifier))).toBe(true);
    expect(no(less.explores, more.explores)).toBe(true);
    expect(no(less.softens, more.softens)).toBe(true);
    for (const guard of more.guards) expect(less.guards).toContainEqual(guard);
  };
  fc.assert(
    fc.property(documents, subjects, word, places, word, (document, subject, tag, place, verifier) => {
      const policy = compilePolicy(document, 1);
      const before = policy.rulesFor(subject);
      const byClient = policy.rulesFor({ ...subject, added: [...subject.added, tag] });
      within(byClient, before, place, verifier);
      within(policy.rulesFor({ ...subject, tags: [...subject.tags, tag] }), before, place, verifier);
      expect(byClient.cache?.ttlSeconds ?? 0).toBeLessThanOrEqual(before.cache?.ttlSeconds ?? 0);
    }),
    { numRuns: 1000 },
  );
});

test('a rule more never allows more', () => {
  fc.assert(
    fc.property(documents, documents, subjects, places, (one, other, subject, place) => {
      const more = { ...one, rules: [...one.rules, ...other.rules] };
      if (compilePolicy(more, 1).rulesFor(subject).allows(place)) {
        expect(compilePolicy(one, 1).rulesFor(subject).allows(place)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test('a refusal tells what is denied from what is not among what is allowed, and recommends nothing that may be denied, too', () => {
  const told = (rule: string, place: Place) => {
    const rules = policyOf(`  - {name: r, ${rule}}`).rulesFor(asked());
    return refused(rules, place, rules.refusalOf(place)!).message;
  };
  const place = at('one/a', 'us-east-1');
  const end = 'Name a model that is allowed (GET /v1/models lists them), or ask whoever keeps the policy.';
  const start = 'one/a: rule r of the policy (version 7) keeps it from this request: ';
  expect(told('models: {deny: [one/a]}', place)).toBe(`${start}it is a model that it denies. ${end}`);
  expect(told('models: {allow: [two/*]}', place)).toBe(`${start}it is not among the models that it allows. ${end}`);
  expect(told('providers: {deny: [one]}', place)).toBe(`${start}one is a provider that it denies. ${end}`);
  expect(told('providers: {allow: [two]}', place)).toBe(
    `${start}one is not among the providers that it allows. ${end}`,
  );
  expect(told('regions: {allow: [eu-*]}', place)).toBe(`${start}it computes in us-east-1. ${end}`);
});
