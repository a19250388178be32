/** `GET /openapi.json`: every endpoint of this gateway as OpenAPI 3.1, made of the schemas that requests are checked by. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { version } from '../version.ts';
import { needOf } from './callers-only.ts';
import { STATUS } from './errors.ts';
import type { Operation } from './openapi-operations.ts';

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: object;
  readonly tags: readonly object[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>>; readonly [kind: string]: object };
}

/** An endpoint as it was registered. */
export interface Registered {
  readonly method: string;
  /** `/v1/decisions/:id` */
  readonly path: string;
}

/** Called before the endpoints are registered: it describes those that come after it. */
export function openApiRoute(app: FastifyInstance): void {
  const registered: Registered[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') registered.push({ method: one, path: url });
  });
  let text: string | undefined;
  app.get('/openapi.json', async (_, reply) => {
    if (text === undefined) {
      const { OPERATIONS } = await import('./openapi-operations.ts');
      text = JSON.stringify(documentOf(registered, OPERATIONS, version()));
    }
    return reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache').send(text);
  });
}

const TAGS: Readonly<Record<string, string>> = {
  models: 'Calling models: the protocols of OpenAI and Anthropic, routed for `auto`',
  routing: 'What the router decided, what it was worth, and learning from it',
  log: 'A team’s part of the log',
  admin: 'Keys, teams, limits, policies, and who changed what',
  usage: 'What was used, what it cost and saved',
  people: 'Signing in to the dashboard',
  operation: 'Probes, metrics, this document',
  'command line': 'For `pointsman` on the same machine, by the token of the lock file',
};

/** @param operations by `METHOD /path` */
export function documentOf(
  registered: readonly Registered[],
  operations: Readonly<Record<string, Operation>>,
  edition: string,
): OpenApiDocument {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path } of registered) {
    const operation = operations[`${method} ${path}`];
    const shown = pathOf(path);
    paths[shown] ??= {};
    paths[shown][method.toLowerCase()] = described(method, path, operation ?? { tag: 'operation', summary: path });
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Pointsman',
      version: edition,
      description:
        'A learned router of prompts behind the APIs of OpenAI and Anthropic. `x-required-scope` names the scopes that an ' +
        'operation asks for, one of which is enough; `known` asks for any key.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: { Error: ERROR },
      responses: { Error: { description: 'What went wrong, for programs and for people', content: json(ERROR_REF) } },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A client key.' },
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'x-api-key',
          description: 'The same key, as Anthropic’s clients send it.',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'pointsman_session',
          description: 'A person signed in; changes need the header x-pointsman-csrf: 1 and to come from this origin.',
        },
        token: { type: 'http', scheme: 'bearer', description: 'The token in lock.json of the data folder.' },
        metricsKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'telemetry.metricsKey of the configuration, where it is set.',
        },
      },
    },
  };
}

function described(method: string, path: string, operation: Operation): object {
  const { tag, summary, description, body, query, answer, status = 200, produces = 'application/json' } = operation;
  const parameters = [...paramsOf(path, operation), ...queryOf(query), ...headersOf(operation)];
  const content =
    answer === undefined
      ? { [produces]: {} }
      : { [produces]: { schema: answer instanceof z.ZodType ? schemaOf(answer, 'output') : answer } };
  return {
    operationId: idOf(method, path),
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: operation.bodyOptional !== true,
        content: body === 'multipart' ? { 'multipart/form-data': {} } : json(schemaOf(body, 'input')),
      },
    }),
    ...accessOf(path),
    responses: {
      [status]: { description: summary, ...(status !== 204 && status !== 302 && { content }) },
      default: { $ref: '#/components/responses/Error' },
    },
  };
}

const SESSIONS = /^\/v1\/(usage|admin|me|decisions|learning)([/?]|$)/;

/** Who may, in OpenAPI's words and, by scope, in ours. */
function accessOf(path: string): object {
  const need = needOf(path);
  if (need === 'open') return { security: [] };
  if (need === 'token') return { security: [{ token: [] }] };
  if (need === 'metrics') return { security: [{ metricsKey: [] }, { bearer: [] }], 'x-required-scope': ['admin'] };
  const keys = [{ bearer: [] }, { apiKey: [] }, ...(SESSIONS.test(path) ? [{ session: [] }] : [])];
  return { security: keys, 'x-required-scope': need === 'known' ? ['known'] : need };
}

/** `/v1/decisions/:id` → `/v1/decisions/{id}` */
export const pathOf = (path: string): string => path.replace(/:(\w+)/g, '{$1}').replace('*', '{rest}');

const idOf = (method: string, path: string): string =>
  `${method.toLowerCase()}${pathOf(path)
    .replace(/\/$/, '/index')
    .replace(/[^a-z0-9]+([a-z0-9]?)/gi, (_, next: string) => next.toUpperCase())}`;

function paramsOf(path: string, { params = {} }: Operation): object[] {
  return [...pathOf(path).matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(params[name!] !== undefined && { description: params[name!] }),
  }));
}

function queryOf(query: z.ZodType | undefined): object[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(query, 'input') as {
    properties?: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }));
}

function headersOf({ headers = {} }: Operation): object[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  }));
}

/** What a schema cannot say in JSON Schema (a transformed value, a check in code) is left open. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' });
  return rest;
}

const json = (schema: object) => ({ 'application/json': { schema } });
const ERROR_REF = { $ref: '#/components/schemas/Error' };

const ERROR = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'code', 'param'],
      properties: {
        message: { type: 'string', description: 'For people; may change.' },
        type: { type: 'string' },
        code: {
          type: ['string', 'null'],
          description: `For programs. Ours are ${Object.keys(STATUS).join(', ')}; a provider’s own are passed on.`,
        },
        param: { type: ['string', 'null'], description: 'The field at fault.' },
      },
    },
  },
};
