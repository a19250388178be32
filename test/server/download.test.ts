import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { type DownloadOptions, download } from '../../server/download.ts';
import { failureOf, temporaryFolder } from '../datasets/fixtures.ts';
import { cutAfter, etagOf, flakyServer, status } from './flaky-server.ts';

const BODY = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256));
const limits = { retryDelayMs: 1, attempts: 3, connectMs: 20_000, answerMs: 20_000, silenceMs: 1500 };
const get = (url: string, file: string, options: DownloadOptions = {}) =>
  download(url, file, { env: {}, ...options, limits: { ...limits, ...options.limits } });
const place = () => join(temporaryFolder(), 'deep', 'file.bin');

test('brings a file, says how far it is, and leaves nothing else', async () => {
  const server = await flakyServer({ '/a': BODY });
  const file = place();
  const seen: [number, number][] = [];
  const got = await get(`${server.url}/a`, file, { onProgress: (received, total) => seen.push([received, total]) });
  expect(readFileSync(file).equals(BODY)).toBe(true);
  expect(got).toEqual({ bytes: 100_000, revision: 'c'.repeat(40) });
  expect(seen.at(-1)).toEqual([100_000, 100_000]);
  expect(readdirSync(dirname(file))).toEqual(['file.bin']);
});

test('goes on from where the line broke, as often as it breaks, asking for the same version', async () => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push(cutAfter(30_000), cutAfter(20_000), cutAfter(10_000), cutAfter(10_000), cutAfter(10_000));
  const file = place();
  await get(`${server.url}/a`, file);
  expect(readFileSync(file).equals(BODY)).toBe(true);
  expect(server.asked.map(({ range }) => range)).toEqual([
    undefined,
    'bytes=30000-',
    'bytes=50000-',
    'bytes=60000-',
    'bytes=70000-',
    'bytes=80000-',
  ]);
  expect(server.asked[1]!.ifRange).toBe(etagOf(BODY));
});

test('a download that was stopped goes on in the next run', async () => {
  const server = await flakyServer({ '/a': BODY });
  const file = place();
  const stop = new AbortController();
  server.tricks.push((_request, response, body) => {
    response.writeHead(200, { etag: etagOf(body), 'content-length': body.length });
    response.write(body.subarray(0, 40_000));
  });
  const onProgress = (received: number) => {
    if (received === 40_000) stop.abort(new Error('stopped by hand'));
  };
  await expect(get(`${server.url}/a`, file, { signal: stop.signal, onProgress })).rejects.toThrow('stopped by hand');
  expect(readFileSync(`${file}.part`).length).toBe(40_000);
  await get(`${server.url}/a`, file);
  expect(server.asked.at(-1)!.range).toBe('bytes=40000-');
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('starts anew when the file changed in between', async () => {
  const server = await flakyServer({ '/a': BODY });
  const changed = Buffer.concat([Buffer.from('changed'), BODY]);
  server.tricks.push(cutAfter(30_000), () => {
    server.files.set('/a', changed);
    return false;
  });
  const file = place();
  await get(`${server.url}/a`, file);
  expect(server.asked[1]!.range).toBe('bytes=30000-');
  expect(readFileSync(file).equals(changed)).toBe(true);
});

test('starts anew when the server knows no ranges', async () => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push(cutAfter(30_000), (_request, response, body) => {
    response.writeHead(200, { 'content-length': body.length }).end(body);
    return true;
  });
  const file = place();
  await get(`${server.url}/a`, file);
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('without a version to ask for, a part is thrown away rather than glued to something else', async () => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push((_request, response, body) => {
    response.writeHead(200, { 'content-length': body.length });
    response.write(body.subarray(0, 30_000), () => setTimeout(() => response.destroy(), 20));
  });
  const file = place();
  await get(`${server.url}/a`, file);
  expect(server.asked.map(({ range }) => range)).toEqual([undefined, undefined]);
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('a part of an older version of the address is not gone on with', async () => {
  const server = await flakyServer({ '/new': BODY });
  const file = place();
  server.files.set('/old', Buffer.concat([Buffer.from('old'), BODY]));
  server.tricks.push(cutAfter(30_000), status(404));
  await failureOf(() => get(`${server.url}/old`, file));
  expect(existsSync(`${file}.part`)).toBe(true);
  await get(`${server.url}/new`, file);
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('a part that is complete already is taken as it is', async () => {
  const server = await flakyServer({ '/a': BODY });
  const file = place();
  server.tricks.push(cutAfter(50_000), status(404));
  await failureOf(() => get(`${server.url}/a`, file));
  writeFileSync(`${file}.part`, BODY);
  expect((await get(`${server.url}/a`, file)).bytes).toBe(100_000);
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('waits as long as a busy server asks, and gives up when that is too long', async () => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push(status(429, { 'retry-after': '0' }), status(503));
  await get(`${server.url}/a`, place());
  expect(server.asked).toHaveLength(3);
  server.tricks.push(status(429, { 'retry-after': '3600' }));
  const failure = await failureOf(() => get(`${server.url}/a`, place()));
  expect(failure.code).toBe('MISSING_FILE');
  expect(failure.message).toContain('answered 429 and asks to wait 3600 s');
  expect(server.asked).toHaveLength(4);
});

test('gives up after some tries without a byte more, and names the address', async () => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push(status(502), status(502), status(502));
  const failure = await failureOf(() => get(`${server.url}/a`, place()));
  expect(failure.message).toBe(`${server.url}/a: answered 502`);
});

test.each([
  [status(404), 'MISSING_FILE', 'answered 404'],
  [status(401), 'MISSING_FILE', 'HF_TOKEN'],
  [status(200, { 'content-type': 'text/html; charset=utf-8' }, '<html>'), 'WRONG_FORMAT', 'web page'],
  [status(302, { location: 'ftp://127.0.0.1/a' }), 'MISSING_FILE', 'redirected to ftp:'],
] as const)('is refused at once where no further try can help (%#)', async (trick, code, text) => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push(trick);
  const file = place();
  const failure = await failureOf(() => get(`${server.url}/a`, file));
  expect(failure.code).toBe(code);
  expect(failure.message).toContain(text);
  expect(server.asked).toHaveLength(1);
  expect(readdirSync(dirname(file))).toEqual([]);
});

test('a length that is not the known one is refused, and so is a file beyond the limit', async () => {
  const server = await flakyServer({ '/a': BODY });
  const wrong = await failureOf(() => get(`${server.url}/a`, place(), { bytes: 99_999 }));
  expect(wrong).toMatchObject({ code: 'TRUNCATED_FILE' });
  expect(wrong.message).toContain('is 100000 bytes long, wanted are 99999');
  // Without an announced length the limit holds, too.
  server.tricks.push((_request, response, body) => void response.writeHead(200).end(body));
  const long = await failureOf(() => get(`${server.url}/a`, place(), { maxBytes: 50_000 }));
  expect(long.message).toContain('longer than the limit');
});

test('secrets go to the host that was named, not to where it redirects', async () => {
  const other = await flakyServer({ '/real': BODY });
  const server = await flakyServer();
  server.tricks.push(status(302, { location: `${other.url}/real` }));
  const file = place();
  await get(`${server.url}/a`, file, { headers: { authorization: 'Bearer secret' } });
  expect(server.asked[0]!.authorization).toBe('Bearer secret');
  expect(other.asked[0]!.authorization).toBeUndefined();
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('a server that falls silent is a broken line', async () => {
  const server = await flakyServer({ '/a': BODY });
  server.tricks.push((_request, response, body) => {
    response.writeHead(200, { etag: etagOf(body), 'content-length': body.length });
    response.write(body.subarray(0, 1000));
  });
  const file = place();
  await get(`${server.url}/a`, file);
  expect(server.asked[1]!.range).toBe('bytes=1000-');
  expect(readFileSync(file).equals(BODY)).toBe(true);
});

test('nobody there: says so, with the address', async () => {
  const failure = await failureOf(() => get('http://127.0.0.1:9/a', place()));
  expect(failure.code).toBe('MISSING_FILE');
  expect(failure.message).toMatch(/^http:\/\/127\.0\.0\.1:9\/a: cannot be reached \(/);
});
