/** Reading a policy: strictly, with a place for each mistake, and never with a crash. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readPolicy, readPolicyText, versionOfFile } from '../../../../server/governance/policies/document.ts';

const problemsOf = (text: string): readonly string[] => readPolicyText(text, 'p.yaml').problems ?? [];

test('a list in a condition means any of these', () => {
  const { document } = readPolicyText(`
version: 1
rules:
  - name: r
    when: { teams: [a, b], tags: [x] }
    models: { allow: ['openai/*'] }
`);
  expect(document?.rules[0]).toEqual({
    name: 'r',
    when: { teams: { any: ['a', 'b'] }, tags: { any: ['x'] } },
    models: { allow: ['openai/*'] },
  });
});

test('JSON is read as well', () => {
  expect(readPolicyText('{"version": 1, "rules": []}').document).toEqual({ version: 1, rules: [], examples: [] });
});

test.each([
  ['version: 2\nrules: []', 'p.yaml:1:1: version: must be 1: the form of this document'],
  [
    'version: 1\nrules:\n  - name: r\n    models:\n      alow: [a]\n',
    'p.yaml:5:7: rules.0.models.alow: no such field; did you mean allow?',
  ],
  [
    'version: 1\nrules:\n  - name: r\n    exploration: true\n',
    'p.yaml:4:5: rules.0.exploration: a rule only restricts: write false, or leave it out',
  ],
  [
    'version: 1\nrules:\n  - name: r\n    when: {tags: {none: [a]}}\n    exploration: false\n',
    'a tag only restricts: there is no none of tags',
  ],
  [
    'version: 1\nrules:\n  - name: r\n    when: {teams: []}\n    exploration: false\n',
    'p.yaml:4:12: rules.0.when.teams.any: names nobody; leave it out to mean all',
  ],
  ['version: 1\nrules:\n  - name: r\n    when: {teams: [a]}\n', 'p.yaml:3:5: rules.0: says nothing of what holds'],
  [
    'version: 1\nrules:\n  - {name: r, exploration: false}\n  - {name: r, softLimits: false}\n',
    'p.yaml:4:6: rules.1.name: another rule is called r',
  ],
  ['version: 1\nrules: [a: b: c]', 'p.yaml:2:'],
  ['', 'must hold version, rules and examples'],
])('%j is refused with its place', (text, problem) => {
  expect(problemsOf(text).join('\n')).toContain(problem);
});

test('guardrails of two rules may share a name only where they are the same', () => {
  const rule = (name: string, action: string) =>
    `  - {name: ${name}, guards: [{name: mail, kind: pii, action: ${action}}]}\n`;
  expect(problemsOf(`version: 1\nrules:\n${rule('a', 'mask')}${rule('b', 'mask')}`)).toEqual([]);
  expect(problemsOf(`version: 1\nrules:\n${rule('a', 'mask')}${rule('b', 'block')}`)[0]).toContain(
    'another guardrail, of other options, is called mail',
  );
});

test('what is nested too deeply, or too large, is told and not tried', () => {
  expect(problemsOf(`version: 1\nrules: ${'['.repeat(50_000)}`).length).toBeGreaterThan(0);
  expect(problemsOf('x'.repeat(1024 * 1024 + 1))[0]).toContain('too large');
});

test('no text and no value makes reading crash', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void readPolicyText(text)));
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const told = readPolicy({ version: 1, rules: [{ name: 'r', when: value, models: value }], examples: value });
      expect(told.document === null).toBe(told.problems !== null);
    }),
  );
  const proto = JSON.parse('{"version":1,"rules":[{"name":"r","__proto__":{"exploration":false}}]}');
  expect(readPolicy(proto).problems).not.toBeNull();
});

test('a file has a version of its own that no version of the database has', () => {
  const version = versionOfFile('version: 1\nrules: []\n');
  expect(version).toBe(versionOfFile('version: 1\nrules: []\n'));
  expect(version).not.toBe(versionOfFile('version: 1\nrules: []'));
  expect(version).toBeGreaterThanOrEqual(2 ** 47);
  expect(Number.isSafeInteger(version)).toBe(true);
});
