/** `POST /admin/retrain` and `/admin/rollback`: for the command line, by the token in the gateway's lock file. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import type { JsonBody } from './body.ts';

export interface Admin {
  /** Random; only who may read the data folder knows it. */
  readonly token: string;
  /** Given the request's JSON body; what they return is the reply. */
  retrain(options: unknown): Promise<unknown>;
  rollback(options: unknown): Promise<unknown>;
}

export function adminRoutes(app: FastifyInstance, admin: Admin): void {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${admin.token}`);
  app.register(async (scope) => {
    scope.addHook('onRequest', async ({ headers }) => {
      if (!timingSafeEqual(digest(headers.authorization ?? ''), expected)) {
        throw new RoutingError(
          'UNAUTHORIZED',
          'send authorization: Bearer with the token of the lock file in the data folder',
        );
      }
    });
    scope.post('/admin/retrain', async ({ body }) => admin.retrain(optionsOf(body)));
    scope.post('/admin/rollback', async ({ body }) => admin.rollback(optionsOf(body)));
  });
}

const optionsOf = (body: unknown): unknown => (body as JsonBody | undefined)?.json ?? {};
