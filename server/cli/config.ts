/** `pointsman config`: `check` a configuration, print an `example` of one, or its `schema` for editors. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Command } from 'commander';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { RoutingError } from '../../datasets/index.ts';
import {
  type ConfigSources,
  configFile,
  type GatewayConfig,
  readConfig,
  refusePublicHost,
  withoutKeys,
} from '../config/index.ts';
import { configJsonSchema } from '../config/json-schema.ts';
import { counted } from '../counted.ts';
import { modelsOf, routable, usableModels } from '../models.ts';
import { nearest } from '../nearest.ts';
import { type ProviderSetup, providersFrom } from '../providers/index.ts';
import { judgeTrouble } from '../verify/judge.ts';

const EXAMPLES = new URL('../examples/', import.meta.url);
const SCHEMA_LINE = /^# yaml-language-server: .*\n/;

const CHECK_HELP = `
Reads the file as the gateway would, with the environment of this shell, and tells what it
would do. Calls nobody; prints no key. Exit code 2 where the gateway would refuse it.

Examples
  pointsman config check
  pointsman config check staging.yaml && kubectl apply -f staging-map.yaml`;

export function configCommand(): Command {
  const command = new Command('config').description('Checks pointsman.yaml; prints examples of it and its schema.');
  command
    .command('check')
    .description('Validates a configuration and tells what it would do, without a secret.')
    .argument('[file]', 'options file (default: POINTSMAN_CONFIG, else pointsman.yaml, if there)')
    .addHelpText('after', CHECK_HELP)
    .action(async (file: string | undefined) => {
      console.log(await explain({ file, env: process.env }));
    });
  command
    .command('example')
    .description('Prints a commented example: of every option, or for one provider.')
    .argument('[provider]', 'openai, anthropic, azure, bedrock …, or openai-compatible for any other host')
    .addHelpText('after', '\nExamples\n  pointsman config example > pointsman.yaml\n  pointsman config example azure')
    .action((provider: string | undefined) => {
      process.stdout.write(exampleOf(provider));
    });
  command
    .command('schema')
    .description('Prints the JSON schema of pointsman.yaml, with which editors complete and check it.')
    .addHelpText('after', '\nExample\n  pointsman config schema > pointsman.schema.json')
    .action(() => {
      process.stdout.write(configJsonSchema());
    });
  return command;
}

/** Names that `example` is asked by, beside those of the files. */
const ALSO: Readonly<Record<string, string>> = {
  'amazon-bedrock': 'bedrock',
  'google-vertex': 'vertex',
  gemini: 'google',
  lmstudio: 'openai-compatible',
  vllm: 'openai-compatible',
};

function exampleOf(provider: string | undefined): string {
  const names = readdirSync(EXAMPLES)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length));
  const name = provider === undefined ? 'pointsman' : Object.hasOwn(ALSO, provider) ? ALSO[provider]! : provider;
  if (!names.includes(name)) {
    const providers = names.filter((known) => known !== 'pointsman');
    const guess = nearest(name, providers);
    const hint = guess === undefined ? `there are ${providers.join(', ')}` : `did you mean ${guess}?`;
    throw new RoutingError('INVALID_CONFIG', `no example for ${name}: ${hint}`);
  }
  const text = readFileSync(new URL(`${name}.yaml`, EXAMPLES), 'utf8');
  // Where it is printed to, the schema lies only if somebody prints that, too.
  const line = '# yaml-language-server: $schema=pointsman.schema.json';
  return text.replace(SCHEMA_LINE, `${line}\n# (for editors: pointsman config schema > pointsman.schema.json)\n`);
}

/** What a configuration would do, for people. @throws as `readConfig` does */
async function explain(sources: ConfigSources): Promise<string> {
  const env = sources.env ?? {};
  const config = readConfig(sources);
  refusePublicHost(config);
  const setup = providersFrom(config, env);
  try {
    const { path, named } = configFile(sources)!;
    const read = named || existsSync(path) ? path : `no ${path} here, so the environment and defaults`;
    return [`configuration: ${read}`, '', ...(await sectionsOf(config, setup))].join('\n');
  } finally {
    for (const provider of setup.on.values()) await provider.close();
  }
}

async function sectionsOf(config: GatewayConfig, { on, off }: ProviderSetup): Promise<string[]> {
  const catalog = await readCatalog(config.catalog);
  const candidates = routable(usableModels(catalog, on, config.models), config);
  const trouble = judgeTrouble(config, modelsOf(config, catalog, on));
  if (trouble !== null) throw new RoutingError('INVALID_CONFIG', trouble);
  const isNamed = (name: string) => Object.hasOwn(config.providers, name);
  const others = [...off.keys()].filter((name) => !isNamed(name));
  return [
    `listens on ${config.host}:${config.port}`,
    `database: ${config.databaseUrl === undefined ? `embedded, in ${config.dataDir}` : 'PostgreSQL'}`,
    `candidates for auto: ${counted(candidates.length, 'model')} of the catalog`,
    ...section(
      'providers on',
      [...on.values()].map(({ name, address }) => `${name}  ${address}`),
      'none: a sandbox answers',
    ),
    ...section(
      'providers off, though named',
      [...off].filter(([name]) => isNamed(name)).map(([name, why]) => `${name}  ${why}`),
    ),
    ...(others.length > 0 ? ['', `other known hosts, without a key: ${others.join(', ')}`] : []),
    ...section('models in several places', Object.entries(config.models).flatMap(placesOf(on))),
    ...section(
      'aliases',
      Object.entries(config.aliases).map(([name, target]) => {
        const spare = Object.hasOwn(config.fallbacks, name) ? `, else ${config.fallbacks[name]!.join(', ')}` : '';
        return `${name} → ${target}${spare}`;
      }),
    ),
    ...section('verifiers', config.verifiers.map(verifierOf)),
    ...section('audits', auditsOf(config.audit)),
    ...section(
      'keys',
      config.keys.map(({ name, tenant, models: only, tags }) => {
        const may = only === undefined ? 'all models' : only.join(', ');
        return `${name}  tenant ${tenant}; ${may}${tags.length > 0 ? `; tags ${tags.join(', ')}` : ''}`;
      }),
      withoutKeys(config),
    ),
  ];
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(6))} %`;

function verifierOf({ kind, name, share, tags, teams, named }: GatewayConfig['verifiers'][number]): string {
  const which = [
    tags !== undefined && `tags ${tags.join(', ')}`,
    teams !== undefined && `teams ${teams.join(', ')}`,
    named && 'named models, too',
  ].filter((part) => part !== false);
  const of = which.length > 0 ? `; ${which.join('; ')}` : '';
  return `${name}  ${kind}, ${percent(share)} of the answers${of}`;
}

const auditsOf = ({ share, judge, budgetUsdPerDay }: GatewayConfig['audit']): string[] =>
  share === 0 || judge === undefined
    ? []
    : [`${percent(share)} of the routed answers, by ${judge}, until $${budgetUsdPerDay} a day are spent`];

/** Shares of the calls, of those that can be called now. */
const placesOf =
  (on: ProviderSetup['on']) =>
  ([id, deployments]: [string, GatewayConfig['models'][string]]): string[] => {
    const total = deployments.reduce((sum, { provider, weight }) => sum + (on.has(provider) ? weight : 0), 0);
    return [
      id,
      ...deployments.map(({ provider, model, weight }) => {
        const share = on.has(provider) ? `${Math.round((100 * weight) / total)} %` : 'off';
        return `  ${provider}${model === undefined ? '' : ` as ${model}`}  ${share}`;
      }),
    ];
  };

function section(title: string, lines: readonly string[], none?: string): string[] {
  if (lines.length === 0) return none === undefined ? [] : ['', `${title}: ${none}`];
  return ['', `${title}:`, ...lines.map((line) => `  ${line}`)];
}
