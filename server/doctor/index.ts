/** Looks an installation over: what is set up, what can be reached, what to mend. No secret gets into what it says. */
import { existsSync, readFileSync } from 'node:fs';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { type ConfigSources, configFile, type GatewayConfig, readConfig, variable } from '../config/index.ts';
import { routable, usableModels } from '../models.ts';
import { type ProviderSetup, providersFrom } from '../providers/index.ts';
import { refuseLoops } from '../upkeep.ts';
import { type Check, note, ok, problem, wordsOf } from './check.ts';
import { examineClients, examineModels } from './configuration.ts';
import { examineProviders } from './providers.ts';
import { examineRouter } from './router.ts';
import { Secrets } from './secrets.ts';
import { examineStorage, type Storage } from './storage.ts';

export type { Area, Check } from './check.ts';

export interface Examination {
  readonly checks: readonly Check[];
  /** Things to mend. */
  readonly problems: number;
}

export interface ExamineOptions {
  /** False: no provider is called. Default: true. */
  readonly online?: boolean;
  /** Longest wait for a provider, a database or a running gateway. Default: 5 s. */
  readonly timeoutMs?: number;
  readonly now?: () => number;
}

/** Never rejects over what it finds. */
export async function examine(sources: ConfigSources, options: ExamineOptions = {}): Promise<Examination> {
  const secrets = new Secrets();
  const env = sources.env ?? {};
  secrets.addEnvironment(env);
  const checks: Check[] = [];
  const config = readConfiguration(sources, secrets, checks);
  if (config !== null) {
    secrets.addConfig(config);
    await examineAll(config, { ...options, env }, secrets, checks);
  }
  const struck = checks.map((check) => ({
    ...check,
    name: secrets.strike(check.name),
    found: secrets.strike(check.found),
    ...(check.mend !== undefined && { mend: secrets.strike(check.mend) }),
  }));
  return { checks: struck, problems: struck.filter(({ status }) => status === 'problem').length };
}

function readConfiguration(sources: ConfigSources, secrets: Secrets, checks: Check[]): GatewayConfig | null {
  const file = configFile(sources);
  const path = file?.path ?? '';
  const there = file !== null && existsSync(path);
  try {
    const config = readConfig(sources);
    checks.push(
      there
        ? ok('configuration', 'file', `${path} is well`)
        : note('configuration', 'file', 'no pointsman.yaml here; the environment and defaults hold'),
    );
    return config;
  } catch (error) {
    if (there) secrets.addText(textOf(path));
    const lines = error instanceof Error ? error.message.split('\n') : [String(error)];
    const mend = 'correct it; pointsman config example shows every option. The rest is not looked at until then';
    for (const line of lines) checks.push(problem('configuration', 'file', line, mend));
    return null;
  }
}

type Options = ExamineOptions & { readonly env: NonNullable<ConfigSources['env']> };

async function examineAll(config: GatewayConfig, options: Options, secrets: Secrets, checks: Check[]): Promise<void> {
  const { env, online = true, timeoutMs = 5000, now } = options;
  const secret = variable(env, 'POINTSMAN_SECRET_KEY');
  const storage = await examineStorage(config, { secret, timeoutMs });
  for (const { apiKey } of storage.stored) secrets.add(apiKey);
  checks.push(...storage.checks);
  if (storage.running !== null && secret !== undefined && config.databaseUrl === undefined) {
    const found = 'keys in the database are not looked at while the gateway has it open';
    checks.push(note('data', 'stored keys', found));
  }
  const setup = setUp(config, env, storage, checks);
  try {
    const catalog = await catalogOf(config, checks);
    if (catalog !== null && setup !== null) {
      const candidates = routable(usableModels(catalog, setup.on, config.models), config);
      checks.push(...(await examineRouter(config, candidates, storage)));
    }
    if (setup !== null) {
      checks.push(...(await examineProviders(config, setup, { env, online, timeoutMs, ...(now && { now }) })));
    }
    if (catalog !== null && setup !== null) checks.push(...examineModels(config, catalog, setup));
    checks.push(...examineClients(config));
  } finally {
    for (const provider of setup?.on.values() ?? []) await provider.close();
  }
}

function setUp(config: GatewayConfig, env: Options['env'], storage: Storage, checks: Check[]): ProviderSetup | null {
  try {
    const setup = providersFrom(config, env, storage.stored);
    try {
      refuseLoops(setup, config.host, config.port);
    } catch (error) {
      checks.push(
        problem('providers', 'loop', wordsOf(error), 'unset that variable for the gateway, or change its port'),
      );
    }
    return setup;
  } catch (error) {
    checks.push(problem('providers', 'setup', wordsOf(error), 'correct that in pointsman.yaml or the environment'));
    return null;
  }
}

async function catalogOf({ catalog }: GatewayConfig, checks: Check[]) {
  try {
    return await readCatalog(catalog);
  } catch (error) {
    checks.push(problem('models', 'catalog', wordsOf(error), 'correct the catalog file, or leave catalog out'));
    return null;
  }
}

/** Empty where it cannot be read: that is said by whoever reads it for what it says. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
