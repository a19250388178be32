/** `pointsman doctor`: says what is configured and reachable, and what to mend, without printing a secret. */
import { Command } from 'commander';
import { counted } from '../counted.ts';
import { type Check, type Examination, examine } from '../doctor/index.ts';
import { filled } from '../terminal.ts';

interface Options {
  readonly json?: boolean;
  readonly offline?: boolean;
  readonly config?: string;
  readonly dataDir?: string;
  readonly databaseUrl?: string;
  readonly catalog?: string;
  readonly artifact?: string;
}

const HELP = `
Calls each provider once with each of its keys, for free: a list of models, or a request with
nothing in it. What it prints holds no key, password or prompt, so it can go into a ticket.
Exit code 0 where all is well, 1 where there is something to mend.`;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('says what is set up and reachable, and what to mend, without a secret')
    .option('--json', 'print only JSON')
    .option('--offline', 'call no provider')
    .option('--data-dir <dir>', 'data directory (default: .pointsman)')
    .option('--database-url <url>', 'PostgreSQL instead of the embedded database (or DATABASE_URL)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)')
    .option('--catalog <file>', 'candidate models (default: the shipped catalog)')
    .option('--artifact <dir>', 'router artifact (default: the promoted one, else the shipped one)')
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ json = false, offline = false, config, ...overrides }: Options): Promise<void> {
  const examination = await examine({ file: config, env: process.env, overrides }, { online: !offline });
  process.stdout.write(json ? jsonOf(examination) : textOf(examination));
  process.exitCode = examination.problems > 0 ? 1 : 0;
}

const jsonOf = ({ checks, problems }: Examination): string =>
  `${JSON.stringify({ ok: problems === 0, problems, checks }, null, 2)}\n`;

const MARKS: Readonly<Record<Check['status'], string>> = { ok: 'ok', note: 'note', off: 'off', problem: 'MEND' };

function textOf({ checks, problems }: Examination): string {
  const lines: string[] = [];
  for (const [i, check] of checks.entries()) {
    const { area, name, status, found, mend } = check;
    if (area !== checks[i - 1]?.area) lines.push(...(i === 0 ? [] : ['']), area);
    if (isUnset(check)) {
      // Said once of all that stand together.
      if (isUnset(checks[i - 1])) continue;
      const last = checks.findIndex((one, k) => k > i && !isUnset(one));
      lines.push(...unsetLines(checks.slice(i, last === -1 ? checks.length : last)));
      continue;
    }
    lines.push(`  ${MARKS[status].padEnd(4)}  ${name}: ${found}`);
    if (mend !== undefined) lines.push(`        → ${mend}`);
  }
  lines.push('', problems === 0 ? 'all is well' : `${problems} to mend`);
  return `${lines.join('\n')}\n`;
}

/** Off since nobody set its key: nothing is amiss, and `--json` has the variables of each. */
const isUnset = (check: Check | undefined): boolean =>
  check?.area === 'providers' && check.status === 'off' && /^set [A-Z]/.test(check.found);

/** Providers that are off: the variable that switches each on, and a line of its own for those that take more than one. */
function unsetLines(checks: readonly Check[]): string[] {
  const wants = checks.map(({ name, found }) => ({ name, variables: found.replace(/^set /, '') }));
  const isSimple = ({ variables }: { readonly variables: string }) => !variables.includes(', and ');
  const simple = wants.filter(isSimple).map(({ variables }) => variables);
  const others = wants.filter((one) => !isSimple(one)).map(({ name, variables }) => `${name}: ${variables}`);
  return [
    `  ${MARKS.off.padEnd(4)}  ${counted(checks.length, 'other')}; a variable of the environment switches each on:`,
    ...[...(simple.length === 0 ? [] : [simple.join(', ')]), ...others].flatMap((text) =>
      filled(' '.repeat(8), text, LINE),
    ),
  ];
}

/** Characters that a terminal of usual width has. */
const LINE = 80;
