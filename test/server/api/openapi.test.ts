/** The OpenAPI document: it names every endpoint, says who may call it, and is one that tools can read. */
import { Ajv2020 as Ajv } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { needOf } from '../../../server/api/callers-only.ts';
import { type OpenApiDocument, pathOf, schemaOf } from '../../../server/api/openapi.ts';
import { AUDIT_PAGE, KEY_PAGE, MADE_KEY, ME, METHODS, TEAM, TEAM_LIST } from '../../../server/api/openapi-answers.ts';
import { OPERATIONS } from '../../../server/api/openapi-operations.ts';
import { buildApp, type GatewayApp } from '../../../server/app.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import { SCOPES } from '../../../server/config/loop-schema.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';
import { candidate, catalogOf, fakeRouter } from '../fakes.ts';

const ADMIN = 'an-admin-key-for-the-test';
const models = [candidate('one/cheap')];
let opened: OpenedStore;
let built: GatewayApp;
let document: OpenApiDocument;
let registered = 0;

beforeAll(async () => {
  opened = await storeKinds[0]!.open();
  built = buildApp({
    holder: { current: fakeRouter(models) },
    catalog: catalogOf(models),
    store: opened.store,
    providers: new Map(),
    config: GatewayConfig.parse({ logLevel: 'silent', dataDir: opened.options.dataDir }),
    adminKey: ADMIN,
    admin: { token: 'x' } as never,
    learning: {} as never,
  });
  await built.app.ready();
  // What the router of the framework answers to, method by method, as it prints it.
  const printed = built.app.printRoutes({ commonPrefix: false });
  for (const [, methods] of printed.matchAll(/ \(([A-Z, ]+)\)/g)) {
    registered += methods!.split(', ').filter((method) => method !== 'HEAD').length;
  }
  document = JSON.parse((await built.app.inject('/openapi.json')).body);
});
afterAll(async () => {
  await built.app.close();
  await built.gateway.close();
  await opened.close();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    // biome-ignore lint/suspicious/noExplicitAny: its shape is what is checked here
    Object.entries(methods as Record<string, any>).map(([method, operation]) => ({ path, method, operation })),
  );

test('every endpoint is described by an entry of its own, and every entry is an endpoint', async () => {
  const described = operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`);
  const listed = Object.keys(OPERATIONS).map((key) => key.replace(/ .*/, (path) => ` ${pathOf(path.slice(1))}`));
  expect(described.sort()).toEqual(listed.sort());
});

test('what is described answers: no entry is of an endpoint that is gone', async () => {
  for (const { path, method } of operations()) {
    const url = path.replace(/\{\w+\}/g, 'x');
    expect(
      built.app.findRoute({ method: method.toUpperCase() as 'GET', url: undo(path) }),
      `${method} ${url}`,
    ).not.toBeNull();
  }
  // As many as the framework itself lists: none was registered unseen.
  expect(operations()).toHaveLength(registered);
});

const undo = (path: string) => path.replace('{rest}', '*').replace(/\{(\w+)\}/g, ':$1');

test('each operation names the scopes that the gateway asks for there', () => {
  for (const { path, operation } of operations()) {
    const need = needOf(undo(path));
    const scopes = operation['x-required-scope'];
    if (need === 'open') expect(operation.security, path).toEqual([]);
    else if (need === 'token') expect(operation.security, path).toEqual([{ token: [] }]);
    else {
      expect(operation.security.length, path).toBeGreaterThan(0);
      for (const scope of scopes) expect([...SCOPES, 'known'], path).toContain(scope);
      if (typeof need !== 'string') expect(scopes, path).toEqual(need);
    }
  }
});

describe('as OpenAPI 3.1 wants it', () => {
  test('it has what it must, ids are unique, and parameters are those of the path', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(document.info).toMatchObject({
      title: expect.any(String),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    const tags = new Set(document.tags.map((tag) => (tag as { name: string }).name));
    const ids = new Set<string>();
    for (const { path, method, operation } of operations()) {
      const at = `${method} ${path}`;
      expect(['get', 'post', 'put', 'patch', 'delete'], at).toContain(method);
      expect(operation.summary, at).toMatch(/^\S.{2,}/);
      for (const tag of operation.tags) expect(tags, at).toContain(tag);
      expect(ids.has(operation.operationId), `${at}: ${operation.operationId} is taken`).toBe(false);
      ids.add(operation.operationId);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const parameters = operation.parameters ?? [];
      expect(
        parameters.filter((p: { in: string }) => p.in === 'path').map((p: { name: string }) => p.name),
        at,
      ).toEqual(inPath);
      const names = parameters.map((p: { in: string; name: string }) => `${p.in} ${p.name}`);
      expect(new Set(names).size, at).toBe(names.length);
      for (const parameter of parameters) {
        expect(parameter, at).toMatchObject({ name: expect.any(String), schema: expect.any(Object) });
        if (parameter.in === 'path') expect(parameter.required, at).toBe(true);
      }
      const statuses = Object.keys(operation.responses);
      expect(statuses.length, at).toBeGreaterThan(1);
      for (const status of statuses) expect(status, at).toMatch(/^([1-5]\d\d|default)$/);
      for (const response of Object.values(operation.responses) as { $ref?: string; description?: string }[]) {
        if (response.$ref === undefined) expect(response.description, at).toEqual(expect.any(String));
      }
      if (method === 'get') expect(operation.requestBody, at).toBeUndefined();
      for (const one of operation.security)
        for (const name of Object.keys(one)) {
          expect(document.components.securitySchemes, at).toHaveProperty(name);
        }
    }
  });

  test('every reference leads somewhere', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref!);
    expect(refs).toContain('#/components/responses/Error');
    for (const ref of refs) {
      expect(ref).toMatch(/^#\//);
      let at: unknown = document;
      for (const step of ref.slice(2).split('/')) at = (at as Record<string, unknown>)[step];
      expect(at, ref).toBeTypeOf('object');
    }
  });

  test('every schema in it compiles', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    let schemas = 0;
    const visit = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('schema' in node && !Array.isArray(node.schema)) {
        const text = JSON.stringify(node.schema);
        if (!text.includes('$ref')) ajv.compile(JSON.parse(text));
        schemas++;
      }
      for (const value of Object.values(node)) visit(value);
    };
    visit(document);
    expect(schemas).toBeGreaterThan(50);
  });
});

describe('what endpoints answer is what it says', () => {
  const ask = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) => {
    const reply = await built.app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${ADMIN}` },
      ...(payload && { payload }),
    });
    return reply.json();
  };

  test('of keys, teams and the audit log', async () => {
    expect(TEAM.parse(await ask('POST', '/v1/admin/teams', { name: 'search', projects: ['web'] })).name).toBe('search');
    const made = MADE_KEY.parse(
      await ask('POST', '/v1/admin/keys', {
        name: 'web',
        team: 'search',
        project: 'web',
        models: ['one/*'],
        tags: ['eu'],
      }),
    );
    expect(made.key.state).toBe('active');
    expect(KEY_PAGE.parse(await ask('GET', '/v1/admin/keys')).keys).toHaveLength(1);
    expect(MADE_KEY.parse(await ask('POST', `/v1/admin/keys/${made.key.id}/rotate`)).key.name).toBe('web');
    expect(TEAM_LIST.parse(await ask('GET', '/v1/admin/teams')).teams.map(({ name }) => name)).toContain('search');
    expect(AUDIT_PAGE.parse(await ask('GET', '/v1/admin/audit')).entries.map(({ action }) => action)).toContain(
      'key.rotate',
    );
    expect(ME.parse(await ask('GET', '/v1/me'))).toMatchObject({ kind: 'key', role: 'admin' });
    expect(METHODS.parse(await ask('GET', '/auth/methods'))).toEqual({ oidc: false, key: true, open: false });
  });

  test('of errors', async () => {
    const ajv = new Ajv({ strict: false });
    const isError = ajv.compile(document.components.schemas.Error!);
    for (const [method, url] of [
      ['GET', '/v1/admin/keys/none'],
      ['POST', '/v1/feedback'],
      ['GET', '/v1/nowhere'],
    ] as const) {
      const reply = await ask(method, url);
      expect(isError(reply), JSON.stringify(reply)).toBe(true);
    }
    expect(isError({ error: 'no' })).toBe(false);
  });
});

test('a schema that JSON Schema cannot hold is left open, not left out', () => {
  const { properties } = schemaOf(OPERATIONS['POST /v1/admin/keys']!.body as never, 'input') as { properties: object };
  expect(Object.keys(properties)).toContain('expiresAt');
});
