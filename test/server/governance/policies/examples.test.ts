/** Examples of a policy: they come out as the rules make them, and what does not is told with the rule's name. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readCatalog } from '../../../../datasets/catalog/catalog.ts';
import { parseConfig } from '../../../../server/config/read.ts';
import { readPolicyText } from '../../../../server/governance/policies/document.ts';
import { EXAMPLE_CONFIG, EXAMPLE_POLICY } from '../../../../server/governance/policies/example-document.ts';
import { failuresOf, runExamples } from '../../../../server/governance/policies/examples.ts';
import { knownTo } from '../../../../server/governance/policies/known.ts';
import { placeOf } from '../../../../server/governance/policies/place.ts';
import { suspectsIn } from '../../../../server/governance/policies/suspects.ts';
import { providersFrom } from '../../../../server/providers/index.ts';

const catalog = await readCatalog();
const knownBy = (yaml: string, env = {}) => knownTo(parseConfig(yaml, 'pointsman.yaml', { env }), catalog, env);
const documentOf = (text: string) => {
  const { document, problems } = readPolicyText(text);
  if (document === null) throw new Error(problems.join('\n'));
  return document;
};
const failuresIn = async (text: string, yaml = '') => failuresOf(await runExamples(documentOf(text), knownBy(yaml)));

describe('the policy that is shipped to begin with', () => {
  test('comes out as it says, without a name that matches nothing', async () => {
    expect(await failuresIn(EXAMPLE_POLICY, EXAMPLE_CONFIG)).toEqual([]);
    expect(suspectsIn(documentOf(EXAMPLE_POLICY), knownBy(EXAMPLE_CONFIG))).toEqual([]);
  });

  test('is what the README shows', () => {
    const readme = readFileSync(new URL('../../../../server/governance/policies/README.md', import.meta.url), 'utf8');
    expect(readme).toContain(EXAMPLE_POLICY);
    expect(readme).toContain(EXAMPLE_CONFIG);
  });
});

const policy = (example: string) => `
version: 1
rules:
  - name: home
    when: { tags: [secret] }
    providers: { allow: [home] }
    exploration: false
    cache: { ttlSeconds: 60 }
    guards: [{ name: mail, kind: pii, kinds: [email], action: mask }, { name: no, kind: deny, words: [darn] }]
examples:
  - name: e
    request: { tags: [secret], text: 'darn, write to a.b@example.com' }
    expect: ${example}
`;

test.each([
  ['{allowed: [home/x], denied: [openai/gpt-6-sol], explores: false, cacheSeconds: 60, rules: [home]}', []],
  ['{refused: true, verifiers: {denied: [mine]}}', []],
  ['{guards: {no: blocked}}', []],
  ['{allowed: [openai/x]}', ['“e”: expected allowed openai/x, but rule home keeps it out by its provider']],
  ['{denied: [home/x]}', ['“e”: expected denied home/x, but no rule keeps it out']],
  ['{refused: false}', ['“e”: expected not refused, but rule home keeps it out by its provider']],
  [
    '{explores: true, cacheSeconds: 0}',
    ['“e”: expected explores: true, but it is false, expected cacheSeconds: 0, but it is 60'],
  ],
  ['{rules: []}', ['“e”: expected rules none, but these apply: home']],
  ['{guards: {no: passed}}', ['“e”: expected no: passed, but it was blocked']],
  ['{guards: {phone: masked}}', ['“e”: expected phone: masked, but nothing was found']],
])('%s comes to %j', async (example, failures) => {
  expect(await failuresIn(policy(example))).toEqual(failures);
});

describe('where a model is had', () => {
  test('goes by the configuration, without any key', () => {
    const known = knownBy(
      `
providers:
  one: { baseUrl: 'http://h/v1', region: eu-1 }
  amazon-bedrock: { region: eu-west-1 }
models:
  openai/gpt-6-sol: [{ provider: one, model: sol }, { provider: openai }]
aliases: { mine: openai/gpt-6-sol }
`,
      { GOOGLE_VERTEX_LOCATION: 'europe-west4' },
    );
    expect(known.placesOf('mine')).toEqual([
      { model: 'openai/gpt-6-sol', provider: 'one', region: 'eu-1', alsoCalled: 'one/sol' },
      { model: 'openai/gpt-6-sol', provider: 'openai', region: null },
    ]);
    const regionOf = (id: string) => known.placesOf(id)[0]!.region;
    expect(regionOf('one/any')).toBe('eu-1');
    expect(regionOf('google-vertex/gemini')).toBe('europe-west4');
    expect(regionOf('amazon-bedrock/anthropic.claude')).toBe('eu-west-1');
    // An inference profile computes where its name says, wherever it is called.
    expect(regionOf('amazon-bedrock/us.anthropic.claude')).toBe('us');
    expect(regionOf('amazon-bedrock/global.anthropic.claude')).toBe('global');
    const arn = 'amazon-bedrock/arn:aws:bedrock:us-east-1:123456789012:';
    expect(regionOf(`${arn}foundation-model/x`)).toBe('us-east-1');
    expect(regionOf(`${arn}inference-profile/eu.anthropic.claude`)).toBe('eu');
    expect(regionOf(`${arn}application-inference-profile/abc`)).toBeNull();
  });

  test('is what the gateway goes by when it calls', () => {
    const yaml = `
providers:
  amazon-bedrock: { region: eu-west-1, apiKey: k }
  google-vertex: { project: p, apiKey: k }
  elsewhere: { type: amazon-bedrock, baseUrl: 'http://10.0.0.1', apiKey: k }
  mine: { baseUrl: 'http://h/v1', region: eu-1 }
`;
    const env = { AWS_REGION: 'us-east-1', GOOGLE_VERTEX_LOCATION: 'europe-west4' };
    const { on } = providersFrom(parseConfig(yaml, 'pointsman.yaml', { env }), env);
    const known = knownBy(yaml, env);
    const regions = ['amazon-bedrock/m', 'amazon-bedrock/eu.m', 'google-vertex/m', 'elsewhere/m', 'mine/m'].map(
      (id) => {
        const [name, upstreamModel] = id.split('/') as [string, string];
        const place = placeOf({ id, upstreamModel, provider: on.get(name)! });
        expect(known.placesOf(id)).toEqual([place]);
        return place.region;
      },
    );
    expect(regions).toEqual(['eu-west-1', 'eu', 'europe-west4', null, 'eu-1']);
  });

  test('of a host that was moved elsewhere nobody knows the region', () => {
    const env = { AWS_REGION: 'eu-west-1', AMAZON_BEDROCK_BASE_URL: 'http://10.0.0.1' };
    expect(knownBy('', env).placesOf('amazon-bedrock/m')[0]!.region).toBeNull();
    expect(knownBy('', { AWS_REGION: 'eu-west-1' }).placesOf('amazon-bedrock/m')[0]!.region).toBe('eu-west-1');
  });
});

test('names that match nothing are told, with what may have been meant', () => {
  const document = documentOf(`
version: 1
rules:
  - name: r
    when: { teams: [team-on], surfaces: [chats] }
    models: { deny: [openai/gpt-6-sool, 'nobody/*'] }
    providers: { allow: [opanai] }
    regions: { allow: [mars] }
`);
  const known = knownBy('teams: { team-one: {} }\nproviders: { here: { baseUrl: "http://h/v1", region: eu } }');
  expect(suspectsIn(document, known)).toEqual([
    'rule r: models.deny: no model here is called openai/gpt-6-sool; did you mean openai/gpt-6-sol?',
    'rule r: models.deny: no model here is called nobody/*',
    'rule r: providers.allow: no provider here is called opanai; did you mean openai?',
    'rule r: when.surfaces: no surface here is called chats; did you mean chat?',
    'rule r: when.teams: no team here is called team-on; did you mean team-one?',
    'rule r: regions.allow: no region here is called mars',
    'examples: there are none, so nothing says whether the rules do what they are meant to',
  ]);
});
