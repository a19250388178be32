/** `pointsman policy`: a policy document tried against its examples, checked for slips, kept in versions and put in force. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { RoutingError } from '../../datasets/errors.ts';
import { type GatewayConfig, readConfig } from '../config/index.ts';
import { counted } from '../counted.ts';
import { type PolicyDocument, readPolicyText } from '../governance/policies/document.ts';
import { EXAMPLE_POLICY } from '../governance/policies/example-document.ts';
import { type ExampleResult, runExamples } from '../governance/policies/examples.ts';
import { type Known, knownTo } from '../governance/policies/known.ts';
import { suspectsIn } from '../governance/policies/suspects.ts';
import { type AdminOptions, WHERE_HELP, withAdmin } from './admin-access.ts';
import { tableOf as columnsOf } from './admin-text.ts';
import { positive } from './numbers.ts';
import { type PolicyAccess, type ToldVersion, withPolicies } from './policy-access.ts';

interface Options extends AdminOptions {
  readonly comment?: string;
  readonly activate?: boolean;
}

const HELP = `
A policy says which models, providers and regions teams and tags may use; which guardrails
look at prompts and answers; and what may be kept. It is a file (policies.file of
pointsman.yaml, read again when it changes) or a version in the database.

Examples
  pointsman policy example > policy.yaml
  pointsman policy test policy.yaml
  pointsman policy push policy.yaml --comment "wards get their own model" --activate
  pointsman policy activate 6        # back to an earlier version
${WHERE_HELP}`;

export function policyCommand(): Command {
  const command = new Command('policy')
    .description('tries, keeps and puts in force what teams and tags may use')
    .addHelpText('after', HELP);
  withConfig(command.command('test'))
    .description('tries the examples of a policy; exit code 1 where one does not come out as it says')
    .argument('<file>', 'policy document, YAML or JSON')
    .option('--json', 'print only JSON')
    .action(tryExamples);
  withConfig(command.command('check'))
    .description('says whether a policy is valid, and which names in it match nothing')
    .argument('<file>', 'policy document, YAML or JSON')
    .action(check);
  withAdmin(command.command('list')).description('lists the versions, and which is in force').action(list);
  withAdmin(command.command('show'))
    .description('prints a version as YAML')
    .argument('[version]', 'its number (default: the one in force)', positive)
    .action(show);
  withAdmin(command.command('push'))
    .description('adds a version; its examples must come out as they say')
    .argument('<file>', 'policy document, YAML or JSON')
    .option('--comment <text>', 'what has changed, and why')
    .option('--activate', 'and puts it in force')
    .action(push);
  withAdmin(command.command('activate'))
    .description('puts a version in force, also one from before')
    .argument('<version>', 'its number', positive)
    .action(activate);
  command
    .command('example')
    .description('prints a commented policy to begin with')
    .action(() => {
      process.stdout.write(EXAMPLE_POLICY);
    });
  return command;
}

const withConfig = (command: Command): Command =>
  command.allowExcessArguments(false).option('--config <file>', 'options file (default: pointsman.yaml, if there)');

const configOf = ({ config: file, dataDir, databaseUrl }: Options): GatewayConfig =>
  readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl } });

/** @throws `MISSING_FILE` */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new RoutingError(
      'MISSING_FILE',
      `${file}: ${code === 'ENOENT' ? 'no such file' : `cannot be read (${code})`}`,
      {
        cause,
      },
    );
  }
}

/** @throws `MISSING_FILE`, `INVALID_CONFIG` naming line and place */
function documentIn(file: string): PolicyDocument {
  const { document, problems } = readPolicyText(textOf(file), file);
  if (document !== null) return document;
  throw new RoutingError('INVALID_CONFIG', problems.join('\n'));
}

async function knownBy(options: Options): Promise<Known> {
  const config = configOf(options);
  return knownTo(config, await readCatalog(config.catalog));
}

async function tryExamples(file: string, options: Options): Promise<void> {
  const document = documentIn(file);
  const known = await knownBy(options);
  const results = await runExamples(document, known);
  const warnings = suspectsIn(document, known);
  if (results.some(({ ok }) => !ok)) process.exitCode = 1;
  if (options.json === true) console.log(JSON.stringify({ results, warnings }, null, 2));
  else console.log([...tableOf(file, document, results), ...warned(warnings)].join('\n'));
}

function tableOf(file: string, { rules }: PolicyDocument, results: readonly ExampleResult[]): string[] {
  const lines = [`${file}: ${counted(rules.length, 'rule')}, ${counted(results.length, 'example')}`, ''];
  for (const { name, ok, checks, applied } of results) {
    lines.push(`  ${ok ? 'pass' : 'FAIL'}  ${name}`);
    if (ok) continue;
    lines.push(`          rules that apply: ${applied.join(', ') || 'none'}`);
    for (const { what, found } of checks.filter((one) => !one.ok))
      lines.push(`          expected ${what}, but ${found}`);
  }
  const passed = results.filter(({ ok }) => ok).length;
  if (results.length > 0) lines.push('');
  const said =
    results.length === 0 ? 'no examples: nothing was tried' : `${passed} of ${results.length} come out as they say`;
  return [...lines, said];
}

const warned = (warnings: readonly string[]): string[] => warnings.map((text) => `warning: ${text}`);

async function check(file: string, options: Options): Promise<void> {
  const document = documentIn(file);
  const warnings = suspectsIn(document, await knownBy(options));
  const counts = `${counted(document.rules.length, 'rule')}, ${counted(document.examples.length, 'example')}`;
  console.log([`${file}: valid, ${counts}`, ...warned(warnings)].join('\n'));
}

const list = (options: Options): Promise<void> =>
  withPolicies(options, async (access) => {
    const { inForce, versions } = await access.list();
    if (options.json === true) console.log(JSON.stringify({ inForce, versions }, null, 2));
    else if (versions.length === 0) console.log(standing(inForce));
    else
      console.log(
        `${standing(inForce)}\n\n${columnsOf(
          HEADS,
          versions.map((one) => cellsOf(one, inForce.version)),
        )}`,
      );
  });

function standing({ source, version, path }: Awaited<ReturnType<PolicyAccess['list']>>['inForce']): string {
  if (source === 'none') return 'no policy is in force';
  return source === 'file' ? `${path} is in force (policies.file)` : `version ${version} is in force`;
}

const day = (at: Date | string | null): string =>
  at === null ? '' : new Date(at).toISOString().slice(0, 16).replace('T', ' ');

const HEADS = ['', 'VERSION', 'MADE (UTC)', 'BY', 'ACTIVATED', 'COMMENT'];

const cellsOf = (
  { version, createdAt, createdBy, comment, activatedAt }: ToldVersion,
  inForce: number | null,
): string[] => [
  version === inForce ? '*' : ' ',
  String(version),
  day(createdAt),
  createdBy,
  activatedAt === null ? '-' : day(activatedAt),
  comment,
];

const show = (version: number | undefined, options: Options): Promise<void> =>
  withPolicies(options, async (access) => {
    let wanted = version;
    if (wanted === undefined) {
      const { inForce } = await access.list();
      if (inForce.source !== 'database') {
        console.log(standing(inForce));
        return;
      }
      wanted = inForce.version!;
    }
    const { version: told, document } = await access.show(wanted);
    if (options.json === true) {
      console.log(JSON.stringify({ version: told, document }, null, 2));
      return;
    }
    const lines = [`# version ${told.version}, ${day(told.createdAt)} by ${told.createdBy}`];
    if (told.comment !== '') lines.push(`# ${told.comment.replace(/\p{Cc}+/gu, ' ')}`);
    process.stdout.write(`${lines.join('\n')}\n${stringify(document)}`);
  });

const push = (file: string, options: Options): Promise<void> =>
  withPolicies(options, async (access) => {
    const { version, examples, warnings } = await access.push(textOf(file), options.comment ?? '').catch((error) => {
      throw inFile(file, error);
    });
    if (options.json === true) {
      if (options.activate === true) await access.activate(version.version);
      console.log(JSON.stringify({ version, examples, warnings, isInForce: options.activate === true }, null, 2));
      return;
    }
    console.log([`version ${version.version}: ${counted(examples, 'example')} passed`, ...warned(warnings)].join('\n'));
    if (options.activate === true) await putInForce(access, version.version);
    else console.log(`not in force yet: pointsman policy activate ${version.version}`);
  });

/** The gateway knows the text, not what it is called here: places in it are `text:1:1`. */
function inFile(file: string, error: unknown): unknown {
  if (!(error instanceof RoutingError)) return error;
  return new RoutingError(
    error.code,
    error.message.replace(/^text:/gm, () => `${file}:`),
    { cause: error },
  );
}

const activate = (version: number, options: Options): Promise<void> =>
  withPolicies(options, async (access) => {
    if (options.json !== true) await putInForce(access, version);
    else console.log(JSON.stringify(await access.activate(version), null, 2));
  });

async function putInForce(access: PolicyAccess, version: number): Promise<void> {
  await access.activate(version);
  console.log(`version ${version} is in force, on every replica within two seconds`);
}
