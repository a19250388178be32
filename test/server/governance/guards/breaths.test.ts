/** Hundreds of thousands of strings in one request: others have their turn between any two strides. */
import { expect, test } from 'vitest';
import { Breath } from '../../../../server/governance/guards/breath.ts';
import { Guards } from '../../../../server/governance/guards/guards.ts';
import { itemsIn, lookInJson } from '../../../../server/governance/guards/looking.ts';
import { promptNames, promptPlaces } from '../../../../server/governance/guards/prompt-places.ts';
import { callerUnder, rulesOf } from './governed.ts';

/** Takes every chance there is. */
class Breathless extends Breath {
  override get isDue(): boolean {
    return true;
  }
}

const N = 20_000;
const list = Array.from({ length: N }, (_, i) => `w${i}`);
const tool = { type: 'tool_use', id: 't', name: 'f', input: { list } };
const request = { model: 'm', messages: [{ role: 'assistant', content: [tool] }] };

test('while the places of strings are looked for', async () => {
  const breath = new Breathless();
  const items = await itemsIn(JSON.stringify(request), promptPlaces('messages', request), promptNames, breath);
  expect(items.filter(({ value }) => value.startsWith('w'))).toHaveLength(N);
  expect(breath.taken).toBeGreaterThanOrEqual(N);
});

test('also where none is of interest', async () => {
  const breath = new Breathless();
  const items = await itemsIn(JSON.stringify(request), () => null, undefined, breath);
  expect(items).toHaveLength(0);
  // Each string is a step, and so is what parts it from the next: at least one breath in a thousand.
  expect(breath.taken).toBeGreaterThanOrEqual(Math.floor((2 * N) / 1000));
});

test('while JSON in a string is looked at value by value', async () => {
  const breath = new Breathless();
  const guard = { look: (text: string) => ({ text, found: {} }) };
  await lookInJson(guard, JSON.stringify({ list }), 'assistant', breath);
  expect(breath.taken).toBeGreaterThanOrEqual(N);
});

test('and the request passes as it was', async () => {
  const text = JSON.stringify(request);
  const caller = callerUnder(rulesOf({ name: 'p', kind: 'pii' }, { name: 'd', kind: 'deny', words: ['falcon'] }));
  const passed = await new Guards().before({
    caller,
    surface: 'messages',
    json: request,
    text,
    log: undefined as never,
  });
  expect(passed.text).toBe(text);
});
