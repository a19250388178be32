import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SseParser } from '../../server/forward/sse.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function parse(pieces: readonly Uint8Array[]) {
  const parser = new SseParser();
  const events = pieces.flatMap((piece) => parser.push(piece));
  return { events, rest: parser.end() };
}

const parseText = (text: string) => parse([bytes(text)]);

describe('SseParser', () => {
  test('reads plain messages', () => {
    expect(parseText('data: one\n\ndata:two\n\n').events).toEqual([
      { event: '', data: 'one' },
      { event: '', data: 'two' },
    ]);
  });

  test('takes LF, CRLF and CR as line ends', () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const { events } = parseText(`event: error${end}data: a${end}data: b${end}${end}data: c${end}${end}`);
      expect(events).toEqual([
        { event: 'error', data: 'a\nb' },
        { event: '', data: 'c' },
      ]);
    }
  });

  test('skips comments, unknown fields and events without data', () => {
    expect(parseText(': thinking\n\nid: 7\nretry: 5\n\nevent: ping\n\ndata: x\n\n').events).toEqual([
      { event: '', data: 'x' },
    ]);
  });

  test('puts characters together that arrive in parts', () => {
    const all = bytes('data: naïve 🚂\n\n');
    expect(parse([...all].map((byte) => Uint8Array.of(byte))).events).toEqual([{ event: '', data: 'naïve 🚂' }]);
  });

  test('hands over what was left without a blank line', () => {
    expect(parseText('data: a\n\ndata: [DONE]')).toEqual({
      events: [{ event: '', data: 'a' }],
      rest: { event: '', data: '[DONE]' },
    });
    expect(parseText('data: a\n\n').rest).toBeNull();
  });

  test('drops a byte order mark', () => {
    expect(parseText('\uFEFFdata: a\n\n').events).toEqual([{ event: '', data: 'a' }]);
  });

  test('refuses an event that grows past its limit, in one line or in many', () => {
    const one = new SseParser(100);
    one.push(bytes(`data: ${'x'.repeat(60)}`));
    expect(() => one.push(bytes('x'.repeat(60)))).toThrow(expect.objectContaining({ code: 'UPSTREAM_INVALID' }));
    const many = new SseParser(100);
    expect(() => many.push(bytes('data: xxxxxxxxxx\n'.repeat(20)))).toThrow(/larger than 100/);
  });

  test('reads the same events however the bytes are cut', () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `data: ${text.replace(/[\r\n]/g, ' ')}`),
      fc.constantFrom(': comment', 'event: error', 'data', 'data:', '', '', 'id: 1', 'nonsense'),
    );
    const text = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
      .map((lines) => lines.map(([content, end]) => content + end).join(''));
    fc.assert(
      fc.property(text, fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 12 }), (whole, cuts) => {
        const all = bytes(whole);
        const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, all.length)), all.length])].sort((a, b) => a - b);
        const pieces = at.slice(1).map((end, i) => all.subarray(at[i], end));
        expect(parse(pieces)).toEqual(parse([all]));
      }),
      { numRuns: 500 },
    );
  });
});
