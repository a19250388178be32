/** `/v1/me`, `/v1/admin/keys`, `/v1/admin/teams` and `/v1/admin/audit`: who may use the gateway, and who changed what. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Gateway } from '../gateway.ts';
import { accessOf } from '../governance/access/access.ts';
import { listAudit } from '../governance/access/audit.ts';
import {
  type By,
  createKey,
  getKey,
  listKeys,
  parse,
  revokeKey,
  rotateKey,
  updateKey,
} from '../governance/access/keys.ts';
import type { KeyChanges, NewKey, NewTeam, Rotation, TeamChanges } from '../governance/access/records.ts';
import { teamWithin } from '../governance/access/roles.ts';
import { archiveTeam, createTeam, listTeams, updateTeam } from '../governance/access/teams.ts';
import type { JsonBody } from './body.ts';

const Team = z.string().min(1).max(100).optional();
const Limit = (most: number) =>
  z.coerce
    .number(`must be a whole number from 1 to ${most}`)
    .int(`must be a whole number from 1 to ${most}`)
    .min(1, `must be a whole number from 1 to ${most}`)
    .max(most, `must be a whole number from 1 to ${most}`);

export const KeysQuery = z.strictObject({
  team: Team,
  cursor: z.string().min(1).max(100).optional(),
  limit: Limit(1000).default(500),
});

export const TeamsQuery = z.strictObject({ team: Team });

export const AuditQuery = z.strictObject({
  team: Team,
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'is not one that was given here')
    .optional(),
  limit: Limit(500).default(100),
});

/** `force`: also where no admin's key would be left. */
export const ForceQuery = z.strictObject({ force: z.stringbool('must be true or false').default(false) });

export function accessRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/v1/me', async ({ caller }) => ({
    kind: caller.kind,
    name: caller.name,
    role: caller.role,
    team: caller.everyTeam === true ? null : caller.tenant,
    project: caller.project,
    scopes: [...caller.scopes],
  }));

  app.get('/v1/admin/keys', async ({ caller, query }) => {
    const { team, ...page } = parse(KeysQuery, query);
    return listKeys(accessOf(gateway), { team: teamWithin(caller, team), ...page });
  });
  app.post('/v1/admin/keys', async (request, reply) => {
    const made = await createKey(accessOf(gateway), bodyOf<NewKey>(request), by(request));
    return reply.code(201).header('location', `/v1/admin/keys/${made.key.id}`).send(made);
  });
  app.get<OfOne>('/v1/admin/keys/:id', async ({ caller, params }) => getKey(accessOf(gateway), params.id, caller));
  app.patch<OfOne>('/v1/admin/keys/:id', async (request) =>
    updateKey(accessOf(gateway), request.params.id, bodyOf<KeyChanges>(request), by(request)),
  );
  app.delete<OfOne>('/v1/admin/keys/:id', async (request) =>
    revokeKey(accessOf(gateway), request.params.id, { ...by(request), ...parse(ForceQuery, request.query) }),
  );
  app.post<OfOne>('/v1/admin/keys/:id/rotate', async (request, reply) => {
    // Without a body nothing in particular is asked for.
    const wanted = request.body === undefined || request.body === null ? {} : bodyOf<Rotation>(request);
    return reply.code(201).send(await rotateKey(accessOf(gateway), request.params.id, wanted, by(request)));
  });

  app.get('/v1/admin/teams', async ({ caller, query }) => {
    const { team } = parse(TeamsQuery, query);
    return { teams: await listTeams(accessOf(gateway), teamWithin(caller, team)) };
  });
  app.post('/v1/admin/teams', async (request, reply) =>
    reply.code(201).send(await createTeam(accessOf(gateway), bodyOf<NewTeam>(request), by(request))),
  );
  app.patch<OfName>('/v1/admin/teams/:name', async (request) =>
    updateTeam(accessOf(gateway), request.params.name, bodyOf<TeamChanges>(request), by(request)),
  );
  app.delete<OfName>('/v1/admin/teams/:name', async (request) =>
    archiveTeam(accessOf(gateway), request.params.name, { ...by(request), ...parse(ForceQuery, request.query) }),
  );

  app.get('/v1/admin/audit', async ({ caller, query }) => {
    const { team, cursor, limit } = parse(AuditQuery, query);
    const before = cursor === undefined ? undefined : Number(cursor);
    const rows = await listAudit(accessOf(gateway).store.db, {
      team: teamWithin(caller, team),
      before,
      limit: limit + 1,
    });
    const entries = rows.slice(0, limit);
    return { entries, next: rows.length > limit ? String(entries.at(-1)!.ordinal) : null };
  });
}

interface OfOne {
  Params: { id: string };
}
interface OfName {
  Params: { name: string };
}

const by = ({ caller, id }: FastifyRequest): By => ({ actor: caller, requestId: id });

/** As it was sent: whoever takes it checks it. */
const bodyOf = <T>({ body }: FastifyRequest): T => (body as JsonBody | undefined)?.json as T;
