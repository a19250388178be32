/** Where `pointsman keys`, `teams`, `budgets` and `audit` do their work: at a gateway that runs, or in its database. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Command, Help, type Option } from 'commander';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import { type GatewayConfig, isLoopback, readConfig, variable } from '../config/index.ts';
import { lockOwner } from '../db/lock.ts';
import { adminKeyFrom } from '../governance/access/first-admin.ts';

export interface AdminOptions {
  readonly url?: string;
  readonly keyFile?: string;
  readonly json?: boolean;
  readonly config?: string;
  readonly dataDir?: string;
  readonly databaseUrl?: string;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export interface AdminAccess {
  /** For people: `the gateway at http://…`, `the database in .pointsman`. */
  readonly where: string;
  /** Where clients call the gateway; null where none is known to run. */
  readonly url: string | null;
  /** An endpoint's JSON. @throws what it answers, by the same codes */
  call<T>(method: Method, path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}

const COMMON = new Set(['--json', '--url', '--key-file', '--data-dir', '--database-url', '--config', '--help']);

/** What a command asks for itself comes first. */
function commonLast(this: Help, command: Command): Option[] {
  const options = Help.prototype.visibleOptions.call(this, command);
  const isCommon = ({ long }: Option) => COMMON.has(long ?? '');
  return [...options.filter((option) => !isCommon(option)), ...options.filter(isCommon)];
}

export const withAdmin = (command: Command): Command =>
  command
    .allowExcessArguments(false)
    .configureHelp({ visibleOptions: commonLast })
    .option('--json', 'print only JSON')
    .option('--url <url>', 'a gateway elsewhere (or POINTSMAN_URL)')
    .option('--key-file <file>', 'file with a key of that gateway (or POINTSMAN_ADMIN_KEY)')
    .option('--data-dir <dir>', 'data directory of a gateway here (default: .pointsman)')
    .option('--database-url <url>', 'its PostgreSQL, instead of the embedded database (or DATABASE_URL)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)');

export const WHERE_HELP = `
Works on the gateway that runs with this data directory, or on its database while
none does. For a gateway elsewhere give --url and, in a file or as
POINTSMAN_ADMIN_KEY, a key of an admin or of a team's manager. No key is ever an
argument: others on the machine can see those.`;

/** Opens the way, does the work, and closes it whatever happens. */
export async function withAccess<T>(options: AdminOptions, work: (access: AdminAccess) => Promise<T>): Promise<T> {
  const access = await adminAccess(options);
  try {
    return await work(access);
  } finally {
    await access.close();
  }
}

/** @throws `INVALID_CONFIG`, `DATABASE_LOCKED`, `DATABASE_UNAVAILABLE`, `MISSING_FILE` where no gateway has ever run */
async function adminAccess(options: AdminOptions): Promise<AdminAccess> {
  const { env } = process;
  const isHere = options.dataDir !== undefined || options.databaseUrl !== undefined;
  const url = options.url ?? (isHere ? undefined : variable(env, 'POINTSMAN_URL')?.trim());
  if (url) {
    const { protocol, hostname } = new URL(checkedUrl(url));
    const key = keyFor(options.keyFile);
    if (protocol === 'http:' && key !== undefined && !isLoopback(hostname)) {
      console.error(`note: ${hostname} is called without TLS: whoever is on the way can read the key`);
    }
    return overHttp(checkedUrl(url), key);
  }
  const { dataDir, databaseUrl } = options;
  const config = readConfig({ file: options.config, env, overrides: { dataDir, databaseUrl } });
  const owner = config.databaseUrl === undefined ? lockOwner(config.dataDir) : null;
  if (owner === null) return await inDatabase(config);
  if (owner.url === null) {
    throw new RoutingError(
      'DATABASE_LOCKED',
      `process ${owner.pid} has ${config.dataDir} open and answers no requests; try again when it is done`,
    );
  }
  return overHttp(owner.url, owner.token);
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      '--url: must be where the gateway answers, like https://gateway.example.com',
    );
  }
  // People know its address by what they gave their SDK.
  return url.href.replace(/\/+$/, '').replace(/\/v1$/, '');
}

function keyFor(file: string | undefined): string | undefined {
  if (file === undefined) return adminKeyFrom(process.env);
  try {
    return readFileSync(file, 'utf8').trim();
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

const TIMEOUT_MS = 60_000;

function overHttp(url: string, key: string | undefined): AdminAccess {
  return {
    where: `the gateway at ${url}`,
    url,
    async call<T>(method: Method, path: string, body?: unknown) {
      const reply = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // A key is for this gateway and nobody it may point to.
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch((cause) => {
        throw new RoutingError('EGRESS_FAILED', `the gateway at ${url} does not answer: does it run there?`, {
          cause,
        });
      });
      if (reply.status === 401 && key === undefined) {
        throw new RoutingError(
          'UNAUTHORIZED',
          `the gateway at ${url} asks for a key: put one of an admin or a manager into a file and name it with --key-file, ` +
            'or into POINTSMAN_ADMIN_KEY',
        );
      }
      return answerOf<T>(await reply.text(), reply.status, `the gateway at ${url}`);
    },
    close: async () => {},
  };
}

/** The same endpoints in this process, on the database itself: whoever can open it is the operator. */
async function inDatabase(config: GatewayConfig): Promise<AdminAccess> {
  if (config.databaseUrl === undefined && !existsSync(join(config.dataDir, 'db'))) {
    throw new RoutingError(
      'MISSING_FILE',
      `${resolve(config.dataDir)}: no gateway has run there; start one (pointsman start), or name its folder with ` +
        '--data-dir (default: .pointsman in the folder that the gateway is started from)',
    );
  }
  const { operatorApp } = await import('./operator-app.ts');
  const { app, close } = await operatorApp(config, process.env);
  const where = config.databaseUrl === undefined ? `the database in ${config.dataDir}` : 'the PostgreSQL database';
  return {
    where,
    url: null,
    async call<T>(method: Method, path: string, body?: unknown) {
      const payload = body === undefined ? {} : { payload: body as object };
      const reply = await app.inject({ method, url: path, ...payload });
      return answerOf<T>(reply.body, reply.statusCode, where);
    },
    close,
  };
}

function answerOf<T>(text: string, status: number, who: string): T {
  let answer: { readonly error?: { readonly code?: string; readonly message?: string } };
  try {
    answer = text === '' ? {} : JSON.parse(text);
  } catch (cause) {
    throw new RoutingError('WRONG_FORMAT', `${who} answered ${status} and no JSON: is it a gateway of ours?`, {
      cause,
    });
  }
  if (status >= 200 && status < 300) return answer as T;
  throw new RoutingError(
    (answer.error?.code ?? 'INTERNAL') as ErrorCode,
    answer.error?.message ?? `${who} answered ${status}`,
  );
}
