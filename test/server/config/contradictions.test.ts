import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../server/config/index.ts';

const KEY = 'a-key-of-sixteen-or-more';
const digest = createHash('sha256').update(KEY).digest('hex');

const said = (text: string): string[] => {
  try {
    parseConfig(text, 'f', {});
    return [];
  } catch (error) {
    return (error as Error).message.split('\n').map((line) => line.replace(/^f:/, ''));
  }
};

test.each([
  ['oidc: {issuer: https://a}', 'sign-in needs issuer, clientId, publicUrl; missing: clientId, publicUrl'],
  [
    'oidc: {issuer: http://login.example.com, clientId: a, publicUrl: https://b, groups: {g: {role: member}}}',
    'must be https',
  ],
  ['oidc: {issuer: http://127.0.0.1:8080, clientId: a, publicUrl: https://b}', 'nobody could come in'],
  ['oidc: {groups: {g: {role: admin, team: t}}}', 'an admin reaches every team'],
])('%s is refused', (text, why) => expect(said(text).join('\n')).toContain(why));

test('names that point somewhere are taken', () => {
  const text = `
providers:
  mine: {baseUrl: http://a/v1}
  eu: {type: bedrock, region: eu-central-1}
  off: {enabled: false, baseUrl: http://b/v1}
models:
  openai/gpt-6-luna: [{provider: openai}, {provider: mine, model: luna}, {provider: off}]
  vendor/own: [{provider: eu, model: m}]
aliases:
  a: b
  b: openai/gpt-6-luna
  claude-auto: auto
  cheap: auto:cost
  routed: router-mf-0.5
  own: vendor/own
  team/x: mine/anything
fallbacks:
  a: [b, anthropic/claude-haiku-5-5]
keys:
  - {name: one, key: ${KEY}}
  - {name: two, sha256: '${'0'.repeat(64)}'}
escalation: {verifierUrl: https://judge.example.com/v}
egress: {allow: ['*.example.com']}
`;
  expect(said(text)).toEqual([]);
});

describe('what cannot be meant is refused at its line', () => {
  test.each([
    [
      'models:\n  openai/a:\n    - {provider: opnai}',
      '3:8: models.openai/a.0.provider: no provider opnai here; did you mean openai?',
    ],
    [
      'models:\n  openai/a: [{provider: internal-gpu-farm}]',
      '2:15: models.openai/a.0.provider: no provider internal-gpu-farm here; name it under providers, with its baseUrl',
    ],
    [
      'aliases:\n  gpt: gtp-6',
      '2:3: aliases.gpt: points nowhere: gtp-6 is neither provider/model nor auto nor another alias',
    ],
    ['aliases:\n  gpt: opnai/gpt-6', '2:3: aliases.gpt: points nowhere: no provider opnai here; did you mean openai?'],
    ['aliases:\n  a: b\n  b: c\n  c: a', '2:3: aliases.a: a circle: a → b → c → a'],
    ['aliases:\n  a: a', '2:3: aliases.a: a circle: a → a'],
    // Whoever leads into a circle is not told; the circle is, once.
    ['aliases:\n  z: a\n  a: b\n  b: a', '3:3: aliases.a: a circle: a → b → a'],
    [
      'aliases:\n  openai/gpt-4o: auto',
      '2:3: aliases.openai/gpt-4o: names a model; a concrete id is never answered by another',
    ],
    [
      'aliases:\n  auto:cost: openai/x',
      '2:3: aliases.auto:cost: this name always asks for a routed answer; choose another',
    ],
    ['aliases:\n  router-mf-0.1: openai/x', '2:3: aliases.router-mf-0.1: this name always asks'],
    [
      'fallbacks:\n  openai/a: [openai/b]',
      '2:3: fallbacks.openai/a: no alias of that name; a concrete id is never answered by another',
    ],
    ['aliases: {a: openai/a}\nfallbacks:\n  a: [a]', '3:7: fallbacks.a.0: falls back to itself'],
    ['aliases: {a: openai/a}\nfallbacks:\n  a: [auto]', '3:7: fallbacks.a.0: auto has a ranked list of its own'],
    [
      'aliases: {a: openai/a}\nfallbacks:\n  a: [nowhere/b]',
      '3:7: fallbacks.a.0: points nowhere: no provider nowhere here',
    ],
    ['keys:\n  - name: a', '2:5: keys.0: a: needs key or sha256, and not both'],
    [`keys:\n  - {name: a, key: ${KEY}, sha256: ${digest}}`, '2:5: keys.0: a: needs key or sha256, and not both'],
    [`keys:\n  - {name: a, key: ${KEY}}\n  - {name: b, key: ${KEY}}`, '3:5: keys.1: b: the same key as a'],
    [
      `keys:\n  - {name: a, key: ${KEY}}\n  - {name: b, sha256: ${digest.toUpperCase()}}`,
      '3:5: keys.1: b: the same key as a',
    ],
    [`keys:\n  - {name: a, key: ${KEY}}\n  - {name: a, key: ${KEY}2}`, '3:5: keys.1: a second key by the name a'],
    ['providers:\n  x: {type: openapi}', '2:7: providers.x.type: no such type of provider; did you mean openai?'],
    [
      'providers:\n  openai:\n    apiKey: x\n    keys: [{apiKey: y}]',
      '3:5: providers.openai.apiKey: keys are given as well; put this one among them',
    ],
    [
      'providers:\n  openai:\n    keys: [{name: a}]',
      '3:12: providers.openai.keys.0: needs apiKey or apiKeyEnv, and not both',
    ],
    [
      'providers:\n  openai:\n    keys: [{apiKeyEnv: A}, {name: "1", apiKeyEnv: B}]',
      '3:28: providers.openai.keys.1: a second key by the name 1',
    ],
    [
      'escalation: {verifierUrl: "https://example.com/v"}\negress: {allow: ["*.example.com"]}',
      '1:14: escalation.verifierUrl: may not be fetched: add example.com to egress.allow',
    ],
  ])('%j', (text, message) => {
    const lines = said(text);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(message);
  });
});

test('a team that no key is of is told: it would go without its protection', () => {
  const keys = `keys: [{name: k, key: ${KEY}, tenant: search}]`;
  expect(said(`${keys}\nteams: {search: {protected: true}}\nrollout: {canaryTeams: [search]}`)).toEqual([]);
  expect(said(`${keys}\nteams: {serach: {protected: true}}\nrollout: {canaryTeams: [sales]}`)).toEqual([
    expect.stringMatching(/^2:.*teams\.serach.*no key is of the tenant serach.*search/),
    expect.stringMatching(/^3:.*rollout\.canaryTeams.*no key is of the tenant sales/),
  ]);
  // Without keys there is one team, and whoever names others is getting ready for keys.
  expect(said('teams: {serach: {protected: true}}')).toEqual([]);
});
