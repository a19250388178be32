import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHealth, shareHealth } from '../../../server/db/deployment-health.ts';
import { findHeld, type HeldObject, hold, release } from '../../../server/db/held-objects.ts';
import {
  addProviderKey,
  listProviderKeys,
  openProviderKeys,
  openSecret,
  removeProviderKey,
  sealSecret,
} from '../../../server/db/provider-keys.ts';
import { claimPin, deleteExpired, movePin, type Pin, readPin } from '../../../server/db/sessions.ts';
import type { SqlStore } from '../../../server/db/store.ts';
import { type OpenedStore, storeKinds } from './stores.ts';

const SECRET = 'a secret of the operator that is long enough';
const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds));

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  let db: SqlStore['db'];
  beforeAll(async () => {
    opened = await kind.open();
    db = opened.store.db;
  });
  afterAll(() => opened.close());

  describe('a pin', () => {
    const pin = (session: string, over: Partial<Pin> = {}): Pin => ({
      tenant: 'team-a',
      session,
      model: 'a/small',
      deployment: null,
      prefixTokens: 0,
      locked: null,
      updatedAt: at(0),
      ...over,
    });

    test('is read back as it was claimed, until it has been silent for its time', async () => {
      const claimed = pin('s1', { deployment: 'a/small#2', prefixTokens: 3_000_000_000, locked: 'tool_calls' });
      expect(await readPin(db, 'team-a', 's1', 10_000, at(0))).toBeNull();
      expect(await claimPin(db, claimed, 10_000)).toEqual(claimed);
      expect(await readPin(db, 'team-a', 's1', 10_000, at(10))).toEqual(claimed);
      expect(await readPin(db, 'team-a', 's1', 10_000, at(11))).toBeNull();
    });

    test('belongs to its tenant', async () => {
      await claimPin(db, pin('shared-name'), 10_000);
      expect(await readPin(db, 'team-b', 'shared-name', 10_000, at(1))).toBeNull();
      const other = pin('shared-name', { tenant: 'team-b', model: 'b/large' });
      expect(await claimPin(db, other, 10_000)).toEqual(other);
      expect((await readPin(db, 'team-a', 'shared-name', 10_000, at(1)))?.model).toBe('a/small');
    });

    test('is one, however many replicas claim it at once', async () => {
      const claims = Array.from({ length: 20 }, (_, i) =>
        pin('raced', { model: `model-${i}`, deployment: `on-${i}`, updatedAt: at(i % 3) }),
      );
      const inForce = await Promise.all(claims.map((claim) => claimPin(db, claim, 10_000)));
      expect(new Set(inForce.map((won) => JSON.stringify(won))).size).toBe(1);
      expect(claims).toContainEqual(inForce[0]);
      expect(await readPin(db, 'team-a', 'raced', 10_000, at(2))).toEqual(inForce[0]);
    });

    test('that has expired goes to who claims next', async () => {
      await claimPin(db, pin('old', { model: 'a/old', locked: 'reasoning' }), 10_000);
      const next = pin('old', { model: 'a/new', updatedAt: at(11) });
      expect(await claimPin(db, next, 10_000)).toEqual(next);
      const early = pin('old', { model: 'a/other', updatedAt: at(21) });
      expect(await claimPin(db, early, 10_000)).toEqual(next);
    });

    test('moves with each turn, and not back with one that arrives late', async () => {
      await movePin(db, pin('moving', { updatedAt: at(5), prefixTokens: 500 }));
      await movePin(db, pin('moving', { updatedAt: at(3), prefixTokens: 300, model: 'b/late' }));
      expect(await readPin(db, 'team-a', 'moving', 10_000, at(5))).toMatchObject({
        model: 'a/small',
        prefixTokens: 500,
      });
      const last = pin('moving', {
        updatedAt: at(7),
        prefixTokens: 700,
        model: 'b/large',
        deployment: 'd',
        locked: 'x',
      });
      await movePin(db, last);
      expect(await readPin(db, 'team-a', 'moving', 10_000, at(7))).toEqual(last);
    });

    test('takes whatever a client calls its session', async () => {
      const random = Array.from({ length: 20_000 }, (_, i) => String.fromCharCode(33 + ((i * i * 7919) % 90))).join('');
      for (const session of ['', 'a\0b', '\ud800', "'; drop table sessions; --", random]) {
        const odd = pin(session);
        expect(await claimPin(db, odd, 10_000)).toEqual(odd);
        expect(await readPin(db, 'team-a', session, 10_000, at(1))).toEqual(odd);
      }
      expect(await readPin(db, 'team-a', `${random}!`, 10_000, at(1))).toBeNull();
    });

    test('is deleted when nobody has needed it for long', async () => {
      await movePin(db, pin('keep', { updatedAt: at(3600) }));
      expect(await deleteExpired(db, at(3600))).toBeGreaterThanOrEqual(5);
      expect(await deleteExpired(db, at(3600))).toBe(0);
      expect(await readPin(db, 'team-a', 'keep', 10_000, at(3600))).not.toBeNull();
    });
  });

  describe('an object that a provider holds', () => {
    const held = (over: Partial<HeldObject> = {}): HeldObject => ({
      id: 'resp_1',
      kind: 'response',
      tenant: 'team-a',
      provider: 'openai',
      deployment: 'openai/gpt-6#main',
      model: 'openai/gpt-6',
      createdAt: at(1),
      ...over,
    });

    test('is found by its tenant and by nobody else', async () => {
      await hold(db, held());
      expect(await findHeld(db, 'team-a', 'resp_1')).toEqual(held());
      expect(await findHeld(db, 'team-b', 'resp_1')).toBeNull();
      expect(await findHeld(db, 'team-a', 'resp_2')).toBeNull();
      expect(await findHeld(db, 'team-a', 'x'.repeat(100_000))).toBeNull();
    });

    test('of another tenant with the same id leaves the first one where it is', async () => {
      const theirs = held({ tenant: 'team-c', provider: 'elsewhere', deployment: 'elsewhere/x', model: null });
      await hold(db, theirs);
      expect(await findHeld(db, 'team-c', 'resp_1')).toEqual(theirs);
      expect((await findHeld(db, 'team-a', 'resp_1'))?.provider).toBe('openai');
    });

    test('noted again is where it was noted last', async () => {
      const file = held({ id: 'file-1', kind: 'file' });
      await hold(db, file);
      await hold(db, { ...file, deployment: 'openai/gpt-6#second', createdAt: at(2) });
      expect(await findHeld(db, 'team-a', 'file-1')).toEqual({
        ...file,
        deployment: 'openai/gpt-6#second',
        createdAt: at(2),
      });
    });

    test('is forgotten once released, for its tenant only', async () => {
      const batch = held({ id: 'batch_1', kind: 'batch' });
      await hold(db, batch);
      expect(await release(db, 'team-b', 'batch_1')).toBe(false);
      expect(await findHeld(db, 'team-a', 'batch_1')).toEqual(batch);
      expect(await release(db, 'team-a', 'batch_1')).toBe(true);
      expect(await release(db, 'team-a', 'batch_1')).toBe(false);
      expect(await findHeld(db, 'team-a', 'batch_1')).toBeNull();
    });
  });

  describe('the health of deployments', () => {
    test('tells of those that rest, and for how much longer', async () => {
      await shareHealth(db, []);
      await shareHealth(db, [
        { deployment: 'a/small', failures: 3, restMs: 60_000 },
        { deployment: 'b/large', failures: 1, restMs: 0 },
        { deployment: 'c/other', failures: 4, restMs: 120_000.5 },
      ]);
      const resting = await readHealth(db);
      expect(resting.map(({ deployment, failures }) => [deployment, failures]).sort()).toEqual([
        ['a/small', 3],
        ['c/other', 4],
      ]);
      const { restMs } = resting.find(({ deployment }) => deployment === 'a/small')!;
      expect(restMs).toBeGreaterThan(20_000);
      expect(restMs).toBeLessThanOrEqual(60_000);
    });

    test('believes the last word, also within one message', async () => {
      await shareHealth(db, [{ deployment: 'a/small', failures: 0, restMs: 0 }]);
      await shareHealth(db, [
        { deployment: 'c/other', failures: 5, restMs: 60_000 },
        { deployment: 'c/other', failures: 6, restMs: 90_000 },
      ]);
      expect(await readHealth(db)).toEqual([{ deployment: 'c/other', failures: 6, restMs: expect.any(Number) }]);
    });

    test('forgets a rest that is over', async () => {
      await shareHealth(db, [{ deployment: 'c/other', failures: 6, restMs: 30 }]);
      await expect.poll(() => readHealth(db)).toEqual([]);
    });
  });

  describe('a provider’s key', () => {
    const PLAIN = 'sk-planted-0123456789-planted';

    test('is given back to who has the secret, and listed without it', async () => {
      const main = await addProviderKey(db, SECRET, { provider: 'openai', name: 'main', tenant: null, apiKey: PLAIN });
      const team = { provider: 'openai', name: 'team', tenant: 'team-a', apiKey: `${PLAIN}-ü`, weight: 0.25 };
      const second = await addProviderKey(db, SECRET, team);
      expect(main).toMatchObject({ provider: 'openai', name: 'main', tenant: null, weight: 1 });
      expect(await listProviderKeys(db)).toEqual([main, second]);
      expect(JSON.stringify([main, second, await listProviderKeys(db)])).not.toContain('planted');
      expect(await openProviderKeys(db, SECRET)).toEqual([
        { ...main, apiKey: PLAIN },
        { ...second, apiKey: `${PLAIN}-ü` },
      ]);
    });

    test('with another secret does not open, and the error holds neither of them', async () => {
      const wrong = 'another secret, as long as it has to be';
      const error = await openProviderKeys(db, wrong).catch((caught: Error) => caught);
      expect(error).toMatchObject({
        code: 'INVALID_CONFIG',
        message: expect.stringMatching(/key main of openai cannot be opened: POINTSMAN_SECRET_KEY is not the one/),
      });
      const said = `${(error as Error).message} ${(error as Error).stack} ${String((error as Error).cause)}`;
      expect(said).not.toMatch(/planted|another secret|secret of the operator/);
    });

    test('moved to another name or tenant by hand does not open', async () => {
      await db.execute(sql`update provider_keys set tenant = 'team-b' where name = 'team'`);
      await expect(openProviderKeys(db, SECRET)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
      await db.execute(sql`update provider_keys set tenant = 'team-a' where name = 'team'`);
      expect(await openProviderKeys(db, SECRET)).toHaveLength(2);
    });

    test('of a name that is taken is refused, and the old one stays', async () => {
      const again = { provider: 'openai', name: 'main', tenant: null, apiKey: 'sk-other' };
      await expect(addProviderKey(db, SECRET, again)).rejects.toMatchObject({
        code: 'INVALID_CONFIG',
        message: 'openai has a key named main already: remove that first',
      });
      expect((await openProviderKeys(db, SECRET))[0]?.apiKey).toBe(PLAIN);
    });

    test.each([
      [{ apiKey: '' }, /needs a provider, a name and the key/],
      [{ provider: '' }, /needs a provider/],
      [{ weight: -1 }, /weight .* -1/],
      [{ weight: Number.NaN }, /weight .* NaN/],
    ])('out of range (%j) is refused', async (over, message) => {
      const key = { provider: 'groq', name: 'bad', tenant: null, apiKey: 'sk', ...over };
      await expect(addProviderKey(db, SECRET, key)).rejects.toMatchObject({
        code: 'INVALID_CONFIG',
        message: expect.stringMatching(message),
      });
    });

    test('is nowhere in rows or files as it reads', async () => {
      const rows = JSON.stringify(await db.execute(sql`select * from provider_keys`));
      expect(rows).toContain('openai');
      expect(rows).not.toMatch(/planted/);
      await db.execute(sql`checkpoint`);
      const folder = opened.options.dataDir;
      for (const path of readdirSync(folder, { recursive: true }) as string[]) {
        if (!statSync(join(folder, path)).isFile()) continue;
        expect(readFileSync(join(folder, path)).includes('sk-planted'), path).toBe(false);
      }
    });

    test('is gone when it is removed', async () => {
      expect(await removeProviderKey(db, 'openai', 'team')).toBe(true);
      expect(await removeProviderKey(db, 'openai', 'team')).toBe(false);
      expect((await listProviderKeys(db)).map(({ name }) => name)).toEqual(['main']);
    });
  });

  test('a database that is closed is named as such', async () => {
    const other = await kind.open();
    const { db: closed } = other.store;
    await other.close();
    const unavailable = { code: 'DATABASE_UNAVAILABLE' };
    await expect(readPin(closed, 't', 's', 1)).rejects.toMatchObject(unavailable);
    await expect(findHeld(closed, 't', 'i')).rejects.toMatchObject(unavailable);
    await expect(readHealth(closed)).rejects.toMatchObject(unavailable);
    await expect(listProviderKeys(closed)).rejects.toMatchObject(unavailable);
  });
});

describe('a sealed secret', () => {
  const place = { provider: 'openai', name: 'main', tenant: null };

  test('reads differently each time, and opens each time', () => {
    const [first, second] = [sealSecret('sk-1', SECRET, place), sealSecret('sk-1', SECRET, place)];
    expect(first).not.toBe(second);
    expect([openSecret(first, SECRET, place), openSecret(second, SECRET, place)]).toEqual(['sk-1', 'sk-1']);
  });

  test('opens for its own place only', () => {
    const sealed = sealSecret('sk-1', SECRET, place);
    for (const other of [{ provider: 'groq' }, { name: 'second' }, { tenant: 'team-a' }]) {
      expect(() => openSecret(sealed, SECRET, { ...place, ...other })).toThrow(/cannot be opened/);
    }
    expect(() => openSecret(sealed, SECRET, { ...place, provider: 'openaim', name: 'ain' })).toThrow();
  });

  test('changed by one bit does not open, wherever that is', () => {
    const sealed = sealSecret('sk-1', SECRET, place);
    const raw = Buffer.from(sealed.slice(3), 'base64url');
    for (let i = 0; i < raw.length; i++) {
      const changed = Buffer.from(raw);
      changed[i]! ^= 1;
      expect(() => openSecret(`v1.${changed.toString('base64url')}`, SECRET, place)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIG' }),
      );
    }
  });

  test.each(['', 'v1', 'v1.', 'v2.abc', 'v1.AAAA', 'sk-plain'])('that is none (%j) is a clear error', (sealed) => {
    expect(() => openSecret(sealed, SECRET, place)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  });

  test('needs an operator’s secret of some length', () => {
    expect(() => sealSecret('sk-1', 'x'.repeat(31), place)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringMatching(/32 characters or more/) }),
    );
    expect(openSecret(sealSecret('sk-1', 'x'.repeat(32), place), 'x'.repeat(32), place)).toBe('sk-1');
  });
});
