/** The gateway as users run it, in a process of its own that can be stopped, killed and looked into. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programFile } from '../../run/shared.ts';
import type { MisbehavingUpstream } from './misbehaving-upstream.ts';

const PROGRAM = await programFile();

const root = fileURLToPath(new URL('../../..', import.meta.url));
const preload = new URL('./report-memory.mjs', import.meta.url).href;

export const CLIENT_KEY = 'chaos-client-key-0123456789';
const UPSTREAM_KEY = 'chaos-upstream-key-0123456789';

/** Two hosts with one model each, and one with two. */
export const MODELS = ['ash/one', 'birch/one', 'cedar/one', 'cedar/two'] as const;

/** Short, so that what hangs is told soon; long enough that a busy machine does not often pass for a hanging one. */
const IMPATIENT = {
  connectMs: 2000,
  firstByteMs: 1000,
  answerMs: 1000,
  idleMs: 800,
  totalMs: 4000,
  shutdownMs: 5000,
};

/** Where all hosts behave, nothing may be taken for hanging. */
const PATIENT = { shutdownMs: 20_000 };

export interface GatewayOptions {
  readonly databaseUrl?: string;
  /** Hosts hang now and then, and must be given up soon. Default: no. */
  readonly impatient?: boolean;
  /** More options of the configuration. */
  readonly more?: object;
  /** More of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Memory {
  readonly heapMb: number;
  readonly rssMb: number;
  /** Open files and sockets; null where the system does not tell. */
  readonly handles: number | null;
}

/** A data folder and the processes that work on it, one after the other. */
export class GatewayProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pointsman-chaos-'));
  #child: ChildProcess | undefined;
  #exit: Promise<number | null> = Promise.resolve(null);
  #output = '';
  url = '';

  readonly #env: Readonly<Record<string, string>>;

  constructor(
    upstream: MisbehavingUpstream,
    { databaseUrl, impatient = false, more = {}, env = {} }: GatewayOptions = {},
  ) {
    this.#env = env;
    const hosts = [...new Set(MODELS.map((id) => id.split('/')[0]!))];
    const prices = [0.1, 0.5, 1, 2];
    const catalog = {
      priceDate: '2026-11-01',
      models: MODELS.map((id, i) => ({
        id,
        like: ['openai/gpt-5-nano', 'openai/gpt-6-luna', 'openai/gpt-5.4-mini', 'openai/gpt-6-sol'][i],
        inputUsdPerMTok: prices[i],
        outputUsdPerMTok: prices[i]! * 4,
        contextTokens: 100_000,
      })),
    };
    const config = {
      port: 0,
      dataDir: join(this.#folder, 'data'),
      catalog: join(this.#folder, 'catalog.json'),
      providers: Object.fromEntries(hosts.map((host) => [host, { baseUrl: upstream.url(host), apiKey: UPSTREAM_KEY }])),
      keys: [{ name: 'chaos', key: CLIENT_KEY }],
      timeouts: impatient ? IMPATIENT : PATIENT,
      retry: { firstPauseMs: 20, longestPauseMs: 200 },
      answerLimitMb: 1,
      logLevel: 'error',
      ...(databaseUrl !== undefined && { databaseUrl }),
      ...more,
    };
    writeFileSync(config.catalog, JSON.stringify(catalog));
    writeFileSync(join(this.#folder, 'pointsman.yaml'), JSON.stringify(config));
  }

  /** All that any of the processes has printed. */
  get output(): string {
    return this.#output;
  }

  async start(): Promise<void> {
    const args = ['--expose-gc', '--import', preload, PROGRAM];
    const child = spawn(process.execPath, [...args, 'start', '--config', join(this.#folder, 'pointsman.yaml')], {
      cwd: root,
      env: { PATH: process.env.PATH, CHAOS_MEMORY_FILE: this.#memoryFile, ...this.#env },
    });
    this.#child = child;
    this.#exit = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    let output = '';
    const listens = new Promise<string>((resolve, reject) => {
      const hear = (piece: Buffer) => {
        output += piece;
        this.#output += piece;
        const url = /listens on (\S+)/.exec(output)?.[1];
        if (url !== undefined) resolve(url);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      void this.#exit.then(() => reject(new Error(`the gateway did not start: ${output}`)));
    });
    this.url = await listens;
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.#child?.kill(name);
  }

  /** @returns its exit code; null where a signal ended it */
  exited(): Promise<number | null> {
    return this.#exit;
  }

  /** What it still holds after collecting garbage. */
  async memory(): Promise<Memory> {
    rmSync(this.#memoryFile, { force: true });
    this.#child!.kill('SIGUSR2');
    while (!existsSync(this.#memoryFile)) await new Promise((resolve) => setTimeout(resolve, 20));
    const { heapUsed, external, rss } = JSON.parse(readFileSync(this.#memoryFile, 'utf8'));
    const handles = process.platform === 'linux' ? readdirSync(`/proc/${this.#child!.pid}/fd`).length : null;
    return { heapMb: (heapUsed + external) / 2 ** 20, rssMb: rss / 2 ** 20, handles };
  }

  async remove(): Promise<void> {
    this.signal('SIGKILL');
    await this.#exit;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #memoryFile(): string {
    return join(this.#folder, 'memory.json');
  }
}
