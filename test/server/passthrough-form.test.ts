/** Where the fields of a form lie: the official way to write one is the measure. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formFields, onlyField, withField } from '../../server/api/passthrough-form.ts';

/** As Node writes it, which is as browsers do. */
async function written(form: FormData): Promise<{ type: string; body: Buffer }> {
  const response = new Response(form);
  return { type: response.headers.get('content-type')!, body: Buffer.from(await response.arrayBuffer()) };
}

async function read(type: string, body: Buffer): Promise<[string, string][]> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  const pairs: [string, string][] = [];
  for (const [name, value] of form as unknown as Iterable<[string, string | Blob]>) {
    pairs.push([name, typeof value === 'string' ? value : Buffer.from(await value.arrayBuffer()).toString('hex')]);
  }
  return pairs;
}

test('whatever lies beside it, a field is found, and replacing it changes nothing else', async () => {
  const name = fc.stringMatching(/^[a-z][a-z_[\]]{0,10}$/).filter((text) => text !== 'model');
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array({ maxLength: 300 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(name, value), { maxLength: 6 }),
      fc.nat(),
      fc.stringMatching(/^[\w./:-]{1,40}$/),
      async (others, at, model) => {
        const form = new FormData();
        const place = at % (others.length + 1);
        for (const [i, [key, content]] of [...others, null].map((one, j) => [j, one ?? ['', '']] as const)) {
          if (i === place) form.append('model', 'before');
          if (key === '') continue;
          form.append(key, typeof content === 'string' ? content : new Blob([new Uint8Array(content)]));
        }
        const { type, body } = await written(form);
        const { field, text } = onlyField(body, formFields(body, type), 'model');
        expect(text).toBe('before');
        const changed = withField(body, field, model);
        const expected = (await read(type, body)).map(([key, was]) => [key, key === 'model' ? model : was]);
        expect(await read(type, changed)).toEqual(expected);
        expect(changed.length - body.length).toBe(model.length - 'before'.length);
      },
    ),
    { numRuns: 100 },
  );
});

test('a form cut off anywhere is refused', async () => {
  const form = new FormData();
  form.append('file', new Blob(['sound']), 'a.wav');
  form.append('model', 'm');
  const { type, body } = await written(form);
  expect(formFields(body, type).map(({ name, isFile }) => [name, isFile])).toEqual([
    ['file', true],
    ['model', false],
  ]);
  // The last boundary's `--` and line end may be all that is missing; the rest may not.
  for (let length = 0; length < body.length - 4; length++) {
    expect(() => formFields(body.subarray(0, length), type), `after ${length} bytes`).toThrow(/cannot be read/);
  }
});

const type = 'multipart/form-data; boundary=b';
const part = (headers: string, value = 'v') => `--b\r\n${headers}\r\n\r\n${value}\r\n`;

test.each([
  ['a name in two ways', part('Content-Disposition: form-data; name="a"; name="model"')],
  ['an encoded name', part("Content-Disposition: form-data; name*=utf-8''model")],
  ['no name', part('Content-Disposition: form-data')],
  [
    'two dispositions',
    part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"'),
  ],
  ['a folded header', part('Content-Disposition: form-data;\r\n name="model"')],
  ['a boundary inside a value', part('Content-Disposition: form-data; name="a"', 'x\n--b\nhidden')],
  ['a field without headers', '--b\r\n\r\nv\r\n'],
])('what two readers could take in two ways is refused: %s', (_, text) => {
  expect(() => formFields(Buffer.from(`${text}--b--\r\n`), type)).toThrow(/cannot be read/);
});

test.each([
  ['none', 'multipart/form-data'],
  ['two', 'multipart/form-data; boundary=a; boundary=b'],
  ['one too long', `multipart/form-data; boundary=${'x'.repeat(71)}`],
  ['an empty one', 'multipart/form-data; boundary=""'],
])('a content type with no clear boundary is refused: %s', (_, header) => {
  const body = Buffer.from(`${part('Content-Disposition: form-data; name="a"')}--b--\r\n`);
  expect(() => formFields(body, header)).toThrow(/boundary/);
});

test('what follows the last boundary is no second form', () => {
  const one = `${part('Content-Disposition: form-data; name="model"')}--b--\r\n`;
  expect(() => formFields(Buffer.from(one + one), type)).toThrow(/goes on/);
});
