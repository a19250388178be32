/** Request bodies: kept as text, so that they can pass through untouched, and parsed once. */
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { FieldError } from './errors.ts';

export interface JsonBody {
  readonly text: string;
  readonly json: unknown;
}

/** Fastify's own JSON parser refuses keys such as `__proto__`; a tool's schema may hold them, and we only read. */
export function parseJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', async ({ headers }) => {
    const encoding = headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') return;
    throw new RoutingError(
      'INVALID_REQUEST',
      `content-encoding: ${encoding.slice(0, 40)} is not read here; send the body as it is`,
    );
  });
  app.addContentTypeParser(/^application\/(?:[\w.+-]+\+)?json\b/i, { parseAs: 'string' }, (_, text, done) => {
    try {
      const json: unknown = JSON.parse(text as string);
      if (isDeeperThan(text as string, MOST_LEVELS)) {
        done(new RoutingError('INVALID_REQUEST', `body: nested more than ${MOST_LEVELS} levels deep`));
      } else done(null, { text: text as string, json } satisfies JsonBody);
    } catch (cause) {
      const why = text.length === 0 ? 'it is empty' : (cause as Error).message.slice(0, 200);
      done(new RoutingError('MALFORMED_JSON', `the request body is not JSON: ${why}`, { cause }));
    }
  });
}

/** Printing what was parsed recurses, and a few thousand levels would overflow the stack. No tool's schema comes near. */
const MOST_LEVELS = 500;

/** @param text valid JSON */
function isDeeperThan(text: string, levels: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 92) i++;
      else if (c === 34) inString = false;
    } else if (c === 34) inString = true;
    else if (c === 91 || c === 123) {
      if (++depth > levels) return true;
    } else if (c === 93 || c === 125) depth--;
  }
  return false;
}

/** @throws FieldError naming the first field that does not fit */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): { text: string; value: T } {
  const { text, json } = (body ?? { text: '', json: undefined }) as JsonBody;
  const parsed = schema.safeParse(json);
  if (parsed.success) return { text, value: parsed.data };
  const issue = parsed.error.issues[0]!;
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  throw new FieldError(path.join('.') || 'body', json === undefined ? 'missing; send a JSON object' : issue.message);
}
