/** Sessions of people: whose cookie it is on every replica, until when, and what it may be used for. */
import { createHash } from 'node:crypto';
import { eq } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANYBODY, type Caller } from '../../../../server/callers.ts';
import { webSessions } from '../../../../server/db/schema.ts';
import { SCOPES_OF } from '../../../../server/governance/access/roles.ts';
import {
  cookieIn,
  refuseForeignPages,
  SESSION_COOKIE,
  type Visit,
  type Visitor,
  WebSessions,
} from '../../../../server/governance/access/web-sessions.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';

const ADA: Visitor = { subject: 'u-1', name: 'Ada', role: 'manager', team: 'search', keyId: null };
const HOUR_MS = 3_600_000;

const visit = (value: string, more: Partial<Visit> = {}): Visit => ({
  method: 'GET',
  url: '/v1/usage/summary?by=model',
  ...more,
  headers: { cookie: `a=b; ${SESSION_COOKIE}=${value}`, ...more.headers },
});

const codeOf = (work: Promise<unknown>) =>
  work.then(
    (value) => value,
    (error) => error.code,
  );

for (const kind of storeKinds) {
  describe(`on ${kind.name}`, () => {
    let opened: OpenedStore;
    let now = Date.parse('2026-11-20T12:00:00Z');
    const keys = new Map<string, Caller>();
    const archived = new Set<string>();
    const replica = () =>
      new WebSessions({
        db: opened.store.db,
        callerOfKey: (id) => keys.get(id) ?? null,
        isArchived: (team) => archived.has(team),
        now: () => now,
      });
    beforeAll(async () => {
      opened = await kind.open();
    });
    afterAll(() => opened.close());

    test('a person is known on every replica by the cookie, with their role in their team', async () => {
      const { value, expiresAt } = await replica().open(ADA, 12);
      expect(value).toMatch(/^[\w-]{43}$/);
      expect(expiresAt.getTime()).toBe(now + 12 * HOUR_MS);
      const caller = await replica().callerOf(visit(value));
      expect(caller).toMatchObject({ kind: 'person', name: 'Ada', tenant: 'search', role: 'manager', keyId: null });
      expect(caller!.scopes).toEqual(SCOPES_OF.manager);
      expect(caller!.everyTeam).toBe(false);
    });

    test('of the cookie the database has the SHA-256 and nothing else', async () => {
      const { value } = await replica().open(ADA, 12);
      const rows = await opened.store.db.select().from(webSessions);
      expect(JSON.stringify(rows)).not.toContain(value);
      expect(rows.map(({ digest }) => digest)).toContain(createHash('sha256').update(value).digest('hex'));
    });

    test('a session ends at its hour', async () => {
      const sessions = replica();
      const { value } = await sessions.open(ADA, 1);
      now += HOUR_MS - 1;
      expect(await sessions.callerOf(visit(value))).not.toBeNull();
      now += 1;
      expect(await sessions.callerOf(visit(value))).toBeNull();
    });

    test('one that was ended is over at once here, and a second later everywhere', async () => {
      const [here, there] = [replica(), replica()];
      const { value } = await here.open(ADA, 12);
      expect(await there.callerOf(visit(value))).not.toBeNull();
      expect((await here.end(value))?.subject).toBe('u-1');
      expect(await here.callerOf(visit(value))).toBeNull();
      now += 1000;
      expect(await there.callerOf(visit(value))).toBeNull();
      expect(await here.end(value)).toBeNull();
    });

    test('one that a key opened has what the key has now, and ends with it', async () => {
      const sessions = replica();
      keys.set('k-1', { ...ANYBODY, kind: 'key', name: 'ops', keyId: 'k-1' });
      const { value } = await sessions.open({ ...ADA, name: 'ops', role: 'admin', team: null, keyId: 'k-1' }, 12);
      expect(await sessions.callerOf(visit(value))).toBe(keys.get('k-1'));
      keys.set('k-1', { ...keys.get('k-1')!, role: 'read-only' });
      expect((await sessions.callerOf(visit(value)))?.role).toBe('read-only');
      keys.delete('k-1');
      expect(await sessions.callerOf(visit(value))).toBeNull();
    });

    test('whoever is of an archived team is not in while it is', async () => {
      const sessions = replica();
      const { value } = await sessions.open(ADA, 12);
      const { value: everywhere } = await sessions.open({ ...ADA, team: null }, 12);
      archived.add('search');
      expect(await sessions.callerOf(visit(value))).toBeNull();
      expect(await sessions.callerOf(visit(everywhere))).toMatchObject({ everyTeam: true });
      archived.delete('search');
      expect(await sessions.callerOf(visit(value))).toMatchObject({ name: 'Ada' });
    });

    test('rows are gone a day after their end', async () => {
      const sessions = replica();
      const { value } = await sessions.open(ADA, 1);
      const digest = createHash('sha256').update(value).digest('hex');
      const isThere = async () =>
        (await opened.store.db.select().from(webSessions).where(eq(webSessions.digest, digest))).length === 1;
      for (const [hours, there] of [
        [24.9, true],
        [25.1, false],
      ] as const) {
        const later = new WebSessions({
          db: opened.store.db,
          isArchived: () => false,
          callerOfKey: () => null,
          now: () => now + hours * HOUR_MS,
        });
        await later.start();
        await expect.poll(isThere).toBe(there);
        await later.stop();
      }
    });
  });
}

describe('whatever is sent', () => {
  const rows = { asked: 0 };
  const counting = new Proxy({} as never, {
    get() {
      rows.asked++;
      throw new Error('the database was asked');
    },
  });
  const sessions = new WebSessions({ db: counting, isArchived: () => false, callerOfKey: () => null });

  test('what is no cookie of ours asks the database nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string().filter((text) => !/^\s*[\w-]{43}\s*$/.test(text.split(';')[0]!)),
        async (value) => {
          expect(await sessions.callerOf(visit(value))).toBeNull();
          expect(await sessions.end(value.split(';')[0]!)).toBeNull();
        },
      ),
    );
    expect(rows.asked).toBe(0);
  });

  test.each(['/v1/chat/completions', '/v1/models', '/v1/files', '/v1/export/decisions', '/v1/usagex', '/metrics'])(
    'a cookie is nothing at %s',
    async (url) => {
      expect(await sessions.callerOf(visit('x'.repeat(43), { url }))).toBeNull();
      expect(rows.asked).toBe(0);
    },
  );

  test('a database that does not answer is told, not taken for a stranger', async () => {
    expect(await codeOf(sessions.callerOf(visit('x'.repeat(43))))).toBe('DATABASE_UNAVAILABLE');
    const nothing = new WebSessions({ db: null, isArchived: () => false, callerOfKey: () => null });
    expect(await codeOf(nothing.open(ADA, 1))).toBe('DATABASE_UNAVAILABLE');
  });

  test('a cookie is found among others by its whole name', () => {
    expect(cookieIn('xpointsman_session=1; pointsman_session=2; pointsman_session=3', SESSION_COOKIE)).toBe('2');
    expect(cookieIn('pointsman_session', SESSION_COOKIE)).toBeUndefined();
    expect(cookieIn(undefined, SESSION_COOKIE)).toBeUndefined();
  });
});

describe('a change by a cookie', () => {
  const ours = { 'x-pointsman-csrf': '1', host: 'gateway.example.com' };
  const isRefused = (headers: Record<string, string>) => {
    try {
      refuseForeignPages(headers, 'needed');
      return false;
    } catch (error) {
      expect((error as { code: string }).code).toBe('FORBIDDEN');
      return true;
    }
  };

  test.each<[string, Record<string, string>]>([
    ['of the gateway’s own page', { ...ours, 'sec-fetch-site': 'same-origin' }],
    ['of somebody who typed the address', { ...ours, 'sec-fetch-site': 'none' }],
    ['of a browser that tells its origin alone', { ...ours, origin: 'https://gateway.example.com' }],
  ])('is done, %s', (_, headers) => expect(isRefused(headers)).toBe(false));

  test.each<[string, Record<string, string>]>([
    ['without the header', { host: 'gateway.example.com', 'sec-fetch-site': 'same-origin' }],
    ['of another site', { ...ours, 'sec-fetch-site': 'cross-site' }],
    ['of a neighbour under the same domain', { ...ours, 'sec-fetch-site': 'same-site' }],
    ['of another origin', { ...ours, origin: 'https://evil.example.com' }],
    ['of an origin that is none', { ...ours, origin: 'null' }],
    [
      'of another site that tells our origin',
      { ...ours, 'sec-fetch-site': 'cross-site', origin: 'https://gateway.example.com' },
    ],
    ['of nobody knows where', ours],
  ])('is refused %s', (_, headers) => expect(isRefused(headers)).toBe(true));
});
