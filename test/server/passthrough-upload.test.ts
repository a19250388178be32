/** Forms under guardrails: whatever another reader could find in one is looked at here, or refused. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { formTypeOf } from '../../server/api/passthrough-form.ts';
import { seenForm } from '../../server/api/passthrough-upload.ts';
import { Guards } from '../../server/governance/guards/guards.ts';
import { callerUnder, rulesOf } from './governance/guards/governed.ts';

const MASK = { name: 'pii', kind: 'pii' };
const BLOCK = { ...MASK, action: 'block' };
const STRICT = { ...BLOCK, unreadable: 'block' };
const TYPE = 'multipart/form-data; boundary=b';
const BLOCKED = { code: 'GUARDRAIL_BLOCKED' };
const REFUSED = { code: 'INVALID_REQUEST' };

const part = (headers: string, value: string | Buffer) =>
  Buffer.concat([Buffer.from(`--b\r\n${headers}\r\n\r\n`), Buffer.from(value as string), Buffer.from('\r\n')]);
const named = (name: string, file?: string) =>
  `Content-Disposition: form-data; name="${name}"${file === undefined ? '' : `; filename="${file}"`}`;

async function through(rule: object, parts: readonly Buffer[], word: 'model' | 'purpose' = 'purpose', others?: object) {
  const guards = new Guards();
  const look = guards.upload((surface) =>
    callerUnder(rulesOf(...[surface === 'files' ? rule : (others ?? rule)].filter((one) => 'name' in one))),
  );
  const form = Buffer.concat([...parts, Buffer.from('--b--\r\n')]);
  const seen = await seenForm(Readable.from([form]), TYPE, { look: look!, word, folder: null });
  const body = Buffer.from((seen.body as () => Uint8Array)());
  await seen.close();
  return { body, isSame: body.equals(form), marks: seen.marks, hits: seen.hits };
}

const file = (content: string | Buffer, purpose = 'user_data') => [
  part(named('purpose'), purpose),
  part(named('file', 'a.txt'), content),
];
const withHeaders = (headers: string) => [part(named('purpose'), 'user_data'), part(headers, 'am9l')];

test.each([
  ['multipart/form-data; boundary=AAA', 'multipart/form-data; boundary=AAA'],
  ['Multipart/Form-Data;charset=utf-8;  boundary="A A"', 'multipart/form-data; boundary="A A"'],
])('the header of a form is written anew: %s', (type, written) => {
  expect(formTypeOf({ headers: { 'content-type': type } } as never)).toBe(written);
});

test.each([
  'multipart/form-data; boundary=AAA; boundary =BBB',
  'multipart/form-data; x="; boundary=AAA"; boundary =BBB',
  `multipart/form-data; x="; boundary=AAA"; boundary*=utf-8''BBB`,
  `multipart/form-data; boundary=AAA; boundary*0=BBB`,
  'multipart/form-data; boundary="A\\"; x="; boundary=BBB',
  'multipart/form-data, multipart/form-data; boundary=AAA',
  'multipart/form-data boundary=AAA',
  'multipart/form-data-x; boundary=AAA',
])('a form whose boundary could be another is refused: %s', (type) => {
  expect(() => formTypeOf({ headers: { 'content-type': type } } as never)).toThrow(/cannot be read/);
});

const FILE = named('file', 'a.txt');

test.each([
  `${FILE}\r\nX-A: b\nContent-Transfer-Encoding: base64`,
  `${FILE}\r\nX-A: b\rContent-Transfer-Encoding: base64`,
  `${FILE}\r\n Content-Transfer-Encoding: base64`,
  `${FILE}\r\nContent-Transfer-Encoding : base64`,
  `${FILE}\r\nContent-Transfer-Encoding\0: base64`,
  `Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n${FILE}`,
  `${FILE}\r\nContent-Type: text/plain; charset=utf-8; charset=utf-7`,
  `${FILE}\r\nContent-Type: text/plain; charset =utf-7`,
  `${FILE}\r\nContent-Type: text/plain; charset*=us-ascii''utf-7`,
  `${FILE}\r\nContent-Type: text/plain; charset="utf-8\\"; x=", charset=utf-7`,
  `${FILE}\r\nContent-Type: multipart/mixed; boundary=q`,
  `${FILE}; name*=utf-8''x`,
  `Content-Disposition: form-data; name="file"; filename="a\nb"`,
  `X: a\nContent-Disposition: form-data; name="purpose"\r\n${FILE}`,
  `Content-Disposition: form-data; name="file"; filename*=utf-7''a`,
])('a part whose headers could be read in another way is refused: %j', async (headers) => {
  await expect(through(MASK, withHeaders(headers))).rejects.toMatchObject(REFUSED);
});

describe('names', () => {
  const MAIL = 'joe@example.com';

  test('of files are looked at, and masked where they stand', async () => {
    const form = [part(named('file', `for ${MAIL}.txt`), 'x')];
    await expect(through(BLOCK, form)).rejects.toMatchObject(BLOCKED);
    const { body, hits } = await through(MASK, form);
    expect(body.toString()).toContain('form-data; name="file"; filename="for [EMAIL]"\r\n\r\nx');
    expect(hits).toMatchObject([{ found: 'email', action: 'masked' }]);
    const extended = [part(`${named('file', 'a')}; filename*=UTF-8''%6Aoe%40example.com`, 'x')];
    await expect(through(BLOCK, extended)).rejects.toMatchObject(BLOCKED);
    expect((await through(MASK, extended)).body.toString()).toContain(`filename="a"; filename*=UTF-8''%5BEMAIL%5D\r\n`);
  });

  test.each([
    ['of parts', named(MAIL)],
    ['in a type', `${FILE}\r\nContent-Type: text/plain; name="${MAIL}"`],
    ['in other headers', `${FILE}\r\nX-From: ${MAIL}`],
  ])('%s are looked at, and stay under a mask', async (_, headers) => {
    await expect(through(BLOCK, withHeaders(headers))).rejects.toMatchObject(BLOCKED);
    expect((await through(MASK, withHeaders(headers))).isSame).toBe(true);
  });

  test('that clients write pass', async () => {
    const deny = { name: 'words', kind: 'deny', words: ['file', 'purpose', 'text'], action: 'block' };
    const form = [part(named('purpose'), 'user_data'), part(`${FILE}\r\nContent-Type: text/plain`, 'x')];
    expect((await through(deny, form)).isSame).toBe(true);
  });
});

test('a field of the API is one only where it has one, once, and no file', async () => {
  const secret = 'joe@example.com';
  await expect(through(BLOCK, [...file('x'), part(named('model'), secret)])).rejects.toMatchObject(BLOCKED);
  const model = part(named('model'), 'one/small');
  expect((await through(BLOCK, [model, part(named('file', 'a.wav'), 'x')], 'model')).isSame).toBe(true);
  await expect(through(BLOCK, [model, model], 'model')).rejects.toMatchObject({
    message: expect.stringMatching(/once/),
  });
  await expect(through(BLOCK, [part(named('model', 'm'), secret)], 'model')).rejects.toThrow(/once/);
  await expect(through(BLOCK, [part(named('purpose'), secret.repeat(2))])).rejects.toThrow(/does not look like one/);
});

const ESCAPED = 'joe\\u0040example.com';

test.each([
  ['PDF after a line', 'x\n%PDF-1.4\n1 0 obj << /Filter /ASCIIHexDecode >> stream 6a6f6540657861>'],
  ['a control character far behind', `${'a '.repeat(40_000)}\x02`],
  ['JSON with a comma too many', `{"a":"${ESCAPED}",}`],
  ['JSON after other words', `[x] {"a":"${ESCAPED}"}`],
  ['JSON of more than 8 MiB', `{\n"pad":"${'x '.repeat(4.5 * 1024 * 1024)}"\n}`],
  ['more strings than are looked at', `[${'"a",'.repeat(100_001)}1]`],
  ['more long numbers than are looked at', `[\n${'12345678,'.repeat(100_001)}1]`],
  ['many lines that look like JSON', '{x}\n'.repeat(1100)],
  ['many lines that are no JSON, among others', `{"a":1}\n${'x\n'.repeat(1100)}`],
])('a file that may hold more than its letters is unreadable: %s', async (_, content) => {
  await expect(through(STRICT, file(content))).rejects.toMatchObject({
    ...BLOCKED,
    message: expect.stringMatching(/found: unreadable\): it cannot look into a (?:file|line|document)/),
  });
  expect((await through({ ...MASK, unreadable: 'block', dryRun: true, action: 'block' }, file('plain'))).hits).toEqual(
    [],
  );
  const { isSame, marks } = await through(MASK, file(content));
  expect({ isSame, marks }).toEqual({ isSame: true, marks: [] });
});

test.each([
  ['among JSON', `{"a":1}\n${'x\n'.repeat(1001)}`],
  ['instead of JSON', `{x\n${'x\n'.repeat(1001)}`],
])('what stands after many lines of anything %s is masked, and counted once', async (_, before) => {
  const { body, hits } = await through(MASK, file(`${before}joe@example.com\n{"a":"ann@example.org"}`));
  expect(body.toString()).toContain('x\n[EMAIL]\n{"a":"[EMAIL]"}\r\n--b--');
  expect(hits).toMatchObject([{ found: 'email', count: 2 }]);
});

describe('a line of a batch', () => {
  const line = (url: string, content = 'joe@example.com') =>
    JSON.stringify({ url, body: { model: 'm', messages: [{ role: 'user', content }] } });

  test.each([
    ...['', '/', '?a=b', '#', ' '].map((end) => `/v1/chat/completions${end}`),
    ...['/v1/chat//completions', '/v1/Chat/completions', '/v1/chat/%63ompletions', '/v1/completions'],
    ...['/v1/chat/completions?/v1/embeddings', 'https://x.org/v1/chat/completions'],
  ])('for %j goes by the rules of chat', async (url) => {
    await expect(through({}, file(line(url), 'batch'), 'purpose', BLOCK)).rejects.toMatchObject(BLOCKED);
  });

  test('for an endpoint that nobody knows has its files looked into', async () => {
    const content = [{ type: 'input_file', file_data: Buffer.from('to joe@example.com').toString('base64') }];
    const asked = JSON.stringify({ url: '/v1/new', body: { input: [{ role: 'user', content }] } });
    await expect(through(BLOCK, file(asked, 'batch'))).rejects.toMatchObject(BLOCKED);
  });

  test.each([
    ['url', `{"url":"/v1/embeddings",${line('/v1/chat/completions', 'x').slice(1)}`],
    ['body', `{"body":{"input":"y"},${line('/v1/chat/completions', 'x').slice(1)}`],
    [
      'previous_response_id',
      '{"url":"/v1/responses","body":{"previous_response_id":"a","previous_response_\\u0069d":"b"}}',
    ],
  ])('with two members called %s is refused', async (_, text) => {
    await expect(through(MASK, file(text, 'batch'))).rejects.toThrow(/line 1: it has two members of one name/);
    await expect(through(MASK, file(text, 'batch').reverse())).rejects.toThrow(/line 1: it has two members/);
  });
});
