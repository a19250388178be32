/** `pointsman eval` as a person meets it: what it prints, where it writes, how it fails. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programFile } from '../run/shared.ts';
import { world } from './fixtures.ts';

const root = join(import.meta.dirname, '../..');
const PROGRAM = await programFile();
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointsman-eval-'));
  const { prompts, outcomes, models } = world({ prompts: 300 });
  writeFileSync(join(dir, 'prompts.jsonl'), prompts.map((row) => JSON.stringify(row)).join('\n'));
  writeFileSync(join(dir, 'outcomes.jsonl'), outcomes.map((row) => JSON.stringify(row)).join('\n'));
  writeFileSync(join(dir, 'models.json'), JSON.stringify(models));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function pointsman(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'eval', ...args], {
    encoding: 'utf8',
    cwd: root,
    timeout: 110_000,
  });
  return { status, stdout, stderr };
}

describe('pointsman eval', () => {
  test('prints a table, writes the report where it was told, and says so', () => {
    const out = join(dir, 'out');
    const { status, stdout } = pointsman('--data', dir, '--router', 'length-only', '--replicates', '50', '--out', out);
    expect(status).toBe(0);
    expect(stdout).toContain('length-only');
    expect(stdout).toContain(join(out, 'report.html'));
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  });

  test('with --json prints JSON and nothing else, and leaves no file', () => {
    const { status, stdout } = pointsman(
      '--data',
      dir,
      '--router',
      'cascade',
      '--seed',
      '3',
      '--replicates',
      '50',
      '--json',
    );
    expect(status).toBe(0);
    const e = JSON.parse(stdout);
    expect(e).toMatchObject({ split: 'group', seed: 3, prompts: 90, groups: 90, trainPrompts: 210, models: 3 });
    expect(e.routers.map((r: { name: string }) => r.name)).toContain('cascade');
    expect(existsSync(join(dir, 'reports'))).toBe(false);
  });

  test.each([
    { args: ['--seed', 'abc'], says: /--seed.*whole number/ },
    { args: ['--split', 'sideways'], says: /group, benchmark/ },
    { args: ['--train-prompts', '0'], says: /1 or more/ },
    { args: ['--data', join('no', 'such', 'folder')], says: /MISSING_FILE/ },
    { args: ['--data', 'DIR', '--router', 'nonsense'], says: /INVALID_CONFIG.*nonsense/ },
    { args: ['--data', 'DIR', '--router', 'length-only', '--baseline', 'x/y'], says: /INVALID_CONFIG.*x\/y.*c\/large/ },
  ])('refuses $args with exit code 2 and one clear line', ({ args, says }) => {
    const { status, stdout, stderr } = pointsman(...args.map((arg) => arg.replace('DIR', dir)), '--replicates', '20');
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });

  test.each(['DIR/models.json', 'DIR/models.json/deeper', '/proc/nowhere', '/proc/nowhere/deeper'])(
    'refuses --out %s before anything is fitted, and does not hang',
    (out) => {
      if (out.startsWith('/proc') && !existsSync('/proc')) return;
      const { status, stderr } = pointsman(
        ...['--data', dir, '--router', 'length-only', '--out', out.replace('DIR', dir)],
      );
      expect(stderr).toMatch(/INVALID_CONFIG.*--out.*cannot write/);
      expect(stderr).not.toContain('bootstrap');
      expect(status).toBe(2);
    },
  );

  test('a run that fails leaves no empty folder behind', () => {
    const out = join(dir, 'never', 'made');
    expect(pointsman('--data', dir, '--router', 'nonsense', '--out', out).status).toBe(2);
    expect(existsSync(join(dir, 'never'))).toBe(false);
  });

  test('prints first what the data can show, and writes the report three times', () => {
    const out = join(dir, 'three');
    const { status, stdout } = pointsman(
      dir,
      '--router',
      'length-only',
      '--replicates',
      '30',
      '--no-checks',
      '--out',
      out,
    );
    expect(status).toBe(0);
    expect(stdout.indexOf('can be shown')).toBeGreaterThan(0);
    expect(stdout.indexOf('can be shown')).toBeLessThan(stdout.indexOf('router  '));
    expect(readFileSync(join(out, 'report.md'), 'utf8')).toMatch(/^# Routers on/);
    expect(JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))).toMatchObject({ schemaVersion: 1 });
  });

  test('a gate that fails exits with 1 and names the line; one that holds exits with 0', () => {
    const common = [dir, '--router', 'length-only', '--replicates', '30', '--no-checks', '--json'];
    const failing = pointsman(...common, '--require', 'aiq>=0.1', '--require', 'aiq>=0.999');
    expect(failing.status).toBe(1);
    expect(failing.stderr).toMatch(
      /holds {3}aiq>=0\.1: length-only has 0\.\d+ .*\nFAILED {2}aiq>=0\.999: length-only has 0\.\d+/,
    );
    expect(JSON.parse(failing.stdout)).toMatchObject({ schemaVersion: 1 });
    expect(pointsman(...common, '--require', 'aiq>=0.1').status).toBe(0);
  });

  test('a task is frozen, run again, compared, and refuses an option that would make it another', () => {
    const task = join(dir, 'task.json');
    const out = join(dir, 'frozen');
    const run = [dir, '--router', 'length-only', '--no-checks', '--out', out];
    expect(pointsman(...run, '--replicates', '30', '--freeze', task).status).toBe(0);
    const again = pointsman(...run, '--task', task, '--compare', join(out, 'report.json'));
    expect(again.status).toBe(0);
    expect(again.stdout).toContain('the same task, resample by resample');
    const other = pointsman(...run, '--task', task, '--seed', '4');
    expect(other.status).toBe(2);
    expect(other.stderr).toContain('--seed is fixed by the task');
    const elsewhere = pointsman(...run, '--replicates', '30', '--seed', '4', '--compare', join(out, 'report.json'));
    expect(elsewhere.status).toBe(2);
    expect(elsewhere.stderr).toContain('different tasks');
  });

  test('a log takes no option that it does not read: a gate must not pass unread', () => {
    const { status, stderr } = pointsman('--from-log', join(dir, 'none.jsonl'), '--require', 'ece<=0.05');
    expect(status).toBe(2);
    expect(stderr).toContain('--require says nothing about a log');
  });

  test('its help names every router and shows examples', () => {
    const { stdout } = pointsman('--help');
    for (const name of [
      'default+fit',
      'knn',
      'length-only',
      'cascade',
      'benchmark-mean',
      'oracle',
      '--train-prompts',
    ]) {
      expect(stdout).toContain(name);
    }
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});
