/** `/v1/learning/…`: retrainings asked for and followed, what came of them, and the way back; for keys with the scope `learn`. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import { demand } from '../callers.ts';
import { JobOptions, type Learning } from '../learning/jobs/learning.ts';
import type { Job } from '../learning/jobs/rows.ts';
import { readBody } from './body.ts';

const List = z.strictObject({ limit: z.coerce.number().int().min(1).max(500).default(20) });

const NoOptions = z.strictObject({});

export function learningRoutes(app: FastifyInstance, learning: Learning): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', async ({ caller }) => demand(caller, 'learn'));
    scope.post('/v1/learning/retrain', async ({ body }, reply) => {
      const { job, isNew } = await learning.request(optionsIn(JobOptions, body));
      return reply
        .code(202)
        .header('location', `/v1/learning/jobs/${job.id}`)
        .send({ ...shown(job), isNew });
    });
    scope.get('/v1/learning/jobs', async ({ query }) => {
      const { success, data } = List.safeParse(query, PLAIN);
      if (!success) throw new RoutingError('INVALID_REQUEST', 'limit: must be a whole number from 1 to 500');
      return { jobs: (await learning.jobs(data.limit)).map(shown) };
    });
    scope.get<{ Params: { id: string } }>('/v1/learning/jobs/:id', async ({ params }) =>
      shown(await learning.job(params.id)),
    );
    scope.get('/v1/learning/history', async () => learning.history());
    scope.post('/v1/learning/rollback', async ({ body }) => {
      optionsIn(NoOptions, body);
      return learning.rollback();
    });
  });
}

const shown = ({ heartbeatAt: _, ...job }: Job) => job;

/** A POST without a body asks for nothing in particular. @throws `INVALID_REQUEST` naming the field */
const optionsIn = <T>(schema: z.ZodType<T>, body: unknown): T => readBody(schema, body ?? { text: '', json: {} }).value;
