/** Verifiers and audits that could not work are refused when the configuration is read, with their place. */
import { describe, expect, test } from 'vitest';
import { contradictions } from '../../../server/config/contradictions.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import { examineModels } from '../../../server/doctor/configuration.ts';
import { candidate, catalogOf, fakeRouter, gatewayOver, provider } from '../fakes.ts';

const problems = (config: object) =>
  contradictions(GatewayConfig.parse(config)).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('verifiers', () => {
  test('a pattern that is none is told with verifier, place and character', () => {
    const verifiers = [
      { kind: 'exact', name: 'key' },
      { kind: 'pattern', name: 'polite', must: ['fine'], mustNot: ['ok', 'a(?=b)'] },
    ];
    expect(problems({ verifiers })).toEqual([
      'verifiers.1.mustNot.1: polite: no pattern of RE2: invalid or unsupported Perl syntax at character 2: (?=',
    ]);
  });
  test('one without patterns, and a second one of a name', () => {
    const verifiers = [
      { kind: 'pattern', name: 'polite' },
      { kind: 'exact', name: 'polite' },
    ];
    expect(problems({ verifiers })).toEqual([
      'verifiers.0: polite: needs must or mustNot, or both',
      'verifiers.1: a second verifier by the name polite; records could not tell them apart',
    ]);
  });
  test('an endpoint that egress does not allow', () => {
    expect(problems({ verifiers: [{ kind: 'http', name: 'mine', url: 'https://judge.example.com/x' }] })).toEqual([
      expect.stringMatching(/^verifiers\.0\.url: .*egress\.allow/),
    ]);
  });
  test('an endpoint is allowed as the guard would allow it, by its port too', () => {
    const at = (url: string, allow: string[]) =>
      problems({ verifiers: [{ kind: 'http', name: 'mine', url }], egress: { allow } });
    expect(at('https://judge.example.com:8443/x', ['judge.example.com:8443'])).toEqual([]);
    expect(at('https://judge.example.com/x', ['*.example.com'])).toEqual([]);
    expect(at('https://judge.example.com:8443/x', ['judge.example.com'])).toEqual([
      'verifiers.0.url: may not be fetched: add judge.example.com:8443 to egress.allow',
    ]);
  });
});

describe('the judge', () => {
  test.each([
    [{ share: 0.1 }, 'audit.judge: audits need a model that judges, as provider/model'],
    [{ judge: 'auto' }, 'audit.judge: the judge must be one model, always the same'],
    [{ judge: 'openia/gpt' }, 'audit.judge: points nowhere: no provider openia here; did you mean openai?'],
  ])('%j', (audit, problem) => {
    expect(problems({ audit })).toEqual([problem]);
  });
  test('that is one is fine, by an alias too', () => {
    expect(problems({ audit: { share: 0.1, judge: 'openai/x' } })).toEqual([]);
    expect(problems({ audit: { share: 0.1, judge: 'judge' }, aliases: { judge: 'openai/x' } })).toEqual([]);
  });

  const over = (audit: object) => {
    const models = [candidate('one/cheap'), candidate('two/judge')];
    return gatewayOver(models, {
      holder: { current: fakeRouter(models) },
      providers: new Map([['one', provider('one', 'http://127.0.0.1:1')]]),
      config: { audit },
    });
  };
  test.each([
    ['two/judge', 'no key for provider two'],
    ['one/unknown', 'the catalog has no price for it'],
  ])('%s cannot be called or paid: the gateway does not start', async (judge, why) => {
    await expect(over({ share: 0.1, judge })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(new RegExp(`audit\\.judge.*${judge}.*${why}`)),
    });
  });
  test.each([
    ['two/judge', { status: 'problem', found: expect.stringContaining('no key for provider two') }],
    ['one/cheap', { status: 'ok', found: 'one/cheap judges' }],
  ])('%s, as the doctor sees it', (judge, check) => {
    const config = GatewayConfig.parse({ audit: { share: 0.1, judge } });
    const catalog = catalogOf([candidate('one/cheap'), candidate('two/judge')]);
    const setup = { on: new Map([['one', provider('one', 'http://127.0.0.1:1')]]), off: new Map() };
    const found = examineModels(config, catalog, setup as never).find(({ name }) => name === 'audit');
    expect(found).toMatchObject(check);
  });
  test('does not matter where nothing is audited', async () => {
    const gateway = await over({ share: 0, judge: 'two/judge' });
    await gateway.close();
  });
});
