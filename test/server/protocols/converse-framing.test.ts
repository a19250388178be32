import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { converseUpstream } from '../../../server/protocols/converse/index.ts';
import { processorMs } from '../../processor-time.ts';
import { event, exception, message } from './converse-wire.ts';

const LIMIT = 10_000;

function parse(pieces: readonly Uint8Array[]) {
  const framing = converseUpstream.framing(LIMIT);
  const frames = pieces.flatMap((piece) => framing.push(piece));
  const rest = framing.end();
  return { frames, rest, foreign: framing.foreign };
}

describe('the framing of AWS event streams', () => {
  test('gives the event’s or the exception’s type, and the body as text', () => {
    const naive = { text: 'naïve 🚂' };
    expect(parse([Buffer.concat([event('messageStart', naive), exception('throttlingException', {})])])).toEqual({
      frames: [
        { event: 'messageStart', data: JSON.stringify(naive) },
        { event: 'throttlingException', data: '{}' },
      ],
      rest: null,
      foreign: false,
    });
  });

  test('tells a message of type error, which has no body, as an exception of that code', () => {
    const sent = message({ ':message-type': 'error', ':error-code': 'InternalFailure', ':error-message': 'gone' });
    const { frames } = parse([sent]);
    expect(frames).toEqual([{ event: 'error', data: '{"__type":"InternalFailure","message":"gone"}' }]);
    expect(converseUpstream.reader({}).read(frames[0]!)).toEqual([
      { type: 'error', error: expect.objectContaining({ code: 'InternalFailure', message: 'gone', status: 500 }) },
    ]);
  });

  test('reads the same frames however the bytes are cut', () => {
    const body = fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => event('contentBlockDelta', { text }));
    fc.assert(
      fc.property(
        fc.array(body, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 0, max: 1500 }), { maxLength: 12 }),
        (messages, cuts) => {
          const all = Buffer.concat(messages);
          const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, all.length)), all.length])].sort(
            (a, b) => a - b,
          );
          const pieces = at.slice(1).map((end, i) => all.subarray(at[i], end));
          const whole = parse([all]);
          expect(whole.frames).toHaveLength(messages.length);
          expect(parse(pieces)).toEqual(whole);
        },
      ),
      { numRuns: 300 },
    );
    const all = event('messageStart', { role: 'assistant' });
    expect(parse([...all].map((byte) => Uint8Array.of(byte))).frames).toHaveLength(1);
  });

  test('hands over nothing of a message that was cut off', () => {
    const all = event('messageStart', { role: 'assistant' });
    expect(parse([all, all.subarray(0, all.length - 1)])).toEqual({
      frames: [{ event: 'messageStart', data: '{"role":"assistant"}' }],
      rest: null,
      foreign: false,
    });
  });

  test('refuses a message in which any byte was changed', () => {
    const first = event('messageStart', { role: 'assistant' });
    const second = event('contentBlockDelta', { delta: { text: 'x' } });
    fc.assert(
      fc.property(fc.nat({ max: second.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Uint8Array.from(second);
        damaged[at]! ^= change;
        const framing = converseUpstream.framing(LIMIT);
        framing.push(first);
        expect(() => framing.push(damaged)).toThrow(expect.objectContaining({ code: 'UPSTREAM_INVALID' }));
      }),
    );
  });

  test('refuses a message beyond its limit at its prelude, before it has come', () => {
    const large = event('contentBlockDelta', { text: 'x'.repeat(LIMIT) });
    const framing = converseUpstream.framing(LIMIT);
    expect(() => framing.push(large.subarray(0, 12))).toThrow(/larger than 10000 bytes/);
  });

  test('refuses headers that cannot be read', () => {
    // Sound checksums around a header of no known kind: its name's length, name, and 99 for the kind.
    const sound = message({ a: 'b' });
    const broken = withHeaders(Uint8Array.of(1, 97, 99));
    expect(parse([sound]).frames).toEqual([{ event: '', data: '' }]);
    expect(() => parse([broken])).toThrow(expect.objectContaining({ code: 'UPSTREAM_INVALID' }));
  });

  test('knows what is no event stream', () => {
    for (const text of [
      '{"message":"no"}',
      'data: {"a":1}\n\n',
      '<html><body>Bad gateway</body></html>',
      'no',
      '\0\0\0\x10',
    ]) {
      expect(parse([Buffer.from(text)])).toEqual({ frames: [], rest: null, foreign: true });
    }
    expect(parse([])).toEqual({ frames: [], rest: null, foreign: false });
  });

  test('stays linear in a long message that comes in small pieces', async () => {
    const large = event('contentBlockDelta', { text: 'x'.repeat(4_000_000) });
    const framing = converseUpstream.framing(8_000_000);
    let frames = 0;
    const ms = await processorMs(() => {
      for (let at = 0; at < large.length; at += 100) frames += framing.push(large.subarray(at, at + 100)).length;
    });
    expect(frames).toBe(1);
    // 40 000 pieces: joined at each, they would be 80 GB of copying.
    expect(ms).toBeLessThan(10_000);
  });
});

/** A message with these bytes for its headers, sums right. */
function withHeaders(headers: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(16 + headers.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(headers.length, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  bytes.set(headers, 12);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
