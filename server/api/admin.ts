/** `POST /admin/retrain`, `/admin/rollback`, `/admin/trust`, `/admin/jobs` and `/admin/log`: for the command line, by the token in the gateway's lock file. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import type { JsonBody } from './body.ts';
import { errorReply } from './errors.ts';

export interface Admin {
  /** Random; only who may read the data folder knows it. */
  readonly token: string;
  /** Given the request's JSON body; what they return is the reply. */
  retrain(options: unknown): Promise<unknown>;
  rollback(options: unknown): Promise<unknown>;
  /** Signs an artifact that the operator vouches for. */
  trust(options: unknown): Promise<unknown>;
  /** Retrainings as jobs: asked for, looked at, listed. */
  jobs(options: unknown): Promise<unknown>;
  /** The reply is the text it gives, JSON objects one a line, taken as fast as the client reads. */
  log(options: unknown): Promise<AsyncIterable<string>>;
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
    scope.post('/admin/trust', async ({ body }) => admin.trust(optionsOf(body)));
    scope.post('/admin/jobs', async ({ body }) => admin.jobs(optionsOf(body)));
    scope.post('/admin/log', async ({ body, log }, reply) => {
      const lines = await admin.log(optionsOf(body));
      return reply.type('application/x-ndjson; charset=utf-8').send(streamOf(lines, log));
    });
  });
}

/** A client that takes nothing any more would hold what was read for it for ever. */
const STUCK_MS = 60_000;

/** What fails once lines are out can only be told as a last line: the status is sent. */
function streamOf(lines: AsyncIterable<string>, log: FastifyBaseLogger): Readable {
  const watched = async function* () {
    let stuck: NodeJS.Timeout | undefined;
    try {
      for await (const text of lines) {
        stuck = setTimeout(() => stream.destroy(), STUCK_MS);
        stuck.unref();
        yield text;
        clearTimeout(stuck);
      }
    } catch (err) {
      log.error({ err }, 'the log broke off');
      yield `${JSON.stringify(errorReply(err).body)}\n`;
    } finally {
      clearTimeout(stuck);
    }
  };
  // One piece ahead: more would only be memory.
  const stream = Readable.from(watched(), { highWaterMark: 1 });
  return stream;
}

const optionsOf = (body: unknown): unknown => (body as JsonBody | undefined)?.json ?? {};
