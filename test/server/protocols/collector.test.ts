/** Answers put together as they stream by: as `collect` would, within a bound. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collect } from '../../../server/protocols/collect.ts';
import { Collector } from '../../../server/protocols/collector.ts';
import type { AnswerEvent } from '../../../server/protocols/conversation.ts';

const text = fc.string({ maxLength: 5 });
const anEvent: fc.Arbitrary<AnswerEvent> = fc.oneof(
  fc.record({ type: fc.constant('text' as const), text }),
  fc.record({ type: fc.constant('thinking' as const), text }),
  fc.record({ type: fc.constant('refusal' as const), text }),
  fc.record({ type: fc.constant('sealed' as const), sealed: fc.constant({ by: 'openai' as const, data: 'x' }) }),
  fc.record({ type: fc.constant('tool_call' as const), index: fc.nat(2), id: text, name: text }),
  fc.record({ type: fc.constant('tool_arguments' as const), index: fc.nat(2), json: text }),
  fc.record({ type: fc.constant('other' as const), chars: fc.nat(9) }),
);
const finish: AnswerEvent = { type: 'finish', reason: 'stop' };

test('the same answer, however the events come in pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anEvent, { maxLength: 4 }), { maxLength: 12 }), (pieces) => {
      const collector = new Collector(1_000_000);
      for (const piece of pieces) collector.add(piece);
      collector.add([finish]);
      expect(collector.answer()).toEqual(collect([...pieces.flat(), finish]));
    }),
  );
});

describe('no answer', () => {
  test('where it never finished', () => {
    const collector = new Collector(1000);
    collector.add([{ type: 'text', text: 'half' }]);
    expect(collector.answer()).toBeNull();
  });
  test.each([100, 0])('beyond the bound, be it by many pieces of %d characters', (chars) => {
    const collector = new Collector(10_000);
    for (let i = 0; i < 1000; i++) collector.add([{ type: 'tool_arguments', index: 0, json: 'x'.repeat(chars) }]);
    collector.add([finish]);
    expect(collector.answer()).toBeNull();
    expect(collector.chars).toBeLessThan(10_200);
  });
});
