/** `pointsman import litellm-keys`: keys, teams, budgets and rates of LiteLLM, so that no client has to change. */
import { RoutingError } from '../../../datasets/index.ts';
import type { LiteLlmImported } from '../../governance/access/litellm-keys.ts';
import type { LimitView } from '../../governance/limits/views.ts';
import { type AdminAccess, type AdminOptions, withAccess } from '../admin-access.ts';
import { plain } from '../admin-text.ts';
import { type PlannedLimit, planOf } from './access-plan.ts';
import { accessInDatabase, accessInFile } from './access-source.ts';

export interface ImportKeysOptions extends AdminOptions {
  readonly from?: string;
  readonly dryRun?: boolean;
}

/** A body has its bound: so many keys go at once. */
const BATCH = 5000;

export async function importLiteLlmKeys(file: string | undefined, options: ImportKeysOptions): Promise<void> {
  const { dryRun = false, json = false } = options;
  const from = options.from ?? process.env.LITELLM_DATABASE_URL;
  if ((file === undefined) === (from === undefined)) {
    throw new RoutingError('INVALID_REQUEST', 'give an export file, or --from URL of LiteLLM’s database, and not both');
  }
  const plan = planOf(file === undefined ? await accessInDatabase(from!) : await accessInFile(file));
  await withAccess(options, async (access) => {
    const teams: string[] = [];
    const keys: LiteLlmImported['keys'][number][] = [];
    for (let i = 0; i < Math.max(1, plan.keys.length); i += BATCH) {
      const part = { teams: i === 0 ? plan.teams : [], keys: plan.keys.slice(i, i + BATCH), dryRun };
      const done: LiteLlmImported = await access.call('POST', '/v1/admin/import/litellm', part);
      teams.push(...done.teams);
      keys.push(...done.keys);
    }
    // A key may have got another name here, which its limits go by.
    const names = new Map(plan.keys.map(({ team, name }, i) => [`${team}\n${name}`, keys[i]!.name]));
    const limits = plan.limits.map((limit) =>
      limit.key === undefined ? limit : { ...limit, key: names.get(`${limit.team}\n${limit.key}`)! },
    );
    const madeLimits = await makeLimits(access, limits, dryRun);
    const count = (done: string) => keys.filter((key) => key.done === done).length;
    const told = { dryRun, teams, keys, limits: madeLimits, left: plan.left };
    if (json) {
      console.log(JSON.stringify(told, null, 2));
      return;
    }
    for (const line of plan.left) console.error(plain(line));
    const would = dryRun ? 'would be ' : '';
    console.log(
      `keys     ${count('made')} ${would}taken over, ${count('there')} there already, ${count('revoked')} ${would}revoked`,
    );
    console.log(`teams    ${teams.length} ${would}made`);
    console.log(`limits   ${madeLimits.length} ${would}made of ${limits.length}`);
    if (plan.left.length > 0) console.log(`notes    ${plan.left.length}, above`);
    if (!dryRun) console.log('\nClients go on with the keys they have: give them this gateway’s address.');
  });
}

/** @returns names of those that were not there */
async function makeLimits(access: AdminAccess, wanted: readonly PlannedLimit[], dryRun: boolean): Promise<string[]> {
  const { limits }: { limits: readonly LimitView[] } = await access.call('GET', '/v1/admin/limits');
  const there = new Set(limits.map(({ kind, name, team }) => `${kind}\n${team}\n${name}`));
  const made: string[] = [];
  for (const limit of wanted) {
    if (there.has(`${limit.kind}\n${limit.team}\n${limit.name}`)) continue;
    if (!dryRun) await access.call('POST', '/v1/admin/limits', limit);
    made.push(limit.name);
  }
  return made;
}
