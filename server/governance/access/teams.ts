/** Teams and their projects: made, changed, archived and brought back by people, beside those of the configuration. */
import { eq, isNull } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { RoutingError } from '../../../datasets/errors.ts';
import { asked } from '../../db/connection.ts';
import { teams } from '../../db/schema.ts';
import { type Access, changedNow, changing, hasAdmin, isConfigured, lastAdmin, teamRow } from './access.ts';
import { audit } from './audit.ts';
import { type By, parse } from './keys.ts';
import { NewTeam, TeamChanges, type TeamRow, type TeamSettings, type TeamView, teamSettingsOf } from './records.ts';
import { noTeam, reaches, reachOf } from './roles.ts';

/** By name; archived ones, too. @param team null: all */
export async function listTeams({ store, config }: Access, team: string | null): Promise<TeamView[]> {
  const rows = await asked(store.db.select().from(teams));
  const names = new Set([
    'default',
    ...rows.map(({ name }) => name),
    ...Object.keys(config.teams),
    ...config.keys.map(({ tenant }) => tenant),
  ]);
  return [...names]
    .filter((name) => team === null || name === team)
    .sort()
    .map((name) => teamView({ config }, name, rows.find((row) => row.name === name) ?? null));
}

/** The settings of those that are not archived, by name: for who has no gateway that knows them. @throws `DATABASE_UNAVAILABLE` */
export async function storedTeams(db: PgRemoteDatabase): Promise<ReadonlyMap<string, TeamSettings>> {
  const rows = await asked(db.select().from(teams).where(isNull(teams.archivedAt)));
  return new Map(rows.map((row) => [row.name, teamSettingsOf(row)]));
}

/** @throws `FORBIDDEN` for anybody but an admin, `CONFLICT` for a name that is taken */
export async function createTeam(access: Access, wanted: NewTeam, by: By): Promise<TeamView> {
  const { name, description, projects, ...settings } = parse(NewTeam, wanted);
  if (reachOf(by.actor) !== null) throw adminsOnly();
  refuseConfigured(access, name, settings);
  return changing(access, by.actor, async (db) => {
    const there = await teamRow(db, name);
    if (there !== null) {
      const how = there.archivedAt === null ? '' : ' in the archive: bring it back with archived: false';
      throw new RoutingError('CONFLICT', `name: there is a team ${JSON.stringify(name)}${how}`);
    }
    const unique = [...new Set(projects)];
    const details = { description, projects: unique, ...settings };
    await audit(db, { ...by, action: 'team.create', subject: name, team: name, details });
    const dates = { createdAt: new Date(), changedAt: changedNow as unknown as Date };
    const [row] = await asked(
      db
        .insert(teams)
        .values({ name, description, projects: unique, settings, ...dates })
        .returning(),
    );
    return teamView(access, name, row!);
  });
}

/** What a team's own manager may set; what binds others, or what is kept of its requests, is an admin's. */
const OWN: ReadonlySet<string> = new Set(['description', 'projects', 'exploration', 'canary']);

/** A team of the configuration gets a row with its first change. @throws `NOT_FOUND`, `FORBIDDEN`, `CONFLICT` */
export async function updateTeam(access: Access, name: string, wanted: TeamChanges, by: By): Promise<TeamView> {
  const { force = false, archived, description, projects, ...settings } = parse(TeamChanges, wanted);
  if (!reaches(by.actor, name)) throw noTeam(name);
  if (!by.actor.scopes.has('admin')) {
    const beyond = Object.keys(wanted).find((field) => !OWN.has(field));
    if (beyond !== undefined) throw new RoutingError('FORBIDDEN', `${beyond}: only an admin may set it`);
  }
  refuseConfigured(access, name, settings);
  return changing(access, by.actor, async (db) => {
    const before = await teamRow(db, name);
    if (before === null && !isConfigured(access, name)) throw noTeam(name);
    if (archived === true) refuseArchiving(access, name);
    if (archived === true && !force && !(await hasAdmin(db, access, { team: name }))) throw lastAdmin();
    const archivedAt = archived === undefined ? (before?.archivedAt ?? null) : archived ? new Date() : null;
    const next = {
      description: description ?? before?.description ?? '',
      projects: [...new Set(projects ?? before?.projects ?? [])],
      settings: withChanges(before === null ? {} : teamSettingsOf(before), settings),
      archivedAt,
      changedAt: changedNow as unknown as Date,
    };
    const action = archived === true ? 'team.archive' : archived === false ? 'team.restore' : 'team.update';
    const { force: _, ...after } = wanted;
    const details = { before: before === null ? null : shown(before), after };
    await audit(db, { ...by, action, subject: name, team: name, details });
    const [row] =
      before === null
        ? await asked(
            db
              .insert(teams)
              .values({ name, createdAt: new Date(), ...next })
              .returning(),
          )
        : await asked(db.update(teams).set(next).where(eq(teams.name, name)).returning());
    return teamView(access, name, row!);
  });
}

/** Its keys work no longer; nothing is deleted. @throws `NOT_FOUND`, `FORBIDDEN`, `CONFLICT` where no admin's key would be left */
export async function archiveTeam(
  access: Access,
  name: string,
  { force = false, ...by }: By & { readonly force?: boolean | undefined },
): Promise<TeamView> {
  return updateTeam(access, name, { archived: true, force }, by);
}

/** Keys of the configuration are the operator's: an archived team whose keys work would be none. @throws `CONFLICT` */
function refuseArchiving({ config }: Access, name: string): void {
  if (name === 'default') throw new RoutingError('CONFLICT', 'the team default is always there');
  if (config.keys.some(({ tenant }) => tenant === name)) {
    throw new RoutingError('CONFLICT', `${name} has keys in the configuration; take those out first`);
  }
}

/** The configuration wins: what would have no effect is refused rather than kept. @throws `CONFLICT` */
function refuseConfigured({ config }: Access, name: string, settings: object): void {
  const set = Object.entries(settings).filter(([, value]) => value !== undefined);
  if (set.length === 0 || !Object.hasOwn(config.teams, name)) return;
  throw new RoutingError('CONFLICT', `${set[0]![0]}: the configuration says what holds for ${name} (teams.${name})`);
}

function withChanges(before: TeamSettings, changes: object): TeamSettings {
  const next: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete next[name];
    else if (value !== undefined) next[name] = value;
  }
  return next as TeamSettings;
}

const shown = ({ description, projects, settings, archivedAt }: TeamRow): object => ({
  ...{ description, projects, archived: archivedAt !== null },
  ...settings,
});

function teamView(access: Pick<Access, 'config'>, name: string, row: TeamRow | null): TeamView {
  const configured = Object.hasOwn(access.config.teams, name) ? access.config.teams[name] : undefined;
  return {
    name,
    description: row?.description ?? '',
    projects: row?.projects ?? [],
    settings: configured ?? (row === null ? {} : teamSettingsOf(row)),
    source: row === null ? 'configuration' : isConfigured(access as Access, name) ? 'both' : 'database',
    createdAt: row?.createdAt.toISOString() ?? null,
    archivedAt: row?.archivedAt?.toISOString() ?? null,
  };
}

const adminsOnly = (): RoutingError => new RoutingError('FORBIDDEN', 'only an admin may make teams');
