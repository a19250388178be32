/** Watches `pointsman.yaml` while the gateway runs: a good change is handed on, a bad one refused, and the old one stays. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { RoutingError } from '../../datasets/index.ts';
import { type ConfigSources, configFile, parseConfig } from './read.ts';
import type { GatewayConfig } from './schema.ts';

export interface WatchOptions {
  /** What is in force; a file that has changed since it was read is then noticed at once. Default: what the file says now. */
  readonly current?: GatewayConfig | undefined;
  /** Pause between two looks at the file, ms. */
  readonly everyMs?: number;
  /** A change must have lain still for so long before it is read: editors write in several steps. */
  readonly settleMs?: number;
}

export interface ConfigWatch {
  /** Looks now, as SIGHUP makes it do; resolves when what was found has been dealt with. Never rejects. */
  look(): Promise<void>;
  stop(): void;
}

/** What a look at the file found: its text, or why it cannot be read. */
type Found = { readonly text: string; readonly hash: string } | { readonly problem: string; readonly hash: string };

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Looks at the file once a second, so that it does not matter how it is replaced: written over, renamed over (editors), or
 * behind a symbolic link that now points elsewhere (Kubernetes). SIGHUP looks at once, unless a terminal would send it.
 * @param onChange   gets each new, valid configuration; when it throws or rejects, that is a refusal like any other
 * @param onRefused  gets why a change was not taken up, once for each version of the file
 */
export function watchConfig(
  sources: ConfigSources,
  onChange: (config: GatewayConfig) => void | Promise<void>,
  onRefused: (error: RoutingError) => void,
  { current, everyMs = 1000, settleMs = 100 }: WatchOptions = {},
): ConfigWatch {
  const file = configFile(sources);
  if (file === null) return { look: async () => {}, stop() {} };
  const { path, named } = file;
  let config = current;
  let stopped = false;
  /** Of the last version that was taken up or refused. */
  let seen: { state: string; hash: string } | undefined;

  const parse = (text: string): GatewayConfig => parseConfig(text, path, sources);

  async function take(found: Found, first: boolean): Promise<void> {
    if ('problem' in found) throw new RoutingError('MISSING_FILE', `${path}: ${found.problem}`);
    const next = parse(found.text);
    if (config !== undefined && isDeepStrictEqual(config, next)) return;
    // A file that was emptied would do away with all keys; whoever means that writes `{}`.
    if (found.text.trim() === '')
      throw new RoutingError('INVALID_CONFIG', `${path}: is empty; write {} for no options`);
    const isBaseline = first && config === undefined;
    if (!isBaseline) await onChange(next);
    config = next;
  }

  async function check(asked: boolean): Promise<void> {
    const state = await stateOf(path);
    if (stopped || (!asked && state === seen?.state)) return;
    // The default file need not be there, until it has been.
    if (state === ABSENT && (seen === undefined || seen.hash === ABSENT) && !named) {
      config ??= parse('');
      seen = { state, hash: ABSENT };
      return;
    }
    const found = await settled(path, settleMs);
    if (stopped) return;
    const first = seen === undefined;
    const same = found.hash === seen?.hash;
    // Taken before the text was: a write in between changes it again, and is seen next time.
    seen = { state, hash: found.hash };
    if (same && !asked) return;
    try {
      await take(found, first);
    } catch (error) {
      if (!stopped) onRefused(asRefusal(error, path));
    }
  }

  // One look after another, whoever asks.
  let turn = Promise.resolve();
  const look = (asked: boolean): Promise<void> => {
    turn = turn.then(() => (stopped ? undefined : check(asked))).catch(() => {});
    return turn;
  };
  const hangUp = () => void look(true);
  // Closing a terminal sends SIGHUP to what was started in it; that must go on ending it.
  const takesSignal = process.platform !== 'win32' && process.stdout.isTTY !== true;
  if (takesSignal) process.on('SIGHUP', hangUp);
  void look(false);
  const timer = setInterval(() => void look(false), everyMs);
  timer.unref();
  return {
    look: () => look(true),
    stop() {
      stopped = true;
      clearInterval(timer);
      if (takesSignal) process.off('SIGHUP', hangUp);
    },
  };
}

const ABSENT = 'absent';

/** Changes with every write to the file and with every other file in its place; links are followed. */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
    return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? ABSENT : `unreadable ${code}`;
  }
}

/** What the file holds once it has lain still; what it holds in the end where it never does. */
async function settled(path: string, settleMs: number): Promise<Found> {
  let found = await read(path);
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const again = await read(path);
    if (again.hash === found.hash) return again;
    found = again;
  }
  return found;
}

async function read(path: string): Promise<Found> {
  try {
    const text = await readFile(path, 'utf8');
    return { text, hash: hashOf(text) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? 'is gone; what it said last stays in force' : `cannot be read (${code})`;
    return { problem, hash: problem };
  }
}

const asRefusal = (error: unknown, path: string): RoutingError =>
  error instanceof RoutingError
    ? error
    : new RoutingError('INVALID_CONFIG', `${path}: could not be taken up: ${(error as Error)?.message ?? error}`, {
        cause: error,
      });
