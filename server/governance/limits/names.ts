/** Whether there is anybody by the names that a limit goes by: one for a team that is misspelt bounds nothing, and looks as if it did. */

import { isAmong } from '../../callers.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import { nearest } from '../../nearest.ts';
import type { KeyChains } from './carry-over.ts';
import { isId } from './matching.ts';
import type { Whose } from './terms.ts';

export interface Names {
  readonly teams: ReadonlySet<string>;
  /** Also keys that work no longer; `id` null for those of the configuration. */
  readonly keys: readonly {
    readonly team: string;
    readonly name: string;
    readonly id: string | null;
    /** It does not work any more. */
    readonly isOver: boolean;
    /** Where its rotation chain begins. */
    readonly first?: string;
  }[];
  readonly projects: readonly { readonly team: string; readonly name: string }[];
}

/** Models and providers that could be asked for. */
export interface Places {
  readonly models: readonly string[];
  readonly providers: readonly string[];
  /** Providers of whose models nothing is written down: any may be meant. */
  readonly openProviders: readonly string[];
}

/** A name that nobody has. */
export interface UnknownName {
  readonly field: 'team' | 'project' | 'key' | 'model' | 'provider';
  /** For people, with names that there are. */
  readonly message: string;
}

/** @param chains of the database's keys and teams */
export function namesOf(config: Pick<GatewayConfig, 'keys' | 'teams'>, { chains, places }: KeyChains): Names {
  const ofConfig = config.keys.map(({ tenant, name, project }) => ({
    team: tenant,
    name,
    id: null,
    project,
    isOver: false,
  }));
  const keys = [...ofConfig, ...chains];
  return {
    keys,
    teams: new Set([
      'default',
      ...Object.keys(config.teams),
      ...keys.map(({ team }) => team),
      ...places.map(({ team }) => team),
    ]),
    projects: [
      ...places.flatMap(({ team, projects }) => projects.map((name) => ({ team, name }))),
      ...keys.flatMap(({ team, project }) => (project == null ? [] : [{ team, name: project }])),
    ],
  };
}

/** Teams, projects and keys that there are not. */
export function unknownNames({ team, project, key }: Whose, { teams, keys, projects }: Names): UnknownName[] {
  const found: UnknownName[] = [];
  if (isName(team) && !teams.has(team)) {
    return [{ field: 'team', message: `there is no team ${quoted(team)}${hint(team, teams)}` }];
  }
  const within = isName(team) ? ` in ${team}` : '';
  const isWithin = (one: { readonly team: string }) => !isName(team) || one.team === team;
  if (isName(project)) {
    const names = projects.filter(isWithin).map(({ name }) => name);
    if (!names.includes(project)) {
      const message = `there is no project ${quoted(project)}${within}${hint(project, names)}`;
      found.push({ field: 'project', message });
    }
  }
  if (isName(key)) {
    const some = keys.filter(isWithin);
    if (isId(key) && !some.some(({ id }) => id === key)) {
      found.push({ field: 'key', message: `there is no key of the id ${key}${within}` });
    }
    const names = some.map(({ name }) => name);
    if (!isId(key) && !names.includes(key)) {
      found.push({ field: 'key', message: `there is no key ${quoted(key)}${within}${hint(key, names)}` });
    }
  }
  return found;
}

/**
 * Whom a limit is for that is not there, or not any more: it was renamed, revoked or never made. Without names of others, since
 * managers see it; quick for many limits.
 */
export function missingIn({ teams, keys, projects }: Names): (whose: Whose) => string[] {
  const there = new Set<string>();
  const put = (kind: 'key' | 'project', team: string, name: string) =>
    there.add(placed(kind, team, name)).add(placed(kind, undefined, name));
  const chainOf = new Map(keys.flatMap(({ id, first }) => (id === null ? [] : [[id, first ?? id] as const])));
  for (const { team, name, id, isOver } of keys) {
    if (isOver) continue;
    put('key', team, name);
    // An id stands for its whole rotation chain.
    if (id !== null) put('key', team, chainOf.get(id)!);
  }
  for (const { team, name } of projects) put('project', team, name);
  return ({ team, project, key }) => {
    if (isName(team) && !teams.has(team)) return [`there is no team ${quoted(team)}`];
    const within = isName(team) ? team : undefined;
    const found: string[] = [];
    const isThere = (kind: 'key' | 'project', name: string) => there.has(placed(kind, within, name));
    if (isName(project) && !isThere('project', project)) found.push(`there is no project ${quoted(project)}`);
    if (isName(key) && !isThere('key', chainOf.get(key) ?? key)) {
      found.push(isId(key) ? `no key of the id ${key} works` : `no key that works is called ${quoted(key)}`);
    }
    return found;
  };
}

const placed = (kind: string, team: string | undefined, name: string): string => JSON.stringify([kind, team, name]);

/** Models and providers that nothing could be asked of as things are. Whose they are may change any day, so this is no fault. */
export function unknownPlaces({ model, provider }: Whose, { models, providers, openProviders }: Places): UnknownName[] {
  const found: UnknownName[] = [];
  const isOpen = openProviders.some((one) => model?.startsWith(`${one}/`) === true || model === '*');
  if (model !== undefined && !isOpen && !models.some((id) => isAmong(id, [model]))) {
    const message = `no model that is known here is called ${quoted(model)}${model.includes('*') ? '' : hint(model, models)}`;
    found.push({ field: 'model', message });
  }
  if (provider !== undefined && !providers.some((one) => isAmong(one, [provider]))) {
    const message = `no provider here is called ${quoted(provider)}${hint(provider, providers)}`;
    found.push({ field: 'provider', message });
  }
  return found;
}

/** `*` stands for each. */
const isName = (said: string | undefined): said is string => said !== undefined && said !== '*';

const MOST_TOLD = 5;

function hint(name: string, known: Iterable<string>): string {
  const names = [...new Set(known)].sort();
  const guess = nearest(name, names);
  if (guess !== undefined) return `; did you mean ${guess}?`;
  const more = names.length > MOST_TOLD ? ` and ${names.length - MOST_TOLD} more` : '';
  return names.length === 0
    ? ''
    : `; there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, MOST_TOLD).join(', ')}${more}`;
}

const quoted = (name: string): string => JSON.stringify(name.slice(0, 100));
