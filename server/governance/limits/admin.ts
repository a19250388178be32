/** Limits are made, changed and removed by people: who may do what, and that it is written down. */
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { z } from 'zod';
import { RoutingError } from '../../../datasets/errors.ts';
import { firstIssue, PLAIN } from '../../../datasets/plain-issues.ts';
import type { Caller } from '../../callers.ts';
import type { SqlStore } from '../../db/store.ts';
import { actorOf, audit } from '../access/audit.ts';
import { reachOf, teamWithin } from '../access/roles.ts';
import { BudgetConfig, RateConfig } from './config.ts';
import type { Limits } from './limits.ts';
import { type Places, unknownNames, unknownPlaces } from './names.ts';
import { addLimit, changeLimit, readLimits, removeLimit } from './rows.ts';
import type { Limit, Whose } from './terms.ts';
import { isSeen, mayChange } from './views.ts';

const EMPTY = 'must say requestsPerMinute or tokensPerMinute';
const saysSomething = (rate: { requestsPerMinute?: number | undefined; tokensPerMinute?: number | undefined }) =>
  rate.requestsPerMinute !== undefined || rate.tokensPerMinute !== undefined;

const allowUnknown = z
  .boolean()
  .optional()
  .describe('Also for a team, project or key that there is not: it is to be made later.');

export const NewLimit = z.discriminatedUnion(
  'kind',
  [
    BudgetConfig.extend({ kind: z.literal('budget'), allowUnknown }),
    RateConfig.extend({ kind: z.literal('rate'), allowUnknown }).refine(saysSomething, EMPTY),
  ],
  'must be budget or rate',
);
export type NewLimit = z.infer<typeof NewLimit>;

const { name, usd, period, softShare, softDial, notifyAt } = BudgetConfig.shape;

/** What is left out stays. Whom it is for stays, too: another is another limit. */
export const BudgetChanges = z.strictObject({
  name: name.optional(),
  usd: usd.optional(),
  period: period.unwrap().optional(),
  softShare: softShare.unwrap().optional(),
  softDial: softDial.unwrap().optional(),
  notifyAt: notifyAt.unwrap().optional(),
});

/** Null: this is counted no more. */
export const RateChanges = z.strictObject({
  name: name.optional(),
  requestsPerMinute: RateConfig.shape.requestsPerMinute.nullable(),
  tokensPerMinute: RateConfig.shape.tokensPerMinute.nullable(),
});

export interface By {
  readonly actor: Caller;
  readonly requestId: string | null;
}

interface Place {
  readonly limits: Limits;
  readonly store: SqlStore;
  /** Models and providers that there are; absent: nobody knows. */
  readonly places?: (() => Places) | undefined;
}

export interface MadeLimit {
  readonly id: string;
  /** What is most likely a slip, in words: it names no model, or no provider, that there is. */
  readonly warnings: readonly string[];
}

/** Changes of limits go one after the other, over all replicas. */
const CHANGING = 0x6c696d69;
const MOST_LIMITS = 10_000;

/**
 * @param wanted of a team unless an admin makes it; a manager's is for keys, projects or tags of the team
 * @throws `INVALID_REQUEST` also for a team, project or key that there is not, `FORBIDDEN`, `NOT_FOUND` for another team,
 *   `CONFLICT` for a name that is taken, `LIMIT_REACHED`
 */
export async function makeLimit(
  { limits, store, places }: Place,
  body: unknown,
  { actor, requestId }: By,
): Promise<MadeLimit> {
  const { allowUnknown = false, ...wanted } = parsed(NewLimit, body);
  const isAdmin = actor.scopes.has('admin');
  const team = isAdmin ? wanted.team : (teamWithin(actor, wanted.team) ?? undefined);
  if (!isAdmin) {
    const isNarrow = wanted.key !== undefined || wanted.project !== undefined || wanted.tag !== undefined;
    if (!isNarrow || team === undefined || team === '*') {
      throw new RoutingError(
        'FORBIDDEN',
        'a limit for a whole team is an admin’s to make: name a key, a project or a tag of your team',
      );
    }
  }
  if (!allowUnknown) await refuseUnknown(limits, { ...wanted, team });
  const terms = { ...wanted, ...(team !== undefined && { team }), madeBy: isAdmin ? 'admin' : 'manager' };
  const id = await store.alone(CHANGING, async (db) => {
    const all = await allOf(limits, db);
    refuseTaken(all, wanted.kind, wanted.name, team);
    if (all.length >= MOST_LIMITS) throw new RoutingError('LIMIT_REACHED', `there are ${MOST_LIMITS} limits`);
    await audit(db, {
      actor,
      action: `${wanted.kind}.create`,
      subject: wanted.name,
      team: team ?? null,
      details: terms,
      requestId,
    });
    return addLimit(db, terms, actorOf(actor));
  });
  await limits.reload();
  return { id, warnings: places === undefined ? [] : unknownPlaces(wanted, places()).map(({ message }) => message) };
}

/** @throws `INVALID_REQUEST` naming what there is */
async function refuseUnknown(limits: Limits, whose: Whose): Promise<void> {
  // It may have been made on another replica a moment ago.
  await limits.keys.look();
  const [unknown] = unknownNames(whose, limits.names);
  if (unknown === undefined) return;
  throw new RoutingError(
    'INVALID_REQUEST',
    `${unknown.field}: ${unknown.message} (allowUnknown, or --unknown-ok, makes it all the same)`,
  );
}

/** @throws `INVALID_REQUEST`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT` for one of the configuration or a name that is taken */
export async function editLimit(
  { limits, store }: Place,
  id: string,
  body: unknown,
  { actor, requestId }: By,
): Promise<void> {
  await store.alone(CHANGING, async (db) => {
    const all = await allOf(limits, db);
    const { id: _, kind, ...before } = changeable(all, id, actor);
    const changes = parsed<Record<string, unknown>>(kind === 'budget' ? BudgetChanges : RateChanges, body);
    const terms: Record<string, unknown> = { ...before };
    for (const [field, value] of Object.entries(changes)) {
      if (value === null) delete terms[field];
      else if (value !== undefined) terms[field] = value;
    }
    if (kind === 'rate' && !saysSomething(terms)) throw new RoutingError('INVALID_REQUEST', `body: ${EMPTY}`);
    if (terms.name !== before.name) refuseTaken(all, kind, String(terms.name), before.team);
    const was = Object.fromEntries(Object.keys(changes).map((field) => [field, before[field as 'name']]));
    const details = { id, before: was, after: changes };
    await audit(db, {
      actor,
      action: `${kind}.update`,
      subject: before.name,
      team: before.team ?? null,
      details,
      requestId,
    });
    if (!(await changeLimit(db, id, terms))) throw gone();
  });
  await limits.reload();
}

/** @throws `FORBIDDEN`, `NOT_FOUND`, `CONFLICT` for one of the configuration */
export async function dropLimit({ limits, store }: Place, id: string, { actor, requestId }: By): Promise<void> {
  await store.alone(CHANGING, async (db) => {
    const { kind, name, team = null, ...details } = changeable(await allOf(limits, db), id, actor);
    await audit(db, { actor, action: `${kind}.remove`, subject: name, team, details, requestId });
    if (!(await removeLimit(db, id))) throw gone();
  });
  await limits.reload();
}

/** Those that are in force now, whatever this replica has heard. */
const allOf = async (limits: Limits, db: PgRemoteDatabase): Promise<Limit[]> => [
  ...limits.configured,
  ...(await readLimits(db)),
];

function changeable(all: readonly Limit[], id: string, actor: Caller): Limit {
  const limit = all.find((one) => one.id === id);
  if (limit === undefined || !isSeen(limit, reachOf(actor))) throw gone();
  if (mayChange(actor, limit)) return limit;
  if (limit.madeBy === 'configuration') {
    throw new RoutingError('CONFLICT', 'this limit is in the configuration of the gateway, and changed there');
  }
  throw new RoutingError('FORBIDDEN', 'this limit was made by an admin, who alone may change it');
}

/** Two of one name could not be told apart in a message. @throws `CONFLICT` */
function refuseTaken(all: readonly Limit[], kind: Limit['kind'], name: string, team: string | undefined): void {
  if (!all.some((one) => one.kind === kind && one.name === name && one.team === team)) return;
  throw new RoutingError('CONFLICT', `there is a ${kind} of the name ${JSON.stringify(name)} already`);
}

const gone = (): RoutingError => new RoutingError('NOT_FOUND', 'no limit of that id; GET /v1/admin/limits lists them');

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const { success, data, error } = schema.safeParse(body, PLAIN);
  if (success) return data;
  if (body === undefined) throw new RoutingError('INVALID_REQUEST', 'body: missing; send a JSON object');
  throw new RoutingError('INVALID_REQUEST', firstIssue(error.issues));
}
