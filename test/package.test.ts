/**
 * The package as others get it: built, packed, unpacked into a folder outside the repository, and used
 * there by plain node and by tsc. Its dependencies are linked from this checkout, and only those that
 * package.json names, so a dependency that is missing from it fails here, and no network is needed.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
  exports: Record<string, { types: string; default: string }>;
  dependencies: Record<string, string>;
};

let home: string;
let installed: string;
let lean: string | undefined;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'pointsman-package-'));
  // prepack builds first.
  run('npm', ['pack', '--silent', '--pack-destination', home], root);
  const tarball = readdirSync(home).find((name) => name.endsWith('.tgz'))!;
  const modules = join(home, 'node_modules');
  installed = join(modules, 'pointsman');
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', join(home, tarball), '-C', installed, '--strip-components=1'], home);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'dir');
  }
  writeFileSync(join(home, 'package.json'), '{"private": true, "type": "module"}');
}, 300_000);

afterAll(() => {
  for (const dir of [home, lean]) if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
});

/** Output of a program; its stderr goes into the error. */
function run(command: string, args: readonly string[], cwd: string): string {
  // Nothing that the test run sets may help the installed package along.
  const { NODE_OPTIONS: _, NODE_PATH: __, ...env } = process.env;
  return execFileSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    stdio: 'pipe',
    shell: process.platform === 'win32' && command === 'npm',
  });
}

const runNode = (code: string): string => {
  writeFileSync(join(home, 'use.mjs'), code);
  return run(process.execPath, ['use.mjs'], home);
};

test('holds what is used at run time, with licence and notice, and nothing else', () => {
  for (const path of [
    'LICENSE',
    'NOTICE',
    'README.md',
    'server/README.md',
    'router/models/default/README.md',
    'dist/datasets/catalog/models.json',
    'dist/router/models/default/manifest.json',
    'dist/router/models/default/encoder.onnx',
    ...Object.values(manifest.exports).flatMap(({ types, default: js }) => [types, js]),
    ...Object.values(manifest.bin),
  ]) {
    expect(existsSync(join(installed, path)), path).toBe(true);
  }
  const all = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  expect(
    all.filter((path) => /(^|[\\/])test[\\/]|[^d]\.ts$|\.env|tsconfig/.test(path) && !path.endsWith('.d.ts')),
  ).toEqual([]);
});

test('routes as a library in three lines of plain node', () => {
  const decision = JSON.parse(
    runNode(`import { Router } from 'pointsman';
const router = await Router.load();
const decision = await router.route({ messages: [{ role: 'user', content: 'What is 2 + 2?' }] });
console.log(JSON.stringify({ model: decision.model, ranked: decision.ranked.length, artifact: decision.artifact }));`),
  ) as { model: string; ranked: number; artifact: string };
  expect(decision.model).toMatch(/^[^/]+\/.+/);
  expect(decision.ranked).toBeGreaterThan(1);
  expect(decision.artifact).toMatch(/^[0-9a-f]{16,}$/);
});

test('routes with the shipped artifact where nothing that a transformer needs is installed', () => {
  // Beside the other, not in it: packages are looked for in every folder above too.
  lean = mkdtempSync(join(tmpdir(), 'pointsman-lean-'));
  mkdirSync(join(lean, 'node_modules'), { recursive: true });
  cpSync(installed, join(lean, 'node_modules', 'pointsman'), { recursive: true });
  for (const name of Object.keys(manifest.dependencies)) {
    if (name === '@xenova/transformers' || name === 'piscina') continue;
    mkdirSync(dirname(join(lean, 'node_modules', name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(lean, 'node_modules', name), 'dir');
  }
  writeFileSync(
    join(lean, 'use.mjs'),
    `import { Router } from 'pointsman';
const router = await Router.load();
console.log((await router.route({ messages: [{ role: 'user', content: 'What is 2 + 2?' }] })).model);
console.log(await import('@xenova/transformers').catch(({ code }) => code));`,
  );
  const [model, without] = run(process.execPath, ['use.mjs'], lean).split('\n');
  expect(model).toMatch(/^[^/]+\/.+/);
  expect(without).toBe('ERR_MODULE_NOT_FOUND');
});

test('offers every entry that package.json exports', () => {
  const entries = Object.keys(manifest.exports).map((name) => `pointsman${name.slice(1)}`);
  const counts = JSON.parse(
    runNode(`const counts = {};
for (const name of ${JSON.stringify(entries)}) counts[name] = Object.keys(await import(name)).length;
console.log(JSON.stringify(counts));`),
  ) as Record<string, number>;
  for (const entry of entries) expect(counts[entry], entry).toBeGreaterThan(0);
});

test('has types that a strict program compiles against, our own declarations checked too', () => {
  const names = Object.keys(manifest.exports).map((name, i) => `import * as m${i} from 'pointsman${name.slice(1)}';`);
  writeFileSync(
    join(home, 'check.ts'),
    `${names.join('\n')}
import { type Decision, Router } from 'pointsman';
export const modules = [${names.map((_, i) => `m${i}`).join(', ')}];
const router: Router = await Router.load();
export const decision: Decision = await router.route({ messages: [{ role: 'user', content: 'hi' }] });
// @ts-expect-error a decision's model is text
export const wrong: number = decision.model;
`,
  );
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    target: 'ES2023',
    lib: ['ES2023'],
    types: ['node'],
    // Only what stands in our own declarations is ours to answer for: see the filter below.
    skipLibCheck: false,
  };
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['check.ts'] }));
  let output = '';
  try {
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', home], home);
  } catch (error) {
    output = String((error as { stdout?: string }).stdout ?? error);
  }
  const ours = output.split('\n').filter((line) => /^(check\.ts|node_modules[\\/]pointsman[\\/])/.test(line));
  expect(ours).toEqual([]);
});

test('runs as a program', () => {
  const program = join(installed, manifest.bin.pointsman!);
  expect(run(process.execPath, [program, '--version'], home).trim()).toBe(manifest.version);
  expect(run(process.execPath, [program, '--help'], home)).toContain('pointsman start');
  if (process.platform !== 'win32') {
    accessSync(program, constants.X_OK);
    expect(run(program, ['--version'], home).trim()).toBe(manifest.version);
  }
});

test('decides for a prompt from the command line', () => {
  const program = join(installed, manifest.bin.pointsman!);
  const decision = JSON.parse(run(process.execPath, [program, 'route', 'What is 2 + 2?', '--json'], home)) as {
    model: string;
  };
  expect(decision.model).toMatch(/^[^/]+\/.+/);
});

test('runs the whole loop from the installed package: gateway, database, worker threads, retraining', () => {
  const program = join(installed, manifest.bin.pointsman!);
  const args = [program, 'demo', '--json', '--practice', '60', '--fresh', '40'];
  const outcome = JSON.parse(run(process.execPath, args, home)) as { retrain: { samples: number } };
  expect(outcome.retrain.samples).toBe(60);
}, 120_000);
