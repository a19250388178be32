import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { providerOf } from '../../datasets/catalog/candidate.ts';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { askingOf, isLoopback, readConfig, refusePublicHost } from '../../server/config/index.ts';
import { providersFrom } from '../../server/providers/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'pointsman-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function yaml(text: string, env: Record<string, string> = {}) {
  const file = join(folder, `${++files}.yaml`);
  writeFileSync(file, text);
  return readConfig({ file, env });
}

const problem = (run: () => unknown): { code: string; message: string } => {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('nothing was refused');
};

describe('readConfig', () => {
  test('has defaults for everything', () => {
    expect(readConfig({ file: false })).toMatchObject({
      host: '127.0.0.1',
      port: 8787,
      dataDir: '.pointsman',
      bodyLimitMb: 32,
      policy: {},
      timeouts: { firstByteMs: 60_000, totalMs: 600_000 },
    });
  });

  test('lets the environment win over the file, and the command line over both', () => {
    const file = join(folder, 'order.yaml');
    writeFileSync(file, 'port: 1\ndataDir: from-file\nlogLevel: warn\n');
    const config = readConfig({
      file,
      env: { PORT: '2', POINTSMAN_DATA_DIR: 'from-env', DATABASE_URL: '' },
      overrides: { port: 3, dataDir: undefined },
    });
    expect(config).toMatchObject({ port: 3, dataDir: 'from-env', logLevel: 'warn' });
    expect(config.databaseUrl).toBeUndefined();
  });

  test('puts the environment into the file', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is what is tested
    const text = 'providers:\n  mine:\n    baseUrl: http://${WHERE:-127.0.0.1}:9/v1\n    apiKey: ${KEY}\n';
    expect(yaml(text, { KEY: 'k1' }).providers.mine).toMatchObject({ baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'k1' });
    expect(problem(() => yaml(text))).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/:4:5: providers\.mine\.apiKey: environment variable KEY is not set/),
    });
  });

  test('takes a number from the environment where one belongs, and leaves digits alone where a text does', () => {
    const text =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is what is tested
      'maxAttempts: ${N}\nretry: {hedgeAfterMs: "${N}00"}\nproviders: {openai: {apiKey: "${N}"}}\npolicy: {tolerance: "${T:-0.1}"}';
    expect(yaml(text, { N: '7' })).toMatchObject({
      maxAttempts: 7,
      retry: { hedgeAfterMs: 700 },
      providers: { openai: { apiKey: '7' } },
      policy: { tolerance: 0.1 },
    });
    expect(problem(() => yaml(text, { N: 'seven' })).message).toContain(':1:1: maxAttempts: must be a number');
  });

  test.each([
    ['prot: 1', 'prot: no such option; did you mean port?'],
    ['timeouts:\n  idle: 1', 'timeouts.idle: no such option; did you mean idleMs?'],
    ['providers:\n  x:\n    baseURL: http://a', 'providers.x.baseURL: no such option; did you mean baseUrl?'],
    ['policy:\n  tolerence: 0.1', 'policy.tolerence: no such option; did you mean tolerance?'],
    ['policy:\n  tolerance: 2', 'policy.tolerance'],
    ['port: lots', 'port: must be a whole number from 0 to 65535'],
    ['providers:\n  sandbox:\n    baseUrl: http://a', 'providers.sandbox: the name sandbox is taken'],
    ['providers:\n  My_vllm: {}', 'providers.My_vllm: a provider’s name holds lower-case letters, digits and - only'],
    ['allowPublic: maybe', 'allowPublic: must be true or false'],
    ['providers:\n  x:\n    baseUrl: ftp://a', 'providers.x.baseUrl'],
    ['just words', 'must hold'],
    ['a: [', 'INVALID'],
  ])('names the place of a mistake: %j', (text, message) => {
    const { code, message: said } = problem(() => yaml(text));
    expect(code).toBe('INVALID_CONFIG');
    if (message !== 'INVALID') expect(said).toContain(message);
  });

  test('takes the example of the README', () => {
    const readme = readFileSync(new URL('../../server/README.md', import.meta.url), 'utf8');
    const example = /```yaml\n([\s\S]*?)```/.exec(readme)![1]!;
    const config = yaml(example, { SEARCH_KEY: '0123456789abcdef' });
    expect(config.keys).toMatchObject([{ name: 'search-team', tenant: 'search', models: ['auto', 'openai/*'] }]);
    expect(Object.keys(config.providers)).toEqual(['openai', 'azure-east', 'anthropic', 'my-vllm']);
    expect(config.models['openai/gpt-6-sol']).toMatchObject([{ provider: 'openai', weight: 3 }, { weight: 1 }]);
    expect(config.aliases).toEqual({ 'claude-auto': 'auto', 'gpt-4o': 'openai/gpt-6-luna' });
    expect(config.observe.share).toBe(1);
    expect(config.timeouts).toEqual(readConfig({ file: false }).timeouts);
  });

  test('takes a heading with nothing under it for not set', () => {
    const config = yaml('providers:\n  openai:\npolicy:\nport:\n');
    expect(config).toMatchObject({ port: 8787, providers: { openai: { enabled: true } } });
  });

  test('keeps of the policy only what was written, so that the artifact’s own stays in force', () => {
    expect(yaml('policy:\n  exploration: 0.05\n').policy).toEqual({ exploration: 0.05 });
  });

  test('misses a file that was named', () => {
    expect(problem(() => readConfig({ file: join(folder, 'none.yaml') })).code).toBe('MISSING_FILE');
  });

  test('asks for keys as soon as there are any, and beyond this machine always, unless something in front keeps strangers out', () => {
    const asking = (env: Record<string, string>, auth: 'auto' | 'required' | 'none' = 'auto') =>
      askingOf(readConfig({ file: false, env, overrides: { auth } }));
    expect(asking({})).toBe('if-any');
    expect(asking({ HOST: '::1' })).toBe('if-any');
    expect(asking({ HOST: '0.0.0.0' })).toBe('always');
    expect(asking({ HOST: '0.0.0.0', POINTSMAN_ALLOW_PUBLIC: '1' })).toBe('if-any');
    expect(asking({ HOST: '0.0.0.0', POINTSMAN_ALLOW_PUBLIC: '0' })).toBe('always');
    expect(asking({}, 'required')).toBe('always');
    expect(asking({ HOST: '0.0.0.0', POINTSMAN_ALLOW_PUBLIC: '1' }, 'required')).toBe('always');
    expect(asking({}, 'none')).toBe('never');
  });

  test('refuses to ask nobody beyond this machine, whatever stands in front', () => {
    const listenOn = (env: Record<string, string>) =>
      refusePublicHost(readConfig({ file: false, env, overrides: { auth: 'none' } }));
    listenOn({});
    listenOn({ HOST: '127.0.0.2' });
    for (const env of [{ HOST: '0.0.0.0' }, { HOST: '10.1.2.3', POINTSMAN_ALLOW_PUBLIC: '1' }]) {
      expect(problem(() => listenOn(env as Record<string, string>))).toMatchObject({
        code: 'INVALID_CONFIG',
        message: expect.stringContaining('auth: none'),
      });
    }
  });

  test.each([
    ['1', true],
    ['true', true],
    [' YES ', true],
    ['On', true],
    ['0', false],
    ['False', false],
    ['no', false],
    ['OFF', false],
    ['', false],
    [' ', false],
  ])('takes POINTSMAN_ALLOW_PUBLIC=%j for %s', (text, allowPublic) => {
    expect(readConfig({ file: false, env: { POINTSMAN_ALLOW_PUBLIC: text } })).toMatchObject({ allowPublic });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is what is tested
    expect(yaml('allowPublic: ${IN_FRONT:-}', { IN_FRONT: text })).toMatchObject({ allowPublic });
  });

  test.each([
    [{ POINTSMAN_ALLOW_PUBLIC: 'nope' }, 'POINTSMAN_ALLOW_PUBLIC=nope: must be true or false'],
    [{ PORT: 'abc' }, 'PORT=abc: must be a whole number from 0 to 65535'],
    [{ PORT: '70000' }, 'PORT=70000: must be'],
    [{ POINTSMAN_LOG_LEVEL: 'loud' }, 'POINTSMAN_LOG_LEVEL=loud: '],
    [{ DATABASE_URL: 'sqlite://user:secret@x' }, 'DATABASE_URL: only postgres:// and postgresql:// URLs are supported'],
  ])('names the variable that holds a mistake: %j', (env, message) => {
    const refused = problem(() => readConfig({ file: false, env }));
    expect(refused).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining(message) });
    expect(refused.message).not.toContain('secret');
  });

  test('takes no name of every object for a variable', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is what is tested
    const { code, message } = problem(() => yaml('baseline: ${constructor}'));
    expect(code).toBe('INVALID_CONFIG');
    expect(message).toContain('environment variable constructor is not set');
  });

  test('knows the names of this machine', () => {
    for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '::1', '[::1]', 'app.localhost'])
      expect(isLoopback(host)).toBe(true);
    for (const host of ['', '0.0.0.0', '128.0.0.1', '127.0.0.1.nip.io', 'localhost.com', '1::1'])
      expect(isLoopback(host)).toBe(false);
  });
});

describe('providersFrom', () => {
  const set = (env: Record<string, string>, text = '') => providersFrom(yaml(text, env), env);

  test('switches a host on by its key, and says what would switch on the others', async () => {
    const { on, off } = set({ OPENAI_API_KEY: 'k', GROQ_API_KEY: '' });
    expect([...on.keys()]).toEqual(['openai']);
    expect(on.get('openai')!.address).toBe('https://api.openai.com/v1');
    expect(off.get('groq')).toBe('set GROQ_API_KEY');
    expect(off.get('ollama')).toBe('set OLLAMA_BASE_URL');
  });

  test('knows what holds a key, for whoever has to correct it', () => {
    const text =
      'providers:\n  a: {baseUrl: http://a/v1, apiKeyEnv: A_KEY}\n  b: {baseUrl: http://b/v1, apiKey: k}\n  c: {baseUrl: http://c/v1}\n';
    const { on } = set({ OPENAI_API_KEY: 'k', GOOGLE_API_KEY: 'k', A_KEY: 'k' }, text);
    expect(Object.fromEntries([...on.values()].map(({ name, credentials }) => [name, credentials[0]!.from]))).toEqual({
      openai: 'OPENAI_API_KEY',
      google: 'GOOGLE_API_KEY',
      a: 'A_KEY',
      b: 'providers.b.apiKey in the configuration',
      c: 'C_API_KEY',
    });
  });

  test('moves a host by its base URL, which needs no key', () => {
    const { on } = set({ OPENAI_BASE_URL: 'http://127.0.0.1:9/v1/', OLLAMA_BASE_URL: 'http://127.0.0.1:8/v1' });
    expect([...on.values()].map(({ name, address }) => [name, address])).toEqual([
      ['openai', 'http://127.0.0.1:9/v1'],
      ['ollama', 'http://127.0.0.1:8/v1'],
    ]);
  });

  test('switches Azure on by an application’s sign-in, too, once it knows the resource', () => {
    const entra = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_CLIENT_SECRET: 's' };
    expect(set(entra).off.get('azure')).toContain('AZURE_RESOURCE_NAME');
    expect(set({ ...entra, AZURE_RESOURCE_NAME: 'mine' }).on.get('azure')!.address).toBe(
      'https://mine.openai.azure.com/openai',
    );
    expect(set({ AZURE_RESOURCE_NAME: 'mine' }).off.get('azure')).toContain('AZURE_OPENAI_API_KEY');
  });

  test('leaves a base URL alone that is meant for another protocol', () => {
    expect(set({ ANTHROPIC_BASE_URL: 'http://127.0.0.1:9' }).on.size).toBe(0);
    expect(set({ ANTHROPIC_API_KEY: 'k' }).on.get('anthropic')!.address).toBe('https://api.anthropic.com/v1');
  });

  test('knows a host for every provider of the shipped catalog', async () => {
    const { models } = await readCatalog();
    const { off } = set({});
    for (const { id } of models) expect([...off.keys()]).toContain(providerOf(id));
  });

  test('takes hosts from the file, with their key by value or by name', () => {
    const text =
      'providers:\n  a: {baseUrl: http://a/v1, apiKeyEnv: A_KEY}\n  b: {baseUrl: http://b/v1}\n  c: {baseUrl: http://c/v1, apiKey: k}\n  openai: {enabled: false}\n';
    const { on, off } = set({ OPENAI_API_KEY: 'k' }, text);
    expect([...on.keys()]).toEqual(['b', 'c']);
    expect(off.get('a')).toContain('set A_KEY');
    expect(off.get('openai')).toContain('enabled: false');
    expect([...set({ A_KEY: 'k' }, text).on.keys()]).toEqual(['a', 'b', 'c']);
  });

  test('takes a provider of any name, and no name of every object for a known host', () => {
    const text =
      'providers:\n  constructor: {baseUrl: http://a/v1, apiKeyEnv: toString}\n  valueof: {baseUrl: http://b/v1}\n';
    const { on, off } = set({}, text);
    expect([...on.keys()]).toEqual(['valueof']);
    expect(off.get('constructor')).toContain('set toString');
  });

  test.each([
    ['providers:\n  mine: {apiKey: k}\n', {}, 'providers.mine.baseUrl'],
    ['', { OPENAI_BASE_URL: 'nonsense' }, 'OPENAI_BASE_URL'],
    ['', { OPENAI_API_KEY: 'two words' }, 'key of openai'],
  ])('refuses %j with %j', (text, env, message) => {
    const refused = problem(() => set(env as Record<string, string>, text));
    expect(refused).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining(message) });
    expect(refused.message).not.toContain('two words');
  });
});
