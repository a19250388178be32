/** Which policy is in force: that of a file, read again when it changes, or the version activated last; on every replica. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ANYBODY, type Caller, OPERATOR } from '../../../../server/callers.ts';
import { GatewayConfig } from '../../../../server/config/index.ts';
import type { SqlStore } from '../../../../server/db/store.ts';
import { listAudit } from '../../../../server/governance/access/audit.ts';
import { activatePolicy } from '../../../../server/governance/policies/admin.ts';
import { compilePolicy } from '../../../../server/governance/policies/compile.ts';
import { readPolicyText } from '../../../../server/governance/policies/document.ts';
import { Policies } from '../../../../server/governance/policies/policies.ts';
import {
  activateVersion,
  addVersion,
  findVersion,
  listVersions,
} from '../../../../server/governance/policies/versions.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, catalogOf, memoryStore, until } from '../../fakes.ts';

const catalog = catalogOf([candidate('home/good'), candidate('away/best')]);

const only = (provider: string, more = '') => `
version: 1
rules:
  - { name: only ${provider}, providers: { allow: [${provider}] } }
${more}`;

const documentOf = (text: string) => {
  const { document, problems } = readPolicyText(text);
  if (document === null) throw new Error(problems.join('\n'));
  return document;
};

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Started {
  readonly policies: Policies;
  readonly told: string[];
  /** Of a request without tags: which of the two houses it may go to. */
  readonly open: () => string[];
  readonly config: { policies: { file?: string | undefined } };
}

async function started(store: SqlStore | ReturnType<typeof memoryStore>, config: object = {}): Promise<Started> {
  const parsed = { ...GatewayConfig.parse(config) };
  const told: string[] = [];
  const policies = new Policies({ store, catalog, config: parsed });
  policies.log = { info: (text) => told.push(text), error: (text) => told.push(`error: ${text}`) };
  cleanUps.push(() => policies.stop());
  await policies.start();
  const open = () => {
    const { rules } = policies.govern({ caller: ANYBODY, tags: [], surface: 'chat' });
    return ['home', 'away'].filter((provider) => rules.allows({ model: `${provider}/m`, provider, region: null }));
  };
  return { policies, told, open, config: parsed };
}

describe('a file', () => {
  const file = (text: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'pointsman-policy-'));
    cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'policy.yaml');
    writeFileSync(path, text);
    return path;
  };

  /** Two looks: what is new must lie still from one to the next. */
  const lookTwice = async ({ policies }: Started) => {
    await policies.look();
    await policies.look();
  };

  test('is in force from the start, and again as soon as it has changed', async () => {
    const path = file(only('home'));
    const at = await started(memoryStore(), { policies: { file: path } });
    expect(at.open()).toEqual(['home']);
    const { version } = at.policies.inForce;
    writeFileSync(path, only('away'));
    await lookTwice(at);
    expect(at.open()).toEqual(['away']);
    expect(at.policies.inForce).toMatchObject({ source: 'file', path });
    expect(at.policies.inForce.version).not.toBe(version);
    expect(at.told).toHaveLength(2);
  });

  test.each([
    ['that is no policy', 'version: 1\nrules: 7\n', /policy\.yaml:2:1: rules: must be a list of rules/],
    ['that is gone', null, /policy\.yaml: no such policy file/],
    [
      'whose examples do not come out',
      only('away', 'examples: [{name: e, request: {}, expect: {allowed: [home/good]}}]'),
      /“e”: expected allowed home\/good, but rule only away keeps it out by its provider/,
    ],
  ])('%s is refused, once and loudly, and the old one stays', async (_, text, why) => {
    const path = file(only('home'));
    const at = await started(memoryStore(), { policies: { file: path } });
    if (text === null) rmSync(path);
    else writeFileSync(path, text);
    await lookTwice(at);
    await lookTwice(at);
    expect(at.open()).toEqual(['home']);
    const errors = at.told.filter((line) => line.startsWith('error'));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(why);
    expect(errors[0]).toMatch(/version \d+ stays in force/);
    // Mended, it is taken up.
    writeFileSync(path, only('away'));
    await lookTwice(at);
    expect(at.open()).toEqual(['away']);
  });

  test('that cannot be read keeps a gateway from starting', async () => {
    const broken = started(memoryStore(), { policies: { file: file('version: 1\nrules: 7') } });
    await expect(broken).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    await expect(started(memoryStore(), { policies: { file: '/nowhere/p.yaml' } })).rejects.toMatchObject({
      code: 'MISSING_FILE',
    });
  });

  test('binds callers as its rules say, whatever is remembered of them', async () => {
    const text = `
version: 1
rules:
  - { name: a, when: { tags: [x], surfaces: [chat] }, providers: { allow: [home] } }
  - { name: b, when: { keys: [k], tags: ['y*'] }, exploration: false }
  - { name: c, when: { tags: [x] }, cache: { ttlSeconds: 9 } }
`;
    const { policies } = await started(memoryStore(), { policies: { file: file(text) } });
    const { version, document } = policies.inForce;
    const fresh = () => compilePolicy(document!, version!);
    const callers = ['k', 'l', null].flatMap((name) =>
      [[], ['x'], ['y1']].map((tags): Caller => ({ ...ANYBODY, name, tags })),
    );
    const words = fc.array(fc.constantFrom('x', 'X', 'y1', 'y2', 'z'), { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.constantFrom(...callers),
        fc.boolean(),
        words,
        fc.constantFrom('chat', 'audio'),
        (one, isNew, more, surface) => {
          const caller = isNew ? { ...one } : one;
          const { rules, ...rest } = policies.govern({ caller, tags: [...caller.tags, ...more], surface });
          const { tenant: team, project, name: key, tags } = caller;
          const added = more.filter((tag) => !tags.includes(tag));
          const expected = fresh().rulesFor({ team, project, key, tags, added, surface });
          expect(rest).toEqual({ ...caller, rules: undefined, ...rest });
          expect([rules.applied, rules.cache, rules.explores]).toEqual([
            expected.applied,
            expected.cache,
            expected.explores,
          ]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is what is in force, so that no version can be put in its place', async () => {
    const config = GatewayConfig.parse({ policies: { file: 'policy.yaml' } });
    const activating = activatePolicy({ store: {} as SqlStore, config, catalog }, 1, { actor: OPERATOR });
    await expect(activating).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('policy.yaml'),
    });
  });

  test('named while the gateway runs is taken up, and dropped with its name', async () => {
    const at = await started(memoryStore());
    expect(at.open()).toEqual(['home', 'away']);
    at.config.policies = { file: file(only('home')) };
    await at.policies.look();
    expect(at.open()).toEqual(['home']);
    at.config.policies = {};
    await at.policies.look();
    expect(at.open()).toEqual(['home', 'away']);
  });
});

describe.each(storeKinds)('versions on $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());

  const push = (text: string, comment = '') => addVersion(opened.store, documentOf(text), { actor: OPERATOR, comment });
  const activate = (version: number) => activateVersion(opened.store, version, { actor: OPERATOR, requestId: 'r' });

  test('are in force once activated, and again when taken back', async () => {
    const [home, away] = [await push(only('home'), 'first'), await push(only('away'))];
    expect([home.version, home.comment, home.createdBy, home.activatedAt]).toEqual([1, 'first', 'operator', null]);
    expect(away.version).toBe(2);
    const at = await started(opened.store);
    expect(at.open()).toEqual(['home', 'away']);
    const seen: string[][] = [];
    for (const version of [1, 2, 1]) {
      await activate(version);
      await at.policies.look();
      seen.push(at.open());
      expect(at.policies.inForce).toMatchObject({ source: 'database', version });
    }
    expect(seen).toEqual([['home'], ['away'], ['home']]);
    // Another start finds the same.
    expect((await started(opened.store)).open()).toEqual(['home']);
    expect((await listVersions(opened.store)).map(({ version }) => version)).toEqual([2, 1]);
  });

  test('are told of in the audit log', async () => {
    const rows = await listAudit(opened.store.db, { team: null, limit: 10 });
    expect(rows.map(({ action, subject, actorKind }) => `${actorKind} ${action} ${subject}`)).toEqual([
      'operator policy.activate 1',
      'operator policy.activate 2',
      'operator policy.activate 1',
      'operator policy.create 2',
      'operator policy.create 1',
    ]);
    expect(rows[0]).toMatchObject({ details: { before: 2 }, requestId: 'r' });
  });

  test('keep their documents as they were', async () => {
    expect((await findVersion(opened.store, 1)).document).toEqual(documentOf(only('home')));
    await expect(findVersion(opened.store, 99)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(activate(99)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('that this build cannot read leave the old one in force, and keep a gateway from starting', async () => {
    const at = await started(opened.store);
    expect(at.open()).toEqual(['home']);
    const { version } = await push(only('away'));
    await opened.store.db.execute(sql`update policies set document = '{"version": 2}' where version = ${version}`);
    await activate(version);
    await at.policies.look();
    await at.policies.look();
    expect(at.open()).toEqual(['home']);
    expect(at.told.filter((line) => line.startsWith('error'))).toEqual([
      expect.stringMatching(/version 1 stays in force: version 3 of the policy cannot be read: version: must be 1/),
    ]);
    await expect(started(opened.store)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    await activate(1);
  });

  test('go on being in force while the database is away', async () => {
    const away = Object.create(opened.store) as SqlStore;
    let isAway = false;
    Object.defineProperty(away, 'db', {
      get() {
        if (isAway) throw new Error('away');
        return opened.store.db;
      },
    });
    const at = await started(away);
    isAway = true;
    await at.policies.look();
    await at.policies.look();
    expect(at.open()).toEqual(['home']);
    expect(at.told.filter((line) => line.startsWith('error'))).toHaveLength(1);
  });

  test.runIf(kind.name === 'PostgreSQL')('reach another replica by themselves', async () => {
    const { databaseUrl } = opened.options as { databaseUrl: string };
    const [here, there] = [await started(opened.store, { databaseUrl }), await started(opened.store, { databaseUrl })];
    expect([here.open(), there.open()]).toEqual([['home'], ['home']]);
    await activate(2);
    await until(() => [here, there].every(({ open }) => open().join() === 'away'));
    await activate(1);
    await until(() => there.open().join() === 'home');
  });
});
