import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programFile } from '../../run/shared.ts';

const PROGRAM = await programFile();

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What it left in its temporary folder and in the folder it was started from. */
  readonly leftBehind: string[];
}

/** Runs `pointsman demo` with temporary folders of its own; `onOutput` may end it early. */
async function demo(
  args: string[],
  onOutput?: (stderr: string, kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Run> {
  const [tmp, cwd] = [mkdtempSync(join(tmpdir(), 'demo-tmp-')), mkdtempSync(join(tmpdir(), 'demo-cwd-'))];
  try {
    const child = spawn(
      process.execPath,
      [PROGRAM, 'demo', ...args],
      // A key that is set for real work must not be used, nor a port that is taken.
      { cwd, env: { ...process.env, TMPDIR: tmp, OPENAI_API_KEY: 'sk-not-to-be-used', PORT: '8787' } },
    );
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (piece) => {
      stdout += piece;
    });
    child.stderr.on('data', (piece) => {
      stderr += piece;
      onOutput?.(stderr, (signal) => child.kill(signal));
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    // tsx keeps its own cache there.
    const leftBehind = [...readdirSync(tmp), ...readdirSync(cwd)].filter(
      (name) => !/^(tsx-|node-compile-cache)/.test(name),
    );
    return { code, stdout, stderr, leftBehind };
  } finally {
    for (const dir of [tmp, cwd]) rmSync(dir, { recursive: true, force: true });
  }
}

test('runs the whole loop with port 8787 taken, and leaves nothing behind', { timeout: 180_000 }, async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.once('error', () => resolve()).listen(8787, '127.0.0.1', resolve));
  try {
    const { code, stdout, stderr, leftBehind } = await demo(['--json', '--practice', '300', '--fresh', '80']);
    expect(code, stderr).toBe(0);
    const out = JSON.parse(stdout) as {
      always: Record<string, { right: number; saved: number }>;
      before: { right: number };
      after: { right: number };
      retrain: { outcome: string; samples: number; reasons: string[] };
      artifacts: [string, string];
    };
    expect(out.always['expert/expert']).toMatchObject({ right: 1, saved: 0 });
    expect(out.always['pocket/pocket']!.right).toBeLessThan(0.5);
    expect(out.retrain.samples).toBe(300);
    expect(['promoted', 'refused']).toContain(out.retrain.outcome);
    // A promoted router decides, a refused one does not.
    expect(out.artifacts[0] === out.artifacts[1]).toBe(out.retrain.outcome === 'refused');
    expect(out.retrain.reasons.length).toBeGreaterThan(0);
    expect(leftBehind).toEqual([]);
  } finally {
    taken.close();
  }
});

test('can be stopped, and cleans up then too', { timeout: 120_000 }, async () => {
  let stopped = false;
  const { code, stderr, leftBehind } = await demo([], (text, kill) => {
    if (stopped || !text.includes('asking')) return;
    stopped = true;
    kill('SIGINT');
  });
  expect(stopped).toBe(true);
  expect(code).toBe(1);
  expect(stderr).toContain('stopped before it was done');
  expect(leftBehind).toEqual([]);
});

test('refuses a number of tasks that cannot be', async () => {
  const { code, stderr } = await demo(['--fresh', '0']);
  expect(code).toBe(2);
  expect(stderr).toContain('give a whole number from 40 to 5000');
});
