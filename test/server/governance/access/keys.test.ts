/** Virtual keys and teams on both kinds of database. */
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditLog, clientKeys } from '../../../../server/db/schema.ts';
import { listAudit } from '../../../../server/governance/access/audit.ts';
import { KeyDigests, LITELLM, newKey } from '../../../../server/governance/access/key-secret.ts';
import {
  createKey,
  getKey,
  importKeys,
  listKeys,
  revokeKey,
  rotateKey,
  updateKey,
} from '../../../../server/governance/access/keys.ts';
import { importFromLiteLlm } from '../../../../server/governance/access/litellm-keys.ts';
import { archiveTeam, createTeam, listTeams, updateTeam } from '../../../../server/governance/access/teams.ts';
import { teamOf } from '../../../../server/teams.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { ADMIN, accessOver, as, having, problem } from './access.ts';

const by = { actor: ADMIN, requestId: 'r1' };

describe.each(storeKinds)('keys on $name', (kind) => {
  let opened: OpenedStore;
  let access: ReturnType<typeof accessOver>;
  beforeAll(async () => {
    opened = await kind.open();
    access = accessOver(opened.store, { databaseUrl: opened.options.databaseUrl });
    await access.ring.start();
    for (const name of ['search', 'ads']) await createTeam(access, { name }, by);
    // So that the last admin's key is another's.
    await createKey(access, { name: 'root', role: 'admin' }, by);
  });
  afterAll(async () => {
    await access.ring.stop();
    await opened.close();
  });

  const find = (secret: string) => access.ring.find(secret);
  const refused = (secret: string) => {
    try {
      find(secret);
    } catch (error) {
      return (error as Error).message;
    }
    return null;
  };

  test('a new key is shown once, kept as a keyed hash, and lets its owner in at once', async () => {
    const { key, secret } = await createKey(
      access,
      { name: 'ci', team: 'search', models: ['openai/*'], tags: ['pii'], routing: { dial: 3 }, feedbackWeight: 0.5 },
      by,
    );
    // 32 bytes are 43 characters of base64url.
    expect(secret).toMatch(/^pm_[\w-]{43}$/);
    expect(key).toMatchObject({
      prefix: secret.slice(0, 10),
      name: 'ci',
      team: 'search',
      role: 'member',
      state: 'active',
    });
    expect(find(secret)).toMatchObject({
      ...{ kind: 'key', name: 'ci', tenant: 'search', keyId: key.id, role: 'member', models: ['openai/*'] },
      ...{ tags: ['pii'], routing: { dial: 3 }, feedbackWeight: 0.5, scopes: new Set(['call', 'feedback', 'usage']) },
    });
    const everything = JSON.stringify([
      await opened.store.db.select().from(clientKeys),
      await opened.store.db.select().from(auditLog),
    ]);
    expect(everything).toContain(key.id);
    expect(everything).not.toContain(secret.slice(10));
    expect(everything).not.toContain(createHash('sha256').update(secret).digest('hex'));
    expect(find(`${secret}x`)).toBeNull();
    expect(find(newKey())).toBeNull();
  });

  test('a key ends with its expiry, whether or not anybody looks', async () => {
    const { key, secret } = await createKey(
      access,
      { name: 'short', team: 'search', expiresAt: new Date(Date.now() + 60_000).toISOString() },
      by,
    );
    expect(find(secret)).toMatchObject({ name: 'short' });
    await opened.store.db.execute(
      sql`update client_keys set expires_at = now() - interval '1 second', changed_at = clock_timestamp() where id = ${key.id}`,
    );
    await access.ring.look();
    expect(refused(secret)).toBe('this API key has expired');
    expect(await getKey(access, key.id, ADMIN)).toMatchObject({ state: 'expired' });
    const past = { name: 'never', team: 'search', expiresAt: '2020-01-01T00:00:00Z' };
    expect(await problem(createKey(access, past, by))).toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(/^expiresAt: /),
    });
  });

  test('a revoked key is refused at once, and cannot be changed any more', async () => {
    const { key, secret } = await createKey(access, { name: 'leaked', team: 'ads' }, by);
    expect(await revokeKey(access, key.id, by)).toMatchObject({ state: 'revoked' });
    expect(refused(secret)).toBe('this API key was revoked');
    // Once more is no error, and no second entry.
    await revokeKey(access, key.id, by);
    const entries = await listAudit(opened.store.db, { team: 'ads', limit: 10 });
    expect(entries.map(({ action, subject }) => [action, subject])).toEqual([
      ['key.revoke', key.id],
      ['key.create', key.id],
      ['team.create', 'ads'],
    ]);
    expect(entries[0]).toMatchObject({ actor: 'default/root', actorKind: 'key', requestId: 'r1' });
    expect((await problem(updateKey(access, key.id, { name: 'x' }, by))).code).toBe('CONFLICT');
    expect((await problem(rotateKey(access, key.id, {}, by))).code).toBe('CONFLICT');
    // Its name is free again.
    expect((await createKey(access, { name: 'leaked', team: 'ads' }, by)).key.state).toBe('active');
  });

  test('a rotated key and the new one both work until the overlap is over', async () => {
    const old = await createKey(access, { name: 'app', team: 'search', role: 'manager', tags: ['t'] }, by);
    const fresh = await rotateKey(access, old.key.id, { overlapMinutes: 30 }, by);
    expect(find(old.secret)).toMatchObject({ name: 'app', keyId: old.key.id });
    expect(find(fresh.secret)).toMatchObject({ name: 'app', keyId: fresh.key.id, role: 'manager', tags: ['t'] });
    const seen = await getKey(access, old.key.id, ADMIN);
    expect(seen.replacedBy).toBe(fresh.key.id);
    expect(Math.abs(Date.parse(seen.expiresAt!) - Date.now() - 30 * 60_000)).toBeLessThan(30_000);
    expect(fresh.key.expiresAt).toBeNull();
    expect((await problem(rotateKey(access, old.key.id, {}, by))).code).toBe('CONFLICT');
    const last = await rotateKey(access, fresh.key.id, { overlapMinutes: 0 }, by);
    expect(refused(fresh.secret)).toBe('this API key was replaced by another');
    expect(find(last.secret)).not.toBeNull();
  });

  test('changes take effect at once, and null takes a bound away', async () => {
    const { key, secret } = await createKey(
      access,
      { name: 'changing', team: 'search', models: ['a/*'], tags: ['x'] },
      by,
    );
    await updateKey(access, key.id, { models: null, tags: ['y'], role: 'read-only', project: null }, by);
    expect(find(secret)).toMatchObject({ models: undefined, tags: ['y'], scopes: new Set(['usage']) });
    await updateKey(access, key.id, { scopes: ['export'] }, by);
    expect(find(secret)).toMatchObject({ role: 'read-only', scopes: new Set(['export']) });
    // A new role comes with its own scopes.
    expect((await updateKey(access, key.id, { role: 'member' }, by)).scopes).toEqual(['call', 'feedback', 'usage']);
    const [entry] = await listAudit(opened.store.db, { team: 'search', limit: 1 });
    expect(entry).toMatchObject({
      action: 'key.update',
      details: { before: { role: 'read-only', scopes: ['export'] }, after: { role: 'member' } },
    });
  });

  test('names are one a team, also beside the configuration’s', async () => {
    await createKey(access, { name: 'twice', team: 'search' }, by);
    expect(await problem(createKey(access, { name: 'twice', team: 'search' }, by))).toMatchObject({ code: 'CONFLICT' });
    await createKey(access, { name: 'twice', team: 'ads' }, by);
    const beside = { ...access, config: { ...access.config, keys: [{ name: 'file', tenant: 'ads' }] as never } };
    expect((await problem(createKey(beside, { name: 'file', team: 'ads' }, by))).code).toBe('CONFLICT');
    // The key of the environment is (default, admin).
    const withEnvironment = { ...access, hasAdminKey: true };
    expect((await problem(createKey(withEnvironment, { name: 'admin', team: 'default' }, by))).code).toBe('CONFLICT');
    const { key } = await createKey(withEnvironment, { name: 'admin', team: 'ads' }, by);
    const { key: other } = await createKey(withEnvironment, { name: 'clerk', team: 'default' }, by);
    expect((await problem(updateKey(withEnvironment, other.id, { name: 'admin' }, by))).code).toBe('CONFLICT');
    expect(key.name).toBe('admin');
  });

  test('no key is called by what could be the id of another', async () => {
    const { key } = await createKey(access, { name: 'victim', team: 'search' }, by);
    const refusal = { code: 'INVALID_REQUEST', message: expect.stringMatching(/^name: .*id/) };
    for (const name of [key.id, key.id.toUpperCase(), '00000000-0000-0000-0000-000000000000']) {
      expect(await problem(createKey(access, { name, team: 'ads' }, by))).toMatchObject(refusal);
      expect(await problem(updateKey(access, key.id, { name }, by))).toMatchObject(refusal);
      const kept = { digest: '1'.repeat(64), scheme: LITELLM.name, prefix: 'sk-', name, team: 'ads', project: null };
      const settings = { role: 'member', scopes: null, settings: {}, expiresAt: null } as const;
      expect(await problem(importKeys(access, [{ ...kept, ...settings }], by))).toMatchObject(refusal);
    }
    // Taken over from elsewhere it keeps it, with something added.
    const digest = `abcdef01${'2'.repeat(56)}`;
    const { keys } = await importFromLiteLlm(
      access,
      { keys: [{ digest, prefix: 'sk-', name: key.id, team: 'ads' }] },
      by,
    );
    expect(keys).toMatchObject([{ name: `${key.id} abcdef01`, done: 'made' }]);
    // Teams have no ids.
    expect((await createTeam(access, { name: key.id }, by)).name).toBe(key.id);
    await archiveTeam(access, key.id, by);
  });

  test.each([
    [{}, /^name: /],
    [{ name: '' }, /^name: /],
    [{ name: 'a\nb' }, /^name: /],
    [{ name: '=cmd()' }, /^name: /],
    [{ name: 'x'.repeat(101) }, /^name: /],
    [{ name: 'x', team: 'nowhere' }, /^team: there is no team "nowhere"/],
    [{ name: 'x', role: 'root' }, /^role: must be one of/],
    [{ name: 'x', scopes: ['fly'] }, /^scopes\.0: /],
    [{ name: 'x', expiresAt: 'tomorrow' }, /^expiresAt: must be a moment/],
    [{ name: 'x', feedbackWeight: 2 }, /^feedbackWeight: /],
    [{ name: 'x', secret: 'pm_mine' }, /^secret: no such field/],
    ['text', /^body: /],
    [null, /^body: /],
    [undefined, /^body: /],
  ])('refuses %j', async (wanted, message) => {
    expect(await problem(createKey(access, wanted as never, by))).toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(message),
    });
  });

  test('projects are those of the team', async () => {
    await updateTeam(access, 'ads', { projects: ['banner'] }, by);
    const { key, secret } = await createKey(access, { name: 'b', team: 'ads', project: 'banner' }, by);
    expect(find(secret)).toMatchObject({ project: 'banner' });
    const other = { name: 'c', team: 'ads', project: 'baner' };
    expect(await problem(createKey(access, other, by))).toMatchObject({
      message: expect.stringMatching(/^project: ads has no project "baner"/),
    });
    expect(await problem(updateKey(access, key.id, { project: 'nope' }, by))).toMatchObject({
      code: 'INVALID_REQUEST',
    });
  });

  test('keys that were kept elsewhere are found by their own hash, and taken over once', async () => {
    const theirs = 'sk-their-old-key';
    const digest = createHash('sha256').update(theirs).digest('hex');
    const kept = {
      ...{ digest, scheme: LITELLM.name, prefix: 'sk-…key', name: 'old', team: 'ads', project: null },
      ...{ role: 'member' as const, scopes: null, settings: {}, expiresAt: null },
    };
    expect(await importKeys(access, [kept], by)).toMatchObject([{ name: 'old', scheme: 'litellm' }]);
    expect(await importKeys(access, [kept], by)).toEqual([]);
    expect(find(theirs)).toMatchObject({ name: 'old', tenant: 'ads' });
    const same = { ...kept, digest: 'f'.repeat(64) };
    expect(
      await problem(importKeys(access, [{ ...same, name: 'free', digest: 'e'.repeat(64) }, same], by)),
    ).toMatchObject({
      code: 'CONFLICT',
    });
    expect((await listKeys(access, { team: 'ads', limit: 1000 })).keys.map(({ name }) => name)).not.toContain('free');
    // The hash opens nothing.
    expect(find(digest)).toBeNull();
    expect((await problem(importKeys(access, [kept], { actor: as('manager', 'ads') }))).code).toBe('FORBIDDEN');
  });

  test('a row that somebody put there without the secret opens for nobody', async () => {
    const forged = 'pm_forged';
    const row = { prefix: forged, name: 'forged', team: 'ads', role: 'admin' as const, scopes: null, settings: {} };
    const at = new Date();
    await opened.store.db.insert(clientKeys).values([
      ...[createHash('sha256').update(forged), createHmac('sha256', 'guessed').update(forged)].map((hash, i) => ({
        ...{ ...row, id: `forged-${i}`, digest: hash.digest('hex'), scheme: access.digests.making().name },
        ...{ createdAt: at, createdBy: 'x', changedAt: at },
      })),
    ]);
    await access.ring.look();
    expect(find(forged)).toBeNull();
    await opened.store.db.execute(sql`delete from client_keys where name = 'forged'`);
  });

  describe('nobody gives more than they have:', () => {
    const manager = as('manager', 'search', {
      models: ['openai/*'],
      tags: ['eu'],
      routing: { dial: 4 },
      feedbackWeight: 0.5,
    });

    test('a manager makes keys of its own team, within its own bounds', async () => {
      const { key, secret } = await createKey(
        access,
        { name: 'm1', tags: ['own'], routing: { dial: 9 } },
        { actor: manager },
      );
      expect(key.team).toBe('search');
      expect(find(secret)).toMatchObject({
        models: ['openai/*'],
        tags: ['eu', 'own'],
        routing: { dial: 4 },
        feedbackWeight: 0.5,
      });
      const narrower = await createKey(
        access,
        { name: 'm2', models: ['openai/gpt-*'], routing: { dial: 1 } },
        { actor: manager },
      );
      expect(narrower.key).toMatchObject({ models: ['openai/gpt-*'], routing: { dial: 1 } });
    });

    test.each([
      [{ role: 'admin' }, /^scopes: .*learn/],
      [{ scopes: ['learn'] }, /^scopes: .*learn/],
      [{ scopes: ['export:embeddings'] }, /^scopes: /],
      [{ team: 'ads' }, /^team: .*search/],
      [{ models: ['*'] }, /^models: /],
      [{ models: ['openai/gpt', 'anthropic/x'] }, /anthropic\/x/],
    ])('not %j', async (wanted, message) => {
      const asked = { name: 'more', ...wanted } as never;
      expect(await problem(createKey(access, asked, { actor: manager }))).toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringMatching(message),
      });
    });

    test('a key of few scopes gives those alone', async () => {
      const few = having('search', 'manage', 'export');
      expect((await problem(createKey(access, { name: 'f' }, { actor: few }))).code).toBe('FORBIDDEN');
      const { key } = await createKey(access, { name: 'f', scopes: ['export'] }, { actor: few });
      expect(key.scopes).toEqual(['export']);
    });

    test('a manager changes, rotates and revokes no key that may do more, and none of another team', async () => {
      const root = await createKey(access, { name: 'root-of-search', team: 'search', role: 'admin' }, by);
      const theirs = await createKey(access, { name: 'theirs', team: 'ads' }, by);
      for (const [id, code] of [
        [root.key.id, 'FORBIDDEN'],
        [theirs.key.id, 'NOT_FOUND'],
        ['no-such-key', 'NOT_FOUND'],
      ] as const) {
        expect((await problem(updateKey(access, id, { name: 'mine' }, { actor: manager }))).code).toBe(code);
        expect((await problem(rotateKey(access, id, {}, { actor: manager }))).code).toBe(code);
        expect((await problem(revokeKey(access, id, { actor: manager }))).code).toBe(code);
      }
    });

    test('a manager narrows what bounds a key of its team, and an admin alone widens it', async () => {
      const lead = { actor: as('manager', 'search') };
      const end = new Date(Date.now() + 3_600_000);
      const hour = (more: number) => new Date(end.getTime() + more * 3_600_000).toISOString();
      const bounds = {
        ...{ models: ['openai/*', 'a/b'], tags: ['eu-only'], routing: { dial: 3, maxCostUsd: 0.1, minQuality: 0.5 } },
        ...{ feedbackWeight: 0.5, expiresAt: end.toISOString() },
      };
      const { key } = await createKey(access, { name: 'bound', team: 'search', ...bounds }, by);
      const lifted = [
        [{ tags: [] }, /^tags: .*eu-only/],
        [{ tags: ['EU'] }, /^tags: /],
        [{ models: null }, /^models: /],
        [{ models: ['openai/gpt', '*'] }, /^models: /],
        [{ models: ['openai*'] }, /^models: /],
        [{ routing: null }, /^routing\./],
        [{ routing: { ...bounds.routing, dial: 4 } }, /^routing\.dial: .*3/],
        [{ routing: { ...bounds.routing, maxCostUsd: 0.2 } }, /^routing\.maxCostUsd: /],
        [{ routing: { ...bounds.routing, minQuality: 0.4 } }, /^routing\.minQuality: /],
        [{ routing: { dial: 3, maxCostUsd: 0.1 } }, /^routing\.minQuality: /],
        [{ feedbackWeight: 0.6 }, /^feedbackWeight: /],
        [{ expiresAt: null }, /^expiresAt: /],
        [{ expiresAt: hour(1) }, /^expiresAt: /],
      ] as const;
      for (const [changes, message] of lifted) {
        const refusal = { code: 'FORBIDDEN', message: expect.stringMatching(message) };
        expect(await problem(updateKey(access, key.id, changes as never, lead))).toMatchObject(refusal);
      }
      for (const expiresAt of [null, hour(1)]) {
        expect(await problem(rotateKey(access, key.id, { expiresAt }, lead))).toMatchObject({ code: 'FORBIDDEN' });
      }
      expect(await getKey(access, key.id, ADMIN)).toMatchObject(bounds);

      const narrower = {
        ...{ models: ['openai/gpt-*'], tags: ['more', 'eu-only'], feedbackWeight: 0.25, expiresAt: hour(-0.5) },
        routing: { dial: 2, maxCostUsd: 0.05, minQuality: 0.75 },
      };
      expect(await updateKey(access, key.id, narrower, lead)).toMatchObject(narrower);
      // What says nothing of bounds leaves them.
      const { key: fresh } = await rotateKey(access, key.id, { overlapMinutes: 0 }, lead);
      expect(await updateKey(access, fresh.id, { name: 'bound 2' }, lead)).toMatchObject(narrower);
      const wide = { models: null, tags: [], routing: null, feedbackWeight: 1, expiresAt: null };
      const seen = await updateKey(access, fresh.id, wide, by);
      expect([seen.models, seen.tags, seen.routing, seen.expiresAt]).toEqual([undefined, [], undefined, null]);
    });

    test('no key is called by a role that may do more than who makes it', async () => {
      const lead = { actor: as('manager', 'search') };
      const refusal = { code: 'FORBIDDEN', message: expect.stringMatching(/^role: .*admin/) };
      const role = 'admin' as const;
      const scopes: 'usage'[] = ['usage'];
      const wanted = { name: 'only in name', role, scopes };
      expect(await problem(createKey(access, wanted, lead))).toMatchObject(refusal);
      const { key } = await createKey(access, { ...wanted, role: 'read-only' }, lead);
      expect(await problem(updateKey(access, key.id, { role, scopes }, lead))).toMatchObject(refusal);
      // One that an admin called so stays a manager's to turn off.
      await updateKey(access, key.id, { role, scopes }, by);
      expect((await updateKey(access, key.id, { tags: ['x'] }, lead)).role).toBe('admin');
      expect((await revokeKey(access, key.id, lead)).state).toBe('revoked');
    });

    test('a manager’s key that ends makes none that outlives it', async () => {
      const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
      const own = await createKey(access, { name: 'temp', team: 'search', role: 'manager', expiresAt }, by);
      const actor = find(own.secret)!;
      const child = await createKey(access, { name: 'child' }, { actor });
      expect(child.key.expiresAt).toBe(expiresAt);
      expect((await problem(rotateKey(access, own.key.id, { expiresAt: null }, { actor }))).code).toBe('FORBIDDEN');
      const rotated = await rotateKey(access, own.key.id, {}, { actor });
      expect(rotated.key.expiresAt).toBe(expiresAt);
    });
  });

  test('teams are made by admins, set by their managers as far as it binds nobody else, and archived with their keys', async () => {
    const lead = { actor: as('manager', 'maps') };
    expect((await problem(createTeam(access, { name: 'maps' }, lead))).code).toBe('FORBIDDEN');
    await createTeam(access, { name: 'maps', description: 'Maps', projects: ['a', 'a'], privacy: 'text' }, by);
    expect((await problem(createTeam(access, { name: 'maps' }, by))).code).toBe('CONFLICT');
    const source = { config: access.config, areAsked: true, governance: { keys: access.ring } };
    expect(teamOf(source, 'maps')).toMatchObject({ explores: false, privacy: 'text', retentionDays: null });
    await updateTeam(access, 'maps', { exploration: true, projects: ['a', 'b'] }, lead);
    expect(teamOf(source, 'maps')).toMatchObject({ explores: true, privacy: 'text' });
    for (const field of [{ privacy: 'text' }, { protected: true }, { retentionDays: 1 }, { archived: true }] as const) {
      expect((await problem(updateTeam(access, 'maps', field, lead))).code).toBe('FORBIDDEN');
      expect((await problem(updateTeam(access, 'search', field, lead))).code).toBe('NOT_FOUND');
    }
    // The configuration's word counts.
    const config = { ...access.config, teams: { maps: { exploration: false, canary: true, protected: false } } };
    expect(teamOf({ ...source, config }, 'maps').explores).toBe(false);

    const { key, secret } = await createKey(access, { name: 'tiles', team: 'maps' }, by);
    await archiveTeam(access, 'maps', by);
    expect(refused(secret)).toBe('the team of this API key is archived');
    expect(await getKey(access, key.id, ADMIN)).toMatchObject({ state: 'archived' });
    expect((await problem(createKey(access, { name: 'more', team: 'maps' }, by))).code).toBe('CONFLICT');
    expect(teamOf(source, 'maps').privacy).toBe('embeddings');
    await updateTeam(access, 'maps', { archived: false }, by);
    expect(find(secret)).toMatchObject({ name: 'tiles' });
    expect(await listTeams(access, 'maps')).toMatchObject([
      { name: 'maps', description: 'Maps', projects: ['a', 'b'], source: 'database', archivedAt: null },
    ]);
    const names = (await listTeams(access, null)).flatMap(({ name, archivedAt }) =>
      archivedAt === null ? [name] : [],
    );
    expect(names).toEqual(['ads', 'default', 'maps', 'search']);
    expect((await problem(archiveTeam(access, 'default', by))).code).toBe('CONFLICT');
    expect((await problem(archiveTeam(access, 'nowhere', by))).code).toBe('NOT_FOUND');
  });

  test('the list is newest first, in pages, within a team', async () => {
    const all = await listKeys(access, { team: 'search', limit: 1000 });
    expect(all.next).toBeNull();
    expect(new Set(all.keys.map(({ team }) => team))).toEqual(new Set(['search']));
    const ids: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await listKeys(access, { team: 'search', limit: 4, cursor });
      ids.push(...page.keys.map(({ id }) => id));
      cursor = page.next;
    }
    expect(ids).toEqual(all.keys.map(({ id }) => id));
  });

  test('when a key was used last is written down', async () => {
    const { key, secret } = await createKey(access, { name: 'used', team: 'search' }, by);
    expect(key.lastUsedAt).toBeNull();
    const before = Date.now();
    find(secret);
    expect(Date.parse((await getKey(access, key.id, ADMIN)).lastUsedAt!)).toBeGreaterThanOrEqual(before);
    await access.ring.stop();
    const [row] = await opened.store.db.select().from(clientKeys).where(sql`id = ${key.id}`);
    expect(row!.lastUsedAt!.getTime()).toBeGreaterThanOrEqual(before);
  });
});

describe('the last admin’s key', () => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await storeKinds[0]!.open();
  });
  afterAll(() => opened.close());

  test('is not taken away by mistake', async () => {
    const access = accessOver(opened.store);
    await access.ring.start();
    await createTeam(access, { name: 'ops' }, by);
    const first = await createKey(access, { name: 'one', team: 'ops', role: 'admin' }, by);
    const refusals = () =>
      Promise.all([
        problem(revokeKey(access, first.key.id, by)),
        problem(updateKey(access, first.key.id, { role: 'member' }, by)),
        problem(updateKey(access, first.key.id, { scopes: ['call'] }, by)),
        problem(archiveTeam(access, 'ops', by)),
      ]);
    for (const { code } of await refusals()) expect(code).toBe('CONFLICT');
    // One that ends no longer counts, nor one of the same team when that is archived.
    const second = await createKey(access, { name: 'two', team: 'ops', role: 'admin' }, by);
    expect((await problem(archiveTeam(access, 'ops', by))).code).toBe('CONFLICT');
    await revokeKey(access, second.key.id, by);
    for (const { code } of await refusals()) expect(code).toBe('CONFLICT');
    // One of the configuration or of the environment is one, too.
    await updateKey({ ...access, hasAdminKey: true }, first.key.id, { role: 'member' }, by);
    await updateKey(access, first.key.id, { role: 'admin' }, by);
    await revokeKey(access, first.key.id, { ...by, force: true });
    expect(() => access.ring.find(first.secret)).toThrow('revoked');
    await access.ring.stop();
  });
});

describe('the secret behind the hashes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-secret-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const key = newKey();

  test('of an embedded database is made once, for its owner alone', () => {
    const place = { kind: 'embedded', dataDir: join(folder, 'a') } as const;
    const scheme = new KeyDigests(place).making();
    const path = join(folder, 'a', 'key-secret');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    // RFC 2104 by another hand: the file's 32 bytes are the key.
    const secret = Buffer.from(readFileSync(path, 'utf8').trim(), 'hex');
    expect(scheme.digest(key)).toEqual(createHmac('sha256', secret).update(key).digest());
    const again = new KeyDigests(place).making();
    expect([again.name, again.digest(key)]).toEqual([scheme.name, scheme.digest(key)]);
    writeFileSync(path, 'broken');
    expect(() => new KeyDigests(place)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  });

  test('set later leaves keys that were made before as they are', () => {
    const dataDir = join(folder, 'b');
    const before = new KeyDigests({ kind: 'embedded', dataDir }).making();
    const after = new KeyDigests({ kind: 'postgres', dataDir, secret: 'x'.repeat(32) });
    expect(after.making().name).not.toBe(before.name);
    expect(after.schemes.map(({ name }) => name)).toEqual([after.making().name, before.name, 'litellm']);
  });

  test('must be told to several replicas, and be long', () => {
    const dataDir = join(folder, 'c');
    for (const secret of [undefined, 'short']) {
      expect(() => new KeyDigests({ kind: 'postgres', dataDir, secret }).making()).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining('POINTSMAN_SECRET_KEY') }),
      );
    }
  });
});
