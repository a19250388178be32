/** What is measured side by side: how each gateway is started, asked, and checked to have done its work. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, type Children, freePort, nodeFlags, plainEnv } from './child.ts';

/** A contender that runs. */
export interface Started {
  /** Endpoint for chat completions. */
  readonly url: string;
  /** The process measured; null for the upstream itself. */
  readonly pid: number | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Looks whether it does all that it is measured with. @returns complaints, none if it does */
  check(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface Contender {
  /** On the command line, and in JSON. */
  readonly id: string;
  /** In the table. */
  readonly name: string;
  readonly model: string;
  readonly distinct: boolean;
  /** @param folder empty, removed afterwards */
  start(folder: string): Promise<Started>;
}

/** In the catalog, so that its price is known and its cost recorded. */
const NAMED_MODEL = 'openai/gpt-5-nano';
const CLIENT_KEY = 'bench-client-key-0123456789';

/** Nothing in between: what load client and upstream can do together. */
export const direct = (upstreamUrl: string): Contender => ({
  id: 'direct',
  name: 'no gateway',
  model: 'gpt-5-nano',
  distinct: true,
  start: async () => ({
    url: `${upstreamUrl}/chat/completions`,
    pid: null,
    headers: {},
    check: async () => [],
    stop: async () => {},
  }),
});

export const bare = (children: Children, upstreamUrl: string): Contender => ({
  id: 'bare',
  name: 'bare Fastify + undici',
  model: 'gpt-5-nano',
  distinct: true,
  async start() {
    const helper = children.helper('bare-proxy-process', [upstreamUrl]);
    const { port } = await helper.hello<{ port: number }>();
    return {
      url: `http://127.0.0.1:${port}/v1/chat/completions`,
      pid: helper.pid,
      headers: {},
      check: async () => [],
      stop: () => helper.stop(),
    };
  },
});

/** @param script what `installPortkey` returned */
export const portkey = (children: Children, upstreamUrl: string, script: string): Contender => ({
  id: 'portkey',
  name: 'Portkey',
  model: 'gpt-5-nano',
  distinct: true,
  async start(folder) {
    const port = await freePort();
    const child = children.program(process.execPath, [script, '--headless', `--port=${port}`], {
      cwd: folder,
      env: plainEnv(),
      logFile: join(folder, 'portkey.log'),
    });
    await listening(child, `http://127.0.0.1:${port}/`);
    return {
      url: `http://127.0.0.1:${port}/v1/chat/completions`,
      pid: child.pid,
      // Its own way to be told the provider and where that is; the key is passed on, not checked.
      headers: {
        authorization: 'Bearer upstream-key',
        'x-portkey-provider': 'openai',
        'x-portkey-custom-host': upstreamUrl,
      },
      check: async () => [],
      stop: () => child.stop(),
    };
  },
});

/** How our own gateway is run: compiled, where what is compiled is what is written. */
export interface OwnBuild {
  readonly command: readonly string[];
  readonly how: string;
}

export function ownBuild(): OwnBuild {
  const here = fileURLToPath(import.meta.url);
  if (extname(here) === '.js') {
    return { command: [fileURLToPath(new URL('../cli/main.js', import.meta.url))], how: 'compiled' };
  }
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const compiled = join(root, 'dist', 'server', 'cli', 'main.js');
  const source = [...nodeFlags, join(root, 'server', 'cli', 'main.ts')];
  if (!existsSync(compiled)) return { command: source, how: 'by tsx from source (there is no dist/: npm run build)' };
  const written = Math.max(...['datasets', 'router', 'eval', 'server'].map((layer) => newest(join(root, layer))));
  if (written > statSync(compiled).mtimeMs) {
    return { command: source, how: 'by tsx from source (dist/ is older: npm run build)' };
  }
  return { command: [compiled], how: 'compiled (dist/)' };
}

/** When the last TypeScript file under a folder was written, ms since 1970. */
const newest = (folder: string): number =>
  Math.max(
    0,
    ...readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => statSync(join(folder, path)).mtimeMs),
  );

export interface OwnOptions {
  readonly id: string;
  readonly name: string;
  /** `auto`, or our id of a model. */
  readonly asks: 'auto' | 'named';
  readonly distinct: boolean;
  /** Makes an empty PostgreSQL database and gives its URL; without it the embedded database. */
  readonly database?: (() => Promise<string>) | undefined;
}

/** Our gateway with all it does by default: key checked, decided, recorded, logged. */
export const own = (children: Children, upstreamUrl: string, build: OwnBuild, options: OwnOptions): Contender => ({
  id: options.id,
  name: options.name,
  model: options.asks === 'auto' ? 'auto' : NAMED_MODEL,
  distinct: options.distinct,
  async start(folder) {
    const port = await freePort();
    const config = join(folder, 'pointsman.yaml');
    const databaseUrl = await options.database?.();
    const settings = {
      port,
      dataDir: join(folder, 'data'),
      providers: { openai: { baseUrl: upstreamUrl, apiKey: 'upstream-key' } },
      keys: [{ name: 'bench', key: CLIENT_KEY }],
      ...(databaseUrl && { databaseUrl }),
    };
    mkdirSync(settings.dataDir);
    // JSON is YAML.
    writeFileSync(config, JSON.stringify(settings));
    const child = children.program(process.execPath, [...build.command, 'start', '--config', config], {
      cwd: folder,
      // With this it ends when its parent does, even where that is killed.
      env: plainEnv({ npm_lifecycle_event: 'bench' }),
      logFile: join(folder, 'pointsman.log'),
    });
    const base = `http://127.0.0.1:${port}`;
    await listening(child, `${base}/readyz`);
    const headers = { authorization: `Bearer ${CLIENT_KEY}` };
    return {
      url: `${base}/v1/chat/completions`,
      pid: child.pid,
      headers,
      check: () => checkOwn(base, headers, options.asks === 'auto' ? 'auto' : NAMED_MODEL),
      stop: () => child.stop(),
    };
  },
});

/** How long a record may take to be readable. */
const RECORD_MS = 10_000;

async function checkOwn(base: string, headers: Record<string, string>, model: string): Promise<string[]> {
  const complaints: string[] = [];
  const ask = (more: Record<string, string>) =>
    fetch(`${base}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...more },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'What is 12 x 12?' }] }),
    });
  const stranger = await ask({});
  await stranger.body?.cancel();
  if (stranger.status !== 401) complaints.push(`keys are not checked: a request without one got ${stranger.status}`);
  const answer = await ask(headers);
  await answer.body?.cancel();
  const id = answer.headers.get('x-pointsman-decision-id');
  if (answer.status !== 200 || id === null) return [...complaints, `a request got ${answer.status} and id ${id}`];
  const until = performance.now() + RECORD_MS;
  for (;;) {
    const found = await fetch(`${base}/v1/decisions/${id}`, { headers });
    const record = (await found.json()) as { routed?: boolean; attempts?: { status: string }[] };
    const recorded = found.status === 200 && record.attempts?.length === 1 && record.attempts[0]!.status === 'ok';
    if (recorded && record.routed !== (model === 'auto')) complaints.push(`routed: ${record.routed} for ${model}`);
    if (recorded) return complaints;
    if (performance.now() > until) return [...complaints, 'an answer was not recorded'];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const START_MS = 60_000;

/** Waits until something answers there with 200. */
async function listening(child: Child, url: string): Promise<void> {
  const until = performance.now() + START_MS;
  const answers = async (): Promise<boolean> => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
      await response.body?.cancel();
      return response.status === 200;
    } catch {
      return false;
    }
  };
  for (;;) {
    if (await Promise.race([answers(), child.died])) return;
    if (performance.now() > until) {
      await child.stop();
      throw new Error(`nothing answers at ${url} after ${START_MS / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
