/** Names in a policy that match nothing that is known: most likely slips, and a slip in a deny-list lets through what was meant. */
import { isAmong } from '../../callers.ts';
import { nearest } from '../../nearest.ts';
import type { PolicyDocument, When } from './document.ts';
import type { Known } from './known.ts';
import { reaches } from './patterns.ts';

/** One line for each, for people; none of them makes the policy invalid. */
export function suspectsIn({ rules, examples }: PolicyDocument, known: Known): string[] {
  const found: string[] = [];
  const look = (where: string, what: string, names: readonly string[] | undefined, all: readonly string[]) => {
    for (const name of names ?? []) {
      if (all.some((one) => isAmong(one.toLowerCase(), [name.toLowerCase()]))) continue;
      const guess = name.includes('*') ? undefined : nearest(name, all);
      const hint = guess === undefined ? '' : `; did you mean ${guess}?`;
      found.push(`${where}: no ${what} here is called ${name}${hint}`);
    }
  };
  /** Of a provider whose models nobody has written down, any name may be right. */
  const lookForModels = (where: string, ids: readonly string[] | undefined, all: readonly string[]) => {
    const checked = ids?.filter((id) => !known.openProviders.some((provider) => reaches(id, `${provider}/`)));
    look(where, 'model', checked, all);
  };
  /** Of names that the database may know beside the configuration, only what looks like a slip. */
  const lookForSlips = (where: string, what: string, names: When['teams'], all: readonly string[]) => {
    const slips = [...(names?.any ?? []), ...(names?.none ?? [])].filter((name) => nearest(name, all) !== undefined);
    look(where, what, slips, all);
  };
  for (const { name, when, models, providers, regions, verifiers } of rules) {
    const where = `rule ${name}`;
    lookForModels(`${where}: models.allow`, models?.allow, known.models);
    lookForModels(`${where}: models.deny`, models?.deny, known.models);
    look(`${where}: providers.allow`, 'provider', providers?.allow, known.providers);
    look(`${where}: providers.deny`, 'provider', providers?.deny, known.providers);
    look(`${where}: verifiers.allow`, 'verifier', verifiers?.allow, known.verifiers);
    look(
      `${where}: when.surfaces`,
      'surface',
      [...(when.surfaces?.any ?? []), ...(when.surfaces?.none ?? [])],
      SURFACES,
    );
    lookForSlips(`${where}: when.teams`, 'team', when.teams, known.teams);
    lookForSlips(`${where}: when.keys`, 'key', when.keys, known.keys);
    if (regions !== undefined) {
      if (known.regions.length === 0) {
        found.push(
          `${where}: regions.allow: no provider says its region (providers.NAME.region), so nothing is allowed`,
        );
      } else look(`${where}: regions.allow`, 'region', regions.allow, known.regions);
    }
  }
  for (const { name, expect } of examples) {
    const places = [...(expect.allowed ?? []), ...(expect.denied ?? [])];
    // One whose place is written out need not be known.
    const ids = places.flatMap((place) => (typeof place === 'string' ? [place] : []));
    lookForModels(`example ${name}`, ids, [...known.models, ...known.names]);
  }
  if (rules.length > 0 && examples.length === 0) {
    found.push('examples: there are none, so nothing says whether the rules do what they are meant to');
  }
  return found;
}

const SURFACES = [
  ...['chat', 'responses', 'messages', 'embeddings', 'count_tokens', 'route'],
  ...['audio', 'images', 'moderations', 'files', 'batches'],
];
