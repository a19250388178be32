/** Request bodies: kept as text, so that they can pass through untouched, and parsed once. */
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN, plainName, plainPath } from '../../datasets/plain-issues.ts';
import { endOfString } from '../forward/edit-json.ts';
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
  app.addContentTypeParser(/^application\/(?:[\w.+-]+\+)?json\b/i, { parseAs: 'string' }, ({ method }, text, done) => {
    // Clients that name a type with every request send no body with this one.
    if (text.length === 0 && method === 'DELETE') {
      done(null, undefined);
      return;
    }
    try {
      const json: unknown = JSON.parse(text as string);
      const fault = faultOf(text as string);
      if (fault !== null) done(fault);
      else done(null, { text: text as string, json } satisfies JsonBody);
    } catch (cause) {
      const why = text.length === 0 ? 'it is empty' : (cause as Error).message.slice(0, 200);
      done(new RoutingError('MALFORMED_JSON', `the request body is not JSON: ${why}`, { cause }));
    }
  });
}

/** Printing what was parsed recurses, and a few thousand levels would overflow the stack. No tool's schema comes near. */
const MOST_LEVELS = 500;

/** Members that some hosts read whatever their case. They are looked for here by their own spelling. */
const SPELT = new Set(
  (
    'model messages input instructions system tools tool_choice functions function_call stream stream_options ' +
    'max_tokens max_completion_tokens max_output_tokens metadata user previous_response_id conversation prompt ' +
    'response_format text output_config store n stop stop_sequences temperature top_p reasoning thinking prediction ' +
    'documents modalities audio service_tier background container mcp_servers routing models plugins route ' +
    'input_file_id endpoint completion_window output_expires_after'
  ).split(' '),
);

/** As hosts fold it that ignore case: to them `ſ` is an s, and the sign of Kelvin a k. */
const foldedName = (name: string): string => name.toUpperCase().toLowerCase();

/**
 * What another reader of the same text could take otherwise than we do: a member of the outermost object that is there
 * twice, of which some readers take the first and others the last, or that differs from one of ours by case alone. And
 * what is nested too deep. One pass.
 *
 * @param text valid JSON
 */
function faultOf(text: string): RoutingError | null {
  const names = new Set<string>();
  let depth = 0;
  /** Before a name of the outermost object. */
  let isName = false;
  let isObject = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 34) {
      const end = endOfString(text, i);
      if (isName) {
        isName = false;
        const name = JSON.parse(text.slice(i, end)) as string;
        const fault = names.has(name) ? 'is there more than once' : faultOfSpelling(name);
        if (fault !== null) return new FieldError(plainName(name), fault);
        names.add(name);
      }
      i = end - 1;
    } else if (c === 91 || c === 123) {
      if (++depth > MOST_LEVELS) {
        return new RoutingError('INVALID_REQUEST', `body: nested more than ${MOST_LEVELS} levels deep`);
      }
      if (depth === 1) isObject = isName = c === 123;
    } else if (c === 93 || c === 125) depth--;
    else if (c === 44 && depth === 1) isName = isObject;
  }
  return null;
}

function faultOfSpelling(name: string): string | null {
  if (SPELT.has(name)) return null;
  const folded = foldedName(name);
  return SPELT.has(folded) ? `is spelt ${folded}` : null;
}

/** @throws FieldError naming the first field that does not fit */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): { text: string; value: T } {
  const { text, json } = (body ?? { text: '', json: undefined }) as JsonBody;
  const parsed = schema.safeParse(json, PLAIN);
  if (parsed.success) return { text, value: parsed.data };
  const issue = parsed.error.issues[0]!;
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  throw new FieldError(
    plainPath(path) || 'body',
    json === undefined ? 'missing; send a JSON object' : messageOf(issue),
  );
}

/** The path names the field already. */
const messageOf = (issue: z.core.$ZodIssue): string =>
  issue.code === 'unrecognized_keys' ? 'no such field' : issue.message;
