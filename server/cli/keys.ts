/** `pointsman keys`: client keys are made, shown once, listed, rotated and revoked. */
import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import type { KeyPage, MadeKey } from '../governance/access/keys.ts';
import type { KeyView } from '../governance/access/records.ts';
import { type AdminAccess, type AdminOptions, WHERE_HELP, withAccess, withAdmin } from './admin-access.ts';
import { given, list, minutes, momentOf, plain, quoted, tableOf, whenEnding } from './admin-text.ts';
import { number } from './numbers.ts';

const HELP = `
A key is 256 random bits. It is printed once, when it is made; what is kept is a
keyed hash, so that nobody can read it off the database. A revoked key stops
working everywhere within two seconds.

Roles
  admin      everything, of all teams
  manager    keys, budgets, usage, log and feedback of its own team
  member     call models, judge answers, see the usage of its team (the default)
  read-only  see the usage of its team

From the first key on a gateway asks everybody for one. Begin with an admin's.

Examples
  pointsman keys create ops --role admin
  pointsman teams create search
  pointsman keys create web --team search --models 'auto,openai/*' --expires 90d
  pointsman keys create web --team search > key.txt    only the key goes to the file
  pointsman keys list --team search
  pointsman keys rotate search/web --overlap 24h       the old one works a day longer
  pointsman keys revoke search/web
${WHERE_HELP}`;

interface CreateOptions extends AdminOptions {
  readonly team?: string;
  readonly project?: string;
  readonly role?: string;
  readonly scopes?: string[];
  readonly models?: string[];
  readonly tags?: string[];
  readonly expires?: string;
  readonly minQuality?: number;
  readonly maxCostUsd?: number;
  readonly dial?: number;
  readonly out?: string;
}

export function keysCommand(): Command {
  const command = new Command('keys')
    .description('Makes and administers client keys: who may call, and how far.')
    .addHelpText('after', HELP);
  withAdmin(command.command('create'))
    .description('makes a key and prints it, this once')
    .argument('<name>', 'what records call it: a person, a program, a place')
    .option('--team <team>', 'whose it is (default: default, or your own)')
    .option('--project <project>', 'the project of its team that it is for')
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['admin', 'manager', 'member', 'read-only'])
        .default('member'),
    )
    .option('--scopes <list>', 'what it may do in place of what its role may', list)
    .option('--models <list>', 'models it may use, * standing for anything (default: all)', list)
    .option('--tags <list>', 'tags that its requests always carry', list)
    .option('--expires <when>', 'a length of time (90d, 24h) or a day (default: never)', whenEnding)
    .option('--min-quality <share>', 'auto must reach at least this for its requests, in [0, 1]', number)
    .option('--max-cost-usd <usd>', 'the most that auto may spend on one of its requests', number)
    .option('--dial <n>', 'the highest dial for its requests, 0 cheapest … 10 best', number)
    .option('--out <file>', 'write the key there, for its owner alone to read, in place of printing it')
    .action(create);
  withAdmin(command.command('list'))
    .description('lists keys, newest first')
    .option('--team <team>', 'only of this team')
    .option('--all', 'also those that are revoked or have expired')
    .action(listThem);
  withAdmin(command.command('show'))
    .description('shows a key: whose it is, what it may do, when it was used; never the key itself')
    .argument('<key>', 'its id, its name, or team/name')
    .action(show);
  withAdmin(command.command('rotate'))
    .description('makes a key in the place of another and prints it; the old one works on for a while')
    .argument('<key>', 'its id, its name, or team/name')
    .option('--overlap <time>', 'how long the old one works on (default: 24h)', minutes)
    .option('--expires <when>', 'when the new one ends (default: as the old one would have)', whenEnding)
    .option('--out <file>', 'write the key there, for its owner alone to read, in place of printing it')
    .action(rotate);
  withAdmin(command.command('revoke'))
    .description('ends a key, everywhere within two seconds')
    .argument('<key>', 'its id, its name, or team/name')
    .option('--force', 'also where no admin’s key would be left')
    .action(revoke);
  return command;
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { team, project, role, scopes, models, tags, expires, minQuality, maxCostUsd, dial, out, json } = options;
  refuseTaken(out);
  if (models?.length === 0) {
    throw new RoutingError(
      'INVALID_REQUEST',
      '--models: names none, so the key could call nothing; leave it out for all',
    );
  }
  const routing = given({ minQuality, maxCostUsd, dial });
  await withAccess(options, async (access) => {
    const body = {
      ...given({ name, team, project, role, scopes, models, tags, expiresAt: expires }),
      ...(Object.keys(routing).length > 0 && { routing }),
    };
    const made = await access.call<MadeKey>('POST', '/v1/admin/keys', body);
    tell(made, access, { out, json, how: '' });
  });
}

async function listThem(options: AdminOptions & { readonly team?: string; readonly all?: boolean }): Promise<void> {
  const { all = false, json = false, team } = options;
  const found = await withAccess(options, (access) => allKeys(access, team));
  const keys = found.filter(({ state }) => all || state === 'active');
  if (json) console.log(JSON.stringify(keys, null, 2));
  else if (found.length === 0 && team !== undefined) {
    console.log(`${plain(team)} has no key: pointsman keys create NAME --team ${quoted(plain(team))}`);
  } else if (found.length === 0) console.log('There is no key yet: pointsman keys create NAME --role admin');
  else if (keys.length === 0) console.log('None works any more: --all shows them.');
  else {
    console.log(
      tableOf(
        ['TEAM/NAME', 'ROLE', 'STATE', 'BEGINS', 'USED', 'ENDS', 'ID'],
        keys.map(({ id, team, name, role, state, prefix, lastUsedAt, expiresAt, replacedBy }) => [
          `${team}/${name}`,
          role,
          replacedBy !== null && state === 'active' ? 'replaced' : state,
          prefix,
          momentOf(lastUsedAt),
          momentOf(expiresAt),
          id,
        ]),
      ),
    );
  }
}

async function show(which: string, options: AdminOptions): Promise<void> {
  const key = await withAccess(options, (access) => keyNamed(access, which, true));
  if (options.json) {
    console.log(JSON.stringify(key, null, 2));
    return;
  }
  for (const [field, value] of Object.entries(key)) {
    const text = value === null ? '-' : typeof value === 'object' ? JSON.stringify(value) : String(value);
    console.log(`${field.padEnd(15)} ${plain(text)}`);
  }
}

async function rotate(
  which: string,
  options: AdminOptions & { readonly overlap?: number; readonly expires?: string; readonly out?: string },
): Promise<void> {
  const { overlap, expires, out, json } = options;
  refuseTaken(out);
  await withAccess(options, async (access) => {
    const { id } = await keyNamed(access, which);
    const body = given({ overlapMinutes: overlap, expiresAt: expires });
    const made = await access.call<MadeKey>('POST', `/v1/admin/keys/${encodeURIComponent(id)}/rotate`, body);
    const old = await access.call<KeyView>('GET', `/v1/admin/keys/${encodeURIComponent(id)}`);
    tell(made, access, {
      out,
      json,
      how: ` in the place of ${old.prefix}…, which works until ${momentOf(old.expiresAt)} UTC`,
    });
  });
}

/** By a name all that still work: a key that was replaced may, until its overlap is over. */
async function revoke(which: string, options: AdminOptions & { readonly force?: boolean }): Promise<void> {
  await withAccess(options, async (access) => {
    const found = await keyNamed(access, which);
    const isNamed = which === found.name || which === `${found.team}/${found.name}`;
    const same = ({ team, name, state }: KeyView) => team === found.team && name === found.name && state === 'active';
    const others = isNamed ? (await allKeys(access, found.team)).filter((key) => same(key) && key.id !== found.id) : [];
    const query = options.force ? '?force=true' : '';
    const revoked: KeyView[] = [];
    for (const { id } of [...others, found]) {
      revoked.push(await access.call<KeyView>('DELETE', `/v1/admin/keys/${encodeURIComponent(id)}${query}`));
    }
    if (options.json) console.log(JSON.stringify(revoked, null, 2));
    else {
      const which = revoked.map(({ prefix }) => `${prefix}…`).join(' and ');
      console.log(`${plain(`${found.team}/${found.name}`)} is revoked: no gateway takes ${which} two seconds from now`);
    }
  });
}

/** The key alone goes to stdout, so that it can go into a file; what to do with it to stderr. */
function tell(
  { key, secret }: MadeKey,
  { url, where }: AdminAccess,
  {
    out,
    json = false,
    how,
  }: { readonly out: string | undefined; readonly json: boolean | undefined; readonly how: string },
): void {
  const name = `${key.team}/${key.name}`;
  const kept = out === undefined ? undefined : keep(out, secret);
  if (json) {
    console.log(JSON.stringify(kept === undefined ? { key, secret } : { key, file: kept }, null, 2));
    return;
  }
  const end = key.expiresAt === null ? 'no end' : `until ${momentOf(key.expiresAt)} UTC`;
  console.error(`Key ${plain(name)} (${key.role}, ${end}) is made${how}, by ${where}.`);
  if (kept === undefined) {
    console.error('It is shown this once. Keep it where your program reads its secrets:\n');
    console.log(secret);
  } else console.error(`It is in ${kept}, for its owner alone to read, and nowhere else.`);
  const at = url ?? 'http://127.0.0.1:8787';
  const value = kept === undefined ? '$POINTSMAN_KEY' : `$(cat ${quoted(kept)})`;
  if (!key.scopes.includes('call')) {
    console.error(`\nIt calls no models. Sign in with it at ${at}/dashboard`);
    return;
  }
  console.error(`
Try it:
${kept === undefined ? '\n  export POINTSMAN_KEY=…    the key' : ''}
  curl ${at}/v1/chat/completions -H "authorization: Bearer ${value}" \\
    -H 'content-type: application/json' \\
    -d '{"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}'

In the SDKs of OpenAI it is apiKey, and baseURL is ${at}/v1. It also opens the
dashboard, ${at}/dashboard. A budget for it:

  pointsman budgets create ${quoted(key.name)} --team ${quoted(key.team)} --key ${quoted(key.name)} --usd 50`);
}

/** A file that is there is not replaced: it may hold the only copy of another key. @throws `INVALID_CONFIG` */
function refuseTaken(path: string | undefined): void {
  if (path === undefined) return;
  if (!existsSync(path)) {
    // Now: a key that is made and cannot be kept is better not made.
    try {
      accessSync(dirname(resolve(path)), constants.W_OK);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new RoutingError('INVALID_CONFIG', `${path} cannot be written (${code}); name another file with --out`);
    }
  }
  throw new RoutingError('INVALID_CONFIG', `${path} is there already; move it away, or name another file with --out`);
}

/** @returns undefined where it cannot be written: the key is made and nowhere else, so it is better shown than lost */
function keep(path: string, secret: string): string | undefined {
  try {
    writeFileSync(path, `${secret}\n`, { mode: 0o600, flag: 'wx' });
    return path;
  } catch (error) {
    console.error(`${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
    return undefined;
  }
}

async function allKeys(access: AdminAccess, team: string | undefined): Promise<KeyView[]> {
  const keys: KeyView[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams(given({ team, cursor: cursor ?? undefined }) as Record<string, string>);
    const page: KeyPage = await access.call('GET', `/v1/admin/keys?${query}`);
    keys.push(...page.keys);
    cursor = page.next;
  } while (cursor !== null);
  return keys;
}

/**
 * By id, name or team/name; of several of a name the one that works and was not replaced.
 * @param orPast also one that works no longer
 */
async function keyNamed(access: AdminAccess, which: string, orPast = false): Promise<KeyView> {
  const keys = await allKeys(access, undefined);
  const named = keys.filter(
    ({ id, team, name, prefix }) => id === which || name === which || `${team}/${name}` === which || prefix === which,
  );
  const working = named.filter(({ state, replacedBy }) => state === 'active' && replacedBy === null);
  const found = named.find(({ id }) => id === which) ?? (working.length === 1 ? working[0] : undefined);
  if (found !== undefined) return found;
  if (working.length > 1) {
    const names = working.map(({ team, name }) => `${team}/${name}`).join(', ');
    throw new RoutingError('INVALID_REQUEST', `several keys are called ${which}: say which of ${names}`);
  }
  if (orPast && named.length > 0) return named[0]!;
  const why = named.length > 0 ? `${which} works no longer` : `there is no key ${which}`;
  throw new RoutingError('NOT_FOUND', `${why}; pointsman keys list --all shows all`);
}
