import { readdirSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { afterAll, expect, test } from 'vitest';
import { dashboardRoute } from '../../../server/api/dashboard.ts';
import { handleError } from '../../../server/api/errors.ts';
import { OWN_FILES, readPage } from '../../../server/dashboard/assets.ts';

const app = Fastify();
app.setErrorHandler(handleError);
dashboardRoute(app);
afterAll(() => app.close());

const folder = fileURLToPath(new URL('../../../server/dashboard', import.meta.url));
const { assets } = readPage('/dashboard');
const first = [...assets.keys()][0]!;

test('the page is never kept unasked, and is asked for by its tag', async () => {
  const page = await app.inject('/dashboard');
  expect(page.statusCode).toBe(200);
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(page.headers['cache-control']).toBe('no-cache');
  const again = await app.inject({ url: '/dashboard/', headers: { 'if-none-match': String(page.headers.etag) } });
  expect(again.statusCode).toBe(304);
  expect(again.body).toBe('');
  const other = await app.inject({ url: '/dashboard', headers: { 'if-none-match': '"another"' } });
  expect(other.statusCode).toBe(200);
});

test.each(['/dashboard', first])('%s comes with headers that let nothing foreign in', async (url) => {
  const { headers } = await app.inject(url);
  const policy = Object.fromEntries(
    String(headers['content-security-policy'])
      .split('; ')
      .map((rule) => [rule.slice(0, rule.indexOf(' ')), rule.slice(rule.indexOf(' ') + 1)]),
  );
  expect(policy).toEqual({
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'connect-src': "'self'",
    'img-src': "'self' data:",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
  });
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['referrer-policy']).toBe('no-referrer');
  expect(headers['x-frame-options']).toBe('DENY');
});

test('the page holds nothing inline, and asks no other host', async () => {
  const { body } = await app.inject('/dashboard');
  expect(body).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)/i);
  const addresses = [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!);
  expect(addresses.length).toBeGreaterThan(5);
  for (const address of addresses) expect(assets.has(address), address).toBe(true);
});

test('every file of the page may be kept for ever, under a name that goes with its content', async () => {
  for (const url of assets.keys()) {
    expect(url).toMatch(/^\/dashboard\/[0-9a-f]{16}\/[a-z-]+(\/[a-z-]+)?\.(js|css|svg)$/);
    const plain = await app.inject(url);
    expect(plain.statusCode, url).toBe(200);
    expect(plain.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect(plain.headers['content-encoding']).toBeUndefined();
    const packed = await app.inject({ url, headers: { 'accept-encoding': 'gzip, br' } });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.rawPayload).equals(plain.rawPayload)).toBe(true);
  }
});

test('modules import nothing but each other', () => {
  let count = 0;
  for (const [url, { type, content }] of assets) {
    if (!type.startsWith('text/javascript')) continue;
    const text = content.toString();
    const imports = [...text.matchAll(/(?:^|[;\s}])(?:import|export)\b[^'"`;]*?\bfrom\s*["']([^"']+)["']/g)];
    for (const [, specifier] of imports) {
      expect(specifier, url).toMatch(/^\.\.?\//);
      expect(assets.has(join(dirname(url), specifier!).split(sep).join('/')), `${url} imports ${specifier}`).toBe(true);
      count++;
    }
    if (!url.includes('/vendor/'))
      expect(text, url).not.toMatch(/\beval\(|new Function\(|innerHTML|insertAdjacentHTML|document\.write/);
  }
  expect(count).toBeGreaterThan(40);
});

test('no file of the folder is forgotten', () => {
  const there = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => /\.(js|css|svg)$/.test(path));
  expect([...OWN_FILES].sort()).toEqual(there.sort());
});

test('what the page weighs: under 100 kB packed, the libraries included', () => {
  const bytes = [...assets.values()].reduce((sum, { gzipped }) => sum + gzipped.length, 0);
  expect(bytes).toBeLessThan(100_000);
});

test.each([
  '/dashboard/../package.json',
  '/dashboard/..%2f..%2fpackage.json',
  '/dashboard/%2e%2e/%2e%2e/etc/passwd',
  `${first}/../../assets.ts`,
  `${dirname(first)}/assets.ts`,
  `${dirname(first)}/index.html`,
  `${dirname(first)}/`,
  '/dashboard/0000000000000000/app.js',
  '/dashboard//etc/passwd',
  `${first}%00.js`,
  '/dashboard/__proto__',
  '/dashboard/constructor',
])('%s is no file of the page', async (url) => {
  const reply = await app.inject(url);
  expect(reply.statusCode).toBe(404);
  expect(reply.body).not.toContain('pointsman"');
  expect(reply.body).not.toMatch(/root:|import /);
});
