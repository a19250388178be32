import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { counted } from '../../../server/counted.ts';
import { folderOf } from '../../datasets/fixtures.ts';
import { programFile } from '../../run/shared.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const PROGRAM = await programFile();

function pointsman(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8', cwd: root });
  return { status, stdout, stderr };
}

const COMMANDS = [
  'start',
  'route',
  'replay',
  'simulate',
  'export',
  'keys',
  'budgets',
  'doctor',
  'config',
  'import',
  'provider-keys',
  'policy',
  'report',
  'eval',
  'leaderboard',
  'datasets',
  'train',
  'vectors',
  'onboard',
  'anchors',
  'retrain',
  'bench',
  'robustness',
  'demo',
];

test('prints its version', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(pointsman('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
});

test('teaches its three uses, with one command each, and names every command', () => {
  const { status, stdout } = pointsman('--help');
  expect(status).toBe(0);
  for (const text of ['pointsman start', 'pointsman eval --data DIR', 'pointsman retrain', 'pointsman demo']) {
    expect(stdout).toContain(text);
  }
  for (const name of COMMANDS) {
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  }
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(pointsman().stdout).toBe(stdout);
});

test.each(COMMANDS)('%s has a help of its own', (name) => {
  const { status, stdout, stderr } = pointsman(name, '--help');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toContain(`Usage: pointsman ${name}`);
  // In the same words as that of the program, on a screen of usual width, without what only a program can read.
  expect(stdout).toMatch(/^ +-h, --help +print this help$/m);
  expect(stdout).not.toMatch(/display help|default: \[\]|\(\)$|undefined/m);
  expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  expect(stdout).not.toMatch(/npm run|\.\.\/shared/);
});

test('says one day and two days', () => {
  expect([0, 1, 2].map((n) => counted(n, 'day'))).toEqual(['0 days', '1 day', '2 days']);
});

test('takes a misspelt command or option for a mistake, and offers the nearest', () => {
  const command = pointsman('retrian', '--help');
  expect(command.status).toBe(2);
  expect(command.stderr).toContain("unknown command 'retrian'");
  expect(command.stderr).toContain('Did you mean retrain?');
  expect(command.stdout).toBe('');
  const option = pointsman('datasets', 'check', '--jsn', 'x');
  expect(option.status).toBe(2);
  expect(option.stderr).toContain('Did you mean --json?');
  expect(pointsman('constructor').status).toBe(2);
});

test('helps with a command within a command, asked for either way', () => {
  const asked = pointsman('help', 'budgets', 'create');
  expect(asked).toEqual(pointsman('budgets', 'create', '--help'));
  expect([asked.status, asked.stdout]).toEqual([0, expect.stringContaining('--requests-per-minute')]);
});

test('says in one sentence what an option or an argument must be', () => {
  expect(pointsman('audit', '--limit', 'x').stderr).toMatch(
    /^error: option '--limit <n>' argument 'x' is invalid: give a whole number/,
  );
  for (const no of ['x', '0', '1.5']) {
    expect(pointsman('policy', 'activate', no).stderr).toContain('give a whole number of 1 or more');
  }
  const key = pointsman('keys', 'create', 'x', '--models', '');
  expect([key.status, key.stderr]).toEqual([
    2,
    'error INVALID_REQUEST: --models: names none, so the key could call nothing; leave it out for all\n',
  ]);
  const move = pointsman('db', 'move', '--to', 'there');
  expect([move.status, move.stderr]).toEqual([
    2,
    'error INVALID_CONFIG: --to: must be like postgres://user:password@host:5432/name\n',
  ]);
});

test('prints an error as code and message, and its stack only when asked', () => {
  const plain = pointsman('datasets', 'check', 'no/such/folder');
  expect(plain.status).toBe(2);
  expect(plain.stdout).toBe('');
  expect(plain.stderr).toMatch(/^error MISSING_FILE: no\/such\/folder: no such folder.*\n$/);
  const debug = pointsman('--debug', 'datasets', 'check', 'no/such/folder');
  expect(debug.status).toBe(2);
  expect(debug.stderr).toContain('    at ');
});

const data = {
  'prompts.jsonl': [
    { id: 'p1', text: 'one', benchmark: 'sums/easy' },
    { id: 'p2', text: 'two', benchmark: 'sums/hard' },
  ],
  'outcomes.jsonl': [
    { promptId: 'p1', modelId: 'a/x', quality: 1 },
    { promptId: 'p2', modelId: 'a/x', quality: 0 },
    { promptId: 'p1', modelId: 'a/y', quality: 1 },
  ],
  'models.json': '{"a/x": {"inputUsdPerMTok": 0.5, "outputUsdPerMTok": 1.5}}',
};

test('datasets check shows what is inside a folder', () => {
  const { status, stdout } = pointsman('datasets', 'check', folderOf(data));
  expect(status).toBe(0);
  expect(stdout).toContain('2 prompts in 2 groups, 2 candidate models, 3 outcomes');
  expect(stdout).toMatch(/missing cells +25\.0 %/);
  expect(stdout).toMatch(/solved by every one +50\.0 % \(1 prompts\)/);
  expect(stdout).toMatch(/best single model +0\.500 +a\/x/);
  expect(stdout).toMatch(/a\/x +2 +100\.0 % +0\.500 +0\.5 \/ 1\.5/);
  expect(stdout).toContain('note: no price in models.json, so left out wherever cost counts: a/y');
});

test('datasets check prints only JSON when asked, one object a folder', () => {
  const { status, stdout, stderr } = pointsman('datasets', 'check', '--json', folderOf(data), folderOf(data));
  expect([status, stderr]).toEqual([0, '']);
  const summaries = JSON.parse(stdout) as { prompts: number; bestSingle: { modelId: string } }[];
  expect(summaries.map((s) => [s.prompts, s.bestSingle.modelId])).toEqual([
    [2, 'a/x'],
    [2, 'a/x'],
  ]);
});

test('datasets check names fields that nothing reads, with how many rows have them', () => {
  const files = { ...data, 'outcomes.jsonl': data['outcomes.jsonl'].map((row) => ({ ...row, latency: 3 })) };
  const { status, stdout } = pointsman('datasets', 'check', folderOf(files));
  expect(status).toBe(0);
  expect(stdout).toMatch(/misspelt\? outcomes\.jsonl: latency \(\d+ rows\)/);
});

test('datasets check names file, line and field of a bad row', () => {
  const bad = {
    ...data,
    'outcomes.jsonl': [...data['outcomes.jsonl'], { promptId: 'p2', modelId: 'a/y', quality: 2 }],
  };
  const { status, stderr } = pointsman('datasets', 'check', folderOf(bad));
  expect(status).toBe(2);
  expect(stderr).toMatch(/^error INVALID_ROW: .*outcomes\.jsonl:4: field quality: /);
});

test('ends quietly when the reader of its output leaves', () => {
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', `"${process.execPath}" --import "${import.meta.resolve('tsx')}" server/cli/main.ts --help | true`],
    { encoding: 'utf8', cwd: root },
  );
  expect([status, stderr]).toEqual([0, '']);
});

test('tells ONNX Runtime to report nothing before any thread can load it', () => {
  const atExit = 'process.on("exit", () => console.error("telemetry off:", process.env.ORT_DISABLE_TELEMETRY))';
  const { stderr } = spawnSync(
    process.execPath,
    [
      '--import',
      import.meta.resolve('tsx'),
      '--import',
      `data:text/javascript,${encodeURIComponent(atExit)}`,
      join(root, 'server/cli/main.ts'),
      '--version',
    ],
    { encoding: 'utf8', cwd: root, env: { ...process.env, ORT_DISABLE_TELEMETRY: undefined } },
  );
  expect(stderr).toContain('telemetry off: 1');
});
