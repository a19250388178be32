import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../datasets/index.ts';
import { ANYBODY, type Caller } from '../../server/callers.ts';
import { GatewayConfig } from '../../server/config/index.ts';
import { baselineOf, modelsOf, usableModels } from '../../server/models.ts';
import type { Provider } from '../../server/providers/index.ts';
import { candidate, catalogOf, gatewayOver } from './fakes.ts';
import { failing, fine, QUICK, run, scripted } from './forward/scripted.ts';

const models = [
  candidate('one/a', 1),
  candidate('one/b', 2),
  candidate('two/a', 3),
  candidate('two/c', 30),
  candidate('three/d', 4),
  candidate('one/vectors', 1, { kind: 'embedding' }),
];

function setUp(
  config: object = {},
  providers: readonly Provider[] = ['one', 'two'].map((name) => scripted(name, fine)),
) {
  const on = new Map(providers.map((provider) => [provider.name, provider]));
  return modelsOf(GatewayConfig.parse(config), catalogOf(models), on);
}
const caller = (more: Partial<Caller> = {}): Caller => ({ ...ANYBODY, name: 'k', ...more });
const refusal = (work: () => unknown): { code?: string; message: string } => {
  try {
    work();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('nothing was refused');
};

describe('names', () => {
  test.each([
    ['auto', undefined, null],
    ['openrouter/auto', undefined, 'openrouter/auto'],
    ['auto:cost', 2, 'auto:cost'],
    ['auto:balanced', 5, 'auto:balanced'],
    ['auto:quality', 8, 'auto:quality'],
    // RouteLLM: the strong model is called where its win rate is over the threshold; 10 · (1 - 0.3) = 7.
    ['router-mf-0.3', 7, 'router-mf-0.3'],
    ['router-bert-1', 0, 'router-bert-1'],
    ['router-sw_ranking-0', 10, 'router-sw_ranking-0'],
    ['claude-auto', undefined, 'claude-auto'],
    ['cheap-auto', 2, 'cheap-auto'],
    ['mf', 5, 'mf'],
  ])('%s asks for a routed answer, dial %s', (name, dial, alias) => {
    const { autoOf } = setUp({ aliases: { 'claude-auto': 'auto', 'cheap-auto': 'auto:cost', mf: 'router-mf-0.5' } });
    const auto = autoOf(name);
    expect(auto?.alias).toBe(alias);
    if (dial === undefined) expect(auto?.dial).toBeUndefined();
    else expect(auto?.dial).toBeCloseTo(dial, 9);
  });

  test.each([
    'Auto',
    'auto ',
    'auto:',
    'auto:best',
    'router-mf-1.5',
    'router-mf-0.3x',
    'router--0.3',
    'router-mf-',
    'one/a',
    'constructor',
    '__proto__',
  ])('%s does not', (name) => {
    expect(setUp().autoOf(name)).toBeNull();
  });

  test('an administrator may give auto away: what was auto is a model then, and the alias is told', () => {
    const { autoOf, resolve } = setUp({ aliases: { auto: 'one/a' } });
    expect(autoOf('auto')).toBeNull();
    expect(resolve('auto')).toMatchObject({ id: 'one/a', alias: 'auto' });
  });

  test.each([
    ['one/a', 'one/a', null],
    // Only one host has it.
    ['c', 'two/c', null],
    ['gpt-4o', 'one/b', 'gpt-4o'],
    ['again', 'one/b', 'again'],
    // Unknown to the catalog, at a host that is on.
    ['one/org/new', 'one/org/new', null],
  ])('%s is %s', (name, id, alias) => {
    expect(setUp({ aliases: { 'gpt-4o': 'one/b', again: 'gpt-4o' } }).resolve(name)).toMatchObject({ id, alias });
  });

  test.each([
    // Two hosts have it.
    ['a', 'UNKNOWN_MODEL', /Did you mean/],
    ['on/a', 'UNKNOWN_MODEL', /Did you mean one\/a\?/],
    ['autp', 'UNKNOWN_MODEL', /Did you mean auto\?/],
    ['nowhere/x', 'UNKNOWN_MODEL', /GET \/v1\/models/],
    ['three/d', 'PROVIDER_NOT_CONFIGURED', /three/],
    ['openai/gpt', 'PROVIDER_NOT_CONFIGURED', /OPENAI_API_KEY/],
    ['__proto__', 'UNKNOWN_MODEL', /no model __proto__/],
    [`x${'y'.repeat(500)}`, 'UNKNOWN_MODEL', /no model xy{99}… here/],
  ])('%s is refused with %s', (name, code, message) => {
    expect(refusal(() => setUp().resolve(name))).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe('who may use what', () => {
  test('a model is refused that no pattern of the key names, by its id or by the alias asked for', () => {
    const { resolve } = setUp({ aliases: { mine: 'two/c' } });
    expect(refusal(() => resolve('two/c', caller({ models: ['one/*'] }))).code).toBe('FORBIDDEN_MODEL');
    expect(resolve('one/b', caller({ models: ['one/*'] })).id).toBe('one/b');
    expect(resolve('mine', caller({ models: ['mine'] })).id).toBe('two/c');
    // The alias only, not what it stands for.
    expect(refusal(() => resolve('two/c', caller({ models: ['mine'] }))).code).toBe('FORBIDDEN_MODEL');
  });

  test('a tenant with keys of its own uses these alone, any other only those that are nobody’s', () => {
    const credentials = [
      { id: 'shared', weight: 1 },
      { id: 'theirs', weight: 1, tenant: 'acme' },
    ];
    const { resolve } = setUp({}, [scripted('one', fine, { credentials })]);
    const used = (tenant: string) => resolve('one/a', caller({ tenant })).targets.map(({ deployment }) => deployment);
    expect(used('acme')).toEqual(['one/a#theirs']);
    expect(used('default')).toEqual(['one/a#shared']);
    const only = setUp({}, [scripted('one', fine, { credentials: credentials.slice(1) })]);
    expect(refusal(() => only.resolve('one/a', caller()))).toMatchObject({
      code: 'PROVIDER_NOT_CONFIGURED',
      message: expect.stringContaining('tenant default'),
    });
  });
});

describe('deployments', () => {
  const config = {
    models: {
      'one/a': [
        { provider: 'one', weight: 1 },
        { provider: 'two', model: 'a-elsewhere', weight: 3 },
      ],
    },
  };

  test('come in an order drawn by weight: of 2000 draws three in four begin with the one of weight 3', () => {
    const { resolve } = setUp(config);
    const random = seededRandom(7);
    let first = 0;
    for (let i = 0; i < 2000; i++) {
      const { targets } = resolve('one/a', ANYBODY, random);
      expect(targets).toHaveLength(2);
      if (targets[0]!.provider.name === 'two') first++;
    }
    // Binomial, n = 2000, p = 3/4: mean 1500, sd 19.4; four of them either way.
    expect(Math.abs(first - 1500)).toBeLessThan(78);
  });

  test('multiply with the weights of their keys', () => {
    const credentials = [
      { id: 'x', weight: 1 },
      { id: 'y', weight: 4 },
    ];
    const { resolve } = setUp(
      {
        models: {
          'one/a': [
            { provider: 'one', weight: 2 },
            { provider: 'two', weight: 10 },
          ],
        },
      },
      [scripted('one', fine, { credentials }), scripted('two', fine)],
    );
    const random = seededRandom(11);
    const counts = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      const { deployment } = resolve('one/a', ANYBODY, random).targets[0]!;
      counts.set(deployment, (counts.get(deployment) ?? 0) + 1);
    }
    // 2·1, 2·4 and 10 of 20; sd at most 22.4.
    for (const [deployment, share] of [
      ['one/a#x', 0.1],
      ['one/a#y', 0.4],
      ['two/a', 0.5],
    ] as const) {
      expect(Math.abs(counts.get(deployment)! - 2000 * share)).toBeLessThan(90);
    }
  });

  test('are named as the place they are at, and keep the model’s own id', () => {
    const targets = setUp(config)
      .resolve('one/a')
      .targets.toSorted((a, b) => a.deployment.localeCompare(b.deployment));
    expect(targets.map(({ id, upstreamModel, deployment }) => [id, upstreamModel, deployment])).toEqual([
      ['one/a', 'a', 'one/a'],
      ['one/a', 'a-elsewhere', 'two/a-elsewhere'],
    ]);
  });

  test('at a provider that is off are left out, and a list is all there are', () => {
    const { resolve, usable } = setUp({
      models: { 'one/a': [{ provider: 'gone' }, { provider: 'two' }], 'one/b': [{ provider: 'gone' }] },
    });
    expect(resolve('one/a').targets.map(({ deployment }) => deployment)).toEqual(['two/a']);
    expect(refusal(() => resolve('one/b')).code).toBe('PROVIDER_NOT_CONFIGURED');
    expect(usable.map(({ id }) => id)).toEqual(['one/a', 'two/a', 'two/c', 'one/vectors']);
  });

  test('that rest come last, and only among those of their model', async () => {
    const on = new Map(['one', 'two'].map((name) => [name, scripted(name, fine)]));
    const built = await gatewayOver(models, { providers: on, config });
    try {
      const { gateway } = built;
      const resting = gateway.setup.models.resolve('one/a').targets.find(({ provider }) => provider.name === 'two')!;
      for (let i = 0; i < 3; i++) gateway.breaker.failed(resting, 'overload');
      for (let i = 0; i < 50; i++) {
        const names = gateway
          .healthyFirst(gateway.setup.models.resolve('one/a').targets)
          .map(({ provider }) => provider.name);
        expect(names).toEqual(['one', 'two']);
      }
    } finally {
      await built.close();
    }
  });

  test('a model that was named is only ever asked at deployments of itself, whatever fails', async () => {
    const steps = [fine, failing(500), failing(401), failing(404), failing(400, { code: 'context_length_exceeded' })];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(4), { minLength: 3, maxLength: 3 }),
        fc.constantFrom('one/a', 'one/b', 'two/c'),
        fc.integer(),
        async (plan, id, seed) => {
          const providers = ['one', 'two', 'three'].map((name, i) => scripted(name, (call) => steps[plan[i]!]!(call)));
          const { resolve } = setUp(
            {
              models: {
                'one/a': [
                  { provider: 'one' },
                  { provider: 'two', model: 'twin' },
                  { provider: 'three', model: 'twin' },
                ],
              },
            },
            providers,
          );
          const { targets } = resolve(id, ANYBODY, seededRandom(seed));
          const { call } = await run(targets, { config: { retry: QUICK } });
          const asked = providers.flatMap(({ name, calls }) => calls.map(({ call: made }) => `${name}/${made.model}`));
          const own = id === 'one/a' ? ['one/a', 'two/twin', 'three/twin'] : [id];
          expect(own).toEqual(expect.arrayContaining(asked));
          if (call) expect(call.target.id).toBe(id);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('fall-backs', () => {
  const config = {
    aliases: { smart: 'one/b', other: 'two/a' },
    fallbacks: { smart: ['other', 'two/c', 'one/b'], 'one/a': ['two/c'] },
  };
  const ids = (name: string, who: Caller = ANYBODY) =>
    setUp(config)
      .resolve(name, who)
      .targets.map(({ id }) => id);

  test('of an alias come after its own model, in order, aliases among them followed', () => {
    expect(ids('smart')).toEqual(['one/b', 'two/a', 'two/c']);
  });

  test('are none of a concrete id’s, nor of the model that the alias stands for', () => {
    expect(ids('one/a')).toEqual(['one/a']);
    expect(ids('one/b')).toEqual(['one/b']);
  });

  test('leave out what the key may not use', () => {
    expect(ids('smart', caller({ models: ['smart', 'one/*', 'two/c'] }))).toEqual(['one/b', 'two/c']);
  });

  test('answer under their own name when the first fails', async () => {
    const providers = [scripted('one', failing(500)), scripted('two', fine)];
    const { targets } = setUp(config, providers).resolve('smart');
    const { call } = await run(targets, { config: { retry: QUICK } });
    expect(call?.target.id).toBe('two/a');
  });
});

test('without any provider the sandbox stands in for what the catalog knows, and for nothing else', () => {
  const { resolve, sandbox, usable } = setUp({}, []);
  expect(sandbox).toBeDefined();
  expect(usable).toHaveLength(models.length);
  expect(resolve('two/c').targets[0]!.provider.sandbox).toBe(true);
  expect(refusal(() => resolve('two/unheard-of')).code).toBe('UNKNOWN_MODEL');
});

test('embeddings are usable but never candidates of auto', () => {
  const { usable, candidates } = setUp();
  expect(usable.map(({ id }) => id)).toContain('one/vectors');
  expect(candidates.map(({ id }) => id)).not.toContain('one/vectors');
});

test('the baseline is the one named, the dearest candidate, or a mistake that names the nearest', () => {
  expect(baselineOf(undefined, catalogOf(models), models.slice(0, 3)).id).toBe('two/a');
  expect(baselineOf('one/a', catalogOf(models), models).id).toBe('one/a');
  expect(refusal(() => baselineOf('one/aa', catalogOf(models), models))).toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining('did you mean one/a'),
  });
  expect(usableModels(catalogOf(models), new Map()).length).toBe(models.length);
});
