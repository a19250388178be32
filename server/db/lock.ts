/**
 * One owner per data directory. Two processes on one PGlite directory lose rows
 * without an error, so whoever opens it holds `lock.json`; others find there whom to ask.
 */
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';

export const LockFile = z.object({
  pid: z.number().int().positive(),
  /** Where the owner answers HTTP; null for a command that does not. */
  url: z.string().nullable(),
  /** What the owner's admin endpoints ask for. */
  token: z.string().min(1),
  startedAt: z.string(),
  /** Machine boot and process namespace in which `pid` means something; null where unknown. */
  place: z.string().nullable(),
  /** Start of the process in clock ticks since boot: tells a reused pid. Null where unknown. */
  processStart: z.string().nullable(),
});
export type LockFile = z.infer<typeof LockFile>;

export interface Lock {
  readonly token: string;
  /** Tells other commands where this process answers. */
  announce(url: string): void;
  release(): void;
}

/** The owner shows life this often; where its pid cannot be checked, a lock this old is nobody's. */
const HEARTBEAT_MS = 5_000;
const FOREIGN_STALE_MS = 30_000;
/** The guard is held for well under a millisecond; one this old was left by a killed process. */
const GUARD_STALE_MS = 5_000;
const GUARD_WAIT_MS = 10_000;

const lockPath = (dataDir: string) => join(dataDir, 'lock.json');

/** Takes the directory, from a dead owner too. @throws `DATABASE_LOCKED` naming the owner */
export function acquireLock(dataDir: string): Lock {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new RoutingError(
      'DATABASE_UNAVAILABLE',
      `cannot make the data directory ${dataDir}: ${(error as Error).message}`,
    );
  }
  const path = lockPath(dataDir);
  const mine: LockFile = {
    pid: process.pid,
    url: null,
    token: randomBytes(24).toString('hex'),
    startedAt: new Date().toISOString(),
    place: placeOfPids(),
    processStart: processStart(process.pid),
  };
  guarded(dataDir, () => {
    const owner = readLock(dataDir);
    if (owner !== null && isAlive(owner, path)) {
      throw new RoutingError(
        'DATABASE_LOCKED',
        `the data directory ${dataDir} is in use by process ${owner.pid}${owner.url === null ? '' : ` (gateway at ${owner.url})`}, ` +
          `started ${owner.startedAt}. Stop that process, or choose another data directory`,
      );
    }
    replaceFile(path, mine);
  });
  const isMine = () => readLock(dataDir)?.token === mine.token;
  const heartbeat = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // Removed by hand: nothing to keep alive.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    token: mine.token,
    announce(url) {
      mine.url = url;
      guarded(dataDir, () => {
        if (isMine()) replaceFile(path, mine);
      });
    },
    release() {
      clearInterval(heartbeat);
      guarded(dataDir, () => {
        if (isMine()) rmSync(path, { force: true });
      });
    },
  };
}

/** The live owner of a data directory; null when nobody has it open. */
export function lockOwner(dataDir: string): LockFile | null {
  const owner = readLock(dataDir);
  return owner !== null && isAlive(owner, lockPath(dataDir)) ? owner : null;
}

/** A missing or unreadable lock is no lock: it is only ever put in place whole. */
function readLock(dataDir: string): LockFile | null {
  try {
    return LockFile.parse(JSON.parse(readFileSync(lockPath(dataDir), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new RoutingError(
        'DATABASE_LOCKED',
        `${lockPath(dataDir)} belongs to another user: run this command as that user`,
      );
    }
    return null;
  }
}

function isAlive(owner: LockFile, path: string): boolean {
  if (owner.place === null || owner.place !== placeOfPids()) {
    // Another machine or container on a shared disk, or no way to know: go by its signs of life …
    const quietMs = Date.now() - statSync(path).mtimeMs;
    // … but on a machine without /proc the pid at least can be asked.
    return quietMs < FOREIGN_STALE_MS && (owner.place !== null || pidExists(owner.pid));
  }
  return pidExists(owner.pid) && (owner.processStart === null || owner.processStart === processStart(owner.pid));
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function placeOfPids(): string | null {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/** Field 22 of /proc/PID/stat; the name before it may hold spaces and brackets. */
export function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function replaceFile(path: string, lock: LockFile): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(lock, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

/** Reading and replacing the lock must be one step: two processes that both find a dead owner would both take over. */
function guarded(dataDir: string, step: () => void): void {
  const guard = join(dataDir, 'lock.guard');
  for (const start = Date.now(); ; ) {
    try {
      mkdirSync(guard);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new RoutingError(
          'DATABASE_UNAVAILABLE',
          `cannot write to the data directory ${dataDir}: ${(error as Error).message}`,
        );
      }
    }
    try {
      if (Date.now() - statSync(guard).mtimeMs > GUARD_STALE_MS) rmdirSync(guard);
    } catch {
      // Gone meanwhile.
    }
    if (Date.now() - start > GUARD_WAIT_MS) {
      throw new RoutingError('DATABASE_LOCKED', `${guard} does not go away: remove it if no other process starts here`);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  try {
    step();
  } finally {
    rmdirSync(guard);
  }
}
