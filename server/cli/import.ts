/** `pointsman import`: turns the configuration of another gateway into ours, and lists what it left. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { RoutingError } from '../../datasets/index.ts';
import { WHERE_HELP, withAdmin } from './admin-access.ts';
import { importLiteLlm } from './import-litellm/index.ts';
import type { ImportKeysOptions } from './import-litellm/keys.ts';

const HELP = `
Takes over models with their deployments and weights, aliases, fall-backs, the names of the
keys' variables, waits and tries. Prints the result; what was left, and why, goes to stderr,
one line each. A key that stands in FILE itself is not copied: the line says which variable
to set. Nothing is called, nothing but FILE is read.

Examples
  pointsman import litellm config.yaml --out pointsman.yaml
  pointsman import litellm config.yaml 2> left.txt | less
  pointsman config check`;

const KEYS_HELP = `
LiteLLM keeps the SHA-256 of each key; it is taken over as it is, so that a key works
here as it did there, by its models, tags, end, budget and rates. A key that is blocked
there is revoked here. May be done again: what is there already stays as it is. What
cannot be had as it is becomes stricter, never looser, and a line says so.

Nothing is written to LiteLLM's database. Where the keys go: the gateway here, or --url.

Examples
  LITELLM_DATABASE_URL=postgres://… pointsman import litellm-keys --dry-run
  pointsman import litellm-keys keys.json
${WHERE_HELP}`;

export function importCommand(): Command {
  const command = new Command('import').description('Turns the configuration of another gateway into pointsman.yaml.');
  command
    .command('litellm')
    .description("LiteLLM's config.yaml → pointsman.yaml, and what of it was left.")
    .argument('<file>', "LiteLLM's config.yaml")
    .option('--out <file>', 'write the result there; a file that is there is not replaced')
    .addHelpText('after', HELP)
    .action((file: string, { out }: { out?: string }) => {
      // Known before anything is read: nobody should lose an answer to that.
      if (out !== undefined && existsSync(out)) throw isThere(out);
      const { yaml, left } = importLiteLlm(textOf(file), file);
      if (out === undefined) process.stdout.write(yaml);
      else write(out, yaml);
      for (const line of left) console.error(line);
      if (out !== undefined) console.error(`${out} written; ${countOf(left.length)} left, listed above`);
    });
  withAdmin(command.command('litellm-keys'))
    .description('Keys, teams, budgets and rates of LiteLLM, so that no client has to change.')
    .argument('[file]', 'an export: JSON of /key/list or of the tables, or the key table as CSV')
    .option('--from <url>', 'LiteLLM’s own PostgreSQL (or LITELLM_DATABASE_URL, which others cannot see)')
    .option('--dry-run', 'say what would be done, and do nothing')
    .addHelpText('after', KEYS_HELP)
    .action(async (file: string | undefined, options: ImportKeysOptions) => {
      const { importLiteLlmKeys } = await import('./import-litellm/keys.ts');
      await importLiteLlmKeys(file, options);
    });
  return command;
}

const countOf = (lines: number): string => (lines === 1 ? '1 thing' : `${lines} things`);

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : `cannot be read (${code})`;
    throw new RoutingError('MISSING_FILE', `${file}: ${why}`, { cause });
  }
}

function write(out: string, yaml: string): void {
  try {
    writeFileSync(out, yaml, { flag: 'wx' });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw isThere(out);
    throw new RoutingError('MISSING_FILE', `${out}: cannot be written (${code})`, { cause });
  }
}

const isThere = (out: string): RoutingError =>
  new RoutingError('INVALID_CONFIG', `${out} is there already; move it away, or name another file with --out`);
