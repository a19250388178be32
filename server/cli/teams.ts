/** `pointsman teams`: teams and their projects are made, listed, changed and archived. */
import { Command } from 'commander';
import type { TeamView } from '../governance/access/records.ts';
import { type AdminOptions, WHERE_HELP, withAccess, withAdmin } from './admin-access.ts';
import { given, list, momentOf, plain, quoted, tableOf } from './admin-text.ts';

const HELP = `
A team is whose requests are counted, limited and kept together: its keys see its
usage and nobody else's. The team default is always there. What a team of
pointsman.yaml may do is said there (teams.NAME), and wins.

Examples
  pointsman teams create search --description 'Search and ranking' --projects web,mobile
  pointsman keys create web --team search --project web
  pointsman budgets create search --team search --usd 500
  pointsman teams archive search       its keys work no longer; nothing is deleted
  pointsman teams restore search
${WHERE_HELP}`;

interface Changes extends AdminOptions {
  readonly description?: string;
  readonly projects?: string[];
}

export function teamsCommand(): Command {
  const command = new Command('teams').description('Makes and archives teams.').addHelpText('after', HELP);
  withAdmin(command.command('create'))
    .description('makes a team')
    .argument('<name>')
    .option('--description <text>', 'what it is, for people')
    .option('--projects <list>', 'what its keys may be for', list)
    .action((name: string, options: Changes) => change('POST', '', options, { name }));
  withAdmin(command.command('list')).description('lists teams, archived ones too').action(listThem);
  withAdmin(command.command('update'))
    .description('changes what is said of a team; what is not named stays')
    .argument('<name>')
    .option('--description <text>', 'what it is, for people')
    .option('--projects <list>', 'what its keys may be for, all of them', list)
    .action((name: string, options: Changes) => change('PATCH', name, options, {}));
  withAdmin(command.command('archive'))
    .description('ends a team: its keys work no longer, nothing is deleted')
    .argument('<name>')
    .option('--force', 'also where no admin’s key would be left')
    .action((name: string, options: AdminOptions & { readonly force?: boolean }) =>
      change('PATCH', name, options, { archived: true, ...(options.force === true && { force: true }) }),
    );
  withAdmin(command.command('restore'))
    .description('brings an archived team back, with its keys')
    .argument('<name>')
    .action((name: string, options: AdminOptions) => change('PATCH', name, options, { archived: false }));
  return command;
}

async function change(method: 'POST' | 'PATCH', name: string, options: Changes, more: object): Promise<void> {
  const { description, projects, json } = options;
  const path = `/v1/admin/teams${name === '' ? '' : `/${encodeURIComponent(name)}`}`;
  const body = { ...more, ...given({ description, projects }) };
  const team = await withAccess(options, (access) => access.call<TeamView>(method, path, body));
  if (json) console.log(JSON.stringify(team, null, 2));
  else if (method === 'POST')
    console.log(`Team ${plain(team.name)} is made: pointsman keys create NAME --team ${quoted(plain(team.name))}`);
  else
    console.log(
      `Team ${plain(team.name)}: ${team.archivedAt === null ? 'changed' : 'archived, its keys work no longer'}`,
    );
}

async function listThem(options: AdminOptions): Promise<void> {
  const { teams } = await withAccess(options, (access) =>
    access.call<{ teams: readonly TeamView[] }>('GET', '/v1/admin/teams'),
  );
  if (options.json) {
    console.log(JSON.stringify(teams, null, 2));
    return;
  }
  console.log(
    tableOf(
      ['TEAM', 'PROJECTS', 'FROM', 'SINCE', 'ARCHIVED', 'DESCRIPTION'],
      teams.map(({ name, projects, source, createdAt, archivedAt, description }) => [
        name,
        projects.join(',') || '-',
        source,
        momentOf(createdAt),
        momentOf(archivedAt),
        description,
      ]),
    ),
  );
}
