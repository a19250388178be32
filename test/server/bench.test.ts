/** `bench gateway`: its client reads replies however they are cut, its sums are right, and it leaves nothing behind. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { type Comparison, LOADS, type LoadId, type LoadMeasured, type Row } from '../../server/bench/compare.ts';
import { judge, spreadOf } from '../../server/bench/judge.ts';
import { runLoad } from '../../server/bench/load.ts';
import { comparisonPage } from '../../server/bench/page.ts';
import { ReplyReader } from '../../server/bench/reply-reader.ts';
import { distinctPrompt, requestMaker } from '../../server/bench/requests.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

describe('the reader of replies', () => {
  const replies = [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    'HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnot \r\n3;x=1\r\nnow\r\n0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  ];

  test('finds the same replies wherever the bytes are cut', () => {
    const bytes = Buffer.from(replies.join(''));
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 })), (cuts) => {
        const reader = new ReplyReader();
        const seen: [number, number, boolean][] = [];
        // A reply is answered before the next is asked for, so a piece never holds parts of two.
        const ends = replies.map((_, i) => Buffer.byteLength(replies.slice(0, i + 1).join('')));
        let from = 0;
        for (const to of [...new Set([...cuts, ...ends])].sort((a, b) => a - b)) {
          if (reader.push(bytes.subarray(from, to))) seen.push([reader.status, reader.bodyBytes, reader.closes]);
          from = to;
        }
        expect(seen).toEqual([
          [200, 5, false],
          [503, 7, false],
          [204, 0, true],
        ]);
      }),
    );
  });

  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', /not HTTP/],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\n', /unknown length/],
    ['no size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', /without a size/],
  ])('refuses a reply with %s', (_, text, message) => {
    expect(() => new ReplyReader().push(Buffer.from(text))).toThrow(message);
  });
});

test('prompts are all different and of one length, and the same one when asked for', () => {
  const prompts = Array.from({ length: 2000 }, () => distinctPrompt());
  expect(new Set(prompts).size).toBe(2000);
  expect(new Set(prompts.map((prompt) => prompt.length))).toEqual(new Set([500]));
  const url = new URL('http://127.0.0.1:1/v1/chat/completions');
  const same = requestMaker({ model: 'auto', distinct: false, stream: true }, url, { authorization: 'Bearer k' });
  expect(same()).toEqual(same());
  const [head, body] = same().toString().split('\r\n\r\n');
  expect(head).toContain('POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:1\r\n');
  expect(head).toContain('authorization: Bearer k');
  expect(head).toContain(`content-length: ${body!.length}`);
  expect(JSON.parse(body!)).toMatchObject({ model: 'auto', stream: true, messages: [{ role: 'user' }] });
});

test('the load client counts only proper answers, and says what the first failure was', async () => {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      asked++;
      if (asked % 3 === 0) response.writeHead(500, { 'content-length': 4 }).end('oops');
      else if (asked % 3 === 1) response.destroy();
      else response.end('{"choices":[]}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  const result = await runLoad({
    url,
    headers: {},
    model: 'm',
    distinct: true,
    stream: false,
    connections: 1,
    seconds: 0.3,
  });
  expect(result.answered + result.failed).toBe(asked);
  // Every third is answered, give or take where the time was up.
  expect(Math.abs(result.failed - 2 * result.answered)).toBeLessThanOrEqual(2);
  expect(result.firstFailure).toMatch(/closed in place of an answer|ECONNRESET|hang up/);
  expect(result.p50).toBeGreaterThan(0);
  expect(result.firstByteP50).toBeLessThanOrEqual(result.p50);
});

/** A row whose every load has these numbers, one visit for each. */
const rowOf = (id: string, name: string, ...numbers: (Partial<LoadMeasured> & { restMb?: number })[]): Row => ({
  id,
  name,
  visits: numbers.map(({ restMb = 100, ...given }) => {
    const load: LoadMeasured = {
      answered: 1,
      failed: 0,
      firstFailure: null,
      perSecond: 1000,
      p50: 1,
      p99: 2,
      firstByteP50: 1,
      firstByteP99: 2,
      processorUs: 100,
      ...given,
    };
    const loads = Object.fromEntries(LOADS.map((each) => [each.id, load])) as Record<LoadId, LoadMeasured>;
    return { loads, restMb, loadMb: restMb * 2, complaints: [] };
  }),
});

const comparison = (...rows: Row[]): Comparison => ({
  rows,
  ownBuild: 'compiled',
  missing: [],
  seconds: 2,
  repetitions: 3,
  loadBefore: 0,
});

test('medians are of what was measured', () => {
  expect(spreadOf([3, 1, null, 2])).toEqual({ median: 2, low: 1, high: 3 });
  expect(spreadOf([4, 1])).toEqual({ median: 2.5, low: 1, high: 4 });
  expect(spreadOf([null]).median).toBeNaN();
});

test('targets are judged by the ratios within a round, and say how far off they are', () => {
  const verdicts = judge(
    comparison(
      rowOf('direct', 'no gateway', { firstByteP50: 0.25 }, { firstByteP50: 0.5 }, { firstByteP50: 0.25 }),
      rowOf('bare', 'bare', { perSecond: 8000 }, { perSecond: 12_000 }, { perSecond: 8000 }),
      // Against Portkey 6, 3 and 3 times; against bare 4/3, 4 and 8/3.
      rowOf(
        'auto',
        'ours, auto',
        { perSecond: 6000, p50: 4, firstByteP50: 1.25 },
        { perSecond: 3000, p50: 4, firstByteP50: 1.25 },
        { perSecond: 3000, p50: 4, firstByteP50: 1.25, restMb: 150 },
      ),
      rowOf('portkey', 'Portkey', { p50: 8 }, { p50: 8 }, { p50: 2 }),
    ),
    'auto',
  );
  const of = (what: RegExp) => verdicts.find((verdict) => what.test(verdict.what));
  expect(of(/req\/s at 32, ours ÷ Portkey/)).toMatchObject({
    value: { median: 3, low: 3, high: 6 },
    met: false,
    by: '25 % short',
  });
  expect(of(/p50 at 32/)).toMatchObject({ value: { median: 0.5, low: 0.5, high: 2 }, met: true, by: '' });
  expect(of(/memory at rest/)).toMatchObject({ value: { median: 1, high: 1.5 }, met: true });
  // 1.25 − 0.25, 1.25 − 0.5, 1.25 − 0.25
  expect(of(/SSE first byte/)).toMatchObject({ value: { median: 1, low: 0.75, high: 1 }, met: true });
  expect(of(/bare ÷ ours/)).toMatchObject({ met: false, by: '33 % above' });
});

test('what was not measured is neither met nor missed', () => {
  const alone = comparison(rowOf('auto', 'ours, auto', {}));
  expect(judge(alone, 'auto').every(({ met }) => met === null)).toBe(true);
  expect(judge(alone, 'postgres')).toEqual([]);
  expect(comparisonPage(alone)).toContain('not measured');
});

test('the page fits 100 columns and says what failed and what is not as claimed', () => {
  const big = { perSecond: 123_456, p50: 1234.5, p99: 12_345, firstByteP50: 1234, processorUs: 98_765, restMb: 4321 };
  const row = rowOf('auto', 'ours, auto', { ...big, failed: 7, firstFailure: 'status 500: oops' }, big, big);
  const claimed: Row = {
    ...row,
    visits: row.visits.map((visit) => ({ ...visit, complaints: ['keys are not checked'] })),
  };
  const text = comparisonPage({
    ...comparison(rowOf('direct', 'no gateway', big), rowOf('bare', 'bare Fastify + undici', big), claimed, {
      ...row,
      id: 'portkey',
      name: 'Portkey',
    }),
    ownBuild: 'by tsx from source (there is no dist/: npm run build)',
    missing: ['no PostgreSQL here '.repeat(20)],
    loadBefore: 1000,
  });
  expect(text).toContain('NOT AS CLAIMED: keys are not checked');
  // Each of the five loads of the first round.
  expect(text).toContain('35 requests failed and are not counted; the first: status 500: oops');
  expect(text).toContain('share these cores');
  expect(text).toContain('THE MACHINE WAS BUSY');
  expect(comparisonPage(comparison(row))).not.toContain('BUSY');
  expect(text).toContain('timer of 25 ms');
  expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
});

describe('the command', () => {
  /** Its output and its own folder for temporary files, which must be empty afterwards. */
  function bench(...args: string[]) {
    const temp = mkdtempSync(join(tmpdir(), 'pointsman-bench-test-'));
    cleanUps.push(() => rmSync(temp, { recursive: true, force: true }));
    const child = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), join(root, 'server/cli/main.ts'), 'bench', 'gateway', ...args],
      { cwd: root, env: { PATH: process.env.PATH, TMPDIR: temp } },
    );
    cleanUps.push(() => child.kill('SIGKILL'));
    const said = { out: '', err: '' };
    child.stdout.on('data', (piece) => {
      said.out += piece;
    });
    child.stderr.on('data', (piece) => {
      said.err += piece;
    });
    const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    // tsx keeps its cache there.
    const leftBehind = () => readdirSync(temp).filter((name) => !name.startsWith('tsx-'));
    return { child, said, exit, leftBehind };
  }

  test('measures, prints JSON and leaves nothing behind', async () => {
    const { said, exit, leftBehind } = bench(
      '--only',
      'direct,bare',
      '--seconds',
      '0.2',
      '--repetitions',
      '1',
      '--json',
    );
    expect(await exit, said.err).toBe(0);
    const result = JSON.parse(said.out) as Comparison & { targets: Record<string, unknown[]> };
    expect(result.rows.map(({ id }) => id)).toEqual(['direct', 'bare']);
    for (const { visits } of result.rows) {
      expect(visits).toHaveLength(1);
      for (const { loads } of visits) {
        for (const { id } of LOADS) {
          expect(loads[id]).toMatchObject({ failed: 0, firstFailure: null });
          expect(loads[id].answered).toBeGreaterThan(10);
        }
      }
    }
    expect(result.targets).toEqual({ auto: [], postgres: [] });
    expect(leftBehind()).toEqual([]);
  });

  test('ends all it started when it is told to stop', async () => {
    const { child, said, exit, leftBehind } = bench('--only', 'bare', '--seconds', '60');
    const isLinux = process.platform === 'linux';
    const isAtWork = () => said.err.includes('bare Fastify') && (!isLinux || childrenOf(child.pid!).length >= 3);
    await expect.poll(isAtWork, { timeout: 100_000 }).toBe(true);
    await pause(1000);
    const children = childrenOf(child.pid!);
    if (isLinux) expect(children.length).toBeGreaterThanOrEqual(3);
    child.kill('SIGTERM');
    expect(await exit, said.err).toBe(130);
    expect(said.err).toContain('everything that was started has ended');
    expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(leftBehind()).toEqual([]);
  });

  test.each([
    ['--only', 'litellm'],
    ['--seconds', '0'],
  ])('refuses %s %s', async (...args) => {
    const { said, exit } = bench(...args);
    expect(await exit).toBe(2);
    expect(said.err).toContain(args[0]);
  });
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Processes that a process has started; none where the system does not tell. */
function childrenOf(pid: number): string[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, 'utf8').split(' ').filter(Boolean) : [];
}
