#!/usr/bin/env node
/** The program `pointsman`: finds the command and loads only that one, so that `--help` is quick. */
import { Command, CommanderError, Help, type Option } from 'commander';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import { version } from '../version.ts';

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Every command in the order of `--help`, under what it is for: what it does in one line, and where it lies. */
const GROUPS: Record<string, Record<string, Entry>> = {
  'Gateway:': {
    start: {
      summary: 'run the gateway: the API of OpenAI and of Anthropic',
      load: async () => (await import('./start.ts')).startCommand(),
    },
    doctor: {
      summary: 'say what is set up and reachable, without a secret',
      load: async () => (await import('./doctor.ts')).doctorCommand(),
    },
    config: {
      summary: 'check pointsman.yaml, print examples and its schema',
      load: async () => (await import('./config.ts')).configCommand(),
    },
    import: {
      summary: 'turn the configuration of another gateway into ours',
      load: async () => (await import('./import.ts')).importCommand(),
    },
    route: {
      summary: 'decide for one prompt and show why, without calling a model',
      load: async () => (await import('./route.ts')).routeCommand(),
    },
    report: {
      summary: 'show what was spent, what auto saved, what it would have saved',
      load: async () => (await import('./report.ts')).reportCommand(),
    },
    demo: {
      summary: 'see the whole loop in a minute, without keys or data',
      load: async () => (await import('./demo.ts')).demoCommand(),
    },
  },
  'Access and spending:': {
    keys: {
      summary: 'make and administer the keys that clients call with',
      load: async () => (await import('./keys.ts')).keysCommand(),
    },
    teams: {
      summary: 'make and administer teams and their projects',
      load: async () => (await import('./teams.ts')).teamsCommand(),
    },
    budgets: {
      summary: 'make and administer budgets in USD and rates a minute',
      load: async () => (await import('./budgets.ts')).budgetsCommand(),
    },
    policy: {
      summary: 'try, keep and put in force what teams and tags may use',
      load: async () => (await import('./policy.ts')).policyCommand(),
    },
    'provider-keys': {
      summary: 'keep keys of providers in the database, encrypted',
      load: async () => (await import('./provider-keys.ts')).providerKeysCommand(),
    },
    audit: {
      summary: 'show who changed what',
      load: async () => (await import('./audit.ts')).auditCommand(),
    },
    db: {
      summary: 'move, back up and restore the database',
      load: async () => (await import('./db.ts')).dbCommand(),
    },
  },
  'Learning:': {
    retrain: {
      summary: 'learn from logged decisions and their feedback',
      load: async () => (await import('./retrain.ts')).retrainCommand(),
    },
    onboard: {
      summary: 'add a model from a few labelled prompts',
      load: async () => (await import('./onboard.ts')).onboardCommand(),
    },
    anchors: {
      summary: 'tell which prompts to label first for a new model',
      load: async () => (await import('./anchors.ts')).anchorsCommand(),
    },
    train: {
      summary: 'train a router artifact from folders of outcomes',
      load: async () => (await import('./train.ts')).trainCommand(),
    },
    vectors: {
      summary: 'learn word vectors from plain texts, for train',
      load: async () => (await import('./vectors.ts')).vectorsCommand(),
    },
    export: {
      summary: 'write the log as Parquet files, for other engines',
      load: async () => (await import('./export.ts')).exportCommand(),
    },
  },
  'Evaluation:': {
    eval: {
      summary: 'replay recorded outcomes and compare routers, with intervals',
      load: async () => (await import('./eval.ts')).evalCommand(),
    },
    replay: {
      summary: 'live through recorded outcomes in order, learning as it goes',
      load: async () => (await import('./replay.ts')).replayCommand(),
    },
    simulate: {
      summary: 'count what the learning loop promises, on simulated logs',
      load: async () => (await import('./simulate.ts')).simulateCommand(),
    },
    leaderboard: {
      summary: 'fit and rank every routing method on your data',
      load: async () => (await import('./leaderboard.ts')).leaderboardCommand(),
    },
    datasets: {
      summary: 'fetch public datasets by name, check folders of outcomes',
      load: async () => (await import('./datasets.ts')).datasetsCommand(),
    },
    robustness: {
      summary: 'measure whether wording alone changes what is picked',
      load: async () => (await import('./robustness.ts')).robustnessCommand(),
    },
    bench: {
      summary: 'measure how long a decision takes',
      load: async () => (await import('./bench.ts')).benchCommand(),
    },
  },
};

const NAMES: ReadonlySet<string> = new Set(Object.values(GROUPS).flatMap((group) => Object.keys(group)));

const INTRODUCTION = `Sends each prompt to the cheapest model that can handle it, proves on your own
traffic that quality held, and learns from what happened.`;

const USES = `
Three uses, one command each:

  route prompts      pointsman start
                     then give your OpenAI or Anthropic SDK the model "auto" and
                     this gateway's URL; without any key a sandbox answers
  evaluate offline   pointsman eval --data DIR
                     DIR holds prompts.jsonl and outcomes.jsonl (or .jsonl.gz);
                     without --data a small shipped sample is replayed
  learn from logs    pointsman retrain
                     after some POST /v1/feedback: says what it learned, and
                     why it was promoted or not

New here? pointsman demo
More on one command: pointsman COMMAND --help`;

/** Mistakes in what was typed or given: exit code 2. Everything else that fails: 1. */
const INPUT_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INVALID_ROW',
  'MALFORMED_JSON',
  'TRUNCATED_FILE',
  'DUPLICATE_ROW',
  'UNKNOWN_PROMPT',
  'MISSING_FILE',
  'WRONG_FORMAT',
  'EVALUATION_ONLY',
  'EMPTY_TABLE',
  'UNDEFINED_METRIC',
  'UNKNOWN_MODEL',
  'INVALID_REQUEST',
  'INVALID_CONFIG',
  'ARTIFACT_MISSING',
  'ARTIFACT_DAMAGED',
  'ARTIFACT_MISMATCH',
]);

/** The program with every command named and, of those, only the one asked for loaded. */
async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('pointsman')
    .description(INTRODUCTION)
    .usage('COMMAND [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option('--debug', 'print the stack of an error, too')
    .showSuggestionAfterError()
    .showHelpAfterError('pointsman --help lists the commands.')
    .addHelpText('after', USES);
  const words = argv.filter((word) => !word.startsWith('-'));
  const wanted = words[0] === 'help' ? words[1] : words[0];
  for (const [title, group] of Object.entries(GROUPS)) {
    for (const [name, { summary, load }] of Object.entries(group)) {
      const command = name === wanted ? await load() : new Command(name);
      program.addCommand(command.summary(summary).helpGroup(title));
    }
  }
  const [first] = Object.keys(GROUPS);
  program.addHelpCommand(
    new Command('help').argument('[command]').summary('print the help of a command').helpGroup(first!),
  );
  for (const command of [program, ...descendants(program)]) {
    command
      .exitOverride()
      .configureOutput({ outputError: (text, write) => write(inOneSentence(text)) })
      .configureHelp({ optionDescription: describe })
      .helpOption('-h, --help', 'print this help');
    if (command !== program && command.commands.length > 0)
      command.helpCommand('help [command]', 'print the help of a command');
  }
  return program;
}

/** Commander ends its sentence before ours says what to give. */
const inOneSentence = (text: string): string =>
  text
    .replace("error: command-argument value '", "error: argument '")
    .replace(/ is invalid( for argument '[^']*')?\. (?=[a-z])/, (_, which = '') => ` is invalid${which}: `);

/** A list that begins empty has no default worth telling. */
function describe(this: Help, option: Option): string {
  return Help.prototype.optionDescription
    .call(this, option)
    .replace(/(, )?default: \[\]/, '')
    .replace(/ \(\)$/, '');
}

const descendants = (command: Command): Command[] =>
  command.commands.flatMap((child) => [child as Command, ...descendants(child as Command)]);

/** `help budgets create` asks for what `budgets create --help` does; of one command commander knows by itself. */
const inFull = (argv: string[]): string[] =>
  argv[0] === 'help' && argv.length > 2 ? [...argv.slice(1).filter((word) => !word.startsWith('-')), '--help'] : argv;

async function main(): Promise<void> {
  // A thread's own environment is out of ONNX Runtime's sight: whoever loads it first, it is not to report usage.
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  // `--debug` is taken out first so that it may stand anywhere.
  const debug = process.argv.includes('--debug');
  const argv = inFull(process.argv.slice(2).filter((word) => word !== '--debug'));
  try {
    const program = await buildProgram(argv);
    // Of a misspelt command the mistake is worth more than the general help.
    const first = argv.find((word) => !word.startsWith('-'));
    if (first !== undefined && first !== 'help' && !NAMES.has(first)) {
      await program.parseAsync([first], { from: 'user' });
    }
    if (argv.length === 0) {
      program.outputHelp();
      return;
    }
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, debug);
  }
}

/** Prints what went wrong and gives the exit code. */
function report(error: unknown, debug: boolean): number {
  // Commander has printed its own message (usage error) or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const known = error instanceof RoutingError;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(known ? `error ${error.code}: ${message}\n` : `error: ${message}\n`);
  if (debug) process.stderr.write(`${error instanceof Error ? error.stack : ''}\n`);
  else if (!known) process.stderr.write('Run it again with --debug for the stack.\n');
  return known && INPUT_ERRORS.has(error.code) ? 2 : 1;
}

// `pointsman eval | head` closes our output early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

await main();
