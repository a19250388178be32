/** What is held outlives a database that is away for a while, and is never another tenant's. */
import { afterEach, expect, test, vi } from 'vitest';
import { type HeldObject, HeldObjects, type HeldStore } from '../../server/held-objects.ts';

afterEach(() => vi.useRealTimers());

const object = (id: string, tenant = 'a'): HeldObject => ({
  id,
  tenant,
  kind: 'file',
  provider: 'one',
  deployment: 'one',
  model: null,
  createdAt: new Date(0),
});

function store() {
  const rows = new Map<string, HeldObject>();
  const key = (tenant: string, id: string) => `${tenant} ${id}`;
  const state = { rows, away: false, reads: 0 };
  const there = () => {
    if (state.away) throw new Error('away');
  };
  const held: HeldStore = {
    async hold(one) {
      there();
      rows.set(key(one.tenant, one.id), one);
    },
    async find(tenant, id) {
      there();
      state.reads++;
      return rows.get(key(tenant, id)) ?? null;
    },
    async among(tenant, ids) {
      there();
      return new Set(ids.filter((id) => rows.has(key(tenant, id))));
    },
    async release(tenant, id) {
      there();
      return rows.delete(key(tenant, id));
    },
  };
  return { held, state };
}

test('what could not be written is known here at once, and written when the database is back', async () => {
  vi.useFakeTimers();
  const { held, state } = store();
  const objects = new HeldObjects(held);
  state.away = true;
  await objects.hold([object('x')]);
  expect(await objects.find('a', 'x')).toEqual(object('x'));
  await expect(objects.find('a', 'unknown')).rejects.toThrow('away');
  await vi.advanceTimersByTimeAsync(6000);
  expect(state.rows.size).toBe(0);
  state.away = false;
  await vi.advanceTimersByTimeAsync(6000);
  expect([...state.rows.values()]).toEqual([object('x')]);
  expect(vi.getTimerCount()).toBe(0);
});

test('an answer does not wait for a database that hangs', async () => {
  vi.useFakeTimers();
  const { held } = store();
  const objects = new HeldObjects({ ...held, hold: () => new Promise(() => {}) });
  let isHeld = false;
  void objects.hold([object('x')]).then(() => {
    isHeld = true;
  });
  await vi.advanceTimersByTimeAsync(900);
  expect(isHeld).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  expect(isHeld).toBe(true);
});

test('an id is one tenant’s, whatever is in the names', async () => {
  const objects = new HeldObjects(null);
  await objects.hold([object('x', 'a'), object('y\nx', 'b')]);
  expect(await objects.find('b', 'x')).toBeNull();
  expect(await objects.find('a', 'y\nx')).toBeNull();
  expect(await objects.find('b\ny', 'x')).toBeNull();
  expect(await objects.among('a', ['x', 'y\nx'])).toEqual(new Set(['x']));
  await objects.release('b', 'x');
  expect(await objects.find('a', 'x')).not.toBeNull();
});

test('what was found once is not asked for again; ids that no provider gives out are never asked for', async () => {
  const { held, state } = store();
  await held.hold(object('x'));
  const objects = new HeldObjects(held);
  await objects.find('a', 'x');
  await objects.find('a', 'x');
  expect(state.reads).toBe(1);
  expect(await objects.find('a', 'x'.repeat(501))).toBeNull();
  expect(await objects.find('a', '')).toBeNull();
  await objects.hold([object('x'.repeat(501))]);
  expect(state.rows.size).toBe(1);
  expect(state.reads).toBe(1);
});
