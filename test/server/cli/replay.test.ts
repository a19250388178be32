/** `pointsman replay` as a person meets it: what it prints, where it writes, how it fails. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHEAP, DEAR, lengthWorld } from '../../eval/replay/worlds.ts';
import { programFile } from '../../run/shared.ts';

const PROGRAM = await programFile();
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointsman-replay-'));
  const { prompts, outcomes, models } = lengthWorld(120);
  const start = Date.parse('2026-05-01');
  const timed = prompts.map((row, i) => ({ ...row, at: new Date(start + i * 3_600_000).toISOString() }));
  writeFileSync(join(dir, 'prompts.jsonl'), timed.map((row) => JSON.stringify(row)).join('\n'));
  writeFileSync(join(dir, 'outcomes.jsonl'), [...outcomes].map((row) => JSON.stringify(row)).join('\n'));
  writeFileSync(join(dir, 'models.json'), JSON.stringify(models));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function pointsman(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'replay', ...args], {
    encoding: 'utf8',
    cwd: dir,
    timeout: 110_000,
  });
  return { status, stdout, stderr };
}

test('tells how the router learned, with dates for events, and writes the report where it was told', () => {
  const out = join(dir, 'out');
  const { status, stdout, stderr } = pointsman(
    ...['--data', dir, '--seeds', '2', '--retrain-every', '40', '--replicates', '20', '--out', out],
    ...['--event', `price:${DEAR}@2026-05-03=2`, '--cascade', `${CHEAP},${DEAR}`, '--sessions', '4'],
  );
  expect(status, stderr).toBe(0);
  // 48 prompts lie before the third day.
  expect(stdout).toContain(`price of ${DEAR} × 2 from decision 49`);
  expect(stdout).toContain('in the order of their times');
  for (const row of ['router', 'means only', 'cheapest', 'best single', 'best fixed', 'cascade', 'oracle']) {
    expect(stdout).toMatch(new RegExp(`^ +${row}`, 'm'));
  }
  expect(stdout).toContain(join(out, 'replay.html'));
  expect(readFileSync(join(out, 'replay.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  expect(stderr).toContain('life 2 of 2');
});

test('with --json prints JSON and nothing else, and leaves no file', () => {
  const { status, stdout } = pointsman(
    ...['--data', dir, '--seeds', '1', '--start', 'artifact', '--json', '--replicates', '5'],
  );
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ decisions: 120, start: 'artifact', order: 'time', feedback: 'bandit' });
  expect(existsSync(join(dir, 'reports'))).toBe(false);
});

test.each([
  { args: ['--event', 'price:no/body@3=2'], says: /UNKNOWN_MODEL.*no\/body/ },
  { args: ['--event', `outage:${DEAR}@1-900`], says: /INVALID_CONFIG.*900.*1 … 120/ },
  { args: ['--event', 'nonsense'], says: /INVALID_CONFIG.*price:MODEL@DECISION=FACTOR/ },
  { args: ['--feedback', 'some'], says: /bandit, full, or a share/ },
  { args: ['--order', 'sideways'], says: /time, rows, shuffle/ },
  { args: ['--start', 'magic'], says: /INVALID_CONFIG.*magic/ },
])('refuses $args with exit code 2 and one clear line', ({ args, says }) => {
  const { status, stdout, stderr } = pointsman('--data', dir, ...args, '--json');
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stdout).toBe('');
  expect(status).toBe(2);
});

test('its help shows the events and examples, in lines that fit', () => {
  const { stdout } = pointsman('--help');
  for (const word of ['blind-outage:MODEL@500-700', '--warm', '--sessions', 'pointsman replay --data DIR']) {
    expect(stdout).toContain(word);
  }
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});
