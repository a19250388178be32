import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEvent, resolveEvents } from '../../../eval/replay/events.ts';
import { orderRows, readTimes } from '../../../eval/replay/order.ts';
import { lengthWorld } from './worlds.ts';

const day = (text: string) => Date.parse(text);
const TIMES = Float64Array.of(day('2026-05-01'), day('2026-05-02T12:00Z'), day('2026-05-02T13:00Z'), day('2026-05-09'));

test('an event says what happens to whom and when', () => {
  const resolve = (text: string) => resolveEvents([parseEvent(text)], ['a/b:free'], 4, TIMES)[0];
  expect(resolve('price:a/b:free@3=0.5')).toEqual({ kind: 'price', model: 'a/b:free', at: 3, factor: 0.5 });
  expect(resolve('quality:a/b:free@1=-0.25')).toEqual({ kind: 'quality', model: 'a/b:free', at: 1, delta: -0.25 });
  expect(resolve('outage:a/b:free@2-4')).toEqual({ kind: 'outage', model: 'a/b:free', from: 2, to: 4, known: true });
  expect(resolve('blind-outage:a/b:free@2-2')).toMatchObject({ from: 2, to: 2, known: false });
  // A date is the first decision of that day or later; as an end, the last one of that day.
  expect(resolve('price:a/b:free@2026-05-02=2')).toMatchObject({ at: 2 });
  expect(resolve('price:a/b:free@2026-05-03=2')).toMatchObject({ at: 4 });
  expect(resolve('outage:a/b:free@2026-05-01..2026-05-02')).toMatchObject({ from: 1, to: 3 });
});

test('every number and model that can be written is read back', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z]+\/[a-z0-9:.@-]+$/),
      fc.integer({ min: 1, max: 1000 }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      (model, at, factor) => {
        const [event] = resolveEvents([parseEvent(`price:${model}@${at}=${factor}`)], [model], 1000, null);
        expect(event).toEqual({ kind: 'price', model, at, factor });
      },
    ),
  );
});

test.each([
  ['flood:a/b@3=2', /kind of event/],
  ['price', /kind of event/],
  ['price:a/b', /no MODEL/],
  ['price:@3=2', /no MODEL/],
  ['price:a/b@3', /DECISION=NUMBER/],
  ['price:a/b@3=cheap', /not a number/],
  ['price:a/b@3=-1', /0 or more/],
  ['quality:a/b@3=-2', /\[-1, 1\]/],
  ['outage:a/b@3', /FROM-TO/],
  ['outage:a/b@3-x', /FROM-TO/],
])('refuses %s and shows the forms', (text, message) => {
  expect(() => parseEvent(text)).toThrow(message);
  expect(() => parseEvent(text)).toThrow(/price:MODEL@DECISION=FACTOR/);
});

test.each([
  ['outage:a/b@3-2', /before it begins/],
  ['price:a/b@0=2', /not in 1 … 4/],
  ['price:a/b@soon=2', /neither the number/],
  ['price:a/b@2027-01-01=2', /from 2026-05-01 to 2026-05-09/],
  ['outage:a/b@1-5', /decision 5/],
])('refuses %s on four decisions', (text, message) => {
  expect(() => resolveEvents([parseEvent(text)], ['a/b'], 4, TIMES)).toThrow(message);
});

test('prompts are met by their times, as they stand, or by groups at random', () => {
  const prompts = lengthWorld(6).prompts.map((p, i) => ({ ...p, groupId: `g${i % 3}` }));
  const times = new Map(prompts.map((p, i) => [p.id, 100 - 10 * Math.floor(i / 2)]));
  // Times fall by pairs; equal ones stay as they stood.
  expect(orderRows(prompts, times, undefined, 1)).toMatchObject({ order: 'time', rows: [4, 5, 2, 3, 0, 1] });
  expect(orderRows(prompts, times, 'rows', 1).rows).toEqual([0, 1, 2, 3, 4, 5]);
  const { order, rows } = orderRows(prompts, new Map(), undefined, 1);
  expect(order).toBe('shuffle');
  expect([...rows].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  for (const k of [0, 2, 4]) expect(rows[k]! % 3).toBe(rows[k + 1]! % 3);
  const orders = [1, 2, 3, 4, 5].map((seed) => orderRows(prompts, new Map(), 'shuffle', seed).rows.join());
  expect(new Set(orders).size).toBeGreaterThan(1);
});

test('times are read from the rows, as dates or milliseconds, and a wrong one is named with its line', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'pointsman-times-'));
  try {
    const write = (...rows: object[]) =>
      writeFileSync(join(dir, 'prompts.jsonl'), rows.map((r) => JSON.stringify(r)).join('\n'));
    write({ id: 'a', text: 't', at: '2026-05-01' }, { id: 'b', text: 't', at: 5 }, { id: 'c', text: 't' });
    expect([...(await readTimes([dir]))]).toEqual([
      ['a', day('2026-05-01')],
      ['b', 5],
    ]);
    write({ id: 'a', text: 't' }, { id: 'b', text: 't', at: 'yesterday' });
    await expect(readTimes([dir])).rejects.toThrow(/prompts\.jsonl:2: field at: "yesterday"/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
