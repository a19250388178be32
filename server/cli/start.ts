/** `pointsman start`: runs the gateway until it is told to stop. */
import { Command, InvalidArgumentError } from 'commander';
import { counted } from '../counted.ts';
import { type RunningGateway, startGateway } from '../main.ts';
import { onStop } from './signals.ts';

export function startCommand(): Command {
  return new Command('start')
    .description('run the gateway: OpenAI’s and Anthropic’s API, sending each prompt to the cheapest adequate model')
    .option('--host <host>', 'address to listen on (default: 127.0.0.1, or HOST)')
    .option('--port <port>', 'port to listen on, 0 for any free one (default: 8787, or PORT)', portOf)
    .option('--data-dir <dir>', 'where the embedded database and promoted routers lie (default: .pointsman)')
    .option('--database-url <url>', 'use this PostgreSQL instead of the embedded database (or DATABASE_URL)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)')
    .option('--catalog <file>', 'candidate models, JSON or YAML (default: the shipped catalog)')
    .option('--artifact <dir>', 'router artifact (default: the promoted one, else the shipped one)')
    .option('--baseline <model>', 'model that savings are counted against (default: the dearest candidate)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (default: info)')
    .addHelpText(
      'after',
      `
Providers are switched on by their keys in the environment: OPENAI_API_KEY,
ANTHROPIC_API_KEY, GEMINI_API_KEY and others; pointsman doctor lists them all,
pointsman config example shows pointsman.yaml. Without any key a sandbox answers.

Stop with Ctrl-C: answers in flight are finished, and everything is written down.`,
    )
    .action(async ({ config, ...overrides }) => {
      const running = await startGateway({ file: config, env: process.env, overrides });
      console.log(greeting(running));
      // After the greeting, which people read, the log, which machines keep.
      running.tellOfAccess();
      stopOnSignals(running);
    });
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('must be a whole number up to 65535.');
  return port;
}

/** Ends the process once the gateway has stopped; a second signal does not wait. */
function stopOnSignals(running: RunningGateway): void {
  onStop(
    async (signal) => {
      console.log(`${signal}: finishing answers in flight (again to stop at once)`);
      try {
        await running.close();
        process.exit(0);
      } catch (error) {
        console.error(error);
        process.exit(1);
      }
    },
    () => {
      console.error('stopped at once; the last rows may be missing');
      process.exit(130);
    },
  );
  // A fault in one request must not end the others.
  process.on('unhandledRejection', (error) => console.error('unexpected:', error));
}

const KEY_IS = '# a client key: pointsman keys create NAME, or one of keys in pointsman.yaml';
const OPEN = 'NOBODY IS ASKED FOR ONE: whoever reaches this address may do everything';

function greeting({ url, gateway, providers, store, routerProblem, adminKeyFile }: RunningGateway): string {
  const { holder, config, baseline } = gateway;
  const router = holder.current;
  const on = [...providers.on.values()].map(({ name, address }) => `${name} (${address})`);
  const keys = ['openai', 'anthropic', 'openrouter']
    .map((name) => providers.off.get(name)?.replace('set ', ''))
    .filter(Boolean);
  const database = store.kind === 'embedded' ? `embedded, in ${config.dataDir}` : 'PostgreSQL';
  // Whoever set up keys has to send one: the lines are to be pasted as they are, so they take it from the environment.
  const { areAsked } = gateway;
  const header = areAsked ? ' -H "authorization: Bearer $POINTSMAN_KEY"' : '';
  const [inJs, inPython, inShell] = areAsked
    ? ['process.env.POINTSMAN_KEY', 'os.environ["POINTSMAN_KEY"]', '$POINTSMAN_KEY']
    : [`'unused'`, '"unused"', 'unused'];
  const lines = [
    '',
    `  Pointsman listens on ${url}`,
    '',
    `  providers   ${on.length > 0 ? on.join(', ') : 'none: no key found, so a sandbox answers'}`,
    `  candidates  ${counted(router.candidates.length, 'model')} for "auto"`,
    `  baseline    ${baseline.id}, what savings are counted against`,
    `  router      ${router.artifactHash.slice(0, 12)}${routerProblem === null ? '' : `, the base: ${routerProblem}`}`,
    `  database    ${database}`,
    `  keys        ${gateway.areAsked ? 'are asked for' : OPEN}`,
    ...(config.dashboard ? [`  dashboard   ${url}/dashboard`] : []),
    ...(adminKeyFile === null ? [] : [`  admin key   written to ${adminKeyFile}, for its owner alone to read`]),
    '',
    '  Try it:',
    '',
    ...(areAsked
      ? [`  export POINTSMAN_KEY=${adminKeyFile === null ? '…' : `"$(cat ${adminKeyFile})"`}    ${KEY_IS}`]
      : []),
    `  curl ${url}/v1/chat/completions -i -H 'content-type: application/json'${header} \\`,
    `    -d '{"model": "auto", "messages": [{"role": "user", "content": "What is 12 x 12?"}]}'`,
    '',
    '  // JavaScript',
    `  const client = new OpenAI({ baseURL: '${url}/v1', apiKey: ${inJs} });`,
    `  await client.chat.completions.create({ model: 'auto', messages });`,
    '',
    '  # Python',
    `  client = OpenAI(base_url="${url}/v1", api_key=${inPython})`,
    '  client.chat.completions.create(model="auto", messages=messages)',
    '',
    '  # Agents that speak Anthropic’s protocol',
    `  ANTHROPIC_BASE_URL=${url} ANTHROPIC_AUTH_TOKEN=${inShell} ANTHROPIC_MODEL=auto claude`,
    '',
  ];
  if (!gateway.areAsked)
    lines.push(
      '  For others, too: pointsman keys create me --role admin, and from then on everybody is asked for a key.',
      '',
    );
  if (on.length === 0) lines.push(`  For real answers set a key (${keys.join(', ')} …) and start again.`, '');
  return lines.join('\n');
}
