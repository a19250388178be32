/** A form that goes by in pieces of any size: read as the whole is, and every byte of it comes out again. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formFields } from '../../server/api/passthrough-form.ts';
import { throughForm } from '../../server/api/passthrough-form-stream.ts';
import { decoded, encoded, unfinished } from '../../server/governance/guards/file-text.ts';

const TYPE = 'multipart/form-data; boundary=b';

async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function through(bytes: Buffer, size: number, change: (value: Buffer) => Buffer = (value) => value) {
  const values: [string, string][] = [];
  const out: Buffer[] = [];
  const lookOf = ({ name }: { name: string }) => {
    const pieces: Buffer[] = [];
    return {
      push: async (piece: Buffer) => {
        pieces.push(piece);
        return Buffer.alloc(0);
      },
      end: async () => {
        const value = Buffer.concat(pieces);
        values.push([name, value.toString('latin1')]);
        return change(value);
      },
    };
  };
  for await (const piece of throughForm(inPieces(bytes, size), TYPE, lookOf)) out.push(piece);
  return { values, out: Buffer.concat(out) };
}

/** Characters of which boundaries, and what looks like them, are made. */
const value = fc
  .array(fc.constantFrom('\r', '\n', '-', '--', 'b', '\r\n', '\r\n-', 'x', '\u00ff'), { maxLength: 12 })
  .map((parts) => parts.join(''))
  .filter((text) => !text.includes('--b'));
const form = fc
  .array(fc.tuple(fc.constantFrom('file', 'purpose', 'n'), value), { minLength: 1, maxLength: 4 })
  .map((fields) =>
    fields.map(([name, text]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`),
  )
  .map((fields) => Buffer.from(`${fields.join('')}--b--\r\n`, 'latin1'));

test('in pieces of any size it holds what the whole holds, and comes out byte for byte', async () => {
  await fc.assert(
    fc.asyncProperty(form, fc.integer({ min: 1, max: 40 }), async (bytes, size) => {
      const { values, out } = await through(bytes, size);
      expect(out.equals(bytes)).toBe(true);
      const whole = formFields(bytes, TYPE).map(({ name, start, end }) => [name, bytes.toString('latin1', start, end)]);
      expect(values).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});

test('what is damaged is refused like the whole, in pieces of any size', async () => {
  const damaged = fc.tuple(form, fc.nat(), fc.constantFrom('', '--b', '\r\n\r\n', 'x')).map(([bytes, at, put]) => {
    const i = at % bytes.length;
    return Buffer.concat([bytes.subarray(0, i), Buffer.from(put), bytes.subarray(i + 1)]);
  });
  await fc.assert(
    fc.asyncProperty(damaged, fc.integer({ min: 1, max: 40 }), async (bytes, size) => {
      let whole: [string, string][] | null = null;
      try {
        whole = formFields(bytes, TYPE).map(({ name, start, end }) => [name, bytes.toString('latin1', start, end)]);
      } catch {
        // Then in pieces it must be refused, too.
      }
      const read = await through(bytes, size).catch(() => null);
      expect(read?.values ?? null).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});

test('any bytes are text, and come out of it as they were, wherever they are cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 20 }), (noise, text) => {
      const bytes = Buffer.concat([Buffer.from(text), noise, Buffer.from(text)]);
      expect(encoded(decoded(bytes)).equals(bytes)).toBe(true);
      const whole = Buffer.from(text);
      for (let at = 0; at <= whole.length; at++) {
        const cut = at - unfinished(whole.subarray(0, at));
        expect(decoded(whole.subarray(0, cut)) + decoded(whole.subarray(cut))).toBe(decoded(whole));
      }
    }),
  );
});
