/** Processes of a benchmark: started beside this one, watched for memory and processor time, and always ended. */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Ends with the ending of this file: `.ts` run by tsx, or compiled. */
const EXTENSION = extname(fileURLToPath(import.meta.url));

/** What Node needs to run files like this one. */
export const nodeFlags: readonly string[] = EXTENSION === '.ts' ? ['--import', import.meta.resolve('tsx')] : [];

/** Only what a program needs to run: a proxy or a key set in somebody's shell is not to change what is measured. */
export function plainEnv(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LANG'];
  const env: Record<string, string> = { NODE_ENV: 'production' };
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...more };
}

export interface Child {
  readonly pid: number;
  /** Rejects when the process has ended, by itself or because it was stopped: nobody waits for it for ever. */
  readonly died: Promise<never>;
  /** SIGTERM, then SIGKILL after `STOP_MS`; resolves when it is gone. */
  stop(): Promise<void>;
}

/** A process of one of the `…-process` files here, which talk to us in messages. */
export interface Helper extends Child {
  /** Sends, and waits for the one message that answers. */
  ask<T>(message: object): Promise<T>;
  /** The first message it sends by itself. */
  hello<T>(): Promise<T>;
}

const STOP_MS = 15_000;

/** All that was started, so that all of it can be ended, also what is only starting. */
export class Children {
  readonly #running = new Set<{ readonly child: ChildProcess; readonly stop: () => Promise<void> }>();
  #over = false;
  /** However this process ends, nobody is left behind. */
  readonly #killAll = () => {
    for (const { child } of this.#running) child.kill('SIGKILL');
  };

  constructor() {
    process.once('exit', this.#killAll);
  }

  /** Ends all of them, and whatever is started later. */
  async endAll(): Promise<void> {
    this.#over = true;
    await Promise.all([...this.#running].map(({ stop }) => stop()));
    process.off('exit', this.#killAll);
  }

  /** @param name file name in this folder, without its ending */
  helper(name: string, args: readonly string[] = []): Helper {
    const child = fork(fileURLToPath(new URL(`./${name}${EXTENSION}`, import.meta.url)), args, {
      execArgv: [...nodeFlags],
      env: plainEnv(),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const watched = this.#watch(child, name, () => '');
    const answer = <T>(): Promise<T> =>
      Promise.race([
        new Promise<T>((resolve) => child.once('message', (message) => resolve(message as T))),
        watched.died,
      ]);
    return {
      ...watched,
      hello: answer,
      ask<T>(message: object) {
        const answered = answer<T>();
        child.send(message, () => {});
        return answered;
      },
    };
  }

  /** A program whose output goes to a file: read only when it fails. */
  program(
    command: string,
    args: readonly string[],
    { cwd, env, logFile }: { readonly cwd: string; readonly env: Record<string, string>; readonly logFile: string },
  ): Child {
    const log = openSync(logFile, 'a');
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', log, log] });
    closeSync(log);
    const said = () => {
      try {
        return `:\n${readFileSync(logFile, 'utf8').slice(-2000)}`;
      } catch {
        return '';
      }
    };
    return this.#watch(child, command, said);
  }

  #watch(child: ChildProcess, name: string, why: () => string): Child {
    let stopping = false;
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    const died = exited.then<never>(() => {
      throw new Error(stopping ? `${name} was stopped` : `${name} ended by itself${why()}`);
    });
    died.catch(() => {});
    const stop = async () => {
      stopping = true;
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(timer);
    };
    const entry = { child, stop };
    this.#running.add(entry);
    void exited.then(() => this.#running.delete(entry));
    if (this.#over) void stop();
    return { pid: child.pid ?? 0, died, stop };
  }
}

/** A port that was free a moment ago: for programs that cannot say which one they took. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });

/** Resident memory of a process in MB (2²⁰ bytes); null where this system does not tell. */
export function residentMb(pid: number): number | null {
  try {
    if (process.platform === 'linux') {
      const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return kb === undefined ? null : Number(kb) / 1024;
    }
    if (process.platform === 'win32') return null;
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
  } catch {
    return null;
  }
}

/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock. */
const TICK_MS = 10;

/** Processor time that a process has used, all its threads, milliseconds; null where this system does not tell. */
export function processorMs(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name, in brackets, may hold spaces: count from behind it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return null;
  }
}
