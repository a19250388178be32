/** `GET /v1/export/decisions` and `POST /v1/erase`: what a team may do with its part of the log. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN, plainPath } from '../../datasets/plain-issues.ts';
import { demand } from '../callers.ts';
import type { SqlStore, Store } from '../db/store.ts';
import type { Gateway } from '../gateway.ts';
import { withoutSession } from '../privacy/end-user.ts';
import { eraseUser } from '../privacy/erase.ts';
import { exportDecisions } from '../privacy/export.ts';
import { settleRewrite } from '../privacy/rewriting.ts';
import { readBody } from './body.ts';
import { FieldError } from './errors.ts';

const Moment = z.iso
  .datetime({ offset: true, error: 'must be a moment like 2026-11-01T00:00:00Z' })
  .transform((t) => new Date(t));

export const ExportQuery = z.strictObject({
  from: Moment.optional(),
  to: Moment.optional(),
  cursor: z.string().min(1).max(500).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(1000),
  embeddings: z.stringbool().default(false),
});

export const EraseBody = z.strictObject({
  /** The id that the client sent with its requests. */
  user: z.string('the id sent as user, safety_identifier or metadata.user_id').min(1).max(10_000),
});

export function logOwnerRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.addHook('onClose', async () => {
    if ('db' in gateway.store) await settleRewrite(gateway.store as SqlStore);
  });
  app.get('/v1/export/decisions', async ({ caller, query }, reply) => {
    demand(caller, 'export', 'export:embeddings');
    const { success, data, error } = ExportQuery.safeParse(query, PLAIN);
    if (!success) {
      const issue = error.issues[0]!;
      const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
      throw new FieldError(
        plainPath(unknown === undefined ? issue.path : [unknown]),
        unknown === undefined ? issue.message : `no such option; known: ${Object.keys(ExportQuery.shape).join(', ')}`,
      );
    }
    if (data.embeddings) demand(caller, 'export:embeddings');
    const store = sqlStoreOf(gateway.store);
    await store.flush();
    const { lines, next } = await exportDecisions(store, { ...data, tenant: caller.tenant });
    if (next !== null) reply.header('x-pointsman-next-cursor', next);
    return reply.type('application/x-ndjson; charset=utf-8').send(lines.map((line) => `${line}\n`).join(''));
  });

  app.post('/v1/erase', async ({ caller, body }) => {
    demand(caller, 'erase');
    const { value } = readBody(EraseBody, body);
    const store = sqlStoreOf(gateway.store);
    const { endUsers, governance } = gateway;
    await governance.cache.forget(caller.tenant, endUsers.hashes(caller.tenant, withoutSession(value.user)));
    return eraseUser(store, endUsers, caller.tenant, value.user);
  });
}

/** @throws `DATABASE_UNAVAILABLE` where the log is kept in no database */
export function sqlStoreOf(store: Store): SqlStore {
  if ('db' in store) return store as SqlStore;
  throw new RoutingError('DATABASE_UNAVAILABLE', 'this gateway keeps its log in no database');
}
